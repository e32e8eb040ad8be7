/* The control process, wired: store, ACME, renewals, API on one side, links to supervisor, serve
 * and fetch on the other. No logic of its own but how a generation comes to stand. */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include "certs/table.h"
#include "config/kept.h"
#include "issue/alpn01.h"
#include "issue/http01.h"
#include "issue/program.h"
#include "link/link.h"
#include "notify/notify.h"
#include "portal/portal.h"
#include "renew/demand.h"
#include "server/site.h"
#include "server/worker.h"

#include <sys/stat.h>

/* A listening address: the supervisor binds it and keeps trying while it is wanted. */
struct binding {
	struct list node;
	int64_t id;
	int64_t since; /* the generation that wanted it first */
	char *host;
	uint16_t port;
	int fd;       /* -1 until bound */
	int error;    /* errno of the last try; 0: none heard of yet, or bound */
	char *holder; /* who holds the port, or "" */
	bool tls, wanted, proxy_protocol, udp;
};

/* The rows of one generation, kept to send them again to a serve that was restarted. A listener's
 * descriptor is looked up by its id when the row is sent. */
struct rows {
	struct arena arena;
	int64_t number;
	struct msg *at;
	size_t count, cap;
	struct config
	        *config; /* of `previous` only: what it was built from, if that changed since */
	struct rows_users *users; /* of basic-auth; serve knows only their fingerprints */
};
struct rows_users {
	struct rows_users *next;
	struct str fingerprint;
	struct rows_user {
		struct str name, hash;
	} *at;
	size_t count;
};

/* The certificates of one serve: in segments, and it is told how far they are valid. */
struct feed {
	struct segments *segments;
	struct link *serve;
};

/* The page: its own serve, which has no listener, certificate or key but the page's, and is told
 * so in generations of its own. */
struct page {
	struct link serve;
	struct list
	        bindings; /* one that the configuration wants; those before it until that stands */
	struct address listen; /* what the configuration wants; host empty: no page */
	struct str name;       /* NAME, or STR_NONE */
	struct arena arena;    /* of both */
	bool configured;

	struct feed feed;
	char fingerprint[65]; /* SHA-256 of the self-made certificate, hex; "": none yet */
	struct str self_made; /* its names, as in the store; heap */
	struct store_tx tx;

	int64_t number;
	struct buf offered;        /* what was told last, in words */
	int64_t offered_listener;  /* its binding, 0: none */
	int64_t in_force_listener; /* that of what was committed last */
	bool waiting;              /* for an answer to what was offered */
	bool seated;               /* at the board */
	struct later turn;
	struct worker worker; /* for connections that it hands on */
	bool open;
};

/* From asked for to in force, one at a time. */
enum plan_stage { PLAN_NONE, PLAN_BINDING, PLAN_OFFERED };

struct control {
	struct loop *loop;
	struct log log;
	struct config_source source; /* the file */
	char *state;
	const char *dev_page;             /* of --dev-page, or NULL */
	struct buf fences[PROCESS_COUNT]; /* which stand, by process */
	int64_t started;
	bool stopping; /* the supervisor ends us all in an orderly way */
	int uid, gid;  /* whom fetch and the serves become */

	struct store *store;
	struct master *master;
	struct fetch *fetch;
	struct board *board;
	struct prover *http01, *alpn01, *dns01, *dns_persist;
	struct approach by_http, by_tls;
	struct programs *programs;
	struct list dns_bindings; /* struct binding: where delegated zones are answered */
	int *dns_sockets;         /* those of them that are bound */
	struct issuers *issuers;
	struct renewals *renewals;
	struct notify *notify;
	struct notify_source notify_source;
	struct renewals_watch notify_watch;
	struct kept kept; /* sites in the store */
	struct link supervisor, serve;

	struct config *config; /* in force */
	struct feed feed;
	struct map installed; /* names that have a certificate: struct installed */
	struct key *temporary_key;
	struct serving serving;
	struct issuer_key_call key_call; /* the default issuer's thumbprint */
	struct rekeyed rekeyed;          /* which may be another one by now */
	char thumbprint[JWK_THUMBPRINT + 1];

	struct list password_checks; /* struct check, for serve */
	struct renew_demands demands;
	struct list bindings;
	int64_t last_binding;

	int64_t last_number;
	enum plan_stage stage;
	struct rows *plan, *current, *previous;
	struct config *next_config; /* of the plan, when the file was read again */
	struct list changes;        /* struct serving_change: of the plan */
	struct list waiting;        /* of a next one · those that came with waiting_config: */
	struct list reloading;
	struct config *waiting_config;
	bool again;            /* a next one is wanted */
	bool making_way;       /* the plan: without addresses that waiting_config's exclude */
	bool begun;            /* the first generation stands */
	struct timer patience; /* the first one waits that long for addresses */
	struct timer proof;    /* that this program goes on, and needs no way back */
	struct later turn;

	struct rows *offered; /* being told to serve; next_row and credit say how far */
	size_t next_row;
	int64_t credit;
	bool serve_has_current;
	bool renewing;     /* serve: another one is being started, for what this one cannot take */
	bool serve_logs;   /* it was given the access log's file */
	int64_t deaths[3]; /* mono: when serve last died under what it was told */
	struct map
	        held_back; /* struct held_back: what went with a generation that was rolled back */
	bool rolled_back;  /* and the file was not read since */
	struct counted {   /* by serve: what comes in, what came last */
		struct arena arena;
		struct portal_counted *rows;
		size_t count, room;
		uint64_t handshakes[HANDSHAKES];
	} counting, counted;
	struct list counts; /* struct portal_count: wait for what serve counted */
	struct buf trouble; /* what became of the last generation that did not come to stand */

	struct map hosts;           /* applications' names (resolve.c) */
	struct map upstream_states; /* by address (upstreams.c) */
	char sticky_key[16];
	struct store_tx sticky_tx;

	struct portal_host host;
	struct portal_upgrade upgrade;
	struct list reloads;   /* struct reload */
	struct list questions; /* struct portal_holder */
	int64_t last_question;
	struct page page;
	struct worker worker; /* for the connections of control.sock */
	struct watch socket;
	int socket_fd;
};

/* notified.c: who tells people */
MUST_CHECK bool notified_open(struct control *c, struct err *err);
void notified_done(struct control *c);

/* start.c: from the file to the loop, and back. */
void control_init(struct control *c, struct loop *loop, int supervisor_fd);
/* Opens what the state directory has and asks for the first generation. */
MUST_CHECK bool control_open(struct control *c, struct err *err);
void control_done(struct control *c);
/* What a configuration means outside of generations: issuers, registrations, the default
 * account's thumbprint. */
void control_configured(struct control *c);

/* identity.c: whom this process and the others become. */
/* Makes the state directory if there is none, and tells its owner. */
MUST_CHECK bool identity_state(const char *dir, struct stat *ret_stat, struct err *err);
/* Whom fetch and the serves become, if this process is `self` and the state is `owner`'s. */
MUST_CHECK bool identity_choose(struct control *c, uid_t self, uid_t owner, struct err *err);
MUST_CHECK bool identity_become(const struct stat *owner, struct err *err);

/* bindings.c */
/* Marks those that the configuration and the registrations need as wanted, and asks for those that
 * are missing, for generation `number`. */
void bindings_want(struct control *c, const struct config *config, int64_t number);
/* Own addresses that the file had and `next` has not, but that overlap one of its: 127.0.0.1:443
 * when it has 0.0.0.0:443. They are wanted no more; false if there is none. */
bool bindings_give_way(struct control *c, const struct config *next);
/* Those of the configuration in force and no others; the others go first, they may exclude one. */
void bindings_restore(struct control *c, int64_t number);
void bindings_release(struct control *c); /* those that are not wanted */
/* True when all that are wanted have been answered. */
bool bindings_answered(const struct control *c);
/* One that generation `number` was the first to want, and that could not be had; or NULL. */
const struct binding *bindings_failed(const struct control *c, int64_t number);
/* One of any list. */
struct binding *binding_new(struct control *c, struct list *to, const struct address *a);
struct binding *binding_new_for(
        struct control *c, struct list *to, const struct address *a, bool udp);
void binding_release(struct control *c, struct binding *b); /* frees it */
struct binding *binding_in(const struct list *all, int64_t id);
bool binding_heard(struct control *c, struct binding *b, const struct msg_bound *m);
/* The kernel binds no two such. [::] is IPv6 only: it leaves IPv4 alone. */
bool addresses_overlap(const struct address *a, const struct address *b);
/* Takes the answer; true if a listener has come. */
bool bindings_heard(struct control *c, const struct msg_bound *m);
const struct binding *binding_by_id(const struct control *c, int64_t id);
/* "listening", "failed", "binding", "held back". */
const char *binding_state(const struct control *c, const struct binding *b);
/* Why it is not bound, without a full stop; NULL: it is, or nothing is known yet. */
const char *binding_why(const struct binding *b);
/* The same as a sentence that says what to do. Always false. */
bool binding_error(const struct binding *b, struct err *err);

/* generation.c */
void generation_init(struct control *c);
void generation_done(struct control *c);
/* A new generation: of `config` (taken over; NULL: the one in force) and the registrations. */
void generation_want(struct control *c, struct config *config, struct serving_change *change);
void generation_change_abort(struct serving_change *change);
void generation_bound(struct control *c, const struct msg_bound *m);
void generation_heard(struct control *c, const struct msg *m); /* prepared, refused, committed */
void generation_credit(struct control *c, int64_t messages);
void generation_serve_came(struct control *c);
void generation_serve_went(struct control *c);
void generation_serve_replaced(struct control *c); /* by one that we have asked for */
void generation_outgrown(struct control *c, int64_t number);

/* held_back.c: what a generation that was rolled back had more than the one before it. It stays out
 * of the generations that follow until the file is read again. */
void held_back_add(struct control *c, const struct rows *failed, const struct rows *good);
bool held_back_site(const struct control *c, struct str name);
bool held_back_listener(const struct control *c, const struct binding *b);
void held_back_names(const struct control *c, struct buf *out);
void held_back_clear(struct control *c);

/* sites.c: the sites that there are. */
struct sites {
	struct served_site *at;
	size_t count, cap;
	struct map names, overlays; /* in use while they are collected */
	bool has_fallback;
	size_t fallback; /* its index */
	struct arena arena;
};
/* The file's, those kept in the store, then names registered by command or page: each with the
 * application it was given, else with that of `site *`, whose settings it has. Borrows from config,
 * store and registrations. */
void sites_collect(struct control *c, const struct config *config, struct sites *ret);
void sites_done(struct sites *s);
#define SITES_AUTO __attribute__((cleanup(sites_done))) struct sites

/* rows.c: what a configuration and the registrations mean, as rows. */
/* The port in URLs: what the outside reaches us on if the file says it, else the listener's. */
uint16_t site_url_port(const struct config *config, const struct served_site *s);
struct rows *rows_build(struct control *c, const struct config *config);
void rows_add(struct rows *r, const struct msg *m);
void rows_free(struct rows **r);

/* routes.c: rows of what a site has beyond its application. */
struct route_ids {
	int64_t site, route, upstreams; /* upstreams: of the route alone; 0: none */
	int64_t forward;                /* whom to ask; 0: nobody */
};
bool routes_needed(const struct config_site *s);
/* Of what no other route of the site is for. */
void routes_add_own(struct control *c, struct rows *rows, const struct route_ids *ids,
        const struct config_site *s);
void routes_add(struct control *c, struct rows *rows, const struct route_ids *ids,
        const struct config_site *s, const struct config_route *route);
void routes_close_roots(struct rows *rows); /* those that the rows hold */

/* passwords.c */
void passwords_check(struct control *c, const struct msg_check_password *m);
void passwords_forget(struct control *c); /* the serve that asked is gone */

/* demand.c: certificates on demand, as serve asks for them */
void demand_init(struct control *c);
void demand_asked(struct control *c, const struct msg_demand *m);

/* delegated.c: proofs by DNS */
void delegated_init(struct control *c);
void delegated_done(struct control *c);
void delegated_configured(struct control *c);
bool delegated_bound(struct control *c, const struct msg_bound *m); /* true if it was its own */

/* feed.c */
void feed_init(struct feed *f, struct link *serve);
void feed_done(struct feed *f);
void feed_all(const struct feed *f); /* everything, to a serve that is new */
MUST_CHECK bool feed_add(struct feed *f, const struct str *names, size_t count,
        const struct cert_record *record, struct err *err);
/* For those names, which may be fewer than its own. */
MUST_CHECK bool feed_certificate(struct feed *f, const struct str *names, size_t count,
        const struct serving_certificate *cert, struct err *err);
MUST_CHECK bool feed_forget(struct feed *f, struct str name, struct err *err);

/* resolve.c: names of applications */
/* By what serve knows it: as it is, or apart from that of the file if page or API gave it. */
struct str resolve_key(
        struct arena *a, const struct config_upstream *u, const struct config_proxy *p);
void resolve_want(struct control *c, const struct rows *rows); /* rows: may be NULL */
void resolve_settle(struct control *c); /* those of the generations that there are, no others */
void resolve_send(struct control *c);   /* everything, to a serve that is new */
void resolve_done(struct control *c);
struct resolve_about {
	struct str addresses; /* with spaces between; maybe those of before */
	struct str why;       /* it does not resolve now; empty: it does */
};
void resolve_failing(struct control *c, struct str address); /* an upstream began to fail */
bool resolve_find(const struct control *c, struct str key, struct resolve_about *ret);

/* upstreams.c: how applications do */
void upstreams_heard(struct control *c, const struct msg_upstream_state *m, int64_t now);
bool upstreams_fails(const struct control *c, struct str address);
void upstreams_forget(struct control *c); /* serve is gone */
/* Of all, of those with these texts: an array. */
void upstreams_write(const struct control *c, struct json_writer *w, const char *key);
void upstreams_write_shown(const struct control *c, struct json_writer *w, const char *key,
        const struct str *shown, size_t count);

/* serving.c: certificates that are served, and where they can be tried. */
void serving_init(struct control *c);
/* Those of the names that nothing was issued for get a temporary certificate. */
void serving_cover(struct control *c, const struct str *names, size_t count);
/* Temporary certificates for the names of the generation in force, and for no others. What was
 * issued stays: the name may come back, and is answered with 421 or by `site *` meanwhile. */
void serving_settle(struct control *c);
void serving_done(struct control *c);

/* page.c */
void page_init(struct control *c);
MUST_CHECK bool page_open(struct control *c, struct err *err);
void page_close(struct control *c); /* its connections, before what answers them */
void page_done(struct control *c);
/* The configuration in force, or the default account, have changed. */
void page_configured(struct control *c);
void page_serve_came(struct control *c, int fd);
/* True if the address was the page's. */
bool page_bound(struct control *c, const struct msg_bound *m);
/* Challenges are told to the page's serve only beside the data plane's: what the page alone answers
 * is not ready for the CA. */
void page_seat(struct control *c, bool beside_serve);
bool page_is_named(const struct control *c, struct str name);
/* The certificate is for the page's name: its serve has it now. False if the data plane has to have
 * it, too, for other names. */
bool page_install(struct control *c, const struct serving_certificate *cert);
/* Where the page can be dialled by TLS. */
size_t page_addresses(const struct control *c, struct serving_address *ret, size_t most);
/* For people: what the configuration wants, and how that stands. */
struct page_about {
	struct address listen;      /* host empty: there is no page */
	struct str name;            /* STR_NONE: none */
	bool https;                 /* only; else both */
	const char *state;          /* "listening", "failed", "binding", "off" */
	const char *holder, *error; /* NULL: none */
	const char *fingerprint;    /* SHA-256 of the self-made certificate, hex; NULL: none yet */
	char url[300];              /* "http://127.0.0.1:8007/", "https://NAME:8007/"; "" if off */
};
void page_about(const struct control *c, struct page_about *ret);
void page_write(const struct control *c, struct json_writer *w, const char *key); /* null: off */

/* page_cert.c: the page's certificates, in a feed of its own. */
void page_certs_init(struct control *c);
void page_certs_done(struct control *c);
/* A self-made one for the page's address and name: the one in the store, or a new one, stored. */
void page_certs_settle(struct control *c);
MUST_CHECK bool page_certs_put(
        struct control *c, const struct serving_certificate *cert, struct err *err);
void page_certs_forget(struct control *c, struct str name);

/* access_log.c: its file, which serve writes. */
/* Tries whether it can be opened, so that a configuration can be refused for it. */
MUST_CHECK bool access_log_usable(const struct config *config, struct err *err);
char *access_log_folder(const struct config *config); /* heap; NULL: none */
/* That of the configuration in force is opened anew and given to serve. */
void access_log_reopen(struct control *c);

/* counted.c */
void counted_init(struct control *c);
void counted_done(struct control *c);
void counted_forget(struct control *c); /* serve is gone: what it was telling has no end */
bool counted_heard(struct control *c, const struct msg *m); /* false: it is something else */
void counted_write(struct control *c, struct json_writer *w, const char *key);
void counted_ask(struct portal_host *h, struct portal_count *q);
void counted_ask_abort(struct portal_host *h, struct portal_count *q);

/* peers.c */
/* What both serves say of their own work. False if it is something else. */
bool peers_heard_serve(struct control *c, enum process from, struct link *l, const struct msg *m);
void peers_init(struct control *c, int supervisor_fd);

/* socket.c: STATE/control.sock. */
/* A worker whose connections all are for the API, as a site of that kind. */
MUST_CHECK bool socket_worker(
        struct control *c, struct worker *w, enum site_kind kind, struct err *err);
MUST_CHECK bool socket_open(struct control *c, struct err *err);
void socket_close(struct control *c);

/* ask.c: what the API asks about sites and listeners (portal.h). */
const struct config *ask_config(struct portal_host *h);
struct kept *ask_kept(struct portal_host *h);
int64_t ask_generation(struct portal_host *h);
void ask_each_site(struct portal_host *h, struct portal_site_each *each);
void ask_change(struct portal_host *h, struct serving_change *change);
void ask_change_abort(struct portal_host *h, struct serving_change *change);
void ask_page(struct portal_host *h, struct json_writer *w, const char *key);
void ask_upstreams(struct portal_host *h, struct json_writer *w, const char *key,
        const struct str *shown, size_t count);
size_t ask_listeners(struct portal_host *h, struct portal_listener *ret, size_t most);
bool ask_holder(struct portal_host *h, struct portal_holder *q);
void ask_holder_abort(struct portal_host *h, struct portal_holder *q);
void ask_heard_holder(struct control *c, const struct msg_holder *m);

/* upgrade.c */
void upgrade_ask(struct portal_host *h);
const struct portal_upgrade *upgrade_told(struct portal_host *h);
void upgrade_heard(struct control *c, const struct msg_upgraded *m);

/* host.c: what the API asks of control. */
void host_init(struct control *c);
void host_done(struct control *c);
/* Reads the file again; `done` as in portal.h. */
void host_reload(struct control *c, struct portal_reload *reload);

#endif
