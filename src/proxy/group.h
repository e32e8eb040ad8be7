/* A group of upstreams as one worker has it: its members with their pools, which of them gets a
 * request, and the requests that wait for one. Private to proxy/.
 *
 * Of the members that are well the one with the fewest requests under way by its weight is chosen;
 * among equals each in its turn, as often as it has weight. A member that comes back weighs less
 * for a while (slow-start). A group stays the same from generation to generation as long as the
 * configuration says the same of it. */
#ifndef PROXY_GROUP_H
#define PROXY_GROUP_H

#include "proxy/pool.h"

struct check;
struct member {
	struct list node; /* in pool->members */
	struct group *group;
	struct pool *pool;
	const struct upstream *upstream; /* in group->generation */
	int64_t credit;                  /* of its turn */
	uint64_t mark;                   /* in the cookie of `sticky`; never 0 */
	bool sick;                       /* says the health check */
	bool seen;                       /* while the members are made anew */
	int64_t back;                    /* mono ms, when it was no longer; 0: it never was */
	struct check *check;             /* health.c; NULL: nobody asks here */
};

struct group {
	struct map_node node;
	struct proxy_pools *pools;
	struct generation *generation; /* a reference */
	const struct upstreams *says;  /* in it */
	struct member **at;
	size_t count;
	uint64_t hosts_version; /* that the members were made of */
	struct list queue;      /* struct group_waiting, the first comes first */
	size_t queued;
	struct later wake;
};

/* Who waits for a member to have room. */
struct group_waiting {
	struct list node;
	struct group *group;
	struct timer timer;
	void (*go)(struct group_waiting *w);  /* there is room */
	void (*due)(struct group_waiting *w); /* the time is over */
};

struct group *group_of(
        struct proxy_pools *p, struct generation *generation, const struct upstreams *says);
void group_free(struct group *g); /* nobody waits */

struct group_choice {
	uint64_t tried; /* members that are not asked again, by bit; more than 64 share bits */
	uint64_t mark;  /* of the visitor's cookie, 0: none */
	bool full;      /* set if there is one that may not have more connections now */
	bool moved;     /* set if the visitor's own member is not to be had */
};
/* The best, and its bit added to `tried`; NULL if there is none. */
struct member *group_choose(struct group *g, struct group_choice *c);
/* How many connections this worker may have to one member. */
uint64_t group_most(const struct group *g);

/* False if the queue is full, or there is none. */
bool group_wait(struct group *g, struct group_waiting *w);
void group_leave(struct group_waiting *w); /* harmless if it does not wait */
/* A connection to the pool has become free, or could be opened. */
void groups_released(struct pool *pool);

/* hosts.c: names, and what they stand for */
struct host {
	struct map_node node; /* by name */
	struct sockaddr_storage *at;
	size_t count;
	int fd; /* of a Unix socket's directory; -1: none */
	char name[];
};
const struct host *host_find(const struct proxy_pools *p, struct str name);
void hosts_done(struct proxy_pools *p);

#endif
