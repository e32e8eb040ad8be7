"""HTTP/2 from the client's side of the real program: what a browser, a gRPC client or a WebSocket does."""
import base64
import contextlib
import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import time

import pytest
from hyperframe.frame import DataFrame, HeadersFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

from http2 import CANCEL, INTERNAL_ERROR, NAME, NO_ERROR, Client, connect, data
from network import free_port, read_all, reply, served, until
from test_upgrade import installed, upgrade  # noqa: F401 (a fixture)


def has_certificate_at(port):
    with contextlib.suppress(OSError):
        return served(port, NAME)


def has_certificate(everseal):
    return has_certificate_at(everseal.https)


def start(stage, application, head="", site=""):
    everseal = stage.everseal(sites=f"site {NAME} {{ proxy {application.address}{site} }}", head=head).start()
    until("a certificate is served", lambda: has_certificate(everseal))
    everseal.application = application
    return everseal


def path_of(heard):
    return heard.line.split()[1]


def answer(heard):
    """An application that does what the path says."""
    path = path_of(heard)
    if path == "/echo":
        return reply(heard.body if not heard.value("Transfer-Encoding") else unchunk(heard.body))
    if path.startswith("/bytes/"):
        return reply(bytes(int(path.split("/")[2])))
    if path == "/chunks":
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    if path == "/cut":
        return [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nabc", None]
    if path == "/hints":
        return b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + reply()
    if path == "/bare":
        return b"HTTP/1.1 204 No Content\r\n\r\n"
    return reply(headers=["X-Path: " + path])


def unchunk(body):
    whole = b""
    while body:
        size, body = body.split(b"\r\n", 1)
        whole, body = whole + body[:int(size, 16)], body[int(size, 16) + 2:]
    return whole


@pytest.fixture(scope="module")
def front(module_stage):
    def answered(heard):
        whole = answer(heard)
        return whole if isinstance(whole, bytes) else whole[0]
    return start(module_stage, module_stage.upstream(answered))


def test_alpn_chooses(front):
    for offered, chosen in ((["h2", "http/1.1"], "h2"), (["http/1.1", "h2"], "h2"), (["h2"], "h2"),
                            (["http/1.1"], "http/1.1"), ([], None)):
        with contextlib.closing(connect(front.https, alpn=offered)) as c:
            assert c.selected_alpn_protocol() == chosen


@pytest.mark.asan
def test_a_request_and_its_answer(front):
    with Client(front.https) as c:
        stream = c.ask("/a?b=c", more=[("x-one", "1"), ("cookie", "a=b"), ("cookie", "c=d")])
        assert (stream.status, stream.body, stream.reset) == (200, b"hello", None)
        assert stream.final["content-length"] == "5" and stream.final["x-path"] == "/a?b=c"
        assert "date" in stream.final and "connection" not in stream.final
    heard = front.application.heard[-1]
    assert heard.line == "GET /a?b=c HTTP/1.1"
    assert heard.value("Host") == NAME and heard.value("X-One") == "1"
    assert heard.value("Cookie") == "a=b; c=d"
    assert heard.value("X-Forwarded-Proto") == "https"
    assert heard.value("Via").startswith("2.0 everseal")
    assert not any(line.startswith(b":") for line in heard.head.split(b"\r\n"))


STRANGERS = ("x-forwarded-for", "x-forwarded-port", "x-forwarded-prefix", "x-forwarded-ssl", "x-forwarded-server",
             "x_forwarded_port", "x-real-ip", "x-original-url", "front-end-https", "x-scheme", "script_name")


@pytest.mark.asan
@pytest.mark.parametrize("trusted", [False, True])
def test_what_strangers_say_of_the_way_is_dropped(stage, upstream, trusted):
    everseal = start(stage, upstream, head="trusted-proxy 127.0.0.0/8" if trusted else "")
    with Client(everseal.https) as c:
        assert c.ask(more=[(name, "6.6.6.6") for name in STRANGERS]).status == 200
    heard = upstream.heard[-1]
    passed = [name for name in STRANGERS if b"6.6.6.6" in (heard.value(name) or "").encode()]
    assert passed == ([name for name in STRANGERS if "_" not in name] if trusted else []), heard.head


@pytest.mark.asan
@pytest.mark.parametrize("size", [0, 1, 1000, 65535, 65536, 3_000_000])
def test_content_goes_up_and_comes_back(front, size):
    body = os.urandom(size)
    with Client(front.https) as c:
        stream_id = c.request("/echo", "POST", more=[("content-length", str(size))], end=False)
        send_content(c, stream_id, body)
        stream = c.answer(stream_id)
        assert stream.status == 200 and stream.body == body
        stream_id = c.request("/echo", "POST", end=False)  # of unknown length
        send_content(c, stream_id, body)
        assert c.answer(stream_id).body == body


def send_content(c, stream_id, body):
    """As the server's windows allow."""
    windows = {0: 65535, stream_id: 65535}
    seen = 0
    while True:
        for f in c.frames[seen:]:
            if isinstance(f, WindowUpdateFrame) and f.stream_id in windows:
                windows[f.stream_id] += f.window_increment
            elif isinstance(f, SettingsFrame) and SettingsFrame.INITIAL_WINDOW_SIZE in f.settings and not \
                    getattr(f, "taken", False):
                windows[stream_id] += f.settings[SettingsFrame.INITIAL_WINDOW_SIZE] - 65535
        seen = len(c.frames)
        n = min(16384, len(body), *windows.values())
        if n > 0 or not body:
            c.send(data(stream_id, body[:n], end=n == len(body)))
            body = body[n:]
            windows = {k: v - n for k, v in windows.items()}
            if not body:
                return
        elif c.read_frame() is None:
            raise AssertionError(f"closed: {c.goaway}")


def test_head_and_bare_answers_have_no_content(front):
    with Client(front.https) as c:
        stream = c.ask("/", "HEAD")
        assert (stream.status, stream.body, stream.final["content-length"]) == (200, b"", "5")
        stream = c.ask("/bare")
        assert (stream.status, stream.body) == (204, b"") and "content-length" not in stream.final
        stream = c.ask("/bytes/0")
        assert (stream.status, stream.body, stream.final["content-length"]) == (200, b"", "0")
        assert len(stream.pieces) == 0


def test_early_hints_pass(front):
    with Client(front.https) as c:
        stream = c.ask("/hints")
        assert [h[":status"] for h in stream.heads] == ["103", "200"]
        assert stream.heads[0]["link"] == "</a.css>"


def test_chunks_become_frames(front):
    with Client(front.https) as c:
        stream = c.ask("/chunks")
        assert stream.body == b"abcde" and "transfer-encoding" not in stream.final


def test_an_answer_that_is_cut_off_is_reset(stage):
    def cut(connection, upstream):
        upstream.hear(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    everseal = start(stage, stage.upstream(script=cut))
    with Client(everseal.https) as c:
        stream = c.ask("/")
        assert (stream.ended, stream.reset) == (False, INTERNAL_ERROR)
        assert stream.body in (b"abc", b"")  # what was not on its way yet is not sent any more
        assert c.ping()  # and the connection goes on


def test_streams_are_answered_in_the_order_of_their_answers(stage):
    """One that waits holds up nobody."""
    waiting, held = [], []

    def script(connection, upstream):
        heard, _ = upstream.hear(connection)
        if heard and path_of(heard) == "/wait":
            waiting.append(connection)
            until("it may go on", lambda: held)
        if heard:
            connection.sendall(reply(headers=["Connection: close"]))
    everseal = start(stage, stage.upstream(script=script))
    with Client(everseal.https) as c:
        slow = c.request("/wait")
        until("it waits", lambda: waiting)
        assert c.ask("/fast").body == b"hello"
        assert not c.stream(slow).over
        held.append(True)
        assert c.answer(slow).body == b"hello"


@pytest.mark.asan
def test_a_hundred_streams_at_once(front):
    with Client(front.https) as c:
        ids = [c.new_id() for _ in range(100)]
        c.send(*(c.head(i, c.fields(f"/{i}")) for i in ids))
        for i in ids:
            stream = c.answer(i)
            assert (stream.status, stream.final["x-path"]) == (200, f"/{i}")


def test_one_large_answer_beside_small_ones(front):
    """Windows are the client's: a stream whose window is shut holds up nobody, and nothing is lost."""
    with Client(front.https, windows=False) as c:
        large = c.request("/bytes/1000000")
        c.until(lambda: len(c.stream(large).body) == 65535, what="the window is used up")
        assert not c.stream(large).over
        c.send(WindowUpdateFrame(0, window_increment=2_000_000))
        assert c.ask("/small").body == b"hello"
        assert len(c.stream(large).body) == 65535
        c.send(WindowUpdateFrame(large, window_increment=2_000_000))
        assert len(c.answer(large).body) == 1_000_000


def test_nothing_is_left_of_streams_that_were_cut(front):
    """What waited for one client is never seen by another."""
    for _ in range(3):
        with Client(front.https, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1}, windows=False) as c:
            ids = [c.request("/bytes/3000") for _ in range(80)]
            c.until(lambda: all(c.stream(i).body for i in ids))
        with Client(front.https) as c:
            ids = [c.request("/") for _ in range(90)]
            assert {c.answer(i).body for i in ids} == {b"hello"}


def test_a_client_that_resets_lets_go_of_the_application(stage):
    gone = []

    def script(connection, upstream):
        heard, _ = upstream.hear(connection)
        if heard:
            gone.append(connection.recv(1))
    everseal = start(stage, stage.upstream(script=script))
    with Client(everseal.https) as c:
        stream_id = c.request("/")
        until("the application has it", lambda: everseal.application.heard)
        c.send(RstStreamFrame(stream_id, error_code=CANCEL))
        until("its connection is closed", lambda: gone)
        assert gone == [b""] and c.ping()


# ---- windows follow the slow side ----

def test_an_application_that_does_not_read_stops_the_client(stage):
    """What is sent ahead is bounded by the windows, and by what the kernel holds."""
    release = []

    def script(connection, upstream):
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1)
        until("it may read", lambda: release, 60)
        left = 20_000_000
        while left > 0:
            left -= len(connection.recv(65536))
        connection.sendall(reply())
    everseal = start(stage, stage.upstream(script=script))
    with Client(everseal.https) as c:
        stream_id = c.request("/", "POST", more=[("content-length", "20000000")], end=False)
        sent = send_until_stopped(c, stream_id)
        assert sent < 12_000_000
        assert c.ping()  # others are not held up
        release.append(True)
        send_content_from(c, stream_id, 20_000_000 - sent)
        assert c.answer(stream_id, 60).status == 200


def windows_of(c, stream_id, sent):
    settings = [f.settings.get(SettingsFrame.INITIAL_WINDOW_SIZE) for f in c.frames
                if isinstance(f, SettingsFrame)]
    initial = next((s for s in settings if s), 65535)
    extra = lambda i: sum(f.window_increment for f in c.frames
                          if isinstance(f, WindowUpdateFrame) and f.stream_id == i)
    return min(65535 + extra(0), initial + extra(stream_id)) - sent


def send_until_stopped(c, stream_id):
    """Until the window is shut and stays shut for a while."""
    sent, shut = 0, 0
    c.until(lambda: any(isinstance(f, SettingsFrame) for f in c.frames))
    while shut < 10:
        n = min(16384, windows_of(c, stream_id, sent))
        if n > 0:
            c.send(DataFrame(stream_id, data=bytes(n)))
            sent, shut = sent + n, 0
        else:
            shut += 1
            with contextlib.suppress(TimeoutError):
                c.read_frame(0.1)
    c.sent = sent
    return sent


def send_content_from(c, stream_id, left):
    sent = c.sent
    while left > 0:
        n = min(16384, left, windows_of(c, stream_id, sent))
        if n > 0:
            sent, left = sent + n, left - n
            c.send(data(stream_id, bytes(n), end=left == 0))
        else:
            assert c.read_frame()


# ---- trailers: gRPC ----

GRPC = (b"HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n"
        b"Trailer: grpc-status\r\n\r\n5\r\n\0\0\0\0\0\r\n0\r\ngrpc-status: 0\r\ngrpc-message: fine\r\n"
        b"content-length: 3\r\n\r\n")


@pytest.mark.asan
def test_trailers_pass_both_ways(stage):
    seen = []

    def script(connection, upstream):
        received = b""
        while b"\r\n0\r\nx-checksum: 7\r\n\r\n" not in received:
            piece = connection.recv(65536)
            if not piece:
                return
            received += piece
        seen.append(received)
        connection.sendall(GRPC)
    everseal = start(stage, stage.upstream(script=script))
    with Client(everseal.https) as c:
        stream_id = c.request("/service/Method", "POST", end=False,
                              more=[("te", "trailers"), ("content-type", "application/grpc")])
        c.send(data(stream_id, b"\0\0\0\0\1x", end=False))
        c.send(c.head(stream_id, [("x-checksum", "7"), ("host", "b"), ("x-real-ip", "1.2.3.4")]))
        stream = c.answer(stream_id)
    assert stream.status == 200 and stream.body == b"\0\0\0\0\0"
    assert stream.trailers == {"grpc-status": "0", "grpc-message": "fine"}
    assert b"\r\nconnection: te\r\nte: trailers\r\n" in seen[0]
    assert seen[0].endswith(b"\r\n\r\n6\r\n\0\0\0\0\1x\r\n0\r\nx-checksum: 7\r\n\r\n")


def test_trailers_that_nobody_asked_for_are_dropped(stage):
    everseal = start(stage, stage.upstream(lambda heard: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                           b"2\r\nhi\r\n0\r\nx-sum: 1\r\n\r\n"))
    with Client(everseal.https) as c:
        stream_id = c.request("/", "POST", end=False)
        c.send(data(stream_id, b"abc", end=False), c.head(stream_id, [("x-checksum", "7")]))
        stream = c.answer(stream_id)
        assert stream.body == b"hi" and stream.trailers is None
    assert everseal.application.heard[0].body.endswith(b"abc\r\n0\r\n\r\n")


# ---- continue, time-outs, limits ----

def test_expect_continue(front):
    with Client(front.https) as c:
        stream_id = c.request("/echo", "POST", end=False, more=[("expect", "100-continue"),
                                                                ("content-length", "2")])
        stream = c.stream(stream_id)
        assert c.until(lambda: stream.heads)
        assert stream.heads == [{":status": "100"}]
        c.send(data(stream_id, b"hi"))
        assert c.answer(stream_id).body == b"hi"


def test_a_body_that_does_not_come_is_408(stage):
    everseal = start(stage, stage.upstream(answer), head="body-timeout 400ms")
    with Client(everseal.https) as c:
        stream_id = c.request("/echo", "POST", end=False)
        assert c.answer(stream_id).status == 408
        assert c.ask("/").status == 200


def test_a_window_that_stays_shut_ends_the_stream(stage):
    everseal = start(stage, stage.upstream(answer), head="body-timeout 400ms")
    with Client(everseal.https, windows=False) as c:
        stream_id = c.request("/bytes/1000000")
        assert c.answer(stream_id).reset == CANCEL
        c.send(WindowUpdateFrame(0, window_increment=100_000))
        assert c.ask("/").status == 200


def test_a_head_without_end_closes(stage):
    everseal = start(stage, stage.upstream(answer), head="header-timeout 400ms")
    with Client(everseal.https) as c:
        c.ask("/")
        c.send(HeadersFrame(3, data=c.encoder.encode(c.fields())))
        assert c.end_of_connection() == NO_ERROR


def test_idle_connections_end_though_they_ping(stage):
    everseal = start(stage, stage.upstream(answer), head="idle-timeout 600ms")
    with Client(everseal.https) as c:
        c.ask("/")
        begun = time.monotonic()
        while not c.closed and time.monotonic() - begun < 15:
            with contextlib.suppress(OSError, AssertionError):
                c.ping(0.1)
            time.sleep(0.02)
        assert c.goaway.error_code == NO_ERROR and c.goaway.last_stream_id == 1


def test_a_body_that_is_too_long_is_413(stage):
    everseal = start(stage, stage.upstream(answer), head="body-most 1000")
    with Client(everseal.https) as c:
        assert c.ask("/echo", "POST", body=bytes(1001)).status == 413
        assert c.ask("/echo", "POST", end=False, more=[("content-length", "1001")]).status == 413
        assert c.ask("/echo", "POST", body=bytes(1000)).status == 200


def test_an_answer_before_the_whole_request_ends_with_no_error(stage):
    """RFC 9113 8.1"""
    everseal = start(stage, stage.upstream(script=early))
    with Client(everseal.https) as c:
        stream_id = c.request("/", "POST", end=False)
        stream = c.answer(stream_id)
        assert stream.status == 403 and stream.ended
        c.until(lambda: stream.reset is not None)
        assert stream.reset == NO_ERROR
        c.send(data(stream_id, b"late"))
        assert c.ping()


def early(connection, upstream):
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(65536)
    connection.sendall(reply(b"no", "403 Forbidden", ["Connection: close"]))


# ---- the end of a connection ----

def test_requests_per_connection(stage):
    everseal = start(stage, stage.upstream(answer), head="requests-per-connection 3")
    with Client(everseal.https) as c:
        for n in range(3):
            assert c.ask("/").status == 200
        assert c.end_of_connection() == NO_ERROR
        assert c.goaway.last_stream_id == 5


def test_a_drain_lets_what_is_under_way_end(stage):
    go_on = []

    def script(connection, upstream):
        heard, _ = upstream.hear(connection)
        if heard:
            until("it may answer", lambda: go_on)
            connection.sendall(reply())
    everseal = start(stage, stage.upstream(script=script))
    with Client(everseal.https) as c, Client(everseal.https) as idle:
        stream_id = c.request("/")
        assert idle.ping()
        until("the application has it", lambda: everseal.application.heard)
        everseal.process.send_signal(signal.SIGTERM)
        assert idle.end_of_connection() == NO_ERROR
        assert c.until(lambda: c.goaway)
        assert c.goaway.error_code == NO_ERROR and c.goaway.last_stream_id == 2 ** 31 - 1
        go_on.append(True)
        assert c.answer(stream_id).body == b"hello"
        assert c.end_of_connection() == NO_ERROR and c.goaway.last_stream_id == stream_id
    everseal.process.wait(20)


def test_an_upgrade_lets_what_is_under_way_or_on_its_way_end(stage, installed):  # noqa: F811
    go_on = []

    def script(connection, upstream):
        heard, _ = upstream.hear(connection)
        if heard and path_of(heard) == "/wait":
            until("it may answer", lambda: go_on, 60)
        if heard:
            connection.sendall(reply(headers=["Connection: close"]))
    everseal = start(stage, stage.upstream(script=script), head="drain-timeout 20s")
    with Client(everseal.https) as c, Client(everseal.https) as late:
        waits = c.request("/wait")
        assert late.ask("/").status == 200
        until("the application has it", lambda: len(everseal.application.heard) == 2)
        upgrade(everseal).ok()
        # This one does not read, so it has not heard that it should go: what it sends is served.
        assert late.ask("/").body == b"hello"
        assert late.end_of_connection() == NO_ERROR
        go_on.append(True)
        assert c.answer(waits).body == b"hello"
        assert c.end_of_connection() == NO_ERROR and c.goaway.last_stream_id == waits
        with Client(everseal.https) as new:
            assert new.ask("/").status == 200


# ---- which site ----

def test_an_unknown_site_is_421(front):
    with Client(front.https) as c:
        assert c.ask("/", authority="b.example.com").status == 421
        assert c.ask("/").status == 200


def test_the_page_speaks_http_1(stage):
    port = free_port()
    everseal = stage.everseal(head=f"page 127.0.0.1:{port} {NAME}").start()
    until("a certificate is served", lambda: has_certificate_at(port))
    with contextlib.closing(connect(port)) as c:
        assert c.selected_alpn_protocol() == "http/1.1"


def test_h2c_is_not_spoken(front):
    with contextlib.closing(socket.create_connection(("127.0.0.1", front.http), timeout=10)) as s:
        s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SettingsFrame().serialize())
        assert re.match(rb"HTTP/1\.1 505 ", read_all(s))


# ---- WebSocket (RFC 8441) ----

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
         b"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: chat\r\n\r\n"


def accept_key(heard):
    key = heard.value("Sec-WebSocket-Key")
    assert len(base64.b64decode(key)) == 16
    return base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def open_tunnel(c):
    stream_id = c.request("/chat", "CONNECT", end=False, protocol="websocket",
                          more=[("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat")])
    stream = c.stream(stream_id)
    c.until(lambda: stream.heads or stream.over)
    return stream_id, stream


def echo_tunnel(connection, upstream):
    heard, rest = upstream.hear(connection)
    if not heard:
        return
    connection.sendall(SWITCH % accept_key(heard) + rest)
    while piece := connection.recv(65536):
        connection.sendall(piece)
    connection.sendall(b"bye")


@pytest.mark.asan
def test_extended_connect_is_a_websocket(stage):
    everseal = start(stage, stage.upstream(script=echo_tunnel))
    with Client(everseal.https) as c:
        stream_id, stream = open_tunnel(c)
        assert stream.status == 200 and stream.final["sec-websocket-protocol"] == "chat"
        assert not {"sec-websocket-accept", "upgrade", "connection", "content-length"} & set(stream.final)
        c.send(data(stream_id, b"hello", end=False))
        assert c.until(lambda: stream.body == b"hello")
        assert not stream.ended
        send = os.urandom(200_000)
        for i in range(0, len(send), 10_000):
            c.send(data(stream_id, send[i:i + 10_000], end=False))
            c.until(lambda: len(stream.body) >= 5 + i + 10_000)
        c.send(data(stream_id, b""))
        c.answer(stream_id)
        assert stream.body == b"hello" + send + b"bye" and stream.ended and stream.reset is None
        assert c.ping()
    heard = everseal.application.heard[0]
    assert heard.line == "GET /chat HTTP/1.1"
    assert (heard.value("Upgrade"), heard.value("Connection")) == ("websocket", "upgrade")


def test_a_websocket_that_is_refused(stage):
    everseal = start(stage, stage.upstream(lambda heard: reply(b"no", "403 Forbidden")))
    with Client(everseal.https) as c:
        stream_id, stream = open_tunnel(c)
        c.answer(stream_id)
        assert (stream.status, stream.body) == (403, b"no") and c.ping()
        assert stream.reset == NO_ERROR  # nothing of the stream is left, though we did not end our side


@pytest.mark.parametrize("answer", [reply(b"page"), b"HTTP/1.1 204 No Content\r\n\r\n"], ids=["200", "204"])
def test_an_answer_that_is_no_websocket_does_not_look_like_one(stage, answer):
    """Over HTTP/2 any 2xx would say that the tunnel stands, and the page would be its frames."""
    everseal = start(stage, stage.upstream(lambda heard: answer))
    with Client(everseal.https) as c:
        stream_id, stream = open_tunnel(c)
        c.answer(stream_id)
        assert (stream.status, stream.body) == (501, b"" if b"204" in answer else b"page") and c.ping()


def test_a_wrong_accept_is_502(stage):
    def script(connection, upstream):
        upstream.hear(connection)
        connection.sendall(SWITCH % b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        connection.recv(1)
    everseal = start(stage, stage.upstream(script=script))
    with Client(everseal.https) as c:
        assert open_tunnel(c)[1].status == 502


def test_each_end_of_a_tunnel_is_seen(stage):
    ended = []

    def script(connection, upstream):
        heard, _ = upstream.hear(connection)
        if not heard:
            return
        connection.sendall(SWITCH % accept_key(heard))
        try:
            first = connection.recv(10)
            if first == b"die":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
                return
            ended.append(first)
        except ConnectionResetError:
            ended.append("reset")
    everseal = start(stage, stage.upstream(script=script))
    with Client(everseal.https) as c:
        stream_id, stream = open_tunnel(c)
        c.send(RstStreamFrame(stream_id, error_code=CANCEL))
        until("the application sees a reset", lambda: ended)
        assert ended == ["reset"]
        stream_id, stream = open_tunnel(c)
        c.send(data(stream_id, b"die", end=False))
        assert c.answer(stream_id).reset == CANCEL
        assert c.ping()


def test_other_connects_are_501(front):
    with Client(front.https) as c:
        assert c.ask(method="CONNECT", path=None, scheme=None).status == 501
        assert c.ask(method="CONNECT", protocol="connect-udp", end=False).status == 501
        assert c.ping()


# ---- priorities (RFC 9218) ----

def test_urgent_streams_come_first(front):
    with Client(front.https, windows=False) as c:
        first = c.request("/bytes/65535")
        c.answer(first)  # the connection's window is used up
        ids = [c.new_id() for _ in range(3)]
        c.send(*(c.head(i, c.fields("/bytes/60000", more=[("priority", f"u={u}")]))
                 for i, u in zip(ids, (7, 7, 0))))
        c.until(lambda: all(c.stream(i).heads for i in ids), what="all three are answered")
        c.send(WindowUpdateFrame(0, window_increment=60_000))
        c.until(lambda: sum(len(c.stream(i).body) for i in ids) == 60_000)
        assert len(c.stream(ids[2]).body) == 60_000  # which came last, and was served first


# ---- other implementations ----

def test_h2load(front):
    done = subprocess.run(["h2load", "-n", "2000", "-c", "4", "-m", "32", f"--connect-to=127.0.0.1:{front.https}",
                           f"https://{NAME}/"], capture_output=True, text=True, timeout=60)
    assert re.search(r"2000 succeeded, 0 failed, 0 errored, 0 timeout", done.stdout), done.stdout


def test_curl(front):
    done = subprocess.run(["curl", "-sk", "--http2", "--resolve", f"{NAME}:{front.https}:127.0.0.1",
                           "-d", "hello from curl", "-w", " %{http_version}", f"https://{NAME}:{front.https}/echo"],
                          capture_output=True, text=True, timeout=30)
    assert done.stdout == "hello from curl 2"
