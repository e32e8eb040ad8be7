/* What a worker has counted, by site and by upstream; nobody else writes or reads it. Told to the
 * main thread as a copy, and summed up there. Numbers only grow, but for `under_way`. */
#ifndef SERVER_COUNTERS_H
#define SERVER_COUNTERS_H

#include "base/buf.h"
#include "base/map.h"
#include "server/exchange.h"

/* Beyond so many of a kind they are counted together, under the name "". */
enum { COUNTERS_MOST = 4096 };

/* An answer took at most so many ms; the last bucket is for all others. */
#define COUNTERS_LATENCIES(X)                                                                      \
	X(1) X(2) X(5) X(10) X(20) X(50) X(100) X(200) X(500) X(1000) X(2000) X(5000) X(10000)
enum {
	COUNTERS_BUCKETS = 14,
	COUNTERS_CLASSES = 5, /* 1xx (101) to 5xx; a client that left before is a 4xx */
};
extern const int64_t counters_latencies[COUNTERS_BUCKETS - 1];

enum counters_kind { COUNTERS_SITE, COUNTERS_UPSTREAM, COUNTERS_KINDS };

struct counters {
	struct map_node node; /* its key is `name` */
	uint64_t requests[COUNTERS_CLASSES];
	uint64_t sent;    /* bytes of content to clients */
	uint64_t latency; /* ms, of all */
	uint64_t latencies[COUNTERS_BUCKETS];
	int64_t under_way;
	char name[];
};

enum counters_handshake { HANDSHAKE_FULL, HANDSHAKE_RESUMED, HANDSHAKE_FAILED, HANDSHAKES };
struct counts {
	struct map of[COUNTERS_KINDS];
	struct counters *last[COUNTERS_KINDS]; /* that was counted: often it is the next, too */
	uint64_t handshakes[HANDSHAKES];       /* of TLS; failed: by whosever fault */
};
void counts_done(struct counts *c);
void counts_add(struct counts *to, const struct counts *from);

/* "under_way 1xx 2xx 3xx 4xx 5xx sent latency bucket…", and back. */
void counters_print(const struct counters *c, struct buf *out);
MUST_CHECK bool counters_read(struct str text, struct counters *ret_counters);

/* An exchange with that site begins, goes to that upstream (to another one, if it is tried
 * again), and has ended. */
void counters_begin(struct exchange *ex);
void counters_upstream(struct exchange *ex, struct str shown);
void counters_end(struct exchange *ex);

#endif
