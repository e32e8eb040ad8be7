"""What people type, each with a sentence that they can act on. Nothing of it reaches the CA."""
import pytest

from network import names_of

NAMES = [
    ("https://shop.example.com/path", "This is a web address; a DNS name is needed. Use shop.example.com."),
    ("http://shop.example.com", "This is a web address; a DNS name is needed. Use shop.example.com."),
    ("shop.example.com/path", "A DNS name has no port and no path. Use shop.example.com."),
    ("shop.example.com:443", "A DNS name has no port and no path. Use shop.example.com."),
    ("shop example.com", "A DNS name has no spaces"),
    ("a.example.com,b.example.com", "commas"),
    ("my_shop.example.com", "A name with an underscore gets no certificate"),
    ("192.0.2.1:443", "A DNS name has no port and no path. Use 192.0.2.1."),
    ("*.192.0.2.1", "192.0.2.1 is an IP address; a DNS name is needed"),
    ("::ffff:192.0.2.1", "is an IPv4 address written as one of IPv6. Use 192.0.2.1."),
    ("[fe80::1%eth0]", "has a zone .%., which means something on one machine alone. Use fe80::1."),
    ("0.0.0.0", "0.0.0.0 is the address of no single machine"),
    ("*.example.com", r"A wildcard name needs a DNS challenge \(DNS-01\)"),
    ("co.uk", "co.uk is a public suffix: no CA issues for it. Give a name under it, such as example.co.uk"),
    ("", "Give a DNS name"),
    ("shop..example.com", "The name has an empty part"),
    ("-shop.example.com", "begins or ends with a hyphen"),
    ("a" * 64 + ".example.com", "is too long: a part between two dots has at most 63"),
    (".".join(["a" * 60] * 5), "The name is too long: 304 characters, a DNS name has at most 253"),
    ("shop.example.123", "ends in a number, which no domain does"),
    ("sh\u200bop.example.com\u0007", "cannot|control"),
]


@pytest.fixture(scope="module")
def running(module_stage):
    """One server for all of these: none of them changes anything."""
    return module_stage.everseal(module_stage.pebble(), email=None, sites="site * { proxy 127.0.0.1:9 }").start()


def register(running, *words):
    return running.le("register", *words)


@pytest.mark.parametrize("name, sentence", NAMES, ids=[ascii(n)[:30] for n, _ in NAMES])
def test_name(running, name, sentence):
    register(running, "--name", name, "--email", "ops@example.com", "--agree-tos").failed(sentence)
    assert running.ca.accounts == 0


def test_one_bad_name_of_several(running):
    register(running, "--name", "good.example.com", "--name", "bad_.example.com", "--email",
             "ops@example.com", "--agree-tos").failed("underscore")
    assert running.status()["certificates"] == []


def test_300_names(running):
    words = [w for i in range(300) for w in ("--name", f"n{i}.example.com")]
    register(running, *words, "--email", "ops@example.com", "--agree-tos").failed(
        "300 names are too many for one certificate: Let's Encrypt takes at most 100")


@pytest.mark.parametrize("mail, sentence", [
    ("nobody", "nobody is not an e-mail address: it has the form ops@example.com"),
    ("a@b@c", "is not an e-mail address"),
    ("a b@example.com", "An e-mail address has no spaces"),
    ("@example.com", "is not an e-mail address"),
])
def test_mail(running, mail, sentence):
    register(running, "--name", "a.example.com", "--email", mail, "--agree-tos").failed(sentence)


def test_no_mail(running):
    register(running, "--name", "a.example.com", "--agree-tos").failed("Give an e-mail address")


def test_terms_not_accepted(running):
    register(running, "--name", "a.example.com", "--email", "ops@example.com").failed(
        r"Accept the CA's terms of service to register \(--agree-tos\)")


def test_unknown_issuer(running):
    register(running, "--name", "a.example.com", "--email", "ops@example.com", "--agree-tos", "--issuer",
             "nosuch").failed("There is no issuer nosuch. Known are: .*letsencrypt.*pebble")


@pytest.mark.parametrize("words, sentence", [
    (("--proxy", "nowhere"), "application's address"),
    (("--proxy", "unix:/run/app.sock"), "give an IP address and port"),
    (("--proxy", "169.254.1.1:80"), "link-local"),
    (("--address", "example.com"), "is not an IP address"),
    (("--key-type", "ed25519"), "ed25519 is no type of key. Known are: p256"),
])
def test_options(running, words, sentence):
    register(running, "--name", "a.example.com", "--email", "ops@example.com", "--agree-tos",
             *words).failed(sentence)


def test_own_listener_as_application(running):
    register(running, "--name", "a.example.com", "--email", "ops@example.com", "--agree-tos", "--proxy",
             f"127.0.0.1:{running.http}").failed("(?i)own listener|itself|Everseal's own")


@pytest.mark.parametrize("port", ["0", "65536", "x", "-1"])
def test_port(running, port):
    register(running, "--name", "a.example.com", "--email", "ops@example.com", "--agree-tos",
             "--port=" + port).failed("is not a port: give a number from 1 to 65535", status=2)


def test_nothing_behind_the_name(stage, pebble):
    everseal = stage.everseal(pebble).start()
    everseal.le("register", "--name", "a.example.com", "--agree-tos").failed(
        "Nothing stands behind a.example.com: give the application's address with --proxy")
    assert pebble.accounts == 0


def test_trailing_dot_and_upper_case(everseal):
    everseal.register("SHOP.Example.COM.")
    assert names_of(everseal.served("shop.example.com")) == ["shop.example.com"]


def test_idn_is_converted_and_shown_both_ways(everseal):
    outcome = everseal.register("bücher.example.com", wait=False)
    assert names_of(everseal.wait_served("xn--bcher-kva.example.com")) == ["xn--bcher-kva.example.com"]
    shown = outcome.out + everseal.cli("status").ok().out
    assert "bücher.example.com" in shown and "xn--bcher-kva.example.com" in shown
