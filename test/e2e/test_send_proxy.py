"""`send-proxy`: applications that are told by the PROXY protocol who the visitor is."""
import contextlib
import socket
import struct
import subprocess

import pytest
from cryptography import x509

import http2
from http2_upstream import Http2Upstream
from network import Upstream, ask, free_port, read_answer, reply, request_bytes, until
from test_http2 import has_certificate
from test_upstreams import ByTls, authority  # noqa: F401 (a fixture)

NAME = http2.NAME
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def read_exactly(connection, n):
    data = b""
    while len(data) < n:
        piece = connection.recv(n - len(data))
        if not piece:
            raise OSError("it has ended")
        data += piece
    return data


def take_preface(connection):
    """What stands before the first byte, as (command, source, destination)."""
    first = read_exactly(connection, 12)
    if first != SIGNATURE:
        line = first
        while not line.endswith(b"\r\n"):
            line += read_exactly(connection, 1)
        return line
    command, family, length = struct.unpack("!BBH", read_exactly(connection, 4))
    rest = read_exactly(connection, length)
    assert command in (0x20, 0x21) and (family, length) in ((0x11, 12), (0x21, 36), (0, 0))
    if not length:
        return "LOCAL" if command == 0x20 else "UNSPEC"
    size = 4 if family == 0x11 else 16
    ports = struct.unpack("!HH", rest[2 * size:])
    to_text = lambda b: socket.inet_ntop(socket.AF_INET if size == 4 else socket.AF_INET6, b)
    return (to_text(rest[:size]), ports[0]), (to_text(rest[size:2 * size]), ports[1])


class Prefaced(Upstream):
    """Answers with the number of its connection."""

    def __init__(self, **options):
        self.prefaces = []
        super().__init__(script=type(self).converse, **options)

    def converse(connection, self):
        preface = take_preface(connection)
        with self.lock:
            self.prefaces.append(preface)
            number = len(self.prefaces)
        self.answer = lambda heard: reply(b"%d" % number)
        rest = b""
        while True:
            heard, rest = self.hear(connection, rest)
            if heard is None:
                return
            connection.sendall(reply(b"%d" % number))


def start(stage, application, version, block="", head=""):
    site = f"site {NAME} {{ proxy {application} {{ send-proxy {version}; {block} }} }}"
    everseal = stage.everseal(sites=site, head=f"workers 1\n{head}").start()
    until("the name has its certificate", lambda: has_certificate(everseal))
    return everseal


@contextlib.contextmanager
def visitor(everseal):
    with contextlib.closing(socket.create_connection(("127.0.0.1", everseal.http), 20)) as s:
        yield s


def says(connection, headers=()):
    connection.sendall(request_bytes(NAME, "/", headers=headers))
    return read_answer(connection).body


def expected(version, source, destination):
    if version == "v2":
        return source, destination
    return f"PROXY TCP4 {source[0]} {destination[0]} {source[1]} {destination[1]}\r\n".encode()


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_each_visitor_has_connections_of_its_own(stage, version):
    app = stage.keep(Prefaced())
    everseal = start(stage, app.address, version)
    with visitor(everseal) as first, visitor(everseal) as second:
        assert [says(first), says(first), says(second), says(first), says(second)] == [b"1", b"1", b"2", b"1", b"2"]
        to = ("127.0.0.1", everseal.http)
        assert app.prefaces == [expected(version, s.getsockname(), to) for s in (first, second)]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_trusted_proxy_s_visitor_is_named(stage, version):
    app = stage.keep(Prefaced())
    everseal = start(stage, app.address, version, head="trusted-proxy 127.0.0.1")
    with visitor(everseal) as s:
        assert says(s, ["X-Forwarded-For: 192.0.2.7"]) == b"1"
        assert says(s, ["X-Forwarded-For: 192.0.2.8"]) == b"2"
        assert says(s, ["X-Forwarded-For: 192.0.2.7"]) == b"1"
    to = ("127.0.0.1", everseal.http)
    assert app.prefaces == [expected(version, (f"192.0.2.{n}", 0), to) for n in (7, 8)]


def test_over_tls_the_visitor_comes_before_the_handshake(stage, authority):  # noqa: F811
    class Both(ByTls):
        def serve(self, connection):
            with self.lock:
                self.prefaces = [*getattr(self, "prefaces", []), take_preface(connection)]
            super().serve(connection)
    app = stage.keep(Both(authority.context(x509.DNSName("app.internal"))))
    everseal = start(stage, f"https://{app.address}", "v2", f"trust {authority.file}; server-name app.internal")
    with visitor(everseal) as s:
        assert says(s) == b"hello"
        assert app.prefaces == [expected("v2", s.getsockname(), ("127.0.0.1", everseal.http))]


def test_over_http_2(stage):
    class Both(Http2Upstream):
        def serve(self, connection):
            with self.lock:
                self.prefaces = [*getattr(self, "prefaces", []), take_preface(connection)]
            super().serve(connection)
    app = stage.keep(Both())
    everseal = start(stage, app.h2c, "v1")
    with visitor(everseal) as first, visitor(everseal) as second:
        assert [says(first), says(second), says(first)] == [b"hello"] * 3
        assert app.prefaces == [expected("v1", s.getsockname(), ("127.0.0.1", everseal.http)) for s in (first, second)]


@pytest.mark.parametrize(["version", "said"], [("v1", b"PROXY UNKNOWN\r\n"), ("v2", "LOCAL")])
def test_health_checks_are_no_visitor_s(stage, version, said):
    app = stage.keep(Prefaced())
    start(stage, app.address, version, "health / { interval 100ms }")
    until("it was asked twice", lambda: app.prefaces == [said] * len(app.prefaces) and len(app.prefaces) > 1)


def test_who_is_kept_for_another_visitor_makes_room(stage):
    app = stage.keep(Prefaced())
    everseal = start(stage, app.address, "v2", "max-connections 1")
    with visitor(everseal) as first, visitor(everseal) as second:
        assert [says(first), says(second), says(first)] == [b"1", b"2", b"3"]


def test_a_version_that_there_is_not(stage):
    everseal = stage.everseal(sites="site * { proxy 127.0.0.1:3000 { send-proxy v3 } }")
    outcome = everseal.cli("check")
    assert outcome.status == 1 and '"v3" is no version of the PROXY protocol: write v1 or v2.' in outcome[2]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nginx(stage, version):
    folder, port = stage.new_folder("nginx"), free_port()
    conf = folder / "nginx.conf"
    conf.write_text(f"""daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
events {{ }}
http {{ access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{ listen 127.0.0.1:{port} proxy_protocol;
        location / {{ return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_port"; }} }} }}""")
    nginx = subprocess.Popen(["nginx", "-c", conf, "-e", "stderr"], stderr=subprocess.DEVNULL)
    try:
        everseal = start(stage, f"127.0.0.1:{port}", version)
        until("nginx answers", lambda: ask(everseal.http, NAME).status == 200)
        with visitor(everseal) as s:
            assert says(s) == f"127.0.0.1 {s.getsockname()[1]} {everseal.http}".encode()
    finally:
        nginx.kill()
        nginx.wait()
