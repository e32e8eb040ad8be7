/* The program `everseal`: its commands, and the supervisor behind `run`. */
#include "cli/cli.h"
#include "supervisor/supervisor.h"

static int run(const char *config, const char *state)
{
	const struct supervisor_want want = { .config = config, .state = state };
	return supervisor_run(&want);
}

int main(int argc, char **argv)
{
	return cli_main(argc, argv, run);
}
