"""Certificates that their CA has revoked, or wants to be replaced: found out, told, and renewed at once."""
import pytest

from network import until
from receivers import receiver, webhook

NAME = "shop.example.com"


@pytest.fixture
def place(stage, receiver):
    """new(**switches): the CA, and Everseal behind `site *` with a certificate for NAME."""
    def new(**switches):
        ca = stage.difficult(**switches)
        everseal = stage.everseal(ca, head=webhook(receiver),
                                  sites=f"site * {{ proxy {stage.upstream().address} }}").start()
        everseal.register(NAME)
        return ca, everseal
    return new


def told(receiver, event, state):
    return until(lambda: f"{event} is told as {state}: {receiver.messages}",
                 lambda: next((m for m in receiver.messages if (m["event"], m["state"]) == (event, state)), None), 60)


@pytest.mark.asan
@pytest.mark.parametrize("kind", ["crl", "ocsp"])
def test_what_is_revoked_is_renewed(place, receiver, kind):
    ca, everseal = place(revocation=[kind])
    first = everseal.served(NAME).serial_number
    until("it was asked", lambda: (everseal.restart(), ca.count(kind))[1])
    assert ca.orders == 1, "it is not revoked"
    ca.call("/revoke", {"name": NAME})
    everseal.restart()
    everseal.wait_served(NAME, 60, other_than=first)
    everseal.logged(f"The CA has revoked the certificate for {NAME} on .*/{kind}. A new one is ordered.")
    assert "Browsers that ask the CA refuse it. A new one is ordered at once." in told(receiver, "revoked", "open")["text"]
    told(receiver, "revoked", "solved")
    until("it is well", lambda: everseal.certificate(NAME)["state"] == "ok")
    everseal.restart()
    until("the new one was asked about", lambda: ca.count(kind) >= 3)
    assert ca.orders == 2
    assert [m["event"] for m in receiver.messages].count("revoked") == 2


@pytest.mark.asan
@pytest.mark.parametrize("kind", ["crl", "ocsp"])
def test_who_cannot_sign_it_is_not_believed(place, receiver, kind):
    ca, everseal = place(revocation=[kind], revocation_signer="other")
    ca.call("/revoke", {"name": NAME})
    everseal.restart()
    everseal.logged(f"/{kind} does not say whether certificates are revoked, it is asked again within a day: .* not signed by")
    assert everseal.certificate(NAME)["state"] == "ok" and ca.orders == 1
    assert not [m for m in receiver.messages if m["event"] == "revoked"]


def test_what_nobody_renews_is_told(place, receiver):
    """And it stays so over a restart at which the CA is silent."""
    ca, everseal = place(revocation=["crl"])
    everseal.le("disable", NAME).ok()
    ca.call("/revoke", {"name": NAME})
    everseal.restart()
    assert "It is not renewed" in told(receiver, "revoked", "open")["text"]
    everseal.logged("No new one is ordered: ")
    ca.switch(outage="refused")
    everseal.restart()
    assert everseal.certificate(NAME)["state"] == "revoked"
    assert ca.orders == 1
    assert len([m for m in receiver.messages if m["event"] == "revoked"]) == 1


@pytest.mark.asan
@pytest.mark.parametrize("kind", ["crl", "ocsp"])
def test_what_was_imported_is_asked_about(place, stage, receiver, kind):
    ca, issuing = place(revocation=[kind])
    file = issuing.folder / "brought.pem"
    issuing.cli("export", NAME, "--format", "pem", "--to", file).ok()
    issuing.stop()
    everseal = stage.everseal(ca, head=webhook(receiver),
                              sites=f"site * {{ proxy {stage.upstream().address} }}").start()
    everseal.cli("import", NAME, file).ok()
    asked = ca.count(kind)
    everseal.restart()
    until("it is asked about", lambda: ca.count(kind) > asked)
    assert everseal.certificate(NAME)["state"] == "imported"
    ca.call("/revoke", {"name": NAME})
    everseal.restart()
    everseal.logged(f"The CA has revoked the imported certificate for {NAME} on .*/{kind}. "
                    "Everseal does not renew it: import another one")
    assert "It is not renewed: register" in told(receiver, "revoked", "open")["text"]
    ca.switch(outage="refused")
    everseal.restart()
    certificate = everseal.certificate(NAME)
    assert certificate["state"] == "revoked" and certificate["revoked"] and certificate["lamp"] == "problem"
    assert "import another one" in certificate["reason"]
    assert len([m for m in receiver.messages if m["event"] == "revoked"]) == 1


def test_what_the_ca_wants_back_is_told(place, receiver):
    """RFC 9773: a window that was moved into the past."""
    ca, everseal = place()
    until("the window is known", lambda: everseal.certificate(NAME)["window"])
    ca.switch(ari="past", ari_explanation="https://ca.example/why")
    everseal.restart()
    assert "It says why: https://ca.example/why" in told(receiver, "recalled", "open")["text"]


def test_terms_that_have_changed(place, receiver):
    """Told once, whatever is restarted, until they are accepted."""
    ca, everseal = place()
    ca.switch(terms_changed=True)
    everseal.restart()
    text = told(receiver, "terms", "open")["text"]
    assert "/terms/v2; those at" in text and "/terms/v1 were accepted" in text and "--agree-tos" in text
    everseal.restart()
    everseal.le("renew", NAME, "--wait").failed("terms of service have changed")
    assert len([m for m in receiver.messages if m["event"] == "terms"]) == 1
    everseal.register(NAME, wait=False)
    told(receiver, "terms", "solved")
