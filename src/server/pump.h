/* What drives a session, of whatever HTTP version: step after step until it waits, with others
 * having their turn in between. Private to server/. */
#ifndef SERVER_PUMP_H
#define SERVER_PUMP_H

#include "server/client.h"

/* What a step leads to. GONE: the client, and the pump with it, is freed. */
enum next { AGAIN, WAIT, GONE };

struct pump;
struct pump_ops {
	enum next (*step)(struct pump *p);
	void (*rests)(struct pump *p); /* it waits, or others have their turn: sets the deadline */
};
struct pump { /* lives in the session */
	const struct pump_ops *ops;
	struct loop *loop;
	struct later work;
};

void pump_run(struct pump *p);
void pump_soon(struct pump *p); /* at the end of the turn */
void pump_stop(struct pump *p);

/* Of least-rate: each second costs a client so many bytes, `moved` of which it has just sent or
 * taken, and it never has more time than body-timeout. What is left of it, which *paid_until (mono
 * ms) keeps; 0: it is over. */
int64_t pump_pay(const struct client *c, uint64_t moved, int64_t *paid_until);

#endif
