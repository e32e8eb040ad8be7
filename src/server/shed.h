/* What is refused before it costs much: requests of addresses that ask too often (429), and all of
 * them while the process has more memory than it may (503). Challenges are answered before it, and
 * this machine and trusted proxies have no rate. */
#ifndef SERVER_SHED_H
#define SERVER_SHED_H

#include "server/exchange.h"

/* Rates by address, an IPv4 address or a /64 of IPv6, for one worker: a table of fixed size, made
 * with its first use. Each address has a moment before which its requests are paid for; who asks
 * gets it moved on, who is too far ahead is refused. A place in the table is taken from whom has
 * been quiet longest. */
struct rates {
	struct rate *at;
};
/* Each costs so many µs; an address may be ahead for as long as `ahead` of them. */
struct rate_of {
	int64_t cost, ahead; /* µs; how many */
};
/* Refused: the seconds after which it would do. 0: it may. */
int64_t rates_ask(struct rates *r, uint64_t place, struct rate_of of, int64_t mono);
void rates_done(struct rates *r);

/* How much memory the process has, asked of the kernel at most once a second. */
struct memory {
	int statm;      /* /proc/self/statm, opened by whoever starts the process; 0: not known */
	int64_t looked; /* mono ms */
	int64_t told;
	bool over;
};

/* Whether the request was answered here. */
bool shed(struct exchange *ex);

#endif
