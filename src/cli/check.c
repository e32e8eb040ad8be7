/* everseal check */
#include "cli/command.h"

#include "config/config.h"
#include "server/settings.h"

int command_check(struct command *c)
{
	const struct config_source source = { .file = command_config(c),
		.extra = server_settings,
		.extra_count = server_setting_count };
	struct err err = ERR_INIT;
	BUF_AUTO errors = BUF_INIT(1 << 20);
	struct config *config = config_read(&source, &errors, &err);
	if (!config) {
		fputs(buf_c(&errors), stderr);
		return EXIT_FAILED;
	}
	printf("%s has no errors. Sites: %zu.\n", source.file, config->site_count);
	config_free(&config);
	return EXIT_DONE;
}
