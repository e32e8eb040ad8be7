"""`everseal upgrade` and `everseal drain`: another program in place of the running one, and nothing is dropped."""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

import house
from network import ask, client_context, free_port, read_answer, reply, request_bytes, tls, until

PROGRAMS = ("everseal", "everseal-control", "everseal-fetch", "everseal-serve")


class Installed:
    """The programs in a folder of their own, replaced as a package manager does it: by renaming."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        folder.chmod(0o755)
        for name in PROGRAMS:
            self.put(name)

    def put(self, name, code=None):
        """The built one, or one that does what the C code says."""
        new = self.folder / f".{name}.new"
        if code is None:
            shutil.copy2(house.BUILD / name, new)
        else:
            source = "#include <signal.h>\n#include <stdio.h>\n#include <unistd.h>\nint main(void) { %s }" % code
            subprocess.run(["gcc", "-x", "c", "-o", new, "-"], input=source, text=True, check=True)
        new.rename(self.folder / name)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    programs = Installed(tmp_path / "programs")
    monkeypatch.setattr(house, "PROGRAM", programs.folder / "everseal")
    return programs


@pytest.fixture
def running(stage, installed):
    upstream = stage.upstream(lambda heard: reply(b"hello"))
    everseal = stage.everseal(sites=f"site * {{ proxy {upstream.address} }}", head="drain-timeout 20s").start()
    assert ask(everseal.http, "a.example.com").body == b"hello"
    return everseal


def upgrade(everseal):
    return everseal.cli("upgrade", timeout=60)


def others(everseal):
    """All processes below the supervisor, by id."""
    return set(pathlib.Path(f"/proc/{everseal.process.pid}/task/{everseal.process.pid}/children").read_text().split())


class Visitors:
    """Ask all the time: one on new connections, one on a kept one."""

    def __init__(self, everseal):
        self.everseal, self.stop, self.answers, self.failures = everseal, threading.Event(), 0, []
        self.threads = [threading.Thread(target=f) for f in (self.anew, self.anew_tls, self.kept)]

    def run(self, once):
        while not self.stop.is_set():
            try:
                once()
                self.answers += 1
            except Exception as e:  # pylint: disable=broad-except
                self.failures.append(repr(e))
                return

    def anew(self):
        def once():
            assert ask(self.everseal.http, "a.example.com").body == b"hello"
        self.run(once)

    def anew_tls(self):
        def once():
            assert ask(self.everseal.https, "a.example.com", secure=True).body == b"hello"
        self.run(once)

    def kept(self):
        """Who is told that the connection ends opens another; an end without a word is a failure."""
        state = {"s": None}

        def once():
            if state["s"] is None:
                state["s"] = socket.create_connection(("127.0.0.1", self.everseal.http), timeout=10)
            state["s"].sendall(request_bytes("a.example.com", "/"))
            answer = read_answer(state["s"])
            assert answer.body == b"hello"
            if answer.headers["Connection"] == "close":
                state["s"].close()
                state["s"] = None
        self.run(once)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join(15)

    def wait_more(self, count=50):
        before = self.answers
        until(lambda: f"visitors are answered: {self.failures}",
              lambda: self.failures or self.answers > before + count, 30)


def test_nothing_is_dropped(running, installed):
    supervisor, before = running.process.pid, running.children()
    with Visitors(running) as visitors:
        visitors.wait_more()
        for name in PROGRAMS:
            installed.put(name)
        done = upgrade(running).ok()
        assert "has taken over from" in done.out
        visitors.wait_more()
    assert not visitors.failures
    assert running.process.pid == supervisor and running.process.poll() is None
    until("the processes before are gone", lambda: not set(map(str, before.values())) & others(running), 40)
    after = running.children()
    assert set(after) == set(before) and not set(after.values()) & set(before.values())
    for pid in after.values():
        assert pathlib.Path(f"/proc/{pid}/exe").resolve().parent == installed.folder


def test_an_open_answer_goes_on_and_ends(stage, installed):
    go_on = threading.Event()

    def script(connection, upstream):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none")
        go_on.wait(30)
        connection.sendall(b"two")
    upstream = stage.upstream(script=script)
    everseal = stage.everseal(sites=f"site * {{ proxy {upstream.address} }}", head="drain-timeout 20s").start()
    before = everseal.pid("serve")
    with contextlib.closing(tls(everseal.https, "a.example.com")) as s:
        s.sendall(request_bytes("a.example.com", "/"))
        got = b""
        while b"one" not in got:
            got += s.recv(65536)
        upgrade(everseal).ok()
        assert str(before) in others(everseal)
        go_on.set()
        while b"two" not in got:
            piece = s.recv(65536)
            assert piece, got
            got += piece
    until("the serve before is gone", lambda: str(before) not in others(everseal), 35)


def test_a_program_that_refuses_the_configuration_changes_nothing(running, installed, monkeypatch):
    before = running.children()
    installed.put("everseal", 'fputs("everseal.conf:1:1: This version knows no such word.\\n", stderr); return 1;')
    monkeypatch.setattr(house, "PROGRAM", house.BUILD / "everseal")
    upgrade(running).failed("does not take over: everseal.conf:1:1: This version knows no such word. Nothing was changed")
    installed.put("everseal", "pause(); return 0;")
    upgrade(running).failed("does not take over: it did not say in 5 s whether it runs. Nothing was changed")
    (installed.folder / "new").write_text("no program\n")
    (installed.folder / "new").chmod(0o755)
    (installed.folder / "new").rename(installed.folder / "everseal")
    upgrade(running).failed("does not take over: it cannot be run: Exec format error")
    (installed.folder / "everseal").unlink()
    upgrade(running).failed("cannot be opened: No such file or directory")
    assert running.children() == before
    assert ask(running.http, "a.example.com").body == b"hello"
    installed.put("everseal")
    upgrade(running).ok()


@pytest.mark.parametrize("control, sentence", [
    ("return 1;", "its control process ended at its start"),
    pytest.param("raise(SIGKILL); return 0;", "it was not ready within 10 s", marks=pytest.mark.full),
    pytest.param("pause(); return 0;", "it was not ready within 10 s", marks=pytest.mark.full),
    (None, "The program everseal-control is missing"),
])
def test_the_program_before_comes_back(running, installed, control, sentence):
    before = running.children()
    with Visitors(running) as visitors:
        visitors.wait_more()
        if control is None:
            (installed.folder / "everseal-control").unlink()
        else:
            installed.put("everseal-control", control)
        upgrade(running).failed("did not take over: .*" + sentence, "The program before goes on")
        visitors.wait_more()
    assert not visitors.failures
    after = running.children()
    assert after["serve"] == before["serve"] and after["page"] == before["page"]
    assert set(after) == set(before)
    assert running.status()["serving"]
    # It is whole: what dies comes back, and the next upgrade works.
    serve = running.kill("serve")
    running.wait_back("serve", serve, seconds=10)
    installed.put("everseal-control")
    upgrade(running).ok()
    assert ask(running.http, "a.example.com").body == b"hello"


def test_a_database_that_was_migrated_comes_back_with_the_program_before(running, installed):
    """The new control does to the database what a migration does, and fails."""
    database = running.state / "everseal.db"
    migrate = "cd %s && cp -p everseal.db everseal.db.before-2 && printf '\\\\0\\\\0\\\\0\\\\2' | " \
              "dd of=everseal.db bs=1 seek=60 conv=notrunc status=none; exit 1" % running.state
    installed.put("everseal-control", f'execl("/bin/sh", "sh", "-c", "{migrate}", (char *)0); return 2;')
    before = running.pid("serve")
    upgrade(running).failed("its control process ended at its start", "The program before goes on")
    running.logged("A newer Everseal did not take over and had changed the database, going on with what was before")
    assert running.pid("serve") == before and running.status()["serving"]
    version = "import sys, sqlite3; print(sqlite3.connect(sys.argv[1]).execute('PRAGMA user_version').fetchone()[0])"
    made = subprocess.run(["/usr/bin/python3", "-c", version, f"{database}.after-2"], capture_output=True, text=True)
    assert made.stdout == "2\n", made.stderr
    assert not pathlib.Path(f"{database}.before-2").exists()


def test_what_was_upgraded_is_whole(running, installed):
    upgrade(running).ok()
    upgrade(running).ok()
    for process in ("serve", "control", "fetch", "page"):
        before = running.kill(process)
        running.wait_back(process, before, seconds=10)
    running.wait_serving()
    assert ask(running.http, "a.example.com").body == b"hello"
    running.reload().ok()
    running.process.send_signal(signal.SIGHUP)
    running.logged("The configuration was reloaded.(.|\n)*The configuration was reloaded.")


@pytest.mark.parametrize("port", ["https", "page"])
def test_sessions_are_resumed_by_tickets_from_before(stage, installed, port):
    """After a crash, an upgrade and a reload. The page's keys are its own."""
    page = free_port()
    everseal = stage.everseal(sites="site * { respond 200 }", head=f"page 0.0.0.0:{page}").start()
    everseal.page = page
    context = client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # a session is known as soon as the handshake has ended

    def connect(to, session=None):
        with contextlib.closing(socket.create_connection(("127.0.0.1", getattr(everseal, to)), timeout=10)) as plain:
            with context.wrap_socket(plain, server_hostname="a.example.com", session=session) as s:
                return s.session, s.session_reused
    process = "serve" if port == "https" else "page"
    session, _ = connect(port)
    assert connect(port, session)[1]
    before = everseal.kill(process)
    everseal.wait_back(process, before, seconds=10)
    everseal.wait_serving()
    assert connect(port, session)[1], "after a crash"
    upgrade(everseal).ok()
    assert connect(port, session)[1], "after an upgrade"
    everseal.reload().ok()
    assert connect(port, session)[1], "after a reload"
    assert not connect("page" if port == "https" else "https", session)[1]


def test_a_stop_in_the_middle(running, installed):
    installed.put("everseal-control", "pause(); return 0;")
    asking = subprocess.Popen([house.PROGRAM, "upgrade", "--config", running.config], stderr=subprocess.DEVNULL)
    running.logged("takes over")
    time.sleep(0.3)
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(30) == 0
    running.process = None
    asking.kill()
    asking.wait()


def test_rights_are_kept(stage, installed):
    """A user with nothing but the right to bind low ports has it afterwards, too."""
    upstream = stage.upstream(lambda heard: reply(b"hello"))
    everseal = stage.everseal(sites=f"site * {{ proxy {upstream.address} }}")
    for path in {*everseal.folder.parents, *installed.folder.parents} - {pathlib.Path("/"), pathlib.Path("/tmp")}:
        path.chmod(0o755)
    everseal.folder.chmod(0o777)
    everseal.start(by=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                       "--inh-caps=-all,+net_bind_service", "--ambient-caps=-all,+net_bind_service"])

    def permitted():
        status = pathlib.Path(f"/proc/{everseal.process.pid}/status").read_text()
        return next(line for line in status.splitlines() if line.startswith("CapPrm"))
    before = permitted()
    assert int(before.split()[1], 16) & 1 << 10
    upgrade(everseal).ok()
    assert permitted() == before


def test_drain(running):
    def ping():
        return ask(running.page, "localhost", "/api/octopusservernodes/ping").status
    assert ping() == 200
    running.cli("drain", "on").ok()
    assert ping() == 418
    assert running.status()["draining"]
    assert ask(running.http, "a.example.com").body == b"hello"
    running.cli("drain", "off").ok()
    assert ping() == 200
    running.cli("drain").failed("drain on` or `everseal drain off", status=2)
    running.cli("drain", "maybe").failed("drain on` or `everseal drain off", status=2)
