#include "server/demand.h"

#include "certs/pattern.h"
#include "server/client.h"

enum { ANSWER_SETS = 1024, ANSWER_WAYS = 4, NAME_MOST = 253 };
static const int64_t PATIENCE = 25 * SECOND, KEEP_MOST = HOUR;
/* Ten new names at once, and one more every ten seconds. */
static const struct rate_of rate = { .cost = 10 * SECOND * 1000, .ahead = 10 };

/* Names that are waited for, in all workers of the process. */
static atomic_size_t waited_for;

struct demand {
	struct map_node node; /* by name */
	struct demands *demands;
	struct list waiting; /* struct demand_wait */
	struct timer timer;
	char name[NAME_MOST + 1];
};

struct answer {
	uint64_t hash; /* keyed, of the name; 0: free */
	int64_t until; /* mono ms */
	enum tls_turn turn;
};

struct demands {
	struct worker *worker;
	struct map under_way;
	struct rates rates;
	struct answer *answers;
	int64_t generation; /* the worker's, when they were given */
};

static struct demands *demands_of(struct worker *w)
{
	if (!w->demands) {
		w->demands = mem_new(struct demands);
		w->demands->worker = w;
	}
	return w->demands;
}

static void forget(struct demand *d)
{
	timer_stop(&d->timer);
	map_remove(&d->demands->under_way, &d->node);
	atomic_fetch_sub_explicit(&waited_for, 1, memory_order_relaxed);
	free(d);
}

void demands_free(struct demands **d)
{
	struct demands *gone = *d;
	*d = NULL;
	if (!gone)
		return;
	MAP_EACH (n, &gone->under_way)
		forget(OWNER(n, struct demand, node));
	map_done(&gone->under_way);
	rates_done(&gone->rates);
	free(gone->answers);
	free(gone);
}

/* --- what was answered */

static struct answer *answers_of(struct demands *d)
{
	const struct generation *g = d->worker->generation;
	if (!d->answers)
		d->answers = mem_array(sizeof *d->answers, (size_t)ANSWER_SETS * ANSWER_WAYS);
	if (g && g->number != d->generation) {
		memset(d->answers, 0, sizeof *d->answers * ANSWER_SETS * ANSWER_WAYS);
		d->generation = g->number;
	}
	return d->answers;
}

/* Of its set: the name's own, else the one that is over soonest. */
static struct answer *answer_of(struct demands *d, struct str name)
{
	uint64_t hash = hash_keyed(name) | 1;
	struct answer *set = &answers_of(d)[(hash >> 1) % ANSWER_SETS * ANSWER_WAYS], *found = set;
	for (struct answer *way = set; way < set + ANSWER_WAYS; way++) {
		if (way->hash == hash)
			return way;
		if (way->until < found->until)
			found = way;
	}
	return found;
}

static void remember(struct demands *d, struct str name, enum tls_turn turn, int64_t keep)
{
	if (keep <= 0)
		return;
	*answer_of(d, name) = (struct answer){ .hash = hash_keyed(name) | 1,
		.until = loop_mono(d->worker->loop) + (keep < KEEP_MOST ? keep : KEEP_MOST),
		.turn = turn };
}

static bool remembers(struct demands *d, struct str name, enum tls_turn *ret_turn)
{
	const struct answer *a = answer_of(d, name);
	if (a->hash != (hash_keyed(name) | 1) || a->until <= loop_mono(d->worker->loop))
		return false;
	*ret_turn = a->turn;
	return true;
}

/* --- answers */

static void go_on(struct demand_wait *wait, enum tls_turn turn)
{
	struct opening *o = OWNER(wait, struct opening, demand);
	wait->over = true;
	wait->then = turn;
	client_deadline(o->client, o->generation->limits.handshake_timeout);
	conn_tls_go_on(o->client->held.conn);
}

static void end(struct demand *d, enum tls_turn turn)
{
	struct list waiting;
	list_init(&waiting);
	LIST_EACH (n, &d->waiting) {
		list_remove(n);
		list_add_last(&waiting, n);
	}
	forget(d);
	while (!list_empty(&waiting)) {
		struct list *first = list_first(&waiting);
		list_remove(first);
		go_on(OWNER(first, struct demand_wait, node), turn);
	}
}

static void took_too_long(struct timer *t)
{
	end(OWNER(t, struct demand, timer), TLS_REFUSED);
}

void demand_heard(struct worker *w, const struct msg_demand_answered *m)
{
	if (!w->demands)
		return;
	enum tls_turn turn = m->verdict == DEMAND_BUSY ? TLS_REFUSED : TLS_GOES_ON;
	if (m->verdict != DEMAND_ISSUED)
		remember(w->demands, m->name, turn, m->keep);
	struct map_node *n = map_find(&w->demands->under_way, m->name);
	if (n)
		end(OWNER(n, struct demand, node), turn);
}

/* --- questions */

static void wait_for(struct demand *d, struct client *c)
{
	list_add_last(&d->waiting, &c->opening->demand.node);
	client_deadline(c, -1); /* the demand has its own */
}

static bool has_certificate(const struct worker *w, struct str name)
{
	struct cert_record r;
	return cert_table_find(w->certs, name, &r) && !(r.flags & CERT_TEMPORARY);
}

static bool is_allowed(const struct site *site, struct str name)
{
	for (size_t i = 0; i < site->demand_pattern_count; i++)
		if (pattern_allows(site->demand_patterns[i], name))
			return true;
	return site->demand_pattern_count == 0;
}

/* A proxy that passes TLS on speaks for many. */
static bool asks_too_often(struct demands *d, const struct client *c)
{
	const struct sockaddr_storage address = address_whole(&c->address);
	return !generation_trusts(c->opening->generation, &address) &&
	       rates_ask(&d->rates, place_of(&address), rate, loop_mono(d->worker->loop)) > 0;
}

static bool take_place(void)
{
	if (atomic_fetch_add_explicit(&waited_for, 1, memory_order_relaxed) < DEMANDS_MOST)
		return true;
	atomic_fetch_sub_explicit(&waited_for, 1, memory_order_relaxed);
	return false;
}

static void ask(struct demands *all, struct client *c, struct str name)
{
	char client[ADDRESS_TEXT];
	const struct sockaddr_storage address = address_whole(&c->address);
	struct demand *d = mem_new(struct demand);
	memcpy(d->name, name.p, name.n);
	d->demands = all;
	list_init(&d->waiting);
	map_add(&all->under_way, str_n(d->name, name.n), &d->node);
	timer_start(&d->timer, all->worker->loop, PATIENCE, took_too_long);
	wait_for(d, c);
	worker_tell(
	        all->worker, demand, .name = name, .client = str_c(address_text(&address, client)));
}

enum tls_turn demand_turn(struct client *c, const struct site *site, struct str name)
{
	struct worker *w = c->worker;
	enum tls_turn turn;
	if (!site->on_demand || !w->tell || has_certificate(w, name))
		return TLS_GOES_ON;
	if (c->opening->demand.over)
		return c->opening->demand.then;
	if (!name_is_host(name) || !is_allowed(site, name))
		return TLS_GOES_ON;
	struct demands *d = demands_of(w);
	if (remembers(d, name, &turn))
		return turn;
	struct map_node *n = map_find(&d->under_way, name);
	if (n) {
		wait_for(OWNER(n, struct demand, node), c);
		return TLS_WAITS;
	}
	if (asks_too_often(d, c) || !take_place())
		return TLS_REFUSED;
	ask(d, c, name);
	return TLS_WAITS;
}

void demand_leave(struct demand_wait *wait)
{
	list_remove(&wait->node);
}
