/* Private keys: made, used, never seen. No other module names EVP_PKEY.
 *
 * A `struct key` is decoded and usable; at rest a key is DER inside a `struct secret`, sealed by
 * seal.h before it reaches the store. P-256 only until the issue on ACME brings the other types. */
#ifndef KEYS_KEYS_H
#define KEYS_KEYS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"

struct key;
MUST_CHECK struct key *key_new(struct err *err); /* ECDSA P-256 */
/* SEC 1 ECPrivateKey or PKCS#8 PrivateKeyInfo. `what` names it in the sentence. */
MUST_CHECK struct key *key_from_der(struct str der, const char *what, struct err *err);
struct secret key_to_der(const struct key *key); /* SEC 1 ECPrivateKey, with its public key */
void key_free(struct key **key);
#define KEY_AUTO __attribute__((cleanup(key_free))) struct key

/* Whether the certificate (DER) is for this key. */
bool key_fits(const struct key *key, struct str leaf_der);

/* JOSE (RFC 7515, 7517, 7518, 7638). */
enum { JWK_THUMBPRINT = 43 }; /* base64url of SHA-256, without the NUL */
void key_jwk(
        const struct key *key, struct buf *out); /* {"crv":…,"kty":…,"x":…,"y":…}: RFC 7638 order */
void key_thumbprint(const struct key *key, char ret_text[JWK_THUMBPRINT + 1]);
/* Flattened JWS over a protected header (JSON text) and a payload (bytes): appends JSON. */
MUST_CHECK bool key_jws(const struct key *key, struct str protected_header, struct str payload,
        struct buf *out, struct err *err);

/* PKCS#10 request for these names (ASCII, at least one): SAN only, no CN, DER. */
MUST_CHECK bool key_csr(const struct key *key, const struct str *names, size_t count,
        struct buf *out_der, struct err *err);

/* The temporary certificate: self-signed, for these names (DNS names or IP addresses). Times are
 * wall ms. */
MUST_CHECK bool key_self_signed(const struct key *key, const struct str *names, size_t count,
        int64_t not_before, int64_t not_after, struct buf *out_der, struct err *err);

#endif
