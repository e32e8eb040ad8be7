/* The answer's way back. It is read into the worker's scratch and handed on from there; only the
 * beginning of a head that came in parts is kept. */
#include "proxy/passage.h"

#include "base/err.h"

enum {
	INTERIMS_MOST = 16,
	READ_LEAST = 4 << 10,
	READS_MOST = 16, /* of one connection before others have their turn */
};

#define THE_APPLICATION "The application behind this site "

/* What a step of the answer leads to. ENDED: the passage is no more. */
enum next { GO_ON, ENDED };

static enum next end(struct passage *p, bool clean)
{
	passage_end(p, clean);
	return ENDED;
}

static enum next fail(struct passage *p, const char *sentence)
{
	passage_fail(p, 502, sentence);
	return ENDED;
}

static enum next hear_end(struct passage *p, struct str rest)
{
	struct headers trailers = http1_body_trailers(&p->body, p->ex->arena);
	if (trailers.count)
		exchange_trailers(p->ex, &trailers);
	return end(p, /* clean= */ rest.n == 0);
}

static enum next hear_content(struct passage *p, struct str bytes)
{
	while (bytes.n) {
		struct str piece = STR_NONE;
		size_t used = 0;
		struct refusal why;
		enum http1_result result = http1_body_read(&p->body, bytes, &piece, &used, &why);
		if (result == HTTP1_BAD)
			return fail(p, THE_APPLICATION "sent an answer with malformed chunks.");
		if (piece.n)
			p->room = exchange_body(p->ex, piece);
		bytes = str_from(bytes, used);
		if (result == HTTP1_DONE)
			return hear_end(p, bytes);
	}
	return GO_ON;
}

/* RFC 6455 4.1, RFC 9110 7.8: to what was asked for, and to nothing else. */
static enum next hear_switch(struct passage *p, struct response *r, struct str rest)
{
	if (!passage_websocket_accepted(p, r))
		return fail(p, THE_APPLICATION "switched to a protocol that was not asked for.");
	p->responded = p->tunnel = true;
	passage_answered(p, r->status);
	http1_body_init(&p->body, BODY_CLOSE, 0);
	exchange_respond(p->ex, r);
	if (rest.n)
		p->room = exchange_body(p->ex, rest);
	passage_begin_tunnel(p);
	return GO_ON;
}

/* 100 is answered by us, to the client and before. */
static enum next hear_interim(struct passage *p, const struct response *r)
{
	if (++p->interims > INTERIMS_MOST)
		return fail(p, THE_APPLICATION "sent too many interim answers.");
	if (r->status != 100 && p->request.version != HTTP_1_0)
		exchange_respond(p->ex, r);
	p->scan = (struct http1_scan){ 0 };
	p->head_due = 0;
	return GO_ON;
}

static enum next hear_final(struct passage *p, struct response *r, struct str rest)
{
	http1_body_init(&p->body, r->head_only ? BODY_NONE : r->body, r->length);
	if (p->request.trailers)
		http1_body_want_trailers(&p->body, p->ex->arena);
	p->reusable = r->keep_alive;
	p->responded = true;
	passage_answered(p, r->status);
	if (r->body == BODY_CLOSE)
		r->body = BODY_STREAM; /* how its end is told to the client is the codec's choice */
	exchange_respond(p->ex, r);
	if (p->body.kind == BODY_NONE)
		return end(p, /* clean= */ rest.n == 0);
	return hear_content(p, rest);
}

/* One head out of `bytes`, of which *ret_used are spent. MORE: all are kept in `in`. */
static enum next hear_head(struct passage *p, struct str bytes, bool *ret_more, size_t *ret_used)
{
	struct response r;
	struct refusal why;
	enum http1_result result =
	        http1_read_response(&p->scan, bytes, p->ex->arena, &p->request, &r, ret_used, &why);
	*ret_more = result == HTTP1_MORE;
	if (result == HTTP1_MORE)
		return GO_ON;
	if (result == HTTP1_BAD) {
		p->detail = why.why;
		return fail(p, THE_APPLICATION "sent an answer that is not valid HTTP.");
	}
	if (r.status == 101)
		return hear_switch(p, &r, str_from(bytes, *ret_used));
	if (r.status < 200)
		return hear_interim(p, &r);
	return hear_final(p, &r, str_from(bytes, *ret_used));
}

static enum next hear_heads(struct passage *p, struct str bytes)
{
	/* A head that came in parts is read from `in`; that is freed when nothing points there. */
	BUF_AUTO joined = BUF_INIT(p->in.ceiling);
	if (p->in.n) {
		buf_add(&p->in, bytes);
		joined = p->in;
		p->in = BUF(joined.ceiling);
		bytes = buf_str(&joined);
	}
	while (bytes.n) {
		bool more;
		size_t used = 0;
		if (hear_head(p, bytes, &more, &used) == ENDED)
			return ENDED;
		if (more)
			buf_add(&p->in, bytes);
		if (more || p->responded)
			return GO_ON;
		bytes = str_from(bytes, used);
	}
	return GO_ON;
}

/* The client may go on; once it has ended, too, that was all. */
static void hear_last(struct passage *p)
{
	p->upstream_ended = true;
	if (!p->content_ended) {
		exchange_last(p->ex);
		passage_wait(p);
		return;
	}
	passage_end(p, /* clean= */ false);
}

static void hear_close(struct passage *p)
{
	if (p->tunnel) {
		hear_last(p);
		return;
	}
	p->reusable = false;
	if (p->responded && http1_body_ends_at_close(&p->body))
		passage_end(p, /* clean= */ false);
	else if (p->heard_any)
		passage_broken(p, THE_APPLICATION "broke off its answer.");
	else
		passage_broken(p, THE_APPLICATION "closed the connection without an answer.");
}

static size_t read_most(const struct passage *p)
{
	if (!p->responded || p->room > WORKER_SCRATCH)
		return WORKER_SCRATCH;
	return p->room < READ_LEAST ? READ_LEAST : (size_t)p->room;
}

/* What one read gave. ENDED also when the passage goes on by another connection. */
static enum next hear(struct passage *p, ssize_t n, const char *scratch)
{
	if (n == 0) {
		hear_close(p);
		return ENDED;
	}
	if (n == CONN_FAILED) {
		passage_broken(p, THE_APPLICATION "broke off the connection.");
		return ENDED;
	}
	p->heard_any = true;
	struct str bytes = str_n(scratch, (size_t)n);
	return p->responded ? hear_content(p, bytes) : hear_heads(p, bytes);
}

static void go_on(struct later *l)
{
	passage_receive(OWNER(l, struct passage, later));
}

/* Of a tunnel whose upstream has ended its side: what is left to learn is that it is gone. */
static void watch_half_open(struct passage *p)
{
	char byte;
	if (p->send_failed || conn_read(p->user.channel->held.conn, &byte, 1) == CONN_FAILED)
		passage_cut(p, THE_APPLICATION "broke off the connection.");
}

void passage_receive(struct passage *p)
{
	char *scratch = p->ex->worker->scratch;
	if (p->upstream_ended) {
		watch_half_open(p);
		return;
	}
	p->read_full = true;
	for (unsigned reads = 0; p->read_full && reads < READS_MOST; reads++) {
		if (p->responded && p->room <= 0)
			break;
		size_t most = read_most(p);
		ssize_t n = conn_read(p->user.channel->held.conn, scratch, most);
		p->read_full = n == (ssize_t)most;
		if (n != CONN_AGAIN && hear(p, n, scratch) == ENDED)
			return;
	}
	if (p->read_full && p->room > 0)
		later_start(&p->later, p->ex->worker->loop, go_on);
	passage_wait(p);
}
