#include "loop/inside.h"

#include "base/err.h"
#include <errno.h>
#include <limits.h>

struct loop *loop_new(const struct clock *clock)
{
	struct loop *loop = mem_new(struct loop);
	loop->clock = clock;
	loop->fake_offset = clock->wall(clock) - clock->mono(clock);
	list_init(&loop->laters);
	list_init(&loop->running);
	watches_init(loop);
	return loop;
}

static void forget_all(struct list *laters)
{
	LIST_EACH (node, laters)
		list_remove(node);
}

void loop_free(struct loop **loop)
{
	struct loop *l = *loop;
	if (!l)
		return;
	CHECK(!l->turning);
	timers_done(l);
	watches_done(l);
	forget_all(&l->laters);
	forget_all(&l->running);
	free(l);
	*loop = NULL;
}

int64_t loop_mono(const struct loop *loop)
{
	return loop->turning ? loop->mono : loop->clock->mono(loop->clock);
}

/* Few turns ask: it is read by the first who does. */
int64_t loop_wall(const struct loop *loop)
{
	if (!loop->turning)
		return loop->clock->wall(loop->clock);
	if (!loop->wall_known) {
		struct loop *writable = (struct loop *)loop;
		writable->wall = loop->clock->wall(loop->clock);
		writable->wall_known = true;
	}
	return loop->wall;
}

const struct clock *loop_clock(const struct loop *loop)
{
	return loop->clock;
}

void loop_hold(struct loop *loop)
{
	loop->holds++;
}

void loop_release(struct loop *loop)
{
	CHECK(loop->holds > 0);
	loop->holds--;
}

static int64_t sooner(int64_t a, int64_t b) /* -1 = never */
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static int wait_really(struct loop *loop, int64_t ms)
{
	const int timeout = ms > INT_MAX ? INT_MAX : (int)ms;
	const int count = epoll_wait(loop->epoll, loop->events, EVENTS_PER_TURN, timeout);
	CHECK(count >= 0 || errno == EINTR);
	return count > 0 ? count : 0;
}

static int wait_on_fake_clock(struct loop *loop, int64_t max_ms)
{
	timers_fake_jump(loop);
	timers_settle(loop);
	const int64_t next = timers_wait(loop);
	if (next == 0 || !list_empty(&loop->laters))
		return wait_really(loop, 0);
	if (next < 0 || loop->holds > 0)
		return wait_really(loop, max_ms);
	const int count = wait_really(loop, sooner(loop->watches ? 1 : 0, max_ms));
	if (count == 0)
		clock_fake_advance(
		        OWNER(loop->clock, struct clock_fake, clock), sooner(next, max_ms));
	return count;
}

static int wait_for_something(struct loop *loop, int64_t max_ms)
{
	if (loop->clock->fake)
		return wait_on_fake_clock(loop, max_ms);
	if (!list_empty(&loop->laters))
		return wait_really(loop, 0);
	return wait_really(loop, sooner(timers_wait(loop), max_ms));
}

static void run_laters(struct loop *loop)
{
	while (!list_empty(&loop->laters)) {
		struct list *first = list_first(&loop->laters);
		list_remove(first);
		list_add_last(&loop->running, first);
	}
	while (!list_empty(&loop->running)) {
		struct list *first = list_first(&loop->running);
		list_remove(first);
		struct later *l = OWNER(first, struct later, node);
		l->run(l);
	}
}

void loop_turn(struct loop *loop, int64_t max_ms)
{
	CHECK(!loop->turning);
	const int count = wait_for_something(loop, max_ms);
	loop->mono = loop->clock->mono(loop->clock);
	loop->wall_known = false;
	loop->turning = true;
	watches_dispatch(loop, count);
	timers_run(loop);
	run_laters(loop);
	loop->turning = false;
}

void loop_run(struct loop *loop)
{
	while (!loop->stopped)
		loop_turn(loop, -1);
	loop->stopped = false;
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
}

void later_start(struct later *l, struct loop *loop, void (*run)(struct later *))
{
	l->run = run;
	if (!list_linked(&l->node))
		list_add_last(&loop->laters, &l->node);
}

void later_stop(struct later *l)
{
	list_remove(&l->node);
}
