/* What a generation that was rolled back had more than the one before it, by key: a site's first
 * name, or a listener's address and port. */
#include "control/control.h"

struct held_back {
	struct map_node node;
	char key[];
};

/* STR_NONE for a row that is not held back by itself. */
static struct str row_key(const struct msg *m, struct buf *scratch)
{
	buf_clear(scratch);
	if (m->type == MSG_site)
		return m->is.site.name;
	if (m->type != MSG_listener)
		return STR_NONE;
	buf_printf(scratch, "%.*s port %lld", STR_ARG(m->is.listener.address),
	        (long long)m->is.listener.port);
	return buf_str(scratch);
}

static bool has(const struct rows *rows, struct str key)
{
	BUF_AUTO scratch = BUF(512);
	for (size_t i = 0; i < rows->count; i++)
		if (str_eq(row_key(&rows->at[i], &scratch), key))
			return true;
	return false;
}

static void add(struct control *c, struct str key)
{
	if (map_find(&c->held_back, key))
		return;
	struct held_back *h = mem_alloc(sizeof *h + key.n);
	memcpy(h->key, key.p, key.n);
	map_add(&c->held_back, str_n(h->key, key.n), &h->node);
}

void held_back_add(struct control *c, const struct rows *failed, const struct rows *good)
{
	BUF_AUTO scratch = BUF(512);
	for (size_t i = 0; i < failed->count; i++) {
		struct str key = row_key(&failed->at[i], &scratch);
		if (key.n && !has(good, key))
			add(c, key);
	}
}

bool held_back_site(const struct control *c, struct str name)
{
	return map_find(&c->held_back, name);
}

bool held_back_listener(const struct control *c, const struct binding *b)
{
	BUF_AUTO key = BUF(512);
	buf_printf(&key, "%s port %u", b->host, b->port);
	return map_find(&c->held_back, buf_str(&key));
}

void held_back_names(const struct control *c, struct buf *out)
{
	MAP_EACH (n, &c->held_back) {
		buf_add_c(out, out->n ? ", " : "");
		buf_add(out, n->key);
	}
}

void held_back_clear(struct control *c)
{
	MAP_EACH (n, &c->held_back) {
		map_remove(&c->held_back, n);
		free(OWNER(n, struct held_back, node));
	}
	map_done(&c->held_back);
}
