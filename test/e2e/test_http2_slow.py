"""Clients of HTTP/2 that send or take slowly: each stream, and the connection as a whole, has the time that
body-timeout and least-rate give; what answers before it was asked to the end does not go by them."""
import contextlib
import time

from hyperframe.frame import DataFrame, SettingsFrame, WindowUpdateFrame

from http2 import CANCEL, Client, data
from http2_upstream import Http2Upstream
from network import until
from test_h2c import start as start_h2c
from test_http2 import answer, start

SLOW = "body-timeout 1s\nleast-rate 20000"


def drip(c, seconds, step, over):
    """Does a step ten times a second, which is never silence."""
    end = time.monotonic() + seconds
    while not over():
        assert time.monotonic() < end, f"it goes on: {c.streams}"
        with contextlib.suppress(OSError):
            step()
        with contextlib.suppress(TimeoutError):
            if c.read_frame(0.1) is None:
                return


def test_a_body_that_drips_is_408(stage):
    everseal = start(stage, stage.upstream(answer), head=SLOW)
    with Client(everseal.https) as c:
        i = c.request("/echo", "POST", end=False)
        drip(c, 30, lambda: c.send(data(i, b"x", end=False)), lambda: c.stream(i).over)
        assert c.stream(i).status == 408
        assert c.ask("/").status == 200, "the connection stands"


def test_a_body_that_is_fast_enough_may_take_long(stage):
    everseal = start(stage, stage.upstream(answer), head="body-timeout 3s\nleast-rate 100")
    with Client(everseal.https) as c:
        i = c.request("/echo", "POST", end=False)
        sent, end = 0, time.monotonic() + 5
        while time.monotonic() < end:
            c.send(data(i, b"x" * 1000, end=False))
            sent += 1000
            with contextlib.suppress(TimeoutError):
                c.read_frame(0.1)
        c.send(DataFrame(i, flags=["END_STREAM"]))
        assert c.answer(i).body == b"x" * sent


def test_an_answer_that_is_taken_in_drips_is_reset(stage):
    everseal = start(stage, stage.upstream(answer), head=SLOW)
    with Client(everseal.https, windows=False, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1}) as c:
        i = c.request("/bytes/1000000")
        drip(c, 30, lambda: c.send(WindowUpdateFrame(i, window_increment=1)), lambda: c.stream(i).over)
        assert c.stream(i).reset == CANCEL
        assert c.ask("/echo").status == 200, "the connection stands"


def test_a_connection_that_takes_drips_is_cut_off(stage):
    """All windows are open, but the socket is not read: there is something for all streams at once."""
    everseal = start(stage, stage.upstream(answer), head=SLOW)
    with Client(everseal.https, windows=False, receive_buffer=4096,
                settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1 << 24}) as c:
        c.send(WindowUpdateFrame(0, window_increment=1 << 24))
        for _ in range(10):
            c.request("/bytes/8000000")
        plain = c.socket
        plain.settimeout(20)
        begun = time.monotonic()
        with contextlib.suppress(OSError):
            while plain.recv(400):
                assert time.monotonic() - begun < 60, "it goes on"
                time.sleep(0.1)


def test_a_dialogue_may_be_silent(stage):
    """Once the application has begun to answer it alone knows how long the client may think."""
    def script(peer):
        peer.until(lambda: 1 in peer.streams and peer.streams[1].heads)
        peer.send(peer.head(1, [(":status", "200")], end=False))
        peer.until(lambda: peer.streams[1].ended, 60)
        peer.send(data(1, peer.streams[1].body))
    app = stage.keep(Http2Upstream(script=script))
    everseal = start_h2c(stage, app, head="body-timeout 2s\nleast-rate 20000", block="answer-timeout 2s")
    with Client(everseal.https) as c:
        i = c.request("/", "POST", end=False)
        assert c.until(lambda: c.stream(i).heads)
        time.sleep(3)
        c.send(data(i, b"ab", end=False))
        c.send(DataFrame(i, flags=["END_STREAM"]))
        assert c.answer(i).body == b"ab"


def test_a_dialogue_in_which_nobody_speaks_ends(stage):
    def script(peer):
        peer.until(lambda: 1 in peer.streams and peer.streams[1].heads)
        peer.send(peer.head(1, [(":status", "200")], end=False))
    app = stage.keep(Http2Upstream(script=script))
    everseal = start_h2c(stage, app, head="tunnel-idle 500ms")
    with Client(everseal.https) as c:
        i = c.request("/", "POST", end=False)
        assert c.answer(i).reset is not None
        until("the application is told", lambda: app.peers[0].streams[1].reset == CANCEL)
