#include "issue/cost.h"

static struct limit_order order_of(const struct cost *c, const struct flow *f, struct arena *a)
{
	return (struct limit_order){ .directory = f->directory_url,
		.names = flow_names(a, f),
		.count = f->name_count,
		.exempt = c->exempt,
		.renewal = c->renewal,
		.has_account = f->account.n > 0 };
}

void cost_begin(struct cost *c, const struct flow *f)
{
	ARENA_AUTO a = ARENA_INIT;
	const struct limit_order order = order_of(c, f, &a);
	if (!f->revoke.n && !f->change)
		limits_claim(c->limits, &c->claim, &order);
}

/* Without `replaces`, which the CA may have refused, it is exempt no more. */
void cost_heard(struct cost *c, const struct flow *f, const struct next *n, bool proof_failed)
{
	ARENA_AUTO a = ARENA_INIT;
	const struct str *names = flow_names(&a, f);
	const bool exempt = c->exempt && f->replaces.n;
	const bool ordered = f->order.n && f->step == ACME_STEP_order;
	const bool new_account =
	        f->account.n && f->account_looked_up && f->step == ACME_STEP_account;
	if (new_account)
		limits_spent(c->limits, SPENT_ACCOUNT, f->directory_url, NULL, 0);
	if (proof_failed) {
		limits_spent(c->limits, SPENT_FAILURE, f->directory_url,
		        &names[n->other_type ? n->at : f->at], 1);
	} else if (n->what == FLOW_DONE && !exempt && !f->revoke.n && !f->change) {
		limits_unclaim(&c->claim);
		limits_spent(c->limits, c->renewal ? SPENT_RENEWAL : SPENT_CERTIFICATE,
		        f->directory_url, names, f->name_count);
	} else if (ordered && !exempt && !c->renewal) {
		c->claim.ordered = true;
		limits_spent(c->limits, SPENT_ORDER, f->directory_url, names, f->name_count);
	}
}

bool cost_allows_another(struct cost *c, const struct flow *f)
{
	ARENA_AUTO a = ARENA_INIT;
	struct err err;
	struct limit_wait wait;
	const struct limit_order order = order_of(c, f, &a);
	limits_unclaim(&c->claim);
	const bool allowed = limits_allow(c->limits, &order, &wait, &err);
	cost_begin(c, f);
	return allowed;
}

void cost_done(struct cost *c)
{
	limits_unclaim(&c->claim);
	arena_done(&c->claim.arena);
}
