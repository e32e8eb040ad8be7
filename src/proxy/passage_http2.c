/* A passage over a trunk. What the upstream's windows let go of the client's content is all that is
 * wanted from him, and the upstream's window opens again by what the client has taken: neither side
 * is faster than the other, and no exchange stops those that share its connection. */
#include "proxy/passage.h"

#include "base/err.h"

enum { WANT = 64 << 10, AGAIN_MOST = 64 << 10, TRIES_MOST = 3, INTERIMS_MOST = 16 };

#define THE_APPLICATION "The application behind this site "

static struct passage *passage_of(struct ride_user *u)
{
	return OWNER(u, struct passage, ride_user);
}

/* ---- the request ---- */

bool passage_http2_asks_client(const struct passage *p)
{
	return p->head_sent && !p->content_ended && p->ride && ride_unsent(p->ride) == 0;
}

static void want_more(struct passage *p)
{
	if (passage_http2_asks_client(p))
		exchange_want(p->ex, WANT);
	passage_wait(p);
}

static void end_request(struct passage *p)
{
	const struct headers none = { 0 };
	if (p->ride)
		ride_end(p->ride, p->client_ended ? &p->ex->trailers : &none);
}

static void ask_websocket(struct passage *p)
{
	if (!ride_await_greeting(p->ride)) {
		passage_wait(p);
		return;
	}
	if (!ride_takes_websockets(p->ride)) {
		passage_refuse(p, 502,
		        THE_APPLICATION "is reached by HTTP/2, and takes no WebSocket over it.");
		return;
	}
	struct request r;
	if (!passage_websocket_request(p, &r)) {
		passage_refuse(p, 400, "A WebSocket needs a Sec-WebSocket-Key.");
		return;
	}
	p->head_sent = p->sent_any = p->content_ended = true;
	ride_ask(p->ride, p->ex->arena, &r);
	passage_wait(p);
}

void passage_http2_send(struct passage *p)
{
	bool content = p->request.body != BODY_NONE;
	if (p->request.websocket) {
		ask_websocket(p);
		return;
	}
	p->head_sent = p->sent_any = true;
	p->content_ended = !content || p->client_ended;
	ride_ask(p->ride, p->ex->arena, &p->request);
	if (p->again.n > 0)
		ride_put(p->ride, buf_str(&p->again));
	if (p->client_ended)
		end_request(p);
	want_more(p);
}

/* What the upstream says it did not look at may be sent again, if there is not too much of it. */
static void remember(struct passage *p, struct str piece)
{
	p->forgotten = p->forgotten || p->responded || p->again.n + piece.n > AGAIN_MOST;
	if (p->forgotten)
		buf_done(&p->again);
	else
		buf_add(&p->again, piece);
}

void passage_http2_body(struct passage *p, struct str piece)
{
	remember(p, piece);
	if (p->ride)
		ride_put(p->ride, piece);
	want_more(p);
}

void passage_http2_body_end(struct passage *p)
{
	p->client_ended = true;
	end_request(p);
	passage_wait(p);
}

/* ---- the answer ---- */

/* A tunnel's client may go on, as long as the upstream listens. */
static void finish(struct passage *p)
{
	if (p->tunnel && p->ride) {
		exchange_last(p->ex);
		passage_wait(p);
		return;
	}
	if (p->trailers.count)
		exchange_trailers(p->ex, &p->trailers);
	passage_end(p, /* clean= */ false);
}

static void hear_interim(struct passage *p, const struct response *r)
{
	if (++p->interims > INTERIMS_MOST)
		passage_fail(p, 502, THE_APPLICATION "sent too many interim answers.");
	else if (r->status != 100 && p->request.version != HTTP_1_0)
		exchange_respond(p->ex, r);
}

static void begin_tunnel(struct passage *p, struct response *r)
{
	passage_websocket_taken(p, r);
	p->responded = p->tunnel = true;
	passage_answered(p, r->status);
	exchange_respond(p->ex, r);
	passage_begin_tunnel(p);
}

static void answer(struct ride_user *u, struct response *r)
{
	struct passage *p = passage_of(u);
	p->heard_any = true;
	if (r->websocket) {
		begin_tunnel(p, r);
		return;
	}
	if (r->status < 200) {
		hear_interim(p, r);
		return;
	}
	p->responded = true;
	buf_done(&p->again);
	passage_answered(p, r->status);
	exchange_respond(p->ex, r);
	passage_wait(p);
}

static void content(struct ride_user *u, struct str piece)
{
	struct passage *p = passage_of(u);
	if (p->room <= 0) {
		buf_add(&p->in, piece);
		CHECK(buf_ok(&p->in));
		return;
	}
	p->room = exchange_body(p->ex, piece);
	ride_used(p->ride, piece.n);
	passage_wait(p);
}

static void ended(struct ride_user *u, const struct headers *trailers)
{
	struct passage *p = passage_of(u);
	p->trailers = *trailers;
	p->upstream_ended = true;
	if (p->in.n == 0)
		finish(p);
}

void passage_http2_room(struct passage *p)
{
	while (p->in.n > 0 && p->room > 0) {
		struct str piece = str_head(buf_str(&p->in), (size_t)p->room);
		p->room = exchange_body(p->ex, piece);
		if (p->ride)
			ride_used(p->ride, piece.n);
		buf_consume(&p->in, piece.n);
	}
	if (p->in.n == 0 && p->upstream_ended)
		finish(p);
	else
		passage_wait(p);
}

static void has_room(struct ride_user *u)
{
	want_more(passage_of(u));
}

/* ---- its ends ---- */

static void connected(struct ride_user *u)
{
	struct passage *p = passage_of(u);
	p->user.channel->connecting = false;
	if (!p->own)
		pool_connected(p->user.channel->pool);
	passage_send(p);
}

static void greeted(struct ride_user *u)
{
	ask_websocket(passage_of(u));
}

static void fail_unprocessed(struct passage *p)
{
	if (p->responded || (p->content_taken && p->forgotten) || p->tries++ == TRIES_MOST)
		passage_fail(p, 502, THE_APPLICATION "did not take the request.");
	else
		passage_again(p);
}

static void failed(struct ride_user *u, const struct ride_failure *f)
{
	struct passage *p = passage_of(u);
	if (p->tunnel && p->upstream_ended) {
		if (p->in.n == 0)
			finish(p);
		return;
	}
	switch (f->end) {
	case RIDE_UNREACHED:
		passage_unreached(p, f->why, f->late, f->first);
		return;
	case RIDE_UNPROCESSED:
		fail_unprocessed(p);
		return;
	case RIDE_BAD:
		p->detail = f->why;
		passage_fail(p, 502, THE_APPLICATION "sent an answer that is not valid HTTP.");
		return;
	case RIDE_BROKEN:
		passage_broken(p, p->heard_any ? THE_APPLICATION "broke off its answer."
		                               : THE_APPLICATION "broke off the request.");
	}
}

static const struct ride_user_ops ops = {
	.connected = connected,
	.greeted = greeted,
	.answer = answer,
	.content = content,
	.ended = ended,
	.room = has_room,
	.failed = failed,
};

bool passage_http2_begin(struct passage *p, const struct visit *v, int64_t idle_ms)
{
	struct channel *c = p->user.channel;
	p->ride_user.ops = &ops;
	if (!p->again.ceiling)
		p->again = BUF(AGAIN_MOST);
	if (!ride_begin(c->pool, v, &p->ride_user, idle_ms, &p->ride))
		return false;
	c->connecting = ride_connecting(p->ride);
	c->was_kept = !ride_is_first(p->ride);
	return true;
}
