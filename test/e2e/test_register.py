"""Register: from a name to a certificate that new connections see, without a restart."""
import contextlib
import json
import re
import time

import pytest

from network import ask, is_temporary, names_of, read_answer, request_bytes, served, tls, until


@pytest.mark.asan
def test_by_command(everseal, pebble):
    processes = everseal.children()
    outcome = everseal.register("shop.example.com")
    assert re.search(r"\d+\.\d s  ", outcome.out), outcome.out
    assert "Seen over HTTPS" in outcome.out
    assert names_of(everseal.served("shop.example.com")) == ["shop.example.com"]
    answer = ask(everseal.https, "shop.example.com", secure=True, roots=pebble.roots)
    assert (answer.status, answer.body) == (200, b"hello")
    assert everseal.children() == processes
    certificate = everseal.certificate("shop.example.com")
    for member in ("names", "issuer", "not_after", "next_renewal", "reason", "served", "last_error"):
        assert member in certificate
    assert certificate["last_error"] is None


def test_a_profile_can_be_taken_back(everseal):
    words = ["register", "--name", "shop.example.com", "--wait", "--profile"]
    everseal.le(*words, "tiny").failed('offers no profile "tiny"')
    assert everseal.certificate("shop.example.com")["profile"] == "tiny"
    everseal.le(*words[:-1]).failed('offers no profile "tiny"')  # as it was
    everseal.le(*words, "").ok()
    assert everseal.certificate("shop.example.com")["profile"] == ""
    everseal.restart()
    assert everseal.certificate("shop.example.com")["profile"] == ""
    assert not is_temporary(everseal.served("shop.example.com"))


def test_without_wait_it_returns_when_stored(everseal):
    outcome = everseal.register("shop.example.com", wait=False)
    assert "shop.example.com is registered" in outcome.out
    everseal.wait_served("shop.example.com")


def test_json(everseal):
    outcome = everseal.register("shop.example.com", wait=False, more=["--json"]).json
    assert outcome["id"] and outcome["task"] and outcome["existing"] is False
    everseal.wait_served("shop.example.com")


def test_json_with_wait_prints_an_object_a_line(everseal):
    lines = everseal.register("shop.example.com", more=["--json"]).out.splitlines()
    events = [json.loads(line) for line in lines]
    assert events[0]["task"]
    assert events[-1]["state"] == "Success"
    assert [e["seq"] for e in events[1:]] == list(range(len(events) - 1))
    steps = [e["step"] for e in events[1:]]
    assert steps.index("order") < steps.index("finalize") < steps.index("download")


def test_repetition_orders_nothing(everseal, pebble):
    everseal.register("shop.example.com", "www.shop.example.com")
    serial = everseal.served("shop.example.com").serial_number
    before = pebble.orders
    outcome = everseal.register("shop.example.com", "www.shop.example.com")
    assert pebble.orders == before
    other_order = everseal.register("www.shop.example.com", "shop.example.com", wait=False, more=["--json"])
    assert other_order.json["existing"] is True, "the order of names does not matter"
    assert pebble.orders == before
    assert everseal.served("shop.example.com").serial_number == serial
    assert outcome.status == 0


def test_repetition_after_a_restart_orders_nothing(everseal, pebble):
    everseal.register("shop.example.com")
    everseal.restart()
    everseal.register("shop.example.com", wait=False)
    time.sleep(0.5)
    assert (pebble.orders, pebble.accounts) == (1, 1)


@pytest.mark.asan
def test_by_the_file(stage, pebble, upstream):
    everseal = stage.everseal(pebble, sites=f"site shop.example.com www.shop.example.com "
                                            f"{{ proxy {upstream.address} }}").start()
    certificate = everseal.wait_served("shop.example.com")
    assert names_of(certificate) == ["shop.example.com", "www.shop.example.com"]
    assert ask(everseal.https, "www.shop.example.com", secure=True, roots=pebble.roots).body == b"hello"
    assert pebble.orders == 1


def test_a_file_without_consent_registers_nothing(stage, pebble, upstream):
    everseal = stage.everseal(pebble, agree=False,
                              sites=f"site shop.example.com {{ proxy {upstream.address} }}").start()
    time.sleep(0.5)
    assert is_temporary(everseal.served("shop.example.com"))
    assert pebble.accounts == 0
    everseal.register("shop.example.com")
    assert not is_temporary(everseal.served("shop.example.com"))


def test_by_reload_of_the_file(everseal, pebble, upstream):
    everseal.write(f"site new.example.com {{ proxy {upstream.address} }}")
    everseal.reload().ok()
    everseal.wait_served("new.example.com")


def test_names_at_once(everseal, pebble):
    names = [f"n{i}.example.com" for i in range(20)]
    for name in names:
        everseal.register(name, wait=False)
    for name in names:
        assert names_of(everseal.wait_served(name, seconds=40)) == [name]
    assert (pebble.orders, pebble.accounts) == (20, 1)


def test_proxy_of_its_own(stage, pebble, upstream):
    everseal = stage.everseal(pebble).start()
    everseal.register("app.example.com", more=["--proxy", upstream.address])
    assert ask(everseal.https, "app.example.com", secure=True, roots=pebble.roots).body == b"hello"
    assert ask(everseal.https, "app.example.com", secure=True, roots=pebble.roots).status == 200
    everseal.restart()
    assert ask(everseal.https, "app.example.com", secure=True, roots=pebble.roots).body == b"hello"


def test_address_and_port_of_its_own(stage, pebble, upstream):
    from network import free_port
    port = free_port()
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}").start()
    everseal.register("app.example.com", more=["--address", "127.0.0.1", "--port", port])
    assert not is_temporary(served(port, "app.example.com"))
    assert {"address": "127.0.0.1", "port": port}.items() <= [
        l for l in everseal.status()["listeners"] if l["port"] == port][0].items()


def test_open_connection_lives_on_over_the_swap(everseal):
    with contextlib.closing(tls(everseal.https, "shop.example.com")) as connection:
        connection.sendall(request_bytes("shop.example.com", "/before"))
        assert read_answer(connection).status == 200
        everseal.register("shop.example.com")
        connection.sendall(request_bytes("shop.example.com", "/after"))
        assert read_answer(connection).status == 200
    assert not is_temporary(everseal.served("shop.example.com"))


def test_survives_a_crash_at_once(stage, pebble, upstream):
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}").start()
    everseal.register("shop.example.com", wait=False)
    everseal.kill_all()
    everseal.start()
    everseal.wait_served("shop.example.com")
    assert pebble.accounts == 1


def test_restart_serves_what_is_stored_without_the_ca(everseal, pebble):
    everseal.register("shop.example.com")
    serial = everseal.served("shop.example.com").serial_number
    everseal.stop()
    pebble.pause()
    everseal.start()
    assert everseal.served("shop.example.com").serial_number == serial


def test_status_for_people(everseal):
    everseal.register("shop.example.com")
    text = everseal.cli("status").ok().out
    for word in ("Listeners", "Sites", "Certificates", "Fences", "shop.example.com", "pebble",
                 str(everseal.https)):
        assert word in text
    one = everseal.le("status", "shop.example.com").ok().out
    assert "shop.example.com" in one and re.search("21 days are left|lifetime|the CA suggests it", one)


def test_status_of_an_unknown_name(everseal):
    everseal.le("status", "nobody.example.com").failed(r"There is no certificate for nobody.example.com")


def test_disable_and_again(everseal, pebble):
    everseal.register("shop.example.com")
    serial = everseal.served("shop.example.com").serial_number
    everseal.le("disable", "shop.example.com").ok()
    assert everseal.served("shop.example.com").serial_number == serial
    assert everseal.certificate("shop.example.com")["next_renewal"] is None
    everseal.le("renew", "shop.example.com").failed("disabled: register it again")
    everseal.le("disable", "shop.example.com").ok()
    everseal.restart()
    assert everseal.certificate("shop.example.com")["next_renewal"] is None
    everseal.register("shop.example.com")
    assert everseal.certificate("shop.example.com")["next_renewal"]
    assert pebble.orders == 1


def test_a_failing_name_delays_no_other(stage, pebble, upstream):
    def hook(step, answered, number):
        return None
    gate = stage.gate(pebble, hook)
    everseal = stage.everseal(gate, sites=f"site * {{ proxy {upstream.address} }}").start()
    # Pebble asks the resolver, which sends every name here; this one is refused by policy of the test.
    gate.hook = lambda step, answered, number: (
        (403, [("Content-Type", "application/problem+json")],
         b'{"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"not this one"}')
        if step == "order" and number == 1 and not answered else None)
    failing = everseal.le("register", "--name", "bad.example.com", "--agree-tos", "--wait")
    failing.failed("not this one", "Choose a name that this CA issues certificates for")
    everseal.register("good.example.com")
    bad = everseal.certificate("bad.example.com")
    assert "not this one" in bad["last_error"]["message"] and bad["next_renewal"]
