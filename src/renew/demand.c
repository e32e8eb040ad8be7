#include "renew/demand.h"

#include "base/url.h"
#include "certs/pattern.h"
#include "net/address.h"
#include "renew/private.h"

enum {
	DEMANDS_MOST = 256,
	REFUSALS_MOST = 4096,
	ASKING_MOST = 16,
	REPLY_MOST = 64 << 10,
	BUDGET_RECORD_MOST = 64 << 10,
};
#define ASK_TIME   (10 * SECOND)
#define LIFE       (2 * MINUTE) /* its registration may take longer */
#define NO_FOR     (5 * MINUTE)
#define SILENT_FOR (30 * SECOND)
#define FULL_FOR   MINUTE
#define FAILED_FOR HOUR

/* A name that is being looked at. */
struct demand {
	struct map_node node; /* by name */
	struct list queued;   /* to be asked about */
	struct renewals *renewals;
	struct fetch_call ask;
	struct timer life;
	bool asking;
	char name[254], client[ADDRESS_TEXT];
};

struct refusal {
	struct map_node node; /* by name */
	struct list order;    /* the oldest first */
	enum demand_verdict verdict;
	int64_t until; /* mono ms */
	char name[];
};

/* What a site has ordered for in the last hour. */
struct budget {
	struct map_node node; /* by site */
	struct arena arena;
	struct str site;
	int64_t *at; /* wall ms, the oldest first */
	size_t count, cap;
	int64_t version;
};

/* ---- answers ---- */

static void refusal_free(struct demands *d, struct refusal *f)
{
	list_remove(&f->order);
	map_remove(&d->refusals, &f->node);
	free(f);
}

static void forget_refusals(struct demands *d)
{
	MAP_EACH (n, &d->refusals)
		refusal_free(d, OWNER(n, struct refusal, node));
}

static void remember(struct renewals *r, struct str name, enum demand_verdict v, int64_t keep)
{
	struct demands *d = &r->demands;
	struct map_node *before = map_find(&d->refusals, name);
	if (before)
		refusal_free(d, OWNER(before, struct refusal, node));
	if (keep <= 0)
		return;
	if (d->refusals.count >= REFUSALS_MOST)
		refusal_free(d, OWNER(list_first(&d->refusal_order), struct refusal, order));
	struct refusal *f = mem_alloc(sizeof *f + name.n);
	*f = (struct refusal){ .verdict = v, .until = loop_mono(r->needs.loop) + keep };
	memcpy(f->name, name.p, name.n);
	map_add(&d->refusals, str_n(f->name, name.n), &f->node);
	list_add_last(&d->refusal_order, &f->order);
}

/* DEMAND_PENDING: none is remembered. */
static enum demand_verdict remembered(const struct renewals *r, struct str name, int64_t *ret_keep)
{
	struct map_node *n = map_find(&r->demands.refusals, name);
	const struct refusal *f = n ? OWNER(n, struct refusal, node) : NULL;
	const int64_t now = loop_mono(r->needs.loop);
	if (!f || f->until <= now)
		return DEMAND_PENDING;
	*ret_keep = f->until - now;
	return f->verdict;
}

/* Strangers must not fill the log. */
static void complain(struct renewals *r, const char *sentence)
{
	struct demands *d = &r->demands;
	const int64_t now = loop_mono(r->needs.loop);
	if (d->complained && now - d->complained < MINUTE)
		return;
	d->complained = now;
	log_warning(r->needs.log, "%s", sentence);
}

static void count(struct renewals *r, enum demand_verdict v)
{
	if (v != DEMAND_PENDING)
		r->demands.answers[v]++;
}

static void ask_next(struct renewals *r);

static void demand_free(struct demand *d)
{
	struct demands *all = &d->renewals->demands;
	all->asking -= d->asking;
	timer_stop(&d->life);
	fetch_abort(&d->ask);
	list_remove(&d->queued);
	map_remove(&all->under_way, &d->node);
	free(d);
}

static void finish(struct demand *d, enum demand_verdict v, int64_t keep)
{
	struct renewals *r = d->renewals;
	struct renew_demands *to = r->demands.heard;
	char name[sizeof d->name];
	memcpy(name, d->name, sizeof name);
	demand_free(d);
	count(r, v);
	remember(r, str_c(name), v, v == DEMAND_ISSUED ? 0 : keep);
	ask_next(r);
	if (to)
		to->answered(to, str_c(name), v, keep);
}

static void lived(struct timer *t)
{
	finish(OWNER(t, struct demand, life), DEMAND_BUSY, 0);
}

/* ---- the budget ---- */

static struct str site_key(const struct config_site *s)
{
	return s->fallback ? STR("*") : s->names[0];
}

static void budget_add(struct budget *b, int64_t at)
{
	if (b->count == b->cap) {
		b->cap = b->cap ? 2 * b->cap : 16;
		b->at = mem_grow(b->at, sizeof *b->at, b->cap);
	}
	b->at[b->count++] = at;
}

static void budget_read(struct renewals *r, struct budget *b)
{
	ARENA_AUTO a = ARENA_INIT;
	struct record record;
	struct err err = ERR_INIT;
	b->version = 0;
	b->count = 0;
	if (!store_get(r->needs.store, &a, STR("on-demand"), b->site, &record, &err))
		return;
	JSON_AUTO *json = json_parse(record.value, "The stored budget", &err);
	const struct json *spent = json_array(json, "spent");
	b->version = record.version;
	for (size_t i = 0; i < json_count(spent); i++) {
		int64_t at;
		if (clock_from_rfc3339(json_value_text(json_at(spent, i)), &at))
			budget_add(b, at);
	}
}

static struct budget *budget_of(struct renewals *r, const struct config_site *s)
{
	struct map *all = &r->demands.budgets;
	struct map_node *n = map_find(all, site_key(s));
	if (n)
		return OWNER(n, struct budget, node);
	struct budget *b = mem_new(struct budget);
	b->site = arena_str(&b->arena, site_key(s));
	map_add(all, b->site, &b->node);
	budget_read(r, b);
	return b;
}

/* What is older than an hour counts no more, nor what a clock ahead has written. */
static void budget_prune(struct budget *b, int64_t now)
{
	size_t kept = 0;
	for (size_t i = 0; i < b->count; i++)
		if (b->at[i] > now - HOUR && b->at[i] <= now + MINUTE)
			b->at[kept++] = b->at[i];
	b->count = kept;
}

static void budget_put(struct budget *b, struct store_tx *tx)
{
	BUF_AUTO value = BUF(BUDGET_RECORD_MOST);
	struct json_writer w;
	json_write_init(&w, &value);
	json_write_object(&w, NULL);
	json_write_array(&w, "spent");
	for (size_t i = 0; i < b->count; i++)
		json_write_time(&w, NULL, b->at[i]);
	json_write_end(&w);
	json_write_end(&w);
	store_tx_put(tx, STR("on-demand"), b->site, b->version++, buf_str(&value), STR_NONE);
}

static bool budget_has_room(
        struct renewals *r, const struct config_site *s, int64_t *ret_until, struct err *err)
{
	struct budget *b = budget_of(r, s);
	const int64_t now = loop_wall(r->needs.loop);
	const size_t most = s->demand.budget;
	char until[CLOCK_TEXT];
	budget_prune(b, now);
	if (b->count < most)
		return true;
	*ret_until = b->at[b->count - most] + HOUR;
	return err_set(err, ERR_LIMIT,
	        "`on-demand` of site %.*s has ordered for %zu names within an hour, which is its "
	        "budget: handshakes for further names are refused until %s." ERR_REMEDY
	        "If those names are yours, raise `budget` in its block.",
	        STR_ARG(b->site), b->count, clock_rfc3339(*ret_until, until));
}

/* ---- whether it may be ordered ---- */

/* The site that gives it on demand; NULL: none. */
static const struct config_site *site_of(const struct renewals *r, struct str name)
{
	ARENA_AUTO a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct name read;
	const struct config *c = r->config;
	if (!c || !name_is_host(name) || str_eq(name, c->page_name))
		return NULL;
	const struct config_site *s = config_site_of(c, name);
	if (!s || !config_demand_allows(&s->demand, name))
		return NULL;
	return name_read(&a, name, /* public_only= */ false, &read, &err) &&
	                       str_eq(read.ascii, name)
	               ? s
	               : NULL;
}

static struct str directory_of(const struct renewals *r, struct str issuer)
{
	const struct config_issuer *row = config_issuer(r->config, issuer);
	return row ? row->directory : STR_NONE;
}

static bool issuer_has_room(
        struct renewals *r, struct str issuer, struct str name, int64_t *ret_until, struct err *err)
{
	const struct str directory = directory_of(r, issuer);
	const struct limit_order order = { .directory = directory,
		.names = &name,
		.count = 1,
		.has_account = issuers_has_account(r->needs.issuers, issuer),
		.reserve = reserve_of(r, directory, &name, 1) };
	struct limit_wait wait;
	if (!directory.n || limits_allow(issuers_limits(r->needs.issuers), &order, &wait, err))
		return true;
	*ret_until = wait.until;
	return false;
}

/* One of the site's issuers is enough. */
static bool issuers_have_room(struct renewals *r, const struct config_site *s, struct str name,
        int64_t *ret_until, struct err *err)
{
	const struct config_making *m = &s->making;
	if (!m->issuer_count)
		return issuer_has_room(
		        r, registration_issuer(r->config, STR_NONE, name), name, ret_until, err);
	for (size_t i = 0; i < m->issuer_count; i++)
		if (issuer_has_room(r, m->issuers[i], name, ret_until, err))
			return true;
	return false;
}

static bool has_room(
        struct renewals *r, const struct config_site *s, struct str name, int64_t *ret_keep)
{
	struct err err = ERR_INIT;
	int64_t until = 0;
	if (budget_has_room(r, s, &until, &err) && issuers_have_room(r, s, name, &until, &err))
		return true;
	const int64_t wait = until - loop_wall(r->needs.loop);
	*ret_keep = wait > 0 && wait < FULL_FOR ? wait : FULL_FOR;
	complain(r, err.text);
	return false;
}

/* ---- ordering ---- */

static void finish_named(struct renewals *r, struct str name, enum demand_verdict v, int64_t keep)
{
	struct map_node *n = map_find(&r->demands.under_way, name);
	if (n)
		finish(OWNER(n, struct demand, node), v, keep);
}

/* What was wanted is forgotten; the budget was not spent. */
static void not_stored(struct registration *g, const struct err *err)
{
	struct renewals *r = g->renewals;
	log_warning(r->needs.log, "%.*s cannot be ordered for on demand: %s", STR_ARG(g->names[0]),
	        err->text);
	MAP_EACH (n, &r->demands.budgets)
		budget_read(r, OWNER(n, struct budget, node));
	finish_named(r, g->names[0], DEMAND_BUSY, SILENT_FOR);
	registration_reload(g);
	state_reload(g);
	if (!g->in_store && !g->in_file && !g->held.is)
		registration_free(&g);
}

static void registered(struct store_tx *tx, const struct err *err)
{
	struct registration *g = OWNER(tx, struct registration, request_tx);
	request_answer_all(g, err);
	if (err)
		not_stored(g, err);
	else if (registration_blocked(g))
		demand_failed(g); /* the configuration has changed meanwhile */
	else
		schedule_now(g);
}

static void name_it(struct registration *g, struct str name)
{
	if (g->name_count)
		return;
	g->names = arena_array(&g->arena, struct str, 1);
	g->names[0] = arena_str(&g->arena, name);
	g->name_count = 1;
	names_index(g);
}

static struct registration *registration_for(struct renewals *r, const struct config_site *s,
        struct str name, enum key_type key_type, bool make)
{
	ARENA_AUTO a = ARENA_INIT;
	const struct str issuer = registration_issuer(r->config, s->issuer, name);
	const struct str id = registration_id(&a, &name, 1, issuer, key_type);
	struct registration *g = registration_by_id(r, id);
	if (g || !make)
		return g;
	g = registration_new(r, id);
	g->issuer = arena_str(&g->arena, issuer);
	return g;
}

static enum key_type first_key_type(const struct config_site *s)
{
	return s->making.key_type_count ? s->making.key_types[0] : KEY_P256;
}

/* A rehearsal would take as long as the visitor waits. */
static void register_one(struct demand *d, const struct config_site *s, enum key_type key_type)
{
	struct renewals *r = d->renewals;
	struct registration *g = registration_for(r, s, str_c(d->name), key_type, true);
	if (g->request_tx.store || g->attempting)
		return;
	name_it(g, str_c(d->name));
	g->email = arena_str(&g->arena, s->email);
	g->key_type = key_type;
	g->terms = g->in_store = g->on_demand = g->rehearsed = true;
	g->visited = g->created = loop_wall(r->needs.loop);
	g->failures = 0;
	g->next_try = 0;
	registration_configured(g);
	registration_put(g, &g->request_tx);
	state_put(g, &g->request_tx, /* healthy= */ false);
	if (key_type == first_key_type(s)) {
		struct budget *b = budget_of(r, s);
		budget_add(b, g->created);
		budget_put(b, &g->request_tx);
	}
	store_tx_start(r->needs.store, &g->request_tx, registered);
}

/* What the configuration says may have changed meanwhile, and the room been used up. */
static void order(struct demand *d)
{
	struct renewals *r = d->renewals;
	const struct config_site *s = site_of(r, str_c(d->name));
	int64_t keep = 0;
	if (!s) {
		finish(d, DEMAND_DENIED, 0);
		return;
	}
	if (!has_room(r, s, str_c(d->name), &keep)) {
		finish(d, DEMAND_BUSY, keep);
		return;
	}
	log_info(r->needs.log, "%s is ordered for on demand, %s asked for it.", d->name,
	        d->client[0] ? d->client : "a visitor");
	register_one(d, s, first_key_type(s));
	for (size_t i = 1; i < s->making.key_type_count; i++)
		register_one(d, s, s->making.key_types[i]);
}

/* ---- asking ---- */

static void say_silent(struct demand *d, const struct fetch_reply *reply, const struct err *err)
{
	const struct config_site *s = site_of(d->renewals, str_c(d->name));
	struct url url = { .host = STR("The server") };
	struct err words = ERR_INIT, unused = ERR_INIT;
	if (s && !url_parse(s->demand.ask, &url, &unused))
		return;
	if (reply)
		err_set(&words, ERR_REFUSED,
		        "it answered with status %u." ERR_REMEDY
		        "Its own log should say why; it is asked again in half a minute.",
		        reply->status);
	else
		words = *err;
	err_prefix(&words,
	        "%.*s, which `on-demand` asks, cannot say whether names may have a certificate, "
	        "handshakes for new ones are refused",
	        STR_ARG(url.host));
	complain(d->renewals, words.text);
}

static void asked(struct fetch_call *call, const struct fetch_reply *reply, const struct err *err)
{
	struct demand *d = OWNER(call, struct demand, ask);
	struct renewals *r = d->renewals;
	d->asking = false;
	r->demands.asking--;
	if (err || reply->status >= 500) {
		say_silent(d, reply, err);
		finish(d, DEMAND_BUSY, SILENT_FOR);
	} else if (reply->status != 200) {
		finish(d, DEMAND_DENIED, NO_FOR);
	} else {
		order(d);
		ask_next(r);
	}
}

/* A name and an address need no escaping (RFC 3986 3.4). */
static void ask(struct demand *d, struct str url)
{
	struct renewals *r = d->renewals;
	BUF_AUTO text = BUF(4096);
	buf_printf(&text, "%.*s%cname=%s&client=%s", STR_ARG(url), str_has(url, '?') ? '&' : '?',
	        d->name, d->client);
	d->asking = true;
	r->demands.asking++;
	r->demands.asked++;
	d->ask = (struct fetch_call){ .purpose = "ask",
		.method = "GET",
		.url = buf_str(&text),
		.timeout = ASK_TIME,
		.most = REPLY_MOST,
		.done = asked };
	fetch_start(r->needs.fetch, &d->ask);
}

static void ask_next(struct renewals *r)
{
	struct demands *all = &r->demands;
	while (all->asking < ASKING_MOST && !list_empty(&all->to_ask)) {
		struct demand *d = OWNER(list_first(&all->to_ask), struct demand, queued);
		const struct config_site *s = site_of(r, str_c(d->name));
		list_remove(&d->queued);
		if (s && s->demand.ask.n)
			ask(d, s->demand.ask);
		else
			order(d);
	}
}

/* ---- questions ---- */

static struct demand *demand_new(struct renewals *r, struct str name, struct str client)
{
	struct demand *d = mem_new(struct demand);
	struct sockaddr_storage address;
	d->renewals = r;
	memcpy(d->name, name.p, name.n);
	if (address_parse(client, 0, &address))
		(void)address_text(&address, d->client);
	map_add(&r->demands.under_way, str_n(d->name, name.n), &d->node);
	timer_start(&d->life, r->needs.loop, LIFE, lived);
	return d;
}

static bool is_on_its_way(const struct registration *g)
{
	return g->attempting || g->request_tx.store || list_linked(&g->queued);
}

/* PENDING: what is there decides nothing; *ret_wait: but there is something to wait for. */
static enum demand_verdict by_registration(
        const struct registration *g, bool *ret_wait, int64_t *ret_keep)
{
	if (!g || !(registration_wanted(g) || g->disabled || g->held.is))
		return DEMAND_PENDING;
	if (g->held.is && g->held.leaf.not_after > wall_now(g->renewals))
		return DEMAND_ISSUED;
	*ret_wait = registration_wanted(g) && is_on_its_way(g);
	if (*ret_wait || (!registration_wanted(g) && !g->disabled))
		return DEMAND_PENDING;
	*ret_keep = FULL_FOR;
	return DEMAND_DENIED;
}

static enum demand_verdict look_at(
        struct renewals *r, struct str name, struct str client, int64_t *ret_keep)
{
	const struct config_site *s = site_of(r, name);
	bool wait = false;
	if (!s || !r->begun)
		return s ? DEMAND_BUSY : DEMAND_DENIED;
	if (map_find(&r->demands.under_way, name))
		return DEMAND_PENDING;
	enum demand_verdict v = remembered(r, name, ret_keep);
	if (v == DEMAND_PENDING)
		v = by_registration(
		        registration_for(r, s, name, first_key_type(s), /* make= */ false), &wait,
		        ret_keep);
	if (v != DEMAND_PENDING)
		return v;
	if (r->demands.under_way.count >= DEMANDS_MOST ||
	        (!wait && !has_room(r, s, name, ret_keep)))
		return DEMAND_BUSY;
	struct demand *d = demand_new(r, name, client);
	if (!wait) {
		list_add_last(&r->demands.to_ask, &d->queued);
		ask_next(r);
	}
	return DEMAND_PENDING;
}

enum demand_verdict renew_demand(
        struct renewals *r, struct str name, struct str client, int64_t *ret_keep)
{
	*ret_keep = 0;
	r->demands.questions++;
	enum demand_verdict v = look_at(r, name, client, ret_keep);
	count(r, v);
	return v;
}

void renew_hear_demands(struct renewals *r, struct renew_demands *d)
{
	r->demands.heard = d;
}

/* ---- what becomes of those that were ordered for ---- */

static void expired(struct timer *t);

static void ended(struct store_tx *tx, const struct err *err)
{
	struct registration *g = OWNER(tx, struct registration, request_tx);
	request_answer_all(g, err);
	if (!err) {
		registration_free(&g);
		return;
	}
	const struct log log = registration_log(g);
	log_warning(&log, "%s", err->text);
	registration_reload(g);
	schedule(g);
	if (timer_active(&g->ends)) /* not at once, as long as the disk is full */
		timer_start(&g->ends, g->renewals->needs.loop, FAILED_FOR, expired);
}

/* Nothing is left of it. */
static void end(struct registration *g)
{
	struct renewals *r = g->renewals;
	struct serving *s = r->needs.serving;
	struct store_tx *tx = &g->request_tx;
	const struct str id = str_c(g->id);
	if (tx->store || g->attempting)
		return;
	if (g->held.is && !held_superseded(g))
		s->ops->forget(s, g->names, g->name_count);
	g->in_store = false;
	held_leave(g);
	schedule(g);
	if (g->version)
		store_tx_delete(tx, STR("registration"), id, g->version);
	if (g->state_version)
		store_tx_delete(tx, STR("renewal"), id, g->state_version);
	if (g->held.version)
		store_tx_delete(tx, STR("certificate"), id, g->held.version);
	store_tx_start(r->needs.store, tx, ended);
}

bool demand_is(const struct registration *g)
{
	return g->on_demand && g->in_store && !g->in_file;
}

const char *demand_blocked(const struct registration *g)
{
	if (!demand_is(g))
		return NULL;
	if (!g->demand_allowed)
		return "no site of the file gives it a certificate on demand any more";
	return g->held.is && !g->visited ? "nobody came since its certificate was issued on demand"
	                                 : NULL;
}

void demand_issued(struct registration *g)
{
	finish_named(g->renewals, g->names[0], DEMAND_ISSUED, 0);
}

static bool is_of_the_ca(const struct err *err)
{
	return err->code == ERR_UNREACHABLE || err->code == ERR_TIMEOUT || err->code == ERR_LIMIT;
}

/* What has a certificate is tried again like all others. */
void demand_failed(struct registration *g)
{
	if (!demand_is(g) || g->held.is)
		return;
	if (is_of_the_ca(&g->last_error))
		finish_named(g->renewals, g->names[0], DEMAND_BUSY, NO_FOR);
	else
		finish_named(g->renewals, g->names[0], DEMAND_DENIED, FAILED_FOR);
	end(g);
}

/* One that is only kept is in the way of those that its names could have on demand. */
static void stop_serving(const struct registration *g)
{
	struct serving *s = g->renewals->needs.serving;
	for (size_t i = 0; i < g->name_count; i++)
		if (site_of(g->renewals, g->names[i]))
			s->ops->forget(s, &g->names[i], 1);
}

/* Nobody renews it. */
static bool ends(const struct registration *g)
{
	if (!g->held.is || g->disabled || g->attempting)
		return false;
	return !registration_asked_for(g) || (demand_is(g) && registration_blocked(g));
}

static void expired(struct timer *t)
{
	struct registration *g = OWNER(t, struct registration, ends);
	if (!ends(g))
		return;
	if (demand_is(g))
		end(g);
	else if (!held_superseded(g))
		stop_serving(g);
}

void demand_schedule(struct registration *g)
{
	struct renewals *r = g->renewals;
	timer_stop(&g->ends);
	if (r->begun && ends(g))
		timer_start_wall(
		        &g->ends, r->needs.loop, wall_of(r, g->held.leaf.not_after), expired);
}

void demand_configured(struct registration *g)
{
	g->demand_allowed = demand_is(g) && site_of(g->renewals, g->names[0]);
}

/* What was refused may be allowed now; what was ordered for may not be any more. */
void demands_configured(struct renewals *r)
{
	forget_refusals(&r->demands);
	MAP_EACH (n, &r->registrations) {
		struct registration *g = OWNER(n, struct registration, node);
		if (!demand_is(g) || g->held.is || !demand_blocked(g))
			continue;
		finish_named(r, g->names[0], DEMAND_DENIED, 0);
		end(g);
	}
}

/* ---- visitors ---- */

static void visit_stored(struct store_tx *tx, const struct err *err)
{
	struct registration *g = OWNER(tx, struct registration, visit_tx);
	if (!err)
		return;
	const struct log log = registration_log(g);
	log_warning(&log, "%s", err->text);
	g->state_version = stored_version(g->renewals, STR("renewal"), g->id);
}

void renew_visited(struct renewals *r, struct str name)
{
	for (struct name_entry *e = names_first(r, name); e; e = names_next(e)) {
		struct registration *g = e->registration;
		if (!demand_is(g) || !g->held.is || g->visited || g->visit_tx.store)
			continue;
		g->visited = loop_wall(r->needs.loop);
		state_put(g, &g->visit_tx, /* healthy= */ false);
		store_tx_start(r->needs.store, &g->visit_tx, visit_stored);
		schedule(g);
	}
}

/* ---- for people ---- */

uint64_t renew_demands_answered(const struct renewals *r, enum demand_verdict v)
{
	return r->demands.answers[v];
}

static void write_site(const struct renewals *r, const struct config_site *s, struct json_writer *w)
{
	struct map_node *n = map_find(&r->demands.budgets, site_key(s));
	const struct budget *b = n ? OWNER(n, struct budget, node) : NULL;
	const int64_t now = loop_wall(r->needs.loop);
	size_t used = 0;
	for (size_t i = 0; b && i < b->count; i++)
		used += b->at[i] > now - HOUR && b->at[i] <= now + MINUTE;
	json_write_object(w, NULL);
	json_write_text(w, "site", site_key(s));
	json_write_int(w, "budget", (int64_t)s->demand.budget);
	json_write_int(w, "used", (int64_t)used);
	json_write_end(w);
}

void renew_demands_write(const struct renewals *r, struct json_writer *w)
{
	const struct demands *d = &r->demands;
	json_write_object(w, "on_demand");
	json_write_array(w, "sites");
	for (size_t i = 0; r->config && i < r->config->site_count; i++)
		if (r->config->sites[i].demand.at.line)
			write_site(r, &r->config->sites[i], w);
	json_write_end(w);
	json_write_int(w, "questions", (int64_t)d->questions);
	json_write_int(w, "asked", (int64_t)d->asked);
	json_write_int(w, "issued", (int64_t)d->answers[DEMAND_ISSUED]);
	json_write_int(w, "denied", (int64_t)d->answers[DEMAND_DENIED]);
	json_write_int(w, "busy", (int64_t)d->answers[DEMAND_BUSY]);
	json_write_int(w, "under_way", (int64_t)d->under_way.count);
	json_write_end(w);
}

/* ---- life ---- */

void demands_init(struct renewals *r)
{
	list_init(&r->demands.to_ask);
	list_init(&r->demands.refusal_order);
}

void demands_done(struct renewals *r)
{
	struct demands *d = &r->demands;
	MAP_EACH (n, &d->under_way)
		demand_free(OWNER(n, struct demand, node));
	forget_refusals(d);
	MAP_EACH (n, &d->budgets) {
		struct budget *b = OWNER(n, struct budget, node);
		map_remove(&d->budgets, n);
		free(b->at);
		arena_done(&b->arena);
		free(b);
	}
	map_done(&d->under_way);
	map_done(&d->refusals);
	map_done(&d->budgets);
}
