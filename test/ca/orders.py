"""newOrder, the order, finalize (RFC 8555 7.4; RFC 8738; RFC 9773 5; draft-ietf-acme-profiles)."""
import ipaddress
import re
import secrets

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import accounts
import certificates
import jws
from books import DAY, Authorization, Challenge, Order, stamp
from problems import Problem, Reply, malformed, unauthorized

LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
PENDING_LIFE, NAMES_MOST = 7 * DAY, 100
OFFERED = {"dns": ("http-01", "tls-alpn-01", "dns-01", "dns-persist-01"),
           "wildcard": ("dns-01", "dns-persist-01"), "ip": ("http-01", "tls-alpn-01")}


# ---- identifiers ----

def read_identifier(given):
    if not isinstance(given, dict) or set(given) != {"type", "value"}:
        raise malformed("an identifier is not an object of type and value")
    kind, name = given["type"], given["value"]
    if kind not in ("dns", "ip"):
        raise Problem(400, "unsupportedIdentifier", f"identifiers of type {kind!r} are not taken")
    if not isinstance(name, str):
        raise malformed("an identifier's value is not a text")
    return kind, (read_address if kind == "ip" else read_name)(name)


def read_address(text):
    """RFC 8738 3: in the one form of RFC 5952."""
    try:
        if str(ipaddress.ip_address(text)) != text:
            raise malformed(f"{text} is not the canonical form of that address")
    except ValueError:
        raise malformed(f"{text!r} is not an IP address") from None
    return text


def read_name(text):
    labels = text.removeprefix("*.").split(".")
    if not all(LABEL.fullmatch(label) for label in labels) or len(text) > 253:
        raise malformed(f"{text!r} is not a DNS name of lower-case A-labels")
    if labels[-1].isdigit():
        raise malformed(f"{text!r} is an IP address given as a DNS name")
    if len(labels) < 2:
        raise Problem(400, "rejectedIdentifier", f"{text!r} needs at least one dot")
    return text


def read_identifiers(ca, payload):
    given = payload.get("identifiers")
    if not isinstance(given, list) or not given:
        raise malformed("an order has a list of at least one identifier")
    found = sorted(read_identifier(i) for i in given)
    if len(set(found)) != len(found):
        raise malformed("an identifier is there twice")
    if len(found) > NAMES_MOST:
        raise malformed(f"{len(found)} identifiers are more than {NAMES_MOST}")
    rejected = [name for _, name in found if name in ca.switches["reject"]]
    if rejected:
        raise Problem(400, "rejectedIdentifier", f"The ACME server refuses to issue a certificate for "
                                                 f"{rejected[0]!r} because it is forbidden by policy",
                      subproblems=[{"type": "urn:ietf:params:acme:error:rejectedIdentifier",
                                    "detail": "forbidden by policy",
                                    "identifier": {"type": "dns", "value": n}} for n in rejected])
    return found


def read_profile(ca, payload, identifiers):
    profile, known = payload.get("profile"), ca.switches["profiles"]
    if profile is None:
        return None
    if profile not in known:
        raise Problem(400, "invalidProfile", f"{profile!r} is not a profile of this CA")
    if len(identifiers) > known[profile].get("names", NAMES_MOST):
        raise malformed(f"profile {profile} takes at most {known[profile]['names']} identifiers")
    return profile


# ---- newOrder ----

def new_order(ca, request):
    payload, account = request.object(), request.account
    for refused in ("notBefore", "notAfter"):
        if refused in payload:
            raise malformed(f"{refused} is not supported")
    identifiers = read_identifiers(ca, payload)
    profile = read_profile(ca, payload, identifiers)
    check_switches(ca, account, identifiers)
    replaced = certificates.read_replaces(ca, account, payload, identifiers)
    open_key = (account.id, tuple(identifiers), profile)
    order = ca.books.open_orders.get(open_key) if ca.switches["order-reuse"] else None
    if order and refresh(ca, order).status in ("pending", "ready") and not replaced:
        return show_reply(ca, order, 201)
    order = make(ca, account, identifiers, profile, replaced)
    if ca.switches["order-reuse"]:
        ca.books.open_orders[open_key] = order
    return show_reply(ca, order, 201)


def check_switches(ca, account, identifiers):
    if ca.switches["account"] == "gone":
        for known in ca.books.accounts.values():
            known.forgotten = True
        ca.switches.set({"account": "ok"})
    if account.forgotten:
        raise Problem(400, "accountDoesNotExist", "there is no such account")
    if ca.switches["terms-changed"] and account.agreed != ca.terms():
        raise accounts.action_required(ca, "the terms of service have changed: agree to them anew")
    ca.limit_orders([name for _, name in identifiers])


def make(ca, account, identifiers, profile, replaced):
    books, now = ca.books, ca.books.now()
    names = [name for _, name in identifiers]
    exempt = bool(replaced) and certificates.in_window(ca, replaced)
    renewal = any(c.names == names for c in ca.certificates_of(account, names[0]))
    if ca.switches["limits"] and not exempt:
        ca.limits.check_order(account, names, renewal, now, ca.base)
    order = Order(books.new_id(), account, identifiers, profile, replaced and replaced.ari_id,
                  now + PENDING_LIFE, [], now, exempt=exempt)
    order.authorizations = [authorization_for(ca, account, kind, name) for kind, name in identifiers]
    if replaced:
        replaced.replaced_by = order
    books.orders[order.id] = order
    account.orders.append(order.id)
    return order


def authorization_for(ca, account, kind, name):
    """A new one, or a valid one that is there."""
    books, wildcard = ca.books, name.startswith("*.")
    bare = name.removeprefix("*.")
    known = books.validated.get((account.id, kind, bare, wildcard))
    if ca.switches["authz"] == "reused" and known and known.status == "valid" and \
            known.expires > books.now():
        return known
    offered = [t for t in ca.switches["challenges"]
               if t in OFFERED["wildcard" if wildcard else kind] or t not in OFFERED["dns"]]
    token = jws.encode(secrets.token_bytes(32))
    made = [Challenge(books.new_id(), t, token) for t in offered]
    authorization = Authorization(books.new_id(), account, kind, bare, wildcard,
                                  books.now() + PENDING_LIFE, made)
    books.authorizations[authorization.id] = authorization
    books.challenges.update({c.id: (authorization, c) for c in made})
    return authorization


# ---- the order's state (RFC 8555 7.1.6) ----

def refresh(ca, order):
    """Follows what became of its authorizations, and of time."""
    now = ca.books.now()
    states = {a.status if a.expires > now or a.status != "pending" else "expired"
              for a in order.authorizations}
    if order.status in ("pending", "ready") and order.expires <= now:
        fail(order, Problem(400, "malformed", "the order has expired"))
    elif order.status == "pending" and states - {"pending", "valid"}:
        order.status = "invalid"  # the authorizations tell why
    elif order.status == "pending" and states == {"valid"}:
        become_ready(ca, order)
    elif order.status == "processing" and order.ready_at is not None and now >= order.ready_at:
        issue(ca, order)
    return order


def fail(order, problem):
    order.status = "invalid"
    order.error = problem.document() if problem else None


def become_ready(ca, order):
    how = ca.switches["order"]
    if how == "ok":
        order.status = "ready"
    elif how == "silently-invalid":
        fail(order, None)
    elif how != "never-ready":
        fail(order, Problem(403, how, "the order was given up after all names were proved"))


def show(ca, order):
    shown = {"status": order.status, "expires": stamp(order.expires),
             "identifiers": [{"type": t, "value": n} for t, n in order.identifiers],
             "authorizations": [ca.url(f"/authz/{a.id}") for a in order.authorizations],
             "finalize": ca.url(f"/finalize/{order.id}")}
    for member in ("error", "profile", "replaces"):
        if getattr(order, member):
            shown[member] = getattr(order, member)
    if order.certificate:
        shown["certificate"] = ca.url(f"/cert/{order.certificate.id}")
    return shown


def show_reply(ca, order, status=200):
    headers = [("Location", ca.url(f"/order/{order.id}"))]
    wait = ca.switches["poll-after"]
    if wait is not None and order.status in ("pending", "processing"):
        headers.append(("Retry-After", str(wait)))
    return Reply(status, show(ca, order), headers)


def own(ca, request):
    order = ca.books.orders.get(request.id)
    if not order:
        raise malformed("there is no such order", 404)
    if order.account is not request.account:
        raise unauthorized("that is somebody else's order")
    return refresh(ca, order)


def order(ca, request):
    found = own(ca, request)
    if request.payload is not None:
        raise malformed("an order is only read: the payload is not empty")
    return show_reply(ca, found)


# ---- finalize ----

def read_request(order, payload):
    """The CSR is of exactly the order's names, and of a key that may be (RFC 8555 7.4)."""
    if set(payload) != {"csr"}:
        raise malformed("finalize has one member, csr")
    try:
        request = x509.load_der_x509_csr(jws.decode(payload["csr"], "csr"))
        alternatives = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound) as why:
        raise Problem(400, "badCSR", f"the certificate request cannot be read: {why}") from None
    if not request.is_signature_valid:
        raise Problem(400, "badCSR", "the certificate request's signature does not fit")
    names = [("dns", n.value) if isinstance(n, x509.DNSName) else
             ("ip", str(n.value)) if isinstance(n, x509.IPAddress) else ("other", str(n))
             for n in alternatives]
    common = [("dns", a.value) for a in request.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    if sorted(names) != order.identifiers or not set(common) <= set(order.identifiers):
        raise Problem(400, "badCSR", "the certificate request is not for the names of the order")
    check_key(order, request.public_key())
    return request


def check_key(order, key):
    fits = (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in ("secp256r1", "secp384r1")) or \
           (isinstance(key, rsa.RSAPublicKey) and key.key_size in (2048, 3072, 4096))
    if not fits:
        raise Problem(400, "badCSR", "keys of that type or length are not taken")
    if same_key(key, jws.public_key(order.account.jwk)[0]):
        raise Problem(400, "badCSR", "the certificate's key is the account's (RFC 8555 11.1)")


def same_key(one, other):
    def der(key):
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return der(one) == der(other)


def finalize(ca, request):
    found = own(ca, request)
    how = ca.switches["finalize"]
    if found.status != "ready" or how == "not-ready":
        raise Problem(403, "orderNotReady", f"the order is {found.status}, not ready")
    csr = read_request(found, request.object())
    if how == "refused":
        raise Problem(403, "unauthorized", "the certificate request is refused")
    if how == "invalid":
        fail(found, Problem(500, "serverInternal", "the certificate could not be made"))
        return show_reply(ca, found)
    found.request = csr
    if how in ("ok", "cut"):
        return hand_over(ca, found, how)
    found.status = "processing"
    found.ready_at = None if how == "processing" else ca.books.now() + how["async"]
    return show_reply(ca, found)


def hand_over(ca, found, how):
    issue(ca, found)
    reply = show_reply(ca, found)
    reply.cut = how == "cut"
    return reply


def issue(ca, found):
    books, now = ca.books, ca.books.now()
    renewal = any(c.names == found.names for c in ca.certificates_of(found.account, found.names[0]))
    certificates.make(ca, found)
    found.status = "valid"
    if ca.switches["limits"] and not found.exempt:
        ca.limits.issued(found.account, found.names, renewal, now)
    books.open_orders.pop((found.account.id, tuple(found.identifiers), found.profile), None)


