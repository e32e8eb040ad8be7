/* The access log and the counters. */
#include "server_rig.h"

static struct buf logged;
static unsigned lines_logged;

static void take_lines(struct worker *w, struct buf *lines, unsigned count)
{
	(void)w;
	buf_add_buf(&logged, lines);
	lines_logged += count;
	buf_clear(lines);
}

static int setup(void **state)
{
	logged = BUF(1 << 20);
	lines_logged = 0;
	rig_setup(state);
	rig->worker.log_lines = take_lines;
	return 0;
}

static int teardown(void **state)
{
	rig_teardown(state);
	buf_done(&logged);
	return 0;
}
#define LOGGED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static void begin(const char *format)
{
	ROW(access_log, .format = str_c(format));
	rig_begin();
}

static void assert_logged(const char *want)
{
	rig_pass(ACCESS_WAIT);
	if (strcmp(buf_c(&logged), want) != 0)
		fail_msg("logged:\n%s\nwant:\n%s", buf_c(&logged), want);
}

static void the_common_format(void **state)
{
	(void)state;
	begin("common");
	struct far *f = rig_connect("192.0.2.7", NULL);
	rig_say(f, RIG_GET("/a?b=c"));
	assert_int_equal(logged.n, 0);
	assert_logged(
	        "192.0.2.7 - - [24/Nov/2026:15:43:29 +0000] \"GET /a?b=c HTTP/1.1\" 200 14\n");
}

static void the_combined_format(void **state)
{
	(void)state;
	begin("combined");
	struct far *f = rig_connect("2001:db8::7", NULL);
	rig_say(f, "HEAD / HTTP/1.0\r\nHost: shop.test\r\nReferer: http://a/\r\nUser-Agent: "
	           "curl \"8\\0\"\r\nCookie: secret\r\nAuthorization: Basic secret\r\n\r\n");
	assert_logged("2001:db8::7 - - [24/Nov/2026:15:43:29 +0000] \"HEAD / HTTP/1.0\" 200 0 "
	              "\"http://a/\" \"curl \\x228\\x5C0\\x22\"\n");
}

static void the_json_format(void **state)
{
	(void)state;
	begin("json");
	struct far *f = rig_connect("192.0.2.7", NULL);
	rig_say(f, "GET /a HTTP/1.1\r\nHost: www.shop.test:80\r\n"
	           "User-Agent: \xc3\xa4\xff\"\t\r\n\r\n");
	assert_logged(
	        "{\"time\":\"2026-11-24T15:43:29Z\",\"client\":\"192.0.2.7\",\"method\":\"GET\","
	        "\"host\":\"www.shop.test:80\",\"path\":\"/a\",\"version\":\"HTTP/1.1\","
	        "\"status\":200,\"bytes\":14,\"duration\":0.000,\"referer\":null,"
	        "\"agent\":\"\xc3\xa4\\ufffd\\\"\",\"site\":\"shop.test\",\"upstream\":null,"
	        "\"tls\":null}\n");
}

static void durations_and_clients_that_leave(void **state)
{
	(void)state;
	begin("common");
	struct far *f = rig_connect("192.0.2.7", NULL);
	rig_say(f, RIG_GET("/hold"));
	rig_pass(1500);
	conn_reset(&f->held.conn);
	rig_settle();
	assert_int_equal(rig->gone, 1);
	assert_logged("192.0.2.7 - - [24/Nov/2026:15:43:30 +0000] \"GET /hold HTTP/1.1\" 499 0\n");
}

static void what_is_refused_is_logged_too(void **state)
{
	(void)state;
	begin("common");
	struct far *f = rig_connect("192.0.2.7", NULL);
	rig_say(f, "GET /\x01\" HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_heard(f, "400 ");
	rig_pass(ACCESS_WAIT);
	assert_non_null(strstr(buf_c(&logged), "] \"-\" 400 "));
	assert_int_equal(lines_logged, 1);
}

static void off_for_all_and_for_a_site(void **state)
{
	(void)state;
	ROW(site, .id = 2, .name = STR("quiet.test"), .unlogged = true, .hsts_age = -1);
	ROW(site_name, .site = 2, .name = STR("quiet.test"));
	begin("common");
	struct far *f = rig_connect("192.0.2.7", NULL);
	rig_say(f, "GET / HTTP/1.1\r\nHost: quiet.test\r\n\r\n");
	assert_heard(f, "200 ");
	assert_logged("");
}

static void many_lines_go_in_portions(void **state)
{
	(void)state;
	begin("common");
	struct far *f = rig_connect("192.0.2.7", NULL);
	for (int i = 0; i < 600; i++)
		rig_say(f, RIG_GET("/"));
	assert_true(logged.n >= ACCESS_PORTION);
	rig_pass(ACCESS_WAIT);
	assert_int_equal(lines_logged, 600);
}

/* Long parts are cut, and the line stays one. */
static void long_parts_are_cut(void **state)
{
	(void)state;
	begin("json");
	BUF_AUTO request = BUF_INIT(64 << 10);
	buf_add_c(&request, "GET /");
	for (int i = 0; i < 8000; i++)
		buf_add_char(&request, '"');
	buf_add_c(&request, " HTTP/1.1\r\nHost: shop.test\r\nReferer: ");
	for (int i = 0; i < 8000; i++)
		buf_add_char(&request, '\xff');
	buf_add_c(&request, "\r\n\r\n");
	struct far *f = rig_connect("192.0.2.7", NULL);
	rig_send(f, buf_str(&request));
	rig_pass(ACCESS_WAIT);
	assert_heard(f, "200 ");
	assert_int_equal(lines_logged, 1);
	assert_true(logged.n < 16 << 10);
	assert_ptr_equal(strchr(buf_c(&logged), '\n'), buf_c(&logged) + logged.n - 1);
}

static const struct counters *counted(const char *site)
{
	struct map_node *n = map_find(&rig->worker.counts.of[COUNTERS_SITE], str_c(site));
	assert_non_null(n);
	return OWNER(n, struct counters, node);
}

static void sites_are_counted(void **state)
{
	(void)state;
	begin("off");
	struct far *f = rig_connect("192.0.2.7", NULL);
	rig_say(f, RIG_GET("/") RIG_GET("/"));
	rig_say(f, RIG_GET("/hold"));
	assert_int_equal(counted("shop.test")->under_way, 1);
	rig_pass(30);
	exchange_answer(rig->asked, 503, "No.");
	rig->asked = NULL;
	rig_settle();
	const struct counters *c = counted("shop.test");
	assert_int_equal(c->under_way, 0);
	assert_int_equal(c->requests[1], 2);
	assert_int_equal(c->requests[4], 1);
	assert_int_equal(c->latencies[0], 2);
	assert_int_equal(c->latencies[5], 1);
	assert_int_equal(c->latency, 30);
	assert_true(c->sent > 28);
}

static void counts_are_copied_summed_and_told(void **state)
{
	(void)state;
	begin("off");
	struct far *f = rig_connect("192.0.2.7", NULL);
	rig_say(f, RIG_GET("/"));
	struct counts sum = { 0 };
	counts_add(&sum, &rig->worker.counts);
	counts_add(&sum, &rig->worker.counts);
	struct map_node *n = map_find(&sum.of[COUNTERS_SITE], STR("shop.test"));
	BUF_AUTO text = BUF_INIT(4096);
	counters_print(OWNER(n, struct counters, node), &text);
	assert_string_equal(buf_c(&text), "0 0 2 0 0 0 28 0 2 0 0 0 0 0 0 0 0 0 0 0 0 0");
	struct counters read;
	assert_true(counters_read(buf_str(&text), &read));
	assert_int_equal(read.requests[1], 2);
	assert_int_equal(read.sent, 28);
	assert_false(counters_read(STR("1 2 3"), &read));
	assert_false(counters_read(STR("0 0 2 0 0 0 28 0 2 0 0 0 0 0 0 0 0 0 0 0 0 0 0"), &read));
	assert_false(counters_read(STR("0 0 -2 0 0 0 28 0 2 0 0 0 0 0 0 0 0 0 0 0 0 0"), &read));
	counts_done(&sum);
}

/* Names come from configurations, of which there may be many in the life of a process. */
static void their_number_is_bounded(void **state)
{
	(void)state;
	begin("off");
	struct exchange ex = { .worker = &rig->worker };
	char name[32];
	for (int i = 0; i < COUNTERS_MOST + 10; i++) {
		(void)snprintf(name, sizeof name, "10.0.0.1:%d", i);
		ex.counted[COUNTERS_UPSTREAM] = NULL;
		counters_upstream(&ex, str_c(name));
	}
	assert_int_equal(rig->worker.counts.of[COUNTERS_UPSTREAM].count, COUNTERS_MOST + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOGGED(the_common_format),
		LOGGED(the_combined_format),
		LOGGED(the_json_format),
		LOGGED(durations_and_clients_that_leave),
		LOGGED(what_is_refused_is_logged_too),
		LOGGED(off_for_all_and_for_a_site),
		LOGGED(many_lines_go_in_portions),
		LOGGED(long_parts_are_cut),
		LOGGED(sites_are_counted),
		LOGGED(counts_are_copied_summed_and_told),
		LOGGED(their_number_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
