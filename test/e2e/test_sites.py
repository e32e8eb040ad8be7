"""Sites of the store beside those of the file: by API and command, live, and never against what the file says."""
import contextlib
import json
import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from api import Api
from house import Everseal
from network import Upstream, ask, until

FILE = "site * { proxy 127.0.0.1:9 }\nsite file.example.com { proxy 127.0.0.1:9; hsts 1h }\n"


@pytest.fixture
def house(stage):
    everseal = stage.keep(Everseal(stage.new_folder("everseal"), sites=FILE, email=None, agree=False))
    everseal.start()
    everseal.api = Api(everseal.state)
    return everseal


@pytest.fixture
def shop(stage):
    return stage.keep(Upstream())


def line_of_the_site(house):
    return [line.startswith("site file.") for line in house.config.read_text().splitlines()].index(True) + 1


def proxy(upstream):
    return f"127.0.0.1:{upstream.port}"


def test_add_serve_change_remove(house, shop):
    added = house.api.post("/api/sites", {"names": ["shop.example.com", "WWW.shop.example.com."],
                                          "proxy": [proxy(shop)]}).ok(201)
    assert added["names"] == ["shop.example.com", "www.shop.example.com"]
    assert (added["source"], added["state"], added["version"]) == ("store", "temporary", 1)
    assert ask(house.https, "www.shop.example.com", secure=True).body == b"hello"
    changed = house.api.put("/api/sites/www.shop.example.com",
                            {"names": ["shop.example.com"], "force_ssl": True, "version": 1}).ok()
    assert (changed["names"], changed["force_ssl"], changed["version"]) == (["shop.example.com"], True, 2)
    assert ask(house.https, "www.shop.example.com", secure=True).status == 502, "site * answers now"
    house.api.delete("/api/sites/shop.example.com").ok()
    house.api.get("/api/sites/shop.example.com").failed(404, "There is no site shop.example.com")


def test_it_survives_a_restart(house, shop):
    house.api.post("/api/sites", {"names": ["shop.example.com"], "proxy": [proxy(shop)], "force_ssl": True}).ok(201)
    house.restart()
    site = house.api.get("/api/sites/shop.example.com").ok()
    assert (site["force_ssl"], site["upstreams"], site["version"]) == (True, [proxy(shop)], 1)
    assert ask(house.https, "shop.example.com", secure=True).body == b"hello"


def test_what_the_file_sets_is_locked(house):
    line = line_of_the_site(house)
    sentence = f"Set in everseal.conf, line {line}; change it there, then `everseal reload`."
    site = house.api.get("/api/sites/file.example.com").ok()
    assert site["source"]["line"] == site["hsts_source"]["line"] == line
    assert site["force_ssl_source"] is None
    for change in ({"hsts": None}, {"hsts": {"max_age": 300}}, {"names": ["other.example.com"]},
                   {"proxy": ["127.0.0.1:3000"]}):
        house.api.put("/api/sites/file.example.com", change).failed(403, sentence, code="locked")
    house.api.delete("/api/sites/file.example.com").failed(403, f"Set in everseal.conf, line {line}", "remove it there")
    changed = house.api.put("/api/sites/file.example.com", {"force_ssl": True}).ok()
    assert (changed["force_ssl"], changed["force_ssl_source"]) == (True, "store"), "the file says nothing of it"
    house.write(FILE.replace("hsts 1h", "force-ssl no"))
    house.reload().ok()
    site = house.api.get("/api/sites/file.example.com").ok()
    assert site["force_ssl"] is False and site["force_ssl_source"]["line"] == line, "the file wins"


def test_changed_meanwhile(house, shop):
    house.api.post("/api/sites", {"names": ["shop.example.com"], "proxy": [proxy(shop)]}).ok(201)
    house.api.put("/api/sites/shop.example.com", {"force_ssl": True, "version": 1}).ok()
    error = house.api.put("/api/sites/shop.example.com", {"force_ssl": False, "version": 1}).failed(
        409, "shop.example.com was changed meanwhile", code="conflict")
    assert error["details"]["version"] == 2
    assert error["details"]["current"]["force_ssl"] is True
    same = house.api.put("/api/sites/shop.example.com", {"force_ssl": True, "version": 2}).ok()
    assert same["version"] == 2, "what is there already is no change"


@pytest.mark.parametrize("names, words, offered", [
    (["https://foo.example.com/x"], "This is a web address; a DNS name is needed.", "foo.example.com"),
    (["foo.example.com:8080"], "A DNS name has no port and no path.", "foo.example.com"),
    (["*.example.com"], "A wildcard name needs a DNS challenge", None),
    (["co.uk"], "co.uk is a public suffix", None),
    (["file.example.com"], "file.example.com has a site already, set in the configuration file, line", None),
    (["192.0.2.1:80"], "A DNS name has no port and no path.", "192.0.2.1"),
    (["[2001:db8::1]:80"], "A DNS name has no port and no path.", "2001:db8::1"),
    (["::"], ":: is the address of no single machine", None),
    ([], "Give at least one DNS name.", None),
])
def test_names_that_cannot_be(house, names, words, offered):
    error = house.api.post("/api/sites", {"names": names, "proxy": ["127.0.0.1:3000"]}).failed(
        422, words, field="names")
    assert error["details"].get("offered") == offered


@pytest.mark.parametrize("text, words", [
    ("169.254.169.254:80", "is a link-local address; only the configuration file may name one"),
    ("[fe80::1]:80", "is a link-local address"),
    ("127.0.0.1:{https}", "is where Everseal itself listens, not the application"),
    ("localhost:{http}", "is where Everseal itself listens"),
    ("127.0.0.1:{page}", "is where Everseal itself listens"),
    ("127.9.9.9:{page}", "is where Everseal itself listens"),
    ("[::ffff:127.0.0.1]:{page}", "is where Everseal itself listens"),
    ("/run/app.sock", "Only the configuration file may name a Unix socket"),
    ("unix:/run/app.sock", "Only the configuration file may name a Unix socket"),
    ("0.0.0.0:3000", "Nobody can connect to 0.0.0.0: write 127.0.0.1:3000"),
    ("10.0.0.300:3000", "10.0.0.300\" is neither an IP address nor a host name"),
    ("http://127.0.0.1:3000/x", "has a path, but requests are passed on with the path that they have"),
    ("127.0.0.1", "The port is missing"),
])
def test_the_law_of_upstreams(house, text, words):
    text = text.format(https=house.https, http=house.http, page=house.page)
    house.api.post("/api/sites", {"names": ["foo.example.com"], "proxy": [text]}).failed(422, words, field="proxy")
    house.api.get("/api/sites/foo.example.com").failed(404)
    if text[0] in "[0123456789l" and text != "127.0.0.1":
        house.api.post("/api/registrations", {"names": ["foo.example.com"], "email": "ops@example.com",
                                              "agree_tos": True, "proxy": text}).failed(422, words, field="proxy")


def test_hsts_and_the_way_back(house, shop):
    house.api.post("/api/sites", {"names": ["shop.example.com"], "proxy": [proxy(shop)]}).ok(201)
    for age in (300, 3600, 86400, 31536000):
        site = house.api.put("/api/sites/shop.example.com", {"hsts": {"max_age": age}}).ok()
        assert site["hsts"] == {"max_age": age, "subdomains": False, "preload": False}
        assert site["hsts_source"] == "store"
    house.api.put("/api/sites/shop.example.com", {"hsts": {"max_age": 300, "preload": True}}).failed(
        422, "preload list", field="hsts")
    house.api.put("/api/sites/shop.example.com", {"hsts": {"max_age": -1}}).failed(422, field="hsts")
    site = house.api.put("/api/sites/shop.example.com", {"hsts": None}).ok()
    assert site["hsts"]["max_age"] == 0, "off, and max-age=0 is sent"


def test_removing_never_locks_visitors_out(stage, pebble):
    upstream = stage.keep(Upstream())
    everseal = stage.keep(Everseal(stage.new_folder("everseal"), ca=pebble,
                                   sites=f"site * {{ proxy 127.0.0.1:{upstream.port} }}"))
    everseal.start()
    api = Api(everseal.state)
    everseal.register("shop.example.com")
    site = api.put("/api/sites/shop.example.com", {"hsts": {"max_age": 3600}, "force_ssl": True}).ok()
    assert (site["source"], site["state"]) == ("store", "ok")
    answer = ask(everseal.https, "shop.example.com", secure=True)
    assert answer.headers["strict-transport-security"] == "max-age=3600"
    assert ask(everseal.http, "shop.example.com").status == 301
    until("the promise is known", lambda: api.get("/api/sites/shop.example.com").ok()["hsts_promised_until"])
    api.post("/api/registrations", {"names": ["shop.example.com"], "email": "ops@example.com", "agree_tos": True,
                                    "issuer": "letsencrypt-staging"}).failed(
        403, "do not trust certificates of letsencrypt-staging", code="hsts")["details"]["hsts_until"]
    change = {"names": ["other.example.com"], "proxy": [proxy(upstream)]}
    error = api.put("/api/sites/shop.example.com", change).failed(
        403, "Browsers may remember until", "shop.example.com", code="hsts")
    assert error["details"]["hsts_until"]
    api.put("/api/sites/shop.example.com", {**change, "despite_hsts": "other.example.com"}).failed(403)
    assert api.get("/api/sites/shop.example.com").ok()["names"] == ["shop.example.com"]
    error = api.delete("/api/sites/shop.example.com").failed(
        403, "Browsers may remember until", "type the name", code="hsts")
    assert error["details"]["hsts_until"]
    api.delete("/api/sites/shop.example.com", {"despite_hsts": "other.example.com"}).failed(403)
    outcome = everseal.cli("site", "remove", "shop.example.com")
    outcome.failed("Browsers may remember until", "--despite-hsts")
    api.delete("/api/sites/shop.example.com", {"despite_hsts": "shop.example.com"}).ok()
    api.get("/api/sites/shop.example.com").failed(404)
    kept = everseal.certificate("shop.example.com")
    assert kept["state"] == "retired" and kept["serial"], "renewal ends, the certificate is kept"


def test_a_registered_name_gets_an_overlay(stage, pebble):
    upstream = stage.keep(Upstream())
    everseal = stage.keep(Everseal(stage.new_folder("everseal"), ca=pebble, sites=""))
    everseal.start()
    api = Api(everseal.state)
    everseal.register("shop.example.com", more=["--proxy", proxy(upstream)])
    site = api.get("/api/sites/shop.example.com").ok()
    assert (site["version"], site["source"], site["upstreams"]) == (0, "store", [proxy(upstream)])
    assert site["certificate"]["state"] == "ok" and site["issuer"] == "pebble"
    site = api.put("/api/sites/shop.example.com", {"force_ssl": True, "version": 0}).ok()
    assert (site["version"], site["force_ssl"], site["upstreams"]) == (1, True, [proxy(upstream)])
    everseal.restart()
    assert ask(everseal.http, "shop.example.com").status == 301
    api.post("/api/sites", {"names": ["nothing.example.com"]}).failed(
        422, "Nothing stands behind nothing.example.com", field="proxy")


def test_a_name_that_goes_is_no_longer_registered(stage, pebble):
    """Else it would stand on as a site of its own, and be renewed."""
    upstream = stage.keep(Upstream())
    everseal = stage.everseal(ca=pebble, sites=f"site * {{ proxy 127.0.0.1:{upstream.port} }}").start()
    api = Api(everseal.state)
    everseal.register("shop.example.com")
    everseal.register("both.example.com", "stays.example.com")
    api.put("/api/sites/shop.example.com", {"names": ["store.example.com"]}).ok()
    api.get("/api/sites/shop.example.com").failed(404)
    assert everseal.certificate("shop.example.com")["state"] == "retired", "its certificate is kept"
    assert ("Registration removed", "shop.example.com") in audited(everseal)
    api.put("/api/sites/both.example.com", {"names": ["stays.example.com"]}).ok()
    until("what stays has a certificate of its own", lambda: [c["names"] for c in everseal.status()["certificates"]
                                                             if c["state"] == "ok"] == [["stays.example.com"]], 40)
    assert ("Registered with fewer names", "both.example.com") in audited(everseal)
    everseal.wait_served("stays.example.com")
    everseal.restart()
    assert {s["name"] for s in api.get("/api/sites").ok()["items"]} >= {"*", "store.example.com", "stays.example.com"}
    api.get("/api/sites/shop.example.com").failed(404)


def test_a_site_that_goes_takes_its_name_from_a_certificate_of_several(stage, pebble):
    """The other names' certificate is renewed without it, at the address it had, and is still the one that Configure shows."""
    upstream = stage.keep(Upstream())
    everseal = stage.everseal(ca=pebble, sites="").start()
    api = Api(everseal.state)
    for name in ("shop.example.com", "www.example.com"):
        api.post("/api/sites", {"names": [name], "proxy": [proxy(upstream)]}).ok(201)
    everseal.register("shop.example.com", "www.example.com")
    assert everseal.certificate("shop.example.com")["state"] == "ok"
    api.delete("/api/sites/www.example.com").ok()
    api.get("/api/sites/www.example.com").failed(404)
    assert ("Registered with fewer names", "shop.example.com") in audited(everseal)
    until("the other has a certificate of its own", lambda: [c["names"] for c in everseal.status()["certificates"]
                                                             if c["state"] == "ok"] == [["shop.example.com"]], 40)
    assert api.get("/api/overview").ok()["primary"] == api.get("/api/sites/shop.example.com").ok()["certificate"]["id"]
    everseal.restart()
    api.get("/api/sites/www.example.com").failed(404)


def test_every_name_that_goes_has_to_be_typed(stage, pebble):
    """While browsers remember HSTS for it; those that nothing was promised for need not."""
    upstream = stage.keep(Upstream())
    everseal = stage.everseal(ca=pebble, sites="").start()
    api, names = Api(everseal.state), ["shop.example.com", "www.example.com", "m.example.com"]
    api.post("/api/sites", {"names": names, "proxy": [proxy(upstream)], "hsts": {"max_age": 3600}}).ok(201)
    everseal.register(*names)
    for name in names[:2]:
        until("it is promised", lambda: ask(everseal.https, name, secure=True).headers.get("strict-transport-security"), 30)
    change = {"names": ["new.example.com"]}
    until("one promise is known", lambda: api.get("/api/sites/shop.example.com").ok()["hsts_promised_until"], 30)
    until("both promises are known", lambda: api.put("/api/sites/shop.example.com", change).failed(
        403, code="hsts")["details"]["names"] == names[:2], 30)
    error = api.put("/api/sites/shop.example.com", change).failed(
        403, "shop.example.com and www.example.com are reached by HTTPS only", "type the names, with spaces between", code="hsts")
    assert error["details"]["names"] == names[:2]
    error = api.put("/api/sites/shop.example.com", {**change, "despite_hsts": "shop.example.com"}).failed(403, code="hsts")
    assert error["details"]["names"] == ["www.example.com"]
    api.put("/api/sites/shop.example.com", {**change, "despite_hsts": "www.example.com  SHOP.example.com"}).ok()


def test_commands(house, shop):
    added = house.cli("site", "add", "shop.example.com", "www.shop.example.com", "--proxy", proxy(shop),
                      "--force-ssl", "--hsts", "1y")
    assert "shop.example.com is served." in added.ok().out
    site = house.api.get("/api/sites/shop.example.com").ok()
    assert (site["force_ssl"], site["hsts"]["max_age"], len(site["names"])) == (True, 31536000, 2)
    house.cli("site", "set", "shop.example.com", "--no-force-ssl", "--hsts", "off").ok()
    site = house.api.get("/api/sites/shop.example.com").ok()
    assert (site["force_ssl"], site["hsts"]["max_age"]) == (False, 0)
    house.cli("site", "add", "bücher.example.com", "--proxy", proxy(shop)).ok()
    listed = house.cli("site", "list").ok().out
    assert "bücher.example.com (xn--bcher-kva.example.com)" in listed
    house.cli("site", "remove", "bücher.example.com").ok()
    assert "shop.example.com" in listed and "file.example.com" in listed
    objects = [json.loads(line) for line in house.cli("site", "list", "--json").ok().out.splitlines()]
    assert {o["name"] for o in objects} == {"*", "file.example.com", "shop.example.com"}
    house.cli("site", "set", "shop.example.com").failed("Say what to set", status=2)
    house.cli("site", "add", "https://a.example.com/", "--proxy", proxy(shop)).failed("Use a.example.com")
    house.cli("site", "set", "file.example.com", "--hsts", "off").failed(f"Set in everseal.conf, line {line_of_the_site(house)};")
    house.cli("site", "remove", "shop.example.com").ok()
    house.cli("site", "remove", "shop.example.com").failed("There is no site shop.example.com")
    assert "letsencrypt-staging" in house.cli("issuer", "list").ok().out
    house.cli("issuer", "test", "nobody").failed("does not answer")


def test_lists(house):
    for i in range(30):
        house.api.post("/api/sites", {"names": [f"s{i:02}.example.org"], "proxy": ["127.0.0.1:3000"]}).ok(201)
    page = house.api.get("/api/sites", search="EXAMPLE.org", sort="name", limit=12).ok()
    names = [s["name"] for s in page["items"]]
    assert names == [f"s{i:02}.example.org" for i in range(12)]
    assert (page["total"], page["from"], page["previous"]) == (30, 1, None)
    assert page["counts"]["temporary"] == 31, "of all, not of what matches"
    house.api.delete("/api/sites/s11.example.org").ok()
    second = house.api.get("/api/sites", search="example.org", sort="name", limit=12, cursor=page["next"]).ok()
    assert [s["name"] for s in second["items"]][0] == "s12.example.org", "the row of the cursor has gone"
    assert second["from"] == 12
    back = house.api.get("/api/sites", search="example.org", sort="name", limit=12, cursor=second["previous"]).ok()
    assert [s["name"] for s in back["items"]] == [f"s{i:02}.example.org" for i in range(11)]
    last = house.api.get("/api/sites", search="example.org", sort="-name", limit=5).ok()
    assert last["items"][0]["name"] == "s29.example.org"
    assert house.api.get("/api/sites", state="temporary").ok()["total"] == 30
    house.api.get("/api/sites", state="nice").failed(422, 'There is no state "nice"')
    house.api.get("/api/sites", sort="colour").failed(422, "not sorted by")
    house.api.get("/api/sites", limit=1000).failed(422, "`limit` is a number from 1 to 200.")
    house.api.get("/api/sites", cursor="abc").failed(422, "`cursor`")


def test_bindings_and_who_holds_a_port(house):
    bindings = house.api.get("/api/bindings").ok()
    assert {"0.0.0.0", "127.0.0.1"} <= set(bindings["addresses"])
    assert {l["state"] for l in bindings["listeners"]} == {"listening"}
    assert all(l["source"]["line"] for l in bindings["listeners"])
    ours = house.api.get("/api/bindings/holder", address="0.0.0.0", port=house.https).ok()
    assert ours == {"holder": None, "ours": True}
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        held = house.api.get("/api/bindings/holder", address="127.0.0.1", port=port).ok()
        assert "process" in held["holder"] and not held["ours"]
    free = house.api.get("/api/bindings/holder", address="127.0.0.1", port=port).ok()
    assert free == {"holder": None, "ours": False}
    house.api.get("/api/bindings/holder", address="here").failed(422, "here is not an IP address")


def test_lookup(house):
    pasted = house.api.get("/api/lookup", name="https://shop.example.com/x").ok()
    assert pasted["offered"] == "shop.example.com" and "This is a web address" in pasted["message"]
    began = time.monotonic()
    found = house.api.get("/api/lookup", name="file.example.com").ok()
    assert time.monotonic() - began < 5
    assert (found["site"], found["upstreams"]) == ("file.example.com", ["127.0.0.1:9"])
    idn = house.api.get("/api/lookup", name="bücher.test").ok()
    assert (idn["name"], idn["unicode"]) == ("xn--bcher-kva.test", "bücher.test")


def test_issuers(house):
    issuers = {i["name"]: i for i in house.api.get("/api/issuers").ok()["items"]}
    assert issuers["letsencrypt"]["title"] == "Let's Encrypt"
    assert issuers["nobody"]["default"] and issuers["nobody"]["source"]["line"]
    assert issuers["letsencrypt-staging"]["staging"]
    names, cursor = [], None
    while cursor or not names:
        page = house.api.get("/api/issuers", limit=1, **({"cursor": cursor} if cursor else {})).ok()
        names += [i["name"] for i in page["items"]]
        cursor = page["next"]
    assert names == list(issuers) and page["total"] == len(issuers) == page["from"]
    found = house.api.get("/api/issuers", search="encrypt (STAGING").ok()["items"]
    assert [i["name"] for i in found] == ["letsencrypt-staging"]
    house.api.get("/api/issuers/nobody/directory").failed(503, "nobody does not answer")
    house.api.get("/api/issuers/who/directory").failed(404, "There is no issuer who")


def test_a_directory_that_answers(stage, pebble):
    everseal = stage.keep(Everseal(stage.new_folder("everseal"), ca=pebble))
    everseal.start()
    directory = Api(everseal.state).get("/api/issuers/pebble/directory").ok()
    assert directory["eab_required"] is False
    assert set(directory) == {"terms", "website", "caa_identities", "profiles", "eab_required"}


def test_a_site_of_the_store_is_registered(stage, pebble):
    upstream = stage.keep(Upstream())
    everseal = stage.keep(Everseal(stage.new_folder("everseal"), ca=pebble, sites=""))
    everseal.start()
    api = Api(everseal.state)
    api.post("/api/sites", {"names": ["shop.example.com"], "proxy": [proxy(upstream)]}).ok(201)
    everseal.register("shop.example.com")
    site = api.get("/api/sites/shop.example.com").ok()
    assert (site["state"], site["upstreams"]) == ("ok", [proxy(upstream)])
    assert api.get("/api/overview").ok()["counts"]["ok"] == 1
    assert ask(everseal.https, "shop.example.com", secure=True, roots=pebble.roots).body == b"hello"


@pytest.mark.parametrize("change, field", [
    ({"names": ["https://a.example.com/"]}, "names"),
    ({"names": []}, "names"),
    ({"email": "nobody"}, "email"),
    ({"agree_tos": False}, "agree_tos"),
    ({"issuer": "who"}, "issuer"),
    ({"address": "here"}, "address"),
    ({"port": 70000}, "port"),
    ({"port": "443"}, "port"),
    ({"names": [5]}, "names"),
    ({"agree_tos": "yes"}, "agree_tos"),
    ({"email": 5}, "email"),
    ({"proxy": "169.254.169.254:80"}, "proxy"),
    ({"proxy": "app_example_com"}, "proxy"),
    ({"proxy": ["169.254.169.254:80"]}, "proxy"),
    ({"proxy": ["127.0.0.1:3000", "127.0.0.1:3001"]}, "proxy"),
    ({"proxy": [3000]}, "proxy"),
    ({"proxy": 3000}, "proxy"),
    ({"proxy": {}}, "proxy"),
    ({"address": "203.0.113.9", "port": 8443}, "address"),
])
def test_registering_names_the_member_that_is_wrong(house, change, field):
    want = {"names": ["a.example.com"], "email": "ops@example.com", "agree_tos": True, **change}
    error = house.api.post("/api/registrations", want).failed(422, field=field)
    assert error["details"].get("offered") == ("a.example.com" if change.get("names", [5]) != [5] and change["names"] else None)


def test_the_page_keeps_its_address(house):
    want = {"names": ["a.example.com"], "email": "ops@example.com", "agree_tos": True, "proxy": "127.0.0.1:3000"}
    house.api.post("/api/registrations", {**want, "address": "127.0.0.1", "port": house.page}).failed(
        422, f"The page is at port {house.page} of 127.0.0.1", field="port")
    house.api.post("/api/registrations", {**want, "port": house.page}).failed(422, "The page is at", field="port")


def test_a_registration_that_changes_is_in_the_audit(house):
    want = {"names": ["a.example.com"], "email": "ops@example.com", "agree_tos": True, "issuer": "nobody"}
    house.api.post("/api/registrations", {**want, "proxy": "127.0.0.1:3000"}).ok(201)
    again = house.api.post("/api/registrations", {**want, "proxy": "127.0.0.1:3001"})
    assert again.json["existing"], again.body

    def changes():
        return [(e["before"], e["after"]) for e in house.api.get("/api/audit").ok()["items"]
                if e["what"] == "Registration changed"]
    until("the change is in the audit", changes)
    assert house.api.post("/api/registrations", {**want, "proxy": "127.0.0.1:3001"}).json["existing"]
    house.api.post("/api/registrations", {**want, "proxy": "127.0.0.1:3002"}).ok()
    until("the next is, too", lambda: len(changes()) > 1)
    assert sorted(changes()) == [("127.0.0.1:3000", "127.0.0.1:3001"), ("127.0.0.1:3001", "127.0.0.1:3002")], \
        "the same again changes nothing"


@pytest.mark.parametrize("change, field, words", [
    ({"hsts": 5}, "hsts", "`hsts` has to be an object"),
    ({"hsts": {"max_age": 1e3}}, "hsts", "`hsts.max_age` has to be a whole number"),
    ({"hsts": {"max_age": 300, "subdomains": "yes"}}, "hsts", "`hsts.subdomains` has to be true or false"),
    ({"force_ssl": "yes"}, "force_ssl", "`force_ssl` has to be true or false"),
    ({"version": "1"}, "version", "`version` has to be a whole number"),
    ({"names": 5}, "names", "`names` has to be a list of texts"),
    ({"proxy": [5]}, "proxy", "`proxy` has to be a list of texts"),
])
def test_types_that_are_wrong(house, change, field, words):
    house.api.post("/api/sites", {"names": ["t.example.com"], "proxy": ["127.0.0.1:3000"], **change}).failed(
        422, words, field=field)
    house.api.put("/api/sites/*", change).failed(422, words, field=field)


def test_a_body_that_is_no_object(house):
    for body in (b"[]", b"1", b'"x"'):
        house.api.put("/api/sites/*", body).failed(422, "has to be a JSON object")


def test_without_page_there_is_no_link(stage):
    everseal = stage.keep(Everseal(stage.new_folder("everseal"), sites=FILE, head="page off"))
    everseal.start()
    everseal.cli("admin", "link").failed("page off", "Give the page an address")


@pytest.mark.parametrize("as_list", [False, True])
def test_registering_with_an_application(house, shop, as_list):
    """As a text, or as the page sends it, in a list."""
    where = proxy(shop)
    house.api.post("/api/registrations", {"names": ["a.example.com"], "email": "ops@example.com", "agree_tos": True,
                                          "proxy": [where] if as_list else where})
    assert house.api.get("/api/sites/a.example.com").ok()["upstreams"] == [where]


def test_hundreds_of_changes_at_once(house):
    """Each is answered by itself, and all of them stand."""
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda i: house.api.post("/api/sites", {"names": [f"m{i % 100}.example.net"],
                                                                       "proxy": ["127.0.0.1:3000"]}), range(200)))
    made = [r for r in replies if r.status == 201]
    assert len(made) == 100
    assert all(r.status in (201, 422) for r in replies)
    house.restart()
    assert house.api.get("/api/sites", search="example.net", limit=1).ok()["total"] == 100


def test_only_one_changes_a_site_at_a_time(house, shop):
    house.api.post("/api/sites", {"names": ["shop.example.com"], "proxy": [proxy(shop)]}).ok(201)
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda i: house.api.put("/api/sites/shop.example.com", {
            "hsts": {"max_age": 300 + i}, "version": 1}), range(8)))
    done = [r for r in replies if r.status == 200]
    assert len(done) == 1, [r.body for r in replies]
    for reply in replies:
        if reply.status != 200:
            reply.failed(409, "was changed meanwhile")
    site = house.api.get("/api/sites/shop.example.com").ok()
    assert site["hsts"]["max_age"] == done[0].json["hsts"]["max_age"] and site["version"] == 2


def test_changes_at_once_come_one_after_another(house, shop):
    """Nobody is told to try again: who does not say which version he saw is served in turn."""
    house.api.post("/api/sites", {"names": ["shop.example.com"], "proxy": [proxy(shop)]}).ok(201)
    pid = house.kill("serve", signal.SIGSTOP)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(house.api.put, "/api/sites/shop.example.com", {"hsts": {"max_age": 300 + i}})
                 for i in range(7)]
        until("the first one is being tried", lambda: house.api.get("/api/sites/shop.example.com").ok()["hsts"], 10)
        asked.append(pool.submit(house.api.delete, "/api/sites/shop.example.com"))
        os.kill(pid, signal.SIGCONT)
        statuses = sorted(a.result().status for a in asked)
    assert set(statuses) <= {200, 404}, statuses
    assert len([what for what, _ in audited(house) if what == "Site removed"]) == 1
    house.api.get("/api/sites/shop.example.com").failed(404)


def test_who_waits_his_turn_is_asked_again_who_he_is(house, shop):
    """A change that waits while the data plane cannot answer; its token goes meanwhile."""
    house.api.post("/api/sites", {"names": ["shop.example.com"], "proxy": [proxy(shop)]}).ok(201)
    token = house.api.post("/api/tokens", {"name": "deploy", "scope": "operate"}).ok(201)
    deploy = Api(None, house.page, token["token"])
    pid = house.kill("serve", signal.SIGSTOP)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(house.api.put, "/api/sites/shop.example.com", {"hsts": {"max_age": 300}})
        until("the first one is being tried", lambda: house.api.get("/api/sites/shop.example.com").ok()["hsts"], 10)
        second = pool.submit(deploy.put, "/api/sites/shop.example.com", {"force_ssl": True})
        until("the second one has come", lambda: house.api.get("/api/tokens").ok()["items"][0]["last_used"], 10)
        house.api.delete(f"/api/tokens/{token['id']}").ok()
        os.kill(pid, signal.SIGCONT)
        first.result().ok()
        second.result().failed(401, "The API token is unknown, expired or removed")
    assert house.api.get("/api/sites/shop.example.com").ok()["force_ssl"] is False


def audited(everseal):
    return [(i["what"], i["subject"]) for i in Api(everseal.state).get("/api/audit").ok()["items"]]


@contextlib.contextmanager
def client_that_leaves(house, body):
    """Somebody asks for a site while the data plane cannot say whether it stands, and goes."""
    pid = house.kill("serve", signal.SIGSTOP)
    try:
        connection = house.api.connection()
        connection.request("POST", "/api/sites", json.dumps(body), {"Content-Type": "application/json"})
        until("the site is being tried", lambda: house.api.get("/api/sites", search="left").ok()["total"], 10)
        connection.close()
        house.api.get("/api/status").ok()
        assert audited(house) == [], "nobody knows yet what it comes to"
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def test_the_audit_has_what_stands_after_the_client_has_left(house, shop):
    with client_that_leaves(house, {"names": ["left.example.com"], "proxy": [proxy(shop)]}):
        pass
    until("it stands and is told", lambda: audited(house) == [("Site added", "left.example.com")], 20)
    assert house.api.get("/api/sites/left.example.com").ok()["version"] == 1


def test_the_audit_has_nothing_of_what_never_stood(house, shop):
    with client_that_leaves(house, {"names": ["left.example.com"], "proxy": [proxy(shop)]}):
        before = house.kill("control")
        house.wait_back("control", before)
    house.wait_serving()
    assert audited(house) == []
    house.api.get("/api/sites/left.example.com").failed(404)
