/* Reading the head of a response (RFC 9112 4). What is wrong with it is the upstream's fault:
 * 502. */
#include "base/err.h"
#include "http/chars.h"
#include "http/head.h"

static bool read_status(struct head *h, struct response *r)
{
	char *p = h->at;
	size_t left = (size_t)(h->end - p);
	if (left < 14 || memcmp(p, "HTTP/1.", 7) != 0 || (p[7] != '0' && p[7] != '1') ||
	        p[8] != ' ')
		return head_refuse(h, 502, "The answer does not begin with HTTP/1.0 or HTTP/1.1.");
	r->version = p[7] == '0' ? HTTP_1_0 : HTTP_1_1;
	for (unsigned i = 9; i < 12; i++) {
		if (p[i] < '0' || p[i] > '9')
			return head_refuse(h, 502, "The answer's status is no number.");
		r->status = r->status * 10 + (unsigned)(p[i] - '0');
	}
	if (r->status < 100 || r->status > 599) /* RFC 9110 15 */
		return head_refuse(h, 502, "The answer's status is not from 100 to 599.");
	/* The reason is dropped; many servers leave out the space before an empty one, too. */
	p += 12;
	if (*p == ' ')
		p += http_text_span(p, (size_t)(h->end - p));
	if (p[0] != '\r' || p[1] != '\n')
		return head_refuse(h, 502, "The answer's status line is malformed.");
	h->at = p + 2;
	return true;
}

/* RFC 9112 6.3 */
static bool hear_framing(struct head *h, const struct request *request, struct response *r)
{
	if (h->chunked && r->version == HTTP_1_0)
		return head_refuse(h, 502, "Transfer-Encoding stands in an HTTP/1.0 answer.");
	bool bare = r->status < 200 || r->status == 204; /* no length may be told, either */
	r->head_only = bare || r->status == 304 || str_eq(request->method, STR("HEAD"));
	if (bare)
		r->body = BODY_NONE;
	else if (h->chunked)
		r->body = BODY_STREAM;
	else if (h->has_length)
		r->body = h->length || r->head_only ? BODY_LENGTH : BODY_NONE;
	else
		r->body = r->head_only ? BODY_NONE : BODY_CLOSE;
	r->length = r->body == BODY_LENGTH ? h->length : 0;
	r->websocket = r->status == 101 && h->upgrade && h->upgrade_websocket;
	r->keep_alive =
	        !h->close && r->body != BODY_CLOSE && (r->version == HTTP_1_1 || h->keep_alive);
	return true;
}

static bool read_response(struct head *h, const struct request *request, struct response *r)
{
	if (!read_status(h, r))
		return false;
	if (!head_read_fields(h)) {
		h->refusal.status = 502;
		return false;
	}
	if (!hear_framing(h, request, r))
		return false;
	r->headers = h->headers;
	return true;
}

enum http1_result http1_read_response(struct http1_scan *scan, struct str in, struct arena *a,
        const struct request *request, struct response *ret_response, size_t *ret_used,
        struct refusal *ret_refusal)
{
	size_t start, used;
	enum http1_result found = head_find(scan, in, &start, &used, ret_refusal);
	if (found == HTTP1_BAD)
		ret_refusal->status = 502;
	if (found != HTTP1_DONE)
		return found;
	struct head h;
	head_init(&h, a, str_n(in.p + start, used - start), scan->lines);
	struct response r = { 0 };
	if (start != 0)
		head_refuse(&h, 502, "The answer begins with an empty line.");
	if (start != 0 || !read_response(&h, request, &r)) {
		*ret_refusal = h.refusal;
		return HTTP1_BAD;
	}
	*ret_response = r;
	*ret_used = used;
	return HTTP1_DONE;
}
