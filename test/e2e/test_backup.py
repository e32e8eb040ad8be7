"""Moving a server: backup and restore, with the real program."""
import contextlib
import os
import pathlib
import re
import resource
import signal
import sqlite3
import stat
import subprocess

import pytest

from house import PROGRAM, run_program
from network import until
from test_import import Authority

HEAD = b"Everseal backup 1\n"


@pytest.fixture
def place(stage, upstream):
    """A server with a certificate that somebody else has issued."""
    place = stage.everseal(sites=f"site * {{ proxy {upstream.address} }}", email=None).start()
    leaf, key = Authority().issue("shop.example.com")
    (place.folder / "brought.pem").write_bytes(leaf + key)
    place.cli("import", "shop.example.com", place.folder / "brought.pem").ok()
    return place


def restore(file, state):
    return run_program("restore", file, "--state", state)


def listing(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_backup_is_whole_and_never_overwrites(place):
    file = place.folder / "copy"
    key = (place.state / "master.key").read_bytes()
    said = place.cli("backup", file).ok().out
    assert "its secrets are sealed" in said and "master key" in said and "master.key" in said
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = file.read_bytes()
    assert content.startswith(HEAD) and b" needed\n" in content and key not in content
    place.cli("backup", file).failed("copy exists already and is left as it is")
    assert file.read_bytes() == content
    whole = place.folder / "whole"
    said = place.cli("backup", "--with-key", whole).ok().out
    assert "with the master key" in said
    assert stat.S_IMODE(whole.stat().st_mode) == 0o600
    assert key in whole.read_bytes() and b" included\n" in whole.read_bytes()
    place.cli("backup", place.folder / "no" / "copy").failed("copy cannot be written: No such file")
    place.cli("backup").failed("everseal backup FILE", status=2)
    assert not [name for name in listing(place.state) if "copy" in name]


@pytest.mark.asan
def test_a_restored_server_serves_without_asking_a_ca(stage, everseal):
    everseal.register("shop.example.com")
    before = everseal.wait_served("shop.example.com")
    account = everseal.cli("issuer", "list", "--json").ok().out
    file = everseal.folder / "whole"
    everseal.cli("backup", file, "--with-key").ok()
    everseal.stop()
    everseal.state = everseal.folder / "moved"
    said = restore(file, everseal.state).ok().out
    assert f"start it with `everseal run --state {everseal.state}`" in said
    assert "everseal run" in said and "master.key" not in said
    assert stat.S_IMODE(everseal.state.stat().st_mode) == 0o700
    assert listing(everseal.state) == ["everseal.db", "lock", "master.key"]
    counts = everseal.ca.orders, everseal.ca.accounts
    config = everseal.config.read_text().replace(str(everseal.folder / "state"), str(everseal.state))
    everseal.config.write_text(config)
    everseal.start()
    assert everseal.served("shop.example.com") == before
    assert everseal.certificate("shop.example.com")["last_error"] is None
    assert everseal.cli("issuer", "list", "--json").ok().out == account
    assert (everseal.ca.orders, everseal.ca.accounts) == counts
    everseal.le("renew", "shop.example.com", "--wait").ok()
    assert (everseal.ca.orders, everseal.ca.accounts) == (counts[0] + 1, counts[1])


@pytest.mark.asan
def test_without_its_key_a_backup_waits_for_it(place):
    file, moved = place.folder / "copy", place.folder / "moved"
    place.cli("backup", file).ok()
    key = (place.state / "master.key").read_bytes()
    before = place.served("shop.example.com")
    place.stop()
    moved.mkdir(0o700)
    (moved / "master.key").write_bytes(os.urandom(32))
    (moved / "master.key").chmod(0o400)
    restore(file, moved).failed("The master key that is there .* does not fit")
    assert "everseal.db" not in listing(moved)
    (moved / "master.key").unlink()
    said = restore(file, moved).ok().out
    assert "put the master key" in said
    (moved / "master.key").write_bytes(key)
    (moved / "master.key").chmod(0o400)
    place.config.write_text(place.config.read_text().replace(str(place.state), str(moved)))
    place.state = moved
    place.start()
    assert place.served("shop.example.com") == before


def test_what_cannot_be_restored_is_refused(place):
    file, other = place.folder / "whole", place.folder / "other"
    place.cli("backup", "--with-key", file).ok()
    content = file.read_bytes()

    def refused(data, *sentences):
        bad = place.folder / "bad"
        bad.write_bytes(data)
        restore(bad, other).failed(*sentences)
        assert not other.exists()

    restore(file, place.state).failed("Another Everseal \\(process \\d+\\) uses the state directory")
    refused(b"", "is no backup|no backup of Everseal")
    refused(os.urandom(4000), "no backup of Everseal")
    refused((place.state / "everseal.db").read_bytes(), "no backup of Everseal")
    for size in (20, 60, len(content) // 2, len(content) - 1):
        refused(content[:size], "damaged or cut off|cut off or damaged")
    refused(content + b"x", "cut off or damaged")
    for at in (len(HEAD) + 120, len(content) // 2, len(content) - 1):
        refused(content[:at] + bytes([content[at] ^ 1]) + content[at + 1:], "is damaged")
    refused(content.replace(HEAD, b"Everseal backup 2\n", 1), "made by a newer Everseal")
    refused(content.replace(b"database-format 1\n", b"database-format 9\n", 1), "made by a newer Everseal")
    restore(place.folder / "none", other).failed("none cannot be read: No such file")
    restore(place.folder, other).failed("is not a file")
    run_program("restore").failed("everseal restore FILE", status=2)
    place.stop()
    restore(file, place.state).failed("is not empty, it has everseal.db", "nothing was changed")
    place.start()


def killed_in_the_middle(*words):
    """Its first write behind the 9th KiB ends it."""
    done = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, timeout=60, preexec_fn=lambda:
                          resource.setrlimit(resource.RLIMIT_FSIZE, (9 << 10, 9 << 10)))
    assert done.returncode == -signal.SIGXFSZ


def test_interrupted_it_leaves_nothing(place):
    file, moved = place.folder / "whole", place.folder / "moved"
    before = listing(place.folder)
    killed_in_the_middle("backup", "--with-key", file, "--config", place.config)
    assert listing(place.folder) == before
    place.wait_serving()
    place.cli("backup", "--with-key", file).ok()
    killed_in_the_middle("restore", file, "--state", moved)
    assert listing(moved) == ["lock"]
    restore(file, moved).ok()
    place.kill("control", signal.SIGSTOP)
    process = subprocess.Popen([PROGRAM, "backup", place.folder / "second", "--config", place.config])
    until("the backup waits", lambda: any("(deleted)" in os.readlink(f"/proc/{process.pid}/fd/{fd}")
                                          for fd in os.listdir(f"/proc/{process.pid}/fd")), 20)
    process.kill()
    process.wait()
    place.kill("control", signal.SIGCONT)
    place.wait_serving()
    assert "second" not in listing(place.folder)


def memory_most(pid):
    """KiB of memory that the process has ever had."""
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


@pytest.mark.timed
def test_a_large_state_is_moved_while_it_serves(place):
    """More than what a socket, a request or a stack holds; it never stands in memory as a whole."""
    file, moved = place.folder / "whole", place.folder / "moved"
    place.stop()
    with contextlib.closing(sqlite3.connect(place.state / "everseal.db")) as database, database:
        database.executemany("INSERT INTO record VALUES ('junk', ?, 1, '{}', ?)",
                             ((str(i), os.urandom(1 << 20)) for i in range(80)))
    place.start()
    before = place.served("shop.example.com")
    most = memory_most(place.pid("control"))
    place.cli("backup", "--with-key", file).ok()
    assert memory_most(place.pid("control")) < most + (40 << 10)
    assert place.served("shop.example.com") == before
    assert file.stat().st_size > 80 << 20
    restore(file, moved).ok()
    with contextlib.closing(sqlite3.connect(moved / "everseal.db")) as database:
        assert database.execute("SELECT count(*), sum(length(blob)) FROM record WHERE kind = 'junk'"
                                ).fetchone() == (80, 80 << 20)


def test_as_root_for_an_owner_of_its_own(place):
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    file, moved = place.folder / "whole", place.folder / "moved"
    place.cli("backup", "--with-key", file).ok()
    moved.mkdir(0o700)
    os.chown(moved, 1234, 1234)
    place.folder.chmod(0o755)
    outcome = restore(file, moved)
    outcome.ok()
    for name in ("everseal.db", "master.key", "lock"):
        assert (moved / name).stat().st_uid == 1234
