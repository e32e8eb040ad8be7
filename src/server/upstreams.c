/* Groups of upstreams, from rows into a generation. */
#include "base/buf.h"
#include "net/address.h"
#include "server/building.h"
#include "server/settings.h"

#include <sys/stat.h>

enum { WEIGHT_MOST = 1000, TEXT_MOST = 1 << 20, TRUST_MOST = 16 << 20 };

static bool add_group(struct building_upstreams *b, struct arena *a, const struct msg_upstreams *m,
        struct err *err)
{
	if (m->id <= 0)
		return err_set(err, ERR_INPUT, "A group of applications has no number.");
	b->groups = mem_grow(b->groups, sizeof *b->groups, b->group_count + 1);
	b->trusted = mem_grow(b->trusted, sizeof *b->trusted, b->group_count + 1);
	b->trusted[b->group_count] = m->trust;
	struct upstreams *u = &b->groups[b->group_count++];
	*u = (struct upstreams){
		.id = m->id, .sticky = arena_str(a, m->sticky), .health = arena_str(a, m->health)
	};
	upstream_options_init(&u->options);
	return true;
}

static bool add_option(struct building_upstreams *b, struct arena *a,
        const struct msg_upstreams_option *m, struct err *err)
{
	struct upstream_options unused;
	if (!upstream_options_set(&unused, m->name, m->value, err))
		return false;
	b->options = mem_grow(b->options, sizeof *b->options, b->option_count + 1);
	b->options[b->option_count++] =
	        (struct option_row){ m->upstreams, m->value, arena_str(a, m->name) };
	return true;
}

static bool add_member(struct building_upstreams *b, struct arena *a, const struct msg_upstream *m,
        struct err *err)
{
	struct upstream_row row = { .upstreams = m->upstreams };
	bool unix_socket = m->scheme == UPSTREAM_UNIX;
	if (m->scheme < 0 || m->scheme >= UPSTREAM_SCHEME_COUNT || !m->host.n ||
	        (!unix_socket && (m->port < 1 || m->port > UINT16_MAX)) || m->weight < 1 ||
	        m->weight > WEIGHT_MOST)
		return err_set(err, ERR_INPUT, "%.*s is no address and port of an application.",
		        STR_ARG(m->shown));
	row.upstream = (struct upstream){ .shown = arena_str(a, m->shown),
		.server_name = arena_str(a, m->server_name),
		.scheme = (enum upstream_scheme)m->scheme,
		.port = (uint16_t)m->port,
		.weight = (unsigned)m->weight };
	if (unix_socket || !address_parse(m->host, (uint16_t)m->port, &row.upstream.address))
		row.upstream.host = arena_str(a, m->host);
	b->members = mem_grow(b->members, sizeof *b->members, b->member_count + 1);
	b->members[b->member_count++] = row;
	return true;
}

static bool add_trust(
        struct building_upstreams *b, struct arena *a, const struct msg_trust *m, struct err *err)
{
	struct stat st;
	bool fits =
	        m->fd >= 0 && fstat(m->fd, &st) == 0 && st.st_size > 0 && st.st_size <= TRUST_MOST;
	char *bytes = fits ? arena_alloc(a, (size_t)st.st_size) : NULL;
	fits = fits && pread(m->fd, bytes, (size_t)st.st_size, 0) == st.st_size;
	if (m->fd >= 0)
		(void)close(m->fd);
	if (!fits)
		return err_set(err, ERR_INPUT,
		        "The certificates that vouch for applications cannot be read.");
	b->trusts = mem_grow(b->trusts, sizeof *b->trusts, b->trust_count + 1);
	b->trusts[b->trust_count++] = (struct trust_row){ m->id, str_n(bytes, (size_t)st.st_size) };
	return true;
}

bool building_upstreams_row(struct building_upstreams *b, struct arena *a, enum msg_type type,
        const void *fields, struct err *err)
{
	if (type == MSG_upstreams)
		return add_group(b, a, fields, err);
	if (type == MSG_trust)
		return add_trust(b, a, fields, err);
	if (type == MSG_upstreams_option)
		return add_option(b, a, fields, err);
	return add_member(b, a, fields, err);
}

/* ---- settling ---- */

static int by_id(const void *a, const void *b)
{
	int64_t x = ((const struct upstreams *)a)->id, y = ((const struct upstreams *)b)->id;
	return (x > y) - (x < y);
}

static struct upstreams *find(const struct generation *g, int64_t id)
{
	struct upstreams key = { .id = id };
	if (g->upstreams_count == 0)
		return NULL;
	return bsearch(&key, g->upstreams, g->upstreams_count, sizeof key, by_id);
}

const struct upstreams *building_upstreams_of(const struct generation *g, int64_t id)
{
	return find(g, id);
}

static struct upstreams *must_find(const struct generation *g, int64_t id, struct err *err)
{
	struct upstreams *u = find(g, id);
	if (!u)
		(void)err_set(err, ERR_PROTOCOL,
		        "A row speaks of the applications %lld, which no row made.", (long long)id);
	return u;
}

static bool settle_trust(struct building_upstreams *b, struct err *err)
{
	for (size_t i = 0; i < b->group_count; i++) {
		size_t k = 0;
		while (k < b->trust_count && b->trusts[k].id != b->trusted[i])
			k++;
		if (k < b->trust_count)
			b->groups[i].trust = b->trusts[k].ders;
		else if (b->trusted[i])
			return err_set(err, ERR_PROTOCOL,
			        "A row speaks of the certificates %lld, which no row brought.",
			        (long long)b->trusted[i]);
	}
	return true;
}

static bool settle_groups(struct building_upstreams *b, struct generation *g, struct err *err)
{
	g->upstreams = arena_array(&g->arena, struct upstreams, b->group_count);
	g->upstreams_count = b->group_count;
	if (b->group_count == 0)
		return true;
	memcpy(g->upstreams, b->groups, b->group_count * sizeof *b->groups);
	qsort(g->upstreams, g->upstreams_count, sizeof *g->upstreams, by_id);
	for (size_t i = 1; i < g->upstreams_count; i++)
		if (g->upstreams[i].id == g->upstreams[i - 1].id)
			return err_set(err, ERR_CONFLICT,
			        "Two groups of applications have the number %lld.",
			        (long long)g->upstreams[i].id);
	return true;
}

static bool settle_options(struct building_upstreams *b, struct generation *g, struct err *err)
{
	for (size_t i = 0; i < b->option_count; i++) {
		const struct option_row *o = &b->options[i];
		struct upstreams *u = must_find(g, o->upstreams, err);
		if (!u || !upstream_options_set(&u->options, o->name, o->value, err))
			return false;
	}
	return true;
}

/* Counts each group's members first, so that they lie together; a second pass fills them in. */
static bool settle_members(struct building_upstreams *b, struct generation *g, struct err *err)
{
	for (size_t i = 0; i < b->member_count; i++) {
		struct upstreams *u = must_find(g, b->members[i].upstreams, err);
		if (!u)
			return false;
		u->count++;
	}
	for (size_t i = 0; i < g->upstreams_count; i++) {
		struct upstreams *u = &g->upstreams[i];
		u->at = arena_array(&g->arena, struct upstream, u->count);
		u->count = 0;
	}
	for (size_t i = 0; i < b->member_count; i++) {
		struct upstreams *u = find(g, b->members[i].upstreams);
		u->at[u->count++] = b->members[i].upstream;
	}
	return true;
}

static void add_text(struct buf *out, struct str text)
{
	buf_add_u64(out, text.n);
	buf_add_char(out, ':');
	buf_add(out, text);
}

/* All that the configuration says of the group. */
static uint64_t identity_of(const struct upstreams *u)
{
	BUF_AUTO text = BUF_INIT(TEXT_MOST);
	add_text(&text, u->sticky);
	add_text(&text, u->health);
	buf_add_u64(&text, hash_keyed(u->trust));
	buf_add(&text, str_n(&u->options, sizeof u->options));
	for (size_t i = 0; i < u->count; i++) {
		const struct upstream *m = &u->at[i];
		buf_printf(&text, "%d %u %u ", (int)m->scheme, m->port, m->weight);
		add_text(&text, m->shown);
		add_text(&text, m->host);
		add_text(&text, m->server_name);
	}
	return hash_keyed(buf_str(&text));
}

bool building_upstreams_settle(struct building_upstreams *b, struct generation *g, struct err *err)
{
	if (!settle_trust(b, err) || !settle_groups(b, g, err) || !settle_options(b, g, err) ||
	        !settle_members(b, g, err))
		return false;
	for (size_t i = 0; i < g->upstreams_count; i++)
		g->upstreams[i].identity = identity_of(&g->upstreams[i]);
	return true;
}

void building_upstreams_done(struct building_upstreams *b)
{
	free(b->groups);
	free(b->members);
	free(b->options);
	free(b->trusted);
	free(b->trusts);
	*b = (struct building_upstreams){ 0 };
}
