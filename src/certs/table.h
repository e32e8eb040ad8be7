/* The certificates that can be served, as bytes in shared segments, and the index over them.
 *
 * control writes, serve reads. A segment is a memfd of SEGMENT_BYTES, append-only; messages only
 * say "segment N is valid to offset X" (link/messages.h). A record is one of
 *   chain        number, DER of the certificates above a leaf (interned: written once)
 *   certificate  number, generation of the name set, flags, chain number, names, leaf DER, key DER
 *   forget       names that are served no longer
 * Numbers rise and are never used twice, so that a later record for a name replaces the earlier.
 * Records are checked like foreign bytes when read. Costs: about 1 KiB per P-256 certificate plus
 * 48 bytes of index per name.
 *
 * The index is written by one thread and read by all workers without locks: a reader gets records
 * by cert_table_find, which stay mapped until the table is freed or their segment is retired. */
#ifndef CERTS_TABLE_H
#define CERTS_TABLE_H

#include "base/err.h"
#include "base/str.h"

enum { SEGMENT_BYTES = 4 << 20 };
enum cert_flags {
	CERT_TEMPORARY = 1, /* self-signed by us: Force SSL and HSTS do not act on it */
};

struct cert_record {
	uint64_t number;
	unsigned flags;
	struct str leaf, key;
	struct str chain[10];
	size_t chain_count;
};

/* Writing (control). A full segment is followed by a new one. */
struct segments;
struct segments *segments_new(void);
void segments_free(struct segments **s);
MUST_CHECK bool segments_add(struct segments *s, const struct str *names, size_t name_count,
                             const struct cert_record *record, uint64_t *ret_number,
                             struct err *err); /* record->number is ignored */
void segments_forget(struct segments *s, const struct str *names, size_t name_count);
size_t segments_count(const struct segments *s);
int segments_fd(const struct segments *s, size_t index);     /* stays owned by s; read-only dup to send */
size_t segments_valid(const struct segments *s, size_t index);

/* Reading (serve): one writer thread, many readers. */
struct cert_table;
struct cert_table *cert_table_new(void);
void cert_table_free(struct cert_table **t);
/* Maps segment `index` (the fd is consumed) / reads its records up to `valid`. */
MUST_CHECK bool cert_table_map(struct cert_table *t, size_t index, int fd, struct err *err);
MUST_CHECK bool cert_table_advance(struct cert_table *t, size_t index, size_t valid, struct err *err);
/* Exact name, else the wildcard one label up. Any thread. False if there is none. */
bool cert_table_find(const struct cert_table *t, struct str name, struct cert_record *ret_record);
size_t cert_table_count(const struct cert_table *t);

#endif
