/* Sites that page, API and commands keep in the store (records `site`), beside those of the file;
 * and a site as it is served, whoever said what of it.
 *
 * A kept site has names of its own; or it is an overlay, which says something of the site that its
 * names have by the file or by a registration: Force SSL, HSTS, for a registration's site also the
 * application. An overlay alone makes no site. The file goes first: what it sets is not changed.
 *
 * A change is tried, then stored: kept_try puts the new value where everybody sees it; once a
 * generation with it stands, kept_store makes it last; a refusal is answered by kept_take_back. */
#ifndef CONFIG_KEPT_H
#define CONFIG_KEPT_H

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "config/config.h"
#include "store/store.h"

enum { SITE_NAMES_MOST = 100, SITE_UPSTREAMS_MOST = 32 };

struct kept_value {
	struct arena arena;
	bool overlay;
	struct str *names; /* "*" alone: of the file's `site *` */
	size_t name_count;
	struct config_upstream *upstreams; /* none: that of `site *` */
	size_t upstream_count;
	bool force_ssl, force_ssl_set;
	struct hsts hsts; /* set with max_age 0: off, and max-age=0 is sent */
};
struct kept_value *kept_value_new(void);
struct kept_value *kept_value_copy(const struct kept_value *from);
void kept_value_free(struct kept_value **v);

struct kept_change;
struct kept_site {
	struct list node; /* in kept->sites, in order of making */
	struct map_node by_id;
	char id[24];
	int64_t version;          /* of the record; 0: none yet */
	struct kept_value *value; /* in force or being tried; NULL: being removed */
	struct kept_change *change;
};

struct kept {
	struct store *store;
	const struct log *log;
	struct list sites;
	struct map by_id;
	int64_t last; /* number of the newest */
};
/* Reads the records; what cannot be read is logged and left as it is. */
MUST_CHECK bool kept_open(
        struct kept *k, struct store *store, const struct log *log, struct err *err);
void kept_done(struct kept *k);
/* The one with that name among its own; overlays: among those. NULL: none. Linear. */
struct kept_site *kept_with_name(const struct kept *k, struct str name, bool overlay);

/* One change of one site, owned by the caller; one at a time for each site. */
struct kept_change {
	struct kept *kept;
	struct kept_site *site;
	struct kept_value *before; /* NULL: the site is new */
	struct store_tx tx;
	void (*done)(struct kept_change *c, const struct err *err);
};
/* site NULL: a new one; value NULL: it is removed. Takes the value over. False with ERR_BUSY while
 * another change of it is under way (then the value is the caller's still). */
MUST_CHECK bool kept_try(struct kept *k, struct kept_change *c, struct kept_site *site,
        struct kept_value *value, struct err *err);
/* `done` once it is stored, or with why not: then it is taken back. The site of a change that
 * removed it is gone by then. */
void kept_store(struct kept_change *c, void (*done)(struct kept_change *c, const struct err *err));
void kept_take_back(struct kept_change *c);

/* Checks what was typed and puts it into the value. */
MUST_CHECK bool kept_read_names(
        struct kept_value *v, const struct str *typed, size_t count, struct err *err);
/* DESIGN 5: neither link-local nor one of our own listeners nor a path. A port of `listeners`
 * counts as ours on every address of this machine. */
struct kept_listeners {
	const struct address *at;
	size_t count;
};
/* From a record: what was shown says it all, but for one that an earlier version wrote. */
bool kept_upstream_stored(struct arena *a, struct str shown, struct str host, int64_t port,
        struct config_upstream *ret);
/* What may stand in the page, the API and commands as an application's address. */
MUST_CHECK bool kept_read_upstream(
        struct arena *a, struct str typed, struct config_upstream *ret, struct err *err);
struct sockaddr_storage;
MUST_CHECK bool kept_upstream_allowed(struct str shown, const struct sockaddr_storage *at,
        const struct kept_listeners *listeners, struct err *err);
MUST_CHECK bool kept_check_upstream(
        const struct config_upstream *u, const struct kept_listeners *listeners, struct err *err);
MUST_CHECK bool kept_read_upstreams(struct kept_value *v, const struct str *typed, size_t count,
        const struct kept_listeners *listeners, struct err *err);
MUST_CHECK bool kept_check_hsts(const struct hsts *hsts, struct err *err);
/* "1y include-subdomains preload", or "off", as the file says it. */
MUST_CHECK bool kept_parse_hsts(struct str text, struct hsts *ret_hsts, struct err *err);

/* A site as it is served. */
struct served_site {
	struct config_site settings; /* names: those that no site before it has; maybe none */
	struct address listen;       /* host empty: the file's https lines */
	struct str default_name;     /* for clients without SNI there */
	bool in_file;
	bool force_ssl_locked, hsts_locked; /* by the file: settings say in which line */
	const struct kept_site *kept;       /* what the store says of it; NULL: nothing */
};
static inline bool site_has_names(const struct served_site *s)
{
	return s->settings.fallback || s->settings.name_count;
}
/* Its first name; "*" of the fallback. */
static inline struct str site_name_of(const struct served_site *s)
{
	return s->settings.fallback ? STR("*") : s->settings.names[0];
}

#endif
