/* Opening: the directory, the lock, damaged and foreign files, migrations, disks that refuse. */
#include "base/buf.h"
#include "store/db.h"
#include "store/state.h"
#include "store_place.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

enum { NOBODY = 65534, CANNOT_TRY = 77 };

static void opens_new(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	struct stat st;
	assert_int_equal(stat(p.dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(p.db, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(p.wal, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	char lock[100], pid[32] = "", expected[32];
	snprintf(lock, sizeof lock, "%s/lock", p.dir);
	snprintf(expected, sizeof expected, "%d\n", (int)getpid());
	int fd = open(lock, O_RDONLY);
	assert_true(read(fd, pid, sizeof pid - 1) > 0);
	close(fd);
	assert_string_equal(pid, expected);
	assert_int_equal(version_of(&p, "none.example"), 0);
	assert_string_equal(p.err.text, "There is no site none.example.");
	place_done(&p);
}

static void tightens_an_open_directory(void **state)
{
	(void)state;
	struct place p;
	place_init(&p);
	assert_int_equal(mkdir(p.dir, 0700), 0);
	assert_int_equal(chmod(p.dir, 0755), 0);
	open_store(&p);
	struct stat st;
	assert_int_equal(stat(p.dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	place_done(&p);
}

/* Holds the lock of p in another process for `ms`; the child reports by a byte that it has it. */
static pid_t hold_lock(struct place *p, long ms)
{
	int ready[2];
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		int fd;
		if (!state_make(p->dir, &p->err) || !state_lock(p->dir, &fd, &p->err))
			_exit(1);
		(void)!write(ready[1], "", 1);
		const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
		nanosleep(&t, NULL);
		_exit(0);
	}
	char byte;
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void names_who_holds_the_lock(void **state)
{
	(void)state;
	struct place p;
	place_init(&p);
	pid_t pid = hold_lock(&p, 10000);
	int64_t began = clock_system.mono(&clock_system);
	char words[64];
	snprintf(words, sizeof words, "Another Everseal (process %d) uses the state directory ",
	        (int)pid);
	refused(&p, ERR_BUSY, words);
	int64_t waited = clock_system.mono(&clock_system) - began;
	assert_in_range(waited, 1900, 5000);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	open_store(&p);
	place_done(&p);
}

static void waits_for_a_predecessor(void **state)
{
	(void)state;
	struct place p;
	place_init(&p);
	pid_t pid = hold_lock(&p, 300);
	open_store(&p);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	place_done(&p);
}

static struct buf file_bytes(const char *path)
{
	struct buf b = BUF_INIT(1 << 24);
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	ssize_t n;
	do {
		char *room = buf_room(&b, 65536);
		n = read(fd, room, 65536);
		assert_true(n >= 0);
		buf_grew(&b, (size_t)n);
	} while (n);
	close(fd);
	return b;
}

static void write_at(const char *path, off_t at, const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, n, at), (ssize_t)n);
	close(fd);
}

static void garble_all(struct place *p)
{
	write_at(p->db, 0, "This is not a database, but a letter to my aunt.", 48);
}

static void garble_format(struct place *p)
{
	char bytes[100];
	memset(bytes, 0xa5, sizeof bytes);
	write_at(p->db, 16, bytes, 84);
}

static void shorten(struct place *p)
{
	assert_int_equal(truncate(p->db, 4096 * 3), 0);
}

static void garble_pages(struct place *p)
{
	char page[4096];
	memset(page, 0x5a, sizeof page);
	for (int i = 2; i < 12; i++)
		write_at(p->db, 4096 * i, page, sizeof page);
}

static void empty_with_log(struct place *p)
{
	write_at(p->wal, 0, "left over", 9);
	assert_int_equal(truncate(p->db, 0), 0);
}

static void without_file_but_log(struct place *p)
{
	write_at(p->wal, 0, "left over", 9);
	assert_int_equal(unlink(p->db), 0);
}

static void make_newer(struct place *p)
{
	write_at(p->db, 60, "\0\0\0\143", 4); /* user_version 99 */
}

static void make_foreign(struct place *p)
{
	write_at(p->db, 68, "\1\2\3\4", 4); /* application_id */
}

/* As after a crash: a log is left beside the file, which no refusal may write back. */
static void leave_log(struct place *p)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		open_store(p);
		save(p, "0.example.com", 1, "x");
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void leaves_alone_what_it_cannot_read(void **state)
{
	(void)state;
	static const struct {
		void (*spoil)(struct place *p);
		enum err_code code;
		const char *words;
	} cases[] = {
		{ garble_all, ERR_CORRUPT,
		        "put back a copy that was made while Everseal was stopped." },
		{ garble_format, ERR_CORRUPT, "is damaged" },
		{ shorten, ERR_CORRUPT, "is damaged" },
		{ garble_pages, ERR_CORRUPT, "is damaged" },
		{ empty_with_log, ERR_CORRUPT, "it is empty, but its -wal file is not" },
		{ make_newer, ERR_CONFLICT,
		        "was made by a newer Everseal (format 99, this program knows up to 1)" },
		{ make_foreign, ERR_CONFLICT, "is the database of another program" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct place p;
		place_open(&p);
		fill(&p, 200, 500);
		store_close(&p.store);
		leave_log(&p);
		cases[i].spoil(&p);
		BUF_AUTO before = file_bytes(p.db), log = file_bytes(p.wal);
		refused(&p, cases[i].code, cases[i].words);
		assert_non_null(strstr(p.err.text, p.db));
		BUF_AUTO after = file_bytes(p.db), log_after = file_bytes(p.wal);
		assert_true(str_eq(buf_str(&before), buf_str(&after)));
		assert_true(log.n && str_eq(buf_str(&log), buf_str(&log_after)));
		place_done(&p);
	}
	struct place p;
	place_open(&p);
	store_close(&p.store);
	without_file_but_log(&p);
	refused(&p, ERR_CORRUPT, "it is empty, but its -wal file is not");
	assert_int_equal(access(p.db, F_OK), -1);
	place_done(&p);
}

/* Too large to be checked at the start: the damage is met when it is read. */
static void meets_damage_later(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	fill(&p, 1000, 70 << 10);
	store_close(&p.store);
	char page[4096];
	memset(page, 0x5a, sizeof page);
	for (int i = 2; i < 100; i++)
		write_at(p.db, 4096 * i, page, sizeof page);
	open_store(&p);
	ARENA_AUTO a = ARENA_INIT;
	struct record record;
	bool ok = true;
	for (int i = 0; i < 1000 && ok; i++) {
		char id[32];
		snprintf(id, sizeof id, "%d.example.com", i);
		ok = store_get(p.store, &a, STR("site"), str_c(id), &record, &p.err);
		arena_clear(&a);
	}
	assert_false(ok);
	assert_int_equal(p.err.code, ERR_CORRUPT);
	assert_non_null(strstr(p.err.text, "is damaged"));
	place_done(&p);
}

static const char *const two_steps[] = {
	"SELECT 1",
	"ALTER TABLE record ADD COLUMN extra TEXT",
};
static const char *const bad_steps[] = {
	"SELECT 1",
	"ALTER TABLE record ADD COLUMN extra TEXT; UPDATE nowhere SET x = 1",
};

static int64_t number(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *stmt;
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	int64_t n = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return n;
}

static const struct db_schema newer = { 0x4576736c, two_steps, 2 };

/* A newer program migrates the database, writes into it, and is killed. */
static void migrate_and_die(struct place *p, bool proven)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		sqlite3 *db;
		int back;
		bool ok = db_open_writer(p->db, &newer, &db, &back, &p->err) && back == 0 &&
		          sqlite3_exec(db,
		                  "INSERT INTO record VALUES ('site', 'new', 1, '{}', x'', 'x')",
		                  NULL, NULL, NULL) == SQLITE_OK;
		_exit(ok && (!proven || db_proven(db, &newer, &p->err)) ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

struct beside {
	char before[120], after[120], log[124];
};

static struct beside beside(const struct place *p)
{
	struct beside b;
	snprintf(b.before, sizeof b.before, "%s.before-2", p->db);
	snprintf(b.after, sizeof b.after, "%s.after-2", p->db);
	snprintf(b.log, sizeof b.log, "%s-wal", b.before);
	return b;
}

static bool is_there(const char *path)
{
	struct stat st;
	if (stat(path, &st))
		return false;
	assert_int_equal(st.st_mode & 07777, 0600);
	return true;
}

static void filled(struct place *p)
{
	place_open(p);
	fill(p, 100, 100);
	store_close(&p->store);
}

static void migration_is_whole_or_not_at_all(void **state)
{
	(void)state;
	struct place p;
	filled(&p);
	const struct db_schema bad = { db_schema.application_id, bad_steps, 2 };
	sqlite3 *db;
	int back = 7;
	assert_false(db_open_writer(p.db, &bad, &db, &back, &p.err));
	assert_int_equal(back, 7);
	assert_true(db_open_writer(p.db, &db_schema, &db, &back, &p.err));
	assert_int_equal(back, 0);
	assert_int_equal(number(db, "SELECT count(*) FROM pragma_table_info('record')"), 5);
	db_close(&db);

	assert_true(db_open_writer(p.db, &newer, &db, &back, &p.err));
	assert_int_equal(number(db, "PRAGMA user_version"), 2);
	assert_int_equal(number(db, "SELECT count(*) FROM pragma_table_info('record')"), 6);
	assert_int_equal(number(db, "SELECT count(*) FROM record"), 100);
	assert_true(is_there(beside(&p).before));
	db_close(&db);
	place_done(&p);
}

/* The program before finds what it had; what the newer one has made of it is lost to nobody. */
static void an_unproven_migration_is_taken_back(void **state)
{
	(void)state;
	struct place p;
	sqlite3 *db;
	int back;
	filled(&p);
	const struct beside b = beside(&p);
	for (int times = 0; times < 2; times++) {
		migrate_and_die(&p, /* proven= */ false);
		if (times == 1) /* interrupted, the last time */
			assert_true(!unlink(b.after) && !link(p.db, b.after));
		open_store(&p);
		assert_int_equal(store_went_back(p.store), 2);
		assert_int_equal(version_of(&p, "99.example.com"), 1);
		assert_int_equal(version_of(&p, "new"), 0);
		assert_true(is_there(b.after) && !is_there(b.before) && !is_there(b.log));
		store_close(&p.store);
	}
	open_store(&p);
	assert_int_equal(store_went_back(p.store), 0);
	store_close(&p.store);

	assert_int_equal(rename(b.after, p.db), 0);
	assert_true(db_open_writer(p.db, &newer, &db, &back, &p.err));
	assert_int_equal(number(db, "SELECT count(*) FROM record"), 101);
	db_close(&db);
	place_done(&p);
}

/* Whose copy was removed, or is no database, is left as it is: nothing that was made since is
 * thrown away. */
static void a_proven_migration_is_not_taken_back(void **state)
{
	(void)state;
	struct place p;
	filled(&p);
	const struct beside b = beside(&p);
	migrate_and_die(&p, /* proven= */ true);
	assert_false(is_there(b.before));
	static const char *const copies[] = { NULL, "not a database", "" };
	for (size_t i = 0; i < 3; i++) {
		if (copies[i]) {
			unlink(b.before);
			write_at(b.before, 0, copies[i], strlen(copies[i]));
		}
		struct buf file = file_bytes(p.db), log = file_bytes(p.wal);
		refused(&p, ERR_CONFLICT,
		        "made by a newer Everseal (format 2, this program knows up to 1): install "
		        "that version again. The file was left as it is.");
		struct buf file_now = file_bytes(p.db), log_now = file_bytes(p.wal);
		assert_true(str_eq(buf_str(&file), buf_str(&file_now)));
		assert_true(str_eq(buf_str(&log), buf_str(&log_now)));
		buf_done(&file);
		buf_done(&log);
		buf_done(&file_now);
		buf_done(&log_now);
	}
	assert_false(is_there(b.after));
	place_done(&p);
}

static void safe_settings(void **state)
{
	(void)state;
	static const struct {
		const char *sql;
		int64_t value;
	} cases[] = {
		{ "PRAGMA synchronous", 2 },
		{ "PRAGMA cell_size_check", 1 },
		{ "PRAGMA secure_delete", 1 },
		{ "PRAGMA trusted_schema", 0 },
		{ "PRAGMA user_version", 1 },
		{ "PRAGMA application_id", 0x4576736c },
		{ "PRAGMA wal_autocheckpoint", 1000 },
		{ "SELECT strict FROM pragma_table_list('record')", 1 },
	};
	struct place p;
	place_open(&p);
	store_close(&p.store);
	sqlite3 *db;
	int back;
	assert_true(db_open_writer(p.db, &db_schema, &db, &back, &p.err));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(number(db, cases[i].sql), cases[i].value);
	db_close(&db);
	place_done(&p);
}

/* Runs in a child of its own, which may give up rights or mount; 0 is success. */
typedef int try_it(struct place *p);

static void in_child(struct place *p, try_it *try)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		_exit(try(p));
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_TRY) {
		place_done(p);
		skip();
	}
	assert_int_equal(status, 0);
}

static int expect_refusal(struct place *p, enum err_code code, const char *words)
{
	p->store = store_open(p->loop, p->dir, &p->err);
	if (!p->store && p->err.code == code && strstr(p->err.text, words))
		return 0;
	fprintf(stderr, "# wanted \"%s\", got \"%s\"\n", words, p->store ? "" : p->err.text);
	return 1;
}

static bool become_nobody(void)
{
	return geteuid() || (!setgroups(0, NULL) && !setresgid(NOBODY, NOBODY, NOBODY) &&
	                            !setresuid(NOBODY, NOBODY, NOBODY));
}

static int try_forbidden(struct place *p)
{
	return become_nobody() ? expect_refusal(p, ERR_PERMISSION, "may not write ") : CANNOT_TRY;
}

static void give_to_nobody(const char *path)
{
	if (!geteuid())
		assert_int_equal(chown(path, NOBODY, NOBODY), 0);
}

static void says_that_it_may_not_write(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	store_close(&p.store);
	char lock[100];
	snprintf(lock, sizeof lock, "%s/lock", p.dir);
	assert_int_equal(chmod(p.top, 0755), 0);
	give_to_nobody(p.dir);
	give_to_nobody(p.db);
	give_to_nobody(lock);

	assert_int_equal(chmod(p.db, 0400), 0);
	in_child(&p, try_forbidden);
	assert_int_equal(chmod(p.db, 0600), 0);
	assert_int_equal(chmod(p.dir, 0500), 0);
	in_child(&p, try_forbidden);
	assert_int_equal(unlink(lock), 0);
	in_child(&p, try_forbidden);
	assert_int_equal(chmod(p.dir, 0), 0);
	in_child(&p, try_forbidden);
	assert_int_equal(chmod(p.dir, 0700), 0);
	place_done(&p);
}

static bool own_mounts(void)
{
	return !unshare(CLONE_NEWNS) && !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

static int try_read_only(struct place *p)
{
	if (!own_mounts() || mount(p->dir, p->dir, NULL, MS_BIND, NULL) ||
	        mount("none", p->dir, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL))
		return CANNOT_TRY;
	return expect_refusal(p, ERR_IO, "lies on a file system that is mounted read-only");
}

static void says_that_the_disk_is_read_only(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	store_close(&p.store);
	in_child(&p, try_read_only);
	place_done(&p);
}

/* A disk of 1 MiB: what fits is saved, what does not is refused with a sentence, and afterwards
 * what fits is saved again. */
static int try_full(struct place *p)
{
	if (!own_mounts() || mount("none", p->dir, "tmpfs", 0, "size=1m"))
		return CANNOT_TRY;
	static char large[2 << 20];
	struct writing w = { 0 };
	open_store(p);
	save(p, "a", 0, "1");
	store_tx_put(&w.tx, STR("site"), STR("b"), 0, STR("x"), str_n(large, sizeof large));
	put(&w, "a", 1, "2");
	start(p, &w);
	writing_wait(p, &w);
	if (w.err.code != ERR_IO || !strstr(w.err.text, "There is no room left on the disk for ")) {
		fprintf(stderr, "# %s\n", w.err.text);
		return 1;
	}
	if (version_of(p, "a") != 1 || version_of(p, "b") != 0)
		return 2;
	save(p, "a", 1, "2");
	store_close(&p->store);
	open_store(p);
	int failed = version_of(p, "a") != 2;
	store_close(&p->store);
	return failed;
}

static void survives_a_full_disk(void **state)
{
	(void)state;
	struct place p;
	place_init(&p);
	assert_int_equal(mkdir(p.dir, 0700), 0);
	in_child(&p, try_full);
	place_done(&p);
}

static void refuses_impossible_places(void **state)
{
	(void)state;
	struct place p;
	place_init(&p);
	char dir[80];
	memcpy(dir, p.dir, sizeof dir);
	snprintf(p.dir, sizeof p.dir, "%s/no/state", p.top);
	refused(&p, ERR_NOT_FOUND, "the folder above it does not exist");
	memcpy(p.dir, dir, sizeof dir);
	write_at(p.dir, 0, "x", 1);
	refused(&p, ERR_INPUT, "is not a directory");
	place_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_new),
		cmocka_unit_test(tightens_an_open_directory),
		cmocka_unit_test(names_who_holds_the_lock),
		cmocka_unit_test(waits_for_a_predecessor),
		cmocka_unit_test(leaves_alone_what_it_cannot_read),
		cmocka_unit_test(meets_damage_later),
		cmocka_unit_test(migration_is_whole_or_not_at_all),
		cmocka_unit_test(an_unproven_migration_is_taken_back),
		cmocka_unit_test(a_proven_migration_is_not_taken_back),
		cmocka_unit_test(safe_settings),
		cmocka_unit_test(says_that_it_may_not_write),
		cmocka_unit_test(says_that_the_disk_is_read_only),
		cmocka_unit_test(survives_a_full_disk),
		cmocka_unit_test(refuses_impossible_places),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
