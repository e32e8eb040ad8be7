"""Certificates that somebody else has issued: what is served with them, what is refused and why, many."""
import concurrent.futures
import contextlib
import datetime
import pathlib
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from api import Api
from network import ask, is_temporary, names_of, request_bytes, served, tls, until

PEM = serialization.Encoding.PEM
NOW = datetime.datetime.now(datetime.timezone.utc)


def key_pem(key, password=None):
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, encryption)


class Authority:
    def __init__(self, name="Corp CA", above=None):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        issuer = above or self
        self.certificate = self.build(self.name, self.key, issuer, ca=True)

    @staticmethod
    def build(subject, key, issuer, names=(), ca=False, begin=-1, days=90):
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer.name) \
            .public_key(key.public_key()).serial_number(x509.random_serial_number()) \
            .not_valid_before(NOW + datetime.timedelta(days=begin)) \
            .not_valid_after(NOW + datetime.timedelta(days=days)) \
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(map(x509.DNSName, names)), False)
        return builder.sign(issuer.key, hashes.SHA256())

    def issue(self, *names, key=None, **more):
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0][:64])])
        return self.build(subject, key, self, names, **more).public_bytes(PEM), key_pem(key)

    @property
    def pem(self):
        return self.certificate.public_bytes(PEM)


@pytest.fixture(scope="module")
def root():
    return Authority("Root")


@pytest.fixture(scope="module")
def between(root):
    return Authority("Between", root)


@pytest.fixture
def place(stage, upstream):
    return stage.everseal(sites=f"site * {{ proxy {upstream.address} }}", email=None).start()


def until_served(place, name, leaf):
    """serve hears of it from control, which has answered meanwhile."""
    host = name.replace("*", "any")
    until(f"what was imported for {name} is served", lambda: place.served(host).public_bytes(PEM) == leaf)


def bring(place, name, *parts):
    file = place.folder / "brought.pem"
    file.write_bytes(b"".join(parts))
    done = place.cli("import", name, file)
    if not done.status:
        until_served(place, name, next(p for p in parts if b"BEGIN CERTIFICATE" in p))
    return done


@pytest.mark.asan
def test_is_served_at_once_and_after_a_restart(place, root, between):
    leaf, key = between.issue("shop.example.com", "www.shop.example.com")
    done = bring(place, "shop.example.com", leaf, between.pem, key).ok()
    assert "1 certificate is imported and served." in done.out
    for _ in range(2):
        for name in ("shop.example.com", "www.shop.example.com"):
            assert names_of(served(place.https, name)) == ["shop.example.com", "www.shop.example.com"]
        with tls(place.https, "shop.example.com", roots=root.pem.decode()) as s:  # the chain is sent
            s.sendall(request_bytes("shop.example.com", "/"))
        listed = place.certificate("shop.example.com")
        assert (listed["state"], listed["issuer"], listed["next_renewal"]) == ("imported", "Between", None)
        place.restart()
    leaf, key = between.issue("shop.example.com")
    bring(place, "shop.example.com", leaf, between.pem, key).ok()
    assert names_of(served(place.https, "shop.example.com")) == ["shop.example.com"]
    assert b"PRIVATE KEY" not in (place.state / "everseal.db").read_bytes()


def test_renewing_it_is_not_ours(place, root):
    leaf, key = root.issue("shop.example.com")
    bring(place, "shop.example.com", leaf, key).ok()
    for command in ("renew", "disable", "revoke"):
        place.le(command, "shop.example.com").failed("The certificate for shop.example.com was imported")
        place.le(command, "www.example.com").failed("There is no certificate for www.example.com")


def test_rsa_wildcards_and_survivors(place, root):
    leaf, key = root.issue("*.example.com", key=rsa.generate_private_key(65537, 2048))
    bring(place, "*.example.com", key, leaf).ok()
    assert names_of(served(place.https, "any.example.com")) == ["*.example.com"]
    for process in ("serve", "control"):
        place.wait_back(process, place.kill(process))
        place.wait_serving()
        assert names_of(served(place.https, "any.example.com")) == ["*.example.com"]
    assert ask(place.https, "any.example.com", secure=True).status == 200


def is_zombie(pid):
    with contextlib.suppress(OSError):
        return "State:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text()


def killed_at(place, call, number, act):
    """control dies of SIGKILL at that call to the system, if `act` makes so many. Whether it did."""
    before = place.pid("control")
    with subprocess.Popen(["strace", "-f", "-q", "-o", place.folder / "calls", "-e", f"trace={call}", "-e",
                           f"inject={call}:signal=KILL:when={number}", "-p", str(before)]) as tracer, \
            concurrent.futures.ThreadPoolExecutor(1) as doer:
        until("it is traced", lambda: "TracerPid:\t0\n" not in
              pathlib.Path(f"/proc/{before}/status").read_text() or tracer.poll() is not None)
        acted = doer.submit(act)
        while not acted.done() or is_zombie(before):
            if is_zombie(before):  # strace may miss the end of what it traces, which only it can reap
                tracer.kill()
            time.sleep(0.02)
        acted.result()
        dead = tracer.poll() is not None or place.pid("control") != before
        tracer.terminate()
    if dead:
        place.wait_back("control", before, 10)
        place.wait_serving()
    return dead


@pytest.mark.parametrize("call", ["pwrite64", "fdatasync"])
def test_killed_at_each_step_of_an_import(place, root, call):
    """The old one or the new one, whole; what was said to be imported is the new one; the next import succeeds."""
    name, number, dead = "shop.example.com", 0, True
    leaf, key = root.issue(name)
    bring(place, name, leaf, key).ok()
    while dead:
        number += 1
        old = place.served(name).serial_number
        leaf, key = root.issue(name)
        new, said = x509.load_pem_x509_certificate(leaf).serial_number, []
        dead = killed_at(place, call, number, lambda: said.append(bring(place, name, leaf, key)))
        assert place.served(name).serial_number in (old, new)
        place.restart()
        assert place.served(name).serial_number in ((old, new) if said[0].status else (new,))
        bring(place, name, leaf, key).ok()
    print(f"killed at {number - 1} calls")
    assert number > 1


@pytest.mark.asan
def test_what_does_not_fit_is_refused(place, root, between):
    leaf, key = between.issue("shop.example.com")
    other, other_key = root.issue("other.example.com")
    old, old_key = root.issue("shop.example.com", begin=-10, days=-1)
    early, early_key = root.issue("shop.example.com", begin=2)
    weak, weak_key = root.issue("shop.example.com", key=rsa.generate_private_key(65537, 1024))
    locked = key_pem(serialization.load_pem_private_key(key, None), b"secret")
    name = "shop.example.com"
    bring(place, name, leaf, other_key).failed("The private key is not that of the first certificate")
    bring(place, name, leaf).failed("There is no private key in it", "-----BEGIN PRIVATE KEY-----")
    bring(place, name, leaf, locked).failed("The private key is encrypted", "openssl pkey")
    bring(place, name, leaf, key, other_key).failed("several private keys")
    bring(place, name, key).failed("shop.example.com cannot be imported")
    bring(place, name, other, other_key).failed("is not for shop.example.com, but for other.example.com")
    bring(place, name, leaf, root.pem, key).failed("Certificate 1 of the chain was not issued by certificate 2")
    bring(place, name, leaf, root.pem, between.pem, key).failed("Certificate 1 of the chain was not issued")
    bring(place, name, old, old_key).failed("has expired on ")
    bring(place, name, early, early_key).failed("is not valid before ")
    bring(place, name, weak, weak_key).failed("RSA of 2048 to 8192 bits")
    bring(place, "http://shop.example.com", leaf, key).failed("shop.example.com")
    place.cli("import", name, place.folder / "no.pem").failed("no.pem cannot be read: No such file")
    place.cli("import", name).failed("everseal import NAME FILE", status=2)
    assert place.certificate(name) is None


def test_what_everseal_renews_is_left_alone(everseal, root):
    everseal.register("shop.example.com")
    before = everseal.wait_served("shop.example.com")
    leaf, key = root.issue("shop.example.com")
    bring(everseal, "shop.example.com", leaf, key).failed("Everseal renews the certificate for shop.example.com",
                                                          "lets-encrypt disable shop.example.com")
    assert everseal.served("shop.example.com") == before


def test_many(place, root):
    folder = place.folder / "many"
    folder.mkdir()
    for i in range(300):
        leaf, key = root.issue(f"a{i}.example.com")
        (folder / f"a{i}.example.com.pem").write_bytes(leaf + key)
    leaf, key = root.issue("*.wild.example.com")
    (folder / "_.wild.example.com.pem").write_bytes(leaf + key)
    (folder / "notes.txt").write_text("none")
    began = time.monotonic()
    done = place.cli("import", "--many", folder).ok()
    print(f"301 certificates in {time.monotonic() - began:.2f} s")
    assert "301 certificates are imported and served." in done.out
    for name in ("a0.example.com", "a299.example.com"):
        until(f"{name} is served", lambda: names_of(served(place.https, name)) == [name])
    until("the wildcard is served", lambda: names_of(served(place.https, "x.wild.example.com")) == ["*.wild.example.com"])
    (folder / "a7.example.com.pem").write_bytes(leaf + key)
    place.cli("import", "--many", folder).failed("a7.example.com cannot be imported: .*is not for a7")


def openssl(*words):
    return subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=60).stdout


def pkcs12(folder, password, leaf, key, *more, options=()):
    """A file made by openssl, its certificates in an order of its own."""
    for name, content in (("leaf.pem", leaf), ("key.pem", key), ("more.pem", b"".join(more))):
        (folder / name).write_bytes(content)
    file = folder / "brought.pfx"
    openssl("pkcs12", "-export", "-in", folder / "leaf.pem", "-inkey", folder / "key.pem", "-out", file,
            *(["-certfile", folder / "more.pem"] if more else []), "-passout", f"pass:{password}", *options)
    return file


def password_file(folder, password):
    file = folder / "password"
    file.write_text(password + "\n")
    return file


@pytest.mark.asan
@pytest.mark.parametrize("options", [(), ("-legacy",), ("-keypbe", "NONE", "-certpbe", "NONE")])
def test_pkcs12_is_served_with_its_chain(place, root, between, options):
    leaf, key = between.issue("shop.example.com")
    file = pkcs12(place.folder, "a b'c", leaf, key, root.pem, between.pem, options=options)
    done = place.cli("import", "shop.example.com", file, "--password-file", password_file(place.folder, "a b'c")).ok()
    assert "1 certificate is imported and served." in done.out
    until_served(place, "shop.example.com", leaf)
    with tls(place.https, "shop.example.com", roots=root.pem.decode()) as s:
        s.sendall(request_bytes("shop.example.com", "/"))
    place.restart()
    assert served(place.https, "shop.example.com").public_bytes(PEM) == leaf


@pytest.mark.asan
def test_pkcs12_that_does_not_fit_is_refused(place, root, between):
    name = "shop.example.com"
    leaf, key = between.issue(name)
    old, old_key = root.issue(name, begin=-10, days=-1)
    other, other_key = root.issue("other.example.com")
    good, wrong = password_file(place.folder, "secret"), place.folder / "wrong"
    wrong.write_text("Secret\n")

    def refused(file, *sentences, password=good):
        place.cli("import", name, file, "--password-file", password).failed(*sentences)

    file = pkcs12(place.folder, "secret", leaf, key, between.pem)
    refused(file, "brought.pfx cannot be imported: The password of the PKCS#12 file is wrong", password=wrong)
    refused(file, "none cannot be read: No such file", password=place.folder / "none")
    place.cli("import", name, file).failed("brought.pfx has a password: give it with --password-file FILE")
    refused(pkcs12(place.folder, "secret", old, old_key), "shop.example.com cannot be imported: .*has expired on ")
    refused(pkcs12(place.folder, "secret", other, other_key), "is not for shop.example.com, but for other")
    refused(pkcs12(place.folder, "secret", leaf, key, options=("-nokeys",)), "There is no private key in it")
    refused(pkcs12(place.folder, "secret", leaf, key, options=("-iter", "3500000")), "more than 3000000 rounds",
            "fewer")
    file.write_bytes(file.read_bytes()[:-9])
    refused(file, "shop.example.com cannot be imported: .*brought.pfx holds neither PEM nor PKCS#12, or is cut off")
    assert place.certificate(name) is None


@pytest.mark.asan
def test_an_export_is_read_by_openssl(everseal):
    everseal.register("shop.example.com")
    leaf = everseal.wait_served("shop.example.com").public_bytes(PEM)
    file, secret = everseal.folder / "out.p12", password_file(everseal.folder, "pass word")
    words = ("export", "shop.example.com", "--format", "pkcs12", "--to", file)
    everseal.cli(*words).failed("out.p12 needs a password: give it with --password-file FILE, or at a terminal")
    assert not file.exists()
    everseal.cli(*words, "--password-file", secret).ok()
    assert file.stat().st_mode & 0o7777 == 0o600
    text = openssl("pkcs12", "-in", file, "-nodes", "-passin", "pass:pass word")
    assert leaf in text and b"BEGIN PRIVATE KEY" in text and text.count(b"BEGIN CERTIFICATE") > 1
    about = subprocess.run(["openssl", "pkcs12", "-in", file, "-info", "-noout", "-passin", "pass:pass word"],
                           check=True, capture_output=True, text=True).stderr
    assert "MAC: sha256" in about and about.count("PBES2, PBKDF2, AES-256-CBC") == 2
    everseal.cli(*words, "--password-file", secret).failed("out.p12 exists already")
    everseal.le("disable", "shop.example.com").ok()
    everseal.cli("import", "shop.example.com", file, "--password-file", secret).ok()
    until_served(everseal, "shop.example.com", leaf)


@pytest.mark.parametrize("content, sentence", [
    (b"", "has an empty first line, and a key under no password is open to everybody"),
    (b"\n", "has an empty first line"),
    (b"one\0two\n", "The password has a NUL in it"),
    (b"x" * 2000, "The password is too long."),
    (None, "The password has a NUL in it|The password is too long."),
])
def test_no_key_is_exported_under_another_password_than_was_meant(place, root, content, sentence):
    bring(place, "shop.example.com", *root.issue("shop.example.com")).ok()
    out, secret = place.folder / "out.p12", place.folder / "secret"
    if content is not None:
        secret.write_bytes(content)
    place.cli("export", "shop.example.com", "--format", "pkcs12", "--to", out, "--password-file",
              "/dev/zero" if content is None else secret).failed(sentence)
    assert not out.exists()


def test_a_password_file_may_end_its_lines_with_cr_lf(place, root):
    bring(place, "shop.example.com", *root.issue("shop.example.com")).ok()
    out, secret = place.folder / "out.p12", place.folder / "secret"
    secret.write_bytes(b"pass word\r\n")
    place.cli("export", "shop.example.com", "--format", "pkcs12", "--to", out, "--password-file", secret).ok()
    subprocess.run(["openssl", "pkcs12", "-in", out, "-passin", "pass:pass word", "-noout"], check=True, capture_output=True)


def test_the_page_does_not_take_keys(place):
    answer = ask(place.page, "localhost", "/api/certificates/import", method="POST", body=b"{}",
                 headers=["Content-Type: application/json"])
    assert answer.status in (401, 403)


def next_second():
    """What is stored of the order in which things came is exact to the second."""
    now = int(time.time())
    until("a second has passed", lambda: int(time.time()) > now)


def of_name(everseal, name):
    """What is listed for it: state and lamp of what was imported, then of what was issued."""
    rows = [c for c in everseal.status()["certificates"] if name in c["names"]]
    rows.sort(key=lambda c: not c["id"].endswith("-imported"))
    return [(c["state"], c["lamp"]) for c in rows]


@pytest.mark.asan
def test_a_registration_takes_its_place_and_it_is_kept(everseal, root):
    name = "shop.example.com"
    leaf, key = root.issue(name)
    bring(everseal, name, leaf, key).ok()
    assert of_name(everseal, name) == [("imported", "ok")]
    next_second()
    everseal.register(name)
    issued = everseal.wait_served(name, other_than=x509.load_pem_x509_certificate(leaf).serial_number)
    for _ in range(2):
        assert everseal.served(name) == issued
        assert of_name(everseal, name)[0] == ("retired", "off")
        everseal.restart()
    everseal.le("disable", name).ok()
    everseal.restart()
    assert everseal.served(name) == issued
    next_second()
    bring(everseal, name, leaf, key).ok()
    for _ in range(2):
        assert everseal.served(name).public_bytes(PEM) == leaf
        assert of_name(everseal, name) == [("imported", "ok"), ("disabled", "off")]
        everseal.restart()


@pytest.mark.asan
def test_its_end_is_warned_about(place, root):
    name = "shop.example.com"
    place.write(f"site {name} {{ proxy 127.0.0.1:9 }}")
    place.reload().ok()
    for days, lamp in ((90, "ok"), (20, "warning"), (9, "problem")):
        leaf, key = root.issue(name, begin=-90, days=days)
        bring(place, name, leaf, key).ok()
        assert of_name(place, name) == [("imported", lamp)]
        site = place.cli("site", "list", "--json").ok().json
        assert (site["name"], site["state"], site["certificate"]["issuer"]) == (name, lamp, "Root")
    assert "import the next one, or register the name" in place.certificate(name)["reason"]
    place.restart()
    place.logged("warning control.*The imported certificate for shop.example.com expires .* and is not renewed")
    assert "import the next one" in place.cli("status").ok().out


@pytest.mark.asan
def test_it_is_exported_again(place, root, between):
    for key in (None, rsa.generate_private_key(65537, 2048)):
        leaf, key = between.issue("shop.example.com", key=key)
        bring(place, "shop.example.com", leaf, between.pem, key).ok()
        file = place.folder / "out.pem"
        place.cli("export", "shop.example.com", "--to", file).ok()
        text = file.read_bytes()
        assert text.endswith(leaf + between.pem)
        theirs, ours = (serialization.load_pem_private_key(k, None).private_numbers() for k in (key, text))
        assert theirs == ours
        file.unlink()


def test_what_is_gone_from_the_file_is_kept_and_retired(everseal, upstream):
    everseal.write(f"site shop.example.com {{ proxy {upstream.address} }}\nsite * {{ proxy {upstream.address} }}")
    everseal.reload().ok()
    issued = everseal.wait_served("shop.example.com")
    orders = everseal.ca.orders
    everseal.write(f"site * {{ proxy {upstream.address} }}")
    everseal.reload().ok()
    for _ in range(2):
        kept = everseal.certificate("shop.example.com")
        assert (kept["state"], kept["lamp"], kept["next_renewal"]) == ("retired", "off", None)
        assert "only kept" in kept["reason"]
        assert everseal.served("shop.example.com") == issued
        everseal.restart()
    assert everseal.ca.orders == orders
    file = everseal.folder / "kept.pem"
    everseal.cli("export", "shop.example.com", "--to", file).ok()
    assert issued.public_bytes(PEM) in file.read_bytes()


@pytest.mark.asan
def test_one_that_is_removed_is_gone_with_its_key(stage, upstream, root):
    """And its names have what is left: here the temporary certificate of their site."""
    name = "shop.example.com"
    place = stage.everseal(sites=f"site {name} {{ proxy {upstream.address} }}", email=None).start()
    leaf, key = root.issue(name, "www.shop.example.com")
    bring(place, name, leaf, key).ok()
    assert place.served(name).public_bytes(PEM) == leaf
    place.cli("import", "--remove", "other.example.com").failed("There is no certificate for other.example.com")
    place.cli("import", "--remove", name, "--many", place.folder).failed("what to remove", status=2)
    refused = ask(place.page, "localhost", f"/api/certificates/{name}", method="DELETE", body=b"{}",
                  headers=["Content-Type: application/json"])
    assert refused.status in (401, 403)
    assert place.served(name).public_bytes(PEM) == leaf
    done = place.cli("import", "--remove", name).ok()
    assert done.out.startswith(f"The imported certificate for {name} is removed. No other certificate for {name} is left")
    for _ in range(2):
        until("its temporary one is served", lambda: is_temporary(place.served(name)))
        assert not [c for c in place.status()["certificates"] if c["id"] == f"{name}-imported"]
        place.restart()
    entry = next(e for e in Api(place.state).get("/api/audit").ok()["items"] if "removed" in e["what"])
    assert (entry["what"], entry["subject"]) == ("Imported certificate removed", name)
    assert "is left" in entry["after"]
    place.cli("import", "--remove", name).failed(f"There is no certificate for {name}")


def test_of_many_who_remove_it_one_does(place, root):
    """The others are told the same, and nothing is noted of them."""
    name, api = "shop.example.com", Api(place.state)
    for _ in range(4):
        bring(place, name, *root.issue(name)).ok()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: api.delete(f"/api/certificates/{name}", {}), range(8)))
        assert [a.json["existing"] for a in answers if a.status == 200].count(False) == 1
        assert {a.status for a in answers} <= {200, 404}
    noted = [e["what"] for e in api.get("/api/audit").ok()["items"]]
    assert sorted(noted) == ["Certificate imported"] * 4 + ["Imported certificate removed"] * 4


def test_a_name_may_end_as_ids_do(place, root):
    """What it is called by is its own, not another one's id."""
    for name in ("goods", "goods-imported"):
        bring(place, name, *root.issue(name)).ok()
    place.cli("import", "--remove", "goods-imported").ok()
    assert [c["names"] for c in place.status()["certificates"]] == [["goods"]]
    place.cli("import", "--remove", "goods-imported").ok()  # by its id, now that no name is like it
    assert place.status()["certificates"] == []
