/* The program `everseal`: its commands, and the supervisor behind `run`. */
#include "cli/cli.h"
#include "supervisor/supervisor.h"

static int run(const struct cli_run_want *asked)
{
	const struct supervisor_want want = {
		.config = asked->config, .state = asked->state, .dev_page = asked->dev_page
	};
	return supervisor_run(&want);
}

int main(int argc, char **argv)
{
	return cli_main(argc, argv, run);
}
