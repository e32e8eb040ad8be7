/* everseal check */
#include "cli/command.h"

#include "cli/errors.h"
#include "config/config.h"
#include "server/settings.h"

static void print_json(const char *file, const struct config *config, struct str errors)
{
	BUF_AUTO out = BUF_INIT(4 << 20);
	struct json_writer w;
	json_write_init(&w, &out);
	json_write_object(&w, NULL);
	json_write_c(&w, "file", file);
	json_write_bool(&w, "exists", access(file, F_OK) == 0);
	if (config)
		json_write_int(&w, "sites", (int64_t)config->site_count);
	else
		json_write_null(&w, "sites");
	errors_write(&w, errors);
	json_write_end(&w);
	puts(buf_c(&out));
}

int command_check(struct command *c)
{
	const bool named = command_has(c, OPTION_CONFIG);
	const struct config_source source = {
		.file = command_config(c), .optional = !named, SERVER_SETTINGS
	};
	struct err err = ERR_INIT;
	BUF_AUTO errors = BUF_INIT(1 << 20);
	struct config *config = config_read(&source, &errors, &err);
	const int status = config ? EXIT_DONE : EXIT_FAILED;
	if (command_has(c, OPTION_JSON))
		print_json(source.file, config, buf_str(&errors));
	else if (!config)
		fputs(buf_c(&errors), stderr);
	else if (!named && access(source.file, F_OK) != 0)
		printf("There is no %s: the defaults hold, and have no errors.\n", source.file);
	else
		printf("%s has no errors. Sites: %zu.\n", source.file, config->site_count);
	config_free(&config);
	return status;
}
