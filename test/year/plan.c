#include "plan.h"

const unsigned life_hours[] = {
#define X(days, hours) hours,
	LIVES(X)
#undef X
};
const unsigned life_days[] = {
#define X(days, hours) days,
	LIVES(X)
#undef X
};

enum { ALIKE = 60, GROUP = 20, DEAD = 32 };
#define COUNT(a) (sizeof(a) / sizeof *(a))

/* Three days each, of each kind; and the hours before everybody is asked to renew. */
static const struct outage outages[] = {
	{ 40 * 24 + 5, 72, OUTAGE_SILENT },
	{ 120 * 24 + 17, 72, OUTAGE_ERRORS },
	{ 250 * 24 + 9, 72, OUTAGE_PATIENCE },
	{ 300 * 24 + 10, 3, OUTAGE_SILENT },
};
static const struct recall recalls[] = {
	{ 80 * 24 + 14, 60, false },
	{ 200 * 24 + 3, 100, true },
	{ 300 * 24 + 13, 100, false },
};
static const unsigned kills[] = { 17 * 24 + 3, 41 * 24 + 6, 80 * 24 + 16, 121 * 24 + 1,
	160 * 24 + 20, 200 * 24 + 4, 251 * 24 + 2, 300 * 24 + 14, 340 * 24 + 7 };
const struct plan plan_year = {
	.names = 1000,
	.late = 40,
	.late_at = 150 * 24,
	.days = 365,
	.outages = outages,
	.outage_count = COUNT(outages),
	.recalls = recalls,
	.recall_count = COUNT(recalls),
	.kills = kills,
	.kill_count = COUNT(kills),
};

static const struct outage soon_outages[] = {
	{ 10 * 24 + 5, 72, OUTAGE_SILENT },
	{ 33 * 24 + 9, 72, OUTAGE_PATIENCE },
};
static const struct recall soon_recalls[] = { { 20 * 24 + 14, 60, false } };
static const unsigned soon_kills[] = { 11 * 24 + 2, 20 * 24 + 16, 30 * 24 };
const struct plan plan_smoke = {
	.names = 124,
	.late = 4,
	.late_at = 25 * 24,
	.days = 42,
	.outages = soon_outages,
	.outage_count = COUNT(soon_outages),
	.recalls = soon_recalls,
	.recall_count = COUNT(soon_recalls),
	.kills = soon_kills,
	.kill_count = COUNT(soon_kills),
};

const struct outage *plan_outage(const struct plan *p, unsigned hour)
{
	for (size_t i = 0; i < p->outage_count; i++)
		if (hour >= p->outages[i].from && hour - p->outages[i].from < p->outages[i].hours)
			return &p->outages[i];
	return NULL;
}

/* Every other name has a domain of its own; the first of the others share one, more of them than it
 * may have certificates a week; those behind share one in twenties. Those that come late belong to
 * the large one. */
static void name_site(const struct plan *p, struct site *s, unsigned i)
{
	const unsigned half = i / 2;
	s->is_late = i >= p->names - p->late;
	s->life = half % LIFE_COUNT;
	if (s->is_late || (i % 2 && half < ALIKE))
		snprintf(s->name, sizeof s->name, "host%u.large.com", i);
	else if (i % 2)
		snprintf(s->name, sizeof s->name, "host%u.group%u.com", i, half / GROUP);
	else
		snprintf(s->name, sizeof s->name, "site%u.com", i);
}

/* One in forty is not found for a while once; one in two hundred never. With the outages beside
 * it, that lasts less than the half of its life that a short certificate has left. */
static void let_die(const struct plan *p, struct site *s, unsigned i)
{
	s->never = i % 200 == 64;
	if (i % 40 == 8)
		s->dead_from = (i * 7919u) % ((p->days - 10) * 24) + 5 * 24;
}

struct site *plan_sites(const struct plan *p)
{
	struct site *all = mem_array(sizeof *all, p->names);
	for (unsigned i = 0; i < p->names; i++) {
		name_site(p, &all[i], i);
		let_die(p, &all[i], i);
		all[i].pem = BUF(16 << 10);
	}
	return all;
}

bool plan_is_dead(const struct site *s, unsigned hour)
{
	return s->never || (s->dead_from && hour >= s->dead_from && hour < s->dead_from + DEAD);
}
