/* The certificates that can be served, as bytes in shared segments, and the index over them.
 *
 * control writes, serve reads. A segment is a memfd of SEGMENT_BYTES, append-only; messages only
 * say "segment N is valid to offset X" (link/messages.h). A record is one of
 *   chain        number, DER of the certificates above a leaf (interned: written once)
 *   certificate  number, flags, where its chain stands, names, leaf DER, key DER; where another one
 *                stands beside it, and what its OCSP responder says of it, if there is that
 *   beside       number, where its chain stands, leaf DER, key DER, the same answer: one with
 *                another kind of key, for clients that cannot do with the first
 *   forget       number, names that are served no longer
 * Numbers rise and are never used twice while the machine is up, not even by a control that was
 * started anew: a later record for a name replaces the earlier, and a number is good as a key of
 * caches (keys/pair.h). Records are checked like foreign bytes when they are read.
 *
 * Costs: about 1 KiB per P-256 certificate plus 11 to 22 bytes of index per name. What was replaced
 * keeps its place in its segment until a new run of segments is written (cert_table_sweep).
 *
 * The index is written by one thread and read by all workers without locks or waiting. What a
 * reader may still look at (an index that was outgrown, segments of an earlier run) is freed when
 * every registered reader has been quiet since. Without any registered reader nothing is freed
 * before the table: always safe, and outgrown indexes together are smaller than the one in use. */
#ifndef CERTS_TABLE_H
#define CERTS_TABLE_H

#include "base/err.h"
#include "base/str.h"

#include <stdatomic.h>

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
	uint64_t chain_number; /* the same for all certificates with that chain; 0 without one */
	uint64_t beside;       /* where another one stands beside it; 0: it stands alone */
	struct str staple;     /* RFC 6066 8: the answer of its OCSP responder; empty: none */
	int64_t staple_until;  /* wall ms: not to be shown from then on */
};

/* Writing (control). A full segment is followed by a new one; a certificate never touches two. */
struct segments;
struct segments *segments_new(void);
void segments_free(struct segments **s);
/* At most 250 names of at most 253 bytes, in lower case. record->number and ->chain_number are
 * ignored. */
MUST_CHECK bool segments_add(struct segments *s, const struct str *names, size_t name_count,
        const struct cert_record *record, uint64_t *ret_number, struct err *err);
/* One that stands beside another: what it gives is that one's `beside`. */
MUST_CHECK bool segments_add_beside(struct segments *s, const struct cert_record *record,
        uint64_t *ret_beside, struct err *err);
MUST_CHECK bool segments_forget(
        struct segments *s, const struct str *names, size_t name_count, struct err *err);
size_t segments_count(const struct segments *s);
int segments_fd(
        const struct segments *s, size_t index); /* stays owned by s; sealed: whoever gets it
                                                                 can only read */
size_t segments_valid(const struct segments *s, size_t index);

/* Reading (serve): one writer thread, many readers. */
struct cert_table;
struct cert_table *cert_table_new(void);
void cert_table_free(struct cert_table **t);
/* Maps segment `index` (the fd is consumed, on failure too) / reads its records up to `valid`.
 * Segments are mapped in their order, 0 first, and read in their order. Index 0 again begins a new
 * run, of a control that was started anew or tidies up: what earlier runs hold is served until it
 * is replaced or swept. A record that does not check out ends the reading; the records before it
 * count. */
MUST_CHECK bool cert_table_map(struct cert_table *t, size_t index, int fd, struct err *err);
MUST_CHECK bool cert_table_advance(
        struct cert_table *t, size_t index, size_t valid, struct err *err);
/* The new run is complete: forgets what only earlier runs hold, and gives their segments back. */
void cert_table_sweep(struct cert_table *t);
size_t cert_table_mapped(const struct cert_table *t); /* segments mapped now */

/* Exact name (capitals do not matter), else the wildcard one label up. Any thread. False if there
 * is none. What it returns is borrowed: until the reader is next quiet, for a reader that is
 * registered; else as long as the table. */
bool cert_table_find(const struct cert_table *t, struct str name, struct cert_record *ret_record);
/* What stands beside one that was found, borrowed like it; false if nothing does. */
bool cert_table_beside(const struct cert_table *t, const struct cert_record *found,
        struct cert_record *ret_record);
size_t cert_table_count(const struct cert_table *t); /* names; any thread */

/* A thread that reads. It is registered and removed by the table's writer while it does not read,
 * and says in each turn of its loop, while it holds nothing of the table: quiet. */
struct cert_reader {
	struct cert_reader *next;
	const struct cert_table *table;
	_Atomic(uint64_t) seen;
};
void cert_reader_add(struct cert_table *t, struct cert_reader *r);
void cert_reader_remove(struct cert_table *t, struct cert_reader *r);
void cert_reader_quiet(struct cert_reader *r);

#endif
