/* everseal upgrade: the process that answers does not live to tell the end; its successor does. */
#include "base/clock.h"
#include "cli/certificate.h"
#include "cli/client.h"
#include "cli/command.h"
#include <poll.h>

/* ms; a program that does not become ready is given up after 10 s */
enum { PATIENCE = 40 * SECOND, SILENCE_MOST = 15 * SECOND, PAUSE = 100 };

static int64_t mono(void)
{
	return clock_system.mono(&clock_system);
}

/* What became of it, or NULL after a while; a server that is away for a moment is waited for. */
static struct json *wait_for_outcome(struct str state, struct err *err)
{
	const struct question q = { .method = "GET", .path = STR("/api/upgrade") };
	int64_t end = mono() + PATIENCE, heard = mono();
	while (mono() < end && mono() - heard < SILENCE_MOST) {
		*err = (struct err)ERR_INIT;
		struct json *answer = client_ask_json(state, &q, err);
		heard = answer ? mono() : heard;
		struct str word = json_text(answer, "state");
		if (str_eq_c(word, "done") || str_eq_c(word, "failed"))
			return answer;
		json_free(&answer);
		poll(NULL, 0, PAUSE);
	}
	if (err->code == ERR_NONE)
		err_set(err, ERR_TIMEOUT,
		        "Everseal has not said for 40 s what became of the upgrade: its log does.");
	return NULL;
}

static int say(const struct command *c, const struct json *answer, struct err *err)
{
	struct str sentence = json_text(answer, "sentence");
	if (!str_eq_c(json_text(answer, "state"), "done")) {
		err_set(err, ERR_REFUSED, "%.*s", STR_ARG(sentence));
		return command_fail(err);
	}
	if (command_has(c, OPTION_JSON))
		certificate_print(answer);
	else
		printf("%.*s\n", STR_ARG(sentence));
	return EXIT_DONE;
}

int command_upgrade(struct command *c)
{
	const struct question q = { .method = "POST", .path = STR("/api/upgrade") };
	ANSWER_AUTO begun = { 0 };
	struct err err = ERR_INIT;
	struct str state;
	if (!command_state(c, &state, &err) || !client_ask(state, &q, &begun, &err))
		return command_fail(&err);
	JSON_AUTO *answer = wait_for_outcome(state, &err);
	return answer ? say(c, answer, &err) : command_fail(&err);
}
