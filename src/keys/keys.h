/* Private keys: made, used, never seen. No other module names EVP_PKEY.
 *
 * A `struct key` is decoded and usable; at rest a key is DER inside a `struct secret`, sealed by
 * seal.h before it reaches the store. */
#ifndef KEYS_KEYS_H
#define KEYS_KEYS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"

#define KEY_TYPES(X)                                                                               \
	X(P256, "p256")                                                                            \
	X(P384, "p384") X(RSA2048, "rsa2048") X(RSA3072, "rsa3072") X(RSA4096, "rsa4096")
enum key_type {
#define X(name, text) KEY_##name,
	KEY_TYPES(X)
#undef X
	        KEY_TYPE_COUNT
};
const char *key_type_name(enum key_type type);
bool key_type_from_name(struct str name, enum key_type *ret_type);
bool key_type_is_rsa(enum key_type type); /* else ECDSA */

struct key;
/* An RSA key takes from a tenth of a second to several: where a loop waits, issue/maker.h. */
MUST_CHECK struct key *key_new(enum key_type type, struct err *err);
/* SEC 1 ECPrivateKey, PKCS#1 RSAPrivateKey or PKCS#8 PrivateKeyInfo, of ECDSA P-256 or P-384, or
 * RSA of 2048 to 8192 bits. `what` names it in the sentence. */
MUST_CHECK struct key *key_from_der(struct str der, const char *what, struct err *err);
/* SEC 1 ECPrivateKey, with its public key, or PKCS#1 RSAPrivateKey */
struct secret key_to_der(const struct key *key);
/* False for an RSA key of a size that is none of ours. */
bool key_type_of(const struct key *key, enum key_type *ret_type);
void key_free(struct key **key);
#define KEY_AUTO __attribute__((cleanup(key_free))) struct key

/* Whether the certificate (DER) is for this key. */
bool key_fits(const struct key *key, struct str leaf_der);

/* JOSE (RFC 7515, 7517, 7518, 7638). */
enum { JWK_THUMBPRINT = 43 };                     /* base64url of SHA-256, without the NUL */
const char *key_algorithm(const struct key *key); /* "ES256", "ES384" or "RS256" */
/* The required members in the order of RFC 7638: {"crv":…,"kty":…,"x":…,"y":…}, or of an RSA key
 * {"e":…,"kty":…,"n":…}, which takes up to 1500 bytes. */
void key_jwk(const struct key *key, struct buf *out);
void key_thumbprint(const struct key *key, char ret_text[JWK_THUMBPRINT + 1]);
/* Flattened JWS over a protected header (JSON text) and a payload (bytes): appends JSON. */
MUST_CHECK bool key_jws(const struct key *key, struct str protected_header, struct str payload,
        struct buf *out, struct err *err);

/* The same with HS256 (RFC 7518 3.2), by a secret that both sides know. */
MUST_CHECK bool key_jws_hmac(struct str secret, struct str protected_header, struct str payload,
        struct buf *out, struct err *err);

/* PKCS#10 request for these names (ASCII, at least one): SAN only, no CN, DER. */
MUST_CHECK bool key_csr(const struct key *key, const struct str *names, size_t count,
        struct buf *out_der, struct err *err);

/* The temporary certificate: self-signed, for these names (DNS names or IP addresses). Times are
 * wall ms. */
MUST_CHECK bool key_self_signed(const struct key *key, const struct str *names, size_t count,
        int64_t not_before, int64_t not_after, struct buf *out_der, struct err *err);

/* The certificate of RFC 8737, self-signed: the name (a DNS name or an IP address) is proved by the
 * key authorization. Times are wall ms. */
struct key_validated {
	struct str name, authorization;
	int64_t not_before, not_after;
};
MUST_CHECK bool key_validation(const struct key *key, const struct key_validated *what,
        struct buf *out_der, struct err *err);

#endif
