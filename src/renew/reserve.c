/* What renewals of the next days need of the CAs' limits: names that never had a certificate may
 * not use it up. Those whose time the CA suggested are counted by no limit, and need nothing. */
#include "renew/private.h"

/* As long as the limits that are counted look back; and how long a count is good enough. */
#define AHEAD_DOMAIN (7 * DAY)
#define AHEAD_ORDERS (3 * HOUR)
enum { GOOD_FOR = MINUTE };

struct need {
	struct map_node node; /* by directory and domain; the domain empty: all orders there */
	unsigned count;
};

static struct str key_of(struct arena *a, struct str directory, struct str domain)
{
	return arena_printf(a, "%.*s %.*s", STR_ARG(directory), STR_ARG(domain));
}

static unsigned need_of(const struct renewals *r, struct str directory, struct str domain)
{
	ARENA_AUTO a = ARENA_INIT;
	struct map_node *n = map_find(&r->reserve.needs, key_of(&a, directory, domain));
	return n ? OWNER(n, struct need, node)->count : 0;
}

static void add(struct renewals *r, struct str directory, struct str domain)
{
	struct arena *a = &r->reserve.arena;
	const struct str key = key_of(a, directory, domain);
	struct map_node *n = map_find(&r->reserve.needs, key);
	if (!n) {
		struct need *new = arena_new(a, struct need);
		map_add(&r->reserve.needs, key, &new->node);
		n = &new->node;
	}
	OWNER(n, struct need, node)->count++;
}

/* Each of its domains once. */
static void add_domains(struct renewals *r, const struct registration *g, struct str directory)
{
	char room[NAME_NETWORK], other[NAME_NETWORK];
	for (size_t i = 0; i < g->name_count; i++) {
		const struct str domain = name_counted_for(g->names[i], room);
		bool before = false;
		for (size_t k = 0; k < i; k++)
			before |= str_eq(name_counted_for(g->names[k], other), domain);
		if (!before)
			add(r, directory, domain);
	}
}

static void add_need(struct renewals *r, const struct registration *g)
{
	const struct config_issuer *issuer = config_issuer(r->config, g->issuer);
	if (!g->held.is || !issuer || !issuer->directory.n || registration_blocked(g) ||
	        schedule_exempt(g))
		return;
	const int64_t until = (g->next_try ? g->next_try : schedule_when(g).at) - wall_now(r);
	if (until < AHEAD_ORDERS)
		add(r, issuer->directory, STR(""));
	if (until < AHEAD_DOMAIN)
		add_domains(r, g, issuer->directory);
}

static void forget(struct renewals *r)
{
	MAP_EACH (n, &r->reserve.needs)
		map_remove(&r->reserve.needs, n);
	map_done(&r->reserve.needs);
	r->reserve.needs = (struct map){ 0 };
	arena_clear(&r->reserve.arena);
}

static void count(struct renewals *r)
{
	const int64_t now = loop_mono(r->needs.loop);
	if (now < r->reserve.until)
		return;
	forget(r);
	MAP_EACH (n, &r->registrations)
		add_need(r, OWNER(n, struct registration, node));
	r->reserve.until = now + GOOD_FOR;
}

struct limit_reserve reserve_of(
        struct renewals *r, struct str directory, const struct str *names, size_t name_count)
{
	count(r);
	struct limit_reserve reserve = { .orders = need_of(r, directory, STR("")) };
	char room[NAME_NETWORK];
	for (size_t i = 0; i < name_count; i++) {
		const unsigned need = need_of(r, directory, name_counted_for(names[i], room));
		if (need > reserve.certificates)
			reserve.certificates = need;
	}
	return reserve;
}

struct limit_reserve reserve_for(struct registration *g)
{
	if (g->held.is)
		return (struct limit_reserve){ 0 };
	return reserve_of(g->renewals, ca_directory(g), g->names, g->name_count);
}

void reserve_note(struct renewals *r, struct str directory, struct limit *limit)
{
	const bool by_domain = limit->kind == LIMIT_DOMAIN;
	const unsigned left = limit->used < limit->most ? limit->most - limit->used : 0;
	if (!by_domain && limit->kind != LIMIT_ORDERS)
		return;
	count(r);
	char room[NAME_NETWORK];
	const struct str domain = by_domain ? name_counted_for(limit->about, room) : STR("");
	const unsigned need = need_of(r, directory, domain);
	limit->reserved = need < left ? need : left;
}

void reserve_done(struct renewals *r)
{
	forget(r);
	arena_done(&r->reserve.arena);
}
