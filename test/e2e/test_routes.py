"""Routes and rules of a site, from the file to what client and application see, byte for byte."""
import re

import pytest

from api import Api
from network import ask, raw, until

HOST = b"Host: a.example.com\r\n"


@pytest.fixture(scope="module")
def front(module_stage):
    """One server, its main application and one for /api/, for all cases that change nothing."""
    main, api = module_stage.upstream(), module_stage.upstream()
    everseal = module_stage.everseal(
        head="trusted-proxy 127.0.0.1",
        sites=f"""
site * {{
	proxy {main.address}
	header set X-Site yes
	header remove Server
	route /api/ {{ proxy {api.address}; request-header set X-Route api; header set X-Route api }}
	route /admin/ {{ allow 10.0.0.0/8 }}
	route /status {{ respond 200 "all is well" }}
	route /old/ {{ redirect "https://new.example.com/$rest$query" 301 }}
	route /closed/ {{ maintenance "Back at noon."; allow 10.0.0.0/8 }}
}}
site other.example.com {{ proxy {main.address} }}
""").start()
    everseal.main, everseal.api = main, api
    return everseal


def get(path, *fields, host=HOST, version=b"HTTP/1.1"):
    return b"GET " + path + b" " + version + b"\r\n" + host + b"".join(f + b"\r\n" for f in fields) + \
        b"Connection: close\r\n\r\n"


def status_of(received):
    return int(re.match(rb"HTTP/1\.1 (\d{3})", received)[1])


@pytest.mark.asan
@pytest.mark.parametrize("path, who, reached", [
    (b"/", "main", b"/"), (b"/api", "api", b"/api"), (b"/api/x?y=/../z", "api", b"/api/x?y=/../z"),
    (b"/x/../api/y", "api", b"/api/y"), (b"/%61pi/y", "api", b"/api/y"), (b"/apis", "main", b"/apis"),
    (b"/api/a%2fb//c;d", "api", b"/api/a%2Fb//c;d"), (b"http://a.example.com/api/x", "api", b"/api/x"),
    (b"/API/x", "main", b"/API/x"),
])
def test_what_reaches_which_application(front, path, who, reached):
    application = getattr(front, who)
    before = len(application.heard)
    received = raw(front.http, get(path))
    assert status_of(received) == 200 and received.endswith(b"hello"), received
    heard = application.heard[before]
    assert heard.head.startswith(b"GET " + reached + b" HTTP/1.1\r\n"), heard.head
    assert (b"\r\nx-route: api\r\n" in heard.head) == (who == "api")
    assert b"\r\nx-site: yes\r\n" in received and (b"\r\nx-route: api\r\n" in received) == (who == "api")


@pytest.mark.asan
@pytest.mark.parametrize("path, status", [
    (b"/admin", 403), (b"/admin/", 403), (b"/admin/x", 403), (b"/%61dmin/x", 403), (b"/x/%2e%2E/admin", 403),
    (b"/./admin", 403), (b"/admin?x", 403), (b"http://a.example.com/admin", 403),
    (b"//admin", 400), (b"/x/..;/admin", 400), (b"/x/..%2fadmin", 400), (b"/x%5c..%5cadmin", 400),
    (b"/%2fadmin", 400), (b"/%252e%252e/x/..%252fadmin", 400), (b"/admin;a=b", 400), (b"/admin%00", 400),
    (b"/%c0%afadmin", 400), (b"/..%2fadmin", 400), (b"/../admin", 400), (b"/%zz", 400), (b"/a\\admin", 400),
], ids=lambda v: str(v))
def test_nothing_slips_past_a_rule(front, path, status):
    """By no form of the path, the host or the version; and no byte reaches an application."""
    before = len(front.main.heard), len(front.api.heard)
    for host, version in ((HOST, b"HTTP/1.1"), (HOST, b"HTTP/1.0"), (b"Host: A.Example.COM.\r\n", b"HTTP/1.1"),
                          (b"Host: a.example.com:8443\r\n", b"HTTP/1.1"), (b"Host: unknown\r\n", b"HTTP/1.1")):
        if path.startswith(b"http") and host != HOST:
            continue
        received = raw(front.http, get(path, host=host, version=version))
        assert status_of(received) == status, (host, version, received)
    assert (len(front.main.heard), len(front.api.heard)) == before


@pytest.mark.parametrize("fields, status", [
    ((b"X-Forwarded-For: 10.1.2.3",), 200), ((b"X-Forwarded-For: 10.1.2.3, 203.0.113.9",), 403),
    ((b"X-Forwarded-For: 203.0.113.9, 10.1.2.3",), 200), ((b"X-Real-IP: 10.1.2.3",), 403), ((), 403),
])
def test_the_client_is_whom_trusted_proxies_name(front, fields, status):
    assert status_of(raw(front.http, get(b"/admin/", *fields))) == status


def test_a_site_without_routes_keeps_its_paths(front):
    host = b"Host: other.example.com\r\n"
    before = len(front.main.heard)
    assert status_of(raw(front.http, get(b"/a/%2e%2e/admin//%zz?%", host=host))) == 200
    assert front.main.heard[before].head.startswith(b"GET /a/%2e%2e/admin//%zz?% HTTP/1.1\r\n")


def test_answers_of_the_file(front):
    answer = ask(front.http, "a.example.com", "/status")
    assert (answer.status, answer.body) == (200, b"all is well")
    answer = ask(front.http, "a.example.com", "/old/x/%C3%A4?b")
    assert (answer.status, answer.headers["location"]) == (301, "https://new.example.com/x/%C3%A4?b")
    answer = ask(front.http, "a.example.com", "/old//evil.example/")
    assert answer.headers["location"] == "https://new.example.com/evil.example/"
    answer = ask(front.http, "a.example.com", "/closed/x")
    assert (answer.status, answer.headers["retry-after"]) == (503, "120")
    assert b"Back at noon." in answer.body
    passing = ask(front.http, "a.example.com", "/closed/x", headers=["X-Forwarded-For: 10.0.0.1"])
    assert (passing.status, passing.body) == (200, b"hello")


def test_the_api_shows_rules_as_text(front):
    site = Api(front.state).get("/api/sites/other.example.com").ok()
    assert site["rules"] == []
    rules = Api(front.state).get("/api/sites/*").ok()["rules"]
    assert rules[0] == "header set X-Site yes"
    assert "route /admin/ { allow 10.0.0.0/8 }" in rules


def test_a_reload_changes_rules(stage, upstream):
    everseal = stage.everseal(sites=f"site * {{ proxy {upstream.address} }}").start()
    assert ask(everseal.http, "a.example.com", "/x").status == 200
    everseal.write(sites=f"site * {{ proxy {upstream.address}; route /x {{ respond 410 }} }}")
    everseal.reload().ok()
    until("the route is there", lambda: ask(everseal.http, "a.example.com", "/x").status == 410)
    everseal.write(sites=f"site * {{ proxy {upstream.address}; route /x {{ respond 410; deny no }} }}")
    everseal.reload().failed(r"everseal.conf:\d+:\d+: \"no\" is neither an IP address nor a network")
    assert ask(everseal.http, "a.example.com", "/x").status == 410
