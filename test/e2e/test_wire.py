"""Every case of wire.py: what the client sees, whether its connection stays open, and what reached the
application, byte for byte."""
import contextlib
import re
import socket

import pytest

import wire
from network import Upstream

PROBE = wire.get(path=b"/probe")


class Recorder(Upstream):
    """Keeps all requests, byte for byte."""

    def taken(self):
        """What came since the last time."""
        with self.lock:
            heard, self.heard = self.heard, []
        return b"".join(h.head + h.body for h in heard)


@pytest.fixture(scope="module")
def front(module_stage):
    application = module_stage.keep(Recorder())
    everseal = module_stage.everseal(sites=f"site * {{ proxy {application.address} }}",
                                     head="header-timeout 60s\nbody-timeout 60s\nidle-timeout 60s").start()
    everseal.application = application
    return everseal


def read_status(stream, head_only=False):
    """The status of the next answer, all of which is read; None if the connection has ended. A refusal says
    why, and that it is the last."""
    line = stream.readline()
    if not line:
        return None
    length, closes = 0, False
    while (field := stream.readline().lower()) not in (b"\r\n", b""):
        if field.startswith(b"content-length:"):
            length = int(field.split(b":")[1])
        closes = closes or field == b"connection: close\r\n"
    text = b"" if head_only else stream.read(length)
    status = int(line.split()[1])
    assert status < 400 or not text.startswith(b"<!doctype") or (closes and b"<p>" in text)
    return status


SMUGGLED = wire.get(path=b"/smuggled")


def converse(port, case):
    """The statuses of the answers, and whether the connection then answers one more. Behind what is refused
    stands a second request, which is never looked at."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as s:
        s.sendall(case.sent + (SMUGGLED if case.statuses[-1] >= 400 else b""))
        stream = s.makefile("rb")
        statuses = [read_status(stream, case.sent.startswith(b"HEAD")) for _ in case.statuses]
        try:
            s.sendall(PROBE)
            is_open = read_status(stream) == 200
        except OSError:
            is_open = False
    return statuses, is_open


@pytest.mark.asan
@pytest.mark.parametrize("case", wire.ALL.values(), ids=[k.replace(" ", "-") for k in wire.ALL])
def test_wire(front, case):
    assert converse(front.http, case) == (case.statuses, case.open)
    passed = re.sub(rb"everseal-[0-9a-f]{16}", wire.VIA, front.application.taken())
    if case.open:
        passed = passed.removesuffix(wire.to(b"GET /probe"))
    assert passed == case.passed


def test_there_are_enough():
    assert len(wire.ALL) >= 150
