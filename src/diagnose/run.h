/* One run. Private to diagnose/. */
#ifndef DIAGNOSE_RUN_H
#define DIAGNOSE_RUN_H

#include "diagnose/diagnose.h"

/* A GET of the nonce and what it leads to. */
struct chase {
	struct run *run;
	struct fact_path *path;
	struct str url, address;
	bool follow, under_way;
	int64_t began; /* this hop: wall */
	struct fetch_dial dial;
	struct fetch_resolve resolves[2]; /* A, AAAA of a redirect's target */
	struct str found[2];
	unsigned resolving;
};

struct look { /* a handshake with one address */
	struct run *run;
	struct fact_address *at; /* NULL: our own listener */
	bool under_way;
	struct fetch_probe probe;
};

struct run {
	struct list node; /* newest last */
	const struct diagnose_needs *needs;
	void (*changed)(struct run *run);
	char id[RUN_ID];
	struct arena arena;
	struct facts facts;
	struct diagnose_here here;
	int64_t began, took;    /* wall; ms */
	struct str nonce, rest; /* what the board answers: nonce.rest */
	struct str expected;
	struct notice notice;
	struct timer patience, deadline;
	struct fetch_resolve questions[QUESTIONS], delegation;
	struct fetch_call directory;
	bool asking_directory, dialling;
	struct chase chases[ADDRESSES_MOST + 2];
	struct look looks[ADDRESSES_MOST + 1];
};
/* facts.name, unicode, parent are set. `changed` fires whenever there is more to say, never before
 * this has returned; the last time facts.over is set. */
void run_start(struct run *run);
void run_stop(struct run *run); /* harmless when it is over */
void run_done(struct run *run); /* stops it and frees what it holds, not itself */

#endif
