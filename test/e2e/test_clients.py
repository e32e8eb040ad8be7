"""Who the client is: behind a proxy that is trusted, behind one that speaks the PROXY protocol, behind
nobody. What the application is told, and what is refused."""
import contextlib
import socket
import struct

import pytest

from network import client_context, free_port, raw, read_answer, request_bytes, until

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def version_2(source, target, command=1, more=b""):
    address = (socket.inet_aton(source[0]) + socket.inet_aton(target[0]) +
               struct.pack("!HH", source[1], target[1]))
    return SIGNATURE + bytes([0x20 | command, 0x11]) + struct.pack("!H", len(address + more)) + address + more


class Place:
    def __init__(self, stage, trusted="trusted-proxy 127.0.0.0/8"):
        self.app = stage.upstream()
        self.http, self.https = free_port(), free_port()
        self.everseal = stage.everseal(
            head=f"{trusted}", sites=f"site * {{ proxy {self.app.address} }}",
            listeners=f"http 127.0.0.1:{self.http} {{ proxy-protocol }}\n"
                      f"https 127.0.0.1:{self.https} {{ proxy-protocol }}\nhttp 127.0.0.1:{free_port()}")
        self.everseal.start()

    def forwarded(self):
        until("the application was asked", lambda: self.app.heard)
        return self.app.heard[-1].value("X-Forwarded-For")


@pytest.fixture(scope="module")
def place(module_stage):
    return Place(module_stage)


GET = request_bytes("a.example", "/", headers=["Connection: close"])


def ask(place, preface, request=GET):
    return raw(place.http, preface + request)


@pytest.mark.asan
@pytest.mark.parametrize("preface, client", [
    (b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n", "192.0.2.7"),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n", "2001:db8::7"),
    (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    (version_2(("192.0.2.8", 4711), ("127.0.0.1", 80)), "192.0.2.8"),
    (version_2(("192.0.2.8", 4711), ("127.0.0.1", 80), more=b"\x04\0\x02xx"), "192.0.2.8"),
    (version_2(("192.0.2.8", 4711), ("127.0.0.1", 80), command=0), "127.0.0.1"),
])
def test_application_is_told_whom_the_proxy_names(place, preface, client):
    place.app.heard.clear()
    assert b" 200 OK\r\n" in ask(place, preface)
    assert place.forwarded() == client


def test_tls_follows_the_preface(place):
    place.app.heard.clear()
    plain = socket.create_connection(("127.0.0.1", place.https), timeout=10)
    plain.sendall(b"PROXY TCP4 192.0.2.9 127.0.0.1 4711 443\r\n")
    with contextlib.closing(client_context().wrap_socket(plain, server_hostname="a.example")) as s:
        s.sendall(GET)
        assert read_answer(s).status == 200
    assert place.forwarded() == "192.0.2.9"


@pytest.mark.asan
@pytest.mark.parametrize("beginning", [
    GET, b"PROXY TCP4 192.0.2.7 127.0.0.1 4711\r\n" + GET, b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\n" + GET,
    SIGNATURE + b"\x21\x11\xff\xff" + GET, b"\x16\x03\x01" + GET,
])
def test_nothing_else_begins_a_connection(place, beginning):
    place.app.heard.clear()
    assert raw(place.http, beginning) == b""
    assert not place.app.heard


def test_strangers_may_not_speak_for_others(stage):
    place = Place(stage, trusted="trusted-proxy 10.0.0.0/8")
    with contextlib.suppress(ConnectionError):
        assert raw(place.http, b"PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n" + GET) == b""
    assert not place.app.heard
