#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "http/chars.h"
#include "http/http1.h"

static void assert_text(const char *what, struct str got, const char *want)
{
	if (!str_eq_c(got, want))
		fail_msg("%s: got \"%.*s\", want \"%s\"", what, STR_ARG(got), want);
}

/* The whole at once, then byte by byte: the outcome must be the same. */
static enum http1_result read_request_at_once(
        struct str in, struct arena *a, struct request *r, size_t *used, struct refusal *why)
{
	struct http1_scan scan = { 0 };
	return http1_read_request(&scan, in, a, r, used, why);
}

static enum http1_result read_request_slowly(
        struct str in, struct arena *a, struct request *r, size_t *used, struct refusal *why)
{
	struct http1_scan scan = { 0 };
	enum http1_result result = HTTP1_MORE;
	for (size_t n = 1; n <= in.n && result == HTTP1_MORE; n++)
		result = http1_read_request(&scan, str_head(in, n), a, r, used, why);
	return result;
}

#define H    "Host: a.example\r\n"
#define GET  "GET / HTTP/1.1\r\n"
#define POST "POST / HTTP/1.1\r\n" H
#define X10  "0123456789"
#define END  "\r\n"

/* One case per law of requests: what is refused, with which status. */
static const struct {
	const char *law;
	unsigned status;
	struct str in;
} refused[] = {
	{ "Content-Length with Transfer-Encoding", 400,
	        STR_INIT(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n") },
	{ "Transfer-Encoding with Content-Length", 400,
	        STR_INIT(POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n") },
	{ "more than one Content-Length", 400,
	        STR_INIT(POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n") },
	{ "more than one Content-Length, even equal", 400,
	        STR_INIT(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n") },
	{ "Content-Length as a list", 400, STR_INIT(POST "Content-Length: 5, 5\r\n\r\n") },
	{ "Content-Length with a plus", 400, STR_INIT(POST "Content-Length: +5\r\n\r\n") },
	{ "Content-Length with a minus", 400, STR_INIT(POST "Content-Length: -5\r\n\r\n") },
	{ "Content-Length in hex", 400, STR_INIT(POST "Content-Length: 0x5\r\n\r\n") },
	{ "Content-Length with a space within", 400, STR_INIT(POST "Content-Length: 5 0\r\n\r\n") },
	{ "Content-Length empty", 400, STR_INIT(POST "Content-Length:\r\n\r\n") },
	{ "Content-Length of 20 digits", 400,
	        STR_INIT(POST "Content-Length: " X10 X10 "\r\n\r\n") },
	{ "Transfer-Encoding other than chunked", 400,
	        STR_INIT(POST "Transfer-Encoding: gzip\r\n\r\n") },
	{ "Transfer-Encoding xchunked", 400, STR_INIT(POST "Transfer-Encoding: xchunked\r\n\r\n") },
	{ "Transfer-Encoding as a list", 400,
	        STR_INIT(POST "Transfer-Encoding: gzip, chunked\r\n\r\n") },
	{ "Transfer-Encoding chunked, identity", 400,
	        STR_INIT(POST "Transfer-Encoding: chunked, identity\r\n\r\n") },
	{ "Transfer-Encoding not exactly chunked", 400,
	        STR_INIT(POST "Transfer-Encoding: Chunked\r\n\r\n") },
	{ "Transfer-Encoding empty", 400, STR_INIT(POST "Transfer-Encoding:\r\n\r\n") },
	{ "Transfer-Encoding twice", 400,
	        STR_INIT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n") },
	{ "Transfer-Encoding in HTTP/1.0", 400,
	        STR_INIT("POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n") },
	{ "bare LF after the request line", 400, STR_INIT("GET / HTTP/1.1\n" H END) },
	{ "bare LF after a field", 400, STR_INIT(GET "Host: a.example\n\r\n") },
	{ "bare LF as the end", 400, STR_INIT(GET H "\n") },
	{ "bare CR in a value", 400, STR_INIT(GET H "A: b\rc\r\n\r\n") },
	{ "bare CR before a field (CVE-2023-30589)", 400,
	        STR_INIT(POST "X-Abc: \rxTransfer-Encoding: chunked\r\n\r\n") },
	{ "CR CR LF", 400, STR_INIT(GET H "A: b\r\r\n\r\n") },
	{ "NUL in a value", 400, STR_INIT(GET H "A: b\0c\r\n\r\n") },
	{ "CTL in a value", 400, STR_INIT(GET H "A: b\x01\r\n\r\n") },
	{ "DEL in a value", 400, STR_INIT(GET H "A: b\x7f\r\n\r\n") },
	{ "NUL in a name", 400, STR_INIT(GET H "A\0B: b\r\n\r\n") },
	{ "NUL in the target", 400, STR_INIT("GET /\0 HTTP/1.1\r\n" H END) },
	{ "CTL in the target", 400, STR_INIT("GET /\x01 HTTP/1.1\r\n" H END) },
	{ "HTAB in the request line", 400, STR_INIT("GET\t/ HTTP/1.1\r\n" H END) },
	{ "byte above 126 in the target", 400, STR_INIT("GET /\xc3\xa4 HTTP/1.1\r\n" H END) },
	{ "obs-fold with a space", 400, STR_INIT(GET H "A: b\r\n c\r\n\r\n") },
	{ "obs-fold with a tab", 400, STR_INIT(GET H "A: b\r\n\tc\r\n\r\n") },
	{ "folded first field (CVE-2024-27982)", 400, STR_INIT(GET " " H END) },
	{ "space before the colon", 400, STR_INIT(GET H "A : b\r\n\r\n") },
	{ "tab before the colon", 400, STR_INIT(GET H "A\t: b\r\n\r\n") },
	{ "empty name", 400, STR_INIT(GET H ": b\r\n\r\n") },
	{ "non-token name", 400, STR_INIT(GET H "A(B): b\r\n\r\n") },
	{ "name above ASCII", 400, STR_INIT(GET H "\xc3\xa4: b\r\n\r\n") },
	{ "field without a colon", 400, STR_INIT(GET H "Ab\r\n\r\n") },
	{ "missing Host", 400, STR_INIT(GET "A: b\r\n\r\n") },
	{ "missing Host in HTTP/1.0", 400, STR_INIT("GET / HTTP/1.0\r\n\r\n") },
	{ "duplicate Host", 400, STR_INIT(GET H "Host: b.example\r\n\r\n") },
	{ "duplicate Host, even equal", 400, STR_INIT(GET H H END) },
	{ "mismatched Host", 400, STR_INIT("GET http://b.example/ HTTP/1.1\r\n" H END) },
	{ "mismatched port of Host", 400, STR_INIT("GET http://a.example:81/ HTTP/1.1\r\n" H END) },
	{ "empty Host", 400, STR_INIT(GET "Host:\r\n\r\n") },
	{ "Host with user information", 400, STR_INIT(GET "Host: u@a.example\r\n\r\n") },
	{ "Host with a path", 400, STR_INIT(GET "Host: a.example/x\r\n\r\n") },
	{ "Host with a space", 400, STR_INIT(GET "Host: a.example b\r\n\r\n") },
	{ "Host with a list", 400, STR_INIT(GET "Host: a.example, b\r\n\r\n") },
	{ "Host percent-encoded", 400, STR_INIT(GET "Host: a%2eexample\r\n\r\n") },
	{ "Host with a bad port", 400, STR_INIT(GET "Host: a.example:8x\r\n\r\n") },
	{ "Host with port 65536", 400, STR_INIT(GET "Host: a.example:65536\r\n\r\n") },
	{ "Host with two ports", 400, STR_INIT(GET "Host: a.example:80:80\r\n\r\n") },
	{ "Host with a bad IPv6 address", 400, STR_INIT(GET "Host: [::g]\r\n\r\n") },
	{ "Host with an open bracket", 400, STR_INIT(GET "Host: [::1\r\n\r\n") },
	{ "Host with an IPv6 zone", 400, STR_INIT(GET "Host: [fe80::1%25eth0]\r\n\r\n") },
	{ "fragment in the target", 400, STR_INIT("GET /a#b HTTP/1.1\r\n" H END) },
	{ "space in the target", 400, STR_INIT("GET /a b HTTP/1.1\r\n" H END) },
	{ "backslash in the target", 400, STR_INIT("GET /a\\b HTTP/1.1\r\n" H END) },
	{ "two spaces before the target", 400, STR_INIT("GET  / HTTP/1.1\r\n" H END) },
	{ "two spaces before the version", 400, STR_INIT("GET /  HTTP/1.1\r\n" H END) },
	{ "space after the version", 400, STR_INIT("GET / HTTP/1.1 \r\n" H END) },
	{ "space before the method", 400, STR_INIT(" GET / HTTP/1.1\r\n" H END) },
	{ "target without a slash", 400, STR_INIT("GET a HTTP/1.1\r\n" H END) },
	{ "target of another scheme", 400, STR_INIT("GET ftp://a.example/ HTTP/1.1\r\n" H END) },
	{ "absolute target without authority", 400, STR_INIT("GET http:/// HTTP/1.1\r\n" H END) },
	{ "absolute target with user information", 400,
	        STR_INIT("GET http://u@a.example/ HTTP/1.1\r\n" H END) },
	{ "asterisk only for OPTIONS", 400, STR_INIT("GET * HTTP/1.1\r\n" H END) },
	{ "asterisk with more", 400, STR_INIT("OPTIONS *x HTTP/1.1\r\n" H END) },
	{ "CONNECT", 501, STR_INIT("CONNECT a.example:443 HTTP/1.1\r\n" H END) },
	{ "method too long", 501, STR_INIT("ABCDEFGHIJKLMNOPQRSTUVWXY / HTTP/1.1\r\n" H END) },
	{ "method no token", 400, STR_INIT("G(T / HTTP/1.1\r\n" H END) },
	{ "HTTP/0.9", 400, STR_INIT("GET /\r\n" H END) },
	{ "HTTP/1.2", 505, STR_INIT("GET / HTTP/1.2\r\n" H END) },
	{ "HTTP/2.0", 505, STR_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") },
	{ "version in lower case", 400, STR_INIT("GET / http/1.1\r\n" H END) },
	{ "version of two digits", 400, STR_INIT("GET / HTTP/1.10\r\n" H END) },
	{ "two empty lines before", 400, STR_INIT("\r\n\r\n" GET H END) },
	{ "TLS on a plain port", 400, STR_INIT("\x16\x03\x01\x02\x01\xfc") },
	{ "Expect other than 100-continue", 417,
	        STR_INIT(POST "Content-Length: 1\r\nExpect: 200-ok\r\n\r\n") },
	{ "Connection with what is no token", 400, STR_INIT(GET H "Connection: a b\r\n\r\n") },
	{ "five Connection fields", 400,
	        STR_INIT(
	                GET H "Connection: a\r\nConnection: b\r\nConnection: c\r\nConnection: d\r\n"
	                      "Connection: e\r\n\r\n") },
};

static void laws_of_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		ARENA_AUTO a = ARENA_INIT;
		struct request r;
		struct refusal why = { 0 }, again = { 0 };
		size_t used;
		enum http1_result at_once =
		        read_request_at_once(refused[i].in, &a, &r, &used, &why);
		enum http1_result slowly =
		        read_request_slowly(refused[i].in, &a, &r, &used, &again);
		if (at_once != HTTP1_BAD || why.status != refused[i].status)
			fail_msg("%s: result %d, status %u", refused[i].law, at_once, why.status);
		if (slowly != HTTP1_BAD || again.status != refused[i].status)
			fail_msg("%s, byte by byte: result %d, status %u", refused[i].law, slowly,
			        again.status);
		assert_non_null(why.why);
	}
}

/* What is accepted, and what the canonical message then says. */
static const struct accepted {
	const char *law, *in;
	const char *method, *authority, *host, *path;
	uint16_t port;
	enum body_kind body;
	uint64_t length;
	bool keep_alive, expect_continue, websocket;
	const char *headers; /* "name=value;" each */
} accepted[] = {
	{ "the least there is", GET H END, "GET", "a.example", "a.example", "/", 0, BODY_NONE, 0,
	        true, false, false, "" },
	{ "one empty line before", "\r\n" GET H END, "GET", "a.example", "a.example", "/", 0,
	        BODY_NONE, 0, true, false, false, "" },
	{ "names and Host in lower case, values trimmed",
	        GET "HOST:  A.Example:8443\t\r\nX-Ab_C: \t v w\t \r\nEmpty:\r\n\r\n", "GET",
	        "a.example:8443", "a.example", "/", 8443, BODY_NONE, 0, true, false, false,
	        "x-ab_c=v w;empty=;" },
	{ "HTAB and bytes above ASCII in a value", GET H "A: b\tc\xe4\r\n\r\n", "GET", "a.example",
	        "a.example", "/", 0, BODY_NONE, 0, true, false, false, "a=b\tc\xe4;" },
	{ "empty port", GET "Host: a.example:\r\n\r\n", "GET", "a.example", "a.example", "/", 0,
	        BODY_NONE, 0, true, false, false, "" },
	{ "final dot of Host", GET "Host: a.example.:81\r\n\r\n", "GET", "a.example.:81",
	        "a.example", "/", 81, BODY_NONE, 0, true, false, false, "" },
	{ "final dot of an absolute target",
	        "GET http://a.example./p. HTTP/1.1\r\nHost: a.example.\r\n\r\n", "GET",
	        "a.example.", "a.example", "/p.", 0, BODY_NONE, 0, true, false, false, "" },
	{ "Host of one dot", GET "Host: .\r\n\r\n", "GET", ".", ".", "/", 0, BODY_NONE, 0, true,
	        false, false, "" },
	{ "IPv6 Host", GET "Host: [::1]:80\r\n\r\n", "GET", "[::1]:80", "::1", "/", 80, BODY_NONE,
	        0, true, false, false, "" },
	{ "IPv6 Host in another form", GET "Host: [2001:0DB8:0::7]\r\n\r\n", "GET",
	        "[2001:0db8:0::7]", "2001:db8::7", "/", 0, BODY_NONE, 0, true, false, false, "" },
	{ "Content-Length", POST "Content-Length: 12\r\n\r\n", "POST", "a.example", "a.example",
	        "/", 0, BODY_LENGTH, 12, true, false, false, "" },
	{ "Content-Length of 19 digits", POST "Content-Length: 9999999999999999999\r\n\r\n", "POST",
	        "a.example", "a.example", "/", 0, BODY_LENGTH, UINT64_C(9999999999999999999), true,
	        false, false, "" },
	{ "Content-Length 0 is no content",
	        POST "Content-Length: 0\r\nExpect: 100-continue\r\n\r\n", "POST", "a.example",
	        "a.example", "/", 0, BODY_NONE, 0, true, false, false, "" },
	{ "chunked", POST "Transfer-Encoding: chunked\r\nTrailer: x\r\nTE: trailers\r\n\r\n",
	        "POST", "a.example", "a.example", "/", 0, BODY_STREAM, 0, true, false, false, "" },
	{ "Expect: 100-continue", POST "Content-Length: 1\r\nExpect: 100-Continue\r\n\r\n", "POST",
	        "a.example", "a.example", "/", 0, BODY_LENGTH, 1, true, true, false, "" },
	{ "Expect from HTTP/1.0 is ignored",
	        "POST / HTTP/1.0\r\n" H "Content-Length: 1\r\nExpect: 100-continue\r\n\r\n", "POST",
	        "a.example", "a.example", "/", 0, BODY_LENGTH, 1, false, false, false, "" },
	{ "HTTP/1.0 closes", "GET / HTTP/1.0\r\n" H END, "GET", "a.example", "a.example", "/", 0,
	        BODY_NONE, 0, false, false, false, "" },
	{ "HTTP/1.0 that keeps", "GET / HTTP/1.0\r\n" H "Connection: Keep-Alive\r\n\r\n", "GET",
	        "a.example", "a.example", "/", 0, BODY_NONE, 0, true, false, false, "" },
	{ "close wins", GET H "Connection: keep-alive, Close\r\n\r\n", "GET", "a.example",
	        "a.example", "/", 0, BODY_NONE, 0, false, false, false, "" },
	{ "absolute-form", "GET HTTP://A.example/p?q HTTP/1.1\r\n" H END, "GET", "a.example",
	        "a.example", "/p?q", 0, BODY_NONE, 0, true, false, false, "" },
	{ "absolute-form, https and no path", "GET https://a.example HTTP/1.1\r\n" H END, "GET",
	        "a.example", "a.example", "/", 0, BODY_NONE, 0, true, false, false, "" },
	{ "absolute-form with a query alone", "GET http://a.example?q=/x HTTP/1.1\r\n" H END, "GET",
	        "a.example", "a.example", "/?q=/x", 0, BODY_NONE, 0, true, false, false, "" },
	{ "absolute-form of OPTIONS without path", "OPTIONS http://a.example HTTP/1.1\r\n" H END,
	        "OPTIONS", "a.example", "a.example", "*", 0, BODY_NONE, 0, true, false, false, "" },
	{ "asterisk-form", "OPTIONS * HTTP/1.1\r\n" H END, "OPTIONS", "a.example", "a.example", "*",
	        0, BODY_NONE, 0, true, false, false, "" },
	{ "target of two slashes", "GET //b/c HTTP/1.1\r\n" H END, "GET", "a.example", "a.example",
	        "//b/c", 0, BODY_NONE, 0, true, false, false, "" },
	{ "hop-by-hop headers are dropped",
	        GET H "Keep-Alive: 5\r\nProxy-Connection: x\r\nProxy-Authorization: x\r\nTE: x\r\n"
	              "Trailer: x\r\nUpgrade: h2c\r\nA: b\r\n\r\n",
	        "GET", "a.example", "a.example", "/", 0, BODY_NONE, 0, true, false, false, "a=b;" },
	{ "what Connection lists is dropped",
	        GET H
	        "A: 1\r\nX-One: 1\r\nx-two: 2\r\nConnection: x-ONE,, X-Two ,\r\nX-One: 3\r\n\r\n",
	        "GET", "a.example", "a.example", "/", 0, BODY_NONE, 0, true, false, false, "a=1;" },
	{ "Connection cannot undo framing",
	        POST "Connection: content-length, host\r\nContent-Length: 3\r\n\r\n", "POST",
	        "a.example", "a.example", "/", 0, BODY_LENGTH, 3, true, false, false, "" },
	{ "Upgrade: websocket", GET H "Connection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n", "GET",
	        "a.example", "a.example", "/", 0, BODY_NONE, 0, true, false, true, "" },
	{ "Upgrade without Connection is ignored", GET H "Upgrade: websocket\r\n\r\n", "GET",
	        "a.example", "a.example", "/", 0, BODY_NONE, 0, true, false, false, "" },
	{ "Upgrade to h2c is ignored",
	        GET H
	        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n\r\n",
	        "GET", "a.example", "a.example", "/", 0, BODY_NONE, 0, true, false, false, "" },
	{ "Upgrade on POST is ignored", POST "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	        "POST", "a.example", "a.example", "/", 0, BODY_NONE, 0, true, false, false, "" },
	{ "Upgrade with content is ignored (CVE-2026-58055)",
	        GET H "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\n",
	        "GET", "a.example", "a.example", "/", 0, BODY_LENGTH, 3, true, false, false, "" },
	{ "Upgrade in HTTP/1.0 is ignored",
	        "GET / HTTP/1.0\r\n" H "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "GET",
	        "a.example", "a.example", "/", 0, BODY_NONE, 0, false, false, false, "" },
};

static void list_headers(struct buf *out, const struct headers *h)
{
	for (size_t i = 0; i < h->count; i++)
		buf_printf(out, "%.*s=%.*s;", STR_ARG(h->at[i].name), STR_ARG(h->at[i].value));
}

static void assert_accepted(const struct accepted *c, const struct request *r)
{
	assert_text(c->law, r->method, c->method);
	assert_text(c->law, r->authority, c->authority);
	assert_text(c->law, r->host, c->host);
	assert_text(c->law, r->path, c->path);
	BUF_AUTO headers = BUF_INIT(1 << 16);
	list_headers(&headers, &r->headers);
	assert_text(c->law, buf_str(&headers), c->headers);
	if (r->port != c->port || r->body != c->body || r->length != c->length ||
	        r->keep_alive != c->keep_alive || r->expect_continue != c->expect_continue ||
	        r->websocket != c->websocket)
		fail_msg("%s: port %u body %d length %llu keep %d expect %d websocket %d", c->law,
		        r->port, r->body, (unsigned long long)r->length, r->keep_alive,
		        r->expect_continue, r->websocket);
}

static void what_is_accepted(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
		const struct accepted *c = &accepted[i];
		ARENA_AUTO a = ARENA_INIT;
		struct request r;
		struct refusal why = { 0 };
		size_t used = 0;
		BUF_AUTO in = BUF_INIT(1 << 16);
		buf_add_c(&in, c->in);
		buf_add_c(&in, "GET /next");
		if (read_request_at_once(buf_str(&in), &a, &r, &used, &why) != HTTP1_DONE)
			fail_msg("%s: %s", c->law, why.why ? why.why : "not complete");
		assert_int_equal(used, strlen(c->in));
		assert_accepted(c, &r);
		if (read_request_slowly(buf_str(&in), &a, &r, &used, &why) != HTTP1_DONE)
			fail_msg(
			        "%s, byte by byte: %s", c->law, why.why ? why.why : "not complete");
		assert_int_equal(used, strlen(c->in));
		memset(in.p, 'x', in.n); /* nothing is borrowed from what was read */
		assert_accepted(c, &r);
	}
}

/* Limits: exactly at them, and one past. */
static unsigned status_of(const struct buf *in, bool *ret_done)
{
	ARENA_AUTO a = ARENA_INIT;
	struct request r;
	struct refusal why = { 0 };
	size_t used;
	*ret_done = read_request_at_once(buf_str(in), &a, &r, &used, &why) == HTTP1_DONE;
	return why.status;
}

static void begin_with_fields(struct buf *in, unsigned fields)
{
	buf_clear(in);
	buf_add_c(in, GET H);
	for (unsigned i = 1; i < fields; i++)
		buf_printf(in, "a%u: b\r\n", i);
}

static void add_bytes(struct buf *in, size_t n)
{
	while (n--)
		buf_add_char(in, 'a');
}

static void limits_of_a_head(void **state)
{
	(void)state;
	BUF_AUTO in = BUF_INIT(1 << 20);
	bool done;
	begin_with_fields(&in, HTTP1_HEADERS_MOST);
	buf_add_c(&in, "\r\n");
	assert_int_equal(status_of(&in, &done), 0);
	assert_true(done);
	begin_with_fields(&in, HTTP1_HEADERS_MOST + 1);
	assert_int_equal(status_of(&in, &done), 431); /* more than 100 headers, head unfinished */

	begin_with_fields(&in, 1);
	buf_add_c(&in, "a: ");
	add_bytes(&in, HTTP1_HEAD_MOST - in.n - 4);
	buf_add_c(&in, "\r\n\r\n");
	assert_int_equal(status_of(&in, &done), 0);
	assert_true(done);
	begin_with_fields(&in, 1);
	buf_add_c(&in, "a: ");
	add_bytes(&in, HTTP1_HEAD_MOST - in.n - 3);
	buf_add_c(&in, "\r\n\r\n");
	assert_int_equal(status_of(&in, &done), 431); /* more than 32 KiB */

	buf_clear(&in);
	buf_add_c(&in, "GET /");
	add_bytes(&in, HTTP1_LINE_MOST - in.n - 11);
	buf_add_c(&in, " HTTP/1.1\r\n" H END);
	assert_int_equal(status_of(&in, &done), 0);
	assert_true(done);
	buf_clear(&in);
	buf_add_c(&in, "GET /");
	add_bytes(&in, HTTP1_LINE_MOST);
	assert_int_equal(status_of(&in, &done), 414); /* URI too long, line unfinished */
	buf_add_c(&in, " HTTP/1.1\r\n" H END);
	assert_int_equal(status_of(&in, &done), 414);
}

static void connection_lists_at_most_32_names(void **state)
{
	(void)state;
	BUF_AUTO in = BUF_INIT(1 << 20);
	bool done;
	for (unsigned names = 32; names <= 33; names++) {
		begin_with_fields(&in, 1);
		buf_add_c(&in, "Connection: n");
		for (unsigned i = 1; i < names; i++)
			buf_printf(&in, ",n%u", i);
		buf_add_c(&in, "\r\n\r\n");
		assert_int_equal(status_of(&in, &done), names == 32 ? 0 : 400);
	}
}

static const struct request get = { .method = STR_INIT("GET"), .version = HTTP_1_1 };
static const struct request head = { .method = STR_INIT("HEAD"), .version = HTTP_1_1 };

#define OK "HTTP/1.1 200 OK\r\n"

static const struct {
	const char *law;
	struct str in;
} responses_refused[] = {
	{ "Content-Length with Transfer-Encoding",
	        STR_INIT(OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n") },
	{ "more than one Content-Length",
	        STR_INIT(OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\n") },
	{ "Content-Length no number", STR_INIT(OK "Content-Length: -1\r\n\r\n") },
	{ "Transfer-Encoding other than chunked", STR_INIT(OK "Transfer-Encoding: gzip\r\n\r\n") },
	{ "Transfer-Encoding in HTTP/1.0",
	        STR_INIT("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") },
	{ "bare LF", STR_INIT("HTTP/1.1 200 OK\nA: b\n\n") },
	{ "bare CR", STR_INIT(OK "A: b\rc\r\n\r\n") },
	{ "NUL", STR_INIT(OK "A: b\0\r\n\r\n") },
	{ "obs-fold", STR_INIT(OK "A: b\r\n c\r\n\r\n") },
	{ "space before the colon", STR_INIT(OK "A : b\r\n\r\n") },
	{ "non-token name", STR_INIT(OK "A(: b\r\n\r\n") },
	{ "an empty line before", STR_INIT("\r\n" OK END) },
	{ "another protocol", STR_INIT("SSH-2.0-OpenSSH_9.2\r\n\r\n") },
	{ "version 2.0", STR_INIT("HTTP/2.0 200 OK\r\n\r\n") },
	{ "version 1.2", STR_INIT("HTTP/1.2 200 OK\r\n\r\n") },
	{ "status of two digits", STR_INIT("HTTP/1.1 20 OK\r\n\r\n") },
	{ "status of four digits", STR_INIT("HTTP/1.1 2000 OK\r\n\r\n") },
	{ "status 099", STR_INIT("HTTP/1.1 099 No\r\n\r\n") },
	{ "status 600", STR_INIT("HTTP/1.1 600 No\r\n\r\n") },
	{ "CTL in the reason", STR_INIT("HTTP/1.1 200 O\x01K\r\n\r\n") },
};

static void laws_of_responses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof responses_refused / sizeof *responses_refused; i++) {
		ARENA_AUTO a = ARENA_INIT;
		struct http1_scan scan = { 0 };
		struct response r;
		struct refusal why = { 0 };
		size_t used;
		enum http1_result result = http1_read_response(
		        &scan, responses_refused[i].in, &a, &get, &r, &used, &why);
		if (result != HTTP1_BAD || why.status != 502)
			fail_msg("%s: result %d, status %u", responses_refused[i].law, result,
			        why.status);
	}
}

static const struct {
	const char *law, *in;
	const struct request *request;
	unsigned status;
	enum body_kind body;
	uint64_t length;
	bool keep_alive, head_only;
	const char *headers;
} responses[] = {
	{ "length", OK "Content-Length: 5\r\nServer: x\r\n\r\n", &get, 200, BODY_LENGTH, 5, true,
	        false, "server=x;" },
	{ "length 0", OK "Content-Length: 0\r\n\r\n", &get, 200, BODY_NONE, 0, true, false, "" },
	{ "chunked", OK "Transfer-Encoding: Chunked\r\n\r\n", &get, 200, BODY_STREAM, 0, true,
	        false, "" },
	{ "until close", OK "A: b\r\n\r\n", &get, 200, BODY_CLOSE, 0, false, false, "a=b;" },
	{ "HEAD with a length", OK "Content-Length: 5\r\n\r\n", &head, 200, BODY_LENGTH, 5, true,
	        true, "" },
	{ "HEAD with length 0", OK "Content-Length: 0\r\n\r\n", &head, 200, BODY_LENGTH, 0, true,
	        true, "" },
	{ "HEAD with nothing", OK END, &head, 200, BODY_NONE, 0, true, true, "" },
	{ "204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", &get, 204,
	        BODY_NONE, 0, true, true, "" },
	{ "304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", &get, 304,
	        BODY_LENGTH, 5, true, true, "" },
	{ "100", "HTTP/1.1 100 Continue\r\n\r\n", &get, 100, BODY_NONE, 0, true, true, "" },
	{ "103", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", &get, 103, BODY_NONE, 0, true, true,
	        "link=a;" },
	{ "HTTP/1.0 with length", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", &get, 200,
	        BODY_LENGTH, 5, false, false, "" },
	{ "HTTP/1.0 that keeps",
	        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n", &get, 200,
	        BODY_LENGTH, 5, true, false, "" },
	{ "close", OK "Content-Length: 5\r\nConnection: close\r\n\r\n", &get, 200, BODY_LENGTH, 5,
	        false, false, "" },
	{ "no reason", "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n", &get, 200, BODY_LENGTH, 5,
	        true, false, "" },
	{ "no space before no reason", "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", &get, 200,
	        BODY_LENGTH, 5, true, false, "" },
	{ "hop-by-hop headers are dropped",
	        OK "Content-Length: 5\r\nKeep-Alive: x\r\nConnection: X-A\r\nX-A: 1\r\nUpgrade: "
	           "h2c\r\n"
	           "Proxy-Authenticate: x\r\nB: c\r\n\r\n",
	        &get, 200, BODY_LENGTH, 5, true, false, "b=c;" },
};

static void what_responses_say(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof responses / sizeof *responses; i++) {
		ARENA_AUTO a = ARENA_INIT;
		struct http1_scan scan = { 0 };
		struct response r;
		struct refusal why = { 0 };
		size_t used, n = strlen(responses[i].in);
		enum http1_result result = HTTP1_MORE;
		for (size_t to = 1; to <= n && result == HTTP1_MORE; to++)
			result = http1_read_response(&scan, str_n(responses[i].in, to), &a,
			        responses[i].request, &r, &used, &why);
		if (result != HTTP1_DONE)
			fail_msg("%s: %s", responses[i].law, why.why);
		assert_int_equal(used, n);
		BUF_AUTO headers = BUF_INIT(1 << 16);
		list_headers(&headers, &r.headers);
		assert_text(responses[i].law, buf_str(&headers), responses[i].headers);
		if (r.status != responses[i].status || r.body != responses[i].body ||
		        r.length != responses[i].length ||
		        r.keep_alive != responses[i].keep_alive ||
		        r.head_only != responses[i].head_only)
			fail_msg("%s: status %u body %d length %llu keep %d head only %d",
			        responses[i].law, r.status, r.body, (unsigned long long)r.length,
			        r.keep_alive, r.head_only);
	}
}

/* Bodies: fed in steps of `step` bytes; the content, or NULL if refused. */
static bool read_body(enum body_kind kind, uint64_t length, struct str in, size_t step,
        struct buf *content, size_t *ret_used)
{
	struct http1_body b;
	struct refusal why;
	http1_body_init(&b, kind, length);
	size_t at = 0, end = 0;
	for (;;) {
		struct str piece = STR_NONE;
		size_t used = 0;
		struct str part = { in.p + at, end - at };
		enum http1_result result = http1_body_read(&b, part, &piece, &used, &why);
		if (result == HTTP1_BAD)
			return false;
		assert_true(used <= part.n && piece.n <= used);
		buf_add(content, piece);
		at += used;
		*ret_used = at;
		if (result == HTTP1_DONE)
			return true;
		if (at < end)
			continue;
		if (end == in.n)
			return http1_body_ends_at_close(&b);
		end = end + step < in.n ? end + step : in.n;
	}
}

static const struct {
	const char *law;
	enum body_kind kind;
	uint64_t length;
	struct str in;
	const char *content; /* NULL: refused */
	size_t used;
} bodies[] = {
	{ "no content", BODY_NONE, 0, STR_INIT("next"), "", 0 },
	{ "length", BODY_LENGTH, 5, STR_INIT("hellonext"), "hello", 5 },
	{ "length cut off", BODY_LENGTH, 5, STR_INIT("hell"), NULL, 0 },
	{ "until close", BODY_CLOSE, 0, STR_INIT("hello"), "hello", 5 },
	{ "chunks", BODY_STREAM, 0, STR_INIT("3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\nnext"),
	        "abc0123456789", 28 },
	{ "only the last chunk", BODY_STREAM, 0, STR_INIT("0\r\n\r\nnext"), "", 5 },
	{ "zeros before the size", BODY_STREAM, 0, STR_INIT("0003\r\nabc\r\n000\r\n\r\n"), "abc",
	        18 },
	{ "16 hex digits", BODY_STREAM, 0, STR_INIT("0000000000000001\r\na\r\n0\r\n\r\n"), "a",
	        26 },
	{ "17 hex digits", BODY_STREAM, 0, STR_INIT("00000000000000001\r\na\r\n0\r\n\r\n"), NULL,
	        0 },
	{ "chunk extension dropped", BODY_STREAM, 0,
	        STR_INIT("1;a;b=c;d=\"e\\\" f\"\r\na\r\n0;x\r\n\r\n"), "a", 29 },
	{ "chunk extension without a name", BODY_STREAM, 0, STR_INIT("1;\r\na\r\n0\r\n\r\n"), NULL,
	        0 },
	{ "chunk extension without a value", BODY_STREAM, 0, STR_INIT("1;a=\r\na\r\n0\r\n\r\n"),
	        NULL, 0 },
	{ "chunk extension with a space", BODY_STREAM, 0, STR_INIT("1; a\r\na\r\n0\r\n\r\n"), NULL,
	        0 },
	{ "chunk extension with a bare LF", BODY_STREAM, 0, STR_INIT("1;a\na\r\n0\r\n\r\n"), NULL,
	        0 },
	{ "chunk extension with an open quote", BODY_STREAM, 0,
	        STR_INIT("1;a=\"b\r\na\r\n0\r\n\r\n"), NULL, 0 },
	{ "chunk extension with more after the quote", BODY_STREAM, 0,
	        STR_INIT("1;a=\"b\"c\r\na\r\n0\r\n\r\n"), NULL, 0 },
	{ "space after the size", BODY_STREAM, 0, STR_INIT("1 \r\na\r\n0\r\n\r\n"), NULL, 0 },
	{ "space before the size", BODY_STREAM, 0, STR_INIT(" 1\r\na\r\n0\r\n\r\n"), NULL, 0 },
	{ "size with 0x", BODY_STREAM, 0, STR_INIT("0x1\r\na\r\n0\r\n\r\n"), NULL, 0 },
	{ "size with a sign", BODY_STREAM, 0, STR_INIT("+1\r\na\r\n0\r\n\r\n"), NULL, 0 },
	{ "size with a minus", BODY_STREAM, 0, STR_INIT("-1\r\na\r\n0\r\n\r\n"), NULL, 0 },
	{ "size with an underscore", BODY_STREAM, 0, STR_INIT("1_0\r\na\r\n0\r\n\r\n"), NULL, 0 },
	{ "no size", BODY_STREAM, 0, STR_INIT("\r\na\r\n0\r\n\r\n"), NULL, 0 },
	{ "size line with a bare LF", BODY_STREAM, 0, STR_INIT("1\na\r\n0\r\n\r\n"), NULL, 0 },
	{ "size line with a bare CR", BODY_STREAM, 0, STR_INIT("1\ra\r\n0\r\n\r\n"), NULL, 0 },
	{ "chunk with a bare LF", BODY_STREAM, 0, STR_INIT("1\r\na\n0\r\n\r\n"), NULL, 0 },
	{ "chunk longer than its size", BODY_STREAM, 0, STR_INIT("1\r\nab\r\n0\r\n\r\n"), NULL, 0 },
	{ "last chunk with a bare LF", BODY_STREAM, 0, STR_INIT("0\r\n\n"), NULL, 0 },
	{ "trailers checked and dropped", BODY_STREAM, 0,
	        STR_INIT("1\r\na\r\n0\r\nContent-Length: 5\r\nB: c\td\r\n\r\nnext"), "a", 38 },
	{ "trailer without a name", BODY_STREAM, 0, STR_INIT("0\r\n: b\r\n\r\n"), NULL, 0 },
	{ "trailer with a space before the colon", BODY_STREAM, 0, STR_INIT("0\r\na : b\r\n\r\n"),
	        NULL, 0 },
	{ "trailer folded", BODY_STREAM, 0, STR_INIT("0\r\na: b\r\n c\r\n\r\n"), NULL, 0 },
	{ "trailer with NUL", BODY_STREAM, 0, STR_INIT("0\r\na: b\0\r\n\r\n"), NULL, 0 },
	{ "trailer with a bare CR", BODY_STREAM, 0, STR_INIT("0\r\na: b\rc\r\n\r\n"), NULL, 0 },
	{ "trailer with a bare LF", BODY_STREAM, 0, STR_INIT("0\r\na: b\n\r\n"), NULL, 0 },
	{ "chunks cut off", BODY_STREAM, 0, STR_INIT("1\r\na\r\n"), NULL, 0 },
	{ "last chunk cut off", BODY_STREAM, 0, STR_INIT("1\r\na\r\n0\r\n"), NULL, 0 },
};

static void laws_of_bodies(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		for (size_t step = 1; step <= bodies[i].in.n; step++) {
			BUF_AUTO content = BUF_INIT(1 << 16);
			size_t used = 0;
			bool ok = read_body(bodies[i].kind, bodies[i].length, bodies[i].in, step,
			        &content, &used);
			if (ok != !!bodies[i].content)
				fail_msg("%s, step %zu: %s", bodies[i].law, step,
				        ok ? "taken" : "refused");
			if (!ok)
				continue;
			assert_text(bodies[i].law, buf_str(&content), bodies[i].content);
			if (used != bodies[i].used)
				fail_msg("%s, step %zu: %zu used", bodies[i].law, step, used);
		}
	}
}

static bool taken(const struct buf *in)
{
	BUF_AUTO content = BUF_INIT(1 << 16);
	size_t used;
	return read_body(BODY_STREAM, 0, buf_str(in), in->n, &content, &used);
}

/* Byte by byte or at once, they are the same; what may not come so late is dropped. */
static void trailers_are_kept_when_wanted(void **state)
{
	(void)state;
	const struct str in = STR("0\r\nGrpc-Status: 0 \r\ncontent_length: 3\r\nHost: x\r\n"
	                          "If-Match: a\r\nX-Empty:\r\nX-Forwarded_For: y\r\n"
	                          "X-Client_Cert-Subject: CN=x\r\n"
	                          "Set-Cookie: a=b\r\nHostile: yes\r\n\r\n");
	for (size_t step = 1; step <= in.n; step += in.n - 1) {
		ARENA_AUTO a = ARENA_INIT;
		BUF_AUTO listed = BUF_INIT(4096);
		struct http1_body b;
		enum http1_result result = HTTP1_MORE;
		http1_body_init(&b, BODY_STREAM, 0);
		http1_body_want_trailers(&b, &a);
		for (size_t at = 0; at < in.n; at += step) {
			struct str piece;
			size_t used;
			struct refusal why;
			struct str part = str_head(str_from(in, at), step);
			assert_int_equal(result, HTTP1_MORE);
			result = http1_body_read(&b, part, &piece, &used, &why);
			assert_int_equal(used, part.n);
		}
		assert_int_equal(result, HTTP1_DONE);
		struct headers trailers = http1_body_trailers(&b, &a);
		list_headers(&listed, &trailers);
		assert_text("trailers", buf_str(&listed), "grpc-status=0;x-empty=;hostile=yes;");
	}
}

static void limits_of_chunks(void **state)
{
	(void)state;
	BUF_AUTO in = BUF_INIT(1 << 20);
	for (size_t line = 256; line <= 257; line++) { /* the size line, with its CRLF */
		buf_clear(&in);
		buf_add_c(&in, "1;");
		add_bytes(&in, line - 4);
		buf_add_c(&in, "\r\na\r\n0\r\n\r\n");
		assert_int_equal(taken(&in), line == 256);
	}
	for (size_t trailers = 8192; trailers <= 8193; trailers++) { /* with the empty line */
		buf_clear(&in);
		buf_add_c(&in, "0\r\na:");
		add_bytes(&in, trailers - 6);
		buf_add_c(&in, "\r\n\r\n");
		assert_int_equal(taken(&in), trailers == 8192);
	}
}

static void assert_request(const char *in, void (*change)(struct request *), const char *want)
{
	ARENA_AUTO a = ARENA_INIT;
	struct request r;
	struct refusal why;
	size_t used;
	if (read_request_at_once(str_c(in), &a, &r, &used, &why) != HTTP1_DONE)
		fail_msg("%s: %s", in, why.why);
	r.keep_alive = true;
	if (change)
		change(&r);
	BUF_AUTO out = BUF_INIT(1 << 16);
	http1_write_request(&out, &r);
	assert_text(in, buf_str(&out), want);
}

static void do_not_keep(struct request *r)
{
	r->keep_alive = false;
}

static void requests_are_written_anew(void **state)
{
	(void)state;
	assert_request(
	        "GET http://A.example:81/p?q HTTP/1.0\r\nACCEPT:  x \r\nHost: a.example:81\r\n"
	        "Connection: accept-x\r\nEmpty:\r\n\r\n",
	        NULL, "GET /p?q HTTP/1.1\r\nhost: a.example:81\r\naccept: x\r\nempty: \r\n\r\n");
	assert_request(POST "content-length: 007\r\n\r\n", NULL,
	        "POST / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 7\r\n\r\n");
	assert_request(POST "content-length: 0\r\n\r\n", NULL,
	        "POST / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 0\r\n\r\n");
	assert_request(POST "Transfer-Encoding: chunked\r\n\r\n", do_not_keep,
	        "POST / HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n"
	        "connection: close\r\n\r\n");
	assert_request(GET H
	        "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n",
	        NULL,
	        GET "host: a.example\r\nsec-websocket-key: k\r\nconnection: upgrade\r\n"
	            "upgrade: websocket\r\n\r\n");
}

static const struct {
	const char *what;
	struct response r;
	enum http_version client;
	bool keep_alive;
	const char *want;
} written[] = {
	{ "length", { .status = 200, .body = BODY_LENGTH, .length = 12345 }, HTTP_1_1, true,
	        OK "content-length: 12345\r\n\r\n" },
	{ "none", { .status = 404, .body = BODY_NONE }, HTTP_1_1, true,
	        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n" },
	{ "stream", { .status = 200, .body = BODY_STREAM }, HTTP_1_1, true,
	        OK "transfer-encoding: chunked\r\n\r\n" },
	{ "stream for HTTP/1.0", { .status = 200, .body = BODY_STREAM }, HTTP_1_0, true,
	        OK "connection: close\r\n\r\n" },
	{ "until close", { .status = 200, .body = BODY_CLOSE }, HTTP_1_1, true,
	        OK "connection: close\r\n\r\n" },
	{ "length for HTTP/1.0", { .status = 200, .body = BODY_LENGTH, .length = 1 }, HTTP_1_0,
	        true, OK "content-length: 1\r\nconnection: keep-alive\r\n\r\n" },
	{ "not kept", { .status = 200, .body = BODY_LENGTH, .length = 1 }, HTTP_1_1, false,
	        OK "content-length: 1\r\nconnection: close\r\n\r\n" },
	{ "head with length",
	        { .status = 200, .body = BODY_LENGTH, .length = 9, .head_only = true }, HTTP_1_1,
	        true, OK "content-length: 9\r\n\r\n" },
	{ "head of a stream", { .status = 200, .body = BODY_STREAM, .head_only = true }, HTTP_1_0,
	        true, OK "connection: keep-alive\r\n\r\n" },
	{ "head of none", { .status = 200, .body = BODY_NONE, .head_only = true }, HTTP_1_1, true,
	        OK END },
	{ "204", { .status = 204, .body = BODY_NONE, .head_only = true }, HTTP_1_1, true,
	        "HTTP/1.1 204 No Content\r\n\r\n" },
	{ "103", { .status = 103, .body = BODY_NONE, .head_only = true }, HTTP_1_1, false,
	        "HTTP/1.1 103 Early Hints\r\n\r\n" },
	{ "101", { .status = 101, .body = BODY_NONE, .head_only = true }, HTTP_1_1, true,
	        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: "
	        "websocket\r\n\r\n" },
	{ "unknown status", { .status = 599, .body = BODY_NONE }, HTTP_1_1, true,
	        "HTTP/1.1 599 \r\ncontent-length: 0\r\n\r\n" },
};

static void responses_are_written(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
		BUF_AUTO out = BUF_INIT(1 << 16);
		http1_write_response(&out, &written[i].r, written[i].client, written[i].keep_alive);
		assert_text(written[i].what, buf_str(&out), written[i].want);
	}
}

static void chunk_heads_are_hex(void **state)
{
	(void)state;
	BUF_AUTO out = BUF_INIT(100);
	http1_write_chunk_head(&out, 0x1f);
	http1_write_chunk_head(&out, SIZE_MAX);
	assert_text("chunks", buf_str(&out), "1f\r\nffffffffffffffff\r\n");
}

static void headers_are_found_and_removed(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	struct headers h = { 0 };
	char names[40][4];
	for (unsigned i = 0; i < 40; i++) {
		snprintf(names[i], sizeof names[i], "n%u", i % 20);
		headers_add(&h, &a, str_c(names[i]), i < 20 ? STR("one, Two") : STR("three"));
	}
	assert_text("the first", headers_find(&h, STR("n7")), "one, Two");
	assert_null(headers_find(&h, STR("n")).p);
	assert_true(headers_list_has(&h, STR("n7"), STR("two")));
	assert_true(headers_list_has(&h, STR("n7"), STR("three")));
	assert_false(headers_list_has(&h, STR("n7"), STR("tw")));
	assert_int_equal(headers_remove(&h, STR("n7")), 2);
	assert_int_equal(headers_remove(&h, STR("n7")), 0);
	assert_int_equal(h.count, 38);
	assert_text("reason", str_c(http_reason(404)), "Not Found");
	assert_text("no reason", str_c(http_reason(299)), "");
}

/* Every byte value at every place of a word: the span stops exactly at what is no text. */
static void text_span_knows_every_byte(void **state)
{
	(void)state;
	for (unsigned at = 0; at < 24; at++) {
		for (unsigned c = 0; c < 256; c++) {
			char text[24];
			memset(text, at & 1 ? '\t' : 'x', sizeof text);
			text[at] = (char)c;
			bool is_text = (c >= 0x20 && c != 0x7f) || c == '\t';
			size_t span = http_text_span(text, sizeof text);
			if (span != (is_text ? sizeof text : at))
				fail_msg("byte %u at %u: span %zu", c, at, span);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(laws_of_requests),
		cmocka_unit_test(what_is_accepted),
		cmocka_unit_test(limits_of_a_head),
		cmocka_unit_test(connection_lists_at_most_32_names),
		cmocka_unit_test(laws_of_responses),
		cmocka_unit_test(what_responses_say),
		cmocka_unit_test(laws_of_bodies),
		cmocka_unit_test(trailers_are_kept_when_wanted),
		cmocka_unit_test(limits_of_chunks),
		cmocka_unit_test(requests_are_written_anew),
		cmocka_unit_test(responses_are_written),
		cmocka_unit_test(chunk_heads_are_hex),
		cmocka_unit_test(headers_are_found_and_removed),
		cmocka_unit_test(text_span_knows_every_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
