/* Writes of many parts at once: whatever the connection takes of them is a beginning, in order, and
 * what it did not take is asked for again once. */
#include "net/address.h"
#include "net/conn.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { PERIOD = 65521, PART_MOST = 70000, PARTS = 9 };

static const size_t sizes[PARTS] = { 1, 0, 3, 5000, 0, 0, PART_MOST, 7, 0 };
static char pattern[PERIOD + PART_MOST]; /* what stands at n is pattern[n % PERIOD] */

struct end {
	struct conn_holder held;
	size_t count; /* of bytes so far */
	size_t whole; /* of the writer: how many there are */
	unsigned cut; /* writes that ended within a part */
	unsigned outs, blocked;
	bool deaf;
};

static void write_more(struct end *e)
{
	while (e->count < e->whole) {
		struct iovec v[PARTS];
		size_t at = e->count, boundary = 0;
		for (int i = 0; i < PARTS; i++) {
			size_t n = sizes[i] < e->whole - at ? sizes[i] : e->whole - at;
			v[i] = (struct iovec){ pattern + at % PERIOD, n };
			at += n;
		}
		ssize_t n = conn_write(e->held.conn, v, PARTS);
		assert_int_not_equal(n, CONN_FAILED);
		for (int i = 0; i < PARTS && n > 0 && boundary < (size_t)n; i++)
			boundary += v[i].iov_len;
		e->cut += n > 0 && boundary != (size_t)n;
		e->count += n > 0 ? (size_t)n : 0;
		if (e->count < at) {
			e->blocked++;
			return;
		}
	}
}

static void writer_ready(struct conn *c, unsigned events)
{
	struct end *e = OWNER(c->holder, struct end, held);
	if (!(events & CONN_OUT))
		return;
	e->outs++;
	assert_int_equal(e->outs, e->blocked);
	write_more(e);
}

static void read_all(struct end *e)
{
	char p[PERIOD];
	for (ssize_t n; !e->deaf && (n = conn_read(e->held.conn, p, sizeof p)) > 0;) {
		size_t first = PERIOD - e->count % PERIOD, m = (size_t)n;
		first = first < m ? first : m;
		assert_memory_equal(p, pattern + e->count % PERIOD, first);
		assert_memory_equal(p + first, pattern, m - first);
		e->count += m;
	}
}

static void reader_ready(struct conn *c, unsigned events)
{
	(void)events;
	read_all(OWNER(c->holder, struct end, held));
}

/* The reader is deaf until nothing more is taken. */
static void all_parts_arrive(struct loop *loop, struct end *from, struct end *to, size_t whole)
{
	from->outs = from->blocked = 0;
	from->whole = whole;
	to->deaf = true;
	write_more(from);
	for (int i = 0; i < 20; i++)
		loop_turn(loop, 1);
	assert_true(from->blocked > 0 && from->count < whole);
	to->deaf = false;
	read_all(to);
	for (int i = 0; i < 100000 && to->count < whole; i++)
		loop_turn(loop, 5);
	assert_int_equal(from->count, whole);
	assert_int_equal(to->count, whole);
	assert_true(from->cut > 0);
	conn_free(&from->held.conn);
	conn_free(&to->held.conn);
}

static void a_pipe_takes_parts(void **state)
{
	(void)state;
	struct loop *loop = loop_new(&clock_system);
	struct end from = { 0 }, to = { 0 };
	struct conn *a, *b;
	conn_pipe_new(loop, 999, &a, &b);
	conn_hold(&from.held, a, writer_ready);
	conn_hold(&to.held, b, reader_ready);
	all_parts_arrive(loop, &from, &to, 1 << 20);
	loop_free(&loop);
}

static void connected(struct conn *c, unsigned events)
{
	OWNER(c->holder, struct end, held)->outs += (events & CONN_OUT) != 0;
}

static void a_socket_takes_parts(void **state)
{
	(void)state;
	struct loop *loop = loop_new(&clock_system);
	struct end from = { 0 }, to = { 0 };
	struct sockaddr_storage at, peer;
	assert_true(address_parse(STR("127.0.0.1"), 0, &at));
	int fd = -1, listener = conn_listen(&at);
	assert_true(listener >= 0 && conn_local_address(listener, &at));
	conn_hold(&from.held, conn_tcp_connect(loop, &at), connected);
	for (int i = 0; i < 1000 && (from.outs == 0 || fd < 0); i++) {
		loop_turn(loop, 5);
		fd = fd < 0 ? conn_accept(listener, &peer) : fd;
	}
	assert_true(from.outs == 1 && fd >= 0);
	conn_hold(&from.held, from.held.conn, writer_ready);
	conn_hold(&to.held, conn_tcp_new(loop, fd), reader_ready);
	all_parts_arrive(loop, &from, &to, 64 << 20);
	close(listener);
	loop_free(&loop);
}

int main(void)
{
	for (size_t i = 0; i < sizeof pattern; i++)
		pattern[i] = (char)(i % PERIOD * 7 + i % PERIOD / 251);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pipe_takes_parts),
		cmocka_unit_test(a_socket_takes_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
