"""Proof over TLS (RFC 8737): in the running data plane, for who asks for it and for nobody else."""
import contextlib
import socket
import ssl
import threading

import pytest

from network import ask, free_port, is_temporary, names_of, served
from test_reload import held, nginx

SITES = """
site * {{ proxy {app} }}
site mtls.example.com {{ proxy {app}; client-ca {ca} }}
site modern.example.com {{ proxy {app}; tls-policy modern }}
"""


def context(*protocols):
    it = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    it.check_hostname, it.verify_mode = False, ssl.CERT_NONE
    if protocols:
        it.set_alpn_protocols(list(protocols))
    return it


def refused(port, name, *protocols):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        with pytest.raises(ssl.SSLError):
            context(*protocols).wrap_socket(plain, server_hostname=name)


@contextlib.contextmanager
def visitors(port, name):
    """They look at the certificate of that name all the time; gives the set of those that they saw."""
    seen, end, failures = {}, threading.Event(), []

    def visit():
        while not end.is_set():
            try:
                certificate = served(port, name)
                seen[certificate.serial_number] = certificate
            except OSError as why:
                failures.append(why)

    thread = threading.Thread(target=visit)
    thread.start()
    try:
        yield seen
    finally:
        end.set()
        thread.join()
    assert not failures


@pytest.mark.asan
def test_a_name_is_proved_by_tls_when_another_program_has_port_80(stage, pebble, upstream):
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}")
    with held(everseal.http) as other:
        everseal.start()
        with visitors(everseal.https, "shop.example.com") as seen:
            out = everseal.register("shop.example.com").out
            certificate = everseal.wait_served("shop.example.com")
        assert names_of(certificate) == ["shop.example.com"]
        assert (f"Prove control of shop.example.com by tls-alpn-01, because http-01 cannot be used: Port "
                f"{everseal.http} is held by python3 (process {other.pid})") in out
        everseal.logged(r"Challenge acme-tls/1 of shop\.example\.com: answered with the certificate of the order")
        for one in seen.values():
            assert is_temporary(one) or one.serial_number == certificate.serial_number, one.subject
    assert pebble.orders == 1


def test_what_visitors_must_bring_is_not_asked_of_the_ca(stage, pebble, upstream):
    """Client certificates and TLS 1.3 are for visitors."""
    from test_import import Authority
    folder = stage.new_folder("certificates")
    folder.chmod(0o755)
    (ca := folder / "ca.pem").write_bytes(Authority("Clients").pem)
    everseal = stage.everseal(pebble, sites=SITES.format(app=upstream.address, ca=ca))
    with held(everseal.http):
        everseal.start()
        for name in ("mtls.example.com", "modern.example.com"):
            everseal.register(name)


def test_without_an_order_nobody_is_shown_a_proof(everseal):
    port = everseal.https
    refused(port, "shop.example.com", "acme-tls/1")
    everseal.logged(r"Challenge acme-tls/1 of shop\.example\.com: no such order is open here, refused")
    assert ask(port, "shop.example.com", secure=True).body == b"hello"


def test_a_failed_proof_by_http_is_tried_by_tls(stage, pebble, upstream):
    """The CA asks another program, which lets nothing through to our own second address."""
    everseal = stage.everseal(pebble)
    everseal.listeners = f"http 127.0.0.1:{free_port()} 127.0.0.1:{everseal.http}\nhttps 127.0.0.1:{everseal.https}"
    everseal.write(f"site * {{ proxy {upstream.address} }}")
    with nginx(stage.new_folder("nginx"), everseal.http, "nginx"):
        everseal.start()
        out = everseal.register("shop.example.com").out
        assert "The proof of shop.example.com by http-01 failed, tls-alpn-01 is tried" in out
    assert pebble.orders == 2
