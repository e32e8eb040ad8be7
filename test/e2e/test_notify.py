"""People are told by e-mail, webhook and program: one message for a matter, and one when it is solved."""
import contextlib
import email
import email.policy
import json
import os

import pytest

from api import Api
from authority import server_context, write_certificate
from network import until
from receivers import PASSWORD, MailServer, by_mail, hook, mail, receiver, webhook


@pytest.mark.asan
def test_a_message_by_mail(stage, pebble, mail, tmp_path):
    (tmp_path / "password").write_text(PASSWORD + "\n")
    everseal = stage.everseal(pebble, head=by_mail(mail, f"user robot @{tmp_path}/password")).start()
    outcome = everseal.cli("notify", "test").ok()
    assert "mail ops@example.com: arrived." in outcome.out
    envelope, message = mail.messages[0]
    assert envelope["MAIL"].startswith("MAIL FROM:<everseal@example.com>")
    assert envelope["RCPT"] == "RCPT TO:<ops@example.com>"
    assert mail.signed_in == [("robot", PASSWORD)]
    read = email.message_from_bytes(message, policy=email.policy.default)
    assert (read["To"], read["From"]) == ("ops@example.com", "Everseal <everseal@example.com>")
    assert read["Message-ID"] and read["Date"].datetime
    assert "everseal notify test" in read.get_content()
    for text in (everseal.cli("status", "--json").out, (everseal.folder / "log").read_text()):
        assert PASSWORD not in text


@pytest.mark.asan
def test_mail_by_starttls(stage, pebble, mail, tmp_path):
    """User and password only once it is secured; who cannot secure it is told nothing. (Not every name that leads here
    counts as this machine, where nothing has to be secured.)"""
    server = MailServer(upgrade=server_context(tmp_path))
    server.trust = write_certificate(tmp_path)[0]
    server.extensions = ["mail.test", "STARTTLS", "AUTH PLAIN"]
    head = by_mail(server, f'user robot "{PASSWORD}"').replace("smtps://localhost", "smtp://mail.localhost")
    everseal = stage.everseal(pebble, head=head).start()
    everseal.cli("notify", "test").ok()
    assert [envelope.get("secured") for envelope, _ in server.messages] == [True]
    assert server.signed_in == [("robot", PASSWORD)]
    server.upgrade, server.extensions = None, ["mail.test", "AUTH PLAIN"]
    everseal.cli("notify", "test").failed("offers no TLS, and without it nothing is sent to another machine")
    assert len(server.messages) == len(server.signed_in) == 1
    server.shutdown()
    server.server_close()


def test_why_mail_does_not_arrive(stage, pebble, mail, tmp_path):
    everseal = stage.everseal(pebble, head=by_mail(mail, "user robot wrong")).start()
    everseal.cli("notify", "test").failed("does not take this user and password: 535 5.7.8 who are you")
    mail.refusal = "550 5.1.1 no such mailbox"
    everseal.write(head=by_mail(mail))
    everseal.cli("reload").ok()
    everseal.cli("notify", "test").failed("refused the message: 550 5.1.1 no such mailbox.")
    everseal.write(head=by_mail(mail).replace(f"trust {mail.trust};", ""))
    everseal.cli("reload").ok()
    everseal.cli("notify", "test").failed("is not trusted", "`trust FILE` in the notify block")
    plain = MailServer()
    everseal.write(head=by_mail(mail).replace("smtps://localhost:%d" % mail.port, "smtp://127.0.0.1:%d" % plain.port))
    everseal.cli("reload").ok()
    everseal.cli("notify", "test").ok()
    assert len(plain.messages) == 1, "without TLS on this machine"
    plain.shutdown()
    plain.server_close()
    everseal.cli("notify", "test").failed("refuses connections")


@pytest.mark.asan
def test_a_failure_is_told_once_and_its_end_once(stage, upstream, receiver, mail):
    head = webhook(receiver) + "\n" + by_mail(mail)
    pebble = stage.pebble(start=False)
    everseal = stage.everseal(pebble, head=head, sites=f"site shop.example.com {{ proxy {upstream.address} }}").start()
    until("the failure is told", lambda: receiver.messages and mail.messages, 30)
    first = receiver.messages[0]
    assert (first["event"], first["state"], first["level"]) == ("unreachable", "open", "warning")
    assert "refuses connections" in first["text"]
    everseal.le("renew", "shop.example.com", "--wait").failed("refuses connections")
    everseal.restart()
    everseal.le("renew", "shop.example.com", "--wait").failed("refuses connections")
    assert len(receiver.messages) == 1, "the matter is open still"
    pebble.start()
    everseal.le("renew", "shop.example.com", "--wait").ok()
    until("its end is told", lambda: len(receiver.messages) >= 3 and len(mail.messages) >= 3, 30)
    assert sorted((m["event"], m["state"]) for m in receiver.messages[1:]) == [
        ("renewed", "open"), ("unreachable", "solved")]
    everseal.restart()
    everseal.le("renew", "shop.example.com", "--wait").ok()
    until("the renewal is told", lambda: len(receiver.messages) >= 4, 30)
    assert [m["event"] for m in receiver.messages[3:]] == ["renewed"], "nothing is told twice"
    assert "token-in-path" not in everseal.cli("status", "--json").out


@pytest.mark.asan
def test_a_registration_that_fails(stage, pebble, upstream, receiver):
    """For a reason of its own: the CA does not issue for that name."""
    problem = json.dumps({"type": "urn:ietf:params:acme:error:rejectedIdentifier", "detail": "not this one"}).encode()
    refuse = (400, [("Content-Type", "application/problem+json")], problem)
    gate = stage.gate(pebble, lambda step, answered, number: refuse if step == "order" and not answered else None)
    everseal = stage.everseal(gate, head=webhook(receiver)).start()
    everseal.le("register", "--name", "gone.example.com", "--proxy", upstream.address, "--wait").failed("not this one")
    until("the failure is told", lambda: receiver.messages, 30)
    message = receiver.messages[0]
    assert (message["event"], message["state"], message["name"]) == ("failed", "open", "gone.example.com")
    everseal.le("renew", "gone.example.com", "--wait").failed("not this one")
    assert len(receiver.messages) == 1
    open_ones = everseal.cli("status", "--json").json["notify"]["open"]
    assert [m["event"] for m in open_ones] == ["failed"]
    gate.hook = None
    everseal.le("renew", "gone.example.com", "--wait").ok()
    until("its end is told", lambda: len(receiver.messages) >= 2, 30)
    assert [(m["event"], m["state"]) for m in receiver.messages] == [("failed", "open"), ("failed", "solved")]
    assert everseal.cli("status", "--json").json["notify"]["open"] == []


def test_a_level(stage, pebble, upstream, receiver):
    with hook() as second:
        everseal = stage.everseal(pebble, head=webhook(receiver, "level warning") + "\n" +
                                  webhook(second), sites=f"site * {{ proxy {upstream.address} }}").start()
        everseal.register("shop.example.com")
        until("the certificate is told", lambda: second.messages, 30)
        assert [m["event"] for m in second.messages] == ["renewed"]
        assert second.messages[0]["names"] == ["shop.example.com"] and second.messages[0]["not_after"]
        assert receiver.messages == []


def test_a_webhook_that_is_down_delays_nothing(stage, pebble, upstream, receiver):
    receiver.status = 500
    everseal = stage.everseal(pebble, head=webhook(receiver), sites=f"site * {{ proxy {upstream.address} }}").start()
    everseal.register("shop.example.com")
    target = until("it is said", lambda: [t for t in everseal.cli("status", "--json").json["notify"]["targets"]
                                          if t["last_error"]], 30)[0]
    assert target["last_error"] == "127.0.0.1 answered with status 500; it is taken as received by 200 to 299."
    assert (target["target"], target["waiting"]) == ("webhook 127.0.0.1", 1)
    everseal.logged("A message to webhook 127.0.0.1 did not arrive, it is tried again")
    everseal.cli("notify", "test").failed("answered with status 500")
    assert everseal.served("shop.example.com")


@pytest.mark.asan
def test_what_waits_is_told_after_a_restart(stage, pebble, upstream, receiver):
    receiver.status = 500
    everseal = stage.everseal(pebble, head=webhook(receiver), sites=f"site * {{ proxy {upstream.address} }}").start()
    everseal.register("shop.example.com")
    until("it waits", lambda: [t for t in everseal.cli("status", "--json").json["notify"]["targets"] if t["waiting"]])
    everseal.kill_all()
    receiver.status = 200
    everseal.start()
    until("it is told", lambda: receiver.messages)
    assert [m["event"] for m in receiver.messages] == ["renewed"]
    assert "token-in-path" not in everseal.cli("status", "--json").out


def test_a_program(stage, pebble, tmp_path):
    program, told = tmp_path / "tell", tmp_path / "told"
    told.touch()
    told.chmod(0o666)
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" "$2" "$3" "$4" "$5" > {told}\n')
    program.chmod(0o755)
    run_as = "run-as nobody" if os.geteuid() == 0 else ""
    for folder in [tmp_path, *tmp_path.parents]:
        with contextlib.suppress(OSError):
            if folder.stat().st_uid == os.geteuid() and str(folder) not in ("/", "/tmp"):
                folder.chmod(folder.stat().st_mode | 0o055)
    everseal = stage.everseal(pebble, head=f"notify program {program} word {{ {run_as} }}").start()
    assert f"program {program}: arrived." in everseal.cli("notify", "test").ok().out
    assert told.read_text().splitlines()[:5] == ["word", "test", "problem", "open", "test"]
    program.write_text("#!/bin/sh\necho no such pager\nexit 3\n")
    everseal.cli("notify", "test").failed("failed with status 3. It printed: no such pager")
    program.write_text("#!/bin/sh\necho\nexit 3\n")
    everseal.cli("notify", "test").failed("failed with status 3 and printed nothing. Run it by hand as the same user")


def test_nobody_to_tell(everseal):
    everseal.cli("notify", "test").failed("Nobody is told of anything")
    assert Api(everseal.state).get("/api/notify").ok() == {"targets": [], "open": [], "open_count": 0}


@pytest.mark.parametrize("block, words", [
    ("notify pigeon x { }", 'is no way to tell anybody: write mail, webhook or program'),
    ("notify mail ops@example.com { from a@example.com }", "This `notify mail` has no `server`"),
    ("notify mail ops@example.com { server smtps://m.example.com }", "This `notify mail` has no `from`"),
    ("notify mail ops@example.com { server https://m.example.com; from a@example.com }", "A mail server is written"),
    ("notify webhook http://hooks.example.com/x { secret a }", "A webhook is called by https"),
    ("notify webhook https://hooks.example.com/x", "This `notify webhook` has no `secret`"),
    ("notify webhook https://h.example.com/ { secret a; run-as nobody }", "`run-as` says nothing to a webhook"),
    ("notify program tell { run-as nobody }", "is not an absolute path"),
    ("notify program /bin/true { run-as nobody; level loud }", '"loud" is no level'),
])
def test_a_wrong_block(stage, block, words):
    everseal = stage.everseal(head=block)
    everseal.cli("check").failed(words)
