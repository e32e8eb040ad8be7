/* Certificates on demand (`on-demand`): a handshake for a name that has none stands still while
 * control is asked for one.
 *
 * Strangers choose these names. So control is asked only of what is a name and fits a pattern of
 * its site, once for all that wait for it; an address may bring few of them; and the whole process
 * waits for at most DEMANDS_MOST at a time: what comes beyond that is refused at once. Answers are
 * remembered in a table of fixed size, until the next generation at most. */
#ifndef SERVER_DEMAND_H
#define SERVER_DEMAND_H

#include "base/list.h"
#include "link/messages.h"
#include "server/site.h"
#include "tls/tls.h"

enum { DEMANDS_MOST = 256 };

struct client;
struct worker;
struct demands; /* a worker's */

/* A client's part of it. */
struct demand_wait {
	struct list node;   /* while it stands still */
	bool over;          /* it has waited */
	enum tls_turn then; /* over: what is to become of it */
};

/* What becomes of the client's handshake for that name (lower case) of that site. */
enum tls_turn demand_turn(struct client *c, const struct site *site, struct str name);
void demand_leave(struct demand_wait *wait); /* who waits is gone */
/* Control's answer; harmless if nobody waits for it. */
void demand_heard(struct worker *w, const struct msg_demand_answered *m);
void demands_free(struct demands **d); /* after the last client */

#endif
