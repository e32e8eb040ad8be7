"""Keys and certificates of the CA: its roots, its HTTPS, and what it issues, spoilt where a switch says so."""
import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from jws import encode

YEAR = 366 * 86400
BACKDATED = 3600  # as Let's Encrypt does it


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def common_name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def moment(seconds):
    return datetime.datetime.utcfromtimestamp(int(seconds))


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def general_name(type_, name):
    return x509.IPAddress(ipaddress.ip_address(name)) if type_ == "ip" else x509.DNSName(name)


class Issuer:
    """A name and a key that sign."""

    def __init__(self, name, parent=None, now=0.0, cross=None):
        self.name, self.key = common_name(name), cross.key if cross else new_key()
        signer = parent or self
        builder = (x509.CertificateBuilder().subject_name(self.name).issuer_name(signer.name)
                   .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(moment(now - 5 * YEAR)).not_valid_after(moment(now + 15 * YEAR))
                   .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                   .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False,
                                                False), critical=True)
                   .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()),
                                  critical=False))
        if parent:
            builder = builder.add_extension(self.identifier(signer), critical=False)
        self.certificate = builder.sign(signer.key, hashes.SHA256())

    @staticmethod
    def identifier(signer):
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())

    def sign(self, subject, key, alternatives, start, end, serial=None, more=()):
        """A certificate of somebody else; `alternatives`: general names; `more`: extensions."""
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name)
                .public_key(key).serial_number(serial or x509.random_serial_number())
                .not_valid_before(moment(start)).not_valid_after(moment(end))
                .add_extension(x509.SubjectAlternativeName(alternatives), critical=not list(subject))
                .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                .add_extension(x509.KeyUsage(True, False, False, False, False, False, False, False, False),
                               critical=True)
                .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
                .add_extension(self.identifier(self), critical=False)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False))
        for extension in more:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256())


def ari_id(certificate):
    """RFC 9773 4.1: the authority's key identifier and the serial's DER bytes."""
    authority = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    serial = certificate.serial_number
    der = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    return f"{encode(authority.key_identifier)}.{encode(der)}"


class Keys:
    """The roots, an intermediate, and the HTTPS certificates of the CA's own server, made at start."""

    def __init__(self, now, alternates=2):
        self.root = Issuer("Difficult Root X1", now=now)
        self.intermediate = Issuer("Difficult Intermediate E1", self.root, now)
        # The same intermediate, signed by other roots: the alternate chains.
        self.roots = [self.root] + [Issuer(f"Difficult Root X{i + 2}", now=now) for i in range(alternates)]
        self.crossed = [self.intermediate] + [
            Issuer("Difficult Intermediate E1", root, now, cross=self.intermediate)
            for root in self.roots[1:]]
        self.stranger = Issuer("Somebody Else's Root", now=now)

    def https(self, folder, now, kind="ok"):
        """Writes certificate and key of the CA's own HTTPS; gives the paths."""
        key = new_key()
        alternatives = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        start, end = now - 86400, now + YEAR
        if kind == "expired":
            start, end = now - 2 * 86400, now - 86400
        if kind == "other-name":
            alternatives = [x509.DNSName("elsewhere.example.net")]
        signer = self.stranger if kind == "untrusted" else self.root
        certificate = signer.sign(common_name("the CA's server"), key.public_key(), alternatives, start, end)
        paths = folder / f"https-{kind}.pem", folder / f"https-{kind}.key"
        paths[0].write_bytes(pem(certificate))
        paths[1].write_bytes(key_pem(key))
        return paths

    def issue(self, request, identifiers, start, end, how="ok", more=()):
        """(certificate, its chains in PEM, the default first) for a CSR."""
        key = request.public_key()
        if how == "other-key":
            key = new_key().public_key()
        if how == "other-names":
            identifiers = [("dns", "somebody-else.example.net")]
        if how == "expired":
            start, end = start - 2 * (end - start), start - 3600
        if how == "future":
            start, end = end + 86400, end + (end - start)
        alternatives = [general_name(t, n) for t, n in identifiers]
        leaf = self.intermediate.sign(x509.Name([]), key, alternatives, start, end, more=more)
        return leaf, [self.chain(leaf, cross.certificate, how) for cross in self.crossed]

    def chain(self, leaf, intermediate, how):
        parts = [pem(leaf), pem(intermediate)]
        if how == "no-chain":
            parts = parts[:1]
        if how == "wrong-order":
            parts = [parts[0], pem(self.root.certificate), parts[1]]
        if how == "leaf-last":
            parts = [parts[1], parts[0]]
        if how == "twice":
            parts = [parts[0], parts[0], parts[1]]
        if how == "text-around":
            parts = [b"subject: the leaf\n", parts[0], b"\r\n\r\nissuer: the CA\r\n", parts[1], b"\n\n"]
        return b"".join(parts)
