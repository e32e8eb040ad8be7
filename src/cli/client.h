/* Talks to the running server: HTTP/1.1 with JSON over STATE/control.sock, one connection for each
 * request, blocking. */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "base/buf.h"
#include "base/err.h"
#include "json/json.h"

/* Takes an answer that comes line by line. */
struct lines {
	/* A line, without its newline. False: that is enough. */
	bool (*line)(struct lines *l, struct str line);
	/* Nothing has come for a while (CLIENT_TICK). False: that is enough. */
	bool (*idle)(struct lines *l);
};
enum { CLIENT_TICK = 250, CLIENT_PATIENCE = 60000, CLIENT_START = 5000 }; /* ms */

/* Takes an answer that is neither text nor short, piece by piece, however long it is waited for. */
struct pieces {
	/* False: that is enough. */
	bool (*piece)(struct pieces *p, struct str piece);
};

struct question {
	const char *method;
	struct str path;
	struct str body;     /* JSON, or STR_NONE */
	struct lines *lines; /* NULL: the answer is one JSON text */
	struct pieces *pieces;
};

struct answer {
	unsigned status;
	struct buf body; /* of a question with lines: what was not a line of them, or an error */
};
void answer_done(struct answer *a);
#define ANSWER_AUTO __attribute__((cleanup(answer_done))) struct answer

/* Waits up to CLIENT_START for a server that is just starting. On failure err says why; what the
 * server itself refused is in its body, too. Without lines, silence of CLIENT_PATIENCE is a
 * failure. ERR_UNREACHABLE: nobody is there, or he went away. */
MUST_CHECK bool client_ask(
        struct str state, const struct question *q, struct answer *ret_answer, struct err *err);
/* The same, with the answer read as JSON. */
MUST_CHECK struct json *client_ask_json(
        struct str state, const struct question *q, struct err *err);

#endif
