/* What the files of renew/ share. */
#ifndef RENEW_PRIVATE_H
#define RENEW_PRIVATE_H

#include "certs/name.h"
#include "issue/ari.h"
#include "issue/limits.h"
#include "renew/demand.h"
#include "renew/when.h"

/* PARALLEL_MOST: attempts at one CA; each CA has its own, so that none waits for another. */
enum { PARALLEL_MOST = 10, NAMES_MOST = 100, PROBES_MOST = 32, TASKS_KEPT = 200 };

/* Tasks (task.c) */

#define TASK_STATES(X)                                                                             \
	X(QUEUED, "Queued")                                                                        \
	X(EXECUTING, "Executing")                                                                  \
	X(SUCCESS, "Success")                                                                      \
	X(FAILED, "Failed")                                                                        \
	X(CANCELED, "Canceled")
enum task_state {
#define X(name, text) TASK_##name,
	TASK_STATES(X)
#undef X
};

/* The seed system's names, and how they are described. */
#define TASK_NAMES(X)                                                                              \
	X(CONFIGURE, "ConfigureLetsEncrypt", "Configure Let's Encrypt SSL Certificate")            \
	X(RENEW, "RenewLetsEncrypt", "Renew Let's Encrypt SSL Certificate")                        \
	X(REVOKE, "RevokeLetsEncrypt", "Revoke Let's Encrypt SSL Certificate")
enum task_name {
#define X(name, text, description) TASK_##name,
	TASK_NAMES(X)
#undef X
};

/* Events of the same step and subject tell of the same thing: the later one has the better words,
 * until an event "again" begins a new round. */
struct event {
	int64_t at;
	enum task_state state;
	struct str step, subject, text; /* subject: the name that it is about, or empty */
};

struct task {
	struct map_node node;
	struct list order; /* newest last */
	struct renewals *renewals;
	char id[32];
	struct arena arena;
	enum task_name name;
	struct str about;     /* the registration's id */
	struct str arguments; /* JSON */
	enum task_state state;
	int64_t queued, started, ended;
	int64_t next_try; /* wall ms, of FAILED; 0: none */
	bool issued;      /* its certificate is stored: it is only to be seen still */
	struct event *events;
	size_t count, cap;
	struct err error;    /* FAILED, CANCELED */
	struct str ca_text;  /* what the CA said, with error */
	struct list fetches; /* who fetched tokens: steps.c */
	struct list readers;
	struct list to_tell; /* watch.c */
	bool changed;        /* since the write that is under way began */
	int64_t version;
	struct store_tx tx;
	struct later later;
};

struct registration;
struct task *task_find(struct renewals *r, struct str id);
bool task_under_way(const struct task *t); /* or queued */
void task_begin(struct task *t);           /* it has a place now */
/* step: a word that does not change ("order"); text: for people. What was said last of the same
 * step is not said again. */
void task_step(struct task *t, const char *step, struct str text);
void task_step_about(struct task *t, const char *step, struct str subject, struct str text);
void task_store(struct task *t);
/* Stored together with what else is asked of the store in this turn. */
void task_issued(struct task *t);
/* Its last event; stored. failed NULL: success. */
void task_end(struct task *t, const char *text, const struct err *failed);
void task_give_up(struct task *t, const char *why);
MUST_CHECK bool tasks_load(struct renewals *r, struct err *err);
void tasks_free(struct renewals *r);
struct task *task_new(struct registration *g, enum task_name name);
/* The CA's problem travels whole, below our own sentence. Before task_end. flow may be NULL. */
void task_keep_ca_text(struct task *t, const struct flow *flow);
/* The one under way for it: what a restart has interrupted, else a new one of that name. */
struct task *task_for(struct registration *g, enum task_name name);
/* The latest event before `end` of that step and subject in the same round; NULL: none. */
const struct event *task_event_before(
        const struct task *t, size_t end, struct str step, struct str subject);
const char *task_state_name(enum task_state state);

/* error.c: an error as members of an object: code, message, remedy, what, why; and back. */
void error_write(struct json_writer *w, const struct err *err);
void error_read(const struct json *json, struct err *ret_err);

/* watch.c */
void tell_registration(struct registration *g);
void tell_task(struct task *t);

/* listen.c: whether the page would be in the way of a listener there. */
bool listen_is_page(const struct renewals *r, const struct address *a);

/* status.c */
bool no_certificate(struct str name, struct err *err); /* false: the sentence */
struct renew_view registration_view(const struct registration *g);
/* page.c: a key as SEC 1 or PKCS#1 has it; ret_pem: a BUF_SECRET. */
void key_to_pem(struct str der, bool rsa, struct buf *ret_pem);
/* page.c: the record primary: {"id"} */
MUST_CHECK bool primary_load(struct renewals *r, struct err *err);
void primary_done(struct renewals *r);
bool registration_primary(const struct registration *g);
/* look.c: when it looks at every certificate again (wall ms); 0: not yet known. */
int64_t look_at_next(const struct renewals *r);

/* steps.c: what an attempt does, in the words of the page. */
void steps_moved(struct registration *g, const struct flow *flow, const struct next *next);
void steps_fetched(struct registration *g, struct str name, struct str client);
void steps_waits(struct registration *g, struct str name, struct str words);
struct str steps_words(struct arena *a, const struct flow *f, const struct next *next);
void steps_bind(struct registration *g);

/* names.c: registrations by each of their names. To be called whenever they are set. */
void names_index(struct registration *g);
void names_forget(struct registration *g);
struct name_entry {
	struct list node;
	struct registration *registration;
	struct named *named;
};
/* for (e = names_first(r, name); e; e = names_next(e)) */
struct name_entry *names_first(const struct renewals *r, struct str name);
struct name_entry *names_next(const struct name_entry *e);

/* Registrations */

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

/* Handshakes with every own listener (prove.c). */
struct proof {
	void (*done)(struct registration *g, const struct err *failed);
	struct serving_address at[PROBES_MOST];
	size_t count, next;
	unsigned tries;
	struct fetch_probe probe;
	struct timer again;
};

/* When its CA suggests to renew the certificate that is held (window.c). */
struct suggestion {
	struct renewal_window window;
	struct arena arena;
	struct str explanation; /* URL, or empty */
	bool unusable;          /* without a window: the CA answers, but nothing that can be used */
	char *why_not;          /* why there is none; NULL: there is, or nobody has asked yet */
	int64_t asked, next_ask; /* wall ms; 0: not yet */
	unsigned failures;
	struct ari_call call;
	struct timer due;
	struct list to_ask;
	struct store_tx tx;
	bool again; /* changed while it was being stored */
};

enum { CA_MOST = 80 };

struct registration {
	struct map_node node; /* by id */
	struct renewals *renewals;
	char *id, *supersedes; /* supersedes: why those it took the place of are not renewed */
	struct arena arena;    /* of what is wanted */
	struct str *names;
	size_t name_count;
	struct name_entry *entries; /* names.c */
	size_t entry_count;
	struct str email, issuer; /* issuer: the first of those that are asked */
	enum key_type key_type;
	struct str profile; /* as registered */
	/* What the configuration says of it, and whom it may ask, until the next one. */
	const struct config_making *making;
	const struct str *issuers;
	size_t issuer_count;
	struct address listen;
	struct config_upstream proxy; /* host empty: none */
	bool terms, in_file, in_store, was_in_file;
	bool on_demand;      /* it came by a handshake (demand.h) */
	bool demand_allowed; /* a site of the file gives it still */
	int64_t visited;     /* wall ms: somebody came since it was renewed; 0: nobody */
	struct timer ends;
	struct store_tx visit_tx;
	int64_t renew_before, created;
	int64_t version; /* of the record registration */

	struct held held, fresh; /* fresh: issued, not yet committed */

	struct issuer_turn turn;
	bool rehearsed;   /* what was never tried was tried on a staging, or need not be */
	bool rehearsing;  /* the attempt that is queued or under way is that */
	char ca[CA_MOST]; /* the row that it asks; empty: none yet */
	int64_t issued[ISSUED_KEPT]; /* wall ms, the latest first */
	size_t issued_count;
	struct suggestion suggestion;

	bool disabled;
	unsigned failures;
	int64_t next_try; /* wall ms; 0: by the certificate's own time */
	struct err last_error;
	int64_t last_error_at;
	int64_t state_version; /* of the record renewal */

	struct timer due, limited; /* limited: until the CA's limits leave room */
	struct list queued;        /* to begin or go on once its CA has a place for it */
	struct attempt attempt;
	struct err waiting;      /* within an attempt: for what; code NONE: it is not waiting */
	int64_t waiting_until;   /* wall ms */
	struct limit_wait limit; /* of those in at_limit */
	struct list place;       /* attempting, and not in a long wait */
	char *reason;            /* why it is renewed when it is; NULL: not yet scheduled */
	bool wished;             /* by a person, whatever the clock says, or a CA said last */
	bool again;              /* another attempt is wished for once this one is stored */
	bool attempting, began_anew;
	bool key_refused;              /* by a CA, which would have had it once more: `reuse-key` */
	struct revocation *revocation; /* NULL: none is wished for */
	struct {
		int64_t version, at; /* of the record revoked; wall ms */
		char sha256[65];
		bool compromised;   /* its key is in wrong hands, as who revoked it said */
	} revoked;                  /* the last certificate that the CA has revoked */
	struct store_tx revoked_tx; /* revoked.c */
	struct task *task;          /* the one under way, but for that of the revocation */
	char task_id[32];           /* the newest */
	enum acme_step shown_step;
	struct store_tx tx, request_tx;
	struct list requests; /* struct renew_request: answered once request_tx is stored */
	struct serving_change change;
	struct proof proof;
	struct list to_look_at;
	struct list to_tell;   /* watch.c */
	uint64_t installed;    /* which one in order; 0: not */
	struct err served_err; /* code NONE and served_at: seen as stored */
	int64_t served_at;
	struct arena served_arena;
	struct cert served_leaf; /* what was seen, if it was another one: serial.n */
	int64_t seen_at;
	struct str seen_client;
	struct arena seen_arena;
};

struct hsts_promise {
	struct map_node node; /* by host */
	char *host;
	int64_t until, age, version;
	int64_t storing; /* the until of the write under way */
	struct store_tx tx;
	struct renewals *renewals;
};

/* What time it is (wall.c). */
struct wall {
	struct issuers_time watch;
	struct renewals *renewals;
	int64_t newest, version; /* of the record clock */
	struct store_tx tx;
	bool told;
	int64_t told_offset; /* the CA's time less the wall clock, when it was told */
	int64_t told_base; /* wall clock less mono, then: another one if the clock was set since */
	enum wall_judgement was;
	struct ari_call call;
	unsigned failures;
	struct timer again, look;
	struct list waiting; /* queued: not before somebody has told the time */
};

/* What renewals of the next days need of the CAs' limits (reserve.c). */
struct reserve {
	struct map needs; /* by directory and domain */
	struct arena arena;
	int64_t until; /* mono ms: when it is counted anew */
};

/* Names that visitors ask for (demand.c). */
struct demands {
	struct renew_demands *heard;
	struct map under_way, refusals, budgets;
	struct list to_ask, refusal_order;
	size_t asking;
	uint64_t questions, asked, answers[DEMAND_BUSY + 1]; /* by enum demand_verdict */
	int64_t complained;                                  /* mono ms of the last time */
};

struct renewals {
	struct renew_needs needs;
	const struct config *config;
	struct map registrations, names, tasks, promises, imports;
	struct list queue, going_on; /* going_on: have begun, and come first */
	struct list at_limit;        /* no order for them before `limited` */
	struct list unprovable;      /* no order for them while no proof could be given */
	struct list task_order;
	struct later later; /* starts what is queued */
	struct list watches, told_registrations, told_tasks;
	struct later tell;
	char *primary; /* id; NULL: none */
	int64_t primary_version;
	struct store_tx primary_tx;
	bool primary_again;    /* changed while it was being stored */
	struct list under_way; /* those that have a place */
	int64_t last_task;
	uint64_t installs;
	struct wall wall;
	struct demands demands;
	struct reserve reserve;
	struct list to_ask; /* windows, the most urgent first */
	size_t asking;
	struct timer ask_next;
	struct map questions; /* whether something is revoked: revoked.c */
	struct list to_question;
	size_t questioning;
	struct list notes;    /* notes.c */
	struct list removals; /* import_remove.c */
	struct map staples;
	struct timer staples_due;
	int64_t staples_next;       /* wall ms */
	struct renew_totals totals; /* its attempts alone */
	struct timer daily;
	struct list to_look_at;
	struct registration *looking_at;
	struct later look_next;
	bool begun;
};

/* registration.c */
/* By id, else by a name: one that still renews goes before one that is only kept, and the newer
 * one. NULL if there is none that people know of. */
/* What the name that was typed is registered as: an IDN, capitals, a final dot are repaired. */
struct str name_as_registered(struct arena *a, struct str typed);
struct registration *registration_find(struct renewals *r, struct str name_or_id);
/* Whether people know of it: it is asked for, or there is a certificate. */
bool registration_shown(const struct registration *g);
struct registration *registration_by_id(struct renewals *r, struct str id);
struct registration *registration_new(struct renewals *r, struct str id);
void registration_free(struct registration **g);
bool registration_wanted(const struct registration *g);
/* By the file or by command, renewed or not. */
bool registration_asked_for(const struct registration *g);
/* The one that is served beside it: for the same names, of the same issuer, with the other kind of
 * key. NULL: its certificate stands alone, or is not there. */
struct registration *registration_beside(const struct registration *g);
bool registration_same_names(const struct registration *g, const struct registration *other);
/* Whether they would stand beside each other if both were asked for. */
bool registration_fits_beside(const struct registration *g, const struct registration *other);
/* Why it is not renewed, in words; NULL if it is. */
const char *registration_blocked(const struct registration *g);
/* Names, issuer and key type as one word, the same for the same set. */
struct str registration_id(struct arena *a, const struct str *names, size_t count,
        struct str issuer, enum key_type key_type);
/* What the configuration says of how certificates for that name are made. */
const struct config_making *registration_making(const struct config *c, struct str name);
/* By what is configured now: how, and by whom. */
void registration_configured(struct registration *g);
struct str registration_profile(const struct registration *g); /* or STR_NONE */
MUST_CHECK bool registrations_load(struct renewals *r, struct err *err);
/* The version counts up with the put, so that transactions under way follow each other. */
void registration_put(struct registration *g, struct store_tx *tx);
/* The transaction failed: what the store has counts. */
void registration_reload(struct registration *g);
/* What is said there says for which name. */
struct log registration_log(const struct registration *g);
/* The version that the store has of a record; 0: none. */
int64_t stored_version(struct renewals *r, struct str kind, const char *id);

/* ca.c: which CA is asked. */
struct str ca_next(const struct registration *g); /* the issuer whose turn it is */
/* The one whose turn it is, or its staging where it was never tried. */
void ca_choose(struct registration *g);
/* The next of its issuers that is configured; false: there is no other. */
bool ca_choose_next(struct registration *g);
/* STR_NONE: it is not configured any more. */
struct str ca_directory(const struct registration *g);
/* The name of the issuer, without what says that it is a rehearsal. */
struct str ca_issuer(const struct registration *g);

/* window.c: what CAs suggest. */
void windows_begin(struct renewals *r); /* each is asked for anew, the most urgent first */
void windows_stop(struct renewals *r);
/* There is another certificate: what was suggested for the old one counts no more. */
void window_renew(struct registration *g);
void window_stop(struct registration *g);
/* Its part of the record renewal. */
void window_put(const struct registration *g, struct json_writer *w);
void window_read(struct registration *g, const struct json *state);
void window_write(const struct registration *g, struct json_writer *w); /* the member "window" */

/* wall.c: what time it is. */
MUST_CHECK bool wall_load(struct renewals *r, struct err *err);
void wall_begin(struct renewals *r);
void wall_stop(struct renewals *r);
int64_t wall_now(const struct renewals *r); /* as far as is known */
/* On the wall clock, for a timer: when it will be that time. */
int64_t wall_of(const struct renewals *r, int64_t at);
/* False: it cannot be told whether something is due; g waits, and err says for what. */
bool wall_known(struct registration *g, struct err *err);

/* reserve.c */
/* How much of that limit renewals of the next days need; names: what is to be ordered. */
struct limit_reserve reserve_for(struct registration *g);
struct limit_reserve reserve_of(
        struct renewals *r, struct str directory, const struct str *names, size_t name_count);
void reserve_note(struct renewals *r, struct str directory, struct limit *limit); /* .reserved */
void reserve_done(struct renewals *r);

/* held.c */
MUST_CHECK bool held_load(struct renewals *r, struct err *err);
void held_put(struct registration *g, const struct issued *issued, struct store_tx *tx);
void held_take(struct registration *g, const struct issued *issued); /* as `fresh` */
void held_swap(struct registration *g);    /* it has committed: `fresh` becomes `held` */
void held_install(struct registration *g); /* with the one beside it */
/* For that name alone, which nobody else has now. */
void held_install_for(struct registration *g, const struct str *name);
/* It is not asked for any more: what stood beside it stands alone. */
void held_leave(const struct registration *g);
/* The blob of a certificate: its chain, behind which the sealed key stands; and back, borrowed. */
void held_blob(struct buf *out, const struct str *chain, size_t count);
MUST_CHECK bool held_read_chain(
        struct str *rest, struct str ret_chain[CHAIN_MOST], size_t *ret_count, struct err *err);
void held_clear(struct held *h);
/* Whether another certificate was installed after it for the same name. */
bool held_superseded(const struct registration *g);

/* request.c: what wishes have in common. */
void request_open(struct renewals *r, struct renew_request *q, renew_done *done);
/* NULL: q->err says why. */
struct registration *request_find(struct renew_request *q, struct str name);
void request_about(struct renew_request *q, const struct registration *g);
void request_answer(struct renew_request *q, const struct err *err);
void request_answer_soon(struct renew_request *q); /* with q->err, if it is set */
/* Once g->request_tx is stored, which calls request_answer_all. */
void request_answer_when_stored(struct renew_request *q, struct registration *g);
void request_answer_all(struct registration *g, const struct err *err);
/* Whether browsers let visitors in without its certificate. */
bool request_may_end(struct registration *g, bool despite_hsts, struct err *err);
/* The generation is built anew, since the registration's sites have changed. */
void request_change_sites(struct registration *g);

/* revoke.c */
MUST_CHECK bool revocations_load(struct renewals *r, struct err *err);
void revocation_free(struct registration *g);
void revocation_begin(struct registration *g);          /* after a start */
void revocation_look(struct registration *g);           /* whether it can go on now */
int64_t revoked_at(const struct registration *g);       /* wall ms: the one it has; 0: it is not */
bool revoked_compromised(const struct registration *g); /* no certificate may have its key again */
/* From now on it is known. The version in the store is counted up once that has committed. */
void revoked_put(struct registration *g, struct store_tx *tx, const char *sha256, int64_t at);
bool revocation_has_task(const struct registration *g, const struct task *t);

/* state.c: the record renewal, what a restart must not forget. */
/* healthy: as after a success, whatever there was. As registration_put. */
void state_put(struct registration *g, struct store_tx *tx, bool healthy);
void state_reload(struct registration *g);
void state_be_healthy(struct registration *g);
MUST_CHECK bool states_load(struct renewals *r, struct err *err);

/* schedule.c */
/* When it is renewed by the certificate's own time, and why then. */
struct renewal_time schedule_when(const struct registration *g);
/* Whether that is the time that its CA suggests: then no limit counts it. */
bool schedule_exempt(const struct registration *g);
void schedule(struct registration *g); /* sets its timer by what is known now */
/* An attempt at once, unless one is under way; before renewals_begin, a task that waits for it. The
 * caller has seen that it is not blocked. While a wish for it is being stored nothing begins. */
void schedule_now(struct registration *g);
/* Its task has a certificate that a restart kept from being seen: no other one is ordered. */
void schedule_see(struct registration *g);
/* Those that share a name with it: whether it has their place may have changed. */
void schedule_sharers(struct registration *g);
/* Gives up an attempt that is queued or under way. One whose outcome is being stored or proven goes
 * on to its end. */
void schedule_cancel(struct registration *g, const char *why);
void schedule_stop(struct registration *g);
void schedule_all(struct renewals *r);
/* What waited for something else than a place is queued again. */
void schedule_again(struct renewals *r, struct list *waiting);
/* What waited for the time is queued again; what is not due by it is given up. */
void schedule_by_clock(struct renewals *r);

/* demand.c */
void demands_init(struct renewals *r);
void demands_done(struct renewals *r);
void demands_configured(struct renewals *r);  /* after all of its registrations */
bool demand_is(const struct registration *g); /* nothing else asks for it */
/* Why it is not renewed, of those that came on demand; NULL: nothing is in its way. */
const char *demand_blocked(const struct registration *g);
void demand_configured(struct registration *g);
void demand_schedule(struct registration *g); /* when nothing is left of it */
void demand_issued(struct registration *g);
void demand_failed(struct registration *g);

/* prove.c */
void prove(struct registration *g, void (*done)(struct registration *g, const struct err *failed));
void prove_stop(struct registration *g);

/* look.c: every certificate is looked at after start and then every day. */
void look_begin(struct renewals *r);
void look_stop(struct renewals *r);
void look_forget(struct registration *g); /* its caller proves it, or it ends */

/* revoked.c: whether CAs have revoked what is held. */
void revoked_look(struct renewals *r);
void revoked_refresh(struct renewals *r); /* the answers that are due to be shown anew */
/* A new certificate's responder, for an answer to show. */
void revoked_ask(struct registration *g);
void revoked_ask_imported(struct renewals *r, struct str name);
void revoked_stop(struct renewals *r);

/* staples.c: answers of OCSP responders, by the thumbprint of the certificate, for handshakes. */
struct staple_answer {
	struct str der;
	int64_t from, until; /* wall ms */
};
bool staple_due(struct renewals *r, struct str thumbprint); /* and it is needed */
/* True: it is another one than is shown. */
bool staple_take(struct renewals *r, struct str thumbprint, const struct staple_answer *a);
/* None came. must: the certificate may not be shown without one. True: now it is. */
bool staple_missed(struct renewals *r, struct str thumbprint, bool must);
bool staple_is_missed(const struct renewals *r, struct str thumbprint);
bool staple_forget(struct renewals *r, struct str thumbprint); /* true: there was one */
void staple_show(const struct renewals *r, struct str thumbprint, struct serving_certificate *c);
/* In between each that is needed is asked about by staple_due. */
void staples_mark(struct renewals *r);
void staples_sweep(struct renewals *r);
MUST_CHECK bool staples_load(struct renewals *r, struct err *err);
void staples_stop(struct renewals *r);

/* notes.c */
void note_put(
        struct renewals *r, struct str kind, struct str id, struct str value, struct str blob);
void note_delete(struct renewals *r, struct str kind, struct str id);
void notes_stop(struct renewals *r);

/* hsts.c */
MUST_CHECK bool promises_load(struct renewals *r, struct err *err);
void promises_free(struct renewals *r);
/* Until when browsers refuse plain HTTP for one of the names; 0: nobody does. */
int64_t promised_until(struct renewals *r, const struct str *names, size_t count);

#endif
