/* The sites that there are: the file's, those kept in the store, then those that registrations add.
 * What the store says of a site that it does not make lies over it. */
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

/* ---- what is kept ---- */

struct overlay {
	struct map_node node; /* by name */
	const struct kept_site *site;
};

static void add_overlay(struct sites *s, const struct kept_site *site)
{
	for (size_t i = 0; i < site->value->name_count; i++) {
		if (map_find(&s->overlays, site->value->names[i]))
			continue;
		struct overlay *o = arena_new(&s->arena, struct overlay);
		o->site = site;
		map_add(&s->overlays, site->value->names[i], &o->node);
	}
}

static void find_overlays(struct sites *s, const struct kept *kept)
{
	LIST_EACH (n, &kept->sites) {
		const struct kept_site *site = OWNER(n, struct kept_site, node);
		if (site->value && site->value->overlay)
			add_overlay(s, site);
	}
}

static const struct kept_site *overlay_of(const struct sites *s, const struct config_site *site)
{
	struct map_node *n = site->fallback ? map_find(&s->overlays, STR("*")) : NULL;
	for (size_t i = 0; !n && i < site->name_count; i++)
		n = map_find(&s->overlays, site->names[i]);
	return n ? OWNER(n, struct overlay, node)->site : NULL;
}

/* Who has an application of his own has that alone: routes go with the application. */
static void set_applications(struct config_site *s, struct config_upstream *upstreams, size_t count)
{
	s->upstreams = upstreams;
	s->proxy = (struct config_proxy){ .limited = true };
	s->upstream_count = count;
	s->rules.action = CONFIG_NO_ACTION;
	s->routes = NULL;
	s->route_count = 0;
	s->shown_rule_count = 0;
}

/* What the file sets stays. */
static void lay_over(struct served_site *site, const struct kept_site *kept)
{
	struct config_site *s = &site->settings;
	site->kept = kept;
	if (!kept)
		return;
	const struct kept_value *v = kept->value;
	if (v->force_ssl_set && !site->force_ssl_locked) {
		s->force_ssl_set = true;
		s->force_ssl = v->force_ssl;
	}
	if (v->hsts.set && !site->hsts_locked)
		s->hsts = v->hsts;
	if (v->upstream_count && !site->in_file)
		set_applications(s, v->upstreams, v->upstream_count);
}

static void add_file_sites(struct sites *s, const struct config *config)
{
	for (size_t i = 0; i < config->site_count; i++) {
		struct served_site *site = add(s);
		site->settings = config->sites[i];
		site->in_file = true;
		site->force_ssl_locked = site->settings.force_ssl_set;
		site->hsts_locked = site->settings.hsts.set;
		lay_over(site, overlay_of(s, &site->settings));
		if (site->settings.fallback) {
			s->has_fallback = true;
			s->fallback = i;
		}
		for (size_t k = 0; k < site->settings.name_count; k++)
			take(s, site->settings.names[k]);
	}
}

/* Settings that a site of the store has without saying so: those of `site *`, or the file's. */
static struct served_site *add_with_fallback(struct sites *s, const struct config *config)
{
	struct config_site settings = { .force_ssl = config->force_ssl,
		.force_ssl_set = config->force_ssl_set,
		.hsts = config->hsts };
	if (s->has_fallback)
		settings = s->at[s->fallback].settings;
	settings.fallback = false;
	settings.names = NULL;
	settings.name_count = 0;
	settings.demand = (struct config_demand){ 0 };
	struct served_site *site = add(s);
	site->settings = settings;
	return site;
}

/* The names that are left for it: all but those of sites before it. */
static void take_names(
        struct sites *s, const struct str *names, size_t count, struct config_site *ret)
{
	ret->names = arena_array(&s->arena, struct str, count);
	ret->name_count = 0;
	for (size_t i = 0; i < count; i++)
		if (take(s, names[i]))
			ret->names[ret->name_count++] = names[i];
}

/* Whoever has the file read again wants to try again what was held back. */
static bool left_out(
        const struct control *c, const struct config *config, const struct str *names, size_t count)
{
	for (size_t i = 0; config != c->next_config && i < count; i++)
		if (held_back_site(c, names[i]))
			return true;
	return false;
}

static void add_kept_sites(struct sites *s, const struct control *c, const struct config *config)
{
	LIST_EACH (n, &c->kept.sites) {
		const struct kept_site *kept = OWNER(n, struct kept_site, node);
		const struct kept_value *v = kept->value;
		if (!v || v->overlay || left_out(c, config, v->names, v->name_count))
			continue;
		struct served_site *site = add_with_fallback(s, config);
		take_names(s, v->names, v->name_count, &site->settings);
		lay_over(site, kept);
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

static void add_registered(struct sites *s, const struct config *config, const struct renew_site *r)
{
	struct served_site *site = add_with_fallback(s, config);
	take_names(s, r->names, r->name_count, &site->settings);
	site->listen = r->listen;
	site->default_name = r->names[0];
	if (r->proxy)
		set_applications(&site->settings, (struct config_upstream *)r->proxy, 1);
	lay_over(site, overlay_of(s, &site->settings));
}

void sites_collect(struct control *c, const struct config *config, struct sites *ret)
{
	struct gather g = { .each.site = gather };
	*ret = (struct sites){ 0 };
	if (config->page_name.n)
		(void)take(ret, config->page_name); /* whose certificate the page's serve has */
	find_overlays(ret, &c->kept);
	add_file_sites(ret, config);
	add_kept_sites(ret, c, config);
	renewals_each_site(c->renewals, &g.each);
	if (g.count)
		qsort(g.at, g.count, sizeof *g.at, by_weight);
	for (size_t i = 0; i < g.count; i++)
		if (!left_out(c, config, g.at[i].names, g.at[i].name_count))
			add_registered(ret, config, &g.at[i]);
	map_done(&ret->names);
	map_done(&ret->overlays);
	free(g.at);
}

void sites_done(struct sites *s)
{
	free(s->at);
	arena_done(&s->arena);
	*s = (struct sites){ 0 };
}
