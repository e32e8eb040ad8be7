"""What the benchmarks share: programs on one core each, what they use, and the load."""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SERVER_CORE, LOAD_CORE = "0", "1"


def free_ports(count):
    """Ports that nobody has now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


# ---- processes ----

def tree(pid):
    """The process and all below it."""
    children = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(path.read_text().rsplit(")", 1)[1].split()[1])
            children.setdefault(parent, []).append(int(path.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(path.read_text().split()[0])
    return total / 1e9


def memory(pid, kinds=("Pss_Anon:", "Pss_Shmem:")):
    """KiB of the process and all below it, by name: without other kinds, its own and shared memory, but not the files
    of programs and libraries, whose share depends on who else has them mapped."""
    sizes = {}
    for one in tree(pid):
        with contextlib.suppress(OSError):
            name = pathlib.Path(f"/proc/{one}/comm").read_text().strip()
            for line in pathlib.Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith(kinds):
                    sizes[name] = sizes.get(name, 0) + int(line.split()[1])
    return sizes


def accepts(port):
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


class Program:
    """One program on one core, with its configuration made from a file in peers/."""

    def __init__(self, bench, name, core, template, command, after=None):
        self.folder = bench.folder / name
        self.folder.mkdir(mode=0o755)
        self.http, self.https = free_ports(2)
        self.port = bench.words["BACKEND"] if name == "backend" else self.https
        words = {**bench.words, "FOLDER": self.folder, "HTTP": self.http, "HTTPS": self.https}
        text = (HERE / "peers" / template).read_text()
        for word, value in words.items():
            text = text.replace(f"@{word}@", str(value))
        self.conf = self.folder / template
        self.conf.write_text(text)
        self.command = ["taskset", "-c", core] + [str(c).replace("@CONF@", str(self.conf)) for c in command]
        self.start()
        if after:
            after(self.conf)

    def start(self, seconds=60):
        """The seconds until it listens."""
        self.log = open(self.folder / "log", "w")
        start = time.monotonic()
        self.process = subprocess.Popen(
            self.command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, cwd=self.folder,
            env={**os.environ, "HOME": str(self.folder), "GOMAXPROCS": "1"})
        while not accepts(self.port):
            if self.process.poll() is not None or time.monotonic() > start + seconds:
                raise SystemExit((self.folder / "log").read_text()[-2000:] or "it did not start")
            time.sleep(0.005)
        return time.monotonic() - start

    def halt(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def stop(self):
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)

    def cpu(self):
        return cpu_seconds(tree(self.process.pid))


# ---- what is run ----

class Bench:
    def __init__(self, build):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="everseal-bench-"))
        self.folder.chmod(0o755)
        self.build = build
        self.load = self.folder / "load"
        subprocess.run(["cc", "-O2", "-Wno-deprecated-declarations", "-o", self.load,
                        HERE / "load.c", HERE / "tls13.c", "-lcrypto"], check=True)
        self.certificate = self.folder / "bench.pem"
        key = self.folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days", "30", "-subj", "/CN=bench.test", "-addext",
                        "subjectAltName=DNS:bench.test", "-keyout", key, "-out", self.certificate],
                       check=True, stderr=subprocess.DEVNULL)
        with open(self.certificate, "a") as out:
            out.write(key.read_text())
        self.certificate.chmod(0o644)
        self.words = {"CERTIFICATE": self.certificate, "BACKEND": free_ports(1)[0], "KIBIBYTE": "x" * 1024}
        self.backend = Program(self, "backend", LOAD_CORE, "backend.conf",
                               ["nginx", "-c", "@CONF@", "-p", self.folder])
        with open(self.backend.folder / "large", "wb") as out:
            out.write(os.urandom(64 << 20))
        (self.backend.folder / "large").chmod(0o644)

    def stop(self):
        self.backend.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, name, template=None):
        """One of the servers; `template`: another configuration for it."""
        program = self.build / "everseal"

        def give_certificate(conf):
            subprocess.run([program, "import", "bench.test", self.certificate, "--config", conf],
                           check=True, stdout=subprocess.DEVNULL)
        known = {
            "everseal": ("everseal.conf", [program, "run", "--config", "@CONF@"], give_certificate),
            "nginx": ("nginx.conf", ["nginx", "-c", "@CONF@", "-p", self.folder], None),
            "haproxy": ("haproxy.cfg", ["haproxy", "-f", "@CONF@"], None),
            "caddy": ("Caddyfile", ["caddy", "run", "--config", "@CONF@", "--adapter", "caddyfile"], None),
        }
        usual, command, after = known[name]
        return Program(self, name, SERVER_CORE, template or usual, command, None if template else after)

    def run_load(self, mode, port, seconds, *more):
        out = subprocess.run(["taskset", "-c", LOAD_CORE, self.load, mode, "--port", str(port),
                              "--seconds", str(seconds), *map(str, more)],
                             stdout=subprocess.PIPE, check=True, text=True).stdout
        told = json.loads(out)
        if told["failed"] > told["units"] / 100 or not told["units"] + told["bytes"]:
            raise SystemExit(f"the load {mode} failed: {told}")
        return told

    def run_h2(self, port, seconds):
        out = subprocess.run(["taskset", "-c", LOAD_CORE, "h2load", "-t1", "-c16", "-m32",
                              f"-D{max(1, int(seconds))}", "--connect-to", f"127.0.0.1:{port}",
                              "https://bench.test/"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True).stdout
        words = next(line for line in out.splitlines() if line.startswith("requests:")).split()
        succeeded = int(words[words.index("succeeded,") - 1])
        if "Application protocol: h2" not in out or not succeeded:
            raise SystemExit("HTTP/2 was not spoken:\n" + out)
        return {"units": succeeded}
