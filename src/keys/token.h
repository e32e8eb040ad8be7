/* Random tokens, and how they are kept: as hashes only, since 256 random bits need no slow one. */
#ifndef KEYS_TOKEN_H
#define KEYS_TOKEN_H

#include "base/buf.h"
#include "base/secret.h"

enum { TOKEN_BYTES = 32, DIGEST_HEX = 64, HMAC_SHA1 = 20, HMAC_SHA256 = 32 };

struct secret token_new(size_t bytes); /* random */
/* BLAKE2b-256 of the bytes, under the label as key so that no two uses share a hash; in lower-case
 * hex with its NUL. label: 16 to 64 characters. */
void token_digest(const char *label, struct str bytes, char ret_hex[DIGEST_HEX + 1]);
/* In constant time for equal lengths. */
bool token_eq(struct str a, struct str b);

/* RFC 2104 over SHA-1, as RFC 6238 (TOTP) wants it. */
void hmac_sha1(struct str key, struct str message, unsigned char ret_mac[HMAC_SHA1]);

/* The same over SHA-256. */
void hmac_sha256(struct str key, struct str message, unsigned char ret_mac[HMAC_SHA256]);

/* RFC 4648 6, capitals, without padding. */
void base32_add(struct buf *out, struct str bytes);

#endif
