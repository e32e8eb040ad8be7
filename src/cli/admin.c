/* everseal admin link|create|password|people|remove|token|hash */
#include "base/clock.h"
#include "cli/certificate.h"
#include "cli/client.h"
#include "cli/secret.h"
#include "cli/show.h"
#include "keys/password.h"

enum { BODY_MOST = 16 << 10, PASSWORD_MOST = 1024 };

static struct json *ask(struct command *c, const struct question *q, struct err *err)
{
	struct str state;
	return command_state(c, &state, err) ? client_ask_json(state, q, err) : NULL;
}

/* --json: the answer as it is; else `member` of it alone, or the sentence. */
static int tell(struct command *c, const struct json *answer, const char *member, struct str done)
{
	if (command_has(c, OPTION_JSON))
		certificate_print(answer);
	else if (member)
		printf("%.*s\n", STR_ARG(json_text(answer, member)));
	else
		printf("%.*s\n", STR_ARG(done));
	return EXIT_DONE;
}

static int needs_operand(const struct command *c, const char *what)
{
	struct err err = ERR_INIT;
	err_set(&err, ERR_INPUT, "%s; see `everseal help %s`.", what, verbs[c->verb].words);
	return command_usage(&err);
}

int command_admin_link(struct command *c)
{
	struct err err = ERR_INIT;
	const struct question q = {
		.method = "POST", .path = STR("/api/admin/link"), .body = STR("{}")
	};
	JSON_AUTO *answer = ask(c, &q, &err);
	if (!answer)
		return command_fail(&err);
	if (isatty(STDOUT_FILENO))
		fprintf(stderr, "Whoever opens this within 30 minutes becomes an administrator; it "
		                "works once:\n");
	return tell(c, answer, "link", STR_NONE);
}

/* ---- people ---- */

static bool person_body(struct command *c, const char *scope, struct buf *out, struct err *err)
{
	BUF_AUTO password = BUF_SECRET_INIT(PASSWORD_MOST);
	struct json_writer w;
	struct str name = show_clean(&c->arena, c->operands[0]);
	if (!secret_ask("password", arena_str(&c->arena, name).p, &password, err))
		return false;
	json_write_init(&w, out);
	json_write_object(&w, NULL);
	json_write_text(&w, "name", c->operands[0]);
	json_write_text(&w, "password", buf_str(&password));
	if (scope)
		json_write_c(&w, "scope", scope);
	json_write_end(&w);
	return true;
}

static int put_person(struct command *c, struct str path, const char *scope, const char *done)
{
	struct err err = ERR_INIT;
	BUF_AUTO body = BUF_SECRET_INIT(BODY_MOST);
	if (!c->operand_count)
		return needs_operand(c, "Name the person");
	if (!person_body(c, scope, &body, &err))
		return command_fail(&err);
	const struct question q = { .method = "POST", .path = path, .body = buf_str(&body) };
	JSON_AUTO *answer = ask(c, &q, &err);
	if (!answer)
		return command_fail(&err);
	struct str name = show_clean(&c->arena, c->operands[0]);
	return tell(c, answer, NULL, arena_printf(&c->arena, "%.*s %s", STR_ARG(name), done));
}

int command_admin_create(struct command *c)
{
	const char *scope = c->values[OPTION_SCOPE];
	return put_person(c, STR("/api/people"), scope ? scope : "administer", "can sign in now.");
}

int command_admin_password(struct command *c)
{
	return put_person(c, STR("/api/admin/password"), NULL,
	        "has a new password. Sessions have ended, a second factor is off.");
}

static int remove_one(struct command *c, const char *where, struct str which, const char *done)
{
	struct err err = ERR_INIT;
	const struct question q = { .method = "DELETE",
		.path = arena_printf(
		        &c->arena, "%s/%.*s", where, STR_ARG(command_escaped(c, which))) };
	JSON_AUTO *answer = ask(c, &q, &err);
	if (!answer)
		return command_fail(&err);
	which = show_clean(&c->arena, which);
	return tell(c, answer, NULL, arena_printf(&c->arena, "%.*s %s", STR_ARG(which), done));
}

int command_admin_remove(struct command *c)
{
	if (!c->operand_count)
		return needs_operand(c, "Name the person");
	return remove_one(
	        c, "/api/people", c->operands[0], "is removed, and signed out everywhere.");
}

/* ---- lists ---- */

struct kind {
	const char *path, *none;
	void (*add)(struct arena *a, struct table *t, const struct json *item);
};

static int list(struct command *c, struct table *t, const struct kind *kind)
{
	struct err err = ERR_INIT;
	BUF_AUTO out = BUF_INIT(16 << 20);
	struct str cursor = STR_NONE;
	do {
		const struct question q = { .method = "GET",
			.path = arena_printf(&c->arena, "%s?limit=200%s%.*s", kind->path,
			        cursor.n ? "&cursor=" : "", STR_ARG(cursor)) };
		JSON_AUTO *page = ask(c, &q, &err);
		const struct json *items = json_array(page, "items");
		if (!page)
			return command_fail(&err);
		for (size_t i = 0; i < json_count(items); i++) {
			if (command_has(c, OPTION_JSON))
				certificate_print(json_at(items, i));
			else
				kind->add(&c->arena, t, json_at(items, i));
		}
		cursor = arena_str(&c->arena, json_text(page, "next"));
	} while (cursor.n);
	if (command_has(c, OPTION_JSON))
		return EXIT_DONE;
	if (t->count)
		table_print(t, &out);
	fputs(t->count ? buf_c(&out) : kind->none, stdout);
	return EXIT_DONE;
}

static struct str date(struct arena *a, const struct json *item, const char *key)
{
	return show_date(a, json_text(item, key), clock_system.wall(&clock_system));
}

static void add_person(struct arena *a, struct table *t, const struct json *item)
{
	struct table_row *row = table_add(t);
	bool factor = false;
	json_bool(item, "second_factor", &factor);
	row->cells[0] = show_clean(a, json_text(item, "name"));
	row->cells[1] = show_clean(a, json_text(item, "scope"));
	row->cells[2] = factor ? STR("on") : STR("off");
	row->cells[3] = date(a, item, "last_seen");
}

int command_admin_people(struct command *c)
{
	static const struct kind people = { "/api/people",
		"Nobody can sign in yet: `everseal admin link` makes a link for the first one.\n",
		add_person };
	struct table t = { .arena = &c->arena,
		.heads = { "NAME", "SCOPE", "SECOND FACTOR", "LAST SEEN" } };
	return list(c, &t, &people);
}

/* ---- tokens ---- */

static void add_token(struct arena *a, struct table *t, const struct json *item)
{
	struct table_row *row = table_add(t);
	row->cells[0] = show_clean(a, json_text(item, "id"));
	row->cells[1] = show_clean(a, json_text(item, "name"));
	row->cells[2] = show_clean(a, json_text(item, "scope"));
	row->cells[3] = json_text(item, "expires").n ? date(a, item, "expires") : STR("never");
	row->cells[4] = date(a, item, "last_used");
	row->cells[5] = show_clean(a, json_text(item, "by"));
}

static int list_tokens(struct command *c)
{
	static const struct kind tokens = { "/api/tokens",
		"No API tokens yet: `everseal admin token add NAME --scope SCOPE` makes one.\n",
		add_token };
	struct table t = { .arena = &c->arena,
		.heads = { "ID", "NAME", "SCOPE", "EXPIRES", "LAST USED", "BY" } };
	return list(c, &t, &tokens);
}

static int add_token_named(struct command *c)
{
	struct err err = ERR_INIT;
	struct json_writer w;
	BUF_AUTO body = BUF_INIT(BODY_MOST);
	uint64_t days = 0;
	if (!command_has(c, OPTION_SCOPE))
		return needs_operand(c, "Give --scope read, operate or administer");
	if (command_has(c, OPTION_DAYS) &&
	        (!str_to_u64(command_value(c, OPTION_DAYS), &days) || days > INT32_MAX))
		return needs_operand(c, "--days is a number of days");
	json_write_init(&w, &body);
	json_write_object(&w, NULL);
	json_write_text(&w, "name", c->operands[1]);
	json_write_text(&w, "scope", command_value(c, OPTION_SCOPE));
	if (command_has(c, OPTION_DAYS))
		json_write_int(&w, "days", (int64_t)days);
	json_write_end(&w);
	const struct question q = {
		.method = "POST", .path = STR("/api/tokens"), .body = buf_str(&body)
	};
	JSON_AUTO *answer = ask(c, &q, &err);
	return answer ? tell(c, answer, "token", STR_NONE) : command_fail(&err);
}

int command_admin_token(struct command *c)
{
	struct str what = c->operand_count ? c->operands[0] : STR_NONE;
	if (str_eq_c(what, "list") && c->operand_count == 1)
		return list_tokens(c);
	if (str_eq_c(what, "add") && c->operand_count == 2)
		return add_token_named(c);
	if (str_eq_c(what, "remove") && c->operand_count == 2)
		return remove_one(
		        c, "/api/tokens", c->operands[1], "is removed: it opens nothing any more.");
	return needs_operand(
	        c, "`everseal admin token` is followed by add NAME, list or remove ID");
}

int command_admin_hash(struct command *c)
{
	struct err err = ERR_INIT;
	char hash[PASSWORD_HASH];
	BUF_AUTO password = BUF_SECRET_INIT(PASSWORD_MOST);
	(void)c;
	if (!secret_ask("password", "basic-auth", &password, &err) ||
	        !password_hash(buf_str(&password), hash, &err))
		return command_fail(&err);
	printf("%s\n", hash);
	return EXIT_DONE;
}
