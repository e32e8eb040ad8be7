/* A generation while its rows come in. Private to server/. */
#ifndef SERVER_BUILDING_H
#define SERVER_BUILDING_H

#include "server/site.h"

/* Groups of upstreams, and what belongs to them: heap until they are settled. */
struct upstream_row {
	int64_t upstreams;
	struct upstream upstream;
};
struct option_row {
	int64_t upstreams, value;
	struct str name;
};
struct trust_row {
	int64_t id;
	struct str ders; /* in the arena */
};
struct building_upstreams {
	struct upstreams *groups;
	int64_t *trusted; /* of each group */
	struct trust_row *trusts;
	struct upstream_row *members;
	struct option_row *options;
	size_t group_count, member_count, option_count, trust_count;
};
MUST_CHECK bool building_upstreams_row(struct building_upstreams *b, struct arena *a,
        enum msg_type type, const void *fields, struct err *err);
/* Puts them into the generation. */
MUST_CHECK bool building_upstreams_settle(
        struct building_upstreams *b, struct generation *g, struct err *err);
const struct upstreams *building_upstreams_of(const struct generation *g, int64_t id);
void building_upstreams_done(struct building_upstreams *b);

#endif
