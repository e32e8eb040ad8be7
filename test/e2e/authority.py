"""Certificate authorities: Debian's Pebble, a gate before it that sees and disturbs every message, and
servers that are none."""
import contextlib
import datetime
import functools
import http.client
import http.server
import ipaddress
import json
import os
import pathlib
import socket
import ssl
import subprocess
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from network import free_port, until


@functools.cache
def own_certificate():
    """PEM of a self-signed certificate for localhost and mail.localhost, and of its key: what a CA's own HTTPS shows."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ACME server of the tests")])
    now = datetime.datetime.utcnow()
    alternatives = [x509.DNSName("localhost"), x509.DNSName("mail.localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
                   .public_key(key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(now - datetime.timedelta(days=1))
                   .not_valid_after(now + datetime.timedelta(days=30))
                   .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
                   .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                   .sign(key, hashes.SHA256()))
    return (certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                              serialization.NoEncryption()))


def write_certificate(folder):
    certificate, key = own_certificate()
    (folder / "ca-https.pem").write_bytes(certificate)
    (folder / "ca-https.key").write_bytes(key)
    return folder / "ca-https.pem", folder / "ca-https.key"


def server_context(folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write_certificate(folder))
    return context


def get_json(port, path):
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5,
                                             context=ssl._create_unverified_context())
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().read()


class Pebble:
    """Validates at 127.0.0.1 (its resolver is pebble-challtestsrv), on ports that Everseal then takes."""

    def __init__(self, folder, nonce_reject=5, authz_reuse=50, validity=None, chain_length=None,
                 alternate_roots=None, eab=None, start=True, program="pebble",
                 dnsserver=None):
        """`eab`: the keys of external account bindings by their identifier; then an account needs one."""
        self.name, self.folder, self.program = "pebble", folder, program
        self.port, self.management = free_port(), free_port()
        self.http, self.https = free_port(), free_port()
        self.trust, key = write_certificate(folder)
        self.directory = f"https://127.0.0.1:{self.port}/dir"
        self.validity, self.eab = validity, eab
        self.environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1",
                            "PEBBLE_WFE_NONCEREJECT": str(nonce_reject),
                            "PEBBLE_AUTHZREUSE": str(authz_reuse)}
        if chain_length is not None:
            self.environment["PEBBLE_CHAIN_LENGTH"] = str(chain_length)
        if alternate_roots is not None:
            self.environment["PEBBLE_ALTERNATE_ROOTS"] = str(alternate_roots)
        self.key, self.process, self.resolver = key, None, None
        self.outputs = []
        self.dns = free_port()
        self.resolver = self.spawn(
            "challtestsrv", ["pebble-challtestsrv", "-http01", "", "-https01", "", "-tlsalpn01", "",
                             "-dns01", f"127.0.0.1:{self.dns}", "-defaultIPv6", "",
                             "-management", f"127.0.0.1:{free_port()}"])
        self.dnsserver = dnsserver or f"127.0.0.1:{self.dns}"
        if start:
            self.start()

    def spawn(self, name, command):
        output = self.folder / f"{name}.log"
        self.outputs.append(output)
        with open(output, "ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder,
                                    env=self.environment)

    def start(self):
        config = {"listenAddress": f"127.0.0.1:{self.port}",
                  "managementListenAddress": f"127.0.0.1:{self.management}",
                  "certificate": str(self.trust), "privateKey": str(self.key), "httpPort": self.http,
                  "tlsPort": self.https, "ocspResponderURL": "", "externalAccountBindingRequired": False}
        if self.eab:
            config |= {"externalAccountBindingRequired": True, "externalAccountMACKeys": self.eab}
        if self.validity:
            config["certificateValidityPeriod"] = self.validity
        (self.folder / "pebble.json").write_text(json.dumps({"pebble": config}))
        self.process = self.spawn("pebble", [self.program, "-config", str(self.folder / "pebble.json"),
                                             "-strict", "-dnsserver", self.dnsserver])
        until("Pebble answers", self.answers, seconds=20)
        return self

    def answers(self):
        assert self.process.poll() is None, self.log()
        with contextlib.suppress(OSError):
            return get_json(self.port, "/dir")

    def pause(self):
        """The CA is down: connections are refused."""
        self.process.kill()
        self.process.wait()

    def log(self):
        with contextlib.suppress(FileNotFoundError):  # before it was started
            return (self.folder / "pebble.log").read_text(errors="replace")
        return ""

    @property
    def orders(self):
        """How many orders were made, as Pebble counts."""
        return self.log().count('Added order "')

    @property
    def accounts(self):
        return self.log().count("accounts in memory")

    @property
    def issued(self):
        return self.log().count("Issued certificate serial")

    @functools.cached_property
    def roots(self):
        return get_json(self.management, "/roots/0").decode()

    def stop(self):
        for process in (self.process, self.resolver):
            if process:
                process.kill()
                process.wait()


# ---- a gate before it ----

STEPS = {"/dir": "directory", "/nonce-plz": "nonce", "/sign-me-up": "account", "/order-plz": "order",
         "/authZ/": "authz", "/chalZ/": "answer", "/my-order/": "await", "/finalize-order/": "finalize",
         "/certZ/": "download", "/rollover-account-key": "rollover"}


def step_of(path):
    for prefix, step in STEPS.items():
        if path.startswith(prefix):
            return step
    return "other"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        # The handshake belongs to the connection's thread: a client that is slow holds nobody up.
        self.request.settimeout(30)
        self.request = self.server.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self):
        with contextlib.suppress(OSError, ssl.SSLError):
            super().handle()

    def finish(self):
        with contextlib.suppress(OSError, ValueError):
            super().finish()
        with contextlib.suppress(OSError):
            self.request.close()

    def do(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.server.owner.respond(self.command, self.path, dict(self.headers), body)
        if answer is None:
            self.close_connection = True
            return
        status, headers, content = answer
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD" and status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass


class OwnServer:
    """An HTTPS server on loopback; respond(method, path, headers, body) gives (status, headers, bytes),
    or None: the connection is closed without an answer."""

    def __init__(self, folder, respond=None):
        self.port = free_port()
        self.http, self.https = free_port(), free_port()
        self.trust, _ = write_certificate(folder)
        self.context = server_context(folder)
        self.directory = f"https://127.0.0.1:{self.port}/dir"
        self.server = None
        if respond:
            self.respond = respond
        self.listen()

    def listen(self):
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.server.context, self.server.owner = self.context, self
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def pause(self):
        """From now on connections are refused."""
        self.server.shutdown()
        self.server.server_close()
        self.server = None

    def stop(self):
        if self.server:
            self.pause()


class Gate(OwnServer):
    """Stands before a Pebble and sees every message. `hook(step, answered, number)` is called twice for
    each: before it reaches the CA and once the CA has answered; `number` counts the messages of that
    step. What it gives instead of None is the answer; the exception Lost drops the message, or the
    answer that the CA has already given."""

    class Lost(Exception):
        pass

    def __init__(self, folder, pebble, hook=None):
        self.pebble, self.hook = pebble, hook
        self.counts, self.seen, self.lock = {}, [], threading.Lock()
        super().__init__(folder)
        self.http, self.https = pebble.http, pebble.https

    @property
    def roots(self):
        return self.pebble.roots

    def count(self, step, status):
        return sum(1 for s, code in self.seen if s == step and code == status)

    @property
    def orders(self):
        return self.count("order", 201)

    @property
    def accounts(self):
        return self.count("account", 201)

    def respond(self, method, path, headers, body):
        step = step_of(path)
        with self.lock:
            number = self.counts[step] = self.counts.get(step, 0) + 1
        try:
            answer = self.hook and self.hook(step, False, number)
            answer = answer or self.pass_on(method, path, headers, body)
            with self.lock:
                self.seen.append((step, answer[0]))
            return (self.hook and self.hook(step, True, number)) or answer
        except (Gate.Lost, OSError, http.client.HTTPException):
            return None

    def pass_on(self, method, path, headers, body):
        connection = http.client.HTTPSConnection("127.0.0.1", self.pebble.port, timeout=20,
                                                 context=ssl._create_unverified_context())
        kept = {k: v for k, v in headers.items() if k.lower() not in ("connection", "content-length")}
        with contextlib.closing(connection):
            connection.request(method, path, body or None, kept)
            response = connection.getresponse()
            content = response.read()
            drop = ("content-length", "connection", "transfer-encoding")
            return response.status, [p for p in response.getheaders() if p[0].lower() not in drop], content
