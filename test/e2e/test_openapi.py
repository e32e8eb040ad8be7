"""What the API answers is what /api/openapi.json says: no member more, none of another type."""
import re

import jsonschema
import pytest

from api import Api
from house import Everseal
from network import Upstream


def closed(schema):
    """The same schema, in which an object has the members that it names and no others."""
    if isinstance(schema, list):
        return [closed(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: closed(value) for key, value in schema.items()}
    if schema.get("type") == "object" and schema.get("properties"):
        schema.setdefault("additionalProperties", False)
    return schema


class Document:
    def __init__(self, document):
        self.document = closed(document)
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
        content = responses[status].get("content", {})
        self.asked.add((method, shape, status))
        if "application/json" not in content:
            return reply
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["cache-control"] == "no-store"
        where = "/".join(part.replace("~", "~0").replace("/", "~1") for part in
                         ("paths", shape, method.lower(), "responses", status, "content", "application/json", "schema"))
        validator = jsonschema.Draft202012Validator({**self.document, "$ref": "#/" + where})
        wrong = [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}" for e in validator.iter_errors(reply.json)]
        assert not wrong, f"{method} {path}, {reply.status}: {wrong[:5]}"
        return reply


class Checked(Api):
    document = None

    def ask(self, method, path, body=None, headers=()):
        reply = super().ask(method, path, body, headers)
        return self.document.check(method, path, reply) if self.document else reply


@pytest.fixture
def api(stage, pebble):
    upstream = stage.keep(Upstream())
    everseal = stage.keep(Everseal(stage.new_folder("everseal"), ca=pebble,
                                   sites=f"site * {{ proxy 127.0.0.1:{upstream.port} }}\n"
                                         f"site file.test {{ proxy 127.0.0.1:{upstream.port}; hsts 1h }}"))
    everseal.start()
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
