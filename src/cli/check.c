/* everseal check */
#include "cli/command.h"

#include "cli/errors.h"
#include "cli/warnings.h"

static void print_json(
        const char *file, const struct config *config, struct str errors, struct str warnings)
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
	errors_write(&w, "errors", errors);
	errors_write(&w, "warnings", warnings);
	json_write_end(&w);
	puts(buf_c(&out));
}

int command_check(struct command *c)
{
	const bool named = command_has(c, OPTION_CONFIG);
	const char *file = command_config(c);
	BUF_AUTO errors = BUF_INIT(1 << 20), warnings = BUF_INIT(1 << 20);
	struct config *config = warnings_config(c, &errors);
	const int status = config ? EXIT_DONE : EXIT_FAILED;
	if (config)
		warnings_find(c, config, &warnings);
	if (command_has(c, OPTION_JSON))
		print_json(file, config, buf_str(&errors), buf_str(&warnings));
	else if (!config)
		fputs(buf_c(&errors), stderr);
	else if (!named && access(file, F_OK) != 0)
		printf("There is no %s: the defaults hold, and have no errors.\n", file);
	else
		printf("%s has no errors. Sites: %zu.\n", file, config->site_count);
	if (!command_has(c, OPTION_JSON))
		fputs(buf_c(&warnings), stderr);
	config_free(&config);
	return status;
}
