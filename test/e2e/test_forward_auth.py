"""`forward-auth`: another application says who comes in; byte for byte what it is asked, and what follows."""
import socket
import struct
import threading

import pytest

from network import ask, raw, reply


def verdict(heard):
    lines = heard.head.split(b"\r\n")
    if b"authorization: Bearer good" in lines:
        return reply(b"ignored", headers=["Remote-User: ann", "Remote-Groups: a", "Remote-Groups: b", "X-Other: no"])
    if b"authorization: Bearer none" in lines:
        return reply(b"", status="204 No Content").replace(b"Content-Length: 0\r\n", b"")
    if b"authorization: Bearer cut" in lines:
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno chunk\r\n"
    if b"authorization: Bearer big" in lines:
        return reply(b"x" * 2_000_000, status="403 Forbidden")
    if b"authorization: Bearer died" in lines:
        return None
    return reply(b"who are you?", status="302 Found",
                 headers=["Location: https://login.example.com/", "Set-Cookie: visit=1"])


@pytest.fixture(scope="module")
def front(module_stage):
    application, judge = module_stage.upstream(), module_stage.upstream(verdict)
    everseal = module_stage.everseal(sites=f"""
site * {{
	proxy {application.address}
	forward-auth http://{judge.address}/verify?from=us copy Remote-User Remote-Groups
	route /open/ {{ forward-auth off }}
	route /nobody/ {{ forward-auth http://127.0.0.1:9/ }}
}}
""").start()
    everseal.application, everseal.judge = application, judge
    return everseal


def get(front, path, *headers, method="GET", body=b""):
    return ask(front.http, "a.example.com", path, method=method, body=body, headers=headers)


@pytest.mark.asan
def test_who_comes_in_and_how(front):
    before, judged = len(front.application.heard), len(front.judge.heard)
    body = b"y" * 100_000
    answer = get(front, "/x?y", "Authorization: Bearer good", "Remote-User: root", "remote_user: root",
                 "X-Forwarded-Method: PUT", "If-None-Match: \"1\"", "Cookie: a=b", method="POST", body=body)
    assert (answer.status, answer.body) == (200, b"hello")
    question = front.judge.heard[judged]
    assert question.head.startswith(b"GET /verify?from=us HTTP/1.1\r\nhost: a.example.com\r\n") and not question.body
    for line in (b"x-forwarded-method: POST", b"x-forwarded-uri: /x?y", b"x-forwarded-host: a.example.com",
                 b"x-forwarded-for: 127.0.0.1", b"x-forwarded-proto: http", b"cookie: a=b"):
        assert question.head.count(b"\r\n" + line + b"\r\n") == 1, line
    assert b"root" not in question.head and b"if-none-match" not in question.head
    heard = front.application.heard[before]
    assert heard.head.startswith(b"POST /x?y HTTP/1.1\r\n") and heard.body == body
    assert b"\r\nremote-user: ann\r\nremote-groups: a\r\nremote-groups: b\r\n" in heard.head
    assert b"root" not in heard.head and b"x-other" not in heard.head and b"x-forwarded-method" not in heard.head


@pytest.mark.asan
def test_who_does_not_gets_the_answer(front):
    before = len(front.application.heard)
    answer = get(front, "/x")
    assert (answer.status, answer.body) == (302, b"who are you?")
    assert answer.headers["location"] == "https://login.example.com/" and answer.headers["set-cookie"] == "visit=1"
    assert get(front, "/x", method="HEAD").body == b""
    big = get(front, "/x", "Authorization: Bearer big")
    assert (big.status, len(big.body)) == (403, 2_000_000)
    for token in ("cut", "died"):
        assert get(front, "/x", f"Authorization: Bearer {token}").status == 502
    assert get(front, "/nobody/x", "Authorization: Bearer good").status == 502
    assert len(front.application.heard) == before, "nothing of them reached the application"


def test_an_answer_without_content_lets_in(front):
    assert get(front, "/x", "Authorization: Bearer none").body == b"hello"


def test_a_route_may_be_open(front):
    judged = len(front.judge.heard)
    assert get(front, "/open/x").body == b"hello" and len(front.judge.heard) == judged
    assert get(front, "/open/../x").status == 302 and get(front, "/open/..;/x").status in (302, 400)


def test_many_on_one_connection(front):
    request = b"GET /x HTTP/1.1\r\nHost: a.example.com\r\nAuthorization: Bearer good\r\n\r\n"
    last = request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert raw(front.http, request * 20 + last).count(b"\r\n\r\nhello") == 21


@pytest.mark.asan
def test_a_client_that_leaves_while_it_is_asked_about(stage):
    asked, let_go = threading.Semaphore(0), threading.Semaphore(0)

    def slow(connection, upstream):
        if b"GET / HTTP/1.1" in connection.recv(65536) and upstream.answers:
            connection.sendall(reply(b""))
            return
        asked.release()
        if not connection.recv(1):
            let_go.release()

    application, judge = stage.upstream(), stage.upstream(script=slow)
    judge.answers = False
    everseal = stage.everseal(sites=f"site * {{ proxy {application.address}; "
                                    f"forward-auth http://{judge.address}/ }}").start()
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", everseal.http)) as s:
            s.sendall(b"GET /x HTTP/1.1\r\nHost: a.example.com\r\n\r\n")
            assert asked.acquire(timeout=10)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert let_go.acquire(timeout=10), "the question is dropped with the client"
    judge.answers = True
    assert ask(everseal.http, "a.example.com", "/y").status == 200
    assert [h.head.split(b" ")[1] for h in application.heard] == [b"/y"]
