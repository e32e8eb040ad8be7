"""The state directory: moved, locked, damaged, forbidden. Never a new account, never a lost certificate."""
import os
import pathlib
import shutil
import sqlite3
import subprocess
import time

import pytest

from house import run_program
from network import ask, is_temporary, until


@pytest.fixture
def stored(everseal):
    """Stopped, with an account and a certificate in its store."""
    everseal.register("shop.example.com")
    everseal.serial = everseal.served("shop.example.com").serial_number
    everseal.stop()
    return everseal


def ends_with(everseal, sentence):
    everseal.start(wait=False)
    status = everseal.process.wait(15)
    assert status == 1, status
    everseal.logged(sentence, seconds=1)


def still_all_there(everseal):
    """Brought in order again, it serves the same certificate, without a new account or order."""
    everseal.start()
    assert everseal.served("shop.example.com").serial_number == everseal.serial
    everseal.le("renew", "--wait").ok()
    assert everseal.ca.accounts == 1


def test_modes(stored):
    modes = {p.name: p.stat().st_mode & 0o777 for p in stored.state.iterdir()}
    assert stored.state.stat().st_mode & 0o777 == 0o700
    assert modes["master.key"] == 0o400
    assert all(mode & 0o077 == 0 for mode in modes.values()), modes


def test_no_plain_key_in_the_store(stored):
    """Neither database nor log holds a private key in PEM or DER."""
    mark = bytes.fromhex("0201010420")  # of an EC private key: version 1, 32 octets
    for path in [*stored.state.iterdir(), stored.folder / "log"]:
        if path.is_file() and path.name != "master.key":
            data = path.read_bytes()
            assert b"PRIVATE KEY" not in data and mark not in data, path


@pytest.mark.asan
def test_second_server_on_the_same_state(everseal):
    everseal.register("shop.example.com")
    outcome = run_program("run", "--config", everseal.config, timeout=20)
    assert outcome.status == 1
    assert f"Another Everseal (process " in outcome.err and str(everseal.state) in outcome.err
    assert everseal.status()["serving"]
    assert ask(everseal.https, "shop.example.com", secure=True, roots=everseal.ca.roots).status == 200


def test_state_directory_is_made(everseal):
    assert everseal.state.is_dir()


def test_state_directory_not_writable(stage, upstream):
    folder = stage.new_folder("forbidden")
    state = folder / "state"
    state.mkdir(mode=0o755)
    everseal = stage.everseal(sites=f"site * {{ proxy {upstream.address} }}", state=state)
    everseal.start(wait=False, as_user="nobody")
    assert everseal.process.wait(15) == 1
    everseal.logged(rf"may not write {state}.*give the state directory", seconds=1)


def test_state_directory_cannot_be_made(stage, upstream):
    everseal = stage.everseal(sites=f"site * {{ proxy {upstream.address} }}", state="/nowhere/at/all")
    ends_with(everseal, "/nowhere/at/all")


def test_state_is_no_directory(stage, upstream):
    file = stage.new_folder("file") / "state"
    file.write_text("")
    everseal = stage.everseal(sites=f"site * {{ proxy {upstream.address} }}", state=file)
    ends_with(everseal, rf"{file}")


@pytest.mark.asan
def test_missing_master_key(stored):
    key = stored.state / "master.key"
    kept = key.read_bytes()
    key.unlink()
    ends_with(stored, "The master key is missing, and the database holds records sealed under it")
    assert not key.exists(), "no new key is made over sealed records"
    key.write_bytes(kept)
    key.chmod(0o400)
    still_all_there(stored)


def test_wrong_master_key(stored):
    key = stored.state / "master.key"
    kept = key.read_bytes()
    key.chmod(0o600)
    key.write_bytes(os.urandom(32))
    key.chmod(0o400)
    stored.start(wait=False)
    stored.logged("sealed under another master key")
    time.sleep(1)
    assert stored.ca.accounts == 1
    stored.stop()
    key.chmod(0o600)
    key.write_bytes(kept)
    key.chmod(0o400)
    still_all_there(stored)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_damaged_master_key(stored, size):
    key = stored.state / "master.key"
    kept = key.read_bytes()
    key.chmod(0o600)
    key.write_bytes(b"x" * size)
    key.chmod(0o400)
    ends_with(stored, rf"is not a master key: it has {size} bytes, a master key has exactly 32")
    key.chmod(0o600)
    key.write_bytes(kept)
    key.chmod(0o400)
    still_all_there(stored)


def test_master_key_open_to_others(stored):
    key = stored.state / "master.key"
    key.chmod(0o644)
    ends_with(stored, r"can be read or changed by others \(mode 0644\)")
    key.chmod(0o400)
    still_all_there(stored)


def test_master_key_as_credential(stage, pebble, upstream):
    folder = stage.new_folder("credentials")
    (folder / "master.key").write_bytes(os.urandom(32))
    (folder / "master.key").chmod(0o400)
    everseal = stage.everseal(pebble, sites=f"site shop.example.com {{ proxy {upstream.address} }}",
                              env={"CREDENTIALS_DIRECTORY": str(folder)}).start()
    everseal.wait_served("shop.example.com")
    assert not (everseal.state / "master.key").exists()
    assert "credential" in everseal.status()["master_key"]


def damage(path, offset, length=4096):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * length)


@pytest.mark.parametrize("offset", [0, 4096])
def test_damaged_database(stored, offset):
    database = stored.state / "everseal.db"
    kept = database.read_bytes()
    damage(database, offset)
    ends_with(stored, r"everseal.db (is damaged|is the database of another program)")
    database.write_bytes(kept)
    still_all_there(stored)


def test_truncated_database(stored):
    database = stored.state / "everseal.db"
    kept = database.read_bytes()
    database.write_bytes(kept[:len(kept) // 2])
    ends_with(stored, "everseal.db is damaged")
    database.write_bytes(kept)
    still_all_there(stored)


def change_blob(everseal, kind):
    with sqlite3.connect(everseal.state / "everseal.db") as db:
        id, version, blob = db.execute("SELECT id, version, blob FROM record WHERE kind = ?",
                                       (kind,)).fetchone()
        damaged = blob[:-5] + bytes(b ^ 0x55 for b in blob[-5:])
        db.execute("UPDATE record SET blob = ? WHERE kind = ? AND id = ?", (damaged, kind, id))
    db.close()
    return id, blob


def restore_blob(everseal, kind, id, blob):
    with sqlite3.connect(everseal.state / "everseal.db") as db:
        db.execute("UPDATE record SET blob = ? WHERE kind = ? AND id = ?", (blob, kind, id))
    db.close()


def test_unreadable_account_key(stored):
    """The account key's record is damaged: no new account; what is served stays."""
    id, blob = change_blob(stored, "account-key")
    stored.start()
    assert stored.served("shop.example.com").serial_number == stored.serial
    stored.le("renew", "--wait").failed("The account key for .* cannot be opened: its bytes are damaged")
    assert stored.ca.accounts == 1 and stored.ca.orders == 1
    stored.stop()
    restore_blob(stored, "account-key", id, blob)
    still_all_there(stored)


def test_unreadable_certificate_key(stored):
    """A certificate whose key cannot be opened is said to be lost, the rest is served."""
    change_blob(stored, "certificate")
    stored.start()
    stored.logged("shop.example.com.*(damaged|cannot be)")
    assert ask(stored.http, "shop.example.com").body == b"hello"
    until("a new one is obtained", lambda: not is_temporary(stored.served("shop.example.com")), 20)
    assert stored.ca.accounts == 1


def small_disk(folder, kib):
    """The state directory on a file system of its own, with little room."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k,mode=0700", "tmpfs", folder])
    assert done.returncode == 0


@pytest.fixture
def on_small_disk(stage, pebble, upstream):
    state = stage.new_folder("disk") / "state"
    small_disk(state, 4096)
    everseal = stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}", state=state).start()
    yield everseal
    everseal.stop()
    subprocess.run(["umount", state], check=True)


def test_full_disk(on_small_disk):
    everseal = on_small_disk
    everseal.register("shop.example.com")
    serial = everseal.served("shop.example.com").serial_number
    filler = everseal.state / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    outcome = everseal.le("register", "--name", "new.example.com", "--agree-tos")
    outcome.failed("There is no room left on the disk")
    assert everseal.served("shop.example.com").serial_number == serial
    filler.unlink()
    everseal.register("new.example.com")
    assert everseal.ca.accounts == 1


def test_read_only_disk(on_small_disk):
    everseal = on_small_disk
    everseal.register("shop.example.com")
    serial = everseal.served("shop.example.com").serial_number
    everseal.stop()
    subprocess.run(["mount", "-o", "remount,ro", everseal.state], check=True)
    try:
        ends_with(everseal, "read-only")
    finally:
        subprocess.run(["mount", "-o", "remount,rw", everseal.state], check=True)
    everseal.start()
    assert everseal.served("shop.example.com").serial_number == serial


def test_state_moves(stored, stage):
    """With the key, nothing else is needed to move a server."""
    moved = stage.new_folder("moved") / "state"
    shutil.move(stored.state, moved)
    stored.state = moved
    stored.write(stored.config.read_text().splitlines()[-1])
    still_all_there(stored)


def test_state_by_option(everseal):
    assert run_program("status", "--state", everseal.state, "--json").ok().json["serving"]


def test_socket_is_for_owner_and_root_only(everseal):
    done = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
                           str(run_program.__globals__["PROGRAM"]), "status", "--state", everseal.state],
                          text=True, capture_output=True)
    assert done.returncode == 1 and done.stderr.strip()
