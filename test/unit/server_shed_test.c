/* Whoever asks for too much: connections and requests of one address, memory, slow clients. */
#include "server_rig.h"
#include <sys/mman.h>

#define LIMIT(setting, number) ROW(limit, .name = STR(setting), .value = (number))

static void one_address_holds_so_many_connections(void **state)
{
	(void)state;
	LIMIT("connections-per-address", 3);
	rig_begin();
	struct far *first = rig_connect("192.0.2.1", NULL),
	           *second = rig_connect("192.0.2.1", NULL);
	struct far *third = rig_connect("192.0.2.1", NULL), *other = rig_connect("192.0.2.2", NULL);
	rig_say(first, RIG_GET("/hold"));
	struct far *fourth = rig_connect("192.0.2.1", NULL);
	assert_true(second->ended); /* the oldest that is idle */
	assert_false(first->ended || third->ended || other->ended || fourth->ended);
	rig_say(fourth, RIG_GET("/"));
	assert_heard(fourth, "200 ");
	assert_int_equal(rig->worker.connection_count, 4);
}

static void where_none_is_idle_the_new_one_goes(void **state)
{
	(void)state;
	LIMIT("connections-per-address", 1);
	rig_begin();
	struct far *first = rig_connect("2001:db8::1", NULL);
	rig_say(first, RIG_GET("/hold"));
	struct far *same = rig_connect("2001:db8::2", NULL); /* of the same /64 */
	struct far *other = rig_connect("2001:db8:0:1::1", NULL);
	assert_true(same->failed);
	assert_false(first->failed || first->ended || other->ended);
	assert_int_equal(rig->worker.connection_count, 2);
}

static void this_machine_and_proxies_are_not_counted(void **state)
{
	(void)state;
	LIMIT("connections-per-address", 1);
	LIMIT("requests-per-address", 1);
	LIMIT("requests-burst", 1);
	ROW(trusted_proxy, .cidr = STR("10.0.0.0/8"));
	rig_begin();
	const char *const from[] = { "127.0.0.1", "127.0.0.1", "::1", "::1", "10.0.0.1",
		"10.0.0.1" };
	for (size_t i = 0; i < 6; i++) {
		struct far *f = rig_connect(from[i], NULL);
		rig_say(f, RIG_GET("/"));
		assert_heard(f, "200 ");
	}
	assert_int_equal(rig->worker.connection_count, 6);
}

static unsigned count_of(const struct far *f, const char *text)
{
	unsigned count = 0;
	for (const char *p = buf_c(&f->heard); (p = strstr(p, text)); p++)
		count++;
	return count;
}

static void one_address_asks_so_often(void **state)
{
	(void)state;
	LIMIT("requests-per-address", 2);
	LIMIT("requests-burst", 5);
	rig_begin();
	struct far *f = rig_connect("192.0.2.1", NULL), *other = rig_connect("192.0.2.2", NULL);
	for (int i = 0; i < 8; i++)
		rig_say(f, RIG_GET("/"));
	assert_int_equal(count_of(f, " 200 "), 5);
	assert_int_equal(count_of(f, " 429 "), 3);
	assert_int_equal(count_of(f, "retry-after: 1\r\n"), 3);
	rig_say(other, RIG_GET("/"));
	assert_heard(other, "200 ");
	rig_pass(1000);
	for (int i = 0; i < 4; i++)
		rig_say(f, RIG_GET("/"));
	assert_int_equal(count_of(f, " 200 "), 7);
	assert_int_equal(count_of(f, " 429 "), 5);
	rig_pass(2 * MINUTE);
	assert_true(f->ended); /* idle */
}

static void behind_a_proxy_it_is_the_client(void **state)
{
	(void)state;
	LIMIT("requests-per-address", 1);
	LIMIT("requests-burst", 1);
	ROW(trusted_proxy, .cidr = STR("10.0.0.0/8"));
	rig_begin();
	struct far *f = rig_connect("10.0.0.1", NULL);
#define FOR(client) "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: " client "\r\n\r\n"
	rig_say(f, FOR("192.0.2.1") FOR("192.0.2.2") FOR("192.0.2.1"));
	assert_int_equal(count_of(f, " 200 "), 2);
	assert_int_equal(count_of(f, " 429 "), 1);
}

#define CHALLENGE "GET /.well-known/acme-challenge/abcdefghijklmnop HTTP/1.1\r\nHost: a\r\n\r\n"

static void challenges_have_no_limit(void **state)
{
	(void)state;
	LIMIT("connections-per-address", 2);
	LIMIT("requests-per-address", 1);
	LIMIT("requests-burst", 1);
	rig_begin();
	for (int i = 0; i < 10; i++) {
		struct far *f = rig_connect("192.0.2.1", NULL);
		rig_say(f, CHALLENGE);
		assert_heard(f, "abcdefghijklmnop.THUMB");
	}
}

/* A table full of addresses goes on limiting those who ask most. */
static void the_table_is_bounded(void **state)
{
	(void)state;
	rig_begin();
	struct rates *r = &rig->worker.rates;
	const struct rate_of of = { .cost = 1000000, .ahead = 3 };
	for (int i = 0; i < 3; i++)
		assert_int_equal(rates_ask(r, 7, of, 1000), 0);
	for (uint64_t place = 100; place < 200000; place++)
		assert_int_equal(rates_ask(r, place, of, 1000), 0);
	assert_true(rates_ask(r, 7, of, 1000) > 0);
	assert_int_equal(rates_ask(r, 7, of, 2000), 0);
}

static void beyond_its_memory_work_is_shed(void **state)
{
	(void)state;
	LIMIT("memory-most", 100 << 20);
	rig_begin();
	struct far *f = rig_connect("192.0.2.1", NULL);
	int fd = memfd_create("statm", MFD_CLOEXEC);
	rig->worker.memory.statm = fd;
	const char small[] = "90000 100 1 1\n", large[] = "90000 90000 1 1\n";
	assert_int_equal(pwrite(fd, large, sizeof large - 1, 0), sizeof large - 1);
	rig_say(f, RIG_GET("/"));
	assert_heard(f, "503 ");
	assert_heard(f, "retry-after: 5\r\n");
	assert_true(f->ended);
	assert_non_null(strstr(buf_c(&rig->told), "more than 100 MiB of memory"));
	f = rig_connect("192.0.2.1", NULL);
	rig_say(f, CHALLENGE);
	assert_heard(f, "THUMB");
	assert_int_equal(pwrite(fd, small, sizeof small - 1, 0), sizeof small - 1);
	rig_say(f, RIG_GET("/"));
	assert_heard(f, "503 "); /* it is looked at once a second */
	f = rig_connect("192.0.2.1", NULL);
	rig_pass(SECOND);
	rig_say(f, RIG_GET("/"));
	assert_heard(f, "200 ");
	close(fd);
}

/* A byte now and then holds off the time-out, and not the rate. */
static void slow_bodies_are_cut_off(void **state)
{
	(void)state;
	LIMIT("body-timeout", 10 * SECOND);
	LIMIT("least-rate", 100);
	rig_begin();
	struct far *slow = rig_connect("192.0.2.1", NULL);
	rig_say(slow, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
	int64_t before = rig->clock.mono_now;
	while (!slow->ended && rig->clock.mono_now - before < 60 * SECOND) {
		rig_say(slow, "x");
		rig_pass(2 * SECOND);
	}
	assert_heard(slow, "408 ");
	assert_true(rig->clock.mono_now - before <= 16 * SECOND);
}

static void those_who_are_fast_enough_go_on(void **state)
{
	(void)state;
	LIMIT("body-timeout", 10 * SECOND);
	LIMIT("least-rate", 100);
	rig_begin();
	struct far *f = rig_connect("192.0.2.1", NULL);
	char piece[300];
	memset(piece, 'x', sizeof piece);
	rig_say(f, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 15000\r\n\r\n");
	for (int i = 0; i < 50; i++) {
		rig_pass(2 * SECOND);
		rig_send(f, str_n(piece, sizeof piece));
	}
	assert_heard(f, "heard");
}

static void without_a_rate_a_trickled_body_goes_on(void **state)
{
	(void)state;
	LIMIT("least-rate", 0);
	rig_begin();
	struct far *f = rig_connect("192.0.2.1", NULL);
	rig_say(f, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
	for (int i = 0; i < 4; i++) {
		rig_pass(50 * SECOND);
		rig_say(f, "x");
	}
	assert_heard(f, "heard");
}

static void slow_readers_are_cut_off(void **state)
{
	(void)state;
	LIMIT("body-timeout", 10 * SECOND);
	LIMIT("least-rate", 100);
	rig_begin();
	struct far *f = rig_connect("192.0.2.1", NULL);
	f->deaf = true;
	rig_say(f, RIG_GET("/hold"));
	struct response head = { .status = 200, .body = BODY_STREAM };
	exchange_respond(rig->asked, &head);
	static const char zeros[16 << 10];
	for (int i = 0; i < 8; i++)
		(void)exchange_body(rig->asked, str_n(zeros, sizeof zeros));
	int64_t before = rig->clock.mono_now;
	char p[100];
	while (!rig->gone && rig->clock.mono_now - before < 60 * SECOND) {
		(void)conn_read(f->held.conn, p, sizeof p);
		rig_pass(2 * SECOND);
	}
	assert_int_equal(rig->gone, 1);
	assert_true(rig->clock.mono_now - before <= 30 * SECOND);
	assert_int_equal(rig->worker.connection_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(one_address_holds_so_many_connections),
		RIGGED(where_none_is_idle_the_new_one_goes),
		RIGGED(this_machine_and_proxies_are_not_counted),
		RIGGED(one_address_asks_so_often),
		RIGGED(behind_a_proxy_it_is_the_client),
		RIGGED(challenges_have_no_limit),
		RIGGED(the_table_is_bounded),
		RIGGED(beyond_its_memory_work_is_shed),
		RIGGED(slow_bodies_are_cut_off),
		RIGGED(those_who_are_fast_enough_go_on),
		RIGGED(without_a_rate_a_trickled_body_goes_on),
		RIGGED(slow_readers_are_cut_off),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
