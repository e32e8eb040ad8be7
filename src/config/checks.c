/* What only the whole file can tell. */
#include "config/parts.h"

#include "certs/name.h"

#include <stdlib.h>

static bool ipv6(const struct address *a)
{
	return str_has(a->host, ':');
}

static bool is_any(const struct address *a)
{
	return str_eq_c(a->host, "0.0.0.0") || str_eq_c(a->host, "::");
}

/* [::] is IPv6 only: it stands beside 0.0.0.0. */
static bool overlap(const struct address *a, const struct address *b)
{
	return a->port == b->port && ipv6(a) == ipv6(b) &&
	       (is_any(a) || is_any(b) || str_eq(a->host, b->host));
}

struct listener {
	const char *directive;
	const struct address *address;
};

static bool later(const struct address *a, const struct address *b)
{
	return a->at.line != b->at.line ? a->at.line > b->at.line : a->at.column > b->at.column;
}

static void refuse_overlap(struct reader *r, const struct listener *a, const struct listener *b)
{
	const bool second = later(b->address, a->address);
	const struct listener *late = second ? b : a, *early = second ? a : b;
	const struct address *la = late->address, *ea = early->address;
	const char *open = ipv6(ea) ? "[" : "", *close = ipv6(ea) ? "]" : "";
	if (ea->at.line)
		config_problem(&r->problems, la->at,
		        "Port %u is taken already, by `%s %s%.*s%s:%u` in line %u.", la->port,
		        early->directive, open, STR_ARG(ea->host), close, ea->port, ea->at.line);
	else
		config_problem(&r->problems, la->at,
		        "Port %u is taken already, by the default `%s %s%.*s%s:%u`: give `%s` a "
		        "line of "
		        "its own.",
		        la->port, early->directive, open, STR_ARG(ea->host), close, ea->port,
		        early->directive);
}

static void check_ports(struct reader *r)
{
	const struct config *c = r->c;
	struct listener *all = NULL;
	struct arena *a = &r->scratch;
	struct err err = ERR_INIT;
	struct address page;
	size_t count = 0;
	for (size_t i = 0; i < c->http_count; i++)
		LIST_PUSH(a, all, count, (struct listener){ "http", &c->http[i] });
	for (size_t i = 0; i < c->https_count; i++)
		LIST_PUSH(a, all, count, (struct listener){ "https", &c->https[i] });
	if (c->page_at.line && config_value_endpoint(a, c->page, 0, &page, &err)) {
		page.at = c->page_at;
		LIST_PUSH(a, all, count, (struct listener){ "page", &page });
	}
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			if (overlap(all[i].address, all[j].address)) {
				refuse_overlap(r, &all[i], &all[j]);
				break;
			}
}

static void check_issuers(struct reader *r)
{
	for (size_t i = 0; i < r->use_count; i++) {
		const struct issuer_use *use = &r->uses[i];
		if (config_issuer(r->c, use->name))
			continue;
		BUF_AUTO known = BUF_INIT(400);
		for (size_t j = 0; j < r->c->issuer_count; j++)
			buf_printf(&known, "%s%.*s", j ? ", " : "", STR_ARG(r->c->issuers[j].name));
		config_problem(&r->problems, use->at,
		        "There is no issuer \"%.*s\": known are %s; others need `issuer NAME { "
		        "directory URL }` at top level.",
		        STR_ARG(config_shown(use->name)), buf_c(&known));
	}
}

/* Of those that are built in, only our own authority issues for names that nobody can reach. */
static const char *const public_issuers[] = { "letsencrypt", "letsencrypt-staging", "zerossl",
	"google", "buypass" };

static bool is_public(struct str issuer)
{
	for (size_t i = 0; i < sizeof public_issuers / sizeof *public_issuers; i++)
		if (str_eq_c(issuer, public_issuers[i]))
			return true;
	return false;
}

static void check_private_names(
        struct reader *r, const struct config_site *s, const struct config_making *m)
{
	for (size_t i = 0; i < m->issuer_count; i++)
		for (size_t n = 0; n < s->name_count && is_public(m->issuers[i]); n++) {
			if (!name_is_private(s->names[n]))
				continue;
			config_problem(&r->problems, s->at,
			        "%.*s issues nothing for %.*s, which no authority can reach from "
			        "outside: give the site `issuer internal`, or an authority of "
			        "your own.",
			        STR_ARG(m->issuers[i]), STR_ARG(config_shown(s->names[n])));
			return;
		}
}

/* Where the site names none, the file's are asked once it gets a certificate by itself. */
static void check_private(struct reader *r)
{
	const struct config *c = r->c;
	for (size_t i = 0; i < c->site_count; i++) {
		const struct config_site *s = &c->sites[i];
		const bool by_itself = c->agree_to_terms && (s->email.p || c->email.p);
		if (s->making.issuer_count)
			check_private_names(r, s, &s->making);
		else if (by_itself)
			check_private_names(r, s, &c->making);
	}
}

static void check_terms(struct reader *r)
{
	const struct config *c = r->c;
	bool email = c->email.p != NULL;
	for (size_t i = 0; i < c->site_count; i++)
		email |= c->sites[i].email.p != NULL;
	if (c->agree_to_terms && !email)
		config_problem(&r->problems, r->agree_at,
		        "`agree-to-terms yes` needs an `email MAIL` beside it.");
}

static const struct address *with_proxy_protocol(const struct address *a, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (a[i].proxy_protocol)
			return &a[i];
	return NULL;
}

static void check_proxy_protocol(struct reader *r)
{
	const struct config *c = r->c;
	const struct address *a = with_proxy_protocol(c->http, c->http_count);
	if (!a)
		a = with_proxy_protocol(c->https, c->https_count);
	if (a && !c->trusted_proxy_count)
		config_problem(&r->problems, a->at,
		        "`proxy-protocol` believes what a proxy says, and no proxy is trusted: add "
		        "`trusted-proxy ADDRESS`.");
}

static void check_page_name(struct reader *r)
{
	struct map_node *site = map_find(&r->site_names, r->c->page_name);
	if (r->c->page_name.p && site)
		config_problem(&r->problems, OWNER(site, struct site_entry, node)->at,
		        "%.*s is the page's name: a site needs another, since the page shares its "
		        "origin with nobody.",
		        STR_ARG(config_shown(r->c->page_name)));
}

/* The site's own wins. */
static void inherit(struct config *c)
{
	for (size_t i = 0; i < c->site_count; i++) {
		struct config_site *s = &c->sites[i];
		if (!s->email.p)
			s->email = c->email;
		if (!s->hsts.set)
			s->hsts = c->hsts;
		if (!s->tls_policy_set)
			s->modern_tls = c->modern_tls;
		if (!s->force_ssl_set) {
			s->force_ssl = c->force_ssl;
			s->force_ssl_set = c->force_ssl_set;
			s->force_ssl_at = c->force_ssl_at;
		}
	}
}

static void check_wildcards(struct reader *r)
{
	for (size_t i = 0; i < r->wildcard_count && !r->c->dns.at.line; i++) {
		struct name name;
		struct err err = ERR_INIT;
		if (!name_read(&r->scratch, r->wildcards[i].name, /* public_only= */ false, &name,
		            &err))
			config_problem(&r->problems, r->wildcards[i].at, "%s", err.text);
	}
}

static void check_demands(struct reader *r)
{
	for (size_t i = 0; i < r->c->site_count; i++)
		config_check_demand(r, &r->c->sites[i]);
}

/* Without symbolic links, as far as it is there. */
static struct str real_path(struct arena *a, struct str path)
{
	char *real = realpath(arena_str(a, path).p, NULL);
	struct str found = real ? arena_str(a, str_c(real)) : path;
	free(real);
	return found;
}

static bool lies_in(struct str path, struct str directory)
{
	while (str_ends(directory, STR("/")))
		directory.n--;
	return str_starts(path, directory) && (path.n == directory.n || path.p[directory.n] == '/');
}

static struct str directory_of(struct str file)
{
	while (file.n > 1 && file.p[file.n - 1] != '/')
		file.n--;
	return file;
}

/* Where Everseal runs without root, serve could read in it whatever it is led to. */
static void check_state(struct reader *r)
{
	const struct config_access_log *log = &r->c->access_log;
	struct arena *a = &r->scratch;
	struct str state = real_path(a, r->c->state);
	for (size_t i = 0; i < r->root_count; i++) {
		struct str root = real_path(a, r->roots[i].directory);
		if (lies_in(root, state) || lies_in(state, root))
			config_problem(&r->problems, r->roots[i].at,
			        "Visitors would be shown the state directory %.*s, where the keys "
			        "are: name a directory that neither holds it nor lies in it.",
			        STR_ARG(config_shown(r->c->state)));
	}
	if (log->path.n && lies_in(real_path(a, directory_of(log->path)), state))
		config_problem(&r->problems, log->at,
		        "The access log would be written into the state directory %.*s, which "
		        "is Everseal's own: name a file elsewhere.",
		        STR_ARG(config_shown(r->c->state)));
}

void config_check(struct reader *r)
{
	check_state(r);
	check_wildcards(r);
	check_ports(r);
	check_issuers(r);
	check_terms(r);
	check_page_name(r);
	check_proxy_protocol(r);
	if (!r->c->making.issuer_count && r->first_issuer.p)
		LIST_PUSH(&r->c->arena, r->c->making.issuers, r->c->making.issuer_count,
		        arena_str(&r->c->arena, r->first_issuer));
	check_private(r);
	config_inherit_making(r->c);
	inherit(r->c);
	check_demands(r);
}
