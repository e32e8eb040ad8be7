/* The control process, wired: store, ACME, renewals, API on one side, links to supervisor, serve
 * and fetch on the other. No logic of its own but how a generation comes to stand. */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include "certs/table.h"
#include "link/link.h"
#include "portal/portal.h"
#include "server/site.h"
#include "server/worker.h"

/* A listening address: the supervisor binds it and keeps trying while it is wanted. */
struct binding {
	struct list node;
	int64_t id;
	char *host;
	uint16_t port;
	int fd;         /* -1 until bound */
	int error;      /* errno of the last try; 0: none heard of yet, or bound */
	char *holder;   /* who holds the port, or "" */
	bool tls, wanted;
	struct str default_name; /* of the plan under way */
};

/* The rows of one generation, kept to send them again to a serve that was restarted. */
struct rows {
	struct arena arena;
	int64_t number;
	struct msg *at;
	size_t count, cap;
	struct config *config; /* of `previous` only: what it was built from, if that changed since */
};

/* From asked for to in force, one at a time. */
enum plan_stage { PLAN_NONE, PLAN_BINDING, PLAN_SENT };

struct control {
	struct loop *loop;
	struct log log;
	struct config_source source; /* the file */
	char *state;
	struct buf fences[PROCESS_COUNT]; /* which stand, by process */
	int64_t started;
	int uid, gid; /* whom fetch and the serves become */

	struct store *store;
	struct master *master;
	struct fetch *fetch;
	struct board *board;
	struct issuers *issuers;
	struct renewals *renewals;
	struct link supervisor, serve;

	struct config *config; /* in force */
	struct segments *segments;
	struct map installed; /* names that have a certificate: struct installed */
	struct key *temporary_key;
	struct serving serving;
	struct issuer_key_call key_call; /* the default issuer's thumbprint */
	char thumbprint[JWK_THUMBPRINT + 1];

	struct list bindings;
	int64_t last_binding, last_number;
	enum plan_stage stage;
	struct rows *plan, *current, *previous;
	struct config *next_config; /* of the plan, when the file was read again */
	struct rows *sending;       /* being sent; next_row and credit say how far */
	size_t next_row;
	int64_t credit;
	bool strict;                /* the plan: a listener that cannot be bound refuses it */
	struct list changes, waiting; /* struct serving_change: of the plan · of the next one */
	struct config *waiting_config;
	bool again;                 /* a next one is wanted */
	bool begun;                 /* the first generation stands */
	int64_t deaths[3];          /* mono: when serve last died */
	struct later turn;

	struct portal_host host;
	struct list reloads; /* struct reload */
	struct worker worker; /* for the connections of control.sock */
	struct watch socket;
	int socket_fd;
};

/* generation.c */
void generation_init(struct control *c);
/* A new generation: of `config` (taken over; NULL: the one in force) and the registrations. */
void generation_want(struct control *c, struct config *config, struct serving_change *change);
void generation_change_abort(struct serving_change *change);
void generation_bound(struct control *c, const struct msg_bound *m);
void generation_heard(struct control *c, const struct msg *m); /* prepared, refused, committed */
void generation_credit(struct control *c, int64_t messages);
void generation_serve_came(struct control *c);
void generation_serve_went(struct control *c);
void rows_free(struct rows **r);

/* Why it is not bound, for people. Always false. */
bool binding_error(const struct binding *b, struct err *err);

/* rows.c: what a configuration and the registrations mean, as rows. */
struct rows *rows_build(struct control *c, const struct config *config);
/* Marks the bindings that they need as wanted, with what they are for; adds the missing ones. */
void rows_want_bindings(struct control *c, const struct config *config);

/* Names registered by command or page: a site of their own, with the application they were given,
 * else with that of `site *`, whose settings they have. False if the file has a site for them. */
bool rows_registered_site(const struct config *config, const struct renew_site *site,
                          struct config_site *ret_site);

/* serving.c: certificates in segments, and where they can be tried. */
void serving_init(struct control *c);
void serving_send(struct control *c); /* everything, to a serve that is new */
bool serving_has(const struct control *c, struct str name);
void serving_temporary(struct control *c, const struct str *names, size_t count);
void serving_done(struct control *c);

/* peers.c */
void peers_init(struct control *c, int supervisor_fd);

/* socket.c: STATE/control.sock. */
MUST_CHECK bool socket_open(struct control *c, struct err *err);
void socket_close(struct control *c);

/* host.c: what the API asks of control. */
void host_init(struct control *c);
/* Reads the file again; `done` as in portal.h. */
void host_reload(struct control *c, struct portal_reload *reload);

#endif
