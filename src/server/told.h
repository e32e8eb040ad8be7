/* What a worker has told control lately, so that it tells the same thing rarely: visitors from
 * outside, and HSTS that browsers were given. */
#ifndef SERVER_TOLD_H
#define SERVER_TOLD_H

#include "base/map.h"
#include "net/address.h"
#include "server/exchange.h"

struct told {
	struct map seen, hsts; /* struct telling, by scheme and name, by host */
	struct local_addresses local;
};
void told_done(struct told *t);

/* A final answer to this exchange begins: tells of its client if he is neither on this machine nor
 * a trusted proxy, or where certificates come on demand, at most once a minute for each name. The
 * name is the host that was asked for if a certificate stands for it, else the site's. */
void told_seen(struct exchange *ex);
/* HSTS of that age goes to a browser: at most once an hour for each host and age. */
void told_hsts(struct exchange *ex, int64_t age);

#endif
