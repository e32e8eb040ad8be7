/* Makes keys beside the loop, one after the other on one thread: RSA takes up to several seconds,
 * during which a loop would answer nobody. */
#ifndef ISSUE_MAKER_H
#define ISSUE_MAKER_H

#include "keys/keys.h"
#include "loop/loop.h"

struct key_maker;
struct key_maker *key_maker_new(struct loop *loop);
void key_maker_free(struct key_maker **m); /* waits for the key that is being made */

/* The caller's. */
struct key_making {
	/* Once, never before key_make has returned. The key is the callee's; NULL: err says why. */
	void (*done)(struct key_making *k, struct key *key, const struct err *err);
	struct key_job *job; /* NULL when not started */
};
void key_make(struct key_maker *m, struct key_making *k, enum key_type type,
        void (*done)(struct key_making *k, struct key *key, const struct err *err));
void key_make_abort(struct key_making *k);

#endif
