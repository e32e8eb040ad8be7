/* everseal.conf: read, checked, made into values. The grammar is scfg-shaped: `directive params… {
 * children }`, `#` comments, quotes, `;` ends a directive inside a one-line block; the order of
 * lines never matters. Errors are "file:line:column: sentence" and name the nearest known word. All
 * errors of a file are collected (up to 20), not only the first.
 *
 * Directives stand in one table per block (config/rows.c, with the rows that modules declare); the
 * manual page everseal.conf(5) and `everseal check` are made from the same table. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/setting.h"

struct config_at { /* where a value was set; line 0: it is the default */
	unsigned line, column;
};

struct address { /* of a listener */
	struct str host; /* numeric, without brackets */
	uint16_t port;
	struct config_at at;
};

struct hsts {
	int64_t max_age; /* seconds; 0 with set: off */
	bool set, subdomains, preload;
	struct config_at at;
};

struct config_upstream {
	struct str shown; /* as written */
	struct str host;  /* numeric address, or "localhost" made 127.0.0.1 */
	uint16_t port;
};

struct config_site {
	struct config_at at;
	bool fallback; /* `site *` */
	struct str *names;
	size_t name_count;
	struct config_upstream *upstreams;
	size_t upstream_count;
	bool force_ssl, force_ssl_set;
	struct hsts hsts;
	struct str email;   /* the site's, else the file's; STR_NONE if neither */
	struct str issuer;  /* likewise; STR_NONE: by rule */
	bool challenge_pass;
	bool renew_before_set;
	int64_t renew_before; /* ms */
};

struct config_issuer {
	struct config_at at;
	struct str name, directory;
	struct str trust;  /* PEM text of the file named by `trust`, read at parse time */
	struct str eab_kid, eab_hmac; /* parsed and kept; used from the issue on ACME on */
};

struct config {
	struct arena arena;
	struct str file;
	struct str state;
	struct address *http, *https;
	size_t http_count, https_count;
	bool https_set;           /* the file has an `https` line */
	struct str page, page_name; /* as written; checked; used from the issue on the page on */
	struct str user;
	bool user_set;
	struct str email;
	bool agree_to_terms;
	bool force_ssl;
	struct hsts hsts;
	struct str issuer;        /* name of the file's first issuer line or `issuer NAME`, or STR_NONE */
	struct config_issuer *issuers; /* built in ones first */
	size_t issuer_count;
	struct str *resolvers;
	size_t resolver_count;
	uint16_t challenge_http, challenge_https; /* 80, 443 */
	struct str *trusted_proxies;              /* CIDRs */
	size_t trusted_proxy_count;
	uint64_t workers;         /* 0: one per core */
	struct config_site *sites;
	size_t site_count;
	/* Values of the data plane's own rows, by name, for link's `limit` messages. */
	struct { const char *name; int64_t value; } *limits;
	size_t limit_count;
};

/* Reads the file. On failure *ret_errors (if not NULL) has one line per error, and err the first
 * of them. A file that cannot be opened is an error of its own; `optional`: gives the defaults. */
struct config *config_read(const char *file, bool optional, struct buf *ret_errors, struct err *err);
/* The same from text; `file` is for the messages. */
struct config *config_parse(const char *file, struct str text, struct buf *ret_errors,
                            struct err *err);
void config_free(struct config **c);
const struct config_issuer *config_issuer(const struct config *c, struct str name);
/* Only the state directory, for commands: cheap and forgiving of other errors. */
struct str config_state_of(const char *file, struct arena *a);

/* The manual's section on directives, in scdoc, from the tables. */
void config_manual(struct buf *out);

#endif
