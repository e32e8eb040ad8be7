"""Revocation and export over the command line, against a real CA."""
import json
import os
import ssl
import stat
import urllib.request

import pytest
from api import Api
from cryptography import x509
from cryptography.hazmat.primitives import serialization


def certificates_of(pem):
    begin = b"-----BEGIN CERTIFICATE-----"
    return [x509.load_pem_x509_certificate(begin + part) for part in pem.split(begin)[1:]]


def ca_says(pebble, certificate):
    """Pebble's management interface: status of a certificate by its serial."""
    url = f"https://127.0.0.1:{pebble.management}/cert-status-by-serial/{certificate.serial_number:x}"
    context = ssl._create_unverified_context()
    with urllib.request.urlopen(url, context=context, timeout=10) as answer:
        return json.load(answer)


def test_a_new_certificate_comes_first(everseal, pebble):
    everseal.register("shop.example.com")
    before = everseal.served("shop.example.com")
    done = everseal.le("revoke", "shop.example.com", "--reason", "keyCompromise", "--wait")
    assert done.status == 0, done
    assert "Order a new certificate first" in done.out
    assert done.out.rstrip().endswith("The certificate is revoked")
    after = everseal.served("shop.example.com")
    assert after.serial_number != before.serial_number
    said = ca_says(pebble, before)
    assert said["Status"] == "Revoked" and said["Reason"] == 1, said
    assert ca_says(pebble, after)["Status"] == "Valid"
    assert everseal.certificate("shop.example.com")["state"] == "ok"


def test_what_is_disabled_is_revoked_at_once(everseal, pebble):
    everseal.register("shop.example.com")
    before = everseal.served("shop.example.com")
    everseal.le("disable", "shop.example.com").ok()
    orders = pebble.orders
    everseal.le("revoke", "shop.example.com", "--wait").ok()
    assert ca_says(pebble, before)["Status"] == "Revoked"
    assert pebble.orders == orders
    everseal.le("revoke", "shop.example.com", "--wait").ok()  # it is revoked already: no harm
    told = everseal.le("status", "shop.example.com").ok().out
    assert "revoked: " in told and "renewal is disabled" in told and "replaced" not in told


def test_what_is_revoked_and_served_says_so(everseal, pebble):
    api = Api(everseal.state)
    everseal.register("shop.example.com")
    before = everseal.served("shop.example.com")
    assert everseal.certificate("shop.example.com")["revoked"] is None
    everseal.le("disable", "shop.example.com").ok()
    everseal.le("revoke", "shop.example.com", "--wait").ok()

    def says_so():
        site = api.get("/api/sites/shop.example.com").ok()
        listed, = api.get("/api/certificates").ok()["items"]
        for c in (site["certificate"], listed, everseal.certificate("shop.example.com")):
            assert c["state"] == "revoked" and c["lamp"] == "problem" and c["revoked"]
        assert site["state"] == "problem" and "The certificate that is served is revoked" in site["why"]
        assert everseal.served("shop.example.com").serial_number == before.serial_number
    says_so()
    everseal.restart()
    says_so()
    everseal.register("shop.example.com")  # orders a new one, however long the old one would have lived
    assert everseal.served("shop.example.com").serial_number != before.serial_number
    certificate = everseal.certificate("shop.example.com")
    assert (certificate["state"], certificate["revoked"]) == ("ok", None)


def test_what_cannot_be_revoked(everseal):
    everseal.le("revoke", "nobody.example.com").failed(r"There is no certificate for nobody.example.com")
    everseal.register("shop.example.com")
    everseal.le("revoke", "shop.example.com", "--reason", "boredom").failed(
        r"boredom is no reason for a revocation. Give one of: unspecified keyCompromise")


def test_export_with_the_key(everseal, tmp_path):
    everseal.register("shop.example.com")
    file = tmp_path / "shop.pem"
    everseal.cli("export", "shop.example.com", "--format", "pem", "--to", str(file)).ok()
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    pem = file.read_bytes()
    leaf = certificates_of(pem)[0]
    assert leaf.serial_number == everseal.served("shop.example.com").serial_number
    assert len(certificates_of(pem)) >= 2
    key = serialization.load_pem_private_key(pem, None)
    assert key.public_key().public_numbers() == leaf.public_key().public_numbers()
    everseal.cli("export", "shop.example.com", "--to", str(file)).failed(
        r"exists already and is left as it is. Give another file, or remove it first.")
    assert file.read_bytes() == pem
    everseal.cli("export", "nobody.example.com", "--to", str(tmp_path / "no.pem")).failed(
        r"There is no certificate for nobody.example.com")
    assert not (tmp_path / "no.pem").exists()
    everseal.cli("export", "shop.example.com", "--format", "pkcs12", "--to", str(tmp_path / "a")).failed(
        "needs a password: give it with --password-file FILE")


@pytest.mark.asan
@pytest.mark.parametrize("kind", ("p256", "p384", "rsa2048"))
def test_its_own_key_revokes_it_when_the_account_is_gone(everseal, pebble, kind):
    everseal.register("shop.example.com", more=("--key-type", kind))
    before = everseal.served("shop.example.com")
    everseal.le("disable", "shop.example.com").ok()
    everseal.cli("issuer", "deactivate", "pebble").ok()
    done = everseal.le("revoke", "shop.example.com", "--reason", "keyCompromise", "--wait").ok()
    assert "by its own key" in done.out, done.out
    said = ca_says(pebble, before)
    assert said["Status"] == "Revoked" and said["Reason"] == 1, said
    assert everseal.certificate("shop.example.com")["state"] == "revoked"
