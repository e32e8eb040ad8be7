/* Connections to upstreams: which one, kept or new. Private to proxy/. */
#ifndef PROXY_POOL_H
#define PROXY_POOL_H

#include "base/buf.h"
#include "net/address.h"
#include "net/conn.h"
#include "proxy/proxy.h"

struct channel;

/* Whoever has a channel; told of its events until it is kept or closed. */
struct channel_user {
	void (*ready)(struct channel_user *u, unsigned events);
	void (*due)(struct channel_user *u); /* channel_deadline has passed */
	struct channel *channel;
};

/* One connection to an upstream. */
struct channel {
	struct conn_holder held;
	struct pool *pool;
	struct list node; /* in pool->kept while it has no user */
	struct timer timer;
	struct channel_user *user;
	bool connecting; /* until its first CONN_OUT */
	bool was_kept;   /* carried a request before this one */
};

/* The connections to one address. */
struct pool {
	struct map_node node;
	struct proxy_pools *pools;
	struct sockaddr_storage address;
	char key[20];
	struct list kept; /* last used first */
	size_t open, kept_count;
	unsigned failures;  /* connects that failed, since the last that did not */
	int64_t down_until; /* mono ms */
	int64_t used;       /* mono ms, last looked up */
	int64_t told;       /* mono ms, last failure that was logged; 0: never */
	/* In place of a connection to `address`; NULL: none. Returns NULL if it cannot be had. What
	 * it returns is connected already. */
	struct conn *(*dial)(struct pool *p);
};

struct proxy_pools {
	struct worker *worker;
	struct map pools; /* by address */
	unsigned turn;    /* whose turn it is among equals */
	struct buf head;  /* scratch: a request head on its way out */
	char via[32];     /* our pseudonym in Via: one per process, told to nobody else */
	struct proxy_counts counts;
};

/* The best of a group's upstreams whose bit in `tried` is not set, and its bit; NULL if there is
 * none. More than 64 share bits. */
struct pool *pools_choose(
        struct proxy_pools *p, const struct upstreams *u, uint64_t tried, uint64_t *ret_bit);

/* A pool that the caller owns, and that pools_choose does not know. */
void pool_init(struct pool *p, struct proxy_pools *pools, struct conn *(*dial)(struct pool *p));
void pool_done(struct pool *p); /* its channels have no user any more */

/* A kept channel, or false. */
bool pool_take(struct pool *p, struct channel_user *u);
/* A new one: CONN_OUT will tell if it is `connecting`. False if `most` are open. */
bool pool_open(struct pool *p, struct channel_user *u, uint64_t most);
/* A connect failed, did not fail; an answer failed in another way. `why` is for the log. */
void pool_connect_failed(struct pool *p, const char *why);
void pool_connected(struct pool *p);
void pool_answer_failed(struct pool *p, const char *why);

/* For another request, at most for idle_ms (0: it is closed). */
void channel_keep(struct channel_user *u, int64_t idle_ms);
void channel_close(struct channel_user *u); /* harmless without a channel */
void channel_reset(struct channel_user *u); /* likewise; the upstream sees a failure */
void channel_deadline(struct channel_user *u, int64_t after_ms);

#endif
