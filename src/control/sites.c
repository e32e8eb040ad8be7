/* The sites that there are: the file's, then those that registrations add. */
#include "control/control.h"

/* A name that a site has, so that no other gets it. */
struct taken {
	struct map_node node;
};

static bool take(struct sites *s, struct str name)
{
	if (map_find(&s->names, name))
		return false;
	struct taken *t = arena_new(&s->arena, struct taken);
	map_add(&s->names, name, &t->node);
	return true;
}

static struct served_site *add(struct sites *s)
{
	if (s->count == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 16;
		s->at = mem_grow(s->at, sizeof *s->at, s->cap);
	}
	struct served_site *site = &s->at[s->count++];
	*site = (struct served_site){ 0 };
	return site;
}

static void add_file_sites(struct sites *s, const struct config *config)
{
	for (size_t i = 0; i < config->site_count; i++) {
		struct served_site *site = add(s);
		site->settings = config->sites[i];
		site->in_file = true;
		for (size_t k = 0; k < site->settings.name_count; k++)
			take(s, site->settings.names[k]);
	}
}

/* ---- registrations ---- */

struct gather {
	struct renew_site_each each;
	struct sites *sites;
	struct renew_site *at;
	size_t count, cap;
};

static void gather(struct renew_site_each *e, const struct renew_site *site)
{
	struct gather *g = OWNER(e, struct gather, each);
	if (g->count == g->cap) {
		g->cap = g->cap ? 2 * g->cap : 16;
		g->at = mem_grow(g->at, sizeof *g->at, g->cap);
	}
	g->at[g->count++] = *site;
}

/* An order of its own, so that of two registrations for a name the same one wins each time: one
 * with an application of its own before one without. */
static int by_weight(const void *a, const void *b)
{
	const struct renew_site *x = a, *y = b;
	if (!x->proxy != !y->proxy)
		return x->proxy ? -1 : 1;
	int order = str_cmp(x->names[0], y->names[0]);
	if (order)
		return order;
	if (x->proxy && (order = str_cmp(x->proxy->shown, y->proxy->shown)))
		return order;
	return (x->name_count > y->name_count) - (x->name_count < y->name_count);
}

static const struct config_site *fallback_of(const struct config *config)
{
	for (size_t i = 0; i < config->site_count; i++)
		if (config->sites[i].fallback)
			return &config->sites[i];
	return NULL;
}

/* The names that are left for it: all but those of sites before it. */
static void take_names(struct sites *s, const struct renew_site *r, struct config_site *ret)
{
	ret->names = arena_array(&s->arena, struct str, r->name_count);
	ret->name_count = 0;
	for (size_t i = 0; i < r->name_count; i++)
		if (take(s, r->names[i]))
			ret->names[ret->name_count++] = r->names[i];
}

static void add_registered(
        struct sites *s, const struct renew_site *r, const struct config_site *fallback)
{
	struct served_site *site = add(s);
	if (fallback)
		site->settings = *fallback;
	site->settings.fallback = false;
	take_names(s, r, &site->settings);
	site->listen = r->listen;
	site->default_name = r->names[0];
	if (r->proxy) {
		site->settings.upstreams = (struct config_upstream *)r->proxy;
		site->settings.upstream_count = 1;
	}
}

/* Whoever has the file read again wants to try again what was held back. */
static bool left_out(
        const struct control *c, const struct config *config, const struct renew_site *site)
{
	for (size_t i = 0; config != c->next_config && i < site->name_count; i++)
		if (held_back_site(c, site->names[i]))
			return true;
	return false;
}

void sites_collect(struct control *c, const struct config *config, struct sites *ret)
{
	struct gather g = { .each.site = gather };
	*ret = (struct sites){ 0 };
	add_file_sites(ret, config);
	renewals_each_site(c->renewals, &g.each);
	if (g.count)
		qsort(g.at, g.count, sizeof *g.at, by_weight);
	const struct config_site *fallback = fallback_of(config);
	for (size_t i = 0; i < g.count; i++)
		if (!left_out(c, config, &g.at[i]))
			add_registered(ret, &g.at[i], fallback);
	map_done(&ret->names);
	free(g.at);
}

void sites_done(struct sites *s)
{
	free(s->at);
	arena_done(&s->arena);
	*s = (struct sites){ 0 };
}
