/* The nearest of some words to a mistyped one: for directives and for commands. */
#ifndef CONFIG_NEAREST_H
#define CONFIG_NEAREST_H

#include "base/str.h"

struct nearest {
	struct str typed;
	const char *word; /* NULL before the first */
	unsigned distance;
};
void nearest_try(struct nearest *n, const char *word);
bool nearest_is_close(const struct nearest *n); /* near enough to be what was meant */

#endif
