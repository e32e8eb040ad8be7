#include "proxy/group.h"

#include "base/err.h"
#include "proxy/health.h"

enum { WEIGHT_SCALE = 1000 };

/* ---- members ---- */

static void member_free(struct member *m)
{
	m->pool->used = pools_now(m->pool->pools);
	health_check_free(m);
	list_remove(&m->node);
	free(m);
}

/* Of the member that is there already, if it is: how it does is not forgotten. */
static struct member *member_of(
        struct group *g, const struct upstream *u, const struct sockaddr_storage *address)
{
	struct pool *pool = pool_of(g->pools, g->says, u, address);
	LIST_EACH (node, &pool->members) {
		struct member *m = OWNER(node, struct member, node);
		if (m->group == g)
			return m;
	}
	struct member *m = mem_new(struct member);
	m->group = g;
	m->pool = pool;
	m->mark = siphash(g->generation->sticky_key, pool->node.key);
	m->mark += m->mark == 0;
	list_add_last(&pool->members, &m->node);
	return m;
}

static void take(struct group *g, const struct upstream *u, const struct sockaddr_storage *address)
{
	struct member *m = member_of(g, u, address);
	if (m->seen)
		return; /* two names lead to one address */
	m->seen = true;
	m->upstream = u;
	g->at = mem_grow(g->at, sizeof *g->at, g->count + 1);
	g->at[g->count++] = m;
}

static void take_resolved(struct group *g, const struct upstream *u)
{
	const struct host *host = host_find(g->pools, u->host);
	const struct sockaddr_storage nowhere = { .ss_family = AF_UNIX };
	/* A socket whose directory is not there yet is an upstream that fails: control looks
	 * again. */
	if (u->scheme == UPSTREAM_UNIX && (!host || host->count == 0))
		take(g, u, &nowhere);
	for (size_t i = 0; host && i < host->count; i++) {
		struct sockaddr_storage a = host->at[i];
		address_set_port(&a, u->port);
		take(g, u, &a);
	}
}

static void wake(struct later *l);

static void make_members(struct group *g)
{
	struct member **before = g->at;
	size_t before_count = g->count;
	g->at = NULL;
	g->count = 0;
	for (size_t i = 0; i < before_count; i++)
		before[i]->seen = false;
	for (size_t i = 0; i < g->says->count; i++) {
		const struct upstream *u = &g->says->at[i];
		if (u->address.ss_family == AF_UNSPEC)
			take_resolved(g, u);
		else
			take(g, u, &u->address);
	}
	for (size_t i = 0; i < before_count; i++)
		if (!before[i]->seen)
			member_free(before[i]);
	free(before);
	g->hosts_version = g->pools->hosts_version;
	health_settle(g);
	if (g->queued > 0) /* the members that are gone tell of room no more */
		later_start(&g->wake, g->pools->worker->loop, wake);
}

/* ---- the group ---- */

static struct group *group_new(
        struct proxy_pools *p, struct generation *generation, const struct upstreams *says)
{
	struct group *g = mem_new(struct group);
	g->pools = p;
	g->generation = generation_ref(generation);
	g->says = says;
	list_init(&g->queue);
	g->node.key = str_n(&says->identity, sizeof says->identity);
	map_add(&p->groups, g->node.key, &g->node);
	make_members(g);
	return g;
}

void group_free(struct group *g)
{
	CHECK(list_empty(&g->queue));
	later_stop(&g->wake);
	for (size_t i = 0; i < g->count; i++)
		member_free(g->at[i]);
	free(g->at);
	map_remove(&g->pools->groups, &g->node);
	if (g->pools->last.group == g)
		g->pools->last.group = NULL;
	generation_unref(&g->generation);
	free(g);
}

/* What a later generation says of it is the same, and that one lives longer. */
static void move_to(struct group *g, struct generation *generation, const struct upstreams *says)
{
	struct generation *before = g->generation;
	g->generation = generation_ref(generation);
	g->says = says;
	g->node.key = str_n(&says->identity, sizeof says->identity);
	make_members(g);
	generation_unref(&before);
}

static struct group *find(const struct proxy_pools *p, uint64_t identity)
{
	if (p->last.group && p->last.identity == identity)
		return p->last.group;
	struct map_node *node = map_find(&p->groups, str_n(&identity, sizeof identity));
	return node ? OWNER(node, struct group, node) : NULL;
}

struct group *group_of(
        struct proxy_pools *p, struct generation *generation, const struct upstreams *says)
{
	struct group *g = find(p, says->identity);
	if (!g)
		g = group_new(p, generation, says);
	else if (generation != g->generation && generation == p->worker->generation)
		move_to(g, generation, says);
	else if (g->hosts_version != p->hosts_version)
		make_members(g);
	p->last.group = g;
	p->last.identity = says->identity;
	return g;
}

static bool is_in(const struct generation *g, const struct group *group)
{
	for (size_t i = 0; i < g->upstreams_count; i++)
		if (g->upstreams[i].identity == group->says->identity)
			return true;
	return false;
}

/* Requests that began before may still need theirs: it is made anew if so. */
void proxy_committed(struct proxy_pools *p, struct generation *generation)
{
	MAP_EACH (node, &p->groups) {
		struct group *g = OWNER(node, struct group, node);
		if (list_empty(&g->queue) && !is_in(generation, g))
			group_free(g);
	}
	for (size_t i = 0; i < generation->upstreams_count; i++) {
		struct map_node *node = map_find(
		        &p->groups, str_n(&generation->upstreams[i].identity, sizeof(uint64_t)));
		if (node || generation->upstreams[i].health.n)
			(void)group_of(p, generation, &generation->upstreams[i]);
	}
}

/* ---- which of them ---- */

static bool is_down(const struct member *m)
{
	return m->sick || pool_is_down(m->pool);
}

static int64_t weight_of(const struct member *m)
{
	int64_t whole = (int64_t)m->upstream->weight * WEIGHT_SCALE;
	int64_t slow = m->group->says->options.slow_start;
	int64_t back = m->back > m->pool->health.back ? m->back : m->pool->health.back;
	int64_t since = pools_now(m->group->pools) - back;
	if (slow == 0 || back == 0 || since >= slow)
		return whole;
	int64_t part = whole * since / slow;
	return part > 0 ? part : 1;
}

uint64_t group_most(const struct group *g)
{
	const struct worker *w = g->pools->worker;
	uint64_t all = (uint64_t)g->says->options.max_connections;
	uint64_t workers = w->count ? w->count : 1;
	if (all == 0)
		return g->generation->limits.upstream_connections;
	uint64_t share = all * (w->index + 1) / workers - all * w->index / workers;
	return share > 0 ? share : 1;
}

static uint64_t bit_of(size_t i)
{
	return UINT64_C(1) << i % 64;
}

/* Its load is what it would have with one more, by weight: -1: a's is less, 1: more. */
static int compare(const struct member *a, const struct member *b)
{
	int64_t x = (int64_t)pool_busy(a->pool) * weight_of(b);
	int64_t y = (int64_t)pool_busy(b->pool) * weight_of(a);
	return (x > y) - (x < y);
}

/* Whether it may be asked, being down or not. */
static bool is_candidate(const struct group *g, size_t i, const struct group_choice *c, bool down)
{
	return !(c->tried & bit_of(i)) && is_down(g->at[i]) == down;
}

static struct member *least_busy(struct group *g, struct group_choice *c, bool down)
{
	struct member *best = NULL;
	uint64_t most = group_most(g);
	for (size_t i = 0; i < g->count; i++) {
		struct member *m = g->at[i];
		if (!is_candidate(g, i, c, down))
			continue;
		if (pool_busy(m->pool) >= most)
			c->full = true;
		else if (!best || compare(m, best) < 0)
			best = m;
	}
	return best;
}

/* Of those that are as little busy as `best`, each in its turn, as often as it has weight. */
static size_t whose_turn(struct group *g, const struct group_choice *c, const struct member *best)
{
	bool down = is_down(best);
	int64_t all = 0;
	size_t chosen = g->count;
	for (size_t i = 0; i < g->count; i++) {
		struct member *m = g->at[i];
		if (!is_candidate(g, i, c, down) || compare(m, best) != 0)
			continue;
		int64_t weight = weight_of(m);
		m->credit += weight;
		all += weight;
		if (chosen == g->count || m->credit > g->at[chosen]->credit)
			chosen = i;
	}
	g->at[chosen]->credit -= all;
	return chosen;
}

static size_t with_mark(const struct group *g, const struct group_choice *c)
{
	for (size_t i = 0; c->mark && i < g->count; i++)
		if (g->at[i]->mark == c->mark && is_candidate(g, i, c, /* down= */ false))
			return i;
	return g->count;
}

static struct member *chosen(struct group *g, struct group_choice *c, size_t i)
{
	c->tried |= bit_of(i);
	return g->at[i];
}

struct member *group_choose(struct group *g, struct group_choice *c)
{
	size_t own = with_mark(g, c);
	c->full = false;
	c->moved = own == g->count;
	if (own < g->count && pool_busy(g->at[own]->pool) < group_most(g))
		return chosen(g, c, own);
	struct member *best = least_busy(g, c, /* down= */ false);
	if (!best && !c->full)
		best = least_busy(g, c, /* down= */ true);
	return best ? chosen(g, c, whose_turn(g, c, best)) : NULL;
}

/* ---- who waits ---- */

static void leave(struct group_waiting *w)
{
	list_remove(&w->node);
	timer_stop(&w->timer);
	w->group->queued--;
	w->group = NULL;
}

static void waited(struct timer *t)
{
	struct group_waiting *w = OWNER(t, struct group_waiting, timer);
	leave(w);
	w->due(w);
}

bool group_wait(struct group *g, struct group_waiting *w)
{
	const struct upstream_options *o = &g->says->options;
	if (g->queued >= (uint64_t)o->queue)
		return false;
	w->group = g;
	g->queued++;
	list_add_last(&g->queue, &w->node);
	timer_start(&w->timer, g->pools->worker->loop, o->queue_timeout, waited);
	return true;
}

void group_leave(struct group_waiting *w)
{
	if (w->group)
		leave(w);
}

static bool has_room(struct group *g)
{
	uint64_t most = group_most(g);
	for (size_t i = 0; i < g->count; i++)
		if (pool_busy(g->at[i]->pool) < most)
			return true;
	return false;
}

/* As many as there is room for; who waits again is not asked twice. */
static void wake(struct later *l)
{
	struct group *g = OWNER(l, struct group, wake);
	for (size_t left = g->queued; left > 0 && g->queued > 0 && has_room(g); left--) {
		struct group_waiting *first =
		        OWNER(list_first(&g->queue), struct group_waiting, node);
		leave(first);
		first->go(first);
	}
}

void groups_released(struct pool *pool)
{
	LIST_EACH (node, &pool->members) {
		struct group *g = OWNER(node, struct member, node)->group;
		if (g->queued > 0)
			later_start(&g->wake, g->pools->worker->loop, wake);
	}
}
