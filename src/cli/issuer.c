/* everseal issuer list|root|test */
#include "cli/certificate.h"
#include "cli/client.h"
#include "cli/show.h"

static struct json *ask(struct command *c, struct str path, struct err *err)
{
	struct str state;
	const struct question q = { .method = "GET", .path = path };
	return command_state(c, &state, err) ? client_ask_json(state, &q, err) : NULL;
}

static void add_issuer(struct arena *a, struct table *t, const struct json *issuer)
{
	struct table_row *row = table_add(t);
	struct str directory = json_text(issuer, "directory");
	bool is_default = false;
	json_bool(issuer, "default", &is_default);
	row->cells[0] = show_clean(a, json_text(issuer, "name"));
	row->cells[1] = is_default ? STR("yes") : STR("no");
	row->cells[2] = json_object(issuer, "account") ? STR("yes") : STR("no");
	row->cells[3] = directory.n ? show_clean(a, directory) : STR("self-made");
}

int command_issuer_list(struct command *c)
{
	struct err err = ERR_INIT;
	BUF_AUTO out = BUF_INIT(1 << 20);
	struct table t = { .arena = &c->arena,
		.heads = { "ISSUER", "DEFAULT", "ACCOUNT", "DIRECTORY" } };
	JSON_AUTO *answer = ask(c, STR("/api/issuers"), &err);
	const struct json *items = json_array(answer, "items");
	if (!answer)
		return command_fail(&err);
	if (command_has(c, OPTION_JSON)) {
		certificate_print(answer);
		return EXIT_DONE;
	}
	for (size_t i = 0; i < json_count(items); i++)
		add_issuer(&c->arena, &t, json_at(items, i));
	table_print(&t, &out);
	fputs(buf_c(&out), stdout);
	return EXIT_DONE;
}

static int needs_issuer(void)
{
	struct err err = ERR_INIT;
	err_set(&err, ERR_INPUT, "Name the issuer: `everseal issuer list` lists them.");
	return command_usage(&err);
}

static void print_profiles(struct command *c, const struct json *profiles)
{
	for (const struct json_iter *i = json_first(profiles); i; i = json_next(profiles, i))
		printf("Profile %.*s: %.*s\n", STR_ARG(show_clean(&c->arena, json_iter_key(i))),
		        STR_ARG(show_clean(&c->arena, json_value_text(json_iter_value(i)))));
}

/* Whether its directory answers, and what it says. */
int command_issuer_test(struct command *c)
{
	struct err err = ERR_INIT;
	if (!c->operand_count)
		return needs_issuer();
	struct str name = c->operands[0];
	JSON_AUTO *answer = ask(c,
	        arena_printf(&c->arena, "/api/issuers/%.*s/directory",
	                STR_ARG(command_escaped(c, name))),
	        &err);
	if (!answer)
		return command_fail(&err);
	if (command_has(c, OPTION_JSON)) {
		certificate_print(answer);
		return EXIT_DONE;
	}
	struct str terms = show_clean(&c->arena, json_text(answer, "terms"));
	printf("%.*s answers.%s%.*s\n", STR_ARG(show_clean(&c->arena, name)),
	        terms.n ? " Its terms of service: " : "", STR_ARG(terms));
	print_profiles(c, json_object(answer, "profiles"));
	return EXIT_DONE;
}

/* In PEM, to be kept in a file or a browser; the text around it is for people (RFC 7468 5.2). */
int command_issuer_root(struct command *c)
{
	struct err err = ERR_INIT;
	JSON_AUTO *answer = ask(c, STR("/api/issuers/internal/roots"), &err);
	const struct json *roots = json_array(answer, "roots");
	if (answer && !json_count(roots))
		err_set(&err, ERR_NOT_FOUND,
		        "The internal authority has no root yet: it is made with the first "
		        "certificate that it issues.");
	if (err.code)
		return command_fail(&err);
	if (command_has(c, OPTION_JSON)) {
		certificate_print(answer);
		return EXIT_DONE;
	}
	for (size_t i = 0; i < json_count(roots); i++) {
		const struct json *root = json_at(roots, i);
		printf("%.*s, until %.*s\n%.*s", STR_ARG(json_text(root, "subject")),
		        STR_ARG(json_text(root, "not_after")), STR_ARG(json_text(root, "pem")));
	}
	return EXIT_DONE;
}

/* Changes of the account */

static int change(struct command *c, const char *what, struct str body, const char *outcome)
{
	struct err err = ERR_INIT;
	struct str state, name = c->operands[0];
	const struct question q = { .method = "POST",
		.path = arena_printf(
		        &c->arena, "/api/issuers/%.*s/%s", STR_ARG(command_escaped(c, name)), what),
		.body = body };
	JSON_AUTO *answer =
	        command_state(c, &state, &err) ? client_ask_json(state, &q, &err) : NULL;
	if (!answer)
		return command_fail(&err);
	if (command_has(c, OPTION_JSON))
		certificate_print(answer);
	else
		printf("The account at %.*s %s\n", STR_ARG(show_clean(&c->arena, name)), outcome);
	return EXIT_DONE;
}

int command_issuer_rollover(struct command *c)
{
	return c->operand_count ? change(c, "rollover", STR("{}"), "has another key.")
	                        : needs_issuer();
}

int command_issuer_deactivate(struct command *c)
{
	return c->operand_count ? change(c, "deactivate", STR("{}"),
	                                  "is deactivated. The next order makes a new one.")
	                        : needs_issuer();
}

int command_issuer_contact(struct command *c)
{
	struct err err = ERR_INIT;
	BUF_AUTO body = BUF_INIT(4096);
	struct json_writer w;
	if (c->operand_count < 2) {
		err_set(&err, ERR_INPUT,
		        "Name the issuer and the e-mail address: `everseal issuer contact ISSUER "
		        "MAIL`.");
		return command_usage(&err);
	}
	json_write_init(&w, &body);
	json_write_object(&w, NULL);
	json_write_text(&w, "email", c->operands[1]);
	json_write_end(&w);
	return change(c, "contact", buf_str(&body), "has another contact.");
}
