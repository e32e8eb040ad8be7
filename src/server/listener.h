/* The sockets on which a worker accepts. Several threads and processes share each of them. */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include "server/worker.h"

/* Accepts on the current generation's listeners, on no others. */
void listeners_replace(struct worker *w);
void listeners_stop(struct worker *w);
/* A connection has ended: accepts again if the limit was reached. */
void listeners_room(struct worker *w);

/* Closes the oldest connection of the place (an IPv4 address, a /64 of IPv6) that has the most: of
 * those without a request under way, or of all if none is without; the newest of all stays. False
 * if there is none. */
bool listeners_make_room(struct worker *w);

#endif
