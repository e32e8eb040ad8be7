"""The difficult CA (test/ca) as the end-to-end tests use it: its process, its switches, its counts."""
import contextlib
import json
import pathlib
import select
import subprocess
import urllib.error
import urllib.request

from network import free_port

SERVER = pathlib.Path(__file__).resolve().parents[1] / "ca" / "difficult.py"


class Difficult:
    """Validates at 127.0.0.1, on ports that Everseal then takes. `dns`: "ADDRESS:PORT" for DNS questions. `http`, `https`:
    the ports of another one that validates at the same place."""
    name = "difficult CA"

    def __init__(self, folder, dns=None, offset=0, http=None, https=None, **switches):
        self.folder, self.http, self.https = folder, http or free_port(), https or free_port()
        words = ["--listen", "127.0.0.1:0", "--http-port", self.http, "--tls-port", self.https,
                 "--folder", folder, "--offset", offset, "--address", "127.0.0.1"]
        if dns:
            words += ["--dns", dns]
        with open(folder / "ca.log", "ab") as log:
            self.process = subprocess.Popen(["/usr/bin/python3", "-B", SERVER, *map(str, words)],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                            text=True)
        assert select.select([self.process.stdout], [], [], 60)[0], "the difficult CA does not start"
        line = self.process.stdout.readline()
        assert line, self.log()
        started = json.loads(line)
        self.directory, self.control = started["directory"], started["control"]
        self.trust, self.issuers = pathlib.Path(started["root"]), pathlib.Path(started["issuers"])
        if switches:
            self.switch(**switches)

    # ---- control ----

    def call(self, path, value=None):
        """GET, or POST of a value."""
        data = None if value is None else json.dumps(value).encode()
        try:
            with urllib.request.urlopen(self.control + path, data, timeout=30) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as why:
            raise AssertionError(why.read().decode()) from None

    def switch(self, changes=None, **more):
        """Names with "-" are given with "_"."""
        return self.call("/switch", {n.replace("_", "-"): v for n, v in {**(changes or {}), **more}.items()})

    def reset(self):
        return self.call("/reset", {})

    def move_time(self, offset):
        return self.call("/time", {"offset": offset})

    # ---- counts ----

    def count(self, endpoint=None):
        requests = self.call("/requests")
        return requests["count"].get(endpoint, 0) if endpoint else requests["total"]

    def forget_requests(self):
        self.call("/requests", {})

    @property
    def orders(self):
        return self.call("/requests")["answers"].get("newOrder 201", 0)

    @property
    def accounts(self):
        return len(self.call("/accounts"))

    def issued(self, name=None):
        return [c for c in self.call("/issued") if name is None or name in c["names"]]

    @property
    def roots(self):
        return self.issuers.read_text()

    # ---- the process ----

    def log(self):
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "ca.log").read_text(errors="replace")
        return ""

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        self.process.stdout.close()
        assert "Traceback" not in self.log(), self.log()
