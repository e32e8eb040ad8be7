/* The parent of all: starts and revives control, fetch and both serves, links them to control,
 * binds sockets and passes them on. It parses no configuration and reads nothing foreign.
 *
 * The programs everseal-control, everseal-fetch and everseal-serve are found beside this program's
 * own real path, or in ../libexec/everseal of it, and opened before anything else: neither an
 * upgrade nor a folder that their user may not enter matters to a revival. Their descriptors are 0
 * to 2 and the link to us (link/child.h). Their arguments:
 *
 *	everseal-control [--config FILE] [--state DIR] [--dev-page DIR]
 *	                                                  with our rights
 *	everseal-fetch                                    as control's `identity` says
 *	everseal-serve --workers N                        likewise
 *	everseal-page --workers 1                         likewise; everseal-serve once more,
 *	                                                  for the page
 *
 * Test switches: environment variables EVERSEAL_* reach all of them. */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

struct supervisor_want {
	const char *config, *state, *dev_page; /* NULL: not given */
};

/* Runs until SIGTERM or SIGINT; returns the exit status of the program: 0, or 1 if control could
 * not start (it has said why itself) or a program is missing (said in the log). */
int supervisor_run(const struct supervisor_want *want);

#endif
