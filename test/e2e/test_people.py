"""People, sessions, tokens, links, audit and events over the page's own port, as browsers and scripts
have them, and by `everseal admin`; each attacked."""
import contextlib
import http.client
import json
import os
import pathlib
import pty
import re
import select
import sqlite3
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from api import Api
from house import PROGRAM, run_program
from network import until

PASSWORD = "correct horse battery"


class Browser:
    """Keeps the cookie, sends the CSRF header and says where it comes from."""

    def __init__(self, port):
        self.api = Api(None, port)
        self.origin = f"http://127.0.0.1:{port}"
        self.cookie = self.csrf = None
        self.answers = []

    def ask(self, method, path, body=None, **headers):
        sent = {"Sec-Fetch-Site": "same-origin"}
        if method != "GET":
            sent["Origin"] = self.origin
        if self.cookie:
            sent["Cookie"] = self.cookie
        if self.csrf:
            sent["X-CSRF-Token"] = self.csrf
        sent.update({k.replace("_", "-"): v for k, v in headers.items()})
        reply = self.api.ask(method, path, body, {k: v for k, v in sent.items() if v is not None})
        if reply.headers.get("Set-Cookie"):
            self.cookie = reply.headers["Set-Cookie"].split(";")[0]
        self.answers.append(reply.body.decode(errors="replace"))
        return reply

    def get(self, path):
        return self.ask("GET", path)

    def sign_in(self, name, password=PASSWORD, status=200, **more):
        reply = self.ask("POST", "/api/session", {"name": name, "password": password, **more})
        if status == 200:
            self.csrf = reply.ok()["csrf"]
        assert reply.status == status, reply.body
        return reply


@pytest.fixture
def everseal(stage):
    return stage.everseal(sites="site * { proxy 127.0.0.1:9 }", email=None).start()


@pytest.fixture
def browser(everseal):
    return Browser(everseal.page)


def admin(everseal, *words, password=None):
    """`everseal admin …`, the password by standard input."""
    done = subprocess.run([PROGRAM, "admin", *words, "--config", str(everseal.config)], text=True,
                          input=None if password is None else password + "\n", capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def create(everseal, name, scope="administer"):
    admin(everseal, "create", name, "--scope", scope, password=PASSWORD)


def first_link(everseal):
    link = admin(everseal, "link")
    assert re.fullmatch(rf"http://127\.0\.0\.1:{everseal.page}/#setup=[\w-]{{43}}", link)
    return link.split("=")[1]


def stored(everseal):
    """Every byte of the database, and of what has not reached it yet."""
    return b"".join(p.read_bytes() for p in pathlib.Path(everseal.state).glob("everseal.db*"))


# ---- the first run ----

def test_first_administrator(everseal, browser):
    browser.get("/api/session").failed(401, "everseal admin link")["details"]["setup"] is True
    token = first_link(everseal)
    browser.ask("POST", "/api/setup/check", {"token": token}).ok()
    browser.ask("POST", "/api/setup", {"token": token, "name": "Ana", "password": "short"}).failed(
        422, "at least 10 characters", field="password")
    session = browser.ask("POST", "/api/setup", {"token": token, "name": "Ana", "password": PASSWORD}).ok(201)
    assert (session["name"], session["scope"], session["second_factor"]) == ("ana", "administer", False)
    assert session["self_made"] is False
    assert browser.get("/api/people").ok()["total"] == 1
    again = Browser(everseal.page).ask("POST", "/api/setup", {"token": token, "name": "eve", "password": PASSWORD})
    again.failed(410, "This link was used on ", "everseal admin link", code="used")
    assert token.encode() not in stored(everseal)
    assert token not in everseal.log()


def test_link_on_the_terminal_only(stage, everseal):
    everseal.logged("no administrator yet: run `everseal admin link`")
    assert "#setup=" not in everseal.log()
    everseal.stop()
    ours, theirs = pty.openpty()
    process = subprocess.Popen([PROGRAM, "run", "--config", everseal.config], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    said = ""
    try:
        end = time.monotonic() + 20
        while "#setup=" not in said and time.monotonic() < end:
            if select.select([ours], [], [], 1)[0]:
                said += os.read(ours, 65536).decode()
        assert re.search(rf"http://127\.0\.0\.1:{everseal.page}/#setup=[\w-]{{43}}", said), said
    finally:
        process.terminate()
        with contextlib.suppress(OSError):
            while select.select([ours], [], [], 1)[0] and os.read(ours, 65536):
                pass
        process.wait(30)
        os.close(ours)


# ---- sessions ----

def test_sign_in_and_out(everseal, browser):
    create(everseal, "ana")
    browser.sign_in("ana", "wrong password", 401).failed(401, "Name, password or code is wrong.")
    browser.sign_in("nobody", status=401).failed(401, "Name, password or code is wrong.")
    reply = browser.sign_in("ana")
    cookie = reply.headers["Set-Cookie"]
    assert cookie.startswith("everseal=") and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert reply.headers["Cache-Control"] == "no-store"
    assert browser.cookie.split("=")[1].encode() not in stored(everseal)
    everseal.restart()
    assert browser.get("/api/session").ok()["name"] == "ana"
    kept = browser.cookie
    browser.ask("DELETE", "/api/session").ok()
    assert browser.ask("GET", "/api/session", Cookie=kept).status == 401


def test_forged_requests(everseal, browser):
    create(everseal, "ana")
    browser.sign_in("ana")
    change = ("POST", "/api/tokens", {"name": "x", "scope": "administer"})
    for headers in ({"X_CSRF_Token": None}, {"X_CSRF_Token": "0" * 64}, {"Origin": "http://evil.example"},
                    {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"},
                    {"Origin": None, "Sec_Fetch_Site": None}, {"Origin": "http://127.0.0.1:1"}):
        reply = browser.ask(*change, **headers)
        assert reply.status == 403, headers
        assert reply.json["code"] == "foreign"
    assert browser.get("/api/tokens").ok()["total"] == 0
    browser.ask(*change).ok(201)


def test_rebinding(everseal, browser):
    create(everseal, "ana")
    browser.sign_in("ana")
    reply = browser.ask("GET", "/api/session", Host=f"evil.example:{everseal.page}")
    assert reply.status == 421
    assert browser.ask("GET", "/api/session", Host=f"localhost:{everseal.page}").status == 200


def test_no_proxy_header_makes_an_owner(everseal, browser):
    for name in ("X_Forwarded_For", "Forwarded", "X_Real_IP", "Remote_User"):
        assert browser.ask("GET", "/api/people", **{name: "127.0.0.1"}).status == 401
    assert browser.ask("POST", "/api/admin/link", {}).status == 401


def test_brute_force(everseal, browser):
    create(everseal, "ana")
    for _ in range(5):
        browser.sign_in("eve", "wrong password", 401)
    reply = browser.sign_in("ana", status=429)
    error = reply.failed(429, "Too many tries: wait ", "or run `everseal admin password` on the server")
    assert 1 <= error["details"]["retry_after"] <= 2
    assert int(reply.headers["Retry-After"]) == error["details"]["retry_after"]
    admin(everseal, "password", "ana", password="another password")
    browser.sign_in("ana", "another password")


def test_oversized_body(browser):
    reply = browser.ask("POST", "/api/session", b'{"name":"' + b"x" * 70000 + b'"}')
    reply.failed(413, "The request's body is larger than 65536 bytes")
    browser.ask("POST", "/api/session", b"{").failed(400, "The request's body")


# ---- tokens and the command line ----

def test_token(everseal):
    token = admin(everseal, "token", "add", "deploy", "--scope", "read")
    assert re.fullmatch(r"API-[A-Z2-7]{52}", token)
    api = Api(None, everseal.page, token)
    assert api.get("/api/session").ok()["name"] == "token deploy"
    api.post("/api/tokens", {"name": "more", "scope": "administer"}).failed(
        403, "You can look, not change: your scope is read, and this needs administer", code="permission")
    bearer = Api(None, everseal.page).ask("GET", "/api/status", headers={"Authorization": f"Bearer {token}"})
    assert bearer.status == 200
    assert "deploy" in admin(everseal, "token", "list") and token not in admin(everseal, "token", "list", "--json")
    everseal.restart()
    assert api.get("/api/status").status == 200
    admin(everseal, "token", "remove", "deploy")
    api.get("/api/status").failed(401, "unknown, expired or removed")
    assert token[4:].encode() not in stored(everseal)


def test_commands(everseal):
    assert "Nobody can sign in yet" in admin(everseal, "people")
    create(everseal, "ana")
    create(everseal, "bo", "read")
    table = admin(everseal, "people")
    assert re.search(r"^ *ana +administer +off", table, re.M) and re.search(r"^ *bo +read +off", table, re.M)
    run = ["--config", everseal.config]
    run_program("admin", "remove", "ana", *run).failed("ana is the last administrator")
    run_program("admin", "remove", "eve", *run).failed("There is nobody named eve here")
    run_program("admin", "token", "add", "x", *run).failed("Give --scope", status=2)
    run_program("admin", "token", "add", "x", "--scope", "all", *run).failed("read, operate or administer")
    admin(everseal, "remove", "bo")
    assert "bo" not in admin(everseal, "people")


# ---- the second factor ----

def code_of(key):
    import base64
    import hashlib
    import hmac
    import struct
    mac = hmac.new(base64.b32decode(key), struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    return f"{(struct.unpack('>I', mac[mac[19] & 15:][:4])[0] & 0x7fffffff) % 1000000:06}"


def test_second_factor(everseal, browser):
    create(everseal, "ana")
    browser.sign_in("ana")
    offer = browser.ask("POST", "/api/account/second-factor", {"password": PASSWORD}).ok()
    assert offer["key"] in offer["uri"] and re.fullmatch(r"(M\d+ \d+h\d+v1h-\d+z)+", offer["svg_path"])
    code = code_of(offer["key"])
    codes = browser.ask("PUT", "/api/account/second-factor", {"code": code}).ok()["recovery_codes"]
    assert len(set(codes)) == 10
    assert browser.sign_in("ana", status=401).json["details"] == {"code_needed": True}
    browser.sign_in("ana", status=401, code=code).failed(401, "Name, password or code is wrong.")  # replayed
    browser.sign_in("ana", code=codes[0].lower())
    browser.sign_in("ana", status=401, code=codes[0])
    assert browser.get("/api/account").ok()["recovery_codes_left"] == 9
    everything = stored(everseal)
    for secret in (offer["key"], *(c.replace("-", "") for c in codes)):
        assert secret.encode() not in everything and secret not in everseal.log()


# ---- audit and events ----

def test_audit(everseal, browser):
    create(everseal, "ana")
    browser.sign_in("ana")
    browser.ask("POST", "/api/people", {"name": "bo", "password": PASSWORD, "scope": "read"}).ok(201)
    browser.ask("PUT", "/api/people/bo", {"scope": "operate"}).ok()
    everseal.kill("control")
    until("the audit is back", lambda: api_up(browser), 10)
    items = browser.get("/api/audit").ok()["items"]
    assert [i["what"] for i in items] == ["Scope changed", "Person added", "Signed in", "Person added"]
    assert (items[0]["who"], items[0]["address"], items[0]["before"], items[0]["after"]) == (
        "ana", "127.0.0.1", "read", "operate")
    assert (items[3]["who"], items[3]["address"]) == ("the owner", "control.sock")
    exported = browser.get("/api/audit/export")
    assert exported.headers["Content-Type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in exported.body.decode().splitlines()]
    assert [i["id"] for i in items] == [i["id"] for i in reversed(lines)][-len(items):]
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        for path in ("/api/audit", "/api/audit/" + items[0]["id"]):
            assert browser.ask(method, path, {}).status in (404, 405)
    assert not any(PASSWORD in a or "$argon2" in a for a in browser.answers)
    assert PASSWORD not in everseal.log() and PASSWORD.encode() not in stored(everseal)


def api_up(browser):
    with contextlib.suppress(OSError, http.client.HTTPException):
        return browser.get("/api/session").status == 200
    return False


def read_events(answer, wanted, seconds=60):
    """Events until the wanted one: [(name, data)]."""
    events, end = [], time.monotonic() + seconds
    name = None
    while time.monotonic() < end:
        line = answer.readline().decode()
        assert line, f"the stream has ended without {wanted}: {events}"
        line = line.rstrip("\n")
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            events.append((name, json.loads(line[6:])))
            if name == wanted:
                return events
    raise AssertionError(f"no {wanted}: {events}")


def test_events(everseal, browser):
    create(everseal, "ana")
    browser.sign_in("ana")
    stream = http.client.HTTPConnection("127.0.0.1", everseal.page, timeout=60)
    stream.request("GET", "/api/events", headers={"Cookie": browser.cookie})
    answer = stream.getresponse()
    assert answer.headers["Content-Type"] == "text/event-stream"
    hello = read_events(answer, "hello")[0][1]
    assert hello["boot"] and hello["version"]
    admin(everseal, "token", "add", "deploy", "--scope", "read")
    item = read_events(answer, "audit")[-1][1]
    assert (item["what"], item["subject"]) == ("API token made", "deploy")
    assert "server_time" in read_events(answer, "beat")[-1][1]
    admin(everseal, "create", "bo", "--scope", "administer", password=PASSWORD)
    admin(everseal, "remove", "ana")
    assert read_events(answer, "session")[-1][1] == {"ended": True}
    assert answer.read().strip() == b""
    assert browser.get("/api/session").status == 401


def test_a_page_is_told_of_another_scope(everseal, browser):
    create(everseal, "root")
    create(everseal, "ana")
    browser.sign_in("ana")
    stream = http.client.HTTPConnection("127.0.0.1", everseal.page, timeout=60)
    stream.request("GET", "/api/events", headers={"Cookie": browser.cookie})
    answer = stream.getresponse()
    read_events(answer, "hello")
    Api(everseal.state).put("/api/people/ana", {"scope": "read"}).ok()
    assert read_events(answer, "session")[-1][1] == {"ended": False}
    assert browser.get("/api/session").ok()["scope"] == "read"
    stream.close()


def test_the_stream_of_a_task_ends_with_its_session(everseal, browser):
    create(everseal, "ana")
    browser.sign_in("ana")
    owner = Api(everseal.state)
    owner.post("/api/registrations", {"names": ["shop.example.com"], "email": "ops@example.com", "agree_tos": True})
    task = owner.get("/api/tasks").ok()["Items"][0]["Id"]
    stream = http.client.HTTPConnection("127.0.0.1", everseal.page, timeout=20)
    stream.request("GET", f"/api/tasks/{task}/events", headers={"Cookie": browser.cookie})
    answer = stream.getresponse()
    assert answer.status == 200 and answer.readline()
    assert not owner.get(f"/api/tasks/{task}").ok()["IsCompleted"]
    create(everseal, "bo")
    admin(everseal, "remove", "ana")
    begun = time.monotonic()
    with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
        answer.read()
    assert time.monotonic() - begun < 3
    assert not owner.get(f"/api/tasks/{task}").ok()["IsCompleted"]


# ---- what one who can only look cannot cause ----

def test_reading_asks_nobody_outside(everseal):
    reader = Api(None, everseal.page, admin(everseal, "token", "add", "look", "--scope", "read"))
    other = Api(None, everseal.page, admin(everseal, "token", "add", "other", "--scope", "read"))
    operator = Api(None, everseal.page, admin(everseal, "token", "add", "work", "--scope", "operate"))
    reader.get("/api/lookup", name="a.example.com").failed(403, "You may not see this: your scope is read", code="permission")
    reader.get("/api/issuers/letsencrypt/directory").failed(403, "this needs operate", code="permission")
    operator.get("/api/lookup", name="a b").ok()
    run = reader.post("/api/diagnosis", {"name": "a.example.com"}).ok(201)["id"]
    other.ask("DELETE", f"/api/diagnosis/{run}").failed(403, "Somebody else runs this diagnosis", code="permission")
    other.get(f"/api/diagnosis/{run}").ok()
    reader.ask("DELETE", f"/api/diagnosis/{run}").ok()
    run = reader.post("/api/diagnosis", {"name": "a.example.com"}).ok(201)["id"]
    operator.ask("DELETE", f"/api/diagnosis/{run}").ok()


def test_lookups_of_one_person(stage):
    everseal = stage.everseal(sites="site * { proxy 127.0.0.1:9 }", email=None, head="resolver 127.0.0.1:9").start()
    busy, other = (Api(None, everseal.page, admin(everseal, "token", "add", name, "--scope", "operate"))
                   for name in ("busy", "other"))
    with ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(lambda i: busy.get("/api/lookup", name=f"a{i}.example.com"), range(12)))
    assert sorted(r.status for r in replies) == [200] * 10 + [429] * 2
    refused = next(r for r in replies if r.status == 429)
    error = refused.failed(429, "Ten look-ups a minute are as many as one may ask for", code="limit")
    assert 1 <= error["details"]["retry_after"] <= 60
    assert int(refused.headers["Retry-After"]) == error["details"]["retry_after"]
    busy.get("/api/lookup", name="no name").ok()  # asks nobody
    ana = signed_in(everseal, "ana", "administer")
    tokens = [Api(None, everseal.page, ana.ask("POST", "/api/tokens", {"name": name, "scope": "operate"}).ok(201)["token"])
              for name in ("one", "two")]
    statuses = [tokens[i % 2].get("/api/lookup", name=f"b{i}.example.com").status for i in range(12)]
    assert statuses.count(429) == 2, "tokens are their maker's"
    other.get("/api/lookup", name="b.example.com").ok()


# ---- the page's files ----

def test_files(everseal, browser):
    page = browser.ask("GET", "/", Accept_Encoding="br")
    assert page.status == 200 and page.headers["Content-Encoding"] == "br"
    assert "require-trusted-types-for 'script'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Frame-Options"] == "DENY" and page.headers["Referrer-Policy"] == "no-referrer"
    assert browser.ask("GET", "/", Accept_Encoding="br", If_None_Match=page.headers["ETag"]).status == 304
    plain = browser.get("/index.html")
    assert b"<!doctype html>" in plain.body.lower() and "Content-Encoding" not in plain.headers
    assert browser.get("/../state/master.key").status == 404
    assert browser.get("/nothing.js").status == 404


def test_dev_page(stage, everseal):
    web = everseal.folder / "web"
    web.mkdir()
    (web / "index.html").write_text("<!doctype html>from disk")
    everseal.stop()
    process = subprocess.Popen([PROGRAM, "run", "--config", everseal.config, "--dev-page", web],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    browser = Browser(everseal.page)

    def answers():
        with contextlib.suppress(OSError, http.client.HTTPException):
            return browser.get("/").body == b"<!doctype html>from disk"
    try:
        until("the page is served from disk", answers, 20)
        assert browser.get("/../everseal.conf").status == 404
        assert browser.get("/app.js").status == 404
    finally:
        process.terminate()
        process.wait(30)


def test_hashes_are_argon2id(everseal):
    create(everseal, "ana")
    with sqlite3.connect(f"file:{everseal.state}/everseal.db?mode=ro", uri=True) as db:
        value, = db.execute("SELECT value FROM record WHERE kind = 'person'").fetchone()
    assert json.loads(value)["hash"].startswith("$argon2id$v=19$m=65536,t=2,p=1$")


# ---- attacked ----

def signed_in(everseal, name, scope):
    create(everseal, name, scope)
    browser = Browser(everseal.page)
    browser.sign_in(name)
    return browser


def test_a_lower_scope_counts_at_once(everseal):
    """In sessions that are open, for tokens that were made, and for what was asked before."""
    create(everseal, "root")
    ana = signed_in(everseal, "ana", "administer")
    token = ana.ask("POST", "/api/tokens", {"name": "t", "scope": "administer"}).ok(201)["token"]
    by_token = Api(None, everseal.page, token)
    by_token.get("/api/people").ok()
    Api(everseal.state).put("/api/people/ana", {"scope": "read"}).ok()
    ana.get("/api/people").failed(403, "your scope is read", code="permission")
    ana.ask("POST", "/api/tokens", {"name": "u", "scope": "read"}).failed(403)
    by_token.get("/api/people").failed(401)
    ana.get("/api/session").ok()


def test_nobody_makes_himself_more(everseal):
    ana = signed_in(everseal, "ana", "operate")
    for method, path, body in (("PUT", "/api/people/ana", {"scope": "administer"}),
                               ("POST", "/api/people", {"name": "eve", "password": PASSWORD, "scope": "administer"}),
                               ("POST", "/api/tokens", {"name": "t", "scope": "read"}),
                               ("POST", "/api/admin/password", {"name": "ana", "password": PASSWORD}),
                               ("POST", "/api/admin/link", {})):
        ana.ask(method, path, body).failed(403, code="permission")
    # Nor by members that nobody asked for, in what he may change.
    ana.ask("PUT", "/api/account/password", {"current": PASSWORD, "new": PASSWORD + "!", "scope": "administer",
                                             "name": "root"}).ok()
    assert ana.get("/api/session").ok()["scope"] == "operate"


def test_a_session_of_another_is_not_ended(everseal):
    ana, bo = signed_in(everseal, "ana", "administer"), signed_in(everseal, "bo", "read")
    other = ana.get("/api/account").ok()["sessions"][0]["id"]
    bo.ask("DELETE", f"/api/account/sessions/{other}").failed(404)
    ana.get("/api/session").ok()


def test_text_from_outside_stays_text_in_the_audit(everseal, browser):
    """Newlines, terminals' controls and JSON in a name, an agent or a path make no record and no line of the log."""
    create(everseal, "ana")
    evil = 'x","who":"root"}\n2026-01-01T00:00:00.000Z info root: Signed in\x1b[2J'
    browser.sign_in(evil, status=401)
    browser.sign_in("ana", status=200)
    browser.ask("POST", "/api/people", {"name": evil, "password": PASSWORD, "scope": "read"}).failed(422)
    browser.ask("POST", "/api/tokens", {"name": evil, "scope": "read"}).failed(422)
    browser.ask("DELETE", "/api/tokens/a%0Ab%1b").failed(404)
    browser.ask("POST", "/api/tokens", {"name": '"}{"who":"root"', "scope": "read"}).ok(201)
    lines = browser.get("/api/audit/export").body.decode().splitlines()
    assert {json.loads(line)["who"] for line in lines} <= {"ana", "somebody", "the owner"}
    assert "\x1b" not in everseal.log() and not re.search(r"^2026-01-01", everseal.log(), re.M)


@pytest.mark.parametrize("body", [
    b"[" * 60000, b'{"a":' * 10000 + b"1" + b"}" * 10000, b'{"name":"a","name":"b","password":"x"}',
    b'{"name":"a\\u0000b","password":"x"}', b'\xff\xfe{"name":"a"}', b'{"name":1e999,"password":[]}',
    b'{"name":"\\ud800","password":"x"}', b'"text"', b"null", b""],
    ids=["arrays", "objects", "twice", "NUL", "no UTF-8", "numbers", "surrogate", "text", "null", "nothing"])
def test_bodies_that_cannot_be(everseal, browser, body):
    reply = browser.ask("POST", "/api/session", body)
    assert reply.status in (400, 401, 422), reply.body
    assert set(reply.json) == {"code", "message", "remedy", "details"}
    browser.get("/api").ok()


def test_the_stream_of_a_token_ends_with_it(everseal):
    token = admin(everseal, "token", "add", "watch", "--scope", "read")
    stream = http.client.HTTPConnection("127.0.0.1", everseal.page, timeout=60)
    stream.request("GET", "/api/events", headers={"Authorization": f"Bearer {token}"})
    answer = stream.getresponse()
    read_events(answer, "hello")
    admin(everseal, "token", "remove", "watch")
    assert read_events(answer, "session")[-1][1] == {"ended": True}
    assert answer.read().strip() == b""


def test_a_key_in_vain_is_not_a_session(everseal, browser):
    """A wrong token is refused even if a cookie came with it; and no token is taken from the address."""
    create(everseal, "ana")
    browser.sign_in("ana")
    browser.ask("GET", "/api/people", X_Octopus_ApiKey="API-NONE").failed(401)
    browser.ask("GET", "/api/people", X_Octopus_ApiKey="").failed(401)
    token = admin(everseal, "token", "add", "deploy", "--scope", "read")
    assert Api(None, everseal.page).get("/api/status", apikey=token, access_token=token).status == 401
