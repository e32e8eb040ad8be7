"""Certificates: made, collected, revoked, and when to renew them (RFC 8555 7.4.2, 7.6; RFC 9773)."""
from cryptography import x509
from cryptography.hazmat.primitives import serialization

import issuing
import jws
import orders
import revocation
from books import DAY, Certificate, http_date, stamp
from problems import Problem, Reply, malformed, unauthorized

REASONS = (0, 1, 3, 4, 5)  # that a subscriber may give (RFC 5280 5.3.1)
LIFE, SHORT = 90 * DAY, 10 * DAY


# ---- made ----

def make(ca, order):
    how, now = ca.switches["certificate"], ca.books.now()
    profile = ca.switches["profiles"].get(order.profile or "", {})
    life = ca.switches["life"] or profile.get("seconds", LIFE)
    start = now - min(issuing.BACKDATED, life / 10)
    leaf, chains = ca.keys.issue(order.request, order.identifiers, start, start + life, how,
                                 revocation.points(ca))
    der = leaf.public_bytes(serialization.Encoding.DER)
    made = Certificate(ca.books.new_id(), order.account, order.names, leaf.serial_number, start,
                       start + life, der, chains[:1 + ca.switches["alternates"]], issuing.ari_id(leaf),
                       order.profile, now)
    ca.books.certificates[made.id] = ca.books.by_ari[made.ari_id] = order.certificate = made
    for name in made.names:
        ca.by_name.setdefault(name, []).append(made)


# ---- collected ----

def certificate(ca, request):
    number, _, alternate = request.id.partition("/")
    found = ca.books.certificates.get(number)
    if not found or not (alternate or "0").isdigit() or int(alternate or 0) >= len(found.chains):
        raise malformed("there is no such certificate", 404)
    if found.account is not request.account:
        raise unauthorized("that is somebody else's certificate")
    if request.payload is not None:
        raise malformed("a certificate is only read")
    check_accept(request.headers.get("accept", "*/*"))
    links = [("Link", f'<{ca.url(f"/cert/{number}/{i}")}>;rel="alternate"')
             for i in range(len(found.chains)) if i != int(alternate or 0)]
    body = {"html": b"<html>soon</html>", "empty": b""}.get(ca.switches["certificate"],
                                                            found.chains[int(alternate or 0)])
    return Reply(200, body, links, "application/pem-certificate-chain")


def check_accept(accept):
    """RFC 8555 7.4.2: other forms than PEM are not made."""
    kinds = {part.split(";")[0].strip() for part in accept.split(",")}
    if not kinds & {"application/pem-certificate-chain", "application/*", "*/*"}:
        raise malformed(f"{accept} is not made here", 406)


# ---- revoked ----

def revoke(ca, request):
    """RFC 8555 7.6: by the account that has it, one that proved its names, or the certificate's own key."""
    payload = request.object()
    try:
        given = x509.load_der_x509_certificate(jws.decode(payload.get("certificate"), "certificate"))
        found = ca.books.by_ari.get(issuing.ari_id(given))
    except (ValueError, x509.ExtensionNotFound):
        raise malformed("certificate is not one") from None
    if not found or found.der != given.public_bytes(serialization.Encoding.DER):
        raise malformed("that certificate is not of this CA", 404)
    check_right(ca, request, found, given)
    reason = payload.get("reason", 0)
    if reason not in REASONS or isinstance(reason, bool):
        raise Problem(400, "badRevocationReason", f"{reason} is no reason that a subscriber may give")
    if found.revoked is not None:
        raise Problem(400, "alreadyRevoked", "the certificate is revoked already")
    found.revoked = reason
    return Reply(200)


def check_right(ca, request, found, given):
    if request.account is None:
        if not orders.same_key(given.public_key(), jws.public_key(request.jwk)[0]):
            raise unauthorized("the request is not signed by the certificate's key")
        return
    if found.account is request.account:
        return
    now = ca.books.now()
    proved = {a.name for (account, *_), a in ca.books.validated.items()
              if account == request.account.id and a.expires > now and a.status == "valid"}
    if not {n.removeprefix("*.") for n in found.names} <= proved:
        raise unauthorized("the account has proved control of none or not all of the names")


# ---- when to renew (RFC 9773) ----

def window(ca, found):
    """(start, end); near two thirds of the life, a half below ten days."""
    how, now = ca.switches["ari"], ca.books.now()
    life = found.not_after - found.not_before
    middle = found.not_before + life * (1 / 2 if life < SHORT else 2 / 3)
    usual = middle - life / 100, middle + life / 100
    revoked = ca.switches["mass-revocation"]
    if revoked is not None and found.issued < revoked:
        return now - 2 * DAY, now - DAY
    if isinstance(how, dict):
        return now + how["start"], now + how["end"]
    return {"past": (now - 2 * DAY, now - DAY), "now": (now - 60, now + 60),
            "future": (now + 3650 * DAY, now + 3651 * DAY), "inverted": (usual[1], usual[0]),
            "far-future": (now, now + 5000 * 365 * DAY)}.get(how, usual)


def in_window(ca, found):
    """Whether a renewal now is asked for: such orders are exempt from all limits."""
    return window(ca, found)[0] <= ca.books.now()


def renewal_info(ca, request):
    found = ca.books.by_ari.get(read_ari_id(request.id))
    how = ca.switches["ari"]
    if not found or how == "404":
        raise malformed("there is no such certificate", 404)
    if how == "500":
        raise Problem(500, "serverInternal", "renewal information is out of order")
    found.asked += 1
    start, end = window(ca, found)
    shown = {"suggestedWindow": {"start": stamp(start), "end": stamp(end)}}
    if how == "no-dates":
        shown["suggestedWindow"] = {"start": "soon", "end": 4711}
    if how == "null-window":
        shown["suggestedWindow"] = None
    if how == "missing-window":
        del shown["suggestedWindow"]
    if ca.switches["ari-explanation"]:
        shown["explanationURL"] = ca.switches["ari-explanation"]
    return Reply(200, shown, retry_after(ca.switches["ari-retry"], ca.books.now()))


def retry_after(value, now):
    if value is None:
        return []
    if isinstance(value, dict):
        return [("Retry-After", http_date(now + value["date"]))]
    return [("Retry-After", str(value))]


def read_ari_id(text):
    """RFC 9773 4.1: two parts of base64url; the serial is that of DER, its sign bit included."""
    parts = text.split(".") if isinstance(text, str) else []
    if len(parts) != 2 or not all(parts):
        raise malformed("a certificate's identifier has two parts")
    jws.decode(parts[0], "the authority's key identifier")
    serial = jws.decode(parts[1], "the serial")
    if serial[0] >= 0x80 or (len(serial) > 1 and serial[0] == 0 and serial[1] < 0x80):
        raise malformed("the serial is not that of DER")
    return text


def read_replaces(ca, account, payload, identifiers):
    """RFC 9773 5: the certificate that an order replaces, or None."""
    if "replaces" not in payload:
        return None
    found = ca.books.by_ari.get(read_ari_id(payload["replaces"]))
    how = ca.switches["already-replaced"]
    if how and how is not True:
        raise malformed("replaces: not this one", int(how))
    if not found:
        raise malformed("replaces: there is no such certificate", 404)
    if found.account is not account:
        raise unauthorized("replaces: that is somebody else's certificate")
    if not set(found.names) & {name for _, name in identifiers}:
        raise malformed("replaces: the order shares no name with that certificate")
    by = found.replaced_by
    if how or (by and orders.refresh(ca, by).status != "invalid"):
        raise Problem(409, "alreadyReplaced", "the certificate is replaced already by another order")
    return found
