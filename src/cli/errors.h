/* The errors of a configuration as JSON. */
#ifndef CLI_ERRORS_H
#define CLI_ERRORS_H

#include "json/json.h"

/* An array "errors" or "warnings": "file", "line", "column" and "message"; the first three are null
 * for one that has no place in a file. From lines as config_read gives them. */
void errors_write(struct json_writer *w, const char *key, struct str lines);

#endif
