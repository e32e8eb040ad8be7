"""Where the CA says what it has revoked: a list (RFC 5280 5) and a responder (RFC 6960), by plain HTTP on the port of
its control."""
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

import issuing

DAY = datetime.timedelta(days=1)


def points(ca):
    """The extensions of a certificate that name them, as the switch says."""
    found, kinds = [], ca.switches["revocation"]
    if "crl" in kinds:
        at = x509.DistributionPoint([x509.UniformResourceIdentifier(f"{ca.control}/crl")], None, None, None)
        found.append(x509.CRLDistributionPoints([at]))
    if "ocsp" in kinds:
        found.append(x509.AuthorityInformationAccess([x509.AccessDescription(
            AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(f"{ca.control}/ocsp"))]))
    return found


def signer(ca):
    """By the switch, somebody who is not the CA."""
    return ca.keys.stranger if ca.switches["revocation-signer"] == "other" else ca.keys.intermediate


def crl(ca):
    now = issuing.moment(ca.books.now())
    builder = (x509.CertificateRevocationListBuilder().issuer_name(ca.keys.intermediate.name)
               .last_update(now - DAY).next_update(now + 7 * DAY))
    for certificate in ca.books.certificates.values():
        if certificate.revoked is not None:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(certificate.serial).revocation_date(now - DAY).build())
    return builder.sign(signer(ca).key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def answer(ca, request):
    asked = ocsp.load_der_ocsp_request(request)
    found = next((c for c in ca.books.certificates.values() if c.serial == asked.serial_number), None)
    if found is None:
        return ocsp.OCSPResponseBuilder.build_unsuccessful(
            ocsp.OCSPResponseStatus.UNAUTHORIZED).public_bytes(serialization.Encoding.DER)
    now, revoked = issuing.moment(ca.books.now()), found.revoked is not None
    builder = ocsp.OCSPResponseBuilder().add_response(
        x509.load_der_x509_certificate(found.der), ca.keys.intermediate.certificate, asked.hash_algorithm,
        ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD, now - DAY, now + 7 * DAY,
        now - DAY if revoked else None, None)
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, signer(ca).certificate)
    return builder.sign(signer(ca).key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def revoke(ca, given):
    """Of {"name": …} all that were issued, or {"newest": true} with it: the last one."""
    found = ca.by_name.get(given["name"], [])
    for certificate in found[-1:] if given.get("newest") else found:
        certificate.revoked = 1
    return [f"{c.serial:x}" for c in found]
