"""What a CA suggests and offers, end to end: when to renew (RFC 9773), several issuers, rehearsals, profiles and
types of keys; and a clock that is wrong."""
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from network import until

NAME = "shop.example.com"
WHY = "https://ca.example/why"


def row(name, ca, more=""):
    return f"issuer {name} {{ directory {ca.directory}; trust {ca.trust}; {more} }}"


@pytest.fixture
def place(stage):
    """new(ca, lines): Everseal before that CA, behind `site *`."""
    upstream = stage.upstream()
    return lambda ca, **more: stage.everseal(ca, sites=f"site * {{ proxy {upstream.address} }}", **more).start()


def test_a_window_moved_into_the_past(stage, place):
    """It is renewed now, of one after the other, and four times at most; each says what it replaces."""
    ca = stage.difficult()
    everseal = place(ca)
    everseal.register(NAME)
    until("the window is known", lambda: everseal.certificate(NAME)["window"])
    assert everseal.certificate(NAME)["reason"] == "the CA suggests it" and ca.orders == 1
    ca.switch(ari="past", ari_explanation=WHY)
    everseal.restart()
    until("it was renewed three times", lambda: ca.orders == 4, 60)
    told = until("the limit is kept", lambda: (c := everseal.certificate(NAME)) and c["state"] == "ok"
                 and c["reason"].endswith("5 certificates in 7 days for the same names") and c)
    assert told["window"]["explanation"] == WHY
    everseal.logged(f"It says why: {WHY}")
    assert WHY in everseal.le("status", NAME).ok().out
    assert sorted(c["replaced"] for c in ca.issued(NAME)) == [False, True, True, True]
    assert ca.orders == 4


def test_the_second_issuer_and_back(stage, place):
    """What is renewed while the first is down comes from the second, and the next one from the first again."""
    first = stage.difficult()
    second = stage.difficult(http=first.http, https=first.https)
    everseal = place(first, issuer=row("first", first) + "\n" + row("second", second) + "\nissuer first second")
    everseal.register(NAME)
    assert everseal.certificate(NAME)["issued_from"] == "first"
    first.switch(outage="refused")
    for _ in range(2):
        everseal.le("renew", NAME, "--wait", timeout=100)
        if second.orders:
            break
    told = everseal.certificate(NAME)
    assert (told["issued_from"], told["next_issuer"], second.orders) == ("second", "first", 1)
    everseal.logged("first has failed 2 times, now second is asked")
    first.reset()
    everseal.le("renew", NAME, "--wait", timeout=100).ok()
    assert everseal.certificate(NAME)["issued_from"] == "first"
    assert (first.orders, second.orders) == (2, 1)


def test_a_rehearsal(stage, place):
    """A new name is first tried on the staging: what fails there costs nothing."""
    ca = stage.difficult()
    staging = stage.difficult(http=ca.http, https=ca.https, validation="caa")
    roots = ca.folder / "both.pem"
    roots.write_text(ca.trust.read_text() + staging.trust.read_text())
    roots.chmod(0o644)
    everseal = place(ca, issuer=f"issuer ca {{ directory {ca.directory}; rehearsal {staging.directory}; "
                                f"trust {roots} }}")
    everseal.le("register", "--name", NAME, "--email", "ops@example.com", "--agree-tos", "--wait").failed(
        "The rehearsal on ca's staging failed, nothing was asked of the CA itself")
    assert (ca.orders, staging.orders) == (0, 1)
    staging.reset()
    everseal.le("renew", NAME, "--wait").ok()
    assert (ca.orders, len(staging.issued(NAME)), len(ca.issued(NAME))) == (1, 1, 1)
    assert f"{everseal.served(NAME).serial_number:x}" == ca.issued(NAME)[0]["serial"]
    everseal.le("renew", NAME, "--wait").ok()
    assert len(staging.issued(NAME)) == 1


@pytest.mark.parametrize("key, bits", [("rsa2048", 2048)])
def test_key_type_and_profile(stage, place, key, bits):
    ca = stage.difficult()
    everseal = place(ca)
    everseal.register(NAME, more=["--key-type", key, "--profile", "shortlived"])
    served = everseal.served(NAME)
    assert isinstance(served.public_key(), rsa.RSAPublicKey) and served.public_key().key_size == bits
    assert [c["profile"] for c in ca.issued(NAME)] == ["shortlived"]
    told = everseal.certificate(NAME)
    assert (told["wanted_key_type"], told["profile"], told["key_type"]) == (key, "shortlived", "RSA 2048")
    assert f"key type: {key}, profile: shortlived" in everseal.le("status", NAME).ok().out


def test_an_unknown_profile_is_no_order(stage, place):
    ca = stage.difficult()
    everseal = place(ca)
    everseal.le("register", "--name", NAME, "--email", "ops@example.com", "--agree-tos", "--profile", "golden",
                "--wait").failed("golden", "shortlived")
    assert ca.orders == 0


def test_the_clock_of_the_ca_is_another(stage, place):
    ca = stage.difficult(offset=-3 * 3600)
    everseal = place(ca)
    everseal.register(NAME)
    clock = until("it is told", lambda: everseal.status()["clock"])
    assert "not what the CA's clock says" in clock and "Renewals go by the CA's clock." in clock
    until("people are told the same", lambda: (  # it has the second of the hour
        f"\nClock: {everseal.status()['clock']}\n" in everseal.cli("status").ok().out))
