/* Follows a task of the running server to its end. */
#ifndef CLI_WAIT_H
#define CLI_WAIT_H

#include "cli/command.h"

/* Prints each step; the exit status is the outcome's. A server that dies meanwhile is waited for:
 * what it was asked is stored, and goes on when it is back. */
int wait_for_task(struct command *c, struct str state, struct str task);

#endif
