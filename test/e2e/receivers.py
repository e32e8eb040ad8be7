"""Who takes messages: a mail server and a webhook, as they are written in a configuration."""
import base64
import contextlib
import email
import email.policy
import hashlib
import hmac
import http.server
import json
import socketserver
import sys
import threading
import time
import traceback

import pytest

from authority import server_context, write_certificate

SECRET = "correct horse"
PASSWORD = "hunter2 hunter2"


class Smtp(socketserver.StreamRequestHandler):
    """RFC 5321 as far as it is needed; the server says what it refuses."""
    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def handle(self):
        with contextlib.suppress(OSError):
            self.dialogue()

    def dialogue(self):
        server, envelope = self.server, {}
        self.say("220 mail.test ESMTP")
        while line := self.rfile.readline():
            words = line.decode().strip()
            verb = words.split(" ")[0].split(":")[0].upper()
            if verb == "EHLO":
                for extension in server.extensions:
                    self.say(f"250-{extension}")
                self.say("250 HELP")
            elif verb == "AUTH":
                if " " in words.removeprefix("AUTH PLAIN").strip() or words == "AUTH PLAIN":
                    self.say("334 ")
                    words = "AUTH PLAIN " + self.rfile.readline().decode().strip()
                _, user, password = base64.b64decode(words.split()[-1]).decode().split("\0")
                server.signed_in.append((user, password))
                self.say("235 welcome" if password == PASSWORD else "535 5.7.8 who are you")
            elif verb in ("MAIL", "RCPT"):
                envelope[verb] = words
                self.say(server.refusal if verb == "RCPT" and server.refusal else "250 ok")
            elif verb == "DATA":
                self.say("354 go on")
                lines = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
                server.messages.append((envelope, b"".join(lines)))
                self.say("250 taken")
            elif verb == "STARTTLS" and server.upgrade:
                self.say("220 go on")
                envelope = {"secured": True}
                self.connection = server.upgrade.wrap_socket(self.connection, server_side=True)
                self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("500 what")


class MailServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, context=None, upgrade=None):
        """context: TLS from the start; upgrade: by STARTTLS."""
        super().__init__(("127.0.0.1", 0), Smtp)
        self.context, self.upgrade, self.refusal = context, upgrade, None
        self.messages, self.signed_in, self.extensions = [], [], ["mail.test"]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    port = property(lambda self: self.server_address[1])

    def finish_request(self, request, client):
        with contextlib.suppress(OSError):
            if self.context:
                request = self.context.wrap_socket(request, server_side=True)
            super().finish_request(request, client)

    def texts(self):
        """(subject, event, text) of each message."""
        read = [email.message_from_bytes(m, policy=email.policy.default) for _, m in self.messages]
        return [(m["Subject"], m["X-Everseal-Event"], m.get_content()) for m in read]


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parts = dict(p.split("=") for p in self.headers["Everseal-Signature"].split(","))
        wanted = hmac.new(SECRET.encode(), parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(parts["v1"], wanted)
        assert abs(time.time() - int(parts["t"])) < 300
        assert self.headers["Content-Type"] == "application/json"
        told = json.loads(body)
        # Once more where we were stopped before it was stored that it had arrived.
        if self.server.status == 200 and told["id"] not in {m["id"] for m in self.server.messages}:
            self.server.messages.append(told)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *words):
        pass


class HookServer(http.server.ThreadingHTTPServer):
    """What is wrong with a message cuts its connection, and fails the test at its end."""
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Hook)
        self.messages, self.status, self.wrong = [], 200, []

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):
            self.wrong.append(traceback.format_exc())


@contextlib.contextmanager
def hook():
    server = HookServer()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        assert not server.wrong, server.wrong[0]


@pytest.fixture
def receiver():
    with hook() as server:
        yield server


@pytest.fixture
def mail(tmp_path):
    """By TLS from the start, with a certificate for localhost, whose file is mail.trust."""
    folder = tmp_path / "mail"
    folder.mkdir()
    server = MailServer(server_context(folder))
    server.trust = write_certificate(folder)[0]
    server.extensions = ["mail.test", "AUTH PLAIN"]
    yield server
    server.shutdown()
    server.server_close()


def webhook(receiver, more=""):
    return f'notify webhook http://127.0.0.1:{receiver.server_port}/token-in-path {{ secret "{SECRET}"; {more} }}'


def by_mail(mail, more=""):
    return (f"notify mail ops@example.com {{ server smtps://localhost:{mail.port}; from everseal@example.com; "
            f"trust {mail.trust}; {more} }}")
