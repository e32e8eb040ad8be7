"""`basic-auth`: compared by control, passed by serve for a while, throttled by address."""
import base64
import subprocess
import threading

import pytest

from house import PROGRAM
from network import ask, raw, until


def make_hash(password):
    done = subprocess.run([PROGRAM, "admin", "hash"], input=password + "\n", text=True, capture_output=True,
                          timeout=60, check=True)
    return done.stdout.strip()


def basic(user, password):
    return "Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture(scope="module")
def hashes():
    return {name: make_hash(f"secret of {name}") for name in ("ann", "bob")}


@pytest.fixture(scope="module")
def front(module_stage, hashes):
    application = module_stage.upstream()
    secret = module_stage.new_folder("secret") / "bob"
    secret.write_text(hashes["bob"] + "\n")
    everseal = module_stage.everseal(head="trusted-proxy 127.0.0.1", sites=f"""
site * {{
	proxy {application.address}
	route /ann/ {{ basic-auth ann {hashes["ann"]} }}
	route /both/ {{ basic-auth ann {hashes["ann"]}; basic-auth bob @{secret}; request-header remove Authorization }}
	route /upload/ {{ basic-auth ann {hashes["ann"]} }}
}}
site inner.example.com {{
	proxy {application.address}
	basic-auth bob {hashes["bob"]}
	route /open/ {{ basic-auth off }}
}}
""").start()
    everseal.application = application
    return everseal


def get(front, path, *headers, name="a.example.com", client="203.0.113.1"):
    return ask(front.http, name, path, headers=[f"X-Forwarded-For: {client}", *headers])


def test_the_hash_names_its_parameters(hashes):
    assert hashes["ann"].startswith("$argon2id$v=19$m=65536,t=2,p=1$") and hashes["ann"] != make_hash("secret of ann")


@pytest.mark.asan
def test_who_comes_in(front):
    bare = get(front, "/ann/x")
    assert bare.status == 401
    assert bare.headers["www-authenticate"] == 'Basic realm="*", charset="UTF-8"'
    assert get(front, "/ann/x", basic("ann", "secret of ann")).body == b"hello"
    assert get(front, "/ann", basic("ann", "secret of ann")).body == b"hello"
    assert get(front, "/both/", basic("bob", "secret of bob")).body == b"hello"
    assert get(front, "/other").body == b"hello"
    assert get(front, "/", name="inner.example.com").status == 401
    assert get(front, "/", basic("bob", "secret of bob"), name="inner.example.com").body == b"hello"
    assert get(front, "/open/x", name="inner.example.com").body == b"hello"


@pytest.mark.asan
@pytest.mark.parametrize("header", [
    basic("ann", "wrong"), basic("bob", "secret of bob"), basic("", ""), basic("ann", ""), "Authorization: Basic",
    "Authorization: Basic !!!!", "Authorization: Basic YW5u", "Authorization: Bearer x", "Authorization: Basic " + "A" * 3000,
    basic("ann", "secret of ann") + "x", basic("ANN", "secret of ann"), basic("ann", "secret of ann\0"),
])
def test_who_does_not(front, header):
    before = len(front.application.heard)
    assert get(front, "/ann/x", header, client="203.0.113.2").status in (401, 429)
    assert len(front.application.heard) == before


def test_nobody_is_two_people(front):
    before = len(front.application.heard)
    good, other = basic("ann", "secret of ann"), basic("admin", "x")
    for pair in ((good, other), (other, good), (good, good)):
        assert get(front, "/ann/x", *pair).status == 400
    assert len(front.application.heard) == before


def test_what_the_application_gets(front):
    before = len(front.application.heard)
    get(front, "/ann/x", basic("ann", "secret of ann"))
    get(front, "/both/x", basic("ann", "secret of ann"))
    first, second = front.application.heard[before:]
    assert b"\r\nauthorization: Basic " in first.head and b"authorization" not in second.head


def test_a_body_waits_for_the_password(front):
    body = b"x" * 200_000
    before = len(front.application.heard)
    answer = ask(front.http, "a.example.com", "/upload/x", method="POST", body=body,
                 headers=[basic("ann", "secret of ann"), "X-Forwarded-For: 203.0.113.9"])
    assert answer.status == 200 and front.application.heard[before].body == body


def test_many_at_once_are_compared_once(front):
    """More than control lets wait come with one password at the same moment."""
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(
        get(front, "/both/many", basic("ann", "secret of ann"), client="203.0.113.77").status)) for _ in range(40)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert answers == [200] * 40


def test_wrong_passwords_make_their_address_wait(stage, hashes):
    application = stage.upstream()
    everseal = stage.everseal(head="trusted-proxy 127.0.0.1", sites=f"""
site * {{ proxy {application.address}; basic-auth ann {hashes["ann"]} }}""").start()
    statuses = [get(everseal, "/", basic("ann", f"wrong {i}"), client="203.0.113.3").status for i in range(14)]
    assert statuses[:10] == [401] * 10 and 429 in statuses[10:]
    late = get(everseal, "/", basic("ann", "secret of ann"), client="203.0.113.3")
    assert late.status == 429 and int(late.headers["retry-after"]) >= 1
    assert get(everseal, "/", basic("ann", "secret of ann"), client="203.0.113.4").status == 200


def test_a_changed_list_counts_at_once(stage, hashes):
    application = stage.upstream()
    site = "site * {{ proxy {0}; basic-auth ann {1} }}"
    everseal = stage.everseal(sites=site.format(application.address, hashes["ann"])).start()
    assert ask(everseal.http, "a.example.com", "/", headers=[basic("ann", "secret of ann")]).status == 200
    everseal.write(sites=site.format(application.address, hashes["bob"]))
    everseal.reload().ok()
    until("the new list counts",
          lambda: ask(everseal.http, "a.example.com", "/", headers=[basic("ann", "secret of ann")]).status == 401)
    assert ask(everseal.http, "a.example.com", "/", headers=[basic("ann", "secret of bob")]).status == 200


def test_what_has_passed_passes_without_control(stage, hashes):
    application = stage.upstream()
    everseal = stage.everseal(sites=f"site * {{ proxy {application.address}; basic-auth ann {hashes['ann']} }}",
                              head="workers 1").start()
    good = [basic("ann", "secret of ann")]
    assert ask(everseal.http, "a.example.com", "/", headers=good).status == 200
    before = everseal.kill("control")
    assert ask(everseal.http, "a.example.com", "/", headers=good).status == 200
    everseal.wait_back("control", before)
    until("control compares again",
          lambda: ask(everseal.http, "a.example.com", "/", headers=[basic("ann", "no")], timeout=30).status == 401, 30)


def test_no_secret_is_shown(front, hashes):
    shown = front.cli("status", "--json").ok().out + front.log()
    assert hashes["ann"] not in shown and "secret of ann" not in shown
    from api import Api
    rules = Api(front.state).get("/api/sites/*").ok()["rules"]
    assert "route /ann/ { basic-auth ann … }" in rules
    assert not any("argon2id" in rule for rule in rules)
