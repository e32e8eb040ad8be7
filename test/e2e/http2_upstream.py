"""An application that speaks HTTP/2 by frames, right or wrong: `script(peer)` has each connection, or `answer(peer,
stream_id, request)` each request that is whole."""
import contextlib
import socket
import threading

import hpack
from hyperframe.frame import DataFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

import http2
from network import Upstream


def window(c, stream_id):
    """What the other side has let go so far, for a stream or (0) all of them."""
    first = 65535
    if stream_id:
        assert c.until(lambda: any(isinstance(f, SettingsFrame) and "ACK" not in f.flags for f in c.frames))
        first = next(f for f in c.frames if isinstance(f, SettingsFrame) and "ACK" not in f.flags).settings.get(
            SettingsFrame.INITIAL_WINDOW_SIZE, first)
    return first + sum(f.window_increment for f in c.frames
                       if isinstance(f, WindowUpdateFrame) and f.stream_id == stream_id)


def pour(c, stream_id, body, end=True, patience=20):
    """Sends content as the windows let it go; how much of it went before nothing moved for so long."""
    poured = c.__dict__.setdefault("poured", {})
    at = 0
    while at < len(body):
        room = min(window(c, 0) - poured.get(0, 0), window(c, stream_id) - poured.get(stream_id, 0), 16384)
        piece = body[at:at + room]
        if room <= 0:
            try:
                if c.read_frame(patience) is None:
                    return at
            except TimeoutError:
                return at
            continue
        c.send(DataFrame(stream_id, data=piece))
        at += len(piece)
        for i in (0, stream_id):
            poured[i] = poured.get(i, 0) + len(piece)
    if end:
        c.send(DataFrame(stream_id, flags=["END_STREAM"]))
    return at


class Peer(http2.Client):
    """The application's end of a connection; its streams' heads are requests and their trailers."""

    def __init__(self, connection, settings=None, windows=True, acks=True, greet=True):
        self.socket, self.windows, self.acks = connection, windows, acks
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.decoder.max_header_list_size = 1 << 20
        self.received, self.frames, self.streams = b"", [], {}
        self.goaway, self.closed, self.header_block = None, False, None
        if greet:
            self.send(SettingsFrame(settings=settings or {}))
        connection.settimeout(20)
        while len(self.received) < len(http2.PREFACE):
            self.received += connection.recv(len(http2.PREFACE) - len(self.received))
        assert self.received == http2.PREFACE
        self.received = b""

    def request(self, stream_id):
        """The fields of its head."""
        return self.streams[stream_id].heads[0]

    def whole(self, count=1):
        return [i for i, s in self.streams.items() if s.ended][:count] if \
            sum(s.ended for s in self.streams.values()) >= count else None

    def answer_with(self, stream_id, body=b"", status="200", more=(), trailers=None):
        last = trailers is None
        head = [(":status", status), *more]
        self.send(self.head(stream_id, head, end=last and not body))
        if body:
            pour(self, stream_id, body, end=last)
        if trailers:
            self.send(self.head(stream_id, trailers, end=True))

    def reset(self, stream_id, code):
        self.send(RstStreamFrame(stream_id, error_code=code))


class Http2Upstream(Upstream):
    def __init__(self, answer=None, script=None, settings=None, **peer):
        self.peers, self.asked, self.given, self.changed = [], [], dict(settings=settings, **peer), threading.Condition()
        self.reply, self.play = answer or (lambda peer, i, request: peer.answer_with(i, b"hello")), script
        super().__init__(script=type(self).converse)

    def converse(connection, self):
        peer = Peer(connection, **self.given)
        self.peers.append(peer)
        with contextlib.suppress(OSError):
            if self.play:
                self.play(peer)
            else:
                self.serve_streams(peer)
            while peer.read_frame(600):
                pass
        peer.closed = True

    def serve_streams(self, peer, done=()):
        done = set(done)
        while peer.read_frame(600):
            for i, stream in list(peer.streams.items()):
                if stream.ended and i not in done:
                    done.add(i)
                    self.asked.append(stream)
                    self.reply(peer, i, stream)

    @property
    def h2c(self):
        return f"h2c://{self.address}"


def hang_up(peer):
    """So that the other side sees the end, whoever reads meanwhile."""
    with contextlib.suppress(OSError):
        peer.socket.shutdown(socket.SHUT_RDWR)
