/* What the files of this folder know of a loop; nobody else includes it. */
#ifndef LOOP_INSIDE_H
#define LOOP_INSIDE_H

#include "loop/loop.h"
#include <sys/epoll.h>

/* The kernel is given a slot's number and generation, never a pointer: an event that it reported
 * for a watch stopped meanwhile, in the same turn, finds another generation and goes nowhere. */
struct slot {
	struct watch *watch; /* NULL if free */
	uint32_t generation;
	uint32_t next_free;
	bool closes; /* the fd is the loop's own: loop_free closes it */
};

enum { EVENTS_PER_TURN = 256 };

struct loop {
	const struct clock *clock;
	int64_t mono, wall;
	bool wall_known; /* in this turn; read when first asked for */
	bool turning, stopped;
	unsigned holds;

	int epoll;
	uint32_t watches; /* started */
	uint32_t free_slot, slot_count;
	struct slot *slots;
	struct epoll_event events[EVENTS_PER_TURN];

	struct heap timers;
	struct watch jumps;  /* a timerfd that the kernel cancels when the clock is set */
	int64_t fake_offset; /* of a fake wall clock from mono, to see that it was set */
	struct list laters;  /* asked for in this turn */
	struct list running; /* those whose turn it is to run */
};

#define NO_SLOT UINT32_MAX

void watch_begin(struct watch *w, struct loop *loop, uint32_t events);
void watches_init(struct loop *loop);
void watches_done(struct loop *loop);
void watches_dispatch(struct loop *loop, int count);

void timers_done(struct loop *loop);
int64_t timers_wait(struct loop *loop); /* ms to the next, at least 0; -1 without any */
void timers_settle(struct loop *loop);  /* the least is where its deadline puts it */
void timers_run(struct loop *loop);
void timers_fake_jump(struct loop *loop); /* looks whether a fake wall clock was set */

#endif
