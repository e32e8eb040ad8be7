/* Objects of this module that are kept as records: people, sessions, tokens, links. The object in
 * memory is what counts; its record follows it. Saves asked for while one is under way become one.
 * A record that cannot be written is told to whoever waits, and written with the next save; one
 * that cannot be removed is tried again every 10 s, and its object is `leaving` from the first
 * moment. */
#ifndef PORTAL_ROW_H
#define PORTAL_ROW_H

#include "store/store.h"
#include "json/json.h"

struct row_wait {
	void (*done)(
	        struct row_wait *w, const struct err *err); /* once, not before the call returns */
	struct list node;
};
static inline void row_wait_abort(struct row_wait *w)
{
	list_remove(&w->node);
}

struct row;
struct row_kind {
	struct str name;
	/* The members of the record's value; of a blob that goes with it for this version. */
	void (*write)(
	        const struct row *r, struct json_writer *w, int64_t version, struct buf *blob);
	void (*removed)(struct row *r); /* frees the object */
};

struct row {
	const struct row_kind *kind;
	const char *id; /* the object's */
	int64_t version;
	bool dirty, leaving;
	struct store_tx tx;
	struct timer again;
	struct list waiting, served; /* row_wait: of the next save, of the one under way */
	struct later later;
};
void row_init(struct row *r, const struct row_kind *kind, const char *id, int64_t version);
/* wait may be NULL. */
void row_save(struct row *r, struct row_wait *wait);
/* The object is freed once the record is gone. */
void row_remove(struct row *r, struct row_wait *wait);
void row_done(struct row *r); /* the object is freed now; the record stays as it is */

#endif
