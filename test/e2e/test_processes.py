"""Each process may be killed at any time: the others go on, and it comes back."""
import contextlib
import os
import pathlib
import signal
import socket
import time

import pytest

from network import ask, is_temporary, read_answer, request_bytes, tls, until


@pytest.fixture
def registered(everseal):
    everseal.register("shop.example.com")
    return everseal


def asked(everseal):
    with contextlib.suppress(OSError):
        return ask(everseal.https, "shop.example.com", secure=True, roots=everseal.ca.roots).status == 200


@pytest.mark.asan
def test_kill_control(registered, pebble):
    serial = registered.served("shop.example.com").serial_number
    with contextlib.closing(tls(registered.https, "shop.example.com")) as kept:
        pid = registered.kill("control")
        for _ in range(20):
            kept.sendall(request_bytes("shop.example.com", "/"))
            assert read_answer(kept).status == 200
            assert asked(registered)
        registered.wait_back("control", pid)
    registered.wait_serving()
    assert registered.served("shop.example.com").serial_number == serial
    registered.register("shop.example.com", wait=False)
    registered.register("new.example.com")
    assert (pebble.orders, pebble.accounts) == (2, 1)
    registered.logged(r"control \(process \d+\) was ended by signal 9")


@pytest.mark.asan
def test_kill_fetch(registered, pebble):
    pid = registered.kill("fetch")
    assert asked(registered)
    registered.wait_back("fetch", pid)
    registered.register("new.example.com")
    assert (pebble.orders, pebble.accounts) == (2, 1)


@pytest.mark.timed
def test_kill_serve_is_back_within_a_second(registered):
    serial = registered.served("shop.example.com").serial_number
    pid = registered.kill("serve")
    killed = time.monotonic()
    until("requests are answered again", lambda: asked(registered), 5, every=0.01)
    assert time.monotonic() - killed < 1
    registered.wait_back("serve", pid)
    assert registered.served("shop.example.com").serial_number == serial
    registered.register("new.example.com")


@pytest.mark.asan
def test_kill_serve(registered):
    pid = registered.kill("serve")
    registered.wait_back("serve", pid)
    until("requests are answered again", lambda: asked(registered), 5)


@pytest.mark.timed
def test_kill_supervisor_ends_all_within_a_second_and_a_new_start_serves(registered):
    children = registered.children()
    serial = registered.served("shop.example.com").serial_number
    registered.kill("supervisor")
    killed = time.monotonic()
    until("all have ended", lambda: not any(os.path.exists(f"/proc/{p}") and _alive(p)
                                            for p in children.values()), 5, every=0.01)
    assert time.monotonic() - killed < 1
    started = time.monotonic()
    registered.start(wait=False)
    until("the store is served", lambda: asked(registered), 5, every=0.01)
    assert time.monotonic() - started < 2
    assert registered.served("shop.example.com").serial_number == serial


def _alive(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def test_everything_at_once(registered):
    before = registered.children()
    for process in ("control", "fetch", "serve", "page"):
        registered.kill(process)
    for process, pid in before.items():
        registered.wait_back(process, pid)
    until("requests are answered again", lambda: asked(registered), 5)
    registered.register("new.example.com")


def test_a_port_stays_ours_while_serve_is_gone(registered):
    """The supervisor holds the sockets: a client that connects meanwhile waits, nobody is refused."""
    for _ in range(3):
        pid = registered.kill("serve")
        with socket.create_connection(("127.0.0.1", registered.http), timeout=5) as connection:
            connection.sendall(request_bytes("shop.example.com", "/"))
            with contextlib.suppress(ConnectionResetError):
                connection.recv(1)
        registered.wait_back("serve", pid)
        until("requests are answered again", lambda: asked(registered), 5)
        time.sleep(0.2)


def test_wait_goes_on_over_the_death_of_control(stage, pebble, upstream):
    """`register --wait` follows the task although control dies in the middle."""
    gate = stage.gate(pebble)
    everseal = stage.everseal(gate, sites=f"site * {{ proxy {upstream.address} }}").start()

    def kill_once(step, answered, number):
        if step == "order" and answered and number == 1:
            everseal.kill("control")
    gate.hook = kill_once
    outcome = everseal.register("shop.example.com")
    assert "Seen over HTTPS" in outcome.out
    assert gate.accounts == 1


def test_stop_lets_requests_end(stage):
    import threading
    from network import reply
    entered, go_on = threading.Event(), threading.Event()

    def slow(heard):
        entered.set()
        go_on.wait(5)
        return reply(b"late")
    upstream = stage.upstream(slow)
    everseal = stage.everseal(sites=f"site * {{ proxy {upstream.address} }}").start()
    with socket.create_connection(("127.0.0.1", everseal.http), timeout=10) as connection:
        connection.sendall(request_bytes("a.example.com", "/"))
        assert entered.wait(5)
        everseal.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        go_on.set()
        assert read_answer(connection).body == b"late"
    assert everseal.process.wait(10) == 0


def test_exit_status_and_no_socket_left(everseal):
    everseal.process.terminate()
    assert everseal.process.wait(15) == 0
    assert not (everseal.state / "control.sock").exists() or \
        everseal.cli("status").status == 1


def wait_fenced(everseal):
    """The data plane serves before every other process has said which fences stand."""
    def all_of_them():
        fences = {f["process"]: f["standing"] for f in everseal.status()["fences"]}
        return fences if set(fences) >= {"control", "fetch", "serve", "page"} else None
    return until("each process names its fences", all_of_them, 10)


def test_status_names_the_fences(everseal):
    fences = wait_fenced(everseal)
    assert all(fences.values()), fences


def test_who_they_are(everseal):
    """fetch and both serves are nobody, have no capability, and cannot be looked into."""
    wait_fenced(everseal)
    pids = everseal.children()
    for process in ("fetch", "serve", "page"):
        status = dict(line.split(":\t", 1) for line in
                      pathlib.Path(f"/proc/{pids[process]}/status").read_text().splitlines() if ":\t" in line)
        assert status["Uid"].split()[1] != "0"
        assert int(status["CapEff"], 16) == 0
        assert status["NoNewPrivs"] == "1"


def test_serve_knows_no_name_and_no_state(everseal):
    """serve has no descriptor of a file, but for its link, its sockets and its certificates."""
    wait_fenced(everseal)
    for process in ("serve", "page"):
        for descriptor in pathlib.Path(f"/proc/{everseal.pid(process)}/fd").iterdir():
            target = os.readlink(descriptor)
            assert str(everseal.state) not in target, target
