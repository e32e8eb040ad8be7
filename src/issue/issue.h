/* One attempt at a certificate: the driver of acme/'s flow. Signs, keeps nonces and directories,
 * stores before use, publishes tokens, waits.
 *
 * Order of the law (DESIGN: ACME): the account key is stored before the account is asked for, the
 * flow before each send, the certificate's key before finalize, the certificate (by the caller)
 * before it is served.
 *
 * Records (store/):
 *	account-key  id "letsencrypt" or a directory URL   blob: the sealed key; the two of Let's
 *	             Encrypt share one until one of them changes its own (account.h)
 *	account      id directory URL   {url, email, terms}
 *	flow         id of the attempt  flow_save's text, and the issuer's name
 *	flow-key     id of the attempt  blob: the sealed certificate key
 * An account key that cannot be read is an error and never replaced by a new one. */
#ifndef ISSUE_ISSUE_H
#define ISSUE_ISSUE_H

#include "acme/flow.h"
#include "base/log.h"
#include "certs/cert.h"
#include "fetch/fetch.h"
#include "issue/prover.h"
#include "keys/keys.h"
#include "keys/seal.h"
#include "loop/loop.h"
#include "store/store.h"

struct issuers; /* all CAs that the configuration names; one each of: directory, account, nonces */

struct issue_needs {
	struct loop *loop;
	struct store *store;
	struct master *master;
	struct fetch *fetch;
	/* By type; NULL: that type cannot be used on this machine. */
	struct prover *provers[CHALLENGE_TYPE_COUNT];
	/* May be NULL. An account has another key: issuer_key gives it. */
	struct rekeyed {
		void (*tell)(struct rekeyed *r);
	} *rekeyed;
	const struct log *log;
};
struct issuers *issuers_new(const struct issue_needs *needs);
void issuers_free(struct issuers **i);

struct issuer_row {
	struct str name;
	struct str directory;           /* empty: our own authority (internal.h) */
	struct str trust;               /* PEM, or empty */
	struct str eab_kid, eab_hmac;   /* RFC 8555 7.3.4; hmac: base64url. Or empty */
	uint16_t http_port, https_port; /* that it asks us on; 0: 80, 443 */
};
/* From the configuration; attempts under way keep the row they began with. */
void issuers_set(struct issuers *i, const struct issuer_row *rows, size_t count);

/* Whether any of the usual types can prove that name here; else why none. */
bool issuers_can_prove(const struct issuers *i, struct str name, struct err *ret_why_not);
/* What it is to be proved with otherwise cannot work: NULL, or the type that comes first by
 * preference, and why not. */
const char *issuers_cannot(const struct issuers *i, struct str name, struct err *ret_why_not);

/* What that CA's directory said when it was heard last: the members terms, website (empty: none),
 * eab_required, profiles [{name, text}]. False: it was not heard yet, and nothing is written. */
bool issuers_describe(struct issuers *i, struct str issuer, struct json_writer *w);

/* *ret_changed: that CA's directory names other terms of service than those that were accepted; err
 * says which. False: it was not heard yet. Accepting means those that it names now. */
bool issuers_terms(
        const struct issuers *i, struct str issuer, bool *ret_changed, struct err *ret_how);
void issuers_accept_terms(struct issuers *i, struct str issuer);

/* Whether we know an account of ours there. */
bool issuers_has_account(struct issuers *i, struct str issuer);

/* What the limits of that row's CA leave by our own count (limits.h). */
struct limits;
struct limits *issuers_limits(const struct issuers *i);

/* Each answer of a CA tells what time it is there (wall ms). NULL: nobody watches any more. */
struct issuers_time {
	void (*heard)(struct issuers_time *t, int64_t ca_says);
	int64_t offset; /* ms to be added to the wall clock, where that is known to be wrong */
};
void issuers_watch_time(struct issuers *i, struct issuers_time *watch);

/* Loads or makes and stores the account key of this issuer; `done` gets it once it is stored (the
 * default issuer's thumbprint is what the challenge responder needs before anything else). The key
 * belongs to the issuers. */
struct issuer_key_call {
	void (*done)(struct issuer_key_call *c, const struct key *key, const struct err *err);
	struct list node;
};
void issuer_key(struct issuers *i, struct str issuer, struct issuer_key_call *call,
        void (*done)(struct issuer_key_call *c, const struct key *key, const struct err *err));
void issuer_key_abort(struct issuer_key_call *call);

/* What an attempt made. Texts live during the callback. */
struct issued {
	/* DER, as the CA sent it, leaf first; the leaf was checked: it is for the names and the
	 * key, and has not expired. */
	const struct str *chain;
	size_t chain_count;
	const struct secret *key; /* DER */
	struct cert leaf;
};

struct attempt_want {
	struct str id;                       /* of the record flow, and in the log */
	struct str issuer;                   /* a row's name */
	struct str email, profile, replaces; /* may be STR_NONE */
	bool terms_agreed;
	bool exempt;  /* no limit of the CA counts it (RFC 9773: at the time that it suggested) */
	bool renewal; /* the names had one from that CA: see limits.h */
	const struct str *names;
	size_t name_count;
	enum key_type key_type;
	/* DER of the key to use again; NULL: a new one. Or that of what is revoked, which signs if
	 * the account may not revoke it; NULL: it is not there. */
	const struct secret *reuse_key;
	/* Common name of the root or top issuer wanted (Link rel="alternate"); STR_NONE: the CA's
	 * default. */
	struct str preferred_chain;
	/* What to prove with, in this order of preference; of them what is offered and can work for
	 * the name. None: http-01, tls-alpn-01, dns-01, dns-persist-01. */
	const enum challenge_type *types;
	size_t type_count;
	/* Not a new certificate, but that this one (DER) be revoked; flow.h. Its names are those
	 * above. */
	struct str revoke;
	unsigned revoke_reason;
	/* Nor that, but that the account is changed, without names; see account.h. */
	enum acme_change change;
};

/* Owned by the caller; fired callbacks find it by OWNER. */
struct attempt {
	/* Before the first question, and at every GO, wait and effect: `flow` is what the page
	 * shows. May not abort it. */
	void (*moved)(struct attempt *a, const struct flow *flow, const struct next *next);
	/* Exactly once: issued, or why not (failed->err, and what the CA said about when); neither:
	 * it is revoked or changed, as was wanted. The caller stores the outcome in a transaction
	 * to which attempt_clear, called within `done`, adds that the flow is forgotten. `flow`
	 * lives during the call; NULL of our own authority, and if the attempt failed before there
	 * was one. It may abort the attempt and start it anew. */
	void (*done)(struct attempt *a, const struct flow *flow, const struct issued *issued,
	        const struct next *failed);
	/* May be NULL. The token for that name was fetched from that address. May not abort it. */
	void (*fetched)(struct attempt *a, struct str name, struct str client);
	/* May be NULL. What the proof of that name waits for, before the CA is told. May not abort
	 * it. */
	void (*waits)(struct attempt *a, struct str name, struct str words);
	/* The account is not known yet, and the attempt of another is finding it out: it waits, and
	 * does nothing meanwhile. */
	void (*follows)(struct attempt *a);
	/* After `follows`: it could go on now, and does so once attempt_go_on is called; by then it
	 * may have to follow again. */
	void (*may_go_on)(struct attempt *a);
	/* Once it is done: the CA may have asked in vain, since it was resumed after a restart, or
	 * since a proof failed whose token no serve answered for a while. */
	bool interrupted;
	struct attempt_state *state; /* NULL when not started */
};
/* Texts are copied. */
void attempt_start(struct issuers *i, struct attempt *a, const struct attempt_want *want);
/* Goes on with a stored flow. False if there is none for that id (ERR_NOT_FOUND), if its issuer is
 * not configured any more, or if it cannot be read: then start anew, which replaces it. */
MUST_CHECK bool attempt_resume(
        struct issuers *i, struct attempt *a, struct str id, struct err *err);
void attempt_go_on(struct attempt *a);
void attempt_abort(struct attempt *a); /* `done` never fires; the stored flow stays */
/* Within `done`: adds the deletion of the flow's records to the caller's transaction, so that the
 * certificate is stored and the flow forgotten in one step. */
void attempt_clear(struct attempt *a, struct store_tx *tx);

#endif
