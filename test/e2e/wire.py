"""What clients send, byte for byte, and what becomes of it: the corpus that test_wire.py holds Everseal to and
test_differential.py shows to nginx and HAProxy as well.

A case: the client's bytes; the statuses of the answers; whether the connection stays open; and all that reaches
the application, byte for byte, with VIA in place of our pseudonym."""
import dataclasses

HOST = b"Host: a.example.com\r\n"
CHUNKED = b"Transfer-Encoding: chunked"
LAST_CHUNK = b"0\r\n\r\n"
VIA = b"everseal-VIA"
OPEN, CLOSED = True, False


@dataclasses.dataclass
class Case:
    sent: bytes
    statuses: list
    open: bool
    passed: bytes = b""


def post(*fields, body=b"", version=b"1.1", host=HOST):
    return b"POST / HTTP/" + version + b"\r\n" + host + b"".join(f + b"\r\n" for f in fields) + b"\r\n" + body


def get(*fields, path=b"/", host=HOST, version=b"HTTP/1.1", method=b"GET"):
    return (method + b" " + path + b" " + version + b"\r\n" + host
            + b"".join(f + b"\r\n" for f in fields) + b"\r\n")


def to(line, *fields, host=b"a.example.com", framing=b"", body=b"", minor=b"1", last=()):
    """A request as the application gets it. `last`: fields that stand behind ours."""
    ours = [b"x-forwarded-for: 127.0.0.1", b"x-forwarded-proto: http", b"x-forwarded-host: " + host,
            b"forwarded: for=127.0.0.1;host=\"" + host + b"\";proto=http", b"via: 1." + minor + b" " + VIA]
    lines = [line + b" HTTP/1.1", b"host: " + host, *fields, *ours, *last, *([framing] if framing else [])]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def refused(sent, status=400, passed=b""):
    return Case(sent, [status], CLOSED, passed)


def fine(sent, *passed, is_open=OPEN, status=200):
    return Case(sent, [status] * len(passed), is_open, b"".join(passed))


def chunks(body, *pieces):
    """A chunked POST: body as it comes, the pieces as they are passed on."""
    again = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + LAST_CHUNK
    return fine(post(CHUNKED, body=body), to(b"POST /", framing=b"transfer-encoding: chunked", body=again))


def field(*said, passed=None):
    """A GET with these fields; what of them is passed on (None: all, in lower case)."""
    if passed is None:
        passed = [f.split(b":", 1)[0].lower() + b":" + f.split(b":", 1)[1] for f in said]
    return fine(get(*said), to(b"GET /", *passed))


def target(path, passed=None):
    return fine(get(path=path), to(b"GET " + (passed or path)))


def host(said, passed=None):
    passed = passed or said
    return fine(get(host=b"Host: " + said + b"\r\n"), to(b"GET /", host=passed))


FRAMING = {
    "length": fine(post(b"Content-Length: 3", body=b"abc"), to(b"POST /", framing=b"content-length: 3", body=b"abc")),
    "length of 0": fine(post(b"Content-Length: 0"), to(b"POST /", framing=b"content-length: 0")),
    "length with zeros before it": fine(post(b"Content-Length: 003", body=b"abc"),
                                        to(b"POST /", framing=b"content-length: 3", body=b"abc")),
    "length with spaces around": fine(post(b"Content-Length: \t 3 \t", body=b"abc"),
                                      to(b"POST /", framing=b"content-length: 3", body=b"abc")),
    "a GET with a body": fine(get(b"Content-Length: 3") + b"abc",
                              to(b"GET /", framing=b"content-length: 3", body=b"abc")),
    "a POST without length": fine(post(), to(b"POST /", framing=b"content-length: 0")),
    "chunked": chunks(b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
    "chunked, nothing in it": chunks(b"0\r\n\r\n"),
    "chunk size in capitals": chunks(b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    "chunk size with zeros before it": chunks(b"00003\r\nabc\r\n0\r\n\r\n", b"abc"),
    "chunk extension": chunks(b"3;a=b\r\nabc\r\n0\r\n\r\n", b"abc"),
    "chunk extension without a value": chunks(b"3;a\r\nabc\r\n0;z\r\n\r\n", b"abc"),
    "chunk extension, quoted": chunks(b"3;a=\";\\\"\"\r\nabc\r\n0\r\n\r\n", b"abc"),
    "trailer": chunks(b"3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n", b"abc"),
    "last chunk with many zeros": chunks(b"3\r\nabc\r\n00000\r\n\r\n", b"abc"),
    "length and transfer-encoding": refused(post(b"Content-Length: 3", CHUNKED, body=LAST_CHUNK)),
    "transfer-encoding and length": refused(post(CHUNKED, b"Content-Length: 5", body=LAST_CHUNK)),
    "two lengths": refused(post(b"Content-Length: 1", b"Content-Length: 2", body=b"x")),
    "two equal lengths": refused(post(b"Content-Length: 1", b"Content-Length: 1", body=b"x")),
    "length list": refused(post(b"Content-Length: 1, 1", body=b"x")),
    "length +1": refused(post(b"Content-Length: +1", body=b"x")),
    "length -1": refused(post(b"Content-Length: -1")),
    "length 0x1": refused(post(b"Content-Length: 0x1", body=b"x")),
    "length 1.0": refused(post(b"Content-Length: 1.0", body=b"x")),
    "length 1e1": refused(post(b"Content-Length: 1e1", body=b"x")),
    "length with a space in it": refused(post(b"Content-Length: 1 0", body=b"x")),
    "length in quotes": refused(post(b"Content-Length: \"1\"", body=b"x")),
    "length empty": refused(post(b"Content-Length:")),
    "length of 20 digits": refused(post(b"Content-Length: 18446744073709551617")),
    "length too large": refused(post(b"Content-Length: 99999999999999999999999999")),
    "length in another script": refused(post("Content-Length: ３".encode())),
    "gzip, chunked": refused(post(b"Transfer-Encoding: gzip, chunked", body=LAST_CHUNK)),
    "chunked, gzip": refused(post(b"Transfer-Encoding: chunked, gzip", body=LAST_CHUNK)),
    "identity": refused(post(b"Transfer-Encoding: identity")),
    "identity and length": refused(post(b"Transfer-Encoding: identity", b"Content-Length: 1", body=b"x")),
    "xchunked": refused(post(b"Transfer-Encoding: xchunked")),
    "Chunked": refused(post(b"Transfer-Encoding: Chunked", body=LAST_CHUNK)),
    "chunked in quotes": refused(post(b"Transfer-Encoding: \"chunked\"", body=LAST_CHUNK)),
    "chunked with a parameter": refused(post(b"Transfer-Encoding: chunked;a=b", body=LAST_CHUNK)),
    "chunked with a comma": refused(post(b"Transfer-Encoding: chunked,", body=LAST_CHUNK)),
    "chunked twice": refused(post(CHUNKED, CHUNKED, body=LAST_CHUNK)),
    "chunked, chunked": refused(post(b"Transfer-Encoding: chunked, chunked", body=LAST_CHUNK)),
    "chunked behind a vertical tab": refused(post(b"Transfer-Encoding: \x0bchunked", body=LAST_CHUNK)),
    "chunked behind a form feed": refused(post(b"Transfer-Encoding: \x0cchunked", body=LAST_CHUNK)),
    "transfer-encoding empty": refused(post(b"Transfer-Encoding:")),
    "transfer-encoding with a space before the colon": refused(post(b"Transfer-Encoding : chunked", body=LAST_CHUNK)),
    "transfer-encoding folded": refused(post(b"Transfer-Encoding:", b" chunked", body=LAST_CHUNK)),
    "transfer_encoding is an ordinary field":
        fine(post(b"Transfer_Encoding: chunked", b"Content-Length: 1", body=b"x"),
             to(b"POST /", b"transfer_encoding: chunked", framing=b"content-length: 1", body=b"x")),
    "chunked in 1.0": refused(post(CHUNKED, body=LAST_CHUNK, version=b"1.0")),
    "size is no number": refused(post(CHUNKED, body=b"x\r\n\r\n")),
    "size empty": refused(post(CHUNKED, body=b"\r\n\r\n")),
    "size with a plus": refused(post(CHUNKED, body=b"+1\r\nx\r\n0\r\n\r\n")),
    "size with a minus": refused(post(CHUNKED, body=b"-1\r\nx\r\n0\r\n\r\n")),
    "size with 0x": refused(post(CHUNKED, body=b"0x1\r\nx\r\n0\r\n\r\n")),
    "size of 17 digits": refused(post(CHUNKED, body=b"11111111111111111\r\n")),
    "size that wraps": refused(post(CHUNKED, body=b"10000000000000001\r\nx\r\n0\r\n\r\n")),
    "space behind the size": refused(post(CHUNKED, body=b"1 \r\nx\r\n0\r\n\r\n")),
    "space before the size": refused(post(CHUNKED, body=b" 1\r\nx\r\n0\r\n\r\n")),
    "tab behind the size": refused(post(CHUNKED, body=b"1\t\r\nx\r\n0\r\n\r\n")),
    "bare lf behind the size": refused(post(CHUNKED, body=b"1\nx\r\n0\r\n\r\n")),
    "bare cr behind the size": refused(post(CHUNKED, body=b"1\rx\r\n0\r\n\r\n")),
    "data longer than its size": refused(post(CHUNKED, body=b"1\r\nxy\r\n0\r\n\r\n")),
    "data shorter than its size": refused(post(CHUNKED, body=b"3\r\nab\r\n0\r\n\r\n")),
    "bare lf behind the data": refused(post(CHUNKED, body=b"1\r\nx\n0\r\n\r\n")),
    "extension with a bare lf": refused(post(CHUNKED, body=b"1;a=b\nx\r\n0\r\n\r\n")),
    "extension with a bare cr": refused(post(CHUNKED, body=b"1;a\rb\r\nx\r\n0\r\n\r\n")),
    "extension with a control": refused(post(CHUNKED, body=b"1;a\x01\r\nx\r\n0\r\n\r\n")),
    "extension without a name": refused(post(CHUNKED, body=b"1;\r\nx\r\n0\r\n\r\n")),
    "extension of 300 bytes": refused(post(CHUNKED, body=b"1;" + b"a" * 300 + b"\r\nx\r\n0\r\n\r\n")),
    "trailer folded": refused(post(CHUNKED, body=b"0\r\nX: a\r\n b\r\n\r\n")),
    "trailer without a colon": refused(post(CHUNKED, body=b"0\r\nX\r\n\r\n")),
    "trailer with a bare lf": refused(post(CHUNKED, body=b"0\r\nX: a\n\r\n")),
    "9 KiB of trailers": refused(post(CHUNKED, body=b"0\r\nX: " + b"a" * 9 * 1024 + b"\r\n\r\n")),
}

LINES = {
    "plain": fine(get(), to(b"GET /")),
    "HEAD": fine(get(method=b"HEAD"), to(b"HEAD /")),
    "OPTIONS": fine(get(method=b"OPTIONS"), to(b"OPTIONS /")),
    "OPTIONS *": fine(get(method=b"OPTIONS", path=b"*"), to(b"OPTIONS *")),
    "DELETE": fine(get(method=b"DELETE"), to(b"DELETE /")),
    "a method of one's own": fine(get(method=b"FIND-ALL"), to(b"FIND-ALL /")),
    "a method in lower case": fine(get(method=b"get"), to(b"get /")),
    "1.0": fine(get(version=b"HTTP/1.0"), to(b"GET /", minor=b"0"), is_open=CLOSED),
    "1.0 that keeps the connection": fine(get(b"Connection: keep-alive", version=b"HTTP/1.0"),
                                          to(b"GET /", minor=b"0")),
    "1.1 that closes": fine(get(b"Connection: close"), to(b"GET /"), is_open=CLOSED),
    "1.1 that closes, in capitals": fine(get(b"Connection: CLOSE"), to(b"GET /"), is_open=CLOSED),
    "an empty line before": fine(b"\r\n" + get(), to(b"GET /")),
    "two": fine(get(path=b"/1") + get(path=b"/2"), to(b"GET /1"), to(b"GET /2")),
    "two, with bodies": fine(post(b"Content-Length: 3", body=b"abc") + post(CHUNKED, body=b"1\r\nx\r\n0\r\n\r\n"),
                             to(b"POST /", framing=b"content-length: 3", body=b"abc"),
                             to(b"POST /", framing=b"transfer-encoding: chunked", body=b"1\r\nx\r\n0\r\n\r\n")),
    "what stands behind a body is the next request":
        fine(post(b"Content-Length: 0") + get(path=b"/next"),
             to(b"POST /", framing=b"content-length: 0"), to(b"GET /next")),
    "two, the first of which closes": Case(get(b"Connection: close") + get(path=b"/2"), [200], CLOSED, to(b"GET /")),
    "two, the second refused": Case(get() + get(b"X : y", path=b"/2"), [200, 400], CLOSED, to(b"GET /")),
    "two empty lines before": refused(b"\r\n\r\n" + get()),
    "a bare lf before": refused(b"\n" + get()),
    "bare lf behind the request line": refused(b"GET / HTTP/1.1\n" + HOST + b"\r\n"),
    "bare lf behind a field": refused(b"GET / HTTP/1.1\r\nHost: a.example.com\n\r\n"),
    "bare lf at the end": refused(b"GET / HTTP/1.1\r\n" + HOST + b"\n"),
    "bare cr behind the request line": refused(b"GET / HTTP/1.1\r" + HOST + b"\r\n"),
    "two spaces": refused(get(path=b" /")),
    "tab instead of space": refused(b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n"),
    "a space before the method": refused(b" " + get()),
    "no version": refused(b"GET /\r\n" + HOST + b"\r\n"),
    "version 0.9": refused(get(version=b"HTTP/0.9"), 505),
    "version 1.2": refused(get(version=b"HTTP/1.2"), 505),
    "version 1.10": refused(get(version=b"HTTP/1.10")),
    "version 01.1": refused(get(version=b"HTTP/01.1")),
    "version 2.0": refused(get(version=b"HTTP/2.0"), 505),
    "version in lower case": refused(get(version=b"http/1.1")),
    "version of another protocol": refused(get(version=b"ICAP/1.1")),
    "space behind the version": refused(get(version=b"HTTP/1.1 ")),
    "no method": refused(b"/ HTTP/1.1\r\n" + HOST + b"\r\n"),
    "method is no token": refused(get(method=b"G(T")),
    "method of 25 bytes": refused(get(method=b"A" * 25), 501),
    "CONNECT": refused(b"CONNECT a.example.com:443 HTTP/1.1\r\n" + HOST + b"\r\n", 501),
    "a TLS hello": refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "a long target": refused(get(path=b"/" + b"y" * 33 * 1024), 414),
}

TARGETS = {
    "query": target(b"/a?b=c&d"),
    "query, empty": target(b"/?"),
    "query with all that may stand there": target(b"/?a=/?:@!$&'()*+,;=-._~%20"),
    "encoded": target(b"/a%20b%2Fc"),
    "encoded dots": target(b"/%2e%2e/a"),
    "dots": target(b"/a/../b"),
    "double slash": target(b"//a//b"),
    "parameters": target(b"/a;b=c/d"),
    "a colon": target(b"/a:b"),
    "percent without digits": target(b"/a%zz"),
    "absolute": target(b"http://a.example.com/x?y", b"/x?y"),
    "absolute, https": target(b"https://a.example.com/x", b"/x"),
    "absolute in capitals": target(b"HTTP://A.Example.Com/x", b"/x"),
    "absolute without a path": target(b"http://a.example.com", b"/"),
    "absolute, a query and no path": target(b"http://a.example.com?q", b"/?q"),
    "absolute, another host": refused(get(path=b"http://b.example.com/")),
    "absolute, another port": refused(get(path=b"http://a.example.com:81/")),
    "absolute with a user": refused(get(path=b"http://u@a.example.com/")),
    "absolute, another scheme": refused(get(path=b"ftp://a.example.com/")),
    "absolute without a host": refused(get(path=b"http:///x")),
    "fragment": refused(get(path=b"/a#b")),
    "space": refused(get(path=b"/a b")),
    "backslash": refused(get(path=b"/a\\b")),
    "byte above 127": refused(get(path=b"/\xff")),
    "nul": refused(get(path=b"/a\0b")),
    "tab": refused(get(path=b"/a\tb")),
    "without a slash": refused(get(path=b"a")),
    "* with GET": refused(get(path=b"*")),
}

HOSTS = {
    "in capitals": host(b"A.EXAMPLE.COM", b"a.example.com"),
    "with a port": host(b"a.example.com:8080"),
    "with an empty port": host(b"a.example.com:", b"a.example.com"),
    "IPv4": host(b"127.0.0.1"),
    "IPv6": host(b"[::1]:80"),
    "an underscore": host(b"a_b.example.com"),
    "spaces around": fine(get(host=b"Host:\t a.example.com \r\n"), to(b"GET /")),
    "none": refused(get(host=b"")),
    "none in 1.0": refused(get(host=b"", version=b"HTTP/1.0")),
    "two": refused(get(host=HOST + HOST)),
    "two that differ": refused(get(host=HOST + b"Host: b.example.com\r\n")),
    "second one with a space before the colon": refused(get(host=HOST + b"Host : b.example.com\r\n")),
    "empty": refused(get(host=b"Host:\r\n")),
    "list": refused(get(host=b"Host: a.example.com, b.example.com\r\n")),
    "with a path": refused(get(host=b"Host: a.example.com/x\r\n")),
    "with a user": refused(get(host=b"Host: u@a.example.com\r\n")),
    "with a scheme": refused(get(host=b"Host: http://a.example.com\r\n")),
    "with a bad port": refused(get(host=b"Host: a.example.com:x\r\n")),
    "with port 65536": refused(get(host=b"Host: a.example.com:65536\r\n")),
    "with two ports": refused(get(host=b"Host: a.example.com:80:80\r\n")),
    "with a space": refused(get(host=b"Host: a.example.com b\r\n")),
    "with a percent": refused(get(host=b"Host: a%2eexample.com\r\n")),
    "IPv6 without brackets": refused(get(host=b"Host: ::1\r\n")),
    "IPv6 not closed": refused(get(host=b"Host: [::1\r\n")),
    "byte above 127": refused(get(host=b"Host: \xff.example.com\r\n")),
}

FIELDS = {
    "ordinary": field(b"X-A: 1"),
    "value with spaces around": field(b"X-A:  \t1 2\t ", passed=[b"x-a: 1 2"]),
    "value without a space before": field(b"X-A:1", passed=[b"x-a: 1"]),
    "value empty": field(b"X-A:", passed=[b"x-a: "]),
    "value with a tab": field(b"X-A: 1\t2"),
    "value with bytes above 127": field(b"X-A: \xe4\xff"),
    "name with all that may stand there": field(b"!#$%&'*+-.^_`|~09Az: 1", passed=[b"!#$%&'*+-.^_`|~09az: 1"]),
    "the same twice": field(b"X-A: 1", b"X-A: 2"),
    "cookies": field(b"Cookie: a=1", b"Cookie: b=2"),
    "authorization": field(b"Authorization: Basic eDp5"),
    "conditions": field(b"If-None-Match: \"x\"", b"If-Modified-Since: Mon, 30 Nov 2026 00:00:00 GMT"),
    "range": field(b"Range: bytes=0-1"),
    "encodings": field(b"Accept-Encoding: gzip, br"),
    "100 of them": field(*(b"X-%d: y" % i for i in range(99))),
    "connection lists a field": field(b"X-A: 1", b"Connection: X-A", passed=[]),
    "connection lists a field of others": field(b"Cookie: a", b"Connection: keep-alive, cookie", passed=[]),
    "keep-alive": field(b"Keep-Alive: timeout=5", passed=[]),
    "proxy-connection": field(b"Proxy-Connection: keep-alive", passed=[]),
    "proxy-authorization": field(b"Proxy-Authorization: Basic eDp5", passed=[]),
    "te gzip": field(b"TE: gzip", passed=[]),
    "trailer": field(b"Trailer: X-A", passed=[]),
    "upgrade to h2c": field(b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAMAAABk",
                            passed=[]),
    "upgrade to something": field(b"Upgrade: foo", b"Connection: upgrade", passed=[]),
    "x-forwarded-for": field(b"X-Forwarded-For: 6.6.6.6", passed=[]),
    "x_forwarded_for": field(b"X_Forwarded_For: 6.6.6.6", passed=[]),
    "x-forwarded-proto": field(b"X-Forwarded-Proto: https", passed=[]),
    "x-forwarded-host": field(b"X-Forwarded-Host: evil", passed=[]),
    "forwarded": field(b"Forwarded: for=6.6.6.6", passed=[]),
    "via": field(b"Via: 1.1 evil", passed=[]),
    "x-real-ip": field(b"X-Real-IP: 6.6.6.6", passed=[]),
    "proxy": field(b"Proxy: evil:1", passed=[]),
    **{name.lower(): field(name.encode() + b": 6", passed=[])
       for name in ("X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Ssl", "X-Forwarded-Server",
                    "X_Forwarded_Port", "X-Original-URL", "X-Rewrite-URL", "X-Client-IP", "True-Client-IP",
                    "Front-End-Https", "X-Url-Scheme", "X-Scheme", "SCRIPT_NAME", "PATH_INFO")},
    "bare cr in a value": refused(get(b"X: a\rb")),
    "nul in a value": refused(get(b"X: a\0b")),
    "control in a value": refused(get(b"X: a\x01b")),
    "delete in a value": refused(get(b"X: a\x7fb")),
    "folded": refused(get(b"X: a", b" b")),
    "folded by a tab": refused(get(b"X: a", b"\tb")),
    "the first one folded": refused(b"GET / HTTP/1.1\r\n Host: a.example.com\r\n\r\n"),
    "space before the colon": refused(get(b"X : 1")),
    "tab before the colon": refused(get(b"X\t: 1")),
    "space in the name": refused(get(b"X Y: 1")),
    "without a name": refused(get(b": x")),
    "name is no token": refused(get(b"X(y): x")),
    "name with a byte above 127": refused(get(b"X\xff: x")),
    "name with a nul": refused(get(b"X\0: x")),
    "without a colon": refused(get(b"X")),
    "101 of them": refused(get(*(b"X-%d: y" % i for i in range(101))), 431),
    "33 KiB of them": refused(get(b"X: " + b"y" * 33 * 1024), 431),
    "an unknown expectation": refused(post(b"Expect: 200-ok", b"Content-Length: 0"), 417),
    "connection with 33 names": refused(get(b"Connection: " + b",".join(b"x%d" % i for i in range(33)))),
}

ALL = {f"{group}: {name}": case
       for group, cases in (("framing", FRAMING), ("line", LINES), ("target", TARGETS), ("host", HOSTS),
                            ("field", FIELDS))
       for name, case in cases.items()}
