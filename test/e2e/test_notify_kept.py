"""Who is told, as it is added, tried, changed and removed without the configuration file: kept in the store,
its secrets sealed."""
import json

import pytest

from api import Api
from house import Everseal, run_program
from network import until
from receivers import PASSWORD, SECRET, MailServer, by_mail, hook, mail, receiver, webhook

TARGETS = "/api/notify/targets"


def a_hook(receiver, **more):
    return {"way": "webhook", "to": f"http://127.0.0.1:{receiver.server_port}/token-in-path", "secret": SECRET, **more}


def some_mail(server, **more):
    return {"way": "mail", "to": "ops@example.com", "server": f"smtp://127.0.0.1:{server.port}",
            "from": "everseal@example.com", **more}


@pytest.fixture
def plain():
    """On this machine a mail server may do without TLS."""
    server = MailServer()
    server.extensions = ["mail.test", "AUTH PLAIN"]
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def api(everseal):
    return Api(everseal.state)


def told(api):
    return {t["target"]: t for t in api.get("/api/notify").ok()["targets"]}


@pytest.mark.asan
def test_the_life_of_a_webhook(everseal, api, receiver):
    added = api.post(TARGETS, a_hook(receiver)).ok(201)
    where = f"{TARGETS}/{added['id']}"
    assert added == {"id": added["id"], "target": "webhook 127.0.0.1", "version": 1, "way": "webhook", "level": "warning",
                     "to": None, "server": None, "from": None, "user": None, "password": False}
    assert everseal.cli("notify", "test").ok().out == "webhook 127.0.0.1: arrived.\n"
    assert [m["event"] for m in receiver.messages] == ["test"]
    listed = everseal.cli("status", "--json").json["notify"]["targets"][0]
    assert (listed["id"], listed["source"], listed["arrived"]) == (added["id"], "store", 0)
    changed = api.put(where, {"level": "info", "version": 1}).ok()
    assert (changed["level"], changed["version"]) == ("info", 2)
    assert api.put(where, {"level": "info"}).ok()["version"] == 2, "nothing is changed by what is there already"
    current = api.put(where, {"level": "problem", "version": 1}).failed(409, "was changed meanwhile")["details"]
    assert (current["version"], current["current"]["level"]) == (2, "info")
    everseal.restart()
    assert api.get(where).ok() == changed
    assert api.post("/api/notify/test", {"target": added["id"]}).ok()["results"] == [
        {"target": "webhook 127.0.0.1", "arrived": True, "error": None}]
    assert len(receiver.messages) == 2, "it is still signed"
    api.delete(where).ok()
    api.delete(where).failed(404, f"There is no alert target {added['id']}", "everseal notify list")
    everseal.restart()
    assert told(api) == {}
    said = [(a["what"], a["subject"], a["before"], a["after"]) for a in api.get("/api/audit").ok()["items"]]
    assert said == [
        ("Alert target removed", "webhook 127.0.0.1", "127.0.0.1, from info on", None),
        ("Test message sent", added["id"], None, None),
        ("Alert target changed", "webhook 127.0.0.1", "127.0.0.1, from warning on", "127.0.0.1, from info on"),
        ("Test message sent", None, None, None),
        ("Alert target added", "webhook 127.0.0.1", None, "127.0.0.1, from warning on")]


@pytest.mark.asan
def test_a_password_is_kept_sealed_and_for_its_server_alone(everseal, api, plain):
    added = api.post(TARGETS, some_mail(plain, user="robot", password=PASSWORD)).ok(201)
    where = f"{TARGETS}/{added['id']}"
    assert (added["user"], added["password"], added["server"]) == ("robot", True, f"smtp://127.0.0.1:{plain.port}")
    api.put(where, {"from": "robot@example.com", "password": ""}).ok()
    everseal.restart()
    everseal.cli("notify", "test").ok()
    assert plain.signed_in == [("robot", PASSWORD)]
    assert plain.messages[0][0]["MAIL"].startswith("MAIL FROM:<robot@example.com>")
    api.put(where, {"server": "smtps://mail.evil.test"}).failed(
        422, "Type the password again: the one that is kept was for another server.", field="password")
    assert api.get(where).ok()["server"] == added["server"]
    assert api.put(where, {"server": "smtps://mail.test", "password": "another"}).ok()["server"] == "smtps://mail.test:465"
    assert api.get("/api/audit").ok()["items"][0]["after"].endswith(", other secrets")
    assert api.put(where, {"user": ""}).ok()["password"] is False
    everseal.stop()
    files = [f.read_bytes() for f in everseal.state.iterdir() if f.is_file()] + [(everseal.folder / "log").read_bytes()]
    assert not any(PASSWORD.encode() in content for content in files)


def test_a_password_may_begin_and_end_with_spaces(api, plain):
    api.post(TARGETS, some_mail(plain, user="robot", password="  two  spaces ")).ok(201)
    api.post("/api/notify/test").ok()
    assert plain.signed_in == [("robot", "  two  spaces ")]


def test_what_is_behind_a_fragment_goes_nowhere(api, receiver):
    api.post(TARGETS, a_hook(receiver, to=a_hook(receiver)["to"] + "#a\r\nb: c")).ok(201)
    assert api.post("/api/notify/test").ok()["results"][0]["arrived"]


def test_what_is_secret_is_shown_nowhere(everseal, api, receiver, plain):
    api.post(TARGETS, a_hook(receiver)).ok(201)
    api.post(TARGETS, some_mail(plain, user="robot", password=PASSWORD)).ok(201)
    shown = [api.get(p).body for p in ("/api/notify", "/api/status", "/api/audit", "/metrics",
                                       *(f"{TARGETS}/{t['id']}" for t in told(api).values()))]
    everseal.stop()
    shown += [f.read_bytes() for f in everseal.state.iterdir() if f.is_file()] + [(everseal.folder / "log").read_bytes()]
    for secret in (SECRET, PASSWORD, "token-in-path"):
        assert not any(secret.encode() in content for content in shown), secret


def test_it_is_told_what_happens(stage, pebble, upstream, receiver):
    """What waits goes on waiting through a change and a restart."""
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}").start()
    api = Api(everseal.state)
    receiver.status = 500
    added = api.post(TARGETS, a_hook(receiver, level="info")).ok(201)
    everseal.register("shop.example.com")
    until("it waits", lambda: told(api)["webhook 127.0.0.1"]["waiting"] == 1, 30)
    with hook() as other:
        api.put(f"{TARGETS}/{added['id']}", {"to": f"http://127.0.0.1:{other.server_port}/"}).ok()
        everseal.restart()
        until("it is told", lambda: [m["event"] for m in other.messages] == ["renewed"], 30)
    assert receiver.messages == []


def test_the_file_goes_first(stage, pebble, receiver, mail):
    everseal = stage.everseal(pebble, head=by_mail(mail)).start()
    api = Api(everseal.state)
    api.post(TARGETS, {"way": "mail", "to": "ops@example.com", "server": "smtp://localhost", "from": "a@example.com"}).failed(
        422, "ops@example.com is told already, by the configuration file, line ", field="to")
    for ask in (lambda: api.put(f"{TARGETS}/mail%20ops@example.com", {"level": "info"}),
                lambda: api.delete(f"{TARGETS}/mail%20ops@example.com")):
        ask().failed(403, "Set in everseal.conf, line ", "change it there, then `everseal reload`.", code="locked")
    api.post(TARGETS, a_hook(receiver)).ok(201)
    api.post(TARGETS, a_hook(receiver)).failed(422, "127.0.0.1 is told already: change that target.", field="to")
    assert [isinstance(t["source"], dict) for t in told(api).values()] == [True, False]
    everseal.write(head=by_mail(mail) + "\n" + webhook(receiver))
    everseal.reload().ok()
    assert [isinstance(t["source"], dict) for t in api.get("/api/notify").ok()["targets"]] == [True, True]
    everseal.cli("notify", "test").ok()
    assert len(receiver.messages) == 1, "once, not by both"
    everseal.write(head=by_mail(mail))
    everseal.reload().ok()
    assert told(api)["webhook 127.0.0.1"]["source"] == "store"


@pytest.mark.parametrize("change, field, words", [
    ({"way": "program", "to": "/bin/true"}, "way", "Only the configuration file may name a program, since it runs on this"),
    ({"way": ""}, "way", "A target is told by mail or webhook: say which."),
    ({"to": ""}, "to", "Give the e-mail address of who is told."),
    ({"to": "nobody"}, "to", "nobody"),
    ({"server": ""}, "server", "Give the mail server, such as smtps://mail.example.com."),
    ({"server": "mail.example.com"}, "server", "A mail server is written smtps://HOST[:PORT]"),
    ({"server": "smtp://169.254.169.254"}, "server", "169.254.169.254 is a link-local address"),
    ({"from": ""}, "from", "Give the e-mail address that messages come from"),
    ({"user": "robot"}, "password", "Give the password of robot, or leave the user empty"),
    ({"password": "p"}, "password", "Give the user as well"),
    ({"user": "two\nlines", "password": "p"}, "user", "The user has 1 to 1000 characters on one line."),
    ({"level": "loud"}, "level", "A level is info, warning or problem."),
    ({"level": 3}, "level", "`level` has to be a text in quotes."),
    ({"way": "webhook", "to": ""}, "to", "Give the webhook's URL"),
    ({"way": "webhook", "to": "http://hooks.example.com/"}, "to", "A webhook is called by https"),
    ({"way": "webhook", "to": "https://[fe80::1]/"}, "to", "fe80::1 is a link-local address"),
    ({"way": "webhook", "to": "https://hooks.example.com/"}, "secret", "Give a secret that the receiver knows, too"),
    ({"way": "webhook", "to": "https://hooks.example.com/", "secret": "s" * 1001}, "secret", "has 1 to 1000 characters"),
    ({"way": "webhook", "to": "http://127.evil.example/"}, "to", "A webhook is called by https"),
    ({"to": "öps@example.com"}, "to", "letters without accents only"),
    ({"from": "everseal@example.com\u0085"}, "from", "letters without accents only"),
    ({"to": "ops@exa:mple.com"}, "to", "is not an e-mail address"),
    ({"to": "x" * 10000 + "@example.com"}, "to", "it has the form ops@example.com."),
    ({"secret": "s"}, "secret", "`secret` says nothing to a mail: leave it out."),
    ({"way": "webhook", "to": "https://hooks.example.com/"}, "server", "`server` says nothing to a webhook: leave it out."),
])
def test_what_is_wrong_is_said_at_its_field(everseal, api, change, field, words):
    of_mail = {} if "way" in change and field != "server" else {"server": "smtps://mail.example.com", "from": "a@example.com"}
    wanted = {"way": "mail", "to": "ops@example.com", **of_mail}
    api.post(TARGETS, {**wanted, **change}).failed(422, words, field=field)
    assert told(api) == {}


def test_not_too_many(everseal, api):
    for number in range(50):
        target = {"way": "webhook", "to": f"https://h{number}.example.com/", "secret": "s"}
        api.post(TARGETS, target).ok(201)
    api.post(TARGETS, {**target, "to": "https://one.example.com/"}).failed(429, "There are 50 alert targets")


def test_whoever_operates_only_tries(everseal, api, receiver):
    added = api.post(TARGETS, a_hook(receiver)).ok(201)
    made = api.post("/api/tokens", {"name": "robot", "scope": "operate"}).ok(201)
    robot = Api(None, everseal.page, made["token"])
    assert robot.post("/api/notify/test", {"target": "webhook 127.0.0.1"}).ok()["results"][0]["arrived"]
    for _ in range(9):
        robot.post("/api/notify/test").ok()
    robot.post("/api/notify/test").failed(429, "Ten tests a minute are as many as one may send: wait ")
    api.post("/api/notify/test").ok()
    where = f"{TARGETS}/{added['id']}"
    for method, path in (("POST", TARGETS), ("GET", where), ("PUT", where), ("DELETE", where)):
        robot.ask(method, path, None if method == "GET" else {}).failed(403, code="permission")


def test_by_command(everseal, api, receiver, plain):
    """Secrets come on standard input."""
    def cli(*words, secret=None):
        return run_program("notify", *words, "--config", everseal.config, given=secret)
    everseal.cli("notify", "list").ok()
    cli("add", a_hook(receiver)["to"], secret="").failed("No secret was given")
    cli("add", a_hook(receiver)["to"], "--level", "info", secret=SECRET).ok()
    cli("add", "ops@example.com", "--from", "a@example.com").failed("Give the mail server")
    cli("add", "ops@example.com", "--from", "a@example.com", "--server", f"smtp://127.0.0.1:{plain.port}",
        "--user", "robot", secret=PASSWORD).ok()
    everseal.cli("notify", "test").ok()
    assert (len(receiver.messages), plain.signed_in) == (1, [("robot", PASSWORD)])
    listed = everseal.cli("notify", "list").ok().out.splitlines()
    assert [line.split()[:4] for line in listed[1:]] == [["webhook", "127.0.0.1", "info", "arrives"],
                                                         ["mail", "ops@example.com", "warning", "arrives"]]
    everseal.cli("notify", "set", "mail ops@example.com").failed("Say what to set", status=2)
    cli("set", "mail ops@example.com", "--server", "smtps://mail.test", secret="").failed("No password was given")
    cli("set", "mail ops@example.com", "--server", "smtps://mail.test", "--level", "problem", secret="other").ok()
    cli("set", "webhook 127.0.0.1", "--from", "a@example.com").failed("`from` says nothing to a webhook")
    cli("add", "https://hooks.example.com/", "--server", "smtps://mail.test", secret="s").failed("`server` says nothing to a webhook")
    identity = json.loads(everseal.cli("notify", "list", "--json").out.splitlines()[1])["id"]
    target = api.get(f"{TARGETS}/{identity}").ok()
    assert (target["server"], target["level"], target["user"]) == ("smtps://mail.test:465", "problem", "robot")
    cli("set", identity, "--to", "night@example.com").ok()
    assert api.get(f"{TARGETS}/{identity}").ok()["target"] == "mail night@example.com"
    cli("set", "webhook 127.0.0.1", "--secret", secret="another").ok()
    everseal.cli("notify", "test", "webhook 127.0.0.1").failed("127.0.0.1")
    receiver.wrong.clear()  # that was not its secret
    cli("set", "webhook 127.0.0.1", "--secret", secret=SECRET).ok()
    assert everseal.cli("notify", "test", "webhook 127.0.0.1").ok().out == "webhook 127.0.0.1: arrived.\n"
    everseal.cli("notify", "test", "webhook elsewhere").failed("Nobody is told of anything as")
    elsewhere = f"http://127.0.0.1:{receiver.server_port}/another-token"
    assert cli("set", "webhook 127.0.0.1", "--to", "-", secret=elsewhere).ok().out == "webhook 127.0.0.1 is changed.\n"
    cli("add", "-", secret=f"{a_hook(receiver)['to']}\n{SECRET}\n").ok()
    assert "is told already" in cli("add", "-", secret=f"{elsewhere}\n{SECRET}\n").err
    everseal.cli("notify", "remove", next(t["id"] for t in api.get("/api/notify").ok()["targets"] if "webhook" in t["target"])).ok()
    everseal.cli("notify", "remove", identity).ok()
    everseal.cli("notify", "remove", "webhook 127.0.0.1").ok()
    assert told(api) == {}
    everseal.cli("notify", "remove", "webhook 127.0.0.1").failed("There is no alert target")


def test_a_backup_brings_it_along(stage, pebble, everseal, api, receiver, tmp_path):
    api.post(TARGETS, a_hook(receiver)).ok(201)
    everseal.cli("backup", "--with-key", tmp_path / "whole").ok()
    everseal.stop()
    other = Everseal(stage.new_folder("other"), ca=pebble)
    other.cli("restore", tmp_path / "whole").ok()
    stage.keep(other).start()
    other.cli("notify", "test").ok()
    assert [m["event"] for m in receiver.messages] == ["test"]
