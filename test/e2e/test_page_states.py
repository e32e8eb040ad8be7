"""Each state of a site as a person sees it: what the page says, and that it does so within the rules of
accessibility, wide and narrow, light and dark, with forced colours and under a finger."""
import json
import threading

import pytest

from api import Api
from browser import api, first_administrator, judge, new_window
from network import until

pytestmark = pytest.mark.timed

NAME = "shop.example.com"
FORCED = {"forced-colors": "active"}
USUAL = {"1440-light": {}, "390-dark": {"width": 390, "dark": True}}
OTHER = {"1440-dark": {"dark": True}, "320-light": {"width": 320}, "1440-forced": {"media": FORCED},
         "390-forced": {"width": 390, "dark": True, "media": FORCED}}


@pytest.fixture(params=[USUAL, pytest.param(OTHER, marks=pytest.mark.full)], ids=["usual", "other"])
def looks(request):
    """looks(browser, state): within the rules in every look, and what a finger must hit is high enough."""
    def judge_all(browser, state):
        for name, look in request.param.items():
            browser.look(**look)
            until("the line is as wide as the window", lambda: browser.driver.execute_script(
                "const l = document.querySelector('.lifeline .line');"
                "return !l || l.clientWidth === l.parentNode.clientWidth"))
            judge(browser, f"state-{state}-{name}")
            if look.get("width", 1440) < 600:
                assert browser.small_targets() == []
        browser.look()
    return judge_all


@pytest.fixture
def house(stage, pebble, upstream):
    """A server before a gate, and ana at its page."""
    def new(hook=None, validity=None):
        ca = stage.pebble(validity=validity) if validity else stage.gate(pebble, hook)
        everseal = stage.everseal(ca, sites=f"site * {{ proxy {upstream.address} }}").start()
        return everseal, first_administrator(new_window(stage, everseal), everseal)
    return new


def see_site(browser, *words, seconds=30):
    until("there is such a site", lambda: NAME in [s["name"] for s in api(browser, "sites")["items"]])
    browser.visit(f"#/sites/{NAME}", f"{NAME}$")
    for pattern in words:
        browser.sees(pattern, seconds=seconds)


def registered(house, **more):
    everseal, browser = house(**more)
    everseal.register(NAME)
    everseal.wait_served(NAME)
    return everseal, browser


def test_temporary(house, looks, upstream):
    everseal, browser = house()
    Api(everseal.state).post("/api/sites", {"names": [NAME], "proxy": [upstream.address]}).ok(201)
    see_site(browser, "Temporary certificate\nSelf-made: browsers warn of it")
    looks(browser, "temporary")


def test_all_other_names(house, looks):
    _, browser = house()
    browser.go("#/sites/*").sees("No certificate\nFor other names there is a self-made one")
    looks(browser, "other-names")


def test_working(house, looks):
    """While the CA thinks, the step under way is seen; it ends well."""
    thinking = threading.Event()

    def hook(step, answered, _):
        if step == "order" and not answered:
            thinking.wait(25)
    everseal, browser = house(hook)
    everseal.register(NAME, wait=False)
    see_site(browser, "Registering", "Step 3 of 7", "It goes on if you close this page")
    looks(browser, "working")
    thinking.set()
    browser.sees("OK, served now", seconds=60)


def test_waiting(house, looks):
    def hook(step, answered, _):
        return (503, [("Retry-After", "600")], b"") if step == "order" and not answered else None
    everseal, browser = house(hook)
    everseal.register(NAME, wait=False)
    see_site(browser, "Waiting", "Goes on by itself\nin 10 minutes", "For you to do\nNothing", seconds=60)
    assert everseal.certificate(NAME)["state"] == "working"
    looks(browser, "waiting")


def test_limited(house, looks):
    problem = json.dumps({"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many certificates "
                          "(5) already issued for this exact set of identifiers in the last 168h0m0s"}).encode()

    def hook(step, answered, _):
        return (429, [("Retry-After", "7200"), ("Content-Type", "application/problem+json")],
                problem) if step == "order" and not answered else None
    everseal, browser = house(hook)
    everseal.register(NAME, wait=False)
    see_site(browser, "Registration failed", "in 2 hours", "For you to do\nNothing", seconds=60)
    assert everseal.certificate(NAME)["state"] == "failed"
    browser.press("^What the CA wrote$").sees("too many certificates")
    looks(browser, "limited")


def test_renewal_failed(house, looks):
    """The certificate lives on: visitors see no error."""
    refusing = threading.Event()

    def hook(step, answered, _):
        return (500, [], b"") if refusing.is_set() and step == "order" and not answered else None
    everseal, browser = registered(house, hook=hook)
    refusing.set()
    see_site(browser, "OK, served now")
    browser.press("^Renew now$").sees("Renewal failed", seconds=90)
    browser.sees("Visitors see no error")
    browser.sees("Try again")
    assert everseal.certificate(NAME)["served"] == "stored"
    looks(browser, "renewal-failed")


def test_expired(house, looks):
    everseal, browser = registered(house, validity=24)
    everseal.ca.pause()
    see_site(browser, "Expired\n", "Visitors see a certificate error", seconds=90)
    assert everseal.certificate(NAME)["lamp"] == "problem"
    browser.title("^Problem 1 - ")
    browser.sees("For you to do\nTry again")
    looks(browser, "expired")


def test_disabled_then_revoked_then_back(house, looks):
    everseal, browser = registered(house)
    everseal.le("disable", NAME).ok()
    see_site(browser, "Disabled", "Renews by itself\nNever", "Register again")
    looks(browser, "disabled")
    browser.press("^More").press("^Revoke").sees("no new one is ordered")
    browser.fill(f"Type {NAME} to go on", NAME).press(f"^Revoke {NAME}$").sees("Revoked\nBy the CA, ", seconds=60)
    browser.sees("It is still served: browsers may refuse it")
    browser.sees("For you to do\nRegister")
    looks(browser, "revoked")
    serial = everseal.served(NAME).serial_number
    browser.press("^It brings a new certificate$", role="link").sees("What Everseal sees")
    browser.tick("I accept").fill("E-mail", "ana@example.com").press("^Register$")
    everseal.wait_served(NAME, other_than=serial, seconds=40)
    see_site(browser, "OK, served now", seconds=40)
    assert "Revoked\n" not in browser.text


def test_a_site_that_is_made_while_it_is_looked_for(house):
    everseal, browser = house()
    browser.expect_error(rf"api/sites/{NAME}\b.*404")
    browser.go(f"#/sites/{NAME}").sees(f"There is no site {NAME}")
    judge(browser, "state-no-site-1440-light")
    everseal.register(NAME)
    browser.sees("OK, served now", seconds=30)


def test_revoked_and_replaced(house):
    """The new certificate is not taken for the revoked one."""
    everseal, browser = registered(house)
    everseal.le("revoke", NAME, "--wait").ok()
    see_site(browser, "OK, served now", "Revoked in ")
    assert [t["Name"] for t in api(browser, "tasks")["Items"] if t["FinishedSuccessfully"]][0] != "ConfigureLetsEncrypt"


def test_another_one_is_served(house, looks):
    _, browser = registered(house)
    browser.pretend("""
        c.served = `Visitors of ${s.name} on 127.0.0.1, port 443, get another certificate (serial 04a1) than the one `
            + `stored (serial ${c.serial}).`;
        c.served_leaf = {names: [s.name, `www.${s.name}`], serial: '04a1', issued_by: 'E7', key_type: 'RSA 2048',
            thumbprint: '9f2b71c05ad8e41306b72c9e88f1d34aa05e61b9', not_after: c.not_after};
        c.lamp = s.state = 'warning';""")
    see_site(browser, "Served differs", r"get another certificate \(serial 04a1\)", "For you to do\nDiagnose")
    looks(browser, "differs")


def test_the_clock_is_wrong(house, looks):
    _, browser = registered(house)
    browser.pretend("""
        const later = days => new Date(Date.now() + days * 86400000).toISOString();
        Object.assign(c, {not_before: later(30), not_after: later(120), next_renewal: later(90)});""")
    see_site(browser, r"This server's clock says .*, before the certificate was issued \(.*\)\. Set the clock",
             "State\nCannot see", "For you to do\nSet the clock")
    looks(browser, "clock")


def test_half_its_life_is_over(house, looks):
    """The lifeline as it is most days of the year."""
    _, browser = registered(house)
    browser.pretend("""
        const later = days => new Date(Date.now() + days * 86400000).toISOString();
        Object.assign(c, {not_before: later(-42.1), not_after: later(48.1), next_renewal: later(27.1),
            seen_from_outside: later(-0.01), seen_client: '203.0.113.9'});
        Object.assign(s, {force_ssl: true, hsts: {max_age: 300, subdomains: false, preload: false}});""")
    see_site(browser, "in 48 days", "Renews by itself\nin 27 days", "Recommended: HSTS, 1 hour")
    looks(browser, "half")
