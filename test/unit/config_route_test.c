/* Routes and rules as the file says them: what is read, and what is wrong with the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config.h"

static const struct config_source source = { .file = "f" };

static struct config *parsed(const char *text)
{
	struct err err = ERR_INIT;
	struct config *c = config_parse(&source, str_c(text), NULL, &err);
	if (!c)
		fail_msg("%s\n%s", text, err.text);
	return c;
}

static void assert_text(struct str got, const char *want)
{
	if (!str_eq_c(got, want))
		fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want);
}

#define SITE(text)  "site a.test { proxy 127.0.0.1:1; " text " }"
#define ROUTE(text) "site a.test { proxy 127.0.0.1:1; route /a/ { " text " } }"
#define SHOWN(state)                                                                               \
	"Visitors would be shown the state directory " state                                       \
	", where the keys are: name a directory that neither holds it nor lies in it.\n"
#define OWN "Everseal's own: it cannot be changed.\n"
#define WRITE                                                                                      \
	"f:1:41: Write `header set NAME VALUE`, `header add NAME VALUE` or `header remove NAME`.\n"
#define HASH                                                                                       \
	"$argon2id$v=19$m=65536,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$"                                   \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define NO_PLACE                                                                                   \
	"is no place to redirect to: write a URL such as https://www.example.com$path$query, or "  \
	"a path such as /new/$rest.\n"

static const struct {
	const char *text, *want;
} mistakes[] = {
	{ SITE("route api { respond 200 }"),
	        "f:1:40: \"api\" is no path of a route: it does not begin with /.\n" },
	{ SITE("route / { respond 200 }"),
	        "f:1:40: Every path begins with /: write what is for all of them into the site "
	        "itself.\n" },
	{ SITE("route /a//b/ { respond 200 }"),
	        "f:1:40: \"/a//b/\" is no path of a route: it has // within.\n" },
	{ SITE("route /a/../b { respond 200 }"),
	        "f:1:40: \"/a/../b\" is no path of a route: it has a dot segment.\n" },
	{ SITE("route /a/. { respond 200 }"),
	        "f:1:40: \"/a/.\" is no path of a route: it has a dot segment.\n" },
	{ SITE("route /a%20b/ { respond 200 }"),
	        "f:1:40: \"/a%20b/\" is no path of a route: it may have none of % ? # \\ ; * "
	        "(characters are written as they are, not encoded; what a path begins with is "
	        "enough).\n" },
	{ SITE("route /a/ { respond 200 }; route /a/ { respond 201 }"),
	        "f:1:67: This site has a route /a/ already, in line 1.\n" },
	{ SITE("route /a/"), "f:1:34: This route says nothing: add a block, such as `route /a/ { "
	                     "proxy ADDRESS:PORT }`.\n" },
	{ SITE("route /a/ { }"), "f:1:34: This route says nothing: add a block, such as `route "
	                         "/a/ { proxy ADDRESS:PORT }`.\n" },
	{ ROUTE("hsts 1d"), "f:1:46: `hsts` stands at top level, not in a block.\n" },
	{ ROUTE("respnd 200"),
	        "f:1:46: There is no directive \"respnd\": did you mean `respond`?\n" },
	{ ROUTE("respond 200; redirect /b"),
	        "f:1:59: `redirect` stands beside `respond` in line 1: one of them answers.\n" },
	{ ROUTE("proxy 127.0.0.1:2; respond 200"),
	        "f:1:65: `respond` stands beside `proxy` in line 1: one of them answers.\n" },
	{ ROUTE("respond 200; proxy 127.0.0.1:2"),
	        "f:1:59: `proxy` stands beside `respond` in line 1: one of them answers.\n" },
	{ SITE("respond 200"), "f:1:34: `respond` stands beside `proxy`: one of them answers.\n" },
	{ ROUTE("respond 199"), "f:1:54: \"199\" is no status of an answer: write a number from "
	                        "200 to 599.\n" },
	{ ROUTE("respond 0200"), "f:1:54: \"0200\" is no status of an answer: write a number from "
	                         "200 to 599.\n" },
	{ ROUTE("respond 204 x"), "f:1:58: An answer with 204 has no text.\n" },
	{ ROUTE("redirect /b 200"), "f:1:58: \"200\" is no status of a redirect: they are 301 302 "
	                            "303 307 308.\n" },
	{ ROUTE("redirect b"), "f:1:55: \"b\" " NO_PLACE },
	{ ROUTE("redirect //b"), "f:1:55: \"//b\" " NO_PLACE },
	{ ROUTE("redirect /$path"), "f:1:55: \"/$path\" " NO_PLACE },
	{ ROUTE("redirect /$rest/x"), "f:1:55: \"/$rest/x\" " NO_PLACE },
	{ ROUTE("redirect /$rest$path"), "f:1:55: \"/$rest$path\" " NO_PLACE },
	{ ROUTE("redirect $path"), "f:1:55: \"$path\" " NO_PLACE },
	{ ROUTE("redirect https://$rest"), "f:1:55: \"https://$rest\" " NO_PLACE },
	{ ROUTE("redirect https://b$rest"), "f:1:55: \"https://b$rest\" " NO_PLACE },
	{ ROUTE("redirect https://$path"), "f:1:55: \"https://$path\" " NO_PLACE },
	{ ROUTE("redirect https://u@b/"), "f:1:55: \"https://u@b/\" " NO_PLACE },
	{ ROUTE("redirect https:///"), "f:1:55: \"https:///\" " NO_PLACE },
	{ ROUTE("redirect javascript:b"), "f:1:55: \"javascript:b\" " NO_PLACE },
	{ ROUTE("redirect /$uri"),
	        "f:1:55: Behind $ may stand path, rest, query or host: \"$uri\" is none of "
	        "them.\n" },
	{ ROUTE("redirect '/a b'"),
	        "f:1:55: A URL has only visible ASCII characters, without \" < > # and \\: write "
	        "others as %XX.\n" },
	{ ROUTE("root srv"), "f:1:51: \"srv\" is not an absolute path: write one that begins with "
	                     "/.\n" },
	{ SITE("root /srv"), "f:1:34: `root` stands beside `proxy`: one of them answers.\n" },
	{ ROUTE("allow ten"), "f:1:52: \"ten\" is neither an IP address nor a network such as "
	                      "10.0.0.0/8.\n" },
	{ ROUTE("allow 10.0.0.0/8; deny 10.0.0.0/8"),
	        "f:1:69: 10.0.0.0/8 is named already, in line 1.\n" },
	{ ROUTE("encode br"), "f:1:53: \"br\" is unknown to `encode`: write `encode gzip` or "
	                      "`encode off`.\n" },
	{ ROUTE("basic-auth ann"), "f:1:46: `basic-auth` is incomplete: write `basic-auth USER "
	                           "HASH`.\n" },
	{ ROUTE("basic-auth a:n " HASH), "f:1:57: A name has 1 to 128 bytes, and no colon.\n" },
	{ ROUTE("basic-auth ann secret"), "f:1:61: This is no argon2id hash of a password: make "
	                                  "one by `everseal admin hash`.\n" },
	{ ROUTE("basic-auth ann @/nowhere"),
	        "f:1:61: \"/nowhere\" cannot be read: No such file or directory.\n" },
	{ ROUTE("basic-auth ann " HASH "; basic-auth ann " HASH),
	        "f:1:171: ann is named already, in line 1.\n" },
	{ ROUTE("basic-auth off; basic-auth ann " HASH),
	        "f:1:62: `basic-auth off` stands beside another `basic-auth`.\n" },
	{ ROUTE("forward-auth 127.0.0.1:2"), "f:1:59: \"127.0.0.1:2\" is no URL: write one such as "
	                                     "http://127.0.0.1:9091/verify.\n" },
	{ ROUTE("forward-auth http://127.0.0.1:2/a also B"),
	        "f:1:80: Behind the URL may stand `copy` and names of headers.\n" },
	{ ROUTE("forward-auth http://127.0.0.1:2/a copy"),
	        "f:1:80: Behind the URL may stand `copy` and names of headers.\n" },
	{ ROUTE("forward-auth http://127.0.0.1:2/ copy Host"), "f:1:84: Host is " OWN },
	{ SITE("forward-auth http://127.0.0.1:2/ copy X-Client-Cert-Subject"),
	        "f:1:72: X-Client-Cert-Subject is " OWN },
	{ SITE("header set X"), WRITE },
	{ SITE("header put X y"), WRITE },
	{ SITE("header remove X y"), WRITE },
	{ SITE("header set 'X y' z"), "f:1:45: \"X y\" is not the name of a header.\n" },
	{ SITE("header set X: z"), "f:1:45: \"X:\" is not the name of a header.\n" },
	{ SITE("header set Content-Length 1"), "f:1:45: Content-Length is " OWN },
	{ SITE("header remove transfer_encoding"), "f:1:48: transfer_encoding is " OWN },
	{ SITE("header add Content-Encoding x"), "f:1:45: Content-Encoding is " OWN },
	{ SITE("header set Strict-Transport-Security x"),
	        "f:1:45: Strict-Transport-Security is what `hsts` says: write that.\n" },
	{ SITE("request-header set Host x"), "f:1:53: Host is " OWN },
	{ SITE("request-header add X_Forwarded_For x"), "f:1:53: X_Forwarded_For is " OWN },
	{ SITE("request-header set X_Client_Cert_Other x"), "f:1:53: X_Client_Cert_Other is " OWN },
	{ SITE("request-header remove Connection"), "f:1:56: Connection is " OWN },
	{ SITE("header set X 1; header set x 2"), "f:1:61: x is named already, in line 1.\n" },
	{ SITE("header add X 1; header remove X"), "f:1:64: X is named already, in line 1.\n" },
	{ "respond 200", "f:1:1: `respond` stands in a block: `site NAME { … }`.\n" },
	{ "site a.test { allow 10.0.0.0/8 }",
	        "f:1:1: This site does not say where its application listens: add a block with "
	        "`proxy ADDRESS:PORT`.\n" },
	{ "site a.test { root /nowhere/at/all }",
	        "f:1:20: The directory /nowhere/at/all cannot be opened: No such file or "
	        "directory.\n" },
	{ "site a.test { root /dev/null }",
	        "f:1:20: The directory /dev/null cannot be opened: Not a directory.\n" },
	{ "state /usr/bin\nsite a.test { root /usr }", "f:2:20: " SHOWN("/usr/bin") },
	{ "site a.test { root /usr/lib/ }\nstate /usr", "f:1:20: " SHOWN("/usr") },
	{ "state /usr\nsite a.test { route /x/ { root /dev/../usr } }", "f:2:32: " SHOWN("/usr") },
	{ "state /not/there\nsite a.test { root / }", "f:2:20: " SHOWN("/not/there") },
};

static void mistakes_are_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
		struct err err = ERR_INIT;
		BUF_AUTO errors = BUF_INIT(64 << 10);
		struct config *c = config_parse(&source, str_c(mistakes[i].text), &errors, &err);
		if (c)
			fail_msg("nothing is wrong with %s", mistakes[i].text);
		if (strcmp(buf_c(&errors), mistakes[i].want) != 0)
			fail_msg("%s\n%swanted:\n%s", mistakes[i].text, buf_c(&errors),
			        mistakes[i].want);
	}
}

static void redirects_that_are_safe(void **state)
{
	static const char *const targets[] = { "/", "/new", "/new$path", "/$rest", "/$rest$query",
		"/new/$rest", "/?from=$path", "https://b.test", "https://b.test$path$query",
		"https://b.test/$rest$query", "http://$host:8080$path", "https://www.$host",
		"https://[::1]:8443/", "/%C3%A4/$host" };
	(void)state;
	for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
		char text[256];
		snprintf(text, sizeof text, "site a.test { redirect %s }", targets[i]);
		struct config *c = parsed(text);
		assert_text(c->sites[0].rules.text, targets[i]);
		assert_int_equal(c->sites[0].rules.status, 302);
		config_free(&c);
	}
}

static void routes_are_read(void **state)
{
	struct config *c =
	        parsed("state /tmp-not\n"
	               "site a.test {\n"
	               "  route /api/ { proxy localhost:2 [::1]:3; allow all }\n"
	               "  route /status { respond 200 'all is well' }\n"
	               "  route /caf\xc3\xa9/ { redirect /x 308; encode gzip }\n"
	               "  route /files/ { root /tmp; maintenance off; header remove X }\n"
	               "  deny 10.0.0.0/8 2001:db8::1\n"
	               "  maintenance 'Back soon.'\n"
	               "  request-header set X-Kind '{a}'\n"
	               "  header add X 1; header add X 2\n"
	               "}\n");
	const struct config_site *s = &c->sites[0];
	const struct config_route *r = s->routes;
	(void)state;
	assert_int_equal(s->route_count, 4);
	assert_int_equal(s->upstream_count, 0);
	assert_text(r[0].path, "/api");
	assert_true(r[0].beneath);
	assert_int_equal(r[0].rules.action, CONFIG_PROXY);
	assert_int_equal(r[0].applications.upstream_count, 2);
	assert_text(r[0].applications.upstreams[0].host, "127.0.0.1");
	assert_int_equal(r[0].rules.access_count, 2);
	assert_text(r[1].path, "/status");
	assert_false(r[1].beneath);
	assert_text(r[1].rules.text, "all is well");
	assert_text(r[2].path, "/caf\xc3\xa9");
	assert_int_equal(r[2].rules.status, 308);
	assert_true(r[2].rules.gzip);
	assert_text(r[3].rules.text, "/tmp");
	assert_true(r[3].rules.maintenance_set && !r[3].rules.maintenance);
	assert_int_equal(r[3].rules.header_count, 1);
	assert_int_equal(s->rules.access_count, 2);
	assert_text(s->rules.access[1].cidr, "2001:db8::1/128");
	assert_true(s->rules.maintenance);
	assert_text(s->rules.notice, "Back soon.");
	assert_int_equal(s->rules.header_count, 3);
	assert_text(s->rules.headers[0].name, "x-kind");
	assert_int_equal(s->shown_rule_count, 9);
	assert_text(s->shown_rules[0], "route /api/ { proxy localhost:2 [::1]:3; allow all }");
	assert_text(s->shown_rules[6], "request-header set X-Kind '{a}'");
	config_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(redirects_that_are_safe),
		cmocka_unit_test(routes_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
