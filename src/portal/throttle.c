#include "portal/throttle.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/map.h"

#define QUIET (15 * MINUTE)

static const struct {
	unsigned free;
	int64_t most;
} rules[THROTTLE_KINDS] = {
	[THROTTLE_ADDRESS] = { 5, 15 * MINUTE },
	[THROTTLE_KNOWN] = { 5, 30 * SECOND },
	[THROTTLE_ACCOUNT] = { 10, 30 * SECOND },
	[THROTTLE_CODE] = { 3, 15 * MINUTE },
	[THROTTLE_VISITOR] = { 10, 5 * MINUTE },
};

struct place {
	struct map_node node;
	struct list used; /* the one used longest ago first */
	unsigned failures;
	int64_t until, last;               /* no try before `until`; the last charge */
	int64_t until_before, last_before; /* as they were before that charge */
	char key[];
};

static struct table {
	struct map map;
	struct list used;
} tables[THROTTLE_KINDS];

static struct table *table_of(enum throttle_kind kind)
{
	struct table *t = &tables[kind];
	if (!t->used.next)
		list_init(&t->used);
	return t;
}

static void drop(struct table *t, struct place *p)
{
	map_remove(&t->map, &p->node);
	list_remove(&p->used);
	free(p);
}

static struct place *find(enum throttle_kind kind, struct str key)
{
	struct map_node *n = map_find(&table_of(kind)->map, key);
	return n ? OWNER(n, struct place, node) : NULL;
}

/* Only what still counts. */
static struct place *current(enum throttle_kind kind, struct str key, int64_t now)
{
	struct place *p = find(kind, key);
	if (!p || now < (p->until > p->last ? p->until : p->last) + QUIET)
		return p;
	drop(table_of(kind), p);
	return NULL;
}

int64_t throttle_wait(enum throttle_kind kind, struct str key, int64_t now)
{
	const struct place *p = current(kind, key, now);
	return p && p->until > now ? p->until - now : 0;
}

static struct place *make(enum throttle_kind kind, struct str key)
{
	struct table *t = table_of(kind);
	if (t->map.count >= THROTTLE_PLACES)
		drop(t, OWNER(list_first(&t->used), struct place, used));
	struct place *p = mem_alloc(sizeof *p + key.n + 1);
	if (key.n)
		memcpy(p->key, key.p, key.n);
	map_add(&t->map, str_n(p->key, key.n), &p->node);
	return p;
}

static int64_t wait_after(enum throttle_kind kind, unsigned failures)
{
	if (failures < rules[kind].free)
		return 0;
	unsigned doublings = failures - rules[kind].free;
	int64_t wait = doublings < 20 ? SECOND << doublings : rules[kind].most;
	return wait < rules[kind].most ? wait : rules[kind].most;
}

void throttle_charge(enum throttle_kind kind, struct str key, int64_t now)
{
	struct place *p = current(kind, key, now);
	if (!p)
		p = make(kind, key);
	list_remove(&p->used);
	list_add_last(&table_of(kind)->used, &p->used);
	p->until_before = p->until;
	p->last_before = p->last;
	p->failures++;
	p->last = now;
	p->until = now + wait_after(kind, p->failures);
}

void throttle_give_back(enum throttle_kind kind, struct str key)
{
	struct place *p = find(kind, key);
	if (!p)
		return;
	p->failures--;
	p->until = p->until_before;
	p->last = p->last_before;
	if (!p->failures)
		drop(table_of(kind), p);
}

void throttle_forget(enum throttle_kind kind, struct str key)
{
	struct place *p = find(kind, key);
	if (p)
		drop(table_of(kind), p);
}

size_t throttle_count(enum throttle_kind kind)
{
	return tables[kind].map.count;
}

void throttle_clear(void)
{
	for (unsigned i = 0; i < THROTTLE_KINDS; i++) {
		struct table *t = table_of((enum throttle_kind)i);
		while (!list_empty(&t->used))
			drop(t, OWNER(list_first(&t->used), struct place, used));
		map_done(&t->map);
	}
}
