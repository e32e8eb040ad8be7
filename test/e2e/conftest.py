"""What every end-to-end test may ask for, and how the tests are shared out."""
import contextlib
import os
import pathlib
import shutil
import sys
import tempfile
import zlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import debian13  # noqa: E402
from authority import Gate, Pebble  # noqa: E402
from difficult import Difficult  # noqa: E402
from house import Everseal  # noqa: E402
from network import Upstream, share_ports  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--shard", default="0/1", help="I/N: only the Ith of N shares of the tests")


def pytest_configure(config):
    for marker in ("full: only in ./check --full", "asan: also under sanitizers, in ./check",
                   "timed: asserts a time or a size that a sanitizer would break"):
        config.addinivalue_line("markers", marker)


def pytest_collection_modifyitems(config, items):
    share, shares = map(int, config.getoption("--shard").split("/"))
    share_ports(share, shares)
    if shares > 1:
        items[:] = [i for i in items if zlib.crc32(i.nodeid.encode()) % shares == share]


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call" and report.failed:
        for thing in getattr(item, "logged", []):
            report.sections.append((f"log of {thing.name}", thing.log()[-12000:]))


class Stage:
    """Starts the parts of a test and stops all of them at its end, the last one first."""

    def __init__(self, folder, item):
        self.folder, self.item, self.started = folder, item, []
        self.pebble_program = "pebble"
        item.logged = []

    def keep(self, thing):
        self.started.append(thing)
        if hasattr(thing, "log"):
            self.item.logged.append(thing)
        return thing

    def new_folder(self, name):
        path = self.folder / f"{name}{len(self.started)}"
        path.mkdir()
        return path

    def pebble(self, **options):
        return self.keep(Pebble(self.new_folder("pebble"), program=self.pebble_program, **options))

    def difficult(self, **options):
        return self.keep(Difficult(self.new_folder("difficult"), **options))

    def gate(self, pebble, hook=None):
        return self.keep(Gate(self.new_folder("gate"), pebble, hook))

    def upstream(self, *args, **options):
        return self.keep(Upstream(*args, **options))

    def everseal(self, ca=None, **options):
        return self.keep(Everseal(self.new_folder("everseal"), ca, **options))

    def end(self):
        with contextlib.ExitStack() as all_of_them:
            for thing in self.started:
                all_of_them.callback(thing.stop)


@contextlib.contextmanager
def new_stage(item):
    # Not beneath pytest's own folders: the processes that become nobody must reach sockets and logs.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="everseal-e2e-"))
    folder.chmod(0o755)
    stage = Stage(folder, item)
    try:
        yield stage
    finally:
        stage.end()
        if not os.environ.get("KEEP"):
            shutil.rmtree(folder, ignore_errors=True)


# What is tested over Debian 12's Pebble and, in the full suite, over Debian 13's.
OVER_BOTH = ("test_ca", "test_register", "test_renewal", "test_revoke", "test_kill_at_each_step", "test_account",
             "test_addresses", "test_alpn", "test_dns_challenge", "test_on_demand", "test_two_keys")


def pytest_generate_tests(metafunc):
    if metafunc.module.__name__ in OVER_BOTH and "debian" in metafunc.fixturenames:
        metafunc.parametrize("debian", [12, pytest.param(13, marks=pytest.mark.full)], indirect=True,
                             ids=["debian12", "debian13"])


@pytest.fixture
def debian(request):
    """The program of the Debian whose Pebble is wanted."""
    if getattr(request, "param", 12) == 12:
        return "pebble"
    try:
        return debian13.pebble()
    except debian13.Absent as why:
        pytest.skip(str(why))


@pytest.fixture
def stage(request, debian):
    with new_stage(request.node) as stage:
        stage.pebble_program = debian
        yield stage


@pytest.fixture(scope="module")
def module_stage(request):
    """For what many tests of a file share, because none of them changes it."""
    with new_stage(request.node) as stage:
        yield stage


@pytest.fixture
def upstream(stage):
    return stage.upstream()


@pytest.fixture
def pebble(stage):
    return stage.pebble()


@pytest.fixture
def everseal(stage, pebble, upstream):
    """Running before a Pebble, with the application behind `site *`."""
    return stage.everseal(pebble, sites=f"site * {{ proxy {upstream.address} }}").start()
