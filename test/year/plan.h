/* What happens in a simulated year: names with certificates of four lifetimes, and what CA and
 * network do to them. Hours are counted from the beginning. */
#ifndef TEST_YEAR_PLAN_H
#define TEST_YEAR_PLAN_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"

/* name, lifetime in hours */
#define LIVES(X) X(6, 160) X(45, 45 * 24) X(64, 64 * 24) X(90, 90 * 24)
enum life {
#define X(days, hours) LIFE_##days,
	LIVES(X)
#undef X
	        LIFE_COUNT
};
extern const unsigned life_hours[LIFE_COUNT], life_days[LIFE_COUNT];

/* How a CA is not there. */
enum outage_kind { OUTAGE_SILENT, OUTAGE_ERRORS, OUTAGE_PATIENCE };
struct outage {
	unsigned from, hours;
	enum outage_kind kind;
};
/* From then on the CA's windows for certificates issued before are in the past. */
struct recall {
	unsigned at, percent;
	bool short_only;
};
struct plan {
	unsigned names, late, days; /* late: of the names, those that come at `late_at` */
	unsigned late_at;
	const struct outage *outages;
	size_t outage_count;
	const struct recall *recalls;
	size_t recall_count;
	const unsigned *kills;
	size_t kill_count;
};
extern const struct plan plan_smoke, plan_year;

const struct outage *plan_outage(const struct plan *p, unsigned hour); /* NULL: none */

/* A name, and its certificate as visitors see it. */
struct site {
	struct map_node node;
	char name[48];
	enum life life;
	bool is_late;
	bool never;         /* its proofs are never found */
	unsigned dead_from; /* or for a day and a third; 0: always found */
	struct buf pem;
	unsigned issued;
	int64_t not_after, installed_at; /* wall ms */
	int64_t recalled_at;             /* 0: not */
};
struct site *plan_sites(const struct plan *p); /* plan->names of them */
bool plan_is_dead(const struct site *s, unsigned hour);

#endif
