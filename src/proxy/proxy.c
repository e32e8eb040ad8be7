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

/* A head that has begun ends in time, however it drips. */
static int64_t time_for_head(struct passage *p)
{
	int64_t now = loop_mono(p->ex->worker->loop);
	if (!p->head_due)
		p->head_due = now + limits_of(p)->answer_timeout;
	return p->head_due - now;
}

/* No time-out while the next step is the client's: the server has its own for him. */
static int64_t time_for_silence(const struct passage *p)
{
	bool client_slow = p->responded && p->room <= 0;
	bool client_sends = p->head_sent && !p->content_ended && !p->send_failed && p->out.n == 0;
	return client_slow || client_sends ? INT64_MAX : limits_of(p)->answer_timeout;
}

void passage_wait(struct passage *p)
{
	if (p->tunnel) {
		/* By an upstream that does not read, or may have gone behind its end. */
		bool blocked = p->out.n > 0 || p->upstream_ended;
		channel_deadline(&p->user,
		        blocked ? limits_of(p)->answer_timeout : limits_of(p)->tunnel_idle);
		return;
	}
	bool head_begun = !p->responded && p->in.n > 0;
	channel_deadline(&p->user, head_begun ? time_for_head(p) : time_for_silence(p));
}

/* Lets go of everything but the exchange. */
static void release(struct passage *p)
{
	later_stop(&p->later);
	channel_close(&p->user);
	buf_done(&p->out);
	buf_done(&p->in);
}

void passage_fail(struct passage *p, unsigned status, const char *sentence)
{
	if (p->user.channel && !p->own)
		pool_answer_failed(p->user.channel->pool, sentence);
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
		channel_keep(&p->user, limits_of(p)->upstream_idle);
	release(p);
	exchange_end(p->ex);
}

/* --- finding a connection */

static void connect_next(struct passage *p);

static void fail_to_connect(struct passage *p, const char *why, bool late)
{
	pool_connect_failed(p->user.channel->pool, why);
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
static bool may_retry(const struct passage *p)
{
	if (!p->user.channel->was_kept || p->heard_any || p->retried || p->content_taken)
		return false;
	return !p->sent_any || (p->request.body == BODY_NONE && is_idempotent(p->request.method));
}

static bool open_new(struct passage *p, struct pool *pool)
{
	if (!pool_open(pool, &p->user, limits_of(p)->upstream_connections))
		return false;
	if (p->user.channel->connecting)
		channel_deadline(&p->user, limits_of(p)->connect_timeout);
	else
		passage_send(p);
	return true;
}

void passage_broken(struct passage *p, const char *why)
{
	if (p->tunnel) {
		passage_cut(p, why);
		return;
	}
	if (!may_retry(p)) {
		passage_fail(p, 502, why);
		return;
	}
	struct pool *pool = p->user.channel->pool;
	release(p);
	exchange_want(p->ex, 0);
	p->retried = true;
	p->head_sent = p->sent_any = p->send_failed = p->content_ended = false;
	passage_pools(p)->counts.retries++;
	if (!open_new(p, pool))
		passage_fail(p, 503, THE_APPLICATION "has too many requests under way.");
}

static void give_up(struct passage *p)
{
	if (p->full)
		passage_fail(p, 503, THE_APPLICATION "has too many requests under way.");
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
	while (pool_take(pool, &p->user)) {
		if (repeatable || is_clean(p))
			return true;
		channel_close(&p->user);
	}
	return false;
}

/* `own` is the only one that there is, and tried once. */
static struct pool *choose(struct passage *p, uint64_t *ret_bit)
{
	if (!p->own)
		return pools_choose(passage_pools(p), p->ex->site->upstreams, p->tried, ret_bit);
	*ret_bit = 1;
	return p->tried ? NULL : p->own;
}

static void connect_next(struct passage *p)
{
	uint64_t bit = 0;
	struct pool *pool;
	while ((pool = choose(p, &bit))) {
		p->tried |= bit;
		if (take_kept(p, pool)) {
			passage_send(p);
			return;
		}
		if (open_new(p, pool))
			return;
		p->full = true;
	}
	give_up(p);
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
		fail_to_connect(p, conn_failure(c->held.conn), /* late= */ false);
		return false;
	}
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
	if (u->channel->connecting)
		fail_to_connect(p, "no connection in time", /* late= */ true);
	else if (p->tunnel)
		passage_cut(p, "Nobody has said anything for a long time.");
	else
		passage_fail(p, 504,
		        p->responded ? THE_APPLICATION "stopped in the middle of its answer."
		                     : THE_APPLICATION "did not answer in time.");
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
	struct str hops = headers_find(&r->headers, name);
	uint64_t left;
	if (!str_eq(r->method, STR("OPTIONS")) || !str_to_u64(hops, &left))
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

void passage_start(struct passage *p)
{
	passage_offer_websocket(p);
	connect_next(p);
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
