/* A line for each exchange, made by the worker and handed over in portions to a thread that may
 * wait for a disk. Nothing a client sends can end a line, begin one, or break its JSON: in the
 * formats of Apache all but visible ASCII, quotes and backslashes are \xHH; JSON is escaped, and
 * bytes that are no UTF-8 are U+FFFD. Parts that are too long are cut. Cookies, credentials and
 * bodies are never in it.
 *
 *	common    CLIENT - - [DATE] "METHOD PATH VERSION" STATUS BYTES
 *	combined  the same, and "REFERER" "AGENT"
 *	json      an object with members as in access_log.c
 *
 * A status of 499 says that the client left before he was answered. */
#ifndef SERVER_ACCESS_LOG_H
#define SERVER_ACCESS_LOG_H

#include "base/buf.h"
#include "server/exchange.h"

#define ACCESS_FORMATS(X) X(OFF, "off") X(COMMON, "common") X(COMBINED, "combined") X(JSON, "json")
enum access_format {
#define X(name, text) ACCESS_##name,
	ACCESS_FORMATS(X)
#undef X
};
bool access_format_read(struct str word, enum access_format *ret_format);

/* Lines are handed over once there are so many bytes, or after so many ms. */
enum { ACCESS_PORTION = 32 << 10, ACCESS_WAIT = 200, ACCESS_LINES_MOST = 64 << 10 };

struct access_log { /* a worker's */
	struct buf lines;
	unsigned count;
	struct timer hand_over;
};
void access_log_done(struct worker *w);
/* What was gathered goes to worker->log_lines, which takes it. */
void access_log_flush(struct worker *w);

/* The exchange has ended: its line, if there is to be one. */
void access_log_note(const struct exchange *ex);
/* The line alone, with its end. */
void access_log_line(const struct exchange *ex, enum access_format format, struct buf *out);

#endif
