"""The program under test: its configuration, its processes, its commands."""
import contextlib
import ipaddress
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import urllib.parse

import pytest

from network import free_port, is_temporary, names_of, served, until

BUILD = pathlib.Path(os.environ.get("EVERSEAL_BUILD") or
                     pathlib.Path(__file__).resolve().parents[2] / "build-check")
PROGRAM = BUILD / "everseal"
PROCESSES = ("control", "fetch", "serve", "page")
SANITIZER_REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:")


def refuse_foreign(directory):
    """No test may reach a CA that is not on this machine."""
    host = urllib.parse.urlsplit(directory).hostname or ""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        pytest.exit(f"The tests refuse to start: the ACME directory {directory} is not on loopback.", 3)


def run_program(*words, timeout=60, env=None, given=None):
    """A command of `everseal`: (exit status, stdout, stderr); `given`: on its standard input."""
    done = subprocess.run([PROGRAM, *map(str, words)], text=True, capture_output=True, timeout=timeout, input=given,
                          env={**os.environ, **(env or {})})
    return Outcome(done.returncode, done.stdout, done.stderr)


class Outcome(tuple):
    def __new__(cls, status, out, err):
        return super().__new__(cls, (status, out, err))

    status = property(lambda self: self[0])
    out = property(lambda self: self[1])
    err = property(lambda self: self[2])
    json = property(lambda self: json.loads(self[1]))

    def ok(self):
        assert self.status == 0, f"exit {self.status}: {self.err or self.out}"
        return self

    def failed(self, *sentences, status=1):
        """It failed, and what it said holds each of the sentences."""
        assert self.status == status, f"exit {self.status}, {status} expected: {self.out}{self.err}"
        for sentence in sentences:
            assert re.search(sentence, self.err), f"{sentence!r} is not in: {self.err!r}"
        return self


class Everseal:
    name = "everseal"

    def __init__(self, folder, ca=None, sites="", head="", email="ops@example.com", agree=True,
                 listeners=None, issuer=None, env=None, state=None):
        self.folder, self.ca, self.env = folder, ca, env or {}
        self.http = ca.http if ca else free_port()
        self.https = ca.https if ca else free_port()
        self.page = free_port()
        self.state = pathlib.Path(state or folder / "state")
        self.config = folder / "everseal.conf"
        self.process = None
        self.listeners = listeners
        self.head = head
        self.email, self.agree, self.issuer = email, agree, issuer
        self.starts = 0
        self.write(sites)

    # ---- the file ----

    def write(self, sites="", head=None):
        """Writes the configuration anew; `head`: lines at top level, kept if None. Without a `page` line in
        it the page is at a port of its own, self.page."""
        if head is not None:
            self.head = head
        lines = [f"state {self.state}"]
        lines.append(self.listeners or f"http 127.0.0.1:{self.http}\nhttps 127.0.0.1:{self.https}")
        if not re.search(r"^\s*page\b", self.head, re.M):
            lines.append(f"page 127.0.0.1:{self.page}")
        if self.email:
            lines.append(f"email {self.email}")
        if self.agree and self.email:
            lines.append("agree-to-terms yes")
        lines.append(self.issuer if self.issuer is not None else self.issuer_line())
        lines.append(f"challenge-ports {{ http {self.http}; https {self.https} }}")
        self.config.write_text("\n".join([*lines, self.head, sites, ""]))
        for directory in re.findall(r"directory\s+(\S+)", self.config.read_text()):
            refuse_foreign(directory.rstrip(";"))
        return self

    def issuer_line(self):
        if not self.ca:
            # Nobody answers there: what must not reach any CA cannot.
            return "issuer nobody { directory https://127.0.0.1:9/dir }"
        return f"issuer pebble {{ directory {self.ca.directory}; trust {self.ca.trust} }}"

    # ---- the processes ----

    def start(self, wait=True, as_user=None, by=()):
        """`as_user`: a user's name; `by`: words before the command, such as those of setpriv."""
        words = [*by, PROGRAM, "run", "--config", self.config]
        if as_user:
            words = ["setpriv", f"--reuid={as_user}", "--regid=nogroup", "--clear-groups", *words]
        self.starts += 1
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([str(w) for w in words], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, cwd="/",
                                            env={**os.environ, **self.env})
        if wait:
            self.wait_serving()
        return self

    def wait_serving(self, seconds=20):
        def serving():
            assert self.process.poll() is None, f"everseal has ended with {self.process.returncode}"
            outcome = self.cli("status", "--json")
            return outcome.status == 0 and outcome.json.get("serving")
        until("everseal serves", serving, seconds)

    def pid(self, process):
        """The process id of control, fetch, serve or supervisor; None if there is none."""
        if process == "supervisor":
            return self.process.pid if self.process.poll() is None else None
        return self.children().get(process)

    def children(self):
        found = {}
        if self.process is None:
            return found
        for status in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                text = status.read_text()
                pid, rest = int(status.parent.name), text.rsplit(")", 1)[1].split()
                if int(rest[1]) == self.process.pid and rest[0] != "Z":
                    words = (status.parent / "cmdline").read_bytes().split(b"\0")
                    name = pathlib.Path(words[0].decode()).name
                    if name.startswith("everseal-"):
                        found[name.removeprefix("everseal-")] = pid
        return found

    def kill(self, process, number=signal.SIGKILL):
        pid = self.pid(process)
        assert pid, f"{process} is not running"
        os.kill(pid, number)
        if process == "supervisor":
            self.process.wait()
        elif number == signal.SIGKILL:
            until(f"{process} is gone", lambda: self.pid(process) != pid)
        return pid

    def wait_back(self, process, before, seconds=3):
        return until(f"{process} is back", lambda: (p := self.pid(process)) and p != before and p, seconds)

    def stop(self):
        """An orderly end. Whatever a sanitizer said is a failure."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill_all()
                raise AssertionError("everseal did not end within 30 s of SIGTERM")
        self.process = None
        said = SANITIZER_REPORT.search(self.log())
        assert not said, self.log()[max(0, said.start() - 200):said.start() + 6000]

    def kill_all(self):
        for pid in [*self.children().values(), self.process.pid]:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def restart(self):
        self.stop()
        return self.start()

    def log(self):
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "log").read_text(errors="replace")
        return ""

    def logged(self, pattern, seconds=10):
        """Waits for a line in the log that the pattern is found in."""
        return until(lambda: f"{pattern!r} in the log:\n{self.log()[-3000:]}",
                     lambda: re.search(pattern, self.log()), seconds)

    # ---- commands ----

    def cli(self, *words, timeout=60):
        return run_program(*words, "--config", self.config, timeout=timeout)

    def le(self, *words, **more):
        return self.cli("lets-encrypt", *words, **more)

    def register(self, *names, wait=True, more=()):
        words = [w for name in names for w in ("--name", name)]
        outcome = self.le("register", *words, "--email", "ops@example.com", "--agree-tos",
                          *(["--wait"] if wait else []), *more)
        return outcome.ok()

    def reload(self):
        return self.cli("reload")

    def status(self):
        return self.cli("status", "--json").ok().json

    def certificate(self, name):
        """Its object in the status, or None."""
        for certificate in self.status()["certificates"]:
            if name in certificate["names"]:
                return certificate
        return None

    def served(self, name):
        return served(self.https, name)

    def wait_served(self, name, seconds=20, other_than=None):
        """The certificate of the CA that is served for name; other than the one with that serial."""
        def look():
            with contextlib.suppress(OSError):
                certificate = self.served(name)
                if not is_temporary(certificate) and certificate.serial_number != other_than:
                    return certificate
        certificate = until(lambda: f"a certificate for {name} is served: {self.status()['certificates']}",
                            look, seconds)
        assert name in names_of(certificate)
        return certificate
