/* What the configuration and the registrations mean, as rows for serve. */
#include "control/control.h"

/* ---- addresses ---- */

static struct binding *binding_at(struct control *c, const struct address *a)
{
	LIST_EACH(n, &c->bindings) {
		struct binding *b = OWNER(n, struct binding, node);
		if (b->port == a->port && str_eq_c(a->host, b->host))
			return b;
	}
	return NULL;
}

static struct binding *want_binding(struct control *c, const struct address *a, bool tls)
{
	struct binding *b = binding_at(c, a);
	if (!b) {
		b = mem_new(struct binding);
		b->id = ++c->last_binding;
		b->host = str_dup(a->host);
		b->port = a->port;
		b->fd = -1;
		list_add_last(&c->bindings, &b->node);
		link_send(&c->supervisor, bind, .id = b->id, .address = a->host, .port = a->port);
	}
	b->wanted = true;
	b->tls = tls;
	return b;
}

struct want_registered {
	struct renew_site_each each;
	struct control *control;
};

static void want_registered(struct renew_site_each *e, const struct renew_site *site)
{
	struct want_registered *w = OWNER(e, struct want_registered, each);
	if (!site->listen.host.n)
		return;
	struct binding *b = want_binding(w->control, &site->listen, /* tls= */ true);
	if (!b->default_name.n)
		b->default_name = site->names[0];
}

void rows_want_bindings(struct control *c, const struct config *config)
{
	LIST_EACH(n, &c->bindings) {
		struct binding *b = OWNER(n, struct binding, node);
		b->wanted = false;
		b->default_name = STR_NONE;
	}
	for (size_t i = 0; i < config->http_count; i++)
		want_binding(c, &config->http[i], /* tls= */ false);
	for (size_t i = 0; i < config->https_count; i++)
		want_binding(c, &config->https[i], /* tls= */ true);
	struct want_registered w = { .each.site = want_registered, .control = c };
	renewals_each_site(c->renewals, &w.each);
}

/* ---- rows ---- */

struct building {
	struct renew_site_each each;
	struct control *control;
	const struct config *config;
	struct rows *rows;
	int64_t last_site;
	uint16_t url_port; /* of sites without a listener of their own */
};

static void add(struct rows *r, const struct msg *m)
{
	if (r->count == r->cap) {
		r->cap = r->cap ? 2 * r->cap : 64;
		r->at = mem_grow(r->at, sizeof *r->at, r->cap);
	}
	r->at[r->count++] = *m;
}
#define ADD(r, name, ...)                                                                          \
	add((r), &(const struct msg){ .type = MSG_##name, .is.name = { ._ = 0, __VA_ARGS__ } })

static void add_listeners(struct building *b)
{
	LIST_EACH(n, &b->control->bindings) {
		struct binding *l = OWNER(n, struct binding, node);
		if (!l->wanted || l->fd < 0)
			continue;
		struct str name = l->default_name.n ? l->default_name : STR("*");
		ADD(b->rows, listener, .id = l->id, .port = l->port, .tls = l->tls, .fd = l->fd,
			.address = arena_str(&b->rows->arena, str_c(l->host)),
			.default_name = arena_str(&b->rows->arena, name));
	}
}

static void add_upstreams(struct building *b, int64_t site, const struct config_site *from)
{
	for (size_t i = 0; i < from->upstream_count; i++) {
		const struct config_upstream *u = &from->upstreams[i];
		ADD(b->rows, site_upstream, .site = site, .port = u->port,
			.address = arena_str(&b->rows->arena, u->host),
			.shown = arena_str(&b->rows->arena, u->shown));
	}
}

static void add_names(struct building *b, int64_t site, const struct str *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ADD(b->rows, site_name, .site = site, .name = arena_str(&b->rows->arena, names[i]));
}

/* A site by its settings; the names and the upstreams are rows of their own. */
static int64_t add_site(struct building *b, struct str name, const struct config_site *s,
                        uint16_t url_port)
{
	const struct hsts *hsts = s->hsts.set ? &s->hsts : &b->config->hsts;
	ADD(b->rows, site, .id = ++b->last_site, .name = arena_str(&b->rows->arena, name),
		.fallback = s->fallback, .kind = s->upstream_count ? SITE_PROXY : SITE_NONE,
		.force_ssl = s->force_ssl_set ? s->force_ssl : b->config->force_ssl,
		.url_port = url_port, .hsts_age = hsts->set ? hsts->max_age : -1,
		.hsts_subdomains = hsts->subdomains, .hsts_preload = hsts->preload,
		.challenge_pass = s->challenge_pass);
	return b->last_site;
}

/* Names that nothing was issued for yet are served with a temporary certificate. */
static void cover(struct control *c, const struct str *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!serving_has(c, names[i])) {
			serving_temporary(c, names, count);
			return;
		}
}

static void add_file_site(struct building *b, const struct config_site *s)
{
	struct str star = STR("*");
	const struct str *names = s->fallback ? &star : s->names;
	size_t count = s->fallback ? 1 : s->name_count;
	int64_t id = add_site(b, names[0], s, b->url_port);
	if (!s->fallback)
		add_names(b, id, names, count);
	add_upstreams(b, id, s);
	cover(b->control, names, count);
}

static const struct config_site *file_site(const struct config *config, struct str name,
                                           const struct config_site **ret_fallback)
{
	for (size_t i = 0; i < config->site_count; i++) {
		const struct config_site *s = &config->sites[i];
		if (s->fallback)
			*ret_fallback = s;
		for (size_t j = 0; j < s->name_count; j++)
			if (str_eq(s->names[j], name))
				return s;
	}
	return NULL;
}

bool rows_registered_site(const struct config *config, const struct renew_site *site,
                          struct config_site *ret_site)
{
	const struct config_site *fallback = NULL;
	if (file_site(config, site->names[0], &fallback))
		return false;
	*ret_site = fallback ? *fallback : (struct config_site){ 0 };
	ret_site->fallback = false;
	ret_site->names = (struct str *)site->names;
	ret_site->name_count = site->name_count;
	if (site->proxy) {
		ret_site->upstreams = (struct config_upstream *)site->proxy;
		ret_site->upstream_count = 1;
	}
	return true;
}

static void add_registered(struct renew_site_each *e, const struct renew_site *site)
{
	struct building *b = OWNER(e, struct building, each);
	struct config_site made;
	cover(b->control, site->names, site->name_count);
	if (!rows_registered_site(b->config, site, &made))
		return;
	uint16_t port = b->url_port;
	if (site->listen.host.n && !b->config->challenge_ports_set)
		port = site->listen.port;
	int64_t id = add_site(b, site->names[0], &made, port);
	add_names(b, id, site->names, site->name_count);
	add_upstreams(b, id, &made);
}

static uint16_t url_port(const struct config *config)
{
	if (config->challenge_ports_set || !config->https_count)
		return config->challenge_https;
	return config->https[0].port;
}

struct rows *rows_build(struct control *c, const struct config *config)
{
	struct building b = {
		.each.site = add_registered,
		.control = c,
		.config = config,
		.rows = mem_new(struct rows),
		.url_port = url_port(config),
	};
	add_listeners(&b);
	for (size_t i = 0; i < config->site_count; i++)
		add_file_site(&b, &config->sites[i]);
	renewals_each_site(c->renewals, &b.each);
	for (size_t i = 0; i < config->limit_count; i++)
		ADD(b.rows, limit, .name = arena_str(&b.rows->arena, str_c(config->limits[i].name)),
			.value = config->limits[i].value);
	for (size_t i = 0; i < config->trusted_proxy_count; i++)
		ADD(b.rows, trusted_proxy,
			.cidr = arena_str(&b.rows->arena, config->trusted_proxies[i]));
	return b.rows;
}
