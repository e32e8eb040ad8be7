/* `basic-auth` (RFC 7617): who may come is known to control alone. A name and password that it let
 * through pass here for a while, by a keyed hash of them and of the list that they were compared
 * with; whatever else comes is asked of it. Requests with the same ones wait for one answer. */
#ifndef SERVER_AUTH_H
#define SERVER_AUTH_H

#include "server/exchange.h"

struct auth; /* a worker's: what it has asked, and what has passed */
struct msg_password_checked;

/* Calls go_on, now or later, or answers the exchange. Its route has users. */
void auth_start(struct exchange *ex, void (*go_on)(struct exchange *ex));
/* Control's answer; harmless if it is not for this worker. */
void auth_heard(struct worker *w, const struct msg_password_checked *m);
/* After the last exchange has ended. */
void auth_free(struct auth **a);

#endif
