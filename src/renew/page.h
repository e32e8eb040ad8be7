/* What the page needs of renew/: sites at a glance, one task with its steps and its error, the wish
 * to remove or revoke, export, the CA's limits, and to be told of changes. Part of renew.h. */
#ifndef RENEW_PAGE_H
#define RENEW_PAGE_H

#include "renew/renew.h"

/* Told in a later turn, once for whatever happened until then: a registration (or what is known of
 * its certificate) or a task changed, came or went. The id lives during the call. */
struct renewals_watch {
	void (*registration)(struct renewals_watch *w, struct str id);
	void (*task)(struct renewals_watch *w, struct str id);
	struct list node;
};
void renewals_watch(struct renewals *r, struct renewals_watch *w);
void renewals_unwatch(struct renewals_watch *w); /* harmless if it does not watch */

/* The state of a site, the worst first but for OFF and UNKNOWN. */
#define LAMPS(X)                                                                                   \
	X(PROBLEM, "problem") /* visitors see an error, or it failed and little time is left */    \
	X(WARNING, "warning") /* failed with time enough, or visitors get another certificate */   \
	X(WORKING, "working") /* an attempt is queued or under way */                              \
	X(TEMPORARY, "temporary") /* there is no certificate yet but the self-made one */          \
	X(OK, "ok")                                                                                \
	X(OFF, "off")         /* disabled, only kept, or another took its place */                 \
	X(UNKNOWN, "unknown") /* no handshake has shown yet what is served */
enum lamp {
#define X(name, text) LAMP_##name,
	LAMPS(X)
#undef X
	        LAMP_COUNT
};
const char *lamp_name(enum lamp lamp);
bool lamp_from_name(struct str name, enum lamp *ret_lamp);

/* What a lamp is made of. Pure. */
struct lamp_facts {
	int64_t now, not_before, not_after;
	bool held;     /* there is a certificate */
	bool revoked;  /* by its CA, and nothing has come in its place */
	bool replaced; /* nobody asks for it, or another took its place: no visitor meets it */
	bool off;      /* nothing renews it */
	bool working;  /* an attempt is queued or under way */
	bool failed;   /* the last attempt */
	bool should_be_seen; /* a handshake will look at it */
	bool seen, differs;  /* one was made; it showed another certificate, or none */
};
enum lamp lamp_of(const struct lamp_facts *f);

/* A registration at a glance, for lists of many: nothing is copied, all texts live until the loop's
 * next turn. */
struct renew_view {
	struct str id;
	const struct str *names; /* the first is the one that it is called by */
	size_t name_count;
	struct str issuer, email;
	enum lamp lamp;
	const char *state;                              /* as in the certificate object */
	bool held, in_store, in_file, primary, renewed; /* renewed: not disabled nor only kept */
	int64_t created, not_before, not_after;         /* the certificate's; 0 without one */
	int64_t next_renewal;                           /* 0: none */
	int64_t seen;       /* a visitor from outside was served by TLS; 0: none yet */
	const char *reason; /* why then, or why not; may be NULL */
	struct str why;     /* under way for what, or the last error */
	bool replaced;      /* nobody asks for it, or another took its place: no visitor meets it */
	unsigned failures;  /* in a row */
	int64_t since, revoked;   /* when the certificate came, when its CA revoked it; 0: not */
	bool recalled;            /* its CA wants it to be replaced now (RFC 9773) */
	struct str explanation;   /* why then: a URL, or empty */
	const struct err *error;  /* of the last attempt, or what this one waits for; NULL: none */
	const struct err *served; /* what visitors get instead of it; NULL: nothing else */
	struct str task;          /* the newest one, or empty */
	struct str thumbprint, serial, issued_by;
	struct str beside; /* id of the one with the other kind of key; empty: it stands alone */
	bool second;       /* it is the RSA one of both */
};
struct renew_view_each {
	void (*view)(struct renew_view_each *e, const struct renew_view *v);
};
/* All that people know of, in any order. Does no more than one look at each. */
void renew_each(struct renewals *r, struct renew_view_each *e);
/* name: any name, or an id. False if there is none. */
bool renew_find(struct renewals *r, struct str name, struct renew_view *ret_view);
/* The certificate object of API.md. False if there is none. */
bool renew_write(struct renewals *r, struct str name, const char *key, struct json_writer *w);

/* What people should know of the CA of that registration before it is in its way: that a limit has
 * little left (ret_about: as of limits_low), and of its terms what issuers_terms says. */
bool renew_limit_low(struct renewals *r, struct str id, struct str *ret_about, struct err *ret_how);
bool renew_terms(struct renewals *r, struct str id, bool *ret_changed, struct err *ret_how);

/* What became of attempts since this process began, and how many wait. */
struct renew_totals {
	uint64_t succeeded, failed[ERR_CANCELED + 1]; /* by enum err_code */
	size_t under_way, queued, at_limit;           /* at_limit: until a CA's limit has room */
};
void renew_totals(const struct renewals *r, struct renew_totals *ret_totals);

/* The one that Configure made: which the seed's /api/letsencryptconfiguration speaks of. */
bool renew_primary(struct renewals *r, struct renew_view *ret_view);
/* It is stored with the next turn; a failure to store is logged. id: as `renew_done` got it, or
 * empty for none. */
void renew_set_primary(struct renewals *r, struct str id);

/* Leaf and chain as PEM, as the CA sent them. with_key (for the machine's owner alone): first the
 * key (SEC 1, PKCS#1), and ret_pem must be a BUF_SECRET. */
struct renew_export_want {
	struct str name, key_type; /* key_type empty: of two the one with the ECDSA key */
	bool with_key;
};
MUST_CHECK bool renew_export(struct renewals *r, const struct renew_export_want *want,
        struct buf *ret_pem, struct err *err);

/* The registration goes from the store and with it its site; a certificate that it has is kept and
 * shown as retired. What the file sets cannot be removed here. HSTS as with renew_disable. */
void renew_remove(struct renewals *r, struct renew_request *q, struct str name, bool despite_hsts,
        renew_done *done);

/* The same registration with those of its names alone, as if they were registered now; it is there
 * beside the one that has them all, which is then removed. */
struct renew_narrow_want {
	struct str id;
	const struct str *stay; /* as registered */
	size_t stay_count;
};
void renew_narrow(struct renewals *r, struct renew_request *q, const struct renew_narrow_want *want,
        renew_done *done);

/* A new certificate is ordered first, unless the registration is no longer renewed; then the old
 * one is revoked at its CA (RFC 8555 7.6). `done` as soon as the wish is stored, with the task to
 * follow. reason: a name of REVOKE_REASONS (acme/revoke.h) or STR_NONE. */
struct renew_revoke_want {
	struct str name, reason;
	bool despite_hsts;
};
void renew_revoke(struct renewals *r, struct renew_request *q, const struct renew_revoke_want *want,
        renew_done *done);

/* The members "limits" and "waits" of GET /api/issuers/NAME/limits. issuer: a row's name; name:
 * what would be ordered, or empty: what is used up most, at most 20. For CAs whose figures are not
 * known the list of limits is empty; `waits` is what the CA itself has asked for. */
MUST_CHECK bool renew_limits(struct renewals *r, struct str issuer, struct str name,
        struct json_writer *w, struct err *err);

/* Of each issuer its name, that, and what account_write_doubt says, as the array `key`. */
void renew_limits_all(struct renewals *r, const char *key, struct json_writer *w);

/* Until when browsers refuse plain HTTP for one of the names, as they were told by us (wall ms); 0:
 * nobody does. */
int64_t renew_hsts_until(struct renewals *r, const struct str *names, size_t count);

/* Tasks. States: Queued, Executing, Success, Failed, Canceled. */
struct task_view {
	struct str id, about; /* about: the registration's id */
	const char *name,
	        *description; /* "RenewLetsEncrypt", "Renew Let's Encrypt SSL Certificate" */
	const char *state;
	bool ended, succeeded;
	int64_t queued, started, finished; /* wall ms; 0: not yet */
	struct str arguments;              /* JSON object as it was asked for, or "{}" */
	const struct err *error;           /* Failed or Canceled: why; else NULL */
	struct str ca_text;                /* with error: what the CA said, or empty */
};
struct task_view_each {
	bool (*task)(struct task_view_each *e, const struct task_view *t); /* false ends */
};
/* The newest first; about: only those of that registration, or empty. */
void task_each(struct renewals *r, struct str about, struct task_view_each *e);
bool task_view(struct renewals *r, struct str id, struct task_view *ret_view);
/* Array of what was done: events of the same step and subject as one, each {"seq","at","ms","took",
 * "step","subject","text","state"}: ms since the task began, took in ms (null while it lasts). */
void task_write_steps(struct renewals *r, struct str id, const char *key, struct json_writer *w);
/* {"code","what","why","remedy","ca_text"} or null. */
void task_write_error(const struct task_view *t, const char *key, struct json_writer *w);

#endif
