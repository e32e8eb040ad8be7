/* The server without a port: requests through memory, a clock that is advanced by hand. */
#include "certs/table.h"
#include "keys/keys.h"
#include "net/address.h"
#include "server/client.h"
#include "server/settings.h"
#include "tls/tls.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { PIPE = 32 << 10 };

struct rig {
	struct clock_fake clock;
	struct loop *loop;
	struct worker worker;
	struct challenges challenges;
	struct conn_holder client; /* the far end */
	struct buf heard;
	bool ended, failed, deaf;
	struct buf told; /* what the worker told control */
};

static struct rig *rig; /* of the test that runs */

/* A handler whose answer depends on the path. */
struct answering {
	struct handling handling;
	struct exchange *ex;
	struct buf body;
	size_t left; /* of /big */
};
static struct answering *held; /* the exchange of /hold and /long */
static unsigned gone_count;

static struct answering *answering_of(struct handling *h)
{
	return OWNER(h, struct answering, handling);
}

static void drop(struct answering *a)
{
	if (held == a)
		held = NULL;
	buf_done(&a->body);
	free(a);
}

static void answer_text(struct answering *a, const char *text)
{
	struct exchange *ex = a->ex;
	struct response head = { .status = 200, .body = BODY_LENGTH, .length = strlen(text) };
	exchange_respond(ex, &head);
	(void)exchange_body(ex, str_c(text));
	drop(a);
	exchange_end(ex);
}

static void on_body(struct handling *h, struct str piece)
{
	struct answering *a = answering_of(h);
	buf_add(&a->body, piece);
	exchange_want(a->ex, 5);
}

static void on_body_end(struct handling *h)
{
	struct answering *a = answering_of(h);
	BUF_AUTO text = BUF_INIT(1 << 20);
	buf_printf(&text, "got %.*s", STR_ARG(buf_str(&a->body)));
	answer_text(a, buf_c(&text));
}

static void send_big(struct answering *a)
{
	static const char zeros[16 << 10];
	ptrdiff_t room = 1;
	while (a->left > 0 && room > 0) {
		size_t n = a->left < sizeof zeros ? a->left : sizeof zeros;
		a->left -= n;
		room = exchange_body(a->ex, str_n(zeros, n));
	}
	if (a->left > 0)
		return;
	struct exchange *ex = a->ex;
	drop(a);
	exchange_end(ex);
}

static void on_room(struct handling *h)
{
	send_big(answering_of(h));
}

static void on_gone(struct handling *h)
{
	gone_count++;
	drop(answering_of(h));
}

static const struct handling_ops answering_ops = { on_body, on_body_end, on_room, on_gone };

static void start_big(struct answering *a, enum body_kind kind)
{
	a->left = 1 << 20;
	struct response head = { .status = 200, .body = kind, .length = a->left };
	exchange_respond(a->ex, &head);
	send_big(a);
}

static void answer_chunks(struct answering *a, bool whole)
{
	struct exchange *ex = a->ex;
	struct response hints = { .status = 103 }, head = { .status = 200, .body = BODY_CLOSE };
	exchange_respond(ex, &hints);
	exchange_respond(ex, &head);
	(void)exchange_body(ex, STR("ab"));
	(void)exchange_body(ex, STR("cde"));
	drop(a);
	if (whole)
		exchange_end(ex);
	else
		exchange_abort(ex, "The application broke off.");
}

static void break_off(struct answering *a)
{
	struct exchange *ex = a->ex;
	drop(a);
	exchange_abort(ex, "The application is <gone>.");
}

static void start(struct exchange *ex)
{
	struct answering *a = mem_new(struct answering);
	a->handling.ops = &answering_ops;
	a->ex = ex;
	a->body = BUF(1 << 20);
	ex->handling = &a->handling;
	struct str path = ex->request.path;
	if (str_eq(path, STR("/chunks")))
		answer_chunks(a, true);
	else if (str_eq(path, STR("/cut")))
		answer_chunks(a, false);
	else if (str_eq(path, STR("/fail")))
		break_off(a);
	else if (str_eq(path, STR("/big")))
		start_big(a, BODY_LENGTH);
	else if (str_eq(path, STR("/hold")))
		held = a;
	else if (ex->request.body != BODY_NONE && !str_eq(path, STR("/unread")))
		exchange_want(ex, 5);
	else
		answer_text(a, arena_printf(ex->arena, "%.*s", STR_ARG(path)).p);
}

static const struct handler test_handler = { .start = start };

static void tell(struct worker *w, enum msg_type type, const void *fields)
{
	(void)w;
	if (type == MSG_log)
		buf_add(&rig->told, ((const struct msg_log *)fields)->text);
	else if (type == MSG_seen)
		buf_printf(
		        &rig->told, "seen %.*s", STR_ARG(((const struct msg_seen *)fields)->site));
	else if (type == MSG_challenge_seen)
		buf_printf(&rig->told, "fetched %.*s by %.*s",
		        STR_ARG(((const struct msg_challenge_seen *)fields)->token),
		        STR_ARG(((const struct msg_challenge_seen *)fields)->client));
	else if (type == MSG_hsts_sent)
		buf_printf(&rig->told, "hsts %lld",
		        (long long)((const struct msg_hsts_sent *)fields)->age);
	buf_add_char(&rig->told, '\n');
}

static void far_ready(struct conn *c, unsigned events)
{
	char p[4096];
	if (rig->deaf || !(events & CONN_IN))
		return;
	for (ssize_t n; (n = conn_read(c, p, sizeof p)) != CONN_AGAIN;) {
		rig->ended = n == 0;
		rig->failed = n == CONN_FAILED;
		if (n <= 0)
			return;
		buf_add(&rig->heard, str_n(p, (size_t)n));
	}
}

static struct generation *generation_of_rows(void)
{
	struct err err;
	struct msg_generation begin = { .number = 1, .thumbprint = STR("DEFAULT") };
	struct generation_builder *b = generation_begin(&begin);
	const struct msg_site sites[] = {
		{ .id = 7, .name = STR("shop.test"), .hsts_age = 300, .hsts_subdomains = true },
		{ .id = 3,
		        .name = STR("safe.test"),
		        .hsts_age = -1,
		        .force_ssl = true,
		        .url_port = 8443 },
		{ .id = 5, .name = STR("pass.test"), .hsts_age = 0, .challenge_pass = true },
		{ .id = 6, .name = STR("empty.test"), .kind = SITE_NONE, .hsts_age = -1 },
	};
	for (size_t i = 0; i < sizeof sites / sizeof *sites; i++) {
		struct msg_site_name name = { .site = sites[i].id, .name = sites[i].name };
		assert_true(generation_row(b, MSG_site_name, &name, &err));
		assert_true(generation_row(b, MSG_site, &sites[i], &err));
	}
	struct msg_site_name wildcard = { .site = 7, .name = STR("*.shop.test") };
	assert_true(generation_row(b, MSG_site_name, &wildcard, &err));
	struct msg_site_name address = { .site = 7, .name = STR("2001:db8::7") };
	assert_true(generation_row(b, MSG_site_name, &address, &err));
	struct msg_limit limit = { .name = STR("body-most"), .value = 1000 };
	assert_true(generation_row(b, MSG_limit, &limit, &err));
	struct msg_trusted_proxy trusted = { .cidr = STR("198.51.100.0/24") };
	assert_true(generation_row(b, MSG_trusted_proxy, &trusted, &err));
	struct generation *g = generation_build(&b, &err);
	assert_non_null(g);
	return g;
}

static void add_certificate(struct segments *s, const char *name, unsigned flags)
{
	struct err err;
	struct str names[] = { str_c(name) };
	KEY_AUTO *key = key_new(KEY_P256, &err);
	BUF_AUTO der = BUF_INIT(64 << 10);
	assert_true(key_self_signed(key, names, 1, 0, DAY, &der, &err));
	SECRET_AUTO secret = key_to_der(key);
	struct cert_record r = {
		.flags = flags, .leaf = buf_str(&der), .key = secret_bytes(&secret)
	};
	uint64_t number;
	assert_true(segments_add(s, names, 1, &r, &number, &err));
}

static struct cert_table *certificates(void)
{
	struct err err;
	struct segments *s = segments_new();
	add_certificate(s, "shop.test", 0);
	add_certificate(s, "safe.test", 0);
	add_certificate(s, "pass.test", CERT_TEMPORARY);
	add_certificate(s, "2001:db8::7", 0);
	struct cert_table *t = cert_table_new();
	assert_true(cert_table_map(t, 0, dup(segments_fd(s, 0)), &err));
	assert_true(cert_table_advance(t, 0, segments_valid(s, 0), &err));
	segments_free(&s);
	return t;
}

static int setup(void **state)
{
	rig = mem_new(struct rig);
	*state = rig;
	gone_count = 0;
	held = NULL;
	clock_fake_init(&rig->clock, INT64_C(1795535009) * SECOND);
	rig->loop = loop_new(&rig->clock.clock);
	rig->heard = BUF(8 << 20);
	rig->told = BUF(1 << 20);
	struct worker *w = &rig->worker;
	worker_init(w, rig->loop);
	w->generation = generation_of_rows();
	w->certs = certificates();
	w->challenges = &rig->challenges;
	w->handlers[SITE_PROXY] = &test_handler;
	w->tell = tell;
	challenge_open(&rig->challenges, STR("abcdefghijklmnop"), STR("THUMB"));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	worker_done(&rig->worker);
	tls_worker_free(&rig->worker.tls);
	cert_table_free(&rig->worker.certs);
	challenges_done(&rig->challenges);
	conn_free(&rig->client.conn);
	loop_free(&rig->loop);
	buf_done(&rig->heard);
	buf_done(&rig->told);
	free(rig);
	return 0;
}

/* A connection from that address, which ends the one before. */
static struct client *connect_to(const char *from, const struct listener_row *listener)
{
	struct sockaddr_storage a;
	struct conn *near, *far;
	assert_true(address_parse(str_c(from), 1, &a));
	conn_free(&rig->client.conn);
	for (int i = 0; i < 5; i++)
		loop_turn(rig->loop, 0);
	buf_clear(&rig->heard);
	rig->ended = rig->failed = false;
	conn_pipe_new(rig->loop, PIPE, &near, &far);
	conn_hold(&rig->client, far, far_ready);
	client_new(&rig->worker, near, &a, listener);
	return OWNER(list_last(&rig->worker.connections), struct client, node);
}

static struct client *connect_from(const char *from)
{
	return connect_to(from, NULL);
}

static void settle(void)
{
	for (int i = 0; i < 40; i++)
		loop_turn(rig->loop, 0);
}

static void pass(int64_t ms)
{
	clock_fake_advance(&rig->clock, ms);
	settle();
}

static void say(const char *text)
{
	struct iovec v = { (char *)text, strlen(text) };
	assert_int_equal(conn_write(rig->client.conn, &v, 1), (ssize_t)v.iov_len);
	settle();
}

static bool heard(const char *text)
{
	return strstr(buf_c(&rig->heard), text) != NULL;
}

static unsigned count_of(const char *text)
{
	unsigned count = 0;
	for (const char *p = buf_c(&rig->heard); (p = strstr(p, text)); p++)
		count++;
	return count;
}

static void assert_heard(const char *text)
{
	if (!heard(text))
		fail_msg("not heard: %s\nbut:\n%s", text, buf_c(&rig->heard));
}

#define GET(path)  "GET " path " HTTP/1.1\r\nHost: shop.test\r\n\r\n"
#define POST(path) "POST " path " HTTP/1.1\r\nHost: shop.test\r\n"
#define CHALLENGE  "/.well-known/acme-challenge/"

/* What is said, three things that are heard, and whether the connection is then closed. */
enum { KEPT, CLOSED };
struct dialogue {
	int then;
	const char *say, *heard[3];
};

static const struct dialogue dialogues[] = {
	{ KEPT, GET("/a"), { "HTTP/1.1 200 OK\r\n", "content-length: 2\r\n", "\r\n\r\n/a" } },
	{ KEPT, GET("/a"), { "date: Tue, 24 Nov 2026 15:43:29 GMT\r\n" } },
	{ CLOSED, "GET /a HTTP/1.0\r\nHost: shop.test\r\n\r\n",
	        { "200", "connection: close\r\n" } },
	{ KEPT, "GET /a HTTP/1.0\r\nHost: shop.test\r\nConnection: keep-alive\r\n\r\n",
	        { "200", "connection: keep-alive\r\n" } },
	{ CLOSED, "GET /a HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n",
	        { "200", "connection: close\r\n" } },
	{ KEPT, "HEAD /abc HTTP/1.1\r\nHost: shop.test\r\n\r\n",
	        { "200", "content-length: 4\r\n" } },
	{ KEPT, GET("/chunks"),
	        { "HTTP/1.1 103 ", "transfer-encoding: chunked\r\n",
	                "\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n" } },
	{ CLOSED, "GET /chunks HTTP/1.0\r\nHost: shop.test\r\n\r\n", { "200", "\r\n\r\nabcde" } },
	{ CLOSED, GET("/cut"), { "2\r\nab\r\n3\r\ncde\r\n" } },
	{ KEPT, GET("/fail"), { "502 Bad Gateway", "The application is &lt;gone>.", "no-store" } },
	{ KEPT, POST("/echo") "Content-Length: 12\r\n\r\nhello, world", { "got hello, world" } },
	{ KEPT,
	        POST("/echo") "Transfer-Encoding: chunked\r\n\r\n6\r\nhello,\r\n6;a=b\r\n "
	                      "world\r\n0\r\n\r\n",
	        { "got hello, world" } },
	{ KEPT, POST("/unread") "Content-Length: 12\r\n\r\nhello, world" GET("/b"),
	        { "\r\n\r\n/unread", "\r\n\r\n/b" } },
	{ CLOSED, POST("/unread") "Content-Length: 900\r\nExpect: 100-continue\r\n\r\n",
	        { "/unread" } },
	{ CLOSED, POST("/echo") "Content-Length: 2000\r\n\r\n", { "413 ", "too long" } },
	{ CLOSED, POST("/echo") "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", { "400 " } },
	{ KEPT, GET("/1") GET("/2") GET("/3"),
	        { "\r\n\r\n/1HTTP", "\r\n\r\n/2HTTP", "\r\n\r\n/3" } },
	{ CLOSED, "GET / HTTP/1.1\r\n\r\n", { "400 Bad Request", "connection: close" } },
	{ CLOSED, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", { "400 " } },
	{ CLOSED, "nonsense\r\n\r\n", { "400 " } },
	{ KEPT, "GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n",
	        { "421 Misdirected Request", "No site named nobody.test is served here." } },
	{ KEPT, "GET / HTTP/1.1\r\nHost: deep.er.shop.test\r\n\r\n", { "421 " } },
	{ KEPT, "GET /w HTTP/1.1\r\nHost: www.shop.test:8080\r\n\r\n", { "200", "\r\n\r\n/w" } },
	{ KEPT, "GET / HTTP/1.1\r\nHost: empty.test\r\n\r\n", { "404 ", "No application" } },
	{ KEPT, "GET /a?b=c HTTP/1.1\r\nHost: safe.test:80\r\n\r\n",
	        { "301 ", "location: https://safe.test:8443/a?b=c\r\n", "content-length: 0" } },
	{ KEPT, "DELETE /a HTTP/1.1\r\nHost: safe.test\r\n\r\n",
	        { "308 ", "location: https://safe.test:8443/a\r\n" } },
	{ KEPT, "GET " CHALLENGE "abcdefghijklmnop HTTP/1.1\r\nHost: whoever\r\n\r\n",
	        { "200", "application/octet-stream", "\r\n\r\nabcdefghijklmnop.THUMB" } },
	{ KEPT, "HEAD " CHALLENGE "abcdefghijklmnop HTTP/1.1\r\nHost: safe.test\r\n\r\n",
	        { "200", "content-length: 22" } },
	{ KEPT, "GET " CHALLENGE "abcdefghijklmno_ HTTP/1.1\r\nHost: safe.test\r\n\r\n",
	        { "200", "abcdefghijklmno_.DEFAULT" } },
	{ KEPT, "GET " CHALLENGE "short HTTP/1.1\r\nHost: safe.test\r\n\r\n", { "404 " } },
	{ KEPT, "GET " CHALLENGE "abcdefghijklmnop%20 HTTP/1.1\r\nHost: safe.test\r\n\r\n",
	        { "404 " } },
	{ KEPT, "POST " CHALLENGE "abcdefghijklmnop HTTP/1.1\r\nHost: safe.test\r\n\r\n",
	        { "404 " } },
	{ KEPT, "GET " CHALLENGE "abcdefghijklmnop HTTP/1.1\r\nHost: pass.test\r\n\r\n",
	        { "nop.THUMB" } },
	{ KEPT, "GET " CHALLENGE "ponmlkjihgfedcba HTTP/1.1\r\nHost: pass.test\r\n\r\n",
	        { "200", "\r\n\r\n" CHALLENGE "ponmlkjihgfedcba" } },
};

static void every_dialogue(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof dialogues / sizeof *dialogues; i++) {
		const struct dialogue *d = &dialogues[i];
		connect_from("127.0.0.1");
		say(d->say);
		for (size_t k = 0; k < 3 && d->heard[k]; k++)
			assert_heard(d->heard[k]);
		if (rig->ended != (d->then == CLOSED))
			fail_msg("%s: ended %d\n%s", d->say, rig->ended, buf_c(&rig->heard));
		assert_false(heard("strict-transport-security"));
	}
}

/* However the bytes are cut, the answers are the same. */
static void byte_by_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof dialogues / sizeof *dialogues; i++) {
		const struct dialogue *d = &dialogues[i];
		connect_from("127.0.0.1");
		for (const char *p = d->say; *p && !rig->ended; p++) {
			char one[2] = { *p };
			say(one);
		}
		for (size_t k = 0; k < 3 && d->heard[k]; k++)
			assert_heard(d->heard[k]);
		assert_int_equal(rig->ended, (d->then == CLOSED));
	}
}

static void head_has_no_content(void **state)
{
	(void)state;
	connect_from("127.0.0.1");
	say("HEAD /abc HTTP/1.1\r\nHost: shop.test\r\n\r\n"
	    "HEAD /x HTTP/1.1\r\nHost: nobody.test\r\n\r\n");
	assert_int_equal(count_of("HTTP/1.1 "), 2);
	assert_false(heard("/abc"));
	assert_false(heard("<"));
}

static void continues_when_wanted(void **state)
{
	(void)state;
	connect_from("127.0.0.1");
	say(POST("/echo") "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
	assert_string_equal(buf_c(&rig->heard), "HTTP/1.1 100 Continue\r\n\r\n");
	say("abc");
	assert_heard("got abc");
	buf_clear(&rig->heard);
	say(POST("/echo") "Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc");
	assert_heard("got abc");
	assert_false(heard("100 Continue"));
}

static void half_closed_client_is_served(void **state)
{
	(void)state;
	connect_from("127.0.0.1");
	say(GET("/hold"));
	conn_shutdown(rig->client.conn);
	settle();
	assert_non_null(held);
	answer_text(held, "late");
	settle();
	assert_heard("\r\n\r\nlate");
	assert_true(rig->ended);
}

static void client_that_leaves_is_told(void **state)
{
	(void)state;
	connect_from("127.0.0.1");
	say(GET("/hold"));
	assert_non_null(held);
	conn_reset(&rig->client.conn);
	settle();
	assert_int_equal(gone_count, 1);
	assert_int_equal(rig->worker.connection_count, 0);
}

static void cut_off_body_is_told(void **state)
{
	(void)state;
	connect_from("127.0.0.1");
	say(POST("/echo") "Content-Length: 10\r\n\r\nabc");
	conn_shutdown(rig->client.conn);
	settle();
	assert_int_equal(gone_count, 1);
	assert_heard("400 ");
	assert_true(rig->ended);
}

static void big_answer_waits_for_the_reader(void **state)
{
	(void)state;
	connect_from("127.0.0.1");
	rig->deaf = true;
	say(GET("/big"));
	assert_int_equal(gone_count, 0);
	rig->deaf = false;
	for (int i = 0; i < 100 && rig->heard.n < (1 << 20); i++) {
		far_ready(rig->client.conn, CONN_IN);
		settle();
	}
	assert_heard("content-length: 1048576\r\n");
	size_t head = (size_t)(strstr(buf_c(&rig->heard), "\r\n\r\n") - rig->heard.p) + 4;
	assert_int_equal(rig->heard.n - head, 1 << 20);
}

static void slow_reader_is_cut_off(void **state)
{
	(void)state;
	connect_from("127.0.0.1");
	rig->deaf = true;
	say(GET("/big"));
	pass(59 * SECOND);
	assert_int_equal(gone_count, 0);
	pass(2 * SECOND);
	assert_int_equal(gone_count, 1);
	assert_int_equal(rig->worker.connection_count, 0);
	rig->deaf = false;
	settle();
}

static void late_heads_and_bodies(void **state)
{
	(void)state;
	static const struct {
		const char *say;
		int64_t after;
		const char *heard; /* NULL: closed without a word */
	} cases[] = {
		{ "", 10 * SECOND, NULL },
		{ "GET / HT", 10 * SECOND, "408 Request Timeout" },
		{ POST("/echo") "Content-Length: 10\r\n\r\nab", 60 * SECOND,
		        "408 Request Timeout" },
		{ GET("/a"), 75 * SECOND, "200" },
		{ GET("/a") "GET", 10 * SECOND, "408 Request Timeout" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		connect_from("127.0.0.1");
		say(cases[i].say);
		pass(cases[i].after - 10);
		assert_false(rig->ended);
		pass(20);
		assert_true(rig->ended);
		if (cases[i].heard)
			assert_heard(cases[i].heard);
		else
			assert_int_equal(rig->heard.n, 0);
	}
}

/* One byte every nine seconds keeps nobody waiting for longer than the head's time-out. */
static void trickled_head_gains_nothing(void **state)
{
	(void)state;
	connect_from("127.0.0.1");
	say("G");
	pass(9 * SECOND);
	say("E");
	pass(2 * SECOND);
	assert_heard("408 ");
	assert_true(rig->ended);
}

/* Requests that come with the beginning of the next one: each head has its own time. */
static void heads_in_a_row_have_their_own_time(void **state)
{
	(void)state;
	connect_from("127.0.0.1");
	say("GET /a HTTP/1.1\r\n");
	for (unsigned i = 1; i <= 5; i++) {
		pass(6 * SECOND);
		say("Host: shop.test\r\n\r\nGET /a HTTP/1.1\r\n");
		assert_int_equal(count_of("200 OK"), i);
	}
	pass(9 * SECOND);
	assert_false(rig->ended);
	pass(2 * SECOND);
	assert_heard("408 ");
}

static void an_answer_may_take_its_time(void **state)
{
	(void)state;
	for (int whole = 0; whole < 2; whole++) {
		connect_from("127.0.0.1");
		if (!whole)
			say("GET /hold HTTP/1.1\r\n");
		say(whole ? GET("/hold") : "Host: shop.test\r\n\r\n");
		pass(HOUR);
		assert_non_null(held);
		answer_text(held, "at last");
		settle();
		assert_heard("at last");
	}
}

/* Who sends all before he reads still gets the answer that came early. */
static void early_answer_reaches_a_busy_sender(void **state)
{
	(void)state;
	static char megabyte[1 << 20];
	connect_from("127.0.0.1");
	say(POST("/unread") "Content-Length: 90000000\r\n\r\n");
	assert_heard("413 ");
	for (unsigned i = 0; i < 29; i++) {
		for (size_t sent = 0; sent < sizeof megabyte; settle()) {
			struct iovec v = { megabyte, sizeof megabyte - sent };
			ssize_t n = conn_write(rig->client.conn, &v, 1);
			assert_true(n > 0);
			sent += (size_t)n;
		}
		pass(SECOND);
		assert_int_equal(rig->worker.connection_count, 1);
	}
	say("x");
	pass(1500);
	say("x"); /* a byte now and then holds nothing for ever */
	assert_int_equal(rig->worker.connection_count, 0);
}

static void drains(void **state)
{
	(void)state;
	connect_from("127.0.0.1");
	say(GET("/hold"));
	worker_drain(&rig->worker, /* patient= */ false);
	settle();
	assert_int_equal(rig->worker.connection_count, 1);
	answer_text(held, "last");
	settle();
	assert_heard("connection: close\r\n");
	assert_heard("last");
	assert_int_equal(rig->worker.connection_count, 0);
}

static void idle_ends_at_drain(void **state)
{
	(void)state;
	connect_from("127.0.0.1");
	say(GET("/a"));
	worker_drain(&rig->worker, /* patient= */ false);
	settle();
	assert_true(rig->ended);
}

static void one_more_at_a_patient_drain(void **state)
{
	(void)state;
	connect_from("127.0.0.1");
	worker_drain(&rig->worker, /* patient= */ true);
	say(GET("/b"));
	assert_heard("connection: close\r\n");
	assert_true(rig->ended);
}

static void hsts(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		bool tls, temporary;
		const char *header; /* NULL: none */
	} cases[] = {
		{ "shop.test", true, false,
		        "strict-transport-security: max-age=300; includeSubDomains\r\n" },
		{ "shop.test", true, true, NULL },
		{ "shop.test", false, false, NULL },
		{ "safe.test", true, false, NULL },
		{ "pass.test", true, false, NULL },     /* its own certificate is temporary */
		{ "www.shop.test", true, false, NULL }, /* has no certificate */
		{ "[2001:db8::7]", true, false, NULL },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct client *c = connect_from("127.0.0.1");
		c->tls = cases[i].tls;
		c->temporary = cases[i].temporary;
		char text[200];
		snprintf(
		        text, sizeof text, "GET /fail HTTP/1.1\r\nHost: %s\r\n\r\n", cases[i].host);
		say(text);
		assert_int_equal(heard("strict-transport-security"), cases[i].header != NULL);
		if (cases[i].header)
			assert_heard(cases[i].header);
	}
	assert_string_equal(buf_c(&rig->told), "hsts 300\n");
	pass(HOUR + 1);
	struct client *c = connect_from("127.0.0.1");
	c->tls = true;
	say(GET("/a") GET("/b"));
	assert_string_equal(buf_c(&rig->told), "hsts 300\nhsts 300\n");
}

static void visitors_from_outside(void **state)
{
	(void)state;
	static const struct {
		const char *from, *host;
		bool told;
	} cases[] = {
		{ "127.0.0.1", "shop.test", false },
		{ "198.51.100.7", "shop.test", false }, /* a trusted proxy */
		{ "203.0.113.5", "shop.test", true },
		{ "203.0.113.6", "shop.test", false }, /* within a minute */
		{ "203.0.113.6", "empty.test", true },
		{ "203.0.113.6", "nobody.test", false },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		buf_clear(&rig->told);
		connect_from(cases[i].from);
		char text[200];
		snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", cases[i].host);
		say(text);
		assert_int_equal(rig->told.n > 0, cases[i].told);
	}
}

static void challenges_are_told(void **state)
{
	(void)state;
	connect_from("203.0.113.5");
	say("GET " CHALLENGE "abcdefghijklmnop HTTP/1.1\r\nHost: new.test\r\n\r\n");
	assert_string_equal(buf_c(&rig->told),
	        "Challenge http://new.test" CHALLENGE "abcdefghijklmnop: answered with the "
	        "thumbprint of the order that is open.\n"
	        "fetched abcdefghijklmnop by 203.0.113.5\n");
}

static void challenges_of_an_earlier_control(void **state)
{
	(void)state;
	struct challenges *c = &rig->challenges;
	challenges_epoch(c, 2);
	challenge_open(c, STR("ponmlkjihgfedcba"), STR("TWO"));
	assert_true(str_eq(challenge_thumbprint(c, STR("abcdefghijklmnop")), STR("THUMB")));
	challenges_forget(c);
	assert_null(challenge_thumbprint(c, STR("abcdefghijklmnop")).p);
	assert_true(str_eq(challenge_thumbprint(c, STR("ponmlkjihgfedcba")), STR("TWO")));
	challenge_close(c, STR("ponmlkjihgfedcba"));
	assert_null(challenge_thumbprint(c, STR("ponmlkjihgfedcba")).p);
}

static void sites_by_host(void **state)
{
	(void)state;
	const struct generation *g = rig->worker.generation;
	static const struct {
		const char *host;
		int64_t id; /* 0: none */
	} cases[] = { { "shop.test", 7 }, { "www.shop.test", 7 }, { "a.www.shop.test", 0 },
		{ ".shop.test", 0 }, { "safe.test", 3 }, { "*.shop.test", 7 }, { "test", 0 },
		{ "", 0 } };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct site *s = generation_site(g, str_c(cases[i].host));
		assert_int_equal(s ? s->id : 0, cases[i].id);
	}
}

/* RFC 9110 4.2.2: a port for HTTPS is asked by plain HTTP. */
static void plain_http_at_a_port_for_https(void **state)
{
	(void)state;
	static const struct {
		const char *say[2], *heard;
	} cases[] = {
		{ { "GET /a?b=c HTTP/1.1\r\nHost: Shop.test:8443\r\n\r\n" },
		        "This port speaks HTTPS: open https://shop.test:8443/ instead." },
		{ { "GET /a HT", "TP/1.1\r\nHost: [::1]:8443\r\n\r\n" },
		        "open https://[::1]:8443/ instead." },
		{ { POST("/echo") "Content-Length: 12\r\n\r\nhello,", " world" GET("/b") },
		        "open https://shop.test/ instead." },
		{ { "GET " CHALLENGE "abcdefghijklmnop HTTP/1.1\r\nHost: nobody.test\r\n\r\n" },
		        "open https://nobody.test/ instead." },
		{ { "GET / HTTP/1.0\r\n\r\n" }, "There is no Host." },
		{ { "nonsense\r\n\r\n" }, "400 Bad Request" },
	};
	static const struct listener_row https = { .tls = true };
	struct err err;
	rig->worker.tls = tls_worker_new(rig->loop, rig->worker.certs, &err);
	assert_non_null(rig->worker.tls);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		connect_to("127.0.0.1", &https);
		say(cases[i].say[0]);
		if (cases[i].say[1])
			say(cases[i].say[1]);
		assert_heard("HTTP/1.1 400 Bad Request\r\n");
		assert_heard("connection: close\r\n");
		assert_heard(cases[i].heard);
		assert_int_equal(count_of("HTTP/1.1 "), 1);
		assert_true(rig->ended && !rig->failed);
	}
	connect_to("127.0.0.1", &https);
	say("\x16\x03\x01no handshake");
	assert_true(rig->ended);
	assert_false(heard("HTTP"));
	connect_to("127.0.0.1", &https);
	say("GET");
	pass(11 * SECOND);
	assert_true(rig->ended);
}

/* ---- the page's serve ---- */

static void serve_page(bool beyond_loopback)
{
	struct err err;
	struct generation_builder *b = generation_begin(&(struct msg_generation){ .number = 2 });
	struct msg_site site = { .id = 1,
		.name = STR("page"),
		.fallback = true,
		.kind = SITE_CONTROL,
		.force_ssl = beyond_loopback,
		.url_port = 8007,
		.hsts_age = -1 };
	assert_true(generation_row(b, MSG_site, &site, &err));
	static const char *const names[] = { "localhost", "page.test" };
	for (size_t i = 0; i < 2; i++) {
		struct msg_site_name name = { .site = 1, .name = str_c(names[i]) };
		assert_true(generation_row(b, MSG_site_name, &name, &err));
	}
	struct generation *g = generation_build(&b, &err);
	assert_non_null(g);
	struct generation *before = worker_commit(&rig->worker, g);
	generation_unref(&before);
	rig->worker.handlers[SITE_CONTROL] = &test_handler;
}

/* DNS rebinding: a name that a stranger has led here is none of the page's. */
static void the_page_answers_to_its_own_names(void **state)
{
	(void)state;
	static const struct {
		const char *say, *heard;
	} cases[] = {
		{ "GET /a HTTP/1.1\r\nHost: localhost:8007\r\n\r\n", "200 OK" },
		{ "GET /a HTTP/1.1\r\nHost: Page.test\r\n\r\n", "200 OK" },
		{ "GET /a HTTP/1.1\r\nHost: 192.0.2.1:8007\r\n\r\n", "200 OK" },
		{ "GET /a HTTP/1.1\r\nHost: [2001:db8::1]:8007\r\n\r\n", "200 OK" },
		{ "GET /a HTTP/1.1\r\nHost: evil.test\r\n\r\n", "421 Misdirected Request" },
		{ "GET /a HTTP/1.1\r\nHost: evil.test\r\n\r\n",
		        "This page is not named evil.test: open it by its IP address" },
		{ "GET /a HTTP/1.1\r\nHost: a.page.test\r\n\r\n", "421 " },
		{ "GET /a HTTP/1.1\r\nHost: 192.0.2.1.evil.test\r\n\r\n", "421 " },
		{ "GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n", "421 " },
	};
	serve_page(/* beyond_loopback= */ false);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		connect_from("127.0.0.1");
		say(cases[i].say);
		assert_heard(cases[i].heard);
	}
}

static void beyond_loopback_the_page_knows_no_plain_http(void **state)
{
	(void)state;
	serve_page(/* beyond_loopback= */ true);
	connect_from("192.0.2.1");
	say("GET /a?b HTTP/1.1\r\nHost: 192.0.2.9:8007\r\n\r\n");
	assert_heard("HTTP/1.1 301 ");
	assert_heard("location: https://192.0.2.9:8007/a?b\r\n");
	say("POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
	assert_heard("HTTP/1.1 308 ");
	say("GET /a HTTP/1.1\r\nHost: evil.test\r\n\r\n");
	assert_heard("HTTP/1.1 421 ");
	assert_int_equal(count_of("200 OK"), 0);
	struct conn *near;
	conn_free(&rig->client.conn);
	settle();
	buf_clear(&rig->heard);
	conn_pipe_new(rig->loop, PIPE, &near, &rig->client.conn);
	conn_hold(&rig->client, rig->client.conn, far_ready);
	/* As its serve hands it on to control: over TLS. */
	client_handed_on(&rig->worker, near, &(const struct client_from){ .tls = true });
	say("GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n");
	assert_heard("200 OK");
}

/* The first byte decides between TLS and plain HTTP; who sends none is let go. */
static void one_port_for_both(void **state)
{
	(void)state;
	static const struct listener_row both = { .tls = true, .plain_too = true };
	struct err err;
	rig->worker.tls = tls_worker_new(rig->loop, rig->worker.certs, &err);
	assert_non_null(rig->worker.tls);
	connect_to("127.0.0.1", &both);
	say("G");
	say("ET /a HTTP/1.1\r\nHost: shop.test\r\n\r\n");
	assert_heard("200 OK");
	connect_to("127.0.0.1", &both);
	say("\x16\x03\x01no handshake");
	assert_true(rig->ended);
	assert_false(heard("HTTP"));
	connect_to("127.0.0.1", &both);
	settle();
	assert_false(rig->ended);
	pass(11 * SECOND);
	assert_true(rig->ended);
	connect_to("127.0.0.1", &both);
	conn_shutdown(rig->client.conn);
	settle();
	assert_true(rig->ended);
	assert_int_equal(rig->worker.connection_count, 0);
}

/* What a handler keeps for a connection goes with it, after the exchange. */
static unsigned keepsakes_freed;

static void free_keepsake(struct keepsake *k)
{
	keepsakes_freed++;
	free(k);
}

static void a_keepsake_goes_with_its_connection(void **state)
{
	(void)state;
	struct client *c = connect_from("127.0.0.1");
	struct keepsake *k = mem_new(struct keepsake);
	keepsakes_freed = 0;
	k->free = free_keepsake;
	c->kept = k;
	say(GET("/a") GET("/b"));
	assert_int_equal(count_of("200 OK"), 2);
	assert_int_equal(keepsakes_freed, 0);
	conn_free(&rig->client.conn);
	settle();
	assert_int_equal(keepsakes_freed, 1);
}

#define RIGGED(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(every_dialogue),
		RIGGED(byte_by_byte),
		RIGGED(head_has_no_content),
		RIGGED(continues_when_wanted),
		RIGGED(half_closed_client_is_served),
		RIGGED(client_that_leaves_is_told),
		RIGGED(cut_off_body_is_told),
		RIGGED(big_answer_waits_for_the_reader),
		RIGGED(slow_reader_is_cut_off),
		RIGGED(late_heads_and_bodies),
		RIGGED(trickled_head_gains_nothing),
		RIGGED(heads_in_a_row_have_their_own_time),
		RIGGED(an_answer_may_take_its_time),
		RIGGED(early_answer_reaches_a_busy_sender),
		RIGGED(drains),
		RIGGED(idle_ends_at_drain),
		RIGGED(one_more_at_a_patient_drain),
		RIGGED(hsts),
		RIGGED(visitors_from_outside),
		RIGGED(challenges_are_told),
		RIGGED(challenges_of_an_earlier_control),
		RIGGED(sites_by_host),
		RIGGED(plain_http_at_a_port_for_https),
		RIGGED(the_page_answers_to_its_own_names),
		RIGGED(beyond_loopback_the_page_knows_no_plain_http),
		RIGGED(one_port_for_both),
		RIGGED(a_keepsake_goes_with_its_connection),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
