/* What OCSP responders say of certificates that name one, so that handshakes show it (RFC 6066 8):
 * asked for by revoked.c, as soon as there is such a certificate and again when half of an answer's
 * life is over; what is shown stays until then. Who does not answer is asked again after an hour,
 * and then less often.
 *
 * Record staple, by the certificate's thumbprint: value {from, until}; blob: the answer. */
#include "renew/import.h"
#include "renew/private.h"

enum { ANSWER_MOST = 16 << 10, TIMES_MOST = 5 };
#define KIND      STR("staple")
#define REST      (5 * MINUTE) /* no responder is asked about the same more often */
#define WAIT_MOST DAY

struct staple {
	struct map_node node; /* by thumbprint */
	char *thumbprint;
	struct arena arena;
	struct str der; /* empty: there is none */
	int64_t from, until, next_ask;
	unsigned failures;
	bool missed; /* the certificate may not be shown without one */
	bool needed;
};

static struct staple *find(const struct renewals *r, struct str thumbprint)
{
	struct map_node *n = map_find(&r->staples, thumbprint);
	return n ? OWNER(n, struct staple, node) : NULL;
}

static struct staple *find_or_add(struct renewals *r, struct str thumbprint)
{
	struct staple *s = find(r, thumbprint);
	if (s)
		return s;
	s = mem_new(struct staple);
	s->thumbprint = str_dup(thumbprint);
	map_add(&r->staples, str_c(s->thumbprint), &s->node);
	return s;
}

static void forget(struct renewals *r, struct staple *s)
{
	map_remove(&r->staples, &s->node);
	arena_done(&s->arena);
	free(s->thumbprint);
	free(s);
}

static void take(struct staple *s, struct str der, int64_t from, int64_t until)
{
	arena_clear(&s->arena);
	s->der = arena_str(&s->arena, der);
	s->from = from;
	s->until = until;
	s->missed = false;
	s->failures = 0;
}

/* ---- when ---- */

static void due(struct timer *t)
{
	revoked_refresh(OWNER(t, struct renewals, staples_due));
}

static void wait_until(struct renewals *r, int64_t at)
{
	const int64_t soon = wall_now(r) + MINUTE;
	if (timer_active(&r->staples_due) && at >= r->staples_next)
		return;
	r->staples_next = at > soon ? at : soon;
	timer_start_wall(&r->staples_due, r->needs.loop, wall_of(r, r->staples_next), due);
}

static int64_t half_of(const struct staple *s, int64_t now)
{
	const int64_t half = s->from + (s->until - s->from) / 2;
	return half > now + REST ? half : now + REST;
}

bool staple_due(struct renewals *r, struct str thumbprint)
{
	struct staple *s = find(r, thumbprint);
	if (s)
		s->needed = true;
	return !s || s->next_ask <= wall_now(r);
}

/* An answer to the daily question, which comes anyway, is no reason to change what is shown. */
static bool is_old(const struct staple *s, int64_t now)
{
	return !s->der.n || now >= s->from + (s->until - s->from) / 2;
}

static void store(struct renewals *r, const struct staple *s)
{
	BUF_AUTO value = BUF(1024);
	struct json_writer w;
	json_write_init(&w, &value);
	json_write_object(&w, NULL);
	json_write_time(&w, "from", s->from);
	json_write_time(&w, "until", s->until);
	json_write_end(&w);
	note_put(r, KIND, str_c(s->thumbprint), buf_str(&value), s->der);
}

/* Nothing came that could be shown, or nothing newer. */
static void ask_later(struct renewals *r, struct staple *s)
{
	const int64_t wait = HOUR << s->failures;
	s->failures += s->failures < TIMES_MOST;
	s->next_ask = wall_now(r) + (wait < WAIT_MOST ? wait : WAIT_MOST);
	wait_until(r, s->next_ask);
}

bool staple_take(struct renewals *r, struct str thumbprint, const struct staple_answer *a)
{
	struct staple *s = find_or_add(r, thumbprint);
	const int64_t now = wall_now(r);
	if (!is_old(s, now) || a->until <= s->until || a->der.n > ANSWER_MOST) {
		if (s->next_ask <= now)
			ask_later(r, s);
		else
			wait_until(r, s->next_ask); /* after a start nobody does */
		return false;
	}
	take(s, a->der, a->from, a->until);
	s->next_ask = half_of(s, now);
	store(r, s);
	wait_until(r, s->next_ask);
	return true;
}

bool staple_missed(struct renewals *r, struct str thumbprint, bool must)
{
	struct staple *s = find_or_add(r, thumbprint);
	ask_later(r, s);
	s->missed = must && s->until <= wall_now(r);
	return s->missed;
}

bool staple_is_missed(const struct renewals *r, struct str thumbprint)
{
	const struct staple *s = find(r, thumbprint);
	return s && s->missed;
}

bool staple_forget(struct renewals *r, struct str thumbprint)
{
	struct staple *s = find(r, thumbprint);
	const bool had = s && s->der.n;
	if (had)
		note_delete(r, KIND, thumbprint);
	if (s)
		forget(r, s);
	return had;
}

void staples_mark(struct renewals *r)
{
	MAP_EACH (n, &r->staples)
		OWNER(n, struct staple, node)->needed = false;
}

void staples_sweep(struct renewals *r)
{
	MAP_EACH (n, &r->staples) {
		const struct staple *s = OWNER(n, struct staple, node);
		if (s->needed)
			wait_until(r, s->next_ask);
		else
			staple_forget(r, str_c(s->thumbprint));
	}
}

void staple_show(const struct renewals *r, struct str thumbprint, struct serving_certificate *c)
{
	const struct staple *s = find(r, thumbprint);
	if (!s || s->until <= wall_now(r))
		return;
	c->staple = s->der;
	c->staple_until = s->until;
}

/* ---- loading ---- */

struct load {
	struct store_scan scan;
	struct renewals *renewals;
};

static bool load(struct store_scan *scan, const struct record *record)
{
	struct renewals *r = OWNER(scan, struct load, scan)->renewals;
	struct err none = ERR_INIT;
	int64_t from = 0, until = 0;
	JSON_AUTO *json = json_parse(record->value, "The stored answer of a responder", &none);
	struct staple *s = find_or_add(r, record->id);
	clock_from_rfc3339(json_text(json, "from"), &from);
	clock_from_rfc3339(json_text(json, "until"), &until);
	take(s, record->blob, from, until);
	s->next_ask = half_of(s, wall_now(r));
	return true;
}

bool staples_load(struct renewals *r, struct err *err)
{
	struct load l = { .scan.each = load, .renewals = r };
	return store_each(r->needs.store, KIND, &l.scan, err);
}

void staples_stop(struct renewals *r)
{
	timer_stop(&r->staples_due);
	MAP_EACH (n, &r->staples)
		forget(r, OWNER(n, struct staple, node));
	map_done(&r->staples);
}
