/* A world for the suites of issue/ and renew/: the real loop on a fake clock, the real store in a
 * directory of its own, a real board over a real link to a serve that answers what it is told, and
 * the scripted CA. */
#ifndef TEST_ISSUE_PLACE_H
#define TEST_ISSUE_PLACE_H

#include "issue/http01.h"
#include "issue/issue.h"
#include "scripted_ca.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { TOKENS = 64, SERVES = 3 };

struct serve {
	struct link ours, theirs;      /* the ends of control and of serve */
	bool mute;                     /* it does not say that it answers */
	char tokens[TOKENS][160];      /* "token thumbprint name" */
	int64_t not_before, not_after; /* of the latest certificate that it was to show */
};

struct place {
	struct clock_fake clock;
	struct loop *loop;
	char top[64], dir[80];
	struct store *store;
	struct master *master;
	struct board *board;
	struct prover *http01;
	struct approach *by_http;                          /* for http01; or NULL: it is open */
	struct prover *tls_alpn01, *dns01, *dns_persist01; /* or NULL */
	struct rekeyed *rekeyed;                           /* or NULL */
	struct issuers *issuers;
	struct log log;
	struct store_watch watch;
	struct serve serves[SERVES];
	struct scripted_ca ca;
	struct buf diary;
	struct timer guard, stop_at;
	bool stopped;
	unsigned changes, kill_at; /* records changed; as FAULT_STOP_AFTER once there are so many */
};

void place_init(struct place *p);
void place_done(struct place *p);
/* The process ends as by kill -9 (place_done does it too), and starts again. */
void place_close(struct place *p);
void place_open(struct place *p);
/* One CA is configured, called "ca". */
void place_one_ca(struct place *p);
/* For attempts whose steps do not matter. */
void place_moved(struct attempt *a, const struct flow *flow, const struct next *next);
void serve_attach(struct place *p, size_t i);
void serve_detach(struct place *p, size_t i);
size_t serve_tokens(const struct serve *s);

/* Turns the loop until the condition holds. */
#define turn_until(p, condition)                                                                   \
	while (!(condition))                                                                       \
	loop_turn((p)->loop, -1)
void run_for(struct place *p, int64_t ms);
void run_to(struct place *p, int64_t wall);

/* The record's version (0: none) and value. */
int64_t record_version(struct place *p, const char *kind, const char *id);
void record_value(struct place *p, const char *kind, const char *id, struct buf *out);
void record_put(
        struct place *p, const char *kind, const char *id, struct str value, struct str blob);
void record_delete(struct place *p, const char *kind, const char *id);
/* From now on every write fails as on a full disk, or no more. */
void store_full(struct place *p, bool full);
/* How often the diary has a line that starts so. */
unsigned diary_count(const struct place *p, const char *start);

extern struct buf logged; /* what was logged: "error fields: text\n" */

#endif
