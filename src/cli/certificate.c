/* everseal lets-encrypt status, and what the commands on one certificate share. */
#include "cli/certificate.h"

#include "base/clock.h"
#include "cli/client.h"
#include "cli/show.h"
#include "cli/status.h"
#include "cli/wait.h"

static struct json *ask(
        struct str state, const char *method, struct str path, struct str body, struct err *err)
{
	const struct question q = { .method = method, .path = path, .body = body };
	return client_ask_json(state, &q, err);
}

/* Without a name: the only one there is. */
static bool find_only(struct command *c, struct str state, struct str *ret_name, struct err *err)
{
	JSON_AUTO *status = ask(state, "GET", STR("/api/status"), STR_NONE, err);
	const struct json *list = json_array(status, "certificates");
	if (!status)
		return false;
	BUF_AUTO names = BUF_INIT(400);
	for (size_t i = 0; i < json_count(list); i++) {
		const struct json *all = json_array(json_at(list, i), "names");
		const struct str name = show_list(&c->arena, all, 1);
		buf_printf(&names, "%s%.*s", i ? ", " : "",
		        STR_ARG(str_head(name, str_find(name, ' '))));
	}
	if (json_count(list) == 0)
		return err_set(err, ERR_NOT_FOUND,
		        "No name is registered yet: `everseal lets-encrypt register` does it.");
	if (json_count(list) > 1)
		return err_set(err, ERR_INPUT, "There are several certificates, say which: %s.",
		        names.over ? "`everseal lets-encrypt status` lists them" : buf_c(&names));
	*ret_name = arena_str(
	        &c->arena, json_value_text(json_at(json_array(json_at(list, 0), "names"), 0)));
	return true;
}

int certificate_do(struct command *c, const char *what, const char *done, struct str body)
{
	struct str state, name = c->operand_count ? c->operands[0] : STR_NONE;
	struct err err = ERR_INIT;
	if (!command_state(c, &state, &err))
		return command_fail(&err);
	if (!name.p && !find_only(c, state, &name, &err))
		return err.code == ERR_INPUT ? command_usage(&err) : command_fail(&err);
	const struct str path = arena_printf(
	        &c->arena, "/api/certificates/%.*s/%s", STR_ARG(command_escaped(c, name)), what);
	JSON_AUTO *answer = ask(state, "POST", path, body, &err);
	if (!answer)
		return command_fail(&err);
	if (command_has(c, OPTION_JSON))
		certificate_print(answer);
	const struct str task = json_text(answer, "task");
	if (command_has(c, OPTION_WAIT) && task.n)
		return wait_for_task(c, state, task);
	if (!command_has(c, OPTION_JSON))
		printf("%.*s %s\n", STR_ARG(show_name(&c->arena, name)), done);
	return EXIT_DONE;
}

void certificate_print(const struct json *answer)
{
	BUF_AUTO out = BUF_INIT(64 << 20);
	json_print(answer, &out);
	puts(buf_c(&out));
}

static void print_all(const struct json *status)
{
	BUF_AUTO out = BUF_INIT(64 << 20);
	struct json_writer w;
	json_write_init(&w, &out);
	json_write_object(&w, NULL);
	json_write_value(&w, "certificates", json_array(status, "certificates"));
	json_write_end(&w);
	puts(buf_c(&out));
}

int command_certificate(struct command *c)
{
	const bool one = c->operand_count > 0;
	struct err err = ERR_INIT;
	BUF_AUTO out = BUF_INIT(64 << 20);
	const struct str path = one ? arena_printf(&c->arena, "/api/certificates/%.*s",
	                                      STR_ARG(command_escaped(c, c->operands[0])))
	                            : STR("/api/status");
	struct str state;
	JSON_AUTO *answer =
	        command_state(c, &state, &err) ? ask(state, "GET", path, STR_NONE, &err) : NULL;
	const int64_t now = clock_system.wall(&clock_system);
	if (!answer)
		return command_fail(&err);
	if (!command_has(c, OPTION_JSON) && one)
		status_certificate(answer, now, &out);
	else if (!command_has(c, OPTION_JSON))
		status_certificates(answer, now, &out);
	else if (one)
		certificate_print(answer);
	else
		print_all(answer);
	fputs(buf_c(&out), stdout);
	return EXIT_DONE;
}

int command_do(struct command *c, const struct question *q, const char *done)
{
	struct str state;
	struct err err = ERR_INIT;
	JSON_AUTO *answer = command_state(c, &state, &err) ? client_ask_json(state, q, &err) : NULL;
	if (!answer)
		return command_fail(&err);
	if (command_has(c, OPTION_JSON))
		certificate_print(answer);
	else
		printf("%.*s %s\n", STR_ARG(show_clean(&c->arena, c->operands[0])), done);
	return EXIT_DONE;
}
