/* Registrations and their certificates, for ever: what is due and why then, attempts with back-off,
 * the task log, and the proof by a handshake that what was issued is served.
 *
 * A registration is a set of names with an issuer, either in the store (`register`, the page) or in
 * the file (a site with `email` and `agree-to-terms yes`). Its id is made of the names, the issuer
 * and the key type, so that the same request again finds what is there.
 *
 * Records (store/): registration, certificate (value: what is known of it; blob: leaf, chain and
 * sealed key), renewal (value: failures, next try, last error), task. */
#ifndef RENEW_RENEW_H
#define RENEW_RENEW_H

#include "config/kept.h"
#include "issue/issue.h"
#include "json/json.h"

/* What renew asks of control (wiring): how certificates and listeners come to be served. */
struct serving;
struct serving_certificate {
	struct str id;
	const struct str *names;
	size_t name_count;
	struct str leaf; /* DER */
	const struct str *chain;
	size_t chain_count;
	const struct secret *key; /* DER */
	struct str staple;        /* what its OCSP responder says of it; empty: nothing */
	int64_t staple_until;     /* wall ms */
	/* With another kind of key, for clients that cannot do with the first, which is the ECDSA
	 * one; its names are not looked at. NULL: it stands alone. */
	const struct serving_certificate *beside;
};
struct serving_address {
	struct str host; /* numeric, one that can be dialled: 0.0.0.0 has become 127.0.0.1 */
	uint16_t port;
};
/* A change of sites or listeners; `done` fires once the new generation is committed or refused. */
struct serving_change {
	void (*done)(struct serving_change *c, const struct err *err);
	struct list node;
};
struct serving_ops {
	/* From now on handshakes for these names get it, or what stands beside it (replaces what
	 * they had). */
	void (*install)(struct serving *s, const struct serving_certificate *c);
	/* Registrations changed: build a generation of the file's sites and renewals_each_site. */
	void (*change)(struct serving *s, struct serving_change *c);
	void (*change_abort)(struct serving *s, struct serving_change *c);
	/* Whether that address is bound; if not, err says who holds it. */
	bool (*bound)(struct serving *s, const struct address *a, struct err *err);
	/* Whether there is a way for a CA to prove that name; if not, err says what is in its way.
	 * renewals_listening tells when that has changed. */
	bool (*provable)(struct serving *s, struct str name, struct err *err);
	/* False: an own address on the port that CAs ask on could not be had, so that the question
	 * may have gone to another program; err says to which. */
	bool (*unobstructed)(struct serving *s, struct err *err);
	/* What was installed for these names is served no more. */
	void (*forget)(struct serving *s, const struct str *names, size_t count);
	/* Where a handshake for that name can be tried: every own TLS listener, at most `most`. */
	size_t (*addresses)(
	        struct serving *s, struct str name, struct serving_address *ret, size_t most);
	/* Whatever is listened on or was asked for, the page's too, at most `most`; until the next
	 * turn. */
	size_t (*listeners)(struct serving *s, struct address *ret, size_t most);
};
struct serving {
	const struct serving_ops *ops;
};

/* The rows that issuers_set takes: each issuer, and the staging that it has for rehearsals. In the
 * arena, texts borrowed from the configuration. */
const struct issuer_row *renew_issuer_rows(
        struct arena *a, const struct config *c, size_t *ret_count);

struct renewals;
struct renew_needs {
	struct loop *loop;
	struct store *store;
	struct master *master;
	struct issuers *issuers;
	struct fetch *fetch; /* for probes */
	struct serving *serving;
	const struct kept *kept; /* sites that the store has; NULL: none */
	const struct log *log;
};
/* Reads all records; installs every certificate that is there. Starts nothing yet. */
MUST_CHECK struct renewals *renewals_new(const struct renew_needs *needs, struct err *err);
void renewals_free(struct renewals **r);
/* The configuration now in force (borrowed until the next call): file sites become registrations;
 * those no longer in it stop renewing, their certificates are kept. Due attempts start once
 * renewals_begin was called (the first generation is committed). */
void renewals_configure(struct renewals *r, const struct config *config);
void renewals_begin(struct renewals *r);
/* The certificate for that name, if there is one, is installed once more. */
void renewals_install(struct renewals *r, struct str name);
/* Listeners have come: attempts that wait for one look again. */
void renewals_listening(struct renewals *r);

/* The moment of renewal and the rule that set it (DESIGN 1, 6): pure. */
struct renewal_time {
	int64_t at;      /* wall ms */
	const char *why; /* "21 days before it expires", … */
};
struct renewal_time renewal_time(int64_t not_before, int64_t not_after, int64_t renew_before);
/* Why certificates that live so long (ms) are not renewed as renew-before says; NULL: they are. */
const char *renewal_misfit(int64_t life, int64_t renew_before);
/* By rule: the site's or given, else the file's first, else internal for private names, else
 * Let's Encrypt. */
struct str registration_issuer(const struct config *c, struct str given, struct str name);
/* The wait after the nth failure in a row (1, 2, …): 1 min, 10 min, 100 min, daily, with jitter
 * from `noise` (0 … 65535), but at most a tenth of the time that is left or that has gone by since
 * it expired, when visitors are refused; at least a minute. not_after 0: none is held. Pure. */
int64_t renewal_backoff(unsigned failures, unsigned noise, int64_t now, int64_t not_after);

/* What people ask for; answers are JSON for the API, errors sentences. */
struct register_want {
	const struct str *names; /* as typed */
	size_t name_count;
	struct str email, proxy, issuer, address, key_type; /* STR_NONE: not given */
	struct str profile; /* STR_NONE: not given; "": none, or the configuration's */
	uint16_t port;      /* 0: not given */
	bool agree_tos, despite_hsts;
};
/* Owned by the caller; `done` fires exactly once, when the request is stored: it survives any crash
 * from then on. id and task live during the call; task is empty if there is none to follow;
 * existing: it was there before. */
struct renew_request;
typedef void renew_done(struct renew_request *q, struct str id, struct str task, bool existing,
        const struct err *err);
struct renew_request {
	renew_done *done;
	struct renewals *renewals; /* NULL when not started */
	struct list node;
	struct later later;
	struct err err;
	char id[300], task[32];
	bool existing;
	const char *field;  /* of the wish, as the API calls it, that err is about; or NULL */
	int64_t hsts_until; /* wall ms: why it is refused unless despite_hsts; else 0 */
	/* What a repeated registration changed, or what is served when an import was removed; else
	 * empty. */
	char before[200], after[600];
};
/* Our own listeners, for the law of upstreams: what file and registrations say, the page's address,
 * and what is bound still. In the arena; texts live until the next turn. */
struct kept_listeners renew_listeners(struct renewals *r, struct arena *a);
/* The same names, issuer and key type again return what is there and order nothing. While browsers
 * may remember HSTS for a name, a change to an issuer that they do not trust needs despite_hsts. */
void renew_register(struct renewals *r, struct renew_request *q, const struct register_want *want,
        renew_done *done);
/* name: any name of the certificate, or its id. */
void renew_now(struct renewals *r, struct renew_request *q, struct str name, renew_done *done);
/* Stops renewal; goes on serving. While browsers may remember HSTS for a name it needs
 * `despite_hsts`, and the error says until when. */
void renew_disable(struct renewals *r, struct renew_request *q, struct str name, bool despite_hsts,
        renew_done *done);
/* What was asked for still happens; `done` will not. */
void renew_request_abort(struct renew_request *q);

/* HSTS as told to browsers: the longest promise per host, kept in the store (record hsts). */
void renew_hsts_sent(struct renewals *r, struct str host, int64_t age, int64_t at);
/* A visitor from outside was served for that name over TLS. */
void renew_seen(struct renewals *r, struct str site, struct str client, int64_t at);

/* False: the clock is not what it seems to have to be; err says how, and what becomes of it. */
bool renew_clock(struct renewals *r, struct err *err);

/* certificates[] of `status --json`, one object each (DESIGN 2), and one by name. */
void renew_status(struct renewals *r, struct json_writer *w);
MUST_CHECK bool renew_status_of(
        struct renewals *r, struct str name, struct json_writer *w, struct err *err);

/* Sites that registrations in the store add to the file's: for control's generation. */
struct renew_site {
	const struct str *names;
	size_t name_count;
	const struct config_upstream *proxy; /* NULL: by the site that the file has for it */
	struct address listen;               /* host empty: the file's https lines */
	bool has_certificate;
};
struct renew_site_each {
	void (*site)(struct renew_site_each *e, const struct renew_site *site);
};
void renewals_each_site(struct renewals *r, struct renew_site_each *e);

/* Tasks: what was done, step by step. A reader of one task's events; each is one JSON object
 * without newline; `ended` after the last. */
struct task_reader {
	void (*event)(struct task_reader *t, struct str json);
	void (*ended)(struct task_reader *t);
	struct list node;
	size_t next; /* the event it gets next */
};
MUST_CHECK bool task_read(
        struct renewals *r, struct task_reader *t, struct str task, size_t from, struct err *err);
void task_read_stop(struct task_reader *t);
/* The newest first, at most `most`; and one with all its steps. */
void task_list(struct renewals *r, struct json_writer *w, size_t most);
MUST_CHECK bool task_details(
        struct renewals *r, struct str task, struct json_writer *w, struct err *err);

#include "renew/page.h"

#endif
