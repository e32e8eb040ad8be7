"""JSON Web Signatures as RFC 8555 6.2 allows them, and no others."""
import base64
import binascii
import dataclasses
import hashlib
import hmac
import json
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from problems import Problem, malformed

CURVES = {"P-256": (ec.SECP256R1, "ES256", 32), "P-384": (ec.SECP384R1, "ES384", 48)}
HASHES = {"ES256": hashes.SHA256, "ES384": hashes.SHA384, "RS256": hashes.SHA256}
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "k", "oth"}
RSA_LEAST, RSA_MOST = 2048, 4096


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text, what):
    """base64url without padding, in its one canonical form (RFC 7515 2)."""
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise malformed(f"{what} is not base64url without padding")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise malformed(f"{what} is not base64url") from None
    if encode(data) != text:
        raise malformed(f"{what} is not canonical base64url")
    return data


def read_json(data, what):
    """A JSON object whose members are there once (RFC 7515 4)."""
    def once(pairs):
        members = dict(pairs)
        if len(members) != len(pairs):
            raise malformed(f"{what} has a member twice")
        return members
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=once)
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise malformed(f"{what} is not JSON") from None
    if not isinstance(value, dict):
        raise malformed(f"{what} is not a JSON object")
    return value


# ---- keys ----

def number(jwk, member):
    return int.from_bytes(decode(jwk.get(member), f"jwk.{member}"), "big")


def public_key(jwk):
    """The key, and the one algorithm that it signs with."""
    if not isinstance(jwk, dict):
        raise malformed("jwk is not an object")
    if PRIVATE & jwk.keys():
        raise Problem(400, "badPublicKey", "the jwk gives the private key away")
    try:
        if jwk.get("kty") == "EC" and jwk.get("crv") in CURVES:
            curve, algorithm, size = CURVES[jwk["crv"]]
            if any(len(decode(jwk.get(m), f"jwk.{m}")) != size for m in "xy"):
                raise Problem(400, "badPublicKey", "a coordinate is not of the curve's length")
            return ec.EllipticCurvePublicNumbers(number(jwk, "x"), number(jwk, "y"),
                                                 curve()).public_key(), algorithm
        if jwk.get("kty") == "RSA":
            key = rsa.RSAPublicNumbers(number(jwk, "e"), number(jwk, "n")).public_key()
            if not RSA_LEAST <= key.key_size <= RSA_MOST:
                raise Problem(400, "badPublicKey", f"an RSA key of {key.key_size} bits is not taken")
            return key, "RS256"
    except ValueError as why:
        raise Problem(400, "badPublicKey", f"the jwk is no key: {why}") from None
    raise Problem(400, "badPublicKey", f"keys of type {jwk.get('kty')} {jwk.get('crv', '')} are not taken")


def thumbprint(jwk):
    """RFC 7638."""
    members = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}[jwk["kty"]]
    text = json.dumps({m: jwk[m] for m in members}, separators=(",", ":"), sort_keys=True)
    return encode(hashlib.sha256(text.encode()).digest())


# ---- signatures ----

@dataclasses.dataclass
class Signed:
    header: dict
    payload: bytes
    signature: bytes
    signed: bytes  # what the signature is over

    @property
    def algorithm(self):
        return self.header["alg"]


def parse(body, what="the request"):
    """Flattened, with a protected header only (RFC 8555 6.2)."""
    outer = body if isinstance(body, dict) else read_json(body, what)
    if set(outer) != {"protected", "payload", "signature"}:
        raise malformed(f"{what} is not a flattened JWS of protected, payload and signature: "
                        f"{', '.join(sorted(outer))}")
    header = read_json(decode(outer["protected"], "protected"), "the protected header")
    for refused in ("crit", "b64"):
        if refused in header:
            raise malformed(f"the protected header has {refused}")
    if not isinstance(header.get("alg"), str):
        raise malformed("the protected header has no alg")
    signed = f"{outer['protected']}.{outer['payload']}".encode()
    return Signed(header, decode(outer["payload"], "payload"), decode(outer["signature"], "signature"),
                  signed)


def check(jws, jwk):
    """The signature is of that key."""
    key, algorithm = public_key(jwk)
    if jws.algorithm not in HASHES:
        raise Problem(400, "badSignatureAlgorithm", f"{jws.algorithm} is not taken",
                      algorithms=sorted(HASHES))
    if jws.algorithm != algorithm:
        raise malformed(f"{jws.algorithm} is not the algorithm of that key, {algorithm} is")
    digest = HASHES[algorithm]()
    try:
        if algorithm == "RS256":
            key.verify(jws.signature, jws.signed, padding.PKCS1v15(), digest)
        else:
            key.verify(as_der(jws.signature, key), jws.signed, ec.ECDSA(digest))
    except InvalidSignature:
        raise malformed("the signature does not fit the key") from None


def as_der(signature, key):
    """RFC 7518 3.4: R and S one after the other, each of the curve's length."""
    size = (key.curve.key_size + 7) // 8
    if len(signature) != 2 * size:
        raise malformed(f"the signature has {len(signature)} bytes, not {2 * size}")
    return utils.encode_dss_signature(int.from_bytes(signature[:size], "big"),
                                      int.from_bytes(signature[size:], "big"))


def check_binding(binding, url, jwk, keys):
    """RFC 8555 7.3.4: external account binding; `keys` has the HMAC key of each key identifier."""
    inner = parse(binding if isinstance(binding, dict) else {}, "externalAccountBinding")
    if inner.algorithm not in ("HS256", "HS384", "HS512"):
        raise Problem(400, "badSignatureAlgorithm", "the binding is not signed by HMAC",
                      algorithms=["HS256", "HS384", "HS512"])
    if "nonce" in inner.header:
        raise malformed("the binding has a nonce")
    if inner.header.get("url") != url:
        raise malformed("the binding's url is not the request's")
    if inner.header.get("kid") not in keys:
        raise Problem(403, "unauthorized", "the binding's kid is not known")
    if read_json(inner.payload, "the binding's payload") != jwk:
        raise malformed("the binding's payload is not the account's key")
    secret = decode(keys[inner.header["kid"]], "the HMAC key")
    digest = f"sha{inner.algorithm[2:]}"
    if not hmac.compare_digest(hmac.digest(secret, inner.signed, digest), inner.signature):
        raise Problem(403, "unauthorized", "the binding's signature does not fit")
    return inner.header["kid"]
