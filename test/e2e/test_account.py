"""The account at a CA, a real Pebble: another key, another contact, its end."""
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
