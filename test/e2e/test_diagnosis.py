"""Diagnosis of a name: a DNS server of our own says where it leads, real servers are there or not."""
import contextlib
import http.server
import json
import re
import socket
import socketserver
import subprocess
import threading

import dnslib
import pytest

from api import Api
from network import free_port, until

NAME = "shop.example.com"


class Names:
    """A resolver on loopback. records: {(name, type): [text, …]}; a text may be SERVFAIL, SILENT or
    NXDOMAIN. Everything else is NXDOMAIN, or no such record."""

    def __init__(self):
        self.records, self.asked, self.ttl = {}, [], 60
        owner = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                data, sock = self.request
                answer = owner.answer(data)
                if answer:
                    sock.sendto(answer, self.client_address)

        class Tcp(socketserver.BaseRequestHandler):
            def handle(self):
                size = int.from_bytes(self.request.recv(2), "big")
                answer = owner.answer(self.request.recv(size), cut=False)
                self.request.sendall(len(answer).to_bytes(2, "big") + answer)

        self.port = free_port()
        self.udp = socketserver.ThreadingUDPServer(("127.0.0.1", self.port), Udp)
        self.tcp = socketserver.ThreadingTCPServer(("127.0.0.1", self.port), Tcp)
        for server in (self.udp, self.tcp):
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def set(self, name, **types):
        for kind, values in types.items():
            self.records[name, kind] = values if isinstance(values, list) else [values]
        return self

    def answer(self, data, cut=True):
        question = dnslib.DNSRecord.parse(data)
        name = str(question.q.qname).rstrip(".").lower()
        kind = {1: "A", 5: "CNAME", 16: "TXT", 28: "AAAA", 257: "CAA"}.get(question.q.qtype, "?")
        self.asked.append((name, kind))
        reply = question.reply()
        values = self.records.get((name, kind), [])
        if values == ["SILENT"]:
            return None
        if values == ["SERVFAIL"]:
            reply.header.rcode = 2
        elif values and values[0] == "CUT" and cut:
            reply.header.tc = 1
        elif not any(known == name for known, _ in self.records):
            reply.header.rcode = 3
        else:
            for value in values:
                if value == "CUT":
                    continue
                if kind == "CAA":
                    flags, tag, text = value.split(" ", 2)
                    data = bytes([int(flags), len(tag)]) + tag.encode() + text.encode()
                    reply.add_answer(dnslib.RR(name, 257, rdata=dnslib.RD(data)))
                else:
                    reply.add_answer(*dnslib.RR.fromZone(f"{name}. {self.ttl} {kind} {value}"))
        return reply.pack()

    def stop(self):
        for server in (self.udp, self.tcp):
            server.shutdown()
            server.server_close()


@pytest.fixture
def names():
    server = Names()
    yield server
    server.stop()


class Redirecting:
    """A web server on a port of its own; `location` is given the request's path."""

    def __init__(self, port, location, status=302, host="127.0.0.1"):
        self.asked = []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                owner.asked.append((self.headers["Host"], self.path))
                where = location(self.path, len(owner.asked))
                self.send_response(status if where else 200)
                if where:
                    self.send_header("Location", where)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((host, port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def house(stage, names, sites=f"site {NAME} {{ proxy 127.0.0.1:9 }}", **more):
    return stage.everseal(sites=sites, head=f"resolver 127.0.0.1:{names.port}", **more)


def diagnose(everseal, name=NAME):
    outcome = everseal.le("diagnose", name, "--json")
    assert outcome.status in (0, 1), outcome.err
    run = outcome.json
    assert run["done"] and run["outcome"] == ("fail" if outcome.status else "pass"), run
    return run


def findings(run, area, state=None):
    return [f for f in run["findings"] if f["area"] == area and state in (None, f["state"])]


def one(run, area, state, sentence, fix=None):
    """There is a finding of that state whose sentence (and fix) fit."""
    for finding in findings(run, area, state):
        if re.search(sentence, finding["sentence"]) and (not fix or re.search(fix, finding["fix"] or "")):
            return finding
    raise AssertionError(f"no {state} of {area} with {sentence!r}, {fix!r}: {json.dumps(run['findings'], indent=1)}")


def test_this_very_server_answers(stage, names):
    names.set(NAME, A="127.0.0.1")
    everseal = house(stage, names).start()
    run = diagnose(everseal)
    assert run["name"] == NAME and run["outcome"] == "pass"
    found = one(run, "dns", "ok", r"^This very server answers on port \d+: our own nonce came back in \d+ ms\.$")
    assert found["subject"] == "127.0.0.1" and found["what"] == "A 127.0.0.1"
    assert "our nonce came back" in found["proof"] and f"http://{NAME}:{everseal.http}/" in found["proof"]
    one(run, "port80", "ok", rf"^127\.0\.0\.1:{everseal.http}\. Challenges are answered before every redirect\.$")
    one(run, "redirects", "ok", "answers at once; no CDN in between")
    one(run, "caa", "ok", f"DNS has no CAA record for {NAME} or above it: every authority may issue")
    one(run, "firewall", "unseen", "This machine cannot see the router's rules", "Allow TCP 80 and 443")
    one(run, "firewall", "unseen", "can be read by root only", "nft list ruleset")
    one(run, "port443", "ok", "Serves the temporary certificate until the name is registered")
    one(run, "hsts", "ok", f"Neither sent nor preloaded for {NAME} or example.com")
    assert (NAME, "AAAA") in names.asked and ("com", "CAA") in names.asked
    log = everseal.log()
    assert "acme-challenge" in log


def test_the_command_speaks_to_people(stage, names):
    names.set(NAME, A="127.0.0.1")
    everseal = house(stage, names).start()
    said = everseal.le("diagnose", NAME).ok().out
    for words in ("DNS\n", "  OK: A 127.0.0.1\n", "    This very server answers", "Cannot see from here: Firewall here",
                  "    Do: Allow TCP 80 and 443 from anywhere", f"Nothing that was seen would stop {NAME}"):
        assert words in said, said
    everseal.le("diagnose").failed("Say which name: `everseal lets-encrypt diagnose shop.example.com`", status=2)
    everseal.le("diagnose", "http://shop.example.com/").failed("shop.example.com")


def test_a_name_that_is_not_in_dns(stage, names):
    everseal = house(stage, names).start()
    run = diagnose(everseal)
    assert run["outcome"] == "fail"
    found = one(run, "dns", "problem", "^DNS has no address for it, seen from here. Registering fails until there is one",
                "add an A record for shop.example.com")
    assert "no-name" in found["proof"]
    one(run, "redirects", "unseen", "No address answered")


def test_an_alias_that_leads_nowhere(stage, names):
    names.set("gone.example.net", X="x")
    everseal = house(stage, names).start()
    names.records[NAME, "A"] = names.records[NAME, "AAAA"] = []
    answer = names.answer

    def with_alias(data, cut=True):
        reply = dnslib.DNSRecord.parse(answer(data, cut))
        if str(reply.q.qname) == f"{NAME}.":
            reply.add_answer(*dnslib.RR.fromZone(f"{NAME}. 60 CNAME gone.example.net."))
        return reply.pack()
    names.answer = with_alias
    one(diagnose(everseal), "dns", "problem", "It is an alias of gone.example.net, which has none",
        "Give gone.example.net an address")


@pytest.mark.parametrize("values, area, state, sentence", [
    ("SERVFAIL", "dns", "problem", "DNS answers SERVFAIL when asked for AAAA of shop.example.com"),
    ("SILENT", "dns", "unseen", "the resolver did not answer in time"),
])
def test_dns_that_fails_is_told_from_silence(stage, names, values, area, state, sentence):
    names.set(NAME, A="127.0.0.1", AAAA=values)
    one(diagnose(house(stage, names).start()), area, state, sentence)


@pytest.mark.parametrize("cname, sentence, fix", [
    ("TARGET", "Its CNAME is right, but nobody answers for the zone", "open port 53"),
    ("x.example.org.", "Its CNAME leads to x.example.org, not to the zone", "Correct it to this record"),
    ("SERVFAIL", "DNS answers SERVFAIL: the domain's name servers", "repaired"),
])
def test_a_delegated_zone_that_is_not_reached(stage, names, cname, sentence, fix):
    """Where nobody answers behind the CNAME, it is looked at itself."""
    record = f"_acme-challenge.{NAME}"
    names.set(NAME, A="127.0.0.1")
    everseal = stage.everseal(sites=f"site {NAME} {{ proxy 127.0.0.1:9 }}", head=f"resolver 127.0.0.1:{names.port}\n"
                              f"dns-challenge {{ delegated acme.example.net; listen 127.0.0.1:{free_port()} }}").start()
    missing = one(diagnose(everseal), "dns", "problem", "No CNAME leads from there", f"{record}. CNAME ")
    target = re.search(r"CNAME (\S+)$", missing["fix"])[1]
    names.set(record, TXT="SERVFAIL", CNAME=cname.replace("TARGET", target))
    found = one(diagnose(everseal), "dns", "problem", sentence, fix)
    assert found["subject"] == record


def test_a_long_answer_comes_by_tcp(stage, names):
    names.set(NAME, A=["CUT", "127.0.0.1"])
    one(diagnose(house(stage, names).start()), "dns", "ok", "This very server answers")


def test_broken_ipv6(stage, names):
    """Everseal listens on 127.0.0.1 only: ::1 refuses."""
    names.set(NAME, A="127.0.0.1", AAAA="::1")
    run = diagnose(house(stage, names).start())
    assert run["outcome"] == "fail" and "would fail" in run["sentence"]
    one(run, "dns", "ok", "This very server answers")
    found = one(run, "dns", "problem", r"Refuses connections on port \d+\. pebble tries IPv6 first and would fail|"
                r"Refuses connections on port \d+\. .* tries IPv6 first and would fail",
                "Repair IPv6 on this machine or in the router, or remove the AAAA record")
    assert found["subject"] == "::1"


def test_a_closed_port(stage, names):
    names.set(NAME, A="127.0.0.2")
    run = diagnose(house(stage, names).start())
    one(run, "dns", "problem", r"Refuses connections on port \d+\.", r"Open TCP port \d{4,5} ")
    one(run, "port443", "warning", "does not show a certificate on port")


def test_another_server_answers(stage, names, tmp_path):
    """A real nginx has the port on another address."""
    names.set(NAME, A="127.0.0.3")
    everseal = house(stage, names).start()
    config = tmp_path / "nginx.conf"
    config.write_text(f"daemon off; error_log stderr; pid {tmp_path}/pid; events {{}}\n"
                      f"http {{ access_log off; client_body_temp_path {tmp_path}/b; proxy_temp_path {tmp_path}/p;"
                      f" fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;"
                      f" server {{ listen 127.0.0.3:{everseal.http}; return 404; }} }}\n")
    nginx = subprocess.Popen(["nginx", "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        until("nginx listens", lambda: connects("127.0.0.3", everseal.http))
        run = diagnose(everseal)
        one(run, "dns", "problem", r"^Another server answers on port \d+ \(status 404, nginx/[^)]+\), not this server",
            "Point the A record to this machine")
    finally:
        nginx.terminate()
        nginx.wait()


def connects(host, port):
    with contextlib.suppress(OSError):
        socket.create_connection((host, port), 1).close()
        return True


@pytest.mark.parametrize("location, status, sentence", [
    (lambda e: lambda path, n: f"http://{NAME}:{e.http}{path}?{n}", 302, "more than 10 redirects"),
    (lambda e: lambda path, n: f"http://{NAME}:{e.http}{path}", 301, "go in a circle"),
    (lambda e: lambda path, n: f"http://{NAME}:9{path}", 302, "follows to port .* only"),
    (lambda e: lambda path, n: "/", 302, "token is lost"),
    (lambda e: lambda path, n: "ftp://example.com/x", 302, "neither http nor https"),
    (lambda e: lambda path, n: f"http://{NAME}:{e.http}{path}?1", 303, "Status 303 is a redirect that .* does not follow"),
    (lambda e: lambda path, n: f"http://elsewhere.example.net:{e.http}{path}", 302, "for which DNS has no address"),
    (lambda e: lambda path, n: f"http://inner.example.net:{e.http}{path}", 302, "not public and whose name is not configured"),
])
def test_redirects_that_a_ca_does_not_follow(stage, names, location, status, sentence):
    names.set(NAME, A="127.0.0.4").set("inner.example.net", A="127.0.0.1")
    everseal = house(stage, names).start()
    server = Redirecting(everseal.http, location(everseal), status, host="127.0.0.4")
    try:
        run = diagnose(everseal)
        assert run["outcome"] == "fail"
        one(run, "redirects", "problem", sentence, "answered without a redirect")
        one(run, "dns", "problem", "Answers with a redirect that a certificate authority cannot follow")
        assert len(server.asked) <= 12
    finally:
        server.stop()


def test_a_redirect_that_leads_here(stage, names):
    names.set(NAME, A="127.0.0.5").set("www.example.com", A="127.0.0.1")
    everseal = house(stage, names, sites=f"site {NAME} www.example.com {{ proxy 127.0.0.1:9 }}").start()
    server = Redirecting(everseal.http, lambda path, n: f"//www.example.com:{everseal.http}{path}", host="127.0.0.5")
    try:
        run = diagnose(everseal)
        one(run, "redirects", "ok", "leads to http://www.example.com:.* follows up to 10")
        one(run, "dns", "ok", "our own nonce came back in .*, after redirects")
    finally:
        server.stop()


def test_only_the_nonce_is_asked_for_and_only_there(stage, names):
    """Names that are not configured here are asked at public addresses only."""
    names.set("inner.example.net", A=["127.0.0.6", "10.1.2.3"])
    everseal = house(stage, names).start()
    server = Redirecting(everseal.http, lambda path, n: None, host="127.0.0.6")
    try:
        run = diagnose(everseal, "inner.example.net")
        assert not server.asked
        for address in ("127.0.0.6", "10.1.2.3"):
            assert any(f["subject"] == address and "it was not asked" in f["sentence"] for f in findings(run, "dns", "unseen"))
    finally:
        server.stop()


@pytest.mark.parametrize("records, state, sentence", [
    (["0 issue ;"], "unseen", "does not say by which name CAA records know it"),
    (["128 tbs x"], "problem", 'Has a critical record "tbs" that authorities do not know'),
    (["0 iodef mailto:a@example.com"], "ok", "restrict nobody"),
    (["SERVFAIL"], "problem", "cannot be read: DNS answers SERVFAIL"),
])
def test_caa(stage, names, records, state, sentence):
    names.set(NAME, A="127.0.0.1").set("example.com", CAA=records)
    found = one(diagnose(house(stage, names).start()), "caa", state, sentence)
    assert found["what"] == "example.com"


def test_clock_by_the_ca(stage, names, pebble):
    names.set(NAME, A="127.0.0.1")
    run = diagnose(house(stage, names, ca=pebble).start())
    assert findings(run, "clock")[0]["state"] in ("ok", "unseen")
    everseal = house(stage, names).start()
    one(diagnose(everseal), "clock", "unseen", "nobody did not answer: ", "date -u")


def test_ten_a_minute(stage, names):
    names.set(NAME, A="127.0.0.1")
    everseal = house(stage, names).start()
    for _ in range(10):
        diagnose(everseal)
    everseal.le("diagnose", NAME).failed(r"Ten diagnoses a minute are as many as one may run: wait \d+ s")


def test_tokens_are_their_makers(stage, names):
    """Ten a minute are a person's, with however many tokens; and what one of them began another may give up."""
    everseal = house(stage, names).start()
    owner = Api(everseal.state)
    owner.post("/api/people", {"name": "ana", "password": "correct horse battery", "scope": "administer"}).ok(201)
    owner.post("/api/people", {"name": "bo", "password": "correct horse battery", "scope": "administer"}).ok(201)
    made = [Api(None, everseal.page, token) for token in tokens_of(everseal, "ana", 2) + tokens_of(everseal, "bo", 1)]
    for i in range(10):
        run = made[i % 2].post("/api/diagnosis", {"name": "127-0-0-1.example.com"}).ok(201)["id"]
        made[1 - i % 2].ask("DELETE", f"/api/diagnosis/{run}").ok()
    for token in made[:2]:
        token.post("/api/diagnosis", {"name": NAME}).failed(429, "Ten diagnoses a minute", code="limit")
    made[2].post("/api/diagnosis", {"name": NAME}).ok(201)


def tokens_of(everseal, person, count):
    """API tokens that this person makes over the page."""
    page = Api(None, everseal.page)
    origin = {"Origin": f"http://127.0.0.1:{everseal.page}"}
    session = page.ask("POST", "/api/session", {"name": person, "password": "correct horse battery"}, origin)
    sent = {**origin, "Cookie": session.headers["Set-Cookie"].split(";")[0], "X-CSRF-Token": session.ok()["csrf"]}
    return [page.ask("POST", "/api/tokens", {"name": f"{person} {i}", "scope": "read"}, sent).ok(201)["token"]
            for i in range(count)]
