/* Changes of a site wait for the one that is on its way: each then finds what that one left. */
#include "portal/site_work.h"

/* Lives in the call's arena. */
struct call_turn {
	struct call_part part;
	struct site_turn turn;
	struct call *call;
	void (*run)(struct call *c);
};

static struct list waiting = { &waiting, &waiting };
static struct later next;

static void call_over(struct call_part *p)
{
	list_remove(&OWNER(p, struct call_turn, part)->turn.node);
}

static void go_on(struct site_turn *turn)
{
	struct call_turn *t = OWNER(turn, struct call_turn, turn);
	if (call_still_may(t->call))
		t->run(t->call);
}

bool site_turn_await(
        struct site_turn *turn, const struct kept_site *site, void (*come)(struct site_turn *turn))
{
	if (!site || !site->change)
		return false;
	turn->come = come;
	list_add_last(&waiting, &turn->node);
	return true;
}

bool site_turn_await_call(struct call *c, const struct kept_site *site, void (*run)(struct call *c))
{
	if (!site || !site->change)
		return false;
	struct call_turn *t = arena_new(&c->arena, struct call_turn);
	t->call = c;
	t->run = run;
	call_keep(c, &t->part, call_over);
	return site_turn_await(&t->turn, site, go_on);
}

/* In the order they came in; who finds that it has to wait again does so behind the others. */
static void give(struct later *l)
{
	struct list now;
	(void)l;
	list_init(&now);
	LIST_EACH (n, &waiting) {
		list_remove(n);
		list_add_last(&now, n);
	}
	while (!list_empty(&now)) {
		struct site_turn *turn = OWNER(list_first(&now), struct site_turn, node);
		list_remove(&turn->node);
		turn->come(turn);
	}
}

void site_turn_over(void)
{
	if (!list_empty(&waiting))
		later_start(&next, portal.loop, give);
}

void site_turns_close(void)
{
	later_stop(&next);
	LIST_EACH (n, &waiting)
		list_remove(n);
}
