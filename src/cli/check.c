/* everseal check */
#include "cli/command.h"

#include "config/config.h"
#include "server/settings.h"

int command_check(struct command *c)
{
	const bool named = command_has(c, OPTION_CONFIG);
	const struct config_source source = { .file = command_config(c),
		.optional = !named,
		.extra = server_settings,
		.extra_count = server_setting_count };
	struct err err = ERR_INIT;
	BUF_AUTO errors = BUF_INIT(1 << 20);
	struct config *config = config_read(&source, &errors, &err);
	if (!config) {
		fputs(buf_c(&errors), stderr);
		return EXIT_FAILED;
	}
	if (!named && access(source.file, F_OK) != 0)
		printf("There is no %s: the defaults hold, and have no errors.\n", source.file);
	else
		printf("%s has no errors. Sites: %zu.\n", source.file, config->site_count);
	config_free(&config);
	return EXIT_DONE;
}
