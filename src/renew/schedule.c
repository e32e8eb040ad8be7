/* When a registration's next attempt starts, and what becomes of it. */
#include "renew/private.h"

static void due(struct timer *t);

/* ---- the record renewal: what a restart must not forget ---- */

void schedule_state_put(struct registration *g, struct store_tx *tx)
{
	BUF_AUTO value = BUF(64 << 10);
	struct json_writer w;
	json_write_init(&w, &value);
	json_write_object(&w, NULL);
	json_write_bool(&w, "disabled", g->disabled);
	json_write_int(&w, "failures", g->failures);
	json_write_time(&w, "next_try", g->next_try);
	if (g->last_error.code) {
		json_write_object(&w, "last_error");
		json_write_c(&w, "code", err_code_name(g->last_error.code));
		json_write_c(&w, "message", g->last_error.text);
		json_write_time(&w, "at", g->last_error_at);
		json_write_end(&w);
	}
	json_write_end(&w);
	store_tx_put(tx, STR("renewal"), str_c(g->id), g->state_version++, buf_str(&value),
		STR_NONE);
}

void schedule_state_settle(struct registration *g, const struct err *err)
{
	if (err)
		g->state_version = stored_version(g->renewals, STR("renewal"), g->id);
}

struct load {
	struct store_scan scan;
	struct renewals *renewals;
};

static bool load_state(struct store_scan *scan, const struct record *record)
{
	struct renewals *r = OWNER(scan, struct load, scan)->renewals;
	struct err err = ERR_INIT;
	struct registration *g = registration_by_id(r, record->id);
	JSON_AUTO *json = json_parse(record->value, "The stored state of a renewal", &err);
	int64_t failures = 0;
	if (!g)
		g = registration_new(r, record->id);
	g->state_version = record->version;
	json_bool(json, "disabled", &g->disabled);
	if (json_int(json, "failures", &failures) && failures > 0)
		g->failures = (unsigned)failures;
	clock_from_rfc3339(json_text(json, "next_try"), &g->next_try);
	const struct json *last = json_object(json, "last_error");
	enum err_code code = ERR_IO;
	if (last && err_code_from_name(json_text(last, "code"), &code)) {
		err_set(&g->last_error, code, "%.*s", STR_ARG(json_text(last, "message")));
		clock_from_rfc3339(json_text(last, "at"), &g->last_error_at);
	}
	return true;
}

bool schedule_load(struct renewals *r, struct err *err)
{
	struct load load = { .scan.each = load_state, .renewals = r };
	return store_each(r->needs.store, STR("renewal"), &load.scan, err);
}

/* ---- when ---- */

static bool can_issue(const struct registration *g)
{
	const struct config_issuer *issuer = config_issuer(g->renewals->config, g->issuer);
	return registration_wanted(g) && issuer && issuer->directory.n;
}

/* The next attempt: by the certificate's own time, or by the back-off after a failure. */
static int64_t next_attempt(struct registration *g)
{
	int64_t now = loop_wall(g->renewals->needs.loop);
	if (!g->held.is)
		return g->next_try ? g->next_try : now;
	g->when = renewal_time(g->held.leaf.not_before, g->held.leaf.not_after, g->renew_before);
	return g->next_try ? g->next_try : g->when.at;
}

/* Exact timers; but every certificate is looked at at least every 24 h. */
void schedule(struct registration *g)
{
	struct renewals *r = g->renewals;
	timer_stop(&g->due);
	if (!r->begun || g->attempting || list_linked(&g->queued) || !can_issue(g))
		return;
	int64_t now = loop_wall(r->needs.loop), at = next_attempt(g);
	timer_start_wall(&g->due, r->needs.loop, at < now + DAY ? at : now + DAY, due);
}

void schedule_stop(struct registration *g)
{
	timer_stop(&g->due);
	list_remove(&g->queued);
	attempt_abort(&g->attempt);
	prove_stop(g);
	if (g->attempting)
		g->renewals->under_way--;
	g->attempting = false;
}

/* ---- an attempt ---- */

static struct log log_of(const struct registration *g)
{
	return (struct log){ .parent = g->renewals->needs.log, .key = "name", .value = g->id };
}

static void start_queued(struct renewals *r);

static void attempt_over(struct registration *g)
{
	g->attempting = false;
	g->resumed = false;
	g->task = NULL;
	g->renewals->under_way--;
	schedule(g);
	start_queued(g->renewals);
}

/* The step in the task's log, once per step and whenever it waits for something. */
static void moved(struct attempt *a, const struct flow *flow, const struct next *next)
{
	struct registration *g = OWNER(a, struct registration, attempt);
	bool waits = next->after > 0 && flow->waiting_for.n;
	if (next->what != FLOW_GO || (!waits && flow->step == g->shown_step))
		return;
	g->shown_step = flow->step;
	ARENA_AUTO text = ARENA_INIT;
	struct str words = str_c(acme_step_words(flow->step));
	if (waits)
		words = arena_printf(&text, "%.*s: waiting %.1f s, %.*s", STR_ARG(words),
			(double)next->after / 1000, STR_ARG(flow->waiting_for));
	task_step(g->task, acme_step_name(flow->step), words);
}

static void stored_failure(struct store_tx *tx, const struct err *err)
{
	struct registration *g = OWNER(tx, struct registration, tx);
	schedule_state_settle(g, err);
	attempt_over(g);
}

static void back_off(struct registration *g, const struct next *failed)
{
	struct loop *loop = g->renewals->needs.loop;
	int64_t now = loop_wall(loop);
	unsigned noise = (unsigned)(hash_keyed(str_n(&now, sizeof now)) & 0xffff);
	g->failures++;
	g->last_error = failed->err;
	g->last_error_at = now;
	g->next_try = now + renewal_backoff(g->failures, noise, now,
		g->held.is ? g->held.leaf.not_after : 0);
	if (failed->not_before > g->next_try)
		g->next_try = failed->not_before;
}

static void start_attempt(struct registration *g);

/* A challenge that failed while we were down, or before our listener was up again, is no failure:
 * begun anew at once, once per start. */
static bool begin_anew(struct registration *g)
{
	if (!g->resumed || g->began_anew)
		return false;
	g->began_anew = true;
	g->resumed = false;
	attempt_abort(&g->attempt);
	task_step(g->task, "again", STR("The attempt was interrupted by a restart and begins anew"));
	start_attempt(g);
	return true;
}

static void failed(struct registration *g, const struct next *why)
{
	struct log log = log_of(g);
	char next[CLOCK_TEXT];
	if (begin_anew(g))
		return;
	back_off(g, why);
	log_error(&log, "%s%s Next try %s.", why->err.text,
		g->held.is ? " The certificate in use is kept." : "", clock_rfc3339(g->next_try, next));
	store_tx_init(&g->tx);
	schedule_state_put(g, &g->tx);
	attempt_clear(&g->attempt, &g->tx);
	task_end(g->task, NULL, &why->err);
	store_tx_start(g->renewals->needs.store, &g->tx, stored_failure);
}

/* ---- success: stored, then served, then seen ---- */

static void stored_certificate(struct store_tx *tx, const struct err *err)
{
	struct registration *g = OWNER(tx, struct registration, tx);
	struct log log = log_of(g);
	char until[CLOCK_TEXT];
	schedule_state_settle(g, err);
	if (err) {
		/* The flow stays in the store: the next attempt resumes it and downloads again. */
		struct next why = { .what = FLOW_FAIL, .err = *err };
		back_off(g, &why);
		log_error(&log, "The new certificate could not be stored: %s", err->text);
		task_end(g->task, NULL, err);
		held_clear(&g->fresh);
		attempt_over(g);
		return;
	}
	held_swap(g);
	held_install(g);
	log_info(&log, "A certificate from %.*s is served, it expires %s.", STR_ARG(g->issuer),
		clock_rfc3339(g->held.leaf.not_after, until));
	task_step(g->task, "bind", STR("Stored and bound; new connections get it"));
	task_step(g->task, "see", STR("See it over HTTPS"));
	prove(g);
}

static void succeeded(struct registration *g, const struct issued *issued)
{
	g->failures = 0;
	g->next_try = 0;
	g->last_error = (struct err)ERR_INIT;
	store_tx_init(&g->tx);
	held_put(g, issued, &g->tx);
	held_take(g, issued);
	schedule_state_put(g, &g->tx);
	attempt_clear(&g->attempt, &g->tx);
	store_tx_start(g->renewals->needs.store, &g->tx, stored_certificate);
}

void schedule_proven(struct registration *g, const struct err *why)
{
	struct log log = log_of(g);
	if (why)
		log_error(&log, "%s", why->text);
	if (g->task)
		task_end(g->task, "Seen over HTTPS on every own listener", why);
	if (g->attempting)
		attempt_over(g);
}

static void done(struct attempt *a, const struct flow *flow, const struct issued *issued,
                 const struct next *why)
{
	struct registration *g = OWNER(a, struct registration, attempt);
	(void)flow;
	if (issued)
		succeeded(g, issued);
	else
		failed(g, why);
}

/* ---- starting ---- */

static void start_attempt(struct registration *g)
{
	struct renewals *r = g->renewals;
	struct attempt_want want = {
		.id = str_c(g->id),
		.issuer = g->issuer,
		.email = g->email,
		.terms_agreed = g->terms,
		.names = g->names,
		.name_count = g->name_count,
	};
	g->shown_step = ACME_STEP_COUNT;
	g->attempt = (struct attempt){ .moved = moved, .done = done };
	attempt_start(r->needs.issuers, &g->attempt, &want);
}

static void begin(struct registration *g)
{
	struct err err = ERR_INIT;
	g->attempting = true;
	g->renewals->under_way++;
	g->attempt = (struct attempt){ .moved = moved, .done = done };
	g->shown_step = ACME_STEP_COUNT;
	g->resumed = attempt_resume(g->renewals->needs.issuers, &g->attempt, str_c(g->id), &err);
	if (!g->resumed)
		start_attempt(g);
}

static void start_queued(struct renewals *r)
{
	while (r->under_way < PARALLEL_MOST && !list_empty(&r->queue)) {
		struct registration *g = OWNER(list_first(&r->queue), struct registration, queued);
		list_remove(&g->queued);
		begin(g);
	}
}

void schedule_now(struct registration *g)
{
	if (g->attempting || list_linked(&g->queued))
		return;
	timer_stop(&g->due);
	if (!g->task)
		g->task = task_for(g);
	list_add_last(&g->renewals->queue, &g->queued);
	start_queued(g->renewals);
}

static void due(struct timer *t)
{
	struct registration *g = OWNER(t, struct registration, due);
	if (next_attempt(g) > loop_wall(g->renewals->needs.loop))
		schedule(g);
	else
		schedule_now(g);
}
