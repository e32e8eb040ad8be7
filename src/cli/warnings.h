/* What a configuration without errors will hardly do as its author means it. */
#ifndef CLI_WARNINGS_H
#define CLI_WARNINGS_H

#include "cli/command.h"
#include "config/config.h"

/* A line each, as config_read gives errors. What certificates are like is asked of the running
 * server, if there is one; of what is not known nothing is said. */
void warnings_find(struct command *c, const struct config *config, struct buf *out);
/* Reads the file that the command names; NULL: *errors says why, in lines. */
struct config *warnings_config(struct command *c, struct buf *errors);

#endif
