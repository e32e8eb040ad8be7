#include "cli/cli.h"

#include "cli/command.h"

#include <errno.h>

static int print(struct buf *text, FILE *where)
{
	fputs(buf_c(text), where);
	return fflush(where) == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int refuse_help(struct str words)
{
	struct err err = ERR_INIT;
	(void)command_unknown(words, &err);
	return command_usage(&err);
}

static int help_on(struct str words)
{
	BUF_AUTO text = BUF_INIT(64 << 10);
	enum verb v = 0;
	while (v < VERB_COUNT && !str_eq_c(words, verbs[v].words))
		v++;
	if (v < VERB_COUNT)
		help_verb(v, &text);
	else if (words.n == 0)
		help_all(&text);
	else if (command_is_group(words))
		help_group(words, &text);
	else
		return refuse_help(words);
	return print(&text, stdout);
}

static int command_help(struct command *c)
{
	struct str words = c->operand_count ? c->operands[0] : STR("");
	if (c->operand_count > 1)
		words = arena_printf(
		        &c->arena, "%.*s %.*s", STR_ARG(c->operands[0]), STR_ARG(c->operands[1]));
	return help_on(words);
}

typedef int command_function(struct command *c);
static command_function *const functions[VERB_COUNT] = {
	[VERB_CHECK] = command_check,
	[VERB_RELOAD] = command_reload,
	[VERB_UPGRADE] = command_upgrade,
	[VERB_DRAIN] = command_drain,
	[VERB_STATUS] = command_status,
	[VERB_REGISTER] = command_register,
	[VERB_CERTIFICATE] = command_certificate,
	[VERB_RENEW] = command_renew,
	[VERB_DISABLE] = command_disable,
	[VERB_REVOKE] = command_revoke,
	[VERB_IMPORT] = command_import,
	[VERB_EXPORT] = command_export,
	[VERB_BACKUP] = command_backup,
	[VERB_RESTORE] = command_restore,
	[VERB_DIAGNOSE] = command_diagnose,
	[VERB_SITE_ADD] = command_site_add,
	[VERB_SITE_SET] = command_site_set,
	[VERB_SITE_LIST] = command_site_list,
	[VERB_SITE_REMOVE] = command_site_remove,
	[VERB_ISSUER_CONTACT] = command_issuer_contact,
	[VERB_ISSUER_DEACTIVATE] = command_issuer_deactivate,
	[VERB_ISSUER_LIST] = command_issuer_list,
	[VERB_ISSUER_ROLLOVER] = command_issuer_rollover,
	[VERB_ISSUER_ROOT] = command_issuer_root,
	[VERB_ISSUER_TEST] = command_issuer_test,
	[VERB_NOTIFY_ADD] = command_notify_add,
	[VERB_NOTIFY_SET] = command_notify_set,
	[VERB_NOTIFY_LIST] = command_notify_list,
	[VERB_NOTIFY_REMOVE] = command_notify_remove,
	[VERB_NOTIFY_TEST] = command_notify_test,
	[VERB_ADMIN_LINK] = command_admin_link,
	[VERB_ADMIN_CREATE] = command_admin_create,
	[VERB_ADMIN_PASSWORD] = command_admin_password,
	[VERB_ADMIN_PEOPLE] = command_admin_people,
	[VERB_ADMIN_REMOVE] = command_admin_remove,
	[VERB_ADMIN_TOKEN] = command_admin_token,
	[VERB_ADMIN_HASH] = command_admin_hash,
	[VERB_HELP] = command_help,
};

static int act(struct command *c, cli_run *run)
{
	BUF_AUTO text = BUF_INIT(64 << 10);
	if (command_has(c, OPTION_VERSION)) {
		buf_add_c(&text, "everseal " EVERSEAL_VERSION "\n");
		return print(&text, stdout);
	}
	if (command_has(c, OPTION_HELP))
		return help_on(c->verb == VERB_COUNT ? c->group : str_c(verbs[c->verb].words));
	if (c->verb == VERB_COUNT) {
		help_all(&text);
		print(&text, stderr);
		return EXIT_USAGE;
	}
	if (c->verb == VERB_RUN) {
		const char *state = c->values[OPTION_STATE];
		const char *dev_page = c->values[OPTION_DEV_PAGE];
		return run(&(struct cli_run_want){ .config = c->values[OPTION_CONFIG],
		        .state = state ? command_absolute(c, state).p : NULL,
		        .dev_page = dev_page ? command_absolute(c, dev_page).p : NULL });
	}
	return functions[c->verb](c);
}

int cli_main(int argc, char **argv, cli_run *run)
{
	struct command c = { 0 };
	struct err err = ERR_INIT;
	int status = command_parse(&c, argc, argv, &err) ? act(&c, run) : command_usage(&err);
	arena_done(&c.arena);
	if (fflush(stdout) && status == EXIT_DONE) {
		err_sys(&err, ERR_IO, errno, "What there is to say could not be written");
		status = command_fail(&err);
	}
	return status;
}
