#include "base/log.h"
#include "notify/inside.h"

struct notify *notify_new(const struct notify_needs *needs, struct err *err)
{
	struct notify *n = mem_new(struct notify);
	n->needs = *needs;
	list_init(&n->targets);
	list_init(&n->dropping);
	store_tx_init(&n->over);
	n->follow = follow_new(n, err);
	if (!n->follow)
		notify_free(&n);
	return n;
}

static void let_go(struct target *t, void (*stop)(struct target *t))
{
	stop(t);
	target_unref(&t);
}

void notify_free(struct notify **notify)
{
	struct notify *n = *notify;
	*notify = NULL;
	if (!n)
		return;
	follow_free(&n->follow);
	LIST_EACH (node, &n->targets)
		let_go(OWNER(node, struct target, node), target_stop);
	parcels_free(&n->dropping);
	store_tx_abort(&n->over);
	free(n);
}

static struct target *same_as(struct notify *n, const struct target *t)
{
	LIST_EACH (node, &n->targets) {
		struct target *other = OWNER(node, struct target, node);
		if (str_eq(other->want.to, t->want.to) && other->want.way == t->want.way)
			return other;
	}
	return NULL;
}

struct waiting {
	struct store_scan scan;
	struct notify *notify;
	bool over; /* something is for nobody any more */
};

static bool is_found(struct notify *n, const struct record *r)
{
	LIST_EACH (node, &n->targets) {
		struct target *t = OWNER(node, struct target, node);
		if (str_ends(r->id, str_c(t->key)))
			return target_find_waiting(t, r);
	}
	return false;
}

static bool find_target(struct store_scan *scan, const struct record *r)
{
	struct waiting *w = OWNER(scan, struct waiting, scan);
	if (!is_found(w->notify, r)) {
		store_tx_delete(&w->notify->over, r->kind, r->id, r->version);
		w->over = true;
	}
	return true;
}

static void over(struct store_tx *tx, const struct err *err)
{
	(void)tx;
	(void)err; /* then it is deleted at the next start */
}

/* Once, with the first configuration. */
static void look_for_waiting(struct notify *n)
{
	struct err err = ERR_INIT;
	struct waiting w = { .scan.each = find_target, .notify = n };
	if (n->looked)
		return;
	n->looked = true;
	if (!store_each(n->needs.store, STR("message"), &w.scan, &err))
		log_warning(n->needs.log, "Messages that waited are not told: %s", err.text);
	if (w.over)
		store_tx_start(n->needs.store, &n->over, over);
}

void notify_configure(struct notify *n, const struct config *config)
{
	struct list fresh;
	list_init(&fresh);
	for (size_t i = 0; i < config->notify_count; i++) {
		struct target *t = target_new(n, &config->notify[i], config->file);
		struct target *before = same_as(n, t);
		if (before) {
			target_take_over(t, before);
			let_go(before, target_stop);
		}
		list_add_last(&fresh, &t->node);
	}
	LIST_EACH (node, &n->targets)
		let_go(OWNER(node, struct target, node), target_forget);
	LIST_EACH (node, &fresh) {
		list_remove(node);
		list_add_last(&n->targets, node);
	}
	look_for_waiting(n);
	if (n->begun)
		follow_all(n->follow);
	notify_moved(n);
}

void notify_watch(struct notify *n, struct notify_watch *w)
{
	n->watch = w;
}

void notify_moved(struct notify *n)
{
	if (n->watch)
		n->watch->changed(n->watch);
}

void notify_begin(struct notify *n)
{
	n->begun = true;
	follow_all(n->follow);
}

void notify_changed(struct notify *n, struct str id)
{
	if (n->begun)
		follow_one(n->follow, id);
}

void notify_tell(struct notify *n, struct notice *notice)
{
	LIST_EACH (node, &n->targets) {
		struct target *t = OWNER(node, struct target, node);
		if (notice->level >= t->want.level)
			target_tell(t, notice);
	}
}

struct notify_totals notify_totals(const struct notify *n)
{
	struct notify_totals totals = { 0 };
	LIST_EACH (node, &n->targets) {
		const struct target *t = OWNER(node, const struct target, node);
		totals.waiting += t->queued;
		totals.arrived += t->arrived;
		totals.lost += t->lost;
	}
	return totals;
}

void notify_write(struct notify *n, const char *key, struct json_writer *w)
{
	json_write_object(w, key);
	json_write_array(w, "targets");
	LIST_EACH (node, &n->targets)
		target_write(OWNER(node, struct target, node), w);
	json_write_end(w);
	follow_write(n->follow, w);
	json_write_end(w);
}

/* ---- test ---- */

static void nobody(struct later *l)
{
	struct notify_test *t = OWNER(l, struct notify_test, later);
	t->done(t);
}

static void tried(struct delivery *d, const struct err *err)
{
	struct notify_test *t = d->test;
	(void)err; /* kept in d */
	target_tested(d->target, d);
	if (--t->under_way == 0)
		t->done(t);
}

void notify_test(struct notify *n, struct notify_test *t)
{
	const int64_t now = loop_wall(n->needs.loop);
	struct notice *notice =
	        notice_new(MATTER_TEST, /* solved= */ false, &(struct notify_fact){ 0 }, now);
	notice->name = STR("test");
	notice->text = STR("This is a test of `everseal notify test`: messages arrive here.\n");
	list_init(&t->deliveries);
	LIST_EACH (node, &n->targets) {
		struct target *target = OWNER(node, struct target, node);
		if (t->only.n && !str_eq(t->only, target->shown))
			continue;
		struct delivery *d = delivery_start(target, notice, tried);
		d->test = t;
		list_add_last(&t->deliveries, &d->node);
		t->under_way++;
	}
	notice_unref(&notice);
	if (!t->under_way)
		later_start(&t->later, n->needs.loop, nobody);
}

void notify_test_write(struct notify_test *t, const char *key, struct json_writer *w)
{
	json_write_array(w, key);
	LIST_EACH (node, &t->deliveries) {
		const struct delivery *d = OWNER(node, struct delivery, node);
		json_write_object(w, NULL);
		json_write_text(w, "target", d->target->shown);
		json_write_bool(w, "arrived", !d->err.code);
		json_write_c(w, "error", d->err.code ? d->err.text : NULL);
		json_write_end(w);
	}
	json_write_end(w);
}

void notify_test_end(struct notify_test *t)
{
	later_stop(&t->later);
	if (!t->deliveries.next)
		return;
	LIST_EACH (node, &t->deliveries) {
		struct delivery *d = OWNER(node, struct delivery, node);
		delivery_free(&d);
	}
}
