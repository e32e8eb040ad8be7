"""The page by its own process: it answers whatever becomes of the data plane, and the data plane whatever
becomes of it."""
import contextlib
import os
import pathlib
import re
import signal
import socket
import threading
import time

import pytest
from cryptography.hazmat.primitives import hashes

from network import ask, free_port, is_temporary, names_of, raw, read_answer, request_bytes, served, until

PING = "/api/octopusservernodes/ping"


def ping(port, name="127.0.0.1", **more):
    """The page answers, by control: the ping needs no authentication."""
    with contextlib.suppress(OSError):
        return ask(port, name, PING, timeout=2, **more).status == 200
    return False


def quick(port, most=1.0):
    """The page has answered within that many seconds."""
    begun = time.monotonic()
    assert ask(port, "127.0.0.1", PING, timeout=5).status == 200
    assert time.monotonic() - begun < most


@pytest.fixture
def page(everseal):
    until("the page answers", lambda: ping(everseal.page), 5)
    return everseal


def about(everseal):
    return everseal.status()["page"]


def site(everseal):
    with contextlib.suppress(OSError):
        return ask(everseal.http, "a.example.com", timeout=2).status == 200
    return False


# ---- one without the other ----

@pytest.mark.asan
def test_it_answers_while_the_data_plane_is_killed(page):
    serve = page.pid("page")
    for _ in range(4):
        before = page.kill("serve")
        quick(page.page, 3)
        page.wait_back("serve", before, 5)
    assert page.pid("page") == serve


@pytest.mark.asan
def test_it_answers_while_the_data_plane_is_stopped(page):
    pid = page.kill("serve", signal.SIGSTOP)
    try:
        assert not site(page)
        for _ in range(5):
            quick(page.page, 3)
        assert page.status()["page"]["state"] == "listening"
    finally:
        os.kill(pid, signal.SIGCONT)
    until("the data plane answers again", lambda: site(page), 5)


@pytest.mark.timed
def test_it_answers_while_the_data_plane_is_flooded(page):
    ending = threading.Event()

    def flood():
        requests = request_bytes("a.example.com", "/") * 50
        while not ending.is_set():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", page.http), timeout=5) as s:
                while not ending.is_set():
                    s.sendall(requests)
                    s.recv(1 << 20)
    idle = [socket.create_connection(("127.0.0.1", page.http)) for _ in range(300)]
    floods = [threading.Thread(target=flood) for _ in range(8)]
    try:
        for thread in floods:
            thread.start()
        for _ in range(10):
            quick(page.page)
            time.sleep(0.1)
    finally:
        ending.set()
        for connection in idle:
            connection.close()
        for thread in floods:
            thread.join()


@pytest.mark.timed
def test_it_is_killed_and_back_within_a_second(page):
    serve = page.pid("serve")
    with socket.create_connection(("127.0.0.1", page.http), timeout=5) as kept:
        pid = page.kill("page")
        killed = time.monotonic()
        kept.sendall(request_bytes("a.example.com", "/"))
        assert read_answer(kept).status == 200
        until("the page answers again", lambda: ping(page.page), 5, every=0.01)
        assert time.monotonic() - killed < 1
        kept.sendall(request_bytes("a.example.com", "/"))
        assert read_answer(kept).status == 200
    assert page.pid("serve") == serve and page.pid("page") != pid
    page.logged(r"page \(process \d+\) was ended by signal 9")


@pytest.mark.asan
def test_control_is_killed_and_a_client_goes_on(page):
    """The client's connection lives on; control's end of it is made anew."""
    serve = page.pid("page")
    with socket.create_connection(("127.0.0.1", page.page), timeout=5) as kept:
        def asked():
            kept.sendall(request_bytes("127.0.0.1", PING))
            return read_answer(kept)
        assert asked().status == 200
        before = page.kill("control")
        answer = asked()
        while answer.status != 200:
            assert answer.status == 503 and "Everseal's control process does not answer" in answer.text
            time.sleep(0.05)
            answer = asked()
        page.wait_back("control", before)
        assert asked().status == 200
    assert page.pid("page") == serve


def test_a_registration_does_not_wait_for_a_page_that_is_killed(page):
    ending = threading.Event()

    def kill_all_the_time():
        while not ending.is_set():
            with contextlib.suppress(OSError, AssertionError):
                page.kill("page")
            time.sleep(0.1)
    killing = threading.Thread(target=kill_all_the_time)
    killing.start()
    try:
        page.register("shop.example.com")
    finally:
        ending.set()
        killing.join()
    until("the page answers again", lambda: ping(page.page), 5)


# ---- its address ----

def test_a_busy_port_is_said_and_blocks_nothing(stage, upstream):
    everseal = stage.everseal(sites=f"site * {{ proxy {upstream.address} }}")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", everseal.page))
        other.listen()
        everseal.start()
        assert site(everseal)
        state = until("the port is busy", lambda: (p := about(everseal))["state"] == "failed" and p, 6)
        assert re.fullmatch(rf".+ \(process {os.getpid()}\)", state["holder"])
        everseal.logged(rf"holds port {everseal.page} of 127.0.0.1\. Everseal takes nothing away: "
                        r"choose another address or port, or stop it\. It is tried again every second\.")
    until("the page answers", lambda: ping(everseal.page), 3)
    assert about(everseal)["state"] == "listening" and about(everseal)["holder"] is None


def test_a_reload_moves_it(page):
    serve, data = page.pid("page"), page.pid("serve")
    before, after = page.page, free_port()
    with socket.create_connection(("127.0.0.1", before), timeout=5) as kept:
        kept.sendall(request_bytes("127.0.0.1", PING))
        assert read_answer(kept).status == 200
        page.page = after
        page.write(f"site * {{ proxy 127.0.0.1:{free_port()} }}")
        page.reload().ok()
        until("the page answers at its new address", lambda: ping(after), 5)
        kept.sendall(request_bytes("127.0.0.1", PING))
        assert read_answer(kept).status == 200
    until("nobody listens at the old one", lambda: not ping(before), 5)
    assert page.pid("page") == serve and page.pid("serve") == data
    assert about(page)["url"] == f"http://127.0.0.1:{after}/"


def test_a_reload_to_a_busy_port_keeps_it_where_it_is(page):
    before, after = page.page, free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", after))
        other.listen()
        page.write(head=f"page 127.0.0.1:{after}")
        page.reload().ok()
        until("the port is busy", lambda: about(page)["state"] == "failed", 6)
        assert ping(before)
    until("the page answers at its new address", lambda: ping(after), 4)
    until("nobody listens at the old one", lambda: not ping(before), 5)


def test_the_same_port_on_every_address(page):
    """The kernel binds 0.0.0.0 only once 127.0.0.1 is free."""
    page.write(head=f"page 0.0.0.0:{page.page}")
    page.reload().ok()
    until("the page answers by HTTPS", lambda: ping(page.page, secure=True), 6)
    assert about(page)["https"] is True
    page.write(head=f"page 127.0.0.1:{page.page}")
    page.reload().ok()
    until("the page answers by HTTP again", lambda: ping(page.page), 6)


def test_off(page):
    page.write(head="page off")
    page.reload().ok()
    until("nobody listens", lambda: not ping(page.page), 5)
    assert about(page) is None
    page.write(head="")
    page.reload().ok()
    until("the page answers", lambda: ping(page.page), 5)


def test_its_port_is_no_sites_port(page):
    """A registration cannot take the page's socket, which the supervisor gives out to nobody else."""
    page.le("register", "--name", "shop.example.com", "--email", "ops@example.com", "--agree-tos",
            "--address", "127.0.0.1", "--port", str(page.page))
    for _ in range(10):
        quick(page.page, 3)


# ---- whose name it answers to ----

@pytest.mark.asan
def test_host(stage):
    everseal = stage.everseal()
    everseal.write(head=f"page 127.0.0.1:{everseal.page} Page.Example.com").start()
    until("the page answers", lambda: ping(everseal.page), 5)
    for name in ("127.0.0.1", "localhost", "[::1]", "192.0.2.7", "page.example.com", "PAGE.example.com",
                 "localhost:1"):
        assert ask(everseal.page, name, PING).status == 200, name
    for name in ("evil.example", "a.page.example.com", "localhost.evil.example", "127.0.0.1.nip.io", "x",
                 "127.1", "2130706433"):
        answer = ask(everseal.page, name, PING)
        assert answer.status == 421, name
        assert f"This page is not named {name}: open it by its IP address or as localhost" in answer.text
    assert raw(everseal.page, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400")


# ---- HTTPS ----

def fingerprint(certificate):
    return certificate.fingerprint(hashes.SHA256()).hex()


@pytest.mark.asan
def test_beyond_loopback_it_is_https_only(stage):
    everseal = stage.everseal(email=None)
    everseal.write(head=f"page 0.0.0.0:{everseal.page}").start()
    until("the page answers", lambda: ping(everseal.page, secure=True), 5)
    answer = ask(everseal.page, "127.0.0.1", "/x?y=1")
    assert answer.status == 301 and answer.headers["Location"] == f"https://127.0.0.1:{everseal.page}/x?y=1"
    answer = ask(everseal.page, "localhost", PING, "POST", body=b"{}")
    assert answer.status == 308
    assert ask(everseal.page, "evil.example", "/").status == 421
    certificate = served(everseal.page, None)
    assert is_temporary(certificate)
    assert everseal.status()["page"]["fingerprint"] == fingerprint(certificate)
    everseal.logged(f"SHA-256 fingerprint is {fingerprint(certificate)}")
    everseal.restart()
    until("the page answers", lambda: ping(everseal.page, secure=True), 5)
    assert fingerprint(served(everseal.page, "localhost")) == fingerprint(certificate)


def test_tls_and_plain_on_loopback(page):
    assert ping(page.page, secure=True) and ping(page.page)
    certificate = served(page.page, None)
    assert names_of(certificate) == ["127.0.0.1", "localhost"]


def test_a_client_that_says_nothing_is_let_go(page):
    page.write(head="handshake-timeout 300ms")
    page.reload().ok()
    with socket.create_connection(("127.0.0.1", page.page), timeout=15) as silent:
        begun = time.monotonic()
        assert silent.recv(1) == b""
        assert time.monotonic() - begun < 12


@pytest.mark.asan
def test_its_name_gets_a_certificate_by_itself(stage, pebble, upstream):
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}")
    everseal.write(f"site * {{ proxy {upstream.address} }}",
                   head=f"page 0.0.0.0:{everseal.page} page.example.com").start()

    def issued():
        certificate = served(everseal.page, "page.example.com")
        return not is_temporary(certificate) and certificate
    certificate = until("the page has its name's certificate", issued, 20)
    assert names_of(certificate) == ["page.example.com"]
    assert ask(everseal.page, "page.example.com", PING, secure=True, roots=pebble.roots).status == 200
    until("the handshake has proved it", lambda: (c := everseal.certificate("page.example.com")) and c["served"], 10)
    # What is asked for by address is answered with the self-made one; the data plane has no key of the page's.
    assert is_temporary(served(everseal.page, None))
    assert is_temporary(everseal.served("page.example.com"))
    # And the page's process none of a site's.
    everseal.register("shop.example.com")
    everseal.wait_served("shop.example.com")
    assert is_temporary(served(everseal.page, "shop.example.com"))
    # A reload gives the name to a site, another one to the page; each has what is stored for it at once.
    everseal.write(f"site * {{ proxy {upstream.address} }}\nsite page.example.com {{ proxy {upstream.address} }}",
                   head=f"page 0.0.0.0:{everseal.page} shop.example.com")
    everseal.reload().ok()
    until("the site has the certificate", lambda: not is_temporary(everseal.served("page.example.com")), 5)
    until("the page has the other one", lambda: not is_temporary(served(everseal.page, "shop.example.com")), 5)
    assert is_temporary(served(everseal.page, "page.example.com"))


def test_its_name_is_registered_without_a_site(stage, pebble):
    everseal = stage.everseal(pebble, agree=False)
    everseal.write(head=f"page 127.0.0.1:{everseal.page} page.example.com").start()
    outcome = everseal.register("page.example.com")
    assert "Seen over HTTPS" in outcome.out
    assert not is_temporary(served(everseal.page, "page.example.com"))


@pytest.mark.asan
def test_challenges_are_answered_on_its_listener(page):
    page.register("shop.example.com")
    token = "A" * 43

    def answered():
        answer = ask(page.page, "shop.example.com", f"/.well-known/acme-challenge/{token}")
        return answer.status == 200 and answer.text.startswith(f"{token}.")
    until("the default account's thumbprint is known", answered, 5)


# ---- what goes through ----

def test_bodies_are_limited(page):
    with contextlib.closing(socket.create_connection(("127.0.0.1", page.page), timeout=5)) as s:
        s.sendall(b"POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048577\r\n\r\n")
        assert read_answer(s).status == 413


def test_forged_headers_say_nothing(page):
    """Who comes from where is told by the process that accepted him, not by a header."""
    forged = ["X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1", "X-Forwarded-Proto: https"]
    assert ask(page.page, "127.0.0.1", "/api/status", headers=forged).status == 401


def test_many_clients_at_once(page):
    connections = [socket.create_connection(("127.0.0.1", page.page), timeout=10) for _ in range(200)]
    for connection in connections:
        connection.sendall(request_bytes("127.0.0.1", PING))
    for connection in connections:
        assert read_answer(connection).status == 200
        connection.close()
    open_files = len(list(pathlib.Path(f"/proc/{page.pid('page')}/fd").iterdir()))
    until("their channels are closed", lambda: len(list(pathlib.Path(
        f"/proc/{page.pid('control')}/fd").iterdir())) < open_files + 100, 5)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: local", request_bytes("127.0.0.1", PING)],
                         ids=["silent", "half a head", "idle"])
def test_one_address_with_all_the_connections_closes_it_to_nobody(page, sent):
    """The oldest that asks for nothing makes room, of the address that has the most of them."""
    connections = []
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(socket.create_connection(("127.0.0.1", page.page), timeout=5,
                                                            source_address=("127.0.0.2", 0)))
        for _ in range(1100):
            connections.append(stack.enter_context(socket.create_connection(("127.0.0.1", page.page), timeout=10)))
            connections[-1].sendall(sent)
        quick(page.page, 3)
        assert connections[0].recv(1 << 16)[:15] in (b"", b"HTTP/1.1 200 OK")
        kept.sendall(request_bytes("127.0.0.1", PING))
        assert read_answer(kept).status == 200


@pytest.mark.timed  # a sanitizer needs memory of its own
def test_memory(stage, upstream):
    """All processes with one site: at most 24 MiB, each page of memory counted once."""
    everseal = stage.everseal(sites=f"site shop.example.com {{ proxy {upstream.address} }}").start()
    until("the page answers", lambda: ping(everseal.page), 5)
    kilobytes = {}
    for process, pid in {**everseal.children(), "supervisor": everseal.process.pid}.items():
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        kilobytes[process] = int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1])
    assert len(kilobytes) == 5
    assert sum(kilobytes.values()) <= 24 << 10, kilobytes
