/* What one worker thread owns. Shared read-only with the other threads: the current generation,
 * the certificate table, the challenge table; everything else is its own. */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include "certs/table.h"
#include "server/site.h"

struct proxy_pools; /* proxy/'s upstream connections, made by worker/ */
struct tls_worker;  /* tls/'s contexts, decoded certificates and ticket keys of this thread */
struct challenges;  /* server/challenge.h */

struct worker {
	struct loop *loop;
	unsigned index;
	struct generation *generation; /* current; a reference */
	struct cert_table *certs;
	struct challenges *challenges;
	struct tls_worker *tls;
	struct proxy_pools *proxy;
	const struct handler *handlers[SITE_KIND_COUNT];
	struct list connections; /* of clients */
	size_t connection_count;
	struct list listeners;
	bool draining;
	/* Events for control: never block, dropped and counted when there is no room. */
	void (*tell)(struct worker *w, enum msg_type type, const void *fields);
};

#endif
