/* What events tell of sites, tasks and messages. */
#include "portal/events.h"
#include "portal/sites.h"
#include "portal/tasks.h"

#define COUNTS_EACH (1 * SECOND) /* a thousand sites that change are told as one count */

static bool write_site(struct json_writer *w, struct str name)
{
	return site_write(w, NULL, name);
}

static bool write_counts(struct json_writer *w, struct str unused)
{
	struct err clock = ERR_INIT;
	(void)unused;
	json_write_object(w, NULL);
	sites_write_counts(w, "counts");
	json_write_bool(w, "draining", portal_host->draining);
	json_write_c(w, "clock", renew_clock(portal_renewals, &clock) ? NULL : clock.text);
	json_write_end(w);
	return true;
}

static bool write_task(struct json_writer *w, struct str id)
{
	json_write_object(w, NULL);
	bool ok = task_members(w, id);
	json_write_end(w);
	return ok;
}

static const struct event_kind task_kind = { "task", write_task };
static const struct event_kind site_kind = { "site", write_site };
static bool write_notify(struct json_writer *w, struct str unused)
{
	(void)unused;
	notify_write(portal.notify, NULL, w);
	return true;
}

static const struct event_kind counts_kind = { "counts", write_counts };
static const struct event_kind notify_kind = { "notify", write_notify };

static struct sites_watch sites;
static struct renewals_watch renewals;
static struct timer counts, messages;
static struct notify_watch notified;

static void tell_counts(struct timer *t)
{
	(void)t;
	events_changed(&counts_kind, STR("all"));
}

void feed_counts(void)
{
	if (!timer_active(&counts))
		timer_start(&counts, portal.loop, COUNTS_EACH, tell_counts);
}

static void tell_messages(struct timer *t)
{
	(void)t;
	events_changed(&notify_kind, STR("all"));
}

static void messages_moved(struct notify_watch *w)
{
	(void)w;
	if (!timer_active(&messages))
		timer_start(&messages, portal.loop, COUNTS_EACH, tell_messages);
}

static void site_changed(struct sites_watch *w, struct str name)
{
	(void)w;
	events_changed(&site_kind, name);
	feed_counts();
}

static void site_gone(struct sites_watch *w, struct str name)
{
	BUF_AUTO json = BUF_INIT(4096);
	struct json_writer writer;
	(void)w;
	json_write_init(&writer, &json);
	json_write_object(&writer, NULL);
	json_write_c(&writer, "kind", "site");
	json_write_text(&writer, "name", name);
	json_write_end(&writer);
	events_say("gone", buf_str(&json));
	feed_counts();
}

/* What a registration is to a person, its site says. */
static void registration_changed(struct renewals_watch *w, struct str id)
{
	(void)w, (void)id;
}

static void task_changed(struct renewals_watch *w, struct str id)
{
	(void)w;
	events_changed(&task_kind, id);
}

void feed_open(void)
{
	sites = (struct sites_watch){ .changed = site_changed, .gone = site_gone };
	sites_watch(&sites);
	renewals = (struct renewals_watch){ .registration = registration_changed,
		.task = task_changed };
	if (portal_renewals)
		renewals_watch(portal_renewals, &renewals);
	notified.changed = messages_moved;
	if (portal.notify)
		notify_watch(portal.notify, &notified);
}

void feed_close(void)
{
	sites_unwatch(&sites);
	renewals_unwatch(&renewals);
	if (portal.notify)
		notify_watch(portal.notify, NULL);
	timer_stop(&counts);
	timer_stop(&messages);
}
