/* One row per setting: what the file, the commands, the API, the page and the manual know of it.
 *
 * The module that needs a setting declares its rows; config/ collects them. `offset` is the place
 * of the value in the struct named by the block the row stands in (config/config.h). */
#ifndef BASE_SETTING_H
#define BASE_SETTING_H

#include "base/str.h"

#define SETTING_TYPES(X)                                                                           \
	X(YES_NO, "yes|no") /* bool */                                                             \
	X(COUNT, "NUMBER")  /* uint64_t */                                                         \
	X(SIZE, "SIZE")     /* uint64_t, bytes; file: 64k, 16m */                                  \
	X(DURATION, "TIME") /* int64_t, ms; file: 500ms, 10s, 5min, 1h, 1d, 1y */                  \
	X(TEXT, "TEXT")     /* struct str */                                                       \
	X(SPECIAL, "")      /* parsed by config/'s own function for that directive */

enum setting_type {
#define X(name, text) SETTING_##name,
	SETTING_TYPES(X)
#undef X
};

struct setting {
	const char *name; /* the directive */
	enum setting_type type;
	size_t offset;
	const char *params; /* how the manual writes its parameters, if the type does not say it */
	const char *fallback; /* the default, as the file would say it; "" if there is none */
	int64_t least, most;  /* bounds for COUNT, SIZE and DURATION */
	bool restart;         /* takes effect at the next start only */
	bool secret;          /* masked wherever it is shown */
	const char *help;     /* a paragraph for the manual, in scdoc */
};

#endif
