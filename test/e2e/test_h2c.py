"""Applications that are reached by HTTP/2 with prior knowledge: `proxy h2c://HOST:PORT`."""
import contextlib
import shutil
import socket
import subprocess
import threading
import time

import pytest
from hyperframe.frame import (ContinuationFrame, DataFrame, GoAwayFrame, HeadersFrame, PingFrame,
                              PushPromiseFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame)

import http2
from http2_upstream import Http2Upstream, hang_up, pour
from network import ask, free_port, reply, until
from test_http2 import has_certificate

NAME = http2.NAME


def start(stage, *applications, head="", block=""):
    names = " ".join(a if isinstance(a, str) else a.h2c for a in applications)
    everseal = stage.everseal(head=f"workers 1\n{head}", sites=f"site {NAME} {{ proxy {names} {{ {block} }} }}").start()
    until("the name has its certificate", lambda: has_certificate(everseal))
    return everseal


def client(stage, everseal, **options):
    c = http2.Client(everseal.https, **options)
    c.stop = c.socket.close
    return stage.keep(c)


def get(everseal, path="/", **more):
    return ask(everseal.http, NAME, path, **more)


# ---- what passes ----

def test_a_request_of_http_1_becomes_one_of_http_2(stage):
    app = stage.keep(Http2Upstream(lambda peer, i, s: peer.answer_with(
        i, b"hello", more=[("x-answer", "1"), ("trailer", "x"), ("set-cookie", "a=1"), ("set-cookie", "b=2")])))
    everseal = start(stage, app)
    answer = get(everseal, "/a%20b?c=d", headers=["Cookie: x=1", "X-A: 1", "Connection: x-b", "X-B: 2", "TE: gzip"])
    assert (answer.status, answer.body) == (200, b"hello")
    assert answer.headers.get_all("x-answer") == ["1"] and answer.headers.get_all("set-cookie") == ["a=1", "b=2"]
    assert answer.headers["trailer"] is None
    fields = dict(app.asked[0].heads[0])
    assert list(fields)[:4] == [":method", ":scheme", ":authority", ":path"]
    assert fields[":method"] == "GET" and fields[":path"] == "/a%20b?c=d" and fields[":scheme"] == "http"
    assert fields[":authority"] == NAME
    assert fields["x-a"] == "1" and fields["cookie"] == "x=1" and fields["x-forwarded-for"] == "127.0.0.1"
    assert not {"x-b", "connection", "te", "host", "transfer-encoding", "content-length"} & set(fields)
    first = app.peers[0].frames[0]
    assert isinstance(first, SettingsFrame) and first.settings[SettingsFrame.ENABLE_PUSH] == 0


@pytest.mark.parametrize("size", [0, 1, 16384, 100_000, 3_000_000])
def test_content_goes_up_and_comes_back(stage, size):
    app = stage.keep(Http2Upstream(lambda peer, i, s: peer.answer_with(i, s.body)))
    everseal = start(stage, app)
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert get(everseal, method="POST", body=body).body == body
    assert app.asked[0].heads[0]["content-length"] == str(size)
    c = client(stage, everseal)
    stream = c.request(method="POST", end=False)
    pour(c, stream, body)
    assert c.answer(stream).body == body
    assert len(app.peers) == 1, "one connection has both"


def test_head_interim_and_bare_answers(stage):
    def answer(peer, i, s):
        path = s.heads[0][":path"]
        if path == "/hints":
            peer.send(peer.head(i, [(":status", "103"), ("link", "</a>")], end=False))
        more = [("content-length", "5")] if s.heads[0][":method"] == "HEAD" else []
        peer.answer_with(i, b"hello" if path == "/hints" else b"", "204" if path == "/bare" else "200", more)
    app = stage.keep(Http2Upstream(answer))
    everseal = start(stage, app)
    c = client(stage, everseal)
    hints = c.ask("/hints")
    assert [h[":status"] for h in hints.heads] == ["103", "200"] and hints.body == b"hello"
    head = c.ask("/", "HEAD")
    assert head.final["content-length"] == "5" and head.body == b""
    assert c.ask("/bare").status == 204
    assert c.ask("/empty").final["content-length"] == "0"


# ---- gRPC ----

GRPC = [("content-type", "application/grpc"), ("te", "trailers")]
OK = [("grpc-status", "0"), ("grpc-message", "fine")]


def message(text):
    return b"\0" + len(text).to_bytes(4, "big") + text


def test_grpc_unary(stage):
    app = stage.keep(Http2Upstream(lambda peer, i, s: peer.answer_with(
        i, message(b"reply to " + s.body[5:]), more=[GRPC[0]], trailers=OK)))
    everseal = start(stage, app)
    stream = client(stage, everseal).ask("/pkg.Service/Unary", "POST", GRPC, body=message(b"ask"))
    assert stream.body == message(b"reply to ask") and stream.trailers == dict(OK)
    assert app.asked[0].heads[0]["te"] == "trailers" and app.asked[0].body == message(b"ask")


def test_grpc_that_fails_at_once_says_so_in_its_head(stage):
    app = stage.keep(Http2Upstream(lambda peer, i, s: peer.answer_with(
        i, more=[GRPC[0], ("grpc-status", "12")])))
    stream = client(stage, start(stage, app)).ask("/pkg.Service/None", "POST", GRPC, body=message(b"ask"))
    assert stream.final["grpc-status"] == "12" and stream.ended and not stream.body


def test_grpc_streams_from_the_server(stage):
    more = threading.Event()

    def answer(peer, i, s):
        peer.send(peer.head(i, [(":status", "200"), GRPC[0]], end=False), http2.data(i, message(b"one"), end=False))
        assert more.wait(20)
        peer.send(http2.data(i, message(b"two"), end=False), peer.head(i, OK))
    everseal = start(stage, stage.keep(Http2Upstream(answer)))
    c = client(stage, everseal)
    i = c.request("/s", "POST", GRPC, body=message(b"ask"))
    assert c.until(lambda: c.stream(i).body == message(b"one")), "what has come is not kept back"
    more.set()
    assert c.answer(i).body == message(b"one") + message(b"two") and c.stream(i).trailers == dict(OK)


def test_grpc_streams_both_ways(stage):
    def script(peer):
        peer.until(lambda: 1 in peer.streams and peer.streams[1].heads)
        peer.send(peer.head(1, [(":status", "200"), GRPC[0]], end=False))
        for n in range(1, 6):
            peer.until(lambda: len(peer.streams[1].body) >= 8 * n)
            peer.send(http2.data(1, peer.streams[1].body[8 * (n - 1):8 * n], end=False))
        peer.until(lambda: peer.streams[1].ended)
        peer.send(peer.head(1, OK))
    everseal = start(stage, stage.keep(Http2Upstream(script=script)))
    c = client(stage, everseal)
    i = c.request("/s", "POST", GRPC, end=False)
    said = b""
    for n in range(5):
        said += message(b"no%d" % n)
        c.send(http2.data(i, message(b"no%d" % n), end=False))
        assert c.until(lambda: c.stream(i).body == said), "each message is answered before the next one is sent"
    c.send(c.head(i, [("x-checksum", "5")]))
    assert c.answer(i).trailers == dict(OK)


def test_trailers_of_a_request_pass(stage):
    app = stage.keep(Http2Upstream())
    c = client(stage, start(stage, app))
    i = c.request("/", "POST", end=False)
    c.send(http2.data(i, b"abc", end=False), c.head(i, [("x-checksum", "5")]))
    assert c.answer(i).body == b"hello"
    assert app.asked[0].trailers == {"x-checksum": "5"} and app.asked[0].body == b"abc"


# ---- one connection for many ----

def test_streams_share_a_connection_and_end_in_any_order(stage):
    def script(peer):
        peer.until(lambda: peer.whole(60))
        for i in reversed(peer.whole(60)):
            peer.answer_with(i, peer.request(i)[":path"].encode())
    app = stage.keep(Http2Upstream(script=script))
    c = client(stage, start(stage, app))
    asked = {c.request(f"/{n}"): b"/%d" % n for n in range(60)}
    for i, body in asked.items():
        assert c.answer(i).body == body
    assert app.connections == 1


def test_no_more_streams_than_the_application_says(stage):
    most = []

    def script(peer):
        """Answers when all twelve wait, here or on other connections."""
        answered = set()
        while not peer.closed:
            with contextlib.suppress(TimeoutError):
                peer.read_frame(0.1)
            waiting = [i for i, s in list(peer.streams.items()) if s.ended and i not in answered]
            most.append(len(waiting))
            if sum(len(p.streams) for p in list(app.peers)) in (1, 13):
                answered.update(waiting)
                for i in waiting:
                    peer.answer_with(i, b"x")
    app = stage.keep(Http2Upstream(script=script, settings={SettingsFrame.MAX_CONCURRENT_STREAMS: 2}))
    c = client(stage, start(stage, app))
    assert c.ask("/").status == 200
    asked = [c.request(f"/{n}") for n in range(12)]
    assert [c.answer(i).status for i in asked] == [200] * 12
    assert max(most) == 2 and app.connections >= 6


def test_a_slow_client_stops_its_application_and_nobody_else(stage):
    sent = []

    def script(peer):
        peer.until(lambda: peer.whole())
        peer.send(peer.head(1, [(":status", "200")], end=False))
        sent.append(pour(peer, 1, bytes(1 << 20), patience=3))
        app.serve_streams(peer, {1})
    app = stage.keep(Http2Upstream(script=script))
    everseal = start(stage, app)
    slow = client(stage, everseal, windows=False, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1000})
    i = slow.request("/slow")
    assert slow.until(lambda: len(slow.stream(i).body) == 1000)
    until("the application has stopped", lambda: sent)
    fast = client(stage, everseal)
    for _ in range(5):
        assert fast.ask("/fast").body == b"hello", "the connection's own window is not the slow one's"
    assert 131072 <= sent[0] <= 131072 + 1000 + 65536, "no more than the windows and what waits for the client"
    assert app.connections == 1


def test_an_application_that_does_not_read_stops_the_client(stage):
    app = stage.keep(Http2Upstream(script=lambda peer: None, windows=False))
    c = client(stage, start(stage, app))
    i = c.request("/", "POST", end=False)
    assert 65535 <= pour(c, i, bytes(1 << 20), patience=3) <= 65535 + 65536 + 262144
    until("it has its window and no more", lambda: len(app.peers[0].streams[1].body) == 65535)


# ---- ends ----

def test_a_client_that_goes_resets_its_stream_alone(stage):
    app = stage.keep(Http2Upstream(lambda peer, i, s: s.heads[0][":path"] == "/" and peer.answer_with(i, b"x")))
    everseal = start(stage, app)
    c = client(stage, everseal)
    i = c.request("/wait")
    until("it has come", lambda: app.asked)
    c.send(RstStreamFrame(i, error_code=http2.CANCEL))
    until("it is reset", lambda: app.peers[0].streams[1].reset == http2.CANCEL)
    assert c.ask("/").body == b"x"
    assert app.connections == 1 and app.peers[0].goaway is None


@pytest.mark.parametrize("code", [http2.INTERNAL_ERROR, http2.CANCEL, http2.NO_ERROR], ids=str)
def test_a_reset_before_the_head_is_502_and_after_it_an_abort(stage, code):
    seen = threading.Event()

    def answer(peer, i, s):
        if s.heads[0][":path"] == "/late":
            peer.send(peer.head(i, [(":status", "200"), ("content-length", "9")], end=False),
                      http2.data(i, b"part", end=False))
            assert seen.wait(20)
            seen.clear()
        peer.reset(i, code)
    app = stage.keep(Http2Upstream(answer))
    everseal = start(stage, app)
    c = client(stage, everseal)
    early = c.ask("/", "POST", body=b"x")
    assert early.status == 502 and b"broke off" in early.body
    i = c.request("/late")
    assert c.until(lambda: c.stream(i).body == b"part")
    seen.set()
    assert c.answer(i).reset == http2.INTERNAL_ERROR and not c.stream(i).ended
    with socket.create_connection(("127.0.0.1", everseal.http), 20) as plain:
        plain.sendall(f"GET /late HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
        got = b""
        while not got.endswith(b"part"):
            got += plain.recv(1000)
        seen.set()
        assert plain.recv(1000) == b"", "cut off before its length"
    assert app.connections == 1 and len(app.asked) == 3, "none of them was asked again"


def test_what_was_refused_is_asked_again(stage):
    def answer(peer, i, s):
        if i < 5:
            peer.reset(i, http2.REFUSED_STREAM)
        else:
            peer.answer_with(i, s.body)
    app = stage.keep(Http2Upstream(answer))
    c = client(stage, start(stage, app))
    assert c.ask("/", "POST", body=b"once").body == b"once"
    assert [s.body for s in app.asked] == [b"once"] * 3


def test_what_is_refused_for_ever_is_502(stage):
    app = stage.keep(Http2Upstream(lambda peer, i, s: peer.reset(i, http2.REFUSED_STREAM)))
    stream = client(stage, start(stage, app)).ask("/")
    assert stream.status == 502 and b"did not take the request" in stream.body
    assert len(app.asked) == 4


def test_goaway_loses_no_request_that_was_not_processed(stage):
    """The first connection takes stream 1 and lets go of what comes after it, body and all."""
    def script(peer):
        if len(app.peers) > 1:
            app.serve_streams(peer)
            return
        peer.until(lambda: peer.whole(5))
        peer.send(GoAwayFrame(0, last_stream_id=1, error_code=0))
        peer.answer_with(1, b"first")
    app = stage.keep(Http2Upstream(lambda peer, i, s: peer.answer_with(i, b"again " + s.body), script))
    c = client(stage, start(stage, app))
    asked = [c.request("/", "POST", body=b"%d" % n) for n in range(5)]
    assert [c.answer(i).body for i in asked] == [b"first"] + [b"again %d" % n for n in range(1, 5)]
    assert app.connections == 2 and len(app.asked) == 4
    until("the first connection is closed", lambda: app.peers[0].closed)


def test_goaway_of_a_connection_that_is_let_end(stage):
    """RFC 9113 6.8: a warning first, whose streams are all served."""
    def script(peer):
        if len(app.peers) > 1:
            app.serve_streams(peer)
            return
        peer.until(lambda: peer.whole())
        peer.send(GoAwayFrame(0, last_stream_id=2**31 - 1, error_code=0))
        peer.until(lambda: told.is_set() or peer.read_frame())
        peer.answer_with(1, b"first")
    told = threading.Event()
    app = stage.keep(Http2Upstream(script=script))
    c = client(stage, start(stage, app))
    first = c.request("/first")
    until("it has come", lambda: app.peers and app.peers[0].whole())
    time.sleep(0.2)
    assert c.ask("/second").body == b"hello", "by another connection"
    told.set()
    app.peers[0].send(PingFrame(opaque_data=b"12345678"))
    assert c.answer(first).body == b"first"
    assert app.connections == 2


def test_a_connection_that_dies_takes_its_streams_along(stage):
    def script(peer):
        if len(app.peers) > 1:
            app.serve_streams(peer)
            return
        peer.until(lambda: peer.whole())
        peer.answer_with(1, b"x")
        peer.until(lambda: peer.whole(4))
        peer.send(peer.head(3, [(":status", "200")], end=False), http2.data(3, b"part", end=False))
        hang_up(peer)
    app = stage.keep(Http2Upstream(script=script))
    c = client(stage, start(stage, app))
    assert c.ask("/").body == b"x"
    begun, posted, got = c.request("/1"), c.request("/2", "POST", body=b"x"), c.request("/3")
    assert c.answer(begun).reset == http2.INTERNAL_ERROR and not c.stream(begun).ended
    assert c.answer(posted).status == 502, "it may have been acted on"
    assert c.answer(got).body == b"hello", "a GET may be asked again"


def test_an_idle_connection_that_was_closed_is_no_failure(stage):
    def answer(peer, i, s):
        peer.answer_with(i, b"x")
        if len(app.peers) == 1:
            hang_up(peer)
    app = stage.keep(Http2Upstream(answer))
    everseal = start(stage, app)
    for _ in range(3):
        assert get(everseal).body == b"x"


# ---- time ----

def test_an_answer_that_does_not_come_is_504(stage):
    app = stage.keep(Http2Upstream(lambda peer, i, s: None))
    everseal = start(stage, app, block="first-byte-timeout 300ms")
    stream = client(stage, everseal).ask("/")
    assert stream.status == 504 and b"did not answer in time" in stream.body
    until("it is reset", lambda: app.peers[0].streams[1].reset == http2.CANCEL)


def test_a_connection_on_which_nothing_comes_is_left(stage):
    def script(peer):
        if len(app.peers) > 1:
            app.serve_streams(peer)
    app = stage.keep(Http2Upstream(script=script, acks=False))
    c = client(stage, start(stage, app, block="first-byte-timeout 500ms; fails 0"))
    said = [c.ask("/").status for _ in range(4)]  # SETTINGS may have come behind the first request
    assert said in ([504, 200, 200, 200], [504, 504, 200, 200])
    until("it is closed", lambda: app.peers[0].closed)
    assert app.connections == 2


def test_an_answer_that_stops_is_cut_off(stage):
    app = stage.keep(Http2Upstream(lambda peer, i, s: peer.send(
        peer.head(i, [(":status", "200")], end=False), http2.data(i, b"part", end=False))))
    stream = client(stage, start(stage, app, block="answer-timeout 300ms")).ask("/")
    assert stream.body == b"part" and stream.reset == http2.INTERNAL_ERROR


def test_an_idle_connection_is_left_in_order(stage):
    app = stage.keep(Http2Upstream())
    everseal = start(stage, app, block="upstream-idle 200ms")
    assert get(everseal).body == b"hello"
    until("it is left", lambda: app.peers[0].closed)
    assert app.peers[0].goaway.error_code == 0
    assert get(everseal).body == b"hello" and app.connections == 2


def test_nobody_there_is_502_and_the_next_one_is_asked(stage):
    gone = f"h2c://127.0.0.1:{free_port()}"
    app = stage.keep(Http2Upstream())
    everseal = start(stage, gone, app)
    assert [get(everseal).body for _ in range(4)] == [b"hello"] * 4
    other = start(stage, gone)
    answer = get(other)
    assert answer.status == 502 and "cannot be reached" in answer.text
    other.logged(r"The application cannot be reached \(Connection refused\)")


def test_one_of_http_1_takes_over_by_a_connection_that_it_keeps(stage):
    shaky = stage.keep(Http2Upstream(lambda peer, i, s: hang_up(peer)))
    steady = stage.upstream(answer=lambda heard: reply(b"steady"))
    everseal = start(stage, shaky, steady.address, block="fails 0")
    before = everseal.pid("serve")
    for _ in range(8):
        assert get(everseal).body == b"steady"
    assert len(shaky.asked) >= 3
    assert everseal.pid("serve") == before


def test_one_that_speaks_http_1_is_said_to(stage):
    app = stage.upstream(script=lambda connection, upstream: (connection.recv(1000), connection.sendall(
        reply(b"", "400 Bad Request") + b"x" * 100), connection.recv(1000)))
    everseal = start(stage, f"h2c://{app.address}")
    answer = get(everseal)
    assert answer.status == 502 and "not valid HTTP" in answer.text
    everseal.logged("This is not HTTP/2")


# ---- laws ----

def fields(*more, status="200", end=False):
    return lambda p, i: p.head(i, [(":status", status), *more] if status else list(more), end=end)


BAD = {
    "two lengths": (fields(("content-length", "1"), ("content-length", "1")),),
    "a length that is no number": (fields(("content-length", "+1")),),
    "longer than its length": (fields(("content-length", "1")), lambda p, i: http2.data(i, b"ab")),
    "a length and no content": (fields(("content-length", "1"), end=True),),
    "connection": (fields(("connection", "close")),),
    "transfer-encoding": (fields(("transfer-encoding", "chunked")),),
    "upper case": (fields(("X-A", "1")),),
    "a line break": (fields(("x-a", "1\r\nx-b: 2")),),
    "a NUL": (fields(("x-a", "1\0")),),
    "white space in front": (fields(("x-a", " 1")),),
    "no status": (fields(status=None, end=True),),
    "two of them": (fields((":status", "200")),),
    "status behind a field": (lambda p, i: p.head(i, [("x-a", "1"), (":status", "200")]),),
    "status 101": (fields(status="101"),),
    "status 99": (fields(status="99"),),
    "status 1000": (fields(status="1000"),),
    "a path": (fields((":path", "/")),),
    "content before the head": (lambda p, i: http2.data(i, b"x"),),
    "content behind an interim head": (fields(status="103"), lambda p, i: http2.data(i, b"x")),
    "an interim head that ends": (fields(status="103", end=True),),
    "too many fields": (fields(*[(f"x-{n}", "1") for n in range(101)]),),
    "too much of them": (fields(("x-a", "a" * 40000)),),
    "too many interim heads": tuple(fields(status="103") for _ in range(17)),
}


@pytest.mark.parametrize("case", BAD)
def test_an_answer_that_breaks_a_law_is_502_before_its_head(stage_of_laws, case):
    everseal, app = stage_of_laws
    app.case = BAD[case]
    stream = http2.Client(everseal.https)
    with stream as c:
        answer = c.ask("/")
        if case == "longer than its length":
            assert answer.status in (None, 200) and answer.reset == http2.INTERNAL_ERROR and not answer.ended
        else:
            assert answer.status == 502, answer
        app.case = ()
        assert c.ask("/").body == b"fine", "the others on the connection go on"


@pytest.fixture(scope="module")
def stage_of_laws(module_stage):
    def answer(peer, i, s):
        if not app.case:
            peer.answer_with(i, b"fine")
        for part in app.case:
            peer.send(part(peer, i))
    app = module_stage.keep(Http2Upstream(answer))
    app.case = ()
    return start(module_stage, app, block="fails 0"), app


def flood(*frames, times=20000):
    data = b"".join(f if isinstance(f, bytes) else f.serialize() for f in frames) * times
    return lambda p, i: p.send(data)


FLOODS = {
    "SETTINGS": flood(SettingsFrame(settings={SettingsFrame.INITIAL_WINDOW_SIZE: 65535})),
    "PING": flood(PingFrame(opaque_data=b"12345678")),
    "empty DATA": lambda p, i: (p.send(p.head(i, [(":status", "200")], end=False)),
                                flood(DataFrame(i, data=b""))(p, i)),
    "CONTINUATION": lambda p, i: (p.send(HeadersFrame(i, data=b"").serialize()),
                                  flood(ContinuationFrame(i, data=b""))(p, i)),
    "a head without end": lambda p, i: [p.send(HeadersFrame(i, data=b"").serialize())] + [
        p.send(ContinuationFrame(i, data=b"\x00\x01a\x7f\x80\x7f" + b"a" * 16255)) for _ in range(2000)],
    "a bomb": lambda p, i: p.send(p.head(i, [(":status", "200")] + [("x-a", "a" * 4000)] * 4000)),
    "WINDOW_UPDATE": flood(WindowUpdateFrame(0, window_increment=1)),
    "unknown frames": flood(b"\0\0\0\xee\0\0\0\0\0"),
    "a push": lambda p, i: p.send(PushPromiseFrame(i, promised_stream_id=2, data=p.encoder.encode(
        [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")]), flags=["END_HEADERS"])),
    "a stream of its own": lambda p, i: p.send(p.head(2, [(":status", "200")])),
    "a frame too large": lambda p, i: p.send(b"\xff\xff\xff\0\0\0\0\0\1"),
}


@pytest.mark.parametrize("case", FLOODS)
def test_a_flood_ends_its_connection(stage, case):
    def script(peer):
        if len(app.peers) > 1:
            app.serve_streams(peer)
            return
        peer.acks = False
        peer.until(lambda: peer.whole())
        FLOODS[case](peer, 1)
    app = stage.keep(Http2Upstream(script=script))
    everseal = start(stage, app, block="fails 0")
    c = client(stage, everseal)
    answer = c.ask("/", "POST", body=b"x")
    assert answer.status == 502 or answer.reset == http2.INTERNAL_ERROR
    until("the connection is closed", lambda: app.peers[0].closed)
    assert c.ask("/").body == b"hello", "another connection serves the next"


# ---- how it does ----

def test_health_is_asked_for_by_http_2(stage):
    well = threading.Event()
    app = stage.keep(Http2Upstream(lambda peer, i, s: peer.answer_with(
        i, b"x", "200" if well.is_set() or s.heads[0][":path"] != "/health" else "500")))
    everseal = start(stage, app, block="health /health { interval 200ms; timeout 5s }")
    everseal.logged("Its health check was answered with 500, not 200", 20)
    well.set()
    everseal.logged("The application is healthy again", 20)
    heard = next(s for s in app.asked if s.heads[0][":path"] == "/health").heads[0]
    assert heard[":method"] == "GET" and heard[":authority"] == app.address and heard["user-agent"] == "Everseal"


@pytest.mark.parametrize("where", [{"block": "max-connections 2; queue 1"},
                                   {"block": "queue 1", "head": "upstream-connections 2"}], ids=["own", "all"])
def test_most_connections_are_most_requests(stage, where):
    waiting = []
    app = stage.keep(Http2Upstream(lambda peer, i, s: waiting.append((peer, i))))
    everseal = start(stage, app, **where)
    c = client(stage, everseal)
    asked = [c.request(f"/{n}") for n in range(4)]
    assert c.answer(asked[3]).status == 503
    until("two have come", lambda: len(waiting) == 2)
    waiting[0][0].answer_with(waiting[0][1], b"a")
    until("the third has come", lambda: len(waiting) == 3)
    for peer, i in waiting[1:]:
        peer.answer_with(i, b"a")
    assert [c.answer(i).status for i in asked[:3]] == [200] * 3
    assert len({peer for peer, _ in waiting}) == 1


# ---- peers ----

class Nghttpd:
    name = "nghttpd"

    def __init__(self, folder):
        self.port = free_port()
        (folder / "small").write_bytes(b"hello")
        (folder / "large").write_bytes(b"0123456789" * 300_000)
        self.process = subprocess.Popen(
            [shutil.which("nghttpd", path="/usr/sbin:/usr/bin:/sbin:/bin"), "--no-tls", "-a", "127.0.0.1",
             "-d", str(folder), "--trailer=x-trailer: yes", "--echo-upload", str(self.port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("nghttpd listens", self.listens)

    def listens(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


def test_nghttpd(stage):
    peer = stage.keep(Nghttpd(stage.new_folder("nghttpd")))
    everseal = start(stage, f"h2c://127.0.0.1:{peer.port}")
    assert get(everseal, "/small").body == b"hello"
    assert get(everseal, "/large").body == b"0123456789" * 300_000
    assert get(everseal, "/none").status == 404
    body = bytes(range(256)) * 4000
    assert get(everseal, "/small", method="POST", body=body).body == body
    c = client(stage, everseal)
    asked = [c.request("/small", more=[("te", "trailers")]) for _ in range(50)]
    assert all(c.answer(i).body == b"hello" for i in asked)
    assert c.stream(asked[0]).trailers == {"x-trailer": "yes"}
