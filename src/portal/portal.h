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

#include "config/kept.h"
#include "notify/notify.h"
#include "renew/renew.h"
#include "server/counters.h"
#include "server/exchange.h"
#include "json/json.h"

/* What portal asks of control. */
struct portal_host;
struct portal_reload {
	void (*done)(struct portal_reload *r, const struct err *err);
	struct list node;
};
/* The program replaced in place. What was asked of a control that has ended since is told to its
 * successor, which knows of no more than the outcome. */
enum portal_upgrade_state { UPGRADE_NONE, UPGRADE_RUNNING, UPGRADE_DONE, UPGRADE_FAILED };
struct portal_upgrade {
	enum portal_upgrade_state state;
	struct buf sentence; /* DONE, FAILED */
};
struct portal_site_each {
	/* url_port: the port in an https URL to it. */
	void (*site)(struct portal_site_each *e, const struct served_site *site, uint16_t url_port);
};
struct portal_listener {
	struct address address;
	bool tls;
	const char *state, *holder, *error; /* holder, error: NULL if there is none */
};
/* What the data plane has counted since its process began. Owned by the caller; `done` once, when
 * it has told; where it does not within a second, with what it told last. The view lives during
 * the call. */
struct portal_counted {
	enum counters_kind kind;
	struct str name; /* of a site or upstream */
	struct counters *numbers;
};
struct portal_counts {
	const struct portal_counted *rows;
	size_t count;
	const uint64_t *handshakes; /* by enum counters_handshake */
};
struct portal_count {
	void (*done)(struct portal_count *q, const struct portal_counts *counts);
	struct portal_host *host;
	struct list node;
	struct timer patience;
};
/* Who listens at an address. Owned by the caller; `done` once, with "nginx (process 812)" or "". */
struct portal_holder {
	struct address address;
	void (*done)(struct portal_holder *q, struct str holder);
	struct list node;
	int64_t number;
};
struct portal_host_ops {
	/* Members of the status object other than certificates. */
	void (*status)(struct portal_host *h, struct json_writer *w);
	/* Reads the file again and puts it in force; `done` once, not before the call returned. */
	void (*reload)(struct portal_host *h, struct portal_reload *r);
	void (*reload_abort)(struct portal_host *h, struct portal_reload *r);
	void (*upgrade)(struct portal_host *h);
	const struct portal_upgrade *(*upgraded)(struct portal_host *h);
	const struct config *(*config)(struct portal_host *h); /* in force; until the next turn */
	struct kept *(*kept)(struct portal_host *h);
	int64_t (*generation)(struct portal_host *h); /* the number of the one in force */
	/* Every site that is served, as the next generation will have it. */
	void (*each_site)(struct portal_host *h, struct portal_site_each *e);
	/* Asks for a generation of what is now known; as serving_ops.change. */
	void (*change)(struct portal_host *h, struct serving_change *c);
	void (*change_abort)(struct portal_host *h, struct serving_change *c);
	/* The own listeners, at most `most`; what is returned lives until the next turn. */
	size_t (*listeners)(struct portal_host *h, struct portal_listener *ret, size_t most);
	/* Where the page is and how that stands, as a member, or null if it is off. */
	void (*page)(struct portal_host *h, struct json_writer *w, const char *key);
	/* How the applications with these texts do: an array. */
	void (*upstreams)(struct portal_host *h, struct json_writer *w, const char *key,
	        const struct str *shown, size_t count);
	void (*count)(struct portal_host *h, struct portal_count *q);
	void (*count_abort)(
	        struct portal_host *h, struct portal_count *q); /* harmless after done */
	/* False: nobody can be asked, `done` will not fire. */
	bool (*holder)(struct portal_host *h, struct portal_holder *q);
	void (*holder_abort)(struct portal_host *h, struct portal_holder *q);
};
struct portal_host {
	const struct portal_host_ops *ops;
	bool draining; /* load balancers are told to send nobody */
};

struct portal_needs {
	struct loop *loop;
	struct store *store;
	struct master *master;
	struct renewals *renewals;
	struct notify *notify;
	struct issuers *issuers;
	struct fetch *fetch;
	struct board *board;
	struct portal_host *host;
	const struct log *log;
	const char *dev_page; /* a directory to serve the page's files from; NULL: those built in */
};
/* One per process: handlers have no context of their own. Reads people, sessions and tokens. */
MUST_CHECK bool portal_open(const struct portal_needs *needs, struct err *err);
void portal_close(void);
/* If there are no people yet: a setup link on the terminal, if stderr is one, else the advice how
 * to get one. */
void portal_greet(void);
/* A generation stands: sites may have changed. */
void portal_sites_changed(void);
extern const struct handler portal_handler;

#endif
