#include "server/http1_session.h"

/* A handler may have that much waiting to be sent before it must pause. As long as the client takes
 * all at once nothing waits, and larger pieces cost less. Pieces from DIRECT on are not copied if
 * the connection takes them at once. */
enum { OUT_MOST = 64 << 10, OUT_AT_ONCE = 256 << 10, DIRECT = 8 << 10 };

static struct http1_session *session_of(struct exchange *ex)
{
	return OWNER(ex, struct http1_exchange, ex)->session;
}

static const struct limits *limits_of(const struct http1_session *s)
{
	return &s->client->worker->generation->limits;
}

static size_t queued(const struct http1_session *s)
{
	return s->out.n - s->sent;
}

size_t http1_unsent(const struct http1_session *s)
{
	return queued(s) + conn_unsent(s->client->held.conn);
}

bool http1_may_flush(const struct http1_session *s)
{
	return queued(s) > 0 && !s->blocked && !s->failed;
}

static ptrdiff_t room(const struct http1_session *s)
{
	size_t unsent = http1_unsent(s);
	return unsent == 0 ? OUT_AT_ONCE : OUT_MOST - (ptrdiff_t)unsent;
}

/* The connection took n bytes (or gives CONN_AGAIN, CONN_FAILED) of `offered`. */
static size_t took(struct http1_session *s, ssize_t n, size_t offered)
{
	if (n == CONN_FAILED)
		s->failed = true;
	s->blocked = n < 0 || (size_t)n < offered || conn_unsent(s->client->held.conn) > 0;
	if (n > 0) {
		s->progress = true;
		s->moved += (uint64_t)n;
	}
	return n > 0 ? (size_t)n : 0;
}

void http1_flush(struct http1_session *s)
{
	if (!http1_may_flush(s))
		return;
	struct iovec v = { s->out.p + s->sent, queued(s) };
	s->sent += took(s, conn_write(s->client->held.conn, &v, 1), queued(s));
	if (queued(s) == 0) {
		buf_clear(&s->out);
		s->sent = 0;
	}
}

static void keep_rest(struct http1_session *s, const struct iovec *v, int count, size_t taken)
{
	for (int i = 0; i < count; i++) {
		size_t done = taken < v[i].iov_len ? taken : v[i].iov_len;
		taken -= done;
		buf_add(&s->out, str_n((char *)v[i].iov_base + done, v[i].iov_len - done));
	}
	CHECK(buf_ok(&s->out));
}

/* What waits goes first; what is not taken of the rest is kept. */
static void write_direct(struct http1_session *s, const struct iovec *v, int count)
{
	struct iovec all[4] = { { s->out.p ? s->out.p + s->sent : NULL, queued(s) } };
	size_t offered = all[0].iov_len;
	for (int i = 0; i < count; i++) {
		all[i + 1] = v[i];
		offered += v[i].iov_len;
	}
	size_t taken = took(s, conn_write(s->client->held.conn, all, count + 1), offered);
	if (taken < all[0].iov_len) {
		s->sent += taken;
		keep_rest(s, v, count, 0);
		return;
	}
	taken -= all[0].iov_len;
	buf_clear(&s->out);
	s->sent = 0;
	keep_rest(s, v, count, taken);
}

/* Behind an answer's last byte nothing comes that could go with it. */
static bool is_whole(const struct http1_session *s)
{
	return s->framing == FRAMING_LENGTH && s->left == 0;
}

static void put(struct http1_session *s, const struct iovec *v, int count, size_t bytes)
{
	s->client->held.conn->ends = is_whole(s) && !s->keep_alive;
	if ((bytes >= DIRECT || is_whole(s)) && !s->blocked && !s->failed)
		write_direct(s, v, count);
	else if (!s->failed)
		keep_rest(s, v, count, 0);
	pump_soon(&s->pump);
}

static void put_chunk(struct http1_session *s, struct str piece)
{
	char text[HTTP1_CHUNK_HEAD];
	struct str head = http1_chunk_head(piece.n, text), end = HTTP1_CHUNK_END;
	struct iovec v[] = { { (char *)head.p, head.n }, { (char *)piece.p, piece.n },
		{ (char *)end.p, end.n } };
	put(s, v, 3, piece.n);
}

static void put_plain(struct http1_session *s, struct str piece)
{
	struct iovec v = { (char *)piece.p, piece.n };
	put(s, &v, 1, piece.n);
}

/* RFC 9110 10.1.1: nobody sends 100 once the content is on its way. */
static void want(struct exchange *ex, size_t bytes)
{
	struct http1_session *s = session_of(ex);
	s->wanted = bytes;
	if (bytes > 0 && s->continue_owed) {
		s->continue_owed = false;
		if (s->in.n == 0 && !ex->response_started)
			buf_add(&s->out, STR("HTTP/1.1 100 Continue\r\n\r\n"));
	}
	pump_soon(&s->pump);
}

/* RFC 9110 15.2: no 1xx to a client of HTTP/1.0. 100 is our own business. */
static void pass_interim(struct http1_session *s, const struct response *head)
{
	if (head->status != 100 && s->ex->request.version != HTTP_1_0)
		http1_write_response(&s->out, head, s->ex->request.version, true);
}

static bool may_keep(const struct http1_session *s)
{
	return s->ex->request.keep_alive && !s->client->worker->draining &&
	       s->requests < limits_of(s)->requests_per_connection;
}

static void choose_framing(struct http1_session *s, const struct response *r)
{
	s->framing = FRAMING_NONE;
	s->left = 0;
	if (r->head_only || r->body == BODY_NONE)
		return;
	if (r->body == BODY_LENGTH) {
		s->framing = FRAMING_LENGTH;
		s->left = r->length;
	} else {
		s->framing = s->ex->request.version == HTTP_1_0 ? FRAMING_CLOSE : FRAMING_CHUNKED;
	}
}

/* What came behind the request already is the tunnel's. */
static void begin_tunnel(struct http1_session *s, const struct response *head)
{
	s->framing = FRAMING_TUNNEL;
	s->keep_alive = false;
	http1_body_init(&s->body, BODY_CLOSE, 0);
	s->body_done = false;
	http1_write_response(&s->out, head, s->ex->request.version, /* keep_alive= */ true);
}

static void respond(struct exchange *ex, const struct response *head)
{
	struct http1_session *s = session_of(ex);
	pump_soon(&s->pump);
	if (head->status == 101 && ex->request.websocket) {
		begin_tunnel(s, head);
		return;
	}
	if (head->status < 200) {
		pass_interim(s, head);
		return;
	}
	struct response r = *head;
	if (str_eq(ex->request.method, STR("HEAD")) || r.status == 204 || r.status == 304)
		r.head_only = true;
	if (r.body == BODY_CLOSE)
		r.body = BODY_STREAM;
	choose_framing(s, &r);
	s->keep_alive = may_keep(s) && s->framing != FRAMING_CLOSE;
	http1_write_response(&s->out, &r, ex->request.version, s->keep_alive);
}

static ptrdiff_t body(struct exchange *ex, struct str piece)
{
	struct http1_session *s = session_of(ex);
	if (s->framing == FRAMING_LENGTH) {
		CHECK(piece.n <= s->left);
		s->left -= piece.n;
	}
	if (piece.n > 0 && s->framing == FRAMING_CHUNKED)
		put_chunk(s, piece);
	else if (piece.n > 0 && s->framing != FRAMING_NONE)
		put_plain(s, piece);
	s->room_owed = room(s) <= 0;
	return room(s);
}

static void let_go(struct http1_session *s)
{
	s->ended = true;
	s->ex->handling = NULL;
	s->room_owed = false;
	pump_soon(&s->pump);
}

static void trailers(struct exchange *ex, const struct headers *fields)
{
	struct http1_session *s = session_of(ex);
	if (ex->request.trailers && s->framing == FRAMING_CHUNKED)
		s->trailers = *fields;
}

static void last(struct exchange *ex)
{
	struct http1_session *s = session_of(ex);
	CHECK(s->framing == FRAMING_TUNNEL);
	s->last = true;
	pump_soon(&s->pump);
}

static void end(struct exchange *ex)
{
	struct http1_session *s = session_of(ex);
	CHECK(ex->response_started);
	if (s->framing == FRAMING_CHUNKED)
		http1_write_trailers(&s->out, &s->trailers);
	s->aborted = s->framing == FRAMING_LENGTH && s->left > 0;
	let_go(s);
}

static void abort_answer(struct exchange *ex, const char *why)
{
	(void)why;
	struct http1_session *s = session_of(ex);
	s->aborted = true;
	let_go(s);
}

const struct exchange_ops http1_exchange_ops = {
	.want = want,
	.respond = respond,
	.body = body,
	.trailers = trailers,
	.last = last,
	.end = end,
	.abort = abort_answer,
};
