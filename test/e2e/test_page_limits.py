"""What is left of a CA's limits, on the page and in the status: Let's Encrypt's are known by its directory."""
import contextlib
import datetime
import json
import sqlite3
import time

import pytest

from api import Api
from browser import first_administrator, judge, new_window, open_page
from network import until

pytestmark = pytest.mark.timed

DIRECTORY = "https://acme-v02.api.letsencrypt.org/directory"


def spend(everseal, times, what, *names):
    """As if that had been done just now. The server is down meanwhile."""
    now = int(time.time() * 1000)
    with contextlib.closing(sqlite3.connect(everseal.state / "everseal.db")) as db:
        for i in range(times):
            value = json.dumps({"at": now, "what": what, "directory": DIRECTORY, "names": names})
            db.execute("INSERT INTO record (kind, id, version, value, blob) VALUES ('spent', ?, 1, ?, x'')",
                       (f"{now:016x}-{names[0]}{what}{i}"[:47], value))
        db.commit()


def test_what_is_left_and_when_more_comes(everseal, open_page):
    everseal.stop()
    spend(everseal, 12, "order", "a.example.org")
    spend(everseal, 41, "certificate", "shop.example.org", "www.shop.example.org")
    spend(everseal, 2, "failure", "lost.example.org")
    everseal.start()
    browser = open_page()
    browser.visit("#/issuers", "Issuers$").sees("What is left of the limits")
    browser.sees(r"Room\s+Let's Encrypt, new orders per account\s+28[89] of 300 in 3 hours\s+in \d+ seconds")
    browser.sees(r"Used up\s+Let's Encrypt, certificates per exact set of names\s+shop\.example\.org www\.shop\.example\.org\s+"
                 r"0 of 5 in 7 days")
    browser.sees(r"Little left\s+Let's Encrypt, certificates per registered domain\s+example\.org\s+9 of 50 in 7 days")
    browser.sees(r"Room\s+Let's Encrypt, failed validations per name\s+lost\.example\.org\s+3 of 5 in 1 hour")
    for look in ({}, {"width": 390, "dark": True}, {"dark": True}, {"width": 390}):
        browser.look(**look)
        judge(browser, f"limits-{look.get('width', 1440)}-{'dark' if look.get('dark') else 'light'}")
    status = everseal.cli("status", "--json").json
    of = {i["name"]: i["limits"] for i in status["issuers"]}
    assert of["letsencrypt"] == Api(everseal.state).get("/api/issuers/letsencrypt/limits").ok()["limits"]
    assert of["pebble"] == [], "nothing is known of it"
    orders, exact = of["letsencrypt"][:2]
    assert (orders["limit"], orders["about"], orders["next"]) == ("new orders per account", None, None)
    assert exact["next"] and exact["more"] and exact["used"] > exact["most"]
    text = everseal.cli("status").ok().out
    assert "Limits, by our own count" in text
    assert "certificates per registered domain: example.org" in text and "41 of 50 in a week" in text


def test_there_are_never_more_than_twenty(everseal):
    everseal.stop()
    for i in range(30):
        spend(everseal, 1, "failure", f"n{i:02}.example.org")
    everseal.start()
    limits = Api(everseal.state).get("/api/issuers/letsencrypt/limits").ok()["limits"]
    assert len(limits) == 20 and limits[0]["limit"] == "new orders per account"


def test_what_a_ca_asks_to_wait_for(stage, upstream):
    """In its own words, with its name and until when, whatever our own count is."""
    ca = stage.difficult(limit="newOrders", limit_retry=7200)
    everseal = stage.everseal(ca, sites=f"site * {{ proxy {upstream.address} }}").start()
    everseal.register("shop.example.com", wait=False)
    waits = until("it is refused", lambda: Api(everseal.state).get("/api/issuers/pebble/limits").ok()["waits"], 30)
    assert len(waits) == 1 and waits[0]["about"] is None
    assert waits[0]["words"].startswith("too many new orders (300) from this account")
    assert waits[0]["ca"] in waits[0]["sentence"] and "asks to wait" in waits[0]["sentence"]
    left = datetime.datetime.fromisoformat(waits[0]["until"]).timestamp() - time.time()
    assert 6000 < left <= 7201
    of = {i["name"]: i["waits"] for i in everseal.cli("status", "--json").json["issuers"]}
    assert of.pop("pebble") == waits and not any(of.values())
    text = everseal.cli("status").ok().out
    assert "CAs that ask to wait" in text and "all orders" in text and "too many new orders (300)" in text
    browser = new_window(stage, everseal)
    first_administrator(browser, everseal)
    browser.visit("#/issuers", "Issuers$").sees("CAs that ask to wait")
    browser.sees(r"Wait\s+.*\s+every order\s+.*too many new orders \(300\) from this account.*\s+in \d")
    for look in ({}, {"width": 390, "dark": True}, {"dark": True}, {"width": 390}):
        browser.look(**look)
        judge(browser, f"waits-{look.get('width', 1440)}-{'dark' if look.get('dark') else 'light'}")


def test_an_account_whose_key_is_in_doubt(stage, upstream):
    """The CA fell silent while it changed: why nothing is ordered there, until it has spoken."""
    ca = stage.difficult()
    everseal = stage.everseal(ca, sites=f"site * {{ proxy {upstream.address} }}").start()
    everseal.register("shop.example.com")
    ca.switch(rollover="silent")
    everseal.cli("issuer", "rollover", "pebble", timeout=90).failed("Both keys are kept")
    browser = new_window(stage, everseal)
    first_administrator(browser, everseal)
    browser.visit("#/issuers", "Issuers$").sees("Its key is in doubt")
    browser.sees("Accounts whose key is in doubt")
    browser.sees("It is not known whether the account at pebble has its next key: .*Both keys are kept, and nothing "
                 "is ordered there meanwhile.*the CA is asked again")
    for look in ({}, {"width": 390, "dark": True}):
        browser.look(**look)
        judge(browser, f"doubt-{look.get('width', 1440)}-{'dark' if look.get('dark') else 'light'}")
    ca.reset()
    everseal.cli("issuer", "rollover", "pebble").ok()
    browser.visit("#/diagnosis", "Diagnosis").visit("#/issuers", "Issuers$").sees("Without e-mail|ops@example.com")
    assert "in doubt" not in browser.text
