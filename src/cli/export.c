/* everseal export: a certificate with its private key, for the machine's owner alone. */
#include "cli/certificate.h"
#include "cli/client.h"
#include "cli/secret.h"
#include "cli/show.h"
#include "cli/whole.h"
#include "keys/pkcs12.h"

enum { PASSWORD_MOST = 1024 };

static bool keep(const char *file, struct str pem, struct err *err)
{
	struct whole w;
	return whole_begin(&w, file, err) && whole_write(&w, pem, err) && whole_end(&w, err);
}

static bool wants_pkcs12(const struct command *c)
{
	return str_eq_nocase(command_value(c, OPTION_FORMAT), STR("pkcs12"));
}

static bool keep_pkcs12(struct command *c, const char *path, struct str pem, struct err *err)
{
	struct buf password = BUF_SECRET(PASSWORD_MOST), made = BUF_SECRET(PKCS12_MOST);
	const struct secret_file file = {
		.path = path, .from = c->values[OPTION_PASSWORD_FILE], .is_new = true
	};
	const bool done = secret_of_file(&file, &password, err) &&
	                  pkcs12_from_pem(pem, buf_str(&password), &made, err) &&
	                  keep(path, buf_str(&made), err);
	buf_wipe(&password);
	buf_wipe(&made);
	return done;
}

static bool check_format(struct command *c, struct err *err)
{
	const struct str format = command_value(c, OPTION_FORMAT);
	return !format.n || str_eq_nocase(format, STR("pem")) || wants_pkcs12(c) ||
	       err_set(err, ERR_INPUT,
	               "Everseal exports PEM and PKCS#12, not %.*s." ERR_REMEDY
	               "Use --format pem or --format pkcs12.",
	               STR_ARG(format));
}

static bool keep_as(struct command *c, const char *path, struct str pem, struct err *err)
{
	return wants_pkcs12(c) ? keep_pkcs12(c, path, pem, err) : keep(path, pem, err);
}

static struct str path_of(struct command *c)
{
	const struct str name = command_escaped(c, c->operands[0]);
	const struct str type = command_value(c, OPTION_KEY_TYPE);
	return arena_printf(&c->arena, "/api/certificates/%.*s/export?with=key%s%.*s",
	        STR_ARG(name), type.n ? "&key_type=" : "",
	        STR_ARG(type.n ? command_escaped(c, type) : STR_NONE));
}

/* That there was another one to choose. */
static void tell_beside(struct command *c, struct str state)
{
	struct err err = ERR_INIT;
	const struct str name = command_escaped(c, c->operands[0]);
	const struct question q = { .method = "GET",
		.path = arena_printf(&c->arena, "/api/certificates/%.*s", STR_ARG(name)) };
	JSON_AUTO *answer = client_ask_json(state, &q, &err);
	const struct str key = json_text(answer, "key_type");
	const struct str other = json_text(json_object(answer, "beside"), "key_type");
	if (other.n)
		printf("Its key is %.*s. Another certificate stands beside it: --key-type %.*s "
		       "exports that one.\n",
		        STR_ARG(show_clean(&c->arena, key)), STR_ARG(show_clean(&c->arena, other)));
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
	const struct question q = { .method = "GET", .path = path_of(c) };
	const char *file = c->values[OPTION_TO];
	const bool done = command_state(c, &state, &err) && client_ask(state, &q, &answer, &err) &&
	                  keep_as(c, file, buf_str(&answer.body), &err);
	buf_wipe(&answer.body);
	if (!done)
		return command_fail(&err);
	printf("Certificate, chain and private key are in %s, readable by its owner only.\n", file);
	if (!command_value(c, OPTION_KEY_TYPE).n)
		tell_beside(c, state);
	return EXIT_DONE;
}
