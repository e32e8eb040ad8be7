#include "db.h"
#include "internal.h"

static const char insert_sql[] = "INSERT INTO record (kind, id, value, blob, version)"
                                 " VALUES (?1, ?2, ?3, ?4, ?5 + 1) ON CONFLICT DO NOTHING";
static const char update_sql[] = "UPDATE record SET value = ?3, blob = ?4, version = ?5 + 1"
                                 " WHERE kind = ?1 AND id = ?2 AND version = ?5";
static const char delete_sql[] = "DELETE FROM record"
                                 " WHERE kind = ?1 AND id = ?2 AND version = ?5";
static const char version_sql[] = "SELECT version FROM record WHERE kind = ?1 AND id = ?2";

static bool prepare_all(struct writer *w, struct err *err)
{
	return db_prepare(w->db, "BEGIN IMMEDIATE", &w->begin, err) &&
	       db_prepare(w->db, "COMMIT", &w->commit, err) &&
	       db_prepare(w->db, "ROLLBACK", &w->roll_back, err) &&
	       db_prepare(w->db, "SAVEPOINT tx", &w->savepoint, err) &&
	       db_prepare(w->db, "RELEASE tx", &w->release, err) &&
	       db_prepare(w->db, "ROLLBACK TO tx", &w->roll_back_to, err) &&
	       db_prepare(w->db, insert_sql, &w->insert, err) &&
	       db_prepare(w->db, update_sql, &w->update, err) &&
	       db_prepare(w->db, delete_sql, &w->delete, err) &&
	       db_prepare(w->db, version_sql, &w->version, err);
}

bool writer_open(struct writer *w, const char *path, struct err *err)
{
	return db_open_writer(path, &db_schema, &w->db, &w->back, err) && prepare_all(w, err);
}

void writer_close(struct writer *w)
{
	sqlite3_stmt *all[] = { w->begin, w->commit, w->roll_back, w->savepoint, w->release,
		w->roll_back_to, w->insert, w->update, w->delete, w->version };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		sqlite3_finalize(all[i]);
	db_close(&w->db);
}

/* 0 if there is none. */
static bool present_version(
        struct writer *w, const struct store_op *op, int64_t *ret_version, struct err *err)
{
	db_bind_text(w->version, 1, op->kind);
	db_bind_text(w->version, 2, op->id);
	int code = sqlite3_step(w->version);
	bool ok = code == SQLITE_ROW || code == SQLITE_DONE || db_err(w->db, code, err);
	if (ok)
		*ret_version = code == SQLITE_ROW ? sqlite3_column_int64(w->version, 0) : 0;
	sqlite3_reset(w->version);
	sqlite3_clear_bindings(w->version);
	return ok;
}

static bool conflict(struct writer *w, const struct store_op *op, struct err *err)
{
	int64_t version;
	if (!present_version(w, op, &version, err))
		return false;
	if (!version)
		return err_set(err, ERR_CONFLICT,
		        "The %.*s %.*s was removed meanwhile: look at it again before you repeat "
		        "the change.",
		        STR_ARG(op->kind), STR_ARG(op->id));
	if (!op->replaces)
		return err_set(err, ERR_CONFLICT,
		        "The %.*s %.*s is there already: look at it before you repeat the change.",
		        STR_ARG(op->kind), STR_ARG(op->id));
	return err_set(err, ERR_CONFLICT,
	        "The %.*s %.*s was changed meanwhile (it is at version %lld, not %lld): look at it "
	        "again before you repeat the change.",
	        STR_ARG(op->kind), STR_ARG(op->id), (long long)version, (long long)op->replaces);
}

static bool apply_op(struct writer *w, const struct store_op *op, struct err *err)
{
	sqlite3_stmt *stmt = op->removes ? w->delete : op->replaces ? w->update : w->insert;
	db_bind_text(stmt, 1, op->kind);
	db_bind_text(stmt, 2, op->id);
	if (!op->removes) {
		db_bind_text(stmt, 3, op->value);
		db_bind_blob(stmt, 4, op->blob);
	}
	sqlite3_bind_int64(stmt, 5, op->replaces);
	if (!db_run(stmt, err))
		return false;
	return sqlite3_changes(w->db) == 1 || conflict(w, op, err);
}

static bool apply_ops(struct writer *w, const struct store_write *write, struct err *err)
{
	for (const struct store_op *op = write->first; op; op = op->next) {
		if (!apply_op(w, op, err))
			return false;
	}
	return true;
}

static struct err *err_copy(const struct err *err)
{
	struct err *copy = mem_new(struct err);
	*copy = *err;
	return copy;
}

/* False if the whole batch is lost with it: after some failures of the disk SQLite has given up the
 * outer transaction, and the savepoint with it. */
static bool apply_write(struct writer *w, struct store_write *write, struct err *err)
{
	struct err own = ERR_INIT;
	if (!db_run(w->savepoint, err))
		return false;
	if (apply_ops(w, write, &own))
		return db_run(w->release, err);
	if (sqlite3_get_autocommit(w->db)) {
		*err = own;
		return false;
	}
	write->err = err_copy(&own);
	return db_run(w->roll_back_to, err) && db_run(w->release, err);
}

static bool apply_batch(struct writer *w, struct store_batch *b, struct err *err)
{
	if (!db_run(w->begin, err))
		return false;
	for (struct store_write *write = b->first; write; write = write->next) {
		if (!apply_write(w, write, err))
			return false;
	}
	return db_run(w->commit, err);
}

/* A conflict found on the way was one with writes that are now lost as well: all say the same. */
static void fail_all(struct store_batch *b, const struct err *err)
{
	for (struct store_write *write = b->first; write; write = write->next) {
		free(write->err);
		write->err = err_copy(err);
	}
}

void writer_commit(struct writer *w, struct store_batch *b)
{
	struct err err = ERR_INIT, ignored;
	if (apply_batch(w, b, &err))
		return;
	fail_all(b, &err);
	if (!sqlite3_get_autocommit(w->db))
		(void)!db_run(w->roll_back, &ignored);
}
