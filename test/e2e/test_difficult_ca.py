"""Everseal before a CA that misbehaves: every switch of the difficult CA alone, and in pairs, for a new name and
for a renewal at once. It ends in a certificate or in one right sentence; the CA is not stormed; what is served
stays served; and once the CA is well again, so is everything."""
import concurrent.futures
import contextlib
import datetime
import itertools
import re
import time

import pytest

from network import is_temporary, tls, until

# What a sentence may say of answers that are no ACME.
NOT_ACME = r"which is not ACME|has no usable|cannot be followed"
LOST = r"(cut the connection|does not answer|answered with more than).*It is tried again"
FORCED = r"could not prove control of {name}.*the validation of {name} was made to fail \({}\).*"


class Case:
    """`says`: None, it ends in certificates; else what the command's one sentence holds ({name}: the name).
    `most`: requests that one of the two attempts may cost. `anew`: Everseal starts under the switches, since
    what it knows of the CA would hide them."""

    def __init__(self, id, says=None, most=16, anew=False, full=False, **switches):
        self.id, self.says, self.most, self.anew, self.full = id, says, most, anew, full
        self.switches = switches

    def parameter(self):
        return pytest.param(self, id=self.id, marks=[pytest.mark.full] if self.full else [])


def limit(kind, text, **more):
    return Case(f"limit: {kind}", rf"asks to wait until 20.*{text}.*\(rateLimited\).*it is tried again then",
                limit=kind, **more)


CASES = [
    # renewal information
    *[Case(f"ari: {how}", ari=how, full=how in ("now", "future", "null-window", "no-dates"))
      for how in ("past", "now", "future", "inverted", "far-future", "no-dates", "missing-window", "null-window",
                  "404", "500")],
    Case("ari: missing", ari="missing", anew=True),
    Case("already replaced", already_replaced=True),
    Case("replaces refused by 404", already_replaced=404, full=True),
    Case("no profiles", profiles={}, anew=True),
    # limits and outage
    limit("newOrders", r"too many new orders \(300\)"),
    limit("domain", r'too many certificates \(50\) already issued for "example.com"', limit_retry={"date": 7200}),
    limit("names", "exact set of identifiers"),
    limit("failed", r'too many failed authorizations \(5\) for "{name}"'),
    limit("overall", "Service busy"),
    Case("limit: paused", r"prevented from requesting certificates for {name}.*/unpause\?jwt=", limit="paused"),
    *[Case(f"limit: Retry-After {text}", r"A limit of .* is reached: too many new orders .*does not say until when",
           limit="newOrders", limit_retry=value, full=value == 0)
      for text, value in (("missing", None), ("no time", "tomorrow"), ("of 0 s", 0))],
    Case("limit: for ever", "asks to wait until 2027", limit="newOrders", limit_retry=10**12),
    *[Case(f"503 twice: {at}", busy={at: [4, 1]}, most=30, full=at not in ("newOrder", "finalize"))
      for at in ("newOrder", "newNonce", "authz", "challenge", "order", "finalize", "certificate")],
    Case("503 with a date", busy={"newOrder": [2, {"date": 2}]}),
    Case("503 for hours", "asks to wait until", busy={"newOrder": 7200}),
    Case("503 for hours, mid-order", "asks to wait until", busy={"order": 7200}),
    Case("outage: 503", "does not answer: HTTP 503. It is tried again", outage="503", full=True),
    Case("outage: refused", "refuses connections", outage="refused", full=True),
    Case("outage: reset", "did not complete the TLS handshake.*It is tried again", outage="reset"),
    # TLS
    Case("tls: untrusted", "not trusted.*unable to get local issuer.*trust FILE", tls="untrusted"),
    Case("tls: expired", r"cannot be used \(certificate has expired\)\. Check this machine's clock; .* that server's "
                         "operator", tls="expired"),
    Case("tls: other name", r"is for another name \(.*no alternative certificate subject name matches.*\)\. Check the "
                            "spelling of the URL", tls="other-name"),
    Case("tls: old version", "did not complete the TLS handshake.*protocol version", tls="old-version"),
    Case("tls: closed", "did not complete the TLS handshake", tls="closed", full=True),
    Case("tls: no TLS", "did not complete the TLS handshake.*wrong version", tls="garbage"),
    # finalize and orders
    Case("finalize: asynchronous", finalize={"async": 1}, poll_after=1),
    Case("finalize: slow", slow={"finalize": 2}),
    Case("finalize: answer lost", finalize="cut"),
    Case("finalize: refused", "refused the certificate request: .*unauthorized", finalize="refused"),
    Case("finalize: invalid", r"gave the order up: the certificate could not be made \(serverInternal\)\. The fault "
                              "is the CA's", finalize="invalid"),
    Case("order: invalid after proof", r"gave the order up: .*after all names were proved \(caa\)\. Allow this CA in "
                                       "the domain's CAA record", order="caa"),
    Case("order: invalid without a word", 'it is "invalid".*does not say why.*ask the CA about https',
         order="silently-invalid"),
    Case("order: fault of the CA", r"gave the order up: .*\(serverInternal\)\. The fault is the CA's",
         order="serverInternal", full=True),
    Case("name rejected", r"refused the order: .*{name}: forbidden by policy \(rejectedIdentifier\)",
         reject="both"),
    # authorizations, challenges, validation
    Case("authz: reused", authz="reused"),
    *[Case(f"authz: {how}", "calls the authorization of {name} " + word + " and does not say why", authz=how,
           full=how == "revoked")
      for how, word in (("deactivated", "deactivated"), ("expired", "expired"), ("revoked", "revoked"),
                        ("unknown-status", "confused"))],
    Case("vantage: one of four sees nothing", vantage={"points": 4, "failing": 1, "tolerated": 1}),
    Case("vantage: one too many sees nothing", "During secondary validation.*Another server answers for the name",
         vantage={"points": 4, "failing": 1, "tolerated": 0}),
    Case("challenge: 409, and heard", conflict="heard", most=30),
    Case("challenge: 409, and not heard", conflict="unheard"),
    *[Case(f"validation: {kind}", FORCED.replace("{}", kind) + advice, validation=kind,
           full=kind in ("dns", "tls"))
      for kind, advice in (("connection", r"Open port \d{4,5} in the firewall"), ("dns", "Repair the name's A and AAAA records"),
                           ("caa", "Allow this CA in the domain's CAA record"), ("tls", "(redirect|Something in front of this server ends TLS)"),
                           ("unauthorized", "Another server answers"),
                           ("serverInternal", "The fault is the CA's"))],
    Case("challenges: unknown ones beside", challenges=["sesame-07", "dns-persist-01", "http-01"]),
    Case("challenges: none that is known", "lets control of {name} be proved by sesame-07 only", challenges=["sesame-07"],
         order_reuse=False),
    Case("challenges: none", "names no way to prove control of {name}", challenges=[], order_reuse=False),
    # nonces
    Case("nonce: half refused", nonce=50, most=60),
    Case("nonce: refused for ever", "refused 201 nonces in a row that it had given itself", nonce="refused",
         most=210),
    Case("nonce: always the same", "refused 201 nonces in a row that it had given itself", nonce="reused", most=210,
         full=True),
    Case("nonce: missing", "it gave no nonce, which every request needs", nonce="missing",
         full=True),
    # the certificate
    Case("certificate: expired", "sent a certificate that has expired already. Check this machine's clock",
         certificate="expired"),
    Case("certificate: of the future", "sent a certificate that is not valid yet. Check this machine's clock",
         certificate="future"),
    Case("certificate: other names", "sent a certificate that is not for {name}", certificate="other-names"),
    Case("certificate: other key", "sent a certificate for another key", certificate="other-key"),
    Case("certificate: leaf last", "sent a certificate for another key", certificate="leaf-last", full=True),
    *[Case(f"certificate: {how}", certificate=how, full=how == "twice")
      for how in ("no-chain", "wrong-order", "twice", "text-around")],
    *[Case(f"certificate: {how} four times", most=24, damage={"certificate": [4, how]}, full=how != "html")
      for how in ("html", "truncated", "nothing", "status:404")],
    Case("certificate: HTML", r"gave a web page \(HTML\) instead of PEM", certificate="html"),
    Case("certificate: empty", "gave nothing instead of PEM", certificate="empty", full=True),
    # the account and the directory
    Case("account: forgotten", account="gone"),
    Case("terms changed", r"refused the order: the terms of service have changed.*\(userActionRequired\)\. Do what "
                          "it asks for on https://[^ ]*/agree", terms_changed=True),
    Case("directory: other URLs than before", directory_moved=7),
    *[Case(f"directory: {how}", says, damage={"directory": how}, anew=True, full=full) for how, says, full in (
        ("html", r"is not an ACME directory: a web page \(HTML\) is there", False),
        ("truncated", "is not an ACME directory: text that is not JSON is there", True),
        ("deep", "answered with more than 256 KiB|not an ACME directory", True),
        ("not-utf-8", "is not an ACME directory: text that is not JSON is there", True),
        ("array", "is not an ACME directory: other JSON is there", True),
        ("null:newOrder", 'JSON without a usable URL for "newOrder"', False),
        ("number:newNonce", 'JSON without a usable URL for "newNonce"', True),
        ("missing:newAccount", 'JSON without a usable URL for "newAccount"', True),
        ("redirect", "HTTP 307|not an ACME directory", True), ("silence", LOST, True), ("cut", LOST, True),
        ("missing:meta", None, False), ("null:meta", None, True), ("text:meta", None, True),
        ("number:revokeCert", None, True), ("null:keyChange", None, True), ("unknown", None, True))],
    # damaged answers: what is read from the order all the same costs nothing
    *[Case(f"{at}: {how}", says, most=20, damage={at: how}, full=full) for at, how, says, full in (
        ("challenge", "html", None, False), ("challenge", "truncated", None, True), ("challenge", "huge", None, True),
        ("finalize", "html", None, False), ("finalize", "truncated", None, True),
        ("finalize", "missing:status", None, True), ("finalize", "huge", None, True), ("finalize", "cut", None, True), ("finalize", "unknown", None, False),
        ("newOrder", "html", rf"order with HTTP 201 and a web page \(HTML\), ({NOT_ACME})", False),
        ("newOrder", "huge", "answered with more than 256 KiB", False),
        ("newOrder", "deep", "answered with more than 256 KiB", True),
        ("newOrder", "not-utf-8", f"text that is not JSON, ({NOT_ACME})", False),
        ("newOrder", "missing:authorizations", NOT_ACME, False), ("newOrder", "null:authorizations", NOT_ACME, True),
        ("newOrder", "missing:?", None, False), ("newOrder", "null:?", None, True),
        ("newOrder", "unknown", None, True), ("newOrder", "cut", LOST, True), ("newOrder", "silence", LOST, False),
        ("newOrder", "status:500", LOST, True), ("newOrder", "redirect", NOT_ACME, True),
        ("authz", "truncated", f"authorization of {{name}} with HTTP 200 and text that is not JSON, ({NOT_ACME})",
         False),
        ("authz", "list:challenges", "{name}", False), ("authz", "null:challenges.token", NOT_ACME, True),
        ("authz", "missing:challenges.url", NOT_ACME, True), ("authz", "missing:?", None, True),
        ("authz", "unknown", None, True), ("authz", "array", NOT_ACME, True), ("authz", "status:404", ".", True),
        ("order", "array", f"state of the order with HTTP 200 and other JSON, ({NOT_ACME})", False),
        ("order", "number:status", NOT_ACME, True), ("order", "missing:?", None, True),
        ("order", "unknown", None, True), ("certificate", "truncated", "its PEM is broken or cut off", False),
        ("certificate", "nothing", "gave nothing instead of PEM", True))],
]

# What lasts: nothing ends while the switch is on, and the CA is asked ever more seldom. Then it is well again.
LASTING = [
    ("finalize: processing for ever", {"finalize": "processing"}, "order", False),
    ("finalize: never ready", {"finalize": "not-ready"}, "finalize", True),
    ("order: never ready", {"order": "never-ready"}, "order", True),
    ("validation: never done", {"validation": "stuck", "order_reuse": False}, "order", True),
    ("order: 500 for ever", {"damage": {"order": "status:500"}}, "order", True),
    ("order: cut for ever", {"damage": {"order": "cut"}}, "order", True),
    ("authz: huge for ever", {"damage": {"authz": "huge"}}, "authz", True),
    ("certificate: deep for ever", {"damage": {"certificate": "deep"}}, "certificate", True),
]


class Pair:
    """A difficult CA and an Everseal before it, and two names: one that has a certificate, a new one."""
    numbers = itertools.count()

    def __init__(self, stage, **options):
        self.offset = options.get("offset", 0)  # of its clock, s
        self.upstream = stage.upstream()
        self.ca = stage.difficult(**options)
        self.everseal = stage.everseal(self.ca, sites=f"site * {{ proxy {self.upstream.address} }}").start()

    def begin(self):
        number = next(self.numbers)
        self.old, self.new = f"old{number}.example.com", f"new{number}.example.com"
        self.ca.reset()
        self.everseal.register(self.old)
        self.before = self.everseal.served(self.old).serial_number

    def end(self):
        """The requests of the next test are for its own names."""
        self.ca.reset()
        for name in (self.old, self.new):
            if self.everseal.certificate(name):
                self.everseal.le("disable", name).ok()

    def make_difficult(self, switches, anew=False):
        switches = {n: [self.old, self.new] if v == "both" else v for n, v in switches.items()}
        if anew:
            self.everseal.stop()
        self.ca.forget_requests()
        self.ca.switch(switches)
        if anew:
            self.everseal.start()

    def attempt(self, timeout=90):
        """A new name and a renewal at once: {name: outcome}."""
        wanted = {self.new: ("register", "--name", self.new, "--email", "ops@example.com", "--agree-tos"),
                  self.old: ("renew", self.old)}
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            jobs = {n: pool.submit(self.everseal.le, *words, "--wait", timeout=timeout)
                    for n, words in wanted.items()}
            return {name: job.result() for name, job in jobs.items()}

    def still_serves(self):
        assert self.everseal.served(self.old).serial_number == self.before, "what was served is lost"

    def check_failed(self, name):
        certificate = until("the next try is known", lambda: (
            c := self.everseal.certificate(name)) and c["next_renewal"] and c["last_error"] and c)
        assert certificate["last_error"]["message"], certificate
        when = datetime.datetime.fromisoformat(certificate["next_renewal"].replace("Z", "+00:00"))
        if not self.offset:  # else it goes by the CA's clock, which this test moves on
            assert when > datetime.datetime.now(datetime.timezone.utc), "it is not tried at once again"

    def check(self, name, outcome, says=None):
        """A certificate that is served, or one sentence and no loss."""
        if outcome.status == 0:
            assert says is None, f"{name} got a certificate, expected was: {says}"
            certificate = self.everseal.served(name)
            assert not is_temporary(certificate) and certificate.serial_number != self.before
            return
        assert outcome.status == 1 and outcome.err.strip(), outcome
        assert "Internal Error" not in outcome.err and "\n" not in outcome.err.strip(), outcome.err
        self.check_failed(name)
        if name == self.old:
            self.still_serves()
        else:
            assert is_temporary(self.everseal.served(name))

    def recover(self, *names):
        """The CA is well: at the next try all is."""
        self.ca.reset()
        for name in names:
            self.everseal.le("renew", name, "--wait").ok()
            assert self.everseal.certificate(name)["last_error"] is None


@pytest.fixture(scope="module")
def shared(module_stage):
    return Pair(module_stage)


@pytest.fixture
def pair(shared):
    shared.begin()
    yield shared
    shared.end()


@pytest.mark.parametrize("case", [case.parameter() for case in CASES])
def test_alone(pair, case):
    pair.make_difficult(case.switches, case.anew)
    outcomes = pair.attempt()
    asked = pair.ca.call("/requests")
    for name, outcome in outcomes.items():
        if case.says is None:
            outcome.ok()
        else:
            outcome.failed(case.says.replace("{name}", re.escape(name)))
        pair.check(name, outcome, case.says)
    assert asked["total"] <= 2 * case.most, asked
    if case.says is not None:
        pair.recover(pair.old, pair.new)


@pytest.mark.parametrize("switches, endpoint", [
    pytest.param(switches, endpoint, id=id, marks=[pytest.mark.full] if full else [])
    for id, switches, endpoint, full in LASTING])
def test_lasting(pair, switches, endpoint):
    """The answers that are awaited come ever more seldom: four cost at least 0.2 s."""
    pair.make_difficult(switches)
    begun = time.monotonic()
    pair.everseal.register(pair.new, wait=False)
    pair.everseal.le("renew", pair.old).ok()
    until("the CA was asked several times", lambda: pair.ca.count(endpoint) >= 8, 60)
    assert time.monotonic() - begun > 0.2
    assert pair.ca.count() <= 60
    pair.still_serves()
    assert pair.everseal.certificate(pair.new)["state"] == "working"
    pair.ca.reset()
    if "stuck" in switches.values() or "processing" in switches.values():
        # What was begun so is never done: it is ended by a fault that this CA now has.
        pair.ca.switch(damage={"order": "html"})
        for name in (pair.old, pair.new):
            until("it has failed", lambda n=name: pair.everseal.certificate(n)["last_error"], 40)
        pair.recover(pair.old, pair.new)
    pair.everseal.wait_served(pair.new, seconds=60)
    pair.everseal.wait_served(pair.old, seconds=60, other_than=pair.before)


@pytest.mark.parametrize("outage, days", [
    ("503", [2]), pytest.param("refused", [0.1, 1, 2.9], marks=pytest.mark.full)])
def test_days_of_outage(stage, outage, days):
    """Three days go by for the CA, until it is today: what is served stays, and it is well again at the first
    try after."""
    begun = -4 * 86400
    pair = Pair(stage, offset=begun)
    pair.begin()
    now = pair.ca.call("/time")["now"]
    pair.ca.switch(outage=[now + 3600, now + 3 * 86400, outage])
    for day in days:
        pair.ca.move_time(begun + day * 86400)
        pair.ca.forget_requests()
        for name, outcome in pair.attempt().items():
            pair.check(name, outcome, "outage")
        assert pair.ca.count() <= 20
    pair.ca.move_time(0)
    for name in (pair.old, pair.new):
        pair.everseal.le("renew", name, "--wait").ok()


# ---- in pairs ----

PAIRED = {
    "ari past": {"ari": "past"}, "ari missing": {"ari": "missing"}, "replaced": {"already_replaced": True},
    "limit": {"limit": "names"}, "busy": {"busy": {"order": [2, 1]}}, "busy order": {"busy": {"newOrder": [2, 1]}},
    "async": {"finalize": {"async": 0.3}}, "finalize cut": {"finalize": "cut"},
    "finalize refused": {"finalize": "refused"}, "order invalid": {"order": "unauthorized"},
    "reused": {"authz": "reused"}, "deactivated": {"authz": "deactivated"},
    "vantage": {"vantage": {"points": 3, "failing": 1, "tolerated": 0}}, "conflict": {"conflict": "heard"},
    "nonce": {"nonce": 50}, "caa": {"validation": "caa"}, "slow validation": {"validation": "slow:0.3"},
    "expired": {"certificate": "expired"}, "other key": {"certificate": "other-key"},
    "no chain": {"certificate": "no-chain"}, "wrong order": {"certificate": "wrong-order"},
    "html order": {"damage": {"newOrder": "html"}}, "html challenge": {"damage": {"challenge": "html"}},
    "unknown": {"damage": {"*": "unknown"}}, "optional": {"damage": {"order": "missing:?"}},
    "moved": {"directory_moved": 5}, "terms": {"terms_changed": True}, "gone": {"account": "gone"},
    "unknown types": {"challenges": ["sesame-07", "http-01"]}, "poll": {"poll_after": 1},
}
SMOKE = {("ari past", "replaced"), ("limit", "nonce"), ("async", "poll"), ("conflict", "slow validation"),
         ("finalize cut", "wrong order"), ("reused", "gone")}


def pairs():
    for one, other in itertools.combinations(PAIRED, 2):
        if PAIRED[one].keys() & PAIRED[other].keys():
            continue
        marks = [] if (one, other) in SMOKE else [pytest.mark.full]
        yield pytest.param({**PAIRED[one], **PAIRED[other]}, id=f"{one} + {other}", marks=marks)


@pytest.mark.parametrize("switches", list(pairs()))
def test_in_pairs(pair, switches):
    pair.make_difficult(switches)
    outcomes = pair.attempt()
    asked = pair.ca.call("/requests")
    for name, outcome in outcomes.items():
        pair.check(name, outcome, outcome.err.strip() or None)
        if outcome.status:
            assert len(re.findall(r"[.!?](?: |$)", outcome.err)) >= 2, "what happened, and what to do"
    assert asked["total"] <= 120, asked
    failed = [name for name, outcome in outcomes.items() if outcome.status]
    pair.recover(*failed)
