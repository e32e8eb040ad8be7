/* Health checks: worker 0 asks each member of a group for a path, again and again, and tells what
 * came of it; every worker, it too, is told by proxy_health_told. So an application is asked once
 * in an interval and not once by each core, and all workers agree. Private to proxy/. */
#ifndef PROXY_HEALTH_H
#define PROXY_HEALTH_H

#include "proxy/group.h"

/* The members have changed: whoever is new is asked. */
void health_settle(struct group *g);
void health_check_free(struct member *m); /* harmless if it is not asked */

#endif
