#include "server/counters.h"
#include "server/site.h"
#include "server/worker.h"

#define X(ms) ms,
const int64_t counters_latencies[COUNTERS_BUCKETS - 1] = { COUNTERS_LATENCIES(X) };
#undef X

void counts_done(struct counts *c)
{
	for (unsigned kind = 0; kind < COUNTERS_KINDS; kind++) {
		MAP_EACH (node, &c->of[kind]) {
			map_remove(&c->of[kind], node);
			free(OWNER(node, struct counters, node));
		}
		map_done(&c->of[kind]);
		c->last[kind] = NULL;
	}
}

static struct counters *find(struct map *m, struct str name)
{
	struct map_node *node = map_find(m, name);
	return node ? OWNER(node, struct counters, node) : NULL;
}

static struct counters *get(struct map *m, struct str name)
{
	struct counters *found = find(m, name);
	if (!found && m->count >= COUNTERS_MOST) {
		name = STR("");
		found = find(m, name);
	}
	if (found)
		return found;
	struct counters *new = mem_alloc(sizeof *new + name.n);
	*new = (struct counters){ 0 };
	if (name.n > 0)
		memcpy(new->name, name.p, name.n);
	map_add(m, str_n(new->name, name.n), &new->node);
	return new;
}

static void add(struct counters *to, const struct counters *from)
{
	for (size_t i = 0; i < COUNTERS_CLASSES; i++)
		to->requests[i] += from->requests[i];
	for (size_t i = 0; i < COUNTERS_BUCKETS; i++)
		to->latencies[i] += from->latencies[i];
	to->sent += from->sent;
	to->latency += from->latency;
	to->under_way += from->under_way;
}

void counts_add(struct counts *to, const struct counts *from)
{
	for (unsigned i = 0; i < HANDSHAKES; i++)
		to->handshakes[i] += from->handshakes[i];
	for (unsigned kind = 0; kind < COUNTERS_KINDS; kind++)
		MAP_EACH (node, &from->of[kind])
			add(get(&to->of[kind], node->key), OWNER(node, struct counters, node));
}

/* ---- as text ---- */

enum { NUMBERS = 1 + COUNTERS_CLASSES + 2 + COUNTERS_BUCKETS };

void counters_print(const struct counters *c, struct buf *out)
{
	buf_add_u64(out, (uint64_t)(c->under_way > 0 ? c->under_way : 0));
	for (size_t i = 0; i < COUNTERS_CLASSES; i++)
		buf_printf(out, " %llu", (unsigned long long)c->requests[i]);
	buf_printf(out, " %llu %llu", (unsigned long long)c->sent, (unsigned long long)c->latency);
	for (size_t i = 0; i < COUNTERS_BUCKETS; i++)
		buf_printf(out, " %llu", (unsigned long long)c->latencies[i]);
}

bool counters_read(struct str text, struct counters *ret_counters)
{
	uint64_t numbers[NUMBERS];
	struct str rest = text, word;
	size_t n = 0;
	while (str_split(&rest, ' ', &word)) {
		if (n == NUMBERS || !str_to_u64(word, &numbers[n]) || numbers[n] > INT64_MAX)
			return false;
		n++;
	}
	if (n < NUMBERS)
		return false;
	ret_counters->under_way = (int64_t)numbers[0];
	memcpy(ret_counters->requests, &numbers[1], sizeof ret_counters->requests);
	ret_counters->sent = numbers[1 + COUNTERS_CLASSES];
	ret_counters->latency = numbers[2 + COUNTERS_CLASSES];
	memcpy(ret_counters->latencies, &numbers[3 + COUNTERS_CLASSES],
	        sizeof ret_counters->latencies);
	return true;
}

/* ---- counting ---- */

static struct counters *count_of(struct counts *c, enum counters_kind kind, struct str name)
{
	if (!c->last[kind] || !str_eq(c->last[kind]->node.key, name))
		c->last[kind] = get(&c->of[kind], name);
	return c->last[kind];
}

void counters_begin(struct exchange *ex)
{
	if (!ex->asked)
		return;
	ex->counted[COUNTERS_SITE] = count_of(&ex->worker->counts, COUNTERS_SITE, ex->asked->name);
	ex->counted[COUNTERS_SITE]->under_way++;
}

void counters_upstream(struct exchange *ex, struct str shown)
{
	struct counters **counted = &ex->counted[COUNTERS_UPSTREAM];
	if (*counted)
		(*counted)->under_way--;
	*counted = count_of(&ex->worker->counts, COUNTERS_UPSTREAM, shown);
	(*counted)->under_way++;
	ex->upstream = shown;
}

static size_t bucket_of(int64_t ms)
{
	size_t i = 0;
	while (i < COUNTERS_BUCKETS - 1 && ms > counters_latencies[i])
		i++;
	return i;
}

static void count(struct counters *c, const struct exchange *ex, int64_t ms)
{
	unsigned class = ex->status ? ex->status / 100 : 4;
	if (class >= 1 && class <= COUNTERS_CLASSES)
		c->requests[class - 1]++;
	c->sent += ex->sent;
	c->latency += (uint64_t)ms;
	c->latencies[bucket_of(ms)]++;
	c->under_way--;
}

void counters_end(struct exchange *ex)
{
	int64_t ms = ex->started ? loop_mono(ex->worker->loop) - ex->started : 0;
	for (unsigned kind = 0; kind < COUNTERS_KINDS; kind++) {
		if (ex->counted[kind])
			count(ex->counted[kind], ex, ms);
		ex->counted[kind] = NULL;
	}
}
