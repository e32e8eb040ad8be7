"""Proof of a name as the CA sees it: it asks (RFC 8555 8.3, 8.4; RFC 8737; dns-persist-01)."""
import contextlib
import hashlib
import http.client
import ipaddress
import socket
import ssl
import urllib.parse

from cryptography import x509

from jws import encode
from resolve import Unresolved

TIMEOUT, REDIRECTS_MOST, BODY_MOST = 10.0, 10, 128
ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")


class Unproved(Exception):
    """`kind` is the problem's type; `record` what was asked (validationRecord)."""

    def __init__(self, kind, detail):
        super().__init__(detail)
        self.kind, self.detail = kind, detail


class Prover:
    """One vantage point. `ports`: what 80 and 443 are here; `persist`: issuer domain of dns-persist-01."""

    def __init__(self, resolver, ports, persist):
        self.resolver, self.ports, self.persist = resolver, ports, persist

    def prove(self, authorization, challenge, account_url):
        """Returns what it asked; raises Unproved."""
        expected = f"{challenge.token}.{authorization.account.thumbprint}"
        ways = {"http-01": self.by_http, "tls-alpn-01": self.by_tls, "dns-01": self.by_dns}
        if challenge.type == "dns-persist-01":
            return self.by_standing_record(authorization, account_url)
        return ways[challenge.type](authorization, challenge, expected)

    def address(self, type_, name):
        try:
            return self.resolver.addresses(type_, name)[0]
        except Unresolved as why:
            raise Unproved("dns", str(why)) from None

    # ---- http-01 (RFC 8555 8.3) ----

    def by_http(self, authorization, challenge, expected):
        url = f"http://{bracketed(authorization.name)}/.well-known/acme-challenge/{challenge.token}"
        records = []
        for _ in range(REDIRECTS_MOST + 1):
            address = self.address(kind_of(urllib.parse.urlsplit(url).hostname),
                                   urllib.parse.urlsplit(url).hostname)
            records.append({"url": url, "hostname": urllib.parse.urlsplit(url).hostname,
                            "addressUsed": address})
            status, location, body = self.get(url, address)
            if status not in (301, 302, 307, 308):
                break
            url = self.next_url(url, location)
        else:
            raise Unproved("connection", f"Fetching {url}: Too many redirects")
        if status != 200:
            raise Unproved("unauthorized", f"{address}: Invalid response from {url}: {status}")
        if len(body) > BODY_MOST:
            raise Unproved("unauthorized", f"{address}: Invalid response from {url}: {body[:40]!r}…")
        if body.rstrip() != expected.encode():
            raise Unproved("unauthorized", f"The key authorization file from the server did not match this "
                                           f"challenge. Expected {expected!r} (got {body.decode('latin-1')!r})")
        return records

    def next_url(self, url, location):
        url = urllib.parse.urljoin(url, location or "")
        parts = urllib.parse.urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        known = {80, 443, self.ports[80], self.ports[443]}
        if parts.scheme not in ("http", "https") or port not in known or not parts.hostname:
            raise Unproved("connection", f"Fetching {url}: Invalid redirect: only ports 80 and 443")
        return url

    def get(self, url, address):
        parts = urllib.parse.urlsplit(url)
        standard = 443 if parts.scheme == "https" else 80
        port = self.ports.get(parts.port or standard, parts.port)
        if parts.scheme == "https":
            context = ssl._create_unverified_context()
            connection = http.client.HTTPSConnection(parts.hostname, port, timeout=TIMEOUT, context=context)
        else:
            connection = http.client.HTTPConnection(parts.hostname, port, timeout=TIMEOUT)
        connection._create_connection = lambda _, timeout, source: socket.create_connection(
            (address, port), timeout)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        with contextlib.closing(connection):
            try:
                connection.request("GET", path, headers={"Host": parts.netloc, "User-Agent": "Difficult CA",
                                                         "Accept": "*/*"})
                answer = connection.getresponse()
                return answer.status, answer.headers.get("Location"), answer.read(BODY_MOST + 1)
            except ssl.SSLError as why:
                raise Unproved("tls", f"{address}: Fetching {url}: {why}") from None
            except TimeoutError:
                raise Unproved("connection", f"{address}: Fetching {url}: Timeout during connect "
                                             "(likely firewall problem)") from None
            except (OSError, http.client.HTTPException) as why:
                raise Unproved("connection", f"{address}: Fetching {url}: {why}") from None

    # ---- tls-alpn-01 (RFC 8737 3) ----

    def by_tls(self, authorization, challenge, expected):
        address = self.address(authorization.type, authorization.name)
        name = authorization.name
        if authorization.type == "ip":  # RFC 8738 6
            name = ipaddress.ip_address(name).reverse_pointer
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["acme-tls/1"])
        try:
            with socket.create_connection((address, self.ports[443]), TIMEOUT) as plain, \
                    context.wrap_socket(plain, server_hostname=name) as connection:
                if connection.selected_alpn_protocol() != "acme-tls/1":
                    raise Unproved("unauthorized", f"{address}: Cannot negotiate ALPN protocol "
                                                   '"acme-tls/1" for tls-alpn-01 challenge')
                shown = connection.getpeercert(binary_form=True)
        except ssl.SSLError as why:
            raise Unproved("tls", f"{address}: {why}") from None
        except OSError as why:
            raise Unproved("connection", f"{address}: {why}") from None
        check_shown(x509.load_der_x509_certificate(shown), authorization, expected)
        return [{"hostname": authorization.name, "port": "443", "addressUsed": address}]

    # ---- dns-01 (RFC 8555 8.4) ----

    def by_dns(self, authorization, challenge, expected):
        wanted = encode(hashlib.sha256(expected.encode()).digest())
        where = f"_acme-challenge.{authorization.name}"
        found = self.records(where)
        if wanted not in found:
            raise Unproved("unauthorized", f"Incorrect TXT record {found[0]!r} found at {where}" if found
                           else f"No TXT record found at {where}")
        return [{"hostname": authorization.name}]

    def records(self, where):
        try:
            return self.resolver.texts(where)
        except Unresolved as why:
            raise Unproved("dns", str(why)) from None

    # ---- dns-persist-01 (draft-ietf-acme-dns-persist) ----

    def by_standing_record(self, authorization, account_url):
        where = f"_validation-persist.{authorization.name}"
        for record in self.records(where):
            domain, *rest = [part.strip() for part in record.split(";")]
            members = dict(part.split("=", 1) for part in rest if "=" in part)
            wide = not authorization.wildcard or members.get("policy") == "wildcard"
            if domain == self.persist and members.get("accounturi") == account_url and wide:
                return [{"hostname": authorization.name}]
        raise Unproved("unauthorized", f"No record for {self.persist} and {account_url} found at {where}")


def check_shown(certificate, authorization, expected):
    """RFC 8737 3: self-signed, exactly this name, and the critical acmeIdentifier of this digest."""
    digest = hashlib.sha256(expected.encode()).digest()
    try:
        names = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        identifier = certificate.extensions.get_extension_for_oid(ACME_IDENTIFIER)
    except x509.ExtensionNotFound as why:
        raise Unproved("unauthorized", f"Incorrect validation certificate for tls-alpn-01 challenge: {why}")
    wanted = x509.IPAddress(ipaddress.ip_address(authorization.name)) if authorization.type == "ip" \
        else x509.DNSName(authorization.name)
    if names != [wanted]:
        raise Unproved("unauthorized", "Incorrect validation certificate for tls-alpn-01 challenge: it is "
                                       f"for {names}")
    if not identifier.critical or identifier.value.value != b"\x04\x20" + digest:
        raise Unproved("unauthorized", "Incorrect validation certificate for tls-alpn-01 challenge: its "
                                       "acmeIdentifier is not the one expected, or not critical")
    if certificate.issuer != certificate.subject:
        raise Unproved("unauthorized", "Incorrect validation certificate for tls-alpn-01 challenge: not "
                                       "self-signed")


def kind_of(host):
    try:
        ipaddress.ip_address(host)
        return "ip"
    except ValueError:
        return "dns"


def bracketed(name):
    return f"[{name}]" if ":" in name else name
