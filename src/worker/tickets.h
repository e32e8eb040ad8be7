/* The keys of session tickets: new ones after each TICKETS_LIFE, of which the one before still
 * opens what it has sealed. They are kept in memory that the supervisor holds, and nowhere else: a
 * serve that is started anew, after a crash, beside another or by an upgrade, goes on with the keys
 * that there are. */
#ifndef WORKER_TICKETS_H
#define WORKER_TICKETS_H

#include "loop/loop.h"
#include "tls/tls.h"

#define TICKETS_LIFE (12 * HOUR)

struct tickets {
	struct loop *loop;
	int fd; /* of that memory; 0: not known yet */
	struct tls_ticket_keys keys;
	struct timer rotate;
	void (*changed)(struct tickets *t); /* from the loop, never within tickets_start */
};
MUST_CHECK bool tickets_start(
        struct tickets *t, struct loop *loop, void (*changed)(struct tickets *t), struct err *err);
/* Where they are kept; the descriptor is taken over. */
void tickets_keep(struct tickets *t, int fd);
void tickets_done(struct tickets *t);

#endif
