/* The directives of the top level that are more than a number. */
#include "config/parts.h"

#include "certs/name.h"

#include <pwd.h>

void config_defaults(struct config *c)
{
	struct arena *a = &c->arena;
	c->state = STR("/var/lib/everseal");
	c->page = STR("127.0.0.1:8007");
	c->page_listen = (struct address){ .host = STR("127.0.0.1"), .port = 8007 };
	c->user = getpwnam("everseal-net") ? STR("everseal-net") : STR("nobody");
	c->access_log.format = STR("off");
	c->rehearsal = true;
	c->challenge_http = 80;
	c->challenge_https = 443;
	const struct str any[] = { STR("0.0.0.0"), STR("::") };
	for (size_t i = 0; i < 2; i++) {
		LIST_PUSH(
		        a, c->http, c->http_count, (struct address){ .host = any[i], .port = 80 });
		LIST_PUSH(a, c->https, c->https_count,
		        (struct address){ .host = any[i], .port = 443 });
	}
}

void config_set_state(struct reader *r, const struct node *n)
{
	const struct word *w = &n->params[0];
	if (!str_starts(w->text, STR("/"))) {
		config_problem(&r->problems, w->at,
		        "\"%.*s\" is not an absolute path: write one that begins with /.",
		        STR_ARG(config_shown(w->text)));
		return;
	}
	struct str path = w->text;
	while (path.n > 1 && str_ends(path, STR("/")))
		path.n--;
	r->c->state = arena_str(&r->c->arena, path);
}

/* An address without a port is a frequent slip: the usual port is offered. */
static bool has_port(struct str text)
{
	return str_starts(text, STR("[")) ? str_from(text, str_find(text, ']')).n > 1
	                                  : str_has(text, ':');
}

static bool read_listener(
        struct reader *r, const struct word *w, uint16_t usual, struct address *ret_address)
{
	struct err err = ERR_INIT;
	uint64_t port;
	if (str_to_u64(w->text, &port) && port > 0 && port <= UINT16_MAX) {
		config_problem(&r->problems, w->at,
		        "%u is a port without an address: write 0.0.0.0:%u for every IPv4 address.",
		        (unsigned)port, (unsigned)port);
		return false;
	}
	if (!config_value_endpoint(&r->c->arena, w->text, usual, ret_address, &err)) {
		config_problem(&r->problems, w->at, "%s", err.text);
		return false;
	}
	if (!has_port(w->text)) {
		config_problem(&r->problems, w->at, "%.*s has no port: write %.*s:%u.",
		        STR_ARG(config_shown(w->text)), STR_ARG(config_shown(w->text)), usual);
		return false;
	}
	ret_address->at = w->at;
	return true;
}

void config_set_proxy_protocol(struct reader *r, const struct node *n)
{
	(void)n;
	r->proxy_protocol = true;
}

static void add_listener(struct reader *r, const struct word *w, uint16_t usual,
        struct address **list, size_t *count)
{
	struct address address;
	if (!read_listener(r, w, usual, &address))
		return;
	address.proxy_protocol = r->proxy_protocol;
	LIST_PUSH(&r->c->arena, *list, *count, address);
}

static void read_listener_block(struct reader *r, const struct node *n)
{
	r->proxy_protocol = false;
	config_rows_read(r, n, SCOPE_LISTENER);
}

void config_set_http(struct reader *r, const struct node *n)
{
	struct config *c = r->c;
	if (c->http_count && !c->http[0].at.line)
		c->http_count = 0;
	read_listener_block(r, n);
	for (size_t i = 0; i < n->param_count; i++)
		add_listener(r, &n->params[i], 80, &c->http, &c->http_count);
}

void config_set_https(struct reader *r, const struct node *n)
{
	struct config *c = r->c;
	if (c->https_count && !c->https[0].at.line)
		c->https_count = 0;
	c->https_set = true;
	read_listener_block(r, n);
	for (size_t i = 0; i < n->param_count; i++)
		add_listener(r, &n->params[i], 443, &c->https, &c->https_count);
}

static bool turns_page_off(struct reader *r, const struct node *n)
{
	if (!str_eq(n->params[0].text, STR("off")))
		return false;
	r->c->page = STR("off");
	r->c->page_listen = (struct address){ .host = STR_NONE, .at = n->params[0].at };
	if (n->param_count > 1)
		config_problem(&r->problems, n->params[1].at,
		        "A page that is off has no name: write `page off`.");
	return true;
}

void config_set_page(struct reader *r, const struct node *n)
{
	struct config *c = r->c;
	struct err err = ERR_INIT;
	struct address address;
	struct name name;
	if (turns_page_off(r, n))
		return;
	if (read_listener(r, &n->params[0], 8007, &address)) {
		c->page = arena_str(&c->arena, n->params[0].text);
		c->page_at = address.at;
		c->page_listen = address;
		c->page_listen.host = arena_str(&c->arena, address.host);
	}
	if (n->param_count < 2)
		return;
	if (name_read_dns(&c->arena, n->params[1].text, /* public_only= */ false, &name, &err))
		c->page_name = name.ascii;
	else
		config_problem(&r->problems, n->params[1].at, "%s", err.text);
}

void config_set_user(struct reader *r, const struct node *n)
{
	const struct word *w = &n->params[0];
	r->c->user = arena_str(&r->c->arena, w->text);
	r->c->user_set = true;
	if (!getpwnam(r->c->user.p))
		config_problem(&r->problems, w->at,
		        "This machine has no user \"%.*s\": create it, or name another.",
		        STR_ARG(config_shown(w->text)));
}

void config_set_resolver(struct reader *r, const struct node *n)
{
	struct config *c = r->c;
	for (size_t i = 0; i < n->param_count; i++) {
		struct err err = ERR_INIT;
		struct address a;
		if (!config_value_endpoint(&r->scratch, n->params[i].text, 53, &a, &err)) {
			config_problem(&r->problems, n->params[i].at, "%s", err.text);
			continue;
		}
		const bool ipv6 = str_has(a.host, ':');
		const struct str text = arena_printf(&c->arena, "%s%.*s%s:%u", ipv6 ? "[" : "",
		        STR_ARG(a.host), ipv6 ? "]" : "", a.port);
		LIST_PUSH(&c->arena, c->resolvers, c->resolver_count, text);
	}
}

void config_set_trusted_proxy(struct reader *r, const struct node *n)
{
	struct config *c = r->c;
	for (size_t i = 0; i < n->param_count; i++) {
		struct err err = ERR_INIT;
		struct str cidr;
		if (config_value_cidr(&c->arena, n->params[i].text, &cidr, &err))
			LIST_PUSH(&c->arena, c->trusted_proxies, c->trusted_proxy_count, cidr);
		else
			config_problem(&r->problems, n->params[i].at, "%s", err.text);
	}
}

static bool is_access_format(struct str word)
{
	return str_eq_c(word, "common") || str_eq_c(word, "combined") || str_eq_c(word, "json");
}

static void turn_access_log_off(struct reader *r, const struct node *n)
{
	if (n->param_count > 1)
		config_problem(
		        &r->problems, n->params[1].at, "Nothing may follow `access-log off`.");
}

void config_set_access_log(struct reader *r, const struct node *n)
{
	struct config_access_log *log = &r->c->access_log;
	const struct word *format = &n->params[0], *path = &n->params[1];
	if (str_eq_c(format->text, "off")) {
		turn_access_log_off(r, n);
		return;
	}
	if (!is_access_format(format->text))
		config_problem(&r->problems, format->at,
		        "\"%.*s\" is no format: write off, common, combined or json.",
		        STR_ARG(config_shown(format->text)));
	else if (n->param_count < 2)
		config_problem(&r->problems, n->name.at,
		        "`access-log` is incomplete: write `access-log %.*s PATH`.",
		        STR_ARG(format->text));
	else if (!str_eq_c(path->text, "stderr") && !str_starts(path->text, STR("/")))
		config_problem(&r->problems, path->at,
		        "\"%.*s\" is neither stderr nor an absolute path.",
		        STR_ARG(config_shown(path->text)));
	else
		*log = (struct config_access_log){ n->name.at,
			arena_str(&r->c->arena, format->text),
			arena_str(&r->c->arena, path->text) };
}

void config_set_site_access_log(struct reader *r, const struct node *n)
{
	if (str_eq_c(n->params[0].text, "off"))
		r->site.unlogged = true;
	else
		config_problem(&r->problems, n->params[0].at,
		        "A site knows `access-log off` alone: where the log is stands at top "
		        "level.");
}

static void read_port(struct reader *r, const struct word *w, uint16_t *ret_port)
{
	uint64_t port;
	if (str_to_u64(w->text, &port) && port > 0 && port <= UINT16_MAX)
		*ret_port = (uint16_t)port;
	else
		config_problem(&r->problems, w->at,
		        "\"%.*s\" is not a port: write a number from 1 to 65535.",
		        STR_ARG(config_shown(w->text)));
}

void config_set_port_http(struct reader *r, const struct node *n)
{
	read_port(r, &n->params[0], &r->c->challenge_http);
}

void config_set_port_https(struct reader *r, const struct node *n)
{
	r->c->challenge_ports_set = true;
	read_port(r, &n->params[0], &r->c->challenge_https);
}

void config_set_challenge_ports(struct reader *r, const struct node *n)
{
	if (!n->block)
		config_problem(&r->problems, n->name.at,
		        "`challenge-ports` is incomplete: write `challenge-ports { http PORT; "
		        "https "
		        "PORT }`.");
	config_rows_read(r, n, SCOPE_PORTS);
}

void config_set_agree(struct reader *r, const struct node *n)
{
	struct err err = ERR_INIT;
	r->agree_at = n->name.at;
	if (!config_value_yes_no(n->params[0].text, &r->c->agree_to_terms, &err))
		config_problem(&r->problems, n->params[0].at, "%s", err.text);
}
