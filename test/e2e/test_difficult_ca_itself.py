"""The difficult CA is an ACME server: certbot and lego obtain certificates from it, and it refuses what
RFC 8555 and its sisters do not allow. What Everseal is tested against is tested here."""
import hashlib
import json
import os
import pathlib
import socketserver
import subprocess
import threading

import dnslib
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils

from acme_client import (DROP, Client, Responder, b64, bind, jwk_of, new_key, request_for, sign)
from network import names_of

JOSE = {"Content-Type": "application/jose+json"}
SECRET = b"a secret of thirty-two bytes....."


@pytest.fixture(scope="module")
def ca(module_stage):
    return module_stage.difficult()


@pytest.fixture(scope="module")
def responder(module_stage, ca):
    return module_stage.keep(Responder(ca.http))


@pytest.fixture
def client(ca):
    ca.reset()
    client = Client(ca)
    client.register()
    return client


# ---- clients of others ----

def run(words, folder, **more):
    done = subprocess.run([str(w) for w in words], text=True, capture_output=True, timeout=120, cwd=folder,
                          **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def first_certificate(path):
    return x509.load_pem_x509_certificate(pathlib.Path(path).read_bytes())


def test_certbot(stage, tmp_path):
    ca = stage.difficult(profiles={}, finalize={"async": 0.2})
    common = ["--config-dir", tmp_path / "c", "--work-dir", tmp_path / "w", "--logs-dir", tmp_path / "l",
              "--non-interactive"]
    environment = {**os.environ, "REQUESTS_CA_BUNDLE": str(ca.trust)}
    names = ["a.example.com", "b.example.com"]
    run(["certbot", "certonly", "--standalone", "--http-01-port", ca.http, "--http-01-address", "127.0.0.1",
         "--server", ca.directory, "--agree-tos", "-m", "ops@example.com", "-d", ",".join(names),
         "--no-random-sleep-on-renew", *common], tmp_path, env=environment)
    path = tmp_path / "c" / "live" / names[0] / "cert.pem"
    assert names_of(first_certificate(path)) == names
    run(["certbot", "renew", "--force-renewal", "--no-random-sleep-on-renew", *common], tmp_path,
        env=environment)
    assert (len(ca.issued(names[0])), ca.accounts) == (2, 1)
    run(["certbot", "revoke", "--server", ca.directory, "--cert-path", path, "--reason", "superseded",
         "--no-delete-after-revoke", *common], tmp_path, env=environment)
    assert [c["revoked"] for c in ca.issued(names[0])] == [None, 4]


@pytest.mark.parametrize("way", ["--http.port", pytest.param("--tls.port", marks=pytest.mark.full)])
def test_lego(stage, tmp_path, way):
    ca = stage.difficult()
    port, kind = (ca.http, "--http") if way == "--http.port" else (ca.https, "--tls")
    words = ["lego", "--server", ca.directory, "--accept-tos", "--email", "ops@example.com", "--path", tmp_path,
             "--domains", "lego.example.com", kind, way, f"127.0.0.1:{port}"]
    environment = {**os.environ, "LEGO_CA_CERTIFICATES": str(ca.trust)}
    run([*words, "run"], tmp_path, env=environment)
    path = tmp_path / "certificates" / "lego.example.com.crt"
    assert names_of(first_certificate(path)) == ["lego.example.com"]
    run([*words, "renew", "--days", "9999", "--no-random-sleep"], tmp_path, env=environment)
    run([*words, "revoke"], tmp_path, env=environment)
    assert [c["revoked"] is not None for c in ca.issued("lego.example.com")] == [False, True]


class Zone(socketserver.BaseRequestHandler):
    """A name server: TXT of _acme-challenge.NAME, that of alias.example.com behind a CNAME."""

    def handle(self):
        data, sender = self.request
        asked = dnslib.DNSRecord.parse(data)
        answer, name = asked.reply(), str(asked.q.qname).rstrip(".")
        if name == "_acme-challenge.alias.example.com":
            answer.add_answer(dnslib.RR(name, dnslib.QTYPE.CNAME, rdata=dnslib.CNAME("there.example.net")))
            name = "there.example.net" if self.server.follows else ""
        for text in self.server.texts.get(name, []):
            answer.add_answer(dnslib.RR(name, dnslib.QTYPE.TXT, rdata=dnslib.TXT(text)))
        sender.sendto(answer.pack(), self.client_address)


@pytest.fixture
def zone():
    with socketserver.ThreadingUDPServer(("127.0.0.1", 0), Zone) as server:
        server.texts, server.follows = {}, True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("name, where, follows", [
    ("dns.example.com", "_acme-challenge.dns.example.com", True),
    ("*.dns.example.com", "_acme-challenge.dns.example.com", True),
    ("alias.example.com", "there.example.net", True), ("alias.example.com", "there.example.net", False)])
def test_dns_01(stage, zone, name, where, follows):
    ca = stage.difficult(dns=f"127.0.0.1:{zone.server_address[1]}")
    client = Client(ca)
    client.register()
    zone.follows = follows
    proofs = DnsProofs(zone.texts, where)
    assert client.prove(client.order(name).ok(), "dns-01", proofs).json["status"] == "ready"
    proofs.right = False
    wrong = client.prove(client.order(name, "other." + name.removeprefix("*.")).ok(), "dns-01", proofs)
    assert wrong.json["status"] == "invalid"


class DnsProofs:
    """Takes key authorizations as a Responder does; what DNS then says, beside what stood there before."""

    def __init__(self, texts, where):
        self.texts, self.where, self.right, self.tokens = texts, where, True, self

    def __setitem__(self, token, authorization):
        value = b64(hashlib.sha256(authorization.encode()).digest())
        self.texts[self.where] = ["something else", value if self.right else value[::-1]]


# ---- what is refused ----

def other_account(client):
    other = Client(client.ca)
    other.register()
    return other


def ready(client, responder, *names):
    return client.prove(client.order(*names).ok(), responder=responder)


def finalize(csr=None, **members):
    def say(client, responder):
        order = ready(client, responder, "f.example.com")
        made = csr(client) if csr else request_for(["f.example.com"])
        return client.post(order.json["finalize"], {"csr": made, **members})
    return say


def challenge_of(client, name="c.example.com"):
    order = client.order(name).ok()
    return client.post(order.json["authorizations"][0]).json["challenges"][0]["url"]


def new_order(payload):
    return lambda client, responder: client.post(client.directory["newOrder"], payload)


def names_of_order(*names, kind="dns"):
    return new_order({"identifiers": [{"type": kind, "value": n} for n in names]})


def new_account(**members):
    def say(client, responder):
        return Client(client.ca).post(client.directory["newAccount"],
                                      {"termsOfServiceAgreed": True, **members})
    return say


def to_order(url=None, payload="", **more):
    """A request that is right but for what `more` changes."""
    def say(client, responder):
        if "changes" in more:
            return client.post(url or client.kid, payload, **more["changes"](client))
        return client.post(url or client.kid, payload, **more)
    return say


def used_nonce(client):
    nonce = client.nonce()
    client.post(client.kid, nonce=nonce).ok()
    return {"nonce": nonce}


def with_jwk(client, **members):
    return {"kid": DROP, "jwk": {**jwk_of(client.key), **members}}


def to_new_account(client, responder, key=None, **jwk):
    other = Client(client.ca)
    return other.post(other.directory["newAccount"], {"termsOfServiceAgreed": True}, jwk=jwk)


def rsa_jwk(bits):
    numbers = rsa.generate_private_key(65537, bits).public_key().public_numbers()
    return {"kty": "RSA", "e": "AQAB", "n": b64(numbers.n.to_bytes(bits // 8, "big"))}


def padded(jws):
    return {**jws, "payload": jws["payload"] + "="}


def general(jws):
    return {"payload": jws["payload"], "signatures": [{"protected": jws["protected"],
                                                       "signature": jws["signature"]}]}


def other_payload(jws):
    return {**jws, "payload": b64({"status": "deactivated"})}


def der_signature(client, responder):
    def swap(jws):
        text = f"{jws['protected']}.{jws['payload']}".encode()
        return {**jws, "signature": b64(client.key.sign(text, ec.ECDSA(hashes.SHA256())))}
    return client.post(client.kid, body=swap)


def twice_in_header(client, responder):
    def swap(jws):
        header = json.dumps(client.protected(client.kid))
        text = header[:-1] + f', "url": "{client.kid}"}}'
        first = b64(text.encode())
        r, s = utils.decode_dss_signature(client.key.sign(f"{first}.".encode(), ec.ECDSA(hashes.SHA256())))
        return {"protected": first, "payload": "",
                "signature": b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))}
    return client.post(client.kid, body=swap)


def without_url(client, responder):
    return client.send("POST", client.kid, json.dumps(sign(client.key, client.protected(DROP), "")).encode(),
                       JOSE)


def other_url(client, responder):
    header = client.protected(client.directory["newOrder"])
    return client.send("POST", client.kid, json.dumps(sign(client.key, header, "")).encode(), JOSE)


def get_instead(client, responder):
    return client.send("GET", client.kid)


def no_agent(client, responder):
    return client.send("GET", client.ca.directory, headers={"User-Agent": ""})


def somebody_elses_order(client, responder):
    return client.post(other_account(client).order("s.example.com").ok().location)


def after_deactivation(client, responder):
    client.post(client.kid, {"status": "deactivated"}).ok()
    return client.post(client.kid)


def rollover(inner_changes=None, payload_changes=None, inner_key=None, key_in_use=False):
    def say(client, responder):
        url, key = client.directory["keyChange"], new_key()
        if key_in_use:
            key = other_account(client).key
        inner = {"alg": "ES256", "jwk": jwk_of(key), "url": url, **(inner_changes or {})}
        payload = {"account": client.kid, "oldKey": jwk_of(client.key), **(payload_changes or {})}
        return client.post(url, sign(inner_key or key, inner, payload))
    return say


def revoke(reason=0, twice=False, stranger=False):
    def say(client, responder):
        pem = client.certificate("r.example.com", responder=responder).body
        der = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)
        who = other_account(client) if stranger else client
        payload = {"certificate": b64(der), "reason": reason}
        if twice:
            who.post(client.directory["revokeCert"], payload).ok()
        return who.post(client.directory["revokeCert"], payload)
    return say


def revoke_what_is_none(client, responder):
    return client.post(client.directory["revokeCert"], {"certificate": b64(b"no certificate")})


def answered_twice(client, responder):
    order = ready(client, responder, "t.example.com")
    url = client.post(order.json["authorizations"][0]).json["challenges"][0]["url"]
    return client.post(url, {})


def download_as(accept):
    def say(client, responder):
        url = client.prove(client.order("d.example.com").ok(), responder=responder)
        done = client.post(url.json["finalize"], {"csr": request_for(["d.example.com"])}).ok()
        return client.post(done.json["certificate"], headers={"Accept": accept})
    return say


def finalize_pending(client, responder):
    order = client.order("p.example.com").ok()
    return client.post(order.json["finalize"], {"csr": request_for(["p.example.com"])})


def weak_key(client):
    return request_for(["f.example.com"], rsa.generate_private_key(65537, 1024))


def replaces(what, again=False, others=False):
    def say(client, responder):
        client.certificate("x.example.com", responder=responder)
        known = client.ca.issued("x.example.com")[-1]["ari_id"]
        name = "y.example.com" if others else "x.example.com"
        wanted = known if what is None else what
        if again:
            client.order(name, replaces=wanted).ok()
        return client.order(name, replaces=wanted)
    return say


def binding(**changes):
    def say(client, responder):
        client.ca.switch(eab={"kid-1": b64(SECRET)})
        other, url = Client(client.ca), client.directory["newAccount"]
        given = {"kid": "kid-1", "secret": SECRET, "url": url, "jwk": jwk_of(other.key), **changes}
        members = {} if changes.get("none") else {"externalAccountBinding": bind(**given)}
        return other.post(url, {"termsOfServiceAgreed": True, **members})
    return say


def renewal_info(text):
    return lambda client, responder: client.send("GET", f"{client.directory['renewalInfo']}/{text}")


REFUSED = [
    # what, RFC and section, how it is said, status, type
    ("another content type", "8555 6.2", to_order(headers={"Content-Type": "application/json"}), 415,
     "malformed"),
    ("no User-Agent", "8555 6.1", no_agent, 400, "malformed"),
    ("GET instead of POST-as-GET", "8555 6.3", get_instead, 405, "malformed"),
    ("general serialization", "8555 6.2", to_order(body=general), 400, "malformed"),
    ("unprotected header", "8555 6.2", to_order(body=lambda j: {**j, "header": {"a": 1}}), 400, "malformed"),
    ("no signature", "8555 6.2", to_order(body=lambda j: {**j, "signature": ""}), 400, "malformed"),
    ("not a JWS", "8555 6.2", to_order(body=lambda j: [1, 2]), 400, "malformed"),
    ("padded base64url", "8555 6.1", to_order(body=padded), 400, "malformed"),
    ("another payload than was signed", "8555 6.2", to_order(body=other_payload), 400, "malformed"),
    ("a signature in DER", "7518 3.4", der_signature, 400, "malformed"),
    ("alg none", "8555 6.2", to_order(alg="none"), 400, "badSignatureAlgorithm"),
    ("alg of a MAC", "8555 6.2", to_order(alg="HS256"), 400, "badSignatureAlgorithm"),
    ("alg of another key", "8555 6.2", to_order(alg="ES384"), 400, "malformed"),
    ("no alg", "8555 6.2", to_order(alg=DROP), 400, "malformed"),
    ("crit", "7515 4.1.11", to_order(crit=["exp"], exp=1), 400, "malformed"),
    ("unencoded payload", "8555 6.2", to_order(b64=False), 400, "malformed"),
    ("a member twice", "7515 4", twice_in_header, 400, "malformed"),
    ("another key's signature", "8555 6.2", to_order(key=new_key()), 400, "malformed"),
    ("kid and jwk", "8555 6.2", to_order(jwk=jwk_of(new_key())), 400, "malformed"),
    ("neither kid nor jwk", "8555 6.2", to_order(kid=DROP), 400, "malformed"),
    ("jwk where kid is due", "8555 6.2", to_order(changes=with_jwk), 400, "malformed"),
    ("a private jwk", "8555 11.1", lambda c, r: to_new_account(c, r, **jwk_of(c.key), d="AAAA"), 400,
     "badPublicKey"),
    ("a point off the curve", "7518 6.2.1", lambda c, r: to_new_account(c, r, **{**jwk_of(c.key), "y": "A" * 43}),
     400, "badPublicKey"),
    ("an RSA key of 1,024 bits", "8555 6.2", lambda c, r: to_new_account(c, r, **rsa_jwk(1024)), 400,
     "badPublicKey"),
    ("a kid of nobody", "8555 6.2", to_order(changes=lambda c: {"kid": c.kid + "0"}), 400,
     "accountDoesNotExist"),
    ("no url", "8555 6.4", without_url, 401, "unauthorized"),
    ("another url", "8555 6.4", other_url, 401, "unauthorized"),
    ("no nonce", "8555 6.5.2", to_order(nonce=DROP), 400, "malformed"),
    ("a nonce that is no base64url", "8555 6.5.2", to_order(nonce="a+b/"), 400, "malformed"),
    ("a nonce of nobody", "8555 6.5", to_order(nonce=b64(b"0123456789abcdef")), 400, "badNonce"),
    ("a nonce used before", "8555 6.5", to_order(changes=used_nonce), 400, "badNonce"),
    ("an account without agreement", "8555 7.3", new_account(termsOfServiceAgreed=False), 403,
     "userActionRequired"),
    ("a contact by telephone", "8555 7.3", new_account(contact=["tel:+15551234567"]), 400,
     "unsupportedContact"),
    ("two addresses in one contact", "8555 7.3", new_account(contact=["mailto:a@example.com,b@example.com"]),
     400, "invalidContact"),
    ("no account is there", "8555 7.3.1", new_account(onlyReturnExisting=True), 400, "accountDoesNotExist"),
    ("no binding", "8555 7.3.4", binding(none=True), 403, "externalAccountRequired"),
    ("a binding to another key", "8555 7.3.4", binding(jwk=jwk_of(new_key())), 400, "malformed"),
    ("a binding of another secret", "8555 7.3.4", binding(secret=b"wrong"), 403, "unauthorized"),
    ("a binding with a nonce", "8555 7.3.4", binding(nonce="AAAA"), 400, "malformed"),
    ("a binding for another url", "8555 7.3.4", binding(url="https://127.0.0.1/"), 400, "malformed"),
    ("a deactivated account", "8555 7.3.6", after_deactivation, 401, "unauthorized"),
    ("rollover to a key in use", "8555 7.3.5", rollover(key_in_use=True), 409, "conflict"),
    ("rollover without the old key", "8555 7.3.5", rollover(payload_changes={"oldKey": jwk_of(new_key())}), 400,
     "malformed"),
    ("rollover of another account", "8555 7.3.5", rollover(payload_changes={"account": "https://127.0.0.1/"}),
     400, "malformed"),
    ("rollover for another url", "8555 7.3.5", rollover(inner_changes={"url": "https://127.0.0.1/"}), 400,
     "malformed"),
    ("rollover with an inner nonce", "8555 7.3.5", rollover(inner_changes={"nonce": "AAAA"}), 400, "malformed"),
    ("rollover not signed by the new key", "8555 7.3.5", rollover(inner_key=new_key()), 400, "malformed"),
    ("an order of nothing", "8555 7.4", new_order({"identifiers": []}), 400, "malformed"),
    ("an order that is read", "8555 7.4", new_order(""), 400, "malformed"),
    ("a name in capitals", "8555 7.1.3", names_of_order("A.example.com"), 400, "malformed"),
    ("a name with a final stop", "8555 7.1.3", names_of_order("a.example.com."), 400, "malformed"),
    ("a name of Unicode", "8555 7.1.3", names_of_order("bücher.example.com"), 400, "malformed"),
    ("a star within", "8555 7.1.3", names_of_order("a.*.example.com"), 400, "malformed"),
    ("an address as a name", "8738 3", names_of_order("192.0.2.1"), 400, "malformed"),
    ("an address in another form", "8738 3", names_of_order("2001:DB8::1", kind="ip"), 400, "malformed"),
    ("a name as an address", "8738 3", names_of_order("a.example.com", kind="ip"), 400, "malformed"),
    ("an identifier of another type", "8555 7.4", names_of_order("a", kind="email"), 400,
     "unsupportedIdentifier"),
    ("a name twice", "8555 7.4", names_of_order("a.example.com", "a.example.com"), 400, "malformed"),
    ("101 names", "8555 6.6", names_of_order(*[f"n{i}.example.com" for i in range(101)]), 400, "malformed"),
    ("notAfter", "8555 7.4", new_order({"identifiers": [{"type": "dns", "value": "a.example.com"}],
                                        "notAfter": "2030-01-01T00:00:00Z"}), 400, "malformed"),
    ("a profile of nobody", "profiles 4", lambda c, r: c.order("a.example.com", profile="gold"), 400,
     "invalidProfile"),
    ("somebody else's order", "8555 7.4", somebody_elses_order, 403, "unauthorized"),
    ("a challenge answered by more than {}", "8555 7.5.1",
     lambda c, r: c.post(challenge_of(c), {"keyAuthorization": "x"}), 400, "malformed"),
    ("a challenge answered again", "8555 7.5.1", answered_twice, 400, "malformed"),
    ("finalize too early", "8555 7.4", finalize_pending, 403, "orderNotReady"),
    ("finalize with more members", "8555 7.4", finalize(more=1), 400, "malformed"),
    ("a request for another name", "8555 7.4", finalize(lambda c: request_for(["g.example.com"])), 400, "badCSR"),
    ("a request for one name more", "8555 7.4",
     finalize(lambda c: request_for(["f.example.com", "g.example.com"])), 400, "badCSR"),
    ("a common name that is not ordered", "8555 7.4",
     finalize(lambda c: request_for(["f.example.com"], common="g.example.com")), 400, "badCSR"),
    ("a request by the account's key", "8555 11.1", finalize(lambda c: request_for(["f.example.com"], c.key)),
     400, "badCSR"),
    ("a request by a weak key", "8555 7.4", finalize(weak_key), 400, "badCSR"),
    ("a request that is none", "8555 7.4", finalize(lambda c: b64(b"nothing")), 400, "badCSR"),
    ("a certificate in a form not made", "8555 7.4.2", download_as("application/pkix-cert"), 406, "malformed"),
    ("revocation of nothing", "8555 7.6", revoke_what_is_none, 400, "malformed"),
    ("revocation for the CA's reasons", "8555 7.6", revoke(reason=2), 400, "badRevocationReason"),
    ("revocation again", "8555 7.6", revoke(twice=True), 400, "alreadyRevoked"),
    ("revocation by a stranger", "8555 7.6", revoke(stranger=True), 403, "unauthorized"),
    ("replaces of nothing", "9773 5", replaces("AAAA.AQ"), 404, "malformed"),
    ("replaces that is no identifier", "9773 4.1", replaces("nonsense"), 400, "malformed"),
    ("replaces with a serial not of DER", "9773 4.1", replaces("AAAA.gA"), 400, "malformed"),
    ("replaces again", "9773 5", replaces(None, again=True), 409, "alreadyReplaced"),
    ("replaces without a shared name", "9773 5", replaces(None, others=True), 400, "malformed"),
    ("renewal information of nothing", "9773 4.1", renewal_info("AAAA.AQ"), 404, "malformed"),
    ("renewal information of nonsense", "9773 4.1", renewal_info("AAAA"), 400, "malformed"),
]


@pytest.mark.parametrize("say, status, kind", [pytest.param(*row[2:], id=f"{row[0]} (RFC {row[1]})")
                                               for row in REFUSED])
def test_refuses(client, responder, say, status, kind):
    answer = say(client, responder)
    assert (answer.status, answer.type) == (status, kind), answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json["detail"]


def test_refuses_enough():
    assert len(REFUSED) >= 40 and len({row[0] for row in REFUSED}) == len(REFUSED)


# ---- what is accepted, and the switches ----

def test_key_change_then_only_the_new_key_signs(client):
    url, key = client.directory["keyChange"], new_key()
    inner = {"alg": "ES256", "jwk": jwk_of(key), "url": url}
    client.post(url, sign(key, inner, {"account": client.kid, "oldKey": jwk_of(client.key)})).ok()
    assert client.post(client.kid).type == "malformed"
    client.key = key
    assert client.post(client.kid).ok().json["key"] == jwk_of(key)


def test_binding(client):
    client.ca.switch(eab={"kid-1": b64(SECRET)})
    other = Client(client.ca)
    assert other.directory["meta"]["externalAccountRequired"] is True
    given = bind("kid-1", SECRET, other.directory["newAccount"], jwk_of(other.key))
    assert other.register(externalAccountBinding=given).status == 201
    assert "kid-1" in [a["binding"] for a in client.ca.call("/accounts")]


def test_contact_and_lists(client):
    assert client.post(client.kid, {"contact": ["mailto:new@example.com"]}).ok().json["contact"] == [
        "mailto:new@example.com"]
    order = client.order("l.example.com").ok()
    listed = client.post(client.post(client.kid).json["orders"]).ok().json["orders"]
    assert listed == [order.location]
    assert client.order("l.example.com").location == order.location, "a pending order is given again"


def test_the_chain_and_its_alternates(client, responder):
    answer = client.certificate("chain.example.com", responder=responder)
    alternates = [l for l in answer.headers.get_all("Link") if 'rel="alternate"' in l]
    assert len(alternates) == 1 and answer.body.count(b"BEGIN CERTIFICATE") == 2
    other = client.post(alternates[0].split(">")[0][1:]).ok().body
    first, second = (x509.load_pem_x509_certificate(p[p.rindex(b"-----BEGIN"):]) for p in (answer.body, other))
    assert first.issuer != second.issuer and first.subject == second.subject


def test_vantage_points(client, responder):
    client.ca.switch(vantage={"points": 3, "failing": 1, "tolerated": 1})
    assert ready(client, responder, "v1.example.com").json["status"] == "ready"
    client.ca.switch(vantage={"points": 3, "failing": 1, "tolerated": 0})
    order = ready(client, responder, "v2.example.com")
    assert order.json["status"] == "invalid"
    error = client.post(order.json["authorizations"][0]).json["challenges"][0]["error"]
    assert "secondary validation" in error["detail"]


def test_wildcards_and_addresses_get_the_challenges_that_can_prove_them(client):
    def types(order):
        return [c["type"] for c in client.post(order.ok().json["authorizations"][0]).json["challenges"]]
    client.ca.switch(challenges=["http-01", "tls-alpn-01", "dns-01", "sesame-07", "dns-persist-01"])
    assert types(client.order("a.example.com")) == ["http-01", "tls-alpn-01", "dns-01", "sesame-07",
                                                    "dns-persist-01"]
    star = client.order("*.example.com")
    assert types(star) == ["dns-01", "sesame-07", "dns-persist-01"]
    authz = client.post(star.json["authorizations"][0]).json
    assert (authz["identifier"]["value"], authz["wildcard"]) == ("example.com", True)
    address = client.post(client.directory["newOrder"], {"identifiers": [{"type": "ip", "value": "127.0.0.1"}]})
    assert types(address) == ["http-01", "tls-alpn-01", "sesame-07"]


def test_limits_of_lets_encrypt(client, responder):
    """Five a week of one set of names; room for one more after a fifth of the week; renewals in their window
    are exempt."""
    client.ca.switch(limits="lets-encrypt", authz="reused")
    for _ in range(5):
        client.certificate("limit.example.com", responder=responder)
    refused = client.order("limit.example.com")
    assert (refused.status, refused.type) == (429, "rateLimited")
    assert "exact set of identifiers" in refused.json["detail"]
    wait = int(refused.headers["Retry-After"])
    assert 7 * 86400 / 5 - 60 < wait <= 7 * 86400 / 5 + 1
    newest = client.ca.issued("limit.example.com")[-1]["ari_id"]
    assert client.order("limit.example.com", replaces=newest).status == 429
    client.ca.switch(ari="past")
    assert client.order("limit.example.com", replaces=newest).status == 201
    client.ca.move_time(wait)
    try:
        assert client.order("limit.example.com").status == 201
    finally:
        client.ca.move_time(0)


def test_outage_in_the_time_of_the_ca(client):
    now = client.ca.call("/time")["now"]
    client.ca.switch(outage=[now + 3600, now + 3 * 86400, "503"])
    try:
        assert client.post(client.kid).status == 200
        client.ca.move_time(3700)
        assert client.post(client.kid, nonce="AAAA").status == 503
        client.ca.move_time(3 * 86400 + 1)
        assert client.post(client.kid).status == 200
    finally:
        client.ca.move_time(0)


def test_an_unknown_switch_is_refused(ca):
    with pytest.raises(AssertionError, match="There is no switch nonsense"):
        ca.switch(nonsense=1)
