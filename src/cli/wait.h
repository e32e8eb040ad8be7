/* Follows a task of the running server to its end. */
#ifndef CLI_WAIT_H
#define CLI_WAIT_H

#include "cli/command.h"

/* Prints each step; the exit status is the outcome's. A server that dies meanwhile is waited for:
 * what it was asked is stored, and goes on when it is back. A limit of the CA's is not waited for:
 * EXIT_WAITS. */
int wait_for_task(struct command *c, struct str state, struct str task);

#endif
