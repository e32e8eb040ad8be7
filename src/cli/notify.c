/* everseal notify test */
#include "cli/certificate.h"
#include "cli/client.h"
#include "cli/show.h"

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

int command_notify_test(struct command *c)
{
	struct err err = ERR_INIT;
	struct str state;
	const struct question q = {
		.method = "POST", .path = STR("/api/notify/test"), .body = STR("{}")
	};
	JSON_AUTO *answer =
	        command_state(c, &state, &err) ? client_ask_json(state, &q, &err) : NULL;
	const struct json *results = json_array(answer, "results");
	bool all = true;
	if (answer && !json_count(results))
		err_set(&err, ERR_NOT_FOUND,
		        "Nobody is told of anything." ERR_REMEDY
		        "Say whom by `notify` in the configuration: everseal.conf(5).");
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
