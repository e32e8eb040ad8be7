/* Passwords as argon2id hashes (RFC 9106), in libsodium's text form, which names its parameters:
 * 64 MiB, 2 passes. Both calls take about a tenth of a second: never on a loop's thread. */
#ifndef KEYS_PASSWORD_H
#define KEYS_PASSWORD_H

#include "base/err.h"

enum { PASSWORD_HASH = 128 }; /* with the NUL */

/* Fails for want of memory only. */
MUST_CHECK bool password_hash(struct str password, char ret_hash[PASSWORD_HASH], struct err *err);
/* A hash that is none fits no password, and costs as much. */
bool password_fits(const char *hash, struct str password);

#endif
