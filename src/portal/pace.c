#include "portal/pace.h"
#include "base/clock.h"
#include "base/err.h"

struct place {
	struct map_node node;
	unsigned next; /* in times, the oldest one */
	int64_t times[PACE_MOST];
	char who[];
};

/* The newest of them is the last that was put. */
static int64_t newest(const struct pace *p, const struct place *at)
{
	return at->times[(at->next + p->most - 1) % p->most];
}

static void forget(struct pace *p, struct place *at)
{
	map_remove(&p->by, &at->node);
	free(at);
}

static void forget_old(struct pace *p, int64_t now)
{
	MAP_EACH (n, &p->by)
		if (now - newest(p, OWNER(n, struct place, node)) >= MINUTE)
			forget(p, OWNER(n, struct place, node));
}

static struct place *place_of(struct pace *p, struct str who)
{
	struct map_node *n = map_find(&p->by, who);
	if (n)
		return OWNER(n, struct place, node);
	struct place *at = mem_alloc(sizeof *at + who.n + 1);
	*at = (struct place){ 0 };
	for (unsigned i = 0; i < p->most; i++)
		at->times[i] = INT64_MIN / 2; /* long ago */
	snprintf(at->who, who.n + 1, "%.*s", STR_ARG(who));
	map_add(&p->by, str_c(at->who), &at->node);
	return at;
}

int64_t pace_take(struct pace *p, struct str who, int64_t now)
{
	forget_old(p, now);
	struct place *at = place_of(p, who);
	int64_t wait = at->times[at->next] + MINUTE - now;
	if (wait > 0)
		return (wait + SECOND - 1) / SECOND;
	at->times[at->next] = now;
	at->next = (at->next + 1) % p->most;
	return 0;
}

void pace_clear(struct pace *p)
{
	MAP_EACH (n, &p->by)
		forget(p, OWNER(n, struct place, node));
	map_done(&p->by);
	p->by = (struct map)MAP_INIT;
}
