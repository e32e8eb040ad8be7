"""Authorizations and challenges (RFC 8555 7.5)."""
import time

import orders
from books import DAY, stamp
from problems import URN, Problem, Reply, malformed, unauthorized
from validate import Unproved

VALID_LIFE = 30 * DAY
UNKNOWN_MEMBERS = {"keyword": "sesame", "depth": {"a": [1, None]}}


def own(ca, request, found):
    if not found:
        raise malformed("there is no such authorization or challenge", 404)
    if found.account is not request.account:
        raise unauthorized("that is somebody else's")
    return found


# ---- what is shown ----

def show_challenge(ca, challenge):
    shown = {"type": challenge.type, "url": ca.url(f"/chall/{challenge.id}"), "status": challenge.status,
             "token": challenge.token}
    if challenge.type == "dns-persist-01":
        del shown["token"]
        shown["issuer-domain-names"] = [ca.persist]
    if challenge.type not in orders.OFFERED["dns"]:
        del shown["token"]
        shown.update(UNKNOWN_MEMBERS)
    if challenge.validated:
        shown["validated"] = stamp(challenge.validated)
    if challenge.error:
        shown["error"] = challenge.error
    if challenge.records:
        shown["validationRecord"] = challenge.records
    return shown


def show(ca, authorization):
    status = authorization.status
    if status == "pending" and authorization.expires <= ca.books.now():
        status = "expired"
    shown = {"status": status, "expires": stamp(authorization.expires),
             "identifier": {"type": authorization.type, "value": authorization.name},
             "challenges": [show_challenge(ca, c) for c in authorization.challenges
                            if status in ("pending", c.status)]}
    if authorization.wildcard:
        shown["wildcard"] = True
    return shown


def wait(ca, status):
    after = ca.switches["poll-after"]
    return [("Retry-After", str(after))] if after is not None and status in ("pending", "processing") else []


# ---- what is asked ----

def authorization(ca, request):
    found = own(ca, request, ca.books.authorizations.get(request.id))
    if request.payload is not None:
        if request.payload.get("status") != "deactivated":
            raise malformed("an authorization can only be deactivated")
        found.status = "deactivated"
    return Reply(200, show(ca, found), wait(ca, found.status))


def challenge(ca, request):
    """RFC 8555 7.5.1: an empty object says that the proof is in place; read by POST-as-GET."""
    found, mine = ca.books.challenges.get(request.id, (None, None))
    own(ca, request, found)
    headers = [("Link", f'<{ca.url(f"/authz/{found.id}")}>;rel="up"')]
    if request.payload is None:
        return Reply(200, show_challenge(ca, mine), headers + wait(ca, mine.status))
    if request.payload != {}:
        raise malformed("the answer to a challenge is an empty object")
    if mine.type not in orders.OFFERED["dns"]:
        raise malformed("a challenge of a type that cannot be answered")
    if found.status != "pending" or mine.status != "pending":
        raise malformed(f"the challenge is {mine.status}, its authorization {found.status}")
    if found.expires <= ca.books.now():
        raise malformed("the authorization has expired", 404)
    begin(ca, found, mine)
    return Reply(200, show_challenge(ca, mine), headers + wait(ca, mine.status))


def begin(ca, found, mine):
    conflict = ca.switches["conflict"]
    refused = conflict == "heard" or (conflict == "unheard" and mine.conflicts == 0)
    if conflict != "unheard" or not refused:
        mine.status = "processing"
        ca.validate(found, mine)
    if refused:
        mine.conflicts += 1
        raise Problem(409, "conflict", "the challenge is being worked on")


# ---- validation: in a thread of its own, the books are locked only at its end ----

def validate(ca, found, mine):
    how = ca.switches["validation"]
    if how == "stuck":
        return
    if how and how.startswith("slow:"):
        time.sleep(float(how.removeprefix("slow:")))
        how = None
    error, records = see(ca, found, mine, how)
    with ca.lock:
        settle(ca, found, mine, error, records)


def see(ca, found, mine, how):
    """(error or None, what was asked)."""
    points = ca.switches["vantage"]
    try:
        if how:
            raise Unproved(how, f"the validation of {found.name} was made to fail")
        records = ca.prover.prove(found, mine, ca.url(f"/acct/{found.account.id}"))
        for _ in range(points["points"] - 1 - points["failing"]):
            ca.prover.prove(found, mine, ca.url(f"/acct/{found.account.id}"))
        if points["failing"] > points["tolerated"]:
            raise Unproved("unauthorized", "During secondary validation: 127.0.0.1: Invalid response from "
                                           f"http://{found.name}/.well-known/acme-challenge/"
                                           f"{mine.token}: 404")
        return None, records
    except Unproved as why:
        return {"type": URN + why.kind, "detail": why.detail,
                "status": 403 if why.kind == "unauthorized" else 400}, []


def settle(ca, found, mine, error, records):
    how, now = ca.switches["authz"], ca.books.now()
    if found.status != "pending":
        return
    if not error and how in ("deactivated", "expired", "revoked", "unknown-status"):
        mine.status, found.status = "valid", "confused" if how == "unknown-status" else how
        return
    mine.status = found.status = "invalid" if error else "valid"
    mine.error, mine.records = error, records
    if mine.type == "http-01" and not records:
        mine.records = [{"url": f"http://{found.name}/.well-known/acme-challenge/{mine.token}",
                         "hostname": found.name, "addressUsed": "127.0.0.1"}]
    if error:
        ca.limits.failed(found.account, found.name, now)
        return
    mine.validated, found.expires = now, now + VALID_LIFE
    ca.books.validated[found.account.id, found.type, found.name, found.wildcard] = found
