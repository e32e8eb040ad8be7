#include "proxy/pool.h"

#include "base/err.h"
#include "base/log.h"
#include "net/proxy_protocol.h"
#include "proxy/group.h"
#include "proxy/trunk.h"
#include "tls/tls.h"
#include <inttypes.h>

enum {
	FORGET_AFTER = 10 * 60 * 1000,
	TELL_EVERY = 10 * 1000,
	DOWN_FIRST = 1000,
	DOUBLINGS = 16,
	SUSPECTS_MOST = 10000
};

struct suspect {
	struct map_node node;
	char shown[];
};

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
	CHECK(pool->open == 0 && list_empty(&pool->members) && list_empty(&pool->trunks));
	map_remove(&pool->pools->pools, &pool->node);
	tls_session_free(&pool->session);
	tls_trust_unref(&pool->trust);
	free(pool->server_name);
	free(pool->key);
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
	free(c->visit);
	pool->open--;
	pool->pools->counts.open -= !c->is_ride;
	free(c);
	groups_released(pool);
}

void pool_init(struct pool *p, struct proxy_pools *pools, struct conn *(*dial)(struct pool *p))
{
	*p = (struct pool){ .pools = pools, .dial = dial };
	list_init(&p->kept);
	list_init(&p->members);
	list_init(&p->trunks);
}

void pool_done(struct pool *p)
{
	LIST_EACH (entry, &p->kept)
		close_channel(OWNER(entry, struct channel, node));
	trunks_done(p);
	CHECK(p->open == 0);
}

void proxy_pools_free(struct proxy_pools **p)
{
	if (!*p)
		return;
	MAP_EACH (node, &(*p)->groups)
		group_free(OWNER(node, struct group, node));
	MAP_EACH (node, &(*p)->pools) {
		struct pool *pool = OWNER(node, struct pool, node);
		pool_done(pool);
		pool_free(pool);
	}
	MAP_EACH (node, &(*p)->suspects) {
		map_remove(&(*p)->suspects, node);
		free(OWNER(node, struct suspect, node));
	}
	map_done(&(*p)->suspects);
	hosts_done(*p);
	map_done(&(*p)->groups);
	map_done(&(*p)->pools);
	buf_done(&(*p)->head);
	free(*p);
	*p = NULL;
}

struct proxy_counts proxy_pools_counts(const struct proxy_pools *p)
{
	return p->counts;
}

static void forget_old(struct proxy_pools *p)
{
	MAP_EACH (node, &p->pools) {
		struct pool *pool = OWNER(node, struct pool, node);
		if (pool->open == 0 && list_empty(&pool->members) && list_empty(&pool->trunks) &&
		        pools_now(p) - pool->used > FORGET_AFTER)
			pool_free(pool);
	}
}

/* All that makes a connection to it what it is. */
static void add_key(
        struct buf *key, const struct upstreams *says, const struct upstream *u, const char *shown)
{
	buf_printf(key, "%d %d %s ", (int)u->scheme, (int)says->options.send_proxy, shown);
	if (u->scheme == UPSTREAM_HTTPS)
		buf_printf(
		        key, "%.*s %016" PRIx64, STR_ARG(u->server_name), hash_keyed(says->trust));
}

static struct pool *pool_new(struct proxy_pools *p, const struct buf *key)
{
	forget_old(p);
	struct pool *pool = mem_new(struct pool);
	pool_init(pool, p, /* dial= */ NULL);
	pool->key = str_dup(buf_str(key));
	map_add(&p->pools, str_n(pool->key, key->n), &pool->node);
	return pool;
}

static void set_tls(struct pool *pool, const struct upstreams *says, const struct upstream *u)
{
	struct tls_worker *tls = pool->pools->worker->tls;
	if (u->scheme != UPSTREAM_HTTPS || pool->trust || !tls)
		return;
	pool->trust = tls_trust_ref(tls, says->trust);
	pool->server_name = str_dup(u->server_name);
}

static void show(const struct upstream *u, const struct sockaddr_storage *address,
        char ret_shown[UPSTREAM_SHOWN])
{
	char text[ADDRESS_TEXT];
	if (u->scheme == UPSTREAM_UNIX)
		snprintf(ret_shown, UPSTREAM_SHOWN, "%.*s", STR_ARG(u->host));
	else
		snprintf(ret_shown, UPSTREAM_SHOWN, "%s", address_text_port(address, text));
}

struct pool *pool_of(struct proxy_pools *p, const struct upstreams *says, const struct upstream *u,
        const struct sockaddr_storage *address)
{
	BUF_AUTO key = BUF_INIT(4096);
	char shown[UPSTREAM_SHOWN];
	show(u, address, shown);
	add_key(&key, says, u, shown);
	struct map_node *node = map_find(&p->pools, buf_str(&key));
	struct pool *pool = node ? OWNER(node, struct pool, node) : pool_new(p, &key);
	pool->health.suspect |= map_find(&p->suspects, str_c(shown)) != NULL;
	pool->scheme = u->scheme;
	pool->send_proxy = (unsigned)says->options.send_proxy;
	pool->address = *address;
	memcpy(pool->shown, shown, sizeof shown);
	pool->used = pools_now(p);
	set_tls(pool, says, u);
	return pool;
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

static bool same_end(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	return address_same_host(a, b) && address_port(a) == address_port(b);
}

bool visit_same(const struct visit *a, const struct visit *b)
{
	if (a->from.ss_family == AF_UNSPEC)
		return b->from.ss_family == AF_UNSPEC;
	return same_end(&a->from, &b->from) && same_end(&a->to, &b->to);
}

static struct channel *kept_for(struct pool *p, const struct visit *v)
{
	LIST_EACH (node, &p->kept) {
		struct channel *c = OWNER(node, struct channel, node);
		if (!p->send_proxy || visit_same(c->visit, v))
			return c;
	}
	return NULL;
}

bool pool_take(struct pool *p, struct channel_user *u, const struct visit *v)
{
	struct channel *c = kept_for(p, v);
	if (!c)
		return false;
	list_remove(&c->node);
	p->kept_count--;
	p->pools->counts.kept--;
	c->was_kept = true;
	c->user = u;
	u->channel = c;
	return true;
}

/* Descriptors are few: one that another application's kept connection holds is better used. */
static bool spare_one(struct pool *pool)
{
	struct list *last = list_last(&pool->kept);
	if (!last)
		return trunks_spare_one(pool);
	close_channel(OWNER(last, struct channel, node));
	return true;
}

bool pool_may_connect(struct pool *p)
{
	struct proxy_pools *all = p->pools;
	size_t most = all->worker->upstreams_most;
	if (most == 0 || all->counts.open < most)
		return true;
	MAP_EACH (node, &all->pools)
		if (spare_one(OWNER(node, struct pool, node)))
			return true;
	return false;
}

/* NULL if there is nothing to trust. */
static struct conn *secured(struct pool *p, struct conn *below)
{
	char text[ADDRESS_TEXT];
	const struct tls_peer peer = {
		.name = str_c(p->server_name),
		.address = str_c(address_text(&p->address, text)),
		.trust = p->trust,
		.session = &p->session,
	};
	return conn_tls_connect(below, &peer);
}

static struct conn *prefaced(const struct pool *p, struct conn *conn, const struct visit *v)
{
	char text[PROXY_PROTOCOL_WRITTEN];
	bool ours = v->from.ss_family == AF_UNSPEC;
	return conn_prefaced(
	        conn, p->send_proxy == 1 ? proxy_protocol_v1(ours ? NULL : &v->from, &v->to, text)
	                                 : proxy_protocol_v2(ours ? NULL : &v->from, &v->to, text));
}

struct conn *pool_connect(struct pool *p, const struct visit *v)
{
	struct loop *loop = p->pools->worker->loop;
	if (p->dial)
		return p->dial(p);
	struct conn *conn = conn_tcp_connect(loop, &p->address);
	if (p->send_proxy)
		conn = prefaced(p, conn, v);
	return p->scheme == UPSTREAM_HTTPS ? secured(p, conn) : conn;
}

/* One that is kept for another visitor makes room. */
static bool has_place(struct pool *p, uint64_t most)
{
	struct list *last = list_last(&p->kept);
	if (p->open >= most && last)
		close_channel(OWNER(last, struct channel, node));
	return p->open < most;
}

bool pool_open(struct pool *p, struct channel_user *u, uint64_t most, const struct visit *v)
{
	bool is_ride = p->scheme == UPSTREAM_H2C;
	if (!has_place(p, most) || (!is_ride && !pool_may_connect(p)))
		return false;
	struct conn *conn = is_ride ? NULL : pool_connect(p, v);
	if (!conn && !is_ride)
		return false;
	struct channel *c = mem_new(struct channel);
	c->pool = p;
	c->user = u;
	c->connecting = !p->dial;
	c->is_ride = is_ride;
	if (p->send_proxy) {
		c->visit = mem_new(struct visit);
		*c->visit = *v;
	}
	p->open++;
	u->channel = c;
	if (is_ride)
		return true;
	conn_hold(&c->held, conn, ready);
	p->pools->counts.open++;
	p->pools->counts.connects++;
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
	groups_released(c->pool);
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

/* ---- how it does ---- */

static void tell(const struct pool *p, bool up, const char *why)
{
	struct worker *w = p->pools->worker;
	worker_tell(w, upstream_state, .address = str_c(p->shown), .up = up, .why = str_c(why),
	        .at = loop_wall(w->loop));
}

void proxy_tell_states(struct proxy_pools *p)
{
	MAP_EACH (node, &p->pools) {
		const struct pool *pool = OWNER(node, struct pool, node);
		if (pool->health.marks > 0)
			tell(pool, /* up= */ false, "It has failed before.");
	}
}

static struct log log_of(const struct pool *p)
{
	return (struct log){ .key = "upstream", .value = p->shown };
}

static void leave_out(struct pool *p, const struct upstream_options *o, const char *why)
{
	struct pool_health *h = &p->health;
	int64_t down = (int64_t)DOWN_FIRST << (h->marks < DOUBLINGS ? h->marks : DOUBLINGS);
	h->down_until = pools_now(p->pools) + (down < o->down ? down : o->down);
	if (h->marks++ == 0)
		tell(p, /* up= */ false, why);
}

static void forgive(struct pool *p)
{
	struct pool_health *h = &p->health;
	h->marks = h->bad = 0;
	h->unreachable = h->suspect = false;
	h->back = pools_now(p->pools);
}

static void take_back(struct pool *p)
{
	forgive(p);
	tell(p, /* up= */ true, "");
}

/* Of one that this worker has had nothing to do with yet, too. */
static void note_suspect(struct proxy_pools *p, struct str shown, bool is)
{
	struct map_node *node = map_find(&p->suspects, shown);
	if (node && !is) {
		map_remove(&p->suspects, node);
		free(OWNER(node, struct suspect, node));
	} else if (!node && is && p->suspects.count < SUSPECTS_MOST) {
		struct suspect *s = mem_alloc(sizeof *s + shown.n);
		memcpy(s->shown, shown.p, shown.n);
		map_add(&p->suspects, str_n(s->shown, shown.n), &s->node);
	}
}

void proxy_state_told(struct proxy_pools *p, struct str address, bool up)
{
	note_suspect(p, address, !up);
	MAP_EACH (node, &p->pools) {
		struct pool *pool = OWNER(node, struct pool, node);
		if (!str_eq_c(address, pool->shown))
			continue;
		if (!up)
			pool->health.suspect = true;
		else if (pool->health.marks > 0 || pool->health.suspect)
			forgive(pool);
	}
}

void pool_connect_failed(struct pool *p, const struct upstream_options *o, const char *why)
{
	struct log log = log_of(p);
	p->pools->counts.connects_failed++;
	if (p->health.marks == 0)
		log_warning(&log,
		        "The application cannot be reached (%s), using others if there are any.",
		        why);
	leave_out(p, o, why);
	p->health.unreachable = true;
}

void pool_connected(struct pool *p)
{
	struct log log = log_of(p);
	if (!p->health.unreachable)
		return;
	take_back(p);
	log_info(&log, "The application can be reached again.");
}

static void log_answer(struct pool *p, const char *why)
{
	struct log log = log_of(p);
	int64_t at = pools_now(p->pools);
	if (p->health.told != 0 && at - p->health.told < TELL_EVERY)
		return;
	p->health.told = at ? at : 1;
	log_warning(&log, "%s", why);
}

void pool_answer_failed(struct pool *p, const struct upstream_options *o, const char *why)
{
	struct log log = log_of(p);
	struct pool_health *h = &p->health;
	log_answer(p, why);
	h->bad++;
	if (o->fails == 0 || h->bad < (uint64_t)o->fails)
		return;
	if (h->marks == 0)
		log_warning(&log,
		        "The application has failed %u times in a row, using others if there are "
		        "any.",
		        h->bad);
	leave_out(p, o, why);
	h->unreachable = false;
}

void pool_answered(struct pool *p)
{
	struct log log = log_of(p);
	p->health.bad = 0;
	if (p->health.marks == 0 && !p->health.suspect)
		return;
	take_back(p);
	log_info(&log, "The application answers as it should again.");
}
