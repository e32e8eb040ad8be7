/* What the files of this module share: a write on its way, and the two sides of the store. */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "store.h"
#include <pthread.h>
#include <sqlite3.h>

/* One record's change; its bytes follow it. */
struct store_op {
	struct store_op *next;
	bool removes;
	int64_t replaces;
	struct str kind, id, value, blob;
	char bytes[];
};

/* What a transaction was filled with. Its own once filled, the batch's once started. `tx` is the
 * loop thread's; `err` is the writer's until the batch comes back. */
struct store_write {
	struct store_write *next;
	struct store_op *first, *last;
	struct store_tx *tx; /* NULL when aborted */
	struct err *err;     /* NULL: it has committed */
};
void write_free(struct store_write **w);

/* The writes of one loop turn; belongs to the loop, then the writer's thread, then the loop. */
struct store_batch {
	struct letter letter;
	struct store *store;
	struct store_batch *next;
	struct store_write *first, *last;
};
void batch_add(struct store_batch *b, struct store_write *w);
void batch_free(struct store_batch **b);

/* The read-write connection. Opened on the loop's thread, used by the store's own only. */
struct writer {
	sqlite3 *db;
	int back; /* as db_open_writer has told */
	sqlite3_stmt *begin, *commit, *roll_back;
	sqlite3_stmt *savepoint, *release, *roll_back_to;
	sqlite3_stmt *insert, *update, *delete, *version;
};
MUST_CHECK bool writer_open(struct writer *w, const char *path, struct err *err);
void writer_close(struct writer *w);
/* Commits the batch, or sets the err of each write that did not get in. */
void writer_commit(struct writer *w, struct store_batch *b);

/* The read-only connection, the loop thread's. */
struct reader {
	sqlite3 *db;
	sqlite3_stmt *get, *each;
};
MUST_CHECK bool reader_open(struct reader *r, const char *path, struct err *err);
void reader_close(struct reader *r);

/* The copy that is under way. The loop's but for `db`, `made` and `err`, which are the
 * thread's until the letter comes. */
struct copying {
	struct letter letter;
	struct mailbox *results;
	struct store_copy *asked; /* NULL once aborted */
	pthread_t thread;
	bool runs, made;
	char *path; /* of the copy, while it has a name */
	sqlite3 *db;
	struct err err;
};
void copying_open(struct store *s, const char *state_dir);
void copying_close(struct store *s);

struct store {
	struct loop *loop;
	int lock_fd;
	struct reader reader;
	struct list watches;
	struct store_batch *filling; /* this turn's, NULL if nothing was started */
	struct later hand_over;
	struct mailbox *results;
	bool settling; /* callbacks are being called */
	bool closing;  /* none is called any more */
	struct copying copying;

	pthread_t thread;
	struct writer writer; /* the thread's */
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct store_batch *queue, **queue_end; /* by mutex */
	bool ending;                            /* by mutex */
};

#endif
