"""What `meson install` puts where serves from there, and systemd is told of that very program."""
import pathlib
import re
import subprocess

import pytest

import house


@pytest.fixture
def installed(stage):
    """The root beneath which everything was put, and a path in it."""
    root = stage.new_folder("root")
    subprocess.run(["meson", "install", "--no-rebuild", "-C", house.BUILD, "--destdir", root], check=True,
                   capture_output=True, text=True, timeout=60)
    return lambda path: root / pathlib.Path(path).relative_to("/")


def test_an_installed_everseal_serves(installed, stage, monkeypatch):
    [unit] = installed("/").rglob("everseal.service")
    program = re.search(r"^ExecStart=(\S+) run$", unit.read_text(), re.M)[1]
    monkeypatch.setattr(house, "PROGRAM", installed(program))
    everseal = stage.everseal().start()
    assert set(everseal.children()) == set(house.PROCESSES)


def test_everything_else_that_is_installed(installed):
    there = {p.name for p in installed("/").rglob("*") if p.is_file()}
    assert {"everseal.1", "everseal.conf.5", "everseal.conf", "prometheus-alerts.yml",
            "grafana-dashboard.json"} <= there
    [users] = installed("/").rglob("sysusers.d/everseal.conf")
    assert re.search(r"^u everseal-net\b", users.read_text(), re.M)
