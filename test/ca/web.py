"""The CA's HTTPS on loopback, with the ways in which it can fail, and the plain HTTP by which tests turn
the switches."""
import contextlib
import http.server
import json
import socket
import ssl
import struct
import threading
import time

import revocation
from books import stamp
from issuing import pem

PATIENCE = 60  # seconds that a connection may say nothing


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body of an answer in one packet

    def handle(self):
        with contextlib.suppress(OSError, ssl.SSLError, ValueError):
            super().handle()

    def finish(self):
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def do(self):
        length = self.headers.get("Content-Length") or "0"
        if not length.isdigit() or int(length) > 4 << 20:
            self.close_connection = True
            return
        self.give(*self.server.ca.respond(self.command, self.path, dict(self.headers.items()),
                                          self.rfile.read(int(length))))

    def give(self, reply, after):
        time.sleep(after)
        if reply.status == 0:
            self.close_connection = True
            return
        content = reply.content()
        self.send_response_only(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        if content:
            self.send_header("Content-Type", reply.kind)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:len(content) // 2] if reply.cut else content)
        self.wfile.flush()
        if reply.cut:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do

    def log_message(self, *_):
        pass


class Listener:
    """Accepts at one port for ever, in whichever way the switches `tls` and `outage` say."""

    def __init__(self, ca, host, port, contexts):
        self.ca, self.contexts, self.open = ca, contexts, set()
        self.lock = threading.Lock()
        self.place = host, port
        self.socket = None
        self.listen()
        self.place = self.socket.getsockname()
        threading.Thread(target=self.run, daemon=True).start()

    def listen(self):
        self.socket = socket.create_server(self.place, backlog=256, reuse_port=False)
        self.socket.settimeout(0.05)

    def run(self):
        while True:
            if self.ca.is_outage("refused"):
                if self.socket:
                    self.socket.close()
                    self.socket = None
                time.sleep(0.02)
                continue
            if not self.socket:
                self.listen()
            with contextlib.suppress(OSError):
                plain, address = self.socket.accept()
                threading.Thread(target=self.serve, args=(plain, address), daemon=True).start()

    def serve(self, plain, address):
        plain.settimeout(PATIENCE)
        with self.lock:
            self.open.add(plain)
        try:
            with contextlib.suppress(OSError, ssl.SSLError):
                connection = self.greet(plain)
                if connection:
                    Handler(connection, address, self)
                    connection.close()
        finally:
            with self.lock:
                self.open.discard(plain)
            plain.close()

    def greet(self, plain):
        how = self.ca.switches["tls"]
        if self.ca.is_outage("reset") or how == "closed":
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return None
        if how == "garbage":
            plain.recv(1000)
            plain.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            return None
        if how == "stalled":
            while plain.recv(1000):
                pass
            return None
        connection = self.contexts[how].wrap_socket(plain, server_side=True)
        with self.lock:
            self.open.discard(plain)
            self.open.add(connection)
        return connection

    def settle(self):
        """Waits until it listens, or does not, as the switch says."""
        for _ in range(200):
            if (self.socket is None) == self.ca.is_outage("refused"):
                return
            time.sleep(0.01)

    def break_all(self):
        """What changed concerns connections that are open already, too."""
        with self.lock:
            for connection in self.open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


def contexts_of(keys, folder, now):
    found = {}
    for kind in ("ok", "untrusted", "expired", "other-name", "old-version"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*keys.https(folder, now, kind))
        if kind == "old-version":
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        found[kind] = context
    return found


# ---- control ----

class Control(http.server.BaseHTTPRequestHandler):
    """GET and POST /switch /time /requests; POST /reset; GET /issued /accounts /root; POST /revoke; and, for
    clients of the CA, GET /crl and POST /ocsp."""

    def do_GET(self):
        ca = self.server.ca
        with ca.lock:
            if self.path == "/crl":
                return self.say("crl", revocation.crl(ca))
            answers = {"/switch": lambda: ca.switches.values, "/time": lambda: time_of(ca),
                       "/requests": ca.books.requests.show, "/issued": lambda: issued(ca),
                       "/accounts": lambda: accounts_of(ca),
                       "/root": lambda: "".join(pem(r.certificate).decode() for r in ca.keys.roots)}
            self.answer(answers.get(self.path))

    def do_POST(self):
        ca = self.server.ca
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if self.path == "/ocsp":
                return self.say("ocsp", revocation.answer(ca, body))
            given = json.loads(body or b"{}")
            with ca.lock:
                self.answer({"/switch": lambda: self.switch(given), "/reset": self.reset,
                             "/time": lambda: self.set_time(given),
                             "/revoke": lambda: revocation.revoke(ca, given),
                             "/requests": ca.books.requests.clear}.get(self.path))
        except (ValueError, TypeError, KeyError) as why:
            self.answer(lambda: {"error": str(why)}, 400)

    def switch(self, changes):
        self.server.ca.switches.set(changes)
        if {"tls", "outage"} & changes.keys():
            self.server.listener.break_all()
            self.server.listener.settle()
        return self.server.ca.switches.values

    def reset(self):
        self.server.ca.switches.reset()
        self.server.listener.break_all()
        self.server.listener.settle()
        return self.server.ca.switches.values

    def set_time(self, given):
        self.server.ca.books.clock.offset = float(given["offset"])
        self.server.listener.settle()
        return time_of(self.server.ca)

    def say(self, endpoint, der):
        self.server.ca.books.requests.add(self.server.ca.books.now(), endpoint, 200, None)
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(der)))
        with contextlib.suppress(OSError):  # whoever asked may be gone
            self.end_headers()
            self.wfile.write(der)
        return None

    def answer(self, make, status=200):
        value = make() if make else {"error": f"there is no {self.path}"}
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response_only(status if make else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def time_of(ca):
    return {"offset": ca.books.clock.offset, "now": ca.books.now(), "text": stamp(ca.books.now())}


def issued(ca):
    return [{"names": c.names, "serial": f"{c.serial:x}", "not_before": c.not_before,
             "not_after": c.not_after, "issued": c.issued, "ari_id": c.ari_id, "profile": c.profile,
             "revoked": c.revoked, "replaced": c.replaced_by is not None, "asked": c.asked,
             "account": c.account.id} for c in ca.books.certificates.values()]


def accounts_of(ca):
    return [{"id": a.id, "status": a.status, "contact": a.contact, "thumbprint": a.thumbprint,
             "binding": a.binding, "orders": len(a.orders)} for a in ca.books.accounts.values()]


def start_control(ca, listener, host):
    server = http.server.ThreadingHTTPServer((host, 0), Control)
    server.ca, server.listener, server.daemon_threads = ca, listener, True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return f"http://{host}:{server.server_address[1]}"
