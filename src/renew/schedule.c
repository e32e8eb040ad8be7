/* When a registration's next attempt starts, and what becomes of it. */
#include "base/ip.h"
#include "renew/private.h"

static void due(struct timer *t);

/* When */

/* renew-before of the site that serves what was registered by command, by its first name. */
static int64_t renew_before(const struct registration *g)
{
	const struct config_site *s =
	        g->name_count ? config_site_of(g->renewals->config, g->names[0]) : NULL;
	return s ? s->renew_before : 0;
}

static struct renewal_facts facts_of(const struct registration *g)
{
	const struct held *h = &g->held;
	return (struct renewal_facts){ .now = wall_now(g->renewals),
		.not_before = h->leaf.not_before,
		.not_after = h->leaf.not_after,
		.renew_before = g->renew_before,
		.window = g->suggestion.window,
		.revoked = revoked_at(g),
		.issued = g->issued,
		.issued_count = g->issued_count };
}

struct renewal_time schedule_when(const struct registration *g)
{
	const struct renewal_facts facts = facts_of(g);
	return renewal_when(&facts);
}

bool schedule_exempt(const struct registration *g)
{
	const struct renewal_facts facts = facts_of(g);
	return g->held.is && renewal_by_window(&facts);
}

/* No failure is waited after for longer; what says otherwise was written by a clock ahead. */
#define WAIT_MOST (8 * DAY)

/* By the back-off after a failure, else by the certificate's own time, else at once. */
static int64_t next_attempt(const struct registration *g)
{
	const int64_t now = wall_now(g->renewals);
	if (g->next_try && g->next_try < now + WAIT_MOST)
		return g->next_try;
	if (!g->held.is)
		return now;
	return schedule_when(g).at;
}

static void due(struct timer *t)
{
	schedule_now(OWNER(t, struct registration, due));
}

void schedule_sharers(struct registration *g)
{
	for (size_t i = 0; i < g->name_count; i++)
		for (struct name_entry *e = names_first(g->renewals, g->names[i]); e;
		        e = names_next(e))
			if (e->registration != g)
				schedule(e->registration);
}

static void set_reason(struct registration *g)
{
	const struct suggestion *s = &g->suggestion;
	BUF_AUTO text = BUF(1024);
	free(g->reason);
	g->reason = NULL;
	if (!g->held.is)
		return;
	buf_add_c(&text, schedule_when(g).why);
	if (s->unusable && !s->window.end)
		buf_add_c(&text, "; the CA suggests no time that can be used");
	const int64_t life = g->held.leaf.not_after - g->held.leaf.not_before;
	if (g->renew_before >= life)
		buf_printf(&text, "; %s: give less", renewal_misfit(life, g->renew_before));
	g->reason = str_dup(buf_str(&text));
}

void schedule(struct registration *g)
{
	struct renewals *r = g->renewals;
	timer_stop(&g->due);
	tell_registration(g);
	if (!g->in_file)
		g->renew_before = renew_before(g);
	set_reason(g);
	if (r->begun && !g->attempting && !list_linked(&g->queued) && !registration_blocked(g))
		timer_start_wall(&g->due, r->needs.loop, wall_of(r, next_attempt(g)), due);
	if (!g->attempting)
		revocation_look(g);
	demand_schedule(g);
}

void schedule_all(struct renewals *r)
{
	MAP_EACH (n, &r->registrations)
		schedule(OWNER(n, struct registration, node));
}

/* An attempt */

static void start_queued(struct renewals *r);

static void attempt_over(struct registration *g)
{
	bool again = g->again;
	g->attempting = g->again = g->wished = false;
	g->waiting = (struct err)ERR_INIT;
	if (!again)
		g->task = NULL;
	list_remove(&g->place);
	if (again)
		schedule_now(g);
	else
		schedule(g);
	start_queued(g->renewals);
}

enum { LONG_WAIT = SECOND };

static void start_later(struct later *l)
{
	start_queued(OWNER(l, struct renewals, later));
}

/* An attempt that waits long for the CA takes no place of others meanwhile. */
static void park(struct registration *g, bool parked)
{
	struct renewals *r = g->renewals;
	if (list_linked(&g->place) != parked)
		return;
	if (parked) {
		list_remove(&g->place);
		later_start(&r->later, r->needs.loop, start_later);
	} else {
		list_add_last(&r->under_way, &g->place);
	}
}

/* A long wait, mostly for a CA that is down or asks for patience, is told while it lasts. */
static void note_wait(struct registration *g, const struct flow *flow, const struct next *next)
{
	struct log log = registration_log(g);
	char until[CLOCK_TEXT];
	struct err was = g->waiting;
	g->waiting = (struct err)ERR_INIT;
	if (next->what != FLOW_GO || !next->ca_at_fault || next->after < LONG_WAIT)
		return;
	g->waiting_until = loop_wall(g->renewals->needs.loop) + next->after;
	err_set(&g->waiting, ERR_UNREACHABLE, "%.*s: %.*s.",
	        STR_ARG(acme_ca_name(flow->directory_url)), STR_ARG(flow->waiting_for));
	if (strcmp(was.text, g->waiting.text) != 0)
		log_warning(&log, "%s%s Next try %s.", g->waiting.text,
		        g->held.is ? " The certificate in use is kept." : "",
		        clock_rfc3339(g->waiting_until, until));
}

static void moved(struct attempt *a, const struct flow *flow, const struct next *next)
{
	struct registration *g = OWNER(a, struct registration, attempt);
	park(g, next->what == FLOW_GO && next->after >= LONG_WAIT);
	note_wait(g, flow, next);
	if (next->what == FLOW_GO)
		steps_moved(g, flow, next);
	tell_registration(g);
}

static void fetched(struct attempt *a, struct str name, struct str client)
{
	steps_fetched(OWNER(a, struct registration, attempt), name, client);
}

static void waits(struct attempt *a, struct str name, struct str words)
{
	steps_waits(OWNER(a, struct registration, attempt), name, words);
}

/* The first account of a CA is found out by one attempt; those that wait for it have no place, and
 * get one again in their turn. */
static void follows(struct attempt *a)
{
	struct registration *g = OWNER(a, struct registration, attempt);
	const struct str directory = ca_directory(g);
	const struct str ca = directory.n ? acme_ca_name(directory) : ca_issuer(g);
	park(g, true);
	g->waiting_until = 0;
	err_set(&g->waiting, ERR_UNREACHABLE,
	        "%.*s: waiting for the account, which the attempt for another name is finding out.",
	        STR_ARG(ca));
	g->shown_step = ACME_STEP_account;
	task_step(g->task, acme_step_name(g->shown_step), str_c(g->waiting.text));
	tell_registration(g);
}

static void may_go_on(struct attempt *a)
{
	struct registration *g = OWNER(a, struct registration, attempt);
	list_add_last(&g->renewals->going_on, &g->queued);
	start_queued(g->renewals);
}

static int64_t end_of(const struct registration *g)
{
	return g->held.is ? g->held.leaf.not_after : 0;
}

static bool is_limit(const struct flow *flow)
{
	return flow && flow->problem.status == 429;
}

/* Until when the CA is not asked again. What it said counts, but a limit of more than a week is
 * none that we know, and while it is busy nothing that is held is let expire. */
static int64_t asked_until(
        const struct registration *g, const struct flow *flow, const struct next *failed)
{
	const int64_t now = wall_now(g->renewals);
	const int64_t longest = is_limit(flow) ? 7 * DAY : renewal_busy_most(now, end_of(g));
	return failed->not_before < now + longest ? failed->not_before : now + longest;
}

/* What one issuer said about when does not hold for another, whose turn it is next. */
static void back_off(struct registration *g, const struct flow *flow, const struct next *failed)
{
	const int64_t now = wall_now(g->renewals), asked = asked_until(g, flow, failed);
	unsigned noise = (unsigned)(hash_keyed(str_c(g->id)) + (uint64_t)now) & 0xffff;
	g->failures++;
	g->last_error = failed->err;
	g->last_error_at = now;
	g->next_try = now + renewal_backoff(g->failures, noise, now, end_of(g));
	if (asked > g->next_try && str_eq(ca_next(g), ca_issuer(g)))
		g->next_try = asked;
}

/* Failure */

static void start_attempt(struct registration *g);

/* What the CA refused for a while it would refuse to others, too. */
static void keep_refusal(struct registration *g, const struct flow *flow, const struct next *why)
{
	const bool busy = flow && flow->problem.status == 503;
	if (!flow || !why->ca_at_fault || !why->not_before || (!is_limit(flow) && !busy))
		return;
	limits_refused(issuers_limits(g->renewals->needs.issuers),
	        &(struct limit_refusal){ .directory = flow->directory_url,
	                .words = flow->problem.detail,
	                .names = g->names,
	                .count = g->name_count,
	                .busy = busy,
	                .until = why->not_before });
}

static const struct secret *key_to_reuse(const struct registration *g)
{
	const bool may = g->held.is && !revoked_compromised(g) && !g->key_refused;
	return g->making->reuse_key && may ? &g->held.key : NULL;
}

/* RFC 8555 11.1: a CA takes no key that it knows to be in wrong hands; Let's Encrypt calls that a
 * bad request for a certificate. */
static bool is_about_key(const struct problem *p)
{
	return str_eq_c(p->type, "badPublicKey") ||
	       (str_eq_c(p->type, "badCSR") && p->detail.n &&
	               memmem(p->detail.p, p->detail.n, "public key", strlen("public key")));
}

static void judge_key(struct registration *g, const struct flow *flow)
{
	struct log log = registration_log(g);
	if (!flow || !is_about_key(&flow->problem) || !key_to_reuse(g))
		return;
	g->key_refused = true;
	log_warning(&log, "The CA takes the key in use no more: the next attempt makes a new one, "
	                  "although `reuse-key` is set.");
}

/* A challenge that failed while nobody answered, because we or serve were down, is no failure: it
 * begins anew at once. Only once: if serve dies of what the CA asks, that must not go on for ever.
 */
static bool begin_anew(struct registration *g, const struct next *why)
{
	if (!g->attempt.interrupted || g->began_anew || why->ca_at_fault || registration_blocked(g))
		return false;
	g->began_anew = true;
	attempt_abort(&g->attempt);
	task_step(
	        g->task, "again", STR("The attempt that was interrupted failed, and begins anew"));
	start_attempt(g);
	return true;
}

static void stored_failure(struct store_tx *tx, const struct err *err);

/* The task goes on with another CA, or after the rehearsal with the certificate itself. */
static void go_to_next(struct registration *g, const char *words)
{
	g->next_try = 0;
	g->again = true;
	task_step(g->task, "again", str_c(words));
	state_put(g, &g->tx, /* healthy= */ false);
	attempt_clear(&g->attempt, &g->tx);
	store_tx_start(g->renewals->needs.store, &g->tx, stored_failure);
}

/* Staging is down, or its limits are reached: that is no reason to wait. */
static bool leave_rehearsal(struct registration *g, const struct next *why)
{
	struct err words = ERR_INIT;
	if (!g->rehearsing || !why->ca_at_fault)
		return false;
	g->rehearsed = true;
	err_set(&words, ERR_UNREACHABLE, "There is no rehearsal on the CA's staging: %s",
	        why->err.text);
	go_to_next(g, words.text);
	return true;
}

static bool asks_for_long(const struct registration *g, const struct next *why)
{
	const int64_t now = wall_now(g->renewals);
	return why->ca_at_fault && why->not_before &&
	       renewal_waits_long(why->not_before - now, now, end_of(g));
}

/* True: another of its issuers is asked at once. */
static bool leave_issuer(struct registration *g, const struct next *why)
{
	struct err words = ERR_INIT;
	const struct str before = ca_issuer(g);
	const bool is_long = asks_for_long(g, why);
	const unsigned weight = is_long ? ISSUER_FAILURES : why->ca_at_fault;
	if (g->rehearsing || !issuer_turn_failed(&g->turn, g->issuer_count, weight))
		return false;
	const struct str after = g->issuers[g->turn.at];
	g->last_error = why->err;
	g->last_error_at = wall_now(g->renewals);
	if (is_long)
		err_set(&words, ERR_LIMIT,
		        "%.*s asks for more patience than there is, now %.*s is asked: %s",
		        STR_ARG(before), STR_ARG(after), why->err.text);
	else
		err_set(&words, ERR_UNREACHABLE, "%.*s has failed %d times, now %.*s is asked: %s",
		        STR_ARG(before), ISSUER_FAILURES, STR_ARG(after), why->err.text);
	const struct log log = registration_log(g);
	log_warning(&log, "%s", words.text);
	go_to_next(g, words.text);
	return true;
}

/* It is told what it cost. */
static struct next of_rehearsal(const struct registration *g, const struct next *why)
{
	struct next said = *why;
	if (g->rehearsing)
		err_prefix(&said.err,
		        "The rehearsal on %.*s's staging failed, nothing was asked "
		        "of the CA itself",
		        STR_ARG(ca_issuer(g)));
	return said;
}

static void stored_failure(struct store_tx *tx, const struct err *err)
{
	struct registration *g = OWNER(tx, struct registration, tx);
	struct log log = registration_log(g);
	if (err) {
		log_warning(&log,
		        "The failure could not be stored, the next start tries earlier: %s",
		        err->text);
		g->state_version = stored_version(g->renewals, STR("renewal"), g->id);
	}
	const bool again = g->again;
	attempt_over(g);
	if (!again)
		demand_failed(g);
}

/* Where another program has the port that the CA asks on, that is what to do something about. */
static struct next with_obstacle(
        const struct registration *g, const struct flow *flow, const struct next *why)
{
	struct serving *s = g->renewals->needs.serving;
	const bool proof = flow && flow->step == ACME_STEP_authz && why->err.code == ERR_REFUSED;
	struct next said = *why;
	struct err obstacle = ERR_INIT;
	if (proof && !s->ops->unobstructed(s, &obstacle))
		err_set(&said.err, why->err.code, "%.*s" ERR_WHY "%.*s" ERR_REMEDY "%s",
		        STR_ARG(err_what(&why->err)), STR_ARG(err_why(&why->err)), obstacle.text);
	return said;
}

/* What is asked again sooner than the CA would have it, or ends before that, is told. */
static struct next with_end(
        const struct registration *g, const struct flow *flow, const struct next *why)
{
	struct next said = *why;
	char end[CLOCK_TEXT];
	const int64_t until = asked_until(g, flow, why);
	const char *remedy = NULL;
	if (g->held.is && until < why->not_before && !is_limit(flow))
		remedy = "Nothing to do. It is asked again sooner, since the certificate in use "
		         "expires on";
	else if (g->held.is && until >= end_of(g))
		remedy = "Give the site a further issuer, or import a certificate. The "
		         "certificate in use expires before that, on";
	if (remedy)
		err_set(&said.err, why->err.code, "%.*s" ERR_WHY "%.*s" ERR_REMEDY "%s %s.",
		        STR_ARG(err_what(&why->err)), STR_ARG(err_why(&why->err)), remedy,
		        clock_rfc3339(end_of(g), end));
	return said;
}

static void failed(struct registration *g, const struct flow *flow, const struct next *ca_said)
{
	struct log log = registration_log(g);
	char next[CLOCK_TEXT];
	if (begin_anew(g, ca_said))
		return;
	keep_refusal(g, flow, ca_said);
	judge_key(g, flow);
	if (leave_rehearsal(g, ca_said) || leave_issuer(g, ca_said))
		return;
	const struct next with = with_obstacle(g, flow, ca_said), end = with_end(g, flow, &with);
	const struct next said = of_rehearsal(g, &end), *why = &said;
	g->renewals->totals.failed[why->err.code]++;
	back_off(g, flow, why);
	log_error(&log, "%s%s Next try %s.", why->err.text,
	        g->held.is ? " The certificate in use is kept." : "",
	        clock_rfc3339(g->next_try, next));
	task_keep_ca_text(g->task, flow);
	g->task->next_try = g->next_try;
	task_end(g->task, NULL, &why->err);
	state_put(g, &g->tx, /* healthy= */ false);
	attempt_clear(&g->attempt, &g->tx);
	store_tx_start(g->renewals->needs.store, &g->tx, stored_failure);
}

/* Success: stored, then served, then seen */

static void proven(struct registration *g, const struct err *why)
{
	struct log log = registration_log(g);
	if (why)
		log_error(&log, "%s", why->text);
	task_end(g->task, "Seen over HTTPS on every own listener", why);
	attempt_over(g);
}

static void see(struct registration *g)
{
	steps_bind(g);
	task_step(g->task, "see", STR("See it over HTTPS"));
	look_forget(g);
	prove(g, proven);
}

/* The flow stays in the store: the next attempt resumes it and downloads again. */
static void not_stored(struct registration *g, const struct err *err)
{
	struct log log = registration_log(g);
	struct next why = { .what = FLOW_FAIL, .err = *err };
	g->state_version = stored_version(g->renewals, STR("renewal"), g->id);
	back_off(g, NULL, &why);
	log_error(&log, "The new certificate could not be stored%s: %s",
	        g->held.is ? ", keeping the old one" : "", err->text);
	g->task->next_try = g->next_try;
	task_end(g->task, NULL, err);
	held_clear(&g->fresh);
	attempt_over(g);
}

static void stored_certificate(struct store_tx *tx, const struct err *err)
{
	struct registration *g = OWNER(tx, struct registration, tx);
	struct log log = registration_log(g);
	char until[CLOCK_TEXT];
	if (err) {
		not_stored(g, err);
		return;
	}
	g->renewals->totals.succeeded++;
	state_be_healthy(g);
	g->key_refused = false;
	held_swap(g);
	window_renew(g);
	held_install(g);
	revoked_ask(g);
	demand_issued(g);
	schedule_sharers(g);
	log_info(&log, "A certificate from %.*s is served, it expires %s.", STR_ARG(g->held.issuer),
	        clock_rfc3339(g->held.leaf.not_after, until));
	see(g);
}

static void count_issued(struct registration *g)
{
	g->issued_count += g->issued_count < ISSUED_KEPT;
	memmove(g->issued + 1, g->issued, (g->issued_count - 1) * sizeof *g->issued);
	g->issued[0] = wall_now(g->renewals);
}

static void succeeded(struct registration *g, const struct issued *issued)
{
	if (g->rehearsing) {
		g->rehearsed = true;
		go_to_next(g, "The rehearsal on the CA's staging succeeded: now the certificate "
		              "itself is ordered");
		return;
	}
	count_issued(g);
	held_put(g, issued, &g->tx);
	held_take(g, issued);
	state_put(g, &g->tx, /* healthy= */ true);
	attempt_clear(&g->attempt, &g->tx);
	task_issued(g->task);
	store_tx_start(g->renewals->needs.store, &g->tx, stored_certificate);
}

static void done(struct attempt *a, const struct flow *flow, const struct issued *issued,
        const struct next *why)
{
	struct registration *g = OWNER(a, struct registration, attempt);
	if (issued)
		succeeded(g, issued);
	else
		failed(g, flow, why);
}

/* Starting and stopping */

/* What is renewed is of the CA that is asked. */
static bool is_renewal(const struct registration *g)
{
	return g->held.is && str_eq(g->held.issuer, str_c(g->ca));
}

/* At the time that the CA suggested, for the certificate that it is about. Before and behind it a
 * CA counts as ever, even where it asks for it now by a time that has passed. */
static bool is_exempt(const struct registration *g)
{
	const struct renewal_window *w = &g->suggestion.window;
	const int64_t now = wall_now(g->renewals);
	return schedule_exempt(g) && is_renewal(g) && now >= w->start && now < w->end;
}

/* RFC 9773 5: the one that is replaced, if this CA issued it. */
static struct str replaced(const struct registration *g)
{
	return is_renewal(g) ? g->held.leaf.ari_id : STR_NONE;
}

/* It is tried all the same: a person asked for it. */
static void warn_of_private(const struct registration *g)
{
	for (size_t i = 0; i < g->name_count; i++)
		if (ip_is(g->names[i]) && name_is_private(g->names[i]) &&
		        str_starts(str_c(g->ca), STR("letsencrypt")))
			log_warning(g->renewals->needs.log,
			        "%.*s is an address of a private network, which no public CA "
			        "reaches or certifies: `issuer internal` is for it. %s is asked "
			        "all the same.",
			        STR_ARG(g->names[i]), g->ca);
}

static void start_attempt(struct registration *g)
{
	struct renewals *r = g->renewals;
	struct attempt_want want = {
		.id = str_c(g->id),
		.issuer = str_c(g->ca),
		.profile = registration_profile(g),
		.replaces = replaced(g),
		.exempt = is_exempt(g),
		.renewal = is_renewal(g),
		.key_type = g->key_type,
		.reuse_key = key_to_reuse(g),
		.preferred_chain = g->making->preferred_chain,
		.email = g->email,
		.terms_agreed = g->terms,
		.names = g->names,
		.name_count = g->name_count,
	};
	g->shown_step = ACME_STEP_COUNT;
	warn_of_private(g);
	attempt_start(r->needs.issuers, &g->attempt, &want);
}

/* What a restart interrupted goes on, unless another CA is asked now. */
static bool is_asked_already(const struct registration *g)
{
	ARENA_AUTO a = ARENA_INIT;
	struct record record;
	struct err err = ERR_INIT;
	if (!store_get(g->renewals->needs.store, &a, STR("flow"), str_c(g->id), &record, &err))
		return false;
	JSON_AUTO *json = json_parse(record.value, "The stored attempt", &err);
	return str_eq_c(json_text(json, "issuer"), g->ca);
}

static void begin(struct registration *g)
{
	struct renewals *r = g->renewals;
	struct err err = ERR_INIT;
	g->attempting = true;
	g->began_anew = false;
	task_begin(g->task);
	g->shown_step = ACME_STEP_COUNT;
	g->attempt = (struct attempt){
		.moved = moved,
		.done = done,
		.fetched = fetched,
		.waits = waits,
		.follows = follows,
		.may_go_on = may_go_on,
	};
	list_add_last(&r->under_way, &g->place);
	if (!is_asked_already(g) ||
	        !attempt_resume(r->needs.issuers, &g->attempt, str_c(g->id), &err))
		start_attempt(g);
}

static void go_on(struct registration *g)
{
	park(g, false);
	g->waiting = (struct err)ERR_INIT;
	attempt_go_on(&g->attempt);
}

static bool provable(struct registration *g)
{
	struct serving *s = g->renewals->needs.serving;
	for (size_t i = 0; i < g->name_count; i++)
		if (!s->ops->provable(s, g->names[i], &g->waiting))
			return false;
	return true;
}

/* An order is not spent on a proof that cannot be given. */
static bool can_prove(struct registration *g)
{
	struct renewals *r = g->renewals;
	struct err was = g->waiting;
	struct log log = registration_log(g);
	g->waiting = (struct err)ERR_INIT;
	if (str_eq(g->issuer, STR("internal")) || provable(g))
		return true;
	g->waiting_until = 0;
	list_add_last(&r->unprovable, &g->queued);
	if (!strcmp(was.text, g->waiting.text))
		return false;
	task_step(g->task, "port", str_c(g->waiting.text));
	log_warning(&log, "%s%s", g->waiting.text,
	        g->held.is ? " The certificate in use is kept." : "");
	return false;
}

void schedule_again(struct renewals *r, struct list *waiting)
{
	LIST_EACH (n, waiting) {
		list_remove(n);
		list_add_last(&r->queue, n);
	}
	start_queued(r);
}

void schedule_by_clock(struct renewals *r)
{
	LIST_EACH (n, &r->wall.waiting) {
		struct registration *g = OWNER(n, struct registration, queued);
		if (!g->revocation && next_attempt(g) > wall_now(r)) {
			schedule_cancel(g, "it is not due");
			schedule(g);
		}
	}
	schedule_again(r, &r->wall.waiting);
}

void renewals_listening(struct renewals *r)
{
	schedule_again(r, &r->unprovable);
}

static void room_again(struct timer *t)
{
	struct registration *g = OWNER(t, struct registration, limited);
	if (!list_linked(&g->queued))
		return;
	list_remove(&g->queued);
	list_add_last(&g->renewals->queue, &g->queued);
	start_queued(g->renewals);
}

static bool has_room(
        struct registration *g, int64_t not_before, struct limit_wait *ret_wait, struct err *err)
{
	struct renewals *r = g->renewals;
	const struct limit_order order = { .directory = ca_directory(g),
		.names = g->names,
		.count = g->name_count,
		.exempt = is_exempt(g),
		.renewal = is_renewal(g),
		.has_account = issuers_has_account(r->needs.issuers, str_c(g->ca)),
		.wished = g->wished,
		.reserve = reserve_for(g),
		.busy_most = renewal_busy_most(wall_now(r), end_of(g)),
		.not_before = not_before };
	return !order.directory.n ||
	       limits_allow(issuers_limits(r->needs.issuers), &order, ret_wait, err);
}

/* Another of its issuers may have room now; else it waits for the first that will. *wait: of the
 * one that is asked. */
static bool has_room_elsewhere(struct registration *g, struct limit_wait *wait)
{
	struct issuer_turn soonest = g->turn;
	struct err err = ERR_INIT;
	struct limit_wait other;
	for (size_t i = 1; i < g->issuer_count; i++) {
		if (!ca_choose_next(g))
			break;
		if (has_room(g, /* not_before= */ 0, &other, &err))
			return true;
		if (other.until < wait->until) {
			*wait = other;
			soonest = g->turn;
		}
	}
	g->turn = soonest;
	ca_choose(g);
	return false;
}

/* Those that wait for the same look again one after the other, as there comes room for each. */
static int64_t in_line(const struct registration *g, const struct limit_wait *wait)
{
	int64_t at = wait->until;
	LIST_EACH (n, &g->renewals->at_limit) {
		const struct registration *other = OWNER(n, struct registration, queued);
		if (other->limit.what == wait->what && other->limit.until + wait->each > at)
			at = other->limit.until + wait->each;
	}
	return wait->each ? at : wait->until;
}

/* No order that the CA would refuse: it waits until there is room. One that was made goes on. */
static bool may_order(struct registration *g)
{
	struct renewals *r = g->renewals;
	struct log log = registration_log(g);
	struct limit_wait wait;
	if (stored_version(r, STR("flow"), g->id) || has_room(g, 0, &wait, &g->waiting) ||
	        has_room_elsewhere(g, &wait) ||
	        has_room(g, in_line(g, &wait), &g->limit, &g->waiting)) {
		g->waiting = (struct err)ERR_INIT;
		return true;
	}
	g->waiting_until = g->limit.until;
	list_add_last(&r->at_limit, &g->queued);
	timer_start_wall(&g->limited, r->needs.loop, g->waiting_until, room_again);
	task_step(g->task, "limit", str_c(g->waiting.text));
	log_warning(&log, "%s%s", g->waiting.text,
	        g->held.is ? " The certificate in use is kept." : "");
	tell_registration(g);
	return false;
}

/* Whether it is due is told by nothing but the clock: unless a person wishes it now. */
static bool may_believe(struct registration *g)
{
	struct renewals *r = g->renewals;
	if (g->wished || wall_known(g, &g->waiting))
		return true;
	g->waiting_until = 0;
	list_add_last(&r->wall.waiting, &g->queued);
	task_step(g->task, "clock", str_c(g->waiting.text));
	tell_registration(g);
	return false;
}

static bool has_place(const struct renewals *r, struct str issuer)
{
	size_t count = 0;
	LIST_EACH (n, &r->under_way)
		count += str_eq_c(issuer, OWNER(n, struct registration, place)->ca);
	return count < PARALLEL_MOST;
}

/* Of two orders for the same names a CA may make one (Let's Encrypt does while it is open), and it
 * can be finished with one key only: they are made one after the other. */
static bool is_ordered_for_another(const struct registration *g)
{
	for (struct name_entry *e = names_first(g->renewals, g->names[0]); e; e = names_next(e)) {
		const struct registration *other = e->registration;
		if (other != g && other->attempting && !strcmp(other->ca, g->ca) &&
		        registration_same_names(g, other))
			return true;
	}
	return false;
}

/* The first whose CA has a place; NULL if there is none. */
static struct registration *take_first(struct renewals *r, const struct list *queue)
{
	struct str full = STR_NONE;
	LIST_EACH (n, queue) {
		struct registration *g = OWNER(n, struct registration, queued);
		const struct str ca = str_c(g->ca);
		if ((full.n && str_eq(full, ca)) || (!g->attempting && is_ordered_for_another(g)))
			continue;
		if (has_place(r, ca)) {
			list_remove(n);
			return g;
		}
		full = ca;
	}
	return NULL;
}

static void start_queued(struct renewals *r)
{
	struct registration *g;
	while ((g = take_first(r, &r->going_on)))
		go_on(g);
	while ((g = take_first(r, &r->queue)))
		if (may_believe(g) && can_prove(g) && may_order(g))
			begin(g);
}

/* An attempt whose task has ended is only being stored: the wish is for the next one. */
static void try_again_after(struct registration *g)
{
	if (g->task && task_under_way(g->task))
		return;
	g->again = true;
	g->task = task_for(g, g->held.is ? TASK_RENEW : TASK_CONFIGURE);
}

void schedule_now(struct registration *g)
{
	if (list_linked(&g->queued) || g->request_tx.store)
		return;
	if (g->attempting) {
		try_again_after(g);
		return;
	}
	timer_stop(&g->due);
	tell_registration(g);
	if (!g->task)
		g->task = task_for(g, g->held.is ? TASK_RENEW : TASK_CONFIGURE);
	if (!g->renewals->begun)
		return;
	ca_choose(g);
	list_add_last(&g->renewals->queue, &g->queued);
	start_queued(g->renewals);
}

void schedule_see(struct registration *g)
{
	g->attempting = true;
	g->task = task_for(g, TASK_RENEW);
	tell_registration(g);
	list_add_last(&g->renewals->under_way, &g->place);
	see(g);
}

void schedule_cancel(struct registration *g, const char *why)
{
	struct renewals *r = g->renewals;
	bool storing = g->attempting && !g->attempt.state;
	timer_stop(&g->due);
	if (!g->task || storing || g->request_tx.store)
		return;
	task_give_up(g->task, why);
	g->task = NULL;
	g->waiting = (struct err)ERR_INIT;
	list_remove(&g->queued);
	attempt_abort(&g->attempt);
	list_remove(&g->place);
	g->attempting = false;
	start_queued(r);
}

void schedule_stop(struct registration *g)
{
	timer_stop(&g->due);
	timer_stop(&g->limited);
	list_remove(&g->queued);
	list_remove(&g->place);
	attempt_abort(&g->attempt);
	prove_stop(g);
}
