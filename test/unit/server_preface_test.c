/* Connections that begin with the PROXY protocol. */
#include "server_rig.h"

static const struct listener_row plain = { .proxy_protocol = true };
static const struct listener_row tls = { .proxy_protocol = true, .tls = true };
static const struct listener_row both = { .proxy_protocol = true, .tls = true, .plain_too = true };

static void begin(void)
{
	struct err err = ERR_INIT;
	rig->worker.tls = tls_worker_new(rig->loop, rig->worker.certs, &err);
	ROW(trusted_proxy, .cidr = STR("10.0.0.0/8"));
	rig_begin();
}

static void the_client_is_whom_the_proxy_names(void **state)
{
	(void)state;
	begin();
	struct far *f = rig_connect("10.0.0.1", &plain);
	rig_say(f, "PROXY TCP4 192.0.2.7 10.0.0.9 5000 80\r\n" RIG_GET("/"));
	assert_heard(f, "\r\n\r\n192.0.2.7:5000");
	f = rig_connect("10.0.0.1", &both);
	rig_say(f, "PROXY TCP6 2001:db8::7 2001:db8::1 5000 443\r\n");
	rig_say(f, RIG_GET("/"));
	assert_heard(f, "\r\n\r\n[2001:db8::7]:5000");
}

static void byte_by_byte(void **state)
{
	(void)state;
	begin();
	struct far *f = rig_connect("10.0.0.1", &plain);
	const char *text = "PROXY TCP4 192.0.2.7 10.0.0.9 5000 80\r\n" RIG_GET("/");
	for (; *text; text++)
		rig_send(f, str_n(text, 1));
	assert_heard(f, "\r\n\r\n192.0.2.7:5000");
}

/* The proxy's own connection, and one of whom it knows nothing. */
static void the_proxy_may_speak_for_itself(void **state)
{
	(void)state;
	begin();
	struct far *f = rig_connect("10.0.0.1", &plain);
	rig_say(f, "PROXY UNKNOWN\r\n" RIG_GET("/"));
	assert_heard(f, "\r\n\r\n10.0.0.1:4711");
	f = rig_connect("10.0.0.1", &plain);
	rig_send(f, STR("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"));
	rig_say(f, RIG_GET("/"));
	assert_heard(f, "\r\n\r\n10.0.0.1:4711");
}

static void headers_count_behind_it(void **state)
{
	(void)state;
	begin();
	struct far *f = rig_connect("10.0.0.1", &plain);
	rig_say(f, "PROXY TCP4 10.0.0.2 10.0.0.9 5000 80\r\nGET / HTTP/1.1\r\nHost: shop.test\r\n"
	           "X-Forwarded-For: 203.0.113.5\r\n\r\n");
	assert_heard(f, "\r\n\r\n203.0.113.5:0");
	f = rig_connect("10.0.0.1", &plain);
	rig_say(f, "PROXY TCP4 192.0.2.7 10.0.0.9 5000 80\r\nGET / HTTP/1.1\r\nHost: shop.test\r\n"
	           "X-Forwarded-For: 203.0.113.5\r\n\r\n");
	assert_heard(f, "\r\n\r\n192.0.2.7:5000");
}

static void tls_follows(void **state)
{
	(void)state;
	begin();
	struct far *f = rig_connect("10.0.0.1", &tls);
	rig_say(f, "PROXY TCP4 192.0.2.7 10.0.0.9 5000 443\r\n" RIG_GET("/"));
	assert_heard(f, "400 ");
	assert_heard(f, "This port speaks HTTPS");
}

static void strangers_are_not_heard(void **state)
{
	(void)state;
	begin();
	struct far *f = rig_connect("192.0.2.1", &plain);
	assert_true(f->failed);
	assert_int_equal(rig->worker.connection_count, 0);
}

static void nothing_else_begins_a_connection(void **state)
{
	(void)state;
	begin();
	struct far *f = rig_connect("10.0.0.1", &plain);
	rig_say(f, RIG_GET("/"));
	assert_true(f->failed);
	assert_int_equal(f->heard.n, 0);
	f = rig_connect("10.0.0.1", &plain);
	rig_say(f, "PROXY TCP4 192.0.2.7 10.0.0.9 5000\r\n" RIG_GET("/"));
	assert_true(f->failed);
	f = rig_connect("10.0.0.1", &plain);
	rig_say(f, "PROXY");
	conn_shutdown(f->held.conn);
	rig_pass(11 * SECOND);
	assert_int_equal(rig->worker.connection_count, 0);
}

static void it_has_its_time(void **state)
{
	(void)state;
	begin();
	struct far *f = rig_connect("10.0.0.1", &plain);
	rig_say(f, "PROXY TCP4 192.0.2.7");
	rig_pass(9 * SECOND);
	rig_say(f, " ");
	assert_false(f->ended);
	rig_pass(2 * SECOND);
	assert_true(f->ended);
	assert_int_equal(rig->worker.connection_count, 0);
	/* Then the head has a time of its own. */
	f = rig_connect("10.0.0.1", &plain);
	rig_pass(6 * SECOND);
	rig_say(f, "PROXY TCP4 192.0.2.7 10.0.0.9 5000 80\r\nGET / ");
	rig_pass(6 * SECOND);
	assert_false(f->ended);
	rig_pass(5 * SECOND);
	assert_heard(f, "408 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(the_client_is_whom_the_proxy_names),
		RIGGED(byte_by_byte),
		RIGGED(the_proxy_may_speak_for_itself),
		RIGGED(headers_count_behind_it),
		RIGGED(tls_follows),
		RIGGED(strangers_are_not_heard),
		RIGGED(nothing_else_begins_a_connection),
		RIGGED(it_has_its_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
