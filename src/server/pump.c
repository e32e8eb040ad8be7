#include "server/pump.h"

enum { ROUNDS = 16 };

void pump_run(struct pump *p)
{
	enum next next = AGAIN;
	for (int round = 0; next == AGAIN && round < ROUNDS; round++)
		next = p->ops->step(p);
	if (next == GONE)
		return;
	if (next == AGAIN)
		pump_soon(p);
	else
		pump_stop(p);
	p->ops->rests(p);
}

static void work(struct later *l)
{
	pump_run(OWNER(l, struct pump, work));
}

void pump_soon(struct pump *p)
{
	later_start(&p->work, p->loop, work);
}

void pump_stop(struct pump *p)
{
	later_stop(&p->work);
}

int64_t pump_pay(const struct client *c, uint64_t moved, int64_t *paid_until)
{
	const struct limits *l = &c->worker->generation->limits;
	int64_t now = loop_mono(c->worker->loop), most = now + l->body_timeout;
	*paid_until = l->least_rate ? *paid_until + (int64_t)(moved * 1000 / l->least_rate) : most;
	if (*paid_until > most)
		*paid_until = most;
	return *paid_until > now ? *paid_until - now : 0;
}
