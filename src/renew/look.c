/* Every certificate that is held is looked at after start and then every day, one after the other:
 * by a handshake, so that what is served never stays unknown for long, and for those that are not
 * renewed, by their date. */
#include "renew/import.h"
#include "renew/private.h"

static void look_next(struct later *l);

static void go_on(struct renewals *r)
{
	r->looking_at = NULL;
	later_start(&r->look_next, r->needs.loop, look_next);
}

static void looked(struct registration *g, const struct err *failed)
{
	if (failed)
		log_error(g->renewals->needs.log, "%s", failed->text);
	go_on(g->renewals);
}

/* Nobody renews it: said once a day from when others would have been renewed until it expires. */
static void warn(const struct registration *g)
{
	const struct cert *leaf = &g->held.leaf;
	const char *why = registration_blocked(g);
	int64_t now = loop_wall(g->renewals->needs.loop);
	int64_t due = renewal_time(leaf->not_before, leaf->not_after, g->renew_before).at;
	char until[CLOCK_TEXT];
	if (!why || demand_blocked(g) || now < due || now > leaf->not_after)
		return;
	log_warning(g->renewals->needs.log,
	        "The certificate served for %.*s expires %s and is not "
	        "renewed: %s. Register its names again to keep it alive.",
	        STR_ARG(g->names[0]), clock_rfc3339(leaf->not_after, until), why);
}

static void look_at(struct registration *g)
{
	struct renewals *r = g->renewals;
	if (held_superseded(g)) {
		g->served_at = loop_wall(r->needs.loop);
		err_set(&g->served_err, ERR_CONFLICT,
		        "%.*s is served with a newer certificate." ERR_REMEDY "Nothing to do.",
		        STR_ARG(g->names[0]));
		return;
	}
	warn(g);
	r->looking_at = g;
	prove(g, looked);
}

/* One whose attempt is under way is proven at its end. */
static void look_next(struct later *l)
{
	struct renewals *r = OWNER(l, struct renewals, look_next);
	while (!list_empty(&r->to_look_at) && !r->looking_at && !list_linked(&r->look_next.node)) {
		struct registration *g =
		        OWNER(list_first(&r->to_look_at), struct registration, to_look_at);
		list_remove(&g->to_look_at);
		if (g->held.is && !g->attempting)
			look_at(g);
	}
}

static void daily(struct timer *t)
{
	struct renewals *r = OWNER(t, struct renewals, daily);
	MAP_EACH (n, &r->registrations) {
		struct registration *g = OWNER(n, struct registration, node);
		if (g->held.is && !list_linked(&g->to_look_at))
			list_add_last(&r->to_look_at, &g->to_look_at);
	}
	imported_look(r);
	revoked_look(r);
	later_start(&r->look_next, r->needs.loop, look_next);
	timer_start(&r->daily, r->needs.loop, DAY, daily);
}

void look_begin(struct renewals *r)
{
	timer_start(&r->daily, r->needs.loop, 0, daily);
}

int64_t look_at_next(const struct renewals *r)
{
	const struct loop *l = r->needs.loop;
	return timer_active(&r->daily) ? loop_wall(l) + r->daily.deadline - loop_mono(l) : 0;
}

void look_stop(struct renewals *r)
{
	timer_stop(&r->daily);
	later_stop(&r->look_next);
}

void look_forget(struct registration *g)
{
	list_remove(&g->to_look_at);
	if (g->renewals->looking_at == g)
		go_on(g->renewals);
}
