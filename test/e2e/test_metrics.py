"""/metrics in Prometheus' text format, read by its own Python client and by Prometheus itself."""
import contextlib
import functools
import json
import pathlib
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api import Api
from network import ask, free_port, until
from test_page_limits import spend

pytestmark = pytest.mark.asan
CONTRIB = pathlib.Path(__file__).resolve().parents[2] / "contrib"


@functools.cache
def token_of(everseal):
    return everseal.cli("admin", "token", "add", "prometheus", "--scope", "read").ok().out.strip()


def metrics_of(everseal):
    reply = Api(everseal.state, everseal.page, token=token_of(everseal)).ask("GET", "/metrics")
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return reply.body.decode()


def scrape(everseal):
    return {f.name: f for f in text_string_to_metric_families(metrics_of(everseal))}


def value(families, metric, /, **labels):
    """Of the one sample that has these labels."""
    found = [s.value for f in families.values() for s in f.samples
             if s.name == metric and labels.items() <= s.labels.items()]
    assert len(found) == 1, f"{len(found)} of {metric} {labels}"
    return found[0]


def test_what_is_served_is_counted(everseal):
    everseal.register("shop.example.com")
    before = scrape(everseal)
    for _ in range(3):
        assert ask(everseal.https, "shop.example.com", secure=True).status == 200
    families = until("three requests more", lambda: (
        f := scrape(everseal)) and value(f, "everseal_requests_total", site="shop.example.com", status="2xx") >= 3 and f)
    assert value(families, "everseal_request_duration_seconds_count", site="shop.example.com") >= 3
    assert value(families, "everseal_request_duration_seconds_bucket", site="shop.example.com", le="+Inf") == \
        value(families, "everseal_request_duration_seconds_count", site="shop.example.com")
    full = value(families, "everseal_tls_handshakes_total", outcome="full")
    assert full >= value(before, "everseal_tls_handshakes_total", outcome="full") + 3
    upstream = [s for s in families["everseal_upstream_requests"].samples if s.labels["status"] == "2xx"]
    assert sum(s.value for s in upstream) >= 3


def test_a_handshake_that_fails_is_counted(everseal):
    before = value(scrape(everseal), "everseal_tls_handshakes_total", outcome="failed")
    with socket.create_connection(("127.0.0.1", everseal.https)) as s:
        s.sendall(b"\x16\x03\x01\x00\x05hello")
        s.recv(100)
    until("it is counted", lambda: value(scrape(everseal), "everseal_tls_handshakes_total", outcome="failed") == before + 1)


def test_certificates_and_attempts(stage, pebble, upstream):
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}\n"
                                            "issuer nobody { directory https://127.0.0.1:9/dir }").start()
    everseal.register("shop.example.com")
    everseal.le("register", "--name", "unreachable.example.net", "--email", "a@example.com", "--agree-tos",
                "--issuer", "nobody")
    families = until("an attempt has failed", lambda: (
        f := scrape(everseal)) and value(f, "everseal_attempts_failed_total", cause="unreachable") >= 1 and f, 40)
    assert value(families, "everseal_attempts_succeeded_total") == 1
    assert value(families, "everseal_certificates", state="ok") == 1
    expiry = value(families, "everseal_certificate_expiry_timestamp_seconds", name="shop.example.com")
    renewal = value(families, "everseal_certificate_renewal_timestamp_seconds", name="shop.example.com", issuer="pebble")
    assert time.time() < renewal < expiry


def test_labels_stay_few_however_many_names(everseal):
    sites = "\n".join(f"site n{i}.example.com {{ respond 200 hello; issuer internal; }}" for i in range(260))
    everseal.write(sites)
    everseal.reload().ok()
    families = until("all have one", lambda: (
        f := scrape(everseal)) and sum(s.value for s in f["everseal_certificates"].samples) == 260 and
        value(f, "everseal_attempts_under_way") + value(f, "everseal_attempts_queued") == 0 and f, 60)
    named = families["everseal_certificate_expiry_timestamp_seconds"].samples
    assert len(named) == 200
    assert len({s.labels["name"] for s in named}) == 200


def test_budgets_of_domains_sets_and_failures(everseal):
    """Of the CAs whose limits are known; the nearest to their limit, however many there are."""
    everseal.stop()
    for i in range(30):
        spend(everseal, 1, "certificate", f"www.n{i}.example.net")
    long = ["a.example.net", *(f"{i}.{'a' * 60}.example.net" for i in range(99))]
    spend(everseal, 4, "certificate", *long)
    spend(everseal, 3, "failure", "lost.example.org")
    everseal.start()
    families = scrape(everseal)
    used = families["everseal_ca_budget_used"].samples
    most = {tuple(sorted(s.labels.items())): s.value for s in families["everseal_ca_budget_limit"].samples}
    assert len(used) == len(most) == 20
    assert {tuple(sorted(s.labels.items())) for s in used} == set(most)
    assert {s.labels["issuer"] for s in used} == {"letsencrypt"}
    assert {s.labels["kind"] for s in used} == {"domain", "names", "failures"}
    for name, expected in (("used", 3), ("limit", 5)):
        assert value(families, f"everseal_ca_budget_{name}", kind="failures", about="lost.example.org") == expected
    assert value(families, "everseal_ca_budget_used", kind="domain", about="example.net") == 34
    sets = [s for s in used if s.labels["about"].startswith(f"{sorted(long)[0]} and 99 more, ")]
    assert [s.value for s in sets] == [4] and len(sets[0].labels["about"]) < 300


def test_only_who_may_read(everseal):
    assert Api(everseal.state, everseal.page).ask("GET", "/metrics").status == 401
    assert Api(everseal.state, everseal.page, token="wrong").ask("GET", "/metrics").status == 401


class Prometheus:
    """The real one, which scrapes an Everseal each second and minds the rules of contrib/."""

    def __init__(self, folder, everseal):
        self.name, self.port, self.output = "prometheus", free_port(), folder / "prometheus.log"
        (folder / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(CONTRIB / "prometheus-alerts.yml")],
            "scrape_configs": [{"job_name": "everseal", "authorization": {"credentials": token_of(everseal)},
                                "static_configs": [{"targets": [f"127.0.0.1:{everseal.page}"]}]}]}))
        with open(self.output, "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}"], stdout=log, stderr=log)
        until("it has scraped twice", lambda: self.seen("count_over_time(everseal_build_info[1m]) > 1"), seconds=40)

    def ask(self, path, **query):
        assert self.process.poll() is None, self.log()
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with contextlib.suppress(urllib.error.URLError):
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]

    def seen(self, expression):
        """The values of all series that it has."""
        answer = self.ask("query", query=expression)
        return answer and [float(series["value"][1]) for series in answer["result"]]

    def log(self):
        return self.output.read_text()

    def stop(self):
        self.process.kill()
        self.process.wait()


def expressions_of_dashboard():
    panels = json.loads((CONTRIB / "grafana-dashboard.json").read_text())["panels"]
    assert len({p["id"] for p in panels}) == len(panels) >= 10
    return [t["expr"].replace("$site", ".*") for p in panels for t in p["targets"]]


def test_prometheus_evaluates_what_contrib_has(everseal, pebble, stage):
    """No rule has an error, those with a reason alert, and each panel has something to show."""
    everseal.stop()
    spend(everseal, 5, "failure", "lost.example.org")
    spend(everseal, 250, "order", "a.example.org")
    everseal.start()
    everseal.register("shop.example.com")
    prometheus = stage.keep(Prometheus(stage.new_folder("prometheus"), everseal))
    pebble.pause()
    everseal.le("register", "--name", "other.example.net", "--email", "ops@example.com", "--agree-tos").ok()

    def rules():
        return [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]

    reasons = {"EversealProblem", "EversealNearLimit", "EversealNearBudget"}
    until(lambda: f"{reasons} alert: {prometheus.ask('rules')}",
          lambda: {r["name"] for r in rules() if r["state"] != "inactive"} == reasons, seconds=60, every=0.3)
    assert len(rules()) >= 8
    assert [r for r in rules() if r["health"] != "ok"] == []

    def empty():
        ask(everseal.https, "shop.example.com", secure=True)
        return [e for e in expressions_of_dashboard() if not prometheus.seen(e)]

    until(lambda: f"panels show something: {empty()}", lambda: not empty(), seconds=60, every=0.3)
    lint = subprocess.run(["promtool", "check", "metrics"], input=metrics_of(everseal), capture_output=True, text=True)
    assert (lint.returncode, lint.stdout + lint.stderr) == (0, "")
