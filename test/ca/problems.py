"""What a handler gives: an answer, or a problem (RFC 7807; RFC 8555 6.7)."""
import dataclasses
import json

URN = "urn:ietf:params:acme:error:"


class Problem(Exception):
    """`kind` without the URN's prefix; `members` are more members of the document."""

    def __init__(self, status, kind, detail, headers=(), **members):
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.headers, self.members = list(headers), members

    def document(self):
        return {"type": URN + self.kind, "detail": self.detail, "status": self.status, **self.members}


def malformed(detail, status=400):
    return Problem(status, "malformed", detail)


def unauthorized(detail, status=403):
    return Problem(status, "unauthorized", detail)


@dataclasses.dataclass
class Reply:
    status: int = 200
    body: dict | bytes | None = None
    headers: list = dataclasses.field(default_factory=list)
    kind: str = "application/json"
    after: float = 0   # seconds that the answer is held back
    cut: bool = False  # the connection ends before the answer has

    def content(self):
        if self.body is None:
            return b""
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body, indent=2).encode()


def reply_of(problem):
    return Reply(problem.status, problem.document(), list(problem.headers), "application/problem+json")
