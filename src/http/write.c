/* Serialising heads: the size is known first, then every part is copied once. */
#include "http/http1.h"

enum { FRAMING_MOST = 128 }; /* our own lines: framing, connection, the empty line */

static char *put(char *p, struct str s)
{
	memcpy(p, s.p, s.n);
	return p + s.n;
}

#define PUT(p, literal) ((p) = put((p), STR(literal)))

static size_t fields_size(const struct headers *h)
{
	size_t size = 0;
	for (size_t i = 0; i < h->count; i++)
		size += h->at[i].name.n + h->at[i].value.n + 4;
	return size;
}

static char *put_field(char *p, struct str name, struct str value)
{
	p = put(p, name);
	*p++ = ':';
	*p++ = ' ';
	if (value.n)
		p = put(p, value);
	*p++ = '\r';
	*p++ = '\n';
	return p;
}

static char *put_fields(char *p, const struct headers *h)
{
	for (size_t i = 0; i < h->count; i++)
		p = put_field(p, h->at[i].name, h->at[i].value);
	return p;
}

static char *put_number(char *p, uint64_t n)
{
	char digits[20];
	unsigned i = sizeof digits;
	do {
		digits[--i] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	return put(p, str_n(digits + i, sizeof digits - i));
}

static char *put_length(char *p, uint64_t length)
{
	PUT(p, "content-length: ");
	p = put_number(p, length);
	return PUT(p, "\r\n");
}

static char *put_upgrade(char *p)
{
	return PUT(p, "connection: upgrade\r\nupgrade: websocket\r\n");
}

/* RFC 9110 8.6: a length of 0 is told where content would have a meaning. */
static bool expects_content(struct str method)
{
	return str_eq(method, STR("POST")) || str_eq(method, STR("PUT")) ||
	       str_eq(method, STR("PATCH"));
}

static char *put_request_framing(char *p, const struct request *r)
{
	if (r->body == BODY_STREAM)
		PUT(p, "transfer-encoding: chunked\r\n");
	else if (r->body == BODY_LENGTH || expects_content(r->method))
		p = put_length(p, r->body == BODY_LENGTH ? r->length : 0);
	if (r->websocket)
		p = put_upgrade(p);
	else if (!r->keep_alive)
		PUT(p, "connection: close\r\n");
	if (r->trailers) /* RFC 9110 10.1.4 */
		PUT(p, "connection: te\r\nte: trailers\r\n");
	return PUT(p, "\r\n");
}

void http1_write_request(struct buf *out, const struct request *r)
{
	size_t size =
	        r->method.n + r->path.n + r->authority.n + fields_size(&r->headers) + FRAMING_MOST;
	char *start = buf_room(out, size), *p = start;
	if (!start)
		return;
	p = put(p, r->method);
	*p++ = ' ';
	p = put(p, r->path);
	PUT(p, " HTTP/1.1\r\n");
	p = put_field(p, STR("host"), r->authority);
	p = put_fields(p, &r->headers);
	p = put_request_framing(p, r);
	buf_grew(out, (size_t)(p - start));
}

bool http1_ends_by_close(const struct response *r, enum http_version client)
{
	if (r->head_only || r->status == 101)
		return false;
	return r->body == BODY_CLOSE || (r->body == BODY_STREAM && client == HTTP_1_0);
}

static char *put_response_framing(char *p, const struct response *r, enum http_version client)
{
	bool bare = r->status < 200 || r->status == 204; /* RFC 9110 8.6: no length in these */
	if (bare)
		return p;
	if (r->body == BODY_LENGTH || (r->body == BODY_NONE && !r->head_only))
		return put_length(p, r->body == BODY_LENGTH ? r->length : 0);
	if (r->body == BODY_STREAM && client != HTTP_1_0 && !r->head_only)
		PUT(p, "transfer-encoding: chunked\r\n");
	return p;
}

static char *put_response_connection(
        char *p, const struct response *r, enum http_version client, bool keep_alive)
{
	if (r->status == 101)
		return put_upgrade(p);
	if (r->status < 200)
		return p;
	if (!keep_alive || http1_ends_by_close(r, client))
		return PUT(p, "connection: close\r\n");
	return client == HTTP_1_0 ? PUT(p, "connection: keep-alive\r\n") : p;
}

void http1_write_response(
        struct buf *out, const struct response *r, enum http_version client, bool keep_alive)
{
	struct str reason = str_c(http_reason(r->status));
	size_t size = fields_size(&r->headers) + reason.n + FRAMING_MOST;
	char *start = buf_room(out, size), *p = start;
	if (!start)
		return;
	PUT(p, "HTTP/1.1 ");
	p = put_number(p, r->status);
	*p++ = ' ';
	p = put(p, reason);
	PUT(p, "\r\n");
	p = put_fields(p, &r->headers);
	p = put_response_framing(p, r, client);
	p = put_response_connection(p, r, client, keep_alive);
	PUT(p, "\r\n");
	buf_grew(out, (size_t)(p - start));
}

struct str http1_chunk_head(size_t bytes, char ret_text[HTTP1_CHUNK_HEAD])
{
	char *end = ret_text + HTTP1_CHUNK_HEAD, *p = end - 2;
	p[0] = '\r';
	p[1] = '\n';
	do {
		*--p = "0123456789abcdef"[bytes & 15];
		bytes >>= 4;
	} while (bytes);
	return (struct str){ p, (size_t)(end - p) };
}

void http1_write_trailers(struct buf *out, const struct headers *trailers)
{
	char *start = buf_room(out, fields_size(trailers) + FRAMING_MOST), *p = start;
	if (!start)
		return;
	PUT(p, "0\r\n");
	p = put_fields(p, trailers);
	PUT(p, "\r\n");
	buf_grew(out, (size_t)(p - start));
}

void http1_write_chunk_head(struct buf *out, size_t bytes)
{
	char text[HTTP1_CHUNK_HEAD];
	buf_add(out, http1_chunk_head(bytes, text));
}
