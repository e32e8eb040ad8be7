/* Who tells people, wired: how each registration is, as notify wants to know it. */
#include "control/control.h"
#include "portal/sites.h"

struct asking {
	struct renew_view_each views;
	struct notify_each *facts;
};

static void tell(struct notify_each *to, const struct renew_view *v)
{
	const char *title = issuer_title(v->issuer);
	to->fact(to, &(struct notify_fact){ .id = v->id,
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
	                     .failures = v->failures,
	                     .error = v->error,
	                     .served = v->served });
}

static void view(struct renew_view_each *e, const struct renew_view *v)
{
	tell(OWNER(e, struct asking, views)->facts, v);
}

static void each(struct notify_source *s, struct notify_each *e)
{
	struct asking a = { .views.view = view, .facts = e };
	renew_each(OWNER(s, struct control, notify_source)->renewals, &a.views);
}

static bool find(struct notify_source *s, struct str id, struct notify_each *e)
{
	struct renew_view v;
	if (!renew_find(OWNER(s, struct control, notify_source)->renewals, id, &v))
		return false;
	tell(e, &v);
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
