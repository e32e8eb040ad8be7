/* The receiving half, and the connection's life. nghttp2's callbacks are told of frames; each that
 * costs us something is counted before it does. */
#include "base/err.h"
#include "http/http1.h"
#include "http/http2_inside.h"

#define HEAD_WITHOUT_END "A header section comes without end."

static struct http2 *http2_of(void *connection)
{
	return connection;
}

void http2_fail(struct http2 *h, enum http2_error code, const char *why)
{
	if (!h->fault) {
		h->fault = why;
		h->code = code;
	}
	h->over = true;
}

static int bear(struct http2 *h, enum http2_nuisance what)
{
	return http2_bears(h, what) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* --- frames, by their heads */

/* Content and heads of streams that we have ended may still be on their way (RFC 9113 5.1). */
static int bear_late(struct http2 *h, int32_t id)
{
	bool ended = id <= h->last_id && !http2_heard_by(h->session, id);
	return ended ? bear(h, HTTP2_NUISANCE_LATE) : 0;
}

/* Of streams that we reset it may be as much as their windows let go. */
static int bear_late_content(struct http2 *h, const nghttp2_frame_hd *hd)
{
	if (!h->client || http2_heard_by(h->session, hd->stream_id) || hd->length > h->late)
		return bear_late(h, hd->stream_id);
	h->late -= hd->length;
	return 0;
}

/* RFC 9113 8.4: we have said that we take none. */
static int bear_push(struct http2 *h)
{
	http2_fail(h, HTTP2_PROTOCOL_ERROR, "Something is pushed that nobody may push.");
	return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* RFC 9113 6.3, of frames to which nghttp2 does not listen (RFC 9218 2.1). */
static int bear_priority(struct http2 *h, int32_t id)
{
	if (id != 0)
		return bear(h, HTTP2_NUISANCE_PRIORITY);
	http2_fail(h, HTTP2_PROTOCOL_ERROR, "A PRIORITY is about no stream.");
	return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int began(nghttp2_session *session, const nghttp2_frame_hd *hd, void *connection)
{
	(void)session;
	struct http2 *h = http2_of(connection);
	switch (hd->type) {
	case NGHTTP2_DATA:
		return bear_late_content(h, hd);
	case NGHTTP2_HEADERS:
		return bear_late(h, hd->stream_id);
	case NGHTTP2_PUSH_PROMISE:
		return bear_push(h);
	case NGHTTP2_CONTINUATION:
	case NGHTTP2_GOAWAY:
		return 0;
	case NGHTTP2_PRIORITY:
		return bear_priority(h, hd->stream_id);
	case NGHTTP2_PRIORITY_UPDATE:
		return bear(h, HTTP2_NUISANCE_PRIORITY);
	case NGHTTP2_RST_STREAM:
		return bear(h, HTTP2_NUISANCE_RESET);
	case NGHTTP2_SETTINGS:
		return hd->flags & NGHTTP2_FLAG_ACK ? 0 : bear(h, HTTP2_NUISANCE_SETTINGS);
	case NGHTTP2_PING:
		return bear(h, HTTP2_NUISANCE_PING);
	case NGHTTP2_WINDOW_UPDATE:
		return bear(h, HTTP2_NUISANCE_WINDOW);
	default:
		return bear(h, HTTP2_NUISANCE_OTHER);
	}
}

/* Of a type that nobody knows (RFC 9113 5.5): it was counted, and that is all. */
static int drop_frame(
        nghttp2_session *session, void **ret_payload, const nghttp2_frame_hd *hd, void *connection)
{
	(void)session, (void)ret_payload, (void)hd, (void)connection;
	return NGHTTP2_ERR_CANCEL;
}

/* --- heads and trailers */

static int head_began(nghttp2_session *session, const nghttp2_frame *frame, void *connection)
{
	struct http2 *h = http2_of(connection);
	struct http2_stream *s = http2_heard_by(session, frame->hd.stream_id);
	h->in_head = true;
	if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
		s = h->user->ops->opened(h->user);
		s->id = h->last_id = frame->hd.stream_id;
		s->connection = h;
		if (s->out.ceiling == 0)
			s->out = BUF(HTTP2_OUT_CEILING);
		s->is_request = true;
		(void)nghttp2_session_set_stream_user_data(session, s->id, s);
	}
	if (s)
		s->head = (struct http2_head){ 0 };
	return 0;
}

static int field(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
        nghttp2_rcbuf *value, uint8_t flags, void *connection)
{
	(void)flags;
	struct http2 *h = http2_of(connection);
	struct http2_stream *s = http2_heard_by(session, frame->hd.stream_id);
	if (!s)
		return 0;
	const nghttp2_vec n = nghttp2_rcbuf_get_buf(name), v = nghttp2_rcbuf_get_buf(value);
	http2_head_add(&s->head, s->arena, str_n(n.base, n.len), str_n(v.base, v.len));
	if (s->head.bytes <= HTTP2_HEAD_FLOOD)
		return 0;
	http2_fail(h, HTTP2_ENHANCE_YOUR_CALM, HEAD_WITHOUT_END);
	return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* RFC 9113 8.2.1: what nghttp2 would let fall makes the message malformed. */
static int bad_field(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
        nghttp2_rcbuf *value, uint8_t flags, void *connection)
{
	(void)name, (void)value, (void)flags, (void)connection;
	struct http2_stream *s = http2_heard_by(session, frame->hd.stream_id);
	if (s && !s->head.refusal.why)
		s->head.refusal = (struct refusal){ 400, "A header field is malformed." };
	return 0;
}

static void hear_end(struct http2 *h, struct http2_stream *s)
{
	if (h->client && !http2_answer_ends(s))
		return;
	s->request_ended = true;
	h->user->ops->body_end(s);
}

static void hear_request(struct http2 *h, struct http2_stream *s, bool ended)
{
	s->is_request = false;
	s->request_ended = ended;
	if (!http2_head_request(&s->head, s->arena, h->tls, ended, &s->request))
		s->refusal = s->head.refusal;
	h->user->ops->request(s);
}

static void hear_head(struct http2 *h, struct http2_stream *s, bool ended)
{
	h->in_head = false;
	if (s->is_request) {
		hear_request(h, s, ended);
		return;
	}
	if (s->head.refusal.why) {
		http2_reset(s, HTTP2_PROTOCOL_ERROR);
		return;
	}
	if (h->client && !s->answered) {
		http2_hear_answer(s, ended);
	} else {
		http2_head_trailers(&s->head, s->arena, &s->trailers);
	}
	if (ended)
		hear_end(h, s);
}

/* --- whole frames */

static int hear_data(struct http2 *h, struct http2_stream *s, const nghttp2_frame *frame)
{
	bool ended = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
	if (frame->hd.length == frame->data.padlen && !ended)
		return bear(h, HTTP2_NUISANCE_EMPTY);
	if (ended && s)
		hear_end(h, s);
	return 0;
}

static int arrived(nghttp2_session *session, const nghttp2_frame *frame, void *connection)
{
	struct http2 *h = http2_of(connection);
	struct http2_stream *s = http2_heard_by(session, frame->hd.stream_id);
	if (frame->hd.type == NGHTTP2_DATA)
		return hear_data(h, s, frame);
	if (frame->hd.type == NGHTTP2_PING && frame->hd.flags & NGHTTP2_FLAG_ACK)
		h->leave_heard = h->leaving;
	if (frame->hd.type == NGHTTP2_RST_STREAM && s)
		s->reset = true;
	if (frame->hd.type == NGHTTP2_SETTINGS)
		h->greeted = true;
	if (frame->hd.type == NGHTTP2_GOAWAY)
		h->told_to_leave = true;
	if (frame->hd.type == NGHTTP2_HEADERS && s)
		hear_head(h, s, (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0);
	return 0;
}

static int content(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n,
        void *connection)
{
	(void)flags;
	struct http2 *h = http2_of(connection);
	struct http2_stream *s = http2_heard_by(session, id);
	if (!s || h->client)
		(void)nghttp2_session_consume_connection(session, n);
	if (s && (!h->client || http2_answer_takes(s, n)))
		h->user->ops->body(s, str_n(p, n));
	return 0;
}

static int closed(nghttp2_session *session, int32_t id, uint32_t code, void *connection)
{
	struct http2 *h = http2_of(connection);
	struct http2_stream *s = http2_stream_of(session, id);
	if (!s)
		return 0;
	if (s->is_request)
		h->in_head = false;
	if (h->client)
		http2_answer_closed(s, code);
	h->unsent -= s->out.n - s->sent;
	http2_stream_clear(s);
	s->connection = NULL;
	h->user->ops->closed(s);
	return 0;
}

/* --- the connection */

static void set_options(nghttp2_option *o)
{
	nghttp2_option_set_no_auto_window_update(o, 1);
	nghttp2_option_set_no_closed_streams(o, 1);
	nghttp2_option_set_max_continuations(o, HTTP2_CONTINUATIONS_MOST);
	nghttp2_option_set_builtin_recv_extension_type(o, NGHTTP2_PRIORITY_UPDATE);
	for (unsigned type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX; type++)
		if (type != NGHTTP2_PRIORITY_UPDATE)
			nghttp2_option_set_user_recv_extension_type(o, (uint8_t)type);
}

static void set_callbacks(nghttp2_session_callbacks *c)
{
	nghttp2_session_callbacks_set_on_begin_frame_callback(c, began);
	nghttp2_session_callbacks_set_unpack_extension_callback(c, drop_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(c, head_began);
	nghttp2_session_callbacks_set_on_header_callback2(c, field);
	nghttp2_session_callbacks_set_on_invalid_header_callback2(c, bad_field);
	nghttp2_session_callbacks_set_on_frame_recv_callback(c, arrived);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, content);
	nghttp2_session_callbacks_set_on_stream_close_callback(c, closed);
	http2_send_callbacks(c);
}

static void say_settings(nghttp2_session *session)
{
	const nghttp2_settings_entry ours[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HTTP2_STREAMS_MOST },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP1_HEAD_MOST },
		{ NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 },
		{ NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
	};
	CHECK(nghttp2_submit_settings(
	              session, NGHTTP2_FLAG_NONE, ours, sizeof ours / sizeof *ours) == 0);
	CHECK(nghttp2_session_set_local_window_size(
	              session, NGHTTP2_FLAG_NONE, 0, HTTP2_CONNECTION_WINDOW) == 0);
}

struct http2 *http2_create(struct http2_user *u, bool client, int64_t now)
{
	struct http2 *h = mem_new(struct http2);
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *options;
	h->user = u;
	h->client = client;
	h->now = h->patience.at = now;
	CHECK(nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&options) == 0);
	set_callbacks(callbacks);
	set_options(options);
	int made = client ? nghttp2_session_client_new2(&h->session, callbacks, h, options)
	                  : nghttp2_session_server_new2(&h->session, callbacks, h, options);
	CHECK(made == 0);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(options);
	return h;
}

struct http2 *http2_new(struct http2_user *u, bool tls, int64_t now)
{
	struct http2 *h = http2_create(u, /* client= */ false, now);
	h->tls = tls;
	say_settings(h->session);
	return h;
}

void http2_free(struct http2 **h)
{
	if (!*h)
		return;
	nghttp2_session_del((*h)->session);
	free(*h);
	*h = NULL;
}

void http2_time(struct http2 *h, int64_t now)
{
	h->now = now;
}

bool http2_receive(struct http2 *h, struct str bytes)
{
	if (h->over)
		return false;
	ssize_t n = nghttp2_session_mem_recv(h->session, (const uint8_t *)bytes.p, bytes.n);
	if (n == (ssize_t)bytes.n && !h->fault)
		return true;
	if (n == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS)
		http2_fail(h, HTTP2_ENHANCE_YOUR_CALM, HEAD_WITHOUT_END);
	else if (n == NGHTTP2_ERR_FLOODED)
		http2_fail(h, HTTP2_ENHANCE_YOUR_CALM, "Too many answers are wanted at once.");
	else
		http2_fail(h, HTTP2_PROTOCOL_ERROR, "This is not HTTP/2.");
	return false;
}

const char *http2_fault(const struct http2 *h)
{
	return h->fault;
}

bool http2_in_head(const struct http2 *h)
{
	return h->in_head;
}

bool http2_over(const struct http2 *h)
{
	return h->over ||
	       (!nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session));
}

void http2_used(struct http2 *h, int32_t stream_id, size_t bytes)
{
	if (h->over)
		return;
	(void)(h->client ? nghttp2_session_consume_stream(h->session, stream_id, bytes)
	                 : nghttp2_session_consume(h->session, stream_id, bytes));
}

void http2_leave_soon(struct http2 *h)
{
	if (h->leaving)
		return;
	h->leaving = true;
	(void)nghttp2_submit_shutdown_notice(h->session);
	(void)nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL);
}

bool http2_leave_heard(const struct http2 *h)
{
	return h->leave_heard;
}

void http2_leave(struct http2 *h, enum http2_error code)
{
	h->leaving = true;
	(void)nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
	        nghttp2_session_get_last_proc_stream_id(h->session), code, NULL, 0);
}
