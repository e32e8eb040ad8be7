/* The log: through a context that carries its fields.
 *
 *	struct log site_log = { .parent = log, .key = "site", .value = "shop.example.com" };
 *	log_warning(&site_log, "The upstream does not answer, keeping the others.");
 * prints
 *	2026-11-24T15:43:29.120Z warning control site=shop.example.com: The upstream …
 *
 * error   = somebody must act
 * warning = says what we do instead ("…, keeping the old certificate")
 * info    = what a person would want to know later
 * debug   = off unless asked for
 *
 * A value with a space or quote is quoted; control characters are escaped, so that one call is one
 * line whatever a peer sent; a line above a few KiB is cut. Where lines go is decided once per
 * process by log_to. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/str.h"

#define LOG_LEVELS(X) X(ERROR, "error") X(WARNING, "warning") X(INFO, "info") X(DEBUG, "debug")

enum log_level {
#define X(name, text) LOG_##name,
	LOG_LEVELS(X)
#undef X
};
const char *log_level_name(enum log_level level);

/* One field; its strings must outlive it. Fields print from the outermost inwards; one without a
 * key prints nothing. A NULL log has no fields. */
struct log {
	const struct log *parent;
	const char *key, *value;
};

__attribute__((format(printf, 2, 3))) void log_error(const struct log *l, const char *f, ...);
__attribute__((format(printf, 2, 3))) void log_warning(const struct log *l, const char *f, ...);
__attribute__((format(printf, 2, 3))) void log_info(const struct log *l, const char *f, ...);
__attribute__((format(printf, 2, 3))) void log_debug(const struct log *l, const char *f, ...);
/* Hands on a line made elsewhere: its fields already are text ("key=value key=value"). */
void log_line(enum log_level level, struct str fields, struct str text);

/* The sink: level, the fields as text, the sentence. Default: a line on stderr. May be called from
 * every thread of the process; log_to itself is called before there is a second one. */
typedef void log_sink(enum log_level level, struct str fields, struct str text);
void log_to(log_sink *sink);
void log_to_stderr(enum log_level level, struct str fields, struct str text);
void log_set_process(const char *name);  /* a literal, printed in each line */
void log_set_level(enum log_level most); /* LOG_INFO at first; from any thread */

#endif
