/* The state of things, and the configuration read again. */
#include "portal/events.h"

/* Waits for what the data plane has counted until now. */
struct status {
	struct call_part part;
	struct portal_count count;
	struct call *call;
};

static void let_go_status(struct call_part *p)
{
	portal_host->ops->count_abort(portal_host, &OWNER(p, struct status, part)->count);
}

static void write_status(struct portal_count *q, const struct portal_counts *counts)
{
	struct call *c = OWNER(q, struct status, count)->call;
	struct json_writer w;
	(void)counts; /* among what the host tells */
	call_object(c, &w);
	portal_host->ops->status(portal_host, &w);
	renew_status(portal_renewals, &w);
	json_write_end(&w);
	call_answer(c, 200);
}

static void get_status(struct call *c)
{
	struct status *s = arena_new(&c->arena, struct status);
	*s = (struct status){ .count.done = write_status, .call = c };
	call_keep(c, &s->part, let_go_status);
	portal_host->ops->count(portal_host, &s->count);
}

static void reloaded(struct portal_reload *r, const struct err *err)
{
	struct call *c = OWNER(r, struct call, reload);
	if (err) {
		call_fail(c, err);
		return;
	}
	call_done(c);
}

/* Told before its outcome: the client may have left by then, and may not be let in any more. */
static void post_reload(struct call *c)
{
	audit_add(c, "Configuration file read again", STR_NONE, STR_NONE, STR_NONE);
	c->reload.done = reloaded;
	portal_host->ops->reload(portal_host, &c->reload);
}

static void get_upgrade(struct call *c)
{
	static const char *const states[] = { "none", "running", "done", "failed" };
	const struct portal_upgrade *u = portal_host->ops->upgraded(portal_host);
	struct json_writer w;
	call_object(c, &w);
	json_write_c(&w, "state", states[u->state]);
	json_write_text(&w, "sentence", buf_str(&u->sentence));
	json_write_end(&w);
	call_ok(c);
}

/* This process does not live to tell the end, if all goes well. */
static void post_upgrade(struct call *c)
{
	audit_add(c, "Upgrade begun", STR_NONE, STR_NONE, STR_NONE);
	portal_host->ops->upgrade(portal_host);
	get_upgrade(c);
}

static void post_drain(struct call *c)
{
	static const struct call_member members[] = { { NULL, "on", MEMBER_BOOL }, { 0 } };
	bool on = false;
	struct err err = ERR_INIT;
	if (!call_members_fit(c, members))
		return;
	if (!json_bool(c->json, "on", &on)) {
		err_set(&err, ERR_INPUT, "Say whether draining is on: true or false.");
		call_fail_field(c, &err, "on", STR_NONE);
		return;
	}
	if (on != portal_host->draining)
		audit_add(c, on ? "Draining on" : "Draining off", STR_NONE, STR_NONE, STR_NONE);
	portal_host->draining = on;
	feed_counts();
	call_done(c);
}

const struct route state_routes[] = {
	{ "GET", "/api/status", SCOPE_READ, get_status },
	{ "POST", "/api/reload", SCOPE_ADMINISTER, post_reload },
	{ "POST", "/api/drain", SCOPE_OPERATE, post_drain },
	{ "GET", "/api/upgrade", SCOPE_READ, get_upgrade },
	{ "POST", "/api/upgrade", SCOPE_OWNER, post_upgrade },
	{ 0 },
};
