#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "loop/loop.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { WALL = 1000000 };

/* A loop on a fake clock, and the letters of what happened, in order. */
struct fixture {
	struct clock_fake clock;
	struct loop *loop;
	char seen[64];
	size_t count;
};
static struct fixture fix;

static int set_up(void **state)
{
	(void)state;
	fix = (struct fixture){ .count = 0 };
	clock_fake_init(&fix.clock, WALL);
	fix.loop = loop_new(&fix.clock.clock);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	loop_free(&fix.loop);
	assert_null(fix.loop);
	return 0;
}

static void saw(char c)
{
	assert_true(fix.count < sizeof fix.seen - 1);
	fix.seen[fix.count++] = c;
	fix.seen[fix.count] = '\0';
}

static int64_t passed(void)
{
	return fix.clock.mono_now - 1000 * SECOND;
}

struct probe {
	struct timer timer;
	struct later later;
	struct watch watch;
	char name;
	int times;
	unsigned events;
	struct probe *other;
};

static void probe_due(struct timer *t)
{
	saw(OWNER(t, struct probe, timer)->name);
}

static void turns(int count)
{
	while (count--)
		loop_turn(fix.loop, 0);
}

static void test_timer_order(void **state)
{
	struct probe p[] = { { .name = 'a' }, { .name = 'b' }, { .name = 'c' }, { .name = 'd' } };
	(void)state;
	timer_start(&p[0].timer, fix.loop, 30, probe_due);
	timer_start(&p[1].timer, fix.loop, 10, probe_due);
	timer_start(&p[2].timer, fix.loop, 10, probe_due);
	timer_start(&p[3].timer, fix.loop, -5, probe_due);
	assert_true(timer_active(&p[3].timer));
	assert_string_equal(fix.seen, "");
	loop_turn(fix.loop, -1);
	assert_string_equal(fix.seen, "d");
	assert_int_equal(passed(), 0);
	assert_false(timer_active(&p[3].timer));
	loop_turn(fix.loop, -1);
	assert_string_equal(fix.seen, "dbc");
	assert_int_equal(passed(), 10);
	loop_turn(fix.loop, -1);
	assert_string_equal(fix.seen, "dbca");
	assert_int_equal(passed(), 30);
	assert_int_equal(loop_mono(fix.loop), fix.clock.mono_now);
	assert_int_equal(loop_wall(fix.loop), WALL + 30);
	assert_ptr_equal(loop_clock(fix.loop), &fix.clock.clock);
}

static void test_timer_restart(void **state)
{
	static const struct {
		int64_t first, again, due;
	} rows[] = {
		{ 10, 50, 50 }, /* later: only the deadline is written */
		{ 50, 10, 10 },
		{ 10, 10, 10 },
		{ 10, 0, 0 },
		{ 10, INT64_MAX, -1 },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct probe p = { .name = 'p' };
		fix.count = 0;
		const int64_t begin = passed();
		timer_start(&p.timer, fix.loop, rows[i].first, probe_due);
		timer_start(&p.timer, fix.loop, rows[i].again, probe_due);
		loop_turn(fix.loop, 1000);
		if (rows[i].due < 0) {
			assert_int_equal(fix.count, 0);
			assert_true(timer_active(&p.timer));
			timer_stop(&p.timer);
			continue;
		}
		assert_int_equal(fix.count, 1);
		assert_int_equal(passed() - begin, rows[i].due);
	}
}

static void test_timer_stop(void **state)
{
	struct probe p = { .name = 'p' };
	(void)state;
	timer_stop(&p.timer);
	timer_start(&p.timer, fix.loop, 10, probe_due);
	timer_stop(&p.timer);
	assert_false(timer_active(&p.timer));
	timer_stop(&p.timer);
	clock_fake_advance(&fix.clock, 100);
	turns(3);
	assert_string_equal(fix.seen, "");
	timer_start(&p.timer, fix.loop, 10, probe_due);
	loop_turn(fix.loop, -1);
	assert_string_equal(fix.seen, "p");
}

static void due_and_again(struct timer *t)
{
	struct probe *p = OWNER(t, struct probe, timer);
	saw(p->name);
	assert_false(timer_active(t));
	if (--p->times)
		timer_start(t, fix.loop, 0, due_and_again);
	if (p->other)
		timer_stop(&p->other->timer);
}

static void test_timer_in_its_callback(void **state)
{
	struct probe b = { .name = 'b' };
	struct probe a = { .name = 'a', .times = 3, .other = &b };
	(void)state;
	timer_start(&a.timer, fix.loop, 0, due_and_again);
	timer_start(&b.timer, fix.loop, 0, probe_due);
	turns(1);
	assert_string_equal(fix.seen, "a"); /* b was stopped, a waits for the next turn */
	turns(1);
	assert_string_equal(fix.seen, "aa");
	turns(5);
	assert_string_equal(fix.seen, "aaa");
}

static void due_and_free(struct timer *t)
{
	saw('f');
	free(OWNER(t, struct probe, timer));
}

static void test_timer_freed(void **state)
{
	struct probe *p = mem_new(struct probe);
	(void)state;
	timer_start(&p->timer, fix.loop, 0, due_and_free);
	turns(2);
	assert_string_equal(fix.seen, "f");
}

static void test_many_timers(void **state)
{
	static struct probe p[2000];
	(void)state;
	memset(p, 0, sizeof p);
	for (size_t i = 0; i < COUNT(p); i++) {
		p[i].times = 1;
		timer_start(&p[i].timer, fix.loop, (int64_t)(i * 7919 % 501), probe_due);
	}
	for (size_t i = 0; i < COUNT(p); i++)
		if (i % 100)
			timer_stop(&p[i].timer);
	while (fix.count < 20)
		loop_turn(fix.loop, -1);
	clock_fake_advance(&fix.clock, SECOND);
	turns(1);
	assert_int_equal(fix.count, 20);
}

static void test_max_ms_on_fake_clock(void **state)
{
	struct probe p = { .name = 'p' };
	(void)state;
	timer_start(&p.timer, fix.loop, 100, probe_due);
	loop_turn(fix.loop, 0);
	assert_int_equal(passed(), 0);
	loop_turn(fix.loop, 30);
	assert_int_equal(passed(), 30);
	loop_turn(fix.loop, 500);
	assert_int_equal(passed(), 100);
	assert_string_equal(fix.seen, "p");
}

static void test_wall_timer(void **state)
{
	struct probe p = { .name = 'p' }, old = { .name = 'o' }, never = { .name = 'n' };
	(void)state;
	timer_start_wall(&p.timer, fix.loop, WALL + 30 * DAY, probe_due);
	timer_start_wall(&old.timer, fix.loop, 0, probe_due);
	timer_start_wall(&never.timer, fix.loop, INT64_MAX, probe_due);
	loop_turn(fix.loop, -1);
	assert_string_equal(fix.seen, "o");
	loop_turn(fix.loop, -1);
	assert_string_equal(fix.seen, "op");
	assert_int_equal(passed(), 30 * DAY);
	assert_int_equal(loop_wall(fix.loop), WALL + 30 * DAY);
	timer_stop(&never.timer);
}

static void test_wall_set_forwards(void **state)
{
	struct probe p = { .name = 'p' }, mono = { .name = 'm' };
	(void)state;
	timer_start(&mono.timer, fix.loop, HOUR, probe_due);
	timer_start_wall(&p.timer, fix.loop, WALL + 30 * DAY, probe_due);
	fix.clock.wall_now += 31 * DAY;
	loop_turn(fix.loop, -1);
	assert_string_equal(fix.seen, "p");
	assert_int_equal(passed(), 0);
	loop_turn(fix.loop, -1);
	assert_string_equal(fix.seen, "pm");
	assert_int_equal(passed(), HOUR);
}

static void test_wall_set_backwards(void **state)
{
	struct probe p = { .name = 'p' };
	(void)state;
	timer_start_wall(&p.timer, fix.loop, WALL + HOUR, probe_due);
	fix.clock.wall_now -= DAY;
	loop_turn(fix.loop, -1);
	assert_string_equal(fix.seen, "p");
	assert_int_equal(passed(), HOUR + DAY);
	assert_int_equal(loop_wall(fix.loop), WALL + HOUR);
	timer_start_wall(&p.timer, fix.loop, WALL + DAY, probe_due);
	timer_start(&p.timer, fix.loop, 5, probe_due); /* no longer one of the wall */
	fix.clock.wall_now += DAY;
	loop_turn(fix.loop, 0);
	assert_string_equal(fix.seen, "p");
	loop_turn(fix.loop, -1);
	assert_string_equal(fix.seen, "pp");
}

static void later_runs(struct later *l)
{
	struct probe *p = OWNER(l, struct probe, later);
	saw(p->name);
	if (p->times-- > 0)
		later_start(l, fix.loop, later_runs);
	if (p->other)
		later_stop(&p->other->later);
}

static void test_laters(void **state)
{
	struct probe a = { .name = 'a' }, b = { .name = 'b' }, c = { .name = 'c' };
	(void)state;
	later_stop(&a.later);
	later_start(&a.later, fix.loop, later_runs);
	later_start(&b.later, fix.loop, later_runs);
	later_start(&a.later, fix.loop, later_runs);
	later_start(&c.later, fix.loop, later_runs);
	later_stop(&c.later);
	assert_string_equal(fix.seen, "");
	loop_turn(fix.loop, -1);
	assert_string_equal(fix.seen, "ab");
	a.times = 2; /* asks for itself: the next turn, which does not wait */
	a.other = &b;
	later_start(&a.later, fix.loop, later_runs);
	later_start(&b.later, fix.loop, later_runs);
	loop_turn(fix.loop, -1);
	assert_string_equal(fix.seen, "aba");
	loop_turn(fix.loop, -1);
	loop_turn(fix.loop, -1);
	assert_string_equal(fix.seen, "abaaa");
}

static void later_frees(struct later *l)
{
	saw('f');
	free(OWNER(l, struct probe, later));
}

static void due_then_later(struct timer *t)
{
	saw('t');
	later_start(&OWNER(t, struct probe, timer)->later, fix.loop, later_frees);
}

static void test_later_ends_the_turn(void **state)
{
	struct probe *p = mem_new(struct probe);
	(void)state;
	timer_start(&p->timer, fix.loop, 5, due_then_later);
	loop_turn(fix.loop, -1);
	assert_string_equal(fix.seen, "tf");
}

struct ends {
	int near, far;
};

static struct ends socket_pair(void)
{
	int s[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s), 0);
	return (struct ends){ s[0], s[1] };
}

static void close_pair(struct ends s)
{
	close(s.near);
	close(s.far);
}

static void probe_ready(struct watch *w, unsigned events)
{
	struct probe *p = OWNER(w, struct probe, watch);
	p->events |= events;
	p->times++;
}

static unsigned take_events(struct probe *p)
{
	const unsigned events = p->events;
	p->events = 0;
	return events;
}

static void test_watch(void **state)
{
	struct probe p = { .name = 'p' };
	char byte;
	(void)state;
	const struct ends s = socket_pair();
	watch_stop(&p.watch);
	watch_start(&p.watch, fix.loop, s.near, probe_ready);
	assert_int_equal(p.times, 0);
	turns(2);
	assert_int_equal(p.times, 1); /* edge-triggered: told once */
	assert_int_equal(take_events(&p), WATCH_OUT);
	assert_int_equal(write(s.far, "x", 1), 1);
	turns(2);
	assert_int_equal(take_events(&p) & (WATCH_IN | WATCH_END), WATCH_IN);
	assert_int_equal(p.times, 2);
	assert_int_equal(read(s.near, &byte, 1), 1);
	assert_int_equal(write(s.far, "y", 1), 1);
	shutdown(s.far, SHUT_WR);
	turns(1);
	assert_int_equal(take_events(&p) & (WATCH_IN | WATCH_END), WATCH_IN | WATCH_END);
	watch_stop(&p.watch);
	watch_stop(&p.watch);
	assert_null(p.watch.loop);
	assert_int_equal(write(s.near, "z", 1), 1);
	close_pair(s);
}

static void test_watch_hang_up(void **state)
{
	struct probe p = { .name = 'p' };
	(void)state;
	const struct ends s = socket_pair();
	watch_start(&p.watch, fix.loop, s.near, probe_ready);
	close(s.far);
	turns(1);
	assert_int_equal(take_events(&p), WATCH_IN | WATCH_OUT | WATCH_END);
	watch_close(&p.watch);
	watch_close(&p.watch);
	assert_null(p.watch.loop);
	assert_int_equal(fcntl(s.near, F_GETFD), -1);
}

static void stop_other(struct watch *w, unsigned events)
{
	struct probe *p = OWNER(w, struct probe, watch);
	probe_ready(w, events);
	if (p->other && p->other->watch.loop) {
		watch_stop(&p->other->watch);
		watch_start(&p->other->watch, fix.loop, p->other->watch.fd, probe_ready);
		watch_stop(&p->other->watch);
	}
}

/* Both are ready in one turn; the first stops the second, whose event was read already. */
static void test_stale_event(void **state)
{
	struct probe a = { .name = 'a' }, b = { .name = 'b' };
	(void)state;
	const struct ends s = socket_pair(), t = socket_pair();
	a.other = &b;
	b.other = &a;
	watch_start(&a.watch, fix.loop, s.near, stop_other);
	watch_start(&b.watch, fix.loop, t.near, stop_other);
	turns(3);
	assert_int_equal(a.times + b.times, 1);
	watch_stop(&a.watch);
	watch_stop(&b.watch);
	close_pair(s);
	close_pair(t);
}

static void replace_other(struct watch *w, unsigned events)
{
	struct probe *p = OWNER(w, struct probe, watch);
	probe_ready(w, events);
	if (p->other && p->other->watch.loop) {
		const int fd = p->other->watch.fd;
		watch_stop(&p->other->watch);
		struct probe *fresh = p->other->other;
		watch_start(&fresh->watch, fix.loop, fd, probe_ready);
	}
}

/* The slot is taken again in the same turn, by another: the stale event is not taken for his. */
static void test_slot_reused(void **state)
{
	struct probe fresh = { .name = 'f' };
	struct probe b = { .name = 'b', .other = &fresh };
	struct probe a = { .name = 'a', .other = &b };
	(void)state;
	const struct ends s = socket_pair(), t = socket_pair();
	watch_start(&a.watch, fix.loop, s.near, replace_other);
	watch_start(&b.watch, fix.loop, t.near, probe_ready);
	const uint32_t slot = b.watch.slot;
	turns(1);
	assert_int_equal(a.times, 1);
	assert_int_equal(b.times, 0);
	assert_int_equal(fresh.watch.slot, slot);
	assert_int_equal(fresh.times, 0);
	turns(1);
	assert_int_equal(fresh.times, 1);
	watch_stop(&a.watch);
	watch_stop(&fresh.watch);
	close_pair(s);
	close_pair(t);
}

static void ready_and_free(struct watch *w, unsigned events)
{
	(void)events;
	saw('f');
	watch_close(w);
	free(OWNER(w, struct probe, watch));
}

static void test_watch_freed(void **state)
{
	struct probe *p = mem_new(struct probe);
	(void)state;
	const struct ends s = socket_pair();
	watch_start(&p->watch, fix.loop, s.near, ready_and_free);
	turns(2);
	assert_string_equal(fix.seen, "f");
	close(s.far);
}

static void test_many_watches(void **state)
{
	enum { MANY = 400 };
	static struct probe p[MANY];
	static struct ends s[MANY];
	(void)state;
	memset(p, 0, sizeof p);
	for (int i = 0; i < MANY; i++) {
		s[i] = socket_pair();
		watch_start(&p[i].watch, fix.loop, s[i].near, probe_ready);
	}
	turns(2); /* more than one turn's events */
	for (int i = 0; i < MANY; i++)
		assert_int_equal(p[i].times, 1);
	for (int i = 0; i < MANY; i += 2)
		watch_stop(&p[i].watch);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(write(s[i].far, "x", 1), 1);
	turns(2);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(p[i].times, i % 2 ? 2 : 1);
		watch_stop(&p[i].watch);
		close_pair(s[i]);
	}
}

static void test_listener(void **state)
{
	struct probe p = { .name = 'p' };
	struct sockaddr_un {
		sa_family_t family;
		char path[32];
	} address = { .family = AF_UNIX };
	(void)state;
	const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	snprintf(address.path + 1, sizeof address.path - 1, "everseal-test-%d", (int)getpid());
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, 5), 0);
	watch_start_listener(&p.watch, fix.loop, listener, probe_ready);
	turns(2);
	assert_int_equal(p.times, 0);
	const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
	turns(2);
	assert_int_equal(p.times, 2); /* level-triggered: until it is accepted */
	assert_int_equal(take_events(&p), WATCH_IN);
	close(client);
	watch_close(&p.watch);
}

/* A descriptor that is ready comes before the clock is advanced. */
static void test_ready_before_due(void **state)
{
	struct probe p = { .name = 'p' };
	(void)state;
	const struct ends s = socket_pair();
	timer_start(&p.timer, fix.loop, 10, probe_due);
	watch_start(&p.watch, fix.loop, s.near, probe_ready);
	loop_turn(fix.loop, -1);
	assert_int_equal(p.times, 1);
	assert_string_equal(fix.seen, "");
	assert_int_equal(passed(), 0);
	loop_turn(fix.loop, -1);
	assert_string_equal(fix.seen, "p");
	watch_stop(&p.watch);
	close_pair(s);
}

struct parcel {
	struct letter letter;
	int number;
};

struct sender {
	struct mailbox *box;
	struct parcel *parcels;
	int count;
};

static int opened, expected_next[2];
static struct mailbox *box;

static void *send_all(void *argument)
{
	const struct sender *s = argument;
	for (int i = 0; i < s->count; i++)
		mail_post(s->box, &s->parcels[i].letter);
	return NULL;
}

static void open_numbered(struct mailbox *m, struct letter *l)
{
	const struct parcel *p = OWNER(l, struct parcel, letter);
	assert_ptr_equal(m, box);
	assert_null(l->next);
	/* Of each sender in order. */
	assert_int_equal(p->number % 100000, expected_next[p->number / 100000]++);
	opened++;
}

static void test_mail_from_threads(void **state)
{
	enum { EACH = 20000 };
	static struct parcel parcels[2][EACH];
	struct sender senders[2];
	pthread_t threads[2];
	(void)state;
	opened = 0;
	box = mailbox_new(fix.loop, open_numbered);
	for (int t = 0; t < 2; t++) {
		expected_next[t] = 0;
		for (int i = 0; i < EACH; i++)
			parcels[t][i] = (struct parcel){ .number = t * 100000 + i };
		senders[t] = (struct sender){ box, parcels[t], EACH };
		assert_int_equal(pthread_create(&threads[t], NULL, send_all, &senders[t]), 0);
	}
	while (opened < 2 * EACH)
		loop_turn(fix.loop, -1); /* no timer: it really waits */
	for (int t = 0; t < 2; t++)
		pthread_join(threads[t], NULL);
	mailbox_free(&box);
	assert_null(box);
	mailbox_free(&box);
}

static void open_and_see(struct mailbox *m, struct letter *l)
{
	(void)m;
	saw((char)('0' + OWNER(l, struct parcel, letter)->number));
}

static void open_and_free(struct mailbox *m, struct letter *l)
{
	open_and_see(m, l);
	mailbox_free(&box);
}

static void test_mailbox_freed(void **state)
{
	struct parcel parcels[3] = { { .number = 0 }, { .number = 1 }, { .number = 2 } };
	(void)state;
	box = mailbox_new(fix.loop, open_and_see);
	for (int i = 0; i < 3; i++)
		mail_post(box, &parcels[i].letter);
	mailbox_free(&box); /* opens what is there first */
	assert_string_equal(fix.seen, "012");
	box = mailbox_new(fix.loop, open_and_free);
	for (int i = 0; i < 3; i++)
		mail_post(box, &parcels[i].letter);
	turns(2);
	assert_null(box);
	assert_string_equal(fix.seen, "012012");
}

static void *send_late(void *argument)
{
	const struct timespec wait = { .tv_nsec = 30000000 };
	nanosleep(&wait, NULL);
	return send_all(argument);
}

static void open_and_release(struct mailbox *m, struct letter *l)
{
	open_and_see(m, l);
	loop_release(fix.loop);
}

/* While a thread works for us a fake clock stands still, whatever timers there are. */
static void test_hold(void **state)
{
	struct probe p = { .name = 'p' };
	struct parcel parcel = { .number = 1 };
	pthread_t thread;
	(void)state;
	box = mailbox_new(fix.loop, open_and_release);
	struct sender sender = { box, &parcel, 1 };
	timer_start(&p.timer, fix.loop, 10, probe_due);
	loop_hold(fix.loop);
	assert_int_equal(pthread_create(&thread, NULL, send_late, &sender), 0);
	loop_turn(fix.loop, 1);
	assert_int_equal(passed(), 0);
	assert_string_equal(fix.seen, "");
	loop_turn(fix.loop, -1);
	assert_string_equal(fix.seen, "1");
	assert_int_equal(passed(), 0);
	loop_turn(fix.loop, -1);
	assert_string_equal(fix.seen, "1p");
	pthread_join(thread, NULL);
	mailbox_free(&box);
}

struct waiting {
	struct on_signal signal;
	struct on_exit_of child;
	int status;
};

static void caught(struct on_signal *s, int number)
{
	saw(number == SIGUSR1 ? '1' : number == SIGUSR2 ? '2' : '?');
	if (number == SIGUSR2)
		on_signal_stop(s);
}

static void test_signals(void **state)
{
	static const int numbers[] = { SIGUSR1, SIGUSR2 };
	static struct waiting w = { .status = 0 };
	(void)state;
	signals_block(numbers, 2);
	on_signal_stop(&w.signal);
	on_signal_start(&w.signal, fix.loop, numbers, 2, caught);
	kill(getpid(), SIGUSR1);
	turns(2);
	assert_string_equal(fix.seen, "1");
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR2);
	turns(4);
	assert_string_equal(fix.seen, "112");
	assert_null(w.signal.watch.loop);
	on_signal_start(&w.signal, fix.loop, numbers, 2, caught); /* left to loop_free */
}

static void ended(struct on_exit_of *c, int status)
{
	struct waiting *w = OWNER(c, struct waiting, child);
	saw('e');
	w->status = status;
	assert_null(c->watch.loop);
}

static void test_children(void **state)
{
	struct waiting w[3];
	(void)state;
	memset(w, 0, sizeof w);
	on_exit_of_stop(&w[0].child);
	for (int i = 0; i < 3; i++) {
		const pid_t pid = fork();
		if (pid == 0 && i == 1)
			for (;;)
				pause();
		if (pid == 0)
			_exit(7 + i);
		on_exit_of_start(&w[i].child, fix.loop, pid, ended);
		assert_int_equal(w[i].child.pid, pid);
	}
	kill(w[1].child.pid, SIGKILL);
	on_exit_of_stop(&w[2].child);
	while (fix.count < 2)
		loop_turn(fix.loop, -1);
	assert_int_equal(WEXITSTATUS(w[0].status), 7);
	assert_int_equal(WTERMSIG(w[1].status), SIGKILL);
	assert_int_equal(waitpid(w[0].child.pid, NULL, WNOHANG), -1); /* reaped */
	int status;
	assert_int_equal(waitpid(w[2].child.pid, &status, 0), w[2].child.pid); /* ours to reap */
	assert_int_equal(WEXITSTATUS(status), 9);
}

static void due_and_stop(struct timer *t)
{
	probe_due(t);
	if (OWNER(t, struct probe, timer)->name == 'b')
		loop_stop(fix.loop);
}

static void test_run_and_stop(void **state)
{
	struct probe a = { .name = 'a' }, b = { .name = 'b' }, c = { .name = 'c' };
	(void)state;
	timer_start(&a.timer, fix.loop, 10, due_and_stop);
	timer_start(&b.timer, fix.loop, 20, due_and_stop);
	timer_start(&c.timer, fix.loop, 20, due_and_stop);
	loop_run(fix.loop);
	assert_string_equal(fix.seen, "abc"); /* the turn was finished */
	assert_int_equal(passed(), 20);
	loop_stop(fix.loop);
	loop_run(fix.loop); /* stopped before: at once */
	assert_int_equal(passed(), 20);
}

/* What is started when the loop dies is stopped; stopping it again does no harm. */
static void test_free_detaches(void **state)
{
	struct probe p = { .name = 'p' }, q = { .name = 'q' };
	struct parcel parcel = { .number = 3 };
	(void)state;
	const struct ends s = socket_pair();
	timer_start(&p.timer, fix.loop, 10, probe_due);
	timer_start_wall(&q.timer, fix.loop, 10, probe_due);
	later_start(&p.later, fix.loop, later_runs);
	watch_start(&p.watch, fix.loop, s.near, probe_ready);
	box = mailbox_new(fix.loop, open_and_see);
	mail_post(box, &parcel.letter);
	loop_free(&fix.loop);
	loop_free(&fix.loop);
	assert_false(timer_active(&p.timer));
	assert_null(p.watch.loop);
	timer_stop(&p.timer);
	timer_stop(&q.timer);
	later_stop(&p.later);
	watch_stop(&p.watch);
	mailbox_free(&box);
	assert_string_equal(fix.seen, "3");
	close_pair(s);
}

static void real_due(struct timer *t)
{
	struct probe *p = OWNER(t, struct probe, timer);
	saw(p->name);
	loop_stop(fix.loop);
}

/* On the system's clock: it waits as long as it must, not less and not much more. */
static void test_real_clock(void **state)
{
	struct probe a = { .name = 'a' }, b = { .name = 'b' };
	(void)state;
	loop_free(&fix.loop);
	fix.loop = loop_new(&clock_system);
	const int64_t begin = loop_mono(fix.loop);
	timer_start(&a.timer, fix.loop, 20, real_due);
	loop_run(fix.loop);
	assert_string_equal(fix.seen, "a");
	assert_true(loop_mono(fix.loop) - begin >= 20);
	assert_true(loop_mono(fix.loop) - begin < 5000);
	timer_start_wall(&b.timer, fix.loop, loop_wall(fix.loop) + 20, real_due);
	const int64_t wall = loop_wall(fix.loop);
	loop_run(fix.loop);
	assert_string_equal(fix.seen, "ab");
	assert_true(loop_wall(fix.loop) - wall >= 19);
	const int64_t mono = loop_mono(fix.loop);
	loop_turn(fix.loop, 10);
	assert_true(loop_mono(fix.loop) - mono >= 9);
	loop_hold(fix.loop);
	loop_turn(fix.loop, 0);
	loop_release(fix.loop);
	timer_start(&a.timer, fix.loop, 10, probe_due);
	timer_start(&a.timer, fix.loop, 25, probe_due); /* woken for the old time, due at the new */
	const int64_t again = loop_mono(fix.loop);
	while (fix.count < 3)
		loop_turn(fix.loop, -1);
	assert_true(loop_mono(fix.loop) - again >= 24);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_timer_order),
		CASE(test_timer_restart),
		CASE(test_timer_stop),
		CASE(test_timer_in_its_callback),
		CASE(test_timer_freed),
		CASE(test_many_timers),
		CASE(test_max_ms_on_fake_clock),
		CASE(test_wall_timer),
		CASE(test_wall_set_forwards),
		CASE(test_wall_set_backwards),
		CASE(test_laters),
		CASE(test_later_ends_the_turn),
		CASE(test_watch),
		CASE(test_watch_hang_up),
		CASE(test_stale_event),
		CASE(test_slot_reused),
		CASE(test_watch_freed),
		CASE(test_many_watches),
		CASE(test_listener),
		CASE(test_ready_before_due),
		CASE(test_mail_from_threads),
		CASE(test_mailbox_freed),
		CASE(test_hold),
		CASE(test_signals),
		CASE(test_children),
		CASE(test_run_and_stop),
		CASE(test_free_detaches),
		CASE(test_real_clock),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
