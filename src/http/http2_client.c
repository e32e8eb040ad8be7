/* Requests out, answers in. nghttp2 has looked at most of an answer before; what is refused here
 * does not depend on it. */
#include "http/http2_client.h"

#include "base/err.h"
#include "http/http1.h"
#include "http/http2_inside.h"
#include "http/trailers.h"

/* --- requests */

/* RFC 9110 8.6, as for HTTP/1. */
static bool tells_length(const struct request *r)
{
	return r->body == BODY_LENGTH ||
	       (r->body == BODY_NONE &&
	               (str_eq(r->method, STR("POST")) || str_eq(r->method, STR("PUT")) ||
	                       str_eq(r->method, STR("PATCH"))));
}

bool http2_ask(struct http2 *h, struct http2_call *c, const struct request *r)
{
	enum { OURS = 7 };
	struct http2_stream *s = &c->stream;
	char length[HTTP2_NUMBER];
	size_t count = 0;
	nghttp2_nv *v = arena_array(s->arena, nghttp2_nv, r->headers.count + OURS);
	v[count++] = http2_pair(
	        STR(":method"), r->websocket ? STR("CONNECT") : r->method, NGHTTP2_NV_FLAG_NONE);
	if (r->websocket) /* RFC 8441 4 */
		v[count++] = http2_pair(STR(":protocol"), STR("websocket"), NGHTTP2_NV_FLAG_NONE);
	v[count++] = http2_pair(STR(":scheme"), STR("http"), NGHTTP2_NV_FLAG_NONE);
	if (r->authority.n)
		v[count++] = http2_pair(STR(":authority"), r->authority, NGHTTP2_NV_FLAG_NONE);
	v[count++] = http2_pair(STR(":path"), r->path, NGHTTP2_NV_FLAG_NONE);
	for (size_t i = 0; i < r->headers.count; i++)
		v[count++] = http2_pair_of(&r->headers.at[i]);
	if (tells_length(r))
		v[count++] = http2_pair(STR("content-length"), http2_number(r->length, length),
		        NGHTTP2_NV_FLAG_NONE);
	if (r->trailers)
		v[count++] = http2_pair(STR("te"), STR("trailers"), NGHTTP2_NV_FLAG_NONE);
	s->connection = h;
	s->out = BUF(HTTP2_OUT_CEILING);
	s->is_tunnel = r->websocket;
	s->has_content = r->body != BODY_NONE || s->is_tunnel;
	c->is_head = str_eq(r->method, STR("HEAD"));
	nghttp2_data_provider content = http2_content(s);
	s->id = nghttp2_submit_request(
	        h->session, NULL, v, count, s->has_content ? &content : NULL, s);
	if (s->id > 0)
		h->last_id = s->id;
	else
		s->connection = NULL;
	return s->id > 0;
}

void http2_abandon(struct http2_call *c)
{
	struct http2_stream *s = &c->stream;
	s->deaf = true;
	s->arena = NULL;
	if (!s->request_ended || !s->said_all)
		http2_reset(s, HTTP2_CANCEL);
}

/* --- answers */

static bool refuse(struct http2_call *c, const char *why)
{
	if (!c->fault)
		c->fault = why;
	return false;
}

/* Whoever breaks a law is not listened to any more. */
static bool condemn(struct http2_call *c, const char *why)
{
	(void)refuse(c, why);
	c->stream.deaf = true;
	http2_reset(&c->stream, HTTP2_PROTOCOL_ERROR);
	return false;
}

/* RFC 9110 15, RFC 9113 8.6 */
static bool hear_status(struct http2_call *c, struct response *r)
{
	const struct http2_head *h = &c->stream.head;
	uint64_t status;
	if (h->method.p || h->scheme.p || h->authority.p || h->path.p || h->protocol.p)
		return refuse(c, "The answer has a pseudo-header field of requests.");
	if (h->status.n != 3 || !str_to_u64(h->status, &status) || status < 100 || status > 599)
		return refuse(c, "The answer's status is not from 100 to 599.");
	if (status == 101)
		return refuse(c, "The answer switches protocols, which HTTP/2 does not do.");
	r->status = (unsigned)status;
	return true;
}

static bool hear_length(struct http2_call *c, struct str value, struct response *r)
{
	if (c->bounded)
		return refuse(c, "There is more than one Content-Length.");
	if (value.n > 19 || !str_to_u64(value, &r->length))
		return refuse(c, "Content-Length is not a number of at most 19 digits.");
	c->bounded = true;
	return true;
}

static bool is_one_of(struct str name, const struct str *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (str_eq(name, names[i]))
			return true;
	return false;
}

/* RFC 9113 8.2.2 */
static bool hear_field(struct http2_call *c, const struct header *f, struct response *r)
{
	static const struct str of_connection[] = { STR_INIT("connection"), STR_INIT("keep-alive"),
		STR_INIT("proxy-connection"), STR_INIT("transfer-encoding"), STR_INIT("upgrade") };
	static const struct str dropped[] = { STR_INIT("te"), STR_INIT("trailer"),
		STR_INIT("proxy-authenticate"), STR_INIT("proxy-authorization") };
	if (str_eq(f->name, STR("content-length")))
		return hear_length(c, f->value, r);
	if (is_one_of(f->name, of_connection, sizeof of_connection / sizeof *of_connection))
		return refuse(c, "A header field is about a connection of HTTP/1.");
	if (!is_one_of(f->name, dropped, sizeof dropped / sizeof *dropped))
		r->headers.at[r->headers.count++] = *f;
	return true;
}

/* As of HTTP/1: who may not have content tells no length, or one that is not meant. */
static bool hear_framing(struct http2_call *c, bool ended, struct response *r)
{
	bool bare = r->status < 200 || r->status == 204;
	r->head_only = bare || r->status == 304 || c->is_head;
	if (r->status < 200 && ended)
		return refuse(c, "The answer ends with an interim head.");
	if (ended && !r->head_only && r->length > 0)
		return refuse(c, "The answer is shorter than its Content-Length.");
	if (c->bounded && !bare)
		r->body = r->length || r->head_only ? BODY_LENGTH : BODY_NONE;
	else
		r->body = ended || r->head_only ? BODY_NONE : BODY_STREAM;
	c->left = r->head_only ? 0 : r->length;
	c->bounded = r->body != BODY_STREAM;
	if (r->body != BODY_LENGTH)
		r->length = 0;
	return true;
}

/* RFC 8441 5, RFC 9110 9.3.6: any 2xx is what 101 is in HTTP/1, and a length means nothing. */
static void hear_tunnel(struct http2_call *c, struct response *r)
{
	c->stream.is_tunnel = r->status < 300;
	if (!c->stream.is_tunnel)
		return;
	c->bounded = false;
	r->status = 101;
	r->websocket = r->head_only = true;
	r->body = BODY_NONE;
	r->length = 0;
}

static bool read_answer(struct http2_call *c, bool ended, struct response *ret_response)
{
	struct http2_head *h = &c->stream.head;
	struct response r = { .version = HTTP_2, .keep_alive = true };
	c->bounded = false;
	if (h->refusal.why)
		return refuse(c, h->refusal.why);
	r.headers.cap = h->fields.count + 8;
	r.headers.at = arena_array(c->stream.arena, struct header, r.headers.cap);
	if (!hear_status(c, &r))
		return false;
	for (size_t i = 0; i < h->fields.count; i++)
		if (!hear_field(c, &h->fields.at[i], &r))
			return false;
	if (!hear_framing(c, ended, &r))
		return false;
	if (c->stream.is_tunnel && r.status >= 200)
		hear_tunnel(c, &r);
	*ret_response = r;
	return true;
}

void http2_hear_answer(struct http2_stream *s, bool ended)
{
	struct http2_call *c = http2_call_of(s);
	if (!read_answer(c, ended, &c->response)) {
		(void)condemn(c, c->fault);
		return;
	}
	s->answered = c->response.status >= 200 || c->response.websocket;
	s->connection->user->ops->answer(s);
}

bool http2_answer_takes(struct http2_stream *s, size_t bytes)
{
	struct http2_call *c = http2_call_of(s);
	if (!s->answered)
		return condemn(c, "The answer's content comes before its head.");
	if (!c->bounded)
		return true;
	if (bytes > c->left)
		return condemn(c, "The answer is longer than its Content-Length.");
	c->left -= bytes;
	return true;
}

bool http2_answer_ends(struct http2_stream *s)
{
	struct http2_call *c = http2_call_of(s);
	if (s->deaf)
		return false;
	if (!s->answered)
		return condemn(c, "The answer has no final head.");
	if (c->bounded && c->left > 0)
		return condemn(c, "The answer is shorter than its Content-Length.");
	return true;
}

void http2_answer_closed(struct http2_stream *s, uint32_t code)
{
	struct http2_call *c = http2_call_of(s);
	c->unprocessed = !s->asked || (code == NGHTTP2_REFUSED_STREAM && !s->answered);
	if (code == NGHTTP2_PROTOCOL_ERROR && !s->reset) /* nghttp2 has found what we would have */
		(void)refuse(c, "The answer breaks the rules of HTTP/2.");
}

/* --- the connection */

bool http2_greeted(const struct http2 *h)
{
	return h->greeted;
}

uint32_t http2_calls_most(const struct http2 *h)
{
	return nghttp2_session_get_remote_settings(
	        h->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

bool http2_takes_websockets(const struct http2 *h)
{
	return nghttp2_session_get_remote_settings(
	               h->session, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

bool http2_told_to_leave(const struct http2 *h)
{
	return h->told_to_leave;
}

struct http2 *http2_client_new(struct http2_user *u, int64_t now)
{
	const nghttp2_settings_entry ours[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_ANSWER_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP1_HEAD_MOST },
		{ NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
	};
	struct http2 *h = http2_create(u, /* client= */ true, now);
	CHECK(nghttp2_submit_settings(
	              h->session, NGHTTP2_FLAG_NONE, ours, sizeof ours / sizeof *ours) == 0);
	CHECK(nghttp2_session_set_local_window_size(
	              h->session, NGHTTP2_FLAG_NONE, 0, HTTP2_CONNECTION_WINDOW) == 0);
	return h;
}
