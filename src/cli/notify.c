/* everseal notify add|set|list|remove|test */
#include "cli/certificate.h"
#include "cli/client.h"
#include "cli/secret.h"
#include "cli/show.h"

enum { SECRET_MOST = 1024, URL_MOST = 2048, BODY_MOST = 16 << 10 };

/* ---- add, set, remove ---- */

static bool needs_operand(const struct command *c, const char *what, struct err *err)
{
	return c->operand_count || err_set(err, ERR_INPUT, "Say %s; see `everseal help %s`.", what,
	                                   verbs[c->verb].words);
}

static struct str path_of(struct command *c)
{
	return arena_printf(
	        &c->arena, "/api/notify/targets/%.*s", STR_ARG(command_escaped(c, c->operands[0])));
}

static void write_given(const struct command *c, struct json_writer *w)
{
	static const struct {
		enum option option;
		const char *member;
	} given[] = { { OPTION_SERVER, "server" }, { OPTION_FROM, "from" }, { OPTION_USER, "user" },
		{ OPTION_LEVEL, "level" } };
	for (size_t i = 0; i < sizeof given / sizeof *given; i++)
		if (command_has(c, given[i].option))
			json_write_text(w, given[i].member, command_value(c, given[i].option));
}

/* `member` is its word, too: "secret" of a webhook, "password" at a mail server. */
static bool write_secret(
        struct json_writer *w, const char *member, const char *whom, struct err *err)
{
	BUF_AUTO secret = BUF_SECRET_INIT(SECRET_MOST);
	if (!secret_ask(member, whom, &secret, err))
		return false;
	json_write_text(w, member, buf_str(&secret));
	return true;
}

/* "-": asked for, since others see what is among the arguments, and it may hold a token. */
static bool read_to(struct str *to, struct buf *typed, struct err *err)
{
	if (!str_eq_c(*to, "-"))
		return true;
	if (!secret_ask("URL", "this webhook", typed, err))
		return false;
	*to = buf_str(typed);
	return true;
}

static bool write_added(const struct command *c, struct buf *body, struct err *err)
{
	struct json_writer w;
	struct str to = c->operands[0];
	BUF_AUTO typed = BUF_SECRET_INIT(URL_MOST);
	if (!read_to(&to, &typed, err))
		return false;
	const bool webhook = memmem(to.p, to.n, "://", 3);
	json_write_init(&w, body);
	json_write_object(&w, NULL);
	json_write_c(&w, "way", webhook ? "webhook" : "mail");
	json_write_text(&w, "to", to);
	write_given(c, &w);
	if (webhook ? !write_secret(&w, "secret", "this webhook", err)
	            : command_value(c, OPTION_USER).n &&
	                        !write_secret(&w, "password", c->values[OPTION_USER], err))
		return false;
	json_write_end(&w);
	return true;
}

int command_notify_add(struct command *c)
{
	struct err err = ERR_INIT;
	BUF_AUTO body = BUF_SECRET_INIT(BODY_MOST);
	if (!needs_operand(c, "who is to be told", &err))
		return command_usage(&err);
	if (!write_added(c, &body, &err))
		return command_fail(&err);
	const struct question q = {
		.method = "POST", .path = STR("/api/notify/targets"), .body = buf_str(&body)
	};
	if (str_eq_c(c->operands[0], "-"))
		c->operands[0] = STR("The webhook");
	return command_do(c, &q, "is told. `everseal notify test` says whether messages arrive.");
}

/* The password of another user, or the same for another server. */
static bool needs_password(const struct command *c, const struct json *target)
{
	bool has = false;
	json_bool(target, "password", &has);
	if (command_has(c, OPTION_USER))
		return command_value(c, OPTION_USER).n;
	return has && command_has(c, OPTION_SERVER);
}

static bool write_changes(
        const struct command *c, const struct json *target, struct buf *body, struct err *err)
{
	struct json_writer w;
	int64_t version = 0;
	struct str to = command_value(c, OPTION_TO);
	BUF_AUTO typed = BUF_SECRET_INIT(URL_MOST);
	if (!read_to(&to, &typed, err))
		return false;
	json_int(target, "version", &version);
	json_write_init(&w, body);
	json_write_object(&w, NULL);
	json_write_int(&w, "version", version);
	if (command_has(c, OPTION_TO))
		json_write_text(&w, "to", to);
	write_given(c, &w);
	if (command_has(c, OPTION_SECRET) && !write_secret(&w, "secret", "this webhook", err))
		return false;
	if (needs_password(c, target) && !write_secret(&w, "password", "the mail server", err))
		return false;
	json_write_end(&w);
	return true;
}

static bool sets_anything(const struct command *c)
{
	static const enum option settable[] = { OPTION_TO, OPTION_SECRET, OPTION_SERVER,
		OPTION_FROM, OPTION_USER, OPTION_LEVEL };
	for (size_t i = 0; i < sizeof settable / sizeof *settable; i++)
		if (command_has(c, settable[i]))
			return true;
	return false;
}

int command_notify_set(struct command *c)
{
	struct err err = ERR_INIT;
	struct str state;
	BUF_AUTO body = BUF_SECRET_INIT(BODY_MOST);
	if (!needs_operand(c, "which target", &err))
		return command_usage(&err);
	if (!sets_anything(c)) {
		err_set(&err, ERR_INPUT,
		        "Say what to set: --to, --secret, --server, --from, --user or --level.");
		return command_usage(&err);
	}
	const struct question look = { .method = "GET", .path = path_of(c) };
	JSON_AUTO *target =
	        command_state(c, &state, &err) ? client_ask_json(state, &look, &err) : NULL;
	if (!target || !write_changes(c, target, &body, &err))
		return command_fail(&err);
	const struct question q = { .method = "PUT", .path = look.path, .body = buf_str(&body) };
	return command_do(c, &q, "is changed.");
}

int command_notify_remove(struct command *c)
{
	struct err err = ERR_INIT;
	if (!needs_operand(c, "which target", &err))
		return command_usage(&err);
	const struct question q = { .method = "DELETE", .path = path_of(c), .body = STR("{}") };
	return command_do(c, &q, "is told nothing any more.");
}

/* ---- list ---- */

static struct str arrives(const struct json *target)
{
	const struct json *last = json_object(target, "last");
	bool arrived = false;
	json_bool(last, "arrived", &arrived);
	return !last ? STR("not tried yet") : arrived ? STR("arrives") : STR("does not arrive");
}

static void add_target(struct arena *a, struct table *t, const struct json *target)
{
	struct table_row *row = table_add(t);
	int64_t waiting = 0;
	json_int(target, "waiting", &waiting);
	row->cells[0] = show_clean(a, json_text(target, "target"));
	row->cells[1] = show_clean(a, json_text(target, "level"));
	row->cells[2] = arrives(target);
	row->cells[3] = arena_printf(a, "%lld", (long long)waiting);
	row->cells[4] = json_object(target, "source") ? STR("file") : STR("page or command");
	row->cells[5] = show_clean(a, json_text(target, "id"));
	table_note(t, row, show_clean(a, json_text(target, "last_error")));
}

int command_notify_list(struct command *c)
{
	struct str state;
	struct err err = ERR_INIT;
	BUF_AUTO out = BUF_INIT(1 << 20);
	struct table t = { .arena = &c->arena,
		.heads = { "TARGET", "LEVEL", "MESSAGES", "WAITING", "SET IN", "ID" } };
	const struct question q = { .method = "GET", .path = STR("/api/notify") };
	JSON_AUTO *answer =
	        command_state(c, &state, &err) ? client_ask_json(state, &q, &err) : NULL;
	if (!answer)
		return command_fail(&err);
	const struct json *targets = json_array(answer, "targets");
	for (size_t i = 0; i < json_count(targets); i++) {
		if (command_has(c, OPTION_JSON))
			certificate_print(json_at(targets, i));
		else
			add_target(&c->arena, &t, json_at(targets, i));
	}
	if (command_has(c, OPTION_JSON))
		return EXIT_DONE;
	if (t.count)
		table_print(&t, &out);
	fputs(t.count ? buf_c(&out) : "Nobody is told yet: `everseal notify add` tells somebody.\n",
	        stdout);
	return EXIT_DONE;
}

/* ---- test ---- */

static bool show(struct command *c, const struct json *result)
{
	bool arrived = false;
	const struct str target = show_clean(&c->arena, json_text(result, "target"));
	const struct str error = show_clean(&c->arena, json_text(result, "error"));
	json_bool(result, "arrived", &arrived);
	if (arrived)
		printf("%.*s: arrived.\n", STR_ARG(target));
	else
		fprintf(stderr, "%.*s: %.*s\n", STR_ARG(target), STR_ARG(error));
	return arrived;
}

/* One of them, or all. */
static void write_tested(const struct command *c, struct buf *body)
{
	struct json_writer w;
	json_write_init(&w, body);
	json_write_object(&w, NULL);
	if (c->operand_count)
		json_write_text(&w, "target", c->operands[0]);
	json_write_end(&w);
}

int command_notify_test(struct command *c)
{
	struct err err = ERR_INIT;
	struct str state;
	BUF_AUTO body = BUF_INIT(BODY_MOST);
	write_tested(c, &body);
	const struct question q = {
		.method = "POST", .path = STR("/api/notify/test"), .body = buf_str(&body)
	};
	JSON_AUTO *answer =
	        command_state(c, &state, &err) ? client_ask_json(state, &q, &err) : NULL;
	const struct json *results = json_array(answer, "results");
	bool all = true;
	if (answer && !json_count(results))
		err_set(&err, ERR_NOT_FOUND,
		        "Nobody is told of anything." ERR_REMEDY
		        "Say whom: `everseal notify add`, or `notify` in the configuration.");
	if (err.code)
		return command_fail(&err);
	if (command_has(c, OPTION_JSON))
		certificate_print(answer);
	for (size_t i = 0; i < json_count(results); i++) {
		bool arrived = false;
		json_bool(json_at(results, i), "arrived", &arrived);
		all &= command_has(c, OPTION_JSON) ? arrived : show(c, json_at(results, i));
	}
	return all ? EXIT_DONE : EXIT_FAILED;
}
