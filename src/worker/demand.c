#include "worker/demand.h"

#include "server/demand.h"

/* Longer than the threads wait: so much is in flight at most, whatever becomes of the answer. */
static const int64_t IN_FLIGHT = 30 * SECOND;

struct asked {
	struct map_node node; /* by name */
	struct serve *serve;
	struct timer timer;
	char name[];
};

static void forget(struct asked *a)
{
	timer_stop(&a->timer);
	map_remove(&a->serve->demands, &a->node);
	free(a);
}

static void no_answer(struct timer *t)
{
	forget(OWNER(t, struct asked, timer));
}

static void tell_threads(struct serve *s, struct str name, int64_t verdict, int64_t keep)
{
	struct round *r = round_new(ORDER_DEMAND, round_free);
	r->token = str_dup(name);
	r->number = verdict;
	r->keep = keep;
	threads_order(&s->threads, r);
}

static void note(struct serve *s, struct str name)
{
	struct asked *a = mem_alloc(sizeof *a + name.n);
	*a = (struct asked){ .serve = s };
	memcpy(a->name, name.p, name.n);
	map_add(&s->demands, str_n(a->name, name.n), &a->node);
	timer_start(&a->timer, s->loop, IN_FLIGHT, no_answer);
}

void demand_ask(struct serve *s, const struct msg_demand *m)
{
	if (map_find(&s->demands, m->name))
		return;
	if (s->demands.count < DEMANDS_MOST && link_send_message(&s->control, MSG_demand, m))
		note(s, m->name);
	else
		tell_threads(s, m->name, DEMAND_BUSY, 0);
}

void demand_answered(struct serve *s, const struct msg_demand_answered *m)
{
	struct map_node *n = map_find(&s->demands, m->name);
	if (!n)
		return;
	tell_threads(s, m->name, m->verdict, m->keep);
	forget(OWNER(n, struct asked, node));
}

void demands_forget(struct serve *s)
{
	MAP_EACH (n, &s->demands) {
		struct asked *a = OWNER(n, struct asked, node);
		tell_threads(s, a->node.key, DEMAND_BUSY, 0);
		forget(a);
	}
}

void demands_done(struct serve *s)
{
	MAP_EACH (n, &s->demands)
		forget(OWNER(n, struct asked, node));
	map_done(&s->demands);
}
