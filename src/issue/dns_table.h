/* What the fetch process answers for the delegated zones: who wants a value there puts it in, and
 * hears when it is answered. */
#ifndef ISSUE_DNS_TABLE_H
#define ISSUE_DNS_TABLE_H

#include "base/arena.h"
#include "config/config.h"
#include "fetch/fetch.h"
#include "loop/loop.h"

struct dns_entry { /* the caller's; its texts live as long as it is in */
	struct str name, value;
	/* Once, never before dns_table_add has returned. */
	void (*served)(struct dns_entry *e);
	void (*lapsed)(struct dns_entry *e); /* for a moment, nobody answered */
	struct list node;
	int64_t number; /* of the state from which on it is in; 0: it was told */
};
struct dns_table {
	struct loop *loop;
	struct fetch *fetch;
	struct fetch_zones zones;
	struct list entries;
	struct arena config_arena, arena; /* of the zones · of what is told */
	struct fetch_zone *at;            /* without values, from the configuration */
	size_t count;
	struct later tell;
};
void dns_table_init(struct dns_table *t, struct loop *loop, struct fetch *fetch);
void dns_table_done(struct dns_table *t);
void dns_table_configure(struct dns_table *t, const struct config *config);
/* Borrowed until the next call. */
void dns_table_listen(struct dns_table *t, const int *sockets, size_t count);
void dns_table_add(struct dns_table *t, struct dns_entry *e);
void dns_table_remove(struct dns_entry *e, struct dns_table *t); /* harmless if it is not in */

/* Where a name's value is in the zone: one label of it, for all time the same. */
void dns_table_name(struct str name, struct str zone, struct buf *out);

#endif
