#include "loop/inside.h"

#include "base/err.h"
#include <sys/timerfd.h>

static struct timer *timer_of(struct heap_node *node)
{
	return OWNER(node, struct timer, node);
}

static int64_t after(int64_t now, int64_t ms)
{
	int64_t sum;
	if (ms <= 0)
		return now;
	return __builtin_add_overflow(now, ms, &sum) ? INT64_MAX : sum;
}

/* A later deadline is only written down: the node stays where it is, and is put right when its old
 * time has come. So a time-out that each request pushes back moves once per time-out. */
static void set_deadline(struct timer *t, int64_t deadline)
{
	t->deadline = deadline;
	if (t->node.index && t->node.order <= deadline)
		return;
	heap_remove(&t->loop->timers, &t->node);
	heap_add(&t->loop->timers, &t->node, deadline);
}

static void attach(struct timer *t, struct loop *loop, void (*due)(struct timer *))
{
	CHECK(!t->loop || t->loop == loop);
	t->loop = loop;
	t->due = due;
}

void timer_start(struct timer *t, struct loop *loop, int64_t after_ms, void (*due)(struct timer *))
{
	attach(t, loop, due);
	t->wall = 0;
	set_deadline(t, after(loop_mono(loop), after_ms));
}

void timer_stop(struct timer *t)
{
	if (!t->loop)
		return;
	heap_remove(&t->loop->timers, &t->node);
	t->loop = NULL;
}

/* The kernel tells of jumps, but not inside every sandbox, and not of a clock that is slewed:
 * hence the minute. A fake clock's jumps are always seen. */
static void aim_at_wall(struct timer *t)
{
	struct loop *loop = t->loop;
	const int64_t now = loop_wall(loop), longest = loop->clock->fake ? INT64_MAX : MINUTE;
	int64_t left;
	if (t->wall <= now)
		left = 0;
	else if (__builtin_sub_overflow(t->wall, now, &left) || left > longest)
		left = longest;
	set_deadline(t, after(loop_mono(loop), left));
}

static void wall_was_set(struct loop *loop)
{
	const size_t count = loop->timers.count;
	struct timer **all = mem_array(sizeof(struct timer *), count);
	for (size_t i = 0; i < count; i++)
		all[i] = timer_of(loop->timers.at[i]);
	for (size_t i = 0; i < count; i++)
		if (all[i]->wall)
			aim_at_wall(all[i]);
	free(all);
}

static void watch_jumps(struct loop *loop)
{
	/* Never due; CLOCK_REALTIME ends with what fits its nanoseconds. */
	const struct itimerspec far = { .it_value = { .tv_sec = INT64_MAX / 1000000000 } };
	const int flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
	CHECK(timerfd_settime(loop->jumps.fd, flags, &far, NULL) == 0);
}

static void jumped(struct watch *w, unsigned events)
{
	struct loop *loop = w->loop;
	uint64_t times;
	(void)events;
	/* Fails with ECANCELED; it is read so that it can be set again. */
	if (read(w->fd, &times, sizeof times) > 0)
		return;
	watch_jumps(loop);
	loop->wall_known = false;
	wall_was_set(loop);
}

static void hear_of_jumps(struct loop *loop)
{
	if (loop->jumps.loop || loop->clock->fake)
		return;
	loop->jumps.fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	CHECK(loop->jumps.fd >= 0);
	watch_jumps(loop);
	loop->jumps.ready = jumped;
	watch_begin(&loop->jumps, loop, EPOLLIN);
	loop->slots[loop->jumps.slot].closes = true;
}

void timers_fake_jump(struct loop *loop)
{
	const int64_t offset = loop_wall(loop) - loop_mono(loop);
	if (offset == loop->fake_offset)
		return;
	loop->fake_offset = offset;
	wall_was_set(loop);
}

void timer_start_wall(
        struct timer *t, struct loop *loop, int64_t wall_ms, void (*due)(struct timer *))
{
	hear_of_jumps(loop);
	attach(t, loop, due);
	t->wall = wall_ms ? wall_ms : 1; /* 0 says that it is no such timer; both are past */
	aim_at_wall(t);
}

void timers_done(struct loop *loop)
{
	for (size_t i = 0; i < loop->timers.count; i++)
		timer_of(loop->timers.at[i])->loop = NULL;
	heap_done(&loop->timers);
}

int64_t timers_wait(struct loop *loop)
{
	const struct heap_node *least = heap_least(&loop->timers);
	if (!least)
		return -1;
	const int64_t now = loop_mono(loop);
	return least->order > now ? least->order - now : 0;
}

static void put_right(struct timer *t)
{
	heap_remove(&t->loop->timers, &t->node);
	heap_add(&t->loop->timers, &t->node, t->deadline);
}

void timers_settle(struct loop *loop)
{
	for (struct heap_node *least; (least = heap_least(&loop->timers));) {
		struct timer *t = timer_of(least);
		if (t->deadline == least->order)
			return;
		put_right(t);
	}
}

static void look_at(struct timer *t)
{
	struct loop *loop = t->loop;
	if (t->deadline > loop->mono) {
		put_right(t);
		return;
	}
	heap_remove(&loop->timers, &t->node);
	if (t->wall > loop_wall(loop)) {
		aim_at_wall(t);
		return;
	}
	t->loop = NULL;
	t->due(t);
}

/* Those started by what runs here wait for the next turn, or a timer that starts itself with 0 ms
 * would keep the loop from its descriptors. They arrived later and are never due earlier, so that
 * the first of them ends the search. */
void timers_run(struct loop *loop)
{
	const uint64_t arrivals = loop->timers.arrivals;
	for (struct heap_node *least; (least = heap_least(&loop->timers));) {
		if (least->order > loop->mono || least->arrival >= arrivals)
			return;
		look_at(timer_of(least));
	}
}
