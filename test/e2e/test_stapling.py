"""What a certificate's OCSP responder says of it, shown in handshakes to clients that ask (RFC 6066 8)."""
import contextlib
import datetime
import http.server
import re
import subprocess
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from network import until

NAME = "shop.example.com"
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def days(count):
    return datetime.timedelta(days=count)


class Responder:
    """A small CA, and behind HTTP `openssl ocsp` as its responder. `life`: seconds that an answer is valid, which
    that cannot count in."""

    def __init__(self, folder):
        self.folder, self.life, self.silent, self.asked = folder, None, False, 0
        folder.mkdir(exist_ok=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Stapling CA")])
        self.certificate = (self.built(self.name, self.key)
                            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                            .sign(self.key, hashes.SHA256()))
        (folder / "ca.pem").write_bytes(self.certificate.public_bytes(PEM))
        (folder / "ca.key").write_bytes(self.pem_of(self.key))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def pem_of(key):
        return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    def built(self, subject, key):
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
                .serial_number(x509.random_serial_number()).not_valid_before(now() - days(1))
                .not_valid_after(now() + days(90)))

    def issue(self, must_staple=False):
        """Leaf, CA and key in one file."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self.built(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)]), key)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        builder = builder.add_extension(x509.AuthorityInformationAccess([x509.AccessDescription(
            AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(self.url))]), critical=False)
        if must_staple:
            builder = builder.add_extension(x509.TLSFeature([x509.TLSFeatureType.status_request]), critical=False)
        self.leaf = builder.sign(self.key, hashes.SHA256())
        self.state("V", "")
        file = self.folder / "brought.pem"
        file.write_bytes(self.leaf.public_bytes(PEM) + self.certificate.public_bytes(PEM) + self.pem_of(key))
        return file

    def state(self, letter, revoked):
        """The one line of the CA's index."""
        line = [letter, f"{now() + days(90):%y%m%d%H%M%SZ}", revoked, f"{self.leaf.serial_number:040X}", "unknown", f"/CN={NAME}"]
        (self.folder / "index.txt").write_text("\t".join(line) + "\n")

    def revoke(self):
        self.life = None
        self.state("R", f"{now() - days(1):%y%m%d%H%M%SZ}")

    def answer(self, request):
        if self.life:
            builder = ocsp.OCSPResponseBuilder().add_response(
                self.leaf, self.certificate, hashes.SHA1(), ocsp.OCSPCertStatus.GOOD, now(),
                now() + datetime.timedelta(seconds=self.life), None, None)
            builder = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, self.certificate)
            return builder.sign(self.key, hashes.SHA256()).public_bytes(DER)
        (self.folder / "request").write_bytes(request)
        subprocess.run(["openssl", "ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", "ca.key",
                        "-reqin", "request", "-respout", "answer", "-ndays", "7"],
                       cwd=self.folder, check=True, capture_output=True)
        return (self.folder / "answer").read_bytes()

    def handler(responder):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                request = self.rfile.read(int(self.headers["Content-Length"]))
                responder.asked += 1
                body = b"" if responder.silent else responder.answer(request)
                self.send_response(503 if responder.silent else 200)
                self.send_header("Content-Length", str(len(body)))
                with contextlib.suppress(OSError):  # whoever asked may be gone
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *words):
                pass
        return Handler

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def responder(stage):
    return stage.keep(Responder(stage.folder / "responder"))


@pytest.fixture
def everseal(stage, upstream):
    return stage.everseal(sites=f"site * {{ proxy {upstream.address} }}", email=None).start()


def shown(everseal, *words, asks=True):
    """What a client that asks is shown: None, or the status in the answer."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{everseal.https}", "-servername", NAME,
                           *(["-status"] if asks else []), *words],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert "Server certificate" in done.stdout, done.stdout + done.stderr
    if "OCSP response: no response sent" in done.stdout or not asks:
        return None
    assert "OCSP Response Status: successful" in done.stdout, done.stdout
    return re.search("Cert Status: (.*)", done.stdout)[1]


def is_shown(everseal):
    until("the answer is shown", lambda: shown(everseal) == "good", 30)


@pytest.mark.asan
def test_answer_is_shown_to_who_asks(everseal, responder):
    """And it outlives a restart at which the responder is silent."""
    everseal.cli("import", NAME, responder.issue(must_staple=True)).ok()
    is_shown(everseal)
    assert shown(everseal, "-tls1_2") == "good"
    assert shown(everseal, asks=False) is None
    responder.silent = True
    everseal.restart()
    assert shown(everseal) == "good"
    everseal.cli("import", NAME, responder.issue()).ok()
    assert shown(everseal) is None, "the answer is about another certificate"


@pytest.mark.asan
def test_one_that_is_over_is_not_shown(everseal, responder):
    responder.life = 25
    everseal.cli("import", NAME, responder.issue()).ok()
    is_shown(everseal)
    responder.silent = True
    until("it is over", lambda: shown(everseal) is None, 60)
    responder.silent, responder.life = False, None
    everseal.restart()
    is_shown(everseal)


@pytest.mark.asan
def test_revoked_is_not_shown_as_good(everseal, responder):
    everseal.cli("import", NAME, responder.issue()).ok()
    is_shown(everseal)
    responder.revoke()
    everseal.restart()
    everseal.logged("The CA has revoked the imported certificate")
    until("it is shown no more", lambda: shown(everseal) is None)
    everseal.restart()
    assert shown(everseal) is None


def test_must_staple_without_an_answer_is_told(everseal, responder):
    responder.silent = True
    everseal.cli("import", NAME, responder.issue(must_staple=True)).ok()
    everseal.logged(f"error .*The certificate for {NAME} may only be shown with an answer of its OCSP responder "
                    r"\(must-staple\), and http://127.0.0.1:\d+ gives none: browsers refuse it. It is asked again within a day")
    assert shown(everseal) is None
    certificate = everseal.certificate(NAME)
    assert certificate["lamp"] == "warning" and "(must-staple), which gives none" in certificate["reason"]
    assert "(must-staple), which gives none" in " ".join(everseal.le("status", NAME).ok().out.split())


@pytest.mark.asan
def test_what_is_issued_has_one_too(stage, upstream):
    """And what stands beside it its own."""
    ca = stage.difficult(revocation=["ocsp"])
    everseal = stage.everseal(ca, sites=f"site * {{ proxy {upstream.address} }}").start()
    everseal.register(NAME)
    is_shown(everseal)
    everseal.register(NAME, more=("--key-type", "rsa2048"))
    rsa = ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256")
    until("it is shown for the other, too", lambda: shown(everseal, *rsa) == "good", 30)
    is_shown(everseal)


def test_without_a_responder_nothing_is_shown(stage, upstream):
    ca = stage.difficult()
    everseal = stage.everseal(ca, sites=f"site * {{ proxy {upstream.address} }}").start()
    everseal.register(NAME)
    assert shown(everseal) is None
