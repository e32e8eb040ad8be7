"""/metrics in Prometheus' text format, read by the reader of Prometheus' own Python client."""
import json
import pathlib
import re
import socket
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api import Api
from network import ask, until
from test_page_limits import spend

pytestmark = pytest.mark.asan
CONTRIB = pathlib.Path(__file__).resolve().parents[2] / "contrib"


def scrape(everseal):
    token = scrape.tokens.setdefault(everseal.folder, None)
    if not token:
        token = everseal.cli("admin", "token", "add", "prometheus", "--scope", "read").ok().out.strip()
        scrape.tokens[everseal.folder] = token
    reply = Api(everseal.state, everseal.page, token=token).ask("GET", "/metrics")
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {f.name: f for f in text_string_to_metric_families(reply.body.decode())}


scrape.tokens = {}


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


def expressions_of(name):
    """Of the alert rules, or of the panels of the dashboard."""
    text = (CONTRIB / name).read_text()
    if name.endswith(".yml"):
        found = re.findall(r"expr: (.*)", text)
        assert len(found) == len(re.findall(r"- alert:", text)) >= 7
        return found
    panels = json.loads(text)["panels"]
    assert len({p["id"] for p in panels}) == len(panels) >= 10
    return [t["expr"] for p in panels for t in p["targets"]]


@pytest.mark.parametrize("name", ["prometheus-alerts.yml", "grafana-dashboard.json"])
def test_contrib_speaks_of_what_there_is(everseal, name):
    """Each metric and label that its expressions name is in the real output."""
    everseal.register("shop.example.com")
    ask(everseal.https, "shop.example.com", secure=True)
    families = until("the upstream is counted", lambda: (
        f := scrape(everseal)) and f["everseal_upstream_requests"].samples and f)
    samples = [s for f in families.values() for s in f.samples]
    labels = {label for s in samples for label in s.labels}
    for expression in expressions_of(name):
        by = re.findall(r"\bby \(([^)]*)\)", expression)
        assert {label.strip() for group in by for label in group.split(",")} <= labels, expression
        named = re.findall(r"(everseal_\w+)(?:\{(\w+)=\"([^\"]*)\"\})?", expression)
        assert named, expression
        for metric, label, wanted in named:
            if metric.startswith(("everseal_ca_orders", "everseal_ca_budget")):
                continue  # of CAs whose limits are known: Pebble's are not
            assert any(s.name == metric and (not label or s.labels[label] == wanted) for s in samples), metric
