/* Where clients come from, as far as limits are concerned: an IPv4 address, or a /64 of IPv6, which
 * is what one household has; and how many connections a worker has from there. */
#ifndef SERVER_PLACE_H
#define SERVER_PLACE_H

#include "base/list.h"
#include "base/map.h"
#include <sys/socket.h>

struct client;

/* Never 0. */
uint64_t place_of(const struct sockaddr_storage *a);

struct client_place {
	struct map_node node; /* in worker->places; its key is `key` */
	uint64_t key;
	struct list clients; /* the oldest first */
	size_t count;
};

/* The client's address is known now. If as many come from there as may, the oldest without a
 * request under way makes room; false if there is none. */
bool place_enter(struct client *c);
void place_leave(struct client *c);

#endif
