/* A password asked for: on the terminal without echo, twice; else one line of standard input. */
#ifndef CLI_SECRET_H
#define CLI_SECRET_H

#include "base/buf.h"
#include "base/err.h"

/* `secret`: "password" or "secret", as the questions call it. ret_secret: an empty BUF_SECRET. */
MUST_CHECK bool secret_ask(
        const char *secret, const char *for_whom, struct buf *ret_secret, struct err *err);

/* The password of a file that was brought (asked for once), or of one to be made (`is_new`); from
 * the first line of `from`, unless that is NULL. Only there it may be empty, of one that was
 * brought. */
struct secret_file {
	const char *path, *from;
	bool is_new;
};
MUST_CHECK bool secret_of_file(
        const struct secret_file *file, struct buf *ret_password, struct err *err);

#endif
