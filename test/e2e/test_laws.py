"""HTTP by the laws, over raw sockets: what the client sees, the state of its connection, and what
reached the application, byte for byte."""
import contextlib
import re
import socket
import threading
import time

import pytest

from network import ask, raw, read_all, read_answer, reply, request_bytes
from wire import CHUNKED, HOST, LAST_CHUNK, get, post

SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"


@pytest.fixture(scope="module")
def front(module_stage):
    """One server and one application for all cases that change nothing."""
    upstream = module_stage.upstream()
    everseal = module_stage.everseal(sites=f"site * {{ proxy {upstream.address} }}",
                                     head="header-timeout 1s\nbody-timeout 1s\nidle-timeout 2s").start()
    everseal.application = upstream
    return everseal


def statuses(received):
    return [int(s) for s in re.findall(rb"HTTP/1\.[01] (\d\d\d)", received)]


def test_the_preface_of_http_2_is_refused(front):
    assert statuses(raw(front.http, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")) in ([400], [505])


def test_trace_is_not_passed_on(front):
    before = len(front.application.heard)
    assert statuses(raw(front.http, b"TRACE / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")) == [501]
    assert len(front.application.heard) == before


def sent(front, data, **more):
    """What the application heard of these bytes, and what the client got."""
    before = len(front.application.heard)
    received = raw(front.http, data, **more)
    return front.application.heard[before:], received


CLOSE = b"Connection: close"


@pytest.mark.asan
def test_what_reaches_the_application(front):
    (heard,), _ = sent(front, get(b"X-Mixed-CASE:  a  b ", b"Cookie: x=1", CLOSE, path=b"/a%20b?c=d&&"))
    assert heard.line == "GET /a%20b?c=d&& HTTP/1.1"
    assert heard.value("Host") == "a.example.com"
    assert heard.value("x-mixed-case") == "a  b"
    assert heard.value("cookie") == "x=1"
    assert heard.value("X-Forwarded-For") == "127.0.0.1"
    assert heard.value("X-Forwarded-Proto") == "http"
    assert heard.value("X-Forwarded-Host") == "a.example.com"
    assert re.fullmatch(r'for=127\.0\.0\.1;host="?a\.example\.com"?;proto=http', heard.value("Forwarded"))
    assert re.fullmatch(r"1\.1 everseal-[0-9a-f]+", heard.value("Via"))
    assert heard.value("Connection") in (None, "keep-alive")
    assert heard.body == b""


def test_what_strangers_say_of_forwarding_is_dropped(front):
    said = [b"X-Forwarded-For: 6.6.6.6", b"X-Forwarded-Proto: evil", b"X-Forwarded-Host: evil",
            b"Forwarded: for=6.6.6.6", b"Via: 1.1 evil", b"X-Real-IP: 6.6.6.6", b"Proxy: evil:1",
            b"X_Forwarded_For: 6.6.6.6", b"X-Forwarded_Proto: evil", b"x_real_ip: 6.6.6.6"]
    (heard,), _ = sent(front, get(*said, CLOSE))
    assert b"6.6.6.6" not in heard.head and b"evil" not in heard.head, heard.head


def test_a_rule_says_what_a_stranger_may_not(stage, upstream):
    rules = "request-header set X-Forwarded-Port 443; request-header add Front-End-Https on"
    everseal = stage.everseal(sites=f"site * {{ proxy {upstream.address}; {rules} }}").start()
    ask(everseal.http, "a.example.com", headers=["X-Forwarded-Port: 80", "Front-End-Https: no", "X_Forwarded_Port: 1"])
    head = upstream.heard[0].head
    assert head.count(b"x-forwarded-port: 443\r\n") == 1 and head.count(b"front-end-https: on\r\n") == 1, head
    assert b": 80\r\n" not in head and b": no\r\n" not in head and b"x_forwarded" not in head


def test_a_trusted_proxy_is_believed(stage, upstream):
    everseal = stage.everseal(sites=f"site * {{ proxy {upstream.address} }}",
                              head="trusted-proxy 127.0.0.0/8").start()
    ask(everseal.http, "a.example.com", headers=["X-Forwarded-For: 9.9.9.9", "X-Forwarded-Proto: https"])
    assert upstream.heard[0].value("X-Forwarded-For") == "9.9.9.9, 127.0.0.1"
    assert upstream.heard[0].value("X-Forwarded-Proto") == "https"


def test_hop_by_hop_fields_stay_here(front):
    names = ("X-Private", "Keep-Alive", "TE", "Upgrade", "Proxy-Connection", "Proxy-Authorization")
    (heard,), _ = sent(front, get(*(n.encode() + b": x" for n in names), b"Connection: close, X-Private"))
    for name in names:
        assert heard.value(name) is None, name


@pytest.mark.asan
def test_framing_is_our_own(front):
    """Chunks are put together anew; extensions and trailers do not pass as they came."""
    body = b"3;x=y\r\nabc\r\n2;quoted=\"a;b\"\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n"
    (heard,), received = sent(front, post(CHUNKED, CLOSE, body=body))
    assert heard.value("Transfer-Encoding") == "chunked" and heard.value("Content-Length") is None
    data, rest = b"", heard.body
    while rest:
        size, rest = rest.split(b"\r\n", 1)
        assert re.fullmatch(rb"[0-9a-f]+", size), size
        data, rest = data + rest[:int(size, 16)], rest[int(size, 16) + 2:]
    assert data == b"abcde"
    assert statuses(received) == [200]


def test_length_stays_length(front):
    (heard,), _ = sent(front, post(b"Content-Length: 5", CLOSE, body=b"abcde"))
    assert (heard.value("Content-Length"), heard.body) == ("5", b"abcde")
    assert heard.value("Transfer-Encoding") is None


def test_absolute_target(front):
    (heard,), _ = sent(front, get(CLOSE, path=b"http://a.example.com/x?y"))
    assert heard.line == "GET /x?y HTTP/1.1"


def test_pipelined_requests_are_answered_in_order(front):
    heard, received = sent(front, b"".join(get(path=b"/%d" % i) for i in range(9)) + get(CLOSE, path=b"/last"))
    assert [h.line.split()[1] for h in heard] == [f"/{i}" for i in range(9)] + ["/last"]
    assert statuses(received) == [200] * 10


def test_http_1_0(front):
    heard, received = sent(front, get(version=b"HTTP/1.0"))
    assert len(heard) == 1 and heard[0].line == "GET / HTTP/1.1"
    assert statuses(received) == [200] and received.endswith(b"hello")


def test_head_has_no_body(front):
    _, received = sent(front, b"HEAD / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert statuses(received) == [200] and received.endswith(b"\r\n\r\n")
    assert re.search(rb"(?i)content-length: 5", received)


def test_half_closed_client_gets_its_answer(front):
    _, received = sent(front, get(), half_close=True)
    assert received.endswith(b"hello")


@pytest.mark.asan
def test_expect_100_continue_is_answered_by_us(front):
    with socket.create_connection(("127.0.0.1", front.http), timeout=5) as s:
        s.sendall(post(b"Expect: 100-continue", b"Content-Length: 3"))
        assert s.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(b"abc")
        assert read_answer(s, "POST").status == 200
    heard = front.application.heard[-1]
    assert heard.value("Expect") is None and heard.body == b"abc"


@pytest.mark.timed
def test_slow_head_is_408(front):
    assert statuses(raw(front.http, b"GET / HTTP/1.1\r\nHost:")) == [408]


@pytest.mark.timed
def test_slow_body_is_408(front):
    assert statuses(raw(front.http, post(b"Content-Length: 10", body=b"abc"))) == [408]


@pytest.mark.timed
def test_idle_connection_is_closed_in_silence(front):
    with socket.create_connection(("127.0.0.1", front.http), timeout=5) as s:
        s.sendall(get())
        assert read_answer(s).status == 200
        assert s.recv(1000) == b""


# ---- the application's side ----

def before(stage, answer=None, script=None, head=""):
    upstream = stage.upstream(answer, script)
    everseal = stage.everseal(sites=f"site * {{ proxy {upstream.address} }}", head=head).start()
    return everseal, upstream


def answering(data):
    """An application that reads a request, says these bytes, and closes."""
    def script(connection, upstream):
        upstream.hear(connection)
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            connection.recv(1)
    return script


FRAMING_ERRORS = {
    "no http": b"hello\r\n\r\n",
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "folded": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "space before colon": b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
    "bare lf": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "nul": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    "unknown transfer-encoding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-",
    "101 uncalled for": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
}


@pytest.mark.asan
def test_framing_errors_of_the_application_are_502(stage):
    answers = iter(FRAMING_ERRORS.values())
    everseal, upstream = before(stage, script=lambda c, u: answering(next(answers))(c, u))
    for name in FRAMING_ERRORS:
        answer = ask(everseal.http, "a.example.com", method="POST", body=b"x")
        assert answer.status == 502, name
        assert "The application behind this site" in answer.text, name
        assert str(upstream.port) not in answer.text, "visitors are not told where it stands"


@pytest.mark.parametrize("data", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
], ids=["length", "chunked", "bad-chunk"])
def test_an_answer_that_breaks_off_is_seen_by_the_client(stage, data):
    everseal, _ = before(stage, script=answering(data))
    received = raw(everseal.http, request_bytes("a.example.com", "/"))
    assert not received.endswith(b"0\r\n\r\n"), "an aborted body must not look whole"
    assert statuses(received) in ([200], []), "a reset may take the head with it"


def test_answer_until_close(stage):
    everseal, _ = before(stage, script=answering(b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nuntil the end"))
    answer = ask(everseal.http, "a.example.com")
    assert (answer.status, answer.body, answer.headers["X"]) == (200, b"until the end", "y")


def test_interim_answers(stage):
    everseal, _ = before(stage, script=answering(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    received = raw(everseal.http, get(CLOSE))
    assert statuses(received) == [103, 200] and received.endswith(b"ok")
    assert statuses(raw(everseal.http, get(version=b"HTTP/1.0"))) == [200]


def test_hop_by_hop_fields_of_answers_stay_here(stage):
    everseal, _ = before(stage, answer=lambda heard: reply(
        headers=["Connection: keep-alive, X-Private", "X-Private: 1", "Keep-Alive: 9", "Upgrade: h2", "X-Ok: 1"]))
    answer = ask(everseal.http, "a.example.com")
    assert answer.headers["X-Ok"] == "1"
    for name in ("X-Private", "Keep-Alive", "Upgrade"):
        assert answer.headers[name] is None


def test_bytes_between_answers_close_the_connection(stage):
    everseal, upstream = before(stage, answer=lambda heard: reply() + b"HTTP/1.1 200 OK\r\n\r\nunasked")
    for _ in range(3):
        answer = ask(everseal.http, "a.example.com")
        assert answer.body == b"hello", answer.text
    assert upstream.connections == 3


@pytest.mark.asan
def test_connections_to_the_application_are_kept(stage):
    everseal, upstream = before(stage, head="workers 1")
    for _ in range(20):
        assert ask(everseal.http, "a.example.com").status == 200
    assert upstream.connections == 1


def test_a_request_with_a_body_is_never_sent_twice(stage):
    """The kept connection dies after the second request was read on it."""
    first = []

    def script(connection, upstream):
        heard, rest = upstream.hear(connection)
        if heard and not first:
            first.append(heard)
            connection.sendall(reply())
            upstream.hear(connection, rest)
    everseal, upstream = before(stage, script=script, head="workers 1")
    assert ask(everseal.http, "a.example.com").status == 200
    assert ask(everseal.http, "a.example.com", "/post", "POST", body=b"once").status == 502
    assert sum("/post" in h.line for h in upstream.heard) == 1


def test_a_kept_connection_that_died_costs_nothing(stage):
    def script(connection, upstream):
        upstream.hear(connection)
        connection.sendall(reply())
        connection.shutdown(socket.SHUT_RDWR)
    everseal, _ = before(stage, script=script)
    for _ in range(10):
        assert ask(everseal.http, "a.example.com").status == 200


@pytest.mark.timed
def test_silent_application_is_504(stage):
    everseal, _ = before(stage, script=lambda c, u: time.sleep(5), head="answer-timeout 1s")
    answer = ask(everseal.http, "a.example.com")
    assert answer.status == 504 and "did not answer in time" in answer.text


def test_no_application_is_502(stage):
    everseal, upstream = before(stage)
    upstream.stop()
    answer = ask(everseal.http, "a.example.com")
    assert answer.status == 502 and "The application behind this site cannot be reached." in answer.text


def test_several_upstreams_one_dead(stage):
    one, two = stage.upstream(), stage.upstream(lambda heard: reply(b"two"))
    everseal = stage.everseal(sites=f"site * {{ proxy {one.address} {two.address} }}").start()
    assert {ask(everseal.http, "a.example.com").body for _ in range(20)} == {b"hello", b"two"}
    one.stop()
    assert {ask(everseal.http, "a.example.com").body for _ in range(20)} == {b"two"}


def test_loop_is_508(stage):
    everseal = stage.everseal()
    everseal.write(f"site * {{ proxy 127.0.0.1:{everseal.http} }}", head="workers 1").start()
    assert ask(everseal.http, "a.example.com").status == 508


def test_body_limit_is_413(stage):
    everseal, upstream = before(stage, head="body-most 1k")
    assert ask(everseal.http, "a.example.com", method="POST", body=b"x" * 1024).status == 200
    assert ask(everseal.http, "a.example.com", method="POST", body=b"x" * 1025).status == 413
    assert len(upstream.heard) == 1


# ---- streaming ----

def hear_head(connection):
    """What came up to the end of the head, and what of the body came with it."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    return received.split(b"\r\n\r\n", 1)


def test_streams_both_ways_as_it_comes(stage):
    """Each piece is passed on before the next is sent."""
    def script(connection, upstream):
        _, received = hear_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        answered = 0
        while not received.endswith(LAST_CHUNK):
            while answered < received.count(b"ping"):
                connection.sendall(b"4\r\npong\r\n")
                answered += 1
            received += connection.recv(1000)
        connection.sendall(LAST_CHUNK)
    everseal, _ = before(stage, script=script)
    with socket.create_connection(("127.0.0.1", everseal.http), timeout=5) as s:
        s.sendall(post(CHUNKED))
        received = b""
        for turn in range(1, 6):
            s.sendall(b"4\r\nping\r\n")
            while received.count(b"pong") < turn:
                piece = s.recv(1000)
                assert piece, received
                received += piece
        s.sendall(LAST_CHUNK)
        while not received.endswith(LAST_CHUNK):
            received += s.recv(1000)


def memory(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))


@pytest.mark.timed
def test_back_pressure(stage):
    """A client that reads nothing holds the application up, and costs no memory; 200 MB pass whole."""
    size, written = 200 << 20, [0]

    def script(connection, upstream):
        upstream.hear(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        block = bytes(1 << 20)
        for _ in range(size >> 20):
            connection.sendall(block)
            written[0] += len(block)
    everseal, _ = before(stage, script=script)
    at_first = memory(everseal.pid("serve"))
    with socket.create_connection(("127.0.0.1", everseal.http), timeout=20) as s:
        s.sendall(get())
        time.sleep(1)
        assert written[0] < 64 << 20, "the application was not held up"
        assert memory(everseal.pid("serve")) - at_first < 4096
        received = 0
        while received < size:
            piece = s.recv(1 << 20)
            assert piece
            received += len(piece)
    assert memory(everseal.pid("serve")) - at_first < 4096


def test_large_upload(stage):
    size, total = 64 << 20, []

    def script(connection, upstream):
        count = len(hear_head(connection)[1])
        while count < size:
            count += len(connection.recv(1 << 20))
        total.append(count)
        connection.sendall(reply(b"whole"))
    everseal, _ = before(stage, script=script)
    with socket.create_connection(("127.0.0.1", everseal.http), timeout=20) as s:
        s.sendall(post(b"Content-Length: %d" % size))
        for _ in range(size >> 20):
            s.sendall(bytes(1 << 20))
        assert read_answer(s, "POST").body == b"whole"
    assert total == [size]


def test_an_early_answer_ends_an_upload(stage):
    """The application refuses without reading the body: the client gets its answer."""
    def script(connection, upstream):
        hear_head(connection)
        connection.sendall(reply(b"no", "403 Forbidden", ["Connection: close"]))
        connection.shutdown(socket.SHUT_WR)
        read_all(connection)
    everseal, _ = before(stage, script=script)
    with socket.create_connection(("127.0.0.1", everseal.http), timeout=5) as s:
        s.sendall(post(b"Content-Length: 1000000", body=bytes(1000)))
        assert read_answer(s, "POST").status == 403


def test_many_clients_at_once(stage):
    everseal, upstream = before(stage)
    failures = []

    def client():
        try:
            for _ in range(20):
                answer = ask(everseal.http, "a.example.com")
                assert answer.body == b"hello", (answer.status, answer.text)
        except Exception as error:  # noqa: BLE001: every way to fail counts
            failures.append(repr(error))
    threads = [threading.Thread(target=client) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]
    assert len(upstream.heard) == 640
