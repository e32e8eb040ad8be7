"""A small ACME client of the tests: says what it is told to, right or wrong, and answers challenges by a web
server of its own."""
import base64
import contextlib
import hashlib
import hmac
import http.client
import http.server
import json
import ssl
import threading
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from network import until

DROP = object()  # a member that is left out


def b64(data):
    data = json.dumps(data).encode() if isinstance(data, (dict, list)) else data
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def jwk_of(key):
    numbers = key.public_key().public_numbers()
    return {"crv": "P-256", "kty": "EC", "x": b64(numbers.x.to_bytes(32, "big")),
            "y": b64(numbers.y.to_bytes(32, "big"))}


def thumbprint(key):
    text = json.dumps(jwk_of(key), separators=(",", ":"), sort_keys=True)
    return b64(hashlib.sha256(text.encode()).digest())


def sign(key, protected, payload):
    """A flattened JWS; members of `protected` that are DROP are left out."""
    first = b64({m: v for m, v in protected.items() if v is not DROP})
    second = payload if isinstance(payload, str) else b64(payload)
    r, s = utils.decode_dss_signature(key.sign(f"{first}.{second}".encode(), ec.ECDSA(hashes.SHA256())))
    return {"protected": first, "payload": second, "signature": b64(r.to_bytes(32, "big") +
                                                                    s.to_bytes(32, "big"))}


def bind(kid, secret, url, jwk, algorithm="HS256", **header):
    """External account binding (RFC 8555 7.3.4)."""
    first, second = b64({"alg": algorithm, "kid": kid, "url": url, **header}), b64(jwk)
    return {"protected": first, "payload": second,
            "signature": b64(hmac.digest(secret, f"{first}.{second}".encode(), "sha256"))}


def request_for(names, key=None, common=None):
    """A CSR in base64url."""
    subject = [x509.NameAttribute(x509.NameOID.COMMON_NAME, common)] if common else []
    csr = (x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
           .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
           .sign(key or new_key(), hashes.SHA256()))
    return b64(csr.public_bytes(serialization.Encoding.DER))


class Heard:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def type(self):
        return self.json["type"].removeprefix("urn:ietf:params:acme:error:")

    @property
    def location(self):
        return self.headers["Location"]

    def ok(self):
        assert self.status < 300, (self.status, self.body)
        return self


class Client:
    def __init__(self, ca, key=None):
        self.ca, self.key, self.kid = ca, key or new_key(), None
        self.context = ssl.create_default_context(cafile=str(ca.trust))
        self.directory = self.send("GET", ca.directory).ok().json

    def send(self, method, url, body=b"", headers=None):
        parts = urllib.parse.urlsplit(url)
        given = {"User-Agent": "tests", **(headers or {})}
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=30, context=self.context)
        with contextlib.closing(connection):
            connection.request(method, parts.path, body,
                               {k: v for k, v in given.items() if v is not DROP})
            return Heard(connection.getresponse())

    def nonce(self):
        return self.send("HEAD", self.directory["newNonce"]).headers["Replay-Nonce"]

    def protected(self, url, **changes):
        who = {"kid": self.kid} if self.kid else {"jwk": jwk_of(self.key)}
        return {"alg": "ES256", "nonce": self.nonce(), "url": url, **who, **changes}

    def post(self, url, payload="", headers=None, key=None, body=None, **changes):
        """`changes`: members of the protected header; `body`: sent instead; payload "": POST-as-GET."""
        jws = sign(key or self.key, self.protected(url, **changes), payload)
        data = json.dumps(body(jws) if body else jws).encode()
        return self.send("POST", url, data, {"Content-Type": "application/jose+json", **(headers or {})})

    def register(self, **members):
        answer = self.post(self.directory["newAccount"], {"termsOfServiceAgreed": True, **members}).ok()
        self.kid = answer.location
        return answer

    def order(self, *names, **members):
        return self.post(self.directory["newOrder"], {
            "identifiers": [{"type": "dns", "value": n} for n in names], **members})

    def prove(self, order, kind="http-01", responder=None):
        """Answers a challenge of each authorization; gives the order when it is not pending any more."""
        for url in order.json["authorizations"]:
            authz = self.post(url).json
            challenge = next((c for c in authz["challenges"] if c["type"] == kind), None)
            if authz["status"] != "pending":
                continue
            if responder:
                responder.tokens[challenge["token"]] = f"{challenge['token']}.{thumbprint(self.key)}"
            self.post(challenge["url"], {}).ok()
        return self.wait(order.location)

    def wait(self, url, states=("pending", "processing")):
        return until("the order goes on", lambda: (a := self.post(url)).json["status"] not in states and a, 30)

    def certificate(self, *names, responder, key=None):
        order = self.prove(self.order(*names).ok(), responder=responder)
        done = self.post(order.json["finalize"], {"csr": request_for(names, key)}).ok()
        done = self.wait(order.location) if done.json["status"] == "processing" else done
        return self.post(done.json["certificate"]).ok()


class Responder:
    """Answers http-01 from `tokens`."""

    def __init__(self, port):
        tokens = self.tokens = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                text = tokens.get(self.path.rpartition("/")[2])
                self.send_response(200 if text else 404)
                self.end_headers()
                self.wfile.write((text or "").encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
