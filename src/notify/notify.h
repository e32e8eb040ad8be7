/* Tells people by e-mail, webhook and program what happens to certificates (matter.h says what and
 * when). What is told is stored first (records of kind matter), so that it is told once; then it
 * waits in a bounded queue for each target, which is tried again with back-off for a day. A target
 * that does not take it delays nothing else. What waits is stored too (records of kind message, id
 * "TIME-NUMBER TARGET", value as a webhook gets it), and waits on after a restart.
 *
 * Disadvantage: what arrived just before the process ended may arrive once more, with the same
 * id.
 *
 * notify knows neither registrations nor attempts: whoever wires it hands in how each is. */
#ifndef NOTIFY_NOTIFY_H
#define NOTIFY_NOTIFY_H

#include "config/config.h"
#include "fetch/fetch.h"
#include "issue/program.h"
#include "store/store.h"
#include "json/json.h"

/* A registration as it is now; texts live during the call. */
struct notify_fact {
	struct str id;
	const struct str *names;
	size_t name_count;
	struct str issuer;                          /* in words, for people */
	struct str certificate;                     /* its thumbprint; empty: there is none */
	int64_t not_before, not_after, since, next; /* wall ms; next: attempt, 0: none */
	bool wanted, replaced, revoked, recalled;
	struct str explanation; /* recalled: the CA's page that says why, or empty */
	unsigned failures;
	const struct err *error;  /* of the last attempt, or what it waits for; NULL: none */
	const struct err *low;    /* what its CA's limits leave is little; NULL: it is not */
	struct str low_of;        /* low: which limit, "Let's Encrypt (example.com)" */
	bool terms_known;         /* its CA has said by now what its terms are */
	const struct err *terms;  /* they are other ones than those accepted; NULL: they are not */
	const struct err *served; /* what visitors get instead of it; NULL: nothing else */
};
struct notify_each {
	void (*fact)(struct notify_each *e, const struct notify_fact *f);
};
struct notify_source {
	void (*each)(struct notify_source *s, struct notify_each *e);
	bool (*find)(struct notify_source *s, struct str id, struct notify_each *e);
};

struct notify_needs {
	struct loop *loop;
	struct store *store;
	struct fetch *fetch;
	struct programs *programs;
	struct notify_source *source;
	const struct log *log;
};
struct notify;
MUST_CHECK struct notify *notify_new(const struct notify_needs *needs, struct err *err);
void notify_free(struct notify **n);
/* Whom to tell from now on. What waits for a target that stays goes on waiting. */
void notify_configure(struct notify *n, const struct config *config);
/* One more who is told, whom the store keeps: as `want` says, which lives until notify_drop. Once
 * more when that has changed: what waits for it goes on waiting. The file goes first: whom it tells
 * in the same way is told as it says. */
struct notify_kept {
	struct list node;
	const struct config_notify *want; /* with an id */
};
void notify_keep(struct notify *n, struct notify_kept *k);
void notify_drop(struct notify *n, struct notify_kept *k); /* harmless if it is not kept */
/* Who of the file is told like this; NULL: nobody. For this turn. */
const struct config_notify *notify_in_file(
        const struct notify *n, enum config_notify_way way, struct str to);
const struct config_notify *notify_shown_in_file(const struct notify *n, struct str shown);
void notify_begin(struct notify *n);                  /* everything is looked at */
void notify_changed(struct notify *n, struct str id); /* that one is looked at */

/* Whom to call, in the same turn, when what notify_write tells has changed; NULL: nobody more. */
struct notify_watch {
	void (*changed)(struct notify_watch *w);
};
void notify_watch(struct notify *n, struct notify_watch *w);

/* Of all targets; arrived and lost: since this process began. */
struct notify_totals {
	size_t waiting;
	uint64_t arrived, lost;
};
struct notify_totals notify_totals(const struct notify *n);

/* The member "notify" of the status: targets, and what is open. */
void notify_write(struct notify *n, const char *key, struct json_writer *w);

/* A test message to each target at once, beside the queues. Owned by the caller; `done` fires once,
 * never before notify_test has returned. `only`: the target that is shown like this,
 * or has that id; empty: all. */
struct notify_test {
	void (*done)(struct notify_test *t);
	struct str only;
	struct list deliveries; /* what came of each: notify_test_write */
	size_t under_way;
	struct later later;
};
void notify_test(struct notify *n, struct notify_test *t);
void notify_test_write(struct notify_test *t, const char *key, struct json_writer *w);
void notify_test_end(struct notify_test *t); /* in any case, also to abort it */

#endif
