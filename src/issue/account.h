/* Changes of an issuer's account at its CA: another key, another contact, its end (RFC 8555 7.3.2,
 * 7.3.5, 7.3.6).
 *
 * A change of the key, and the end, begin when no attempt uses the account, so that no challenge is
 * open; attempts that come meanwhile wait. The next key is stored before the CA hears of it; after
 * a crash the CA is asked which of the two it knows. The change is a flow (acme/flow.h), stored as
 * such under the id "account/ISSUER", and goes on at the next start.
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
/* One change of an account at a time: another one is refused. The issuer is a row's name. */
void account_rollover(struct issuers *i, struct str issuer, struct account_call *c,
        void (*done)(struct account_call *c, const struct err *err));
/* email: STR_NONE for none */
void account_contact(struct issuers *i, struct str issuer, struct str email, struct account_call *c,
        void (*done)(struct account_call *c, const struct err *err));
/* The CA takes no order of this account any more; the next one makes a new account. */
void account_deactivate(struct issuers *i, struct str issuer, struct account_call *c,
        void (*done)(struct account_call *c, const struct err *err));
void account_abort(struct account_call *c); /* `done` never fires; the change goes on */

#endif
