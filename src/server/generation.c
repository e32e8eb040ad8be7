#include "net/address.h"
#include "server/access_log.h"
#include "server/building.h"
#include "server/rules.h"
#include "server/settings.h"

struct name_row {
	int64_t site;
	struct str name;
};

struct site_row {
	struct site site;
	int64_t upstreams; /* 0: none */
};

struct generation_builder {
	struct generation *g;
	struct route_rows routes;
	struct route_places by_id;
	struct site *settled;   /* in the generation */
	struct site_row *sites; /* heap until built, as is what follows */
	struct name_row *names, *patterns;
	size_t site_count, name_count, pattern_count;
	struct building_upstreams groups;
};

static struct str keep(struct generation_builder *b, struct str text)
{
	return arena_str(&b->g->arena, text);
}

struct generation *generation_ref(struct generation *g)
{
	atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
	return g;
}

void generation_close_listeners(struct generation *g)
{
	for (size_t i = 0; i < g->listener_count; i++) {
		if (g->listeners[i].fd >= 0)
			(void)close(g->listeners[i].fd);
		g->listeners[i].fd = -1;
	}
}

void generation_unref(struct generation **g)
{
	struct generation *gone = *g;
	*g = NULL;
	if (!gone || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) > 1)
		return;
	generation_close_listeners(gone);
	routes_close(gone->routes, gone->route_count);
	free(gone->routes);
	free(gone->listeners);
	free(gone->trusted_proxies);
	map_done(&gone->names);
	arena_done(&gone->arena);
	free(gone);
}

static const struct site *named(const struct generation *g, struct str name)
{
	struct map_node *node = map_find(&g->names, name);
	return node ? OWNER(node, struct site_name, node)->site : NULL;
}

/* A wildcard stands for one label (RFC 9525 6.3). */
static const struct site *named_by_wildcard(const struct generation *g, struct str host)
{
	char text[256] = "*";
	struct str parent = str_from(host, str_find(host, '.'));
	if (parent.n == 0 || parent.n == host.n || parent.n + 1 > sizeof text)
		return NULL;
	memcpy(text + 1, parent.p, parent.n);
	return named(g, str_n(text, parent.n + 1));
}

/* A stranger's name that leads to the page would let his scripts speak to it (DNS rebinding). */
static bool answers_for(const struct site *fallback, struct str host)
{
	struct sockaddr_storage unused;
	return fallback && (fallback->kind != SITE_CONTROL || address_parse(host, 0, &unused));
}

const struct site *generation_site(const struct generation *g, struct str host)
{
	const struct site *site = named(g, host);
	if (!site)
		site = named_by_wildcard(g, host);
	if (site)
		return site;
	return answers_for(g->fallback, host) ? g->fallback : NULL;
}

bool generation_trusts(const struct generation *g, const struct sockaddr_storage *proxy)
{
	for (size_t i = 0; i < g->trusted_proxy_count; i++)
		if (address_within(proxy, &g->trusted_proxies[i]))
			return true;
	return false;
}

struct generation_builder *generation_begin(const struct msg_generation *m)
{
	struct generation_builder *b = mem_new(struct generation_builder);
	b->g = mem_new(struct generation);
	atomic_init(&b->g->refs, 1);
	b->g->number = m->number;
	b->g->thumbprint = keep(b, m->thumbprint);
	if (m->sticky_key.n == sizeof b->g->sticky_key)
		memcpy(b->g->sticky_key, m->sticky_key.p, sizeof b->g->sticky_key);
	limits_init(&b->g->limits);
	return b;
}

static bool add_listener(
        struct generation_builder *b, const struct msg_listener *m, struct err *err)
{
	if (m->fd < 0)
		return err_set(
		        err, ERR_INPUT, "The listener at %.*s has no socket.", STR_ARG(m->address));
	struct generation *g = b->g;
	g->listeners = mem_grow(g->listeners, sizeof *g->listeners, g->listener_count + 1);
	g->listeners[g->listener_count++] = (struct listener_row){
		.id = m->id,
		.address = keep(b, m->address),
		.default_name = keep(b, m->default_name),
		.port = (uint16_t)m->port,
		.tls = m->tls,
		.plain_too = m->plain_too,
		.proxy_protocol = m->proxy_protocol,
		.fd = m->fd,
	};
	return true;
}

/* Zeros if there are none beyond the usual. Two halves under keys that every process has: what a
 * file says is nobody's attack. */
static struct tls_rules rules_of(struct generation_builder *b, const struct msg_site *m)
{
	static const uint64_t keys[2][2] = { { 1, 2 }, { 3, 4 } };
	struct tls_rules rules = { .modern = m->modern_tls, .client_ca = keep(b, m->client_ca) };
	bool usual = !rules.modern && rules.client_ca.n == 0;
	for (size_t i = 0; i < 2 && !usual; i++) {
		uint64_t half = siphash(keys[i], m->client_ca) + m->modern_tls;
		memcpy(rules.identity + i * sizeof half, &half, sizeof half);
	}
	return rules;
}

static bool add_site(struct generation_builder *b, const struct msg_site *m, struct err *err)
{
	if (m->kind < 0 || m->kind >= SITE_KIND_COUNT)
		return err_set(
		        err, ERR_INPUT, "The site %.*s is of no known kind.", STR_ARG(m->name));
	b->sites = mem_grow(b->sites, sizeof *b->sites, b->site_count + 1);
	b->sites[b->site_count].upstreams = m->upstreams;
	b->sites[b->site_count++].site = (struct site){
		.id = m->id,
		.name = keep(b, m->name),
		.fallback = m->fallback,
		.kind = (enum site_kind)m->kind,
		.force_ssl = m->force_ssl,
		.hsts_subdomains = m->hsts_subdomains,
		.hsts_preload = m->hsts_preload,
		.challenge_pass = m->challenge_pass,
		.unlogged = m->unlogged,
		.on_demand = m->on_demand,
		.tls = rules_of(b, m),
		.url_port = (uint16_t)m->url_port,
		.hsts_age = m->hsts_age,
	};
	return true;
}

static bool add_name(struct generation_builder *b, const struct msg_site_name *m)
{
	b->names = mem_grow(b->names, sizeof *b->names, b->name_count + 1);
	b->names[b->name_count++] = (struct name_row){ m->site, keep(b, m->name) };
	return true;
}

static bool add_pattern(struct generation_builder *b, const struct msg_demand_pattern *m)
{
	b->patterns = mem_grow(b->patterns, sizeof *b->patterns, b->pattern_count + 1);
	b->patterns[b->pattern_count++] = (struct name_row){ m->site, keep(b, m->pattern) };
	return true;
}

static bool add_trusted_proxy(
        struct generation_builder *b, const struct msg_trusted_proxy *m, struct err *err)
{
	struct generation *g = b->g;
	struct cidr cidr;
	if (!cidr_parse(m->cidr, &cidr))
		return err_set(err, ERR_INPUT, "%.*s is no range of addresses.", STR_ARG(m->cidr));
	g->trusted_proxies = mem_grow(
	        g->trusted_proxies, sizeof *g->trusted_proxies, g->trusted_proxy_count + 1);
	g->trusted_proxies[g->trusted_proxy_count++] = cidr;
	return true;
}

static bool set_access_log(
        struct generation_builder *b, const struct msg_access_log *m, struct err *err)
{
	enum access_format format;
	if (!access_format_read(m->format, &format))
		return err_set(
		        err, ERR_INPUT, "%.*s is no format of the access log.", STR_ARG(m->format));
	b->g->access_format = (int)format;
	return true;
}

bool generation_row(
        struct generation_builder *b, enum msg_type type, const void *fields, struct err *err)
{
	switch (type) {
	case MSG_listener:
		return add_listener(b, fields, err);
	case MSG_site:
		return add_site(b, fields, err);
	case MSG_site_name:
		return add_name(b, fields);
	case MSG_demand_pattern:
		return add_pattern(b, fields);
	case MSG_trust:
	case MSG_upstreams:
	case MSG_upstreams_option:
	case MSG_upstream:
		return building_upstreams_row(&b->groups, &b->g->arena, type, fields, err);
	case MSG_access_log:
		return set_access_log(b, fields, err);
	case MSG_trusted_proxy:
		return add_trusted_proxy(b, fields, err);
	case MSG_limit: {
		const struct msg_limit *m = fields;
		return limits_set(&b->g->limits, m->name, m->value, err);
	}
	case MSG_route:
		return route_add(&b->routes, &b->g->arena, fields, err);
	case MSG_route_copy:
		return route_add_copy(&b->routes, &b->g->arena, fields, err);
	case MSG_route_access:
		return route_add_access(&b->routes, &b->g->arena, fields, err);
	case MSG_route_header:
		return route_add_header(&b->routes, &b->g->arena, fields, err);
	default:
		return err_set(err, ERR_PROTOCOL, "%s is no row of a generation.", msg_name(type));
	}
}

static int by_id(const void *a, const void *b)
{
	int64_t x = ((const struct site *)a)->id, y = ((const struct site *)b)->id;
	return (x > y) - (x < y);
}

static int rows_by_id(const void *a, const void *b)
{
	return by_id(&((const struct site_row *)a)->site, &((const struct site_row *)b)->site);
}

/* Sites move into the arena, in the order of their ids, so that rows find theirs by bisection. */
static struct site *settle_sites(struct generation_builder *b)
{
	struct site *sites = arena_array(&b->g->arena, struct site, b->site_count);
	if (b->site_count > 0)
		qsort(b->sites, b->site_count, sizeof *b->sites, rows_by_id);
	for (size_t i = 0; i < b->site_count; i++) {
		sites[i] = b->sites[i].site;
		if (sites[i].fallback)
			b->g->fallback = &sites[i];
	}
	return sites;
}

static struct site *site_of(struct site *sites, size_t count, int64_t id, struct err *err)
{
	struct site key = { .id = id };
	struct site *found = count > 0 ? bsearch(&key, sites, count, sizeof key, by_id) : NULL;
	if (!found)
		(void)err_set(err, ERR_PROTOCOL, "A row speaks of site %lld, which no row made.",
		        (long long)id);
	return found;
}

static bool settle_names(struct generation_builder *b, struct site *sites, struct err *err)
{
	for (size_t i = 0; i < b->name_count; i++) {
		struct site *site = site_of(sites, b->site_count, b->names[i].site, err);
		if (!site)
			return false;
		if (map_find(&b->g->names, b->names[i].name))
			return err_set(err, ERR_CONFLICT, "Two sites are named %.*s.",
			        STR_ARG(b->names[i].name));
		struct site_name *name = arena_new(&b->g->arena, struct site_name);
		name->site = site;
		map_add(&b->g->names, b->names[i].name, &name->node);
	}
	return true;
}

/* Those of one site follow each other. */
static bool settle_patterns(struct generation_builder *b, struct site *sites, struct err *err)
{
	struct str *all = arena_array(&b->g->arena, struct str, b->pattern_count);
	for (size_t i = 0; i < b->pattern_count; i++) {
		struct site *site = site_of(sites, b->site_count, b->patterns[i].site, err);
		if (!site)
			return false;
		all[i] = b->patterns[i].name;
		if (!site->demand_pattern_count)
			site->demand_patterns = &all[i];
		if (&site->demand_patterns[site->demand_pattern_count++] != &all[i])
			return err_set(err, ERR_PROTOCOL,
			        "The patterns of the site %.*s do not follow each other.",
			        STR_ARG(site->name));
	}
	return true;
}

/* Sites and their rows are in the same order. */
static bool settle_upstreams(struct generation_builder *b, struct site *sites, struct err *err)
{
	if (!building_upstreams_settle(&b->groups, b->g, err))
		return false;
	for (size_t i = 0; i < b->site_count; i++) {
		int64_t id = b->sites[i].upstreams;
		sites[i].upstreams = id ? building_upstreams_of(b->g, id) : NULL;
		if (id && !sites[i].upstreams)
			return err_set(err, ERR_PROTOCOL,
			        "The site %.*s has the applications %lld, which no row made.",
			        STR_ARG(sites[i].name), (long long)id);
	}
	return true;
}

static struct site *site_by_id(struct route_places *p, int64_t id, struct err *err)
{
	const struct generation_builder *b = OWNER(p, struct generation_builder, by_id);
	return site_of(b->settled, b->site_count, id, err);
}

static const struct upstreams *upstreams_by_id(struct route_places *p, int64_t id)
{
	return building_upstreams_of(OWNER(p, struct generation_builder, by_id)->g, id);
}

static bool settle_routes(struct generation_builder *b, struct site *sites, struct err *err)
{
	b->settled = sites;
	b->by_id = (struct route_places){ .site = site_by_id, .upstreams = upstreams_by_id };
	if (!routes_settle(&b->routes, &b->g->arena, &b->by_id, err))
		return false;
	b->g->routes = b->routes.at;
	b->g->route_count = b->routes.count;
	b->routes = (struct route_rows){ 0 };
	return true;
}

struct generation *generation_build(struct generation_builder **b, struct err *err)
{
	struct generation *g = NULL;
	struct site *sites = settle_sites(*b);
	if (settle_names(*b, sites, err) && settle_patterns(*b, sites, err) &&
	        settle_upstreams(*b, sites, err) && settle_routes(*b, sites, err)) {
		g = (*b)->g;
		(*b)->g = NULL;
	}
	generation_drop(b);
	return g;
}

void generation_drop(struct generation_builder **b)
{
	struct generation_builder *gone = *b;
	*b = NULL;
	if (!gone)
		return;
	routes_close(gone->routes.at, gone->routes.count);
	free(gone->routes.at);
	generation_unref(&gone->g);
	free(gone->sites);
	free(gone->names);
	free(gone->patterns);
	building_upstreams_done(&gone->groups);
	free(gone);
}
