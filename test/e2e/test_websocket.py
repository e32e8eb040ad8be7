"""WebSocket through the real program: python3-websockets on both sides, and raw sockets where it hides too
much. Both with TLS and without, since the tunnel's ends differ in it."""
import asyncio
import contextlib
import os
import signal
import socket
import threading

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.legacy.client import connect
from websockets.legacy.server import serve

from network import ask, client_context, read_answer, request_bytes, served, tls, until

NAME = "chat.example.com"


class Echo:
    """A WebSocket application on a thread of its own: echoes; the path says what else it does."""

    name = "the application"

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.ready, self.closed = threading.Event(), []
        self.live = 0
        threading.Thread(target=self.run, daemon=True).start()
        assert self.ready.wait(10)

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.listen())
        self.loop.run_forever()

    async def listen(self):
        self.server = await serve(self.serve, "127.0.0.1", 0, max_size=None, ping_interval=None,
                                  extra_headers={"X-App": "echo"})
        self.port = self.server.sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.ready.set()

    async def serve(self, socket, path):
        self.live += 1
        try:
            if path == "/close":
                await socket.close(4321, "enough")
            elif path == "/die":
                await socket.recv()
                socket.transport.abort()
            elif path == "/pings":
                await asyncio.wait_for(await socket.ping(b"are you there"), 10)
                await socket.send("you are")
            async for message in socket:
                await socket.send(message)
        except ConnectionClosed:
            pass
        finally:
            self.live -= 1
            self.closed.append(socket.close_code)

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)


@pytest.fixture(scope="module")
def chat(module_stage):
    application = module_stage.keep(Echo())
    everseal = module_stage.everseal(sites=f"site {NAME} {{ proxy {application.address} }}",
                                     head="idle-timeout 1s\nbody-timeout 1s").start()
    until("a certificate is served", lambda: has_certificate(everseal.https))
    everseal.application = application
    return everseal


@contextlib.asynccontextmanager
async def connected(everseal, path="/", secure=False, **options):
    port = everseal.https if secure else everseal.http
    options.setdefault("max_size", None)
    if secure:
        options.update(ssl=client_context(), server_hostname=NAME)
    async with connect(f"{'wss' if secure else 'ws'}://{NAME}:{port}{path}", host="127.0.0.1", port=port,
                       ping_interval=None, **options) as client:
        yield client


def has_certificate(port):
    with contextlib.suppress(OSError):
        return served(port, NAME)


both = pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])


@both
@pytest.mark.asan
def test_echo(chat, secure):
    async def talk():
        async with connected(chat, secure=secure) as client:
            assert client.response_headers["X-App"] == "echo"
            for message in ("hello", b"\0\xff" * 3, "", "ü" * 1000):
                await client.send(message)
                assert await client.recv() == message
    asyncio.run(talk())


@both
@pytest.mark.asan
def test_large_messages_pass_whole(chat, secure):
    """Larger than all buffers, so that each side has to wait for the other."""
    messages = [os.urandom(size) for size in (1 << 16, 1 << 20, 3 << 20)]

    async def talk():
        async with connected(chat, secure=secure, compression=None) as client:
            async def say():
                for message in messages:
                    await client.send(message)
            saying = asyncio.create_task(say())
            for message in messages:
                assert await client.recv() == message
            await saying
    asyncio.run(talk())


@both
def test_pings_pass_both_ways(chat, secure):
    async def talk():
        async with connected(chat, "/pings", secure) as client:
            assert await client.recv() == "you are"
            await asyncio.wait_for(await client.ping(b"x"), 10)
    asyncio.run(talk())


@both
def test_close_codes_pass(chat, secure):
    async def talk():
        async with connected(chat, "/close", secure) as client:
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert (client.close_code, client.close_reason) == (4321, "enough")
        async with connected(chat, secure=secure) as client:
            await client.close(4567, "bye")
    asyncio.run(talk())
    until("the application has heard the code", lambda: 4567 in chat.application.closed)


@both
@pytest.mark.asan
def test_silence_is_no_fault(chat, secure):
    """idle-timeout and body-timeout of one second are those of requests."""
    async def talk():
        async with connected(chat, secure=secure) as client:
            await asyncio.sleep(1.6)
            await client.send("still here")
            assert await client.recv() == "still here"
    asyncio.run(talk())


@both
def test_an_application_that_dies_is_seen(chat, secure):
    async def talk():
        async with connected(chat, "/die", secure) as client:
            await client.send("die")
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 1006
    asyncio.run(talk())


@both
def test_a_client_that_dies_is_seen(chat, secure):
    before = len(chat.application.closed)

    async def talk():
        with contextlib.suppress(ConnectionClosed):
            async with connected(chat, secure=secure) as client:
                await client.send("x")
                assert await client.recv() == "x"
                client.transport.abort()
        await asyncio.to_thread(until, "the application has seen it",
                                lambda: len(chat.application.closed) > before)
    asyncio.run(talk())


UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" \
         b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"


def open_raw(port, secure=False):
    """A tunnel over a raw socket; what came behind the head is given, too."""
    connection = tls(port, NAME) if secure else socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(request_bytes(NAME, "/", headers=UPGRADE))
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(65536)
        assert piece, head
        head += piece
    head, rest = head.split(b"\r\n\r\n", 1)
    return connection, head, rest


def switcher(stage, play, **options):
    """Everseal before an application that switches and then does what `play` does with the socket."""
    def script(connection, upstream):
        heard, rest = upstream.hear(connection)
        if heard:
            connection.sendall(SWITCH)
            play(connection, rest)
    application = stage.upstream(script=script)
    everseal = stage.everseal(sites=f"site * {{ proxy {application.address} }}", **options).start()
    everseal.application = application
    return everseal


@pytest.mark.asan
def test_half_close_is_passed_on_both_ways(stage):
    def collect(connection, rest):
        received = rest
        while piece := connection.recv(65536):
            received += piece
        connection.sendall(b"got " + received)
        connection.shutdown(socket.SHUT_WR)
    everseal = switcher(stage, collect)
    connection, head, rest = open_raw(everseal.http)
    with contextlib.closing(connection):
        connection.sendall(b"all of it")
        connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(65536):
            rest += piece
    assert rest == b"got all of it"


def test_what_comes_before_the_answer_waits_for_it(stage):
    """Bytes behind a request are the tunnel's once it stands; nothing of them is sent before, when they might
    be the next request."""
    seen = []

    def play(connection, rest):
        seen.append(rest)
        connection.sendall(connection.recv(100))
    everseal = switcher(stage, play)
    with contextlib.closing(socket.create_connection(("127.0.0.1", everseal.http), timeout=10)) as connection:
        connection.sendall(request_bytes(NAME, "/", headers=UPGRADE) + b"early")
        received = b""
        while not received.endswith(b"\r\n\r\nearly"):
            piece = connection.recv(65536)
            assert piece, received
            received += piece
    assert seen == [b""]


def test_a_refused_upgrade_is_an_ordinary_answer(stage):
    application = stage.upstream(lambda heard: b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno")
    everseal = stage.everseal(sites=f"site * {{ proxy {application.address} }}").start()
    with contextlib.closing(socket.create_connection(("127.0.0.1", everseal.http), timeout=10)) as connection:
        for _ in range(2):  # and both connections are kept
            connection.sendall(request_bytes(NAME, "/", headers=UPGRADE))
            answer = read_answer(connection)
            assert (answer.status, answer.text) == (426, "no")
            assert answer.headers["Upgrade"] is None
    assert application.connections == 1
    assert application.heard[0].value("Upgrade") == "websocket"
    assert application.heard[0].value("Connection") == "upgrade"


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n"], ids=["h2c", "no-connection", "nothing"])
def test_another_protocol_than_asked_for_is_502(stage, answer):
    application = stage.upstream(lambda heard: answer + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    everseal = stage.everseal(sites=f"site * {{ proxy {application.address} }}").start()
    assert ask(everseal.http, NAME, headers=["Upgrade: websocket"]).status == 502
    with contextlib.closing(socket.create_connection(("127.0.0.1", everseal.http), timeout=10)) as connection:
        connection.sendall(request_bytes(NAME, "/", headers=UPGRADE))
        assert read_answer(connection).status == 502


def test_force_ssl_holds_for_websockets(stage, pebble):
    application = stage.keep(Echo())
    everseal = stage.everseal(pebble, sites=f"site {NAME} {{ proxy {application.address}; force-ssl yes; "
                                            "hsts 1d }").start()
    everseal.wait_served(NAME)
    with contextlib.closing(socket.create_connection(("127.0.0.1", everseal.http), timeout=10)) as connection:
        connection.sendall(request_bytes(NAME, "/", headers=UPGRADE))
        answer = read_answer(connection)
    assert answer.status == 301 and answer.headers["Location"].startswith("https://")
    connection, head, _ = open_raw(everseal.https, secure=True)
    connection.close()
    assert b"strict-transport-security: " in head.lower()


def test_tunnel_idle_ends_a_silent_one(stage):
    everseal = switcher(stage, lambda connection, rest: connection.recv(1), head="tunnel-idle 500ms")
    connection, _, _ = open_raw(everseal.http)
    with contextlib.closing(connection):
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
    until("the application's connection has ended", lambda: not everseal.application.open)


def test_a_stop_waits_for_a_tunnel_no_longer_than_drain_timeout(stage):
    everseal = switcher(stage, lambda connection, rest: connection.sendall(connection.recv(9) + b"!") or
                        connection.recv(1), head="drain-timeout 700ms")
    connection, _, _ = open_raw(everseal.http)
    idle = socket.create_connection(("127.0.0.1", everseal.http), timeout=10)
    with contextlib.closing(connection), contextlib.closing(idle):
        everseal.process.send_signal(signal.SIGTERM)
        assert idle.recv(1) == b""  # the drain has begun
        connection.sendall(b"x")  # under way, it goes on for a while
        assert connection.recv(9) == b"x!"
        everseal.process.wait(20)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""


def test_such_a_connection_is_never_used_again(stage):
    """Neither the client's nor the application's: what follows goes over new ones."""
    def play(connection, rest):
        connection.sendall(b"bye")
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
    everseal = switcher(stage, play)
    for n in range(1, 4):
        connection, _, rest = open_raw(everseal.http)
        with contextlib.closing(connection):
            while piece := connection.recv(100):
                rest += piece
            assert rest == b"bye"
            connection.shutdown(socket.SHUT_WR)
        until("a connection each", lambda: everseal.application.connections == n)
