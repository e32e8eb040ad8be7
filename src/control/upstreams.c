/* How applications do: what serve says of each, for status and API. */
#include "control/control.h"

#include "net/address.h"

enum { STATES_MOST = 10000 };

/* One that has failed since serve was started. */
struct upstream_state {
	struct map_node node; /* by address */
	bool up;
	int64_t since; /* wall ms */
	struct str why;
	char text[]; /* the address, then why */
};

void upstreams_heard(struct control *c, const struct msg_upstream_state *m, int64_t now)
{
	struct map_node *n = map_find(&c->upstream_states, m->address);
	if (n) {
		map_remove(&c->upstream_states, n);
		free(OWNER(n, struct upstream_state, node));
	}
	if (c->upstream_states.count >= STATES_MOST)
		return;
	struct upstream_state *s = mem_alloc(sizeof *s + m->address.n + m->why.n);
	if (m->address.n)
		memcpy(s->text, m->address.p, m->address.n);
	if (m->why.n)
		memcpy(s->text + m->address.n, m->why.p, m->why.n);
	s->up = m->up;
	s->since = now;
	s->why = str_n(s->text + m->address.n, m->why.n);
	map_add(&c->upstream_states, str_n(s->text, m->address.n), &s->node);
	if (!s->up)
		resolve_failing(c, s->node.key);
}

bool upstreams_fails(const struct control *c, struct str address)
{
	struct map_node *n = map_find(&c->upstream_states, address);
	return n && !OWNER(n, struct upstream_state, node)->up;
}

void upstreams_forget(struct control *c)
{
	MAP_EACH (n, &c->upstream_states) {
		map_remove(&c->upstream_states, n);
		free(OWNER(n, struct upstream_state, node));
	}
	map_done(&c->upstream_states);
}

static void write_address(const struct control *c, struct json_writer *w, struct str address)
{
	struct map_node *n = map_find(&c->upstream_states, address);
	const struct upstream_state *s = n ? OWNER(n, struct upstream_state, node) : NULL;
	json_write_object(w, NULL);
	json_write_text(w, "address", address);
	json_write_c(w, "state", s && !s->up ? "failing" : "up");
	if (s)
		json_write_time(w, "since", s->since);
	else
		json_write_null(w, "since");
	if (s && !s->up)
		json_write_text(w, "why", s->why);
	else
		json_write_null(w, "why");
	json_write_end(w);
}

static void write_one(
        const struct control *c, struct json_writer *w, struct str address, uint16_t port)
{
	struct sockaddr_storage at;
	char text[ADDRESS_TEXT];
	if (address_parse(address, port, &at))
		write_address(c, w, str_c(address_text_port(&at, text)));
}

static void write_upstream(
        const struct control *c, struct json_writer *w, const struct msg_upstream *m)
{
	struct resolve_about about = { 0 };
	struct str address;
	bool named = resolve_find(c, m->host, &about);
	json_write_object(w, NULL);
	json_write_text(w, "upstream", m->shown);
	json_write_array(w, "addresses");
	if (m->scheme == UPSTREAM_UNIX)
		write_address(c, w, m->host);
	else if (!named)
		write_one(c, w, m->host, (uint16_t)m->port);
	while (m->scheme != UPSTREAM_UNIX && str_split(&about.addresses, ' ', &address))
		write_one(c, w, address, (uint16_t)m->port);
	json_write_end(w);
	if (about.why.n)
		json_write_text(w, "unresolved", about.why);
	else
		json_write_null(w, "unresolved");
	json_write_end(w);
}

/* Whether it is the first of its kind; two sites may have the same application. */
static bool is_new(struct map *told, struct arena *a, const struct msg_upstream *m)
{
	struct str key = arena_printf(a, "%.*s %.*s", STR_ARG(m->host), STR_ARG(m->shown));
	if (map_find(told, key))
		return false;
	map_add(told, key, arena_new(a, struct map_node));
	return true;
}

void upstreams_write(const struct control *c, struct json_writer *w, const char *key)
{
	const struct rows *r = c->current;
	ARENA_AUTO a = ARENA_INIT;
	struct map told = MAP_INIT;
	json_write_array(w, key);
	for (size_t i = 0; r && i < r->count; i++)
		if (r->at[i].type == MSG_upstream && is_new(&told, &a, &r->at[i].is.upstream))
			write_upstream(c, w, &r->at[i].is.upstream);
	json_write_end(w);
	map_done(&told);
}

void upstreams_write_shown(const struct control *c, struct json_writer *w, const char *key,
        const struct str *shown, size_t count)
{
	const struct rows *r = c->current;
	json_write_array(w, key);
	for (size_t k = 0; k < count; k++) {
		size_t i = 0;
		while (r && i < r->count &&
		        (r->at[i].type != MSG_upstream ||
		                !str_eq(r->at[i].is.upstream.shown, shown[k])))
			i++;
		if (r && i < r->count)
			write_upstream(c, w, &r->at[i].is.upstream);
	}
	json_write_end(w);
}
