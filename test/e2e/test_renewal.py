"""Renewal by itself and at once, with real clocks: a Pebble that issues for seconds."""
import contextlib
import threading
import time

import pytest

from network import ask, is_temporary, read_answer, request_bytes, tls, until


@pytest.fixture
def brief(stage, upstream):
    """Certificates that live 24 s: they are renewed when half of that is left."""
    pebble = stage.pebble(validity=24)
    return stage.everseal(pebble, sites=f"site shop.example.com {{ proxy {upstream.address} }}").start()


def suggests(everseal):
    """Whether its Pebble suggests when to renew, as Debian 13's does: a window of two days whatever the life
    is, so that any time may come up until 3 s before the end."""
    return "renewalInfo" in everseal.ca.log()


@pytest.mark.timed
def test_by_itself_when_half_of_a_short_life_is_left(brief):
    first = brief.wait_served("shop.example.com")
    until("its time is known", lambda: suggests(brief) or
          brief.certificate("shop.example.com")["reason"] == "half of its lifetime is left")
    second = brief.wait_served("shop.example.com", other_than=first.serial_number, seconds=30)
    age = (second.not_valid_before - first.not_valid_before).total_seconds()
    assert brief.ca.accounts == 1
    assert age <= 24 if suggests(brief) else 10 <= age <= 16, age
    assert suggests(brief) or brief.ca.orders == 2


@pytest.mark.timed
def test_due_while_we_were_down(brief):
    first = brief.wait_served("shop.example.com")
    brief.stop()
    time.sleep(13)
    brief.start()
    brief.wait_served("shop.example.com", other_than=first.serial_number, seconds=15)
    assert brief.ca.accounts == 1
    assert suggests(brief) or brief.ca.orders == 2


@pytest.mark.asan
def test_now(everseal, pebble):
    everseal.register("shop.example.com")
    first = everseal.served("shop.example.com").serial_number
    outcome = everseal.le("renew", "shop.example.com", "--wait").ok()
    assert "Seen over HTTPS on every own listener" in outcome.out
    assert everseal.served("shop.example.com").serial_number != first
    assert (pebble.orders, pebble.accounts) == (2, 1)


def test_now_without_a_name(everseal):
    everseal.le("renew").failed("No name is registered yet")
    everseal.register("shop.example.com")
    first = everseal.served("shop.example.com").serial_number
    everseal.le("renew", "--wait").ok()
    assert everseal.served("shop.example.com").serial_number != first
    everseal.register("www.example.com")
    everseal.le("renew").failed("There are several certificates, say which", status=2)


def test_renewal_survives_a_restart(everseal, pebble):
    everseal.register("shop.example.com")
    before = everseal.certificate("shop.example.com")
    everseal.restart()
    after = everseal.certificate("shop.example.com")
    assert (after["next_renewal"], after["reason"]) == (before["next_renewal"], before["reason"])
    assert pebble.orders == 1


def test_failure_keeps_the_old_certificate_and_says_so(everseal, pebble):
    everseal.register("shop.example.com")
    serial = everseal.served("shop.example.com").serial_number
    pebble.pause()
    everseal.le("renew", "shop.example.com", "--wait").failed("refuses connections")
    assert everseal.served("shop.example.com").serial_number == serial
    everseal.logged("The certificate in use is kept. Next try ")
    certificate = everseal.certificate("shop.example.com")
    assert certificate["last_error"]["message"] and certificate["next_renewal"]


def test_what_is_served_is_seen_on_every_listener(stage, pebble, upstream):
    from network import free_port, served
    other = free_port()
    everseal = stage.everseal(pebble, sites=f"site shop.example.com {{ proxy {upstream.address} }}",
                              listeners=f"http 127.0.0.1:{pebble.http}\n"
                                        f"https 127.0.0.1:{pebble.https} [::1]:{other}").start()
    first = everseal.wait_served("shop.example.com").serial_number
    until("the first attempt is at its end", lambda: everseal.certificate("shop.example.com")["served"])
    everseal.le("renew", "--wait").ok()
    serials = {served(pebble.https, "shop.example.com").serial_number,
               served(other, "shop.example.com", host="::1").serial_number}
    assert len(serials) == 1 and first not in serials
    assert everseal.certificate("shop.example.com")["served"]


class Load:
    """Requests on kept and on new connections, as fast as the two threads go; each is checked."""

    def __init__(self, everseal, name, roots):
        self.everseal, self.target, self.roots = everseal, name, roots
        self.done, self.failures, self.running = 0, [], True
        self.threads = [threading.Thread(target=self.loop, args=(work,)) for work in
                        (self.kept, self.fresh, self.kept_plain, self.fresh_plain)]

    def loop(self, work):
        while self.running:
            try:
                work()
            except Exception as error:  # noqa: BLE001: every way to fail counts
                self.failures.append(f"{work.__name__}: {error!r}")

    def one(self, connection):
        connection.sendall(request_bytes(self.target, "/load"))
        answer = read_answer(connection)
        assert (answer.status, answer.body) == (200, b"hello"), answer
        self.done += 1

    def kept(self):
        with contextlib.closing(tls(self.everseal.https, self.target, self.roots)) as connection:
            while self.running:
                self.one(connection)

    def fresh(self):
        with contextlib.closing(tls(self.everseal.https, self.target, self.roots)) as connection:
            self.one(connection)

    def kept_plain(self):
        import socket
        with socket.create_connection(("127.0.0.1", self.everseal.http), timeout=10) as connection:
            while self.running:
                self.one(connection)

    def fresh_plain(self):
        answer = ask(self.everseal.http, self.target, "/load")
        assert (answer.status, answer.body) == (200, b"hello")
        self.done += 1

    def __enter__(self):
        self.started = time.monotonic()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.running = False
        for thread in self.threads:
            thread.join()
        self.rate = self.done / (time.monotonic() - self.started)


@pytest.mark.timed
def test_requests_during_renewal_and_reload(stage, pebble):
    """At least 200 a second, on kept and on new connections, and a body that streams all the while."""
    go_on = threading.Event()

    def answer(heard):
        from network import reply
        if b"/stream" not in heard.head:
            return reply()

        def pieces():
            yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            while not go_on.wait(0.02):
                yield b"4\r\ntick\r\n"
            yield b"0\r\n\r\n"
        return pieces()

    upstream = stage.upstream(answer)
    everseal = stage.everseal(pebble, sites=f"site shop.example.com {{ proxy {upstream.address} }}").start()
    serial = everseal.wait_served("shop.example.com").serial_number
    with contextlib.closing(tls(everseal.https, "shop.example.com", pebble.roots)) as streaming:
        streaming.sendall(request_bytes("shop.example.com", "/stream"))
        until("the stream flows", lambda: streaming.recv(1000))
        with Load(everseal, "shop.example.com", pebble.roots) as load:
            for i in range(3):
                everseal.le("renew", "shop.example.com", "--wait").ok()
                everseal.write(f"site shop.example.com {{ proxy {upstream.address} }}\n"
                               f"site n{i}.example.com {{ proxy {upstream.address} }}")
                everseal.reload().ok()
                time.sleep(0.3)
        go_on.set()
        rest = b""
        while not rest.endswith(b"0\r\n\r\n"):
            piece = streaming.recv(65536)
            assert piece, "the streaming body broke off"
            rest += piece
    assert everseal.served("shop.example.com").serial_number != serial
    assert not load.failures, load.failures[:5]
    assert load.rate >= 200, f"{load.rate:.0f} requests a second"
