/* The state of things, and the configuration read again. */
#include "portal/call.h"

static void get_status(struct call *c)
{
	struct json_writer w;
	call_object(c, &w);
	portal_host->ops->status(portal_host, &w);
	renew_status(portal_renewals, &w);
	json_write_end(&w);
	call_answer(c, 200);
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

static void post_reload(struct call *c)
{
	c->reload.done = reloaded;
	portal_host->ops->reload(portal_host, &c->reload);
}

const struct route state_routes[] = {
	{ "GET", "/api/status", SCOPE_READ, get_status },
	{ "POST", "/api/reload", SCOPE_ADMINISTER, post_reload },
	{ 0 },
};
