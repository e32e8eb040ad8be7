/* What serve has counted: as it told last, asked for anew with each look. */
#include "control/control.h"

static const char *const kinds[COUNTERS_KINDS] = {
	[COUNTERS_SITE] = "site", [COUNTERS_UPSTREAM] = "upstream"
};

void counted_init(struct control *c)
{
	list_init(&c->counts);
}

void counted_done(struct control *c)
{
	arena_done(&c->counting.arena);
	arena_done(&c->counted.arena);
}

/* ---- what comes in ---- */

static void heard_one(struct counted *to, const struct msg_counted *m)
{
	struct counters numbers;
	if (m->kind < 0 || m->kind >= COUNTERS_KINDS || !counters_read(m->numbers, &numbers) ||
	        to->count >= (size_t)COUNTERS_KINDS * (COUNTERS_MOST + 1))
		return;
	if (to->count == to->room) {
		struct portal_counted *rows = to->rows;
		to->room = to->room ? 2 * to->room : 64;
		to->rows = arena_array(&to->arena, struct portal_counted, to->room);
		if (to->count)
			memcpy(to->rows, rows, to->count * sizeof *rows);
	}
	struct portal_counted *row = &to->rows[to->count++];
	*row = (struct portal_counted){ .kind = (enum counters_kind)m->kind,
		.name = arena_str(&to->arena, m->name),
		.numbers = arena_new(&to->arena, struct counters) };
	*row->numbers = numbers;
}

static void tell(struct control *c, struct portal_count *q)
{
	list_remove(&q->node);
	timer_stop(&q->patience);
	q->done(q, &(struct portal_counts){ .rows = c->counted.rows,
	                   .count = c->counted.count,
	                   .handshakes = c->counted.handshakes });
}

static void heard_end(struct control *c, const struct msg_counted_end *m)
{
	struct counted before = c->counted;
	c->counted = c->counting;
	c->counted.handshakes[HANDSHAKE_FULL] = (uint64_t)m->full;
	c->counted.handshakes[HANDSHAKE_RESUMED] = (uint64_t)m->resumed;
	c->counted.handshakes[HANDSHAKE_FAILED] = (uint64_t)m->failed;
	arena_clear(&before.arena);
	c->counting = (struct counted){ .arena = before.arena };
	while (!list_empty(&c->counts))
		tell(c, OWNER(list_first(&c->counts), struct portal_count, node));
}

void counted_forget(struct control *c)
{
	arena_clear(&c->counting.arena);
	c->counting = (struct counted){ .arena = c->counting.arena };
}

bool counted_heard(struct control *c, const struct msg *m)
{
	if (m->type == MSG_counted)
		heard_one(&c->counting, &m->is.counted);
	else if (m->type == MSG_counted_end)
		heard_end(c, &m->is.counted_end);
	else
		return false;
	return true;
}

/* ---- who asks ---- */

static void waited(struct timer *t)
{
	struct portal_count *q = OWNER(t, struct portal_count, patience);
	tell(OWNER(q->host, struct control, host), q);
}

void counted_ask(struct portal_host *h, struct portal_count *q)
{
	struct control *c = OWNER(h, struct control, host);
	q->host = h;
	list_add_last(&c->counts, &q->node);
	if (link_alive(&c->serve))
		link_send(&c->serve, count);
	timer_start(&q->patience, c->loop, link_alive(&c->serve) ? SECOND : 0, waited);
}

void counted_ask_abort(struct portal_host *h, struct portal_count *q)
{
	(void)h;
	list_remove(&q->node);
	timer_stop(&q->patience);
}

static void write_one(struct json_writer *w, const struct portal_counted *row)
{
	const struct counters *n = row->numbers;
	char name[8];
	json_write_object(w, NULL);
	json_write_text(w, kinds[row->kind], row->name);
	json_write_int(w, "under_way", n->under_way);
	for (int i = 0; i < COUNTERS_CLASSES; i++) {
		(void)snprintf(name, sizeof name, "%dxx", i + 1);
		json_write_int(w, name, (int64_t)n->requests[i]);
	}
	json_write_int(w, "bytes", (int64_t)n->sent);
	json_write_int(w, "ms", (int64_t)n->latency);
	json_write_array(w, "latencies");
	for (int i = 0; i < COUNTERS_BUCKETS; i++)
		json_write_int(w, NULL, (int64_t)n->latencies[i]);
	json_write_end(w);
	json_write_end(w);
}

void counted_write(struct control *c, struct json_writer *w, const char *key)
{
	json_write_array(w, key);
	for (size_t i = 0; i < c->counted.count; i++)
		write_one(w, &c->counted.rows[i]);
	json_write_end(w);
}
