/* Fills a manual page: lines @COMMANDS@, @OPTIONS@ and @DIRECTIVES@ become what the tables say.
 * With --check: whether every row of them has its text. */
#include "cli/words.h"
#include "config/config.h"
#include "server/settings.h"

enum { PAGE_MOST = 1 << 20, LINE = 4096 };

static int check(void)
{
	const struct config_source rows = { SERVER_SETTINGS };
	struct err err = ERR_INIT;
	if (!config_manual_complete(&rows, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	if (!cli_manual_complete()) {
		fputs("A command or an option has no help.\n", stderr);
		return 1;
	}
	return 0;
}

static void add_line(struct buf *page, const char *line)
{
	const struct config_source rows = { SERVER_SETTINGS };
	if (!strcmp(line, "@COMMANDS@\n"))
		cli_manual_commands(page);
	else if (!strcmp(line, "@OPTIONS@\n"))
		cli_manual_options(page);
	else if (!strcmp(line, "@DIRECTIVES@\n"))
		config_manual(&rows, page);
	else
		buf_add_c(page, line);
}

static int fill(const char *name)
{
	BUF_AUTO page = BUF_INIT(PAGE_MOST);
	char line[LINE];
	FILE *f = fopen(name, "r");
	if (!f) {
		perror(name);
		return 1;
	}
	while (fgets(line, sizeof line, f))
		add_line(&page, line);
	fclose(f);
	fputs(buf_c(&page), stdout);
	return fflush(stdout) == 0 && buf_ok(&page) ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc == 2)
		return strcmp(argv[1], "--check") ? fill(argv[1]) : check();
	fputs("Usage: everseal-manual PAGE.scd | --check\n", stderr);
	return 2;
}
