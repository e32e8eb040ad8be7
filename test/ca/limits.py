"""Limits as Let's Encrypt has them (FACTS of autumn 2026): its texts, and, where a test wants it, its
counting, in the CA's time."""
import collections
import functools
import pathlib

from books import http_date, stamp
from problems import Problem

HOUR, DAY = 3600, 86400
PAGE = "see https://letsencrypt.org/docs/rate-limits/"
TEXTS = {
    "newOrders": 'too many new orders (300) from this account in the last 3h0m0s, retry after {until}: '
                 f"{PAGE}#new-orders-per-account",
    "domain": 'too many certificates (50) already issued for "{domain}" in the last 168h0m0s, retry after '
              f"{{until}}: {PAGE}#new-certificates-per-registered-domain",
    "names": 'too many certificates (5) already issued for this exact set of identifiers in the last '
             f"168h0m0s, retry after {{until}}: {PAGE}#new-certificates-per-exact-set-of-identifiers",
    "failed": 'too many failed authorizations (5) for "{name}" in the last 1h0m0s, retry after {until}: '
              f"{PAGE}#authorization-failures-per-identifier-per-account",
    "paused": "Your account is temporarily prevented from requesting certificates for {name} and possibly "
              "others. Please visit: {unpause}",
    "accounts": "too many registrations (10) from this IP address in the last 3h0m0s, retry after {until}: "
                f"{PAGE}#new-registrations-per-ip-address",
    "overall": "Service busy; retry later.",
}
# Name: how many, in how many seconds.
FIGURES = {"newOrders": (300, 3 * HOUR), "domain": (50, 7 * DAY), "names": (5, 7 * DAY),
           "failed": (5, HOUR), "accounts": (10, 3 * HOUR)}
PAUSED_AFTER = 1152
SUFFIXES = pathlib.Path("/usr/share/publicsuffix/public_suffix_list.dat")


def refusal(kind, names, now, retry, base):
    """The CA's 429; `retry`: the value of Retry-After, or None; until: what the text says."""
    until = now + (retry if isinstance(retry, (int, float)) else HOUR)
    text = TEXTS[kind].format(until=stamp(until).replace("T", " ").replace("Z", " UTC"), name=names[0],
                              domain=registered(names[0]), unpause=f"{base}/unpause?jwt=eyJ.for-a-person")
    headers = []
    if isinstance(retry, dict):
        headers = [("Retry-After", http_date(now + retry["date"]))]
    elif retry is not None and kind != "paused":
        headers = [("Retry-After", str(retry if isinstance(retry, str) else int(retry)))]
    return Problem(429, "rateLimited", text, headers)


@functools.cache
def suffixes():
    if not SUFFIXES.exists():
        return frozenset()
    lines = SUFFIXES.read_text(encoding="utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("//"))


@functools.lru_cache(maxsize=100_000)
def registered(name):
    """The registered domain: one label more than the longest public suffix; else the last two."""
    labels = name.removeprefix("*.").split(".")
    for i in range(1, len(labels)):
        if ".".join(labels[i:]) in suffixes() or "*." + ".".join(labels[i + 1:]) in suffixes():
            return ".".join(labels[i - 1:])
    return ".".join(labels[-2:])


class Bucket:
    """So many at once; room for one more comes back each window / most seconds."""

    def __init__(self, most, window):
        self.most, self.each, self.used, self.at = most, window / most, 0.0, None

    def refresh(self, now):
        if self.at is not None and now > self.at:
            self.used = max(0.0, self.used - (now - self.at) / self.each)
        self.at = now

    def wait(self, now):
        """Seconds until there is room for one; 0: there is."""
        self.refresh(now)
        return max(0.0, (self.used - self.most + 1) * self.each)

    def take(self, now):
        self.refresh(now)
        self.used += 1


class Limits:
    """Counts by kind and what it is about; only looked at where the switch `limits` says so."""

    def __init__(self):
        self.buckets, self.failures = {}, collections.Counter()

    def bucket(self, kind, about):
        return self.buckets.setdefault((kind, about), Bucket(*FIGURES[kind]))

    def check(self, checks, names, now, base):
        for kind, about in checks:
            wait = self.bucket(kind, about).wait(now)
            if wait > 1e-6:
                raise refusal(kind, names if kind != "failed" else [about[1]], now, int(wait) + 1, base)

    def take(self, checks, now):
        for kind, about in checks:
            self.bucket(kind, about).take(now)

    def of_order(self, account, names, renewal):
        """A certificate of the same names before exempts from those per account and per domain."""
        checks = [] if renewal else [("newOrders", account.id)]
        domains = sorted({registered(n) for n in names})
        return (checks + [("failed", (account.id, n)) for n in names],
                ([] if renewal else [("domain", d) for d in domains]) + [("names", tuple(names))])

    def check_order(self, account, names, renewal, now, base):
        paused = [n for n in names if self.failures[account.id, n] >= PAUSED_AFTER]
        if paused:
            raise refusal("paused", paused, now, None, base)
        first, later = self.of_order(account, names, renewal)
        self.check(first + later, names, now, base)
        self.take([c for c in first if c[0] == "newOrders"], now)

    def issued(self, account, names, renewal, now):
        self.take(self.of_order(account, names, renewal)[1], now)
        for name in names:
            self.failures[account.id, name] = 0

    def failed(self, account, name, now):
        self.take([("failed", (account.id, name))], now)
        self.failures[account.id, name] += 1
