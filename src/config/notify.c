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

/* ---- what may stand where, for whoever reads it: the file, or what keeps others ---- */

static bool read_mail(struct arena *a, struct str text, struct config_notify *n, struct err *err)
{
	struct str email;
	if (!email_read(text, &email, err))
		return false;
	n->to = n->shown = arena_str(a, email);
	return true;
}

/* Plain http to another machine is refused by the process that asks, too. The fragment, if there is
 * one, is never sent. */
static bool read_webhook(struct arena *a, struct str text, struct config_notify *n, struct err *err)
{
	struct url url = { 0 };
	if (!url_parse(text, &url, err))
		return false;
	if (!url.https && !url_is_loopback(&url))
		return err_set(err, ERR_INPUT,
		        "A webhook is called by https: plain http is for a server on this "
		        "machine.");
	if (text.n > URL_MOST)
		return err_set(err, ERR_INPUT, "A URL has at most %d characters.", URL_MOST);
	n->to = arena_str(a, str_head(text, str_find(text, '#')));
	n->shown = arena_str(a, url.host);
	return true;
}

bool config_notify_read_to(
        struct arena *a, struct str text, struct config_notify *n, struct err *err)
{
	CHECK(n->way != CONFIG_NOTIFY_PROGRAM);
	return n->way == CONFIG_NOTIFY_MAIL ? read_mail(a, text, n, err)
	                                    : read_webhook(a, text, n, err);
}

bool config_notify_read_server(
        struct arena *a, struct str text, struct str *ret_server, struct err *err)
{
	const struct str tls = STR("smtps://"), plain = STR("smtp://");
	const bool by_tls = str_starts(text, tls);
	struct str host, rest = str_from(text, by_tls ? tls.n : plain.n);
	uint16_t port;
	if (!by_tls && !str_starts(text, plain))
		return err_set(err, ERR_INPUT,
		        "A mail server is written smtps://HOST[:PORT] (TLS from the start) or "
		        "smtp://HOST[:PORT] (STARTTLS).");
	if (str_ends(rest, STR("/")))
		rest.n--;
	if (!url_parse_hostport(rest, by_tls ? 465 : 587, &host, &port, err))
		return false;
	const bool six = str_has(host, ':');
	*ret_server = arena_printf(a, "%s%s%.*s%s:%u", by_tls ? tls.p : plain.p, six ? "[" : "",
	        STR_ARG(host), six ? "]" : "", port);
	return true;
}

/* One line: it travels as one. */
bool config_notify_check_line(struct str text, const char *what, struct err *err)
{
	if (text.n && text.n <= SECRET_MOST && !str_has(text, '\n') && !str_has(text, '\r') &&
	        !str_has(text, '\0'))
		return true;
	return err_set(
	        err, ERR_INPUT, "The %s has 1 to %d characters on one line.", what, SECRET_MOST);
}

bool config_notify_way_from_name(struct str name, enum config_notify_way *ret_way)
{
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
		if (str_eq_c(name, ways[i])) {
			*ret_way = (enum config_notify_way)i;
			return true;
		}
	return false;
}

bool config_level_from_name(struct str name, enum config_level *ret_level)
{
	for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
		if (str_eq_c(name, levels[i])) {
			*ret_level = (enum config_level)i;
			return true;
		}
	return false;
}

/* ---- what stands before the block ---- */

static void read_program(struct reader *r, const struct node *n)
{
	r->notify.argc = config_program_words(r, n, /* from= */ 1, &r->notify.argv);
	r->notify.to = r->notify.argv[0];
}

static bool read_way(struct reader *r, const struct word *w)
{
	if (config_notify_way_from_name(w->text, &r->notify.way))
		return true;
	config_problem(&r->problems, w->at,
	        "\"%.*s\" is no way to tell anybody: write mail, webhook or program.",
	        STR_ARG(config_shown(w->text)));
	return false;
}

static void read_target(struct reader *r, const struct node *n)
{
	const bool one = r->notify.way != CONFIG_NOTIFY_PROGRAM;
	struct err err = ERR_INIT;
	if (one && n->param_count > 2)
		config_problem(&r->problems, n->params[2].at,
		        "\"%.*s\" is one word too many: what else there is to say stands in "
		        "the block.",
		        STR_ARG(config_shown(n->params[2].text)));
	else if (!one)
		read_program(r, n);
	else if (!config_notify_read_to(&r->c->arena, n->params[1].text, &r->notify, &err))
		config_problem(&r->problems, n->params[1].at, "%s", err.text);
}

/* ---- the block ---- */

void config_set_notify_server(struct reader *r, const struct node *n)
{
	const struct word *w = &n->params[0];
	struct err err = ERR_INIT;
	if (!config_notify_read_server(&r->c->arena, w->text, &r->notify.server, &err))
		config_problem(&r->problems, w->at, "%s", err.text);
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

static void read_secret(
        struct reader *r, const struct word *w, const char *what, struct str *ret_secret)
{
	struct err err = ERR_INIT;
	struct str secret;
	if (config_value_secret(&r->c->arena, w->text, what, &secret, &err) &&
	        config_notify_check_line(secret, what, &err))
		*ret_secret = secret;
	else
		config_problem(&r->problems, w->at, "%s", err.text);
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
	if (!config_level_from_name(n->params[0].text, &r->notify.level))
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
