/* Within keys/ only: what a key is made of, and what its files share. */
#ifndef KEYS_KEY_H
#define KEYS_KEY_H

#include "keys/keys.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>

struct key {
	EVP_PKEY *pkey;
	EVP_PKEY_CTX *signer; /* prepared once: each signature reuses it */
};

/* Whether it is of a type that we sign with: ECDSA P-256 and P-384, RSA of 2048 to 8192 bits. */
bool key_usable(const EVP_PKEY *pkey);

/* SHA-256, fetched once per process. */
const EVP_MD *key_sha256(void);

/* Sets the sentence with OpenSSL's reason behind it, and empties its queue of errors. Always
 * false. */
__attribute__((format(printf, 2, 3))) bool key_openssl_failed(
        struct err *err, const char *format, ...);

/* The names as a subjectAltName extension: iPAddress for what reads as an address, else dNSName. */
MUST_CHECK X509_EXTENSION *key_alt_names(const struct str *names, size_t count, struct err *err);

/* made.c: what all certificates have in common that we sign. NULL or false: OpenSSL's queue of
 * errors says why. made_new sets version, serial, times (wall ms) and the key that it is for. */
X509 *made_new(const struct key *key, int64_t not_before, int64_t not_after);
bool made_name(X509_NAME *name, const char *common_name);
/* value: as in openssl's x509v3_config(5). issuer: whose certificate signs it. */
bool made_extension(X509 *cert, X509 *issuer, int nid, const char *value);
bool made_sign(X509 *cert, const struct key *signer, struct buf *out_der);

/* Appends what an i2d function made (n bytes at der, or n <= 0), and frees it. */
MUST_CHECK bool key_add_der(struct buf *out, unsigned char *der, int n);

#endif
