#include "portal/row.h"
#include "portal/call.h"

enum { VALUE_MOST = 64 << 10, AGAIN = 10 * 1000 };

void row_init(struct row *r, const struct row_kind *kind, const char *id, int64_t version)
{
	*r = (struct row){ .kind = kind, .id = id, .version = version };
	store_tx_init(&r->tx);
	list_init(&r->waiting);
	list_init(&r->served);
}

/* Whoever waits may free himself, or whatever else he holds. */
static void tell(struct list *waits, const struct err *err)
{
	while (!list_empty(waits)) {
		struct row_wait *w = OWNER(list_first(waits), struct row_wait, node);
		list_remove(&w->node);
		w->done(w, err);
	}
}

static void start(struct row *r);

static void start_later(struct later *l)
{
	start(OWNER(l, struct row, later));
}

static void start_again(struct timer *t)
{
	start(OWNER(t, struct row, again));
}

static void saved(struct store_tx *tx, const struct err *err)
{
	struct row *r = OWNER(tx, struct row, tx);
	if (err) {
		log_error(portal.log, "The %.*s %s cannot be saved, trying again: %s",
		        STR_ARG(r->kind->name), r->id, err->text);
		r->dirty = true;
	} else {
		r->version++;
	}
	if (r->dirty || r->leaving)
		timer_start(&r->again, portal.loop, err ? AGAIN : 0, start_again);
	tell(&r->served, err);
}

static void forget(struct row *r)
{
	struct list waits;
	list_init(&waits);
	LIST_EACH (n, &r->served) {
		list_remove(n);
		list_add_last(&waits, n);
	}
	r->kind->removed(r);
	tell(&waits, NULL);
}

static void removed(struct store_tx *tx, const struct err *err)
{
	struct row *r = OWNER(tx, struct row, tx);
	if (!err) {
		forget(r);
		return;
	}
	log_error(portal.log, "The %.*s %s cannot be removed, trying again: %s",
	        STR_ARG(r->kind->name), r->id, err->text);
	timer_start(&r->again, portal.loop, AGAIN, start_again);
	tell(&r->served, err);
}

static void put(struct row *r)
{
	BUF_AUTO value = BUF(VALUE_MOST), blob = BUF(VALUE_MOST);
	struct json_writer w;
	json_write_init(&w, &value);
	json_write_object(&w, NULL);
	r->kind->write(r, &w, r->version + 1, &blob);
	json_write_end(&w);
	CHECK(buf_ok(&value) && buf_ok(&blob));
	store_tx_put(
	        &r->tx, r->kind->name, str_c(r->id), r->version, buf_str(&value), buf_str(&blob));
}

/* One at a time; the next one starts when this one is done. */
static void start(struct row *r)
{
	if (r->tx.store || (!r->dirty && !r->leaving))
		return;
	LIST_EACH (n, &r->waiting) {
		list_remove(n);
		list_add_last(&r->served, n);
	}
	r->dirty = false;
	if (r->leaving && !r->version) {
		forget(r);
	} else if (r->leaving) {
		store_tx_delete(&r->tx, r->kind->name, str_c(r->id), r->version);
		store_tx_start(portal.store, &r->tx, removed);
	} else {
		put(r);
		store_tx_start(portal.store, &r->tx, saved);
	}
}

static void soon(struct row *r, struct row_wait *wait)
{
	if (wait)
		list_add_last(&r->waiting, &wait->node);
	timer_stop(&r->again);
	if (!r->tx.store)
		later_start(&r->later, portal.loop, start_later);
}

void row_save(struct row *r, struct row_wait *wait)
{
	r->dirty = true;
	soon(r, wait);
}

void row_remove(struct row *r, struct row_wait *wait)
{
	r->leaving = true;
	soon(r, wait);
}

void row_done(struct row *r)
{
	store_tx_abort(&r->tx);
	timer_stop(&r->again);
	later_stop(&r->later);
	LIST_EACH (n, &r->waiting)
		list_remove(n);
	LIST_EACH (m, &r->served)
		list_remove(m);
}
