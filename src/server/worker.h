/* What one worker thread owns. Shared read-only with the other threads: the current generation and
 * the certificate table; everything else is its own. control has one, too, for the connections of
 * its socket: without certificates, challenges and TLS, which are then NULL, as is `tell`. */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H

#include "base/buf.h"
#include "certs/table.h"
#include "server/access_log.h"
#include "server/challenge.h"
#include "server/counters.h"
#include "server/place.h"
#include "server/shed.h"
#include "server/site.h"
#include "server/told.h"

struct proxy_pools; /* proxy/'s upstream connections, made by worker/ */
struct auth;        /* server/auth.h */
struct demands;     /* server/demand.h */
struct tls_worker;  /* tls/'s contexts, decoded certificates and ticket keys of this thread */

enum { WORKER_SCRATCH = 256 << 10 };

struct worker {
	struct loop *loop;
	unsigned index, count;         /* of how many; 0: of one */
	struct generation *generation; /* current; a reference */
	struct cert_table *certs;
	struct challenges *challenges;
	struct tls_worker *tls;
	struct proxy_pools *proxy;
	struct auth *auth;       /* NULL until it is needed */
	struct demands *demands; /* likewise */
	size_t encodings;        /* answers that are being compressed */
	const struct handler *handlers[SITE_KIND_COUNT];
	struct list connections; /* of clients */
	size_t connection_count;
	struct map places; /* where they come from */
	struct rates rates;
	struct memory memory;
	/* What descriptors allow, whatever the limits say. 0: no bound. */
	size_t clients_most, upstreams_most;
	struct list listeners;
	struct timer accept_again; /* descriptors ran out: accepting pauses */
	int64_t shortage_told;     /* mono ms of the last time, 0: never */
	bool accepting;
	bool draining, patient; /* patient: as worker_drain has it */
	struct told told;
	struct counts counts;
	struct access_log access_log;
	char *scratch;     /* WORKER_SCRATCH bytes for what is read and used up at once */
	char *intake;      /* as many for frames of HTTP/2: handlers have scratch meanwhile */
	struct buf frames; /* scratch: those that are about to be written */
	struct list spare; /* streams of HTTP/2 whose memory the next ones have */
	size_t spare_count;
	char date[32]; /* for Date headers, of date_second */
	int64_t date_second;
	/* While draining: the last connection has ended. May be NULL. */
	void (*emptied)(struct worker *w);
	/* Takes so many lines of the access log; never blocks. NULL: there is none. */
	void (*log_lines)(struct worker *w, struct buf *lines, unsigned count);
	/* Events for control: never block, dropped and counted when there is no room. */
	void (*tell)(struct worker *w, enum msg_type type, const void *fields);
};
#define worker_tell(w, name, ...)                                                                  \
	do {                                                                                       \
		if ((w)->tell)                                                                     \
			(w)->tell((w), MSG_##name, &(const struct msg_##name){ __VA_ARGS__ });     \
	} while (0)

/* The owner sets what it has of the members behind it; worker_done frees what stands above. */
void worker_init(struct worker *w, struct loop *loop);
/* Resets every connection that is left, stops listening, lets go of the generation. */
void worker_done(struct worker *w);

/* A generation in two steps: what may fail, for each worker, then what cannot. commit takes over
 * the caller's reference and returns the one to the generation before (NULL: there was none). */
MUST_CHECK bool worker_prepare(const struct worker *w, const struct generation *g, struct err *err);
struct generation *worker_commit(struct worker *w, struct generation *g);

/* Accepts no more. Connections end after the exchange under way; those that have none now or, if
 * patient, after one more: a request may be on its way. */
void worker_drain(struct worker *w, bool patient);

/* "Tue, 24 Nov 2026 15:43:29 GMT" (RFC 9110 5.6.7). */
struct str worker_date(struct worker *w);

#endif
