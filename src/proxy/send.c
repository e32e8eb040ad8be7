/* The request's way to the upstream. What the connection does not take at once waits in `out`, and
 * no more is wanted from the client until it is gone. */
#include "proxy/passage.h"

#include "base/err.h"
#include "server/rules.h"

/* Credit for the client, so `out` never holds much more; a head has 32 KiB and what we add. */
enum { WANT = 64 << 10, TRAILERS_CEILING = 64 << 10 };

static const struct headers none;

static void look_into_it(struct later *l)
{
	passage_receive(OWNER(l, struct passage, later));
}

/* The upstream takes no more, but may have answered early: that answer counts. */
static void fail_to_send(struct passage *p)
{
	p->send_failed = true;
	buf_done(&p->out);
	later_stop(&p->later);
	later_start(&p->later, p->ex->worker->loop, look_into_it);
}

static void keep_rest(struct passage *p, const struct iovec *v, int count, size_t taken)
{
	for (int i = 0; i < count; i++) {
		size_t done = taken < v[i].iov_len ? taken : v[i].iov_len;
		taken -= done;
		if (done < v[i].iov_len)
			buf_add(&p->out, str_n((char *)v[i].iov_base + done, v[i].iov_len - done));
	}
	CHECK(buf_ok(&p->out));
}

static void put(struct passage *p, const struct iovec *v, int count)
{
	ssize_t taken = 0;
	if (p->out.n == 0)
		taken = conn_write(p->user.channel->held.conn, v, count);
	if (taken == CONN_FAILED) {
		fail_to_send(p);
		return;
	}
	p->sent_any = p->sent_any || taken > 0;
	keep_rest(p, v, count, taken > 0 ? (size_t)taken : 0);
}

static struct iovec part(struct str s)
{
	return (struct iovec){ (void *)(uintptr_t)s.p, s.n };
}

/* The head, if it has not gone yet, a piece of content in its framing, and its end: one write. */
static void send_parts(struct passage *p, struct str piece, bool last)
{
	struct iovec v[5];
	char chunk[HTTP1_CHUNK_HEAD];
	int count = 0;
	bool chunked = p->request.body == BODY_STREAM;
	if (!p->head_sent) {
		struct buf *head = &passage_pools(p)->head;
		buf_clear(head);
		http1_write_request(head, &p->request);
		CHECK(buf_ok(head));
		v[count++] = part(buf_str(head));
		p->head_sent = true;
	}
	if (piece.n && chunked)
		v[count++] = part(http1_chunk_head(piece.n, chunk));
	if (piece.n)
		v[count++] = part(piece);
	if (piece.n && chunked)
		v[count++] = part(HTTP1_CHUNK_END);
	BUF_AUTO end = BUF_INIT(TRAILERS_CEILING);
	if (last && chunked) {
		http1_write_trailers(&end, p->request.trailers ? &p->ex->trailers : &none);
		v[count++] = part(buf_str(&end));
	}
	if (count && !p->send_failed)
		put(p, v, count);
}

static void want_more(struct passage *p)
{
	if (!p->content_ended && !p->send_failed && p->out.n == 0)
		exchange_want(p->ex, WANT);
	passage_wait(p);
}

static void send_head_alone(struct later *l)
{
	struct passage *p = OWNER(l, struct passage, later);
	if (!p->head_sent)
		send_parts(p, STR_NONE, /* last= */ false);
	passage_wait(p);
}

void passage_send(struct passage *p)
{
	if (p->upstream)
		counters_upstream(p->ex, p->upstream->shown);
	if (p->by_http2) {
		passage_http2_send(p);
		return;
	}
	p->content_ended = p->request.body == BODY_NONE;
	/* On a kept connection the head waits for content that comes within this turn. On a new one
	 * it goes alone, so that a failure to connect is met before the client is asked. */
	if (!p->content_ended && p->user.channel->was_kept)
		later_start(&p->later, p->ex->worker->loop, send_head_alone);
	else
		send_parts(p, STR_NONE, /* last= */ false);
	want_more(p);
}

void passage_body(struct passage *p, struct str piece)
{
	p->content_taken = true;
	if (p->by_http2) {
		passage_http2_body(p, piece);
		return;
	}
	send_parts(p, piece, /* last= */ false);
	want_more(p);
}

void passage_begin_tunnel(struct passage *p)
{
	p->content_ended = false;
	want_more(p);
}

/* What the client said has gone: so may our side of the connection, and with it all if the other
 * side has ended before. */
static void end_tunnel(struct passage *p)
{
	if (p->out.n > 0 || p->send_failed)
		return;
	if (p->upstream_ended)
		passage_end(p, /* clean= */ false);
	else
		conn_shutdown(p->user.channel->held.conn);
}

void passage_body_end(struct passage *p)
{
	p->content_ended = true;
	if (p->ex->route)
		rules_trailers(p->ex->route, &p->ex->trailers);
	if (p->by_http2) {
		passage_http2_body_end(p);
		return;
	}
	if (p->tunnel) {
		passage_wait(p);
		end_tunnel(p);
		return;
	}
	send_parts(p, STR_NONE, /* last= */ true);
	passage_wait(p);
}

void passage_flush(struct passage *p)
{
	if (p->out.n == 0 || p->send_failed)
		return;
	struct iovec v = part(buf_str(&p->out));
	ssize_t taken = conn_write(p->user.channel->held.conn, &v, 1);
	if (taken == CONN_FAILED) {
		fail_to_send(p);
		return;
	}
	if (taken > 0) {
		p->sent_any = true;
		buf_consume(&p->out, (size_t)taken);
	}
	if (p->out.n > 0) {
		passage_wait(p);
		return;
	}
	buf_done(&p->out);
	if (p->tunnel && p->content_ended)
		end_tunnel(p);
	else
		want_more(p);
}

bool passage_sent(const struct passage *p)
{
	return p->head_sent && p->content_ended && !p->send_failed && p->out.n == 0;
}
