/* What a CA says of certificates that it has revoked: lists of them (RFC 5280 5) and answers about
 * one (RFC 6960), read and verified. Both come by plain HTTP: what the certificate's issuer has not
 * signed says nothing.
 *
 * Disadvantage: an old answer that somebody plays back is believed. So nothing is concluded from
 * "not revoked" but that it can be shown to visitors, who judge for themselves; what was revoked
 * once is so for good. */
#ifndef CERTS_REVOKED_H
#define CERTS_REVOKED_H

#include "base/buf.h"
#include "base/err.h"

/* A list. */
struct crl;
MUST_CHECK struct crl *crl_read(struct str der, struct err *err);
void crl_free(struct crl **crl);
/* False: that certificate (DER) has not signed it. To be asked before crl_lists. */
MUST_CHECK bool crl_signed_by(const struct crl *crl, struct str issuer, struct err *err);
/* Whether that serial number (hex) is in it; what that means for a certificate, crl_lists tells. */
bool crl_has_serial(const struct crl *crl, struct str serial);
/* Whether that certificate (DER) is in it; *ret_at: since when, wall ms. */
bool crl_lists(const struct crl *crl, struct str leaf, int64_t *ret_at);

/* A question about one certificate (RFC 6960 4.1), to be sent as application/ocsp-request. leaf,
 * issuer: DER. */
MUST_CHECK bool ocsp_request(struct str leaf, struct str issuer, struct buf *out, struct err *err);

/* The answer to it, in wall ms. */
struct ocsp_said {
	int64_t revoked;     /* since when it is; 0: the CA does not say so */
	int64_t from, until; /* the answer says that it is not, and is valid now; 0: it does not */
};
struct ocsp_about {
	struct str leaf, issuer; /* DER */
	int64_t now; /* wall ms: whom the issuer lets sign for it has to be valid then */
};
MUST_CHECK bool ocsp_read(
        struct str der, const struct ocsp_about *about, struct ocsp_said *ret, struct err *err);

#endif
