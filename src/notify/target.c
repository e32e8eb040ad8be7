/* Somebody who is told, and what waits for him. */
#include "base/log.h"
#include "keys/digest.h"
#include "notify/inside.h"

enum { QUEUE_MOST = 100, TRIES_MOST = 8, VALUE_MOST = 64 << 10 };

struct parcel {
	struct list node; /* in its target's queue, or notify.dropping */
	struct notify *notify;
	struct notice *notice;
	char id[80];     /* of the record */
	int64_t version; /* 0: not in the store */
	bool dropped;
	struct store_tx tx;
};

static struct str kept(struct target *t, struct str s)
{
	return s.p ? arena_str(&t->arena, s) : STR_NONE;
}

static void set_key(struct target *t)
{
	BUF_AUTO what = BUF(16 << 10), hex = BUF(2 * DIGEST_SHA256 + 1);
	unsigned char digest[DIGEST_SHA256];
	if (t->want.id.n)
		buf_printf(&what, "kept %.*s", STR_ARG(t->want.id));
	else
		buf_printf(
		        &what, "%s %.*s", config_notify_way_name(t->want.way), STR_ARG(t->want.to));
	digest_sha256(buf_str(&what), digest);
	buf_add_hex(&hex, str_n(digest, sizeof digest));
	snprintf(t->key, sizeof t->key, "%.*s", TARGET_KEY - 1, buf_c(&hex));
}

struct target *target_new(struct notify *n, const struct config_notify *want, struct str file)
{
	struct target *t = mem_new(struct target);
	struct config_notify *own = &t->want;
	t->refs = 1;
	t->notify = n;
	list_init(&t->queue);
	*own = *want;
	struct str *const texts[] = { &own->id, &own->to, &own->shown, &own->server, &own->from,
		&own->user, &own->password, &own->secret, &own->trust, &own->run_as.name,
		&own->run_as.home };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		*texts[i] = kept(t, *texts[i]);
	own->argv = arena_array(&t->arena, struct str, want->argc + 1);
	for (size_t i = 0; i < want->argc; i++)
		own->argv[i] = kept(t, want->argv[i]);
	t->file = arena_str(&t->arena, file);
	t->shown = arena_printf(
	        &t->arena, "%s %.*s", config_notify_way_name(own->way), STR_ARG(own->shown));
	set_key(t);
	return t;
}

/* ---- the store ---- */

static void parcel_free(struct parcel *l)
{
	list_remove(&l->node);
	store_tx_abort(&l->tx);
	notice_unref(&l->notice);
	free(l);
}

void parcels_free(struct list *dropping)
{
	LIST_EACH (n, dropping)
		parcel_free(OWNER(n, struct parcel, node));
}

static void forgotten(struct store_tx *tx, const struct err *err)
{
	struct parcel *l = OWNER(tx, struct parcel, tx);
	if (err)
		log_warning(l->notify->needs.log,
		        "That a message is over is not stored, it may be told again after a "
		        "restart: %s",
		        err->text);
	parcel_free(l);
}

/* It is in no queue any more. */
static void forget(struct parcel *l)
{
	l->dropped = true;
	list_add_last(&l->notify->dropping, &l->node);
	if (l->tx.store)
		return; /* once it is stored */
	if (!l->version) {
		parcel_free(l);
		return;
	}
	store_tx_delete(&l->tx, STR("message"), str_c(l->id), l->version);
	store_tx_start(l->notify->needs.store, &l->tx, forgotten);
}

static void stored(struct store_tx *tx, const struct err *err)
{
	struct parcel *l = OWNER(tx, struct parcel, tx);
	l->version = err ? 0 : 1;
	if (err)
		log_warning(l->notify->needs.log,
		        "A message that waits is not stored, it is lost with a restart: %s",
		        err->text);
	if (!l->dropped)
		return;
	list_remove(&l->node);
	forget(l);
}

static void store(struct target *t, struct parcel *l)
{
	BUF_AUTO value = BUF(VALUE_MOST);
	message_json(l->notice, &value);
	snprintf(l->id, sizeof l->id, "%016llx-%06llx %s", (unsigned long long)l->notice->at,
	        (unsigned long long)++t->number, t->key);
	store_tx_put(&l->tx, STR("message"), str_c(l->id), 0, buf_str(&value), STR_NONE);
	store_tx_start(t->notify->needs.store, &l->tx, stored);
}

/* ---- the queue ---- */

static struct parcel *take_first(struct target *t)
{
	struct parcel *l = OWNER(list_first(&t->queue), struct parcel, node);
	list_remove(&l->node);
	t->queued--;
	t->tries = 0;
	return l;
}

static void drop_first(struct target *t)
{
	forget(take_first(t));
}

static struct parcel *add(struct target *t, struct notice *notice)
{
	struct parcel *l = mem_new(struct parcel);
	l->notify = t->notify;
	l->notice = notice_ref(notice);
	store_tx_init(&l->tx);
	list_add_last(&t->queue, &l->node);
	t->queued++;
	return l;
}

static void halt(struct target *t)
{
	timer_stop(&t->again);
	delivery_free(&t->delivery);
}

void target_forget(struct target *t)
{
	halt(t);
	while (!list_empty(&t->queue))
		drop_first(t);
	list_remove(&t->node);
}

void target_stop(struct target *t)
{
	halt(t);
	while (!list_empty(&t->queue))
		parcel_free(take_first(t));
	list_remove(&t->node);
}

static void wipe_text(struct str s)
{
	if (s.n)
		wipe((char *)(uintptr_t)s.p, s.n);
}

void target_unref(struct target **target)
{
	struct target *t = *target;
	*target = NULL;
	if (!t || --t->refs)
		return;
	wipe_text(t->want.password);
	wipe_text(t->want.secret);
	notice_unref(&t->last);
	arena_done(&t->arena);
	free(t);
}

static void try_first(struct target *t);

static void due(struct timer *timer)
{
	try_first(OWNER(timer, struct target, again));
}

/* 1, 5 and 25 minutes, 2 hours, then every 6: a day in all. */
static int64_t wait_after(unsigned tries)
{
	static const int64_t waits[] = { MINUTE, 5 * MINUTE, 25 * MINUTE, 2 * HOUR };
	return tries <= sizeof waits / sizeof *waits ? waits[tries - 1] : 6 * HOUR;
}

static void remember(struct target *t, const struct delivery *d, const struct err *err)
{
	struct notice *notice = notice_ref(d->notice);
	notice_unref(&t->last);
	t->last = notice;
	t->last_at = loop_wall(t->notify->needs.loop);
	t->last_error = err ? *err : (struct err)ERR_INIT;
	notify_moved(t->notify);
}

static void failed(struct target *t, const struct err *err)
{
	const struct log *log = t->notify->needs.log;
	const bool news = !t->tries;
	if (++t->tries < TRIES_MOST) {
		if (news)
			log_warning(log, "A message to %.*s did not arrive, it is tried again: %s",
			        STR_ARG(t->shown), err->text);
		t->next_try = t->last_at + wait_after(t->tries);
		timer_start(&t->again, t->notify->needs.loop, wait_after(t->tries), due);
		return;
	}
	const struct parcel *l = OWNER(list_first(&t->queue), struct parcel, node);
	log_error(log, "\"%.*s\" could not be told to %.*s and is given up: %s",
	        STR_ARG(l->notice->subject), STR_ARG(t->shown), err->text);
	t->lost++;
	drop_first(t);
	try_first(t);
}

static void delivered(struct delivery *d, const struct err *err)
{
	struct target *t = d->target;
	const struct err why = err ? *err : (struct err)ERR_INIT;
	remember(t, d, err);
	delivery_free(&t->delivery);
	if (why.code) {
		failed(t, &why);
		return;
	}
	t->arrived++;
	drop_first(t);
	try_first(t);
}

static void try_first(struct target *t)
{
	if (list_empty(&t->queue) || t->delivery || timer_active(&t->again))
		return;
	t->delivery = delivery_start(
	        t, OWNER(list_first(&t->queue), struct parcel, node)->notice, delivered);
}

/* The newest says more than the oldest, but the oldest has been tried already: what finds no room
 * is not taken. */
void target_tell(struct target *t, struct notice *notice)
{
	if (t->queued == QUEUE_MOST) {
		if (!t->lost++)
			log_error(t->notify->needs.log,
			        "%d messages wait for %.*s, further ones are dropped until it "
			        "takes them.",
			        QUEUE_MOST, STR_ARG(t->shown));
		return;
	}
	store(t, add(t, notice));
	notify_moved(t->notify);
	try_first(t);
}

void target_tested(struct target *t, const struct delivery *d)
{
	remember(t, d, d->err.code ? &d->err : NULL);
	if (d->err.code || !timer_active(&t->again))
		return;
	timer_stop(&t->again);
	try_first(t);
}

bool target_find_waiting(struct target *t, const struct record *r)
{
	struct err ignored = ERR_INIT;
	JSON_AUTO *value = json_parse(r->value, "A message that waits", &ignored);
	struct notice *notice = value ? message_read(value) : NULL;
	const bool fits =
	        notice && t->queued < QUEUE_MOST && r->id.n < sizeof((struct parcel *)0)->id;
	if (fits) {
		struct parcel *l = add(t, notice);
		snprintf(l->id, sizeof l->id, "%.*s", STR_ARG(r->id));
		l->version = r->version;
		try_first(t);
	}
	notice_unref(&notice);
	return fits;
}

void target_take_over(struct target *t, struct target *before)
{
	t->lost = before->lost;
	t->arrived = before->arrived;
	t->last = before->last ? notice_ref(before->last) : NULL;
	t->last_at = before->last_at;
	t->last_error = before->last_error;
	t->number = before->number;
	t->queued = before->queued;
	before->queued = 0;
	LIST_EACH (n, &before->queue) {
		list_remove(n);
		list_add_last(&t->queue, n);
	}
	try_first(t);
}

static void write_last(const struct target *t, struct json_writer *w)
{
	if (!t->last) {
		json_write_null(w, "last");
		return;
	}
	json_write_object(w, "last");
	json_write_c(w, "event", matter_words(t->last->kind)->name);
	json_write_c(w, "state", t->last->solved ? "solved" : "open");
	json_write_text(w, "about", t->last->name);
	json_write_time(w, "at", t->last_at);
	json_write_bool(w, "arrived", !t->last_error.code);
	json_write_end(w);
}

static void write_source(const struct target *t, struct json_writer *w)
{
	if (t->want.id.n) {
		json_write_text(w, "id", t->want.id);
		json_write_c(w, "source", "store");
		return;
	}
	json_write_null(w, "id");
	json_write_object(w, "source");
	json_write_text(w, "file", t->file);
	json_write_int(w, "line", t->want.at.line);
	json_write_end(w);
}

void target_write(const struct target *t, struct json_writer *w)
{
	json_write_object(w, NULL);
	json_write_text(w, "target", t->shown);
	json_write_c(w, "level", config_level_name(t->want.level));
	write_source(t, w);
	json_write_int(w, "arrived", (int64_t)t->arrived);
	json_write_int(w, "waiting", (int64_t)t->queued);
	json_write_int(w, "lost", (int64_t)t->lost);
	json_write_c(w, "last_error", t->last_error.code ? t->last_error.text : NULL);
	json_write_time(w, "next_try", timer_active(&t->again) ? t->next_try : 0);
	write_last(t, w);
	json_write_end(w);
}
