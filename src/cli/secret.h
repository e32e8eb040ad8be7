/* A password asked for: on the terminal without echo, twice; else one line of standard input. */
#ifndef CLI_SECRET_H
#define CLI_SECRET_H

#include "base/buf.h"
#include "base/err.h"

/* ret_password: an empty BUF_SECRET. */
MUST_CHECK bool secret_ask(const char *for_whom, struct buf *ret_password, struct err *err);

#endif
