/* The page and its JSON API under /api: what people, commands and scripts ask of the running
 * server. Handlers are mounted on server/ like any other. Connections of a site of kind API come
 * from STATE/control.sock, whose peers are the machine's owner; those of kind PAGE from the page's
 * own serve, and whoever is behind them has to say who he is (call.h: struct who).
 *
 * Every answer of /api is JSON. An error is {"code","message","remedy","details"} with finished
 * sentences; its status follows from the code.
 *
 * Records (store/): person, session, token, setup-link, audit. Passwords are kept as argon2id
 * hashes; sessions, tokens, links and recovery codes as BLAKE2b hashes of 256 (codes: 80) random
 * bits; the keys of second factors sealed under the master key. */
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

struct portal_needs {
	struct loop *loop;
	struct store *store;
	struct master *master;
	struct renewals *renewals;
	struct portal_host *host;
	const struct log *log;
};
/* One per process: handlers have no context of their own. Reads people, sessions and tokens. */
MUST_CHECK bool portal_open(const struct portal_needs *needs, struct err *err);
void portal_close(void);
extern const struct handler portal_handler;

#endif
