/* The errors of a configuration as JSON. */
#ifndef CLI_ERRORS_H
#define CLI_ERRORS_H

#include "json/json.h"

/* The array "errors": "file", "line", "column" and "message"; the first three are null for an error
 * that has no place in a file. From lines as config_read gives them. */
void errors_write(struct json_writer *w, struct str lines);

#endif
