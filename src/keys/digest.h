/* SHA-256, for what is no secret. */
#ifndef KEYS_DIGEST_H
#define KEYS_DIGEST_H

#include "base/str.h"

enum { DIGEST_SHA256 = 32 };
void digest_sha256(struct str bytes, unsigned char ret_digest[DIGEST_SHA256]);

#endif
