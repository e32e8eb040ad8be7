/* The wish that an imported certificate goes, with its key: its names have what is left. */
#include "renew/import.h"
#include "renew/private.h"

struct removal {
	struct list node; /* of those that are being stored, or served */
	struct renewals *renewals;
	char *name;
	struct list requests;
	struct store_tx tx;
	struct serving_change change;
};

static void removal_free(struct removal *m)
{
	list_remove(&m->node);
	free(m->name);
	free(m);
}

void removals_stop(struct renewals *r)
{
	LIST_EACH (n, &r->removals) {
		struct removal *m = OWNER(n, struct removal, node);
		while (!list_empty(&m->requests))
			list_remove(list_first(&m->requests));
		store_tx_abort(&m->tx);
		if (list_linked(&m->change.node))
			r->needs.serving->ops->change_abort(r->needs.serving, &m->change);
		removal_free(m);
	}
}

/* ---- its end ---- */

static void say_left(const struct removal *m, struct renew_request *q)
{
	const struct str name = str_c(m->name);
	struct imported_heir left;
	char until[CLOCK_TEXT];
	if (imported_left(m->renewals, name, NULL, &left))
		snprintf(q->after, sizeof q->after,
		        "Visitors of %s get the certificate of %.*s that ends %s.", m->name,
		        STR_ARG(str_head(left.issuer, 200)), clock_rfc3339(left.not_after, until));
	else
		snprintf(q->after, sizeof q->after,
		        "No other certificate for %s is left: visitors get its site's temporary "
		        "one, which browsers refuse, unless a wildcard's serves it. Register the "
		        "name, or import another one.",
		        m->name);
}

static void in_force(struct serving_change *change, const struct err *err)
{
	struct removal *m = OWNER(change, struct removal, change);
	if (err)
		log_error(m->renewals->needs.log, "%s-imported: %s", m->name, err->text);
	removal_free(m);
}

static void removed(struct store_tx *tx, const struct err *err)
{
	struct removal *m = OWNER(tx, struct removal, tx);
	struct serving *s = m->renewals->needs.serving;
	if (!err)
		imported_remove(m->renewals, str_c(m->name));
	while (!list_empty(&m->requests)) {
		struct renew_request *q =
		        OWNER(list_first(&m->requests), struct renew_request, node);
		if (!err)
			say_left(m, q);
		request_answer(q, err);
	}
	m->change.done = in_force;
	if (err)
		removal_free(m);
	else
		s->ops->change(s, &m->change); /* a site without one gets its temporary one */
}

/* ---- its beginning ---- */

static struct removal *under_way(struct renewals *r, struct str name)
{
	LIST_EACH (n, &r->removals) {
		struct removal *m = OWNER(n, struct removal, node);
		if (str_eq_c(name, m->name) && m->tx.store)
			return m;
	}
	return NULL;
}

static struct removal *start(struct renewals *r, const struct renew_view *v)
{
	struct removal *m = mem_new(struct removal);
	const struct str revoked = STR("revoked");
	BUF_AUTO id = BUF(512);
	buf_add(&id, v->id);
	m->renewals = r;
	m->name = str_dup(v->names[0]);
	list_init(&m->requests);
	list_add_last(&r->removals, &m->node);
	store_tx_init(&m->tx);
	store_tx_delete(
	        &m->tx, IMPORTED_KIND, v->names[0], stored_version(r, IMPORTED_KIND, m->name));
	const int64_t version = stored_version(r, revoked, buf_c(&id));
	if (version)
		store_tx_delete(&m->tx, revoked, v->id, version);
	store_tx_start(r->needs.store, &m->tx, removed);
	return m;
}

static const struct imported *find(struct renew_request *q, struct str name)
{
	const struct imported *m = imported_find(q->renewals, name);
	if (!m && registration_find(q->renewals, name))
		err_set(&q->err, ERR_CONFLICT,
		        "The certificate for %.*s was not imported: Everseal has it from its "
		        "CA." ERR_REMEDY "To end its renewal: everseal lets-encrypt disable %.*s.",
		        STR_ARG(name), STR_ARG(name));
	else if (!m)
		no_certificate(name, &q->err);
	return m;
}

static bool may_go(
        struct renew_request *q, const struct imported *m, const struct renew_view *v, bool despite)
{
	struct renewals *r = q->renewals;
	struct imported_heir left;
	char until[CLOCK_TEXT];
	const int64_t promised = promised_until(r, v->names, v->name_count);
	if (!promised || despite || imported_left(r, v->names[0], m, &left))
		return true;
	return err_set(&q->err, ERR_CONFLICT,
	        "Browsers may remember until %s that %.*s must be reached by HTTPS; without its "
	        "certificate they let nobody in." ERR_REMEDY
	        "Register the name or import another one first, or insist with --despite-hsts.",
	        clock_rfc3339(promised, until), STR_ARG(v->names[0]));
}

void import_remove(struct renewals *r, struct renew_request *q, struct str name, bool despite_hsts,
        renew_done *done)
{
	request_open(r, q, done);
	const struct imported *m = find(q, name);
	const struct renew_view v = m ? imported_view(m) : (struct renew_view){ 0 };
	if (!m || !may_go(q, m, &v, despite_hsts)) {
		request_answer_soon(q);
		return;
	}
	struct removal *before = under_way(r, v.names[0]);
	struct removal *removal = before ? before : start(r, &v);
	snprintf(q->id, sizeof q->id, "%.*s", STR_ARG(v.id));
	q->existing = before;
	list_add_last(&removal->requests, &q->node);
}
