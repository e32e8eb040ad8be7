"""Ports, TLS as a client sees it, bytes as they stand on the wire, and an application to proxy to."""
import contextlib
import dataclasses
import http.client
import random
import re
import socket
import ssl
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes

picking = random.SystemRandom()
picked = set()
LOWEST, HIGHEST = 11000, 32000
picked_from = [LOWEST, HIGHEST]


def share_ports(share, shares):
    """Of tests that run beside each other none picks a port that another wants free or closed for now."""
    width = (HIGHEST - LOWEST) // shares
    picked_from[:] = LOWEST + share * width, LOWEST + (share + 1) * width


def free_port(host="127.0.0.1"):
    """A port that nobody listens on, outside the range that the kernel gives to outgoing connections. One that was
    picked long ago may be picked again."""
    if 2 * len(picked) > picked_from[1] - picked_from[0]:
        picked.clear()
    while True:
        port = picking.randrange(*picked_from)
        with socket.socket() as s:
            try:
                s.bind((host, port))
            except OSError:
                continue
        if port not in picked:
            picked.add(port)
            return port


def until(what, condition, seconds=10.0, every=0.03):
    """The first true result of condition(); fails with what() or the words after the time."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(every)


def client_context(roots=None, versions=()):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if roots:
        context.load_verify_locations(cadata=roots)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def tls(port, name, roots=None, host="127.0.0.1", timeout=10):
    """A TLS connection that asks for `name` (None: without SNI)."""
    plain = socket.create_connection((host, port), timeout=timeout)
    try:
        return client_context(roots).wrap_socket(plain, server_hostname=name)
    except BaseException:
        plain.close()
        raise


def served(port, name, host="127.0.0.1"):
    """The certificate that a handshake for `name` gets."""
    with contextlib.closing(tls(port, name, host=host)) as connection:
        return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True))


def names_of(certificate):
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    return sorted([*extension.value.get_values_for_type(x509.DNSName), *map(str, addresses)])


def is_temporary(certificate):
    return certificate.issuer == certificate.subject


def thumbprint(certificate):
    return certificate.fingerprint(hashes.SHA1()).hex()


@dataclasses.dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self):
        return self.body.decode(errors="replace")


def read_answer(connection, method="GET"):
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return Answer(response.status, response.headers, response.read())


def request_bytes(name, path, method="GET", headers=(), body=b"", port=None):
    host = name if port in (None, 80, 443) else f"{name}:{port}"
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def ask(port, name, path="/", method="GET", secure=False, roots=None, headers=(), body=b"", timeout=10,
        host="127.0.0.1"):
    """One request on a connection of its own."""
    connection = tls(port, name, roots, host, timeout) if secure else \
        socket.create_connection((host, port), timeout=timeout)
    with contextlib.closing(connection):
        connection.sendall(request_bytes(name, path, method, [*headers, "Connection: close"], body))
        return read_answer(connection, method)


def raw(port, data, timeout=5, half_close=False, host="127.0.0.1"):
    """Sends bytes, and gives all that comes until the other side closes (or the time is up)."""
    with contextlib.closing(socket.create_connection((host, port), timeout=timeout)) as s:
        s.sendall(data)
        if half_close:
            s.shutdown(socket.SHUT_WR)
        return read_all(s)


def read_all(s):
    received = b""
    with contextlib.suppress(TimeoutError, ConnectionResetError):
        while piece := s.recv(65536):
            received += piece
    return received


# ---- an application ----

@dataclasses.dataclass
class Heard:
    """A request as it reached the application, byte for byte."""
    head: bytes
    body: bytes

    @property
    def line(self):
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    def values(self, name):
        pairs = [l.split(b":", 1) for l in self.head.split(b"\r\n")[1:] if b":" in l]
        return [v.strip().decode("latin-1") for n, v in pairs if n.lower() == name.lower().encode()]

    def value(self, name):
        values = self.values(name)
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None


def reply(body=b"hello", status="200 OK", headers=()):
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]).encode() \
        + body


class Upstream:
    """A threaded application that keeps what it heard. `answer(heard)` gives the bytes of an answer, or
    None to close the connection; `script(connection, upstream)` takes a connection over whole."""

    name = "the application"

    def __init__(self, answer=None, script=None, host="127.0.0.1", port=0):
        self.answer = answer or (lambda heard: reply())
        self.script = script
        self.heard, self.connections, self.lock = [], 0, threading.Lock()
        self.open = set()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, port))
        self.listener.listen(512)
        self.port = self.listener.getsockname()[1]
        self.address = f"{host}:{self.port}"
        self.accepting = [self.start_accepting(self.listener)]

    def start_accepting(self, listener):
        thread = threading.Thread(target=self.accept, args=(listener,), daemon=True)
        thread.start()
        return listener, thread

    def accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            if listener.family != socket.AF_UNIX:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections += 1
                self.open.add(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError):
            if self.script:
                self.script(connection, self)
            else:
                self.serve_requests(connection)
        with self.lock:
            self.open.discard(connection)
        connection.close()

    def serve_requests(self, connection):
        rest = b""
        while True:
            heard, rest = self.hear(connection, rest)
            if heard is None:
                return
            answer = self.answer(heard)
            if answer is None:
                return
            for piece in [answer] if isinstance(answer, bytes) else answer:
                connection.sendall(piece)

    def hear(self, connection, rest=b""):
        """One whole request, with its framing as it came; (None, b"") at the end."""
        while b"\r\n\r\n" not in rest:
            piece = connection.recv(65536)
            if not piece:
                return None, b""
            rest += piece
        head, rest = rest.split(b"\r\n\r\n", 1)
        heard = Heard(head + b"\r\n\r\n", b"")
        complete = body_end(heard)
        while (end := complete(rest)) is None:
            piece = connection.recv(65536)
            if not piece:
                return None, b""
            rest += piece
        heard.body = rest[:end]
        with self.lock:
            self.heard.append(heard)
        return heard, rest[end:]

    def stop(self):
        """A close alone would let one more in. And a signal makes a thread that waits in accept() call it anew, by
        the socket's number: were that the next listener's by then, it would take a connection of that one."""
        for listener, thread in self.accepting:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            assert not thread.is_alive(), f"somebody still waits for connections to {self.address}"
            listener.close()
        with self.lock:
            for connection in self.open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


def body_end(heard):
    """A function that tells where the body ends in the bytes after the head, or None: not yet."""
    if heard.value("Transfer-Encoding"):
        def chunked(rest):
            last = re.search(rb"(?:^|\r\n)0\r\n(?:[^\r\n]+\r\n)*\r\n", rest)  # with its trailers
            return last.end() if last else None
        return chunked
    length = int(heard.value("Content-Length") or 0)
    return lambda rest: length if len(rest) >= length else None
