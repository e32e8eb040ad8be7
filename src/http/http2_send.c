/* The sending half: heads, content as the client's windows let it go, trailers, resets. */
#include "base/err.h"
#include "http/http2_inside.h"

enum { OUT_KEPT = 4 << 10 }; /* memory for a short answer is kept for the next one */
enum { FRAME_HEAD = 9, GOAWAY_SIZE = FRAME_HEAD + 8 };

nghttp2_nv http2_pair(struct str name, struct str value, uint8_t flags)
{
	return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name.p,
		.namelen = name.n,
		.value = (uint8_t *)(uintptr_t)value.p,
		.valuelen = value.n,
		.flags = flags };
}

/* Secrets that are short stay out of the table from which they could be guessed (RFC 7541 7.1). */
nghttp2_nv http2_pair_of(const struct header *f)
{
	bool secret = str_eq(f->name, STR("set-cookie")) || str_eq(f->name, STR("cookie")) ||
	              str_eq(f->name, STR("authorization"));
	return http2_pair(
	        f->name, f->value, secret ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE);
}

/* --- heads */

struct str http2_number(uint64_t n, char text[HTTP2_NUMBER])
{
	unsigned i = HTTP2_NUMBER;
	do {
		text[--i] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	return str_n(text + i, HTTP2_NUMBER - i);
}

static bool has_content(const struct response *r, bool tunnel)
{
	if (tunnel)
		return true;
	return !r->head_only && r->body != BODY_NONE && !(r->body == BODY_LENGTH && r->length == 0);
}

/* RFC 9110 8.6, as for HTTP/1. */
static bool tells_length(const struct response *r, bool tunnel)
{
	if (tunnel || r->status < 200 || r->status == 204)
		return false;
	return r->body == BODY_LENGTH || (r->body == BODY_NONE && !r->head_only);
}

void http2_respond(struct http2_stream *s, const struct response *r)
{
	char status[HTTP2_NUMBER], length[HTTP2_NUMBER];
	if (!s->connection)
		return;
	nghttp2_session *session = s->connection->session;
	bool tunnel = r->status == 101;
	size_t count = 0;
	nghttp2_nv *v = arena_array(s->arena, nghttp2_nv, r->headers.count + 2);
	v[count++] = http2_pair(STR(":status"), http2_number(tunnel ? 200 : r->status, status),
	        NGHTTP2_NV_FLAG_NONE);
	for (size_t i = 0; i < r->headers.count; i++)
		v[count++] = http2_pair_of(&r->headers.at[i]);
	if (tells_length(r, tunnel))
		v[count++] = http2_pair(STR("content-length"),
		        http2_number(r->body == BODY_LENGTH ? r->length : 0, length),
		        NGHTTP2_NV_FLAG_NONE);
	if (r->status < 200 && !tunnel) {
		(void)nghttp2_submit_headers(
		        session, NGHTTP2_FLAG_NONE, s->id, NULL, v, count, NULL);
		return;
	}
	s->is_tunnel = tunnel;
	s->has_content = has_content(r, tunnel);
	nghttp2_data_provider content = http2_content(s);
	(void)nghttp2_submit_response(session, s->id, v, count, s->has_content ? &content : NULL);
}

/* --- content */

static size_t waiting(const struct http2_stream *s)
{
	return s->out.n - s->sent + s->lent.n;
}

static void submit_trailers(struct http2_stream *s)
{
	nghttp2_nv *v = arena_array(s->arena, nghttp2_nv, s->out_trailers.count);
	for (size_t i = 0; i < s->out_trailers.count; i++)
		v[i] = http2_pair_of(&s->out_trailers.at[i]);
	(void)nghttp2_submit_trailer(s->connection->session, s->id, v, s->out_trailers.count);
}

static ssize_t next_content(nghttp2_session *session, int32_t id, uint8_t *unused, size_t most,
        uint32_t *ret_flags, nghttp2_data_source *source, void *connection)
{
	(void)session, (void)id, (void)unused, (void)connection;
	struct http2_stream *s = source->ptr;
	size_t n = waiting(s);
	if (n == 0 && !s->ended)
		return NGHTTP2_ERR_DEFERRED;
	*ret_flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (n > most || !s->ended)
		return (ssize_t)(n < most ? n : most);
	*ret_flags |= NGHTTP2_DATA_FLAG_EOF;
	if (s->out_trailers.count > 0) {
		*ret_flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		submit_trailers(s);
	}
	return (ssize_t)n;
}

nghttp2_data_provider http2_content(struct http2_stream *s)
{
	return (nghttp2_data_provider){ .source.ptr = s, .read_callback = next_content };
}

void http2_stream_clear(struct http2_stream *s)
{
	s->sent = 0;
	if (s->out.cap > OUT_KEPT)
		buf_done(&s->out);
	else
		buf_clear(&s->out);
}

static void take(struct http2_stream *s, struct buf *out, size_t n)
{
	struct str kept = str_head(str_from(buf_str(&s->out), s->sent), n);
	buf_add(out, kept);
	buf_add(out, str_head(s->lent, n - kept.n));
	s->lent = str_from(s->lent, n - kept.n);
	s->sent += kept.n;
	s->connection->unsent -= kept.n;
	if (s->sent == s->out.n)
		http2_stream_clear(s);
}

static int put_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t n,
        nghttp2_data_source *source, void *connection)
{
	(void)session, (void)frame;
	struct http2 *h = connection;
	struct http2_stream *s = source->ptr;
	if (h->out->n >= h->most)
		return NGHTTP2_ERR_WOULDBLOCK;
	buf_add(h->out, str_n(head, FRAME_HEAD));
	take(s, h->out, n);
	s->sent_at = h->now;
	s->gone += n;
	if (n > 0) {
		http2_forgives(h, HTTP2_NUISANCE_WINDOW, 2);
		http2_forgives(h, HTTP2_NUISANCE_PING, 1);
	}
	return 0;
}

static void resume(struct http2_stream *s)
{
	(void)nghttp2_session_resume_data(s->connection->session, s->id);
}

static bool takes_content(struct http2_stream *s)
{
	if (!s->connection || !s->has_content)
		return false;
	if (waiting(s) == 0)
		s->sent_at = s->connection->now;
	return true;
}

void http2_put(struct http2_stream *s, struct str piece)
{
	if (piece.n == 0 || !takes_content(s))
		return;
	buf_add(&s->out, piece);
	s->connection->unsent += piece.n;
	resume(s);
}

void http2_lend(struct http2_stream *s, struct str piece)
{
	if (piece.n == 0 || !takes_content(s))
		return;
	s->lent = piece;
	resume(s);
}

void http2_take_back(struct http2_stream *s)
{
	struct str rest = s->lent;
	s->lent = STR_NONE;
	if (rest.n == 0 || !s->connection)
		return;
	buf_add(&s->out, rest);
	s->connection->unsent += rest.n;
}

void http2_end(struct http2_stream *s, const struct headers *trailers)
{
	if (!s->connection || s->ended)
		return;
	s->ended = true;
	if (trailers)
		s->out_trailers = *trailers;
	if (s->has_content)
		resume(s);
}

void http2_reset(struct http2_stream *s, enum http2_error code)
{
	if (s->connection)
		(void)nghttp2_submit_rst_stream(
		        s->connection->session, NGHTTP2_FLAG_NONE, s->id, code);
}

size_t http2_unsent(const struct http2_stream *s)
{
	return waiting(s);
}

size_t http2_unsent_all(const struct http2 *h)
{
	return h->unsent;
}

/* --- frames */

/* RFC 9113 8.1: the answer was complete without the rest of the request. A tunnel's other half goes
 * on. */
static void drop_rest(struct http2 *h, const nghttp2_frame *frame)
{
	struct http2_stream *s = http2_stream_of(h->session, frame->hd.stream_id);
	http2_forgives(h, HTTP2_NUISANCE_RESET, 1);
	if (s && !s->request_ended && !s->is_tunnel)
		http2_reset(s, HTTP2_NO_ERROR);
}

/* What nghttp2 resets of its own accord was the client's doing. */
static bool is_fault(uint32_t code)
{
	return code != NGHTTP2_NO_ERROR && code != NGHTTP2_INTERNAL_ERROR && code != NGHTTP2_CANCEL;
}

static void note_asked(struct http2 *h, const nghttp2_frame *frame)
{
	struct http2_stream *s = http2_stream_of(h->session, frame->hd.stream_id);
	if (!s)
		return;
	if (!s->asked)
		http2_forgives(h, HTTP2_NUISANCE_RESET, 1);
	s->asked = true;
	s->said_all = s->said_all || frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
}

/* Each request may be reset, and what was on its way when we reset one may still come. */
static void sent_to_server(struct http2 *h, const nghttp2_frame *frame)
{
	if (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS)
		note_asked(h, frame);
	if (frame->hd.type == NGHTTP2_RST_STREAM)
		h->late += HTTP2_ANSWER_WINDOW;
	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR)
		http2_fail(h, HTTP2_PROTOCOL_ERROR, "This is not HTTP/2.");
	h->said_why = h->said_why || frame->hd.type == NGHTTP2_GOAWAY;
}

static int sent(nghttp2_session *session, const nghttp2_frame *frame, void *connection)
{
	(void)session;
	struct http2 *h = connection;
	bool carries_end = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
	if (h->client) {
		sent_to_server(h, frame);
		return 0;
	}
	if (carries_end && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		drop_rest(h, frame);
	if (frame->hd.type == NGHTTP2_RST_STREAM && is_fault(frame->rst_stream.error_code) &&
	        !http2_bears(h, HTTP2_NUISANCE_FAULT))
		h->over = true;
	return 0;
}

void http2_send_callbacks(nghttp2_session_callbacks *c)
{
	nghttp2_session_callbacks_set_send_data_callback(c, put_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(c, sent);
}

static char *put_u32(char *p, uint32_t n)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (char)(n >> (24 - 8 * i));
	return p + 4;
}

/* RFC 9113 6.8. nghttp2 makes none after an error that ended it. */
static void put_goaway(const struct http2 *h, struct buf *out, enum http2_error code)
{
	char text[GOAWAY_SIZE] = { 0, 0, GOAWAY_SIZE - FRAME_HEAD, NGHTTP2_GOAWAY };
	char *p = put_u32(text + FRAME_HEAD, h->client ? 0 : (uint32_t)h->last_id);
	put_u32(p, code);
	buf_add(out, str_n(text, sizeof text));
}

static void put_frames(struct http2 *h, struct buf *out, size_t most)
{
	const uint8_t *p;
	h->out = out;
	h->most = most;
	while (out->n < most && !h->over) {
		ssize_t n = nghttp2_session_mem_send(h->session, &p);
		size_t before = out->n;
		if (n < 0) {
			h->over = true;
			h->fault = h->fault ? h->fault : "HTTP/2 has no answer to this.";
			h->code = h->code ? h->code : HTTP2_INTERNAL_ERROR;
		} else if (n == 0 && out->n == before) {
			break;
		}
		buf_add(out, str_n(p, n > 0 ? (size_t)n : 0));
	}
	h->out = NULL;
}

void http2_collect(struct http2 *h, struct buf *out, size_t most)
{
	if (!h->over)
		put_frames(h, out, most);
	if (!h->over || !h->fault || h->said_why)
		return;
	h->said_why = true;
	put_goaway(h, out, h->code);
}
