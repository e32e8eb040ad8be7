"""Several applications behind a site, and names that stand for them."""
import contextlib
import datetime
import ipaddress
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from api import Api
from network import Upstream, ask, free_port, reply, until
from test_diagnosis import Names


@pytest.fixture
def names(stage):
    server = stage.keep(Names())
    server.name = "names"
    server.ttl = 0  # which is taken for 5 s
    return server


def state_of(everseal, shown):
    for upstream in everseal.status()["upstreams"]:
        if upstream["upstream"] == shown:
            return upstream
    return None


def states(everseal, shown):
    return {a["address"]: a["state"] for a in state_of(everseal, shown)["addresses"]}


def get(everseal, name="a.example", headers=()):
    return ask(everseal.http, name, headers=headers)


# ---- names ----

def test_a_name_is_resolved_again_and_its_last_addresses_are_kept(stage, names):
    first = stage.upstream(answer=lambda heard: reply(b"first"))
    second = stage.keep(Upstream(answer=lambda heard: reply(b"second"), host="127.0.0.2", port=first.port))
    shown = f"App.Example.net:{first.port}"
    everseal = stage.everseal(head=f"resolver 127.0.0.1:{names.port}",
                              sites=f"site * {{ proxy {shown} }}").start()
    answer = get(everseal)
    assert answer.status == 502
    assert "cannot be found: its name does not resolve." in answer.text
    everseal.logged(r"name app\.example\.net cannot be resolved \(there is no such name in DNS\); it is asked "
                    r"for again, and requests are answered with 502")
    assert state_of(everseal, shown) == {"upstream": shown, "addresses": [],
                                         "unresolved": "there is no such name in DNS"}
    names.set("app.example.net", A="127.0.0.1")
    until("the name resolves", lambda: get(everseal).body == b"first", 20)
    assert state_of(everseal, shown)["unresolved"] is None
    assert states(everseal, shown) == {first.address: "up"}
    everseal.logged(r"name app\.example\.net stands for 127\.0\.0\.1\.")
    generation = everseal.status()["generation"]
    names.set("app.example.net", A="127.0.0.2")
    until("the other address is used", lambda: get(everseal).body == b"second", 20)
    assert everseal.status()["generation"] == generation
    names.set("app.example.net", A="SERVFAIL", AAAA="SERVFAIL")
    everseal.logged(r"cannot be resolved \(the name's own DNS servers do not answer\), keeping its last addresses: "
                    r"127\.0\.0\.2\.", 20)
    assert get(everseal).body == b"second"
    assert state_of(everseal, shown)["unresolved"] == "the name's own DNS servers do not answer"
    assert states(everseal, shown) == {second.address: "up"}
    everseal.wait_back("serve", everseal.kill("serve"))
    until("the new one knows it, too", lambda: answers(everseal, b"second"), 10)


def answers(everseal, body):
    try:
        return get(everseal).body == body
    except OSError:
        return False


def test_what_a_name_given_by_api_may_not_stand_for(stage, names, upstream):
    everseal = stage.everseal(head=f"resolver 127.0.0.1:{names.port}",
                              sites=f"site a.example {{ proxy self.example.net:{upstream.port} }}").start()
    api = Api(everseal.state)
    names.set("self.example.net", A=["127.0.0.1", "169.254.169.254"])
    shown = f"self.example.net:{everseal.http}"
    api.post("/api/sites", {"names": ["b.example"], "proxy": [shown]}).ok(201)
    assert get(everseal, "b.example").status == 502
    found = until("it was asked for", lambda: (s := state_of(everseal, shown)) and s["unresolved"] and s, 10)
    assert found["addresses"] == [] and re.search("is a link-local address|is where Everseal itself listens",
                                                  found["unresolved"])
    site = api.get("/api/sites/b.example").ok()
    assert site["upstream_states"] == [found]
    assert site["upstreams"] == [shown]
    # The file may say it: then the same name is another thing.
    until("the file's resolves", lambda: get(everseal).body == b"hello", 20)


# ---- several ----

def test_one_that_fails_is_left_out_and_comes_back(stage):
    steady = stage.upstream(answer=lambda heard: reply(b"steady"))
    shaky = Upstream(answer=lambda heard: reply(b"shaky"))
    everseal = stage.everseal(
        sites=f"site * {{ proxy {steady.address} {shaky.address} {{ down 300ms }} }}").start()
    assert {get(everseal).body for _ in range(8)} == {b"steady", b"shaky"}
    shaky.stop()
    assert {get(everseal).body for _ in range(8)} == {b"steady"}
    found = until("it is told of", lambda: states(everseal, shaky.address)[shaky.address] == "failing")
    failing = state_of(everseal, shaky.address)["addresses"][0]
    assert failing["why"] == "Connection refused" and failing["since"]
    everseal.wait_back("control", everseal.kill("control"))
    everseal.wait_serving()
    until("a new control is told, too", lambda: state_of(everseal, shaky.address) and
          states(everseal, shaky.address)[shaky.address] == "failing")
    again = stage.keep(Upstream(answer=lambda heard: reply(b"again"), port=shaky.port))
    until("it comes back", lambda: get(everseal).body == b"again", 20)
    until("that is told, too", lambda: states(everseal, again.address)[again.address] == "up")
    until("no worker leaves it out", lambda: {get(everseal).body for _ in range(8)} == {b"steady", b"again"})
    assert found


def test_health_is_asked_for(stage):
    well = stage.upstream(answer=lambda heard: reply(b"well"))
    broken = {"is": True}

    def answer(heard):
        if heard.line.startswith("GET /up "):
            return reply(b"", status="500 No" if broken["is"] else "204 Yes")
        return reply(b"sick")

    sick = stage.upstream(answer=answer)
    everseal = stage.everseal(sites=f"""site * {{
        proxy {sick.address} http://{well.address}/ {{ health /up {{ interval 150ms; expect 204 }} }} }}""")
    well.answer = lambda heard: reply(b"", status="204 Yes") if heard.line.startswith("GET /up ") else reply(b"well")
    everseal.start()
    until("it is found sick", lambda: states(everseal, sick.address)[sick.address] == "failing")
    assert state_of(everseal, sick.address)["addresses"][0]["why"] == \
        "Its health check was answered with 500, not 204."
    until("every worker leaves it out", lambda: {get(everseal).body for _ in range(8)} == {b"well"})
    asked = [h for h in sick.heard if h.line == "GET /up HTTP/1.1"]
    assert asked[0].value("Host") == sick.address and asked[0].value("User-Agent") == "Everseal"
    broken["is"] = False
    until("it is well again", lambda: states(everseal, sick.address)[sick.address] == "up")
    until("no worker leaves it out", lambda: {get(everseal).body for _ in range(8)} == {b"well", b"sick"})


MANY = 40


def share(everseal, body):
    """How many of so many requests, one after the other, are answered with this."""
    return [get(everseal).body for _ in range(MANY)].count(body)


@pytest.mark.parametrize("way", ["health", pytest.param("connection", marks=pytest.mark.full)])
def test_who_comes_back_gets_few_requests_at_first(stage, way):
    steady = stage.upstream(answer=lambda heard: reply(b"steady"))
    sick = {"is": False}
    other = stage.keep(Upstream(answer=lambda heard: reply(b"other", status="500 No" if sick["is"] else "200 Yes")))
    rule = "health /up { interval 150ms }" if way == "health" else "down 300ms"
    everseal = stage.everseal(head="workers 1", sites=f"""site * {{
        proxy {steady.address} {other.address} {{ slow-start 12s; {rule} }} }}""").start()
    until("both have their half", lambda: MANY * 0.4 <= share(everseal, b"other") <= MANY * 0.6)
    if way == "health":
        sick["is"] = True
    else:
        other.stop()
    until("it is left out", lambda: share(everseal, b"other") == 0)
    if way == "health":
        sick["is"] = False
    else:
        stage.keep(Upstream(answer=lambda heard: reply(b"other"), port=other.port))
    until("it comes back", lambda: share(everseal, b"other"), 30)
    assert share(everseal, b"other") < MANY * 0.3
    until("it has nearly its half again", lambda: share(everseal, b"other") >= MANY * 0.4, 60)


def test_visitors_stay_over_reload_and_restart(stage):
    apps = [stage.upstream(answer=lambda heard, n=n: reply(f"app {n}".encode())) for n in range(3)]
    site = f"site * {{ proxy {' '.join(a.address for a in apps)} {{ sticky SID }} }}"
    everseal = stage.everseal(sites=site).start()
    first = get(everseal)
    cookie = re.fullmatch(r"(SID=[0-9a-f]{16}); Path=/; HttpOnly; SameSite=Lax", first.headers["Set-Cookie"])[1]

    def stays():
        for _ in range(6):
            answer = get(everseal, headers=[f"Cookie: x=y; {cookie}"])
            assert answer.body == first.body and answer.headers["Set-Cookie"] is None

    stays()
    everseal.write(site + "\nsite other.example { proxy 127.0.0.1:9 }")
    everseal.reload().ok()
    stays()
    everseal.restart()
    stays()
    apps[int(first.body.split()[1])].stop()
    moved = get(everseal, headers=[f"Cookie: {cookie}"])
    assert moved.status == 200 and moved.body != first.body
    assert moved.headers["Set-Cookie"].startswith("SID=")


def test_those_beyond_the_most_wait_and_those_beyond_the_queue_do_not(stage):
    let_go = threading.Event()
    under_way, most, lock = [0], [0], threading.Lock()

    def slow(heard):
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        let_go.wait(20)
        with lock:
            under_way[0] -= 1
        return reply(b"slow")

    app = stage.upstream(answer=slow)
    everseal = stage.everseal(head="workers 1", sites=f"""site * {{
        proxy {app.address} {{ max-connections 2; queue 3; queue-timeout 20s }} }}""").start()
    results = []

    def one():
        results.append(get(everseal))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    until("three find no place", lambda: len(results) == 3)
    assert {a.status for a in results} == {503}
    assert all(a.headers["Retry-After"] == "1" and "has too many requests under way" in a.text for a in results)
    let_go.set()
    for thread in threads:
        thread.join(30)
    assert sorted(a.status for a in results) == [200] * 5 + [503] * 3
    assert most[0] == 2


def test_waiting_ends(stage):
    let_go = threading.Event()
    app = stage.upstream(answer=lambda heard: let_go.wait(20) and reply(b"slow"))
    everseal = stage.everseal(head="workers 1", sites=f"""site * {{
        proxy {app.address} {{ max-connections 1; queue 5; queue-timeout 200ms }} }}""").start()
    first = []
    thread = threading.Thread(target=lambda: first.append(get(everseal)))
    thread.start()
    until("the first is there", lambda: app.heard)
    answer = get(everseal)
    assert answer.status == 503 and answer.headers["Retry-After"] == "1"
    let_go.set()
    thread.join(20)
    assert first[0].status == 200


def test_a_time_out_of_the_group_s_own(stage):
    silent = stage.upstream(answer=lambda heard: threading.Event().wait(20) or None)
    everseal = stage.everseal(sites=f"site * {{ proxy {silent.address} {{ first-byte-timeout 200ms }} }}").start()
    answer = get(everseal)
    assert answer.status == 504 and "did not answer in time" in answer.text


# ---- by a Unix socket ----

class BySocket(Upstream):
    def __init__(self, path, **options):
        self.path = path
        super().__init__(**options)
        unix = socket.socket(socket.AF_UNIX)
        path.unlink(missing_ok=True)
        unix.bind(str(path))
        path.chmod(0o666)
        unix.listen(64)
        self.accepting.append(self.start_accepting(unix))


@pytest.mark.parametrize("user", [None, "nobody"])
def test_a_unix_socket(stage, user):
    folder = stage.new_folder("run")
    state = stage.new_folder("state")
    if user:
        os.chown(state, 65534, 65534)
    shown = f"unix:{folder}/app/app.sock"
    everseal = stage.everseal(sites=f"site * {{ proxy {shown} {{ down 500ms }} }}", state=state)
    everseal.start(as_user=user)
    answer = get(everseal)
    assert answer.status == 502 and "cannot be reached" in answer.text
    everseal.logged(r"The directory of the application's socket unix:\S+ cannot be opened "
                    r"\(\S+: No such file or directory\); it is looked for again\.")
    for round_ in range(2):  # with its directory made anew, as service managers do
        (folder / "app").mkdir()
        app = BySocket(folder / "app" / "app.sock", answer=lambda heard: reply(b"by socket"))
        until("it is found", lambda: get(everseal).body == b"by socket", 20)
        assert until("and said so", lambda: states(everseal, shown) == {shown: "up"})
        app.stop()
        until("it is gone", lambda: get(everseal).status == 502)
        # The same directory: nothing has to be looked for.
        app = BySocket(folder / "app" / "app.sock", answer=lambda heard: reply(b"again"))
        until("it is found again", lambda: get(everseal).body == b"again", 20)
        app.stop()
        shutil.rmtree(folder / "app")
        until("it is gone again", lambda: get(everseal).status == 502)
    assert get(everseal).status == 502


# ---- by TLS ----

class Authority:
    def __init__(self, folder, name="Test authority"):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.folder = folder
        self.file = folder / "authority.pem"
        self.file.write_bytes(self.sign(self.name, self.key.public_key(), None)
                              .public_bytes(serialization.Encoding.PEM))
        self.file.chmod(0o644)

    def sign(self, subject, key, names, days=(-30, 30)):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key)
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now + datetime.timedelta(days[0]))
                   .not_valid_after(now + datetime.timedelta(days[1]))
                   .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def context(self, *names, days=(-30, 30)):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "app")])
        certificate = self.sign(subject, key.public_key(), names, days)
        path = self.folder / f"app{len(list(self.folder.iterdir()))}.pem"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


class ByTls(Upstream):
    """Speaks TLS alone; keeps which names it was asked for, and which sessions were resumed."""

    def __init__(self, context, **options):
        self.context, self.names, self.resumed = context, [], []
        context.sni_callback = lambda _, name, __: self.names.append(name)
        super().__init__(**options)

    def serve(self, connection):
        with contextlib.suppress(OSError):
            connection = self.context.wrap_socket(connection, server_side=True)
            self.resumed.append(connection.session_reused)
        super().serve(connection)


@pytest.fixture
def authority(stage):
    return Authority(stage.new_folder("authority"))


def test_https_to_an_application_that_is_verified(stage, authority):
    app = stage.keep(ByTls(authority.context(x509.DNSName("app.internal")), answer=lambda heard: reply(
        b"by TLS", headers=["Connection: close"])))
    app.name = "app"
    everseal = stage.everseal(head="workers 1", sites=f"""site * {{
        proxy https://{app.address} {{ trust {authority.file}; server-name app.internal }} }}""").start()
    for _ in range(3):
        assert get(everseal).body == b"by TLS"
    assert app.names == ["app.internal"] * 3
    assert app.resumed[0] is False and True in app.resumed
    assert app.heard[0].value("Host") == "a.example"


def test_https_by_address(stage, authority):
    app = stage.keep(ByTls(authority.context(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))))
    everseal = stage.everseal(
        sites=f"site * {{ proxy https://{app.address} {{ trust {authority.file} }} }}").start()
    body = b"x" * 300_000
    answer = ask(everseal.http, "a.example", "/", "POST", body=body)
    assert answer.body == b"hello" and app.heard[0].body == body
    assert app.names == [None]


@pytest.mark.parametrize("case, sentence", [
    ("name", r"its certificate is for another name: say which by `server-name`"),
    ("expired", r"its certificate has expired"),
    ("unknown", r"nobody who is trusted vouches for its certificate: name its authority by `trust`"),
    ("plain", r"it does not speak TLS: write http:// instead"),
])
def test_https_that_cannot_be_verified(stage, authority, upstream, case, sentence):
    name = x509.IPAddress(ipaddress.ip_address("127.0.0.2" if case == "name" else "127.0.0.1"))
    app = upstream
    if case == "plain":  # as web servers answer what is no request
        app.script = lambda connection, _: connection.recv(9) and connection.sendall(reply(status="400 Bad"))
    else:
        app = stage.keep(ByTls(authority.context(name, days=(-9, -1) if case == "expired" else (-9, 9))))
    trust = "" if case == "unknown" else f"{{ trust {authority.file} }}"
    everseal = stage.everseal(sites=f"site * {{ proxy https://{app.address} {trust} }}").start()
    answer = get(everseal)
    assert answer.status == 502 and "cannot be reached" in answer.text
    everseal.logged(r"cannot be reached \(" + sentence + r"\)")
    assert not app.heard
    assert re.search(sentence, state_of(everseal, f"https://{app.address}")["addresses"][0]["why"])


def test_https_to_nginx_and_openssl(stage, authority):
    context = authority.context(x509.DNSName("app.internal"))
    del context
    pem = sorted(authority.folder.glob("app*.pem"))[-1]
    port = free_port()
    server = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", pem, "-key", pem,
                               "-www", "-quiet"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    nginx_port = free_port()
    conf = authority.folder / "nginx.conf"
    conf.write_text(f"""daemon off; master_process off; pid {authority.folder}/nginx.pid; error_log stderr;
events {{ }}
http {{ access_log off;
    client_body_temp_path {authority.folder}; proxy_temp_path {authority.folder}; fastcgi_temp_path {authority.folder};
    uwsgi_temp_path {authority.folder}; scgi_temp_path {authority.folder};
    server {{ listen 127.0.0.1:{nginx_port} ssl; ssl_certificate {pem}; ssl_certificate_key {pem};
        location / {{ return 200 "nginx $ssl_server_name"; }} }} }}""")
    nginx = subprocess.Popen(["nginx", "-c", conf, "-e", "stderr"], stderr=subprocess.DEVNULL)
    try:
        options = f"{{ trust {authority.file}; server-name app.internal }}"
        everseal = stage.everseal(sites=f"""site openssl.example {{ proxy https://127.0.0.1:{port} {options} }}
site nginx.example {{ proxy https://127.0.0.1:{nginx_port} {options} }}""").start()
        until("openssl answers", lambda: b"s_server" in get(everseal, "openssl.example").body)
        until("nginx answers", lambda: get(everseal, "nginx.example").body == b"nginx app.internal")
    finally:
        for process in (server, nginx):
            process.kill()
            process.wait()
