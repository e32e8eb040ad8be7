"""kill -9 of each process at every step of the ACME table, in issue and in renewal, with and without the
CA's answer having arrived. Afterwards: exactly one account, every certificate, nothing ordered twice
without need."""
import threading
import time

import pytest

from api import Api
from authority import Gate
from network import Upstream, free_port, raw, until

STEPS = ("directory", "account", "order", "authz", "answer", "await", "finalize", "download")
PROCESSES = ("control", "fetch", "serve", "supervisor")


class Killer:
    """Kills a process once, at a step: before the CA hears the message, or once it has answered."""

    def __init__(self, everseal, process, step, after):
        self.everseal, self.process, self.step, self.after = everseal, process, step, after
        self.spent, self.hit = False, threading.Event()

    def __call__(self, step, answered, number):
        if step != self.step or answered != self.after or self.spent or not self.everseal.process:
            return
        self.spent = True
        self.everseal.kill(self.process)
        self.hit.set()
        if not self.after:
            raise Gate.Lost


def start_anew(everseal, gate, killer):
    """Both the directory and the account are known since the issue: a new start asks anew, of itself or for
    the renewal. A supervisor that is killed by that is started once more."""
    everseal.stop()
    gate.hook = killer
    everseal.start(wait=False)
    if killer.hit.wait(2) and killer.process == "supervisor":
        everseal.process.wait()
        everseal.start(wait=False)
    everseal.wait_serving()


def states_of_tasks(everseal):
    return [task["State"] for task in Api(everseal.state).get("/api/tasks").ok()["Items"]]


def cases():
    """All in ./check --full; in ./check those where most is at stake."""
    for phase in ("issue", "renewal"):
        for process in PROCESSES:
            for step in STEPS:
                for after in (False, True):
                    at_stake = after and ((process == "control" and phase == "issue") or
                                          (process == "fetch" and step == "order") or
                                          (process == "supervisor" and step == "finalize") or
                                          (process == "serve" and step == "answer"))
                    yield pytest.param(phase, process, step, after,
                                       marks=[] if at_stake else [pytest.mark.full],
                                       id=f"{phase}-{process}-{step}-{'after' if after else 'before'}")


@pytest.mark.parametrize("phase, process, step, after", cases())
def test_kill(stage, upstream, phase, process, step, after):
    pebble = stage.pebble(nonce_reject=5, authz_reuse=0)
    gate = stage.gate(pebble)
    everseal = stage.everseal(gate, sites=f"site * {{ proxy {upstream.address} }}").start()
    killer = Killer(everseal, process, step, after)
    first = None
    if phase == "issue":
        gate.hook = killer
        everseal.register("shop.example.com", wait=False)
    else:
        everseal.register("shop.example.com")
        first = everseal.served("shop.example.com").serial_number
        if step in ("directory", "account"):
            start_anew(everseal, gate, killer)
        gate.hook = killer
        everseal.le("renew", "shop.example.com")
    # A step that is not taken in this phase (the directory is fresh, the account known) hits nothing.
    taken = killer.hit.wait(8 if phase == "issue" else 3)
    if phase == "issue":
        assert taken, f"{step} was never reached"
    if process == "supervisor" and taken:
        time.sleep(0.3)
        if everseal.process.poll() is not None:
            everseal.start()
    everseal.wait_served("shop.example.com", seconds=30, other_than=first)
    until("nothing is under way", lambda: not everseal.certificate("shop.example.com")["last_error"], 10)
    wanted = 1 if phase == "issue" else 2
    print(f"hit={taken} orders={gate.orders} accounts={gate.accounts} issued={pebble.issued}")
    assert gate.accounts == 1
    # Two orders are needed where the answer to the first one was lost, so that nobody knows it, or
    # where nobody answered the CA's question, so that the first one is invalid. One certificate each.
    lost = step == "order"
    unanswered = step == "answer" and after and process in ("serve", "supervisor")
    assert wanted <= pebble.orders <= wanted + (taken and (lost or unanswered))
    assert pebble.issued == wanted
    # No death counts as a failure, and so none waits for the next attempt.
    assert set(states_of_tasks(everseal)) <= {"Executing", "Success"}


@pytest.mark.parametrize("process, after", [
    pytest.param(process, after, id=f"{process}-{'after' if after else 'before'}",
                 marks=[] if process == "control" else [pytest.mark.full])
    for process in ("control", "fetch", "supervisor") for after in (False, True)])
def test_kill_while_the_account_gets_another_key(stage, upstream, process, after):
    """One account, and one key that it is known by: what is asked for afterwards is issued."""
    pebble = stage.pebble(nonce_reject=5, authz_reuse=0)
    gate = stage.gate(pebble)
    everseal = stage.everseal(gate, sites=f"site * {{ proxy {upstream.address} }}").start()
    everseal.register("shop.example.com")
    first = everseal.served("shop.example.com").serial_number
    gate.hook = killer = Killer(everseal, process, "rollover", after)
    everseal.cli("issuer", "rollover", "pebble")
    assert killer.hit.wait(20), "the CA was never asked for it"
    if process == "supervisor":
        everseal.process.wait()
        everseal.start()
    everseal.wait_serving()
    everseal.wait_served("shop.example.com", 30)
    assert everseal.served("shop.example.com").serial_number == first
    everseal.register("www.example.com")
    until("the account's key is another one", lambda: gate.count("rollover", 200) == 1)
    everseal.restart()
    everseal.register("third.example.com")
    assert (gate.accounts, pebble.accounts, pebble.issued) == (1, 1, 3)


class Road(Upstream):
    """The way from the CA to Everseal's port for plain HTTP; `toll` is called for each question on it,
    and if it says so the question is lost with its connection."""

    def __init__(self, port, to, toll):
        self.to, self.toll = to, toll
        super().__init__(script=self.pass_on, port=port)

    def pass_on(self, connection, _):
        question, _ = self.hear(connection)
        if question and not self.toll():
            connection.sendall(raw(self.to, question.head))


@pytest.fixture
def asked(stage, upstream):
    """An Everseal, its CA, and a list: each element is a question of the CA that serve will die of. The CA
    reaches it by HTTP only."""
    pebble = stage.pebble(authz_reuse=0)
    port, deaths, one_by_one = free_port(), [], threading.Lock()
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}", listeners=(
        f"http 127.0.0.1:{port}\nhttps 127.0.0.1:{free_port()}"))

    def die():
        with one_by_one:
            if not deaths:
                return False
            deaths.pop()
            everseal.wait_back("serve", everseal.kill("serve"))
            return True

    stage.keep(Road(pebble.http, port, die))
    yield everseal.start(), pebble, deaths
    with one_by_one:  # what is dying is back, and nothing dies of questions that come late
        deaths.clear()


def test_serve_dies_of_the_question(asked):
    everseal, pebble, deaths = asked
    deaths.append(1)
    done = everseal.register("shop.example.com")
    assert "failed, and begins anew" in done.out
    assert pebble.orders == 2
    assert states_of_tasks(everseal) == ["Success"]


def test_serve_dies_of_every_question(asked):
    everseal, pebble, deaths = asked
    deaths.extend(range(20))
    everseal.register("shop.example.com", wait=False)
    until("the attempt has failed", lambda: everseal.certificate("shop.example.com")["failures"], 30)
    assert pebble.orders == 2
    assert states_of_tasks(everseal) == ["Failed"]
