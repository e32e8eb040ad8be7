/* What the files of renew/ share. */
#ifndef RENEW_PRIVATE_H
#define RENEW_PRIVATE_H

#include "certs/name.h"
#include "renew/renew.h"

enum { PARALLEL_MOST = 50, NAMES_MOST = 100, PROBES_MOST = 32, TASKS_KEPT = 200 };

/* ---- tasks (task.c) ---- */

#define TASK_STATES(X) X(EXECUTING, "Executing") X(SUCCESS, "Success") X(FAILED, "Failed")
enum task_state {
#define X(name, text) TASK_##name,
	TASK_STATES(X)
#undef X
};

struct task {
	struct map_node node;
	struct list order; /* newest last */
	struct renewals *renewals;
	char id[32];
	struct arena arena;
	struct str name, about; /* "Register" or "Renew"; the registration's id */
	enum task_state state;
	int64_t started, ended;
	struct str *events; /* one JSON object each */
	size_t count, cap;
	struct list readers;
	bool changed; /* since the write that is under way began */
	int64_t version;
	struct store_tx tx;
	struct later later;
};

struct registration;
struct task *task_new(struct renewals *r, const char *name, struct str about);
struct task *task_find(struct renewals *r, struct str id);
/* The record, into a transaction of the caller's, who counts version up when it has committed. */
void task_put(struct task *t, struct store_tx *tx);
/* step: a word that does not change ("order"); text: for people. */
void task_step(struct task *t, const char *step, struct str text);
void task_store(struct task *t);
/* Its last event; stored. failed NULL: success. */
void task_end(struct task *t, const char *text, const struct err *failed);
MUST_CHECK bool tasks_load(struct renewals *r, struct err *err);
void tasks_free(struct renewals *r);
/* The one under way for it: what a restart has interrupted, else a new one. */
struct task *task_for(struct registration *g);

/* ---- registrations ---- */

struct held { /* the certificate that a registration has */
	bool is;
	struct arena arena;
	int64_t version;
	struct cert leaf;
	struct str chain[CHAIN_MOST]; /* DER */
	size_t chain_count;
	struct secret key;
	int64_t since;     /* wall ms: when it was stored */
	struct str issuer; /* the name of the row that issued it */
};

/* Handshakes with every own listener after an issue (prove.c). */
struct proof {
	struct registration *registration;
	struct serving_address at[PROBES_MOST];
	size_t count, next;
	unsigned tries;
	struct fetch_probe probe;
	struct timer again;
	struct err err;
};

struct registration {
	struct map_node node; /* by id */
	struct renewals *renewals;
	char *id;
	struct arena arena; /* of what is wanted */
	struct str *names;
	size_t name_count;
	struct str email, issuer;
	struct address listen;
	struct config_upstream proxy; /* host empty: none */
	bool terms, in_file, in_store;
	int64_t renew_before, created;
	int64_t version; /* of the record registration */

	struct held held, fresh; /* fresh: issued, not yet committed */

	bool disabled;
	unsigned failures;
	int64_t next_try; /* wall ms; 0: by the certificate's own time */
	struct err last_error;
	int64_t last_error_at;
	int64_t state_version; /* of the record renewal */

	struct renewal_time when;
	struct timer due;
	struct list queued; /* until fewer than PARALLEL_MOST are under way */
	struct attempt attempt;
	bool attempting, resumed, began_anew;
	struct task *task; /* the one under way */
	char task_id[32];  /* the newest */
	enum acme_step shown_step;
	struct store_tx tx, request_tx;
	struct list requests; /* struct renew_request: answered once request_tx is stored */
	struct serving_change change;
	struct proof proof;
	struct err served_err; /* code NONE and served_at: seen as stored */
	int64_t served_at;
	int64_t seen_at;
	struct str seen_client;
	struct arena seen_arena;
};

struct hsts_promise {
	struct map_node node; /* by host */
	char *host;
	int64_t until, version;
	int64_t age;
	struct store_tx tx;
	struct renewals *renewals;
};

struct renewals {
	struct renew_needs needs;
	const struct config *config;
	struct map registrations, tasks, promises;
	struct list queue, task_order;
	size_t under_way;
	int64_t last_task;
	bool begun, installed;
};

/* registration.c */
struct registration *registration_find(struct renewals *r, struct str name_or_id);
struct registration *registration_by_id(struct renewals *r, struct str id);
struct registration *registration_new(struct renewals *r, struct str id);
void registration_free(struct registration **g);
bool registration_wanted(const struct registration *g);
/* Names, issuer and key type as one word, the same for the same set. */
struct str registration_id(struct arena *a, const struct str *names, size_t count,
                           struct str issuer);
/* By rule: the site's or given, else the file's first, else internal for private names, else
 * Let's Encrypt. */
struct str registration_issuer(const struct config *c, struct str given, struct str name);
MUST_CHECK bool registrations_load(struct renewals *r, struct err *err);
/* The version counts up with the put, so that transactions under way follow each other; settle
 * tells how the transaction ended. */
void registration_put(struct registration *g, struct store_tx *tx);
void registration_settle(struct registration *g, const struct err *err);
/* The version that the store has of a record; 0: none. */
int64_t stored_version(struct renewals *r, struct str kind, const char *id);

/* held.c */
MUST_CHECK bool held_load(struct renewals *r, struct err *err);
void held_put(struct registration *g, const struct issued *issued, struct store_tx *tx);
void held_take(struct registration *g, const struct issued *issued); /* as `fresh` */
void held_swap(struct registration *g); /* it has committed: `fresh` becomes `held` */
void held_install(struct registration *g);
void held_clear(struct held *h);

/* schedule.c */
void schedule(struct registration *g);      /* sets its timer by what is known now */
void schedule_now(struct registration *g);  /* an attempt at once, unless one is under way */
void schedule_state_put(struct registration *g, struct store_tx *tx); /* as registration_put */
void schedule_state_settle(struct registration *g, const struct err *err);
void schedule_stop(struct registration *g);
void schedule_resume(struct registration *g);
MUST_CHECK bool schedule_load(struct renewals *r, struct err *err);
void schedule_proven(struct registration *g, const struct err *failed); /* prove.c is done */

/* prove.c */
void prove(struct registration *g);
void prove_stop(struct registration *g);

/* hsts.c */
MUST_CHECK bool promises_load(struct renewals *r, struct err *err);
void promises_free(struct renewals *r);
/* Until when browsers refuse plain HTTP for one of the names; 0: nobody does. */
int64_t promised_until(struct renewals *r, const struct str *names, size_t count);

#endif
