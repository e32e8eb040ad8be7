/* From the fields of HTTP/2 to a request, without nghttp2 in front: what it would refuse is refused
 * here, too. And the measure of what is a nuisance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/http2_inside.h"

#define METHOD    ":method", "GET"
#define SCHEME    ":scheme", "https"
#define AUTHORITY ":authority", "a.test"
#define PATH      ":path", "/"
#define BASE      METHOD, SCHEME, AUTHORITY, PATH

enum { FIELDS_MOST = 24 };

struct law {
	const char *law, *fields[FIELDS_MOST];
	unsigned status;  /* 0: accepted */
	const char *want; /* method authority path body length, then the fields */
};

static const struct law laws[] = {
	{ "a plain request", { BASE, "accept", "x" }, 0, "GET a.test / none|accept=x;" },
	{ "upper case in the authority", { METHOD, SCHEME, PATH, ":authority", "A.Test:443" }, 0,
	        "GET a.test:443 / none|" },
	{ "host alone", { METHOD, SCHEME, PATH, "host", "A.test" }, 0, "GET a.test / none|" },
	{ "host beside it", { BASE, "host", "A.test" }, 0, "GET a.test / none|" },
	{ "host other than it", { BASE, "host", "b.test" }, 400, NULL },
	{ "two hosts", { METHOD, SCHEME, PATH, "host", "a", "host", "a" }, 400, NULL },
	{ "neither", { METHOD, SCHEME, PATH }, 400, NULL },
	{ "an authority that is none", { METHOD, SCHEME, PATH, ":authority", "a b" }, 400, NULL },
	{ "an empty authority", { METHOD, SCHEME, PATH, ":authority", "" }, 400, NULL },
	{ "no method", { SCHEME, AUTHORITY, PATH }, 400, NULL },
	{ "an empty method", { ":method", "", SCHEME, AUTHORITY, PATH }, 400, NULL },
	{ "a method that is no token", { ":method", "G T", SCHEME, AUTHORITY, PATH }, 400, NULL },
	{ "a long method", { ":method", "ABCDEFGHIJKLMNOPQRSTUVWXY", SCHEME, AUTHORITY, PATH }, 501,
	        NULL },
	{ "no scheme", { METHOD, AUTHORITY, PATH }, 400, NULL },
	{ "another scheme", { METHOD, ":scheme", "http", AUTHORITY, PATH }, 400, NULL },
	{ "no path", { METHOD, SCHEME, AUTHORITY }, 400, NULL },
	{ "a path with a fragment", { METHOD, SCHEME, AUTHORITY, ":path", "/a#b" }, 400, NULL },
	{ "a path with a backslash", { METHOD, SCHEME, AUTHORITY, ":path", "/a\\b" }, 400, NULL },
	{ "a path with a space", { METHOD, SCHEME, AUTHORITY, ":path", "/a b" }, 400, NULL },
	{ "a path with a line end", { METHOD, SCHEME, AUTHORITY, ":path", "/\r\nx: y" }, 400,
	        NULL },
	{ "an absolute path", { METHOD, SCHEME, AUTHORITY, ":path", "https://a.test/" }, 400,
	        NULL },
	{ "a path without a slash", { METHOD, SCHEME, AUTHORITY, ":path", "a" }, 400, NULL },
	{ "* of GET", { METHOD, SCHEME, AUTHORITY, ":path", "*" }, 400, NULL },
	{ "* of OPTIONS", { ":method", "OPTIONS", SCHEME, AUTHORITY, ":path", "*" }, 0,
	        "OPTIONS a.test * none|" },
	{ "an unknown pseudo-header", { BASE, ":foo", "x" }, 400, NULL },
	{ "a pseudo-header twice", { BASE, PATH }, 400, NULL },
	{ "a pseudo-header behind a field", { METHOD, SCHEME, PATH, "x", "y", AUTHORITY }, 400,
	        NULL },
	{ "upper case in a name", { BASE, "X", "y" }, 400, NULL },
	{ "an empty name", { BASE, "", "y" }, 400, NULL },
	{ "a name that is no token", { BASE, "x y", "z" }, 400, NULL },
	{ "a line end in a value", { BASE, "x", "y\r\nz: 1" }, 400, NULL },
	{ "a control in a value", { BASE, "x", "y\1" }, 400, NULL },
	{ "a space before a value", { BASE, "x", " y" }, 400, NULL },
	{ "a tab behind a value", { BASE, "x", "y\t" }, 400, NULL },
	{ "a tab within", { BASE, "x", "y\tz" }, 0, "GET a.test / none|x=y\tz;" },
	{ "connection", { BASE, "connection", "close" }, 400, NULL },
	{ "keep-alive", { BASE, "keep-alive", "1" }, 400, NULL },
	{ "proxy-connection", { BASE, "proxy-connection", "close" }, 400, NULL },
	{ "transfer-encoding", { BASE, "transfer-encoding", "chunked" }, 400, NULL },
	{ "upgrade", { BASE, "upgrade", "websocket" }, 400, NULL },
	{ "te: gzip", { BASE, "te", "gzip" }, 400, NULL },
	{ "te: trailers", { BASE, "te", "trailers" }, 0, "GET a.test / none trailers|" },
	{ "what is for the next hop alone",
	        { BASE, "trailer", "x", "proxy-authorization", "y", "proxy-authenticate", "z" }, 0,
	        "GET a.test / none|" },
	{ "expect", { BASE, "expect", "200-ok" }, 417, NULL },
	{ "cookies in crumbs", { BASE, "cookie", "a=1", "x", "y", "cookie", "b=2" }, 0,
	        "GET a.test / none|x=y;cookie=a=1; b=2;" },
	{ "cookies in crumbs, some of them empty",
	        { BASE, "cookie", "", "cookie", "a=1", "cookie", "", "cookie", "b=2", "cookie",
	                "" },
	        0, "GET a.test / none|cookie=a=1; b=2;" },
	{ "a cookie that is empty", { BASE, "cookie", "" }, 0, "GET a.test / none|" },
	{ "a length without content", { BASE, "content-length", "5" }, 400, NULL },
	{ "a length of nothing", { BASE, "content-length", "0" }, 0, "GET a.test / none|" },
	{ "two lengths", { BASE, "content-length", "0", "content-length", "0" }, 400, NULL },
	{ "a length with a sign", { BASE, "content-length", "+0" }, 400, NULL },
	{ "a length of 20 digits", { BASE, "content-length", "00000000000000000000" }, 400, NULL },
	{ "CONNECT", { ":method", "CONNECT", AUTHORITY }, 501, NULL },
	{ "a protocol without CONNECT", { BASE, ":protocol", "websocket" }, 400, NULL },
};

static void read_fields(struct http2_head *h, struct arena *a, const char *const *fields)
{
	for (size_t i = 0; i + 1 < FIELDS_MOST && fields[i]; i += 2)
		http2_head_add(h, a, str_c(fields[i]), str_c(fields[i + 1]));
}

static void show(struct buf *out, const struct request *r)
{
	static const char *const bodies[] = { "none", "length", "stream" };
	buf_printf(out, "%.*s %.*s %.*s %s%s%s%s|", STR_ARG(r->method), STR_ARG(r->authority),
	        STR_ARG(r->path), bodies[r->body], r->trailers ? " trailers" : "",
	        r->websocket ? " websocket" : "", r->expect_continue ? " expect" : "");
	for (size_t i = 0; i < r->headers.count; i++)
		buf_printf(out, "%.*s=%.*s;", STR_ARG(r->headers.at[i].name),
		        STR_ARG(r->headers.at[i].value));
}

static void assert_law(const struct law *l, bool ended)
{
	ARENA_AUTO a = ARENA_INIT;
	BUF_AUTO got = BUF_INIT(4096);
	struct http2_head h = { 0 };
	struct request r;
	read_fields(&h, &a, l->fields);
	if (!http2_head_request(&h, &a, /* tls= */ true, ended, &r)) {
		if (h.refusal.status != l->status || !h.refusal.why)
			fail_msg("%s: refused with %u", l->law, h.refusal.status);
		return;
	}
	show(&got, &r);
	if (l->status || !str_eq_c(buf_str(&got), l->want))
		fail_msg("%s: accepted as %s", l->law, buf_c(&got));
}

static void laws_of_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof laws / sizeof *laws; i++)
		assert_law(&laws[i], /* ended= */ true);
}

static const struct law with_content[] = {
	{ "of unknown length", { BASE }, 0, "GET a.test / stream|" },
	{ "of a length", { BASE, "content-length", "5" }, 0, "GET a.test / length|" },
	{ "of none", { BASE, "content-length", "0" }, 0, "GET a.test / none|" },
	{ "after 100", { BASE, "expect", "100-continue" }, 0, "GET a.test / stream expect|" },
	{ "a WebSocket",
	        { ":method", "CONNECT", ":protocol", "WebSocket", SCHEME, AUTHORITY, PATH }, 0,
	        "GET a.test / none websocket|" },
	{ "one with a length",
	        { ":method", "CONNECT", ":protocol", "websocket", SCHEME, AUTHORITY, PATH,
	                "content-length", "5" },
	        400, NULL },
	{ "another protocol",
	        { ":method", "CONNECT", ":protocol", "connect-udp", SCHEME, AUTHORITY, PATH }, 501,
	        NULL },
};

static void requests_with_content(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof with_content / sizeof *with_content; i++)
		assert_law(&with_content[i], /* ended= */ false);
}

static unsigned status_of(unsigned fields, size_t value)
{
	ARENA_AUTO a = ARENA_INIT;
	BUF_AUTO text = BUF_INIT(1 << 16);
	static const char *const base[FIELDS_MOST] = { BASE };
	struct http2_head h = { 0 };
	struct request r;
	read_fields(&h, &a, base);
	for (size_t i = 0; i < value; i++)
		buf_add_char(&text, 'y');
	for (unsigned i = 0; i < fields; i++)
		http2_head_add(&h, &a, STR("x"), buf_str(&text));
	bool ok = http2_head_request(&h, &a, /* tls= */ true, /* ended= */ true, &r);
	return ok ? 200 : h.refusal.status;
}

static void limits_of_a_head(void **state)
{
	(void)state;
	assert_int_equal(status_of(100, 1), 200);
	assert_int_equal(status_of(101, 1), 431);
	assert_int_equal(status_of(30, 1000), 200);
	assert_int_equal(status_of(40, 1000), 431);
	assert_int_equal(status_of(99, 4000), 431);
}

static void trailers_that_may_pass(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	struct http2_head h = { 0 };
	struct headers trailers;
	static const char *const fields[FIELDS_MOST] = { "grpc-status", "0", "host", "b",
		"content-length", "3", "x-forwarded-for", "1", "cookie", "c", "x-sum", "7" };
	read_fields(&h, &a, fields);
	http2_head_trailers(&h, &a, &trailers);
	assert_int_equal(trailers.count, 2);
	assert_true(str_eq_c(trailers.at[0].name, "grpc-status"));
	assert_true(str_eq_c(trailers.at[1].name, "x-sum"));
}

/* So much at once; again so much per second; forgotten with time, never saved up. */
static void patience_comes_back(void **state)
{
	(void)state;
	struct http2 h = { .now = 1000, .patience.at = 1000 };
	for (int i = 0; i < 100; i++)
		assert_true(http2_bears(&h, HTTP2_NUISANCE_FAULT));
	assert_true(http2_bears(&h, HTTP2_NUISANCE_RESET));
	h.now += 1000;
	for (int i = 0; i < 5; i++)
		assert_true(http2_bears(&h, HTTP2_NUISANCE_FAULT));
	assert_null(h.fault);
	assert_false(http2_bears(&h, HTTP2_NUISANCE_FAULT));
	assert_non_null(h.fault);
	assert_int_equal(h.code, HTTP2_ENHANCE_YOUR_CALM);
	h.now += INT64_C(1000) * 3600 * 24 * 365;
	for (int i = 0; i < 100; i++)
		assert_true(http2_bears(&h, HTTP2_NUISANCE_FAULT));
	assert_false(http2_bears(&h, HTTP2_NUISANCE_FAULT));
	http2_forgives(&h, HTTP2_NUISANCE_FAULT, 2);
	assert_true(http2_bears(&h, HTTP2_NUISANCE_FAULT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(laws_of_requests),
		cmocka_unit_test(requests_with_content),
		cmocka_unit_test(limits_of_a_head),
		cmocka_unit_test(trailers_that_may_pass),
		cmocka_unit_test(patience_comes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
