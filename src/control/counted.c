/* What serve has counted, for people: as it told last, asked for anew with each look. */
#include "control/control.h"
#include "server/counters.h"

static const char *const kinds[COUNTERS_KINDS] = {
	[COUNTERS_SITE] = "site", [COUNTERS_UPSTREAM] = "upstream"
};

void counted_init(struct control *c)
{
	c->counting = BUF(16 << 20);
	c->counted = BUF(16 << 20);
}

void counted_done(struct control *c)
{
	buf_done(&c->counting);
	buf_done(&c->counted);
}

static void write_one(struct json_writer *w, const struct msg_counted *m, const struct counters *n)
{
	char name[8];
	json_write_object(w, NULL);
	json_write_text(w, kinds[m->kind], m->name);
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

static void heard_one(struct control *c, const struct msg_counted *m)
{
	struct counters numbers;
	struct json_writer w;
	if (m->kind < 0 || m->kind >= COUNTERS_KINDS || !counters_read(m->numbers, &numbers))
		return;
	buf_add_c(&c->counting, c->counting.n ? "," : "");
	json_write_init(&w, &c->counting);
	write_one(&w, m, &numbers);
}

bool counted_heard(struct control *c, const struct msg *m)
{
	if (m->type == MSG_counted) {
		heard_one(c, &m->is.counted);
		return true;
	}
	if (m->type != MSG_counted_end)
		return false;
	if (buf_ok(&c->counting)) {
		buf_clear(&c->counted);
		buf_add_buf(&c->counted, &c->counting);
	}
	buf_clear(&c->counting);
	return true;
}

void counted_write(struct control *c, struct json_writer *w, const char *key)
{
	BUF_AUTO list = BUF(17 << 20);
	buf_add_char(&list, '[');
	buf_add_buf(&list, &c->counted);
	buf_add_char(&list, ']');
	json_write_raw(w, key, buf_str(&list));
	if (link_alive(&c->serve))
		link_send(&c->serve, count);
}
