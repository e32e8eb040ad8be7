"""The CA: takes one request and gives one answer. Strict in what it accepts (RFC 8555 6), difficult where a
switch says so."""
import concurrent.futures
import dataclasses
import secrets
import threading
import traceback

import accounts
import certificates
import damage
import jws
import limits
import orders
import proofs
from books import Books, http_date
from problems import Problem, Reply, malformed, reply_of, unauthorized
from switches import Switches

BODY_MOST = 64 << 10

# Of the directory: member, path.
DIRECTORY = {"newNonce": "new-nonce", "newAccount": "new-account", "newOrder": "new-order",
             "revokeCert": "revoke-cert", "keyChange": "key-change", "renewalInfo": "renewal-info"}
# Path: endpoint, what a POST to it is signed by, handler.
POSTS = {
    "new-account": ("newAccount", "jwk", accounts.new_account),
    "new-order": ("newOrder", "kid", orders.new_order),
    "revoke-cert": ("revokeCert", "either", certificates.revoke),
    "key-change": ("keyChange", "kid", accounts.key_change),
    "acct": ("account", "kid", accounts.account),
    "orders": ("orders", "kid", accounts.orders),
    "order": ("order", "kid", orders.order),
    "finalize": ("finalize", "kid", orders.finalize),
    "authz": ("authz", "kid", proofs.authorization),
    "chall": ("challenge", "kid", proofs.challenge),
    "cert": ("certificate", "kid", certificates.certificate),
}
GETS = {"directory": "directory", "new-nonce": "newNonce", "renewal-info": "renewalInfo"}


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: dict  # names in lower case
    body: bytes = b""
    url: str = ""
    id: str = ""
    payload: dict | None = None  # None: POST-as-GET
    jwk: dict | None = None
    account: object = None

    def object(self):
        if self.payload is None:
            raise malformed("the payload is empty, an object is wanted")
        return self.payload


class CA:
    def __init__(self, keys, prover, persist="difficult.test"):
        self.books, self.switches, self.limits = Books(), Switches(), limits.Limits()
        self.keys, self.prover, self.persist = keys, prover, persist
        self.base = ""  # https://host:port, once it listens
        self.control = ""  # http://host:port, then
        self.lock = threading.RLock()
        self.by_name = {}
        self.pool = concurrent.futures.ThreadPoolExecutor(16, thread_name_prefix="validation")
        self.reused_nonce = self.books.nonces.new()

    # ---- for the handlers ----

    def url(self, path):
        return self.base + path

    def terms(self):
        return self.url("/terms/v2" if self.switches["terms-changed"] else "/terms/v1")

    def validate(self, authorization, challenge):
        self.pool.submit(self.validate_now, authorization, challenge)

    def validate_now(self, authorization, challenge):
        try:
            proofs.validate(self, authorization, challenge)
        except Exception:
            traceback.print_exc()

    def certificates_of(self, account, name):
        return [c for c in self.by_name.get(name, []) if c.account is account]

    def limit_orders(self, names):
        kind = self.switches["limit"]
        if kind and kind != "accounts":
            raise limits.refusal(kind, names, self.books.now(), self.switches["limit-retry"], self.base)

    def limit_accounts(self):
        now, about = self.books.now(), [("accounts", "127.0.0.1")]
        if self.switches["limit"] == "accounts":
            raise limits.refusal("accounts", ["-.-"], now, self.switches["limit-retry"], self.base)
        if self.switches["limits"]:
            self.limits.check(about, ["-.-"], now, self.base)
            self.limits.take(about, now)

    # ---- one request ----

    def respond(self, method, path, headers, body):
        """The answer, and what is counted of it."""
        request = Request(method, path, {k.lower(): v for k, v in headers.items()}, body, self.base + path)
        with self.lock:
            endpoint, reply = self.spoilt(request)
            problem = reply.body if isinstance(reply.body, dict) and reply.status >= 400 else {}
            kind = str(problem.get("type", "")).rpartition(":")[2]
            self.books.requests.add(self.books.now(), endpoint, reply.status, kind)
            there, seconds = self.switches.at("slow", endpoint)
            reply.after = seconds if there else 0
            there, how = self.switches.at("damage", endpoint)
            return (damage.damaged(reply, how) if there else reply), reply.after

    def spoilt(self, request):
        endpoint, handler, auth = self.route(request)
        there, wait = self.switches.at("busy", endpoint)
        if there or self.is_outage("503"):
            headers = certificates.retry_after(wait if there else None, self.books.now())
            return endpoint, Reply(503, b"<html>503 Service Temporarily Unavailable</html>", headers,
                                   "text/html")
        try:
            reply = handler(self, request) if auth is None else self.signed(request, handler, auth)
        except Problem as problem:
            reply = reply_of(problem)
        except Exception:  # a fault of ours: tests that meet it fail (it is in the log)
            traceback.print_exc()
            reply = reply_of(Problem(500, "serverInternal", "the difficult CA itself is at fault"))
        self.add_headers(reply, endpoint, request.method)
        return endpoint, reply

    def is_outage(self, how):
        outage = self.switches["outage"]
        if isinstance(outage, list):
            start, end, outage = outage
            return outage == how and start <= self.books.now() < end
        return outage == how

    def route(self, request):
        """(endpoint, handler, what signs it; None: unsigned)."""
        parts = request.path.strip("/").split("/", 1)
        if parts[0].startswith("v") and parts[0][1:].isdigit() and len(parts) == 2:
            if int(parts[0][1:]) != self.switches["directory-moved"]:
                return "gone", not_there, None
            parts = parts[1].split("/", 1)
        request.id = parts[1] if len(parts) == 2 else ""
        if parts[0] in GETS:
            handler = {"directory": directory, "new-nonce": new_nonce,
                       "renewal-info": certificates.renewal_info}[parts[0]]
            wrong = request.method not in ("GET", "HEAD")
            return GETS[parts[0]], wrong_method if wrong else checked(handler), None
        if parts[0] not in POSTS:
            return "other", not_there, None
        endpoint, auth, handler = POSTS[parts[0]]
        if request.method != "POST":
            return endpoint, wrong_method, None  # RFC 8555 6.3: 405, GET included
        return endpoint, handler, auth

    def add_headers(self, reply, endpoint, method):
        reply.headers.append(("Date", http_date(self.books.now())))
        reply.headers.append(("Cache-Control", "no-store"))  # RFC 8555 7.2, and right for all else
        if endpoint == "directory":
            return
        reply.headers.append(("Link", f'<{self.url("/directory")}>;rel="index"'))  # RFC 8555 7.1
        how = self.switches["nonce"]
        if how == "missing" or (method != "POST" and endpoint != "newNonce"):
            return
        reply.headers.append(("Replay-Nonce", self.reused_nonce if how == "reused"
                              else self.books.nonces.new()))

    # ---- signed requests (RFC 8555 6) ----

    def signed(self, request, handler, auth):
        check_agent(request)
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/jose+json":
            raise malformed("the content type is not application/jose+json", 415)  # RFC 8555 6.2
        if len(request.body) > BODY_MOST:
            raise malformed(f"the request is longer than {BODY_MOST} bytes", 413)
        signed = jws.parse(request.body)
        header = signed.header
        if ("jwk" in header) == ("kid" in header):
            raise malformed("the protected header has not exactly one of jwk and kid")
        if auth in ("jwk", "kid") and auth not in header:
            raise malformed(f"this request is signed by {auth}")
        self.find_key(request, header)
        jws.check(signed, request.jwk)
        self.check_nonce(header)
        if header.get("url") != request.url:
            raise unauthorized("the url of the protected header is not the one asked", 401)  # 6.4
        if request.account and request.account.status != "valid":
            raise unauthorized(f"the account is {request.account.status}", 401)  # RFC 8555 7.3.6
        request.payload = jws.read_json(signed.payload, "the payload") if signed.payload else None
        return handler(self, request)

    def find_key(self, request, header):
        if "jwk" in header:
            request.jwk = header["jwk"]
            return
        prefix = self.url("/acct/")
        kid = header["kid"]
        if not isinstance(kid, str) or not kid.startswith(prefix):
            raise malformed("kid is not an account's URL")
        request.account = self.books.accounts.get(kid.removeprefix(prefix))
        if not request.account:
            raise Problem(400, "accountDoesNotExist", "there is no such account")
        request.jwk = request.account.jwk

    def check_nonce(self, header):
        """RFC 8555 6.5.2."""
        nonce, how = header.get("nonce"), self.switches["nonce"]
        if not isinstance(nonce, str):
            raise malformed("the protected header has no nonce")
        jws.decode(nonce, "the nonce")
        known = self.books.nonces.use(nonce)
        by_chance = isinstance(how, int) and secrets.randbelow(100) < how
        if not known or how == "refused" or by_chance:
            raise Problem(400, "badNonce", "the nonce is unknown, or was used before")


def checked(handler):
    def check(ca, request):
        check_agent(request)
        return handler(ca, request)
    return check


def check_agent(request):
    if not request.headers.get("user-agent"):
        raise malformed("there is no User-Agent (RFC 8555 6.1)")


def wrong_method(_, request):
    raise malformed(f"{request.method} is not for this URL", 405)


def not_there(*_):
    raise malformed("there is nothing here", 404)


def new_nonce(_, request):
    return Reply(200 if request.method == "HEAD" else 204)


def directory(ca, _):
    """RFC 8555 7.1.1."""
    moved = ca.switches["directory-moved"]
    shown = {member: ca.url(f"/v{moved}/{path}") for member, path in DIRECTORY.items()}
    if ca.switches["ari"] == "missing":
        del shown["renewalInfo"]
    shown[secrets.token_urlsafe(8)] = "https://community.example.net/t/adding-random-entries/33417"
    shown["meta"] = {"termsOfService": ca.terms(), "website": ca.url("/"),
                     "caaIdentities": ["difficult.test"]}
    if ca.switches["profiles"]:
        shown["meta"]["profiles"] = {n: p["text"] for n, p in ca.switches["profiles"].items()}
    if ca.switches["eab"]:
        shown["meta"]["externalAccountRequired"] = True
    return Reply(200, shown)
