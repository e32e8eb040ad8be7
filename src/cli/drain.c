/* everseal drain on|off */
#include "cli/client.h"
#include "cli/command.h"

int command_drain(struct command *c)
{
	struct err err = ERR_INIT;
	ANSWER_AUTO answer = { 0 };
	struct str state, word = c->operand_count ? c->operands[0] : STR_NONE;
	bool on = str_eq_c(word, "on");
	if (!on && !str_eq_c(word, "off")) {
		err_set(&err, ERR_INPUT, "Say `everseal drain on` or `everseal drain off`.");
		return command_usage(&err);
	}
	const struct question q = { .method = "POST",
		.path = STR("/api/drain"),
		.body = on ? STR("{\"on\":true}") : STR("{\"on\":false}") };
	if (!command_state(c, &state, &err) || !client_ask(state, &q, &answer, &err))
		return command_fail(&err);
	puts(on ? "Load balancers are told to send no more visitors; those who come are served."
	        : "Load balancers are told to send visitors.");
	return EXIT_DONE;
}
