"""Answers that are damaged on their way out: what a broken CA, proxy or disk sends.

	html  nothing  truncated  cut  silence  huge  deep  not-utf-8  array  a-number  a-text  twice  bom
	unknown        members that nobody knows, deep ones and large numbers among them
	missing:M  null:M  number:M  text:M  list:M  object:M  empty:M    a member missing or retyped, "a.b" one
	               inside; "*" all of them, "?" those that RFC 8555 calls optional
	status:N       the status is another one
	redirect       307 to elsewhere
"""
import json

from problems import Reply

HTML = b"<!doctype html><html><head><title>Maintenance</title></head><body>Back soon.</body></html>\n"
OPTIONAL = {"expires", "meta", "contact", "orders", "notBefore", "notAfter", "validated", "wildcard",
            "validationRecord", "explanationURL", "profile", "replaces", "keyChange", "renewalInfo",
            "revokeCert", "title", "status_text", "instance", "initialIp", "createdAt"}
RETYPED = {"null": None, "number": 4711, "text": "4711", "list": [4711], "object": {"a": 4711}, "empty": ""}


def damaged(reply, how):
    """The reply as it goes out."""
    word, _, argument = how.partition(":")
    if word in ("missing", *RETYPED):
        return with_body(reply, json.dumps(without(reply.body, word, argument)).encode()) \
            if isinstance(reply.body, dict) else reply
    if word == "status":
        return Reply(int(argument), reply.body, reply.headers, reply.kind)
    if word == "redirect":
        return Reply(307, b"", [*reply.headers, ("Location", "https://127.0.0.1:9/elsewhere")])
    return {"html": lambda: with_body(reply, HTML, "text/html"),
            "nothing": lambda: with_body(reply, b""),
            "truncated": lambda: with_body(reply, reply.content()[:len(reply.content()) * 2 // 3]),
            "cut": lambda: cut(reply),
            "silence": lambda: Reply(0),
            "huge": lambda: with_body(reply, b'{"status":"valid","a":"' + b"x" * (16 << 20) + b'"}'),
            "deep": lambda: with_body(reply, b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
            "not-utf-8": lambda: with_body(reply, reply.content().replace(b'"', b'"\xe9\xff', 1)),
            "array": lambda: with_body(reply, b"[" + reply.content() + b"]"),
            "a-number": lambda: with_body(reply, b"4711"),
            "a-text": lambda: with_body(reply, b'"valid"'),
            "twice": lambda: with_body(reply, twice(reply.content())),
            "bom": lambda: with_body(reply, b"\xef\xbb\xbf" + reply.content()),
            "unknown": lambda: unknown(reply),
            }[word]()


def with_body(reply, body, kind=None):
    return Reply(reply.status, body, reply.headers, kind or reply.kind)


def cut(reply):
    return Reply(reply.status, reply.content(), reply.headers, reply.kind, cut=True)


def twice(body):
    """Each member is there twice, first as null."""
    if not body.startswith(b"{"):
        return body
    members = json.loads(body)
    first = ",".join(f"{json.dumps(m)}:null" for m in members)
    return b"{" + first.encode() + b"," + body[1:]


def unknown(reply):
    if not isinstance(reply.body, dict):
        return reply
    deep = {"a": [[[{"b": [None, True, 1e300, -0.0, 123456789012345678]}]]]}
    body = {"x-unknown": deep, "unknown": None, "": "", "\u2028": "\U0001f512", **reply.body,
            "zzz": [deep] * 50}
    return with_body(reply, json.dumps(body).encode())


def without(body, word, member):
    """A copy in which the member is missing or retyped, wherever it stands in the document."""
    def change(value, name):
        if word == "missing":
            value.pop(name, None)
        elif name in value:
            value[name] = RETYPED[word]
    body = json.loads(json.dumps(body))
    where, *inner = member.split(".")
    if inner and isinstance(body.get(where), dict):
        change(body[where], inner[0])
    elif inner and isinstance(body.get(where), list):
        for each in body[where]:
            if isinstance(each, dict):
                change(each, inner[0])
    for name in list(body):
        if member in ("*", name) or (member == "?" and name in OPTIONAL):
            change(body, name)
    return body
