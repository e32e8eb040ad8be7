"""The account at a CA, a real Pebble: another key, another contact, its end."""
import re

import pytest

from network import ask, is_temporary, until


def thumbprint(everseal):
    """What challenges that nobody has told of are answered with: that of the account's key."""
    return ask(everseal.http, "shop.example.com",
               "/.well-known/acme-challenge/a-token-that-nobody-told-of").body.split(b".")[1]


@pytest.mark.asan
def test_another_key(everseal, pebble):
    everseal.register("shop.example.com")
    before = thumbprint(everseal)
    assert "has another key" in everseal.cli("issuer", "rollover", "pebble").ok().out
    until("serve knows the new one", lambda: thumbprint(everseal) != before)
    everseal.register("www.example.com")
    everseal.restart()
    everseal.register("third.example.com")
    assert pebble.accounts == 1
    assert not is_temporary(everseal.served("third.example.com"))


def test_another_contact(everseal, pebble):
    everseal.register("shop.example.com")
    everseal.cli("issuer", "contact", "pebble", "no address").failed("mail")
    everseal.cli("issuer", "contact", "pebble", "new@example.com").ok()
    account = [i for i in everseal.cli("issuer", "list", "--json").ok().json["items"] if i["name"] == "pebble"]
    assert account[0]["account"]["email"] == "new@example.com"


@pytest.mark.asan
def test_its_end(everseal, pebble):
    everseal.cli("issuer", "deactivate", "pebble").failed("knows no account of ours")
    everseal.register("shop.example.com")
    assert "is deactivated" in everseal.cli("issuer", "deactivate", "pebble").ok().out
    everseal.register("www.example.com")
    assert pebble.accounts == 2
    everseal.cli("issuer", "rollover", "internal").failed("has no accounts")
    everseal.cli("issuer", "rollover").failed("Name the issuer", status=2)


def test_while_the_ca_is_down_nothing_is_promised(everseal, pebble):
    everseal.register("shop.example.com")
    pebble.pause()
    everseal.cli("issuer", "rollover", "pebble").failed(
        r"(The account at \S+ is not|\S+ did not say whether the account is) changed: .*"
        r"Ask for the change once more when it answers\.")
    pebble.start()


@pytest.mark.asan
@pytest.mark.parametrize("heard", [True, False])
def test_a_ca_that_falls_silent_while_the_key_changes(stage, upstream, heard):
    """Both keys are kept, also by who is killed, until the CA says which one it knows; nothing else is asked of
    it meanwhile, and no second account is made."""
    ca = stage.difficult()
    everseal = stage.everseal(ca, sites=f"site * {{ proxy {upstream.address} }}").start()
    everseal.register("shop.example.com")
    before = thumbprint(everseal)
    ca.switch(rollover="silent" if heard else "deaf")
    doubt = (r"It is not known whether the account at \S+ has its next key: .*Both keys are kept.*"
             r"the CA is asked again which of them it knows")
    everseal.cli("issuer", "rollover", "pebble", timeout=90).failed(doubt)
    for _ in range(2):
        everseal.kill_all()
        everseal.start()
        until("it is said", lambda: re.search(doubt, everseal.cli("status").ok().out.replace("\n", " ")), 60)
        [issuer] = [i for i in everseal.cli("issuer", "list", "--json").ok().json["items"] if i["name"] == "pebble"]
        assert re.search(doubt, issuer["account_doubt"])
    ca.forget_requests()
    everseal.le("renew", "shop.example.com", "--wait", timeout=90).failed(doubt)
    assert ca.count() <= 20
    assert thumbprint(everseal) == before
    ca.reset()
    everseal.cli("issuer", "rollover", "pebble", timeout=90).ok()
    until("serve knows the new one", lambda: thumbprint(everseal) != before)
    everseal.le("renew", "shop.example.com", "--wait").ok()
    assert ca.count("newOrder") == 1
    assert "Both keys are kept" not in everseal.cli("status").ok().out
