"""What a client of HTTP/2 may do to a server without any use to itself: it is disconnected with
ENHANCE_YOUR_CALM, what it cost is bounded, and nobody else notices."""
import contextlib
import functools
import pathlib
import socket
import struct

import pytest
from hyperframe.frame import (ContinuationFrame, DataFrame, ExtensionFrame, HeadersFrame, PingFrame,
                              PriorityFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame)

from http2 import CANCEL, ENHANCE_YOUR_CALM, NAME, REFUSED_STREAM, Client, data
from house import BUILD
from network import reply, until
from test_http2 import start

MEGABYTE = 1 << 20


def answer(heard):
    path = heard.line.split()[1]
    return reply(bytes(int(path.split("/")[2]))) if path.startswith("/bytes/") else reply()


@pytest.fixture(scope="module")
def front(module_stage):
    return start(module_stage, module_stage.upstream(answer), head="body-timeout 1s\nheader-timeout 2s")


def resident(everseal):
    status = pathlib.Path(f"/proc/{everseal.pid('serve')}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


@functools.cache
def keeps_what_was_freed():
    """AddressSanitizer does, so that its memory says nothing."""
    return b"__asan_init" in (BUILD / "everseal-serve").read_bytes()


@contextlib.contextmanager
def nobody_else_notices(everseal, memory=20 * MEGABYTE):
    """The process is the same, grows by no more than that, and answers another client during and after."""
    with Client(everseal.https) as other:
        assert other.ask("/").status == 200
        before, pid = resident(everseal), everseal.pid("serve")
        yield other
        assert other.ask("/").status == 200
        assert everseal.pid("serve") == pid
        assert resident(everseal) - before < memory or keeps_what_was_freed()
    until("nobody is connected to the application for nothing", lambda: len(everseal.application.open) < 20)


def push(c, frames, batch=50):
    """Sends until the server has had enough; its answers are read meanwhile, as far as there are some."""
    sent = 0
    try:
        for frame in frames:
            sent += 1
            c.send(frame)
            if sent % batch == 0:
                drain_ready(c)
    except OSError:
        pass
    return sent


def drain_ready(c):
    while True:
        try:
            if c.read_frame(0.001) is None:
                raise OSError("closed")
        except TimeoutError:
            return


def must_calm_down(everseal, frames, at_most, begin=lambda c: None, **options):
    """It is sent away before it has sent `at_most` of them."""
    with nobody_else_notices(everseal), Client(everseal.https, **options) as c:
        c.ping()
        begin(c)
        sent = push(c, frames(c) if callable(frames) else frames)
        c.until(lambda: c.goaway or c.closed)
        assert c.goaway, f"closed without a word after {sent} frames"
        assert c.goaway.error_code == ENHANCE_YOUR_CALM
        assert sent < at_most
        with contextlib.suppress(OSError):
            c.until(lambda: c.closed)


def rapid_reset(c):
    for _ in range(3000):
        stream_id = c.new_id()
        yield c.head(stream_id, c.fields()) + RstStreamFrame(stream_id, error_code=CANCEL).serialize()


@pytest.mark.asan
def test_rapid_reset(front):
    """CVE-2023-44487"""
    before = len(front.application.heard)
    must_calm_down(front, rapid_reset, 1000)
    assert len(front.application.heard) - before < 400


def test_what_is_reset_in_the_same_breath_never_reaches_the_application(stage):
    application = stage.upstream(answer)
    everseal = start(stage, application)
    with Client(everseal.https) as c:
        c.ping()
        streams = [c.new_id() for _ in range(50)]
        c.send(*(f for i in streams for f in (c.head(i, c.fields()), RstStreamFrame(i, error_code=CANCEL))))
        assert c.ask("/").status == 200
    assert len(application.heard) == 1 and application.connections == 1


def test_resets_beside_answers_are_borne(front):
    """A gRPC client, say, that gives up on every second call."""
    with nobody_else_notices(front), Client(front.https) as c:
        for _ in range(500):
            stream_id = c.new_id()
            c.send(c.head(stream_id, c.fields()), RstStreamFrame(stream_id, error_code=CANCEL))
            assert c.ask("/").status == 200


def test_pings_beside_content_are_borne(front):
    """So gRPC measures what a path can carry."""
    with nobody_else_notices(front), Client(front.https) as c:
        for _ in range(1500):
            assert c.ask("/").status == 200
            assert c.ping()


def reset_by_window_overflow(c):
    for _ in range(3000):
        stream_id = c.new_id()
        yield c.head(stream_id, c.fields()) + WindowUpdateFrame(stream_id, window_increment=2 ** 31 - 1).serialize()


def reset_by_too_much_content(c):
    for _ in range(3000):
        stream_id = c.new_id()
        yield c.head(stream_id, c.fields(method="POST", more=[("content-length", "1")]), end=False) + \
            data(stream_id, b"ab")


def reset_by_a_malformed_head(c):
    for _ in range(3000):
        yield c.head(c.new_id(), [(":method", "GET"), (":path", "/"), (":scheme", "https"), ("Upper", "x")])


def reset_by_data_behind_the_end(c):
    for _ in range(3000):
        stream_id = c.new_id()
        yield c.head(stream_id, c.fields()) + data(stream_id, b"x")


@pytest.mark.asan
@pytest.mark.parametrize("frames", [reset_by_window_overflow, reset_by_too_much_content, reset_by_a_malformed_head,
                                    reset_by_data_behind_the_end], ids=lambda f: f.__name__)
def test_made_you_reset(front, frames):
    """CVE-2025-8671: the resets are ours, the doing is the client's."""
    before = len(front.application.heard)
    with nobody_else_notices(front), Client(front.https) as c:
        c.ping()
        push(c, frames(c))
        c.until(lambda: c.goaway or c.closed)
        # RFC 9113 lets some of these end the connection at once: so much the better.
        assert c.goaway and c.goaway.error_code != 0
    assert len(front.application.heard) - before < 300


@pytest.mark.asan
def test_more_streams_than_were_offered(front):
    def frames(c):
        for _ in range(3000):
            yield c.head(c.new_id(), c.fields(method="POST"), end=False)
    with nobody_else_notices(front), Client(front.https) as c:
        c.ping()
        push(c, frames(c))
        c.until(lambda: c.goaway or c.closed)
        assert c.goaway and c.goaway.error_code != 0
        assert len(front.application.open) < 150


FLOODS = {
    "ping": (lambda c: (PingFrame(opaque_data=b"01234567") for _ in range(5000)), 2000),
    "settings": (lambda c: (SettingsFrame(settings={4: 65535}) for _ in range(5000)), 500),
    "empty settings": (lambda c: (SettingsFrame() for _ in range(5000)), 500),
    "priority": (lambda c: (PriorityFrame(1001 + 2 * i, depends_on=1, stream_weight=1) for i in range(5000)), 2000),
    "priority of one": (lambda c: (PriorityFrame(1, depends_on=3, stream_weight=i % 255) for i in range(5000)), 2000),
    "priority update": (lambda c: (raw(0x10, 0, struct.pack(">I", 2001) + b"u=%d" % (i % 8))
                                   for i in range(5000)), 2000),
    "window update": (lambda c: (WindowUpdateFrame(0, window_increment=1) for _ in range(20000)), 8000),
    "unknown frames": (lambda c: (raw(0xfa, 0, b"x") for _ in range(5000)), 2000),
    "heads of streams that have ended": (lambda c: (c.head(1, c.fields()) for _ in range(5000)), 2500),
    "resets of streams that have ended": (lambda c: (RstStreamFrame(1, error_code=CANCEL) for _ in range(5000)), 2000),
}


def raw(kind, stream_id, body, flags=0):
    return struct.pack(">I", len(body))[1:] + bytes([kind, flags]) + struct.pack(">I", stream_id) + body


@pytest.mark.asan
@pytest.mark.parametrize("name", FLOODS, ids=lambda n: n.replace(" ", "-"))
def test_floods(front, name):
    frames, at_most = FLOODS[name]
    must_calm_down(front, frames, at_most, begin=lambda c: c.ask("/"))


@pytest.mark.asan
@pytest.mark.parametrize("frame", [lambda i: DataFrame(i), lambda i: DataFrame(i, pad_length=50, flags=["PADDED"])],
                         ids=["empty", "padding"])
def test_empty_data(front, frame):
    def frames(c):
        stream_id = c.request("/", "POST", end=False)
        for _ in range(5000):
            yield frame(stream_id)
    must_calm_down(front, frames, 2000)


def test_pings_whose_answers_nobody_reads(front):
    """What is sent back is bounded, too."""
    with nobody_else_notices(front), Client(front.https, receive_buffer=4096) as c:
        with contextlib.suppress(OSError):
            for _ in range(500):
                c.send(*(PingFrame(opaque_data=b"01234567") for _ in range(100)))
        c.until(lambda: c.closed)


def is_over(c):
    try:
        return c.read_frame(0.05) is None
    except TimeoutError:
        return False


@pytest.mark.asan
def test_continuation_flood(front):
    """VU#421644: a header section without end."""
    def frames(c):
        yield HeadersFrame(1, data=c.encoder.encode(c.fields()))
        for _ in range(5000):
            yield ContinuationFrame(1, data=b"")
    must_calm_down(front, frames, 200)


def test_continuations_with_fields(front):
    def frames(c):
        yield HeadersFrame(1, data=c.encoder.encode(c.fields()))
        for i in range(5000):
            yield ContinuationFrame(1, data=c.encoder.encode([(f"x-{i}", "y" * 1000)], huffman=False))
    must_calm_down(front, frames, 200)


@pytest.mark.asan
def test_a_bomb_of_references(front):
    """RFC 7541 7.3: a few bytes that stand for megabytes."""
    def frames(c):
        yield c.head(c.new_id(), c.fields(more=[("x-bomb", "y" * 3900)]))  # into the table
        reference = c.encoder.encode([("x-bomb", "y" * 3900)])
        assert len(reference) == 1
        block = c.encoder.encode(c.fields()) + reference * 10000
        yield HeadersFrame(c.new_id(), data=block, flags=["END_HEADERS", "END_STREAM"])
    must_calm_down(front, frames, 3)


def test_a_head_that_is_too_large_is_431(front):
    with nobody_else_notices(front), Client(front.https) as c:
        for more in ([(f"x-{i}", "y" * 900) for i in range(60)], [(f"x-{i}", "y") for i in range(101)],
                     [("cookie", "a=b")] * 101):
            stream = c.ask("/", more=more)
            assert stream.status == 431 and b"<p>" in stream.body
        assert c.ask("/", more=[("x", "y" * 20000)]).status == 200


def test_windows_that_stay_shut(front):
    """100 large answers that nobody takes: memory is bounded, and they end after body-timeout."""
    with nobody_else_notices(front, memory=40 * MEGABYTE) as other:
        with Client(front.https, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 0}) as c:
            ids = [c.request("/bytes/10000000") for _ in range(100)]
            assert other.ask("/").status == 200
            for i in ids:
                assert c.answer(i, 30).reset == CANCEL


def test_a_client_that_never_reads(front):
    with nobody_else_notices(front, memory=40 * MEGABYTE) as other:
        with Client(front.https, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 2 ** 31 - 1}, receive_buffer=4096) as c:
            c.send(WindowUpdateFrame(0, window_increment=2 ** 31 - 1 - 65535))
            for _ in range(50):
                c.request("/bytes/10000000")
            assert other.ask("/").status == 200
            until("the application is let go", lambda: not [1 for s in front.application.open if s.fileno() < 0] and
                  len(front.application.open) < 20, 30)


def test_uploads_that_the_application_does_not_take(stage):
    """100 streams send as much as their windows allow: the connection's window bounds all of them."""
    release = []

    def script(connection, upstream):
        until("it may end", lambda: release, 60)
    everseal = start(stage, stage.upstream(script=script))
    with Client(everseal.https) as c:
        c.ping()
        before = resident(everseal)
        ids = [c.request("/", "POST", end=False) for _ in range(100)]
        c.until(lambda: sum(isinstance(f, WindowUpdateFrame) for f in c.frames))
        left = 65535 + sum(f.window_increment for f in c.frames
                           if isinstance(f, WindowUpdateFrame) and f.stream_id == 0)
        assert left <= MEGABYTE
        rounds = 0
        while left >= 10000:
            c.send(DataFrame(ids[rounds % 100], data=bytes(10000)))
            left, rounds = left - 10000, rounds + 1
        assert c.ping()
        assert resident(everseal) - before < 20 * MEGABYTE or keeps_what_was_freed()
        release.append(True)


def test_a_slow_head_ends_the_connection(front):
    with nobody_else_notices(front), Client(front.https) as c:
        block = c.encoder.encode(c.fields())
        c.send(HeadersFrame(1, data=block[:2]))
        with contextlib.suppress(OSError):
            for n in range(2, len(block)):
                c.send(ContinuationFrame(1, data=block[n:n + 1]))
                is_over(c)
        c.until(lambda: c.closed)
