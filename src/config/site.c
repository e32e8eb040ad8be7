/* A site's block, and the four directives that stand at top level as well as in a site. */
#include "config/parts.h"

#include "base/clock.h"
#include "certs/cert.h"
#include "certs/name.h"

enum { CLIENT_CA_MOST = 48 << 10 }; /* within one message to serve */
enum { NAMES_MOST = 100 }; /* in one certificate: what Let's Encrypt's default profile allows */

static void take_email(struct reader *r, const struct word *w, struct str *ret_email)
{
	struct err err = ERR_INIT;
	struct str email;
	if (email_read(w->text, &email, &err))
		*ret_email = arena_str(&r->c->arena, email);
	else
		config_problem(&r->problems, w->at, "%s", err.text);
}

void config_set_email(struct reader *r, const struct node *n)
{
	take_email(r, &n->params[0], &r->c->email);
}

void config_set_site_email(struct reader *r, const struct node *n)
{
	take_email(r, &n->params[0], &r->site.email);
}

static void take_yes_no(struct reader *r, const struct word *w, bool *ret_value, bool *ret_set)
{
	struct err err = ERR_INIT;
	*ret_set = true;
	if (!config_value_yes_no(w->text, ret_value, &err))
		config_problem(&r->problems, w->at, "%s", err.text);
}

void config_set_force_ssl(struct reader *r, const struct node *n)
{
	take_yes_no(r, &n->params[0], &r->c->force_ssl, &r->c->force_ssl_set);
	r->c->force_ssl_at = n->name.at;
}

void config_set_site_force_ssl(struct reader *r, const struct node *n)
{
	take_yes_no(r, &n->params[0], &r->site.force_ssl, &r->site.force_ssl_set);
	r->site.force_ssl_at = n->name.at;
}

static bool hsts_flag(struct reader *r, const struct word *w, struct hsts *hsts)
{
	bool *flag = str_eq_c(w->text, "include-subdomains") ? &hsts->subdomains
	             : str_eq_c(w->text, "preload")          ? &hsts->preload
	                                                     : NULL;
	if (!flag) {
		config_problem(&r->problems, w->at,
		        "\"%.*s\" is unknown to `hsts`: behind the time may stand "
		        "include-subdomains "
		        "and preload.",
		        STR_ARG(config_shown(w->text)));
		return false;
	}
	*flag = true;
	return true;
}

/* https://hstspreload.org: a year at least, and all subdomains. */
static bool preload_fits(struct reader *r, const struct node *n, const struct hsts *hsts)
{
	if (!hsts->preload || (hsts->subdomains && hsts->max_age >= 365 * DAY / SECOND))
		return true;
	config_problem(&r->problems, n->name.at,
	        "Browsers take no name into their preload list without all of it: write `hsts 1y "
	        "include-subdomains preload`.");
	return false;
}

static void take_hsts(struct reader *r, const struct node *n, struct hsts *ret_hsts)
{
	static const struct setting age = {
		.name = "hsts", .type = SETTING_DURATION, .least = SECOND, .most = 10 * 365 * DAY
	};
	struct hsts hsts = { .set = true, .at = n->name.at };
	struct err err = ERR_INIT;
	int64_t ms = 0;
	if (str_eq_c(n->params[0].text, "off")) {
		if (n->param_count > 1)
			config_problem(
			        &r->problems, n->params[1].at, "Nothing may follow `hsts off`.");
		*ret_hsts = hsts;
		return;
	}
	if (!config_value_bounded(&age, n->params[0].text, &ms, &err)) {
		config_problem(&r->problems, n->params[0].at, "%s", err.text);
		return;
	}
	hsts.max_age = ms / SECOND;
	for (size_t i = 1; i < n->param_count; i++)
		if (!hsts_flag(r, &n->params[i], &hsts))
			return;
	if (preload_fits(r, n, &hsts))
		*ret_hsts = hsts;
}

void config_set_hsts(struct reader *r, const struct node *n)
{
	take_hsts(r, n, &r->c->hsts);
}

void config_set_site_hsts(struct reader *r, const struct node *n)
{
	take_hsts(r, n, &r->site.hsts);
}

static bool read_tls_policy(struct reader *r, const struct word *w)
{
	bool modern = str_eq_c(w->text, "modern");
	if (!modern && !str_eq_c(w->text, "intermediate"))
		config_problem(&r->problems, w->at,
		        "\"%.*s\" is no policy for TLS: write modern or intermediate.",
		        STR_ARG(config_shown(w->text)));
	return modern;
}

void config_set_tls_policy(struct reader *r, const struct node *n)
{
	r->c->modern_tls = read_tls_policy(r, &n->params[0]);
}

void config_set_site_tls_policy(struct reader *r, const struct node *n)
{
	r->site.modern_tls = read_tls_policy(r, &n->params[0]);
	r->site.tls_policy_set = true;
}

void config_set_client_ca(struct reader *r, const struct node *n)
{
	const struct word *w = &n->params[0];
	struct err err = ERR_INIT;
	struct str pem, der[CHAIN_MOST];
	size_t count = 0;
	BUF_AUTO all = BUF_INIT(CLIENT_CA_MOST);
	if (config_value_file(&r->scratch, w->text, 4 * CLIENT_CA_MOST, &pem, &err) &&
	        cert_chain_from_pem(&r->scratch, pem, der, &count, &err)) {
		for (size_t i = 0; i < count; i++)
			buf_add(&all, der[i]);
		if (!buf_ok(&all))
			(void)err_set(&err, ERR_LIMIT, "These certificates are too large.");
	}
	if (err.code)
		config_problem(&r->problems, w->at, "%s", err.text);
	else
		r->site.client_ca = arena_str(&r->c->arena, buf_str(&all));
}

void config_set_site_challenge(struct reader *r, const struct node *n)
{
	if (str_eq_c(n->params[0].text, "pass"))
		r->site.challenge_pass = true;
	else
		config_problem(&r->problems, n->params[0].at,
		        "`challenge` knows one word: write `challenge pass`, or leave the line "
		        "out.");
}

void config_set_site_renew_before(struct reader *r, const struct node *n)
{
	static const struct setting before = {
		.name = "renew-before", .type = SETTING_DURATION, .least = HOUR, .most = 365 * DAY
	};
	struct err err = ERR_INIT;
	r->site.renew_before_at = n->params[0].at;
	if (!config_value_bounded(&before, n->params[0].text, &r->site.renew_before, &err))
		config_problem(&r->problems, n->params[0].at, "%s", err.text);
}

static bool name_is_new(struct reader *r, struct str name, const struct word *w)
{
	struct map_node *found = map_find(&r->site_names, name);
	if (!found) {
		struct site_entry *entry = arena_new(&r->scratch, struct site_entry);
		entry->at = w->at;
		map_add(&r->site_names, name, &entry->node);
		return true;
	}
	const unsigned line = OWNER(found, struct site_entry, node)->at.line;
	if (line == w->at.line)
		config_problem(
		        &r->problems, w->at, "%.*s is named twice.", STR_ARG(config_shown(name)));
	else
		config_problem(&r->problems, w->at,
		        "%.*s has a site already, in line %u: a name belongs to one site.",
		        STR_ARG(config_shown(name)), line);
	return false;
}

static void read_site_name(struct reader *r, const struct node *n, const struct word *w)
{
	struct config_site *s = &r->site;
	struct err err = ERR_INIT;
	struct name name = { .ascii = STR("*") };
	const bool fallback = str_eq_c(w->text, "*");
	if (fallback && n->param_count > 1) {
		config_problem(&r->problems, w->at,
		        "`site *` stands for every name without a site: it takes no other name "
		        "beside "
		        "it.");
		return;
	}
	if (!fallback &&
	        !name_read_wildcard(&r->c->arena, w->text, /* public_only= */ false, &name, &err)) {
		config_problem(&r->problems, w->at, "%s", err.text);
		return;
	}
	if (!name_is_new(r, name.ascii, w))
		return;
	s->fallback |= fallback;
	if (!fallback)
		LIST_PUSH(&r->c->arena, s->names, s->name_count, name.ascii);
}

static bool has_directive(const struct node *n, const char *name)
{
	const struct node *child = n->children;
	while (child && !str_eq_c(child->name.text, name))
		child = child->next;
	return child != NULL;
}

/* DNS alone proves them: the own block of the site says how, or that of the top level. None is
 * ordered where names come on demand. */
static void note_wildcards(struct reader *r, const struct node *n)
{
	if (r->site.dns.at.line || r->site.demand.at.line)
		return;
	for (size_t i = 0; i < n->param_count; i++)
		if (str_starts(n->params[i].text, STR("*.")))
			LIST_PUSH(&r->scratch, r->wildcards, r->wildcard_count,
			        (struct wildcard_use){ n->params[i].text, n->params[i].at });
}

void config_set_site(struct reader *r, const struct node *n)
{
	r->site = (struct config_site){ .at = n->name.at };
	r->rules = &r->site.rules;
	for (size_t i = 0; i < n->param_count; i++)
		read_site_name(r, n, &n->params[i]);
	if (r->site.name_count > NAMES_MOST)
		config_problem(&r->problems, n->name.at,
		        "This site has %zu names, and a certificate holds %d: make several sites "
		        "of it.",
		        r->site.name_count, NAMES_MOST);
	const size_t problems = r->problems.count;
	config_rows_read(r, n, SCOPE_SITE);
	note_wildcards(r, n);
	config_settle_proxy(r, &r->site);
	/* A directive that is wrong may be the one that is missing. */
	if (r->problems.count == problems)
		config_check_actions(r, n, has_directive(n, "proxy"));
	config_show_rules(r, n);
	LIST_PUSH(&r->c->arena, r->c->sites, r->c->site_count, r->site);
}
