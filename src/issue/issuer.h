/* What is known of each CA, shared by its attempts. Private to issue/. */
#ifndef ISSUE_ISSUER_H
#define ISSUE_ISSUER_H

#include "base/map.h"
#include "issue/issue.h"
#include "issue/limits.h"
#include "issue/maker.h"

/* An account key: of one directory, or of both of Let's Encrypt's. */
struct account_key {
	struct map_node node;
	char *id; /* of the record */
	struct issuers *issuers;
	struct key *key;     /* NULL until it is loaded, or made and stored */
	struct key *storing; /* made, not yet stored */
	struct store_tx tx;
	struct later later;
	struct list calls; /* struct issuer_key_call, waiting */
	struct err err;
};

struct issuer {
	struct map_node
	        node; /* by name; key.p NULL: no longer configured, lives for its attempts */
	char *name, *directory_url, *trust, *eab_kid;
	struct secret eab_hmac; /* base64url */
	uint16_t http_port, https_port;
	struct issuers *issuers;
	unsigned refs;
	struct arena arena; /* of the directory */
	struct acme_directory directory;
	int64_t directory_at;         /* mono; 0: not known */
	char *account;                /* URL; NULL: not known */
	char *terms;                  /* that were accepted for it: URL; NULL: not known */
	struct store_tx tx;           /* the record account */
	struct attempt_state *leader; /* finds out the account; the others wait for it */
	struct list followers;
	int64_t ari_quiet_until; /* mono: nobody asks before when to renew (ari.c) */
	struct err ari_quiet_why;
	unsigned under_way;            /* attempts that use the account's key */
	struct attempt_state *changer; /* changes the key: begins when none does; others wait */
	bool key_held;                 /* it has changed, and is being stored: all wait */
};

struct issuers {
	struct issue_needs needs;
	struct map by_name, keys;
	struct limits *limits;
	struct key_maker *maker;
	struct issuers_time *times; /* NULL: nobody wants to know */
	struct list changes;        /* of accounts, under way: account.c's */
};

struct issuer *issuer_find(struct issuers *i, struct str name);
struct issuer *issuer_ref(struct issuer *r);
void issuer_unref(struct issuer **r);
/* The directory, if it was heard within the last hour. */
const struct acme_directory *issuer_directory(const struct issuer *r);
void issuer_keep_directory(struct issuer *r, const struct acme_directory *d);
/* RFC 9110 6.6.1: an answer says when it was made. */
void issuer_heard_time(struct issuer *r, const struct fetch_reply *reply);
/* Wall ms, as far as is known. */
int64_t issuer_now(const struct issuer *r);
/* What a flow has learned is kept for the others; a new account is stored. */
void issuer_learn(struct issuer *r, const struct flow *f);
/* From now on no attempt begins; or they go on. */
void issuer_hold(struct issuer *r, bool hold);
/* The account's key is that one from now on, as was stored; or the account is not known any
 * more. */
void issuer_take_key(struct issuer *r, struct key *key);
void issuer_forget_account(struct issuer *r);
/* Adds the new key of that issuer's account to a transaction. */
void issuer_put_key(struct issuer *r, const struct secret *der, struct store_tx *tx);
/* The key that an attempt made, in DER; it lives as long as the attempt. */
const struct secret *attempt_key(const struct attempt *a);
const struct flow *attempt_flow(const struct attempt *a);
/* Changes of accounts that were under way when the process ended go on. */
void account_changes_resume(struct issuers *i);
void account_changes_end(struct issuers *i);
/* NULL: it is known which key the account has. Else why it is not, as far as that was heard. */
const struct err *account_doubt(const struct issuer *r);
/* The CA is asked which key it knows; attempts wait as followers. False: it was asked within the
 * last minute, and did not say; or it is asked for another row of that name. */
bool account_settle(struct issuer *r);

/* What each of the wanted names may be proved with here, of the wanted types; in the arena.
 * NULL: err says why one cannot be. */
struct challenge_choice *choose_proofs(
        const struct issuers *i, const struct attempt_want *want, struct arena *a, struct err *err);

/* It may have changed: the next attempt reads it anew. */
void issuer_forget_directory(struct issuer *r);

#endif
