#include "db.h"
#include "base/buf.h"
#include "state.h"
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

enum {
	/* Only a stranger's program can make us wait; the loop's thread hardly does. */
	WRITER_BUSY_MS = 5000,
	READER_BUSY_MS = 100,
	CHECK_WHOLE_BELOW = 64 << 20, /* bytes */
};

/* Of the path and the newer version. */
#define BEFORE "%s.before-%d"
#define AFTER  "%s.after-%d"

static const char *path_of(sqlite3 *db)
{
	const char *path = sqlite3_db_filename(db, "main");
	return path && *path ? path : "The database";
}

static bool damaged(const char *path, const char *how, struct err *err)
{
	return err_set(err, ERR_CORRUPT,
	        "The database %s is damaged (%s). It was left as it is: move it away together with "
	        "its -wal file, then put back a copy that was made while Everseal was stopped.",
	        path, how);
}

static bool explain(sqlite3 *db, const char *path, int code, struct err *err)
{
	int number = sqlite3_system_errno(db);
	switch (code & 0xff) {
	case SQLITE_NOMEM:
		BUG("out of memory in SQLite");
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return damaged(path, sqlite3_errmsg(db), err);
	case SQLITE_FULL:
		return state_err(path, ENOSPC, err);
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return state_err(path, number == EROFS ? EROFS : EACCES, err);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(err, ERR_BUSY,
		        "Another program holds the database %s locked: end it, and leave this file "
		        "to Everseal alone. The next change is tried anew.",
		        path);
	case SQLITE_TOOBIG:
		return err_set(
		        err, ERR_LIMIT, "What was to be saved is larger than %s can hold.", path);
	default:
		break;
	}
	if (number)
		return state_err(path, number, err);
	return err_set(err, ERR_IO, "%s cannot be read or written: %s.", path, sqlite3_errmsg(db));
}

bool db_err(sqlite3 *db, int code, struct err *err)
{
	return explain(db, path_of(db), code, err);
}

void db_close(sqlite3 **db)
{
	CHECK(sqlite3_close(*db) == SQLITE_OK);
	*db = NULL;
}
#define DB_AUTO __attribute__((cleanup(db_close))) sqlite3

static void finalize(sqlite3_stmt **stmt)
{
	sqlite3_finalize(*stmt);
}
#define STMT_AUTO __attribute__((cleanup(finalize))) sqlite3_stmt

static bool run_sql(sqlite3 *db, const char *sql, struct err *err)
{
	int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
	return code == SQLITE_OK || db_err(db, code, err);
}

bool db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_stmt, struct err *err)
{
	int code = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_stmt, NULL);
	return code == SQLITE_OK || db_err(db, code, err);
}

bool db_run(sqlite3_stmt *stmt, struct err *err)
{
	int code = sqlite3_step(stmt);
	bool ok = code == SQLITE_DONE || db_err(sqlite3_db_handle(stmt), code, err);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return ok;
}

/* A NULL pointer would bind NULL; an empty text is not NULL. */
void db_bind_text(sqlite3_stmt *stmt, int index, struct str text)
{
	sqlite3_bind_text64(stmt, index, text.n ? text.p : "", text.n, SQLITE_STATIC, SQLITE_UTF8);
}

void db_bind_blob(sqlite3_stmt *stmt, int index, struct str blob)
{
	sqlite3_bind_blob64(stmt, index, blob.n ? blob.p : "", blob.n, SQLITE_STATIC);
}

static bool read_number(sqlite3 *db, const char *sql, int64_t *ret_number, struct err *err)
{
	STMT_AUTO *stmt = NULL;
	if (!db_prepare(db, sql, &stmt, err))
		return false;
	int code = sqlite3_step(stmt);
	if (code != SQLITE_ROW)
		return db_err(db, code, err);
	*ret_number = sqlite3_column_int64(stmt, 0);
	return true;
}

static bool open_connection(const char *path, int flags, sqlite3 **ret_db, struct err *err)
{
	DB_AUTO *db = NULL;
	int code = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
	        /* vfs= the default */ NULL);
	if (code != SQLITE_OK)
		return explain(db, path, code, err);
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	/* Nothing is written by the closing of a file that was refused. */
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	/* The fence lets nobody open a temporary file, which a large savepoint would be kept in.
	 * The kernel has the file in its memory: 256 KiB of it in ours are enough. */
	if (!run_sql(db,
	            "PRAGMA cell_size_check = ON; PRAGMA secure_delete = ON; "
	            "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -256",
	            err))
		return false;
	*ret_db = db;
	db = NULL;
	return true;
}

/* SQLite takes an empty file for a new database and throws away the log beside it: an account key
 * must not vanish that way. */
static bool refuse_lost_file(const char *path, struct err *err)
{
	struct stat st;
	BUF_AUTO log = BUF_INIT(PATH_MAX);
	buf_printf(&log, "%s-wal", path);
	if (stat(buf_c(&log), &st) || !st.st_size || (!stat(path, &st) && st.st_size))
		return true;
	return damaged(path, "it is empty, but its -wal file is not", err);
}

/* The version found; 0 for a database without anything. */
static bool read_version(
        sqlite3 *db, const struct db_schema *schema, int *ret_version, struct err *err)
{
	int64_t objects = 0, id = 0, version = 0;
	if (!read_number(db, "SELECT count(*) FROM sqlite_schema", &objects, err) ||
	        !read_number(db, "PRAGMA application_id", &id, err) ||
	        !read_number(db, "PRAGMA user_version", &version, err))
		return false;
	bool empty = !objects && !id && !version;
	if (!empty && (id != schema->application_id || version < 1))
		return err_set(err, ERR_CONFLICT,
		        "%s is the database of another program: name another state directory.",
		        path_of(db));
	*ret_version = (int)version;
	return true;
}

/* A large file is not read twice at every start: there the pages are checked as they are used, and
 * start-up uses nearly all of them. */
static bool check_structure(sqlite3 *db, struct err *err)
{
	int64_t pages = 0, page_size = 0;
	if (!read_number(db, "PRAGMA page_count", &pages, err) ||
	        !read_number(db, "PRAGMA page_size", &page_size, err))
		return false;
	if (pages * page_size > CHECK_WHOLE_BELOW)
		return true;
	STMT_AUTO *stmt = NULL;
	if (!db_prepare(db, "PRAGMA quick_check(1)", &stmt, err))
		return false;
	int code = sqlite3_step(stmt);
	if (code != SQLITE_ROW)
		return db_err(db, code, err);
	const char *verdict = (const char *)sqlite3_column_text(stmt, 0);
	if (verdict && !strcmp(verdict, "ok"))
		return true;
	return damaged(path_of(db), verdict ? verdict : "it cannot be checked", err);
}

static bool use_log(sqlite3 *db, struct err *err)
{
	STMT_AUTO *stmt = NULL;
	if (!db_prepare(db, "PRAGMA journal_mode = WAL", &stmt, err))
		return false;
	int code = sqlite3_step(stmt);
	if (code != SQLITE_ROW)
		return db_err(db, code, err);
	const char *mode = (const char *)sqlite3_column_text(stmt, 0);
	if (!mode || strcmp(mode, "wal") != 0)
		return err_set(err, ERR_IO,
		        "The file system of %s cannot share memory between processes, which the "
		        "database needs: put the state directory on a local disk.",
		        path_of(db));
	return true;
}

static bool copy_into(sqlite3 *from, sqlite3 *to, struct err *err)
{
	sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
	if (!backup)
		return db_err(to, sqlite3_extended_errcode(to), err);
	int code = sqlite3_backup_step(backup, /* pages= all */ -1);
	int ended = sqlite3_backup_finish(backup);
	if (code == SQLITE_DONE && ended == SQLITE_OK)
		return true;
	return db_err(to, code == SQLITE_DONE ? ended : code, err);
}

static bool sync_folder_of(const char *path, struct err *err)
{
	BUF_AUTO dir = BUF_INIT(PATH_MAX);
	const char *slash = strrchr(path, '/');
	buf_add(&dir, str_n(path, (size_t)(slash - path)));
	return state_sync_dir(buf_c(&dir), err);
}

/* Under its final name only when it is whole and on the disk. */
static bool keep_copy(sqlite3 *db, int next_version, struct err *err)
{
	BUF_AUTO half = BUF_INIT(PATH_MAX), whole = BUF_INIT(PATH_MAX);
	buf_printf(&whole, BEFORE, path_of(db), next_version);
	buf_printf(&half, "%s.part", buf_c(&whole));
	(void)unlink(buf_c(&half));
	DB_AUTO *copy = NULL;
	if (!state_file(buf_c(&half), err) ||
	        !open_connection(buf_c(&half), SQLITE_OPEN_READWRITE, &copy, err) ||
	        !copy_into(db, copy, err))
		return false;
	db_close(&copy);
	if (rename(buf_c(&half), buf_c(&whole)))
		return state_err(buf_c(&whole), errno, err);
	return sync_folder_of(path_of(db), err);
}

static bool run_steps(sqlite3 *db, const struct db_schema *schema, int version, struct err *err)
{
	if (!run_sql(db, "BEGIN IMMEDIATE", err))
		return false;
	for (int i = version; i < schema->count; i++) {
		if (!run_sql(db, schema->steps[i], err))
			return false;
	}
	char stamp[96];
	snprintf(stamp, sizeof stamp, "PRAGMA application_id = %d; PRAGMA user_version = %d",
	        schema->application_id, schema->count);
	return run_sql(db, stamp, err) && run_sql(db, "COMMIT", err);
}

/* All steps or none: an interrupted migration leaves the older file, and its copy. */
static bool migrate(sqlite3 *db, const struct db_schema *schema, int version, struct err *err)
{
	if (version == schema->count)
		return true;
	if (version > 0 && !keep_copy(db, schema->count, err))
		return false;
	return run_steps(db, schema, version, err);
}

/* --- back */

/* All of the log moves into the file, which is then whole without it. */
static bool close_whole(sqlite3 **db, struct err *err)
{
	int code = sqlite3_wal_checkpoint_v2(*db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	if (code != SQLITE_OK)
		return db_err(*db, code, err);
	sqlite3_db_config(*db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	db_close(db);
	return true;
}

/* It is whole, and of a version that this program knows. */
static bool is_good(const char *path, const struct db_schema *schema)
{
	DB_AUTO *db = NULL;
	struct err unused = ERR_INIT;
	int version = 0;
	bool good = access(path, F_OK) == 0 &&
	            open_connection(path, SQLITE_OPEN_READWRITE, &db, &unused) &&
	            read_version(db, schema, &version, &unused) && version >= 1 &&
	            version <= schema->count && check_structure(db, &unused);
	return good && close_whole(&db, &unused);
}

/* The path is always one of a whole database, and interrupted this begins anew. */
static bool put_back(const char *path, const char *before, const char *after, struct err *err)
{
	if ((unlink(after) && errno != ENOENT) || link(path, after))
		return state_err(after, errno, err);
	if (rename(before, path))
		return state_err(path, errno, err);
	return sync_folder_of(path, err);
}

/* Of a newer program: if it never was ready, what was before it comes back. */
static bool go_back(const char *path, const struct db_schema *schema, int version, sqlite3 **db,
        struct err *err)
{
	BUF_AUTO before = BUF_INIT(PATH_MAX), after = BUF_INIT(PATH_MAX);
	buf_printf(&before, BEFORE, path, version);
	buf_printf(&after, AFTER, path, version);
	if (!is_good(buf_c(&before), schema))
		return err_set(err, ERR_CONFLICT,
		        "%s was made by a newer Everseal (format %d, this program knows up to %d): "
		        "install that version again. The file was left as it is.",
		        path, version, schema->count);
	return close_whole(db, err) && put_back(path, buf_c(&before), buf_c(&after), err) &&
	       open_connection(path, SQLITE_OPEN_READWRITE, db, err);
}

bool db_proven(sqlite3 *db, const struct db_schema *schema, struct err *err)
{
	for (int version = 2; version <= schema->count; version++) {
		BUF_AUTO before = BUF_INIT(PATH_MAX);
		buf_printf(&before, BEFORE, path_of(db), version);
		if (unlink(buf_c(&before)) && errno != ENOENT)
			return state_err(buf_c(&before), errno, err);
	}
	return true;
}

/* As far as this program knows its version. */
static bool open_known(const char *path, const struct db_schema *schema, sqlite3 **ret_db,
        int *ret_back, struct err *err)
{
	DB_AUTO *db = NULL;
	int version = 0, newer = 0;
	if (!open_connection(path, SQLITE_OPEN_READWRITE, &db, err) ||
	        !read_version(db, schema, &version, err))
		return false;
	if (version > schema->count)
		newer = version;
	if (newer && !go_back(path, schema, newer, &db, err))
		return false;
	*ret_db = db;
	*ret_back = newer;
	db = NULL;
	return true;
}

bool db_open_writer(const char *path, const struct db_schema *schema, sqlite3 **ret_db,
        int *ret_back, struct err *err)
{
	DB_AUTO *db = NULL;
	int version = 0, back = 0;
	if (!refuse_lost_file(path, err) || !state_file(path, err) ||
	        !open_known(path, schema, &db, &back, err))
		return false;
	sqlite3_busy_timeout(db, WRITER_BUSY_MS);
	if (!read_version(db, schema, &version, err) || !check_structure(db, err))
		return false;
	/* A log that once grew large gives its room back. */
	if (!run_sql(db, "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 16777216", err) ||
	        !use_log(db, err) || !migrate(db, schema, version, err))
		return false;
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	*ret_db = db;
	*ret_back = back;
	db = NULL;
	return true;
}

bool db_open_reader(const char *path, sqlite3 **ret_db, struct err *err)
{
	DB_AUTO *db = NULL;
	if (!open_connection(path, SQLITE_OPEN_READONLY, &db, err))
		return false;
	sqlite3_busy_timeout(db, READER_BUSY_MS);
	if (!run_sql(db, "PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0", err))
		return false;
	*ret_db = db;
	db = NULL;
	return true;
}

bool db_copy(sqlite3 *db, const char *path, struct err *err)
{
	STMT_AUTO *stmt = NULL;
	/* What is written is another file than the one that this connection may only read. */
	if (!run_sql(db, "PRAGMA query_only = OFF", err) ||
	        !db_prepare(db, "VACUUM INTO ?1", &stmt, err))
		return false;
	db_bind_text(stmt, 1, str_c(path));
	return db_run(stmt, err);
}
