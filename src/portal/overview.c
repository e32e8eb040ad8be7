/* GET /api/overview: all at a glance, and the event from which on one is told of changes. */
#include "portal/events.h"
#include "portal/sites.h"

static void get_overview(struct call *c)
{
	struct json_writer w;
	struct renew_view primary;
	char event[EVENT_ID], host[256] = "";
	struct err clock = ERR_INIT;
	bool has = renew_primary(portal_renewals, &primary);
	gethostname(host, sizeof host - 1);
	events_id(event);
	call_object(c, &w);
	sites_write_counts(&w, "counts");
	json_write_c(&w, "host", host);
	json_write_c(&w, "version", EVERSEAL_VERSION);
	json_write_c(&w, "boot", events_boot());
	json_write_time(&w, "server_time", loop_wall(portal.loop));
	json_write_c(&w, "primary", has ? arena_str(&c->arena, primary.id).p : NULL);
	json_write_bool(&w, "https_seen", has && primary.seen);
	json_write_bool(&w, "draining", portal_host->draining);
	json_write_c(&w, "clock", renew_clock(portal_renewals, &clock) ? NULL : clock.text);
	json_write_c(&w, "event", event);
	json_write_end(&w);
	call_answer(c, 200);
}

const struct route overview_routes[] = {
	{ "GET", "/api/overview", SCOPE_READ, get_overview },
	{ 0 },
};
