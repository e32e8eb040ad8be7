/* `forward-auth`: an application of its own is asked whether a request may come in. It gets the
 * request's head as a GET, with X-Forwarded-Method and X-Forwarded-Uri. What it answers with 2xx
 * lets the request in, with the headers of that answer that are to be copied; every other answer
 * goes to the client, and so does our own if it cannot be asked. */
#ifndef SERVER_FORWARD_AUTH_H
#define SERVER_FORWARD_AUTH_H

#include "server/exchange.h"

/* Calls go_on later, or answers the exchange. Its route has such an application. */
void forward_auth_start(struct exchange *ex, void (*go_on)(struct exchange *ex));

#endif
