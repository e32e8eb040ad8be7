/* Somebody who is told, and what waits for him. */
#include "base/log.h"
#include "notify/inside.h"

enum { QUEUE_MOST = 100, TRIES_MOST = 8 };

struct parcel {
	struct list node;
	struct notice *notice;
};

static struct str kept(struct target *t, struct str s)
{
	return s.p ? arena_str(&t->arena, s) : STR_NONE;
}

struct target *target_new(struct notify *n, const struct config_notify *want)
{
	struct target *t = mem_new(struct target);
	struct config_notify *own = &t->want;
	t->refs = 1;
	t->notify = n;
	list_init(&t->queue);
	*own = *want;
	struct str *const texts[] = { &own->to, &own->shown, &own->server, &own->from, &own->user,
		&own->password, &own->secret, &own->trust, &own->run_as.name, &own->run_as.home };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		*texts[i] = kept(t, *texts[i]);
	own->argv = arena_array(&t->arena, struct str, want->argc + 1);
	for (size_t i = 0; i < want->argc; i++)
		own->argv[i] = kept(t, want->argv[i]);
	t->shown = arena_printf(
	        &t->arena, "%s %.*s", config_notify_way_name(own->way), STR_ARG(own->shown));
	return t;
}

static void drop_first(struct target *t)
{
	struct parcel *l = OWNER(list_first(&t->queue), struct parcel, node);
	list_remove(&l->node);
	t->queued--;
	t->tries = 0;
	notice_unref(&l->notice);
	free(l);
}

void target_stop(struct target *t)
{
	timer_stop(&t->again);
	delivery_free(&t->delivery);
	while (!list_empty(&t->queue))
		drop_first(t);
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

static void failed(struct target *t, const struct err *err)
{
	const struct log *log = t->notify->needs.log;
	const bool news = !t->last_error.code;
	t->last_error = *err;
	t->last_error_at = loop_wall(t->notify->needs.loop);
	if (++t->tries < TRIES_MOST) {
		if (news)
			log_warning(log, "A message to %.*s did not arrive, it is tried again: %s",
			        STR_ARG(t->shown), err->text);
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
	delivery_free(&t->delivery);
	if (why.code) {
		failed(t, &why);
		return;
	}
	t->last_error = why;
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
	struct parcel *l = mem_new(struct parcel);
	l->notice = notice_ref(notice);
	list_add_last(&t->queue, &l->node);
	t->queued++;
	try_first(t);
}

void target_take_over(struct target *t, struct target *before)
{
	t->lost = before->lost;
	t->arrived = before->arrived;
	LIST_EACH (n, &before->queue)
		target_tell(t, OWNER(n, struct parcel, node)->notice);
}
