/* Certificates and keys that somebody else has made, as PEM files have them. */
#ifndef KEYS_FOREIGN_H
#define KEYS_FOREIGN_H

#include "base/err.h"
#include "base/secret.h"

/* The only private key in a PEM text, as DER: PKCS#8, SEC 1 or PKCS#1. */
MUST_CHECK bool foreign_key_from_pem(struct str pem, struct secret *ret_der, struct err *err);
/* Whether the key is one that we can serve with (RSA of 2048 to 8192 bits, ECDSA P-256 or P-384),
 * and the leaf's; and whether each certificate was issued with the next one's key. */
MUST_CHECK bool foreign_key_fits(const struct secret *der, struct str leaf_der, struct err *err);
MUST_CHECK bool foreign_chain_fits(const struct str *chain, size_t count, struct err *err);

#endif
