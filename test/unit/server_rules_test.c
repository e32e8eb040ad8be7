/* Routes and rules of a site, by whole requests: which route answers, who may come, what of headers
 * and paths reaches the application. */
#include "base/buf.h"
#include "net/address.h"
#include "server/auth.h"
#include "server/client.h"
#include "server/encode.h"
#include "server/rules.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct rig {
	struct loop *loop;
	struct worker worker;
	struct generation_builder *builder;
	int64_t last_route;
	struct conn_holder far;
	struct buf heard;
	const char *from;
};
static struct rig rig;

/* The application: says what it got. */
static void answer(struct exchange *ex)
{
	BUF_AUTO text = BUF_INIT(64 << 10);
	const struct request *r = &ex->request;
	buf_printf(&text, "app %s %.*s",
	        ex->site->upstreams ? ex->site->upstreams->at[0].shown.p : "none",
	        STR_ARG(r->path));
	for (size_t i = 0; i < r->headers.count; i++)
		buf_printf(&text, " %.*s=%.*s", STR_ARG(r->headers.at[i].name),
		        STR_ARG(r->headers.at[i].value));
	exchange_answer_text(ex, 200, STR("text/x-app"), buf_str(&text));
}
static const struct handler application = { .start = answer };

static void hear(struct conn *c, unsigned events)
{
	char p[16 << 10];
	ssize_t n;
	while (events & CONN_IN && (n = conn_read(c, p, sizeof p)) > 0)
		buf_add(&rig.heard, str_n(p, (size_t)n));
}

#define ROW(name, ...)                                                                             \
	do {                                                                                       \
		struct err err_ = ERR_INIT;                                                        \
		const struct msg_##name row_ = { ._ = 0, __VA_ARGS__ };                            \
		if (!generation_row(rig.builder, MSG_##name, &row_, &err_))                        \
			fail_msg("%s", err_.text);                                                 \
	} while (0)

static void application_at(int64_t id, struct str shown)
{
	ROW(upstreams, .id = id);
	ROW(upstream, .upstreams = id, .host = STR("127.0.0.1"), .port = 1, .shown = shown,
	        .weight = 1);
}

static int setup(void **state)
{
	(void)state;
	rig = (struct rig){ .heard = BUF_INIT(1 << 20), .from = "192.0.2.7" };
	rig.loop = loop_new(&clock_system);
	worker_init(&rig.worker, rig.loop);
	rig.worker.handlers[SITE_PROXY] = &application;
	rig.worker.handlers[SITE_REDIRECT] = &redirect_handler;
	rig.worker.handlers[SITE_RESPOND] = &respond_handler;
	rig.builder = generation_begin(&(struct msg_generation){ .number = 1 });
	application_at(1, STR("main"));
	application_at(2, STR("api"));
	ROW(site, .id = 1, .name = STR("a.test"), .hsts_age = -1, .upstreams = 1);
	ROW(site_name, .site = 1, .name = STR("a.test"));
	ROW(site, .id = 2, .name = STR("plain.test"), .hsts_age = -1, .upstreams = 2);
	ROW(site_name, .site = 2, .name = STR("plain.test"));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (rig.builder)
		generation_drop(&rig.builder);
	worker_done(&rig.worker);
	loop_free(&rig.loop);
	buf_done(&rig.heard);
	return 0;
}

#define ROUTE(...) ROW(route, .id = ++rig.last_route, .site = 1, .root = -1, __VA_ARGS__)
#define ACCESS(text, allowed)                                                                      \
	ROW(route_access, .route = rig.last_route, .cidr = STR(text), .allow = (allowed))
#define HEADER(...) ROW(route_header, .route = rig.last_route, __VA_ARGS__)

static void build(void)
{
	struct err err = ERR_INIT;
	rig.worker.generation = generation_build(&rig.builder, &err);
	if (!rig.worker.generation)
		fail_msg("%s", err.text);
}

static const char *ask(const char *request)
{
	struct conn *near, *far;
	struct sockaddr_storage from;
	assert_true(address_parse(str_c(rig.from), 0, &from));
	buf_clear(&rig.heard);
	conn_pipe_new(rig.loop, 64 << 10, &near, &far);
	conn_hold(&rig.far, far, hear);
	client_new(&rig.worker, near, &from, NULL);
	struct iovec v = { (char *)(uintptr_t)request, strlen(request) };
	assert_int_equal(conn_write(far, &v, 1), strlen(request));
	for (int i = 0; i < 4; i++)
		loop_turn(rig.loop, 0);
	conn_free(&rig.far.conn);
	loop_turn(rig.loop, 0);
	return buf_c(&rig.heard);
}

#define HOST " HTTP/1.1\r\nHost: a.test\r\n\r\n"

static void assert_asked(const char *target, const char *want)
{
	char request[8192];
	snprintf(request, sizeof request, "GET %s" HOST, target);
	const char *got = ask(request);
	if (!strstr(got, want))
		fail_msg("%s: got \"%s\", want \"%s\"", target, got, want);
}

static void shop(void)
{
	ROUTE(.beneath = true, .kind = SITE_PROXY);
	ROUTE(.path = STR("/api"), .beneath = true, .kind = SITE_PROXY, .upstreams = 2);
	ROUTE(.path = STR("/api/private"), .beneath = true, .kind = SITE_RESPOND, .status = 403,
	        .text = STR("private"));
	ROUTE(.path = STR("/api/v1"), .kind = SITE_RESPOND, .status = 200, .text = STR("exact"));
	ROUTE(.path = STR("/api/v1"), .beneath = true, .kind = SITE_RESPOND, .status = 200,
	        .text = STR("beneath"));
	ROUTE(.path = STR("/caf\xc3\xa9"), .beneath = true, .kind = SITE_RESPOND, .status = 200,
	        .text = STR("coffee"));
	ROUTE(.path = STR("/admin"), .beneath = true, .kind = SITE_PROXY);
	ACCESS("10.0.0.0/8", true);
	build();
}

static void the_longest_path_answers(void **state)
{
	static const struct {
		const char *target, *want;
	} cases[] = {
		{ "/", "app main /" },
		{ "/apis", "app main /apis" },
		{ "/ap", "app main /ap" },
		{ "/API/x", "app main /API/x" },
		{ "/api", "app api /api" },
		{ "/api?x=/private", "app api /api?x=/private" },
		{ "/api/", "app api /api/" },
		{ "/api/x", "app api /api/x" },
		{ "/api/private", "HTTP/1.1 403" },
		{ "/api/private/x?y", "HTTP/1.1 403" },
		{ "/api/privates", "app api /api/privates" },
		{ "/api/v1", "exact" },
		{ "/api/v1/", "exact" },
		{ "/api/v1/x", "beneath" },
		{ "/caf%C3%A9/x", "coffee" },
		{ "/caf%c3%a9", "coffee" },
		{ "/caf%E9", "app main /caf%E9" },
	};
	(void)state;
	shop();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_asked(cases[i].target, cases[i].want);
}

/* What reaches an application is what the rules were looked up by; what could be two things is
 * refused only where that makes a difference. */
static void nothing_slips_past(void **state)
{
	static const struct {
		const char *target, *want;
	} cases[] = {
		{ "/%61pi/x", "app api /api/x" },
		{ "/x/../api/./y", "app api /api/y" },
		{ "/x/%2e%2E/api/y?z=%2e%2e", "app api /api/y?z=%2e%2e" },
		{ "/api/%2e%2e/admin", "HTTP/1.1 403" },
		{ "/%61dmin", "HTTP/1.1 403" },
		{ "/%41dmin/", "app main /Admin/" },
		{ "/admin/", "HTTP/1.1 403" },
		{ "/admin;x", "HTTP/1.1 400" },
		{ "/admin%3Bx/y", "HTTP/1.1 400" },
		{ "//admin", "HTTP/1.1 400" },
		{ "/x/..;/admin", "HTTP/1.1 400" },
		{ "/x%2F..%2Fadmin", "HTTP/1.1 400" },
		{ "/x/..%2Fadmin", "HTTP/1.1 400" },
		{ "/x/..%5Cadmin", "HTTP/1.1 400" },
		{ "/%2Fadmin", "HTTP/1.1 400" },
		{ "/%252fadmin", "HTTP/1.1 400" },
		{ "/%2561dmin", "HTTP/1.1 400" },
		{ "/x/%252e%252e/admin", "HTTP/1.1 400" },
		{ "/admin%2F..%2Fx", "HTTP/1.1 400" },
		{ "/admin%00", "HTTP/1.1 400" },
		{ "/%c0%2e", "HTTP/1.1 400" },
		{ "/../admin", "HTTP/1.1 400" },
		{ "/%", "HTTP/1.1 400" },
		{ "/x%2Fy//z;a=b/%2541", "app main /x%2Fy//z;a=b/%2541" },
		{ "/api/group%2Fname//x;y", "app api /api/group%2Fname//x;y" },
		{ "http://a.test/admin", "HTTP/1.1 403" },
		{ "http://A.TEST:80/x/../admin", "HTTP/1.1 400" },
		{ "http://a.test/x/../admin", "HTTP/1.1 403" },
		{ "http://a.test?/../admin", "app main /?/../admin" },
	};
	(void)state;
	shop();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_asked(cases[i].target, cases[i].want);
	assert_non_null(strstr(ask("GET /admin HTTP/1.0\r\nHost: a.test\r\n\r\n"), " 403 "));
	assert_non_null(strstr(ask("GET /admin HTTP/1.1\r\nHost: A.TEST.\r\n\r\n"), " 403 "));
	assert_non_null(strstr(ask("GET /admin HTTP/1.1\r\nHost: a.test:81\r\n\r\n"), " 403 "));
	assert_non_null(strstr(ask("OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n"), "app main *"));
}

static void a_long_path_of_many_readings_is_refused(void **state)
{
	char target[4096] = "/";
	(void)state;
	shop();
	memset(target + 1, 'a', 3000);
	assert_asked(target, "app main /aaa");
	memcpy(target + 3001, "%2F", 4);
	assert_asked(target, "too long to look at all of them");
}

static void without_routes_paths_stay(void **state)
{
	(void)state;
	ROUTE(.beneath = true, .kind = SITE_PROXY);
	build();
	assert_asked("/a/%2e%2e/%zz//..?%", "app main /a/%2e%2e/%zz//..?%");
	const char *got = ask("GET /%zz/../.. HTTP/1.1\r\nHost: plain.test\r\n\r\n");
	assert_non_null(strstr(got, "app api /%zz/../.."));
}

static void the_narrowest_range_decides(void **state)
{
	static const struct {
		const char *from;
		bool comes;
	} cases[] = {
		{ "10.1.2.3", true },
		{ "10.6.6.7", true },
		{ "10.6.6.6", false },
		{ "10.6.7.7", false },
		{ "192.0.2.7", false },
		{ "::ffff:10.1.2.3", true },
		{ "::ffff:10.6.6.6", false },
		{ "2001:db8::1", true },
		{ "2001:db8:1::1", false },
		{ "2001:db9::1", false },
	};
	(void)state;
	ROUTE(.beneath = true, .kind = SITE_PROXY);
	ACCESS("10.6.6.6/32", false);
	ACCESS("10.0.0.0/8", true);
	ACCESS("10.6.0.0/16", false);
	ACCESS("10.6.6.0/24", true);
	ACCESS("2001:db8::/32", true);
	ACCESS("2001:db8:1::/48", false);
	build();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		rig.from = cases[i].from;
		assert_asked("/", cases[i].comes ? "app main" : "HTTP/1.1 403");
	}
}

static void denials_alone_leave_the_rest_in(void **state)
{
	(void)state;
	ROUTE(.beneath = true, .kind = SITE_PROXY);
	ACCESS("192.0.2.0/24", false);
	build();
	assert_asked("/", "Requests from your address are not allowed here.");
	rig.from = "198.51.100.1";
	assert_asked("/", "app main");
}

static void maintenance_lets_those_in_who_are_allowed(void **state)
{
	(void)state;
	ROUTE(.beneath = true, .kind = SITE_PROXY, .maintenance = true, .notice = STR("Moving."));
	ACCESS("10.0.0.0/8", true);
	ACCESS("10.6.6.6/32", false);
	build();
	assert_asked("/", "HTTP/1.1 503");
	assert_asked("/", "retry-after: 120\r\n");
	assert_asked("/", "<p>Moving.</p>");
	rig.from = "10.6.6.6";
	assert_asked("/", "HTTP/1.1 403");
	rig.from = "10.1.1.1";
	assert_asked("/", "app main");
}

static void headers_are_changed(void **state)
{
	(void)state;
	ROUTE(.beneath = true, .kind = SITE_PROXY);
	HEADER(.change = HEADER_SET, .name = STR("x-frame-options"), .value = STR("DENY"));
	HEADER(.change = HEADER_REMOVE, .name = STR("cache-control"));
	HEADER(.change = HEADER_SET, .name = STR("content-type"), .value = STR("text/x-other"));
	HEADER(.change = HEADER_ADD, .name = STR("link"), .value = STR("</a>"));
	HEADER(.change = HEADER_ADD, .name = STR("link"), .value = STR("</b>"));
	HEADER(.request = true, .change = HEADER_SET, .name = STR("x-from"), .value = STR("us"));
	HEADER(.request = true, .change = HEADER_REMOVE, .name = STR("cookie"));
	HEADER(.request = true, .change = HEADER_ADD, .name = STR("x-more"), .value = STR("2"));
	build();
	const char *got = ask("GET / HTTP/1.1\r\nHost: a.test\r\nX-From: him\r\nX-From: her\r\n"
	                      "X_From: it\r\ncookie: b\r\n"
	                      "Cookie: a\r\nX-More: 1\r\n\r\n");
	assert_non_null(strstr(got, "app main / x-more=1 x-from=us x-more=2"));
	assert_non_null(strstr(got, "\r\nx-frame-options: DENY\r\n"));
	assert_non_null(strstr(got, "\r\nlink: </a>\r\nlink: </b>\r\n"));
	assert_non_null(strstr(got, "\r\ncontent-type: text/x-other\r\n"));
	assert_null(strstr(got, "text/x-app"));
	assert_null(strstr(got, "cache-control"));
}

static void redirects(void **state)
{
	static const struct {
		const char *target, *want;
	} cases[] = {
		{ "/old", "location: https://new.test/\r\n" },
		{ "/old/x/y?z", "location: https://new.test/x/y?z\r\n" },
		{ "/old//evil.test/", "location: https://new.test/evil.test/\r\n" },
		{ "/moved/a%20b", "location: /to/moved/a%20b\r\n" },
		{ "/moved//x", "location: /to/moved//x\r\n" },
		{ "/moved/%0d%0aX:y", "HTTP/1.1 400" },
		{ "/host/x", "location: https://a.test:8443/$1\r\n" },
		{ "/caf%C3%A9/b", "location: /b\r\n" },
	};
	(void)state;
	ROUTE(.beneath = true, .kind = SITE_PROXY);
	ROUTE(.path = STR("/old"), .beneath = true, .kind = SITE_REDIRECT, .status = 301,
	        .text = STR("https://new.test/$rest$query"));
	ROUTE(.path = STR("/moved"), .beneath = true, .kind = SITE_REDIRECT, .status = 308,
	        .text = STR("/to$path"));
	ROUTE(.path = STR("/host"), .beneath = true, .kind = SITE_REDIRECT, .status = 302,
	        .text = STR("https://$host:8443/$1"));
	ROUTE(.path = STR("/caf\xc3\xa9"), .beneath = true, .kind = SITE_REDIRECT, .status = 302,
	        .text = STR("/$rest"));
	build();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_asked(cases[i].target, cases[i].want);
	assert_asked("/old/x", "HTTP/1.1 301 ");
	assert_asked("/moved/x", "HTTP/1.1 308 ");
	assert_asked("/host/x", "HTTP/1.1 302 ");
}

static void an_asterisk_leads_to_the_root(void **state)
{
	(void)state;
	ROUTE(.beneath = true, .kind = SITE_REDIRECT, .status = 308,
	        .text = STR("https://new.test$path$query"));
	build();
	const char *got = ask("OPTIONS *" HOST);
	assert_non_null(strstr(got, "location: https://new.test/\r\n"));
}

static void answers_of_the_file(void **state)
{
	(void)state;
	ROUTE(.beneath = true, .kind = SITE_RESPOND, .status = 200, .text = STR("Hello."));
	ROUTE(.path = STR("/gone"), .beneath = true, .kind = SITE_RESPOND, .status = 410);
	ROUTE(.path = STR("/empty"), .kind = SITE_RESPOND, .status = 204);
	ROUTE(.path = STR("/none"), .beneath = true, .kind = SITE_NONE);
	build();
	assert_asked("/", "content-type: text/plain; charset=utf-8\r\n");
	assert_asked("/", "content-length: 6\r\n\r\nHello.");
	assert_asked("/gone", "HTTP/1.1 410 Gone\r\n");
	assert_asked("/gone", "content-length: 0\r\n");
	assert_asked("/empty", "HTTP/1.1 204 No Content\r\n");
	assert_asked("/none/x", "HTTP/1.1 404 ");
	const char *got = ask("HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n");
	assert_non_null(strstr(got, "content-length: 6\r\n"));
	assert_null(strstr(got, "Hello."));
}

#define TEN "0123456789"
#define LONG                                                                                       \
	TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN    \
	        TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN    \
	                TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static void answers_are_compressed(void **state)
{
	static const struct {
		const char *target, *fields;
		bool vary, gzip;
	} cases[] = {
		{ "/", "Accept-Encoding: gzip\r\n", true, true },
		{ "/", "Accept-Encoding: br, *\r\n", true, true },
		{ "/", "Accept-Encoding: gzip;q=0\r\n", true, false },
		{ "/", "", true, false },
		{ "/", "Accept-Encoding: gzip\r\nCache-Control: no-transform\r\n", false, false },
		{ "/small", "Accept-Encoding: gzip\r\n", false, false },
		{ "/cookie", "Accept-Encoding: gzip\r\n", false, false },
		{ "/encoded", "Accept-Encoding: gzip\r\n", false, false },
		{ "/part", "Accept-Encoding: gzip\r\n", false, false },
		{ "/still", "Accept-Encoding: gzip\r\n", false, false },
		{ "/image", "Accept-Encoding: gzip\r\n", false, false },
		{ "/off", "Accept-Encoding: gzip\r\n", false, false },
	};
	const struct msg_route r = {
		.beneath = true, .kind = SITE_RESPOND, .status = 200, .text = STR(LONG)
	};
	(void)state;
	ROUTE(.beneath = true, .kind = r.kind, .status = 200, .text = r.text, .gzip = true);
	HEADER(.change = HEADER_SET, .name = STR("etag"), .value = STR("\"x\""));
	HEADER(.change = HEADER_SET, .name = STR("accept-ranges"), .value = STR("bytes"));
	ROUTE(.path = STR("/small"), .kind = r.kind, .status = 200, .text = STR(TEN), .gzip = true);
	ROUTE(.path = STR("/cookie"), .kind = r.kind, .status = 200, .text = r.text, .gzip = true);
	HEADER(.change = HEADER_SET, .name = STR("set-cookie"), .value = STR("a=b"));
	ROUTE(.path = STR("/encoded"), .kind = r.kind, .status = 200, .text = r.text, .gzip = true);
	HEADER(.change = HEADER_SET, .name = STR("content-encoding"), .value = STR("br"));
	ROUTE(.path = STR("/part"), .kind = r.kind, .status = 206, .text = r.text, .gzip = true);
	ROUTE(.path = STR("/still"), .kind = r.kind, .status = 200, .text = r.text, .gzip = true);
	HEADER(.change = HEADER_SET, .name = STR("cache-control"),
	        .value = STR("public, no-transform"));
	ROUTE(.path = STR("/image"), .kind = r.kind, .status = 200, .text = r.text, .gzip = true);
	HEADER(.change = HEADER_SET, .name = STR("content-type"), .value = STR("image/png"));
	ROUTE(.path = STR("/off"), .kind = r.kind, .status = 200, .text = r.text);
	build();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char request[512];
		snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a.test\r\n%s\r\n",
		        cases[i].target, cases[i].fields);
		const char *got = ask(request);
		bool gzip = strstr(got, "content-encoding: gzip\r\n");
		bool vary = strstr(got, "vary: accept-encoding\r\n");
		if (gzip != cases[i].gzip || vary != cases[i].vary)
			fail_msg("%s %s: %s", cases[i].target, cases[i].fields, got);
		assert_int_equal(strstr(got, "\r\n\r\n" TEN) == NULL, gzip);
		assert_int_equal(strstr(got, "transfer-encoding: chunked\r\n") != NULL, gzip);
		if (i == 0) {
			assert_non_null(strstr(got, "etag: W/\"x\"\r\n"));
			assert_null(strstr(got, "accept-ranges"));
			assert_null(strstr(got, "content-length"));
		}
	}
}

/* A client's connection that has so much room. */
static ptrdiff_t room;
static ptrdiff_t take_some(struct exchange *ex, struct str piece)
{
	(void)ex, (void)piece;
	return room;
}

/* zlib keeps what repeats: nothing is given on, and the room is what there is all the same. */
static void who_compresses_knows_of_room(void **state)
{
	static const struct exchange_ops codec = { .body = take_some };
	static char zeros[1000];
	(void)state;
	ARENA_AUTO arena = ARENA_INIT;
	struct exchange ex = { .ops = &codec, .arena = &arena, .worker = &rig.worker };
	struct response head = { .status = 200, .body = BODY_LENGTH, .length = 1 << 20 };
	headers_add(&ex.request.headers, &arena, STR("accept-encoding"), STR("gzip"));
	headers_add(&head.headers, &arena, STR("content-type"), STR("text/plain"));
	encode_begin(&ex, &head);
	assert_int_equal(head.body, BODY_STREAM);
	room = 0;
	assert_int_equal(ex.ops->body(&ex, str_n(zeros, sizeof zeros)), 0);
	room = 7;
	assert_int_equal(ex.ops->body(&ex, str_n(zeros, sizeof zeros)), 7);
	encode_end(&ex);
}

static void compressing_has_its_bounds(void **state)
{
	(void)state;
	ROUTE(.beneath = true, .kind = SITE_RESPOND, .status = 200, .text = STR(LONG),
	        .gzip = true);
	HEADER(.change = HEADER_SET, .name = STR("etag"), .value = STR("\"x\""));
	build();
	const char *got = ask("HEAD / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n");
	assert_non_null(strstr(got, "content-encoding: gzip\r\n"));
	assert_non_null(strstr(got, "etag: W/\"x\"\r\n"));
	assert_true(str_ends(str_c(got), STR("\r\n\r\n")));
	assert_int_equal(rig.worker.encodings, 0);
	rig.worker.encodings = ENCODINGS_MOST; /* no more at once */
	got = ask("GET / HTTP/1.1\r\nHost: a.test\r\nAccept-Encoding: gzip\r\n\r\n");
	assert_non_null(strstr(got, "vary: accept-encoding\r\n"));
	assert_non_null(strstr(got, "\r\n\r\n" TEN));
}

/* --- basic-auth, with the test in control's place */

static struct {
	unsigned count;
	int64_t id;
	char said[256];
} asked;

static void hear_question(struct worker *w, enum msg_type type, const void *fields)
{
	const struct msg_check_password *m = fields;
	(void)w;
	if (type != MSG_check_password)
		return;
	asked.count++;
	asked.id = m->id;
	snprintf(asked.said, sizeof asked.said, "%.*s %.*s %.*s:%.*s", STR_ARG(m->users),
	        STR_ARG(m->client), STR_ARG(m->user), STR_ARG(m->password));
}

static void control_says(enum password_verdict verdict, int64_t wait)
{
	auth_heard(&rig.worker,
	        &(struct msg_password_checked){ .id = asked.id, .verdict = verdict, .wait = wait });
	for (int i = 0; i < 4; i++)
		loop_turn(rig.loop, 0);
}

/* The connection stays open until the next request. */
static void knock(const char *target, const char *credentials)
{
	struct conn *near, *far;
	struct sockaddr_storage from;
	char request[1024];
	if (rig.far.conn)
		conn_free(&rig.far.conn);
	assert_true(address_parse(str_c(rig.from), 0, &from));
	buf_clear(&rig.heard);
	conn_pipe_new(rig.loop, 64 << 10, &near, &far);
	conn_hold(&rig.far, far, hear);
	client_new(&rig.worker, near, &from, NULL);
	snprintf(request, sizeof request,
	        "GET %s HTTP/1.1\r\nHost: a.test\r\nAuthorization: Basic %s\r\n\r\n", target,
	        credentials);
	struct iovec v = { request, strlen(request) };
	assert_int_equal(conn_write(far, &v, 1), strlen(request));
	for (int i = 0; i < 4; i++)
		loop_turn(rig.loop, 0);
}

#define ANN   "YW5uOnNlY3JldA==" /* ann:secret */
#define WRONG "YW5uOndyb25n"     /* ann:wrong */

static void heard(const char *want)
{
	if (!strstr(buf_c(&rig.heard), want))
		fail_msg("got \"%s\", want \"%s\"", buf_c(&rig.heard), want);
}

static void passwords_are_asked_of_control(void **state)
{
	(void)state;
	asked.count = 0;
	rig.worker.tell = hear_question;
	ROUTE(.beneath = true, .kind = SITE_PROXY, .users = STR("first"));
	ROUTE(.path = STR("/other"), .beneath = true, .kind = SITE_PROXY, .users = STR("second"));
	build();
	knock("/", ANN);
	assert_int_equal(rig.heard.n, 0);
	assert_string_equal(asked.said, "first 192.0.2.7 ann:secret");
	control_says(PASSWORD_FITS, 0);
	heard("app main /");
	knock("/x", ANN);
	heard("app main /x");
	assert_int_equal(asked.count, 1);
	knock("/other", ANN); /* another list is another question */
	assert_int_equal(asked.count, 2);
	assert_string_equal(asked.said, "second 192.0.2.7 ann:secret");
	int64_t right = asked.id;
	asked.id = right + 1; /* what was not asked */
	control_says(PASSWORD_FITS, 0);
	assert_int_equal(rig.heard.n, 0);
	asked.id = right;
	control_says(PASSWORD_WRONG, 0);
	heard("HTTP/1.1 401 ");
	heard("www-authenticate: Basic realm=\"a.test\", charset=\"UTF-8\"\r\n");
	knock("/", WRONG);
	assert_int_equal(asked.count, 3);
	control_says(PASSWORD_WAIT, 1500);
	heard("HTTP/1.1 429 ");
	heard("retry-after: 2\r\n");
	knock("/", WRONG);
	control_says(PASSWORD_BUSY, 0);
	heard("HTTP/1.1 503 ");
	knock("/", WRONG); /* the client leaves before the answer */
	conn_reset(&rig.far.conn);
	for (int i = 0; i < 4; i++)
		loop_turn(rig.loop, 0);
	control_says(PASSWORD_FITS, 0);
	knock("/", WRONG);
	heard("app main /"); /* it was right all the same */
	conn_free(&rig.far.conn);
}

static void rows_that_do_not_fit(void **state)
{
	static const struct {
		struct msg_route row;
		const char *why;
	} cases[] = {
		{ { .path = STR_INIT("api"), .beneath = true }, "api is no path of a route." },
		{ { .path = STR_INIT("/api/"), .beneath = true }, "/api/ is no path of a route." },
		{ { .path = STR_INIT("/"), .beneath = true }, "/ is no path of a route." },
		{ { .beneath = false }, " is no path of a route." },
		{ { .path = STR_INIT("/a"), .kind = 99 }, "The route /a is of no known kind." },
		{ { .path = STR_INIT("/a"), .kind = SITE_RESPOND, .status = 101 },
		        "The route /a answers with 101." },
		{ { .path = STR_INIT("/a"), .kind = SITE_REDIRECT, .status = 600 },
		        "The route /a answers with 600." },
	};
	struct err err = ERR_INIT;
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct msg_route row = cases[i].row;
		row.root = -1;
		assert_false(generation_row(rig.builder, MSG_route, &row, &err));
		assert_string_equal(err.text, cases[i].why);
	}
	ROUTE(.path = STR("/a"), .beneath = true);
	const struct msg_route_access stray = { .route = 9, .cidr = STR("::/0") };
	assert_false(generation_row(rig.builder, MSG_route_access, &stray, &err));
	assert_string_equal(err.text, "A row speaks of route 9, which is not the last one.");
	assert_null(generation_build(&rig.builder, &err));
	assert_string_equal(err.text, "The site a.test has routes and none for the rest.");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(the_longest_path_answers),
		CASE(nothing_slips_past),
		CASE(a_long_path_of_many_readings_is_refused),
		CASE(without_routes_paths_stay),
		CASE(the_narrowest_range_decides),
		CASE(denials_alone_leave_the_rest_in),
		CASE(maintenance_lets_those_in_who_are_allowed),
		CASE(headers_are_changed),
		CASE(redirects),
		CASE(an_asterisk_leads_to_the_root),
		CASE(answers_of_the_file),
		CASE(answers_are_compressed),
		CASE(who_compresses_knows_of_room),
		CASE(compressing_has_its_bounds),
		CASE(passwords_are_asked_of_control),
		CASE(rows_that_do_not_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
