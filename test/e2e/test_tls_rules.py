"""TLS policies and client certificates by site: nobody gets past them by another server name, another Host,
a ticket, or a connection that was made for another site."""
import contextlib
import re
import socket
import ssl
import subprocess

import pytest

from network import ask, read_answer, request_bytes
from test_import import Authority

SITES = """
site * {{ proxy {app} }}
site a.example {{ proxy {app} }}
site mtls.example {{ proxy {app}; client-ca {ca} }}
site other.example {{ proxy {app}; client-ca {other} }}
site second.example {{ proxy {app}; client-ca {ca} }}
site asked.example {{ proxy {app}; client-ca {ca}; forward-auth http://{app}/ask }}
site modern.example {{ proxy {app}; tls-policy modern }}
site *.wild.example {{ proxy {app}; client-ca {ca} }}
site open.wild.example {{ proxy {app} }}
"""


class Place:
    def __init__(self, stage):
        self.folder = stage.new_folder("certificates")
        self.folder.chmod(0o755)
        self.ca, self.other = Authority("Clients"), Authority("Others")
        self.app = stage.upstream()
        sites = SITES.format(app=self.app.address, ca=self.write("ca.pem", self.ca.pem),
                             other=self.write("other.pem", self.other.pem))
        self.everseal = stage.everseal(sites=sites, email=None,
                                       head="dns-challenge { update 127.0.0.1:9 }").start()
        self.mine = self.write("mine.pem", *self.ca.issue("ana"))
        self.theirs = self.write("theirs.pem", *self.other.issue("bob"))
        self.expired = self.write("expired.pem", *self.ca.issue("eve", begin=-9, days=-1))

    def write(self, name, *parts):
        (path := self.folder / name).write_bytes(b"".join(parts))
        return path

    def context(self, certificate=None, newest=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if certificate:
            context.load_cert_chain(certificate)
        if newest:
            context.maximum_version = newest
        return context

    def connect(self, name, context, session=None):
        plain = socket.create_connection(("127.0.0.1", self.everseal.https), timeout=10)
        return contextlib.closing(context.wrap_socket(plain, server_hostname=name, session=session))

    def status(self, name, context, host=None, session=None, headers=()):
        """The answer's status; None if there is no connection to be had."""
        try:
            with self.connect(name, context, session) as s:
                s.sendall(request_bytes(host or name, "/", headers=headers, port=self.everseal.https))
                return read_answer(s).status
        except (OSError, ValueError, Exception) as why:
            if isinstance(why, AssertionError):
                raise
            return None


@pytest.fixture(scope="module")
def place(module_stage):
    return Place(module_stage)


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.asan
@pytest.mark.parametrize("version", VERSIONS)
def test_certificates_of_clients(place, version):
    assert place.status("mtls.example", place.context(place.mine, version)) == 200
    assert place.status("mtls.example", place.context(None, version)) is None
    assert place.status("mtls.example", place.context(place.theirs, version)) is None
    assert place.status("mtls.example", place.context(place.expired, version)) is None
    assert place.status("a.example", place.context(None, version)) == 200


def test_application_is_told_and_nobody_else_tells_it(place):
    forged = ["X-Client-Cert-Subject: CN=root", "X_Client_Cert_Fingerprint: 00", "X-Client-Cert-Other: 1"]
    assert place.status("mtls.example", place.context(place.mine), headers=forged) == 200
    heard = place.app.heard[-1]
    assert heard.value("X-Client-Cert-Subject") == "CN=ana"
    assert len(heard.value("X-Client-Cert-Fingerprint")) == 64
    assert not heard.values("X_Client_Cert_Fingerprint") and not heard.values("X-Client-Cert-Other")
    assert place.status("a.example", place.context(place.mine), headers=forged) == 200
    assert b"client-cert" not in place.app.heard[-1].head.lower().replace(b"_", b"-")


def test_who_is_asked_by_forward_auth_is_told_too(place):
    assert place.status("asked.example", place.context(place.mine), headers=["X-Client-Cert-Subject: CN=root"]) == 200
    asked, passed = place.app.heard[-2:]
    assert asked.head.startswith(b"GET /ask ")
    assert asked.values("X-Client-Cert-Subject") == passed.values("X-Client-Cert-Subject") == ["CN=ana"]


@pytest.mark.asan
@pytest.mark.parametrize("name, certificate, host", [
    ("a.example", None, "mtls.example"), ("a.example", None, "second.example"),
    ("mtls.example", "mine", "other.example"), ("other.example", "theirs", "mtls.example"),
    (None, None, "mtls.example"), ("nobody.example", None, "mtls.example"),
    ("a.example", None, "MTLS.example"), ("a.example", None, "modern.example"),
])
def test_another_host_is_421(place, name, certificate, host):
    place.app.heard.clear()
    context = place.context(getattr(place, certificate) if certificate else None)
    assert place.status(name, context, host) == 421
    assert not place.app.heard


def test_names_under_the_same_authority_share_a_connection(place):
    assert place.status("mtls.example", place.context(place.mine), "second.example") == 200


@pytest.mark.parametrize("version", VERSIONS)
def test_tickets_open_no_other_site(place, version):
    """Whoever holds a ticket of one site comes to another by a full handshake only."""
    def ticket_of(name, context):
        with place.connect(name, context) as s:
            s.sendall(request_bytes(name, "/", port=place.everseal.https))
            assert read_answer(s).status == 200
            return s.session
    context = place.context(None, version)
    ticket = ticket_of("a.example", context)
    with place.connect("a.example", context, ticket) as s:
        s.sendall(request_bytes("a.example", "/", port=place.everseal.https))
        assert read_answer(s).status == 200
        assert s.session_reused
    assert place.status("mtls.example", context, session=ticket) is None
    context = place.context(place.theirs, version)
    ticket = ticket_of("other.example", context)
    assert place.status("mtls.example", context, session=ticket) is None
    assert place.status("other.example", context, session=ticket) == 200
    context = place.context(place.mine, version)
    ticket = ticket_of("mtls.example", context)
    with place.connect("mtls.example", context, ticket) as s:
        s.sendall(request_bytes("mtls.example", "/", port=place.everseal.https))
        assert read_answer(s).status == 200
        assert s.session_reused
    assert place.app.heard[-1].value("X-Client-Cert-Subject") == "CN=ana"


def test_http2_connection_is_for_its_site_alone(place):
    def curl(host, *more):
        port = place.everseal.https
        done = subprocess.run(["curl", "-sk", "--http2", "--resolve", f"a.example:{port}:127.0.0.1",
                               "-H", f"Host: {host}:{port}", "-o", "/dev/null", "-w", "%{http_version} %{http_code}",
                               f"https://a.example:{port}/", *more], capture_output=True, text=True)
        return done.stdout
    assert curl("a.example") == "2 200"
    assert curl("mtls.example") == "2 421"
    assert curl("modern.example", "--cert", str(place.mine)) == "2 421"


@pytest.mark.asan
@pytest.mark.parametrize("version", VERSIONS)
def test_a_wildcard_asks_all_its_names_for_certificates(place, version):
    mine, theirs, none = (place.context(c, version) for c in (place.mine, place.theirs, None))
    for name in ("x.wild.example", "Y.Wild.Example"):
        assert place.status(name, mine) == 200
        assert place.status(name, none) is None and place.status(name, theirs) is None
    assert place.status("open.wild.example", none) == 200, "a name of its own has rules of its own"
    assert place.status("a.b.wild.example", none) == 200, "one label, and no more, is the wildcard's"
    assert place.status("wild.example", none) == 200


@pytest.mark.parametrize("name, certificate, host, status", [
    ("open.wild.example", None, "x.wild.example", 421), ("a.example", None, "x.wild.example", 421),
    (None, None, "x.wild.example", 421), ("a.b.wild.example", None, "x.wild.example", 421),
    ("other.example", "theirs", "x.wild.example", 421), ("a.example", None, "X.WILD.example", 421),
    ("x.wild.example", "mine", "open.wild.example", 421), ("x.wild.example", "mine", "a.b.wild.example", 421),
    ("x.wild.example", "mine", "y.wild.example", 200), ("mtls.example", "mine", "x.wild.example", 200),
])
def test_another_host_beside_a_wildcard(place, name, certificate, host, status):
    place.app.heard.clear()
    context = place.context(getattr(place, certificate) if certificate else None)
    assert place.status(name, context, host) == status
    assert bool(place.app.heard) == (status == 200)


def ticket_of(place, name, context):
    with place.connect(name, context) as s:
        s.sendall(request_bytes(name, "/", port=place.everseal.https))
        assert read_answer(s).status == 200
        return s.session


@pytest.mark.parametrize("version", VERSIONS)
def test_tickets_across_a_wildcard(place, version):
    """A ticket holds for all names of the wildcard, who ask for the same; it brings the client's certificate
    along to them and to nobody else, and no ticket from elsewhere brings anybody in."""
    context = place.context(place.mine, version)
    ticket = ticket_of(place, "x.wild.example", context)
    with place.connect("y.wild.example", context, ticket) as s:
        assert s.session_reused
        place.app.heard.clear()
        s.sendall(request_bytes("y.wild.example", "/", port=place.everseal.https))
        assert read_answer(s).status == 200
        assert place.app.heard[-1].value("X-Client-Cert-Subject") == "CN=ana"
    for name in ("open.wild.example", "a.example"):
        with place.connect(name, context, ticket) as s:
            assert not s.session_reused
    assert place.status("other.example", context, session=ticket) is None
    for name in ("open.wild.example", "a.example"):
        without = place.context(None, version)
        assert place.status("x.wild.example", without, session=ticket_of(place, name, without)) is None


def test_http2_to_a_wildcard_is_for_it_alone(place):
    status = lambda name, host: subprocess.run(
        ["curl", "-sk", "--http2", "--cert", place.mine, "--resolve", f"{name}:{place.everseal.https}:127.0.0.1",
         "-o", "/dev/null", "-w", "%{http_version} %{http_code}", "-H", f"Host: {host}",
         f"https://{name}:{place.everseal.https}/"], capture_output=True, text=True, timeout=20).stdout
    assert status("x.wild.example", "x.wild.example") == "2 200"
    assert status("x.wild.example", "y.wild.example") == "2 200"
    assert status("x.wild.example", "open.wild.example") == "2 421"
    assert status("open.wild.example", "x.wild.example") == "2 421"


def test_plain_http_is_redirected(place):
    place.app.heard.clear()
    answer = ask(place.everseal.http, "mtls.example")
    assert answer.status == 301
    assert answer.headers["Location"] == f"https://mtls.example:{place.everseal.https}/"
    assert not place.app.heard


def test_modern_is_tls_13_alone(place):
    assert place.status("modern.example", place.context(None, ssl.TLSVersion.TLSv1_3)) == 200
    assert place.status("modern.example", place.context(None, ssl.TLSVersion.TLSv1_2)) is None
    assert place.status("a.example", place.context(None, ssl.TLSVersion.TLSv1_2)) == 200


def test_authority_that_cannot_be_read_refuses_the_file(place):
    path = place.folder / "check.conf"
    path.write_text("site a.example { proxy 127.0.0.1:1; client-ca /nowhere/ca.pem }\n")
    from house import run_program
    outcome = run_program("check", "--config", path)
    assert outcome.status == 1 and "ca.pem" in outcome.out + outcome.err


# ---- groups ----

HYBRID = "X25519MLKEM768"


def group(place, groups):
    """What openssl s_client, offering these, agrees on with the server; None if on nothing."""
    words = ["openssl", "s_client", "-connect", f"127.0.0.1:{place.everseal.https}", "-servername", "a.example",
             "-tls1_3", "-groups", groups]
    said = subprocess.run(words, input=b"", capture_output=True, timeout=30).stdout.decode(errors="replace")
    found = re.search(r"^Negotiated TLS1\.3 group: (\w+)", said, re.M) or \
        re.search(r"^(?:Server|Peer) Temp Key: (?:ECDH, )?([^,\s]+)", said, re.M)
    return found and found[1].replace("secp256r1", "prime256v1")


@pytest.mark.parametrize("offered, agreed", [
    ("X25519", "X25519"), ("P-256", "prime256v1"), ("P-384", "secp384r1"), ("X448", None), ("P-521", None),
    ("P-521:X25519", "X25519"),
])
def test_groups(place, offered, agreed):
    assert group(place, offered) == agreed


@pytest.mark.parametrize("offered", [HYBRID, f"{HYBRID}:X25519", f"{HYBRID}:P-256", f"P-521:{HYBRID}"])
def test_the_group_that_quantum_computers_do_not_break(place, offered):
    listed = subprocess.run(["openssl", "list", "-kem-algorithms"], capture_output=True, timeout=30).stdout
    if HYBRID.encode() not in listed:
        pytest.skip(f"this system's OpenSSL does not have {HYBRID}: 3.5 and later do")
    assert group(place, offered) == HYBRID
