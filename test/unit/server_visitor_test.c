/* Whom a request comes from, by the peer and by what trusted proxies say. */
#include "base/buf.h"
#include "server/settings.h"
#include "server/visitor.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Trusted are 10.0.0.0/8 and 2001:db8:1::/48. */
static const struct {
	const char *peer, *client; /* client NULL: refused */
	const char *lines[3];      /* "name: value" */
} cases[] = {
	{ "192.0.2.1", "192.0.2.1", { 0 } },
	{ "10.0.0.1", "10.0.0.1", { 0 } },
	/* A stranger says what he likes. */
	{ "192.0.2.1", "192.0.2.1", { "x-forwarded-for: 198.51.100.7" } },
	{ "192.0.2.1", "192.0.2.1", { "forwarded: for=198.51.100.7" } },
	{ "10.0.0.1", "198.51.100.7", { "x-forwarded-for: 198.51.100.7" } },
	{ "10.0.0.1", "198.51.100.7", { "x-forwarded-for: 198.51.100.7:4711" } },
	{ "10.0.0.1", "2001:db8::7", { "x-forwarded-for: 2001:db8::7" } },
	{ "10.0.0.1", "2001:db8::7", { "x-forwarded-for: [2001:db8::7]" } },
	{ "10.0.0.1", "2001:db8::7", { "x-forwarded-for: [2001:db8::7]:4711" } },
	{ "2001:db8:1::5", "198.51.100.7", { "x-forwarded-for: 198.51.100.7" } },
	{ "::ffff:10.0.0.1", "198.51.100.7", { "x-forwarded-for: 198.51.100.7" } },
	/* The nearest that is not trusted; what stands before it is not even read. */
	{ "10.0.0.1", "198.51.100.7", { "x-forwarded-for: 203.0.113.9, 198.51.100.7" } },
	{ "10.0.0.1", "198.51.100.7", { "x-forwarded-for: \"; drop,198.51.100.7,10.0.0.9" } },
	{ "10.0.0.1", "198.51.100.7",
	        { "x-forwarded-for: 203.0.113.9", "x-forwarded-for: 198.51.100.7, 10.0.0.3" } },
	{ "10.0.0.1", "198.51.100.7",
	        { "x-forwarded-for: ?", "a: b", "x-forwarded-for: 198.51.100.7" } },
	/* All are trusted: the furthest. */
	{ "10.0.0.1", "10.0.0.3", { "x-forwarded-for: 10.0.0.3, 10.0.0.2" } },
	/* What is no address hides who it is. */
	{ "10.0.0.1", "10.0.0.1", { "x-forwarded-for: unknown" } },
	{ "10.0.0.1", "10.0.0.1", { "x-forwarded-for: 198.51.100.7, , 10.0.0.2" } },
	{ "10.0.0.1", "10.0.0.1", { "x-forwarded-for: 198.51.100.7," } },
	{ "10.0.0.1", "10.0.0.1", { "x-forwarded-for: " } },
	{ "10.0.0.1", "10.0.0.1", { "x-forwarded-for: 198.51.100.07" } },
	{ "10.0.0.1", "10.0.0.1", { "x-forwarded-for: 198.51.100.7:" } },
	{ "10.0.0.1", "10.0.0.1", { "x-forwarded-for: 198.51.100.7:65536" } },
	{ "10.0.0.1", "10.0.0.1", { "x-forwarded-for: 198.51.100.7:1 2" } },
	{ "10.0.0.1", "10.0.0.1", { "x-forwarded-for: [198.51.100.7]" } },
	{ "10.0.0.1", "10.0.0.1", { "x-forwarded-for: [2001:db8::7" } },
	{ "10.0.0.1", "10.0.0.1", { "x-forwarded-for: [2001:db8::7]x" } },
	{ "10.0.0.1", "10.0.0.1", { "x-forwarded-for: for=198.51.100.7" } },
	/* RFC 7239 */
	{ "10.0.0.1", "198.51.100.7", { "forwarded: for=198.51.100.7" } },
	{ "10.0.0.1", "198.51.100.7", { "forwarded: FOR=\"198.51.100.7:80\";proto=https" } },
	{ "10.0.0.1", "2001:db8::7", { "forwarded: for=\"[2001:db8::7]:80\"" } },
	{ "10.0.0.1", "198.51.100.7",
	        { "forwarded: for=203.0.113.9;host=\"a,for=1.2.3.4\" , by=_x;for=198.51.100.7" } },
	{ "10.0.0.1", "198.51.100.7", { "forwarded: for=\"", "forwarded: for=198.51.100.7" } },
	{ "10.0.0.1", "198.51.100.7", { "forwarded: ;for=198.51.100.7;, for=10.0.0.7" } },
	{ "10.0.0.1", NULL, { "forwarded: for=\", for=198.51.100.7" } },
	{ "10.0.0.1", "10.0.0.1", { "forwarded: for=unknown" } },
	{ "10.0.0.1", "10.0.0.1", { "forwarded: for=_hidden, for=10.0.0.2" } },
	{ "10.0.0.1", "10.0.0.1", { "forwarded: proto=https" } },
	{ "10.0.0.1", NULL, { "forwarded: for=198.51.100.7;for=203.0.113.9" } },
	{ "10.0.0.1", NULL, { "forwarded: for=198.51.100.7;proto=http;proto=https" } },
	{ "10.0.0.1", NULL, { "forwarded: for=\"198.51.100.\\7\"" } },
	{ "10.0.0.1", NULL, { "forwarded: for=2001:db8::7" } },
	{ "10.0.0.1", NULL, { "forwarded: for = 198.51.100.7" } },
	{ "10.0.0.1", NULL, { "forwarded: for=198.51.100.7 for=203.0.113.9" } },
	/* What every proxy sets goes before what few do. */
	{ "10.0.0.1", "198.51.100.7",
	        { "forwarded: for=203.0.113.9", "x-forwarded-for: 198.51.100.7" } },
};

static struct generation *trusting(void)
{
	struct err err;
	struct generation_builder *b = generation_begin(&(struct msg_generation){ .number = 1 });
	const char *const trusted[] = { "10.0.0.0/8", "2001:db8:1::/48" };
	for (size_t i = 0; i < 2; i++)
		assert_true(generation_row(b, MSG_trusted_proxy,
		        &(struct msg_trusted_proxy){ .cidr = str_c(trusted[i]) }, &err));
	return generation_build(&b, &err);
}

static void add_line(struct exchange *ex, const char *line)
{
	struct str text = str_c(line);
	size_t colon = str_find(text, ':');
	headers_add(&ex->request.headers, ex->arena, str_head(text, colon),
	        str_trim(str_from(text, colon + 1)));
}

static void check(const char *peer, const char *const *lines, size_t count, const char *client)
{
	ARENA_AUTO arena = ARENA_INIT;
	struct exchange ex = { .arena = &arena, .generation = trusting() };
	char text[ADDRESS_TEXT];
	assert_true(address_parse(str_c(peer), 0, &ex.client));
	for (size_t i = 0; i < count && lines[i]; i++)
		add_line(&ex, lines[i]);
	assert_int_equal(visitor_find(&ex), client != NULL);
	if (client && strcmp(address_text(&ex.client, text), client) != 0)
		fail_msg("%s by %s: %s, want %s", lines[0], peer, text, client);
	struct sockaddr_storage same;
	assert_true(address_parse(str_c(peer), 0, &same));
	assert_true(address_same_host(&ex.peer, &same));
	generation_unref(&ex.generation);
}

static void the_nearest_that_is_not_trusted(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check(cases[i].peer, cases[i].lines, 3, cases[i].client);
}

/* How the visitor came to the proxy that is furthest from us. */
static const struct {
	const char *peer, *proto;
	const char *lines[3];
} protos[] = {
	{ "10.0.0.1", "", { 0 } },
	{ "10.0.0.1", "https", { "forwarded: proto=https" } },
	{ "10.0.0.1", "https", { "forwarded: for=198.51.100.7;PROTO=HTTPS" } },
	{ "10.0.0.1", "http", { "forwarded: for=198.51.100.7;proto=\"http\"" } },
	{ "10.0.0.1", "", { "forwarded: for=198.51.100.7" } },
	{ "10.0.0.1", "", { "forwarded: proto=ftp" } },
	{ "10.0.0.1", "https", { "forwarded: for=unknown;proto=https" } },
	{ "192.0.2.1", "", { "forwarded: proto=https" } },
	{ "192.0.2.1", "", { "x-forwarded-proto: https" } },
	/* A stranger's stands before the one that the nearest proxy added. */
	{ "10.0.0.1", "http", { "forwarded: proto=https, for=198.51.100.7;proto=http" } },
	{ "10.0.0.1", "", { "forwarded: for=10.0.0.3;proto=https, for=198.51.100.7" } },
	{ "10.0.0.1", "http", { "forwarded: proto=https", "forwarded: proto=http" } },
	/* Proxies behind each other. */
	{ "10.0.0.1", "https",
	        { "forwarded: for=198.51.100.7;proto=https, for=10.0.0.2;proto=http" } },
	{ "10.0.0.1", "http", { "forwarded: proto=http", "forwarded: for=10.0.0.2;proto=https" } },
	{ "10.0.0.1", "https", { "forwarded: for=10.0.0.3;proto=https, for=10.0.0.2" } },
	{ "10.0.0.1", "", { "forwarded: for=198.51.100.7, for=10.0.0.2;proto=https" } },
	/* What every proxy sets goes before what few do. */
	{ "10.0.0.1", "https", { "x-forwarded-proto: HTTPS", "forwarded: proto=http" } },
	{ "10.0.0.1", "http", { "x-forwarded-proto: http", "forwarded: proto=https" } },
	{ "10.0.0.1", "", { "x-forwarded-proto: ", "forwarded: proto=https" } },
	{ "10.0.0.1", "https",
	        { "x-forwarded-for: 198.51.100.7", "forwarded: for=198.51.100.7;proto=https" } },
	/* It may have taken in what the proxy added. */
	{ "10.0.0.1", "", { "x-forwarded-for: 198.51.100.7", "forwarded: proto=https, \"" } },
	{ "10.0.0.1", "",
	        { "x-forwarded-for: 198.51.100.7", "forwarded: proto=http;proto=https" } },
};

static void what_it_was_that_the_proxy_was_asked_by(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof protos / sizeof *protos; i++) {
		ARENA_AUTO arena = ARENA_INIT;
		struct exchange ex = { .arena = &arena, .generation = trusting() };
		assert_true(address_parse(str_c(protos[i].peer), 0, &ex.client));
		for (size_t k = 0; k < 3 && protos[i].lines[k]; k++)
			add_line(&ex, protos[i].lines[k]);
		assert_true(visitor_find(&ex));
		if (!str_eq_c(ex.proto, protos[i].proto))
			fail_msg("%zu: \"%.*s\"", i, STR_ARG(ex.proto));
		generation_unref(&ex.generation);
	}
}

static const struct {
	const char *name;
	bool stranger, proxy; /* it passes when he says it */
} whence[] = {
	{ "forwarded", false, true },
	{ "x-forwarded", false, true },
	{ "x-forwarded-for", false, true },
	{ "x-forwarded-port", false, true },
	{ "x-forwarded-prefix", false, true },
	{ "x-forwarded-server", false, true },
	{ "x-forwarded-ssl", false, true },
	{ "x-forwarded-user", false, true },
	{ "x-original-url", false, true },
	{ "x-rewrite-url", false, true },
	{ "x-real-ip", false, true },
	{ "x-client-ip", false, true },
	{ "x-cluster-client-ip", false, true },
	{ "true-client-ip", false, true },
	{ "client-ip", false, true },
	{ "front-end-https", false, true },
	{ "x-scheme", false, true },
	{ "x-url-scheme", false, true },
	{ "script-name", false, true },
	{ "path-info", false, true },
	/* What an application cannot tell from them. */
	{ "x_forwarded_for", false, false },
	{ "x-forwarded_port", false, false },
	{ "x_forwarded-ssl", false, false },
	{ "front_end_https", false, false },
	{ "script_name", false, false },
	/* Others. */
	{ "via", true, true },
	{ "x-forwardedfor", true, true },
	{ "x-real-ips", true, true },
	{ "x-originally", true, true },
	{ "x-a_b", true, true },
	{ "path", true, true },
	{ "cookie", true, true },
	{ "accept", true, true },
};

static void assert_passes(const char *peer, const char *name, bool passes)
{
	ARENA_AUTO arena = ARENA_INIT;
	struct exchange ex = { .arena = &arena, .generation = trusting() };
	assert_true(address_parse(str_c(peer), 0, &ex.client));
	headers_add(&ex.request.headers, &arena, STR("a"), STR("1"));
	headers_add(&ex.request.headers, &arena, str_c(name), STR("for=198.51.100.7"));
	headers_add(&ex.request.headers, &arena, STR("z"), STR("1"));
	assert_true(visitor_find(&ex));
	if ((ex.request.headers.count == 3) != passes)
		fail_msg("%s of %s", name, peer);
	assert_true(headers_find(&ex.request.headers, STR("a")).p);
	assert_true(headers_find(&ex.request.headers, STR("z")).p);
	generation_unref(&ex.generation);
}

static void only_trusted_ones_say_whence_it_came(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof whence / sizeof *whence; i++) {
		assert_passes("192.0.2.1", whence[i].name, whence[i].stranger);
		assert_passes("10.0.0.1", whence[i].name, whence[i].proxy);
	}
}

/* So many hops are no way that anybody configured; whoever asks for that work does not get it. */
static void a_way_has_an_end(void **state)
{
	(void)state;
	BUF_AUTO list = BUF_INIT(4096);
	BUF_AUTO line = BUF_INIT(4096);
	buf_add_c(&list, "198.51.100.7");
	for (int i = 0; i < 40; i++)
		buf_add_c(&list, ", 10.0.0.2");
	buf_printf(&line, "x-forwarded-for: %s", buf_c(&list));
	const char *lines[] = { buf_c(&line) };
	check("10.0.0.1", lines, 1, "10.0.0.1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_nearest_that_is_not_trusted),
		cmocka_unit_test(a_way_has_an_end),
		cmocka_unit_test(what_it_was_that_the_proxy_was_asked_by),
		cmocka_unit_test(only_trusted_ones_say_whence_it_came),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
