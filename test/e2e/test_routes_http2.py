"""Routes and rules over HTTP/2: the same paths, the same refusals, many at once on one connection."""
import base64
import gzip
import os
import subprocess

import pytest
from hyperframe.frame import RstStreamFrame

from house import PROGRAM
from http2 import CANCEL, Client
from network import reply

TEXT = b"<p>the same words again and again</p>\n" * 500


def judge(heard):
    return reply(b"", headers=["Remote-User: ann"]) if b"cookie: in=yes" in heard.head else \
        reply(b"no", status="403 Forbidden")


@pytest.fixture(scope="module")
def front(module_stage):
    folder = module_stage.new_folder("www")
    (folder / "big.bin").write_bytes(os.urandom(3 << 20))
    os.utime(folder / "big.bin", (1767225600, 1767225600))
    main = module_stage.upstream(lambda heard: reply(TEXT, headers=["Content-Type: text/html"]))
    api, door = module_stage.upstream(), module_stage.upstream(judge)
    hashed = subprocess.run([PROGRAM, "admin", "hash"], input="secret\n", text=True, capture_output=True,
                            check=True).stdout.strip()
    everseal = module_stage.everseal(sites=f"""
site * {{
	proxy {main.address}
	encode gzip
	route /api/ {{ proxy {api.address} }}
	route /admin/ {{ allow 10.0.0.0/8 }}
	route /files/ {{ root {folder} }}
	route /ann/ {{ basic-auth ann {hashed} }}
	route /door/ {{ forward-auth http://{door.address}/ copy Remote-User }}
	route /say {{ respond 200 said }}
}}
""").start()
    everseal.main, everseal.api, everseal.www = main, api, folder
    return everseal


def ask(client, path, *more, **changes):
    return client.answer(client.request(path, more=more, **changes))


@pytest.mark.asan
@pytest.mark.parametrize("path, status", [
    ("/admin", 403), ("/%61dmin/x", 403), ("/x/../admin", 403), ("/x/%2e%2e/admin", 403), ("//admin", 400),
    ("/x/..;/admin", 400), ("/x%2f..%2fadmin", 400), ("/%2fadmin", 400), ("/admin%00", 400), ("/%252fadmin", 400),
    ("/../admin", 400), ("/%zz", 400), ("/api/x", 200), ("/say", 200), ("/x/../say", 200),
])
def test_the_same_rules(front, path, status):
    before = len(front.main.heard)
    with Client(front.https) as client:
        assert ask(client, path).status == status
    assert len(front.main.heard) == before


@pytest.mark.parametrize("path", ["admin", "/admin\\x", "/x\\..\\admin", "/a b", "/a#b", "/\xe4", "http://a.example.com/admin"])
def test_what_is_no_path_reaches_nothing(front, path):
    before = len(front.main.heard)
    with Client(front.https) as client:
        stream = ask(client, path)
        assert stream.reset is not None or stream.status in (400, 403, 404)
    assert len(front.main.heard) == before


def test_the_path_in_normal_form_goes_to_the_application(front):
    before = len(front.api.heard)
    with Client(front.https) as client:
        assert ask(client, "/x/%2e%2e/%61pi/a%2fb?c").status == 200
    assert front.api.heard[before].head.startswith(b"GET /api/a%2Fb?c HTTP/1.1\r\n")


@pytest.mark.asan
def test_everything_at_once_on_one_connection(front):
    good = ("authorization", "Basic " + base64.b64encode(b"ann:secret").decode())
    accepts, inside = ("accept-encoding", "gzip"), ("cookie", "in=yes")
    with Client(front.https) as client:
        wanted = {}
        for _ in range(4):
            wanted[client.request("/files/big.bin")] = (200, (front.www / "big.bin").read_bytes())
            wanted[client.request("/ann/x", more=[good])] = (200, TEXT)
            wanted[client.request("/ann/x")] = (401, None)
            wanted[client.request("/door/x", more=[inside])] = (200, TEXT)
            wanted[client.request("/door/x")] = (403, b"no")
            wanted[client.request("/gzip", more=[accepts])] = (200, "gzip")
            wanted[client.request("/say", method="HEAD")] = (200, b"")
            wanted[client.request("/files/big.bin", more=[("range", "bytes=1-3,5-6")])] = (206, None)
        for stream_id, (status, body) in wanted.items():
            stream = client.answer(stream_id)
            assert stream.status == status and stream.ended, (status, stream.heads)
            if body == "gzip":
                assert gzip.decompress(stream.body) == TEXT and stream.final["content-encoding"] == "gzip"
            elif body is not None:
                assert stream.body == body


@pytest.mark.asan
def test_streams_that_are_reset_while_they_wait(front):
    """Files, questions to control and to an application are let go with the stream."""
    wrong = ("authorization", "Basic " + base64.b64encode(b"ann:wrong").decode())
    with Client(front.https) as client:
        for path in ("/files/big.bin", "/ann/x", "/door/x", "/gzip") * 5:
            stream_id = client.request(path, more=[wrong, ("accept-encoding", "gzip")])
            client.send(RstStreamFrame(stream_id, error_code=CANCEL))
        assert ask(client, "/say").body == b"said"
