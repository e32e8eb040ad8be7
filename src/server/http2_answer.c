#include "server/http2_session.h"

enum {
	/* An exchange may have that much waiting for the client before it must pause; when all of a
	 * connection's together have TOTAL, those that begin get LEAST. */
	OUT_MOST = 64 << 10,
	OUT_TOTAL = 1 << 20,
	OUT_LEAST = 8 << 10,
	DIRECT = 8 << 10, /* pieces from here on are written at once */
};

static struct http2_passenger *passenger_of(struct exchange *ex)
{
	return OWNER(ex, struct http2_passenger, ex);
}

ptrdiff_t http2_room(const struct http2_passenger *p)
{
	bool full = http2_unsent_all(p->session->codec) > OUT_TOTAL;
	return (full ? OUT_LEAST : OUT_MOST) - (ptrdiff_t)http2_unsent(&p->stream);
}

/* RFC 9110 10.1.1: nobody sends 100 once the content is on its way. */
static void want(struct exchange *ex, size_t bytes)
{
	static const struct response go_on = { .version = HTTP_2, .status = 100 };
	struct http2_passenger *p = passenger_of(ex);
	if (p->wanted == 0 && bytes > 0) {
		p->heard_at = loop_mono(ex->worker->loop);
		http2_wait_begins(p);
	}
	p->wanted = bytes;
	if (bytes > 0 && p->continue_owed) {
		p->continue_owed = false;
		if (p->in.n == 0 && !ex->response_started)
			http2_respond(&p->stream, &go_on);
	}
	p->session->bodies_due++;
	pump_soon(&p->session->pump);
}

static void begin_tunnel(struct http2_passenger *p)
{
	p->tunnel = true;
	p->body_done = false;
}

static void respond(struct exchange *ex, const struct response *head)
{
	struct http2_passenger *p = passenger_of(ex);
	struct response r = *head;
	pump_soon(&p->session->pump);
	http2_time(p->session->codec, loop_mono(ex->worker->loop));
	if (r.status == 101 && ex->request.websocket)
		begin_tunnel(p);
	else if (r.status < 200 && r.status <= 101)
		return; /* RFC 9113 8.6: no 101; 100 is our own business */
	if (str_eq(ex->request.method, STR("HEAD")) || r.status == 204 || r.status == 304)
		r.head_only = true;
	if (r.body == BODY_CLOSE)
		r.body = BODY_STREAM;
	p->bounded = r.status >= 200 && r.body == BODY_LENGTH && !r.head_only;
	p->left = p->bounded ? r.length : 0;
	http2_respond(&p->stream, &r);
}

static void pass_at_once(struct http2_passenger *p, struct str piece)
{
	http2_lend(&p->stream, piece);
	http2_write(p->session);
	http2_take_back(&p->stream);
}

static ptrdiff_t body(struct exchange *ex, struct str piece)
{
	struct http2_passenger *p = passenger_of(ex);
	if (p->bounded) {
		CHECK(piece.n <= p->left);
		p->left -= piece.n;
	}
	http2_time(p->session->codec, loop_mono(ex->worker->loop));
	if (http2_unsent(&p->stream) == 0)
		http2_wait_begins(p);
	/* The last content carries the end, which alone would wait for a window that it has no need
	 * of. */
	if (p->bounded && p->left == 0 && !ex->request.trailers)
		http2_end(&p->stream, NULL);
	if (piece.n >= DIRECT && http2_may_write(p->session))
		pass_at_once(p, piece);
	else
		http2_put(&p->stream, piece);
	ptrdiff_t room = http2_room(p);
	if (room <= 0 && !p->room_owed)
		p->session->rooms_owed++;
	if (room > 0 && p->room_owed)
		p->session->rooms_owed--;
	p->room_owed = room <= 0;
	pump_soon(&p->session->pump);
	return room;
}

static void trailers(struct exchange *ex, const struct headers *fields)
{
	if (ex->request.trailers)
		passenger_of(ex)->answer_trailers = *fields;
}

static void last(struct exchange *ex)
{
	struct http2_passenger *p = passenger_of(ex);
	CHECK(p->tunnel);
	http2_end(&p->stream, NULL);
	pump_soon(&p->session->pump);
}

static void let_go(struct http2_passenger *p)
{
	if (p->room_owed)
		p->session->rooms_owed--;
	p->room_owed = false;
	p->ended = true;
	p->ex.handling = NULL;
	pump_soon(&p->session->pump);
}

static void end(struct exchange *ex)
{
	struct http2_passenger *p = passenger_of(ex);
	CHECK(ex->response_started);
	if (p->bounded && p->left > 0)
		http2_reset(&p->stream, HTTP2_INTERNAL_ERROR);
	else
		http2_end(&p->stream, &p->answer_trailers);
	let_go(p);
}

/* RFC 8441 5: for a tunnel CANCEL is what a reset is in TCP. */
static void abort_answer(struct exchange *ex, const char *why)
{
	(void)why;
	struct http2_passenger *p = passenger_of(ex);
	http2_reset(&p->stream, p->tunnel ? HTTP2_CANCEL : HTTP2_INTERNAL_ERROR);
	let_go(p);
}

const struct exchange_ops http2_exchange_ops = {
	.want = want,
	.respond = respond,
	.body = body,
	.trailers = trailers,
	.last = last,
	.end = end,
	.abort = abort_answer,
};
