/* Versioned records, local first. The only module that knows SQLite.
 *
 * A record is (kind, id, version, value, blob): value is JSON text, blob is bytes (certificates,
 * sealed keys). Reads are local and synchronous, through a read-only connection, and see what has
 * committed. Writes carry the version they replace (0: there is none yet) and complete through a
 * callback: all transactions asked for in one loop turn become one SQLite transaction on the
 * store's own thread, which alone has the read-write connection and alone checkpoints; a
 * transaction whose versions do not match fails alone (ERR_CONFLICT). What depends on a write is
 * not sent before its callback.
 *
 * SQLite: WAL, synchronous=FULL; user_version migrations, each keeping a copy of the older file as
 * everseal.db.before-N until the program that needed it has proven itself: an older one that comes
 * back before goes on from there, and what the newer one had made lies in everseal.db.after-N.
 * Errors tell apart: not writable, read-only file system, full disk (the write fails, reads go on,
 * later writes are tried anew), damaged file (left as it is), made by a newer Everseal, held by a
 * second server (flock on STATE/lock).
 *
 * Disadvantages: when the disk fails at the commit, every transaction of that turn fails with it;
 * one that failed so may still be found after a power loss (never half of it), because the disk
 * may have kept what it denied. A record that was deleted and made again starts at version 1. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/list.h"
#include "loop/loop.h"

struct store;

struct record {
	struct str kind, id;
	int64_t version; /* 1 for the first; counts up by one */
	struct str value, blob;
};

/* Makes the directory (0700) and file if absent, takes the lock, checks, migrates. Waits up to 2 s
 * for the lock (a predecessor that is just ending), then says which process holds it. */
MUST_CHECK struct store *store_open(struct loop *loop, const char *state_dir, struct err *err);
/* N, if what a newer Everseal had made of the database was put aside as everseal.db.after-N; 0. */
int store_went_back(const struct store *s);
/* This program goes on: copies from before its migrations are removed. */
MUST_CHECK bool store_proven(struct store *s, struct err *err);
/* Writes what was asked for, then closes. From here on no callback fires: transactions under way
 * are as if aborted, watches as if stopped. Not from a callback of the store's own. */
void store_close(struct store **s);

/* False with ERR_NOT_FOUND if there is none. The record lives in the arena. */
MUST_CHECK bool store_get(struct store *s, struct arena *a, struct str kind, struct str id,
        struct record *ret_record, struct err *err);
/* All records of a kind by id, one at a time; `each` returns false to end early. The record is
 * valid during the call only; `each` may read and fill transactions, and sees the store as it was
 * when the scan began. `each` finds its object by OWNER. */
struct store_scan {
	bool (*each)(struct store_scan *scan, const struct record *record);
};
MUST_CHECK bool store_each(
        struct store *s, struct str kind, struct store_scan *scan, struct err *err);

/* A part of a kind: those with ids after `from`, by id; or, backwards, those before `from` (empty:
 * the last ones), the last one first. */
struct store_range {
	struct str kind, from;
	bool backwards;
};
MUST_CHECK bool store_walk(
        struct store *s, struct store_range range, struct store_scan *scan, struct err *err);

/* A copy of the whole database as one moment had it, without what was deleted, made on a thread of
 * its own while reads and writes go on. `done` fires exactly once unless aborted, never before the
 * start has returned: with a descriptor of a file that has no name, the caller's from then on; or
 * with -1 and an err. One at a time: ERR_BUSY. */
struct store_copy {
	void (*done)(struct store_copy *c, int fd, const struct err *err);
	struct store *store; /* NULL when not started */
	struct later refusal;
	struct err err;
};
void store_copy_start(struct store *s, struct store_copy *c,
        void (*done)(struct store_copy *c, int fd, const struct err *err));
void store_copy_abort(struct store_copy *c);

/* A transaction: filled, then started; owned by the caller until `done`, which fires exactly once
 * (err is NULL on success, valid during the call otherwise) unless aborted before. Bytes are copied
 * by the put. Once `done` is called the tx is empty and may be filled and started anew. */
struct store_tx {
	void (*done)(struct store_tx *tx, const struct err *err);
	struct store *store;       /* NULL when not started */
	struct store_write *write; /* what it is filled with; the store's once started */
};
void store_tx_init(struct store_tx *tx);
void store_tx_put(struct store_tx *tx, struct str kind, struct str id, int64_t replaces,
        struct str value, struct str blob);
void store_tx_delete(struct store_tx *tx, struct str kind, struct str id, int64_t replaces);
void store_tx_start(struct store *s, struct store_tx *tx,
        void (*done)(struct store_tx *tx, const struct err *err));
/* The write may still happen; `done` will not. Also frees a tx that was filled but not started. */
void store_tx_abort(struct store_tx *tx);

/* Called after each commit for each record that changed, in order, on the loop's thread, before
 * the transaction's own `done`. version 0: deleted. */
struct store_watch {
	struct list node;
	struct str kind; /* empty: all; borrowed until stopped */
	void (*changed)(struct store_watch *w, struct str kind, struct str id, int64_t version);
};
void store_watch_start(struct store *s, struct store_watch *w, struct str kind,
        void (*changed)(struct store_watch *w, struct str kind, struct str id, int64_t version));
void store_watch_stop(struct store_watch *w);

#endif
