/* The PROXY protocol, read and written. */
#include "base/buf.h"
#include "net/proxy_protocol.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SIG   "\r\n\r\n\0\r\nQUIT\n"
#define FOUR  "\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x09\x13\x88\x01\xbb"
#define SIX_A " \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
#define SIX_B " \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"

/* from: "address:port", "" if none is told, NULL if it is no preface. size 0: all. */
static const struct {
	const char *what, *from;
	struct str in;
	size_t size;
} cases[] = {
	{ "v1 IPv4", "192.0.2.7:5000", STR_INIT("PROXY TCP4 192.0.2.7 10.0.0.9 5000 443\r\n"), 0 },
	{ "what follows", "192.0.2.7:5000",
	        STR_INIT("PROXY TCP4 192.0.2.7 10.0.0.9 5000 443\r\nGET / HTTP/1.1\r\n"), 40 },
	{ "v1 IPv6", "[2001:db8::7]:1", STR_INIT("PROXY TCP6 2001:db8::7 ::1 1 65535\r\n"), 0 },
	{ "port 0", "192.0.2.7:0", STR_INIT("PROXY TCP4 192.0.2.7 10.0.0.9 0 0\r\n"), 0 },
	{ "unknown", "", STR_INIT("PROXY UNKNOWN\r\n"), 0 },
	{ "unknown with more", "", STR_INIT("PROXY UNKNOWN ffff:f:f:f:f:f:f:f ::1 1 1\r\n"), 0 },
	{ "unknown glued", NULL, STR_INIT("PROXY UNKNOWNX\r\n"), 0 },
	{ "lower case", NULL, STR_INIT("PROXY tcp4 192.0.2.7 10.0.0.9 5000 443\r\n"), 0 },
	{ "two spaces", NULL, STR_INIT("PROXY  TCP4 192.0.2.7 10.0.0.9 5000 443\r\n"), 0 },
	{ "space at the end", NULL, STR_INIT("PROXY TCP4 192.0.2.7 10.0.0.9 5000 443 \r\n"), 0 },
	{ "tab", NULL, STR_INIT("PROXY TCP4\t192.0.2.7 10.0.0.9 5000 443\r\n"), 0 },
	{ "a word too many", NULL, STR_INIT("PROXY TCP4 192.0.2.7 10.0.0.9 1 2 3\r\n"), 0 },
	{ "a word too few", NULL, STR_INIT("PROXY TCP4 192.0.2.7 10.0.0.9 1\r\n"), 0 },
	{ "IPv6 as IPv4", NULL, STR_INIT("PROXY TCP4 ::1 ::1 1 2\r\n"), 0 },
	{ "IPv4 as IPv6", NULL, STR_INIT("PROXY TCP6 192.0.2.7 10.0.0.9 1 2\r\n"), 0 },
	{ "no address", NULL, STR_INIT("PROXY TCP4 localhost 10.0.0.9 1 2\r\n"), 0 },
	{ "zeros in front", NULL, STR_INIT("PROXY TCP4 192.0.2.7 10.0.0.9 01 2\r\n"), 0 },
	{ "no port", NULL, STR_INIT("PROXY TCP4 192.0.2.7 10.0.0.9 65536 2\r\n"), 0 },
	{ "plus", NULL, STR_INIT("PROXY TCP4 192.0.2.7 10.0.0.9 +1 2\r\n"), 0 },
	{ "bare LF", NULL, STR_INIT("PROXY TCP4 192.0.2.7 10.0.0.9 5000 443\n\r\n"), 0 },
	{ "bare CR", NULL, STR_INIT("PROXY TCP4 192.0.2.7 10.0.0.9 5000 443\r\r\n"), 0 },
	{ "NUL", NULL, STR_INIT("PROXY TCP4 192.0.2.7\0 10.0.0.9 5000 443\r\n"), 0 },
	{ "a request", NULL, STR_INIT("GET / HTTP/1.1\r\n"), 0 },
	{ "a handshake", NULL, STR_INIT("\x16\x03\x01"), 0 },
	{ "nothing but PROXY", NULL, STR_INIT("PROXY\r\n"), 0 },
	{ "too long", NULL,
	        STR_INIT("PROXY UNKNOWN 0123456789012345678901234567890123456789012345678901234567"
	                 "89012345678901234567890123456789012345678901234567890123456789\r\n"),
	        0 },
	{ "v2 IPv4", "192.0.2.7:5000", STR_INIT(SIG "\x21" FOUR), 0 },
	{ "v2 IPv6", "[2001:db8::7]:5000",
	        STR_INIT(SIG "\x21\x21\0\x24" SIX_A SIX_B "\x13\x88\x01\xbb"), 0 },
	{ "v2 with TLV", "192.0.2.7:5000",
	        STR_INIT(SIG "\x21\x11\0\x13\xc0\0\x02\x07\x0a\0\0\x09\x13\x88\x01\xbb"
	                     "\x04\0\x04ssss"),
	        0 },
	{ "v2 LOCAL", "", STR_INIT(SIG "\x20\0\0\0"), 0 },
	{ "v2 LOCAL with addresses", "", STR_INIT(SIG "\x20" FOUR), 0 },
	{ "v2 unspecified", "", STR_INIT(SIG "\x21\0\0\0"), 0 },
	{ "v2 UDP", NULL, STR_INIT(SIG "\x21\x12\0\x0c\xc0\0\x02\x07\x0a\0\0\x09\x13\x88\x01\xbb"),
	        0 },
	{ "v2 of another version", NULL, STR_INIT(SIG "\x31" FOUR), 0 },
	{ "v2 of another command", NULL, STR_INIT(SIG "\x22" FOUR), 0 },
	{ "v2 of another family", NULL, STR_INIT(SIG "\x21\x41\0\0"), 0 },
	{ "v2 too short for IPv4", NULL,
	        STR_INIT(SIG "\x21\x11\0\x0b"
	                     "01234567890"),
	        0 },
	{ "v2 too short for Unix", NULL,
	        STR_INIT(SIG "\x21\x31\0\x04"
	                     "0123"),
	        0 },
	{ "v2 too long", NULL,
	        STR_INIT(SIG "\x21\x11\xff\xff"
	                     "0123"),
	        0 },
	{ "v2 of another signature", NULL, STR_INIT("\r\n\r\n\0\r\nQUIT\r\x21\0\0\0"), 0 },
};

static const char *shown(const struct proxy_preface *p, char text[ADDRESS_TEXT])
{
	return p->told ? address_text_port(&p->from, text) : "";
}

static void prefaces(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct proxy_preface p = { .size = 99 };
		char text[ADDRESS_TEXT];
		enum proxy_protocol result = proxy_protocol_read(cases[i].in, &p);
		if (!cases[i].from) {
			if (result != PROXY_PROTOCOL_BAD || p.size != 99)
				fail_msg("%s: taken", cases[i].what);
			continue;
		}
		size_t size = cases[i].size ? cases[i].size : cases[i].in.n;
		if (result != PROXY_PROTOCOL_DONE || p.size != size ||
		        strcmp(shown(&p, text), cases[i].from) != 0)
			fail_msg("%s: result %d, %zu bytes, %s", cases[i].what, result, p.size,
			        shown(&p, text));
	}
}

/* Every beginning of a good one asks for more, and none that cannot become one. */
static void beginnings(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct proxy_preface p;
		size_t size = cases[i].size ? cases[i].size : cases[i].in.n;
		for (size_t n = 0; cases[i].from && n < size; n++)
			if (proxy_protocol_read(str_head(cases[i].in, n), &p) !=
			        PROXY_PROTOCOL_MORE)
				fail_msg("%s: no more after %zu bytes", cases[i].what, n);
	}
	struct proxy_preface p;
	assert_int_equal(proxy_protocol_read(STR("PROXZ"), &p), PROXY_PROTOCOL_BAD);
	assert_int_equal(proxy_protocol_read(STR("\r\n\rX"), &p), PROXY_PROTOCOL_BAD);
}

static struct sockaddr_storage at(const char *host, uint16_t port)
{
	struct sockaddr_storage a;
	assert_true(address_parse(str_c(host), port, &a));
	return a;
}

static void assert_same(const char *from, const char *to, struct str written, const char *want)
{
	struct proxy_preface p;
	char text[ADDRESS_TEXT];
	assert_int_equal(proxy_protocol_read(written, &p), PROXY_PROTOCOL_DONE);
	assert_int_equal(p.size, written.n);
	if (strcmp(shown(&p, text), want) != 0)
		fail_msg("%s to %s: read back as %s, want %s", from, to, shown(&p, text), want);
}

static void what_is_written_is_read(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to, *v1, *read;
	} ways[] = {
		{ "192.0.2.7", "10.0.0.9", "PROXY TCP4 192.0.2.7 10.0.0.9 5000 443\r\n",
		        "192.0.2.7:5000" },
		{ "::ffff:192.0.2.7", "10.0.0.9", "PROXY TCP4 192.0.2.7 10.0.0.9 5000 443\r\n",
		        "192.0.2.7:5000" },
		{ "2001:db8::7", "2001:db8::1", "PROXY TCP6 2001:db8::7 2001:db8::1 5000 443\r\n",
		        "[2001:db8::7]:5000" },
		{ "2001:db8::7", "10.0.0.9", "PROXY TCP6 2001:db8::7 ::ffff:10.0.0.9 5000 443\r\n",
		        "[2001:db8::7]:5000" },
		{ "192.0.2.7", "2001:db8::1",
		        "PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 5000 443\r\n", "192.0.2.7:5000" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		        "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 5000 443\r\n",
		        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:5000" },
	};
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		char text[PROXY_PROTOCOL_WRITTEN];
		struct sockaddr_storage from = at(ways[i].from, 5000), to = at(ways[i].to, 443);
		struct str v1 = proxy_protocol_v1(&from, &to, text);
		if (!str_eq_c(v1, ways[i].v1))
			fail_msg("got %.*s", STR_ARG(v1));
		assert_same(ways[i].from, ways[i].to, v1, ways[i].read);
		struct str v2 = proxy_protocol_v2(&from, &to, text);
		assert_same(ways[i].from, ways[i].to, v2, ways[i].read);
	}
	char text[PROXY_PROTOCOL_WRITTEN];
	assert_same("", "", proxy_protocol_v1(NULL, NULL, text), "");
	assert_same("", "", proxy_protocol_v2(NULL, NULL, text), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefaces),
		cmocka_unit_test(beginnings),
		cmocka_unit_test(what_is_written_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
