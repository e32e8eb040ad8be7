/* The wish that a registration goes: its site with it, its certificate stays, shown as retired. */
#include "renew/private.h"

static void removed(struct store_tx *tx, const struct err *err)
{
	struct registration *g = OWNER(tx, struct registration, request_tx);
	if (err) {
		registration_reload(g);
		state_reload(g);
	} else {
		g->version = 0;
		held_leave(g);
		request_change_sites(g);
	}
	schedule(g);
	request_answer_all(g, err);
}

static void remove_registration(struct renew_request *q, struct registration *g)
{
	schedule_cancel(g, "it was removed");
	g->in_store = false;
	g->disabled = false;
	if (registration_primary(g))
		renew_set_primary(g->renewals, STR_NONE);
	request_answer_when_stored(q, g);
	q->task[0] = 0;
	store_tx_delete(&g->request_tx, STR("registration"), str_c(g->id), g->version);
	state_put(g, &g->request_tx, /* healthy= */ true);
	store_tx_start(g->renewals->needs.store, &g->request_tx, removed);
}

static bool may_remove(struct registration *g, bool despite_hsts, struct err *err)
{
	if (g->request_tx.store)
		return err_set(err, ERR_BUSY,
		        "Another wish for %.*s is just being stored." ERR_REMEDY
		        "Try again in a moment.",
		        STR_ARG(g->names[0]));
	if (g->in_file)
		return err_set(err, ERR_CONFLICT,
		        "%.*s is registered by the configuration file." ERR_REMEDY
		        "Remove it there, then `everseal reload`.",
		        STR_ARG(g->names[0]));
	return request_may_end(g, despite_hsts, err);
}

void renew_remove(struct renewals *r, struct renew_request *q, struct str name, bool despite_hsts,
        renew_done *done)
{
	request_open(r, q, done);
	struct registration *g = request_find(q, name);
	if (g && may_remove(g, despite_hsts, &q->err)) {
		if (g->in_store) {
			remove_registration(q, g);
			return;
		}
		q->existing = true; /* it is only kept already */
		request_about(q, g);
	}
	request_answer_soon(q);
}
