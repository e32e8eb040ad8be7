/* One event loop per thread: descriptors, timers, things to do at the end of a turn, signals,
 * children, and a mailbox for other threads.
 *
 * The contract of everything that waits, here and in all modules above:
 *   - the caller owns the struct (intrusive); its callback gets a pointer to it and finds its
 *     object by OWNER;
 *   - a callback fires exactly once per start, and never before the start has returned;
 *   - x_stop / x_abort means it will never fire; both are harmless on what is not started, and a
 *     callback may stop, restart or free its own struct.
 * Nothing here fails: what the kernel can only refuse through a bug or out of memory aborts.
 *
 * Time is read once per turn (loop_mono, loop_wall). On a fake clock the loop never sleeps: when
 * nothing is ready it advances the clock to the next timer. */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include "base/clock.h"
#include "base/heap.h"
#include "base/list.h"
#include <sys/types.h>

struct loop;
struct loop *loop_new(const struct clock *clock);
void loop_free(struct loop **loop);
void loop_run(struct loop *loop);  /* until loop_stop */
void loop_stop(struct loop *loop); /* after this turn */
/* One turn: waits at most max_ms (-1: as long as it takes) for something to do, and does it. */
void loop_turn(struct loop *loop, int64_t max_ms);
int64_t loop_mono(const struct loop *loop);
int64_t loop_wall(const struct loop *loop);
const struct clock *loop_clock(const struct loop *loop);

/* A descriptor, edge-triggered, registered once for both directions. `ready` gets WATCH_ bits;
 * after a hang-up or error both bits are set, so that the next read or write meets it. */
enum { WATCH_IN = 1, WATCH_OUT = 2 };
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

/* A wait with a reason that the page can show. Coarse timers of the data plane re-arm by writing a
 * later deadline; that costs nothing until the old one is due. */
struct timer {
	struct heap_node node;
	void (*due)(struct timer *t);
	struct loop *loop; /* NULL when not started */
	int64_t deadline;  /* mono ms */
	int64_t wall;      /* wall ms for timer_start_wall, else 0 */
};
void timer_start(struct timer *t, struct loop *loop, int64_t after_ms, void (*due)(struct timer *));
/* Due when the wall clock reaches wall_ms, however the clock is set meanwhile (it looks again at
 * least once a minute, and whenever the kernel tells of a jump). */
void timer_start_wall(struct timer *t, struct loop *loop, int64_t wall_ms,
                      void (*due)(struct timer *));
void timer_stop(struct timer *t);
bool timer_active(const struct timer *t);

/* At the end of this turn, once, however often asked for. */
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
void mailbox_free(struct mailbox **m); /* letters not yet opened are opened first */
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

/* A child's end, by pidfd; reaps it. status as from waitpid. */
struct on_exit_of {
	struct watch watch;
	pid_t pid;
	void (*ended)(struct on_exit_of *c, int status);
};
void on_exit_of_start(struct on_exit_of *c, struct loop *loop, pid_t pid,
                      void (*ended)(struct on_exit_of *c, int status));
void on_exit_of_stop(struct on_exit_of *c);

#endif
