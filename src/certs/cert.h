/* X.509 certificates (RFC 5280), read. Owns what it tells: nothing is borrowed from the DER. */
#ifndef CERTS_CERT_H
#define CERTS_CERT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct cert {
	struct str *names; /* DNS names (lower case, A-labels) and IP addresses of the SAN */
	size_t name_count;
	struct str subject, issuer;    /* common name, else the whole name on one line */
	struct str serial;             /* lower-case hex, as it stands in the DER */
	struct str key_type;           /* "P-256", "RSA 2048", … */
	int64_t not_before, not_after; /* wall ms */
	char sha1[41],
	        sha256[65]; /* of the DER: hex, upper case for SHA-1 (the seed's thumbprint) */
	struct str ari_id;  /* RFC 9773 4.1, or STR_NONE without an AKI */
	struct str crl_url, ocsp_url; /* where its CA says whether it is revoked; or STR_NONE */
	bool must_staple; /* RFC 7633: only with an answer of its OCSP responder in the handshake */
	bool is_ca, self_signed;
};

MUST_CHECK bool cert_read(struct arena *a, struct str der, struct cert *ret_cert, struct err *err);

/* A PEM chain as a CA sends it (RFC 8555 9.1: leaf first; RFC 7468 text around tolerated): DER
 * each, in order. At least one, at most 10 certificates; anything after them but white space is
 * ignored. No root is needed and none is looked for. */
enum { CHAIN_MOST = 10 };
MUST_CHECK bool cert_chain_from_pem(struct arena *a, struct str pem, struct str ret_der[CHAIN_MOST],
        size_t *ret_count, struct err *err);
/* The same without a look into the certificates: whether the text is whole. */
MUST_CHECK bool cert_ders_from_pem(struct arena *a, struct str pem, struct str ret_der[CHAIN_MOST],
        size_t *ret_count, struct err *err);
/* Any number of certificates in PEM, such as a system's roots, as DER one behind the other. */
MUST_CHECK bool certs_from_pem(struct str pem, struct buf *ret_ders, struct err *err);
void cert_to_pem(struct str der, struct buf *out);

/* Whether the certificate is for that name (RFC 9525: wildcard only as the whole left label). */
bool cert_covers(const struct cert *c, struct str name);

#endif
