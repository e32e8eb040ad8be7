"""The page in a real browser, before the real server and Pebble: what a person sees and what the API
says afterwards. One error in a script or one report of the CSP fails the test."""
import base64
import hmac
import json
import re
import time

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from browser import (PASSWORD, api, axe_source, first_administrator, judge, new_window, open_page, setup_link,
                     sign_in)
from network import ask, until

pytestmark = pytest.mark.timed


def register(browser, everseal, name="shop.example.com"):
    browser.go("#/lets-encrypt/configure").sees("What Everseal sees")
    browser.fill("DNS name", name).tick("I accept").fill("E-mail", "ana@example.com")
    browser.press("^Register$")


def test_the_rules_of_accessibility_are_at_hand():
    if axe_source() is None:
        pytest.skip("npm gives no axe-core: no view was judged by it")


# ---- the way in ----

def test_first_run(everseal, open_page):
    browser = open_page(signed_in=False)
    browser.open().sees("everseal admin link")
    link = setup_link(everseal)
    browser.open("about:blank").open(link)
    browser.fill("^Name", "ana").fill("^Password", "short").press("Make administrator")
    browser.sees(r"\d+ characters or more")
    browser.fill("^Password", PASSWORD).press("Make administrator")
    browser.sees("HTTPS is not set up")
    assert "setup=" not in browser.path() and "#setup" not in browser.driver.current_url
    session = api(browser, "session")
    assert session["name"] == "ana" and session["scope"] == "administer"
    browser.expect_error(r"api/setup/check.*410")
    browser.open("about:blank").open(link)
    browser.sees(r"This link was used")


def test_wrong_password_and_a_session_that_ends(everseal, open_page, stage):
    browser = open_page()
    browser.expect_error(r"401|40[13]")
    browser.go("#/lets-encrypt/configure").sees("What Everseal sees")
    browser.fill("DNS name", "kept.example.com")
    for session in api(browser, "account")["sessions"]:
        browser.driver.execute_async_script(
            "const done = arguments[2]; fetch('/api/account/sessions/' + arguments[0], {method: 'DELETE',"
            "headers: {'X-CSRF-Token': arguments[1]}}).then(() => done(1))",
            session["id"], api(browser, "session")["csrf"])
    browser.by_role("dialog", "", seconds=60)
    browser.fill("^Name", "ana").fill("^Password", "wrong wrong wrong").press("^Sign in$")
    browser.sees("Name, password or code is wrong")
    browser.fill("^Password", PASSWORD).press("^Sign in$")
    until("the dialog closes", lambda: not browser.driver.find_elements(By.CSS_SELECTOR, "dialog[open]"))
    assert browser.by_role("textbox", "DNS name").get_attribute("value") == "kept.example.com"


# ---- from a name to HTTPS ----

def test_register_and_renew(everseal, open_page):
    browser = open_page()
    register(browser, everseal)
    browser.sees(r"OK, served now", seconds=40)
    assert everseal.certificate("shop.example.com")["served"] == "stored"
    before = everseal.wait_served("shop.example.com").serial_number
    browser.press("Renew now")
    until("another certificate is served",
          lambda: everseal.served("shop.example.com").serial_number != before, 40)
    browser.sees("OK, served now", seconds=30)
    browser.visit("#/tasks", "Tasks$").press("^shop.example.com$", role="link").sees("It took")
    judge(browser, "task-1440-light")
    browser.visit("#/lets-encrypt", "Let's Encrypt$").press("^More").press("^Disable").sees("The certificate stays in use")
    browser.press("^Disable shop.example.com$").sees("Disabled")
    assert everseal.certificate("shop.example.com")["lamp"] == "off"


def hsts_of(browser):
    return (api(browser, "sites/shop.example.com")["hsts"] or {}).get("max_age")


def test_force_ssl_and_the_ramp_of_hsts(everseal, open_page):
    everseal.register("shop.example.com")
    everseal.wait_served("shop.example.com")
    browser = open_page()
    browser.visit("#/sites/shop.example.com", "shop.example.com$").sees("OK, served now", seconds=30)
    browser.tick("Force SSL", role="switch").press("^Save$").sees("Force SSL On")
    assert api(browser, "sites/shop.example.com")["force_ssl"]
    browser.tick("HSTS", role="switch").sees("Browsers refuse plain HTTP for this name")
    browser.press("^Save$")
    until("HSTS is sent for 5 minutes", lambda: hsts_of(browser) == 300)
    for text, seconds in (("1 hour", 3600), ("1 day", 86400), ("1 year", 31536000)):
        browser.press(f"^Raise to {text}$")
        browser.by_role("dialog", "")
        browser.press(f"^Raise to {text}$")
        until(f"HSTS is sent for {text}", lambda: hsts_of(browser) == seconds)
    browser.sees("HSTS On, 1 year")
    judge(browser, "hsts-1440-light")
    browser.tick("HSTS", role="switch").sees("max-age=0 is sent")
    browser.press("^Save$").sees("HSTS Off")
    assert not hsts_of(browser)
    until("the workers send max-age=0", lambda: ask(everseal.https, "shop.example.com", secure=True)
          .headers["strict-transport-security"] == "max-age=0")


def test_revoke(everseal, open_page):
    everseal.register("shop.example.com")
    before = everseal.wait_served("shop.example.com").serial_number
    browser = open_page()
    browser.visit("#/sites/shop.example.com", "shop.example.com$").sees("OK, served now", seconds=30)
    browser.press("^More").press("^Revoke").sees("A new certificate is ordered first")
    judge(browser, "revoke-dialog")
    browser.press("^Revoke shop.example.com$").sees("Type shop.example.com")
    browser.fill("Type shop.example.com", "shop.example.com").press("^Revoke shop.example.com$")
    until("the revocation ends", lambda: any(t["Name"] == "RevokeLetsEncrypt" and t["FinishedSuccessfully"]
                                             for t in api(browser, "tasks")["Items"]), 40)
    assert everseal.served("shop.example.com").serial_number != before


def totp(key):
    """RFC 6238, as an app on a phone does it."""
    secret = base64.b32decode(key.replace(" ", ""))
    mac = hmac.new(secret, int(time.time() // 30).to_bytes(8, "big"), "sha1").digest()
    at = mac[-1] & 15
    return f"{(int.from_bytes(mac[at:at + 4], 'big') & 0x7fffffff) % 1_000_000:06}"


def test_second_factor(everseal, open_page):
    browser = open_page()
    browser.go("#/account").press("^Switch on$")
    browser.fill("Your password", PASSWORD).press("Show the QR code").sees("Scan this")
    judge(browser, "qr-1440-light")
    key = until("the key is shown", lambda: re.search(r"(?:[A-Z2-7]{4} ){3,}[A-Z2-7]{1,4}", browser.text))[0]
    browser.by_role("textbox", "Code that the app shows").send_keys(totp(key))
    browser.press("^Switch on$").sees("Recovery codes")
    browser.sees(r"Second factor\s+On")
    judge(browser, "recovery-1440-light")
    codes = [li.text for li in browser.driver.find_elements(By.CSS_SELECTOR, "ol.codes li")]
    assert len(codes) == 10
    browser.press("I have kept them")
    browser.expect_error("api/session.*401")
    browser.press("^ana").press("^Sign out")
    browser.open()
    browser.fill("^Name", "ana").fill("^Password", PASSWORD).press("^Sign in$").sees("Give the code that your app shows")
    browser.fill("^Code", codes[0]).press("^Sign in$").sees("HTTPS is not set up")


def test_a_viewer_sees_and_changes_nothing(everseal, open_page):
    everseal.register("shop.example.com")
    browser = open_page()
    browser.driver.execute_async_script(
        "const done = arguments[1]; fetch('/api/people', {method: 'POST', headers: {'X-CSRF-Token': arguments[0],"
        "'Content-Type': 'application/json'}, body: JSON.stringify({name: 'eve', password: 'only here to look',"
        "scope: 'read'})}).then((r) => r.text()).then(done)", api(browser, "session")["csrf"])
    browser.press("^ana").press("^Sign out")
    browser.open()
    browser.fill("^Name", "eve").fill("^Password", "only here to look").press("^Sign in$")
    browser.sees("HTTPS is not set up|shop.example.com")
    browser.visit("#/sites/shop.example.com", "shop.example.com$").sees("OK, served now")
    browser.sees("You can look, not change")
    assert not re.search(r"Renew now|Force SSL\s+Off\s+Save", browser.text)
    judge(browser, "viewer-1440-light")


def test_failure_and_its_remedy(everseal, pebble, open_page):
    """The CA is down: the page says what, why and what to do, and tries again."""
    browser = open_page()
    browser.expect_error("issuers/pebble/directory")
    pebble.pause()
    register(browser, everseal, "lost.example.com")
    browser.sees(r"Registration failed", seconds=60)
    browser.sees(r"What to do")
    judge(browser, "failed-1440-light")
    assert everseal.certificate("lost.example.com")["lamp"] == "problem"
    pebble.start()
    browser.press("Try again")
    browser.sees("OK, served now", seconds=40)


@pytest.mark.parametrize("width,dark", [(1440, False), pytest.param(390, True, marks=pytest.mark.full)])
def test_diagnosis(open_page, width, dark):
    """Of a name that leads nowhere: each finding with its proof, and a report to send to somebody."""
    browser = open_page(width=width, dark=dark)
    browser.go("#/diagnosis").fill("^Name$", "nowhere.example.com").press("^Diagnose$")
    browser.sees("Would fail", seconds=60)
    browser.sees("Do: ")
    judge(browser, f"diagnosis-run-{width}-{'dark' if dark else 'light'}")
    assert width > 600 or browser.small_targets() == []
    browser.press("^Copy the report$")
    browser.sees("Copied|Press Ctrl")


def test_a_pasted_address_is_offered_back(everseal, open_page):
    browser = open_page()
    browser.go("#/lets-encrypt/configure").sees("What Everseal sees")
    browser.fill("DNS name", "https://shop.example.com/cart").press("^Register$")
    browser.sees("There is a problem")
    browser.title("^Error: ")
    browser.sees("This is a web address; a DNS name is needed")
    browser.press("Use shop.example.com")
    assert browser.by_role("textbox", "DNS name").get_attribute("value") == "shop.example.com"
    assert everseal.certificate("shop.example.com") is None


def test_an_application_that_is_not_there_yet(stage, pebble, upstream):
    """Without a site for all names it has to be given: the field is shown with the sentence."""
    everseal = stage.everseal(pebble, sites="").start()
    browser = first_administrator(new_window(stage, everseal), everseal)
    browser.expect_error(r"api/registrations\b.*422")
    browser.go("#/lets-encrypt/configure").sees("What Everseal sees")
    browser.fill("DNS name", "shop example com").fill("E-mail", "ana@example.com")
    browser.sees("A DNS name has no spaces")
    browser.fill("DNS name", "shop.example.com").tick("I accept").press("^Register$")
    browser.sees(r"Nothing stands behind shop\.example\.com: give the address of your application\.")
    browser.fill("^Application address", upstream.address).press("^Register$").sees("OK, served now", seconds=60)


# ---- each view, wide and narrow, light and dark ----

VIEWS = {  # name: route, heading
    "home": ("#/lets-encrypt", "Let's Encrypt$"), "configure": ("#/lets-encrypt/configure", "Configure$"),
    "sites": ("#/sites", "Sites$"), "add-site": ("#/sites?add=1", "Add$"),
    "site": ("#/sites/shop.example.com", "shop.example.com$"), "bindings": ("#/bindings", "Bindings$"),
    "issuers": ("#/issuers", "Issuers$"), "alerts": ("#/alerts", "Alerts$"), "people": ("#/people", "People$"),
    "add-person": ("#/people?add=person", "Add person$"), "make-token": ("#/people?add=token", "Make token$"),
    "tasks": ("#/tasks", "Tasks$"), "audit": ("#/audit", "Audit$"), "diagnosis": ("#/diagnosis", "Diagnosis$"),
    "account": ("#/account", "Account$"), "not-found": ("#/nowhere", "Not found$")}


@pytest.mark.parametrize("width,dark", [(1440, False), (390, True),
                                        pytest.param(1440, True, marks=pytest.mark.full),
                                        pytest.param(390, False, marks=pytest.mark.full),
                                        pytest.param(320, False, marks=pytest.mark.full)])
def test_every_view(everseal, upstream, open_page, width, dark):
    everseal.write(f"site * {{ proxy {upstream.address} }}\n"
                   f"site locked.example.com {{ proxy {upstream.address}; force-ssl yes; "
                   "route /admin/ { allow 10.0.0.0/8 } }")
    everseal.reload().ok()
    everseal.register("shop.example.com")
    browser = open_page(width=width, dark=dark)
    for name, (path, heading) in VIEWS.items():
        browser.visit(path, heading)
        judge(browser, f"{name}-{width}-{'dark' if dark else 'light'}")
        assert width > 600 or browser.small_targets() == []
        assert width > 600 or browser.gaps() == []
    assert browser.scrolled() == 0, "a short view has no scroll bar"
    browser.go("#/sites/locked.example.com").sees(r"Set in everseal\.conf, line \d+")
    browser.sees(r"route /admin/ \{ allow 10\.0\.0\.0/8 \}")


@pytest.mark.parametrize("hash", ["#/%", "#/%E0%A4%A", "#/sites/%", "#/sites/..", "#/tasks/%2e", "#/sites/a/b", "#/nowhere"])
def test_an_address_that_leads_nowhere(open_page, hash):
    browser = open_page()
    browser.go(hash).sees("There is no such view")
    assert hash in browser.text
    browser.title("^Not found")


def test_the_first_load_is_small_and_asks_nobody_else(everseal, open_page):
    browser = open_page()
    browser.open().sees("HTTPS is not set up")
    loaded = browser.driver.execute_script(
        "return [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
        ".map((e) => [e.name, e.transferSize])")
    assert all(url.startswith(browser.origin) for url, _ in loaded), loaded
    assert 1000 < sum(size for _, size in loaded) < 100_000, loaded


def test_by_keyboard_alone(everseal, open_page):
    browser = open_page(signed_in=False)
    browser.open(setup_link(everseal))
    browser.sees("Make administrator")
    until("the name has the focus", lambda: browser.focused().get_attribute("name") == "name")
    browser.keys("ana", Keys.TAB, PASSWORD, Keys.ENTER)
    browser.sees("HTTPS is not set up")
    seen = set()
    for _ in range(60):
        browser.keys(Keys.TAB)
        element = browser.focused()
        seen.add(element.accessible_name)
        if element.accessible_name == "Configure":
            break
    assert "Configure" in seen, seen
    browser.keys(Keys.ENTER).sees("What Everseal sees")
    assert browser.focused().tag_name == "h1"


# ---- the server goes and comes back ----

def test_restart_while_the_page_is_open(everseal, open_page):
    browser = open_page()
    browser.expect_error(r"ERR_|api/")
    browser.go("#/lets-encrypt/configure").sees("What Everseal sees")
    browser.fill("DNS name", "kept.example.com")
    everseal.restart()
    until("it is live again", lambda: browser.driver.execute_script(
        "return /Live /.test(document.body.innerText) && !/Not live/.test(document.body.innerText)"), 60)
    assert browser.by_role("textbox", "DNS name").get_attribute("value") == "kept.example.com"


def test_ten_thousand_sites(everseal, upstream, open_page):
    sites = "\n".join(f"site n{i:05}.example.net {{ proxy {upstream.address}; email \"\" }}" for i in range(10_000))
    everseal.write(f"site * {{ proxy {upstream.address} }}\n" + sites.replace("; email \"\"", ""), head="")
    everseal.cli("reload", timeout=240).ok()
    browser = open_page()
    browser.go("#/sites").sees(r"10,00\d sites", seconds=40)
    browser.fill("Search", "n07777").sees(r"n07777\.example\.net", seconds=20)
    assert "n00001.example.net" not in browser.text
    assert api(browser, "sites?search=n07777")["total"] == 1
