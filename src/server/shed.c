#include "server/shed.h"
#include "base/log.h"
#include "server/place.h"
#include "server/site.h"
#include "server/worker.h"
#include <malloc.h>

enum {
	RATE_SETS = 4096,
	RATE_WAYS = 4,
	MICROSECONDS = 1000000,
	LOOK_EVERY = 1000,
	TRY_AGAIN_AFTER = 5, /* s, when memory is short */
};

/* ---- rates ---- */

struct rate {
	uint64_t place; /* 0: free */
	int64_t paid;   /* mono µs until which its requests are paid for */
};

void rates_done(struct rates *r)
{
	free(r->at);
	r->at = NULL;
}

/* Of its set: the place's own, else the one that has been quiet longest. */
static struct rate *find(struct rates *r, uint64_t place)
{
	if (!r->at)
		r->at = mem_array(sizeof *r->at, (size_t)RATE_SETS * RATE_WAYS);
	uint64_t hash = hash_keyed(str_n((const char *)&place, sizeof place));
	struct rate *set = &r->at[hash % RATE_SETS * RATE_WAYS], *quiet = set;
	for (struct rate *way = set; way < set + RATE_WAYS; way++) {
		if (way->place == place)
			return way;
		if (way->paid < quiet->paid)
			quiet = way;
	}
	*quiet = (struct rate){ .place = place };
	return quiet;
}

int64_t rates_ask(struct rates *r, uint64_t place, struct rate_of of, int64_t mono)
{
	struct rate *rate = find(r, place);
	int64_t now = mono * 1000, cost = of.cost, ahead = cost * of.ahead;
	if (rate->paid < now)
		rate->paid = now;
	if (rate->paid + cost > now + ahead)
		return (rate->paid + cost - now - ahead + MICROSECONDS - 1) / MICROSECONDS;
	rate->paid += cost;
	return 0;
}

static bool has_no_rate(const struct exchange *ex)
{
	return address_is_loopback(&ex->client) || generation_trusts(ex->generation, &ex->client);
}

static bool asks_too_often(struct exchange *ex)
{
	struct worker *w = ex->worker;
	const struct limits *l = &ex->generation->limits;
	if (l->requests_per_address == 0 || has_no_rate(ex))
		return false;
	struct rate_of of = { MICROSECONDS / (int64_t)l->requests_per_address,
		(int64_t)l->requests_burst };
	int64_t after = rates_ask(&w->rates, place_of(&ex->client), of, loop_mono(w->loop));
	if (after > 0)
		exchange_answer_later(ex, 429,
		        "Too many requests came from your address: try again a little later.",
		        after);
	return after > 0;
}

/* ---- memory ---- */

static uint64_t memory_most(const struct limits *l)
{
	if (l->memory_most > 0)
		return l->memory_most;
	return (uint64_t)sysconf(_SC_PHYS_PAGES) / 4 * 3 * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Its second number: pages that are resident. 0: not known. */
static uint64_t memory_now(int statm)
{
	char text[128];
	struct str rest, word;
	uint64_t pages = 0;
	ssize_t n = pread(statm, text, sizeof text, 0);
	if (n <= 0)
		return 0;
	rest = str_n(text, (size_t)n);
	if (!str_split(&rest, ' ', &word) || !str_split(&rest, ' ', &word) ||
	        !str_to_u64(word, &pages))
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void tell_shortage(struct worker *w, uint64_t most)
{
	int64_t now = loop_mono(w->loop);
	if (w->memory.told != 0 && now - w->memory.told < MINUTE)
		return;
	w->memory.told = now;
	char text[200];
	(void)snprintf(text, sizeof text,
	        "The data plane has more than %llu MiB of memory (memory-most): requests are "
	        "answered with 503 until it has less.",
	        (unsigned long long)(most >> 20));
	worker_tell(w, log, .level = LOG_WARNING, .text = str_c(text));
}

/* What was freed is given back to the kernel before anybody is refused. */
static bool is_over(struct worker *w, const struct limits *l)
{
	struct memory *m = &w->memory;
	int64_t now = loop_mono(w->loop);
	if (m->statm <= 0 || (m->looked != 0 && now - m->looked < LOOK_EVERY))
		return m->over;
	m->looked = now;
	uint64_t most = memory_most(l);
	m->over = memory_now(m->statm) > most;
	if (m->over) {
		(void)malloc_trim(0);
		m->over = memory_now(m->statm) > most;
	}
	if (m->over)
		tell_shortage(w, most);
	return m->over;
}

bool shed(struct exchange *ex)
{
	if (is_over(ex->worker, &ex->generation->limits)) {
		ex->request.keep_alive = false;
		exchange_answer_later(ex, 503,
		        "This server is short of memory just now: try again in a few seconds.",
		        TRY_AGAIN_AFTER);
		return true;
	}
	return asks_too_often(ex);
}
