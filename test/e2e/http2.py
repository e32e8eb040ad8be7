"""HTTP/2 as it stands on the wire: a client that sends what frames it is told to, right or wrong."""
import contextlib
import dataclasses
import socket
import ssl
import time

import hpack
from hyperframe.frame import (ContinuationFrame, DataFrame, Frame, GoAwayFrame, HeadersFrame, PingFrame,
                              RstStreamFrame, SettingsFrame, WindowUpdateFrame)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR = 5, 6, 7, 8, 9
ENHANCE_YOUR_CALM = 11
NAME = "a.example.com"


def connect(port, name=NAME, alpn=("h2", "http/1.1"), timeout=10, receive_buffer=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(list(alpn))
    plain = socket.socket()
    if receive_buffer:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    plain.settimeout(timeout)
    try:
        plain.connect(("127.0.0.1", port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(plain, server_hostname=name)
    except BaseException:
        plain.close()
        raise


@dataclasses.dataclass
class Stream:
    heads: list = dataclasses.field(default_factory=list)  # 1xx, the final one, trailers
    body: bytes = b""
    ended: bool = False
    reset: int = None  # its error code
    pieces: list = dataclasses.field(default_factory=list)

    @property
    def final(self):
        return next((h for h in self.heads if not h.get(":status", "1").startswith("1")), None)

    @property
    def status(self):
        return int(self.final[":status"]) if self.final else None

    @property
    def trailers(self):
        return self.heads[-1] if ":status" not in self.heads[-1] else None

    @property
    def over(self):
        return self.ended or self.reset is not None


class Client:
    """`settings`: what it says first. It acknowledges SETTINGS and PING, and opens windows again as content
    comes, unless told not to."""

    def __init__(self, port, name=NAME, settings=None, preface=True, windows=True, acks=True,
                 receive_buffer=None):
        self.name, self.windows, self.acks = name, windows, acks
        self.socket = connect(port, name, receive_buffer=receive_buffer)
        assert self.socket.selected_alpn_protocol() == "h2"
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.decoder.max_header_list_size = 1 << 20
        self.received, self.frames, self.streams = b"", [], {}
        self.goaway, self.closed, self.next_id, self.header_block = None, False, 1, None
        if preface:
            self.send_bytes(PREFACE + SettingsFrame(settings=settings or {}).serialize())

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()

    # ---- sending ----

    def send_bytes(self, data):
        self.socket.sendall(data)

    def send(self, *frames):
        self.send_bytes(b"".join(f if isinstance(f, bytes) else f.serialize() for f in frames))

    def fields(self, path="/", method="GET", more=(), **changes):
        """The fields of a request; a change of a pseudo-header to None leaves it out."""
        pseudo = {":method": method, ":scheme": "https", ":authority": self.name, ":path": path}
        pseudo.update({f":{k}": v for k, v in changes.items()})
        return [(k, v) for k, v in pseudo.items() if v is not None] + list(more)

    def head(self, stream_id, fields, end=True):
        """A HEADERS frame, or one with CONTINUATIONs if it has to be."""
        block = self.encoder.encode(fields, huffman=False)
        parts = [block[i:i + 16384] for i in range(0, len(block), 16384)] or [b""]
        frames = [HeadersFrame(stream_id, data=parts[0])]
        frames += [ContinuationFrame(stream_id, data=p) for p in parts[1:]]
        if end:
            frames[0].flags.add("END_STREAM")
        frames[-1].flags.add("END_HEADERS")
        return b"".join(f.serialize() for f in frames)

    def new_id(self):
        self.next_id += 2
        return self.next_id - 2

    def request(self, path="/", method="GET", more=(), end=True, body=None, **changes):
        stream_id = self.new_id()
        self.send(self.head(stream_id, self.fields(path, method, more, **changes), end and body is None))
        if body is not None:
            self.send(data(stream_id, body, end))
        return stream_id

    # ---- receiving ----

    def read_frame(self, timeout=10):
        """The next frame, or None: the connection is closed. TimeoutError after that time."""
        while True:
            frame = self.cut_frame()
            if frame:
                self.hear(frame)
                return frame
            self.socket.settimeout(max(timeout, 0.01))
            try:
                piece = self.socket.recv(65536)
            except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
                piece = b""
            if not piece:
                self.closed = True
                return None
            self.received += piece

    def cut_frame(self):
        if len(self.received) < 9:
            return None
        frame, length = Frame.parse_frame_header(memoryview(self.received[:9]))
        if len(self.received) < 9 + length:
            return None
        frame.parse_body(memoryview(self.received[9:9 + length]))
        self.received = self.received[9 + length:]
        return frame

    def stream(self, stream_id):
        return self.streams.setdefault(stream_id, Stream())

    def hear(self, frame):
        self.frames.append(frame)
        stream = self.stream(frame.stream_id) if frame.stream_id else None
        if isinstance(frame, (HeadersFrame, ContinuationFrame)):
            self.hear_head(frame, stream)
        elif isinstance(frame, DataFrame):
            stream.body += frame.data
            stream.pieces.append(len(frame.data))
            if self.windows and frame.flow_controlled_length:
                with contextlib.suppress(OSError):
                    self.open_windows(frame.stream_id, frame.flow_controlled_length)
        elif isinstance(frame, RstStreamFrame):
            stream.reset = frame.error_code
        elif isinstance(frame, GoAwayFrame):
            self.goaway = frame
        elif self.acks and isinstance(frame, (SettingsFrame, PingFrame)) and "ACK" not in frame.flags:
            with contextlib.suppress(OSError):
                self.send(SettingsFrame(flags=["ACK"]) if isinstance(frame, SettingsFrame) else
                          PingFrame(opaque_data=frame.opaque_data, flags=["ACK"]))
        if stream and "END_STREAM" in frame.flags:
            stream.ended = True

    def hear_head(self, frame, stream):
        self.header_block = (self.header_block or b"") + frame.data
        if "END_HEADERS" in frame.flags:
            stream.heads.append(dict(self.decoder.decode(self.header_block)))
            self.header_block = None

    def open_windows(self, stream_id, n):
        self.send(WindowUpdateFrame(0, window_increment=n), WindowUpdateFrame(stream_id, window_increment=n))

    def until(self, condition, seconds=15, what="condition"):
        """Reads until the condition holds, or the connection is closed."""
        end = time.monotonic() + seconds
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"{what} not within {seconds} s: {self.streams} {self.goaway}")
            try:
                if self.read_frame(left) is None:
                    break
            except TimeoutError:
                continue
        return condition()

    def answer(self, stream_id, seconds=15):
        """The stream when it is over."""
        stream = self.stream(stream_id)
        assert self.until(lambda: stream.over, seconds, f"stream {stream_id} is over"), \
            f"closed before the answer: {self.goaway}, {stream}"
        return stream

    def ask(self, *words, **more):
        return self.answer(self.request(*words, **more))

    def ping(self, seconds=15):
        """Whatever was sent before has been heard, and the connection stands."""
        self.send(PingFrame(opaque_data=b"everseal"))
        count = lambda: sum(isinstance(f, PingFrame) and "ACK" in f.flags for f in self.frames)
        before = count()
        return self.until(lambda: count() > before, seconds, "PING is answered")

    def end_of_connection(self, seconds=15):
        """Its GOAWAY's error code once it is closed; None if there was none."""
        self.until(lambda: self.closed, seconds, "the connection is closed")
        return self.goaway.error_code if self.goaway else None


def data(stream_id, body, end=True):
    """DATA frames of at most 16 KiB."""
    pieces = [body[i:i + 16384] for i in range(0, len(body), 16384)] or [b""]
    frames = [DataFrame(stream_id, data=p) for p in pieces]
    if end:
        frames[-1].flags.add("END_STREAM")
    return b"".join(f.serialize() for f in frames)
