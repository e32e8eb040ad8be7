"""`root DIRECTORY`: files from disk through the whole program, behind all its fences."""
import contextlib
import os
import pathlib
import socket
import threading

import pytest

from network import ask, raw, until

OLD = 1767225600  # 2026-01-01T00:00:00Z


def put(path, content, when=OLD):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (when, when))
    return path


@pytest.fixture(scope="module")
def front(module_stage):
    folder = module_stage.new_folder("www")
    put(folder / "index.html", b"<h1>home</h1>")
    put(folder / "a.txt", b"0123456789")
    put(folder / "docs/index.html", b"docs")
    put(folder / "app.js", b"js")
    put(folder / "app.js.br", b"BROTLI")
    put(folder / "app.js.gz", b"GZIP")
    put(folder / ".env", b"SECRET=1")
    put(folder / "big.bin", os.urandom(5 << 20))
    put(folder.parent / "outside.txt", b"outside")
    (folder / "out").symlink_to("../outside.txt")
    (folder / "etc").symlink_to("/etc")
    os.mkfifo(folder / "fifo")
    application = module_stage.upstream()
    everseal = module_stage.everseal(sites=f"""
site * {{
	root {folder}
	header set Cache-Control "public, max-age=60"
	route /api/ {{ proxy {application.address} }}
	route /static/ {{ root {folder}/docs }}
	route /closed/ {{ deny all }}
}}
""").start()
    everseal.www, everseal.application = folder, application
    return everseal


def test_the_fence_around_files_stands(front):
    fences = {f["process"]: f["standing"] for f in front.status()["fences"]}
    assert "landlock" in fences["serve"] or not os.path.exists("/sys/kernel/security/landlock"), fences
    assert fences["serve"].count("landlock") <= 1


@pytest.mark.asan
@pytest.mark.parametrize("path, status, body", [
    ("/", 200, b"<h1>home</h1>"), ("/a.txt", 200, b"0123456789"), ("/docs/", 200, b"docs"),
    ("/static/", 200, b"docs"), ("/static/index.html", 200, b"docs"), ("/api/x", 200, b"hello"),
    ("/x/../a.txt", 200, b"0123456789"),
    ("/nothing", 404, None), ("/.env", 404, None), ("/%2eenv", 404, None), ("/x/..%2f.env", 404, None),
    ("/out", 404, None), ("/etc/passwd", 404, None), ("/fifo", 404, None), ("/../outside.txt", 400, None),
    ("/..%2foutside.txt", 404, None), ("/%2e%2e/outside.txt", 400, None), ("/docs%2findex.html", 404, None),
    ("/docs/..%5c..%5coutside.txt", 404, None), ("//etc/passwd", 404, None), ("/a.txt%00", 400, None),
    ("/static/../a.txt", 200, b"0123456789"), ("/static/..%2fa.txt", 400, None),
    ("/static%2f..%2fa.txt", 400, None), ("/closed/", 403, None), ("/closed/../a.txt", 200, b"0123456789"),
])
def test_what_is_served_and_what_is_not(front, path, status, body):
    answer = ask(front.http, "a.example.com", path)
    assert answer.status == status, answer
    assert body is None or answer.body == body
    assert b"SECRET" not in answer.body and b"outside" not in answer.body and b"root:" not in answer.body


def test_a_directory_is_redirected_to_its_slash(front):
    answer = ask(front.http, "a.example.com", "/docs?x=1")
    assert (answer.status, answer.headers["location"]) == (301, "/docs/?x=1")
    assert ask(front.http, "a.example.com", "//docs").status == 404


def test_caches_and_parts(front):
    whole = ask(front.http, "a.example.com", "/a.txt")
    assert whole.headers["last-modified"] == "Thu, 01 Jan 2026 00:00:00 GMT"
    assert whole.headers["cache-control"] == "public, max-age=60"
    assert whole.headers["content-type"] == "text/plain; charset=utf-8"
    again = ask(front.http, "a.example.com", "/a.txt", headers=[f"If-None-Match: {whole.headers['etag']}"])
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", whole.headers["etag"])
    part = ask(front.http, "a.example.com", "/a.txt", headers=["Range: bytes=2-4"])
    assert (part.status, part.body, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    assert ask(front.http, "a.example.com", "/a.txt", headers=["Range: bytes=10-"]).status == 416
    for coding, body in (("br", b"BROTLI"), ("gzip", b"GZIP"), ("identity", b"js")):
        answer = ask(front.http, "a.example.com", "/app.js", headers=[f"Accept-Encoding: {coding}"])
        assert (answer.body, answer.headers["vary"]) == (body, "accept-encoding")
        assert answer.headers["content-encoding"] == (None if coding == "identity" else coding)


@pytest.mark.asan
@pytest.mark.parametrize("secure", [False, True])
def test_a_large_file_arrives_whole(front, secure):
    answer = ask(front.https if secure else front.http, "a.example.com", "/big.bin", secure=secure)
    assert answer.body == (front.www / "big.bin").read_bytes()


def test_many_requests_on_one_connection(front):
    request = b"GET /a.txt HTTP/1.1\r\nHost: a.example.com\r\n\r\n"
    last = request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    received = raw(front.http, request * 50 + last)
    assert received.count(b"\r\n\r\n0123456789") == 51


def test_a_file_that_shrinks_while_it_is_sent_is_no_whole_answer(front):
    path = put(front.www / "shrinking.bin", b"x" * (64 << 20))
    with socket.create_connection(("127.0.0.1", front.http), timeout=10) as s:
        s.sendall(b"GET /shrinking.bin HTTP/1.1\r\nHost: a.example.com\r\n\r\n")
        received = len(s.recv(1000))
        os.truncate(path, 0)
        try:
            while piece := s.recv(1 << 20):
                received += len(piece)
        except ConnectionResetError:
            pass
    assert received < 64 << 20


def test_a_new_file_is_served_at_once(front):
    put(front.www / "new.txt", b"new")
    assert ask(front.http, "a.example.com", "/new.txt").body == b"new"


def test_a_restarted_serve_has_the_directory(front):
    before = front.kill("serve")
    front.wait_back("serve", before)
    until("files are served again", lambda: ask_quietly(front) == b"0123456789")


def ask_quietly(front):
    try:
        return ask(front.http, "a.example.com", "/a.txt").body
    except OSError:
        return None


def test_a_directory_that_is_gone(stage, upstream):
    folder = stage.new_folder("www")
    put(folder / "a.txt", b"a")
    everseal = stage.everseal(sites=f"site * {{ root {folder} }}").start()
    assert ask(everseal.http, "a.example.com", "/a.txt").body == b"a"
    everseal.write(sites=f"site * {{ root {folder}-not }}")
    everseal.reload().failed("The directory .*-not cannot be opened: No such file or directory")
    assert ask(everseal.http, "a.example.com", "/a.txt").body == b"a"


def test_a_new_directory_needs_no_restart(stage, upstream):
    """Another serve takes over, beside the one that may not read it; nobody who asks meanwhile notices."""
    folder = stage.new_folder("www")
    put(folder / "a.txt", b"a")
    everseal = stage.everseal(sites=f"site * {{ proxy {upstream.address} }}").start()
    before, failures, done = everseal.pid("serve"), [], threading.Event()

    def visit():
        while not done.is_set():
            try:
                if ask(everseal.http, "a.example.com", "/").status != 200:
                    failures.append("status")
            except OSError as why:
                failures.append(repr(why))

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        for name in ("files", "more"):
            everseal.write(sites=f"site * {{ proxy {upstream.address}; route /{name}/ {{ root {folder} }} }}")
            everseal.reload().ok()
            until("the files are there", lambda: ask(everseal.http, "a.example.com", f"/{name}/a.txt").body == b"a")
        after = everseal.pid("serve")
        assert after != before or "landlock" not in str(everseal.status()["fences"])
        other = stage.new_folder("other")
        put(other / "b.txt", b"b")
        everseal.write(sites=f"site * {{ proxy {upstream.address}; route /b/ {{ root {other} }} }}")
        everseal.reload().ok()
        until("the other files are there", lambda: ask(everseal.http, "a.example.com", "/b/b.txt").body == b"b")
    finally:
        done.set()
        visitor.join()
    assert not failures
    until("the serves before have ended", lambda: serves(everseal) == 1, 20)


def serves(everseal):
    count = 0
    for children in pathlib.Path(f"/proc/{everseal.pid('supervisor')}/task").glob("*/children"):
        for pid in children.read_text().split():
            with contextlib.suppress(OSError):  # it has just ended
                count += b"everseal-serve" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    return count
