/* The blocks `notify`: whom to tell of what happens, and by which way. */
#include "base/url.h"
#include "certs/name.h"
#include "config/parts.h"

#include <unistd.h>

#define PROGRAM_TIMEOUT (60 * INT64_C(1000))
enum { URL_MOST = 2000, SECRET_MOST = 1000 };

static const char *const ways[] = {
#define X(name, text) text,
	CONFIG_NOTIFY_WAYS(X)
#undef X
};
static const char *const levels[] = {
#define X(name, text) text,
	CONFIG_LEVELS(X)
#undef X
};

const char *config_notify_way_name(enum config_notify_way way)
{
	return ways[way];
}

const char *config_level_name(enum config_level level)
{
	return levels[level];
}

/* ---- what stands before the block ---- */

static void read_mail(struct reader *r, const struct word *w)
{
	struct err err = ERR_INIT;
	struct str email;
	if (email_read(w->text, &email, &err))
		r->notify.to = arena_str(&r->c->arena, email);
	else
		config_problem(&r->problems, w->at, "%s", err.text);
}

/* Plain http to another machine is refused by the process that asks, too. */
static void read_webhook(struct reader *r, const struct word *w)
{
	struct err err = ERR_INIT;
	struct url url = { 0 };
	if (!url_parse(w->text, &url, &err))
		config_problem(&r->problems, w->at, "%s", err.text);
	else if (!url.https && !str_eq_c(url.host, "localhost") &&
	         !str_starts(url.host, STR("127.")) && !str_eq_c(url.host, "::1"))
		config_problem(&r->problems, w->at,
		        "A webhook is called by https: plain http is for a server on this "
		        "machine.");
	else if (w->text.n > URL_MOST)
		config_problem(&r->problems, w->at, "A URL has at most %d characters.", URL_MOST);
	else
		r->notify.to = arena_str(&r->c->arena, w->text);
	if (url.host.n)
		r->notify.shown = arena_str(&r->c->arena, url.host);
}

static void read_program(struct reader *r, const struct node *n)
{
	r->notify.argc = config_program_words(r, n, /* from= */ 1, &r->notify.argv);
	r->notify.to = r->notify.argv[0];
}

static bool read_way(struct reader *r, const struct word *w)
{
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
		if (str_eq_c(w->text, ways[i])) {
			r->notify.way = (enum config_notify_way)i;
			return true;
		}
	config_problem(&r->problems, w->at,
	        "\"%.*s\" is no way to tell anybody: write mail, webhook or program.",
	        STR_ARG(config_shown(w->text)));
	return false;
}

static void read_target(struct reader *r, const struct node *n)
{
	const bool one = r->notify.way != CONFIG_NOTIFY_PROGRAM;
	if (one && n->param_count > 2)
		config_problem(&r->problems, n->params[2].at,
		        "\"%.*s\" is one word too many: what else there is to say stands in "
		        "the block.",
		        STR_ARG(config_shown(n->params[2].text)));
	else if (r->notify.way == CONFIG_NOTIFY_MAIL)
		read_mail(r, &n->params[1]);
	else if (r->notify.way == CONFIG_NOTIFY_WEBHOOK)
		read_webhook(r, &n->params[1]);
	else
		read_program(r, n);
}

/* ---- the block ---- */

void config_set_notify_server(struct reader *r, const struct node *n)
{
	const struct word *w = &n->params[0];
	const struct str tls = STR("smtps://"), plain = STR("smtp://");
	const bool by_tls = str_starts(w->text, tls);
	struct err err = ERR_INIT;
	struct str host, rest = str_from(w->text, by_tls ? tls.n : plain.n);
	uint16_t port;
	if (!by_tls && !str_starts(w->text, plain)) {
		config_problem(&r->problems, w->at,
		        "A mail server is written smtps://HOST[:PORT] (TLS from the start) or "
		        "smtp://HOST[:PORT] (STARTTLS).");
		return;
	}
	if (str_ends(rest, STR("/")))
		rest.n--;
	if (!url_parse_hostport(rest, by_tls ? 465 : 587, &host, &port, &err)) {
		config_problem(&r->problems, w->at, "%s", err.text);
		return;
	}
	const bool six = str_has(host, ':');
	r->notify.server = arena_printf(&r->c->arena, "%s%s%.*s%s:%u", by_tls ? tls.p : plain.p,
	        six ? "[" : "", STR_ARG(host), six ? "]" : "", port);
}

void config_set_notify_from(struct reader *r, const struct node *n)
{
	struct err err = ERR_INIT;
	struct str email;
	if (email_read(n->params[0].text, &email, &err))
		r->notify.from = arena_str(&r->c->arena, email);
	else
		config_problem(&r->problems, n->params[0].at, "%s", err.text);
}

/* One line: it travels as one. */
static void read_secret(
        struct reader *r, const struct word *w, const char *what, struct str *ret_secret)
{
	struct err err = ERR_INIT;
	struct str secret;
	if (!config_value_secret(&r->c->arena, w->text, what, &secret, &err))
		config_problem(&r->problems, w->at, "%s", err.text);
	else if (!secret.n || secret.n > SECRET_MOST || str_has(secret, '\n') ||
	         str_has(secret, '\r') || str_has(secret, '\0'))
		config_problem(&r->problems, w->at, "The %s has 1 to %d characters on one line.",
		        what, SECRET_MOST);
	else
		*ret_secret = secret;
}

void config_set_notify_user(struct reader *r, const struct node *n)
{
	read_secret(r, &n->params[0], "user", &r->notify.user);
	read_secret(r, &n->params[1], "password", &r->notify.password);
}

void config_set_notify_secret(struct reader *r, const struct node *n)
{
	read_secret(r, &n->params[0], "secret", &r->notify.secret);
}

void config_set_notify_trust(struct reader *r, const struct node *n)
{
	config_read_trust(r, &n->params[0], &r->notify.trust);
}

void config_set_notify_run_as(struct reader *r, const struct node *n)
{
	config_find_user(r, &n->params[0], &r->notify.run_as);
}

void config_set_notify_timeout(struct reader *r, const struct node *n)
{
	struct err err = ERR_INIT;
	const struct setting s = {
		.name = "timeout", .type = SETTING_DURATION, .least = 1000, .most = 60 * 60 * 1000
	};
	if (!config_value_bounded(&s, n->params[0].text, &r->notify.timeout, &err))
		config_problem(&r->problems, n->params[0].at, "%s", err.text);
}

void config_set_notify_level(struct reader *r, const struct node *n)
{
	for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
		if (str_eq_c(n->params[0].text, levels[i])) {
			r->notify.level = (enum config_level)i;
			return;
		}
	config_problem(&r->problems, n->params[0].at,
	        "\"%.*s\" is no level: write info, warning or problem.",
	        STR_ARG(config_shown(n->params[0].text)));
}

/* ---- the whole ---- */

/* Which way each directive of the block belongs to; those of no way belong to all. */
static const struct {
	const char *name;
	bool of[CONFIG_NOTIFY_WAY_COUNT], needed;
} belongs[] = {
	{ "server", { [CONFIG_NOTIFY_MAIL] = true }, true },
	{ "from", { [CONFIG_NOTIFY_MAIL] = true }, true },
	{ "user", { [CONFIG_NOTIFY_MAIL] = true }, false },
	{ "secret", { [CONFIG_NOTIFY_WEBHOOK] = true }, true },
	{ "trust", { [CONFIG_NOTIFY_MAIL] = true, [CONFIG_NOTIFY_WEBHOOK] = true }, false },
	{ "run-as", { [CONFIG_NOTIFY_PROGRAM] = true }, false },
	{ "timeout", { [CONFIG_NOTIFY_PROGRAM] = true }, false },
};

static const struct node *child_of(const struct node *n, const char *name)
{
	const struct node *child = n->children;
	while (child && !str_eq_c(child->name.text, name))
		child = child->next;
	return child;
}

static void check_block(struct reader *r, const struct node *n)
{
	const enum config_notify_way way = r->notify.way;
	for (size_t i = 0; i < sizeof belongs / sizeof *belongs; i++) {
		const struct node *child = child_of(n, belongs[i].name);
		if (child && !belongs[i].of[way])
			config_problem(&r->problems, child->name.at, "`%s` says nothing to a %s.",
			        belongs[i].name, ways[way]);
		if (!child && belongs[i].of[way] && belongs[i].needed)
			config_problem(&r->problems, n->name.at,
			        "This `notify %s` has no `%s`: add it to the block.", ways[way],
			        belongs[i].name);
	}
	if (way == CONFIG_NOTIFY_PROGRAM && !r->notify.run_as.name.n && geteuid() == 0)
		config_problem(&r->problems, n->name.at,
		        "Everseal is started by root, and so would be the program: say who it "
		        "runs as by `run-as USER`.");
}

void config_set_notify(struct reader *r, const struct node *n)
{
	const size_t before = r->problems.count;
	r->notify = (struct config_notify){
		.at = n->name.at, .timeout = PROGRAM_TIMEOUT, .run_as = { .uid = -1, .gid = -1 }
	};
	if (!read_way(r, &n->params[0]))
		return;
	read_target(r, n);
	config_rows_read(r, n, SCOPE_NOTIFY);
	if (r->problems.count > before)
		return;
	check_block(r, n);
	if (!r->notify.shown.p)
		r->notify.shown = r->notify.to;
	LIST_PUSH(&r->c->arena, r->c->notify, r->c->notify_count, r->notify);
}
