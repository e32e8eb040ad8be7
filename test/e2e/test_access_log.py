"""The access log: what a line says, that no client forges one, rotation, and a disk that is full or slow."""
import json
import os
import signal

import pytest

from network import ask, raw, reply, until


def start(stage, line, sites="", env=None):
    app = stage.upstream(lambda heard: reply(b"hello", headers=["X-A: b"]))
    everseal = stage.everseal(head=line, sites=f"site * {{ proxy {app.address} }}\n{sites}", env=env)
    everseal.app = app
    return everseal


def logged(path, lines):
    return until(lambda: f"{lines} lines in {path}: {path.read_text()}",
                 lambda: (l := path.read_text(errors="replace").splitlines()) and len(l) >= lines and l)


@pytest.fixture
def log(stage):
    folder = stage.new_folder("logs")
    folder.chmod(0o777)
    return folder / "access.log"


@pytest.mark.asan
def test_json_tells_of_each_exchange(stage, log):
    everseal = start(stage, f"access-log json {log}").start()
    ask(everseal.http, "a.example", "/x?y=1", headers=["User-Agent: tests", "Cookie: hidden", "Referer: r"])
    logged(log, 1)  # workers do not wait for one another
    ask(everseal.https, "a.example", "/t", secure=True)
    logged(log, 2)
    raw(everseal.http, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    first, second, third = map(json.loads, logged(log, 3))
    assert (first["method"], first["path"], first["status"], first["bytes"]) == ("GET", "/x?y=1", 200, 5)
    assert (first["client"], first["agent"], first["referer"]) == ("127.0.0.1", "tests", "r")
    assert (first["site"], first["upstream"], first["tls"]) == ("*", everseal.app.address, None)
    assert second["tls"] == "TLSv1.3" and second["host"].startswith("a.example")
    assert third["status"] == 400 and third["site"] is None
    assert "hidden" not in log.read_text()
    assert oct(log.stat().st_mode & 0o777) == "0o640"


def test_no_client_forges_a_line(stage, log):
    everseal = start(stage, f"access-log combined {log}").start()
    ask(everseal.http, "a.example", '/"%0a127.0.0.1', headers=['User-Agent: x" 200 5\t\\'])
    line, = logged(log, 1)
    assert '"GET /\\x22%0a127.0.0.1 HTTP/1.1" 200 5 "-" "x\\x22 200 5\\x09\\x5C"' in line


@pytest.mark.parametrize("how", ["signal", "reload"])
def test_rotation(stage, log, how):
    everseal = start(stage, f"access-log common {log}").start()
    ask(everseal.http, "a.example", "/1")
    logged(log, 1)
    log.rename(old := log.with_suffix(".1"))
    if how == "signal":
        os.kill(everseal.pid("supervisor"), signal.SIGUSR1)
    else:
        everseal.reload().ok()
    until("the file is there again", log.exists)

    def arrived():
        ask(everseal.http, "a.example", "/2")
        return "/2" in log.read_text()
    until("lines come to the new file", arrived)
    assert "/1" in old.read_text()


def test_successors_go_on(stage, log):
    everseal = start(stage, f"access-log common {log}").start()
    for process in ("serve", "control"):
        everseal.wait_back(process, everseal.kill(process))
        everseal.wait_serving()

        def arrived():
            ask(everseal.http, "a.example", f"/{process}")
            return f"/{process}" in log.read_text()
        until("its successor logs", arrived)


def test_off_by_default_and_for_a_site(stage, log):
    everseal = start(stage, f"access-log common {log}", "site quiet.example { proxy 127.0.0.1:9; access-log off }")
    everseal.start()
    ask(everseal.http, "quiet.example")
    ask(everseal.http, "a.example", "/loud")
    line, = logged(log, 1)
    assert "/loud" in line
    everseal.write(f"site * {{ proxy {everseal.app.address} }}", head="access-log off")
    everseal.reload().ok()
    ask(everseal.http, "a.example", "/silent")
    everseal.stop()
    assert "/silent" not in log.read_text()


def test_lines_are_there_after_an_orderly_end(stage, log):
    everseal = start(stage, f"access-log common {log}").start()
    for i in range(20):
        ask(everseal.http, "a.example", f"/{i}")
    everseal.stop()
    assert len(log.read_text().splitlines()) == 20


def test_stderr_is_a_place_too(stage):
    everseal = start(stage, "access-log common stderr").start()
    ask(everseal.http, "a.example", "/here")
    everseal.logged(r'"GET /here HTTP/1\.1" 200 5')


def test_file_that_cannot_be_opened_refuses_a_reload(stage, log):
    everseal = start(stage, f"access-log common {log}").start()
    everseal.write(f"site * {{ proxy {everseal.app.address} }}", head=f"access-log common {log}/x")
    everseal.reload().failed(r"everseal\.conf:\d+: the access log .* cannot be opened: Not a directory")
    ask(everseal.http, "a.example", "/still")
    logged(log, 1)


def test_full_disk_costs_lines_and_no_request(stage):
    everseal = start(stage, "access-log common /dev/full").start()
    for _ in range(3):
        assert ask(everseal.http, "a.example").status == 200
    everseal.logged(r"lines of the access log are lost: No space left on device")


def test_fifo_that_nobody_empties_costs_lines_and_no_request(stage, log):
    os.mkfifo(log)
    reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    try:
        everseal = start(stage, f"access-log common {log}").start()
        path = "/" + "x" * 2000
        for _ in range(120):
            assert ask(everseal.http, "a.example", path).status == 200
        everseal.logged(r"lines of the access log are lost")
        everseal.stop()
    finally:
        os.close(reader)


def test_status_counts_by_site_and_application(stage):
    everseal = start(stage, "access-log off", "site b.example { proxy 127.0.0.1:9 }").start()
    for _ in range(3):
        ask(everseal.http, "a.example")
    ask(everseal.http, "b.example")

    def counted():
        found = {c.get("site") or c.get("upstream"): c for c in everseal.status()["counters"]}
        return found if "b.example" in found and found.get("*", {}).get("2xx") == 3 else None
    found = until("serve has told", counted)
    assert found["*"]["bytes"] == 15 and found["*"]["under_way"] == 0 and sum(found["*"]["latencies"]) == 3
    assert found["b.example"]["5xx"] == 1
    assert found[everseal.app.address]["2xx"] == 3
