"""Names as the CA looks them up: a DNS client of few lines (RFC 1035), or one address for all."""
import ipaddress
import secrets
import socket
import struct

A, CNAME, TXT, AAAA = 1, 5, 16, 28
TIMEOUT, ALIASES_MOST = 3.0, 8


class Unresolved(Exception):
    pass


def encode_name(name):
    return b"".join(bytes([len(p)]) + p.encode() for p in name.rstrip(".").split(".")) + b"\0"


def read_name(message, at):
    """(name, where it ends)."""
    labels, end, jumps = [], None, 0
    while True:
        length = message[at]
        if length >= 0xC0:
            end = end or at + 2
            at = struct.unpack_from(">H", message, at)[0] & 0x3FFF
            jumps += 1
            if jumps > 50:
                raise Unresolved("a name in the answer points at itself")
            continue
        at += 1
        if length == 0:
            return ".".join(labels).lower(), end or at
        labels.append(message[at:at + length].decode("latin-1"))
        at += length


def question(name, kind, number):
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + encode_name(name) + struct.pack(">2H", kind, 1)


def read_answer(message, name):
    """(response code, {(owner, type): [bytes or name]})."""
    _, flags, questions, answers, _, _ = struct.unpack_from(">6H", message)
    at, found = 12, {}
    for _ in range(questions):
        at = read_name(message, at)[1] + 4
    for _ in range(answers):
        owner, at = read_name(message, at)
        kind, _, _, length = struct.unpack_from(">2HIH", message, at)
        at += 10
        data = read_name(message, at)[0] if kind == CNAME else message[at:at + length]
        found.setdefault((owner, kind), []).append(data)
        at += length
    return flags & 15, bool(flags & 0x0200), found


class Resolver:
    """`server`: (host, port) or None; `address`: where every name leads, or None: as DNS says."""

    def __init__(self, server=None, address=None):
        self.server, self.address = server, address

    def exchange(self, name, kind):
        number = secrets.randbelow(65536)
        message = question(name, kind, number)
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                s.settimeout(TIMEOUT)
                s.connect(self.server)
                s.send(message)
                answer = s.recv(65536)
            code, truncated, found = read_answer(answer, name)
            if truncated:
                code, _, found = read_answer(self.by_tcp(message), name)
        except (OSError, struct.error, IndexError) as why:
            raise Unresolved(f"DNS problem: query for {name} failed: {why}") from None
        if struct.unpack_from(">H", answer)[0] != number:
            raise Unresolved(f"DNS problem: the answer about {name} is to another question")
        if code not in (0, 3):
            raise Unresolved(f"DNS problem: the server answered {code} about {name}")
        return found

    def by_tcp(self, message):
        with socket.create_connection(self.server, timeout=TIMEOUT) as s:
            s.sendall(struct.pack(">H", len(message)) + message)
            with s.makefile("rb") as stream:
                return stream.read(struct.unpack(">H", stream.read(2))[0])

    def look_up(self, name, kind):
        """Records of that type; CNAMEs are followed, by further questions where need be."""
        name, found = name.lower(), {}
        for _ in range(ALIASES_MOST):
            found = {**found, **self.exchange(name, kind)}
            while (name, CNAME) in found and (name, kind) not in found:
                name = found.pop((name, CNAME))[0]
                if not any(owner == name for owner, _ in found):
                    break
            else:
                return found.get((name, kind), [])
        raise Unresolved(f"DNS problem: too many aliases behind {name}")

    def addresses(self, type_, name):
        if type_ == "ip":
            return [name]
        if self.address:
            return [self.address]
        if not self.server:
            raise Unresolved(f"DNS problem: nobody to ask about {name}")
        six = [str(ipaddress.IPv6Address(r)) for r in self.look_up(name, AAAA)]
        found = six + [str(ipaddress.IPv4Address(r)) for r in self.look_up(name, A)]
        if not found:
            raise Unresolved(f"DNS problem: no valid A or AAAA records found for {name}")
        return found

    def texts(self, name):
        if not self.server:
            raise Unresolved(f"DNS problem: nobody to ask about {name}")
        return [join(record) for record in self.look_up(name, TXT)]


def join(record):
    """The strings of a TXT record are one text."""
    text, at = b"", 0
    while at < len(record):
        text += record[at + 1:at + 1 + record[at]]
        at += 1 + record[at]
    return text.decode("latin-1")
