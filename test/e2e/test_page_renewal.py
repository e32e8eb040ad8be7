"""What the page says and offers of renewals: what the CA suggests, its profiles, types of keys, the clock."""
import pytest
from selenium.webdriver.common.by import By

from browser import first_administrator, judge, new_window
from network import until

pytestmark = pytest.mark.timed

NAME = "shop.example.com"
WHY = "https://ca.example/why"


def page_of(stage, **switches):
    ca, upstream = stage.difficult(**switches), stage.upstream()
    everseal = stage.everseal(ca, sites=f"site * {{ proxy {upstream.address} }}").start()
    return everseal, first_administrator(new_window(stage, everseal), everseal)


def test_key_type_and_profile_are_chosen(stage):
    everseal, browser = page_of(stage)
    browser.go("#/lets-encrypt/configure").sees("What Everseal sees")
    browser.fill("DNS name", NAME).tick("I accept").fill("E-mail", "ana@example.com").press("^More options$")
    browser.sees("shortlived: 160 hours, also IP addresses")
    judge(browser, "configure-options")
    for select, option in (("profile", "shortlived"), ("key_type", "p384")):
        browser.driver.find_element(By.CSS_SELECTOR, f"select[name={select}] option[value={option}]").click()
    browser.sees("Key: ECDSA P-384. Profile shortlived")
    browser.press("^Register$")
    everseal.wait_served(NAME)
    told = everseal.certificate(NAME)
    assert (told["key_type"], told["profile"]) == ("P-384", "shortlived")


def test_what_the_ca_suggests(stage):
    everseal, browser = page_of(stage, ari_explanation=WHY)
    everseal.register(NAME)
    until("the window is known", lambda: everseal.certificate(NAME)["window"])
    browser.visit(f"#/sites/{NAME}", f"{NAME}$").sees("It suggests .* to ", seconds=30)
    assert browser.by_role("link", "The CA says why").get_attribute("href") == WHY


def test_a_paused_name_is_released_by_a_link(stage):
    everseal, browser = page_of(stage, limit="paused")
    everseal.le("register", "--name", NAME, "--email", "ops@example.com", "--agree-tos", "--wait").failed("unpause")
    browser.visit(f"#/sites/{NAME}", f"{NAME}$").sees("has paused the name", seconds=30)
    link = browser.by_role("link", "/unpause")
    assert link.get_attribute("href").endswith("/unpause?jwt=eyJ.for-a-person")


def test_a_clock_that_is_wrong_stands_above_every_view(stage):
    everseal, browser = page_of(stage, offset=-3 * 3600)
    everseal.register(NAME)
    until("it is told", lambda: everseal.status()["clock"])
    browser.driver.refresh()
    browser.sees("This machine's clock says .* not what the CA's clock says", seconds=30)
    browser.visit("#/issuers", "Issuers$").sees("Renewals go by the CA's clock")
    judge(browser, "clock-band")
