/* ACME Renewal Information (RFC 9773): when the CA would like a certificate to be renewed. */
#ifndef ACME_RENEWAL_INFO_H
#define ACME_RENEWAL_INFO_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct renewal_info {
	int64_t start, end;     /* wall ms; start < end */
	struct str explanation; /* URL of a page for people, http or https, else STR_NONE */
};
/* Refuses what cannot be a window: no dates, an end that is not after the start, years before 2000
 * or after 2100. */
MUST_CHECK bool acme_renewal_info_read(
        struct arena *a, struct str body, struct renewal_info *ret_info, struct err *err);
/* Where to ask: the directory's renewalInfo with the certificate's ID (cert.ari_id) behind it. */
void acme_renewal_info_url(struct str renewal_info, struct str ari_id, struct buf *out);

#endif
