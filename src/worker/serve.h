/* The process everseal-serve, wired, for the data plane and once more for the page: links to
 * supervisor and control on one side, worker threads on the other. What it knows comes from
 * control: certificates in segments, challenges, and generations, each in two steps
 * (link/messages.h). A control that was started anew finds serve going on with what it has, and
 * tells it everything again. */
#ifndef WORKER_SERVE_H
#define WORKER_SERVE_H

#include "link/link.h"
#include "worker/roots.h"
#include "worker/thread.h"
#include "worker/tickets.h"

struct serve {
	struct loop *loop;
	struct link supervisor, control;
	struct cert_table *certs;
	struct threads threads;
	struct tickets tickets;
	struct buf fences;
	struct roots roots;
	struct map demands; /* struct asked (demand.c) */

	unsigned epoch;                     /* how many control processes we have seen */
	struct generation_builder *builder; /* between generation and generation_end */
	bool row_refused;
	struct err row_error;
	struct generation *pending; /* prepared by all */
	struct generation *current;
	bool new_run;    /* segments were told anew since the last commit */
	int64_t unspent; /* messages since credit was given */
	bool stopping;
};

/* supervisor: the descriptor of the link to him, taken over. The loop stops when he is gone, or
 * when he said `stop` and what was under way has ended. */
MUST_CHECK bool serve_start(
        struct serve *s, struct loop *loop, int supervisor, unsigned workers, struct err *err);
void serve_done(struct serve *s);

#endif
