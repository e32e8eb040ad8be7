/* Bytes that nobody else may learn: private keys in DER, the master key, tokens.
 *
 * Own type, so that it cannot be printed or compared by accident; wiped when it dies; compared in
 * constant time. secret_bytes is the one way in, for the few functions that must feed a library. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/str.h"

struct secret {
	unsigned char *p; /* heap */
	size_t n;
};

#define SECRET_NONE ((struct secret){ NULL, 0 })
#define SECRET_AUTO __attribute__((cleanup(secret_done))) struct secret
struct secret secret_copy(struct str bytes);
void secret_done(struct secret *s); /* wipes, frees, leaves SECRET_NONE */
struct str secret_bytes(const struct secret *s);
bool secret_eq(const struct secret *a, struct str b); /* constant time for equal lengths */
void wipe(void *p, size_t n);                         /* never optimised away */

#endif
