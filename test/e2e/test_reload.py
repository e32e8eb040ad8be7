"""The configuration: checked, and changed in the running program."""
import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from authority import write_certificate
from house import PROGRAM, run_program
from network import ask, free_port, is_temporary, read_answer, reply, request_bytes, served, tls, until


def check(everseal):
    return run_program("check", "--config", everseal.config)


def test_check_says_ok(everseal):
    assert "has no errors" in check(everseal).ok().out


@pytest.mark.parametrize("text, sentence", [
    ("sate /x", r":1:1: There is no directive \"sate\": did you mean `state`\?"),
    ("site a.example { prxy 127.0.0.1:1 }", r":1:18: There is no directive \"prxy\": did you mean `proxy`\?"),
    ("https 0.0.0.0:99999", r":1:7: "),
    ("http localhost:80", r":1:6: \"localhost\" is not an IP address"),
    ("site a.example { proxy 127.0.0.1:1", r":1:16: The block that opens here is not closed"),
    ("site a.example { proxy example.com }", r":1:24: The port is missing"),
    ("site https://a.example/ { proxy 127.0.0.1:1 }", r":1:6: This is a web address.*Use a.example"),
    ("site a.example { proxy 127.0.0.1:1 }\nsite a.example { proxy 127.0.0.1:2 }",
     r":2:6: a.example has a site already, in line 1"),
    ("site a.example { proxy 127.0.0.1:1; hsts 1x }", r":1:42: \"1x\" is not a time"),
    ("site a.example { proxy 127.0.0.1:1; hsts 1d preload }", r":1:37: Browsers take no name"),
    ("issuer x { directory http://127.0.0.1/dir }", r":1:22: .*https://"),
    ("issuer x { trust /nowhere.pem; directory https://127.0.0.1/dir }", r":1:18: .*nowhere.pem"),
    ("site a.example { proxy 127.0.0.1:1; issuer nobody }", r":1:44: There is no issuer \"nobody\": known"),
    ("agree-to-terms yes", r":1:1: `agree-to-terms yes` needs an `email MAIL`"),
    ("email nobody", r":1:7: nobody is not an e-mail address"),
    ("http 127.0.0.1:8080\nhttps 127.0.0.1:8080", r":2:7: Port 8080 is taken already, by `http"),
    ("state relative", r":1:7: "),
    ("site * { proxy http://127.0.0.1:3000/x }", r":1:16: .*has a path.*: write http://127.0.0.1:3000"),
    ("site * { proxy 127.0.0.1:1 { fail 2 } }", r":1:30: .*did you mean `fails`"),
])
def test_check_says_file_line_column_and_a_sentence(tmp_path, text, sentence):
    config = tmp_path / "everseal.conf"
    config.write_text(text + "\n")
    outcome = run_program("check", "--config", config)
    outcome.failed(sentence)
    assert outcome.err.startswith(str(config))


@pytest.mark.parametrize("site, fits", [
    ("site * { proxy 127.0.0.1:1 { trust FILE } }", False),
    ("site * { proxy h2c://app.internal:1 unix:/run/app { trust FILE } }", False),
    ("site * { route /a/ { proxy http://127.0.0.1:1 { trust FILE } } }", False),
    ("site * { route /a/ { proxy https://127.0.0.1:1 { trust FILE } }; proxy 127.0.0.1:2 { trust FILE } }", False),
    ("site * { proxy 127.0.0.1:1 https://127.0.0.1:2 { trust FILE } }", True),
    ("site * { proxy https://127.0.0.1:2 { trust FILE } }", True),
])
def test_who_is_trusted_has_to_be_asked_by_https(tmp_path, site, fits):
    trust, _ = write_certificate(tmp_path)
    config = tmp_path / "everseal.conf"
    text = site.replace("FILE", str(trust))
    config.write_text(text + "\n")
    outcome = run_program("check", "--config", config)
    if fits:
        outcome.ok()
    else:
        column = text.rindex("trust ") + 1
        outcome.failed(f":1:{column}: `trust` stands for nothing here: none of these applications is asked by HTTPS")


@pytest.mark.parametrize("site, fits", [
    ("site * { proxy 127.0.0.1:1 { server-name app.internal } }", False),
    ("site * { proxy h2c://app.internal:1 unix:/run/app { server-name app.internal } }", False),
    ("site * { route /a/ { proxy http://127.0.0.1:1 { server-name app.internal } } }", False),
    ("site * { proxy 127.0.0.1:1 https://127.0.0.1:2 { server-name app.internal } }", True),
])
def test_a_server_name_has_to_be_asked_for_by_https(tmp_path, site, fits):
    config = tmp_path / "everseal.conf"
    config.write_text(site + "\n")
    outcome = run_program("check", "--config", config)
    if fits:
        outcome.ok()
    else:
        column = site.rindex("server-name") + 1
        outcome.failed(f":1:{column}: `server-name` stands for nothing here: none of these applications is asked by "
                       "HTTPS")


def test_all_errors_of_a_file_are_told(tmp_path):
    config = tmp_path / "everseal.conf"
    config.write_text("sate /x\nemail x\nsite a { }\n")
    lines = run_program("check", "--config", config).failed().err.splitlines()
    assert [line.split(":")[1] for line in lines] == ["1", "2", "3"]


@pytest.mark.asan
def test_a_bad_file_changes_nothing(everseal, upstream):
    before = everseal.status()["generation"]
    everseal.config.write_text(everseal.config.read_text() + "\nsite x.example { prxy 127.0.0.1:1 }\n")
    line = everseal.config.read_text().count("\n")
    everseal.reload().failed(rf"{everseal.config}:{line}:18: .*prxy")
    assert everseal.status()["generation"] == before
    assert ask(everseal.http, "whoever.example.com").body == b"hello"
    everseal.logged("The configuration was not reloaded, keeping the old one")


def test_a_bad_file_at_start(everseal):
    everseal.stop()
    everseal.config.write_text("sate /x\n")
    everseal.start(wait=False)
    assert everseal.process.wait(10) == 1
    assert ":1:1: " in everseal.log()


def test_a_file_that_does_not_exist(tmp_path):
    run_program("run", "--config", tmp_path / "no.conf").failed(r"no.conf.*No such file")
    run_program("status", "--config", tmp_path / "no.conf").failed(r"no.conf.*No such file")


@pytest.mark.asan
def test_sites_come_and_go(stage, pebble):
    from network import reply
    one, two = (stage.upstream(lambda heard, text=text: reply(text)) for text in (b"one", b"two"))
    everseal = stage.everseal(pebble, sites=f"site a.example.com {{ proxy {one.address} }}").start()
    everseal.wait_served("a.example.com")
    with contextlib.closing(tls(everseal.https, "a.example.com")) as kept:
        kept.sendall(request_bytes("a.example.com", "/"))
        assert read_answer(kept).body == b"one"
        everseal.write(f"site a.example.com {{ proxy {two.address} }}\n"
                       f"site b.example.com {{ proxy {one.address} }}")
        everseal.reload().ok()
        kept.sendall(request_bytes("a.example.com", "/"))
        assert read_answer(kept).body == b"two", "a kept connection's next request sees the new file"
    assert ask(everseal.http, "b.example.com").body == b"one"
    everseal.write(f"site b.example.com {{ proxy {one.address} }}")
    everseal.reload().ok()
    assert ask(everseal.http, "a.example.com").status == 421


def refuses(port):
    """Whoever comes while a listener is being closed may be reset."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    return False


def test_listeners_come_and_go(everseal, upstream):
    plain, secure = free_port(), free_port()
    everseal.listeners = (f"http 127.0.0.1:{everseal.http} 127.0.0.1:{plain} [::1]:{plain}\n"
                          f"https 127.0.0.1:{everseal.https} 127.0.0.1:{secure}")
    everseal.write(f"site * {{ proxy {upstream.address} }}")
    processes = everseal.children()
    everseal.reload().ok()
    assert ask(plain, "a.example.com").body == b"hello"
    assert ask(plain, "a.example.com", host="::1").body == b"hello"
    assert ask(secure, "a.example.com", secure=True).body == b"hello"
    with contextlib.closing(socket.create_connection(("127.0.0.1", plain))) as kept:
        kept.sendall(request_bytes("a.example.com", "/"))
        assert read_answer(kept).status == 200
        everseal.listeners = None
        everseal.write(f"site * {{ proxy {upstream.address} }}")
        everseal.reload().ok()
        until("nobody listens there", lambda: refuses(plain))
        kept.sendall(request_bytes("a.example.com", "/"))
        assert read_answer(kept).status == 200, "open connections live on"
    assert everseal.children() == processes


def test_sighup(everseal, upstream):
    everseal.write(f"site only.example.com {{ proxy {upstream.address} }}")
    os.kill(everseal.process.pid, signal.SIGHUP)
    until("the new file is in force", lambda: ask(everseal.http, "other.example.com").status == 421)


def holder(port, host="127.0.0.1"):
    """Another program that listens on a port."""
    code = (f"import socket,time; s=socket.socket(); s.bind(('{host}',{port})); s.listen(); "
            "print('ready',flush=True); time.sleep(600)")
    process = subprocess.Popen(["/usr/bin/python3", "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


@contextlib.contextmanager
def held(port):
    process = holder(port)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_port_in_use_is_named_with_its_program_and_the_rest_goes_on(stage, upstream):
    everseal = stage.everseal(sites=f"site * {{ proxy {upstream.address} }}")
    with held(everseal.http) as other:
        everseal.start()
        everseal.logged(rf"python3 \(process {other.pid}\) holds port {everseal.http} of 127.0.0.1. "
                        "Everseal takes nothing away")
        listener = next(l for l in everseal.status()["listeners"] if l["port"] == everseal.http)
        assert listener["state"] == "failed" and f"process {other.pid}" in listener["holder"]
        assert ask(everseal.https, "a.example.com", secure=True).body == b"hello"
        assert "held by python3" in everseal.cli("status").ok().out
    until("the port is taken once it is free",
          lambda: _quietly(lambda: ask(everseal.http, "a.example.com").body == b"hello"), 5)


def _quietly(look):
    with contextlib.suppress(OSError):
        return look()


def test_no_order_is_spent_while_another_program_has_the_port(stage, pebble, upstream):
    """The question of the CA would reach that program: the order waits for the port. There is no other way."""
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}")
    with held(everseal.http) as other, held(everseal.https) as second:
        everseal.start()
        wait = subprocess.Popen(
            [PROGRAM, "lets-encrypt", "register", "--name", "shop.example.com", "--email", "ops@example.com",
             "--agree-tos", "--wait", "--config", everseal.config], stdout=subprocess.PIPE, text=True)
        sentence = (rf"Port {everseal.http} is held by python3 \(process {other.pid}\) and port {everseal.https} by "
                    rf"python3 \(process {second.pid}\), the CA's question would reach them instead: stop one of them, "
                    "or let the first pass /.well-known/acme-challenge/ on to another `http` address of Everseal's. "
                    "Everseal goes on by itself then.")
        everseal.logged(sentence)
        assert any(re.search(sentence, wait.stdout.readline()) for line in range(4))
        certificate = everseal.certificate("shop.example.com")
        assert certificate["state"] == "working" and re.fullmatch(sentence, certificate["reason"])
        assert re.search(sentence, everseal.cli("status").ok().out)
        assert pebble.orders == 0
    assert "Seen over HTTPS" in wait.communicate(timeout=60)[0]
    assert wait.returncode == 0
    assert pebble.orders == 1
    assert "no IP" not in everseal.log() and "DNS" not in everseal.log()


def test_one_listener_is_enough_for_the_proof(stage, pebble, upstream):
    """A port that is held does not matter while the CA can ask on another address."""
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}")
    port = free_port()
    everseal.listeners = (f"http 127.0.0.1:{everseal.http} 127.0.0.1:{port}\n"
                          f"https 127.0.0.1:{everseal.https}")
    everseal.write(f"site * {{ proxy {upstream.address} }}")
    with held(port):
        everseal.start()
        everseal.register("shop.example.com")


@contextlib.contextmanager
def nginx(folder, port, text):
    """It answers everything with that word."""
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log stderr; worker_processes 1; events {{}} "
        f"http {{ access_log off; server {{ listen 127.0.0.1:{port}; return 200 {text}; }} }}")
    process = subprocess.Popen(["/usr/sbin/nginx", "-c", folder / "nginx.conf", "-e", "stderr"],
                               stderr=subprocess.DEVNULL)
    try:
        until("nginx listens", lambda: _quietly(lambda: ask(port, "x").status))
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def test_nginx_is_named(stage, upstream):
    everseal = stage.everseal(sites=f"site * {{ proxy {upstream.address} }}")
    with nginx(stage.new_folder("nginx"), everseal.https, "nginx"):
        everseal.start()
        everseal.logged(rf"nginx \(process \d+\) holds port {everseal.https}")
        assert ask(everseal.https, "a.example.com").text == "nginx"
        assert ask(everseal.http, "a.example.com").body == b"hello", "the rest goes on"


def test_the_program_that_has_the_port_is_to_blame(stage, pebble, upstream):
    """A second listener may be reached by a detour; if the CA does not come, that is said first."""
    everseal = stage.everseal(pebble)
    everseal.listeners = f"http 127.0.0.1:{free_port()} 127.0.0.1:{everseal.http}\nhttps 127.0.0.1:{everseal.https}"
    everseal.write(f"site * {{ proxy {upstream.address} }}")
    with nginx(stage.new_folder("nginx"), everseal.http, "nginx"), held(everseal.https):
        everseal.start()
        everseal.le("register", "--name", "shop.example.com", "--agree-tos", "--wait").failed(
            "could not prove control of shop.example.com",
            rf"Port {everseal.http} is held by nginx \(process \d+\), the CA's question would reach that "
            "program instead: stop it")


def test_reload_onto_a_busy_port_changes_nothing(everseal, upstream):
    port = free_port()
    with held(port):
        everseal.listeners = (f"http 127.0.0.1:{everseal.http} 127.0.0.1:{port}\n"
                              f"https 127.0.0.1:{everseal.https}")
        everseal.write(f"site only.example.com {{ proxy {upstream.address} }}")
        everseal.reload().failed(rf"python3 \(process \d+\) holds port {port}")
        assert ask(everseal.http, "other.example.com").body == b"hello", "the old file is in force"
        assert all(l["port"] != port for l in everseal.status()["listeners"])


def test_no_permission_to_bind(stage, upstream):
    """As nobody, without the right to bind low ports."""
    state = stage.new_folder("state")
    os.chown(state, 65534, 65534)
    everseal = stage.everseal(sites=f"site * {{ proxy {upstream.address} }}", state=state)
    everseal.listeners = f"http 127.0.0.1:{everseal.http} 127.0.0.1:81\nhttps 127.0.0.1:{everseal.https}"
    everseal.write(f"site * {{ proxy {upstream.address} }}")
    everseal.start(as_user="nobody")
    everseal.logged(r"Port 81 of 127.0.0.1 needs a right that Everseal does not have: start it as root")
    assert ask(everseal.http, "a.example.com").body == b"hello"


def test_renew_before_that_is_too_long_is_a_warning(stage, upstream):
    """By what is known: the rules of our own authority, and what the running server holds."""
    ca = stage.difficult(life=6 * 86400)
    lines = f"proxy {upstream.address}; renew-before"

    def sites(shop, own="1d", more=""):
        return (f"site shop.example.com {{ {lines} {shop}; {more} }}\n"
                f"site new.example.com {{ {lines} 300d; issuer pebble }}\n"
                f"site own.internal {{ {lines} {own}; issuer internal }}\n")
    everseal = stage.everseal(ca, sites=sites("1d"))
    near = "renew-before in the configuration wants it sooner, but a third of its lifetime has to pass first"
    beyond = "renew-before in the configuration is not shorter than its lifetime, so it does not count"
    assert check(everseal).ok().err == ""
    everseal.write(sites("5d", own="6d"))  # nothing runs: only of our own it is known
    said = check(everseal).ok()
    assert "has no errors" in said.out
    assert re.fullmatch(rf"\S+:\d+:\d+: The certificate of own.internal is good for 7 days: {near}\. Give less\.\n", said.err)
    ca.switch(reject=["new.example.com"])
    everseal.write(sites("1d"))
    everseal.start()
    everseal.wait_served("shop.example.com", 60)
    for before, words in (("4d", ""), ("5d", near), ("6d", beyond), ("300d", beyond)):
        everseal.write(sites(before))
        want = rf"\S+:\d+:\d+: The certificate of shop.example.com is good for 6 days: {words}\. Give less\.\n"
        for said in (check(everseal).ok(), everseal.cli("reload").ok()):
            assert re.fullmatch(want, said.err) if words else said.err == "", said.err
    [warning] = run_program("check", "--json", "--config", everseal.config).ok().json["warnings"]
    assert warning["column"] and beyond in warning["message"]
    assert everseal.cli("reload", "--json").ok().json["warnings"] == [warning]
    # Of another profile or issuer it tells nothing.
    for other in ("profile tlsserver", "issuer letsencrypt"):
        everseal.write(sites("300d", more=other))
        assert check(everseal).ok().err == ""


def test_check_without_a_file_checks_the_defaults():
    if pathlib.Path("/etc/everseal/everseal.conf").exists():
        pytest.skip("this machine has a configuration")
    said = run_program("check").ok().out
    assert said == "There is no /etc/everseal/everseal.conf: the defaults hold, and have no errors.\n"


def test_a_relative_state_is_made_absolute(stage, upstream):
    everseal = stage.everseal(sites=f"site * {{ proxy {upstream.address} }}")
    with contextlib.chdir(everseal.folder) if hasattr(contextlib, "chdir") else _chdir(everseal.folder):
        process = subprocess.Popen([PROGRAM, "run", "--config", everseal.config, "--state", "here"],
                                   stderr=subprocess.DEVNULL)
        try:
            def state():
                outcome = run_program("status", "--json", "--state", "here")
                return outcome.status == 0 and outcome.json["state"]
            assert until("it runs", state) == str(everseal.folder / "here")
        finally:
            process.terminate()
            process.wait(30)
    assert not (everseal.folder / "here" / "control.sock").exists(), "an orderly end leaves no socket"


@contextlib.contextmanager
def _chdir(folder):
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def test_an_empty_address_for_the_ca_is_refused(everseal):
    everseal.le("register", "--name", "shop.example.com", "--email", "", "--agree-tos").failed(
        "--email is empty: give the address that the CA may write to, or leave it out if the configuration "
        "has one.", status=2)


def test_the_service_manager_hears_of_a_reload(stage, upstream):
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    path = stage.new_folder("manager") / "notify"
    manager.bind(str(path))
    manager.settimeout(20)
    everseal = stage.everseal(sites=f"site * {{ proxy {upstream.address} }}", env={"NOTIFY_SOCKET": str(path)})
    everseal.start()
    assert manager.recv(4096) == b"READY=1\nSTATUS=serving"
    for text in (f"site a.example.com {{ proxy {upstream.address} }}", "sate"):
        everseal.write(text)
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        os.kill(everseal.process.pid, signal.SIGHUP)
        told = re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=(\d+)", manager.recv(4096))
        assert before <= int(told[1]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert manager.recv(4096).startswith(b"READY=1\n"), "also when the file was bad"
    everseal.process.terminate()
    assert manager.recv(4096) == b"STOPPING=1"
    manager.close()


# ---- requests while things change ----


REQUEST_EVERY = """
-- Each connection asks every 50 ms at most: a load that leaves room for renewals and reloads.
function delay() return 50 end
"""


class Streaming:
    """An application whose one answer goes on until it is `over`."""

    def __init__(self, stage):
        self.pieces, self.over = [], threading.Event()
        self.address = stage.upstream(lambda heard: self.answer()).address

    def answer(self):
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        while not self.over.is_set():
            self.pieces.append(b"%08d" % len(self.pieces))
            yield b"8\r\n" + self.pieces[-1] + b"\r\n"
            time.sleep(0.01)
        yield b"0\r\n\r\n"


@pytest.mark.parametrize("seconds", [8, pytest.param(40, marks=pytest.mark.full)])
def test_no_request_is_lost_during_renewals_and_reloads(stage, pebble, seconds, request):
    """wrk on kept and on new TLS connections, and one body that streams across every swap."""
    stream = Streaming(stage)
    with nginx(stage.new_folder("nginx"), free_port(), "hello") as application:
        sites = f"site * {{ proxy {application} }}\nsite stream.example.com {{ proxy {stream.address} }}"
        fast = stage.everseal(pebble, sites=sites).start()
        fast.register("shop.example.com")
        processes = fast.children()
        serials = {fast.served("shop.example.com").serial_number}
        streaming = tls(fast.https, "stream.example.com")
        streaming.settimeout(60)
        streaming.sendall(request_bytes("stream.example.com", "/"))
        load = start_load(stage, fast, seconds)
        changes = 0
        while any(p.poll() is None for p in load.values()):
            fast.le("renew", "shop.example.com", "--wait").ok()
            fast.write(f"{sites}\nsite n{changes}.example.net {{ proxy {application} }}", head="")
            fast.reload().ok()
            serials.add(fast.served("shop.example.com").serial_number)
            changes += 1
            time.sleep(0.3)
        stream.over.set()
        body = read_answer(streaming).body
    assert body == b"".join(stream.pieces), "the streaming body is whole"
    assert changes >= 2 and len(serials) == changes + 1
    assert fast.children() == processes
    for name, process in load.items():
        said = process.communicate()[0]
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])
        print(f"{name} connections: {rate:.0f} requests a second, {changes} renewals and reloads")
        assert "Socket errors" not in said and "Non-2xx" not in said, said
        if request.node.get_closest_marker("full"):
            assert rate >= 200, said


def start_load(stage, everseal, seconds):
    script = stage.new_folder("wrk") / "pace.lua"
    script.write_text(REQUEST_EVERY)
    command = ["wrk", "-t1", f"-d{seconds}s", "-s", script, "-H", "Host: shop.example.com"]
    url = f"https://127.0.0.1:{everseal.https}/"
    return {name: subprocess.Popen([*command, *more, url], stdout=subprocess.PIPE, text=True)
            for name, more in (("kept", ("-c30",)), ("new", ("-c40", "-H", "Connection: close")))}


def test_no_server(tmp_path):
    config = tmp_path / "everseal.conf"
    config.write_text(f"state {tmp_path}/state\n")
    for words in (("status",), ("reload",), ("lets-encrypt", "status")):
        run_program(*words, "--config", config).failed("(?i)not running|no running|no server|`everseal run`")


@pytest.mark.parametrize("words, sentence", [
    (("statu",), "nearest is `status`"),
    (("status", "--jsn"), "nearest is --json"),
    (("lets-encrypt",), "needs one of: register"),
    (("lets-encrypt", "register"), "needs --name NAME"),
    (("lets-encrypt", "register", "--name"), "--name needs a value"),
    (("status", "--wait"), "takes no --wait"),
    (("check", "a", "b"), "one word too many"),
    ((), ""),
])
def test_wrong_usage(words, sentence):
    run_program(*words).failed(sentence, status=2)


def test_help_and_version():
    assert "lets-encrypt register" in run_program("help").ok().out
    assert "--agree-tos" in run_program("help", "lets-encrypt", "register").ok().out
    assert run_program("--version").ok().out.startswith("everseal ")


def test_run_without_a_file_says_what_counts(stage):
    if pathlib.Path("/etc/everseal/everseal.conf").exists():
        pytest.skip("this machine has a configuration")
    folder = stage.new_folder("bare")
    # The defaults' ports, in a network of its own.
    with open(folder / "log", "wb") as log, subprocess.Popen(
            ["unshare", "--net", PROGRAM, "run", "--state", folder / "state"], stderr=log) as process:
        try:
            until("it says so", lambda: "There is no /etc/everseal/everseal.conf: the defaults hold" in
                  (folder / "log").read_text() or process.poll() is not None, 20)
        finally:
            process.terminate()
    assert "There is no /etc/everseal/everseal.conf" in (folder / "log").read_text()
