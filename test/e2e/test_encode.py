"""`encode gzip` through the whole program: streams stay streams, and nothing is compressed that must not be."""
import gzip
import socket
import threading
import zlib

import pytest

from network import ask, reply

TEXT = b"<p>the same words again and again</p>\n" * 1000
GZIP = ["Accept-Encoding: gzip"]


def answer(heard):
    path = heard.head.split(b" ")[1]
    if path == b"/cookie":
        return reply(TEXT, headers=["Content-Type: text/html", "Set-Cookie: a=b"])
    if path == b"/image":
        return reply(TEXT, headers=["Content-Type: image/png"])
    if path == b"/ready":
        return reply(gzip.compress(TEXT), headers=["Content-Type: text/html", "Content-Encoding: gzip"])
    return reply(TEXT, headers=["Content-Type: text/html", 'ETag: "1"'])


@pytest.fixture(scope="module")
def front(module_stage):
    upstream = module_stage.upstream(answer)
    return module_stage.everseal(sites=f"site * {{ proxy {upstream.address}; encode gzip; "
                                       "route /plain { encode off } }").start()


@pytest.mark.asan
@pytest.mark.parametrize("secure", [False, True])
def test_text_is_compressed(front, secure):
    port = front.https if secure else front.http
    got = ask(port, "a.example.com", "/", headers=GZIP, secure=secure)
    assert got.headers["content-encoding"] == "gzip" and got.headers["vary"] == "accept-encoding"
    assert got.headers["etag"] == 'W/"1"'
    assert gzip.decompress(got.body) == TEXT and len(got.body) < len(TEXT) // 10
    bare = ask(port, "a.example.com", "/", secure=secure)
    assert bare.body == TEXT and bare.headers["vary"] == "accept-encoding" and bare.headers["etag"] == '"1"'


@pytest.mark.parametrize("path", ["/cookie", "/image", "/plain"])
def test_what_stays_as_it_is(front, path):
    got = ask(front.http, "a.example.com", path, headers=GZIP)
    assert got.body == TEXT and got.headers["content-encoding"] is None and got.headers["vary"] is None


def test_what_is_compressed_already_is_not_compressed_twice(front):
    assert gzip.decompress(ask(front.http, "a.example.com", "/ready", headers=GZIP).body) == TEXT


@pytest.mark.asan
def test_events_are_not_held_back(stage):
    """Each event can be read before the application sends the next one."""
    seen = threading.Semaphore(0)

    def script(connection, upstream):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(3):
            event = b"data: %d\n\n" % i
            connection.sendall(b"%x\r\n%s\r\n" % (len(event), event))
            assert seen.acquire(timeout=10)
        connection.sendall(b"0\r\n\r\n")

    upstream = stage.upstream(script=script)
    everseal = stage.everseal(sites=f"site * {{ proxy {upstream.address}; encode gzip }}").start()
    with socket.create_connection(("127.0.0.1", everseal.http), timeout=10) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: a.example.com\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n")
        received, text, unzip = b"", b"", zlib.decompressobj(31)
        for i in range(3):
            while b"data: %d\n\n" % i not in text:
                received += s.recv(65536)
                text += unzip.decompress(take_chunks(received))
                received = rest_of(received)
            seen.release()
        while piece := s.recv(65536):
            received += piece
        text += unzip.decompress(take_chunks(received))
    assert text == b"data: 0\n\ndata: 1\n\ndata: 2\n\n" and unzip.eof


def split_chunks(data):
    """(contents of the whole chunks, what is left of a chunk that is not complete)"""
    content = b""
    while b"\r\n" in data:
        size, rest = data.split(b"\r\n", 1)
        size = int(size, 16)
        if len(rest) < size + 2:
            break
        content, data = content + rest[:size], rest[size + 2:]
    return content, data


def take_chunks(received):
    return split_chunks(received.split(b"\r\n\r\n", 1)[1] if b"HTTP/1.1 200" in received else received)[0]


def rest_of(received):
    return split_chunks(received.split(b"\r\n\r\n", 1)[1] if b"HTTP/1.1 200" in received else received)[1]
