"""Proofs by DNS: real BIND 9, real Pebble that asks it, and nothing listening on the CA's ports."""
import contextlib
import json
import os
import pathlib
import re
import socket
import stat
import struct
import subprocess
import threading
import time

import pytest

from api import Api
from nameserver import PRIMARY, SECRET, Bind, free_loopback, zone_text
from network import free_port, names_of, until

RECORD = "_acme-challenge.example.com"


def primary(stage, servers, more="", zones=None, **options):
    return stage.keep(Bind(stage.new_folder("bind"), {"example.com": PRIMARY, **(zones or {})},
                           {"zone": zone_text(servers, more)}, **options))


def by_dns(stage, bind, block, names="*.example.com example.com", issue=True, ca_asks=None):
    ca = stage.pebble(dnsserver=(ca_asks or bind).at)
    everseal = stage.everseal(ca, head=f"resolver {bind.at}\n{block}",
                              sites=f"site {names} {{ respond 200 ok }}")
    return everseal.start() if issue else everseal


def steps(everseal):
    """All that the tasks' steps say."""
    api = Api(everseal.state)
    return "\n".join(json.dumps(api.get(f"/api/tasks/{task['Id']}/details").ok(), ensure_ascii=False)
                     for task in api.get("/api/tasks").ok()["Items"])


def update(bind, more="", hmac="hmac-sha256", key="acme-key", secret=SECRET):
    return f"dns-challenge {{ update {bind.at}; tsig {key} {hmac} {secret}; {more} }}"


@pytest.mark.asan
def test_a_wildcard_by_update(stage):
    """The second name server has the record only once it is told that the zone has changed."""
    bind = primary(stage, ["127.0.0.1"])
    lagging = stage.keep(Bind(stage.new_folder("lagging"), {
        "example.com": f'type secondary; primaries port {bind.port} {{ 127.0.0.1; }}; '
                       'allow-notify { any; }; file "copy";'}))
    until("the secondary has the zone", lambda: "ns1" in (lagging.dig("example.com", "NS") or ""), 30)
    everseal = by_dns(stage, bind, update(bind, f"wait 5min; check {bind.at} {lagging.at}"))
    until("the primary has both values", lambda: len(bind.texts(RECORD)) == 2, 30)
    assert lagging.texts(RECORD) == []
    until(lambda: f"it is said who is waited for: {steps(everseal)}",
          lambda: f"Waiting for the server ({lagging.at}): not yet there" in steps(everseal), 30)
    lagging.refresh("example.com")
    certificate = everseal.wait_served("example.com", 60)
    assert sorted(names_of(certificate)) == ["*.example.com", "example.com"]
    until("both values are taken away", lambda: bind.texts(RECORD) == [], 30)
    assert SECRET not in everseal.log()


def last_error(everseal, name="*.example.com"):
    return until("it has failed", lambda: (everseal.certificate(name) or {}).get("last_error"), 60)


@pytest.mark.parametrize("wrong, sentence", [
    ({"key": "nobody"}, r"does not know the key nobody with hmac-sha256 \(BADKEY\).*name and algorithm"),
    ({"secret": "d3Jvbmc="}, r"its secret there is another \(BADSIG\).*Copy the key's secret"),
    ({"hmac": "hmac-sha512"}, r"\(BADKEY\)"),
    ({"more": "zone example.org"}, r"is not in the zone example.org.*Correct `zone`"),
])
def test_what_is_wrong_is_said(stage, wrong, sentence):
    bind = primary(stage, ["127.0.0.1"])
    more = wrong.pop("more", "")
    everseal = by_dns(stage, bind, update(bind, f"check {bind.at}; {more}", **wrong), "*.example.com")
    assert re.search(sentence, str(last_error(everseal)), re.S)


def test_a_server_that_refuses(stage):
    bind = stage.keep(Bind(stage.new_folder("bind"), {"example.com": 'type primary; file "zone";'},
                           {"zone": zone_text(["127.0.0.1"])}))
    everseal = by_dns(stage, bind, update(bind, f"check {bind.at}"), "*.example.com")
    refused = r"refuses to change TXT records of _acme-challenge\.example\.com.*update-policy"
    assert re.search(refused, str(last_error(everseal)), re.S)
    everseal.stop()
    # What can be proved in another way is, and it is said why.
    everseal = by_dns(stage, bind, update(bind, f"check {bind.at}"), "example.com")
    everseal.wait_served("example.com", 60)
    everseal.logged(r"The proof of example\.com by dns-01 could not be put in place, http-01 is tried\..*" + refused)


HOOK = """#!/bin/sh
echo "$0 $* as $(id -u) HOME=$HOME open $(ls /proc/self/fd | tr '\\n' ' ')" >> {folder}/calls
env >> {folder}/environment
[ "$1" = first ] && shift
case "$1" in begin) verb=add;; *) verb=delete;; esac
nsupdate <<END || exit 3
server {address} {port}
key hmac-sha256:acme-key {secret}
update $verb _acme-challenge.$3. 60 TXT "$5"
send
END
echo "changed $3"
"""


def hook(stage, bind, text=HOOK):
    folder = stage.new_folder("hook")
    script = folder / "hook"
    script.write_text(text.format(folder=folder, address=bind.address, port=bind.port, secret=SECRET))
    script.chmod(0o755)
    folder.chmod(0o777)
    for parent in folder.parents:
        if parent.stat().st_uid == os.getuid() and not parent.stat().st_mode & stat.S_IXOTH:
            parent.chmod(parent.stat().st_mode | stat.S_IXOTH)
    return folder, script


@pytest.mark.asan
def test_by_program(stage):
    bind = primary(stage, ["127.0.0.1"])
    folder, script = hook(stage, bind)
    everseal = by_dns(stage, bind, f"dns-challenge {{ program {script} first; run-as nobody; "
                                   f"check {bind.at} }}", "example.com")
    everseal.wait_served("example.com", 60)
    until("it was run once more", lambda: "done" in (folder / "calls").read_text(), 30)
    begin, done = (folder / "calls").read_text().splitlines()
    nobody = 65534
    shape = rf"{script} first {{}} dns-01 example.com [\w-]+ [\w-]{{{{43}}}} as {nobody} HOME="
    assert re.match(shape.format("begin"), begin)
    assert re.match(shape.format("done"), done)
    assert re.search(r"open 0 1 2 3 $", begin), "3 is the directory that ls reads"
    names = {line.split("=")[0] for line in (folder / "environment").read_text().splitlines()}
    assert names <= {"PATH", "LANG", "HOME", "USER", "LOGNAME", "PWD", "OLDPWD", "SHLVL", "_"}
    assert "printed: changed example.com" in steps(everseal)
    until("the value is taken away", lambda: bind.texts(RECORD) == [], 30)


def test_a_program_that_fails_or_hangs(stage):
    bind = primary(stage, ["127.0.0.1"])
    folder, script = hook(stage, bind, "#!/bin/sh\necho nothing works >&2\nexit 7\n")
    everseal = by_dns(stage, bind, f"dns-challenge {{ program {script}; run-as nobody }}", "*.example.com")
    assert re.search(r"failed with status 7\..*It printed: nothing works", str(last_error(everseal)), re.S)
    everseal.stop()
    script.write_text(f"#!/bin/sh\n[ $1 = begin ] || exit 0\nsleep 1000 & echo $! > {folder}/pid\nwait\n")
    everseal = by_dns(stage, bind, f"dns-challenge {{ program {script}; run-as nobody; timeout 1s }}",
                      "*.example.com")
    assert re.search(r"was ended: it did not finish within 1 s", str(last_error(everseal)))
    pid = int((folder / "pid").read_text())
    until("what it started has ended, too", lambda: not pathlib.Path(f"/proc/{pid}").exists() or
          "Z" in pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3], 15)


def test_root_runs_nothing_unless_said(stage):
    bind = primary(stage, ["127.0.0.1"])
    everseal = by_dns(stage, bind, "dns-challenge { program /bin/true }", "example.com", issue=False)
    everseal.cli("check").failed(r"would run as root|say who it runs as by `run-as USER`")
    everseal.write("site a.test { respond 200 ok }",
                   head="dns-challenge { program /bin/true; run-as no-such-user }")
    everseal.cli("check").failed(r'This machine has no user "no-such-user"')


@pytest.mark.asan
def test_by_our_own_zone(stage):
    """The zone above delegates; Everseal answers; without the CNAME it says which one is missing. The CA has a
    resolver of its own: what Everseal's has seen is not there, it keeps for a moment."""
    ours = free_loopback()
    delegation = f"acme NS ns.acme\nns.acme A {ours}"
    bind, of_ca = (primary(stage, ["127.0.0.1"], more=delegation, recursion="yes") for _ in range(2))
    everseal = by_dns(stage, bind, f"dns-challenge {{ delegated acme.example.com; listen {ours}:53 }}",
                      ca_asks=of_ca)
    wanted = re.search(r"zone of example\.com: _acme-challenge\.example\.com\. CNAME (\S+)\.acme\.example\.com\.",
                       str(last_error(everseal)))
    assert wanted
    missing = delegation_found(everseal)
    assert missing["state"] == "problem" and "*.example.com gets no certificate" in missing["sentence"]
    assert f"Add this record where the domain's DNS is managed: {RECORD}. CNAME {wanted[1]}.acme.example.com." in missing["fix"]
    shown = everseal.le("diagnose", "example.com").out
    assert f"{RECORD}. CNAME {wanted[1]}.acme.example.com." in " ".join(shown.split())
    assert ask(ours, "acme.example.com", "SOA").startswith("ns.acme.example.com. hostmaster.acme.example.com.")
    assert ask(ours, "ns.acme.example.com", "A").strip() == ours
    assert ask(ours, "ns.acme.example.com", "A", "+tcp").strip() == ours
    assert "NXDOMAIN" in ask(ours, "x.acme.example.com", "TXT", short=False)
    assert "REFUSED" in ask(ours, "example.com", "TXT", short=False)
    for server in (bind, of_ca):
        (server.folder / "zone").write_text(
            zone_text(["127.0.0.1"], f"{delegation}\n_acme-challenge CNAME {wanted[1]}.acme"))
        server.process.kill()
        server.process.wait()
        server.start()
    assert delegation_found(everseal)["state"] == "ok"
    everseal.le("renew", "*.example.com").ok()
    everseal.wait_served("example.com", 60)


def delegation_found(everseal):
    """What the diagnosis says of the CNAME."""
    run = everseal.le("diagnose", "example.com", "--json").json
    return next(f for f in run["findings"] if f["subject"] == RECORD)


def ask(address, name, kind, *more, short=True):
    return subprocess.run(["dig", f"@{address}", name, kind, "+norecurse", *(["+short"] if short else []),
                           *more], capture_output=True, text=True, timeout=30, check=True).stdout


def test_a_server_that_is_silent_is_left_out(stage):
    bind = primary(stage, ["127.0.0.1"])
    everseal = by_dns(stage, bind, update(bind, f"check {bind.at} 127.0.0.1:{free_port()}"), "example.com")
    everseal.wait_served("example.com", 90)
    assert "does not answer from here and is left out" in steps(everseal)



class UpdateServer:
    """What BIND does not do: answers datagrams by answer(bytes), or not at all if that is None."""

    def __init__(self, answer):
        self.answer, self.heard = answer, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.at = f"127.0.0.1:{self.socket.getsockname()[1]}"

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                request, sender = self.socket.recvfrom(4096)
                if not request:
                    return
                self.heard += 1
                reply = self.answer(request)
                if reply:
                    self.socket.sendto(reply, sender)

    def __enter__(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        host, port = self.at.split(":")
        self.socket.sendto(b"", (host, int(port)))
        self.thread.join(10)
        self.socket.close()


def bad_time(request, now):
    """RFC 8945 5.2.3: NOTAUTH, and a TSIG record with error 18 and the server's time."""
    other = now.to_bytes(6, "big")
    rdata = (b"\x0bhmac-sha256\0" + int(time.time()).to_bytes(6, "big") + struct.pack(">HH", 300, 0) +
             request[:2] + struct.pack(">HH", 18, len(other)) + other)
    return (request[:2] + struct.pack(">HHHHH", 0xa809, 0, 0, 0, 1) + b"\x08acme-key\0" +
            struct.pack(">HHIH", 250, 255, 0, len(rdata)) + rdata)


def test_a_clock_that_is_wrong_is_said(stage):
    """A server ten minutes behind."""
    with UpdateServer(lambda request: bad_time(request, int(time.time()) - 600)) as server:
        bind = primary(stage, ["127.0.0.1"])
        everseal = by_dns(stage, bind, f"dns-challenge {{ update {server.at}; zone example.com; "
                                       f"tsig acme-key hmac-sha256 {SECRET} }}", "*.example.com")
        error = str(last_error(everseal))
    assert re.search(r"clock is (59\d|60\d|61\d) seconds ahead of that of the name server", error)
    assert "Set both clocks by NTP" in error


def test_a_server_that_never_answers_is_said(stage):
    with UpdateServer(lambda request: None) as server:
        bind = primary(stage, ["127.0.0.1"])
        everseal = by_dns(stage, bind, f"dns-challenge {{ update {server.at}; zone example.com }}",
                          "*.example.com")
        assert re.search(r"does not answer to an update of the zone example\.com, neither by UDP nor by TCP",
                         str(last_error(everseal)))
        assert server.heard
