#include "base/log.h"
#include "notify/inside.h"

struct notify *notify_new(const struct notify_needs *needs, struct err *err)
{
	struct notify *n = mem_new(struct notify);
	n->needs = *needs;
	list_init(&n->targets);
	list_init(&n->kept);
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
	LIST_EACH (kept, &n->kept)
		list_remove(kept);
	parcels_free(&n->dropping);
	store_tx_abort(&n->over);
	free(n);
}

static struct target *with_key(struct list *targets, const struct target *t)
{
	LIST_EACH (node, targets) {
		struct target *other = OWNER(node, struct target, node);
		if (!strcmp(other->key, t->key))
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

/* ---- who is told ---- */

static const struct config_notify *of_file(
        const struct list *targets, enum config_notify_way way, struct str to)
{
	LIST_EACH (node, targets) {
		const struct target *t = OWNER(node, const struct target, node);
		if (!t->want.id.n && t->want.way == way && str_eq(t->want.to, to))
			return &t->want;
	}
	return NULL;
}

const struct config_notify *notify_in_file(
        const struct notify *n, enum config_notify_way way, struct str to)
{
	return of_file(&n->targets, way, to);
}

const struct config_notify *notify_shown_in_file(const struct notify *n, struct str shown)
{
	LIST_EACH (node, &n->targets) {
		const struct target *t = OWNER(node, const struct target, node);
		if (!t->want.id.n && str_eq(t->shown, shown))
			return &t->want;
	}
	return NULL;
}

static void want(
        struct notify *n, struct list *fresh, const struct config_notify *want, struct str file)
{
	struct target *t = target_new(n, want, file);
	struct target *before = with_key(&n->targets, t);
	if (before) {
		target_take_over(t, before);
		let_go(before, target_stop);
	}
	list_add_last(fresh, &t->node);
}

/* Those of the file are in `fresh` by now; whoever is not wanted any more is let go. */
static void put_in_force(struct notify *n, struct list *fresh)
{
	LIST_EACH (k, &n->kept) {
		const struct config_notify *kept = OWNER(k, struct notify_kept, node)->want;
		if (!of_file(fresh, kept->way, kept->to))
			want(n, fresh, kept, STR_NONE);
	}
	LIST_EACH (node, &n->targets)
		let_go(OWNER(node, struct target, node), target_forget);
	LIST_EACH (node, fresh) {
		list_remove(node);
		list_add_last(&n->targets, node);
	}
	look_for_waiting(n);
	if (n->begun)
		follow_all(n->follow);
	notify_moved(n);
}

void notify_configure(struct notify *n, const struct config *config)
{
	struct list fresh;
	list_init(&fresh);
	for (size_t i = 0; i < config->notify_count; i++)
		want(n, &fresh, &config->notify[i], config->file);
	put_in_force(n, &fresh);
}

/* The file's stay as they are. Before the first configuration nobody is told. */
static void form_anew(struct notify *n)
{
	struct list fresh;
	list_init(&fresh);
	if (!n->looked)
		return;
	LIST_EACH (node, &n->targets) {
		const struct target *t = OWNER(node, const struct target, node);
		if (t->want.id.n)
			continue;
		list_remove(node);
		list_add_last(&fresh, node);
	}
	put_in_force(n, &fresh);
}

void notify_keep(struct notify *n, struct notify_kept *k)
{
	CHECK(k->want->id.n);
	if (!list_linked(&k->node))
		list_add_last(&n->kept, &k->node);
	form_anew(n);
}

void notify_drop(struct notify *n, struct notify_kept *k)
{
	if (!list_linked(&k->node))
		return;
	list_remove(&k->node);
	form_anew(n);
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
		if (t->only.n && !str_eq(t->only, target->shown) &&
		        !str_eq(t->only, target->want.id))
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
