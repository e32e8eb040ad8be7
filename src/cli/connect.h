#ifndef CLI_CONNECT_H
#define CLI_CONNECT_H

#include "base/err.h"

/* A descriptor connected to STATE/control.sock, or -1. */
MUST_CHECK int client_connect(struct str state, struct err *err);

#endif
