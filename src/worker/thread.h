/* A worker thread, and the orders that the main thread gives to all of them.
 *
 * An order goes to every thread as a round: its parameters lie in the round, which threads only
 * read; each answers once; after the last answer the round's `done` runs on the main thread. Every
 * thread carries orders out in the order in which they were given. */
#ifndef WORKER_THREAD_H
#define WORKER_THREAD_H

#include "base/secret.h"
#include "server/challenge.h"
#include "server/worker.h"
#include "tls/tls.h"
#include <pthread.h>

enum order {
	ORDER_PREPARE, /* generation: refused, or will be able to commit */
	ORDER_COMMIT,  /* generation */
	ORDER_EPOCH,   /* epoch: challenges are told anew from now on */
	ORDER_FORGET,  /* challenges of earlier epochs */
	ORDER_CHALLENGE,
	ORDER_CHALLENGE_TLS, /* text: the server name; leaf and key */
	ORDER_CHALLENGE_GONE,
	ORDER_TICKETS,
	ORDER_COUNT,    /* what each has counted is summed up in the round */
	ORDER_HOST,     /* token: a name; text: its addresses */
	ORDER_STATE,    /* token: an upstream that a worker found well, or failing */
	ORDER_HEALTH,   /* number: the upstreams; token: which; well, text: why not */
	ORDER_PASSWORD, /* control has compared one */
	ORDER_DEMAND,   /* token: a name; number, keep: what control says of it */
	ORDER_DRAIN,    /* answered when no connection is left, or after the drain time-out */
	ORDER_END,      /* the thread ends */
};

struct threads;
struct round {
	enum order order;
	void (*done)(struct round *r); /* frees the round by round_free */
	struct threads *threads;
	unsigned waiting;              /* for so many answers */
	int64_t number;                /* of the generation */
	int64_t keep;                  /* ms */
	struct generation *generation; /* a reference of the round's */
	int folder;                    /* HOST: of a Unix socket; -1: none. The round's. */
	int ruleset;                   /* PREPARE: the fence to raise; -1: none. The round's. */
	char *token, *thumbprint, *text;
	struct secret leaf, key;
	bool well;
	unsigned epoch;
	struct tls_ticket_keys tickets;
	struct msg_password_checked password;
	bool patient; /* DRAIN: as worker_drain has it */
	struct counts counted;
	bool refused;
	struct err why; /* refused: the first thread's reason */
};
struct round *round_new(enum order order, void (*done)(struct round *r));
void round_free(struct round *r);

struct thread {
	struct worker worker;
	struct challenges challenges;
	struct cert_reader reader;
	struct mailbox *in;
	struct threads *all;
	struct timer drain;     /* ends it */
	struct letter *drained; /* the order, until it is answered */
	bool ending;
	pthread_t id;
};

struct threads {
	int statm; /* /proc/self/statm, 0: none; set before the start */
	struct cert_table *certs;
	struct mailbox *answers;
	struct thread *at;
	unsigned count;
};
/* Starts them; with as many as there are cores each is pinned to one. */
MUST_CHECK bool threads_start(struct threads *t, struct loop *loop, struct cert_table *certs,
        unsigned count, struct err *err);
void threads_end(struct threads *t); /* rounds that are under way are done within */
void threads_order(struct threads *t, struct round *r);

#endif
