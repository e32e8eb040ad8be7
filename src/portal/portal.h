/* The JSON API under /api: what commands and page ask of the running server. Handlers are mounted
 * on server/ like any other; within control the connections come from STATE/control.sock (and from
 * the issue on the page on, from the page's own serve).
 *
 * Every answer is JSON. An error is {"code": …, "message": …} with a finished sentence; its status
 * follows from the code. */
#ifndef PORTAL_PORTAL_H
#define PORTAL_PORTAL_H

#include "renew/renew.h"
#include "server/exchange.h"
#include "json/json.h"

/* What portal asks of control. */
struct portal_host;
struct portal_reload {
	void (*done)(struct portal_reload *r, const struct err *err);
	struct list node;
};
struct portal_host_ops {
	/* Members of the status object other than certificates. */
	void (*status)(struct portal_host *h, struct json_writer *w);
	/* Reads the file again and puts it in force; `done` once, not before the call returned. */
	void (*reload)(struct portal_host *h, struct portal_reload *r);
	void (*reload_abort)(struct portal_host *h, struct portal_reload *r);
};
struct portal_host {
	const struct portal_host_ops *ops;
};

/* One per process: handlers have no context of their own. */
void portal_init(struct portal_host *host, struct renewals *renewals);
extern const struct handler portal_handler;

#endif
