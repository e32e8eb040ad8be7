/* When CAs suggest to renew (RFC 9773): asked for at every start, the most urgent first, then as
 * often as the CA wants it; kept in the record renewal. The instant in a window is chosen once, and
 * anew only when the CA suggests another window. Whoever suggests nothing stops no renewal: then it
 * goes by the rule (when.h). */
#include "renew/private.h"

/* So many questions at once, and so long between two: ten a second, whoever has a million. */
enum { ASKING_MOST = 4, SPACING = SECOND / 10 };

static void kick(struct renewals *r);

/* Keeping */

static void store_window(struct registration *g);

static void stored(struct store_tx *tx, const struct err *err)
{
	struct registration *g = OWNER(tx, struct registration, suggestion.tx);
	if (err) {
		log_warning(g->renewals->needs.log,
		        "When %s is to be renewed could not be stored, the next start asks "
		        "again: %s",
		        g->id, err->text);
		g->state_version = stored_version(g->renewals, STR("renewal"), g->id);
	}
	if (g->suggestion.again)
		store_window(g);
}

static void store_window(struct registration *g)
{
	struct suggestion *s = &g->suggestion;
	s->again = s->tx.store != NULL;
	if (s->again)
		return;
	state_put(g, &s->tx, /* healthy= */ false);
	store_tx_start(g->renewals->needs.store, &s->tx, stored);
}

void window_put(const struct registration *g, struct json_writer *w)
{
	const struct suggestion *s = &g->suggestion;
	if (!s->window.end)
		return;
	json_write_object(w, "window");
	json_write_time(w, "start", s->window.start);
	json_write_time(w, "end", s->window.end);
	json_write_time(w, "chosen", s->window.chosen);
	json_write_bool(w, "moved_back", s->window.moved_back);
	json_write_text(w, "explanation", s->explanation);
	json_write_time(w, "asked", s->asked);
	json_write_text(w, "certificate", g->held.leaf.ari_id);
	json_write_end(w);
}

/* The window of a certificate that was replaced meanwhile is none. */
void window_read(struct registration *g, const struct json *state)
{
	struct suggestion *s = &g->suggestion;
	const struct json *json = json_object(state, "window");
	struct renewal_window w = { 0 };
	if (!str_eq(json_text(json, "certificate"), g->held.leaf.ari_id) ||
	        !clock_from_rfc3339(json_text(json, "start"), &w.start) ||
	        !clock_from_rfc3339(json_text(json, "end"), &w.end) ||
	        !clock_from_rfc3339(json_text(json, "chosen"), &w.chosen))
		return;
	json_bool(json, "moved_back", &w.moved_back);
	s->window = w;
	s->explanation = arena_str(&s->arena, json_text(json, "explanation"));
	clock_from_rfc3339(json_text(json, "asked"), &s->asked);
}

void window_write(const struct registration *g, struct json_writer *w)
{
	const struct suggestion *s = &g->suggestion;
	if (!g->held.is || (!s->window.end && !s->asked)) {
		json_write_null(w, "window");
		return;
	}
	json_write_object(w, "window");
	json_write_time(w, "start", s->window.start);
	json_write_time(w, "end", s->window.end);
	json_write_time(w, "chosen", s->window.chosen);
	json_write_c(w, "explanation", s->explanation.n ? s->explanation.p : NULL);
	json_write_time(w, "asked", s->asked);
	json_write_time(w, "next_ask", s->next_ask);
	json_write_c(w, "why_not", s->why_not);
	json_write_end(w);
}

/* Hearing */

static unsigned noise_of(const struct registration *g)
{
	const int64_t mono = loop_mono(g->renewals->needs.loop);
	return (unsigned)(hash_keyed(str_c(g->id)) >> 16 ^ (uint64_t)mono) & 0xffff;
}

static bool same_window(const struct suggestion *s, const struct renewal_info *told)
{
	return s->window.start == told->start && s->window.end == told->end &&
	       str_eq(s->explanation, told->explanation);
}

static void tell_move(const struct registration *g, const struct renewal_window *w)
{
	const struct suggestion *s = &g->suggestion;
	if (w->moved_back)
		log_warning(g->renewals->needs.log,
		        "The CA asks that the certificate for %.*s is renewed now.%s%.*s",
		        STR_ARG(g->names[0]), s->explanation.n ? " It says why: " : "",
		        STR_ARG(s->explanation));
}

static void take(struct registration *g, const struct renewal_info *told)
{
	struct suggestion *s = &g->suggestion;
	struct renewal_window w = { .start = told->start, .end = told->end };
	const bool moved = s->window.end && (s->window.start != w.start || s->window.end != w.end);
	free(s->why_not);
	s->why_not = NULL;
	s->failures = 0;
	if (same_window(s, told))
		return;
	/* As it is stored: in whole seconds. */
	w.chosen = s->window.end && !moved ? s->window.chosen
	                                   : renewal_choose(&w, noise_of(g)) / SECOND * SECOND;
	w.moved_back = moved ? w.end <= wall_now(g->renewals) : s->window.moved_back;
	arena_clear(&s->arena);
	s->explanation = told->explanation.n ? arena_str(&s->arena, told->explanation) : STR_NONE;
	s->window = w;
	tell_move(g, &w);
	store_window(g);
}

/* What was suggested before still counts. */
static void miss(struct registration *g, const struct err *err)
{
	struct suggestion *s = &g->suggestion;
	const struct log log = registration_log(g);
	if (!s->why_not || strcmp(s->why_not, err->text) != 0)
		log_info(&log, "%s", err->text);
	free(s->why_not);
	s->why_not = str_dup(err_message(err));
	s->unusable = err->code != ERR_NOT_FOUND;
	s->failures++;
}

static void ask_due(struct timer *t)
{
	struct registration *g = OWNER(t, struct registration, suggestion.due);
	list_add_last(&g->renewals->to_ask, &g->suggestion.to_ask);
	kick(g->renewals);
}

static void heard(struct ari_call *c, const struct renewal_info *told, int64_t retry_after,
        const struct err *err)
{
	struct registration *g = OWNER(c, struct registration, suggestion.call);
	struct renewals *r = g->renewals;
	struct suggestion *s = &g->suggestion;
	const int64_t now = wall_now(r), life = g->held.leaf.not_after - g->held.leaf.not_before;
	r->asking--;
	s->asked = now;
	if (told)
		take(g, told);
	else
		miss(g, err);
	s->next_ask = now + (told ? renewal_ask_after(retry_after, life, noise_of(g))
	                          : renewal_ask_again(s->failures, noise_of(g), retry_after));
	timer_start_wall(&s->due, r->needs.loop, wall_of(r, s->next_ask), ask_due);
	schedule(g);
	kick(r);
}

/* Asking */

static bool may_ask(const struct registration *g)
{
	const struct config_issuer *issuer = config_issuer(g->renewals->config, g->held.issuer);
	return g->held.leaf.ari_id.n && issuer && issuer->directory.n && !registration_blocked(g);
}

static void ask_next(struct timer *t)
{
	kick(OWNER(t, struct renewals, ask_next));
}

static struct registration *take_first(struct renewals *r)
{
	LIST_EACH (n, &r->to_ask) {
		struct registration *g = OWNER(n, struct registration, suggestion.to_ask);
		list_remove(n);
		if (may_ask(g))
			return g;
	}
	return NULL;
}

static void kick(struct renewals *r)
{
	if (!r->begun || timer_active(&r->ask_next) || r->asking >= ASKING_MOST)
		return;
	struct registration *g = take_first(r);
	if (!g)
		return;
	r->asking++;
	g->suggestion.call.done = heard;
	ari_ask(r->needs.issuers, &g->suggestion.call, g->held.issuer, g->held.leaf.ari_id);
	timer_start(&r->ask_next, r->needs.loop, SPACING, ask_next);
}

static void forget_call(struct registration *g)
{
	struct suggestion *s = &g->suggestion;
	if (s->call.issuer)
		g->renewals->asking--;
	ari_abort(&s->call);
	timer_stop(&s->due);
	list_remove(&s->to_ask);
}

void window_renew(struct registration *g)
{
	struct suggestion *s = &g->suggestion;
	forget_call(g);
	arena_clear(&s->arena);
	free(s->why_not);
	s->window = (struct renewal_window){ 0 };
	s->explanation = STR_NONE;
	s->why_not = NULL;
	s->unusable = false;
	s->asked = s->next_ask = 0;
	s->failures = 0;
	list_add_last(&g->renewals->to_ask, &s->to_ask);
	kick(g->renewals);
}

static int by_urgency(const void *x, const void *y)
{
	const struct registration *a = *(struct registration *const *)x;
	const struct registration *b = *(struct registration *const *)y;
	const int64_t at = schedule_when(a).at, bt = schedule_when(b).at;
	return (at > bt) - (at < bt);
}

void windows_begin(struct renewals *r)
{
	struct registration **all = mem_array(sizeof *all, r->registrations.count);
	size_t count = 0;
	MAP_EACH (n, &r->registrations) {
		struct registration *g = OWNER(n, struct registration, node);
		if (may_ask(g))
			all[count++] = g;
	}
	if (count)
		qsort(all, count, sizeof *all, by_urgency);
	for (size_t i = 0; i < count; i++)
		list_add_last(&r->to_ask, &all[i]->suggestion.to_ask);
	free(all);
	kick(r);
}

void windows_stop(struct renewals *r)
{
	timer_stop(&r->ask_next);
}

void window_stop(struct registration *g)
{
	forget_call(g);
	store_tx_abort(&g->suggestion.tx);
	arena_done(&g->suggestion.arena);
	free(g->suggestion.why_not);
}
