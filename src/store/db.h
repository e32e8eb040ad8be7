/* Connections to the database file: opened safely, checked, brought to the newest schema. */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "base/err.h"
#include <sqlite3.h>

/* Step i turns user_version i into i + 1. */
struct db_schema {
	int32_t application_id;
	const char *const *steps;
	int count;
};
extern const struct db_schema db_schema;

/* The one connection that writes; a file is made if there is none. A file that is refused (damaged,
 * newer, another program's) is left as it is. Before an older one is migrated, a copy of it is kept
 * beside it as PATH.before-N, N being the new version, until that version has proven itself. A
 * newer file whose copy is still there is put aside as PATH.after-N, and the copy in its place:
 * *ret_back is N then, and else 0. */
MUST_CHECK bool db_open_writer(const char *path, const struct db_schema *schema, sqlite3 **ret_db,
        int *ret_back, struct err *err);
/* From now on no older program gets back what was before. */
MUST_CHECK bool db_proven(sqlite3 *db, const struct db_schema *schema, struct err *err);
/* Cannot write, and never checkpoints. The writer is opened before and closed after it. */
MUST_CHECK bool db_open_reader(const char *path, sqlite3 **ret_db, struct err *err);
/* A copy of what `db`, one of our own, holds, compacted, in the empty file at `path`. */
MUST_CHECK bool db_copy(sqlite3 *db, const char *path, struct err *err);
void db_close(sqlite3 **db);

/* A statement to be kept. */
MUST_CHECK bool db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_stmt, struct err *err);
/* Runs a kept statement that gives no row, and makes it ready for the next time. */
MUST_CHECK bool db_run(sqlite3_stmt *stmt, struct err *err);
void db_bind_text(sqlite3_stmt *stmt, int index, struct str text);
void db_bind_blob(sqlite3_stmt *stmt, int index, struct str blob);
/* What the failure `code` of this connection means to a person. Always false. */
bool db_err(sqlite3 *db, int code, struct err *err);

#endif
