"""Attackers who hold connections, ask too often, send slowly or read slowly: each is cut off, and others
are served meanwhile. Clients have addresses of their own by the PROXY protocol."""
import contextlib
import socket
import time

import pytest

from network import free_port, read_answer, request_bytes, until

SETTINGS = """trusted-proxy 127.0.0.0/8
connections-per-address 20
requests-per-address 5
requests-burst 10
body-timeout 700ms
header-timeout 1s
least-rate 1000
workers 1"""


class Place:
    def __init__(self, stage):
        self.app = stage.upstream(lambda heard: self.answer(heard))
        self.http = free_port()
        self.everseal = stage.everseal(head=SETTINGS, sites=f"site * {{ proxy {self.app.address} }}",
                                       listeners=f"http 127.0.0.1:{self.http} {{ proxy-protocol }}")
        self.everseal.start()
        self.last = 0

    @staticmethod
    def answer(heard):
        body = b"x" * (8 << 20) if " /large " in heard.line else b"hello"
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    def connect(self, client):
        s = socket.create_connection(("127.0.0.1", self.http), timeout=10)
        s.sendall(f"PROXY TCP4 {client} 127.0.0.1 4711 80\r\n".encode())
        return s

    def somebody(self):
        """An address that nobody has used."""
        self.last += 1
        return f"192.0.2.{self.last}"

    def others_are_served(self):
        with contextlib.closing(self.connect(self.somebody())) as s:
            s.sendall(request_bytes("a.example", "/"))
            assert read_answer(s).status == 200


@pytest.fixture(scope="module")
def place(module_stage):
    return Place(module_stage)


def is_closed(s):
    """Or told that it will be."""
    s.settimeout(0.02)
    try:
        got = s.recv(65536)
        return not got or got.startswith(b"HTTP/1.1 408 ")
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.mark.asan
def test_one_who_holds_connections_displaces_himself(place):
    attacker = place.somebody()
    held = [place.connect(attacker) for _ in range(60)]
    until("forty are closed", lambda: sum(map(is_closed, held)) == 40)
    place.others_are_served()
    with contextlib.closing(place.connect(attacker)) as s:
        s.sendall(request_bytes("a.example", "/"))
        assert read_answer(s).status == 200
    for s in held:
        s.close()


@pytest.mark.asan
def test_one_who_asks_too_often_is_told(place):
    attacker = place.somebody()
    statuses = []
    with contextlib.closing(place.connect(attacker)) as s:
        for _ in range(40):
            s.sendall(request_bytes("a.example", "/"))
            answer = read_answer(s)
            statuses.append(answer.status)
            if answer.status == 429:
                assert int(answer.headers["Retry-After"]) >= 1
                assert "Too many requests came from your address" in answer.text
        assert statuses[:10] == [200] * 10
        assert 429 in statuses
        s.sendall(request_bytes("a.example", "/.well-known/acme-challenge/" + "a" * 43))
        assert read_answer(s).status in (200, 404)
    place.others_are_served()


def drips_until_closed(s, piece):
    began = time.monotonic()
    with contextlib.suppress(OSError):
        while time.monotonic() - began < 20:
            s.sendall(piece)
            if is_closed(s):
                break
            time.sleep(0.05)
    return time.monotonic() - began


def test_slow_header(place):
    with contextlib.closing(place.connect(place.somebody())) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        assert drips_until_closed(s, b"x") < 15
    place.others_are_served()


def test_slow_body(place):
    with contextlib.closing(place.connect(place.somebody())) as s:
        s.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        assert drips_until_closed(s, b"x") < 15
    place.others_are_served()


def memory_of(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * 4096


@pytest.mark.timed
def test_slow_readers_cost_bounded_memory(place):
    before = memory_of(place.everseal.pid("serve"))
    readers = []
    for i in range(20):
        s = place.connect(place.somebody())
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(request_bytes("a.example", "/large"))
        readers.append(s)
    place.others_are_served()
    assert memory_of(place.everseal.pid("serve")) - before < 20 << 20

    def all_cut_off():
        for s in readers:
            with contextlib.suppress(OSError):
                s.settimeout(0.01)
                s.recv(1)
        return len(place.app.open) < 5  # kept ones
    until("the application has been let go", all_cut_off, 20)
    for s in readers:
        s.close()
    place.others_are_served()
