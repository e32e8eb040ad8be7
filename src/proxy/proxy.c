#include "proxy/proxy.h"

#include "base/err.h"
#include "proxy/forward.h"
#include "proxy/passage.h"

enum {
	HEAD_CEILING = 128 << 10,
	OUT_CEILING = 1 << 20,
	ROOM_FIRST = 64 << 10,
	ROOM_AGAIN = 32 << 10
};

#define THE_APPLICATION "The application behind this site "

static const struct limits *limits_of(const struct passage *p)
{
	return &p->ex->generation->limits;
}

static const struct upstream_options *options_of(const struct passage *p)
{
	return &p->ex->site->upstreams->options;
}

/* Of the group, if it has its own. */
static int64_t or_else(const struct passage *p, int64_t own, int64_t general)
{
	return own >= 0 && !p->own ? own : general;
}
#define TIME(p, name) or_else((p), (p)->own ? -1 : options_of(p)->name, limits_of(p)->name)

static int64_t time_for_first_byte(const struct passage *p)
{
	return or_else(p, p->own ? -1 : options_of(p)->first_byte_timeout, TIME(p, answer_timeout));
}

/* A head that has begun ends in time, however it drips. */
static int64_t time_for_head(struct passage *p)
{
	int64_t now = loop_mono(p->ex->worker->loop);
	if (!p->head_due)
		p->head_due = now + time_for_first_byte(p);
	return p->head_due - now;
}

/* No time-out while the next step is the client's: the server has its own for him. */
static int64_t time_for_silence(const struct passage *p)
{
	bool client_slow = p->responded && p->room <= 0;
	bool client_sends =
	        p->by_http2 ? passage_http2_asks_client(p)
	                    : p->head_sent && !p->content_ended && !p->send_failed && p->out.n == 0;
	if (client_sends && p->responded && !client_slow)
		return limits_of(p)->tunnel_idle; /* a dialogue */
	if (client_slow || client_sends)
		return INT64_MAX;
	return p->responded ? TIME(p, answer_timeout) : time_for_first_byte(p);
}

void passage_wait(struct passage *p)
{
	if (p->tunnel) {
		/* By an upstream that does not read, or may have gone behind its end. */
		bool blocked =
		        p->out.n > 0 || p->upstream_ended || (p->ride && ride_unsent(p->ride) > 0);
		channel_deadline(
		        &p->user, blocked ? TIME(p, answer_timeout) : limits_of(p)->tunnel_idle);
		return;
	}
	bool head_begun = !p->responded && p->in.n > 0;
	channel_deadline(&p->user, head_begun ? time_for_head(p) : time_for_silence(p));
}

/* Lets go of everything but the exchange and what may be sent again. */
static void let_go(struct passage *p)
{
	later_stop(&p->later);
	group_leave(&p->waiting);
	if (p->ride)
		ride_leave(p->ride);
	channel_close(&p->user);
	buf_done(&p->out);
	buf_done(&p->in);
}

static void release(struct passage *p)
{
	let_go(p);
	buf_done(&p->again);
}

void passage_fail(struct passage *p, unsigned status, const char *sentence)
{
	if (p->user.channel && !p->own)
		pool_answer_failed(
		        p->user.channel->pool, options_of(p), p->detail ? p->detail : sentence);
	passage_pools(p)->counts.failures++;
	release(p);
	if (p->own)
		control_failed(p->ex, p->responded);
	else if (p->responded)
		exchange_abort(p->ex, sentence);
	else
		exchange_answer(p->ex, status, sentence);
}

void passage_cut(struct passage *p, const char *why)
{
	channel_reset(&p->user);
	release(p);
	exchange_abort(p->ex, why);
}

/* Bytes behind the answer that are still in the socket would be taken for the next one. */
static bool is_clean(struct passage *p)
{
	char byte;
	return conn_read(p->user.channel->held.conn, &byte, 1) == CONN_AGAIN;
}

void passage_end(struct passage *p, bool clean)
{
	if (p->reusable && clean && passage_sent(p) && (!p->read_full || is_clean(p)))
		channel_keep(&p->user, TIME(p, upstream_idle));
	release(p);
	exchange_end(p->ex);
}

void passage_refuse(struct passage *p, unsigned status, const char *sentence)
{
	let_go(p);
	passage_fail(p, status, sentence);
}

/* --- finding a connection */

static void connect_next(struct passage *p);

static struct group *group(const struct passage *p)
{
	return group_of(passage_pools(p), p->ex->generation, p->ex->site->upstreams);
}

void passage_unreached(struct passage *p, const char *why, bool late, bool first)
{
	if (!p->own && first)
		pool_connect_failed(p->user.channel->pool, options_of(p), why);
	channel_close(&p->user);
	p->connect_late = late;
	connect_next(p);
}

/* RFC 9110 9.2.2 */
static bool is_idempotent(struct str method)
{
	static const struct str methods[] = { STR_INIT("GET"), STR_INIT("HEAD"),
		STR_INIT("OPTIONS"), STR_INIT("PUT"), STR_INIT("DELETE") };
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		if (str_eq(method, methods[i]))
			return true;
	return false;
}

/* RFC 9112 9.3.1: what was sent may have been acted on. */
static bool is_repeatable(const struct passage *p)
{
	if (p->heard_any || p->content_taken)
		return false;
	return !p->sent_any || (p->request.body == BODY_NONE && is_idempotent(p->request.method));
}

/* NULL if it is not said. */
static const struct visit *visit_of(struct passage *p, const struct pool *pool)
{
	const struct exchange *ex = p->ex;
	if (!pool->send_proxy || p->visit)
		return p->visit;
	p->visit = arena_new(ex->arena, struct visit);
	p->visit->from = ex->client;
	if (!ex->connection || !conn_local(ex->connection, &p->visit->to))
		p->visit->to = ex->client;
	return p->visit;
}

static bool open_new(struct passage *p, struct pool *pool)
{
	uint64_t most = p->own ? limits_of(p)->upstream_connections : group_most(group(p));
	const struct visit *visit = visit_of(p, pool);
	if (!pool_open(pool, &p->user, most, visit))
		return false;
	p->by_http2 = p->user.channel->is_ride;
	if (p->by_http2 && !passage_http2_begin(p, visit, TIME(p, upstream_idle))) {
		channel_close(&p->user);
		return false;
	}
	if (p->user.channel->connecting)
		channel_deadline(&p->user, TIME(p, connect_timeout));
	else
		passage_send(p);
	return true;
}

/* For a connection of its own, with the same request. */
static void begin_anew(struct passage *p)
{
	let_go(p);
	exchange_want(p->ex, 0);
	p->retried = true;
	p->head_sent = p->sent_any = p->send_failed = p->content_ended = false;
}

static void fail_full(struct passage *p)
{
	headers_add(&p->ex->also, p->ex->arena, STR("retry-after"), STR("1"));
	passage_fail(p, 503, THE_APPLICATION "has too many requests under way.");
}

/* Once: a request that ends an application is not to end all of them. */
static void go_elsewhere(struct passage *p, const char *why)
{
	p->moved_on = true;
	p->broken = why;
	connect_next(p);
}

void passage_broken(struct passage *p, const char *why)
{
	if (p->tunnel) {
		passage_cut(p, why);
		return;
	}
	struct pool *pool = p->user.channel->pool;
	bool again = p->user.channel->was_kept && !p->retried;
	bool elsewhere = !again && !p->own && !p->moved_on;
	if (!is_repeatable(p) || (!again && !elsewhere)) {
		passage_fail(p, 502, why);
		return;
	}
	if (elsewhere)
		pool_answer_failed(pool, options_of(p), why);
	begin_anew(p);
	passage_pools(p)->counts.retries += again;
	if (elsewhere)
		go_elsewhere(p, why);
	else if (!open_new(p, pool))
		fail_full(p);
}

void passage_again(struct passage *p)
{
	struct pool *pool = p->user.channel->pool;
	begin_anew(p);
	passage_pools(p)->counts.retries++;
	if (!open_new(p, pool))
		fail_full(p);
}

static void give_up(struct passage *p)
{
	if (p->broken)
		passage_fail(p, 502, p->broken);
	else if (p->full)
		fail_full(p);
	else if (!p->own && group(p)->count == 0)
		passage_fail(p, 502, THE_APPLICATION "cannot be found: its name does not resolve.");
	else if (p->connect_late)
		passage_fail(p, 504, THE_APPLICATION "did not accept a connection in time.");
	else
		passage_fail(p, 502, THE_APPLICATION "cannot be reached.");
}

/* What cannot be sent again goes to no connection that has ended or holds bytes already: it costs a
 * system call to know that before the loop tells. */
static bool take_kept(struct passage *p, struct pool *pool)
{
	bool repeatable = p->request.body == BODY_NONE && is_idempotent(p->request.method);
	while (pool_take(pool, &p->user, visit_of(p, pool))) {
		if (repeatable || is_clean(p))
			return true;
		channel_close(&p->user);
	}
	return false;
}

/* `own` is the only one that there is, and tried once. */
static struct pool *choose(struct passage *p)
{
	if (p->own) {
		bool tried = p->choice.tried;
		p->choice.tried = 1;
		return tried ? NULL : p->own;
	}
	struct group *g = group(p);
	struct member *m = group_choose(g, &p->choice);
	p->full = p->full || (!m && p->choice.full);
	if (!m)
		return NULL;
	p->new_mark = p->choice.moved ? m->mark : 0;
	/* The group's generation is another, perhaps, but says the same. */
	p->upstream = &p->ex->site->upstreams->at[m->upstream - g->says->at];
	return m->pool;
}

static void connect_next(struct passage *p)
{
	struct pool *pool;
	while ((pool = choose(p))) {
		passage_pools(p)->counts.retries += p->broken != NULL;
		if (take_kept(p, pool)) {
			p->by_http2 = false; /* the one before may have been */
			passage_send(p);
			return;
		}
		if (open_new(p, pool))
			return;
		p->full = true;
	}
	if (p->own || !p->choice.full || !group_wait(group(p), &p->waiting))
		give_up(p);
}

/* --- waiting for a connection */

static void has_room(struct group_waiting *w)
{
	struct passage *p = OWNER(w, struct passage, waiting);
	p->choice.tried = 0;
	p->full = false;
	connect_next(p);
}

static void waited_long(struct group_waiting *w)
{
	fail_full(OWNER(w, struct passage, waiting));
}

/* Behind those that wait already. */
static void queue_up(struct passage *p)
{
	if (!group_wait(group(p), &p->waiting))
		fail_full(p);
}

/* The first write is what tells whether the connection stands. */
static bool has_connected(struct passage *p)
{
	struct channel *c = p->user.channel;
	c->connecting = false;
	passage_send(p);
	if (p->send_failed && !p->sent_any) {
		later_stop(&p->later);
		p->head_sent = p->send_failed = false;
		passage_unreached(
		        p, conn_failure(c->held.conn), /* late= */ false, /* first= */ true);
		return false;
	}
	if (!p->own)
		pool_connected(c->pool);
	return true;
}

static void channel_ready(struct channel_user *u, unsigned events)
{
	struct passage *p = OWNER(u, struct passage, user);
	if (u->channel->connecting) {
		if (!(events & CONN_OUT) || !has_connected(p))
			return;
	} else if (events & CONN_OUT) {
		passage_flush(p);
	}
	if (events & CONN_IN)
		passage_receive(p);
}

static void channel_due(struct channel_user *u)
{
	struct passage *p = OWNER(u, struct passage, user);
	if (p->ride)
		ride_doubt(p->ride);
	if (u->channel->connecting && p->ride)
		ride_give_up(p->ride);
	else if (u->channel->connecting)
		passage_unreached(p, "no connection in time", /* late= */ true, /* first= */ true);
	else if (p->tunnel)
		passage_cut(p, "Nobody has said anything for a long time.");
	else
		passage_fail(p, 504,
		        p->responded ? THE_APPLICATION "stopped in the middle of its answer."
		                     : THE_APPLICATION "did not answer in time.");
}

/* --- the answer */

void passage_answered(struct passage *p, unsigned status)
{
	struct pool *pool = p->user.channel->pool;
	if (p->own)
		return;
	if (status == 502 || status == 504)
		pool_answer_failed(pool, options_of(p),
		        status == 502 ? "The application answered with 502."
		                      : "The application answered with 504.");
	else
		pool_answered(pool);
	sticky_set(p->ex, p->new_mark);
}

/* --- the exchange's side */

static struct passage *passage_of(struct handling *h)
{
	return OWNER(h, struct passage, handling);
}

static void body(struct handling *h, struct str piece)
{
	passage_body(passage_of(h), piece);
}

static void body_end(struct handling *h)
{
	passage_body_end(passage_of(h));
}

static void room(struct handling *h)
{
	struct passage *p = passage_of(h);
	p->room = ROOM_AGAIN;
	if (p->by_http2)
		passage_http2_room(p);
	else
		passage_receive(p);
}

static void gone(struct handling *h)
{
	struct passage *p = passage_of(h);
	if (p->tunnel)
		channel_reset(&p->user);
	release(p);
}

static const struct handling_ops passage_ops = {
	.body = body,
	.body_end = body_end,
	.room = room,
	.gone = gone,
};

/* RFC 9110 7.6.2: how far an OPTIONS may go. True if it ends here. */
static bool ends_here(struct request *r, struct arena *a)
{
	struct str name = STR("max-forwards");
	uint64_t left;
	if (!str_eq(r->method, STR("OPTIONS")) ||
	        !str_to_u64(headers_find(&r->headers, name), &left))
		return false;
	if (left == 0)
		return true;
	headers_remove(&r->headers, name);
	headers_add(&r->headers, a, name, arena_printf(a, "%llu", (unsigned long long)left - 1));
	return false;
}

struct passage *passage_new(struct exchange *ex)
{
	struct passage *p = arena_new(ex->arena, struct passage);
	ex->worker->proxy->counts.requests++;
	p->ex = ex;
	p->handling.ops = &passage_ops;
	p->user = (struct channel_user){ .ready = channel_ready, .due = channel_due };
	p->out = BUF(OUT_CEILING);
	p->in = BUF(HEAD_CEILING);
	p->room = ROOM_FIRST;
	ex->handling = &p->handling;
	return p;
}

static void find_upstream(struct passage *p)
{
	p->waiting.go = has_room;
	p->waiting.due = waited_long;
	p->choice.mark = sticky_mark(p->ex);
	if (group(p)->queued > 0)
		queue_up(p);
	else
		connect_next(p);
}

void passage_start(struct passage *p)
{
	passage_offer_websocket(p);
	if (p->own)
		connect_next(p);
	else
		find_upstream(p);
}

static void start(struct exchange *ex)
{
	struct proxy_pools *pools = ex->worker->proxy;
	struct passage *p = passage_new(ex);
	if (str_eq(ex->request.method, STR("TRACE")))
		exchange_answer(ex, 501, "TRACE is not passed on to applications.");
	else if (!forward_request(ex, str_c(pools->via), &p->request))
		exchange_answer(ex, 508, "This request came back to the server that passed it on.");
	else if (ends_here(&p->request, ex->arena))
		exchange_answer(ex, 200, "This request was to go no further than here.");
	else
		passage_start(p);
}

const struct handler proxy_handler = { .start = start };
