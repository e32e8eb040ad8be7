/* Names that wait for a certificate, as the process has asked control for them: each name once,
 * whichever threads wait for it, and at most DEMANDS_MOST at a time. */
#ifndef WORKER_DEMAND_H
#define WORKER_DEMAND_H

#include "worker/serve.h"

void demand_ask(struct serve *s, const struct msg_demand *m);
void demand_answered(struct serve *s, const struct msg_demand_answered *m);
/* The control that was asked is gone: it cannot be said. */
void demands_forget(struct serve *s);
/* Nobody waits any more. */
void demands_done(struct serve *s);

#endif
