"""Pebble as Debian 13 has it, for the system that runs the tests: its package is only unpacked, into the
user's cache, once."""
import functools
import os
import pathlib
import re
import subprocess

SUITE, KEYRING = "trixie", "/usr/share/keyrings/debian-archive-keyring.gpg"


class Absent(Exception):
    """Why there is none."""


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "everseal-tests" / SUITE


def mirror():
    """Where the system's own packages come from."""
    for path in ("/etc/apt/sources.list", *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))):
        if pathlib.Path(path).is_file():
            found = re.search(r"^(?:deb(?: +\[[^]]*\])?|URIs:) +(https?://\S+/debian)/?(?: |$)",
                              pathlib.Path(path).read_text(), re.M)
            if found:
                return found[1]
    return "http://deb.debian.org/debian"


def apt(folder, *words):
    """With lists, cache and sources of its own: the system's stay as they are."""
    options = {"Dir::State::Lists": folder / "lists", "Dir::Cache": folder / "cache",
               "Dir::Etc::sourcelist": folder / "sources.list", "Dir::Etc::sourceparts": "/dev/null",
               "APT::Sandbox::User": "root", "Acquire::http::Timeout": "20", "Acquire::Retries": "1",
               "Acquire::Languages": "none"}
    command = ["apt-get", "-q", *(f"-o{name}={value}" for name, value in options.items()), *words]
    done = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=300)
    if done.returncode or re.search(r"^(E|Err):?", done.stdout, re.M):
        raise Absent(f"Debian 13's Pebble cannot be had: {done.stdout.strip().splitlines()[-1]}")


def fetch(folder):
    for part in ("lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {SUITE} main\n")
    apt(folder, "update")
    apt(folder, "download", f"pebble/{SUITE}")
    package = next(folder.glob("pebble_*.deb"))
    subprocess.run(["dpkg-deb", "-x", package, folder / "unpacked"], check=True)


@functools.cache
def pebble():
    """The path of its program."""
    folder = cache_folder()
    program = folder / "unpacked" / "usr" / "bin" / "pebble"
    try:
        if not program.exists():
            fetch(folder)
        subprocess.run([program, "-h"], capture_output=True, timeout=20)
    except (OSError, subprocess.SubprocessError, StopIteration) as why:
        raise Absent(f"Debian 13's Pebble cannot be had: {why}") from None
    return str(program)
