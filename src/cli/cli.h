/* The commands of `everseal`. All but `run` talk to the running server over STATE/control.sock. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

/* What `run` does is not known here: it is the caller's. NULL: not given. */
struct cli_run_want {
	const char *config, *state, *dev_page;
};
typedef int cli_run(const struct cli_run_want *want);

int cli_main(int argc, char **argv, cli_run *run); /* the exit status */

#endif
