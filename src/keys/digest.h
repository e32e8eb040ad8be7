/* SHA-256, for what is no secret. */
#ifndef KEYS_DIGEST_H
#define KEYS_DIGEST_H

#include "base/str.h"

enum { DIGEST_SHA256 = 32 };
void digest_sha256(struct str bytes, unsigned char ret_digest[DIGEST_SHA256]);

/* The same of bytes that come in pieces. */
struct digest;
struct digest *digest_new(void);
void digest_add(struct digest *d, struct str bytes);
void digest_end(struct digest *d, unsigned char ret_digest[DIGEST_SHA256]); /* still to be freed */
void digest_free(struct digest **d);

#endif
