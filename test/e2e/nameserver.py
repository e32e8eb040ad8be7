"""BIND 9 on loopback: a primary with a zone that takes signed updates, and secondaries that lag."""
import base64
import contextlib
import os
import socket
import subprocess

from network import free_port, until

SECRET = base64.b64encode(b"a secret of the tests, of 32 byte").decode()


def free_loopback():
    """One of 127/8 on which nobody listens at port 53, where a delegation leads."""
    while True:
        address = ".".join(["127", "53", *(str(1 + b % 250) for b in os.urandom(2))])
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((address, 53))
            return address


class Bind:
    """One named. zones: {name: text of the block}; files: {name: content}."""

    def __init__(self, folder, zones, files=None, recursion="no"):
        self.name, self.folder, self.process = "bind", folder, None
        self.address, self.port = "127.0.0.1", free_port()
        for name, content in (files or {}).items():
            (folder / name).write_text(content)
        blocks = "\n".join(f'zone "{zone}" {{ {text} }};' for zone, text in zones.items())
        (folder / "named.conf").write_text(f"""
            options {{ directory "{folder}"; listen-on port {self.port} {{ {self.address}; }};
                listen-on-v6 {{ none; }}; recursion {recursion}; allow-query {{ any; }}; notify no;
                pid-file none; session-keyfile "{folder}/session.key"; dnssec-validation no;
                empty-zones-enable no; querylog yes; minimal-responses yes; }};
            controls {{ }};
            key "acme-key" {{ algorithm hmac-sha256; secret "{SECRET}"; }};
            key "acme-512" {{ algorithm hmac-sha512; secret "{SECRET}"; }};
            {blocks}
            """)
        self.start()

    def start(self):
        with open(self.folder / "named.log", "ab") as log:
            self.process = subprocess.Popen(["named", "-g", "-c", str(self.folder / "named.conf")],
                                            stdout=log, stderr=log)
        until("BIND answers", self.answers, seconds=30)

    @property
    def at(self):
        return f"{self.address}:{self.port}"

    def answers(self):
        assert self.process.poll() is None, self.log()
        return self.dig("version.bind", "TXT", "-c", "CH", "+tries=1", "+time=1") is not None

    def dig(self, name, kind, *more):
        done = subprocess.run(["dig", f"@{self.address}", "-p", str(self.port), name, kind, "+short", *more],
                              capture_output=True, text=True, timeout=30)
        return done.stdout if done.returncode == 0 else None

    def texts(self, name):
        return [line.strip('"') for line in self.dig(name, "TXT").splitlines()]

    def refresh(self, zone):
        """As a primary would: tells it that the zone has changed."""
        subprocess.run(["dig", f"@{self.address}", "-p", str(self.port), zone, "SOA", "+opcode=notify",
                        "+norecurse", "+aaflag"], capture_output=True, timeout=30, check=True)

    def log(self):
        return (self.folder / "named.log").read_text(errors="replace")

    def stop(self):
        self.process.kill()
        self.process.wait()


def zone_text(servers, more=""):
    """example.com, whose name servers have these addresses."""
    lines = ["$TTL 60", "@ SOA ns1 hostmaster 1 3600 600 86400 60"]
    for number, address in enumerate(servers, 1):
        lines += [f"@ NS ns{number}", f"ns{number} A {address}"]
    return "\n".join([*lines, "@ A 127.0.0.1", "* A 127.0.0.1", more, ""])


PRIMARY = ('type primary; file "zone"; update-policy { grant acme-key zonesub TXT; '
           'grant acme-512 zonesub TXT; }; allow-transfer { any; };')
