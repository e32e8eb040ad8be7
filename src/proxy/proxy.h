/* The handler of sites with upstreams: a request goes to one of them over HTTP/1.1, its answer
 * streams back.
 *
 * Upstream: of those that are well the one with the fewest requests under way by its weight, each
 * in its turn among equals (group.h). A connection that fails, or several failed answers in a row,
 * leave it out for a while (1 s, doubling up to `down`) and the next one is tried; a health check
 * that fails does until one does not (health.h). When all are left out, all are tried. Connections
 * are kept per worker and upstream, last used first, with one request at a time.
 *
 * A request is sent again only if nothing of it was sent, or if it is idempotent and has no content
 * and no byte of an answer has come: once on a fresh connection if a kept one died, once on another
 * upstream if a fresh one did.
 *
 * Where every upstream that is well has max-connections, a bounded number of requests waits.
 *
 * Both directions stream: no more content is wanted from the client than the upstream took, and no
 * more is read from the upstream than the client has room for. Buffers are held only while a peer
 * is slower than what was sent to it.
 *
 * What visitors see of a failure does not name the upstream; the log does, when an upstream begins
 * to fail and when it recovers, and at most every ten seconds for other failures. */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include "server/worker.h"

extern const struct handler proxy_handler;

/* The handler of sites that control answers: each client connection has a channel of its own to
 * control, a socket whose other end goes there by a message `connection` (worker_tell) that says
 * whose it is. So control knows the client without trusting a header, and no two clients ever meet
 * on one connection. */
extern const struct handler control_handler;

/* A worker's connections to upstreams: worker->proxy. Freed after the last exchange has ended. */
struct proxy_pools *proxy_pools_new(struct worker *w);
void proxy_pools_free(struct proxy_pools **p);

/* What control says that a name stands for: addresses with spaces between; none: nothing. Of a Unix
 * socket its name in the directory `folder`, which is duplicated; else that is -1. */
void proxy_host_told(struct proxy_pools *p, struct str name, struct str addresses, int folder);
/* What came of a health check (msg_health), told to every worker. */
void proxy_health_told(struct proxy_pools *p, const struct msg_health *told);
/* A worker has found that upstream ("10.0.0.5:3000") failing: whoever finds it well says so, too.
 * One has found it well: nobody leaves it out any more. */
void proxy_state_told(struct proxy_pools *p, struct str address, bool up);
/* The worker has committed: health checks of this generation begin, those of others end. */
void proxy_committed(struct proxy_pools *p, struct generation *g);
/* A control process is new: which upstreams fail. */
void proxy_tell_states(struct proxy_pools *p);

struct proxy_counts {
	uint64_t requests, retries, failures; /* failures: answered by us instead, or broken off */
	uint64_t connects, connects_failed;
	size_t open, kept; /* connections now; those of them without a request */
};
struct proxy_counts proxy_pools_counts(const struct proxy_pools *p);

#endif
