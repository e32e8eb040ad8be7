/* Changes of an issuer's account at its CA: another key, another contact, its end (RFC 8555 7.3.2,
 * 7.3.5, 7.3.6).
 *
 * A change of the key, and the end, begin when no attempt uses the account, so that no challenge is
 * open; attempts that come meanwhile wait. The next key is stored before the CA hears of it. The
 * change is a flow (acme/flow.h), stored as such under the id "account/ISSUER", and goes on at the
 * next start.
 *
 * Once the CA may have heard of the next key, both are kept until it has said which one it knows.
 * If it falls silent before, whoever waits for the change is told so, and it is asked again after
 * 1, 10 and 100 minutes, then daily, at each start, and by whoever needs the account; who does,
 * fails with that sentence until it has answered.
 *
 * Let's Encrypt and its staging share a key until one of them changes its own. */
#ifndef ISSUE_ACCOUNT_H
#define ISSUE_ACCOUNT_H

#include "issue/issue.h"

/* The caller's. */
struct account_call {
	/* Once, never before the start has returned; err: why it did not happen, else NULL. */
	void (*done)(struct account_call *c, const struct err *err);
	struct account_change *change; /* NULL when not started */
};
/* One change of an account at a time: another one is refused, but that a change of the key whose
 * outcome the CA has not said is asked for again. The issuer is a row's name. */
void account_rollover(struct issuers *i, struct str issuer, struct account_call *c,
        void (*done)(struct account_call *c, const struct err *err));
/* email: STR_NONE for none */
void account_contact(struct issuers *i, struct str issuer, struct str email, struct account_call *c,
        void (*done)(struct account_call *c, const struct err *err));
/* The CA takes no order of this account any more; the next one makes a new account. */
void account_deactivate(struct issuers *i, struct str issuer, struct account_call *c,
        void (*done)(struct account_call *c, const struct err *err));
void account_abort(struct account_call *c); /* `done` never fires; the change goes on */
/* The member "account_doubt": why nobody knows which key that issuer's account has, or null. */
void account_write_doubt(struct issuers *i, struct str issuer, struct json_writer *w);

#endif
