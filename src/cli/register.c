/* everseal lets-encrypt register */
#include "cli/certificate.h"
#include "cli/client.h"
#include "cli/show.h"
#include "cli/wait.h"

static void add_text(struct json_writer *w, const struct command *c, const char *key, enum option o)
{
	if (command_has(c, o))
		json_write_c(w, key, c->values[o]);
}

static bool write_want(const struct command *c, struct buf *out, struct err *err)
{
	struct json_writer w;
	uint64_t port = 0;
	if (command_has(c, OPTION_PORT) && (!str_to_u64(command_value(c, OPTION_PORT), &port) ||
	                                           port < 1 || port > UINT16_MAX))
		return err_set(err, ERR_INPUT,
		        "\"%.80s\" is not a port: give a number from 1 to 65535.",
		        c->values[OPTION_PORT]);
	if (command_has(c, OPTION_EMAIL) && !command_value(c, OPTION_EMAIL).n)
		return err_set(err, ERR_INPUT,
		        "--email is empty: give the address that the CA may write to, or leave it "
		        "out if the configuration has one.");
	json_write_init(&w, out);
	json_write_object(&w, NULL);
	json_write_array(&w, "names");
	for (size_t i = 0; i < c->name_count; i++)
		json_write_c(&w, NULL, c->names[i]);
	json_write_end(&w);
	add_text(&w, c, "email", OPTION_EMAIL);
	json_write_bool(&w, "agree_tos", command_has(c, OPTION_AGREE_TOS));
	add_text(&w, c, "proxy", OPTION_PROXY);
	add_text(&w, c, "issuer", OPTION_ISSUER);
	add_text(&w, c, "address", OPTION_ADDRESS);
	if (port)
		json_write_int(&w, "port", (int64_t)port);
	add_text(&w, c, "key_type", OPTION_KEY_TYPE);
	add_text(&w, c, "profile", OPTION_PROFILE);
	if (command_has(c, OPTION_DESPITE_HSTS))
		json_write_bool(&w, "despite_hsts", /* value= */ true);
	json_write_end(&w);
	return true;
}

static int tell(struct command *c, const struct json *answer)
{
	const struct str typed = show_clean(&c->arena, str_c(c->names[0]));
	const struct str name = show_name(&c->arena, typed);
	bool existing = false;
	json_bool(answer, "existing", &existing);
	if (!command_has(c, OPTION_JSON))
		printf("%.*s is registered%s: `everseal lets-encrypt status %.*s` shows %s.\n",
		        STR_ARG(name),
		        existing ? " already, nothing was ordered"
		                 : ", its certificate is being ordered",
		        STR_ARG(typed), existing ? "what is there" : "how it goes");
	return EXIT_DONE;
}

int command_register(struct command *c)
{
	struct str state;
	struct err err = ERR_INIT;
	BUF_AUTO body = BUF_INIT(1 << 20);
	if (!command_state(c, &state, &err))
		return command_fail(&err);
	if (!write_want(c, &body, &err))
		return command_usage(&err);
	const struct question q = {
		.method = "POST", .path = STR("/api/registrations"), .body = buf_str(&body)
	};
	JSON_AUTO *answer = client_ask_json(state, &q, &err);
	if (!answer)
		return command_fail(&err);
	if (command_has(c, OPTION_JSON))
		certificate_print(answer);
	const struct str task = json_text(answer, "task");
	if (command_has(c, OPTION_WAIT) && task.n)
		return wait_for_task(c, state, task);
	return tell(c, answer);
}
