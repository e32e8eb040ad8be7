/* Reading the head of a request (RFC 9112 3). */
#include "base/err.h"
#include "http/authority.h"
#include "http/chars.h"
#include "http/head.h"

enum { METHOD_MOST = 24 };

/* The parts of the request line; bytes are the head's own. */
struct line {
	struct str method;
	char *target;
	size_t target_length;
	struct str scheme_authority; /* of an absolute target; p NULL otherwise */
};

static bool read_method(struct head *h, struct str *ret_method)
{
	char *start = h->at, *p = start;
	while (http_token_lower[(unsigned char)*p])
		p++;
	if (*p != ' ' || p == start)
		return head_refuse(h, 400, "The request line does not begin with a method.");
	*ret_method = (struct str){ start, (size_t)(p - start) };
	if (ret_method->n > METHOD_MOST)
		return head_refuse(h, 501, "The method is not known here.");
	h->at = p + 1;
	return true;
}

static bool read_target(struct head *h, struct line *line)
{
	char *start = h->at, *p = start;
	while (http_target_byte[(unsigned char)*p])
		p++;
	if (*p == '#')
		return head_refuse(h, 400, "The request target has a fragment.");
	if (*p == '\\')
		return head_refuse(h, 400, "The request target has a backslash.");
	if (*p != ' ')
		return head_refuse(h, 400, "The request line is not method, target, HTTP version.");
	if (p == start)
		return head_refuse(h, 400, "The request target is empty.");
	line->target = start;
	line->target_length = (size_t)(p - start);
	h->at = p + 1;
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* RFC 9112 2.3: HTTP-version is case-sensitive. */
static bool read_version(struct head *h, enum http_version *ret_version)
{
	const char *p = h->at;
	size_t left = (size_t)(h->end - p);
	bool well_formed = left >= 10 && memcmp(p, "HTTP/", 5) == 0 && is_digit(p[5]) &&
	                   p[6] == '.' && is_digit(p[7]) && p[8] == '\r' && p[9] == '\n';
	if (!well_formed)
		return head_refuse(h, 400, "The request line does not end with an HTTP version.");
	if (p[5] != '1' || p[7] > '1')
		return head_refuse(h, 505, "The HTTP version is other than 1.0 and 1.1.");
	*ret_version = p[7] == '0' ? HTTP_1_0 : HTTP_1_1;
	h->at += 10;
	return true;
}

static size_t scheme_length(struct str target)
{
	if (str_eq_nocase(str_head(target, 7), STR("http://")))
		return 7;
	return str_eq_nocase(str_head(target, 8), STR("https://")) ? 8 : 0;
}

/* RFC 9112 3.2.2: the scheme and authority are taken off; what is left is a path in origin form. */
static bool hear_absolute(struct head *h, struct line *line, struct arena *a, struct request *r)
{
	struct str target = { line->target, line->target_length };
	size_t start = scheme_length(target), end = start;
	if (start == 0)
		return head_refuse(h, 400, "The request target is neither a path nor an http URL.");
	while (end < target.n && target.p[end] != '/' && target.p[end] != '?')
		end++;
	line->scheme_authority = (struct str){ target.p + start, end - start };
	r->path = str_from(target, end);
	if (r->path.n == 0) /* RFC 9112 3.2.4 for OPTIONS, RFC 9110 4.2.3 for all others */
		r->path = str_eq(r->method, STR("OPTIONS")) ? STR("*") : STR("/");
	else if (r->path.p[0] == '?')
		r->path = arena_printf(a, "/%.*s", STR_ARG(r->path));
	return true;
}

static bool hear_target(struct head *h, struct line *line, struct arena *a, struct request *r)
{
	struct str target = { line->target, line->target_length };
	if (str_eq(r->method, STR("CONNECT")))
		return head_refuse(h, 501, "CONNECT is not offered here.");
	if (target.p[0] == '/') {
		r->path = target;
		return true;
	}
	if (!str_eq(target, STR("*")))
		return hear_absolute(h, line, a, r);
	if (!str_eq(r->method, STR("OPTIONS")))
		return head_refuse(h, 400, "Only OPTIONS may ask for *.");
	r->path = target;
	return true;
}

/* The text's bytes in the head's own copy, where they may be put in lower case. */
static char *own(const struct head *h, struct str text)
{
	return h->copy + (text.p - h->copy);
}

/* RFC 9112 3.2: exactly one Host, and equal to the authority of an absolute target. */
static bool hear_authority(struct head *h, struct line *line, struct arena *a, struct request *r)
{
	struct authority host, target;
	if (h->hosts != 1)
		return head_refuse(
		        h, 400, h->hosts ? "There is more than one Host." : "There is no Host.");
	if (!authority_read(own(h, h->host), h->host.n, &host))
		return head_refuse(h, 400, "Host is not a host with an optional port.");
	struct str other = line->scheme_authority;
	if (other.p && (!authority_read(own(h, other), other.n, &target) ||
	                       !str_eq(host.text, target.text)))
		return head_refuse(h, 400, "Host is not the authority of the request target.");
	r->authority = host.text;
	r->host = authority_site(&host, a);
	r->port = host.port;
	return true;
}

static bool hear_framing(struct head *h, struct request *r)
{
	if (h->chunked && r->version == HTTP_1_0)
		return head_refuse(h, 400, "Transfer-Encoding stands in an HTTP/1.0 message.");
	if (h->chunked)
		r->body = BODY_STREAM;
	else
		r->body = h->length ? BODY_LENGTH : BODY_NONE;
	r->length = h->length;
	bool is_1_1 = r->version == HTTP_1_1;
	r->keep_alive = !h->close && (is_1_1 || h->keep_alive);
	/* RFC 9110 10.1.1: not from HTTP/1.0, and pointless without content. */
	r->expect_continue = h->expects_continue && is_1_1 && r->body != BODY_NONE;
	r->trailers = h->te && h->te_trailers && is_1_1;
	/* RFC 6455 4.1; every other upgrade is ignored (RFC 9110 7.8). */
	r->websocket = h->upgrade && h->upgrade_websocket && is_1_1 && r->body == BODY_NONE &&
	               str_eq(r->method, STR("GET"));
	return true;
}

static bool read_request(struct head *h, struct arena *a, struct request *r)
{
	struct line line = { 0 };
	if (!read_method(h, &r->method) || !read_target(h, &line) ||
	        !read_version(h, &r->version) || !hear_target(h, &line, a, r) ||
	        !head_read_fields(h) || !hear_authority(h, &line, a, r) || !hear_framing(h, r))
		return false;
	r->headers = h->headers;
	return true;
}

enum http1_result http1_read_request(struct http1_scan *scan, struct str in, struct arena *a,
        struct request *ret_request, size_t *ret_used, struct refusal *ret_refusal)
{
	size_t start, used;
	enum http1_result found = head_find(scan, in, &start, &used, ret_refusal);
	if (found == HTTP1_MORE && in.n > 0 && in.p[0] != '\r' &&
	        !http_token_lower[(unsigned char)in.p[0]]) {
		*ret_refusal = (struct refusal){ 400, "This is not an HTTP request." };
		return HTTP1_BAD;
	}
	if (found != HTTP1_DONE)
		return found;
	struct head h;
	head_init(&h, a, str_n(in.p + start, used - start), scan->lines);
	h.is_request = true;
	struct request r = { 0 };
	if (!read_request(&h, a, &r)) {
		*ret_refusal = h.refusal;
		return HTTP1_BAD;
	}
	*ret_request = r;
	*ret_used = used;
	return HTTP1_DONE;
}
