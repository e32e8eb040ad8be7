"""A certificate with an ECDSA key and one with an RSA key for the same name: which of them who gets."""
import json
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from api import Api
from browser import first_administrator, judge, new_window
from network import is_temporary, request_bytes, until
from test_dns_challenge import primary, update
from test_import import Authority

NAME = "shop.example.com"
ECDSA, RSA = "ECDSA+SHA256", "RSA-PSS+SHA256:RSA+SHA256"
BOTH = f"{RSA}:{ECDSA}"
TLS12, TLS13 = "-tls1_2", "-tls1_3"


def client(port, name, schemes, *words, send=b""):
    """What openssl s_client says of a handshake that offers these signatures alone."""
    words = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name, "-sigalgs", schemes,
             *(["-ign_eof"] if send else []), *map(str, words)]
    outcome = subprocess.run(words, input=send, capture_output=True, timeout=30)
    return outcome.stdout.decode(errors="replace")


def shown(port, name, schemes, *words):
    """The certificate, or None: there was no handshake."""
    said = client(port, name, schemes, *words)
    begin = said.find("-----BEGIN CERTIFICATE-----")
    return x509.load_pem_x509_certificate(said[begin:].encode()) if begin >= 0 else None


def kind(certificate):
    if certificate is None:
        return None
    return "ecdsa" if isinstance(certificate.public_key(), ec.EllipticCurvePublicKey) else "rsa"


def kinds(port, name, *words):
    """Who can do with ECDSA alone, with RSA alone, with both though it prefers RSA."""
    return [kind(shown(port, name, schemes, *words)) for schemes in (ECDSA, RSA, BOTH)]


def serials(everseal, name=NAME):
    return [shown(everseal.https, name, schemes).serial_number for schemes in (ECDSA, RSA)]


def request(everseal):
    return request_bytes(NAME, "/", headers=["Connection: close"], port=everseal.https)


def of_kind(everseal, key, name=NAME):
    """Its object in the status."""
    found = [c for c in everseal.status()["certificates"] if name in c["names"] and c["wanted_key_type"] == key]
    return found[0] if found else None


def settled(everseal, name=NAME):
    def look():
        both = [of_kind(everseal, key, name) for key in ("p256", "rsa2048")]
        return all(c and c["state"] == "ok" and c["served"] == "stored" for c in both) and both
    return until(lambda: f"both are served: {json.dumps(everseal.status()['certificates'], indent=1)}", look, 60)


def imported(everseal, folder, *names, key):
    """Serves what another CA has issued with that key for the first of the names."""
    pem = folder / "other.pem"
    pem.write_bytes(b"".join(Authority("Other").issue(*names, key=key)))
    return everseal.cli("import", names[0], pem)


@pytest.fixture
def everseal(stage, pebble, upstream):
    """A name that the file gives both kinds, once both are there."""
    it = stage.everseal(pebble, sites=f"site {NAME} {{ proxy {upstream.address}; key-type p256 rsa2048 }}")
    it.start()
    settled(it)
    return it


@pytest.mark.asan
def test_each_client_gets_what_it_can_verify(everseal):
    assert kinds(everseal.https, NAME, TLS13) == ["ecdsa", "rsa", "ecdsa"]
    assert kinds(everseal.https, NAME, TLS12) == ["ecdsa", "rsa", "ecdsa"]
    old = client(everseal.https, NAME, BOTH, TLS12, "-cipher", "ECDHE-RSA-AES128-GCM-SHA256")
    assert "Cipher is ECDHE-RSA-AES128-GCM-SHA256" in old
    for schemes in (ECDSA, RSA):
        said = client(everseal.https, NAME, schemes, "-alpn", "h2,http/1.1")
        assert "ALPN protocol: h2" in said and said.count("BEGIN CERTIFICATE") == 1
    ecdsa, rsa = of_kind(everseal, "p256"), of_kind(everseal, "rsa2048")
    assert (ecdsa["key_type"], rsa["key_type"]) == ("P-256", "RSA 2048")
    assert [f"{n:x}" for n in serials(everseal)] == [c["serial"].lstrip("0") for c in (ecdsa, rsa)]
    # Each comes with its chain, up to a root of the CA.
    for schemes in (ECDSA, RSA):
        said = client(everseal.https, NAME, schemes, "-showcerts")
        assert said.count("BEGIN CERTIFICATE") >= 2


@pytest.mark.asan
def test_tickets(everseal, tmp_path):
    for number, schemes in enumerate((ECDSA, RSA)):
        for version in (TLS12, TLS13):
            session = tmp_path / f"{number}{version}"
            assert "New, TLS" in client(everseal.https, NAME, schemes, version, "-sess_out", session, send=request(everseal))
            again = client(everseal.https, NAME, schemes, version, "-sess_in", session, send=request(everseal))
            assert "Reused, TLS" in again and "HTTP/1.1 200" in again


def test_each_is_renewed_without_the_other(everseal):
    for number, key in enumerate(("rsa2048", "p256")):
        before, own = serials(everseal), 1 - number
        outcome = everseal.le("renew", of_kind(everseal, key)["id"], "--wait")
        assert "Seen over HTTPS on every own listener" in outcome.ok().out
        after = serials(everseal)
        assert after[own] != before[own] and after[1 - own] == before[1 - own]
        settled(everseal)
    everseal.le("renew", NAME).failed("Several certificates are for shop.example.com: say which by its id", "(p256)")


def test_both_are_back_after_a_restart(everseal):
    before = serials(everseal)
    everseal.restart()
    assert serials(everseal) == before
    settled(everseal)
    assert len(everseal.status()["certificates"]) == 2
    everseal.kill("serve")
    until("both are served again", lambda: [kind(shown(everseal.https, NAME, s)) for s in (ECDSA, RSA)] ==
          ["ecdsa", "rsa"], 20)


def test_the_file_takes_one_away(everseal, upstream):
    everseal.write(f"site {NAME} {{ proxy {upstream.address}; key-type p256 }}")
    everseal.reload().ok()
    assert kinds(everseal.https, NAME) == ["ecdsa", None, "ecdsa"]
    assert of_kind(everseal, "rsa2048")["state"] == "retired"
    everseal.write(f"site {NAME} {{ proxy {upstream.address}; key-type rsa2048 }}")
    everseal.reload().ok()
    until("the RSA one alone", lambda: kinds(everseal.https, NAME) == [None, "rsa", "rsa"])
    everseal.write(f"site {NAME} {{ proxy {upstream.address}; key-type p256 p384 }}")
    everseal.reload().failed("p256 and p384 are both ECDSA")


def test_export_chooses(everseal, tmp_path):
    def exported(file, *words):
        outcome = everseal.cli("export", NAME, "--to", tmp_path / file, *words).ok()
        return outcome.out, kind(x509.load_pem_x509_certificate((tmp_path / file).read_bytes()))
    said, key = exported("first.pem")
    assert key == "ecdsa" and "Its key is P-256. Another certificate stands beside it: --key-type rsa2048" in said
    said, key = exported("second.pem", "--key-type", "rsa2048")
    assert key == "rsa" and "beside" not in said
    everseal.cli("export", NAME, "--to", tmp_path / "third.pem", "--key-type", "p384").failed(
        "There is no certificate for shop.example.com with a key of the type p384.")
    assert f"beside it: {of_kind(everseal, 'rsa2048')['id']}, key type: rsa2048" in everseal.le("status", NAME).ok().out
    told = Api(everseal.state).get(f"/api/sites/{NAME}").ok()
    assert (told["certificate"]["key_type"], told["beside"]["key_type"]) == ("P-256", "RSA 2048")


def test_what_is_imported_stands_beside(stage, pebble, upstream, tmp_path):
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}").start()
    everseal.register(NAME, "www.example.com")
    key = rsa.generate_private_key(65537, 2048)
    imported(everseal, tmp_path, NAME, "www.example.com", key=key).ok()
    assert kinds(everseal.https, NAME) == ["ecdsa", "rsa", "ecdsa"]
    assert kinds(everseal.https, "www.example.com") == ["ecdsa", None, "ecdsa"]
    before = serials(everseal)
    everseal.le("renew", NAME, "--wait").ok()
    assert serials(everseal)[1] == before[1] and serials(everseal)[0] != before[0]
    everseal.restart()
    assert kinds(everseal.https, NAME) == ["ecdsa", "rsa", "ecdsa"]
    imported(everseal, tmp_path, NAME, key=None).failed("Everseal renews the certificate for shop.example.com itself.")
    # A wildcard that is brought, and beside it nothing.
    imported(everseal, tmp_path, "*.brought.example.com", key=key).ok()
    assert kinds(everseal.https, "x.brought.example.com") == [None, "rsa", "rsa"]


def test_wildcards(stage):
    """Proved by DNS; both for every name below."""
    bind = primary(stage, ["127.0.0.1"])
    everseal = stage.everseal(stage.pebble(dnsserver=bind.at), head=f"resolver {bind.at}\n{update(bind)}",
                              sites="site *.example.com { respond 200 ok; key-type p256 rsa2048 }").start()
    settled(everseal, "*.example.com")
    for name in ("a.example.com", "b.example.com"):
        assert kinds(everseal.https, name) == ["ecdsa", "rsa", "ecdsa"]


def test_until_they_are_issued(stage, pebble, upstream, tmp_path):
    """The temporary one, then the first that is there, for a site that asks clients for certificates, too."""
    ca = Authority("Clients")
    (tmp_path / "clients.pem").write_bytes(ca.pem)
    everseal = stage.everseal(pebble, sites=f"site {NAME} {{ proxy {upstream.address}; "
                                            f"client-ca {tmp_path / 'clients.pem'} }}", agree=False)
    everseal.start()
    temporary = shown(everseal.https, NAME, BOTH)
    assert is_temporary(temporary) and shown(everseal.https, NAME, RSA) is None
    everseal.register(NAME, more=["--key-type", "rsa2048"])
    assert kinds(everseal.https, NAME) == [None, "rsa", "rsa"]
    everseal.register(NAME, more=["--key-type", "p256"])
    assert kinds(everseal.https, NAME) == ["ecdsa", "rsa", "ecdsa"]
    settled(everseal)
    (tmp_path / "ana.pem").write_bytes(b"".join(ca.issue("ana")))
    for schemes in (ECDSA, RSA):
        assert "HTTP/1.1 200" in client(everseal.https, NAME, schemes, "-cert", tmp_path / "ana.pem",
                                        "-client_sigalgs", BOTH, send=request(everseal))


def test_both_by_one_command(stage, pebble, upstream):
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}").start()
    everseal.register(NAME, "www.example.com", more=["--key-type", "p256,rsa2048"])
    settled(everseal)
    for name in (NAME, "www.example.com"):
        assert kinds(everseal.https, name) == ["ecdsa", "rsa", "ecdsa"]
    ids = [of_kind(everseal, key)["id"] for key in ("p256", "rsa2048")]
    everseal.le("disable", ids[1]).ok()
    assert of_kind(everseal, "rsa2048")["state"] == "disabled"
    assert kinds(everseal.https, NAME) == ["ecdsa", "rsa", "ecdsa"]
    before = serials(everseal)
    everseal.le("revoke", ids[0], "--reason", "superseded", "--wait").ok()
    until("the revoked one is replaced", lambda: serials(everseal)[0] != before[0], 30)
    assert serials(everseal)[1] == before[1]


@pytest.mark.timed
def test_the_page_shows_both(stage):
    ca, upstream = stage.difficult(), stage.upstream()
    everseal = stage.everseal(ca, sites=f"site * {{ proxy {upstream.address} }}").start()
    everseal.register(NAME, more=["--key-type", "p256,rsa2048"])
    settled(everseal)
    browser = first_administrator(new_window(stage, everseal), everseal)
    browser.visit(f"#/sites/{NAME}", f"{NAME}$").sees("Certificate for clients without ECDSA", seconds=30)
    browser.sees("RSA 2048")
    browser.sees("P-256")
    judge(browser, "two-keys")
    before = serials(everseal)
    browser.press("^Renew this one$")
    until("the RSA one is renewed", lambda: serials(everseal)[1] != before[1], 60)
    assert serials(everseal)[0] == before[0]
