"""`issuer internal`: certificates of Everseal's own authority, for development and private names."""
import subprocess

import pytest
from selenium.webdriver.common.by import By

from api import Api
from browser import first_administrator, judge, new_window
from network import ask, names_of, until

pytestmark = pytest.mark.asan


def roots_of(everseal, folder):
    """What `everseal issuer root` prints, in a file: as an administrator would keep it."""
    file = folder / "root.pem"
    file.write_text(everseal.cli("issuer", "root").ok().out)
    return file


def curl(everseal, name, roots):
    return subprocess.run(["curl", "-sS", "--cacert", roots, "--resolve", f"{name}:{everseal.https}:127.0.0.1",
                           f"https://{name}:{everseal.https}/"], capture_output=True, text=True, timeout=30)


def test_a_site_that_chooses_it_is_trusted_by_who_trusts_the_root(stage, upstream, tmp_path):
    everseal = stage.everseal(sites=f"site app.test localhost {{ proxy {upstream.address} }}", email=None,
                              issuer="issuer internal").start()
    certificate = everseal.wait_served("app.test")
    assert names_of(certificate) == ["app.test", "localhost"]
    roots = roots_of(everseal, tmp_path)
    answer = curl(everseal, "app.test", roots)
    assert (answer.stdout, answer.returncode) == ("hello", 0), answer.stderr
    everseal.restart()
    assert everseal.served("app.test").serial_number == certificate.serial_number
    assert curl(everseal, "localhost", roots).stdout == "hello"
    everseal.le("renew", "app.test", "--wait").ok()
    assert everseal.served("app.test").serial_number != certificate.serial_number
    assert curl(everseal, "app.test", roots).stdout == "hello", "the root is the same"


def test_a_private_name_is_registered_without_a_ca(everseal, pebble, tmp_path):
    outcome = everseal.le("register", "--name", "nas.internal", "--issuer", "internal", "--wait").ok()
    assert "Seen over HTTPS" in outcome.out
    assert pebble.orders == 0
    assert curl(everseal, "nas.internal", roots_of(everseal, tmp_path)).stdout == "hello"
    exported = Api(everseal.state).ask("GET", "/api/issuers/internal/roots/export")
    assert exported.body.decode() in roots_of(everseal, tmp_path).read_text()
    status = everseal.certificate("nas.internal")
    assert (status["issuer"], status["last_error"]) == ("internal", None)


def test_each_domain_has_its_own_root(everseal, tmp_path):
    """Who trusts the root of one is not made to trust the other's names."""
    everseal.le("register", "--name", "a.internal", "--issuer", "internal", "--wait").ok()
    private = roots_of(everseal, tmp_path).read_text()
    everseal.le("register", "--name", "wiki.example.com", "--issuer", "internal", "--wait").ok()
    (tmp_path / "private.pem").write_text(private)
    refused = curl(everseal, "wiki.example.com", tmp_path / "private.pem")
    assert refused.returncode == 60, "no issuer is known"
    assert curl(everseal, "wiki.example.com", roots_of(everseal, tmp_path)).stdout == "hello"


def test_the_words_where_it_has_nothing_to_say(everseal):
    everseal.cli("issuer", "root").failed("has no root yet: it is made with the first certificate")
    everseal.cli("issuer", "test", "internal").failed("own authority: there is no directory to ask")
    everseal.le("register", "--name", "a.internal", "--issuer", "internal", "--wait").ok()
    everseal.le("revoke", "a.internal").failed("keeps no list of what is revoked")


@pytest.mark.timed
def test_the_page_offers_it(stage, pebble, upstream):
    """Without terms and address, which nobody asks for."""
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}", email=None).start()
    browser = first_administrator(new_window(stage, everseal), everseal)
    browser.go("#/lets-encrypt/configure").sees("What Everseal sees")
    browser.fill("DNS name", "nas.internal").press("^More options$")
    browser.driver.find_element(By.CSS_SELECTOR, "select[name=issuer] option[value=internal]").click()
    browser.sees("asks for no terms and no address")
    judge(browser, "configure-internal")
    browser.press("^Register$")
    until("it is issued", lambda: (c := everseal.certificate("nas.internal")) and c["state"] == "ok", 30)
    assert everseal.certificate("nas.internal")["issuer"] == "internal"
