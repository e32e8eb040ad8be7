/* everseal reload */
#include "cli/client.h"
#include "cli/command.h"

/* All errors of the file, a line each, if the answer has them. */
static int fail(const struct answer *a, const struct err *err)
{
	struct err ignored = ERR_INIT;
	JSON_AUTO *json = json_parse(buf_str(&a->body), "The answer", &ignored);
	const struct str message = json_text(json, "message");
	if (a->status != 422 || !str_has(message, '\n'))
		return command_fail(err);
	fprintf(stderr, "%.*s%s", STR_ARG(message), str_ends(message, STR("\n")) ? "" : "\n");
	return EXIT_FAILED;
}

int command_reload(struct command *c)
{
	const struct question q = { .method = "POST", .path = STR("/api/reload") };
	ANSWER_AUTO answer = { 0 };
	struct err err = ERR_INIT;
	struct str state;
	if (!command_state(c, &state, &err) || !client_ask(state, &q, &answer, &err))
		return fail(&answer, &err);
	puts("The configuration is in force.");
	return EXIT_DONE;
}
