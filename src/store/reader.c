#include "db.h"
#include "internal.h"

static const char get_sql[] = "SELECT version, value, blob FROM record WHERE kind = ?1 AND id = ?2";
static const char each_sql[] = "SELECT version, value, blob, id FROM record WHERE kind = ?1"
                               " ORDER BY id";

static const char after_sql[] = "SELECT version, value, blob, id FROM record WHERE kind = ?1"
                                " AND id > ?2 ORDER BY id";
static const char before_sql[] = "SELECT version, value, blob, id FROM record WHERE kind = ?1"
                                 " AND (id < ?2 OR ?2 = '') ORDER BY id DESC";

bool reader_open(struct reader *r, const char *path, struct err *err)
{
	return db_open_reader(path, &r->db, err) && db_prepare(r->db, get_sql, &r->get, err) &&
	       db_prepare(r->db, each_sql, &r->each, err);
}

void reader_close(struct reader *r)
{
	sqlite3_finalize(r->get);
	sqlite3_finalize(r->each);
	db_close(&r->db);
}

/* The bytes are SQLite's until the next step; blob before length, as its manual asks. */
static struct str column(sqlite3_stmt *stmt, int index)
{
	const void *p = sqlite3_column_blob(stmt, index);
	return str_n(p, (size_t)sqlite3_column_bytes(stmt, index));
}

/* Ends the read transaction: one left open would keep the log from being used anew. */
static void finish(sqlite3_stmt *stmt)
{
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
}

bool store_get(struct store *s, struct arena *a, struct str kind, struct str id,
        struct record *ret_record, struct err *err)
{
	sqlite3_stmt *stmt = s->reader.get;
	db_bind_text(stmt, 1, kind);
	db_bind_text(stmt, 2, id);
	int code = sqlite3_step(stmt);
	if (code == SQLITE_ROW)
		*ret_record = (struct record){
			.kind = arena_str(a, kind),
			.id = arena_str(a, id),
			.version = sqlite3_column_int64(stmt, 0),
			.value = arena_str(a, column(stmt, 1)),
			.blob = arena_str(a, column(stmt, 2)),
		};
	else if (code == SQLITE_DONE)
		err_set(err, ERR_NOT_FOUND, "There is no %.*s %.*s.", STR_ARG(kind), STR_ARG(id));
	else
		db_err(s->reader.db, code, err);
	finish(stmt);
	return code == SQLITE_ROW;
}

static bool scan_rows(sqlite3_stmt *stmt, struct str kind, struct store_scan *scan, struct err *err)
{
	int code;
	while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct record record = {
			.kind = kind,
			.id = column(stmt, 3),
			.version = sqlite3_column_int64(stmt, 0),
			.value = column(stmt, 1),
			.blob = column(stmt, 2),
		};
		if (!scan->each(scan, &record))
			return true;
	}
	return code == SQLITE_DONE || db_err(sqlite3_db_handle(stmt), code, err);
}

bool store_each(struct store *s, struct str kind, struct store_scan *scan, struct err *err)
{
	/* A scan within a scan finds the kept statement in use. */
	sqlite3_stmt *stmt = s->reader.each;
	s->reader.each = NULL;
	if (!stmt && !db_prepare(s->reader.db, each_sql, &stmt, err))
		return false;
	db_bind_text(stmt, 1, kind);
	bool ok = scan_rows(stmt, kind, scan, err);
	finish(stmt);
	sqlite3_finalize(s->reader.each);
	s->reader.each = stmt;
	return ok;
}

bool store_walk(struct store *s, struct store_range range, struct store_scan *scan, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	if (!db_prepare(s->reader.db, range.backwards ? before_sql : after_sql, &stmt, err))
		return false;
	db_bind_text(stmt, 1, range.kind);
	db_bind_text(stmt, 2, range.from);
	bool ok = scan_rows(stmt, range.kind, scan, err);
	sqlite3_finalize(stmt);
	return ok;
}
