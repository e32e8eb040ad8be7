"""The page's port flooded: an administrator who has signed in goes on being answered, and so do the sites."""
import contextlib
import http.client
import socket
import threading

import pytest

from api import Api
from network import ask, client_context, read_answer, request_bytes, until

PING = "/api/octopusservernodes/ping"
PASSWORD = "correct horse battery"


@pytest.fixture
def page(everseal):
    until("the page answers", lambda: answers(everseal.page, PING), 20)
    return everseal


def answers(port, path, **headers):
    with contextlib.suppress(OSError, http.client.HTTPException):
        lines = [f"{name}: {value}" for name, value in headers.items()]
        return ask(port, "127.0.0.1", path, headers=lines, timeout=30, host="127.0.0.1").status == 200
    return False


@pytest.fixture
def cookie(page):
    """Of an administrator who has signed in."""
    api = Api(page.state)
    api.post("/api/people", {"name": "ana", "password": PASSWORD, "scope": "administer"}).ok(201)
    reply = Api(None, page.page).ask("POST", "/api/session", {"name": "ana", "password": PASSWORD},
                                     {"Origin": f"http://127.0.0.1:{page.page}"})
    assert reply.status == 200, reply.body
    return reply.headers["Set-Cookie"].split(";")[0]


def all_are_served(page, cookie):
    """Each within half a minute, on a machine that the flood keeps busy."""
    for _ in range(5):
        until("the administrator is answered", lambda: answers(page.page, "/api/status", Cookie=cookie), 30)
        until("a site is answered", lambda: ask(page.http, "a.example.com", timeout=30).status == 200, 30)


@contextlib.contextmanager
def threads(count, work):
    ending = threading.Event()
    all_of_them = [threading.Thread(target=work, args=(ending,)) for _ in range(count)]
    for thread in all_of_them:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in all_of_them:
            thread.join()


def test_a_flood_of_handshakes(page, cookie):
    context = client_context()
    made = []

    def shake(ending):
        while not ending.is_set():
            with contextlib.suppress(OSError), \
                 socket.create_connection(("127.0.0.1", page.page), 30) as s, \
                 context.wrap_socket(s):
                made.append(1)
    with threads(8, shake):
        until("they come through", lambda: len(made) > 200, 60)
        all_are_served(page, cookie)


def test_a_thousand_requests_under_way(page, cookie):
    """Each has sent its head and a part of its body, and is not idle."""
    begun = request_bytes("127.0.0.1", "/api/session", "POST", ["Content-Length: 100"])
    with contextlib.ExitStack() as stack:
        for _ in range(1100):
            with contextlib.suppress(OSError):
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", page.page), timeout=30))
                connection.sendall(begun + b'{"name":')
        all_are_served(page, cookie)


def test_a_thousand_requests_that_cost_something(page, cookie):
    """As many sign-ins at once as there are connections."""
    body = b'{"name":"eve","password":"wrong password"}'
    sent = request_bytes("127.0.0.1", "/api/session", "POST", [f"Origin: http://127.0.0.1:{page.page}"], body,
                         port=page.page)
    with contextlib.ExitStack() as stack:
        connections = []
        for _ in range(900):
            connections.append(stack.enter_context(socket.create_connection(("127.0.0.1", page.page), timeout=60)))
            connections[-1].sendall(sent)
        all_are_served(page, cookie)
        statuses = {read_answer(c).status for c in connections[:50]}
        assert statuses <= {401, 429, 503}
