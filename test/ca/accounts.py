"""newAccount, the account, keyChange (RFC 8555 7.3)."""
import re

import jws
from books import Account
from problems import Problem, Reply, malformed, unauthorized


def show(ca, account):
    shown = {"status": account.status, "key": account.jwk, "contact": account.contact,
             "orders": ca.url(f"/orders/{account.id}"), "initialIp": "127.0.0.1"}
    return shown


def url_of(ca, account):
    return ca.url(f"/acct/{account.id}")


def action_required(ca, detail):
    """RFC 8555 7.3.3: the terms have changed."""
    return Problem(403, "userActionRequired", detail, [("Link", f'<{ca.terms()}>;rel="terms-of-service"')],
                   instance=ca.url("/agree"))


def read_contacts(payload):
    contacts = payload.get("contact", [])
    if not isinstance(contacts, list) or not all(isinstance(c, str) for c in contacts):
        raise malformed("contact is not a list of URLs")
    for contact in contacts:
        if not contact.startswith("mailto:"):
            raise Problem(400, "unsupportedContact", f"{contact!r}: only mailto is taken")
        address = contact.removeprefix("mailto:")
        # RFC 8555 7.3: no hfields, no more than one address.
        if "?" in address or "," in address or not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", address):
            raise Problem(400, "invalidContact", f"{contact!r} is no address")
    return contacts


def read_flag(payload, name):
    value = payload.get(name, False)
    if not isinstance(value, bool):
        raise malformed(f"{name} is neither true nor false")
    return value


def new_account(ca, request):
    payload = request.object()
    existing = ca.books.by_key.get(jws.thumbprint(request.jwk))
    only_existing = read_flag(payload, "onlyReturnExisting")
    if existing and not existing.forgotten:
        if existing.status != "valid":
            raise unauthorized(f"the account is {existing.status}", 401)
        return Reply(200, show(ca, existing), [("Location", url_of(ca, existing))])
    if only_existing:
        raise Problem(400, "accountDoesNotExist", "there is no account with that key")
    contacts = read_contacts(payload)
    if not read_flag(payload, "termsOfServiceAgreed"):
        raise action_required(ca, "the terms of service are not agreed to")
    binding = read_binding(ca, request, payload)
    ca.limit_accounts()
    account = Account(ca.books.new_id(), request.jwk, jws.thumbprint(request.jwk), contacts, ca.terms(),
                      binding=binding)
    ca.books.accounts[account.id] = ca.books.by_key[account.thumbprint] = account
    return Reply(201, show(ca, account), [("Location", url_of(ca, account))])


def read_binding(ca, request, payload):
    """RFC 8555 7.3.4."""
    keys = ca.switches["eab"]
    if "externalAccountBinding" in payload:
        return jws.check_binding(payload["externalAccountBinding"], request.url, request.jwk, keys)
    if keys:
        raise Problem(403, "externalAccountRequired", "accounts need an external account binding")
    return None


def account(ca, request):
    if request.id != request.account.id:
        raise unauthorized("that is somebody else's account", 401)
    payload = request.payload
    if payload is None:
        return Reply(200, show(ca, request.account))
    if "status" in payload:
        if payload["status"] != "deactivated":
            raise malformed("an account can only be deactivated")
        request.account.status = "deactivated"
        return Reply(200, show(ca, request.account))
    if "contact" in payload:
        request.account.contact = read_contacts(payload)
    if read_flag(payload, "termsOfServiceAgreed"):
        request.account.agreed = ca.terms()
    return Reply(200, show(ca, request.account))


def orders(ca, request):
    if request.id != request.account.id:
        raise unauthorized("those are somebody else's orders", 401)
    if request.payload is not None:
        raise malformed("the list of orders is only read")
    return Reply(200, {"orders": [ca.url(f"/order/{o}") for o in request.account.orders]})


def key_change(ca, request):
    """RFC 8555 7.3.5: the inner JWS is signed by the new key."""
    inner = jws.parse(request.object(), "the inner JWS")
    if "nonce" in inner.header:
        raise malformed("the inner JWS has a nonce")
    if inner.header.get("url") != request.url:
        raise malformed("the inner JWS has not the url of the outer")
    if "jwk" not in inner.header or "kid" in inner.header:
        raise malformed("the inner JWS is not signed by jwk")
    jwk = inner.header["jwk"]
    jws.check(inner, jwk)
    payload = jws.read_json(inner.payload, "the inner payload")
    if payload.get("account") != url_of(ca, request.account):
        raise malformed("the inner payload has not the account that the outer is signed by")
    if payload.get("oldKey") != request.account.jwk:
        raise malformed("the inner payload has not the account's present key as oldKey")
    return change_key(ca, request.account, jwk)


def change_key(ca, account, jwk):
    how, thumbprint = ca.switches["rollover"], jws.thumbprint(jwk)
    holder = ca.books.by_key.get(thumbprint)
    if holder or how == "conflict":
        raise Problem(409, "conflict", "the new key is in use by another account",
                      [("Location", url_of(ca, holder or account))])
    if how == "refused":
        raise Problem(403, "unauthorized", "keys cannot be changed today")
    if how in ("silent", "deaf"):
        ca.switches.set({"outage": "reset", "rollover": "ok"})
    if how == "deaf":
        return Reply(200, show(ca, account), cut=True)
    del ca.books.by_key[account.thumbprint]
    account.jwk, account.thumbprint = jwk, thumbprint
    ca.books.by_key[thumbprint] = account
    return Reply(200, show(ca, account), cut=how in ("lost", "silent"))
