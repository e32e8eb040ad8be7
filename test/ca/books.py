"""What the CA keeps: its clock, accounts, orders, authorizations, certificates, nonces; and the count of
what it was asked."""
import collections
import dataclasses
import datetime
import itertools
import secrets
import time

from jws import encode

DAY = 86400
TIME_MOST = 250_000_000_000  # in the year 9892


class Clock:
    """The CA's time: the machine's, and an offset that a test injects."""
    offset = 0.0

    def now(self):
        return time.time() + self.offset


def stamp(seconds):
    """RFC 3339."""
    return datetime.datetime.fromtimestamp(min(seconds, TIME_MOST), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def http_date(seconds):
    return datetime.datetime.fromtimestamp(min(seconds, TIME_MOST), datetime.timezone.utc).strftime(
        "%a, %d %b %Y %H:%M:%S GMT")


@dataclasses.dataclass
class Account:
    id: str
    jwk: dict
    thumbprint: str
    contact: list
    agreed: str  # URL of the terms
    status: str = "valid"
    binding: str | None = None
    forgotten: bool = False
    orders: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Challenge:
    id: str
    type: str
    token: str
    status: str = "pending"
    error: dict | None = None
    validated: float | None = None
    records: list = dataclasses.field(default_factory=list)
    conflicts: int = 0


@dataclasses.dataclass
class Authorization:
    id: str
    account: Account
    type: str   # of the identifier
    name: str   # without "*."
    wildcard: bool
    expires: float
    challenges: list
    status: str = "pending"


@dataclasses.dataclass
class Order:
    id: str
    account: Account
    identifiers: list  # of (type, name), sorted
    profile: str | None
    replaces: str | None
    expires: float
    authorizations: list
    made: float
    status: str = "pending"
    error: dict | None = None
    certificate: object = None
    ready_at: float | None = None  # asynchronous: when the certificate is there
    request: object = None         # the CSR
    exempt: bool = False           # of all limits (RFC 9773: inside its window)

    @property
    def names(self):
        return [name for _, name in self.identifiers]


@dataclasses.dataclass
class Certificate:
    id: str
    account: Account
    names: list
    serial: int
    not_before: float
    not_after: float
    der: bytes
    chains: list   # PEM, the default first
    ari_id: str
    profile: str | None
    issued: float
    revoked: int | None = None
    replaced_by: Order | None = None
    asked: int = 0  # how often for renewalInfo


class Nonces:
    """Each can be used once (RFC 8555 6.5.2)."""
    MOST = 200_000

    def __init__(self):
        self.open = collections.OrderedDict()

    def new(self):
        nonce = encode(secrets.token_bytes(16))
        self.open[nonce] = True
        if len(self.open) > self.MOST:
            self.open.popitem(last=False)
        return nonce

    def use(self, nonce):
        return self.open.pop(nonce, False)


class Requests:
    """Counted per endpoint, and per endpoint and status; the last ones kept in order."""

    def __init__(self):
        self.clear()

    def clear(self):
        self.count = collections.Counter()
        self.answers = collections.Counter()
        self.refused = collections.Counter()
        self.log = collections.deque(maxlen=20_000)

    def add(self, at, endpoint, status, kind):
        self.count[endpoint] += 1
        self.answers[f"{endpoint} {status}"] += 1
        if kind:
            self.refused[kind] += 1
        self.log.append((round(at, 3), endpoint, status, kind))

    def show(self):
        return {"total": sum(self.count.values()), "count": self.count, "answers": self.answers,
                "refused": self.refused, "log": list(self.log)}


class Books:
    def __init__(self):
        self.clock, self.nonces, self.requests = Clock(), Nonces(), Requests()
        self.accounts, self.by_key = {}, {}
        self.orders, self.authorizations, self.challenges = {}, {}, {}
        self.certificates, self.by_ari = {}, {}
        self.validated = {}  # (account id, type, name, wildcard): the newest valid authorization
        self.open_orders = {}  # (account id, identifiers, profile): pending or ready
        self.numbers = itertools.count(1)

    def new_id(self):
        return f"{next(self.numbers)}{secrets.token_hex(3)}"

    def now(self):
        return self.clock.now()
