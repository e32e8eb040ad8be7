/* Certificates on demand: serve's questions, and the answers to them. */
#include "control/control.h"

static void answer(struct control *c, struct str name, enum demand_verdict verdict, int64_t keep)
{
	link_send(&c->serve, demand_answered, .name = name, .verdict = verdict, .keep = keep);
}

static void answered(
        struct renew_demands *d, struct str name, enum demand_verdict verdict, int64_t keep)
{
	answer(OWNER(d, struct control, demands), name, verdict, keep);
}

void demand_init(struct control *c)
{
	c->demands.answered = answered;
	renew_hear_demands(c->renewals, &c->demands);
}

void demand_asked(struct control *c, const struct msg_demand *m)
{
	int64_t keep;
	enum demand_verdict verdict = renew_demand(c->renewals, m->name, m->client, &keep);
	if (verdict != DEMAND_PENDING)
		answer(c, m->name, verdict, keep);
}
