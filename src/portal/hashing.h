/* Passwords hashed and compared on a thread of its own, one at a time, with bounded queues: a flood
 * of sign-ins costs one core's patience and 64 MiB, and never holds up the loop.
 *
 * Each rank has a queue of its own, and the higher one is served first: a flood from anywhere keeps
 * neither the machine's owner nor whoever is known here from getting in. */
#ifndef PORTAL_HASHING_H
#define PORTAL_HASHING_H

#include "base/secret.h"
#include "keys/password.h"
#include "loop/loop.h"

enum { HASHING_MOST = 16 }; /* waiting, of each rank */
enum hashing_rank {
	HASHING_VISITOR, /* of a site */
	HASHING_ANYBODY,
	HASHING_KNOWN, /* signed in, now or once from that address, or with a setup link */
	HASHING_OWNER, /* over control.sock */
	HASHING_RANKS
};

struct hashing {
	void (*done)(struct hashing *h);
	struct hashing_job *job;  /* NULL when not started */
	char hash[PASSWORD_HASH]; /* once done: of a new password */
	bool fits;                /* once done: the password is that of the hash given */
	struct err err;           /* of a new password, if it could not be hashed */
};
void hashing_open(struct loop *loop);
void hashing_close(void); /* none is under way any more; ends within one hash */

/* ERR_BUSY when too many of that rank wait. hash: to compare with ("": of nobody), NULL: a new
 * password. */
struct hashing_of {
	enum hashing_rank rank;
	struct str password;
	const char *hash;
};
MUST_CHECK bool hashing_start(struct hashing *h, struct hashing_of what,
        void (*done)(struct hashing *h), struct err *err);
void hashing_abort(struct hashing *h);

#endif
