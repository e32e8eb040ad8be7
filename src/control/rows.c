/* What the configuration and the registrations mean, as rows for serve. */
#include "control/control.h"

#include "base/ip.h"
#include "certs/cert.h"
#include "certs/name.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

enum { SYSTEM_TRUST_MOST = 8 << 20, PIECE = 64 << 10 };

struct building {
	struct control *control;
	const struct config *config;
	const struct sites *sites;
	struct rows *rows;
	int64_t last_site, last_route;
	int64_t last_trust, system_trust; /* 0: none yet */
	struct outside {                  /* names that are addresses, and not private ones */
		struct str name;          /* the last */
		size_t count;
	} four, six;
};

void rows_add(struct rows *r, const struct msg *m)
{
	if (r->count == r->cap) {
		r->cap = r->cap ? 2 * r->cap : 64;
		r->at = mem_grow(r->at, sizeof *r->at, r->cap);
	}
	r->at[r->count++] = *m;
}
#define ADD(r, name, ...)                                                                          \
	rows_add((r), &(const struct msg){ .type = MSG_##name, .is.name = { ._ = 0, __VA_ARGS__ } })

static bool read_whole(const char *file, struct buf *out)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 1;
	while (n > 0) {
		char *room = buf_room(out, PIECE);
		n = room ? read(fd, room, PIECE) : -1;
		if (n > 0)
			buf_grew(out, (size_t)n);
	}
	if (fd >= 0)
		(void)close(fd);
	return n == 0;
}

static struct str keep(struct building *b, struct str text)
{
	return arena_str(&b->rows->arena, text);
}

/* Addresses that the Internet may lead to. */
static void note_address(struct building *b, struct str name)
{
	struct outside *o = str_has(name, ':') ? &b->six : &b->four;
	if (!ip_is(name) || name_is_private(name))
		return;
	o->name = name;
	o->count++;
}

static void note_addresses(struct building *b)
{
	for (size_t i = 0; i < b->sites->count; i++)
		for (size_t k = 0; k < b->sites->at[i].settings.name_count; k++)
			note_address(b, b->sites->at[i].settings.names[k]);
}

/* Clients without SNI get the certificate of the address that they are connected to, which serve
 * looks for itself. Behind a router that is another one than they asked for: then, if it is clear
 * which, that of the address that the Internet knows; else that of `site *`, which stands in the
 * table as "*". */
static struct str default_name(const struct building *b, const struct binding *l)
{
	const struct outside *o = strchr(l->host, ':') ? &b->six : &b->four;
	for (size_t i = 0; i < b->sites->count; i++) {
		const struct served_site *s = &b->sites->at[i];
		if (s->listen.port == l->port && str_eq_c(s->listen.host, l->host))
			return s->default_name;
	}
	return o->count == 1 ? o->name : STR("*");
}

static void add_listeners(struct building *b)
{
	struct control *c = b->control;
	bool all = b->config == c->next_config;
	LIST_EACH (n, &c->bindings) {
		struct binding *l = OWNER(n, struct binding, node);
		if (!l->wanted || l->fd < 0 || (!all && held_back_listener(c, l)))
			continue;
		ADD(b->rows, listener, .id = l->id, .port = l->port, .tls = l->tls,
		        .proxy_protocol = l->proxy_protocol, .address = keep(b, str_c(l->host)),
		        .default_name = keep(b, default_name(b, l)));
	}
}

uint16_t site_url_port(const struct config *config, const struct served_site *s)
{
	if (config->challenge_ports_set)
		return config->challenge_https;
	if (s->listen.host.n)
		return s->listen.port;
	return config->https_count ? config->https[0].port : 443;
}

static void add_names(struct building *b, int64_t site, const struct config_site *s)
{
	for (size_t i = 0; i < s->name_count; i++)
		ADD(b->rows, site_name, .site = site, .name = keep(b, s->names[i]));
}

static void add_patterns(struct building *b, int64_t site, const struct config_site *s)
{
	for (size_t i = 0; i < s->demand.allow_count; i++)
		ADD(b->rows, demand_pattern, .site = site, .pattern = keep(b, s->demand.allow[i]));
}

/* Rows are sent again to a serve that is new: they keep the descriptor. */
static int64_t add_trust(struct building *b, struct str ders)
{
	int fd = memfd_create("trust", MFD_CLOEXEC);
	if (fd < 0 || write(fd, ders.p, ders.n) != (ssize_t)ders.n) {
		log_error(&b->control->log,
		        "The certificates that vouch for applications cannot be handed on: %s",
		        strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return 0;
	}
	ADD(b->rows, trust, .id = ++b->last_trust, .fd = fd);
	return b->last_trust;
}

/* As the system has them, where it has them. */
static int64_t system_trust(struct building *b)
{
	static const char *const files[] = { "/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem" };
	struct err err = ERR_INIT;
	if (b->system_trust)
		return b->system_trust;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		BUF_AUTO pem = BUF(SYSTEM_TRUST_MOST), ders = BUF(SYSTEM_TRUST_MOST);
		if (read_whole(files[i], &pem) && certs_from_pem(buf_str(&pem), &ders, &err))
			return b->system_trust = add_trust(b, buf_str(&ders));
	}
	log_warning(&b->control->log,
	        "This system has no list of certificate authorities (install ca-certificates): "
	        "applications by https:// can only be verified by `trust`.");
	return 0;
}

static int64_t trust_of(struct building *b, const struct config_site *s)
{
	for (size_t i = 0; i < s->upstream_count; i++)
		if (s->upstreams[i].scheme == UPSTREAM_HTTPS)
			return s->proxy.trust.n ? add_trust(b, s->proxy.trust) : system_trust(b);
	return 0;
}

/* Their number is the site's. */
static void add_upstreams(struct building *b, int64_t id, const struct config_site *s)
{
	const struct config_proxy *p = &s->proxy;
	if (!s->upstream_count)
		return;
	ADD(b->rows, upstreams, .id = id, .sticky = keep(b, p->sticky),
	        .health = keep(b, p->health), .trust = trust_of(b, s));
	for (size_t i = 0; i < p->option_count; i++)
		ADD(b->rows, upstreams_option, .upstreams = id,
		        .name = keep(b, str_c(p->options[i].name)), .value = p->options[i].value);
	for (size_t i = 0; i < s->upstream_count; i++) {
		const struct config_upstream *u = &s->upstreams[i];
		ADD(b->rows, upstream, .upstreams = id, .scheme = u->scheme, .port = u->port,
		        .host = resolve_key(&b->rows->arena, u, p), .shown = keep(b, u->shown),
		        .server_name = keep(b, p->server_name.n ? p->server_name : u->server_name),
		        .weight = u->weight ? u->weight : 1);
	}
}

static int64_t add_forward(struct building *b, const struct config_rules *r)
{
	if (!r->forward)
		return 0;
	const struct config_site asked = { .upstreams = r->forward, .upstream_count = 1 };
	add_upstreams(b, ++b->last_site, &asked);
	return b->last_site;
}

static void add_routes(struct building *b, int64_t site, const struct config_site *s)
{
	if (!routes_needed(s))
		return;
	int64_t forward = add_forward(b, &s->rules);
	struct route_ids ids = { .site = site, .route = ++b->last_route, .forward = forward };
	routes_add_own(b->control, b->rows, &ids, s);
	for (size_t i = 0; i < s->route_count; i++) {
		const struct config_route *route = &s->routes[i];
		bool own = route->applications.upstream_count > 0;
		ids.route = ++b->last_route;
		ids.upstreams = own ? ++b->last_site : 0;
		ids.forward = route->rules.forward_set ? add_forward(b, &route->rules) : forward;
		if (own)
			add_upstreams(b, ids.upstreams, &route->applications);
		routes_add(b->control, b->rows, &ids, s, route);
	}
}

static void add_site(struct building *b, const struct served_site *served)
{
	const struct config_site *s = &served->settings;
	const struct hsts *hsts = s->hsts.set ? &s->hsts : &b->config->hsts;
	const struct str star = STR("*"), *names = s->fallback ? &star : s->names;
	int64_t id = ++b->last_site;
	ADD(b->rows, site, .id = id, .name = keep(b, names[0]), .fallback = s->fallback,
	        .kind = s->upstream_count ? SITE_PROXY : SITE_NONE,
	        .force_ssl = s->force_ssl_set ? s->force_ssl : b->config->force_ssl,
	        .url_port = site_url_port(b->config, served),
	        .hsts_age = hsts->set ? hsts->max_age : -1, .hsts_subdomains = hsts->subdomains,
	        .hsts_preload = hsts->preload, .challenge_pass = s->challenge_pass,
	        .unlogged = s->unlogged,
	        .modern_tls = s->tls_policy_set ? s->modern_tls : b->config->modern_tls,
	        .client_ca = keep(b, s->client_ca), .upstreams = s->upstream_count ? id : 0,
	        .on_demand = s->demand.at.line > 0);
	add_names(b, id, s);
	add_patterns(b, id, s);
	add_upstreams(b, id, s);
	add_routes(b, id, s);
	serving_cover(b->control, names, s->fallback ? 1 : s->name_count);
}

static void add_settings(struct building *b)
{
	const struct config *config = b->config;
	for (size_t i = 0; i < config->limit_count; i++)
		ADD(b->rows, limit, .name = keep(b, str_c(config->limits[i].name)),
		        .value = config->limits[i].value);
	ADD(b->rows, access_log, .format = keep(b, config->access_log.format));
	for (size_t i = 0; i < config->trusted_proxy_count; i++)
		ADD(b->rows, trusted_proxy, .cidr = keep(b, config->trusted_proxies[i]));
}

struct rows *rows_build(struct control *c, const struct config *config)
{
	SITES_AUTO sites;
	struct building b = {
		.control = c,
		.config = config,
		.sites = &sites,
		.rows = mem_new(struct rows),
	};
	sites_collect(c, config, &sites);
	note_addresses(&b);
	add_listeners(&b);
	for (size_t i = 0; i < sites.count; i++)
		if (site_has_names(&sites.at[i]))
			add_site(&b, &sites.at[i]);
	add_settings(&b);
	return b.rows;
}

void rows_free(struct rows **r)
{
	if (!*r)
		return;
	config_free(&(*r)->config);
	routes_close_roots(*r);
	for (size_t i = 0; i < (*r)->count; i++)
		if ((*r)->at[i].type == MSG_trust)
			(void)close((*r)->at[i].is.trust.fd);
	free((*r)->at);
	arena_done(&(*r)->arena);
	free(*r);
	*r = NULL;
}
