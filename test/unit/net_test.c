/* Addresses as values; connections over TCP and through memory. */
#include "base/clock.h"
#include "net/address.h"
#include "net/conn.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct sockaddr_storage address(const char *text)
{
	struct sockaddr_storage a;
	assert_true(address_parse(str_c(text), 443, &a));
	return a;
}

static void addresses_in_text(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out, *with_port; /* out NULL: no address */
	} cases[] = {
		{ "127.0.0.1", "127.0.0.1", "127.0.0.1:443" },
		{ "::1", "::1", "[::1]:443" },
		{ "2001:DB8:0:0::1", "2001:db8::1", "[2001:db8::1]:443" },
		{ "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1:443" },
		{ "0.0.0.0", "0.0.0.0", "0.0.0.0:443" },
		{ "", NULL, NULL },
		{ "localhost", NULL, NULL },
		{ "127.1", NULL, NULL },
		{ "127.0.0.1 ", NULL, NULL },
		{ "[::1]", NULL, NULL },
		{ "1.2.3.256", NULL, NULL },
		{ "01.2.3.4", NULL, NULL },
		{ "fe80::1%eth0", NULL, NULL },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sockaddr_storage a;
		char text[ADDRESS_TEXT];
		bool parsed = address_parse(str_c(cases[i].in), 443, &a);
		assert_int_equal(parsed, cases[i].out != NULL);
		if (!parsed)
			continue;
		assert_string_equal(address_text(&a, text), cases[i].out);
		assert_string_equal(address_text_port(&a, text), cases[i].with_port);
		assert_int_equal(address_port(&a), 443);
	}
	struct sockaddr_storage unused;
	assert_false(address_parse(STR("192.0.2.1\0x"), 0, &unused));
}

static void addresses_in_ranges(void **state)
{
	(void)state;
	static const struct {
		const char *address, *cidr;
		bool in;
	} cases[] = {
		{ "10.1.2.3", "10.0.0.0/8", true },
		{ "11.1.2.3", "10.0.0.0/8", false },
		{ "10.1.2.3", "10.1.2.3", true },
		{ "10.1.2.4", "10.1.2.3/31", false },
		{ "10.1.2.3", "10.1.2.2/31", true },
		{ "10.1.2.3", "0.0.0.0/0", true },
		{ "::1", "0.0.0.0/0", false },
		{ "2001:db8:1::5", "2001:db8::/32", true },
		{ "2001:db9::5", "2001:db8::/32", false },
		{ "2001:db8::5", "2001:db8::4/127", true },
		{ "::ffff:10.1.2.3", "10.0.0.0/8", true },
		{ "10.1.2.3", "::ffff:10.0.0.0/104", true },
		{ "10.1.2.3", "10.0.0.0/33", false },
		{ "10.1.2.3", "10.0.0.0/", false },
		{ "10.1.2.3", "10.0.0.0/-1", false },
		{ "10.1.2.3", "ten", false },
		{ "10.1.2.3", "", false },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sockaddr_storage a = address(cases[i].address);
		assert_int_equal(address_in_cidr(&a, str_c(cases[i].cidr)), cases[i].in);
	}
	assert_true(cidr_valid(STR("::/0")));
	assert_false(cidr_valid(STR("::/129")));
}

enum { ANY = 1, LOOPBACK = 2, LINK_LOCAL = 4, PRIVATE = 8 };

static void addresses_by_kind(void **state)
{
	(void)state;
	static const struct {
		const char *address;
		unsigned kinds;
	} cases[] = {
		{ "0.0.0.0", ANY },
		{ "::", ANY },
		{ "127.0.0.1", LOOPBACK },
		{ "127.255.0.9", LOOPBACK },
		{ "::1", LOOPBACK },
		{ "::ffff:127.0.0.1", LOOPBACK },
		{ "169.254.169.254", LINK_LOCAL },
		{ "fe80::1", LINK_LOCAL },
		{ "::ffff:169.254.1.1", LINK_LOCAL },
		{ "64:ff9b::169.254.169.254", LINK_LOCAL },
		{ "64:ff9b::192.0.2.1", 0 },
		{ "2002:a9fe:a9fe::1", LINK_LOCAL },
		{ "172.31.0.1", PRIVATE },
		{ "172.32.0.1", 0 },
		{ "100.64.0.1", PRIVATE },
		{ "fd00::1", PRIVATE },
		{ "192.0.2.1", 0 },
		{ "2001:db8::1", 0 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sockaddr_storage a = address(cases[i].address);
		unsigned kinds = (address_is_any(&a) ? ANY : 0) |
		                 (address_is_loopback(&a) ? LOOPBACK : 0) |
		                 (address_is_link_local(&a) ? LINK_LOCAL : 0) |
		                 (address_is_private(&a) ? PRIVATE : 0);
		assert_int_equal(kinds, cases[i].kinds);
	}
}

static void our_addresses(void **state)
{
	(void)state;
	struct local_addresses l = { 0 };
	struct sockaddr_storage loopback = address("127.0.0.1"), other = address("192.0.2.77");
	assert_true(address_is_ours(&l, &loopback, 1));
	assert_int_equal(l.asked, 0);
	assert_false(address_is_ours(&l, &other, 1));
	assert_int_equal(l.asked, 1);
	assert_true(l.count > 0);
	assert_false(address_is_ours(&l, &other, MINUTE));
	assert_int_equal(l.asked, 1);
	assert_false(address_is_ours(&l, &other, MINUTE + 1));
	assert_int_equal(l.asked, MINUTE + 1);
	local_addresses_done(&l);
}

/* One end of a connection, reading whatever comes. */
struct side {
	struct conn_holder held;
	char got[256];
	size_t count;
	unsigned events;
	ssize_t last; /* of the last read */
};

static void ready(struct conn *c, unsigned events)
{
	struct side *s = OWNER(c->holder, struct side, held);
	s->events |= events;
	if (!(events & CONN_IN))
		return;
	ssize_t n;
	size_t room;
	do {
		room = sizeof s->got - s->count;
		n = conn_read(c, s->got + s->count, room);
		s->last = n;
		s->count += n > 0 ? (size_t)n : 0;
	} while (n > 0 && (size_t)n == room && s->count < sizeof s->got);
}

static void turns(struct loop *loop, int count)
{
	while (count-- > 0)
		loop_turn(loop, 5);
}

static ssize_t put(struct side *s, const char *text)
{
	struct iovec v[2] = { { (char *)text, 1 }, { (char *)text + 1, strlen(text) - 1 } };
	return conn_write(s->held.conn, v, 2);
}

static void bytes_pass(struct loop *loop, struct side *a, struct side *b)
{
	assert_int_equal(put(a, "hello"), 5);
	turns(loop, 3);
	assert_int_equal(b->count, 5);
	assert_memory_equal(b->got, "hello", 5);
	assert_int_equal(put(b, "back"), 4);
	turns(loop, 3);
	assert_memory_equal(a->got, "back", 4);
	/* Bytes and the end behind them, at once: both are told. */
	assert_int_equal(put(a, "end"), 3);
	conn_shutdown(a->held.conn);
	turns(loop, 4);
	assert_memory_equal(b->got, "helloend", 8);
	assert_int_equal(b->last, 0);
	assert_int_equal(put(b, "half"), 4);
	turns(loop, 3);
	assert_memory_equal(a->got, "backhalf", 8);
	conn_free(&a->held.conn);
	conn_free(&b->held.conn);
}

static void pipe_carries(void **state)
{
	(void)state;
	struct loop *loop = loop_new(&clock_system);
	struct side a = { 0 }, b = { 0 };
	struct conn *x, *y;
	conn_pipe_new(loop, 100, &x, &y);
	conn_hold(&a.held, x, ready);
	conn_hold(&b.held, y, ready);
	bytes_pass(loop, &a, &b);
	loop_free(&loop);
}

static void pipe_has_a_capacity(void **state)
{
	(void)state;
	struct loop *loop = loop_new(&clock_system);
	struct side a = { 0 }, b = { 0 };
	struct conn *x, *y;
	conn_pipe_new(loop, 4, &x, &y);
	conn_hold(&a.held, x, ready);
	conn_hold(&b.held, y, ready);
	assert_int_equal(put(&a, "abcdef"), 4);
	assert_int_equal(put(&a, "ef"), CONN_AGAIN);
	turns(loop, 2);
	assert_int_equal(a.events, CONN_OUT);
	assert_int_equal(put(&a, "ef"), 2);
	turns(loop, 2);
	assert_memory_equal(b.got, "abcdef", 6);
	conn_reset(&a.held.conn);
	turns(loop, 2);
	assert_int_equal(b.last, CONN_FAILED);
	assert_int_equal(put(&b, "no"), CONN_FAILED);
	conn_free(&b.held.conn);
	loop_free(&loop);
}

/* A connected pair over a port that the kernel picks. */
static void tcp_pair(struct loop *loop, struct side *a, struct side *b)
{
	struct sockaddr_storage at, peer;
	assert_true(address_parse(STR("127.0.0.1"), 0, &at));
	int listener = conn_listen(&at);
	assert_true(listener >= 0);
	assert_int_equal(conn_accept(listener, &peer), -EAGAIN);
	assert_true(conn_local_address(listener, &at));
	conn_hold(&a->held, conn_tcp_connect(loop, &at), ready);
	turns(loop, 2);
	assert_true(a->events & CONN_OUT);
	int fd = conn_accept(listener, &peer);
	assert_true(fd >= 0);
	assert_true(address_is_loopback(&peer));
	conn_hold(&b->held, conn_tcp_new(loop, fd), ready);
	close(listener);
}

/* Where visitors of a name come to. Of 192.0.2.0/24 no machine has any (RFC 5737). */
static void what_is_dialled(void **state)
{
	(void)state;
	static const char *const cases[][3] = {
		{ "0.0.0.0", "shop.example.com", "127.0.0.1" },
		{ "::", "", "::1" },
		{ "10.0.0.5", "shop.example.com", "10.0.0.5" },
		{ "0.0.0.0", "127.0.0.2", "127.0.0.2" },
		{ "::", "::1", "::1" },
		{ "127.0.0.2", "127.0.0.2", "127.0.0.2" },
		{ "127.0.0.3", "127.0.0.2", "" },
		{ "0.0.0.0", "::1", "" },
		{ "::", "127.0.0.2", "" },
		{ "0.0.0.0", "192.0.2.7", "127.0.0.1" },
		{ "10.0.0.5", "192.0.2.7", "10.0.0.5" },
		{ "::", "192.0.2.7", "" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct str got = address_dialled(str_c(cases[i][0]), str_c(cases[i][1]));
		if (!str_eq_c(got, cases[i][2]))
			fail_msg("%s of %s: %.*s", cases[i][1], cases[i][0], STR_ARG(got));
	}
}

static void tcp_carries(void **state)
{
	(void)state;
	struct loop *loop = loop_new(&clock_system);
	struct side a = { 0 }, b = { 0 };
	tcp_pair(loop, &a, &b);
	bytes_pass(loop, &a, &b);
	loop_free(&loop);
}

static void tcp_reset_is_seen(void **state)
{
	(void)state;
	struct loop *loop = loop_new(&clock_system);
	struct side a = { 0 }, b = { 0 };
	tcp_pair(loop, &a, &b);
	turns(loop, 1);
	conn_reset(&a.held.conn);
	turns(loop, 2);
	assert_int_equal(b.last, CONN_FAILED);
	assert_string_equal(conn_failure(b.held.conn), "Connection reset by peer");
	conn_free(&b.held.conn);
	loop_free(&loop);
}

static void refused_connection_fails_at_write(void **state)
{
	(void)state;
	struct loop *loop = loop_new(&clock_system);
	struct sockaddr_storage at;
	assert_true(address_parse(STR("127.0.0.1"), 0, &at));
	int listener = conn_listen(&at);
	assert_true(conn_local_address(listener, &at));
	close(listener);
	struct side a = { 0 };
	conn_hold(&a.held, conn_tcp_connect(loop, &at), ready);
	turns(loop, 2);
	assert_true(a.events & CONN_OUT);
	assert_int_equal(a.last, CONN_FAILED);
	assert_string_equal(conn_failure(a.held.conn), "Connection refused");
	conn_free(&a.held.conn);
	loop_free(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_in_text),
		cmocka_unit_test(addresses_in_ranges),
		cmocka_unit_test(addresses_by_kind),
		cmocka_unit_test(our_addresses),
		cmocka_unit_test(what_is_dialled),
		cmocka_unit_test(pipe_carries),
		cmocka_unit_test(pipe_has_a_capacity),
		cmocka_unit_test(tcp_carries),
		cmocka_unit_test(tcp_reset_is_seen),
		cmocka_unit_test(refused_connection_fails_at_write),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
