"""Peers on both sides that are slow, early, half-closed or gone, and what stands on the wire then.

One Everseal and one application for the whole file; each test gives the application its script."""
import contextlib
import os
import pathlib
import queue
import shutil
import socket
import ssl
import struct
import tempfile
import threading
import time

import pytest

from house import Everseal
from network import Upstream, raw, read_all, reply, tls, until

SETTINGS = """header-timeout 1500ms
body-timeout 700ms
idle-timeout 900ms
handshake-timeout 1500ms
answer-timeout 700ms
connect-timeout 500ms"""


class Script(Upstream):
    """Each test sets `script`; what came over each connection is kept as it came."""

    def __init__(self):
        self.play, self.wires = self.serve_requests, []
        super().__init__()

    def serve(self, connection):
        with contextlib.suppress(OSError):
            self.play(Recorded(connection, self))
        with self.lock:
            self.open.discard(connection)
        connection.close()

    def begin(self, play):
        with self.lock:
            for connection in self.open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self.heard.clear()
            self.wires.clear()
        until("earlier connections have ended", lambda: not self.open, 5)
        self.play = play or self.serve_requests


class Recorded:
    def __init__(self, connection, upstream):
        self.connection, self.wire = connection, bytearray()
        upstream.wires.append(self.wire)

    def recv(self, n):
        piece = self.connection.recv(n)
        self.wire += piece
        return piece

    def __getattr__(self, name):
        return getattr(self.connection, name)


@pytest.fixture(scope="module")
def place():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="everseal-laws-"))
    folder.chmod(0o755)
    app = Script()
    everseal = Everseal(folder, head=SETTINGS, sites=f"site * {{ proxy {app.address} }}").start()
    everseal.app = app
    try:
        yield everseal
    finally:
        everseal.stop()
        app.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def play(place):
    """Sets what the application does with a connection; None: it answers `hello` to every request."""
    return place.app.begin


def connect(place, secure=False):
    if secure:
        return tls(place.https, "a.example", timeout=8)
    return socket.create_connection(("127.0.0.1", place.http), timeout=8)


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
GET_CLOSE = b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"


def head_of(connection):
    got = b""
    while b"\r\n\r\n" not in got:
        piece = connection.recv(65536)
        if not piece:
            return got
        got += piece
    return got


def answers_with(*pieces, pause=0.0, hold=0.0):
    """One request's head is heard; then the pieces are sent and the connection is closed."""
    def script(connection):
        if not head_of(connection):
            return
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        time.sleep(hold)
    return script


def alive(place, play):
    play(None)
    assert raw(place.http, GET_CLOSE).endswith(b"hello")


# ---- requests: what reaches the application ----

def test_chunks_reach_the_application_in_our_framing(place, play):
    play(None)
    got = raw(place.http, b"POST /p HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n"
              b"Trailer: x\r\nConnection: close\r\n\r\n"
              b"0005;ext=\"q\";b\r\nhello\r\n6\r\n world\r\n000\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n")
    assert got.endswith(b"hello"), got
    heard = place.app.heard[0]
    framed, content = heard.body, b""
    while True:
        size, framed = framed.split(b"\r\n", 1)
        n = int(size, 16)
        if n == 0:
            break
        content, framed = content + framed[:n], framed[n + 2:]
    assert content == b"hello world" and framed == b"\r\n"
    assert heard.value("X-Forwarded-For") == "127.0.0.1" and heard.value("Trailer") is None


def test_pipelined_requests_of_all_kinds(place, play):
    play(None)
    batch = (GET + b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
             + b"POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nGET\r\n0\r\n\r\n"
             + b"GET /.well-known/acme-challenge/x HTTP/1.1\r\nHost: a\r\n\r\n"
             + b"HEAD /3 HTTP/1.1\r\nHost: a\r\n\r\n" + b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n") * 20 + GET_CLOSE
    for step in (len(batch), 1000, 7):
        play(None)
        with contextlib.closing(connect(place)) as s:
            sender = threading.Thread(target=lambda: [s.sendall(batch[i:i + step])
                                                      for i in range(0, len(batch), step)])
            sender.start()
            got = read_all(s)
            sender.join()
        assert got.count(b"HTTP/1.1 200 OK\r\n") == 101 and got.count(b"HTTP/1.1 404 ") == 20
        lines = [h.line.split(" ")[1] for h in place.app.heard]
        assert lines == ["/", "/1", "/2", "/3", "*"] * 20 + ["/"]


@pytest.mark.parametrize("target, host, expected", [
    (b"http://A.example:80/x?y", b"a.example:80", b"GET /x?y HTTP/1.1\r\nhost: a.example:80\r\n"),
    (b"http://a.example?y", b"a.example", b"GET /?y HTTP/1.1\r\nhost: a.example\r\n"),
    (b"//evil.example/%2e%2e/", b"[::1]:8080", b"GET //evil.example/%2e%2e/ HTTP/1.1\r\nhost: [::1]:8080\r\n"),
    (b"/a/../b;c?d=\"<>|^`{}", b"A.EXAMPLE.:", b"GET /a/../b;c?d=\"<>|^`{} HTTP/1.1\r\nhost: a.example.\r\n"),
])
def test_targets_and_hosts_on_the_wire(place, play, target, host, expected):
    play(None)
    got = raw(place.http, b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 200 "), got
    assert bytes(place.app.wires[-1]).startswith(expected), place.app.wires


def test_http_1_0_keep_alive(place, play):
    play(None)
    kept = b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
    got = raw(place.http, kept + kept + b"GET / HTTP/1.0\r\nHost: a\r\n\r\n" + GET)
    assert got.count(b"HTTP/1.1 200") == 3 and got.count(b"connection: keep-alive") == 2
    assert b"transfer-encoding" not in got


def test_http_1_0_gets_no_chunks(place, play):
    play(answers_with(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n"
                      b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))
    got = raw(place.http, b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 200") and got.endswith(b"\r\n\r\nabc") and b"chunked" not in got


# ---- answers ----

@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc", b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
    b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\nabc", b"HTTP/1.1 200 OK\r\nA : b\r\n\r\nabc",
    b"HTTP/1.1 20 OK\r\n\r\nabc", b"HTTP/2 200 OK\r\n\r\nabc", b"abc", b"\r\nHTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 40000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"y" * 5000000, b"HTTP/1.1 103 Hints\r\n\r\n" * 100000,
    b"HTTP/1.1 100 Continue\r\n\r\n" * 100000, b"HTTP/1.1 200 OK\r\nX: ", b"",
    b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n",
])
def test_answers_that_are_none_are_502(place, play, answer):
    play(answers_with(answer))
    got = raw(place.http, GET_CLOSE)
    got = got[got.index(b"HTTP/1.1 502"):]
    assert b"The application behind this site " in got
    alive(place, play)


@pytest.mark.parametrize("head, content", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", b"abc"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"3\r\nabc\r\n"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nX\r\n", b"3\r\nabc\r\n"),
])
@pytest.mark.parametrize("secure", [False, True])
def test_a_cut_answer_never_looks_whole(place, play, head, content, secure):
    play(answers_with(head, pause=0.05))
    with contextlib.closing(connect(place, secure)) as s:
        s.sendall(GET)
        got = read_all(s)
    assert got.startswith(b"HTTP/1.1 200") and not got.endswith(b"0\r\n\r\n")
    assert got.split(b"\r\n\r\n", 1)[1] in (content, b"")


def test_a_cut_answer_to_http_1_0_is_a_reset(place, play):
    play(answers_with(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", pause=0.05))
    with contextlib.closing(connect(place)) as s:
        s.sendall(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            while s.recv(65536):
                pass


@pytest.mark.parametrize("method, answer", [
    (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"),
    (b"HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    (b"HEAD", b"HTTP/1.1 200 OK\r\n\r\nabc"),
    (b"GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc"),
    (b"GET", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\nabc"),
    (b"GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL"),
])
@pytest.mark.parametrize("pause", [0, 0.1])
def test_bytes_behind_an_answer_reach_nobody(place, play, method, answer, pause):
    """Sent with the head or after it, on a connection that the application keeps open."""
    end = answer.index(b"\r\n\r\n") + 4
    served = []

    def script(connection):
        while head_of(connection):
            if not served:
                connection.sendall(answer[:end])
                time.sleep(pause)
                served.append(connection)
                connection.sendall(answer[end:])
            else:
                connection.sendall(reply(b"fine"))
    play(script)
    with contextlib.closing(connect(place)) as s:
        s.sendall(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
        first = head_of(s)
        time.sleep(pause + 0.1)
        s.sendall(GET_CLOSE)
        rest = read_all(s)
    assert first.endswith(b"\r\n\r\n") and b"abc" not in first + rest and b"EVIL" not in first + rest
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n") and rest.endswith(b"fine"), rest


def test_interim_answers_pass(place, play):
    play(answers_with(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3 + reply(b"end")))
    got = raw(place.http, GET_CLOSE)
    assert got.count(b"HTTP/1.1 103 ") == 3 and got.endswith(b"end")


def test_interim_answers_without_end_are_cut_off_in_time(place, play):
    def script(connection):
        head_of(connection)
        while True:
            connection.sendall(b"HTTP/1.1 103 Hints\r\n\r\n")
            time.sleep(0.1)
    play(script)
    start = time.monotonic()
    assert b"HTTP/1.1 502 " in raw(place.http, GET_CLOSE, timeout=10)
    assert time.monotonic() - start < 5


def test_a_head_that_drips_without_end_is_cut_off(place, play):
    """Each byte comes in time; the head as a whole does not."""
    def script(connection):
        head_of(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(100):
            connection.sendall(b"y")
            time.sleep(0.1)
    play(script)
    start = time.monotonic()
    assert raw(place.http, GET_CLOSE, timeout=12).startswith(b"HTTP/1.1 504 ")
    assert time.monotonic() - start < 5


# ---- half-closed, vanished, early ----

@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("request_", [GET, GET_CLOSE, GET + GET, b"POST / HTTP/1.1\r\nHost: a\r\n"
                                      b"Content-Length: 3\r\n\r\nabc",
                                      b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                                      b"3\r\nabc\r\n0\r\n\r\n"])
def test_a_client_that_ended_its_side_gets_its_answer(place, play, secure, request_):
    def script(connection):
        while place.app.hear(connection)[0]:
            time.sleep(0.2)
            connection.sendall(reply(b"late" * 100000))
    play(script)
    with contextlib.closing(connect(place, secure)) as s:
        s.sendall(request_)
        if secure:
            end_tls(s)
        else:
            s.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ssl.SSLZeroReturnError):
            got = b""
            while piece := s.recv(65536):
                got += piece
    n = 2 if request_ == GET + GET else 1
    assert got.count(b"HTTP/1.1 200 OK") == n and got.count(b"late") == n * 100000


def end_tls(s):
    """Sends close_notify and reads on."""
    s.setblocking(False)
    with contextlib.suppress(OSError):
        s._sslobj.shutdown()
    s.settimeout(8)


def test_a_client_that_ends_inside_its_body(place, play):
    play(None)
    got = raw(place.http, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nabc", half_close=True)
    assert got.startswith(b"HTTP/1.1 400 ")
    assert not place.app.heard


STAGES = [b"", b"G", b"GET / HTTP/1.1\r\nHo", GET, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
          b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
          b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
          b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"]


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("gone", [reset, socket.socket.close])
def test_clients_that_vanish_at_every_stage(place, play, secure, gone):
    def script(connection):
        while True:
            if not head_of(connection):
                return
            time.sleep(0.1)
            connection.sendall(reply(b"x" * 3000000))
    play(script)
    for sent in STAGES:
        for wait in (0, 0.05, 0.15):
            s = connect(place, secure)
            s.sendall(sent)
            time.sleep(wait)
            gone(s)
    alive(place, play)
    until("nothing is left open to the application", lambda: len(place.app.open) <= 2, 5)


@pytest.mark.parametrize("when", ["accept", "head", "early", "mid-length", "mid-chunk", "mid-body"])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_applications_that_vanish_at_every_stage(place, play, when, how):
    def script(connection):
        if when == "mid-body":
            connection.recv(100)
        elif when != "accept":
            head_of(connection)
        connection.sendall({"early": b"HTTP/1.1 200 OK\r\nConte", "mid-length": b"HTTP/1.1 200 OK\r\n"
                            b"Content-Length: 5\r\n\r\nab", "mid-chunk": b"HTTP/1.1 200 OK\r\n"
                            b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"}.get(when, b""))
        time.sleep(0.05)
        if how == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    play(script)
    for message in (GET_CLOSE, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n" + b"x" * 400000):
        got = raw(place.http, message)
        if when.startswith("mid-") and when != "mid-body":
            assert got.startswith(b"HTTP/1.1 200") or how == "reset", got[:200]
        else:
            assert got.startswith(b"HTTP/1.1 502"), got[:200]
    alive(place, play)


def test_an_application_that_answers_early(place, play):
    """It does not read the body; the client, who sends all before it reads, still gets the answer."""
    def script(connection):
        head_of(connection)
        connection.sendall(reply(b"no", "401 Unauthorized", ["Connection: close"]))
        connection.shutdown(socket.SHUT_WR)
        time.sleep(0.5)
    for size in (1000, 200_000, 2_000_000, 20_000_000):
        play(script)
        with contextlib.closing(connect(place)) as s:
            s.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
            s.shutdown(socket.SHUT_WR)
            got = read_all(s)
        assert got.startswith(b"HTTP/1.1 401 ") and got.endswith(b"no"), (size, got[:200])


def test_an_application_that_answers_while_the_body_still_comes(place, play):
    """Both go on: the answer streams while the rest of the body is passed on."""
    def script(connection):
        got = head_of(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        while not got.endswith(b"end"):
            got += connection.recv(65536)
        connection.sendall(b"3\r\ndef\r\n0\r\n\r\n")
    play(script)
    with contextlib.closing(connect(place)) as s:
        s.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nConnection: close\r\n\r\n")
        assert head_of(s).startswith(b"HTTP/1.1 200")
        time.sleep(0.2)
        s.sendall(b"the")
        time.sleep(0.2)
        s.sendall(b"end")
        assert read_all(s).endswith(b"3\r\ndef\r\n0\r\n\r\n")


def test_expect_continue(place, play):
    play(None)
    with contextlib.closing(connect(place)) as s:
        s.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n"
                  b"Connection: close\r\n\r\n")
        assert head_of(s) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(b"abc")
        assert read_all(s).endswith(b"hello")
    assert place.app.heard[0].value("Expect") is None


# ---- kept connections to the application ----

@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_an_application_that_closes_after_each_answer(place, play, method):
    """It does not say so; a request that comes after the end was seen is not lost."""
    ended = queue.Queue()

    def script(connection):
        if place.app.hear(connection)[0]:
            connection.sendall(reply(b"one"))
            connection.shutdown(socket.SHUT_RDWR)
            ended.put(True)
    play(script)
    with contextlib.closing(connect(place)) as s:
        for i in range(50):
            s.sendall(method + b" / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
            got = b""
            while not got.endswith(b"one"):
                piece = s.recv(65536)
                assert piece, got
                got += piece
            assert got.startswith(b"HTTP/1.1 200"), (i, got)
            ended.get(timeout=8)


# ---- slow peers ----

@pytest.mark.parametrize("secure", [False, True])
def test_a_slow_reader_gets_all_of_a_last_answer(place, play, secure):
    body = os.urandom(6_000_000)
    play(answers_with(reply(body), hold=3))
    with contextlib.closing(connect(place, secure)) as s:
        s.sendall(GET_CLOSE)
        time.sleep(0.4)
        got = b""
        with contextlib.suppress(OSError):
            while piece := s.recv(100_000):
                got += piece
                time.sleep(0.0003)
    assert got.endswith(body[-100:]) and len(got) > len(body), len(got)


def took(seconds, action):
    start = time.monotonic()
    result = action()
    assert seconds - 0.1 <= time.monotonic() - start < seconds + 1.5
    return result


def test_a_slow_head_is_408(place, play):
    play(None)
    start = time.monotonic()
    with contextlib.closing(connect(place)) as s:
        s.sendall(b"GET / HTTP/1.1\r\n")
        got = read_all(s)
    assert got.startswith(b"HTTP/1.1 408 ") and time.monotonic() - start < 4


def test_a_slow_body_is_408(place, play):
    play(None)
    got = took(0.7, lambda: raw(place.http, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
                                timeout=2.2))
    assert got.startswith(b"HTTP/1.1 408 ")


def test_silence_is_closed(place, play):
    play(None)
    assert took(1.5, lambda: raw(place.http, b"")) == b""
    assert took(0.9, lambda: raw(place.http, GET)).endswith(b"hello")


def test_a_held_handshake_is_closed(place, play):
    for sent in (b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"):
        assert took(1.5, lambda: raw(place.https, sent)) == b""


@pytest.mark.parametrize("secure", [False, True])
def test_who_never_reads_is_reset(place, play, secure):
    ended = []

    def script(connection):
        head_of(connection)
        with contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900000000\r\n\r\n")
            while True:
                connection.sendall(b"x" * 65536)
        ended.append(1)
    play(script)
    with contextlib.closing(connect(place, secure)) as s:
        s.sendall(GET)
        until("the application is let go", lambda: ended, 5)


def test_a_silent_application_is_504(place, play):
    play(lambda connection: time.sleep(3))
    assert took(0.7, lambda: raw(place.http, GET_CLOSE)).startswith(b"HTTP/1.1 504 ")
    play(answers_with(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc", hold=3))
    assert took(0.7, lambda: raw(place.http, GET_CLOSE)).endswith(b"abc")


def test_an_application_that_never_reads_is_504(place, play):
    play(lambda connection: time.sleep(4))
    message = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90000000\r\n\r\n" + b"x" * 30000000
    with contextlib.closing(connect(place)) as s:
        def send():
            with contextlib.suppress(OSError):
                s.sendall(message)
        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        assert head_of(s).startswith(b"HTTP/1.1 504 ")
        with contextlib.suppress(OSError):
            s.shutdown(socket.SHUT_RDWR)
        thread.join(10)


# ---- too many, and TLS that is none ----

def test_descriptors_that_run_out():
    """Clients wait to be accepted; who has been accepted reaches the application."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="everseal-laws-"))
    folder.chmod(0o755)
    app = Script()
    everseal = Everseal(folder, sites=f"site * {{ proxy {app.address} }}")
    clients = []
    try:
        everseal.start(by=("prlimit", "--nofile=160:160"))
        for _ in range(300):
            clients.append(socket.create_connection(("127.0.0.1", everseal.http), timeout=0.4))
        answered = 0
        with contextlib.suppress(TimeoutError):
            for client in clients:
                client.sendall(GET)
                answer = client.recv(65536)
                assert answer.startswith(b"HTTP/1.1 200 "), answer
                answered += 1
        assert "as the limit of open files (ulimit -n) allows" in everseal.log()
        assert 20 <= answered < 160
        for client in clients:
            client.close()
        assert raw(everseal.http, GET_CLOSE).endswith(b"hello")
    finally:
        everseal.stop()
        app.stop()
        shutil.rmtree(folder, ignore_errors=True)


def hello(name, version=b"\x03\x03"):
    """A ClientHello with that server name, as bytes, and no more than it needs."""
    def sized(n, content):
        return len(content).to_bytes(n, "big") + content
    names = sized(2, b"\0" + sized(2, name))
    extensions = b"\0\0" + sized(2, names) + b"\0\x0a" + sized(2, sized(2, b"\0\x17")) + \
        b"\0\x0d" + sized(2, sized(2, b"\x04\x03\x08\x04\x04\x01"))
    body = version + os.urandom(32) + b"\0" + sized(2, b"\xc0\x2b\xc0\x2f") + b"\x01\0" + sized(2, extensions)
    return b"\x16\x03\x01" + sized(2, b"\x01" + sized(3, body))


@pytest.mark.parametrize("name, version, ok", [
    (b"a.example", b"\x03\x03", True), (b"A.eXample", b"\x03\x03", True), (b"a.example.", b"\x03\x03", True),
    (b"*", b"\x03\x03", True), (b"../../etc", b"\x03\x03", True), (b"\xff\xfe", b"\x03\x03", True),
    (b"x" * 255, b"\x03\x03", True), (b"x" * 256, b"\x03\x03", False), (b"x" * 60000, b"\x03\x03", False),
    (b"a\0b", b"\x03\x03", False), (b"", b"\x03\x03", None), (b"a.example", b"\x03\x02", False),
    (b"a.example", b"\x03\x00", False)])
def test_server_names_of_every_kind(place, play, name, version, ok):
    """A handshake that goes on, or an alert; nothing else, and nobody else notices."""
    with contextlib.closing(connect_plain(place.https)) as s:
        s.sendall(hello(name, version))
        first = s.recv(5)
    if ok is not None:
        assert first[:1] == (b"\x16" if ok else b"\x15"), first
    alive(place, play)


def connect_plain(port):
    return socket.create_connection(("127.0.0.1", port), timeout=5)
