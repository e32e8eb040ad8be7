/* Connections to one upstream, kept or new, and how it does. Private to proxy/. */
#ifndef PROXY_POOL_H
#define PROXY_POOL_H

#include "base/buf.h"
#include "net/address.h"
#include "net/conn.h"
#include "proxy/proxy.h"

/* "unix:" and a path that a socket can have fit in, an address in any case. */
enum { UPSTREAM_SHOWN = 120 };

struct channel;

/* For whom a connection is, where `send-proxy` says so at its beginning: then it is for nobody
 * else. All zero: for us. */
struct visit {
	struct sockaddr_storage from, to;
};

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
	bool connecting;     /* until its first CONN_OUT */
	bool was_kept;       /* carried a request before this one */
	struct visit *visit; /* of send-proxy; heap */
	bool is_ride;        /* it has no connection of its own (trunk.h) */
};

/* What is remembered of an upstream that fails. It is left out until down_until, twice as long each
 * time that it fails again before an answer was good. */
struct pool_health {
	unsigned marks;   /* how often it was left out, since the last good answer */
	unsigned bad;     /* failed answers in a row */
	bool suspect;     /* a worker has found it failing, and none has found it well since */
	bool unreachable; /* the last mark was for a connection: the next one that stands ends it */
	int64_t down_until; /* mono ms */
	int64_t back;       /* mono ms, when it was well again; 0: it always was */
	int64_t told;       /* mono ms, last failed answer that was logged; 0: never */
};

/* The connections to one upstream. */
struct pool {
	struct map_node node; /* by `key` */
	struct proxy_pools *pools;
	enum upstream_scheme scheme;
	unsigned send_proxy; /* version of the PROXY protocol, 0: none */
	struct sockaddr_storage address;
	struct list kept; /* last used first */
	size_t open, kept_count;
	struct list trunks;  /* of h2c (trunk.h) */
	uint32_t rides_most; /* on each of them, as the upstream said last; 0: it has not */
	struct pool_health health;
	struct list members; /* in whose groups it is */
	int64_t used;        /* mono ms, last looked up */
	/* In place of a connection to `address`; NULL: none. Returns NULL if it cannot be had. What
	 * it returns is connected already. */
	struct conn *(*dial)(struct pool *p);
	struct tls_trust *trust; /* of https; the pool's */
	struct ssl_session_st *session;
	char *server_name;          /* of https; heap */
	char shown[UPSTREAM_SHOWN]; /* for logs and status */
	char *key;                  /* heap */
};

struct proxy_pools {
	struct worker *worker;
	struct map pools;
	struct map groups; /* by identity (group.h) */
	struct {
		struct group *group; /* NULL: none */
		uint64_t identity;
	} last;           /* that was asked for: often it is the next, too */
	struct map hosts; /* by name (hosts.c) */
	uint64_t hosts_version;
	struct map suspects; /* by what is shown: those that a worker has found failing */
	struct buf head;     /* scratch: a request head on its way out */
	char via[32];        /* our pseudonym in Via: one per process, told to nobody else */
	struct proxy_counts counts;
};

static inline int64_t pools_now(const struct proxy_pools *p)
{
	return loop_mono(p->worker->loop);
}

/* The pool of that upstream at this address (its own, or one that its name stands for). */
struct pool *pool_of(struct proxy_pools *p, const struct upstreams *says, const struct upstream *u,
        const struct sockaddr_storage *address);

/* A pool that the caller owns, and that no group has. */
void pool_init(struct pool *p, struct proxy_pools *pools, struct conn *(*dial)(struct pool *p));
void pool_done(struct pool *p); /* its channels have no user any more */

static inline size_t pool_busy(const struct pool *p)
{
	return p->open - p->kept_count;
}
static inline bool pool_is_down(const struct pool *p)
{
	return p->health.marks > 0 && p->health.down_until > pools_now(p->pools);
}

/* A kept channel, or false. NULL for `v`: it is said to nobody whose it is. */
bool pool_take(struct pool *p, struct channel_user *u, const struct visit *v);
/* A new one: CONN_OUT will tell if it is `connecting`. False if `most` are open. Of h2c it is only
 * a place for one more ride. */
bool pool_open(struct pool *p, struct channel_user *u, uint64_t most, const struct visit *v);
/* Whether there is a descriptor for one more connection. */
bool pool_may_connect(struct pool *p);
/* Connects, outside of what is counted. */
struct conn *pool_connect(struct pool *p, const struct visit *v);
bool visit_same(const struct visit *a, const struct visit *b);
/* A connect failed, did not fail; `why` is for the log. */
void pool_connect_failed(struct pool *p, const struct upstream_options *o, const char *why);
void pool_connected(struct pool *p);
/* An answer failed, or was as it should be. */
void pool_answer_failed(struct pool *p, const struct upstream_options *o, const char *why);
void pool_answered(struct pool *p);

/* For another request, at most for idle_ms (0: it is closed). */
void channel_keep(struct channel_user *u, int64_t idle_ms);
void channel_close(struct channel_user *u); /* harmless without a channel */
void channel_reset(struct channel_user *u); /* likewise; the upstream sees a failure */
void channel_deadline(struct channel_user *u, int64_t after_ms);

#endif
