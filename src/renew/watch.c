/* Who wants to know is told of what changed, once per turn. */
#include "renew/private.h"

void renewals_watch(struct renewals *r, struct renewals_watch *w)
{
	list_add_last(&r->watches, &w->node);
}

void renewals_unwatch(struct renewals_watch *w)
{
	list_remove(&w->node);
}

static void tell(struct later *l)
{
	struct renewals *r = OWNER(l, struct renewals, tell);
	for (struct list *n; (n = list_first(&r->told_registrations));) {
		const struct registration *g = OWNER(n, struct registration, to_tell);
		list_remove(n);
		LIST_EACH (m, &r->watches) {
			struct renewals_watch *w = OWNER(m, struct renewals_watch, node);
			w->registration(w, str_c(g->id));
		}
	}
	for (struct list *n; (n = list_first(&r->told_tasks));) {
		const struct task *t = OWNER(n, struct task, to_tell);
		list_remove(n);
		LIST_EACH (m, &r->watches) {
			struct renewals_watch *w = OWNER(m, struct renewals_watch, node);
			w->task(w, str_c(t->id));
		}
	}
}

static void note(struct renewals *r, struct list *all, struct list *node)
{
	if (list_empty(&r->watches) || list_linked(node))
		return;
	list_add_last(all, node);
	later_start(&r->tell, r->needs.loop, tell);
}

void tell_registration(struct registration *g)
{
	note(g->renewals, &g->renewals->told_registrations, &g->to_tell);
}

void tell_task(struct task *t)
{
	note(t->renewals, &t->renewals->told_tasks, &t->to_tell);
}
