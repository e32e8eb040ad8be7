"""./run: the newcomer's command, with the programs that were just built."""
import os
import pathlib
import re
import signal
import subprocess

import pytest

from house import BUILD
from network import free_port, until

ROOT = pathlib.Path(__file__).resolve().parents[2]


def as_on_a_terminal():
    """A shell that was itself started in the background hands on that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(stage, *words):
    folder = stage.new_folder("run")
    output = open(folder / "out", "w+")
    process = subprocess.Popen([ROOT / "run", *words], stdout=output, stderr=output, text=True,
                               env={**os.environ, "EVERSEAL_BUILD": str(BUILD), "TMPDIR": str(folder)},
                               preexec_fn=as_on_a_terminal)
    return process, lambda: (folder / "out").read_text(), folder


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_printed_line_works_and_nothing_is_left(stage, number):
    process, output, folder = start(stage)
    try:
        def printed():
            assert process.poll() is None, output()
            return re.search(r"^ *(curl .*)$", output(), re.M)
        line = until(output, printed, 60)[1]
        done = subprocess.run(line, shell=True, text=True, capture_output=True, timeout=20)
        assert done.returncode == 0 and "Everseal" in done.stdout, done
        assert re.search(r"https://[a-z.]+", output())
        until(output, lambda: re.search(r"http://127\.0\.0\.1:\d+/#setup=\S{20,}", output()), 10)
    finally:
        process.send_signal(number)
        process.wait(30)
    assert process.returncode == 0, output()
    left = subprocess.run(["pgrep", "-af", str(folder)], text=True, capture_output=True).stdout
    assert not left, left
    assert [p.name for p in folder.iterdir()] == ["out"], "its folder is removed"


def test_missing_words(stage):
    process, output, _ = start(stage, "--name", "shop.example.com")
    assert process.wait(20) == 2
    assert "--email" in output()
