/* The keys of session tickets, as processes have them from memory that outlives them. */
#include "base/log.h"
#include "worker/tickets.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>

#include <cmocka.h>

static struct clock_fake time_told;
static struct loop *loop;
static int memory;
static unsigned changes, warnings;

static void count_warnings(enum log_level level, struct str fields, struct str text)
{
	(void)fields, (void)text;
	warnings += level == LOG_WARNING;
}

static void changed(struct tickets *t)
{
	(void)t;
	changes++;
}

static int setup(void **state)
{
	(void)state;
	clock_fake_init(&time_told, INT64_C(1795535009) * SECOND);
	clock_fake_advance(&time_told, DAY); /* a machine that has been up for some time */
	loop = loop_new(&time_told.clock);
	memory = memfd_create("test", MFD_CLOEXEC);
	assert_int_equal(ftruncate(memory, 4096), 0);
	changes = warnings = 0;
	log_to(count_warnings);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(memory);
	loop_free(&loop);
	return 0;
}

static void start(struct tickets *t)
{
	struct err err;
	assert_true(tickets_start(t, loop, changed, &err));
}

static void start_with_memory(struct tickets *t)
{
	start(t);
	tickets_keep(t, fcntl(memory, F_DUPFD_CLOEXEC, 3));
}

static void pass(int64_t ms)
{
	clock_fake_advance(&time_told, ms);
	loop_turn(loop, 0);
	loop_turn(loop, 0);
}

static bool same(const struct tls_ticket_key *a, const struct tls_ticket_key *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

static bool same_keys(const struct tickets *a, const struct tickets *b)
{
	return same(&a->keys.current, &b->keys.current) &&
	       same(&a->keys.previous, &b->keys.previous);
}

/* Of three processes one begins, one comes beside it, and one after both. */
static void processes_share_them(void **state)
{
	(void)state;
	struct tickets first, beside, after;
	start_with_memory(&first);
	assert_int_equal(changes, 1);
	start(&beside);
	assert_false(same(&first.keys.current, &beside.keys.current));
	tickets_keep(&beside, fcntl(memory, F_DUPFD_CLOEXEC, 3));
	assert_true(same_keys(&first, &beside));
	assert_int_equal(changes, 2);
	pass(0); /* what was started before the memory was known is no reason to change them */
	assert_true(same_keys(&first, &beside));
	const struct tls_ticket_keys keys = first.keys;
	tickets_done(&first);
	tickets_done(&beside);
	start_with_memory(&after);
	assert_true(same(&after.keys.current, &keys.current));
	tickets_done(&after);
	const struct tls_ticket_keys wiped = { 0 };
	assert_memory_equal(&first.keys, &wiped, sizeof wiped);
	assert_memory_equal(&after.keys, &wiped, sizeof wiped);
}

/* All of them have the same new one at the same time, and the one before opens its tickets still;
 * the one before that opens nothing. */
static void they_rotate_together(void **state)
{
	(void)state;
	struct tickets a, b;
	start_with_memory(&a);
	start_with_memory(&b);
	for (int life = 0; life < 3; life++) {
		struct tls_ticket_keys before = a.keys;
		pass(TICKETS_LIFE - 1);
		assert_true(same(&a.keys.current, &before.current));
		pass(1);
		assert_false(same(&a.keys.current, &before.current));
		assert_true(same(&a.keys.previous, &before.current));
		assert_false(same(&a.keys.previous, &before.previous));
		assert_true(same_keys(&a, &b));
	}
	assert_int_equal(changes, 2 + 2 * 3);
	tickets_done(&a);
	tickets_done(&b);
}

/* A serve that comes back goes on until the same moment as the one before it. */
static void a_new_process_keeps_their_time(void **state)
{
	(void)state;
	struct tickets a, b;
	start_with_memory(&a);
	struct tls_ticket_keys keys = a.keys;
	tickets_done(&a);
	pass(TICKETS_LIFE - 1000);
	start_with_memory(&b);
	assert_memory_equal(&b.keys, &keys, sizeof keys);
	pass(999);
	assert_memory_equal(&b.keys, &keys, sizeof keys);
	pass(1);
	assert_true(same(&b.keys.previous, &keys.current));
	assert_false(same(&b.keys.current, &keys.current));
	tickets_done(&b);
}

/* Nobody was there when their time was over. */
static void what_is_too_old_is_replaced(void **state)
{
	(void)state;
	struct tickets a, b, c;
	start_with_memory(&a);
	struct tls_ticket_keys old = a.keys;
	tickets_done(&a);
	pass(TICKETS_LIFE);
	start_with_memory(&b);
	assert_false(same(&b.keys.current, &old.current));
	assert_false(same(&b.keys.previous, &old.current));
	start_with_memory(&c);
	assert_true(same_keys(&b, &c));
	tickets_done(&b);
	tickets_done(&c);
}

/* Of a machine that was up for longer, or of nobody that we know. */
static void what_is_good_for_too_long_is_replaced(void **state)
{
	(void)state;
	struct tickets a, b;
	start_with_memory(&a);
	int64_t until;
	assert_int_equal(pread(memory, &until, sizeof until, 0), sizeof until);
	assert_int_equal(until, loop_mono(loop) + TICKETS_LIFE);
	until++;
	assert_int_equal(pwrite(memory, &until, sizeof until, 0), sizeof until);
	start_with_memory(&b);
	assert_false(same(&a.keys.current, &b.keys.current));
	tickets_done(&a);
	tickets_done(&b);
}

/* Too small, and not to be written: there are keys all the same, and somebody hears of it. */
static void memory_that_keeps_nothing(void **state)
{
	(void)state;
	struct tickets t;
	start(&t);
	struct tls_ticket_keys keys = t.keys;
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(fd, 8), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_WRITE), 0);
	tickets_keep(&t, fd);
	assert_memory_equal(&t.keys, &keys, sizeof keys);
	assert_int_equal(warnings, 1);
	pass(TICKETS_LIFE);
	assert_true(same(&t.keys.previous, &keys.current));
	assert_int_equal(warnings, 2);
	tickets_keep(&t, fcntl(memory, F_DUPFD_CLOEXEC, 3));
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* its owner was asked to close it */
	assert_int_equal(warnings, 2);
	tickets_done(&t);
}

#define RIGGED(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(processes_share_them),
		RIGGED(they_rotate_together),
		RIGGED(a_new_process_keeps_their_time),
		RIGGED(what_is_too_old_is_replaced),
		RIGGED(what_is_good_for_too_long_is_replaced),
		RIGGED(memory_that_keeps_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
