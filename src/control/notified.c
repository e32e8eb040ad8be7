/* Who tells people, wired: how each registration is, as notify wants to know it. */
#include "control/control.h"
#include "portal/sites.h"

struct asking {
	struct renew_view_each views;
	struct control *control;
	struct notify_each *facts;
};

/* "Let's Encrypt (example.com)": what of its limits. */
static struct str low_of(struct arena *a, struct str issuer, struct str about)
{
	return about.n ? arena_printf(a, "%.*s (%.*s)", STR_ARG(issuer), STR_ARG(about)) : issuer;
}

static struct notify_fact fact_of(const struct renew_view *v)
{
	const char *title = issuer_title(v->issuer);
	return (struct notify_fact){ .id = v->id,
		.names = v->names,
		.name_count = v->name_count,
		.issuer = title ? str_c(title) : v->issuer,
		.certificate = v->held ? v->thumbprint : STR_NONE,
		.not_before = v->not_before,
		.not_after = v->not_after,
		.since = v->since,
		.next = v->next_renewal,
		.wanted = v->renewed,
		.replaced = v->replaced,
		.revoked = v->revoked,
		.recalled = v->recalled,
		.explanation = v->explanation,
		.failures = v->failures,
		.error = v->error,
		.served = v->served };
}

/* What has used up nothing of a limit lately is not counted: that would cost much for many. */
static bool has_spent(const struct control *c, const struct renew_view *v)
{
	return v->failures || v->since > loop_wall(c->loop) - 7 * DAY;
}

static void tell(struct control *c, struct notify_each *to, const struct renew_view *v)
{
	ARENA_AUTO a = ARENA_INIT;
	struct notify_fact fact = fact_of(v);
	struct err low, terms;
	struct str about;
	bool changed = false;
	if (has_spent(c, v) && renew_limit_low(c->renewals, v->id, &about, &low)) {
		fact.low = &low;
		fact.low_of = low_of(&a, fact.issuer, about);
	}
	fact.terms_known = renew_terms(c->renewals, v->id, &changed, &terms);
	fact.terms = changed ? &terms : NULL;
	to->fact(to, &fact);
}

static void view(struct renew_view_each *e, const struct renew_view *v)
{
	const struct asking *a = OWNER(e, struct asking, views);
	tell(a->control, a->facts, v);
}

static void each(struct notify_source *s, struct notify_each *e)
{
	struct control *c = OWNER(s, struct control, notify_source);
	struct asking a = { .views.view = view, .control = c, .facts = e };
	renew_each(c->renewals, &a.views);
}

static bool find(struct notify_source *s, struct str id, struct notify_each *e)
{
	struct control *c = OWNER(s, struct control, notify_source);
	struct renew_view v;
	if (!renew_find(c->renewals, id, &v))
		return false;
	tell(c, e, &v);
	return true;
}

static void registration(struct renewals_watch *w, struct str id)
{
	notify_changed(OWNER(w, struct control, notify_watch)->notify, id);
}

static void task(struct renewals_watch *w, struct str id)
{
	(void)w;
	(void)id;
}

bool notified_open(struct control *c, struct err *err)
{
	c->notify_source = (struct notify_source){ .each = each, .find = find };
	c->notify = notify_new(&(struct notify_needs){ .loop = c->loop,
	                               .store = c->store,
	                               .fetch = c->fetch,
	                               .programs = c->programs,
	                               .source = &c->notify_source,
	                               .log = &c->log },
	        err);
	if (!c->notify)
		return false;
	c->notify_watch = (struct renewals_watch){ .registration = registration, .task = task };
	renewals_watch(c->renewals, &c->notify_watch);
	return true;
}

void notified_done(struct control *c)
{
	renewals_unwatch(&c->notify_watch);
	notify_free(&c->notify);
}
