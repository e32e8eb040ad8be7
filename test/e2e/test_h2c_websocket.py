"""WebSockets to an application that is reached by HTTP/2 (RFC 8441), from clients of both versions."""
import contextlib
import hashlib
import base64
import socket

import pytest
from hyperframe.frame import DataFrame, RstStreamFrame, SettingsFrame

import http2
from http2_upstream import Http2Upstream, hang_up, pour
from network import ask, read_answer, request_bytes, until
from test_h2c import NAME, client, get, start

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = base64.b64encode(hashlib.sha1((KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}")
OFFERED = {SettingsFrame.ENABLE_CONNECT_PROTOCOL: 1}


def taken(play, more=(), status="200"):
    """A script: takes the first stream that is asked for, and does with it what `play` does."""
    def script(peer):
        assert peer.until(lambda: peer.streams and next(iter(peer.streams.values())).heads)
        i = next(iter(peer.streams))
        peer.send(peer.head(i, [(":status", status), *more], end=False))
        play(peer, i)
    return script


def heard(peer, i, count):
    assert peer.until(lambda: len(peer.streams[i].body) >= count)
    return peer.streams[i].body


def echo_once(peer, i):
    heard(peer, i, 5)
    pour(peer, i, b"you said " + peer.streams[i].body, end=False)
    if peer.until(lambda: peer.streams[i].ended or peer.streams[i].reset is not None) and peer.streams[i].ended:
        pour(peer, i, b", bye", end=True)


def application(stage, play=echo_once, settings=OFFERED, **more):
    return stage.keep(Http2Upstream(script=taken(play, **more), settings=settings))


def open_raw(everseal, headers=UPGRADE):
    connection = socket.create_connection(("127.0.0.1", everseal.http), timeout=20)
    connection.sendall(request_bytes(NAME, "/chat", headers=headers))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, head
        head += byte
    return connection, head.decode().lower()


def rest_of(connection):
    got = b""
    while piece := connection.recv(65536):
        got += piece
    return got


def open_http2(stage, everseal):
    c = client(stage, everseal)
    stream = c.request("/chat", "CONNECT", end=False, protocol="websocket", more=[("sec-websocket-version", "13")])
    assert c.until(lambda: c.streams.get(stream) and c.streams[stream].final)
    return c, stream


def test_from_http_1(stage):
    app = application(stage, more=[("sec-websocket-protocol", "chat"), ("sec-websocket-accept", "of nobody")])
    everseal = start(stage, app)
    connection, head = open_raw(everseal)
    with contextlib.closing(connection):
        assert head.startswith("http/1.1 101 ") and "\r\nupgrade: websocket\r\n" in head
        assert head.count("sec-websocket-accept: ") == 1 and f"sec-websocket-accept: {ACCEPT.lower()}\r\n" in head
        assert "sec-websocket-protocol: chat\r\n" in head and "content-length" not in head
        connection.sendall(b"hello")
        assert connection.recv(100) == b"you said hello"
        connection.shutdown(socket.SHUT_WR)
        assert rest_of(connection) == b", bye", "its end was passed on, and the application's came back"
    asked = app.peers[0].request(1)
    assert (asked[":method"], asked[":protocol"], asked[":path"]) == ("CONNECT", "websocket", "/chat")
    assert (asked[":scheme"], asked[":authority"], asked["sec-websocket-version"]) == ("http", NAME, "13")
    assert not {"sec-websocket-key", "upgrade", "connection", "content-length"} & set(asked)


def test_from_http_2(stage):
    app = application(stage)
    c, stream = open_http2(stage, start(stage, app))
    assert c.streams[stream].status == 200 and "sec-websocket-accept" not in c.streams[stream].final
    c.send(DataFrame(stream, data=b"hello"))
    assert c.until(lambda: c.streams[stream].body == b"you said hello")
    c.send(DataFrame(stream, flags=["END_STREAM"]))
    assert c.until(lambda: c.streams[stream].ended) and c.streams[stream].body == b"you said hello, bye"
    assert "sec-websocket-key" not in app.peers[0].request(1)


def test_the_applications_end_comes_first(stage):
    def play(peer, i):
        pour(peer, i, b"bye", end=True)
        assert heard(peer, i, 8) == b"good bye" and peer.until(lambda: peer.streams[i].ended)
    app = application(stage, play)
    c, stream = open_http2(stage, start(stage, app))
    assert c.until(lambda: c.streams[stream].ended) and c.streams[stream].body == b"bye"
    pour(c, stream, b"good bye")
    until("the application has its end, too", lambda: app.peers[0].streams[1].ended)


@pytest.mark.asan
def test_large_messages_pass_both_ways_at_once(stage):
    def play(peer, i):
        while not peer.streams[i].ended or peer.streams[i].body:
            body, peer.streams[i].body = peer.streams[i].body, b""
            pour(peer, i, body, end=False)
            if not peer.streams[i].ended and not peer.streams[i].body:
                peer.read_frame(20)
        peer.send(DataFrame(i, flags=["END_STREAM"]))
    app = application(stage, play)
    c, stream = open_http2(stage, start(stage, app))
    message = bytes(range(256)) * 8192
    pour(c, stream, message)
    assert c.until(lambda: c.streams[stream].ended) and c.streams[stream].body == message


@pytest.mark.parametrize("breaks", [lambda p, i: p.send(RstStreamFrame(i, error_code=http2.CANCEL)),
                                    lambda p, i: hang_up(p)], ids=["reset", "connection"])
def test_an_application_that_breaks_off_is_seen(stage, breaks):
    def play(peer, i):
        heard(peer, i, 1)
        breaks(peer, i)
    c, stream = open_http2(stage, start(stage, application(stage, play)))
    c.send(DataFrame(stream, data=b"x"))
    assert c.until(lambda: c.streams[stream].over) and c.streams[stream].reset == http2.CANCEL


def test_a_client_that_breaks_off_is_seen(stage):
    app = application(stage, lambda peer, i: peer.until(lambda: peer.streams[i].over))
    connection, _ = open_raw(start(stage, app))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()
    until("the application has seen it", lambda: app.peers[0].streams[1].reset == http2.CANCEL)


def test_a_refusal_is_an_ordinary_answer(stage):
    def play(peer, i):
        pour(peer, i, b"no", end=True)
        peer.serve_others = True
    app = application(stage, play, status="403", more=[("content-length", "2")])
    everseal = start(stage, app)
    with contextlib.closing(socket.create_connection(("127.0.0.1", everseal.http), timeout=20)) as connection:
        connection.sendall(request_bytes(NAME, "/", headers=UPGRADE))
        answer = read_answer(connection)
        assert (answer.status, answer.text) == (403, "no") and answer.headers["Upgrade"] is None


def test_where_the_application_does_not_offer_it(stage):
    """A clear answer, of which the application hears nothing, and which is not held against it."""
    app = stage.keep(Http2Upstream())
    everseal = start(stage, app, block="")
    for _ in range(2):
        answer = get(everseal, headers=UPGRADE)
        assert answer.status == 502 and "takes no WebSocket" in answer.text and not app.asked
    assert get(everseal).status == 200


def test_one_without_a_key_is_400(stage):
    app = stage.keep(Http2Upstream(settings=OFFERED))
    answer = get(start(stage, app), headers=UPGRADE[:-1])
    assert answer.status == 400 and "Sec-WebSocket-Key" in answer.text and not app.asked


def test_its_word_is_waited_for(stage):
    """RFC 8441 3: nothing is asked before the SETTINGS have come, and not for ever."""
    def silent(peer):
        while peer.read_frame(600):
            pass
    app = stage.keep(Http2Upstream(script=silent, greet=False, acks=False))
    everseal = start(stage, app, head="answer-timeout 500ms")
    answer = ask(everseal.http, NAME, headers=UPGRADE)
    assert answer.status == 504 and not app.peers[0].streams
