/* everseal export: a certificate with its private key, for the machine's owner alone. */
#include "cli/certificate.h"
#include "cli/client.h"
#include "cli/whole.h"

static bool keep(const char *file, struct str pem, struct err *err)
{
	struct whole w;
	return whole_begin(&w, file, err) && whole_write(&w, pem, err) && whole_end(&w, err);
}

static bool check_format(struct command *c, struct err *err)
{
	const struct str format = command_value(c, OPTION_FORMAT);
	return !format.n || str_eq_nocase(format, STR("pem")) ||
	       err_set(err, ERR_INPUT,
	               "Everseal exports PEM, not %.*s." ERR_REMEDY "Use --format pem.",
	               STR_ARG(format));
}

int command_export(struct command *c)
{
	struct err err = ERR_INIT;
	struct str state;
	ANSWER_AUTO answer = { 0 };
	if (!check_format(c, &err) || !c->operand_count) {
		if (!err.code)
			err_set(&err, ERR_INPUT,
			        "Say which certificate to export, by a name of it.");
		return command_usage(&err);
	}
	const struct question q = { .method = "GET",
		.path = arena_printf(&c->arena, "/api/certificates/%.*s/export?with=key",
		        STR_ARG(command_escaped(c, c->operands[0]))) };
	const char *file = c->values[OPTION_TO];
	const bool done = command_state(c, &state, &err) && client_ask(state, &q, &answer, &err) &&
	                  keep(file, buf_str(&answer.body), &err);
	buf_wipe(&answer.body);
	if (!done)
		return command_fail(&err);
	printf("Certificate, chain and private key are in %s, readable by its owner only.\n", file);
	return EXIT_DONE;
}
