#ifndef CLI_CERTIFICATE_H
#define CLI_CERTIFICATE_H

#include "cli/command.h"
#include "json/json.h"

/* Posts to /api/certificates/NAME/WHAT; `done` follows the name in the sentence for people. Follows
 * the task with --wait. The exit status. */
int certificate_do(struct command *c, const char *what, const char *done, struct str body);
/* Asks `q`; `done` follows the first operand in the sentence for people. The exit status. */
struct question;
int command_do(struct command *c, const struct question *q, const char *done);
void certificate_print(const struct json *answer); /* as JSON, on a line of stdout */

#endif
