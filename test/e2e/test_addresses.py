"""IP addresses as names (RFC 8738): ordered, proved, served to who sends no server name, renewed."""
import contextlib
import ipaddress
import socket
import ssl
import subprocess

import pytest

from api import Api
from network import ask, client_context, is_temporary, names_of, reply, tls, until
from test_clients import version_2

pytestmark = pytest.mark.asan

BOTH = "http 127.0.0.1:{http} [::1]:{http}\nhttps 127.0.0.1:{https} [::1]:{https}"


def on_both(stage, ca, sites, **more):
    return stage.everseal(ca, sites=sites, listeners=BOTH.format(http=ca.http, https=ca.https), **more)


def certificate_of(everseal, name, ca=None):
    """What who opens https://ADDRESS/ is shown, verified as a browser does."""
    from cryptography import x509
    with contextlib.closing(tls(everseal.https, name, ca and ca.roots, host=name)) as connection:
        return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True))


def wait_issued(everseal, name, other_than=None):
    def look():
        with contextlib.suppress(OSError):
            certificate = certificate_of(everseal, name)
            return not is_temporary(certificate) and certificate.serial_number != other_than and certificate
    return until(lambda: f"a certificate for {name} is served: {everseal.status()['certificates']}", look, 30)


@contextlib.contextmanager
def held(port, host):
    """By another program, which is this one."""
    with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as other:
        yield other


def page_of(everseal, name, ca):
    host = f"[{name}]:{everseal.https}" if ":" in name else f"{name}:{everseal.https}"
    with contextlib.closing(tls(everseal.https, name, ca.roots, host=name)) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(4096), b"")).decode()


def test_addresses_of_the_file_are_issued_served_and_renewed(stage, pebble, upstream):
    """Both kinds, each to visitors that are connected to it; HSTS is for names that DNS knows."""
    other = stage.upstream(lambda heard: reply(b"six"))
    everseal = on_both(stage, pebble, f"hsts 1h\nforce-ssl yes\nsite 127.0.0.1 {{ proxy {upstream.address} }}\n"
                       f"site [0:0::1] {{ proxy {other.address} }}\nsite shop.example.com {{ proxy {upstream.address} }}")
    everseal.start()
    for name, body in ("127.0.0.1", "hello"), ("::1", "six"):
        first = wait_issued(everseal, name)
        assert names_of(first) == [name]
        assert certificate_of(everseal, name, pebble).serial_number == first.serial_number
        answer = page_of(everseal, name, pebble)
        assert answer.endswith(body)
        assert "strict-transport-security" not in answer.lower()
        everseal.le("renew", name, "--wait").ok()
        again = certificate_of(everseal, name, pebble)
        assert again.serial_number != first.serial_number
        entry = everseal.certificate(name)
        assert (entry["names"], entry["last_error"]) == ([name], None)
        assert entry["served"] == "stored"
    assert names_of(everseal.wait_served("shop.example.com")) == ["shop.example.com"]
    assert "strict-transport-security" in str(ask(everseal.https, "shop.example.com", secure=True).headers).lower()
    plain = ask(everseal.http, f"[::1]:{everseal.http}", "/a?b", host="::1")
    assert (plain.status, plain.headers["Location"]) == (301, f"https://[::1]:{everseal.https}/a?b")
    everseal.restart()
    assert certificate_of(everseal, "::1", pebble).serial_number == again.serial_number


def test_an_address_is_registered_and_the_same_again_orders_nothing(stage, pebble, upstream):
    everseal = on_both(stage, pebble, f"site * {{ proxy {upstream.address} }}").start()
    out = everseal.register("[::1]").out
    assert "Prove control of ::1" in out and "Seen over HTTPS" in out
    orders = pebble.orders
    everseal.register("0:0::1")
    assert pebble.orders == orders
    assert names_of(certificate_of(everseal, "::1", pebble)) == ["::1"]
    everseal.register("127.0.0.1", "shop.example.com")
    assert names_of(certificate_of(everseal, "127.0.0.1", pebble)) == ["127.0.0.1", "shop.example.com"]
    everseal.le("status", "::1").ok()
    exported = everseal.cli("export", "::1", "--format", "pem", "--to", everseal.folder / "six.pem").ok()
    assert exported and "BEGIN CERTIFICATE" in (everseal.folder / "six.pem").read_text()


@pytest.mark.parametrize("name, reverse", [
    ("127.0.0.1", "1.0.0.127.in-addr.arpa"),
    ("::1", "1." + "0." * 31 + "ip6.arpa"),
], ids=["ipv4", "ipv6"])
def test_an_address_is_proved_by_tls(stage, pebble, upstream, name, reverse):
    """RFC 8738 6: it is asked for by the name of its reverse zone."""
    assert ipaddress.ip_address(name).reverse_pointer == reverse
    host = f"[{name}]" if ":" in name else name
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}",
                              listeners=f"http {host}:{pebble.http}\nhttps {host}:{pebble.https}")
    with held(pebble.http, name):
        everseal.start()
        out = everseal.register(name).out
        assert f"Prove control of {name} by tls-alpn-01" in out
        assert names_of(certificate_of(everseal, name, pebble)) == [name]
        everseal.logged(r"Challenge acme-tls/1 of " + reverse.replace(".", r"\."))


def test_who_cannot_be_reached_at_an_address_is_not_sent_to_dns(stage, pebble, upstream):
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}").start()
    refused = everseal.le("register", "--name", "::1", "--wait").failed("could not prove control of ::1", "at that address")
    assert "AAAA" not in refused.err


def test_an_address_is_ordered_by_the_profile_for_addresses(stage, upstream):
    """It is the only one by which Let's Encrypt certifies them."""
    ca = stage.difficult(profiles={"classic": {"text": "The default"},
                                   "shortlived": {"text": "Six days", "seconds": 160 * 3600}})
    everseal = stage.everseal(ca, sites=f"site * {{ proxy {upstream.address} }}").start()
    told = everseal.cli("issuer", "test", "pebble").ok().out
    assert "Profile classic: The default\n" in told and "Profile shortlived: Six days\n" in told
    out = everseal.register("127.0.0.1").out
    assert "with the profile shortlived, as addresses want it" in out
    certificate = certificate_of(everseal, "127.0.0.1")
    assert (certificate.not_valid_after - certificate.not_valid_before).total_seconds() <= 161 * 3600
    everseal.register("shop.example.com")
    certificate = everseal.wait_served("shop.example.com")
    assert (certificate.not_valid_after - certificate.not_valid_before).total_seconds() > 161 * 3600


def test_a_private_address_gets_its_certificate_from_here(stage, upstream, tmp_path):
    """Without any issuer in the file."""
    everseal = stage.everseal(sites=f"site 127.0.0.1 {{ proxy {upstream.address} }}", issuer="").start()
    wait_issued(everseal, "127.0.0.1")
    (tmp_path / "root.pem").write_text(everseal.cli("issuer", "root").ok().out)
    url = f"https://127.0.0.1:{everseal.https}/"
    answer = subprocess.run(["curl", "-sS", "--cacert", tmp_path / "root.pem", url], capture_output=True, text=True,
                            timeout=30)
    assert (answer.stdout, answer.returncode) == ("hello", 0), answer.stderr


def test_a_public_address_behind_a_router(stage, upstream, tmp_path):
    """No interface has it: who sends no server name is taken to have asked for it."""
    everseal = stage.everseal(sites=f"site 203.0.113.5 {{ proxy {upstream.address} }}", email=None,
                              issuer="issuer internal").start()
    certificate = wait_issued(everseal, "127.0.0.1")
    assert names_of(certificate) == ["203.0.113.5"]
    (tmp_path / "root.pem").write_text(everseal.cli("issuer", "root").ok().out)
    answer = subprocess.run(["curl", "-sS", "--cacert", tmp_path / "root.pem", "--connect-to",
                             f"::127.0.0.1:{everseal.https}", "https://203.0.113.5/"], capture_output=True, text=True,
                            timeout=30)
    assert (answer.stdout, answer.returncode) == ("hello", 0), answer.stderr
    until("its own handshake has seen it", lambda: everseal.certificate("203.0.113.5")["served"] == "stored")


def shown_behind(port, preface):
    """What a balancer is shown that says the preface and no server name."""
    from cryptography import x509
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    plain.sendall(preface)
    with contextlib.closing(client_context().wrap_socket(plain)) as connection:
        return names_of(x509.load_der_x509_certificate(connection.getpeercert(binary_form=True)))


def test_a_balancer_says_which_address_was_opened(stage, upstream):
    """By the PROXY protocol, before the handshake: the certificate is that of the address that it names,
    and of our own end only where it names none."""
    addresses = ["203.0.113.5", "203.0.113.6", "2001:db8::5", "127.0.0.1"]
    sites = "\n".join(f"site {f'[{a}]' if ':' in a else a} {{ proxy {upstream.address} }}" for a in addresses)
    everseal = stage.everseal(issuer="issuer internal", head="trusted-proxy 127.0.0.1")
    everseal.listeners = f"http 127.0.0.1:{everseal.http}\nhttps 127.0.0.1:{everseal.https} {{ proxy-protocol }}"
    everseal.write(sites).start()

    def shown(line):
        return shown_behind(everseal.https, line)
    for address in addresses:
        six = ":" in address
        client = "2001:db8::7" if six else "192.0.2.7"
        line = f"PROXY TCP{6 if six else 4} {client} {address} 4711 443\r\n".encode()
        until(f"that of {address} is shown", lambda p=line, a=address: shown(p) == [a], 30)
    own = ["127.0.0.1"]
    assert shown(b"PROXY UNKNOWN\r\n") == own
    assert shown(version_2(("192.0.2.7", 4711), ("203.0.113.6", 443))) == ["203.0.113.6"]
    assert shown(version_2(("192.0.2.7", 4711), ("203.0.113.6", 443), command=0)) == own  # its own connection
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized.name"):
        shown(b"PROXY TCP4 192.0.2.7 203.0.113.99 4711 443\r\n")


def test_the_api_takes_addresses_and_dns_is_not_asked(stage, pebble, upstream):
    everseal = on_both(stage, pebble, "", email=None).start()
    api = Api(everseal.state)
    site = api.post("/api/sites", {"names": ["[0::1]", "127.0.0.1"], "proxy": [upstream.address]}).ok(201)
    assert site["names"] == ["::1", "127.0.0.1"]
    assert site["url"] == f"https://[::1]:{everseal.https}"
    assert ask(everseal.http, f"[0:0::1]:{everseal.http}", host="::1").text == "hello"
    looked = api.get("/api/lookup?name=%5B0::1%5D").ok()
    assert (looked["name"], looked["addresses"], looked["message"]) == ("::1", ["::1"], None)
    out = everseal.le("diagnose", "::1").out
    assert "This very server answers" in out and "CAA records are about domains" in out
    assert "AAAA" not in out and "SERVFAIL" not in out
