"""The corpus of wire.py before Everseal, nginx and HAProxy: whatever Everseal passes on, both others pass on as the
same request; where they do not, doc/laws.md says why. Where Everseal refuses and they do not, it is the stricter."""
import contextlib
import pathlib
import re
import shutil
import socket
import subprocess

import pytest

import wire
from network import Upstream, body_end, free_port, until
from test_wire import read_status

LAWS = pathlib.Path(__file__).resolve().parents[2] / "doc" / "laws.md"

NGINX = """daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 512; }}
http {{
	access_log off; client_header_timeout 1s; client_body_timeout 1s;
	client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
	uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
	server {{
		listen 127.0.0.1:{port};
		location / {{
			proxy_pass http://{application}; proxy_http_version 1.1; proxy_set_header Connection "";
			proxy_set_header Host $http_host;
		}}
	}}
}}
"""
HAPROXY = """defaults
	mode http
	timeout client 1s
	timeout server 5s
	timeout connect 5s
frontend f
	bind 127.0.0.1:{port}
	default_backend b
backend b
	server a {application}
"""


class Peer:
    """nginx or HAProxy before an application of its own."""

    def __init__(self, name, folder):
        self.name, self.http = name, free_port()
        self.application = Upstream()
        conf = folder / "conf"
        text = {"nginx": NGINX, "haproxy": HAPROXY}[name]
        conf.write_text(text.format(folder=folder, port=self.http, application=self.application.address))
        command = {"nginx": ["nginx", "-c", conf, "-p", folder], "haproxy": ["haproxy", "-f", conf]}[name]
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL)
        until(f"{name} listens", self.listens)

    def listens(self):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.http), timeout=1).close()
            return True
        return False

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.application.stop()


def content(heard):
    """Of a request as it reached an application, whatever its framing."""
    if not re.search(rb"(?i)transfer-encoding: chunked", heard.head):
        return heard.body
    data, rest = b"", heard.body
    while rest:
        size, rest = rest.split(b"\r\n", 1)
        size = int(size.split(b";")[0], 16)
        data, rest = data + rest[:size], rest[size + 2:] if size else b""
    return data


def meaning(application):
    """Of all requests since the last time: method, target, content."""
    with application.lock:
        heard, application.heard = application.heard, []
    return [(*h.line.split()[:2], content(h)) for h in heard]


def passes(peer, sent, expected):
    """What reached the application; answers are awaited as far as there can be any."""
    with contextlib.closing(socket.create_connection(("127.0.0.1", peer.http), timeout=3)) as s:
        with contextlib.suppress(OSError, ValueError, IndexError):  # HTTP/0.9 has no status
            s.sendall(sent)
            stream = s.makefile("rb")
            for _ in range(max(1, expected)):
                if read_status(stream, sent.startswith(b"HEAD")) is None:
                    break
    return meaning(peer.application)


@pytest.fixture(scope="module")
def fronts(module_stage):
    application = module_stage.upstream()
    everseal = module_stage.everseal(sites=f"site * {{ proxy {application.address} }}").start()
    everseal.application = application
    peers = [module_stage.keep(Peer(name, module_stage.new_folder(name)))
             for name in ("nginx", "haproxy") if shutil.which(name)]
    assert len(peers) == 2, "nginx and HAProxy are needed: apt-get install nginx haproxy"
    return everseal, peers


def explained():
    """The table of doc/laws.md: (case, peer)."""
    text = LAWS.read_text().split("## Beside nginx and HAProxy", 1)[1]
    return {(case.strip(), peer.strip())
            for case, peer in re.findall(r"^\| `([^`]+)` \| (nginx|haproxy) \|", text, re.M)}


@pytest.mark.full
def test_nothing_passes_that_others_understand_in_another_way(fronts):
    everseal, peers = fronts
    differences, stricter = {}, {peer.name: 0 for peer in peers}
    for name, case in wire.ALL.items():
        ours = passes(everseal, case.sent, len(case.statuses))
        for peer in peers:
            theirs = passes(peer, case.sent, len(case.statuses))
            if ours != theirs and len(theirs) > len(ours):
                stricter[peer.name] += 1
            elif ours != theirs:
                differences[name, peer.name] = (ours, theirs)
    assert set(differences) == explained(), {k: v for k, v in differences.items() if k not in explained()}
    assert all(count > 0 for count in stricter.values())
