"""Certificate authorities that are down, strange, or none; and all of Pebble's moods."""
import base64
import contextlib
import datetime
import json
import re
import time

import pytest

from authority import Gate, OwnServer
from network import ask, free_port, is_temporary, names_of, tls, until


def site(upstream, name="shop.example.com"):
    return f"site {name} {{ proxy {upstream.address} }}"


@pytest.mark.asan
def test_down_at_start_then_back(stage, upstream):
    pebble = stage.pebble(start=False)
    everseal = stage.everseal(pebble, sites=site(upstream)).start()
    assert is_temporary(everseal.served("shop.example.com"))
    assert ask(everseal.https, "shop.example.com", secure=True).body == b"hello"
    until("the status says so",
          lambda: (c := everseal.certificate("shop.example.com")) and c["last_error"], 40)
    assert "refuses connections" in everseal.certificate("shop.example.com")["last_error"]["message"]
    pebble.start()
    everseal.le("renew", "shop.example.com", "--wait").ok()
    assert not is_temporary(everseal.served("shop.example.com"))
    assert pebble.accounts == 1


@pytest.mark.full
def test_down_at_start_then_back_by_itself(stage, upstream):
    pebble = stage.pebble(start=False)
    everseal = stage.everseal(pebble, sites=site(upstream)).start()
    until("it has failed once", lambda: everseal.certificate("shop.example.com")["last_error"], 40)
    pebble.start()
    everseal.wait_served("shop.example.com", seconds=90)


def test_short_outage_in_the_middle(stage, pebble, upstream):
    gate = stage.gate(pebble)

    def hook(step, answered, number):
        if step == "finalize" and number == 1 and not answered:
            raise Gate.Lost
    gate.hook = hook
    everseal = stage.everseal(gate, sites=site(upstream)).start()
    everseal.wait_served("shop.example.com", seconds=40)
    assert (gate.orders, gate.accounts) == (1, 1)


def test_busy_with_retry_after(stage, pebble, upstream):
    gate = stage.gate(pebble)
    gate.hook = lambda step, answered, number: (
        (503, [("Retry-After", "1")], b"") if step == "order" and number <= 2 and not answered else None)
    everseal = stage.everseal(gate, sites=site(upstream)).start()
    everseal.wait_served("shop.example.com", seconds=30)
    assert (gate.orders, gate.accounts) == (1, 1)


def test_rate_limited_says_until_when(stage, pebble, upstream):
    gate = stage.gate(pebble)
    problem = json.dumps({"type": "urn:ietf:params:acme:error:rateLimited",
                          "detail": "too many certificates for this set of names"}).encode()
    gate.hook = lambda step, answered, number: (
        (429, [("Retry-After", "7200"), ("Content-Type", "application/problem+json")], problem)
        if step == "order" and not answered else None)
    everseal = stage.everseal(gate, sites="site * { proxy " + upstream.address + " }").start()
    everseal.le("register", "--name", "shop.example.com", "--agree-tos", "--wait").failed(
        "too many certificates for this set of names", r"20\d\d|2 h|7200|wait")
    certificate = until("the next try is known",
                        lambda: (c := everseal.certificate("shop.example.com")) and c["next_renewal"] and c)
    assert certificate["last_error"]["message"]
    when = datetime.datetime.fromisoformat(certificate["next_renewal"].replace("Z", "+00:00"))
    left = (when - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
    assert 7000 < left < 9000, "not before the CA allows it"


def test_challenge_failed_tells_what_was_asked_where(stage, pebble, upstream):
    """The CA reaches another server for the name."""
    elsewhere = stage.upstream(port=0)
    pebble.pause()
    pebble.http, pebble.https, *kept = elsewhere.port, elsewhere.port, pebble.http, pebble.https
    pebble.start()
    pebble.http, pebble.https = kept
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}").start()
    outcome = everseal.le("register", "--name", "shop.example.com", "--agree-tos", "--wait")
    outcome.failed("could not prove control of shop.example.com", f"It asked shop.example.com on port {pebble.https} ",
                   "point its A and AAAA records here")
    assert re.search(r"by http-01 failed, tls-alpn-01 is tried\. .* It asked "
                     r"http://shop.example.com(:\d+)?/.well-known/acme-challenge/", outcome.out), outcome.out


def test_untrusted(stage, pebble, upstream):
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}",
                              issuer=f"issuer pebble {{ directory {pebble.directory} }}").start()
    everseal.le("register", "--name", "shop.example.com", "--agree-tos", "--wait").failed(
        "(?i)certificate .*(not trusted|no one .*trust|vouch|self-signed)", "trust")
    assert pebble.accounts == 0


def page(status=200, kind="text/html", body=b"<!doctype html><html>hello</html>"):
    return lambda method, path, headers, content: (status, [("Content-Type", kind)], body)


@pytest.mark.parametrize("respond, sentence", [
    (page(), r"is not an ACME directory: a web page \(HTML\) is there"),
    (page(kind="application/json", body=b"{}"), 'JSON without a usable URL for "newNonce"'),
    (page(kind="application/json", body=b"[1,2]"), "is not an ACME directory"),
    (page(kind="application/json", body=b"{"), "text that is not JSON"),
    (page(body=b""), "nothing is there"),
    (page(status=404, body=b"<html>no</html>"), "is not an ACME directory|404"),
    (page(kind="application/json", body=json.dumps(
        {"newNonce": "ftp://x/", "newAccount": "https://127.0.0.1:9/", "newOrder": 7}).encode()),
     "is not an ACME directory"),
], ids=["html", "empty-object", "array", "broken", "nothing", "404", "odd-urls"])
def test_not_acme(stage, upstream, respond, sentence):
    ca = stage.keep(OwnServer(stage.new_folder("ca"), respond))
    everseal = stage.everseal(ca, sites=f"site * {{ proxy {upstream.address} }}").start()
    everseal.le("register", "--name", "shop.example.com", "--agree-tos", "--wait").failed(sentence)
    assert everseal.certificate("shop.example.com")["last_error"]["message"]


@pytest.mark.parametrize("step", ["account", "order", "authz", "await", "download"])
def test_html_in_the_middle(stage, pebble, upstream, step):
    gate = stage.gate(pebble)
    gate.hook = lambda seen, answered, number: (
        (200, [("Content-Type", "text/html")], b"<!doctype html><html>maintenance</html>")
        if seen == step and not answered else None)
    everseal = stage.everseal(gate, sites=f"site * {{ proxy {upstream.address} }}").start()
    everseal.le("register", "--name", "shop.example.com", "--agree-tos", "--wait", timeout=120).failed(
        r"web page \(HTML\)|HTML")
    gate.hook = None
    everseal.le("renew", "shop.example.com", "--wait").ok()
    assert gate.accounts == 1


def test_html_after_the_request_costs_no_certificate(stage, pebble, upstream):
    """What became of it is read from the order."""
    gate = stage.gate(pebble)
    gate.hook = lambda seen, answered, number: (
        (200, [("Content-Type", "text/html")], b"<!doctype html><html>maintenance</html>")
        if seen == "finalize" and answered else None)
    everseal = stage.everseal(gate, sites=f"site * {{ proxy {upstream.address} }}").start()
    everseal.register("shop.example.com")
    assert (gate.orders, pebble.issued) == (1, 1)


def test_larger_than_any_answer(stage, upstream):
    ca = stage.keep(OwnServer(stage.new_folder("ca"),
                              page(kind="application/json", body=b'{"a":"' + b"x" * (8 << 20) + b'"}')))
    everseal = stage.everseal(ca, sites=f"site * {{ proxy {upstream.address} }}").start()
    everseal.le("register", "--name", "shop.example.com", "--agree-tos", "--wait").failed(
        "(?i)larger|too long|too large|more than")


MOODS = [
    ("nonce 0, reuse 0", {"nonce_reject": 0, "authz_reuse": 0}, False),
    ("nonce 5, reuse 100", {"nonce_reject": 5, "authz_reuse": 100}, False),
    ("nonce 50", {"nonce_reject": 50, "authz_reuse": 50}, False),
    ("nonce 90", {"nonce_reject": 90, "authz_reuse": 100}, True),
    ("nonce 90, reuse 0", {"nonce_reject": 90, "authz_reuse": 0}, True),
    ("alternate roots", {"alternate_roots": 3}, False),
    ("chain of 3", {"chain_length": 3}, False),
    ("chain of 1", {"chain_length": 1}, True),
    ("nonce 50, chain of 3, alternate roots",
     {"nonce_reject": 50, "chain_length": 3, "alternate_roots": 2, "authz_reuse": 0}, True),
]


@pytest.mark.parametrize("options", [
    pytest.param(options, id=name, marks=[pytest.mark.full] if full else [])
    for name, options, full in MOODS])
def test_moods_of_pebble(stage, upstream, options):
    """Strict mode always; several names, a renewal, a second registration."""
    pebble = stage.pebble(**options)
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}").start()
    everseal.le("register", "--name", "a.example.com", "--name", "b.example.com", "--agree-tos", "--wait",
                timeout=120).ok()
    everseal.le("renew", "a.example.com", "--wait", timeout=120).ok()
    everseal.le("register", "--name", "a.example.com", "--agree-tos", "--wait", timeout=120).ok()
    answer = ask(everseal.https, "b.example.com", secure=True, roots=pebble.roots)
    assert answer.body == b"hello", "the chain leads to Pebble's root"
    assert (pebble.orders, pebble.accounts) == (3, 1)


@pytest.mark.asan
def test_accounts_bound_to_a_contract(stage, upstream):
    key = base64.urlsafe_b64encode(b"a secret of thirty-two bytes ...").rstrip(b"=").decode()
    pebble = stage.pebble(eab={"kid-1": key})
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}")

    def bind(eab):
        everseal.issuer = f"issuer pebble {{ directory {pebble.directory}; trust {pebble.trust}; {eab} }}"
        everseal.write(f"site * {{ proxy {upstream.address} }}")
    bind("")
    everseal.start()
    register = ("register", "--name", "shop.example.com", "--agree-tos", "--wait")
    everseal.le(*register).failed("bound to a contract", "as `eab IDENTIFIER @FILE`")
    secret = everseal.folder / "hmac"
    secret.write_text(key + "\n")
    bind(f"eab kid-2 @{secret}")
    everseal.reload().ok()
    everseal.le("renew", "shop.example.com", "--wait").failed(
        "refused to bind the account", "Compare `eab` in the issuer's block")
    bind(f"eab kid-1 @{secret}")
    everseal.reload().ok()
    everseal.le("renew", "shop.example.com", "--wait").ok()
    assert not is_temporary(everseal.served("shop.example.com"))
    assert pebble.accounts == 1
    assert key not in everseal.log() and key not in everseal.cli("status", "--json").out
