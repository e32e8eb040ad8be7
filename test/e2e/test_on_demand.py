"""Certificates on demand: a name that a handshake brings gets one while it waits, if patterns, the application and
the budget say yes; and strangers who make names up get nowhere."""
import collections
import concurrent.futures
import contextlib
import http.server
import socket
import ssl
import threading
import time
import urllib.parse

import pytest

from network import ask, free_port, is_temporary, names_of, served, until

SHOP = "a.shops.example.com"


class Application:
    """Says whether a name may have a certificate: by `says`, a status or a function of the name."""
    name = "application"

    def __init__(self):
        self.asked, self.says, self.go = [], 200, threading.Event()
        self.go.set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
                outer.asked.append(query)
                outer.go.wait(20)
                status = outer.says(query["name"][0]) if callable(outer.says) else outer.says
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/may?key=K"

    def names(self):
        return [q["name"][0] for q in self.asked]

    def stop(self):
        self.go.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def application(stage):
    return stage.keep(Application())


@pytest.fixture
def pebble(stage):
    return stage.pebble(nonce_reject=0)


def site(upstream_port, *lines):
    return f"site * {{ proxy 127.0.0.1:{upstream_port}; on-demand {{ {'; '.join(lines)} }} }}\n"


@pytest.fixture
def house(stage, pebble, application):
    upstream = stage.upstream()
    everseal = stage.everseal(pebble, sites=site(upstream.port, f"ask {application.url}",
                                                 "allow *.shops.example.com"))
    everseal.upstream = upstream
    return everseal.start()


def demands(house):
    return house.status()["on_demand"]


def orders(house):
    return len([c for c in house.status()["certificates"] if c["on_demand"]])


def refused(house, name):
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME|unrecognized name"):
        served(house.https, name)


def handshake(house, name, timeout=40):
    """The certificate, or the error."""
    try:
        plain = socket.create_connection(("127.0.0.1", house.https), timeout=timeout)
        context = ssl._create_unverified_context()
        with context.wrap_socket(plain, server_hostname=name) as s:
            return s.getpeercert(binary_form=True)
    except OSError as e:
        return e


@contextlib.contextmanager
def waiting(house, name, count=1):
    """Handshakes that stand still; gives futures of handshake()."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        yield [pool.submit(handshake, house, name) for _ in range(count)]


@pytest.mark.asan
def test_the_first_handshake_gets_it(house, application):
    certificate = served(house.https, SHOP)
    assert names_of(certificate) == [SHOP] and not is_temporary(certificate)
    assert application.asked == [{"key": ["K"], "name": [SHOP], "client": ["127.0.0.1"]}]
    answer = ask(house.https, SHOP, secure=True)
    assert (answer.status, answer.body) == (200, b"hello")
    mine = house.certificate(SHOP)
    assert mine["on_demand"] and mine["state"] in ("ok", "working") and mine["email"] == "ops@example.com"
    assert "on demand" in house.cli("status").ok().out
    assert served(house.https, SHOP).serial_number == certificate.serial_number
    assert not [s for s in house.status()["sites"] if SHOP in s["names"]], "site * serves it"
    house.restart()
    assert served(house.https, SHOP).serial_number == certificate.serial_number
    assert len(application.asked) == 1


@pytest.mark.asan
def test_who_is_not_wanted_is_served_as_without(house, application):
    application.says = 404
    for _ in range(3):
        assert is_temporary(served(house.https, SHOP))
    assert application.names() == [SHOP], "the answer is remembered"
    assert ask(house.https, SHOP, secure=True).body == b"hello"
    assert orders(house) == 0


def test_names_that_nobody_is_asked_about(house, application):
    for name in ("shop", "other.example.com", "x.y.shops.example.com", "a_b.shops.example.com",
                 "shops.example.com", "127.0.0.1", None):
        assert is_temporary(served(house.https, name)), name
    assert application.asked == [] and demands(house)["questions"] == 0


@pytest.mark.asan
def test_many_who_wait_for_one_name(house, application):
    application.go.clear()
    with waiting(house, SHOP, count=8) as all_of_them:
        until("the application is asked", lambda: application.asked)
        time.sleep(0.5)  # whoever would be asked about twice is by now
        application.go.set()
        certificates = {f.result() for f in all_of_them}
    assert len(certificates) == 1 and isinstance(certificates.pop(), bytes)
    assert demands(house)["questions"] == 1 and len(application.asked) == 1


@pytest.mark.asan
def test_an_application_that_is_down(house, application):
    application.says = 503
    refused(house, SHOP)
    house.logged("127.0.0.1, which `on-demand` asks, cannot say whether names may have a certificate, "
                 "handshakes for new ones are refused: it answered with status 503")
    application.stop()
    refused(house, "b.shops.example.com")
    assert orders(house) == 0 and "key=K" not in house.log()


def test_the_budget(stage, pebble, application):
    house = stage.everseal(pebble, sites=site(9, "allow *.shops.example.com", "budget 2/h")).start()
    for name in ("a", "b"):
        assert not is_temporary(served(house.https, f"{name}.shops.example.com"))
    refused(house, "c.shops.example.com")
    sentence = (r"`on-demand` of site \* has ordered for 2 names within an hour, which is its budget: handshakes "
                r"for further names are refused until \S+\. If those names are yours, raise `budget` in its block")
    house.logged(sentence.replace(r"\. If", r"\.?\s*If"))
    assert [(s["site"], s["budget"], s["used"]) for s in demands(house)["sites"]] == [("*", 2, 2)]
    house.restart()
    refused(house, "d.shops.example.com")
    assert not is_temporary(served(house.https, "a.shops.example.com")), "what has one is served"
    assert orders(house) == 2


@pytest.mark.asan
def test_a_proof_that_fails(stage, pebble):
    """The CA asks on ports where nobody answers."""
    plain, secure = free_port(), free_port()
    house = stage.everseal(pebble, listeners=f"http 127.0.0.1:{plain}\nhttps 127.0.0.1:{secure}",
                           sites=site(9, "allow *.shops.example.com"))
    house.https = secure
    house.start()
    assert is_temporary(served(secure, SHOP))
    until("nothing is left of it", lambda: orders(house) == 0)
    assert is_temporary(served(secure, SHOP))
    assert demands(house)["sites"][0]["used"] == 1, "it is not tried again"


def test_a_wildcard_site(stage, pebble, application):
    upstream = stage.upstream()
    house = stage.everseal(pebble, sites=(
        f"site shops.example.com *.shops.example.com {{ proxy 127.0.0.1:{upstream.port}; "
        f"on-demand {{ ask {application.url} }} }}\n")).start()
    house.wait_served("shops.example.com")
    assert names_of(served(house.https, SHOP)) == [SHOP]
    assert application.names() == [SHOP]
    assert ask(house.https, SHOP, secure=True).body == b"hello"


# ---- what happens meanwhile ----

@pytest.mark.asan
def test_a_reload_while_it_waits(house, application):
    application.go.clear()
    with waiting(house, SHOP) as (one,):
        until("the application is asked", lambda: application.asked)
        house.write(site(house.upstream.port, f"ask {application.url}", "allow *.other.example.com"))
        house.reload().ok()
        application.go.set()
        certificate = one.result()
    assert isinstance(certificate, bytes) and orders(house) == 0
    assert is_temporary(served(house.https, SHOP))
    assert not is_temporary(served(house.https, "a.other.example.com"))


@pytest.mark.asan
def test_who_hangs_up_while_he_waits(house, application):
    application.go.clear()
    plain = socket.create_connection(("127.0.0.1", house.https))
    hello = client_hello(SHOP)
    plain.sendall(hello)
    until("the application is asked", lambda: application.asked)
    plain.close()
    application.go.set()
    house.wait_served(SHOP)
    assert len(application.asked) == 1


@pytest.mark.asan
def test_control_dies_while_it_waits(house, application):
    application.go.clear()
    with waiting(house, SHOP) as (one,):
        until("the application is asked", lambda: application.asked)
        before = house.kill("control")
        assert isinstance(one.result(), ssl.SSLError)
    house.wait_back("control", before, seconds=10)
    application.go.set()
    house.wait_serving()
    until("it is issued", lambda: isinstance(c := handshake(house, SHOP), bytes) and c and orders(house) == 1,
          seconds=30, every=0.5)


@pytest.mark.asan
def test_serve_dies_while_it_waits(house, application):
    application.go.clear()
    with waiting(house, SHOP) as (one,):
        until("the application is asked", lambda: application.asked)
        before = house.kill("serve")
        assert isinstance(one.result(), OSError)
    house.wait_back("serve", before, seconds=10)
    application.go.set()
    house.wait_served(SHOP, seconds=30)
    assert len(application.asked) == 1


# ---- strangers ----

def client_hello(name):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl._create_unverified_context().wrap_bio(incoming, outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def flood(house, count, patience):
    """So many names from many addresses; how each handshake began: b"" for one that waits, else an alert's byte or
    22 (the server's hello). Those that wait are held. `patience`: seconds after which one waits, once as many
    are held as may wait; a place that comes free costs as much."""
    template = client_hello("x0000000.shops.example.com")
    seen, held = collections.Counter(), []
    for i in range(count):
        s = socket.socket()
        s.bind((f"127.{1 + (i >> 16)}.{i >> 8 & 255}.{i & 255}", 0))
        s.connect(("127.0.0.1", house.https))
        s.sendall(template.replace(b"x0000000", b"x%07d" % i))
        s.settimeout(0.02 if len(held) < 256 else patience)
        try:
            seen[s.recv(1)] += 1
            s.close()
        except TimeoutError:
            seen[b""] += 1
            held.append(s)
        if len(held) > 600:
            held.pop(0).close()
    return seen, held


def is_bounded(house, application, count, patience):
    application.go.clear()
    application.says = 404
    most, over = 0, threading.Event()

    def watch():
        nonlocal most
        while not over.wait(0.2):
            most = max(most, demands(house)["under_way"])
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        seen, held = flood(house, count, patience)
    finally:
        over.set()
        watcher.join()
        application.go.set()
    assert set(seen) <= {b"", b"\x15"} and sum(seen.values()) == count
    assert seen[b"\x15"] > count // 2, seen
    assert 0 < most <= 256
    until("all is over", lambda: demands(house)["under_way"] == 0, seconds=60)
    for s in held:
        s.close()
    assert orders(house) == 0 and demands(house)["sites"][0]["used"] == 0
    application.says = 200
    assert not is_temporary(house.wait_served("wanted.shops.example.com", seconds=60))
    return seen


def test_names_that_strangers_make_up(house, application):
    seen = is_bounded(house, application, 2000, patience=5)
    assert seen[b""] <= 256
    assert demands(house)["questions"] <= 256 + 10


@pytest.mark.full
def test_very_many_names_that_strangers_make_up(house, application):
    is_bounded(house, application, 100_000, patience=0.02)


def test_an_address_brings_few(stage, pebble, application):
    house = stage.everseal(pebble, head="workers 1", sites=site(9, f"ask {application.url}")).start()
    application.says = 404
    results = [handshake(house, f"x{i}.example.com") for i in range(40)]
    # One more every ten seconds.
    assert 10 <= sum(isinstance(r, bytes) for r in results) < 40
    assert 10 <= len(application.asked) < 40 and isinstance(results[-1], ssl.SSLError)
