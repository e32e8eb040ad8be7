/* What threads tell the main thread for control: log lines, visitors, HSTS. Never blocks: beyond a
 * bound events are dropped and counted. One per process, since a log sink has no context. */
#ifndef WORKER_EVENTS_H
#define WORKER_EVENTS_H

#include "link/link.h"

/* `hear` runs on the loop's thread, in order of posting; m is borrowed, its descriptor, too. */
void events_init(struct loop *loop, void (*hear)(const struct msg *m));
void events_done(void); /* after the other threads have ended; logs go to stderr again */
/* From any thread. The descriptor of a message that has one becomes the event's, dropped or not. */
void events_post(enum msg_type type, const void *fields);
uint64_t events_dropped(void); /* since the last call */
void events_drop(void);        /* one more was lost on its way to control */

#endif
