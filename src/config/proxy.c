/* `proxy` in a site: its applications, and how they share the work. */
#include "config/parts.h"

#include "certs/cert.h"
#include "certs/name.h"

enum { TRUST_MOST = 1 << 20, HEALTH_MOST = 1024, COOKIE_MOST = 64, WEIGHT_MOST = 1000 };

static bool is_new(struct reader *r, const struct word *w, const struct config_upstream *u)
{
	const struct config_site *s = &r->site;
	for (size_t i = 0; i < s->upstream_count; i++) {
		if (!config_same_upstream(&s->upstreams[i], u))
			continue;
		config_problem(&r->problems, w->at, "%.*s is named twice.",
		        STR_ARG(config_shown(w->text)));
		return false;
	}
	return true;
}

static void read_upstreams(struct reader *r, const struct node *n)
{
	struct config_site *s = &r->site;
	for (size_t i = 0; i < n->param_count; i++) {
		const struct word *w = &n->params[i];
		struct err err = ERR_INIT;
		struct config_upstream u;
		if (!config_value_upstream(&r->c->arena, w->text, &u, &err) ||
		        !config_upstream_is_somewhere(&u, &err))
			config_problem(&r->problems, w->at, "%s", err.text);
		else if (is_new(r, w, &u))
			LIST_PUSH(&r->c->arena, s->upstreams, s->upstream_count, u);
	}
}

/* Several lines name one group; what is said of the group stands in one place. */
void config_set_proxy(struct reader *r, const struct node *n)
{
	struct config_at *at = &r->site.proxy.at;
	read_upstreams(r, n);
	if (!n->block)
		return;
	if (at->line) {
		config_problem(&r->problems, n->block_at,
		        "What is said of this site's applications stands in line %u already: put "
		        "it all there.",
		        at->line);
		return;
	}
	*at = n->name.at;
	config_rows_read(r, n, SCOPE_PROXY);
}

void config_set_weight(struct reader *r, const struct node *n)
{
	static const struct setting weight = {
		.name = "weight", .type = SETTING_COUNT, .least = 1, .most = WEIGHT_MOST
	};
	struct config_proxy *p = &r->site.proxy;
	struct config_weight w = { .at = n->params[0].at };
	struct err err = ERR_INIT;
	w.upstream = arena_str(&r->c->arena, n->params[0].text);
	if (!config_value_bounded(&weight, n->params[1].text, &w.weight, &err))
		config_problem(&r->problems, n->params[1].at, "%s", err.text);
	else
		LIST_PUSH(&r->c->arena, p->weights, p->weight_count, w);
}

static struct config_upstream *named(struct reader *r, struct config_site *s, struct str text)
{
	struct config_upstream u;
	struct err err = ERR_INIT;
	if (!config_value_upstream(&r->scratch, text, &u, &err))
		return NULL;
	for (size_t i = 0; i < s->upstream_count; i++)
		if (config_same_upstream(&s->upstreams[i], &u))
			return &s->upstreams[i];
	return NULL;
}

static void settle_weights(struct reader *r, struct config_site *s)
{
	for (size_t i = 0; i < s->proxy.weight_count; i++) {
		const struct config_weight *w = &s->proxy.weights[i];
		struct config_upstream *u = named(r, s, w->upstream);
		if (!u)
			config_problem(&r->problems, w->at,
			        "%.*s is none of the applications that `proxy` names here.",
			        STR_ARG(config_shown(w->upstream)));
		else if (u->weight)
			config_problem(&r->problems, w->at, "%.*s has a weight already.",
			        STR_ARG(config_shown(w->upstream)));
		else
			u->weight = (unsigned)w->weight;
	}
}

/* Nobody shows a certificate there: who wrote this believes that the way is protected. */
static void refuse_without_https(struct reader *r, struct config_at at, const char *directive)
{
	if (at.line)
		config_problem(&r->problems, at,
		        "`%s` stands for nothing here: none of these applications is asked by "
		        "HTTPS. Write https:// before those that speak it, or leave `%s` out.",
		        directive, directive);
}

static void check_https(struct reader *r, const struct config_site *s)
{
	for (size_t i = 0; i < s->upstream_count; i++)
		if (s->upstreams[i].scheme == UPSTREAM_HTTPS)
			return;
	if (s->upstream_count == 0)
		return;
	refuse_without_https(r, s->proxy.trust_at, "trust");
	refuse_without_https(r, s->proxy.server_name_at, "server-name");
}

void config_settle_proxy(struct reader *r, struct config_site *s)
{
	settle_weights(r, s);
	check_https(r, s);
}

/* RFC 6265 4.1.1: a token. */
static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		        (!c || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return s.n > 0 && s.n <= COOKIE_MOST;
}

void config_set_sticky(struct reader *r, const struct node *n)
{
	const struct word *w = &n->params[0];
	if (is_token(w->text))
		r->site.proxy.sticky = arena_str(&r->c->arena, w->text);
	else
		config_problem(&r->problems, w->at,
		        "\"%.*s\" cannot name a cookie: write one word of letters and digits.",
		        STR_ARG(config_shown(w->text)));
}

void config_set_server_name(struct reader *r, const struct node *n)
{
	const struct word *w = &n->params[0];
	struct err err = ERR_INIT;
	struct name name;
	if (name_read_dns(&r->c->arena, w->text, /* public_only= */ false, &name, &err))
		r->site.proxy.server_name = name.ascii;
	else
		config_problem(&r->problems, w->at, "%s", err.text);
	r->site.proxy.server_name_at = n->name.at;
}

void config_set_upstream_trust(struct reader *r, const struct node *n)
{
	const struct word *w = &n->params[0];
	BUF_AUTO ders = BUF_INIT(TRUST_MOST);
	struct err err = ERR_INIT;
	struct str pem;
	if (!config_value_file(&r->scratch, w->text, TRUST_MOST, &pem, &err))
		config_problem(&r->problems, w->at, "%s", err.text);
	else if (!certs_from_pem(pem, &ders, &err))
		config_problem(&r->problems, w->at, "\"%.*s\" is of no use: %s",
		        STR_ARG(config_shown(w->text)), err.text);
	else
		r->site.proxy.trust = arena_str(&r->c->arena, buf_str(&ders));
	r->site.proxy.trust_at = n->name.at;
}

/* The version goes as a number, as every option does. */
void config_set_send_proxy(struct reader *r, const struct node *n)
{
	const struct word *w = &n->params[0];
	struct config_proxy *p = &r->site.proxy;
	struct config_limit option = { .name = "send-proxy" };
	option.value = str_eq(w->text, STR("v1")) ? 1 : str_eq(w->text, STR("v2")) ? 2 : 0;
	if (option.value)
		LIST_PUSH(&r->c->arena, p->options, p->option_count, option);
	else
		config_problem(&r->problems, w->at,
		        "\"%.*s\" is no version of the PROXY protocol: write v1 or v2.",
		        STR_ARG(config_shown(w->text)));
}

static bool is_path(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '#')
			return false;
	return str_starts(s, STR("/")) && s.n <= HEALTH_MOST;
}

void config_set_health(struct reader *r, const struct node *n)
{
	const struct word *w = &n->params[0];
	if (is_path(w->text))
		r->site.proxy.health = arena_str(&r->c->arena, w->text);
	else
		config_problem(&r->problems, w->at,
		        "\"%.*s\" is not a path to ask for: write one such as /health.",
		        STR_ARG(config_shown(w->text)));
	config_rows_read(r, n, SCOPE_HEALTH);
}

void config_set_option(struct reader *r, const struct setting *s, const struct word *w)
{
	struct config_proxy *p = &r->site.proxy;
	struct config_limit option = { .name = s->name };
	struct err err = ERR_INIT;
	if (config_value_bounded(s, w->text, &option.value, &err))
		LIST_PUSH(&r->c->arena, p->options, p->option_count, option);
	else
		config_problem(&r->problems, w->at, "%s", err.text);
}
