/* Passwords hashed and compared on a thread of its own, one at a time, with a bounded queue: a
 * flood of sign-ins costs one core's patience and 64 MiB, and never holds up the loop. */
#ifndef PORTAL_HASHING_H
#define PORTAL_HASHING_H

#include "base/secret.h"
#include "keys/password.h"
#include "loop/loop.h"

enum { HASHING_MOST = 16 }; /* waiting */

struct hashing {
	void (*done)(struct hashing *h);
	struct hashing_job *job;  /* NULL when not started */
	char hash[PASSWORD_HASH]; /* once done: of a new password */
	bool fits;                /* once done: the password is that of the hash given */
	struct err err;           /* of a new password, if it could not be hashed */
};
void hashing_open(struct loop *loop);
void hashing_close(void); /* none is under way any more; ends within one hash */

/* ERR_BUSY when too many wait. hash: to compare with ("": of nobody), NULL: a new password. */
MUST_CHECK bool hashing_start(struct hashing *h, struct str password, const char *hash,
        void (*done)(struct hashing *h), struct err *err);
void hashing_abort(struct hashing *h);

#endif
