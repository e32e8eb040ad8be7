/* everseal.conf: read, checked, made into values. The grammar is scfg-shaped: `directive params… {
 * children }`, `#` comments, quotes, `;` ends a directive inside a one-line block; the order of
 * lines never matters. Errors are "file:line:column: sentence" and name the nearest known word. All
 * errors of a file are collected (up to 20), not only the first.
 *
 * Directives stand in one table per block (config/rows.c, with the rows that modules declare); the
 * manual page everseal.conf(5) and `everseal check` are made from the same table.
 *
 * Whatever is optional has its default in here already: nobody else knows a default. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/setting.h"
#include "keys/keys.h"
#include "link/messages.h"

struct config_at { /* where a value was set; line 0: it is the default */
	unsigned line, column;
};

struct address {         /* of a listener */
	struct str host; /* numeric, without brackets */
	uint16_t port;
	struct config_at at;
	bool proxy_protocol; /* every connection begins with it */
};

struct hsts {
	int64_t max_age; /* seconds; 0 with set: off, which sends max-age=0 */
	bool set, subdomains, preload;
	struct config_at at;
};

struct config_access_log {
	struct config_at at;
	struct str format; /* "off", "common", "combined", "json" */
	struct str path;   /* absolute, or "stderr"; STR_NONE: off */
};

struct config_upstream {
	struct str shown; /* as written */
	/* Numeric address ("localhost" made 127.0.0.1), or a name to be resolved, in lower case;
	 * of a Unix socket: as written. */
	struct str host;
	uint16_t port;
	enum upstream_scheme scheme;
	struct str server_name; /* the name as written, in lower case; STR_NONE of an address */
	unsigned weight;        /* 0: not given, 1 */
};

/* What the block of `proxy` says of all of them. */
struct config_proxy {
	struct config_at at;
	bool limited; /* set by page or API: not everything may be an application (kept.h) */
	struct config_limit {
		const char *name;
		int64_t value;
	} *options; /* those given, of the rows in config_source's proxy and health */
	size_t option_count;
	struct str sticky, health; /* STR_NONE: not given */
	struct str server_name;    /* likewise */
	struct str trust;          /* likewise: certificates in DER, one behind the other */
	struct config_at trust_at, server_name_at;
	struct config_weight { /* taken over by the upstreams when all are known */
		struct config_at at;
		struct str upstream;
		int64_t weight;
	} *weights;
	size_t weight_count;
};

/* What answers, if it is not the application of the site. */
#define CONFIG_ACTIONS(X)                                                                          \
	X(PROXY, "proxy") X(REDIRECT, "redirect") X(RESPOND, "respond") X(ROOT, "root")
enum config_action {
	CONFIG_NO_ACTION,
#define X(name, text) CONFIG_##name,
	CONFIG_ACTIONS(X)
#undef X
};

struct config_access {
	struct str cidr;
	bool allow;
	struct config_at at;
};

struct config_user { /* of basic-auth */
	struct str name, hash;
	struct config_at at;
};

enum config_header_change { CONFIG_HEADER_SET, CONFIG_HEADER_ADD, CONFIG_HEADER_REMOVE };
struct config_header {
	bool request; /* else of answers */
	enum config_header_change change;
	struct str name, value; /* name in lower case */
	struct config_at at;
};

/* What stands in a site as well as in a route; the route's own wins, but for headers, which both
 * change. */
struct config_rules {
	enum config_action action;
	struct config_at action_at;
	unsigned status; /* of REDIRECT and RESPOND */
	struct str text; /* where to · the answer · ROOT: the directory */
	struct config_access *access;
	size_t access_count;
	struct config_header *headers;
	size_t header_count;
	bool maintenance, maintenance_set;
	struct str notice; /* of maintenance */
	bool gzip, gzip_set;
	bool auth_set;
	struct config_user *users; /* none: everybody */
	size_t user_count;
	bool forward_set;
	struct config_upstream *forward; /* of forward-auth; NULL: none */
	struct str forward_path;
	struct str *copies; /* headers, in lower case */
	size_t copy_count;
};

/* How control of a name is proven by DNS. */
enum config_dns_way {
	CONFIG_DNS_NONE,
	CONFIG_DNS_UPDATE,
	CONFIG_DNS_PROGRAM,
	CONFIG_DNS_DELEGATED
};
struct config_dns {
	struct config_at at; /* line 0: there is no block */
	enum config_dns_way way;
	struct str server, zone;           /* UPDATE: "ADDRESS:PORT"; zone: STR_NONE: to be found */
	struct str key_name, hmac, secret; /* TSIG, secret in base64; key_name STR_NONE: none */
	struct str *argv;                  /* PROGRAM: an absolute path and its first arguments */
	size_t argc;
	struct str user, home;             /* of `run-as`; user STR_NONE: as who Everseal is */
	int64_t uid, gid;                  /* -1 likewise */
	int64_t timeout;                   /* ms */
	struct str delegated, name_server; /* DELEGATED: our zone, and the name of who answers it */
	struct address *listen;
	size_t listen_count;
	bool persist;      /* dns-persist-01 may be used */
	struct str *check; /* "ADDRESS:PORT": look there instead of at the zone's servers */
	size_t check_count;
	bool unchecked; /* look nowhere */
	int64_t wait;   /* ms, until the CA is asked all the same */
};

/* Whom a program runs as; uid -1: as who Everseal is. */
struct config_run_as {
	struct str name, home; /* STR_NONE likewise */
	int64_t uid, gid;
};

/* How somebody is told, and how much something has to matter for it. */
#define CONFIG_NOTIFY_WAYS(X) X(MAIL, "mail") X(WEBHOOK, "webhook") X(PROGRAM, "program")
enum config_notify_way {
#define X(name, text) CONFIG_NOTIFY_##name,
	CONFIG_NOTIFY_WAYS(X)
#undef X
	        CONFIG_NOTIFY_WAY_COUNT
};
const char *config_notify_way_name(enum config_notify_way way);
#define CONFIG_LEVELS(X) X(INFO, "info") X(WARNING, "warning") X(PROBLEM, "problem")
enum config_level {
#define X(name, text) CONFIG_LEVEL_##name,
	CONFIG_LEVELS(X)
#undef X
};
const char *config_level_name(enum config_level level);
bool config_notify_way_from_name(struct str name, enum config_notify_way *ret_way);
bool config_level_from_name(struct str name, enum config_level *ret_level);
struct config_notify {
	struct config_at at;
	struct str id; /* of one that the store keeps; STR_NONE: the file's */
	enum config_notify_way way;
	enum config_level level; /* the least that it is told */
	struct str to;           /* an address, a URL, a path */
	struct str shown;        /* the same without what may be secret: of a URL its host */
	struct str server;       /* MAIL: "smtps://HOST:PORT", "smtp://HOST:PORT" (STARTTLS) */
	struct str from, user, password; /* MAIL; user and password may be STR_NONE */
	struct str secret;               /* WEBHOOK */
	struct str trust;                /* PEM, or STR_NONE: what the system trusts */
	struct str *argv;                /* PROGRAM */
	size_t argc;
	struct config_run_as run_as;
	int64_t timeout; /* ms */
};

/* What one is told by, read and checked. read_to: of a mail or webhook, sets `to` and `shown`. */
MUST_CHECK bool config_notify_read_to(
        struct arena *a, struct str text, struct config_notify *n, struct err *err);
MUST_CHECK bool config_notify_read_server(
        struct arena *a, struct str text, struct str *ret_server, struct err *err);
/* A user, password or secret; what: which of them. */
MUST_CHECK bool config_notify_check_line(struct str text, const char *what, struct err *err);

/* How certificates are made. */
struct config_making {
	struct str *issuers; /* in the order in which they are tried; none: by rule */
	size_t issuer_count;
	enum key_type *key_types; /* one certificate of each: ECDSA, RSA, or both; none: P-256 */
	size_t key_type_count;
	struct str profile, preferred_chain; /* STR_NONE: the CA's default */
	bool reuse_key, reuse_key_set;
};

/* Names that become known by a handshake. */
struct config_demand {
	struct config_at at; /* line 0: there is no block */
	struct str ask;      /* a URL, or STR_NONE: nobody is asked */
	struct str *allow;   /* patterns (certs/pattern.h); none: all */
	size_t allow_count;
	uint64_t budget; /* in an hour */
};

struct config_route;
struct config_site {
	struct config_at at;
	bool fallback; /* `site *` */
	struct str *names;
	size_t name_count;
	struct config_upstream *upstreams;
	size_t upstream_count;
	struct config_proxy proxy;
	bool force_ssl, force_ssl_set; /* the site's, else the file's; set: by either of them */
	struct config_at force_ssl_at;
	struct hsts hsts;            /* likewise */
	struct str email;            /* the site's, else the file's; STR_NONE if neither */
	struct str issuer;           /* likewise, the first in making; STR_NONE: by rule */
	struct config_making making; /* each of its values likewise */
	struct config_dns dns;       /* the site's own alone */
	struct config_demand demand; /* likewise */
	bool challenge_pass, unlogged;
	bool modern_tls, tls_policy_set;  /* the site's, else the file's */
	struct str client_ca;             /* DER, one behind the other; STR_NONE: none */
	struct config_at renew_before_at; /* line 0: it is not set */
	int64_t renew_before;             /* ms */
	struct config_rules rules;        /* its action is never PROXY: upstreams say that */
	struct config_route *routes;
	size_t route_count;
	struct str *shown_rules; /* as the file says them, secrets masked */
	size_t shown_rule_count;
};

struct config_route {
	struct config_at at;
	struct str path; /* without the slash at its end */
	bool beneath;    /* with all beneath it */
	struct config_rules rules;
	struct config_site applications; /* of PROXY: only what `proxy` says */
};

struct config_issuer {
	struct config_at at;
	struct str name;
	struct str directory; /* STR_NONE for `internal`, which is no ACME server */
	struct str
	        trust; /* PEM text of the file named by `trust`, read at parse time, or STR_NONE */
	/* Directory of the CA's staging, where what was never tried is tried first; STR_NONE: there
	 * is none. */
	struct str rehearsal;
	bool rehearsal_set;
	struct str eab_kid, eab_hmac; /* the key as base64url text; both STR_NONE without `eab` */
};

struct config {
	struct arena arena;
	struct str file;
	struct str state;             /* an absolute path */
	struct address *http, *https; /* by default every IPv4 and IPv6 address, at.line 0 */
	size_t http_count, https_count;
	bool https_set;             /* the file has an `https` line */
	struct str page, page_name; /* ADDRESS:PORT as written; NAME or STR_NONE */
	struct config_at page_at;
	struct address page_listen; /* the same, read; host empty: `page off` */
	struct str user;            /* everseal-net if it exists, else nobody */
	bool user_set;
	struct str email;
	bool agree_to_terms;
	bool force_ssl, force_ssl_set;
	struct config_at force_ssl_at;
	struct hsts hsts;
	struct str issuer; /* name of the file's first issuer line or `issuer NAME`, or STR_NONE */
	struct config_making making; /* issuers: those chosen, else the first */
	bool rehearsal;
	struct config_issuer *issuers; /* built in ones first */
	size_t issuer_count;
	struct config_dns dns;
	struct config_notify *notify; /* in the file's order */
	size_t notify_count;
	struct str *resolvers; /* ADDRESS:PORT */
	size_t resolver_count;
	uint16_t challenge_http, challenge_https; /* 80, 443 */
	bool challenge_ports_set;                 /* `https` in it is */
	struct str *trusted_proxies;              /* CIDRs */
	size_t trusted_proxy_count;
	struct config_access_log access_log;
	bool modern_tls;
	uint64_t workers; /* 0: one per core */
	struct config_site *sites;
	size_t site_count;
	struct config_named *named; /* by name: config_site_of */
	size_t named_count;
	/* Every row handed in, set or not, by name: for link's `limit` messages. */
	struct config_limit *limits;
	size_t limit_count;
};

/* What to read. The rows of other modules (COUNT, SIZE and DURATION only) that may stand at top
 * level, in the block of `proxy` and in that of its `health`: control and `everseal check` hand in
 * the data plane's. All outlive the result. */
struct config_rows {
	const struct setting *at;
	size_t count;
};
struct config_source {
	const char *file; /* for the messages; config_read opens it */
	bool optional;    /* no such file: the defaults. Otherwise that is an error of its own. */
	struct config_rows extra, proxy, health;
};

enum { CONFIG_ERRORS_MOST = 20, CONFIG_FILE_MOST = 64 << 20 };

/* Reads the file. On failure *ret_errors (if not NULL) has one line per error in their order, at
 * most CONFIG_ERRORS_MOST of them, and err the first. Reads the files that the text names (trust,
 * @FILE, credential:NAME) as the caller's user, and asks the system whether `user` exists. */
MUST_CHECK struct config *config_read(
        const struct config_source *source, struct buf *ret_errors, struct err *err);
/* The same from text, which need not outlive the call. */
MUST_CHECK struct config *config_parse(const struct config_source *source, struct str text,
        struct buf *ret_errors, struct err *err);
void config_free(struct config **c);
const struct config_issuer *config_issuer(const struct config *c, struct str name); /* or NULL */
/* The one of the file that serves that name: exact, wildcard, `site *`, or NULL. */
const struct config_site *config_site_of(const struct config *c, struct str name);
/* Whether there is such a block, and one of its patterns is for the name. */
bool config_demand_allows(const struct config_demand *d, struct str name);
/* Whether somebody can be connected to there: 0.0.0.0 is an address of listeners alone. */
MUST_CHECK bool config_upstream_is_somewhere(const struct config_upstream *u, struct err *err);
bool config_same_upstream(const struct config_upstream *a, const struct config_upstream *b);
/* Only the state directory, for commands: cheap and forgiving of all errors; the default if the
 * file cannot be read or does not say. */
struct str config_state_of(const char *file, struct arena *a);

/* The manual's section on directives, in scdoc, from the tables. */
void config_manual(const struct config_source *rows, struct buf *out);
/* Whether every row has its help, a readable default and sane bounds. */
MUST_CHECK bool config_manual_complete(const struct config_source *rows, struct err *err);

#endif
