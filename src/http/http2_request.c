/* From the fields of a HEADERS frame to the canonical request (RFC 9113 8.2, 8.3). nghttp2 has
 * looked at most of this before; what is refused here does not depend on it. */
#include "base/err.h"
#include "http/authority.h"
#include "http/chars.h"
#include "http/http1.h"
#include "http/http2.h"
#include "http/trailers.h"

enum { FIELD_OVERHEAD = 32, METHOD_MOST = 24 };

static bool refuse(struct http2_head *h, unsigned status, const char *why)
{
	if (!h->refusal.why)
		h->refusal = (struct refusal){ status, why };
	return false;
}

static struct str *pseudo_named(struct http2_head *h, struct str name)
{
	static const struct {
		struct str name;
		size_t offset;
	} known[] = {
		{ STR_INIT(":method"), offsetof(struct http2_head, method) },
		{ STR_INIT(":scheme"), offsetof(struct http2_head, scheme) },
		{ STR_INIT(":authority"), offsetof(struct http2_head, authority) },
		{ STR_INIT(":path"), offsetof(struct http2_head, path) },
		{ STR_INIT(":protocol"), offsetof(struct http2_head, protocol) },
		{ STR_INIT(":status"), offsetof(struct http2_head, status) },
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (str_eq(name, known[i].name))
			return (struct str *)(void *)((char *)h + known[i].offset);
	return NULL;
}

static bool is_lower_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (http_token_lower[(unsigned char)s.p[i]] != (unsigned char)s.p[i] || !s.p[i])
			return false;
	return s.n > 0;
}

/* RFC 9113 8.2.1: no white space at the ends. */
static bool is_value(struct str s)
{
	if (s.n && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		return false;
	return http_text_span(s.p, s.n) == s.n;
}

static void add_pseudo(struct http2_head *h, struct arena *a, struct str name, struct str value)
{
	struct str *place = pseudo_named(h, name);
	if (!place || place->p || h->fields.count > 0)
		(void)refuse(h, 400, "A pseudo-header field is unknown, repeated or misplaced.");
	else
		*place = arena_str(a, value);
}

/* Of a head that is refused nothing more is kept. */
void http2_head_add(struct http2_head *h, struct arena *a, struct str name, struct str value)
{
	h->bytes += name.n + value.n + FIELD_OVERHEAD;
	if (h->bytes > HTTP1_HEAD_MOST + FIELD_OVERHEAD * HTTP1_HEADERS_MOST)
		(void)refuse(h, 431, "The header section has more than 32 KiB.");
	if (h->fields.count == HTTP1_HEADERS_MOST)
		(void)refuse(h, 431, "The header section has more than 100 fields.");
	if (h->refusal.why)
		return;
	if (name.n && name.p[0] == ':')
		add_pseudo(h, a, name, value);
	else if (!is_lower_token(name))
		(void)refuse(h, 400, "The name of a header field is no token in lower case.");
	else if (!is_value(value))
		(void)refuse(h, 400,
		        "The value of a header field has a control character, or white space at "
		        "an end.");
	else
		headers_add(&h->fields, a, arena_str(a, name), arena_str(a, value));
}

/* --- what the fields mean */

struct meaning {
	struct http2_head *head;
	struct arena *arena;
	struct request *request;
	struct str host;
	struct str cookies[HTTP1_HEADERS_MOST];
	size_t cookie_count, cookie_bytes;
	bool has_length;
};

static bool hear_host(struct meaning *m, struct str value)
{
	if (m->host.p)
		return refuse(m->head, 400, "There is more than one Host.");
	m->host = value;
	return true;
}

static bool hear_content_length(struct meaning *m, struct str value)
{
	if (m->has_length)
		return refuse(m->head, 400, "There is more than one Content-Length.");
	if (value.n > 19 || !str_to_u64(value, &m->request->length))
		return refuse(m->head, 400, "Content-Length is not a number of at most 19 digits.");
	m->has_length = true;
	return true;
}

/* RFC 9113 8.2.2 */
static bool hear_te(struct meaning *m, struct str value)
{
	if (!str_eq_nocase(value, STR("trailers")))
		return refuse(m->head, 400, "TE says other than trailers.");
	m->request->trailers = true;
	return true;
}

static bool hear_expect(struct meaning *m, struct str value)
{
	if (!str_eq_nocase(value, STR("100-continue")))
		return refuse(m->head, 417, "The expectation is other than 100-continue.");
	m->request->expect_continue = true;
	return true;
}

/* RFC 9113 8.2.3: crumbs are one field again for whoever speaks HTTP/1. */
/* One that is empty would leave white space at the end of what they become. */
static bool hear_cookie(struct meaning *m, struct str value)
{
	if (value.n == 0)
		return true;
	m->cookies[m->cookie_count++] = value;
	m->cookie_bytes += value.n + 2;
	return true;
}

/* RFC 9113 8.2.2: about a connection that is not there. */
static bool hear_connection(struct meaning *m, struct str value)
{
	(void)value;
	return refuse(m->head, 400, "A header field is about a connection of HTTP/1.");
}

static bool hear_nothing(struct meaning *m, struct str value)
{
	(void)m, (void)value;
	return true;
}

static bool hear_field(struct meaning *m, const struct header *f)
{
	static const struct {
		struct str name;
		bool (*hear)(struct meaning *m, struct str value);
	} special[] = {
		{ STR_INIT("host"), hear_host },
		{ STR_INIT("content-length"), hear_content_length },
		{ STR_INIT("te"), hear_te },
		{ STR_INIT("expect"), hear_expect },
		{ STR_INIT("cookie"), hear_cookie },
		{ STR_INIT("connection"), hear_connection },
		{ STR_INIT("keep-alive"), hear_connection },
		{ STR_INIT("proxy-connection"), hear_connection },
		{ STR_INIT("transfer-encoding"), hear_connection },
		{ STR_INIT("upgrade"), hear_connection },
		{ STR_INIT("trailer"), hear_nothing },
		{ STR_INIT("proxy-authenticate"), hear_nothing },
		{ STR_INIT("proxy-authorization"), hear_nothing },
	};
	for (size_t i = 0; i < sizeof special / sizeof *special; i++)
		if (str_eq(f->name, special[i].name))
			return special[i].hear(m, f->value);
	struct headers *out = &m->request->headers;
	out->at[out->count++] = *f;
	return true;
}

static void join_cookies(struct meaning *m)
{
	if (m->cookie_count == 0)
		return;
	char *text = arena_alloc(m->arena, m->cookie_bytes), *p = text;
	for (size_t i = 0; i < m->cookie_count; i++) {
		if (i > 0) {
			*p++ = ';';
			*p++ = ' ';
		}
		memcpy(p, m->cookies[i].p, m->cookies[i].n);
		p += m->cookies[i].n;
	}
	headers_add(&m->request->headers, m->arena, STR("cookie"),
	        (struct str){ text, (size_t)(p - text) });
}

static bool hear_method(struct http2_head *h, struct request *r)
{
	if (!h->method.p || !http_is_token(h->method))
		return refuse(h, 400, "There is no method.");
	if (h->method.n > METHOD_MOST)
		return refuse(h, 501, "The method is not known here.");
	bool connect = str_eq(h->method, STR("CONNECT"));
	if (connect && !h->protocol.p)
		return refuse(h, 501, "CONNECT is not offered here.");
	if (!connect && h->protocol.p)
		return refuse(h, 400, "Only CONNECT has a protocol.");
	if (connect && !str_eq_nocase(h->protocol, STR("websocket")))
		return refuse(h, 501, "No protocol but websocket is offered by CONNECT.");
	r->websocket = connect; /* RFC 8441 4 */
	r->method = connect ? STR("GET") : h->method;
	return true;
}

static bool hear_path(struct http2_head *h, struct request *r)
{
	struct str path = h->path;
	if (path.n == 0)
		return refuse(h, 400, "There is no path.");
	if (path.n > HTTP1_LINE_MOST)
		return refuse(h, 414, "The request target is too long.");
	if (str_has(path, '#'))
		return refuse(h, 400, "The request target has a fragment.");
	if (str_has(path, '\\'))
		return refuse(h, 400, "The request target has a backslash.");
	for (size_t i = 0; i < path.n; i++)
		if (!http_target_byte[(unsigned char)path.p[i]])
			return refuse(h, 400, "The path has a byte that no path has.");
	bool all = str_eq(path, STR("*"));
	if (all && !str_eq(r->method, STR("OPTIONS")))
		return refuse(h, 400, "Only OPTIONS may ask for *.");
	if (!all && path.p[0] != '/')
		return refuse(h, 400, "The path does not begin with a slash.");
	r->path = path;
	return true;
}

static bool read_authority(struct arena *a, struct str text, struct authority *ret_authority)
{
	char *copy = arena_alloc(a, text.n + 1);
	if (text.n)
		memcpy(copy, text.p, text.n);
	return authority_read(copy, text.n, ret_authority);
}

/* RFC 9113 8.3.1: Host may say the same again, or stand alone. */
static bool hear_authority(struct meaning *m)
{
	struct http2_head *h = m->head;
	struct authority authority, host;
	struct str text = h->authority.p ? h->authority : m->host;
	if (!text.p)
		return refuse(h, 400, "There is neither :authority nor Host.");
	if (!read_authority(m->arena, text, &authority))
		return refuse(h, 400, "The authority is not a host with an optional port.");
	if (m->host.p &&
	        (!read_authority(m->arena, m->host, &host) || !str_eq(authority.text, host.text)))
		return refuse(h, 400, "Host is not the authority.");
	m->request->authority = authority.text;
	m->request->host = authority_site(&authority, m->arena);
	m->request->port = authority.port;
	return true;
}

static bool hear_scheme(struct http2_head *h, bool tls)
{
	return str_eq(h->scheme, tls ? STR("https") : STR("http")) ||
	       refuse(h, 400, "The scheme is not the one of this connection.");
}

static bool hear_framing(struct meaning *m, bool ended)
{
	struct request *r = m->request;
	if (ended && r->length > 0)
		return refuse(m->head, 400, "The content is shorter than its Content-Length.");
	if (r->websocket && m->has_length)
		return refuse(m->head, 400, "A CONNECT has no Content-Length.");
	if (ended || r->websocket || (m->has_length && r->length == 0))
		r->body = BODY_NONE;
	else
		r->body = m->has_length ? BODY_LENGTH : BODY_STREAM;
	r->expect_continue = r->expect_continue && r->body != BODY_NONE;
	r->keep_alive = true;
	return true;
}

bool http2_head_request(
        struct http2_head *h, struct arena *a, bool tls, bool ended, struct request *ret_request)
{
	struct request r = { .version = HTTP_2 };
	struct meaning m = { .head = h, .arena = a, .request = &r };
	if (h->status.p)
		(void)refuse(h, 400, "A pseudo-header field is unknown, repeated or misplaced.");
	if (h->refusal.why || !hear_method(h, &r) || !hear_scheme(h, tls) || !hear_path(h, &r))
		return false;
	r.headers.cap = h->fields.count + 8;
	r.headers.at = arena_array(a, struct header, r.headers.cap);
	for (size_t i = 0; i < h->fields.count; i++)
		if (!hear_field(&m, &h->fields.at[i]))
			return false;
	join_cookies(&m);
	if (!hear_authority(&m) || !hear_framing(&m, ended))
		return false;
	*ret_request = r;
	return true;
}

void http2_head_trailers(const struct http2_head *h, struct arena *a, struct headers *ret_trailers)
{
	struct headers trailers = { 0 };
	for (size_t i = 0; i < h->fields.count; i++)
		if (trailer_may_pass(h->fields.at[i].name))
			headers_add(&trailers, a, h->fields.at[i].name, h->fields.at[i].value);
	*ret_trailers = trailers;
}
