#include "proxy/pool.h"

#include "base/err.h"
#include "base/log.h"
#include <inttypes.h>

enum {
	FORGET_AFTER = 10 * 60 * 1000,
	TELL_EVERY = 10 * 1000,
	DOWN_FIRST = 1000,
	DOWN_MOST = 30000
};

static int64_t now(const struct proxy_pools *p)
{
	return loop_mono(p->worker->loop);
}

struct proxy_pools *proxy_pools_new(struct worker *w)
{
	struct proxy_pools *p = mem_new(struct proxy_pools);
	p->worker = w;
	p->head = BUF(1 << 20);
	/* Keyed by the process: another Everseal in front of or behind this one is no loop. */
	snprintf(p->via, sizeof p->via, "everseal-%016" PRIx64, hash_keyed(STR("via")));
	return p;
}

static void pool_free(struct pool *pool)
{
	CHECK(pool->open == 0);
	map_remove(&pool->pools->pools, &pool->node);
	free(pool);
}

static void close_channel(struct channel *c)
{
	struct pool *pool = c->pool;
	if (list_linked(&c->node)) {
		pool->kept_count--;
		pool->pools->counts.kept--;
	}
	list_remove(&c->node);
	timer_stop(&c->timer);
	conn_free(&c->held.conn);
	pool->open--;
	pool->pools->counts.open--;
	free(c);
}

void pool_init(struct pool *p, struct proxy_pools *pools, struct conn *(*dial)(struct pool *p))
{
	*p = (struct pool){ .pools = pools, .dial = dial };
	list_init(&p->kept);
}

void pool_done(struct pool *p)
{
	LIST_EACH (entry, &p->kept)
		close_channel(OWNER(entry, struct channel, node));
	CHECK(p->open == 0);
}

void proxy_pools_free(struct proxy_pools **p)
{
	if (!*p)
		return;
	MAP_EACH (node, &(*p)->pools) {
		struct pool *pool = OWNER(node, struct pool, node);
		pool_done(pool);
		pool_free(pool);
	}
	map_done(&(*p)->pools);
	buf_done(&(*p)->head);
	free(*p);
	*p = NULL;
}

struct proxy_counts proxy_pools_counts(const struct proxy_pools *p)
{
	return p->counts;
}

/* Family, port and address without what else a sockaddr holds. */
static struct str key_of(const struct sockaddr_storage *a, char ret_key[20])
{
	memset(ret_key, 0, 20);
	if (a->ss_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, a, sizeof in);
		memcpy(ret_key, &in.sin_port, 2);
		memcpy(ret_key + 2, &in.sin_addr, 4);
		return str_n(ret_key, 6);
	}
	struct sockaddr_in6 in6;
	memcpy(&in6, a, sizeof in6);
	memcpy(ret_key, &in6.sin6_port, 2);
	memcpy(ret_key + 2, &in6.sin6_addr, 16);
	return str_n(ret_key, 18);
}

static void forget_old(struct proxy_pools *p)
{
	MAP_EACH (node, &p->pools) {
		struct pool *pool = OWNER(node, struct pool, node);
		if (pool->open == 0 && now(p) - pool->used > FORGET_AFTER)
			pool_free(pool);
	}
}

static struct pool *pool_of(struct proxy_pools *p, const struct sockaddr_storage *address)
{
	char key[20];
	struct str text = key_of(address, key);
	struct map_node *node = map_find(&p->pools, text);
	if (node) {
		struct pool *pool = OWNER(node, struct pool, node);
		pool->used = now(p);
		return pool;
	}
	forget_old(p);
	struct pool *pool = mem_new(struct pool);
	pool_init(pool, p, /* dial= */ NULL);
	pool->address = *address;
	pool->used = now(p);
	memcpy(pool->key, key, sizeof key);
	map_add(&p->pools, str_n(pool->key, text.n), &pool->node);
	return pool;
}

static bool is_down(const struct pool *p)
{
	return p->down_until > now(p->pools);
}

static size_t busy(const struct pool *p)
{
	return p->open - p->kept_count;
}

static bool is_better(const struct pool *a, const struct pool *b)
{
	if (!b || is_down(a) != is_down(b))
		return !b || is_down(b);
	return busy(a) < busy(b);
}

struct pool *pools_choose(
        struct proxy_pools *p, const struct upstreams *u, uint64_t tried, uint64_t *ret_bit)
{
	struct pool *best = NULL;
	unsigned turn = u->count > 1 ? p->turn++ : 0;
	for (size_t k = 0; k < u->count; k++) {
		size_t i = (turn + k) % u->count;
		uint64_t bit = UINT64_C(1) << i % 64;
		if (tried & bit)
			continue;
		struct pool *pool = pool_of(p, &u->at[i].address);
		if (!is_better(pool, best))
			continue;
		best = pool;
		*ret_bit = bit;
	}
	return best;
}

/* Something to read on a kept connection: its end, or bytes that nobody asked for. An event may
 * also tell of bytes that were read already. */
static void kept_ready(struct channel *c)
{
	char byte;
	if (conn_read(c->held.conn, &byte, 1) != CONN_AGAIN)
		close_channel(c);
}

static void ready(struct conn *conn, unsigned events)
{
	struct channel *c = OWNER(conn->holder, struct channel, held);
	if (c->user)
		c->user->ready(c->user, events);
	else
		kept_ready(c);
}

static void due(struct timer *t)
{
	struct channel *c = OWNER(t, struct channel, timer);
	if (c->user)
		c->user->due(c->user);
	else
		close_channel(c);
}

bool pool_take(struct pool *p, struct channel_user *u)
{
	struct list *first = list_first(&p->kept);
	if (!first)
		return false;
	struct channel *c = OWNER(first, struct channel, node);
	list_remove(&c->node);
	p->kept_count--;
	p->pools->counts.kept--;
	c->was_kept = true;
	c->user = u;
	u->channel = c;
	return true;
}

/* Descriptors are few: one that another application's kept connection holds is better used. */
static bool has_descriptor(struct proxy_pools *p)
{
	size_t most = p->worker->upstreams_most;
	if (most == 0 || p->counts.open < most)
		return true;
	MAP_EACH (node, &p->pools) {
		struct pool *pool = OWNER(node, struct pool, node);
		if (list_empty(&pool->kept))
			continue;
		close_channel(OWNER(list_last(&pool->kept), struct channel, node));
		return true;
	}
	return false;
}

bool pool_open(struct pool *p, struct channel_user *u, uint64_t most)
{
	if (p->open >= most || !has_descriptor(p->pools))
		return false;
	struct loop *loop = p->pools->worker->loop;
	struct conn *conn = p->dial ? p->dial(p) : conn_tcp_connect(loop, &p->address);
	if (!conn)
		return false;
	struct channel *c = mem_new(struct channel);
	c->pool = p;
	c->user = u;
	c->connecting = !p->dial;
	conn_hold(&c->held, conn, ready);
	p->open++;
	p->pools->counts.open++;
	p->pools->counts.connects++;
	u->channel = c;
	return true;
}

void channel_keep(struct channel_user *u, int64_t idle_ms)
{
	struct channel *c = u->channel;
	u->channel = NULL;
	if (idle_ms == 0) {
		close_channel(c);
		return;
	}
	c->user = NULL;
	list_add_first(&c->pool->kept, &c->node);
	c->pool->kept_count++;
	c->pool->pools->counts.kept++;
	timer_start(&c->timer, c->pool->pools->worker->loop, idle_ms, due);
}

void channel_close(struct channel_user *u)
{
	if (u->channel)
		close_channel(u->channel);
	u->channel = NULL;
}

void channel_reset(struct channel_user *u)
{
	if (!u->channel)
		return;
	/* Whoever holds the connection from here on holds nothing. */
	conn_reset(&u->channel->held.conn);
	channel_close(u);
}

void channel_deadline(struct channel_user *u, int64_t after_ms)
{
	struct channel *c = u->channel;
	timer_start(&c->timer, c->pool->pools->worker->loop, after_ms, due);
}

static struct log log_of(const struct pool *p, char text[ADDRESS_TEXT])
{
	return (struct log){ .key = "upstream", .value = address_text_port(&p->address, text) };
}

void pool_connect_failed(struct pool *p, const char *why)
{
	unsigned doublings = p->failures < 5 ? p->failures : 5;
	int64_t down = (int64_t)DOWN_FIRST << doublings;
	p->down_until = now(p->pools) + (down < DOWN_MOST ? down : DOWN_MOST);
	p->pools->counts.connects_failed++;
	if (p->failures++ > 0)
		return;
	char text[ADDRESS_TEXT];
	struct log log = log_of(p, text);
	log_warning(&log, "The application cannot be reached (%s), using others if there are any.",
	        why);
}

void pool_connected(struct pool *p)
{
	p->down_until = 0;
	if (p->failures == 0)
		return;
	p->failures = 0;
	char text[ADDRESS_TEXT];
	struct log log = log_of(p, text);
	log_info(&log, "The application can be reached again.");
}

void pool_answer_failed(struct pool *p, const char *why)
{
	int64_t at = now(p->pools);
	if (p->told != 0 && at - p->told < TELL_EVERY)
		return;
	p->told = at ? at : 1;
	char text[ADDRESS_TEXT];
	struct log log = log_of(p, text);
	log_warning(&log, "%s", why);
}
