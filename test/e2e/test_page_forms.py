"""The page's forms and dialogs in a real browser: what was asked is done, what is refused is said, and
nothing that was typed is lost."""
import contextlib
import json
import pathlib
import sqlite3
import time

import pytest
from cryptography import x509
from selenium.webdriver.common.by import By

from api import Api
from browser import PASSWORD, api, judge, open_page, setup_link, sign_in
from network import ask, until

pytestmark = pytest.mark.timed

NAME = "shop.example.com"


def add_site(everseal, *names, upstream):
    return Api(everseal.state).post("/api/sites", {"names": list(names), "proxy": [upstream.address]}).ok(201)


def site_of(everseal, name=NAME):
    return Api(everseal.state).get(f"/api/sites/{name}").ok()


def value(browser, name):
    return browser.by_role("textbox", name).get_attribute("value")


def no_dialog(browser):
    until("the dialog closes", lambda: not browser.driver.find_elements(By.CSS_SELECTOR, "dialog[open]"))


# ---- a site ----

def test_export(everseal, open_page):
    everseal.register(NAME)
    browser = open_page()
    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior",
                                   {"behavior": "allow", "downloadPath": str(browser.folder)})
    browser.visit(f"#/sites/{NAME}", f"{NAME}$").sees("OK, served now", seconds=30)
    browser.press("^More").press("^Export certificate and chain$", role="link")
    file = pathlib.Path(browser.folder) / f"{NAME}.pem"
    pem = until("the file is there", lambda: file.exists() and file.read_bytes())
    assert x509.load_pem_x509_certificate(pem).serial_number == everseal.served(NAME).serial_number
    assert pem.count(b"BEGIN CERTIFICATE") == 2 and b"PRIVATE KEY" not in pem


def test_add_and_remove(everseal, upstream, open_page):
    browser = open_page()
    browser.visit("#/sites", "Sites$").press("^Add site$", role="link").sees("first one names the site")
    browser.fill("^Names", "https://old.example.com/x").fill("^Application", upstream.address)
    browser.expect_error(r"api/sites\b.*422")
    browser.press("^Add site$").sees("There is a problem")
    browser.press("^Use old.example.com").press("^Add site$")
    browser.title("^old.example.com")
    assert site_of(everseal, "old.example.com")["upstreams"] == [upstream.address]
    browser.press("^More").press("^Remove site").sees(r"Visitors can no longer reach it\.")
    judge(browser, "remove-dialog-1440-light")
    browser.press("^Keep it$")
    no_dialog(browser)
    assert site_of(everseal, "old.example.com")
    browser.press("^More").press("^Remove site").press("^Remove old.example.com$")
    browser.title("^Sites")
    Api(everseal.state).get("/api/sites/old.example.com").failed(404)


def test_an_address_as_a_name(everseal, upstream, open_page):
    browser = open_page()
    browser.visit("#/lets-encrypt/configure", "Configure$").fill("^DNS name", "127.0.0.1")
    browser.fill("^E-mail", "ops@example.com").sees("An IP address: certificates for it last a few days")
    browser.visit("#/sites", "Sites$").press("^Add site$", role="link").sees("first one names the site")
    browser.fill("^Names", "[2001:DB8::7]").fill("^Application", upstream.address).press("^Add site$")
    browser.title("^2001:db8::7")
    assert site_of(everseal, "2001:db8::7")["upstreams"] == [upstream.address]
    everseal.register("127.0.0.1")
    browser.visit("#/sites/127.0.0.1", "127.0.0.1$").sees("OK, served now", seconds=30)
    browser.sees("browsers take none from an address")


def test_an_edit_meets_another(everseal, upstream, stage, open_page):
    other, third = stage.upstream(), stage.upstream()
    add_site(everseal, "old.example.com", upstream=upstream)
    browser = open_page()
    browser.expect_error(r"api/sites/old.example.com\b.*409")
    browser.go("#/sites?edit=old.example.com").sees("What answers behind")
    was = site_of(everseal, "old.example.com")
    Api(everseal.state).put("/api/sites/old.example.com", {"proxy": [other.address], "version": was["version"]}).ok()
    browser.fill("^Application", third.address).press("^Save$")
    browser.sees("old.example.com was changed meanwhile")
    browser.sees(f"Application: {other.address} there, {third.address} here")
    judge(browser, "conflict-1440-light")
    browser.look(width=390)
    assert browser.small_targets() == []
    browser.look()
    assert value(browser, "^Application") == third.address
    assert site_of(everseal, "old.example.com")["upstreams"] == [other.address]
    browser.press("^Keep what is here$").press("^Save$")
    browser.title("^old.example.com")
    assert site_of(everseal, "old.example.com")["upstreams"] == [third.address]


def test_what_limits_make_of_many(open_page):
    """Room comes back one by one: of 312, twelve wait 36 s each."""
    said = open_page().driver.execute_async_script("""
        const done = arguments[0], limit = {most: 300, used: 0, seconds: 10800};
        Promise.all([import('/views/sites-bulk.js'), import('/time.js')]).then(([bulk, time]) => done([
            bulk.budgetWords(312, limit), time.words(time.now() + 12 * 36000, 'near'),
            bulk.budgetWords(300, limit), bulk.budgetWords(2, {...limit, used: 300}), time.words(time.now() + 72000, 'near')]));""")
    assert said[0] == f"312 certificates to order; the limits allow 300 in 3 hours, 0 used: done about {said[1]}."
    assert said[2].endswith("all can begin now.") and said[3].endswith(f"done about {said[4]}.")


def test_many_at_once(everseal, open_page):
    names = ["a.example.com", "b.example.com"]
    for name in names:
        everseal.register(name)
    before = {name: everseal.wait_served(name).serial_number for name in names}
    browser = open_page()
    browser.visit("#/sites", "Sites$").sees("b.example.com")
    for name in names:
        browser.tick(f"Choose {name}")
    browser.sees("2 of 3 chosen")
    judge(browser, "chosen-1440-light")
    browser.press("^Renew 2$").sees("2 sites being renewed")
    until("both are renewed", lambda: all(everseal.served(n).serial_number != before[n] for n in names), 40)
    until("both are well", lambda: all(everseal.certificate(n)["lamp"] == "ok" for n in names), 40)
    for name in names:
        browser.tick(f"Choose {name}")
    browser.press("^Disable 2$").sees("Their certificates are not renewed any more")
    browser.press("^Keep them$")
    no_dialog(browser)
    assert everseal.certificate(names[0])["lamp"] == "ok"
    browser.press("^Disable 2$").press("^Disable 2 sites$").sees("2 sites disabled")
    assert [everseal.certificate(n)["lamp"] for n in names] == ["off", "off"]


# ---- people and tokens ----

def test_a_person_and_a_token(everseal, open_page):
    browser = open_page()
    browser.visit("#/people", "People$").press("^Add person$", role="link").sees("As it will stand in the audit")
    browser.press("^Add person$").sees("There is a problem")
    browser.fill("^Name", "bob").fill("^First password", "short").press("^Add person$")
    browser.sees(r"The password needs \d+ characters or more")
    assert value(browser, "^Name") == "bob"
    browser.fill("^First password", "bob has a password").press("^Add person$").sees("2 people")
    assert [p["name"] for p in api(browser, "people")["items"]] == ["ana", "bob"]
    browser.press("^Make token$", role="link").sees("Who will use it")
    browser.fill("^Name", "deploy script").press("^Make token$").sees("is shown only now")
    token = browser.driver.find_element(By.CSS_SELECTOR, ".secret .mono").text
    browser.sees(r"Read\tnow, by ana\tin 90 days")
    judge(browser, "token-1440-light")
    house = Api(everseal.state, port=everseal.page, token=token)
    assert house.get("/api/sites").status == 200
    browser.visit("#/sites", "Sites$").sees("1 to 1 of 1")
    browser.visit("#/people", "People$").sees("is shown only now")
    browser.press("^Close$")
    browser.visit("#/sites", "Sites$").sees("1 to 1 of 1")
    browser.visit("#/people", "People$").sees("deploy script")
    assert token not in browser.text and "is shown only now" not in browser.text
    browser.press("^Remove deploy script$").sees("What uses it is refused from now on")
    browser.press("^Remove deploy script$").sees("No tokens yet")
    assert house.get("/api/sites").status == 401


def change(browser, name, what):
    browser.press(f"^Change {name}$").press(f"^{what}")


def test_tokens_go_with_what_a_person_may_do(everseal, open_page):
    """What bob made may do no more than bob."""
    browser = open_page()
    owner = Api(everseal.state)
    owner.post("/api/people", {"name": "bob", "password": "bob has a password", "scope": "administer"}).ok(201)
    browser.press("^ana").press("^Sign out")
    browser.open()
    sign_in(browser, "bob has a password", "bob")
    browser.sees("Live ")
    browser.go("#/people?add=token").fill("^Name", "deploy script")
    browser.driver.find_element(By.CSS_SELECTOR, "select[name=scope] option[value=operate]").click()
    browser.press("^Make token$").sees("is shown only now")
    browser.press("^bob").press("^Sign out")
    browser.open()
    sign_in(browser)
    browser.sees("Live ")
    browser.visit("#/people", "People$").sees("deploy script")
    change(browser, "bob", "Scope")
    browser.driver.find_element(By.CSS_SELECTOR, "dialog select option[value=read]").click()
    browser.press("^Save$").sees("1 token that bob made was removed too: it could do more than bob may do now")
    browser.sees("No tokens yet")
    judge(browser, "tokens-removed-1440-light")
    assert owner.get("/api/tokens").ok()["items"] == []


# ---- what ends by itself ----

def alter(everseal, kind, **values):
    """Changes records in the store, as if so much time had passed. The server is down meanwhile."""
    with contextlib.closing(sqlite3.connect(everseal.state / "everseal.db")) as db:
        for row, text in db.execute("SELECT rowid, value FROM record WHERE kind = ?", (kind,)).fetchall():
            db.execute("UPDATE record SET value = ? WHERE rowid = ?", (json.dumps({**json.loads(text), **values}), row))
        db.commit()


def ago(minutes):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60 * minutes))


def test_a_link_that_is_too_old(everseal, open_page):
    browser = open_page(signed_in=False)
    browser.expect_error(r"api/setup/check\b.*410")
    link = setup_link(everseal)
    everseal.stop()
    alter(everseal, "setup-link", created=ago(31))
    everseal.start()
    browser.open(link).sees("This link expired on .*; make a new one there: everseal admin link")
    judge(browser, "link-expired-1440-light")
    assert not browser.driver.find_elements(By.NAME, "password")
    browser.open("about:blank").open(setup_link(everseal)).sees("Make administrator")


def test_a_session_that_was_idle_too_long(everseal, open_page):
    browser = open_page()
    browser.expect_error(r"401|ERR_|api/")
    browser.go("#/lets-encrypt/configure").sees("What Everseal sees")
    browser.fill("DNS name", "kept.example.com").fill("E-mail", "ana@example.com").tick("I accept")
    everseal.stop()
    alter(everseal, "session", last_used=ago(9 * 60))
    everseal.start()
    browser.by_role("dialog", "", seconds=60)
    browser.sees("Your session has ended. What you typed stays")
    judge(browser, "sign-in-again-1440-light")
    browser.fill("^Password", PASSWORD).press("^Sign in$")
    no_dialog(browser)
    assert value(browser, "DNS name") == "kept.example.com"
    assert browser.by_role("checkbox", "I accept").is_selected()
    browser.press("^Register$").sees("OK, served now", seconds=40)


# ---- while browsers remember HSTS, the name is typed ----

def promise(everseal, name=NAME):
    """Browsers have been told: HTTPS only, for an hour."""
    site = site_of(everseal, name)
    Api(everseal.state).put(f"/api/sites/{name}", {"hsts": {"max_age": 3600}, "version": site["version"]}).ok()
    def told():
        assert "max-age" in ask(everseal.https, name, secure=True).headers.get("strict-transport-security", "")
        return site_of(everseal, name)["hsts_promised_until"]
    return until("the promise is known", told)


@pytest.fixture
def promised(everseal):
    everseal.register(NAME)
    everseal.wait_served(NAME)
    promise(everseal)
    return everseal


ASKED = f"Type {NAME} to go on"


def test_disabling_asks_for_the_name(promised, open_page):
    browser = open_page()
    browser.visit(f"#/sites/{NAME}", f"{NAME}$").sees("OK, served now", seconds=30)
    browser.press("^More").press("^Disable").sees("Browsers refuse plain HTTP for this name until")
    judge(browser, "hsts-guard-1440-light")
    browser.press(f"^Disable {NAME}$").sees(rf"{ASKED}\.")
    assert promised.certificate(NAME)["state"] == "ok"
    browser.fill(ASKED, NAME).press(f"^Disable {NAME}$").sees("Disabled")
    assert promised.certificate(NAME)["state"] == "disabled"


def test_a_promise_that_came_meanwhile(everseal, open_page):
    """The dialog asks for nothing when it opens; what the server then refuses is said at the field."""
    everseal.register(NAME)
    everseal.wait_served(NAME)
    browser = open_page()
    browser.expect_error(r"/disable\b.*403")
    browser.visit(f"#/sites/{NAME}", f"{NAME}$").sees("OK, served now", seconds=30)
    browser.press("^More").press("^Disable").sees("The certificate stays in use")
    assert ASKED not in browser.text
    promise(everseal)
    browser.press(f"^Disable {NAME}$").sees(rf"Switch HSTS off and wait until then, or type {NAME} to go on")
    assert everseal.certificate(NAME)["state"] == "ok"
    browser.fill(ASKED, NAME).press(f"^Disable {NAME}$").sees("Disabled")


def test_removing_asks_for_the_name(promised, open_page):
    browser = open_page()
    browser.go(f"#/sites?edit={NAME}").press("^Remove").sees(ASKED)
    browser.fill(ASKED, "other.example.com").press(f"^Remove {NAME}$").sees(rf"{ASKED}\.")
    assert site_of(promised)
    browser.fill(ASKED, NAME).press(f"^Remove {NAME}$")
    browser.title("^Sites")
    Api(promised.state).get(f"/api/sites/{NAME}").failed(404)


def test_renaming_asks_for_the_name(promised, open_page):
    browser = open_page()
    browser.expect_error(r"api/sites/.*403")
    browser.go(f"#/sites?edit={NAME}").sees("first one names the site")
    browser.fill("^Names", "store.example.com").press("^Save$").sees("There is a problem")
    browser.sees(rf"Switch HSTS off and wait until then, or type {NAME} to go on")
    judge(browser, "hsts-rename-1440-light")
    assert value(browser, "^Names") == "store.example.com"
    browser.fill(ASKED, NAME).press("^Save$")
    browser.title("^store.example.com")
    assert site_of(promised, "store.example.com")["names"] == ["store.example.com"]


def test_two_names_that_go_at_once(everseal, upstream, open_page):
    names = [NAME, f"www.{NAME}", f"m.{NAME}"]
    add_site(everseal, *names, upstream=upstream)
    everseal.register(*names)
    everseal.wait_served(NAME)
    promise(everseal)
    for name in names[1:]:
        ask(everseal.https, name, secure=True)
    browser = open_page()
    browser.expect_error(r"api/sites/.*403")
    browser.go(f"#/sites?edit={NAME}").sees("first one names the site")
    browser.fill("^Names", NAME).press("^Save$").sees("There is a problem")
    browser.fill(f"^Type www.{NAME} m.{NAME} to go on", f"www.{NAME}  m.{NAME}").press("^Save$")
    browser.title(f"^{NAME}")
    assert site_of(everseal)["names"] == [NAME]


def test_an_issuer_that_browsers_do_not_trust(everseal, upstream, open_page):
    """Registering with it asks for the name; typed, it goes on."""
    ca = everseal.ca
    everseal.write(f"site * {{ proxy {upstream.address} }}",
                   head=f"issuer second {{ directory {ca.directory}?second; trust {ca.trust} }}")
    everseal.reload().ok()
    everseal.register(NAME)
    everseal.wait_served(NAME)
    promise(everseal)
    browser = open_page()
    browser.expect_error(r"api/registrations\b.*403")
    browser.go("#/lets-encrypt/configure").sees("What Everseal sees")
    browser.fill("DNS name", NAME).tick("I accept").fill("E-mail", "ana@example.com").press("^More options$")
    browser.driver.find_element(By.CSS_SELECTOR, "select[name=issuer] option[value=second]").click()
    browser.press("^Register$").sees("do not trust certificates of second")
    judge(browser, "hsts-register-1440-light")
    browser.fill(ASKED, NAME).press("^Register$")
    until("it is registered", lambda: any(c["issuer"] == "second" for c in everseal.status()["certificates"]))


def test_many_at_once_but_one(promised, open_page):
    promised.register("a.example.com")
    browser = open_page()
    browser.expect_error(r"/disable\b.*403")
    browser.visit("#/sites", "Sites$").sees("a.example.com")
    for name in ("a.example.com", NAME):
        browser.tick(f"Choose {name}")
    browser.press("^Disable 2$").press("^Disable 2 sites$").sees("1 site disabled")
    browser.sees("Open it to disable it: its name has to be typed")
    assert promised.certificate(NAME)["state"] == "ok"
    assert promised.certificate("a.example.com")["state"] == "disabled"


# ---- what load balancers are told ----

def test_draining_is_begun_on_the_page(everseal, open_page):
    browser = open_page()
    browser.visit("#/bindings", "Bindings$").sees("Told that this server takes visitors")
    browser.press("^Send no visitors here …$").sees("Connections go on")
    browser.press("^Go on as it is$")
    assert not everseal.status()["draining"]
    browser.press("^Send no visitors here …$")
    judge(browser, "drain-dialog-1440-light")
    browser.press("^Send no visitors here$").sees("Load balancers are told to send no visitors here")
    browser.sees("Told to send nobody here")
    assert everseal.status()["draining"]


def test_draining_is_seen_and_ended(everseal, open_page):
    browser = open_page()
    browser.visit("#/bindings", "Bindings$")
    everseal.cli("drain", "on").ok()
    browser.sees("Load balancers are told to send no visitors here")
    judge(browser, "draining-1440-light")
    browser.open().sees("Load balancers are told to send no visitors here")
    assert "everseal drain off" in everseal.cli("status").ok().out
    browser.press("^Send visitors again$")
    until("they are told otherwise", lambda: not everseal.status()["draining"])
    until("it is no longer said", lambda: "Load balancers" not in browser.text)


def test_a_file_read_again_is_in_the_audit(everseal, open_page):
    browser = open_page()
    everseal.reload().ok()
    until("it is in the audit", lambda: "Configuration file read again" in str(api(browser, "audit")))
    browser.visit("#/audit", "Audit$").sees("Configuration file read again")


# ---- where one may land ----

def test_a_site_that_is_not_there(open_page):
    browser = open_page()
    browser.expect_error("api/sites/nowhere.example.com.*404")
    browser.visit("#/sites/nowhere.example.com", "nowhere.example.com").sees("There is no site nowhere.example.com")
    browser.sees("Not found")
    judge(browser, "no-site-1440-light")
    browser.press("^All sites$", role="link").title("^Sites")


def test_home_without_a_name_of_its_own(everseal, open_page):
    """Sites have HTTPS, though none is the one that was configured first."""
    for name in (NAME, "second.example.com"):
        everseal.register(name)
        everseal.wait_served(name)
    Api(everseal.state).delete(f"/api/sites/{NAME}").ok()
    assert Api(everseal.state).get("/api/overview").ok()["primary"] is None
    until("its state is known", lambda: Api(everseal.state).get("/api/sites/second.example.com").ok()["state"] == "ok")
    browser = open_page()
    browser.visit("#/lets-encrypt", "Let's Encrypt$").sees("HTTPS stands for 1 site")
    assert "HTTPS is not set up" not in browser.text
    judge(browser, "home-no-primary-1440-light")


def test_an_address_that_the_machine_does_not_have(everseal, open_page):
    everseal.stop()
    everseal.write(head="https 203.0.113.9:8443")
    everseal.start()
    browser = open_page()
    browser.visit("#/bindings", "Bindings$").sees("This machine does not have that address", seconds=30)
    assert "This machine does not have the address 203.0.113.9: give it that address" in everseal.log()


def test_names_as_long_as_they_may_be(everseal, upstream, open_page):
    name = ".".join(["a" * 60, "b" * 60, "c" * 60, "example.com"])
    add_site(everseal, name, upstream=upstream)
    browser = open_page()
    for width in (1440, 390):
        browser.look(width=width)
        for path, heading in (("#/audit", "Audit$"), ("#/sites", "Sites$"), (f"#/sites/{name}", "com$")):
            browser.visit(path, heading).sees(name[:20])
            judge(browser, f"long-{heading[:5]}-{width}-light")


def test_a_view_that_does_not_come(everseal, open_page):
    """Each is fetched when it is first opened; the server may be away then."""
    browser = open_page()
    browser.visit("#/sites", "Sites$")
    browser.expect_error(r"ERR_|api/|views/|dynamically imported")
    everseal.stop()
    browser.go("#/audit").sees("This page cannot reach the server", seconds=30)
    judge(browser, "no-view-1440-light")
    everseal.start()
    browser.sees("Live ", seconds=60)
    browser.press("^Try again$").sees(r"\d+ entr")


def test_a_task_says_its_names_as_people_read_them(everseal, upstream, open_page):
    everseal.cli("lets-encrypt", "register", "--name", "bücher.example.com", "--name", "b.example.com", "--proxy",
                 upstream.address, "--wait").ok()
    browser = open_page()
    for width in (1440, 390):
        browser.look(width=width)
        browser.visit("#/tasks", "Tasks$").sees(r"bücher\.example\.com xn--bcher-kva\.example\.com \+1")
        judge(browser, f"tasks-unicode-{width}")
        browser.press("^bücher.example.com$", role="link").sees("It took")
        browser.title("of bücher.example.com")
        judge(browser, f"task-unicode-{width}")


def test_all_other_names_have_nothing_to_do(everseal, open_page):
    """None can be registered for them, so that no lamp is lit for them."""
    browser = open_page()
    assert api(browser, "overview")["counts"]["temporary"] == 0
    browser.visit("#/sites", "Sites$").sees("None\\s+All other names")
    browser.visit("#/sites/*", "All other names$").sees("For you to do\\s+Nothing")
    browser.expect_error("api/audit.*422")
    browser.go("#/audit?cursor=none").sees("cursor is not one of this list's")


def test_a_scope_that_is_lowered_and_raised(everseal, open_page):
    """The page that is open follows: controls go and come, with a sentence, and what was typed is there."""
    everseal.register(NAME)
    owner = Api(everseal.state)
    owner.post("/api/people", {"name": "root", "password": PASSWORD, "scope": "administer"}).ok(201)
    browser = open_page()
    browser.visit(f"#/sites/{NAME}", f"{NAME}$").sees("Renew now")
    owner.put("/api/people/ana", {"scope": "read"}).ok()
    browser.sees("Your scope is read now: you can look, not change")
    until("the controls are gone", lambda: "Renew now" not in browser.text)
    judge(browser, "scope-lowered-1440-light")
    browser.visit("#/people", "People$").sees("your scope is read")
    browser.visit("#/lets-encrypt/configure", "Configure$").sees("You can look, not change")
    owner.put("/api/people/ana", {"scope": "operate"}).ok()
    browser.sees("Your scope is operate now")
    browser.fill("DNS name", "typed.example.com")
    owner.put("/api/people/ana", {"scope": "administer"}).ok()
    browser.sees("Your scope is administer now")
    assert value(browser, "DNS name") == "typed.example.com"


def test_a_scope_that_changed_while_nobody_heard(everseal, open_page):
    owner = Api(everseal.state)
    owner.post("/api/people", {"name": "root", "password": PASSWORD, "scope": "administer"}).ok(201)
    browser = open_page()
    browser.expect_error("ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|ERR_INCOMPLETE_CHUNKED")
    browser.visit("#/sites", "Sites$").sees("Add site")
    everseal.stop()
    everseal.write("site * { proxy 127.0.0.1:9 }", head="page off")
    everseal.start()
    owner.put("/api/people/ana", {"scope": "read"}).ok()
    everseal.write("site * { proxy 127.0.0.1:9 }", head="")
    everseal.reload().ok()
    browser.sees("Your scope is read now", seconds=60)
    until("the control is gone", lambda: "Add site" not in browser.text)
