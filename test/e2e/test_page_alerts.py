"""Who is told, and what is open, as a person sees it on the page: with a mail server and a webhook that
take messages, refuse them, and take them again."""
import json

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from api import Api
from browser import PASSWORD, api, first_administrator, judge, new_window, open_page, sign_in
from network import until
from receivers import PASSWORD as RECEIVED, SECRET, MailServer, by_mail, hook, mail, receiver, webhook

pytestmark = pytest.mark.timed

REFUSED = json.dumps({"type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "not this one"}).encode()


def refusing(step, answered, _):
    return (400, [("Content-Type", "application/problem+json")], REFUSED) if step == "order" and not answered else None


@pytest.fixture
def gate(stage, pebble):
    return stage.gate(pebble, refusing)


@pytest.fixture
def everseal(stage, gate, mail, receiver, upstream):
    return stage.everseal(gate, head=webhook(receiver, "level warning") + "\n" + by_mail(mail),
                          sites=f"site * {{ proxy {upstream.address} }}").start()


def targets(browser):
    return {t["target"]: t for t in api(browser, "notify")["targets"]}


def test_nobody_is_told(pebble, stage, upstream, tmp_path):
    """From the words beside the e-mail address to what is to be written, which the configuration takes."""
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}").start()
    browser = first_administrator(new_window(stage, everseal), everseal)
    browser.go("#/lets-encrypt/configure").sees("Let's Encrypt warns nobody of expiry; Everseal does: Alerts")
    browser.fill("DNS name", "kept.example.com").press("^Alerts$", role="link")
    browser.sees(r"Nobody is told yet, and Let's Encrypt warns nobody of expiry\.")
    browser.sees(r"Or write into everseal\.conf whom Everseal tells")
    example = browser.driver.find_element(By.TAG_NAME, "pre").text
    judge(browser, "alerts-nobody-1440-light")
    browser.driver.back()
    browser.sees("What Everseal sees")
    assert browser.by_role("textbox", "DNS name").get_attribute("value") == "kept.example.com"
    (tmp_path / "password").write_text("a password")
    everseal.write(head=example.replace("/etc/everseal/mail-password", str(tmp_path / "password")))
    everseal.cli("check").ok()
    everseal.reload().ok()
    browser.go("#/alerts").sees("1 is told, 0 matters are open")


def test_a_test_from_the_page(everseal, open_page, mail, receiver):
    """To one alone; what became of it stays on the page, and in the audit who sent it."""
    browser = open_page()
    browser.visit("#/alerts", "Alerts$").sees("2 are told, 0 matters are open")
    browser.sees("Not tried yet")
    browser.press("^Send a test to mail ops@example.com$").sees(r"mail ops@example\.com: the test arrived")
    until("the mail has come", lambda: mail.messages)
    assert receiver.messages == []
    browser.sees("Arrives")
    assert targets(browser)["mail ops@example.com"]["last"]["arrived"] is True
    mail.refusal = "550 5.1.1 no such mailbox"
    browser.press("^Send a test to mail ops@example.com$").sees("refused the message: 550 5.1.1 no such mailbox")
    browser.sees("Not arrived")
    said = Api(everseal.state).get("/api/audit").ok()["items"][0]
    assert (said["what"], said["subject"], said["who"]) == ("Test message sent", "mail ops@example.com", "ana")
    shown = browser.driver.page_source
    assert "token-in-path" not in shown and "correct horse" not in shown
    browser.press("^Close$")
    browser.sees("Not arrived")
    assert "refused the message" in browser.text, "as the last error"
    judge(browser, "alerts-refused-1440-light")


@pytest.fixture
def plain():
    """A mail server on this machine, which may do without TLS."""
    server = MailServer()
    server.extensions = ["mail.test", "AUTH PLAIN"]
    yield server
    server.shutdown()
    server.server_close()


LOOKS = ({}, {"width": 390, "dark": True}, {"dark": True}, {"width": 390})


def seen_by_all(browser, name):
    """At the desk and on a telephone, by day and by night."""
    for look in LOOKS:
        browser.look(**look)
        judge(browser, f"{name}-{look.get('width', 1440)}-{'dark' if look.get('dark') else 'light'}")
        if look.get("width"):
            assert browser.small_targets() == []
    browser.look()


def test_somebody_is_added_tried_changed_and_removed(pebble, stage, upstream, plain):
    """By e-mail, without the configuration file; what was wrong is said at its field and nothing typed is lost."""
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}").start()
    browser = first_administrator(new_window(stage, everseal), everseal)
    browser.expect_error("api/notify/targets")
    browser.visit("#/alerts", "Alerts$").press("^Add alert$", role="link").sees("Tell somebody")
    browser.sees("A program is named in the configuration file alone, since it runs on this machine.")
    browser.press("^Add alert$").sees("There is a problem")
    browser.sees("Give the mail server, such as smtps://mail.example.com.")
    browser.fill("E-mail address", "ops@example.com").fill("Mail server", "mail.example.com")
    browser.fill("Sender", "everseal@example.com").fill("User", "robot").fill("Password", RECEIVED)
    browser.press("^Add alert$").sees(r"A mail server is written smtps://HOST\[:PORT\]")
    assert browser.focused().get_attribute("class") == "summary"
    seen_by_all(browser, "alert-form-wrong")
    browser.fill("Mail server", f"smtp://127.0.0.1:{plain.port}").press("^Add alert$")
    browser.sees(r"mail ops@example\.com is told from now on")
    browser.sees("1 is told")
    seen_by_all(browser, "alert-added")
    browser.press("^Send it a test$").sees(r"mail ops@example\.com: the test arrived")
    assert plain.signed_in == [("robot", RECEIVED)]
    browser.press("^Change mail ops@example.com$").press("^Edit", role="link").sees("Kept unless you type another one")
    assert browser.by_role("textbox", "Mail server").get_attribute("value") == f"smtp://127.0.0.1:{plain.port}"
    assert RECEIVED not in browser.driver.page_source
    seen_by_all(browser, "alert-form-edit")
    browser.fill("Mail server", "smtps://mail.test").press("^Save$")
    browser.sees("Type the password again: the one that is kept was for another server.")
    browser.fill("Mail server", f"smtp://127.0.0.1:{plain.port}").fill("Sender", "robot@example.com").press("^Save$")
    browser.sees("1 is told")
    api_ = Api(everseal.state)
    assert api_.get("/api/audit").ok()["items"][0]["what"] == "Alert target changed"
    browser.press("^Send a test to mail ops@example.com$").sees("the test arrived")
    assert plain.messages[1][0]["MAIL"].startswith("MAIL FROM:<robot@example.com>")
    browser.press("^Change mail ops@example.com$").press("^Remove")
    browser.sees(r"Remove mail ops@example\.com\?")
    browser.press("^Remove mail ops@example.com$").sees("Nobody is told yet")
    assert api_.get("/api/notify").ok()["targets"] == []


def test_a_webhook_that_somebody_else_changes(everseal, open_page, receiver):
    browser = open_page()
    browser.expect_error("api/notify/targets")
    browser.visit("#/alerts?add=target", "Add$").sees("Tell somebody")
    Select(browser.by_role("combobox", "Told by")).select_by_value("webhook")
    browser.fill("URL", f"http://127.0.0.1:{receiver.server_port}/token-in-path").fill("Secret", SECRET).press("^Add alert$")
    browser.sees(r"127\.0\.0\.1 is told already, by the configuration file, line")
    seen_by_all(browser, "alert-webhook")
    browser.fill("URL", f"http://127.0.0.1:{receiver.server_port}/other-token").press("^Add alert$").sees("3 are told")
    added = next(t for t in api(browser, "notify")["targets"] if t["id"])
    browser.press("^Send it a test$").sees("the test arrived")
    until("the test has come", lambda: [m["event"] for m in receiver.messages] == ["test"])
    browser.visit(f"#/alerts?change={added['id']}", "Edit$").sees(r"Of 127\.0\.0\.1\. Kept unless you type another one\.")
    Api(everseal.state).put(f"/api/notify/targets/{added['id']}", {"level": "problem"}).ok()
    Select(browser.by_role("combobox", "Told$")).select_by_value("info")
    browser.press("^Save$").sees(r"webhook 127\.0\.0\.1 was changed meanwhile: told of what visitors notice\.")
    judge(browser, "alert-conflict-1440-light")
    browser.press("^Keep what is here$").press("^Save$").sees("3 are told")
    assert next(t for t in api(browser, "notify")["targets"] if t["id"])["level"] == "info"
    assert "other-token" not in browser.driver.page_source


def test_an_unknown_target(everseal):
    Api(everseal.state).post("/api/notify/test", {"target": "mail eve@example.com"}).failed(
        404, 'Nobody is told of anything as "mail eve@example.com"')


def test_a_matter_from_its_begin_to_its_end(everseal, gate, open_page, receiver, mail):
    """It is seen when it opens, with its reason and when it is told again, while the page is open; a test that
    arrives brings along what waits; solved, it goes."""
    receiver.status = 500
    browser = open_page()
    browser.visit("#/alerts", "Alerts$").sees("Nothing is open: what was told is solved")
    everseal.le("register", "--name", "gone.example.com", "--wait").failed("not this one")
    browser.sees(r"gone\.example\.com got no new certificate\.", seconds=30)
    browser.sees("not this one")
    browser.sees("Waiting", seconds=30)
    browser.sees("answered with status 500")
    browser.sees(r"1, next try in \d+ seconds")
    matter = api(browser, "notify")["open"][0]
    assert (matter["event"], matter["about"], matter["level"], matter["issuer"]) == (
        "failed", "gone.example.com", "warning", False)
    assert matter["since"] == matter["told"] and matter["next"] > matter["told"]
    for look in ({}, {"width": 390, "dark": True}, {"dark": True}, {"width": 390}, {"width": 700}):
        browser.look(**look)
        judge(browser, f"alerts-open-{look.get('width', 1440)}-{'dark' if look.get('dark') else 'light'}")
        if look.get("width") == 390:
            assert browser.small_targets() == []
            assert browser.driver.execute_script("return Math.min(...[...document.querySelectorAll("
                                                 "'.list td:not(:empty)')].map((e) => e.offsetWidth))") > 300
        else:
            error, button = browser.driver.execute_script(
                "return [document.querySelector('.list-targets .why').offsetWidth,"
                "document.querySelector('.list-targets td.c-menu button').offsetHeight]")
            assert error > 130 and button < 50, "a sentence has room, words of a button stand on one line"
    browser.look()
    receiver.status = 200
    browser.press("^Send a test to webhook 127.0.0.1$").sees(r"webhook 127\.0\.0\.1: the test arrived")
    until("what waited came with it", lambda: [m["event"] for m in receiver.messages] == ["test", "failed"], 30)
    everseal.restart()
    browser.expect_error(r"ERR_|api/")
    assert Api(everseal.state).get("/api/notify").ok()["open"][0]["since"] == matter["since"], "it is still the same"
    gate.hook = None
    everseal.le("renew", "gone.example.com", "--wait").ok()
    browser.sees("Nothing is open: what was told is solved", seconds=60)
    until("its end was told", lambda: ("failed", "solved") in [(m["event"], m["state"]) for m in receiver.messages], 30)


def test_a_viewer_only_looks(everseal, open_page):
    Api(everseal.state).post("/api/people", {"name": "eve", "password": PASSWORD, "scope": "read"}).ok(201)
    browser = open_page()
    browser.press("^ana").press("^Sign out")
    browser.open()
    sign_in(browser, name="eve")
    browser.sees("HTTPS is not set up")
    browser.visit("#/alerts", "Alerts$").sees("You can look, not change: your scope is read")
    assert "Send a test" not in browser.text and "Add alert" not in browser.text
    browser.visit("#/alerts?add=target", "Add$").sees("You can look, not change: your scope is read")
    assert "Told by" not in browser.text
