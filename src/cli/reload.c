/* everseal reload */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/errors.h"
#include "cli/warnings.h"

static void print_json(struct str errors, struct str warnings)
{
	BUF_AUTO out = BUF_INIT(4 << 20);
	struct json_writer w;
	json_write_init(&w, &out);
	json_write_object(&w, NULL);
	errors_write(&w, "errors", errors);
	errors_write(&w, "warnings", warnings);
	json_write_end(&w);
	puts(buf_c(&out));
}

/* All errors of the file, a line each, if the answer has them. */
static int fail(const struct command *c, const struct answer *a, const struct err *err)
{
	struct err ignored = ERR_INIT;
	JSON_AUTO *json = json_parse(buf_str(&a->body), "The answer", &ignored);
	const struct str message = json_text(json, "message");
	if (a->status == 422 && command_has(c, OPTION_JSON))
		print_json(message, STR_NONE);
	else if (a->status != 422 || !str_has(message, '\n'))
		return command_fail(err);
	else
		fprintf(stderr, "%.*s%s", STR_ARG(message),
		        str_ends(message, STR("\n")) ? "" : "\n");
	return EXIT_FAILED;
}

/* Of the file that is in force now, unless only its state directory was named. */
static void find_warnings(struct command *c, struct buf *out)
{
	BUF_AUTO errors = BUF_INIT(1 << 20);
	struct config *config = command_has(c, OPTION_STATE) ? NULL : warnings_config(c, &errors);
	if (config)
		warnings_find(c, config, out);
	config_free(&config);
}

int command_reload(struct command *c)
{
	BUF_AUTO warnings = BUF_INIT(1 << 20);
	const struct question q = { .method = "POST", .path = STR("/api/reload") };
	ANSWER_AUTO answer = { 0 };
	struct err err = ERR_INIT;
	struct str state;
	if (!command_state(c, &state, &err) || !client_ask(state, &q, &answer, &err))
		return fail(c, &answer, &err);
	find_warnings(c, &warnings);
	if (command_has(c, OPTION_JSON)) {
		print_json(STR_NONE, buf_str(&warnings));
		return EXIT_DONE;
	}
	puts("The configuration is in force.");
	fputs(buf_c(&warnings), stderr);
	return EXIT_DONE;
}
