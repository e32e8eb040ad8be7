/* One event loop per thread: descriptors, timers, things to do at the end of a turn, signals,
 * children, and a mailbox for other threads.
 *
 * The contract of everything that waits, here and in all modules above:
 *   - the caller owns the struct (intrusive), zeroed before its first start; its callback gets a
 *     pointer to it and finds its object by OWNER;
 *   - a callback fires exactly once per start, and never before the start has returned;
 *   - x_stop / x_abort means it will never fire; both are harmless on what is not started, and a
 *     callback may stop, restart or free its own struct.
 * Nothing here fails: what the kernel can only refuse through a bug or for want of memory or
 * descriptors aborts.
 *
 * A turn: wait; then what is ready, in the kernel's order; then timers that are due, earliest
 * first; then the laters. Time is read once per turn (loop_mono, loop_wall).
 *
 * On a fake clock the loop does not sleep through timers: when nothing is ready, it advances the
 * clock to the next one (but not by more than a turn's max_ms). It really waits only
 *   - 1 ms before it advances, if it watches any descriptor or has a mailbox: what is under way in
 *     the kernel or another thread is given a chance to come first;
 *   - up to max_ms, without advancing, when no timer is started, or while somebody holds the clock
 *     (loop_hold) because another thread or process works for him. */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include "base/clock.h"
#include "base/heap.h"
#include "base/list.h"
#include <sys/types.h>

struct loop;
struct loop *loop_new(const struct clock *clock);
/* What is still started is stopped, without a call. Mailboxes are freed by their owners, before or
 * after. */
void loop_free(struct loop **loop);
void loop_run(struct loop *loop);  /* until loop_stop, which also counts if it came before */
void loop_stop(struct loop *loop); /* after this turn */
/* One turn: waits at most max_ms (-1: as long as it takes) for something to do, and does it. */
void loop_turn(struct loop *loop, int64_t max_ms);
int64_t loop_mono(const struct loop *loop); /* outside a turn: of the clock itself */
int64_t loop_wall(const struct loop *loop);
const struct clock *loop_clock(const struct loop *loop);

/* Foreign work begins and ends: meanwhile a fake clock stands still. On the loop's thread; counted;
 * without effect on a real clock. */
void loop_hold(struct loop *loop);
void loop_release(struct loop *loop);

/* A descriptor, edge-triggered, registered once for both directions. `ready` gets WATCH_ bits.
 * WATCH_END: the peer has sent its end, or hung up, or there is an error. It comes with WATCH_IN
 * (after a hang-up or error with both bits), so that the next read or write meets it. A reader that
 * stops at a short read reads on until 0 or an error once it has seen WATCH_END: the end may have
 * arrived together with the last bytes, and is not told twice. */
enum { WATCH_IN = 1, WATCH_OUT = 2, WATCH_END = 4 };
struct watch {
	int fd; /* not owned */
	void (*ready)(struct watch *w, unsigned events);
	struct loop *loop; /* NULL when not started */
	uint32_t slot;
};
void watch_start(struct watch *w, struct loop *loop, int fd,
        void (*ready)(struct watch *w, unsigned events));
/* For a listening socket that several threads or processes watch: EPOLLEXCLUSIVE, level-triggered,
 * IN only. */
void watch_start_listener(struct watch *w, struct loop *loop, int fd,
        void (*ready)(struct watch *w, unsigned events));
void watch_stop(struct watch *w); /* before the fd is closed; no event already read reaches it */
/* Stops and closes the descriptor, which saves a system call. Only where no other descriptor, here
 * or in another process, is open on the same socket: the kernel would go on reporting that one. */
void watch_close(struct watch *w);

/* A wait with a reason that the page can show. Coarse timers of the data plane re-arm by writing a
 * later deadline; that costs nothing until the old one is due. */
struct timer {
	struct heap_node node;
	void (*due)(struct timer *t);
	struct loop *loop; /* NULL when not started */
	int64_t deadline;  /* mono ms */
	int64_t wall;      /* wall ms for timer_start_wall, else 0 */
};
/* Started again, a timer forgets its former deadline. Less than 0 ms counts as 0. */
void timer_start(struct timer *t, struct loop *loop, int64_t after_ms, void (*due)(struct timer *));
/* Due when the wall clock reaches wall_ms, however the clock is set meanwhile (it looks again at
 * least once a minute, and whenever the kernel tells of a jump). */
void timer_start_wall(
        struct timer *t, struct loop *loop, int64_t wall_ms, void (*due)(struct timer *));
void timer_stop(struct timer *t);
static inline bool timer_active(const struct timer *t)
{
	return t->loop != NULL;
}

/* At the end of this turn, once, however often asked for; in order of asking. What a later itself
 * asks for is done at the end of the next turn, which does not wait. */
struct later {
	struct list node;
	void (*run)(struct later *l);
};
void later_start(struct later *l, struct loop *loop, void (*run)(struct later *));
void later_stop(struct later *l);

/* From other threads: the only function of this header that another thread may call is mail_post.
 * A letter belongs to the mailbox from mail_post until `open` is called with it, on the loop's
 * thread, in order of posting. */
struct letter {
	struct letter *next;
};
struct mailbox;
struct mailbox *mailbox_new(struct loop *loop, void (*open)(struct mailbox *m, struct letter *l));
/* Letters not yet opened are opened first. Nobody may post any more. */
void mailbox_free(struct mailbox **m);
void mail_post(struct mailbox *m, struct letter *l);

/* Signals by signalfd: block them in every thread first with signals_block. */
struct on_signal {
	struct watch watch;
	void (*caught)(struct on_signal *s, int number);
};
void signals_block(const int *numbers, size_t count);
void on_signal_start(struct on_signal *s, struct loop *loop, const int *numbers, size_t count,
        void (*caught)(struct on_signal *s, int number));
void on_signal_stop(struct on_signal *s);

/* A child's end, by pidfd; reaps it. status as from waitpid. Once stopped, whoever stopped it reaps
 * the child. */
struct on_exit_of {
	struct watch watch;
	pid_t pid;
	void (*ended)(struct on_exit_of *c, int status);
};
void on_exit_of_start(struct on_exit_of *c, struct loop *loop, pid_t pid,
        void (*ended)(struct on_exit_of *c, int status));
void on_exit_of_stop(struct on_exit_of *c);

#endif
