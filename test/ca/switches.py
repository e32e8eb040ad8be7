"""Everything that can be made difficult. One row per switch: its name, its value at rest, what it takes.

`endpoint` is one of directory newNonce newAccount account newOrder order authz challenge finalize
certificate revokeCert keyChange renewalInfo orders, or "*". `[N, VALUE]` instead of a value, where it
is said, means: N times, then at rest again."""
import copy

ROWS = [
    # transport
    ("tls", "ok", "ok untrusted expired other-name old-version closed garbage stalled"),
    ("outage", None, "refused: nobody listens. reset: connections are broken. 503: the load balancer says "
                     "so. [FROM, TO, one of these]: while the CA's clock is between"),
    ("slow", {}, "{endpoint: seconds}: the answer is held back"),
    ("busy", {}, "{endpoint: Retry-After or null}: 503. A number of seconds, a text as it is, or "
                 "{date: seconds from now}. Or [N, value]"),
    ("damage", {}, "{endpoint: how} (damage.py). Or [N, how]"),
    # nonces (RFC 8555 6.5)
    ("nonce", "ok", "ok; missing: no answer has one; reused: each answer has the same one; refused: every "
                    "nonce; a number: so many of a hundred are refused"),
    # directory
    ("directory-moved", 0, "a number: the directory names other URLs, those of other numbers are gone"),
    ("profiles", {"classic": {"text": "90 days, up to 100 names", "seconds": 90 * 86400, "names": 100},
                  "tlsserver": {"text": "45 days, up to 25 names", "seconds": 45 * 86400, "names": 25},
                  "shortlived": {"text": "160 hours, also IP addresses", "seconds": 160 * 3600,
                                 "names": 25}}, "{name: {text, seconds, names}}; {}: none"),
    ("eab", {}, "{key identifier: HMAC key in base64url}: accounts need such a binding"),
    ("terms-changed", False, "orders are refused (userActionRequired) until the account agrees anew"),
    # accounts
    ("rollover", "ok", "ok; conflict: the new key is another account's; lost: done, and not answered; "
                       "refused: by a problem; silent: done, and nobody answers from then on (outage); deaf: the "
                       "same, but not done"),
    ("account", "ok", "ok; gone: from the next order on the accounts of now are unknown"),
    # orders
    ("already-replaced", False, "true: every `replaces` gets 409 alreadyReplaced. Or a status such as 404"),
    ("limit", None, "newOrders domain names failed paused accounts overall (limits.py): orders, or "
                    "accounts, are refused"),
    ("limit-retry", 3600, "Retry-After of `limit`: seconds, {date: seconds}, or null"),
    ("limits", None, "lets-encrypt: its limits are counted and enforced, in the CA's time"),
    ("order-reuse", True, "a pending or ready order of the same names is given again"),
    ("reject", [], "names that are refused at the order (rejectedIdentifier)"),
    ("order", "ok", "ok; the type of a problem: once all names are proved the order turns invalid, with "
                    "that error; silently-invalid: with none; never-ready: it stays pending"),
    ("poll-after", None, "Retry-After of orders and authorizations that wait: seconds or null"),
    ("finalize", "ok", "ok; {async: seconds}; processing: for ever; not-ready; refused; invalid: the order "
                       "becomes so; cut: done, and not answered"),
    # authorizations and challenges
    ("authz", "fresh", "fresh; reused: valid ones count again; deactivated, expired, revoked: once a "
                       "challenge was answered; unknown-status"),
    ("challenges", ["http-01", "tls-alpn-01", "dns-01"], "offered, where the name allows it; names that "
                                                        "nobody knows are offered as such"),
    ("conflict", None, "heard: 409 on a challenge that is validated all the same; unheard: 409, once per "
                       "challenge, and nothing happens"),
    ("validation", None, "the type of a problem: every validation ends so; slow:SECONDS; stuck"),
    ("vantage", {"points": 3, "failing": 0, "tolerated": 1}, "points that validate, how many see nothing, "
                                                             "how many may"),
    # certificates
    ("life", None, "seconds that certificates live; null: as the profile says"),
    ("certificate", "ok", "ok expired future other-names other-key no-chain wrong-order leaf-last twice html empty "
                          "text-around"),
    ("revocation", [], "crl, ocsp: certificates name where the CA says that they are revoked (revocation.py)"),
    ("revocation-signer", "ok", "ok; other: what it says there is signed by another key"),
    ("alternates", 1, "alternate chains, each to another root"),
    # renewal information (RFC 9773)
    ("ari", "ok", "ok past now future inverted far-future no-dates missing-window null-window missing 404 "
                  "500, or {start, end}: seconds from now"),
    ("mass-revocation", None, "a moment of the CA's clock: all that was issued before has a window in the past"),
    ("ari-retry", 21600, "Retry-After of renewalInfo: seconds, {date: seconds}, text as it is, or null"),
    ("ari-explanation", None, "explanationURL"),
]
NAMES = [name for name, _, _ in ROWS]


class Switches:
    def __init__(self):
        self.values = {}
        self.reset()

    def reset(self):
        self.values.clear()
        self.values.update({name: copy.deepcopy(rest) for name, rest, _ in ROWS})

    def __getitem__(self, name):
        return self.values[name]

    def set(self, changes):
        unknown = sorted(set(changes) - set(NAMES))
        if unknown:
            raise ValueError(f"There is no switch {', '.join(unknown)}. There are: {', '.join(NAMES)}.")
        self.values.update(changes)

    def at(self, name, endpoint):
        """The value that the switch has for this endpoint now; what it is to do N times is counted."""
        values = self.values[name]
        key = endpoint if endpoint in values else "*"
        if key not in values:
            return False, None
        value = values[key]
        if not isinstance(value, list):
            return True, value
        if value[0] <= 0:
            return False, None
        value[0] -= 1
        return True, value[1]
