/* Sites as API and events show them: the file's, those of the store and those that registrations
 * make, each with its certificate. An index of all is kept, made anew on the next look after a
 * generation; what renew/ tells of a certificate changes it in place. */
#ifndef PORTAL_SITES_H
#define PORTAL_SITES_H

#include "config/kept.h"
#include "portal/lists.h"

/* Called by portal_open and portal_close. */
void sites_open(void);
void sites_close(void);

/* The site object of that name (any of its names, "*" for the fallback). False: there is none. */
bool site_write(struct json_writer *w, const char *key, struct str name);
/* {"problem":1,…}: every lamp, of all sites. */
void sites_write_counts(struct json_writer *w, const char *key);

/* Told in a later turn of what has changed, by the site's first name. */
struct sites_watch {
	void (*changed)(struct sites_watch *w, struct str name);
	void (*gone)(struct sites_watch *w, struct str name);
	struct list node;
};
void sites_watch(struct sites_watch *w);
void sites_unwatch(struct sites_watch *w);

/* ---- for sites.c ---- */

struct site_entry {
	struct list_item item;
	struct served_site site; /* everything copied; settings.upstreams: `shown` only */
	uint16_t url_port;
	struct str unicode;             /* of the first name; STR_NONE if it is no IDN */
	uint64_t stamp;                 /* of all this */
	int64_t version;                /* of what the store says of it; 0: nothing */
	bool force_ssl_kept, hsts_kept; /* said by the store */
	bool registered;                /* a registration in the store is for its first name */
	struct str certificate;         /* id of its registration; empty: none */
	unsigned rank;                  /* of that among those for its names */
	enum lamp lamp;
	int64_t expires, renews; /* 0: never */
	struct str issuer;
};
/* NULL: there is none. Lives until the next turn, or the next change. */
struct site_entry *site_find(struct str name);
void site_entry_write(struct json_writer *w, const char *key, const struct site_entry *e);
/* A name as people read it; STR_NONE if it is no IDN. */
struct str sites_unicode(struct arena *a, struct str ascii);
/* What the index is made of has changed. */
void sites_stale(void);
const char *issuer_title(struct str name); /* "Let's Encrypt"; NULL: its name */

struct site_each {
	void (*entry)(struct site_each *each, struct site_entry *e);
};
void sites_each(struct site_each *each);
size_t sites_count(enum lamp lamp);

#endif
