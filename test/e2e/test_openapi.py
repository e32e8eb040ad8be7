"""What the API answers is what /api/openapi.json says: no member more, none of another type."""
import base64
import contextlib
import hashlib
import hmac
import re
import struct
import time

import jsonschema
import pytest

from api import Api
from house import Everseal
from network import Upstream, until
from test_import import Authority


def at(document, reference):
    for part in reference.split("/")[1:]:
        document = document[part]
    return document


def as_one(parts, document):
    """An object with the members of all parts."""
    parts = [at(document, p["$ref"]) if "$ref" in p else p for p in parts]
    return {"type": "object", "properties": {k: v for p in parts for k, v in p["properties"].items()},
            "required": [name for p in parts for name in p["required"]]}


def closed(schema, document):
    """The same schema, in which an object has the members that it names and no others."""
    if isinstance(schema, list):
        return [closed(s, document) for s in schema]
    if not isinstance(schema, dict):
        return schema
    if "allOf" in schema:
        schema = as_one(schema["allOf"], document)
    schema = {key: closed(value, document) for key, value in schema.items()}
    if schema.get("type") == "object" and schema.get("properties"):
        schema.setdefault("additionalProperties", False)
    return schema


class Document:
    def __init__(self, document):
        self.document = closed(document, document)
        self.asked = set()

    def path_of(self, path):
        path = path.split("?")[0]
        shapes = [p for p in self.document["paths"]
                  if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", re.escape(p).replace(r"\{", "{").replace(r"\}", "}")), path)]
        assert shapes, f"{path} is not described"
        return min(shapes, key=lambda p: p.count("{"))

    def check(self, method, path, reply):
        shape = self.path_of(path)
        responses = self.document["paths"][shape][method.lower()]["responses"]
        status = str(reply.status) if str(reply.status) in responses else "default"
        assert status != "default" or reply.status >= 400, f"{method} {path}: {reply.status} is not described"
        where = ("paths", shape, method.lower(), "responses", status)
        if "$ref" in responses[status]:
            where = tuple(responses[status]["$ref"].split("/")[1:])
        response = self.document
        for part in where:
            response = response[part]
        content = response.get("content", {})
        self.asked.add((method, shape, status))
        if "application/json" not in content:
            return reply
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["cache-control"] == "no-store"
        where = "/".join(part.replace("~", "~0").replace("/", "~1") for part in
                         (*where, "content", "application/json", "schema"))
        validator = jsonschema.Draft202012Validator({**self.document, "$ref": "#/" + where})
        wrong = [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}" for e in validator.iter_errors(reply.json)]
        assert not wrong, f"{method} {path}, {reply.status}: {wrong[:5]}"
        return reply


    def operations(self):
        """(method, path, what the document says of it)"""
        for path, methods in self.document["paths"].items():
            for method, operation in methods.items():
                if method != "parameters":
                    yield method.upper(), path, operation


class Checked(Api):
    document = None

    def ask(self, method, path, body=None, headers=()):
        reply = super().ask(method, path, body, headers)
        return self.document.check(method, path, reply) if self.document else reply

    def opened(self, path):
        """The status of a stream, which stays open until the connection is closed."""
        connection = self.connection()
        connection.request("GET", path, headers={"X-Octopus-ApiKey": self.token} if self.token else {})
        answer = connection.getresponse()
        self.document.asked.add(("GET", self.document.path_of(path), str(answer.status)))
        return connection, answer


class Person(Checked):
    """Signed in over the page's port, with the cookie, the header and the origin of a browser."""

    def __init__(self, api, name=None, password=None):
        super().__init__(None, api.everseal.page)
        self.document, self.everseal, self.headers = api.document, api.everseal, {}
        if name:
            self.take(self.post("/api/session", {"name": name, "password": password}))

    def take(self, reply):
        assert reply.status in (200, 201), reply.body
        self.headers = {"Cookie": reply.headers["Set-Cookie"].split(";")[0], "X-CSRF-Token": reply.json["csrf"]}

    def ask(self, method, path, body=None, headers=()):
        own = {"Origin": f"http://127.0.0.1:{self.port}", "Sec-Fetch-Site": "same-origin", **self.headers}
        return super().ask(method, path, body, {**own, **dict(headers)})


@pytest.fixture
def api(stage, pebble):
    upstream = stage.keep(Upstream())
    sites = (f"site * {{ proxy 127.0.0.1:{upstream.port} }}\n"
             f"site file.test {{ proxy 127.0.0.1:{upstream.port}; hsts 1h }}")
    everseal = stage.keep(Everseal(stage.new_folder("everseal"), ca=pebble, sites=sites)).start()
    everseal.sites = sites
    api = Checked(everseal.state)
    api.document = Document(api.get("/api/openapi.json").ok())
    api.everseal = everseal
    return api


def wait(api, task):
    while not (details := api.get(f"/api/tasks/{task}/details").ok())["Task"]["IsCompleted"]:
        pass
    return details


def test_the_document_is_well_formed(api):
    document = api.get("/api/openapi.json").ok()
    assert document["openapi"].startswith("3.1")
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_what_is_answered_is_what_is_described(api):
    task = api.post("/api/registrations", {"names": ["shop.example.com"], "email": "ops@example.com",
                                           "agree_tos": True}).ok(201)["task"]
    assert wait(api, task)["Task"]["State"] == "Success"
    for path in ("/api", "/api/octopusservernodes/ping", "/api/overview", "/api/status", "/api/sites",
                 "/api/sites/shop.example.com", "/api/sites/*", "/api/sites/file.test", "/api/certificates",
                 "/api/certificates/shop.example.com", "/api/issuers", "/api/issuers/pebble/directory",
                 "/api/issuers/pebble/limits?name=shop.example.com", "/api/issuers/letsencrypt/limits?name=a.example.com",
                 "/api/issuers/internal/roots",
                 "/api/bindings", f"/api/bindings/holder?port={api.everseal.https}", "/api/lookup?name=shop.example.com",
                 "/api/lookup?name=https://a.b/", "/api/tasks", f"/api/tasks/{task}", "/api/tasks?skip=0&take=1",
                 "/api/letsencryptconfiguration", "/api/people", "/api/tokens", "/api/audit"):
        api.get(path).ok()


def test_changes_are_answered_as_described(api):
    added = api.post("/api/sites", {"names": ["a.example.com"], "proxy": ["127.0.0.1:3000"]}).ok(201)
    api.put("/api/sites/a.example.com", {"force_ssl": True, "hsts": {"max_age": 300}}).ok()
    api.put("/api/sites/a.example.com", {"force_ssl": False, "version": added["version"]}).failed(409)
    api.delete("/api/sites/a.example.com").ok()
    task = api.post("/api/tasks", {"Name": "ConfigureLetsEncrypt",
                                   "Arguments": {"DnsName": "b.example.com", "RegistrationEmailAddress": "ops@example.com",
                                                 "AcceptLetsEncryptTermsOfService": True}}).ok(201)
    wait(api, task["Id"])
    again = api.post("/api/certificates/b.example.com/renew").ok(201)["task"]
    wait(api, again)
    api.post("/api/registrations", {"names": ["b.example.com"], "email": "ops@example.com", "agree_tos": True}).ok(200)
    api.put("/api/letsencryptconfiguration", {"Enabled": False}).ok()
    api.post("/api/certificates/b.example.com/disable").ok()
    assert api.get("/api/certificates/b.example.com/export").body.startswith(b"-----BEGIN CERTIFICATE-----")


def test_failures_are_answered_as_described(api):
    for method, path, body, status in (
            ("GET", "/api/sites/no.example.com", None, 404),
            ("GET", "/api/sites?limit=0", None, 422),
            ("POST", "/api/sites", {"names": ["https://a.example.com"]}, 422),
            ("PUT", "/api/sites/file.test", {"hsts": None}, 403),
            ("DELETE", "/api/sites/file.test", {}, 403),
            ("GET", "/api/certificates/no.example.com", None, 404),
            ("POST", "/api/certificates/no.example.com/renew", {}, 404),
            ("POST", "/api/registrations", {"names": ["a.example.com"], "email": "x", "agree_tos": True}, 422),
            ("GET", "/api/issuers/who/directory", None, 404),
            ("GET", "/api/tasks/7", None, 404),
            ("POST", "/api/tasks", {"Name": "Upgrade"}, 422),
            ("PUT", "/api/letsencryptconfiguration", {"Enabled": True}, 409)):
        reply = api.ask(method, path, body)
        assert reply.status == status, f"{method} {path}: {reply.status} {reply.body[:300]}"


# ---- every operation, by everybody, with every answer that it has ----

SCOPES = ("read", "operate", "administer")
PASSWORD = "correct horse battery"


def token(api, scope):
    made = api.post("/api/tokens", {"name": scope, "scope": scope}).ok(201)
    by = Checked(None, api.everseal.page, made["token"])
    by.document, by.everseal, by.id = api.document, api.everseal, made["id"]
    return by


def a_path(path):
    return re.sub(r"\{\w+\}", "none", path)


def test_what_each_scope_may_do(api):
    """What is allowed is not refused for its scope, and what is not is, by token and by session alike."""
    nobody = Person(api)
    by = {scope: [token(api, scope)] for scope in SCOPES}
    for scope in SCOPES:
        api.post("/api/people", {"name": scope, "password": PASSWORD, "scope": scope}).ok(201)
        by[scope].append(Person(api, scope, PASSWORD))
    rank = {"none": 0, "read": 1, "operate": 2, "administer": 3, "owner": 4}
    # What an administrator would end or begin by asking with nothing in particular.
    not_tried = {("DELETE", "/api/session"), ("POST", "/api/reload"), ("GET", "/api/events")}
    for method, path, operation in api.document.operations():
        needs = rank[operation["x-scope"]]
        if needs:
            nobody.ask(method, a_path(path), None if method == "GET" else {}).failed(401, code="unauthenticated")
        for scope in SCOPES:
            for who in by[scope]:
                if needs <= rank[scope]:
                    if (method, path) not in not_tried:
                        reply = who.ask(method, a_path(path), None if method == "GET" else {})
                        wrong = reply.status in (401, 403) and needs and not path.startswith("/api/account")
                        assert not wrong, f"{scope} {method} {path}: {reply.status} {reply.body}"
                else:
                    who.ask(method, a_path(path), None if method == "GET" else {}).failed(403, code="permission")


def code_of(key, at):
    mac = hmac.new(base64.b32decode(key), struct.pack(">Q", int(at) // 30), hashlib.sha1).digest()
    return f"{(struct.unpack('>I', mac[mac[19] & 15:][:4])[0] & 0x7fffffff) % 1000000:06}"


def ask_everything(api):
    """Each operation once with success, and each of its errors but for 401 and 403."""
    task = api.post("/api/registrations", {"names": ["shop.example.com"], "email": "ops@example.com",
                                           "agree_tos": True}).ok(201)["task"]
    wait(api, task)
    for path in ("/api", "/api/openapi.json", "/api/octopusservernodes/ping", "/api/overview", "/api/status",
                 "/api/sites", "/api/sites/shop.example.com", "/api/certificates",
                 "/api/certificates/shop.example.com", "/api/issuers", "/api/issuers/pebble/directory",
                 "/api/issuers/pebble/limits?name=shop.example.com", "/api/issuers/internal/roots",
                 "/api/bindings", "/api/bindings/holder",
                 "/api/lookup?name=a.example.com", "/api/tasks", f"/api/tasks/{task}", f"/api/tasks/{task}/details",
                 "/api/letsencryptconfiguration", "/api/people", "/api/tokens", "/api/audit"):
        api.get(path).ok()
    for path in (f"/api/tasks/{task}/events", "/api/certificates/shop.example.com/export", "/api/audit/export",
                 "/metrics", "/api/notify", "/api/issuers/internal/roots/export"):
        assert api.get(path).status == 200
    api.post("/api/reload").ok()
    api.get("/api/issuers/nobody/directory").failed(503)
    ask_about_sites(api)
    ask_about_people(api)
    ask_about_diagnosis(api)
    ask_what_is_not_there(api)
    ask_about_the_account(api)
    ask_about_the_program(api)


def ask_about_the_account(api):
    where = "/api/issuers/pebble"
    api.post(f"{where}/contact", {"email": "two @ words"}).failed(422, field="email")
    api.post(f"{where}/contact", {"email": "sec@example.com"}).ok()
    api.post(f"{where}/rollover").ok()
    api.post(f"{where}/deactivate").ok()


def ask_about_the_program(api):
    for _ in range(10):
        api.post("/api/notify/test").ok()
    api.post("/api/notify/test").failed(429)
    hook = {"way": "webhook", "to": "https://hooks.example.com/x", "secret": "s"}
    target = api.post("/api/notify/targets", hook).ok(201)
    api.post("/api/notify/targets", hook).failed(422, field="to")
    where = f"/api/notify/targets/{target['id']}"
    api.get(where).ok()
    api.put(where, {"level": "info", "version": target["version"]}).ok()
    api.put(where, {"level": "problem", "version": target["version"]}).failed(409)
    api.put(where, {"level": "all"}).failed(422, field="level")
    api.get("/api/notify").ok()
    api.delete(where).ok()
    for on in (True, False):
        api.post("/api/drain", {"on": on}).ok()
        assert api.get("/api/overview").ok()["draining"] is on
    api.post("/api/drain", {"on": "maybe"}).failed(422, field="on")
    assert api.get("/api/upgrade").ok()["state"] == "none"
    api.post("/api/upgrade").ok()

    def taken_over():
        with contextlib.suppress(OSError):  # for a moment nobody listens
            return api.get("/api/upgrade").ok()["state"] == "done"
    until("the program that takes over tells that it has", taken_over, 60)


def ask_about_sites(api):
    added = api.post("/api/sites", {"names": ["a.example.com"], "proxy": ["127.0.0.1:3000"]}).ok(201)
    api.post("/api/sites", {"names": ["https://b.example.com"]}).failed(422)
    api.put("/api/sites/a.example.com", {"force_ssl": True}).ok()
    api.put("/api/sites/a.example.com", {"force_ssl": False, "version": added["version"]}).failed(409)
    api.put("/api/sites/a.example.com", {"names": []}).failed(422)
    api.delete("/api/sites/a.example.com").ok()
    where = "/api/letsencryptconfiguration"
    wait(api, api.post("/api/tasks", {"Name": "ConfigureLetsEncrypt",
                                      "Arguments": {"DnsName": "b.example.com", "RegistrationEmailAddress": "a@example.com",
                                                    "AcceptLetsEncryptTermsOfService": True}}).ok(201)["Id"])
    api.put(where, {}).failed(422)
    api.put(where, {"Enabled": False}).ok()
    api.put(where, {"Enabled": True}).failed(409)
    api.post("/api/registrations", {"names": ["shop.example.com"], "email": "ops@example.com", "agree_tos": True}).ok(200)
    api.post("/api/registrations", {"names": ["c.example.com"], "email": "x", "agree_tos": True}).failed(422)
    wait(api, api.post("/api/certificates/shop.example.com/renew").ok(201)["task"])
    token(api, "operate").post("/api/certificates/shop.example.com/revoke", {"name": "other"}).failed(422)
    wait(api, api.post("/api/certificates/shop.example.com/revoke").ok(201)["task"])
    api.post("/api/certificates/shop.example.com/disable").ok()
    api.get("/api/bindings/holder?port=0").failed(422)
    api.post("/api/tasks", {"Name": "Upgrade"}).failed(422)
    for path in ("sites", "certificates", "issuers", "people", "tokens", "audit"):
        api.get(f"/api/{path}?limit=0").failed(422)
    api.get("/api/tasks?take=x").failed(422)


def ask_about_people(api):
    link = api.post("/api/admin/link").ok()["link"].split("=")[1]
    nobody = Person(api)
    nobody.post("/api/setup/check", {"token": "none"}).failed(404)
    nobody.post("/api/setup", {"token": "none", "name": "ana", "password": PASSWORD}).failed(404)
    nobody.post("/api/setup/check", {"token": link}).ok()
    nobody.post("/api/setup", {"token": link, "name": "ana", "password": "short"}).failed(422)
    ana = Person(api)
    ana.take(ana.post("/api/setup", {"token": link, "name": "ana", "password": PASSWORD}))
    for path in ("/api/setup/check", "/api/setup"):
        nobody.post(path, {"token": link, "name": "eve", "password": PASSWORD}).failed(410)
    assert ana.get("/api/session").ok()["name"] == "ana"
    ask_about_account(ana)
    api.post("/api/admin/password", {"name": "nobody", "password": PASSWORD}).failed(404)
    api.post("/api/admin/password", {"name": "ana", "password": "x"}).failed(422)
    api.post("/api/admin/password", {"name": "ana", "password": PASSWORD}).ok()
    api.post("/api/people", {"name": "bo", "password": PASSWORD, "scope": "read"}).ok(201)
    api.post("/api/people", {"name": "bo", "password": PASSWORD, "scope": "read"}).failed(409)
    api.post("/api/people", {"name": "b o", "password": PASSWORD, "scope": "read"}).failed(422)
    api.put("/api/people/bo", {"scope": "operate"}).ok()
    api.put("/api/people/bo", {"scope": "all"}).failed(422)
    api.put("/api/people/ana", {"scope": "read"}).failed(409)
    api.delete("/api/people/ana").failed(409)
    api.delete("/api/people/bo").ok()
    api.post("/api/tokens", {"name": "", "scope": "read"}).failed(422)
    api.delete(f"/api/tokens/{token(api, 'read').id}").ok()
    nobody.post("/api/session", {"name": "ana"}).failed(422)
    until("who tries too often waits", lambda: nobody.post(
        "/api/session", {"name": "eve", "password": "wrong password"}).status == 429, 60)
    api.post("/api/admin/password", {"name": "ana", "password": PASSWORD}).ok()  # forgets all waits


def ask_about_account(ana):
    account = ana.get("/api/account").ok()
    assert [s["current"] for s in account["sessions"]] == [True]
    ana.put("/api/account/password", {"current": "wrong password", "new": PASSWORD}).failed(422)
    ana.put("/api/account/password", {"current": PASSWORD, "new": PASSWORD + "."}).ok()
    other = Person(ana, "ana", PASSWORD + ".")
    ids = [s["id"] for s in ana.get("/api/account").ok()["sessions"] if not s["current"]]
    ana.delete(f"/api/account/sessions/{ids[0]}").ok()
    other.get("/api/account").failed(401)
    factor = "/api/account/second-factor"
    ana.put(factor, {"code": "000000"}).failed(409)
    ana.post(factor, {"password": "wrong password"}).failed(422)
    key = ana.post(factor, {"password": PASSWORD + "."}).ok()["key"]
    ana.put(factor, {"code": "none"}).failed(422)
    ana.put(factor, {"code": code_of(key, time.time())}).ok()
    Person(ana).post("/api/session", {"name": "ana", "password": PASSWORD + "."}).failed(401)
    ana.post(factor + "/off", {"password": "wrong password"}).failed(422)
    until("a wrong password more is forgiven",
          lambda: ana.post(factor + "/off", {"password": PASSWORD + "."}).status == 200, 30, every=0.5)
    ana.delete("/api/session").ok()


def ask_about_diagnosis(api):
    api.post("/api/diagnosis", {"name": "https://x/"}).failed(422)
    run = api.post("/api/diagnosis", {"name": "a.example.com"}).ok(201)["id"]
    api.get(f"/api/diagnosis/{run}").ok()
    api.delete(f"/api/diagnosis/{run}").ok()
    for _ in range(9):
        api.delete(f"/api/diagnosis/{api.post('/api/diagnosis', {'name': 'a.example.com'}).ok(201)['id']}").ok()
    api.post("/api/diagnosis", {"name": "a.example.com"}).failed(429)
    leaf, key = Authority().issue("brought.example.com")
    brought = {"name": "brought.example.com", "pem": (leaf + key).decode()}
    api.post("/api/certificates/import", {"certificates": [brought]}).ok()
    api.post("/api/certificates/import", {"certificates": [{"name": "brought.example.com"}]}).failed(422)
    assert "No other certificate" in api.delete("/api/certificates/brought.example.com", {}).ok()["served"]
    assert api.post("/api/backup", {}).body.startswith(b"Everseal backup 1\n")
    for i in range(9):  # and one before
        api.get("/api/lookup", name=f"a{i}.example.com").ok()
    api.get("/api/lookup", name="b.example.com").failed(429)
    with contextlib.ExitStack() as streams:
        for number in range(17):
            connection, answer = api.opened("/api/events")
            streams.callback(connection.close)
            assert answer.status == (200 if number < 16 else 503)


def ask_what_is_not_there(api):
    api.post("/api/people", {"name": "cy", "password": PASSWORD, "scope": "administer"}).ok(201)
    cy = Person(api, "cy", PASSWORD)
    for method, path, operation in api.document.operations():
        if "404" in operation["responses"] and "{" in path:
            who = api if operation["x-scope"] == "owner" else cy
            who.ask(method, a_path(path), None if method == "GET" else {}).failed(404)
        if "403" in operation["responses"]:
            cy.ask(method, a_path(path), None if method == "GET" else {}, {"Sec-Fetch-Site": "cross-site"}).failed(403)
        if "401" in operation["responses"] and path != "/api/session":
            Person(api).ask(method, a_path(path), None if method == "GET" else {}).failed(401)
    for method in ("GET", "DELETE"):
        Person(api).ask(method, "/api/session").failed(401)


def test_every_operation_and_every_answer(api):
    api.everseal.write(api.everseal.sites, head="issuer nobody { directory https://127.0.0.1:9/dir }\n"
                                                "resolver 127.0.0.1:9")
    api.everseal.reload().ok()
    ask_everything(api)
    missing = [(method, path, status) for method, path, operation in api.document.operations()
               for status in operation["responses"]
               if status not in ("default", "418")
               and (method, path, status) not in api.document.asked]
    # A wish that joins one under way is answered with 200, which takes more luck than a test should need.
    joins = {("POST", f"/api/certificates/{{name}}/{what}", "200") for what in ("renew", "revoke")}
    assert set(missing) <= joins, missing


def test_another_host_is_misdirected(api):
    assert Api(None, api.everseal.page).ask("GET", "/api", headers={"Host": "evil.example"}).status == 421
