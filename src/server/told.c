#include "server/told.h"
#include "server/worker.h"

/* Hosts beneath a wildcard are chosen by strangers: beyond this many all are forgotten, which costs
 * no more than telling them once again. */
enum { TELLINGS_MOST = 10000 };

struct telling {
	struct map_node node; /* its key is `key` */
	int64_t at, age;      /* mono ms of the last time · HSTS: what was told */
	char key[];
};

static void forget_all(struct map *m)
{
	MAP_EACH (node, m) {
		map_remove(m, node);
		free(OWNER(node, struct telling, node));
	}
}

void told_done(struct told *t)
{
	forget_all(&t->seen);
	forget_all(&t->hsts);
	map_done(&t->seen);
	map_done(&t->hsts);
	local_addresses_done(&t->local);
}

static struct telling *telling(struct map *m, struct str key)
{
	struct map_node *node = map_find(m, key);
	if (node)
		return OWNER(node, struct telling, node);
	if (m->count >= TELLINGS_MOST)
		forget_all(m);
	struct telling *t = mem_alloc(sizeof *t + key.n);
	t->at = INT64_MIN / 2;
	t->age = -1;
	memcpy(t->key, key.p, key.n);
	map_add(m, str_n(t->key, key.n), &t->node);
	return t;
}

static struct str name_of(const struct exchange *ex)
{
	struct cert_record certificate;
	if (ex->worker->certs && cert_table_find(ex->worker->certs, ex->request.host, &certificate))
		return ex->request.host;
	return ex->site->name;
}

static bool is_outside(const struct exchange *ex, int64_t now)
{
	return !address_is_loopback(&ex->client) &&
	       !address_is_ours(&ex->worker->told.local, &ex->client, now) &&
	       !generation_trusts(ex->generation, &ex->client);
}

/* What came on demand is renewed for whoever asks. */
void told_seen(struct exchange *ex)
{
	struct worker *w = ex->worker;
	if (!w->tell || !ex->site || (!ex->site->on_demand && address_is_loopback(&ex->client)))
		return;
	struct str name = name_of(ex);
	struct str key =
	        arena_printf(ex->arena, "%s %.*s", ex->tls ? "https" : "http", STR_ARG(name));
	struct telling *t = telling(&w->told.seen, key);
	int64_t now = loop_mono(w->loop);
	if (now - t->at < MINUTE)
		return;
	bool outside = is_outside(ex, now);
	if (!outside && !ex->site->on_demand)
		return;
	t->at = now;
	char client[ADDRESS_TEXT];
	worker_tell(w, seen, .site = name, .client = str_c(address_text(&ex->client, client)),
	        .tls = ex->tls, .outside = outside, .at = loop_wall(w->loop));
}

void told_hsts(struct exchange *ex, int64_t age)
{
	struct worker *w = ex->worker;
	struct telling *t = telling(&w->told.hsts, ex->request.host);
	int64_t now = loop_mono(w->loop);
	if (t->age == age && now - t->at < HOUR)
		return;
	t->at = now;
	t->age = age;
	worker_tell(w, hsts_sent, .host = ex->request.host, .age = age, .at = loop_wall(w->loop));
}
