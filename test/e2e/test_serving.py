"""What a visitor sees: temporary certificates, redirects, HSTS, unknown hosts, challenges."""
import contextlib
import re
import ssl
import time

import pytest

from api import Api
from network import (ask, free_port, is_temporary, names_of, raw, read_answer, request_bytes, served, tls,
                     until)

TOKEN = "t0ken-of-sixteen-or-more_characters"
CHALLENGE = f"/.well-known/acme-challenge/{TOKEN}"


def test_temporary_certificate_before_the_first(stage, upstream):
    everseal = stage.everseal(sites=f"site shop.example.com {{ proxy {upstream.address} }}").start()
    certificate = everseal.served("shop.example.com")
    assert is_temporary(certificate) and names_of(certificate) == ["shop.example.com"]
    assert ask(everseal.https, "shop.example.com", secure=True).body == b"hello"
    assert everseal.certificate("shop.example.com")["served"] is not True


def test_site_star_answers_for_unknown_hosts(everseal):
    for port, secure in ((everseal.http, False), (everseal.https, True)):
        assert ask(port, "whoever.example.org", secure=secure).body == b"hello"


@pytest.mark.asan
def test_unknown_host_without_site_star(stage, upstream):
    everseal = stage.everseal(sites=f"site shop.example.com {{ proxy {upstream.address} }}").start()
    answer = ask(everseal.http, "other.example.com")
    assert answer.status == 421
    assert "No site named other.example.com is served here." in answer.text
    with contextlib.closing(tls(everseal.https, "shop.example.com")) as connection:
        connection.sendall(request_bytes("other.example.com", "/"))
        assert read_answer(connection).status == 421
    assert not upstream.heard


def test_plain_http_at_a_port_for_https(everseal):
    answer = ask(everseal.https, f"shop.example.com:{everseal.https}", "/a")
    assert answer.status == 400 and answer.headers["Connection"] == "close"
    assert f"This port speaks HTTPS: open https://shop.example.com:{everseal.https}/ instead." in answer.text
    said = raw(everseal.https, request_bytes("shop.example.com", "/", "POST", body=b"x" * 300_000))
    assert said.startswith(b"HTTP/1.1 400 ") and b"open https://shop.example.com/ instead." in said
    assert raw(everseal.https, b"\x00nonsense\r\n\r\n") == b""


def test_missing_server_name(stage, pebble, upstream):
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}").start()
    assert ask(everseal.https, None or "127.0.0.1", secure=True).status == 200
    with contextlib.closing(tls(everseal.https, None)) as connection:
        assert connection.getpeercert(binary_form=True)


def test_missing_server_name_without_site_star(stage, upstream):
    everseal = stage.everseal(sites=f"site shop.example.com {{ proxy {upstream.address} }}").start()
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized[_ ]name"):
        tls(everseal.https, None)
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized[_ ]name"):
        tls(everseal.https, "other.example.com")


def test_missing_server_name_at_an_address_of_its_own(stage, pebble, upstream):
    port = free_port()
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}").start()
    everseal.register("app.example.com", more=["--address", "127.0.0.1", "--port", port])
    assert names_of(served(port, None)) == ["app.example.com"]


def issued(stage, pebble, upstream, settings):
    everseal = stage.everseal(
        pebble, sites=f"site shop.example.com {{ proxy {upstream.address}; {settings} }}").start()
    everseal.wait_served("shop.example.com")
    return everseal


@pytest.mark.asan
def test_force_ssl(stage, pebble, upstream):
    everseal = issued(stage, pebble, upstream, "force-ssl yes")
    for method, status in (("GET", 301), ("HEAD", 301), ("POST", 308), ("PUT", 308), ("DELETE", 308)):
        answer = ask(everseal.http, "shop.example.com", "/a/b?x=1&y=%20z", method)
        assert answer.status == status, method
        assert answer.headers["Location"] == f"https://shop.example.com:{everseal.https}/a/b?x=1&y=%20z"
        assert answer.headers["Strict-Transport-Security"] is None
    assert not upstream.heard
    assert ask(everseal.https, "shop.example.com", "/a", secure=True, roots=pebble.roots).status == 200


def test_force_ssl_waits_for_a_certificate(stage, upstream):
    everseal = stage.everseal(
        sites=f"site shop.example.com {{ proxy {upstream.address}; force-ssl yes }}").start()
    assert ask(everseal.http, "shop.example.com").status == 200


def test_force_ssl_hears_of_https_in_front_of_a_trusted_proxy(stage, pebble, upstream):
    site = f"site shop.example.com {{ proxy {upstream.address}; force-ssl yes }}"
    everseal = stage.everseal(pebble, head="trusted-proxy 127.0.0.1", sites=site).start()
    everseal.wait_served("shop.example.com")

    def status(proto, *more):
        return ask(everseal.http, "shop.example.com", headers=[f"X-Forwarded-Proto: {proto}", *more]).status

    def status_of(forwarded, *more):
        return ask(everseal.http, "shop.example.com", headers=[f"Forwarded: {forwarded}", *more]).status
    assert status("https") == 200
    assert status("http") == status("https, http") == status("") == 301
    assert status("http", "Forwarded: proto=https") == 301
    assert status_of("proto=https") == 200
    assert upstream.heard[-1].value("X-Forwarded-Proto") == "https"
    assert status_of("for=198.51.100.7;proto=https", "X-Forwarded-For: 198.51.100.7") == 200
    assert status_of("for=198.51.100.7;proto=https, for=127.0.0.1;proto=http") == 200
    assert status_of("proto=https, for=198.51.100.7") == status_of("proto=http") == 301
    assert status_of("proto=http;proto=https") == 400
    everseal.write(head="trusted-proxy 192.0.2.1", sites=site)
    everseal.cli("reload").ok()
    until("a stranger's word counts for nothing", lambda: status("https") == 301)
    assert status_of("proto=https") == 301


def test_force_ssl_for_all_with_an_exception(stage, pebble, upstream):
    everseal = stage.everseal(pebble, head="force-ssl yes", sites=f"""
site shop.example.com {{ proxy {upstream.address} }}
site open.example.com {{ proxy {upstream.address}; force-ssl no }}""").start()
    everseal.wait_served("shop.example.com")
    everseal.wait_served("open.example.com")
    assert ask(everseal.http, "shop.example.com").status == 301
    assert ask(everseal.http, "open.example.com").status == 200


def test_redirect_leaves_443_out(stage, pebble, upstream):
    everseal = stage.everseal(pebble, sites=f"site shop.example.com {{ proxy {upstream.address}; "
                                            f"force-ssl yes }}")
    text = everseal.config.read_text()
    everseal.config.write_text(text.replace(f"https {everseal.https} }}", "https 443 }"))
    everseal.start()
    everseal.wait_served("shop.example.com")
    assert ask(everseal.http, "shop.example.com", "/x").headers["Location"] == "https://shop.example.com/x"


def test_hsts(stage, pebble, upstream):
    everseal = issued(stage, pebble, upstream, "hsts 1y include-subdomains preload")
    answer = ask(everseal.https, "shop.example.com", secure=True)
    assert answer.headers.get_all("Strict-Transport-Security") == \
        ["max-age=31536000; includeSubDomains; preload"]
    assert ask(everseal.http, "shop.example.com").headers["Strict-Transport-Security"] is None


def test_hsts_replaces_the_applications(stage, pebble):
    from network import reply
    upstream = stage.upstream(lambda heard: reply(headers=["Strict-Transport-Security: max-age=1"]))
    everseal = issued(stage, pebble, upstream, "hsts 5min")
    answer = ask(everseal.https, "shop.example.com", secure=True)
    assert answer.headers.get_all("Strict-Transport-Security") == ["max-age=300"]


def test_hsts_not_with_a_temporary_certificate(stage, upstream):
    everseal = stage.everseal(
        sites=f"site shop.example.com {{ proxy {upstream.address}; hsts 1y }}").start()
    assert ask(everseal.https, "shop.example.com", secure=True).headers["Strict-Transport-Security"] is None


def test_hsts_off_sends_max_age_0(stage, pebble, upstream):
    everseal = issued(stage, pebble, upstream, "hsts 1d")
    everseal.write(f"site shop.example.com {{ proxy {upstream.address}; hsts off }}")
    everseal.reload().ok()
    answer = ask(everseal.https, "shop.example.com", secure=True)
    assert answer.headers["Strict-Transport-Security"] == "max-age=0"


@pytest.mark.asan
def test_hsts_guards_disable(stage, pebble, upstream):
    everseal = issued(stage, pebble, upstream, "hsts 1d")
    ask(everseal.https, "shop.example.com", secure=True)
    until("the promise is stored", lambda: Api(everseal.state).get("/api/sites/shop.example.com").ok()["hsts_promised_until"])
    everseal.le("disable", "shop.example.com").failed(
        r"Browsers may remember until \d{4}-\d\d-\d\dT[\d:]+Z that shop.example.com", "--despite-hsts")
    assert everseal.certificate("shop.example.com")["next_renewal"]
    everseal.restart()
    everseal.le("disable", "shop.example.com").failed("Browsers may remember")
    everseal.le("disable", "shop.example.com", "--despite-hsts").ok()
    assert everseal.certificate("shop.example.com")["next_renewal"] is None


# ---- challenges ----

@pytest.mark.asan
def test_challenge_on_every_listener_before_everything(stage, pebble, upstream):
    """Force SSL and HSTS on, on each listener, http and https, a name that has no site: the responder
    answers with the account's thumbprint, and the application hears nothing."""
    more = free_port(), free_port()
    everseal = stage.everseal(pebble, head="force-ssl yes\nhsts 1y", sites=f"site shop.example.com "
                              f"{{ proxy {upstream.address} }}",
                              listeners=f"http 127.0.0.1:{pebble.http} 127.0.0.1:{more[0]}\n"
                                        f"https 127.0.0.1:{pebble.https} 127.0.0.1:{more[1]}").start()
    everseal.wait_served("shop.example.com")
    before = len(upstream.heard)
    answers = set()
    for port, secure in ((pebble.http, False), (more[0], False), (pebble.https, True), (more[1], True)):
        answer = ask(port, "shop.example.com", CHALLENGE, secure=secure)
        assert answer.status == 200, answer.text
        assert re.fullmatch(rf"{TOKEN}\.[A-Za-z0-9_-]{{43}}", answer.text)
        answers.add(answer.text)
    assert len(answers) == 1
    assert ask(more[0], "unknown.example.com", CHALLENGE).text in answers
    assert len(upstream.heard) == before


def test_tokens_that_are_none(everseal, upstream):
    for token in ("", "short", "a" * 129, "sixteen.characters", "with/slash/in/it/1234", "a%62cdefghijklmnop"):
        answer = ask(everseal.http, "shop.example.com", f"/.well-known/acme-challenge/{token}")
        assert answer.status == 404, token
    assert not upstream.heard


def test_challenges_are_logged(everseal):
    ask(everseal.http, "shop.example.com", CHALLENGE)
    line = everseal.logged(rf".*Challenge http://shop.example.com{CHALLENGE}: .*")[0]
    assert "name=shop.example.com client=127.0.0.1" in line and "default account's thumbprint" in line


def test_renewal_passes_force_ssl_and_hsts(stage, pebble, upstream):
    everseal = issued(stage, pebble, upstream, "force-ssl yes; hsts 1y")
    serial = everseal.served("shop.example.com").serial_number
    everseal.le("renew", "shop.example.com", "--wait").ok()
    assert everseal.served("shop.example.com").serial_number != serial


def test_challenge_pass(stage, pebble):
    from network import reply
    upstream = stage.upstream(lambda heard: reply(b"the application's"))
    everseal = stage.everseal(pebble, sites=f"site shop.example.com "
                                            f"{{ proxy {upstream.address}; challenge pass }}").start()
    everseal.wait_served("shop.example.com")
    assert ask(everseal.http, "shop.example.com", CHALLENGE).text == "the application's"
    everseal.logged("not ours, handed to the application")
