/* What time it is. A clock that is wrong after a start would have everything renewed, or nothing:
 * so it is compared with the latest time that was believed before (record clock), and with what CAs
 * say in each answer (the header Date). While it cannot be told, what has a certificate waits, and
 * a CA is asked; what has none is tried. */
#include "renew/private.h"

/* WATCH: while the clock is wrong, whether somebody has set it. */
enum { LOOK = DAY / 2, KEEP = DAY / 2, AGAIN = MINUTE, WATCH = 10 * MINUTE, JUMP = MINUTE };

static struct renewals *of(struct wall *w)
{
	return w->renewals;
}

static int64_t base(const struct renewals *r)
{
	return loop_wall(r->needs.loop) - loop_mono(r->needs.loop);
}

/* What a CA said counts until the clock is set, or the machine has slept. */
static bool is_told(const struct renewals *r)
{
	const int64_t moved = base(r) - r->wall.told_base;
	return r->wall.told && moved < JUMP && moved > -JUMP;
}

static enum wall_judgement judge(const struct renewals *r)
{
	const int64_t now = loop_wall(r->needs.loop);
	return wall_judge(&(struct wall_facts){ .now = now,
	        .newest = r->wall.newest,
	        .told = is_told(r),
	        .ca_says = now + r->wall.told_offset });
}

int64_t wall_now(const struct renewals *r)
{
	const int64_t now = loop_wall(r->needs.loop);
	return judge(r) == WALL_WRONG ? now + r->wall.told_offset : now;
}

int64_t wall_of(const struct renewals *r, int64_t at)
{
	return at - (wall_now(r) - loop_wall(r->needs.loop));
}

/* Keeping the latest time */

static void stored(struct store_tx *tx, const struct err *err)
{
	struct wall *w = OWNER(tx, struct wall, tx);
	if (err)
		log_warning(of(w)->needs.log, "The time could not be stored: %s", err->text);
	else
		w->version++;
}

static void keep(struct renewals *r, int64_t now)
{
	struct wall *w = &r->wall;
	BUF_AUTO value = BUF(256);
	struct json_writer out;
	if (w->tx.store)
		return;
	w->newest = now;
	json_write_init(&out, &value);
	json_write_object(&out, NULL);
	json_write_time(&out, "newest", now);
	json_write_end(&out);
	store_tx_put(&w->tx, STR("clock"), STR("clock"), w->version, buf_str(&value), STR_NONE);
	store_tx_start(r->needs.store, &w->tx, stored);
}

/* A certificate that was stored is a witness, too, where there is no record yet. */
static int64_t latest_stored(const struct renewals *r)
{
	int64_t latest = 0;
	MAP_EACH (n, &r->registrations) {
		const struct held *h = &OWNER(n, struct registration, node)->held;
		if (h->is && h->since > latest)
			latest = h->since;
	}
	return latest;
}

bool wall_load(struct renewals *r, struct err *err)
{
	ARENA_AUTO a = ARENA_INIT;
	struct record record;
	r->wall.newest = latest_stored(r);
	if (!store_get(r->needs.store, &a, STR("clock"), STR("clock"), &record, err)) {
		const bool none = err->code == ERR_NOT_FOUND;
		*err = none ? (struct err)ERR_INIT : *err;
		return none;
	}
	JSON_AUTO *json = json_parse(record.value, "The stored time", err);
	*err = (struct err)ERR_INIT;
	r->wall.version = record.version;
	clock_from_rfc3339(json_text(json, "newest"), &r->wall.newest);
	return true;
}

/* Judging anew */

static const char *judgement_words(enum wall_judgement j)
{
	switch (j) {
	case WALL_BEHIND:
		return "behind what it was before";
	case WALL_AHEAD:
		return "more than 30 days ahead of when Everseal ran last";
	case WALL_WRONG:
		return "not what the CA's clock says";
	case WALL_BELIEVED:
		break;
	}
	return "right";
}

bool renew_clock(struct renewals *r, struct err *err)
{
	const enum wall_judgement j = judge(r);
	char own[CLOCK_TEXT], other[CLOCK_TEXT];
	if (j == WALL_BELIEVED)
		return true;
	const int64_t now = loop_wall(r->needs.loop);
	const int64_t than = j == WALL_WRONG ? now + r->wall.told_offset : r->wall.newest;
	return err_set(err, ERR_CONFLICT,
	        "This machine's clock says %s, which is %s (%s)." ERR_WHY "%s" ERR_REMEDY
	        "Set the clock, and see that it is set at each start (NTP).",
	        clock_rfc3339(now, own), judgement_words(j), clock_rfc3339(than, other),
	        j == WALL_WRONG ? "Renewals go by the CA's clock."
	                        : "Renewals wait until a CA has told the time.");
}

static void ask(struct renewals *r);

static void look(struct renewals *r)
{
	struct wall *w = &r->wall;
	const enum wall_judgement j = judge(r);
	const int64_t now = loop_wall(r->needs.loop);
	struct err err = ERR_INIT;
	if (j == WALL_BELIEVED && (now - w->newest >= KEEP || now < w->newest))
		keep(r, now);
	if (j != w->was && !renew_clock(r, &err))
		log_warning(r->needs.log, "%s", err.text);
	const bool changed = j != w->was;
	w->was = j;
	w->watch.offset = wall_now(r) - now;
	if (changed) {
		schedule_all(r);
		schedule_by_clock(r);
	}
	if (j == WALL_BEHIND || j == WALL_AHEAD)
		ask(r);
}

static void look_again(struct timer *t)
{
	struct wall *w = OWNER(t, struct wall, look);
	look(of(w));
	timer_start(
	        &w->look, of(w)->needs.loop, w->was == WALL_BELIEVED ? LOOK : WATCH, look_again);
}

/* Asking a CA for its time */

static void ask_again(struct timer *t)
{
	ask(of(OWNER(t, struct wall, again)));
}

static void asked(struct ari_call *c, const struct renewal_info *window, int64_t retry_after,
        const struct err *err)
{
	struct wall *w = OWNER(c, struct wall, call);
	struct renewals *r = of(w);
	(void)window;
	(void)retry_after;
	(void)err; /* whoever has not told it is asked again, or another one */
	if (is_told(r))
		return;
	w->failures++;
	timer_start(&w->again, r->needs.loop, AGAIN, ask_again);
}

/* One of the CAs whose certificates are held, another one each time. */
static const struct config_issuer *to_ask(const struct renewals *r)
{
	const struct config *c = r->config;
	for (size_t i = 0; i < c->issuer_count; i++) {
		const struct config_issuer *issuer =
		        &c->issuers[(i + r->wall.failures) % c->issuer_count];
		MAP_EACH (n, &r->registrations) {
			const struct registration *g = OWNER(n, struct registration, node);
			if (g->held.is && issuer->directory.n &&
			        str_eq(g->held.issuer, issuer->name))
				return issuer;
		}
	}
	return NULL;
}

static void ask(struct renewals *r)
{
	struct wall *w = &r->wall;
	const struct config_issuer *issuer = r->begun ? to_ask(r) : NULL;
	if (!issuer || w->call.issuer || timer_active(&w->again) || judge(r) == WALL_BELIEVED)
		return;
	w->call.done = asked;
	ari_ask_time(r->needs.issuers, &w->call, issuer->name);
}

static void told(struct issuers_time *watch, int64_t ca_says)
{
	struct wall *w = OWNER(watch, struct wall, watch);
	struct renewals *r = of(w);
	w->told = true;
	w->told_offset = ca_says - loop_wall(r->needs.loop);
	w->told_base = base(r);
	w->failures = 0;
	look(r);
}

bool wall_known(struct registration *g, struct err *err)
{
	const enum wall_judgement j = judge(g->renewals);
	if (j != g->renewals->wall.was)
		look(g->renewals);
	return (j != WALL_BEHIND && j != WALL_AHEAD) || !g->held.is ||
	       renew_clock(g->renewals, err);
}

void wall_begin(struct renewals *r)
{
	struct wall *w = &r->wall;
	w->renewals = r;
	w->watch.heard = told;
	issuers_watch_time(r->needs.issuers, &w->watch);
	look_again(&w->look);
}

void wall_stop(struct renewals *r)
{
	struct wall *w = &r->wall;
	issuers_watch_time(r->needs.issuers, NULL);
	timer_stop(&w->look);
	timer_stop(&w->again);
	ari_abort(&w->call);
	store_tx_abort(&w->tx);
}
