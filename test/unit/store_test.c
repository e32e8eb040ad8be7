#include "base/buf.h"
#include "store/db.h"
#include "store/internal.h"
#include "store/state.h"
#include "store/store.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { NOBODY = 65534, CANNOT_TRY = 77 };

/* A state directory of its own for each case. */
struct place {
	char top[64], dir[80], db[100], wal[104];
	struct loop *loop;
	struct store *store;
	struct err err;
};

static void place_init(struct place *p)
{
	*p = (struct place){ 0 };
	snprintf(p->top, sizeof p->top, "/tmp/everseal-store-XXXXXX");
	assert_non_null(mkdtemp(p->top));
	snprintf(p->dir, sizeof p->dir, "%s/state", p->top);
	snprintf(p->db, sizeof p->db, "%s/everseal.db", p->dir);
	snprintf(p->wal, sizeof p->wal, "%s-wal", p->db);
	p->loop = loop_new(&clock_system);
}

static void run_program(const char *name, const char *argument)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		execlp(name, name, "-rf", argument, (char *)NULL);
		_exit(127);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void place_done(struct place *p)
{
	store_close(&p->store);
	loop_free(&p->loop);
	run_program("rm", p->top);
}

static void open_store(struct place *p)
{
	p->store = store_open(p->loop, p->dir, &p->err);
	if (!p->store)
		fail_msg("%s", p->err.text);
}

static void place_open(struct place *p)
{
	place_init(p);
	open_store(p);
}

static void refused(struct place *p, enum err_code code, const char *words)
{
	p->store = store_open(p->loop, p->dir, &p->err);
	assert_null(p->store);
	if (p->err.code != code || !strstr(p->err.text, words))
		fail_msg("wanted %s \"%s\", got %s \"%s\"", err_code_name(code), words,
		        err_code_name(p->err.code), p->err.text);
	size_t n = strlen(p->err.text);
	assert_true(n && p->err.text[n - 1] == '.');
}

/* A transaction that remembers how it ended. */
struct wish {
	struct store_tx tx;
	int ended, order;
	struct err err;
};
static int order;

static void wish_done(struct store_tx *tx, const struct err *err)
{
	struct wish *w = OWNER(tx, struct wish, tx);
	w->ended++;
	w->order = ++order;
	w->err = err ? *err : (struct err)ERR_INIT;
}

static void wish_wait(struct place *p, struct wish *w)
{
	while (!w->ended)
		loop_turn(p->loop, -1);
}

static void put(struct wish *w, const char *id, int64_t replaces, const char *value)
{
	store_tx_put(&w->tx, STR("site"), str_c(id), replaces, str_c(value), STR("blob"));
}

static void start(struct place *p, struct wish *w)
{
	w->ended = 0;
	store_tx_start(p->store, &w->tx, wish_done);
	assert_int_equal(w->ended, 0);
}

static void save(struct place *p, const char *id, int64_t replaces, const char *value)
{
	struct wish w = { 0 };
	put(&w, id, replaces, value);
	start(p, &w);
	wish_wait(p, &w);
	if (w.err.code)
		fail_msg("%s", w.err.text);
}

static int64_t version_of(struct place *p, const char *id)
{
	ARENA_AUTO a = ARENA_INIT;
	struct record r;
	if (store_get(p->store, &a, STR("site"), str_c(id), &r, &p->err))
		return r.version;
	assert_int_equal(p->err.code, ERR_NOT_FOUND);
	return 0;
}

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

static void keeps_bytes(void **state)
{
	(void)state;
	static const struct {
		struct str id, value, blob;
	} cases[] = {
		{ STR_INIT("plain"), STR_INIT("{\"a\":1}"), STR_INIT("blob") },
		{ STR_INIT("empty"), { NULL, 0 }, { NULL, 0 } },
		{ STR_INIT("nul\0in it"), STR_INIT("a\0b"), STR_INIT("\0\377\0") },
		{ STR_INIT("' OR 1 --"), STR_INIT("';"), STR_INIT("\"") },
	};
	struct place p;
	place_open(&p);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct wish w = { 0 };
		store_tx_put(&w.tx, STR("k"), cases[i].id, 0, cases[i].value, cases[i].blob);
		start(&p, &w);
		wish_wait(&p, &w);
		assert_int_equal(w.err.code, ERR_NONE);
	}
	store_close(&p.store);
	open_store(&p);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ARENA_AUTO a = ARENA_INIT;
		struct record r;
		assert_true(store_get(p.store, &a, STR("k"), cases[i].id, &r, &p.err));
		assert_true(str_eq(r.kind, STR("k")) && str_eq(r.id, cases[i].id));
		assert_true(str_eq(r.value, cases[i].value) && str_eq(r.blob, cases[i].blob));
		assert_int_equal(r.version, 1);
	}
	place_done(&p);
}

static void counts_versions(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	for (int64_t v = 0; v < 5; v++) {
		save(&p, "a", v, "x");
		assert_int_equal(version_of(&p, "a"), v + 1);
	}
	struct wish w = { 0 };
	store_tx_delete(&w.tx, STR("site"), STR("a"), 5);
	start(&p, &w);
	wish_wait(&p, &w);
	assert_int_equal(w.err.code, ERR_NONE);
	assert_int_equal(version_of(&p, "a"), 0);
	save(&p, "a", 0, "again");
	assert_int_equal(version_of(&p, "a"), 1);
	place_done(&p);
}

static void refuses_what_changed(void **state)
{
	(void)state;
	static const struct {
		const char *id;
		bool removes;
		int64_t replaces;
		const char *sentence;
	} cases[] = {
		{ "there", false, 0,
		        "There already is a site there: look at it before you repeat the change." },
		{ "there", false, 1,
		        "The site there was changed meanwhile (it is at version 2, not 1): look at "
		        "it again before you repeat the change." },
		{ "there", false, 3,
		        "The site there was changed meanwhile (it is at version 2, not 3): look at "
		        "it again before you repeat the change." },
		{ "there", true, 1,
		        "The site there was changed meanwhile (it is at version 2, not 1): look at "
		        "it again before you repeat the change." },
		{ "gone", false, 1,
		        "The site gone was removed meanwhile: look at it again before you repeat "
		        "the change." },
		{ "gone", true, 1,
		        "The site gone was removed meanwhile: look at it again before you repeat "
		        "the change." },
		{ "gone", true, 0,
		        "The site gone was removed meanwhile: look at it again before you repeat "
		        "the change." },
	};
	struct place p;
	place_open(&p);
	save(&p, "there", 0, "1");
	save(&p, "there", 1, "2");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct wish w = { 0 };
		if (cases[i].removes)
			store_tx_delete(&w.tx, STR("site"), str_c(cases[i].id), cases[i].replaces);
		else
			put(&w, cases[i].id, cases[i].replaces, "new");
		start(&p, &w);
		wish_wait(&p, &w);
		assert_int_equal(w.err.code, ERR_CONFLICT);
		assert_string_equal(w.err.text, cases[i].sentence);
		assert_int_equal(version_of(&p, "there"), 2);
		assert_int_equal(version_of(&p, "gone"), 0);
	}
	place_done(&p);
}

static void a_conflict_fails_alone(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	save(&p, "x", 0, "1");
	struct wish w[4] = { 0 };
	put(&w[0], "a", 0, "1");
	put(&w[1], "b", 0, "1"); /* good by itself, must not stay */
	put(&w[1], "x", 7, "1");
	put(&w[1], "c", 0, "1");
	put(&w[2], "x", 1, "2");
	put(&w[3], "x", 2, "3"); /* sees what went before in the same turn */
	order = 0;
	for (int i = 0; i < 4; i++)
		start(&p, &w[i]);
	wish_wait(&p, &w[3]);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(w[i].ended, 1);
		assert_int_equal(w[i].order, i + 1);
		assert_int_equal(w[i].err.code, i == 1 ? ERR_CONFLICT : ERR_NONE);
	}
	assert_int_equal(version_of(&p, "a"), 1);
	assert_int_equal(version_of(&p, "b"), 0);
	assert_int_equal(version_of(&p, "c"), 0);
	assert_int_equal(version_of(&p, "x"), 3);
	place_done(&p);
}

/* Frames of the log that end a transaction: those with a database size in bytes 4–7. */
static int commits_in_log(const char *wal)
{
	enum { HEADER = 32, FRAME = 24 + 4096 };
	unsigned char frame[FRAME];
	int commits = 0;
	int fd = open(wal, O_RDONLY);
	assert_true(fd >= 0);
	for (off_t at = HEADER; pread(fd, frame, FRAME, at) == FRAME; at += FRAME)
		commits += frame[4] || frame[5] || frame[6] || frame[7];
	close(fd);
	return commits;
}

static void one_turn_is_one_commit(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	int before = commits_in_log(p.wal);
	struct wish w[50] = { 0 };
	for (int i = 0; i < 50; i++) {
		char id[16];
		snprintf(id, sizeof id, "%d", i);
		put(&w[i], id, 0, "x");
		start(&p, &w[i]);
	}
	wish_wait(&p, &w[0]);
	for (int i = 0; i < 50; i++)
		assert_int_equal(w[i].ended, 1);
	assert_int_equal(commits_in_log(p.wal), before + 1);
	place_done(&p);
}

static void an_empty_transaction_ends_well(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	struct wish w;
	store_tx_init(&w.tx);
	start(&p, &w);
	wish_wait(&p, &w);
	assert_int_equal(w.err.code, ERR_NONE);
	place_done(&p);
}

/* Its `done` fills and starts it anew. */
struct again {
	struct store_tx tx;
	struct store *store;
	int64_t version;
};

static void again_done(struct store_tx *tx, const struct err *err)
{
	struct again *a = OWNER(tx, struct again, tx);
	assert_null(err);
	if (++a->version == 3)
		return;
	store_tx_put(tx, STR("site"), STR("again"), a->version, STR("x"), STR_NONE);
	store_tx_start(a->store, tx, again_done);
}

static void a_transaction_can_be_used_again(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	struct again a = { .store = p.store, .version = -1 };
	store_tx_start(p.store, &a.tx, again_done);
	while (a.version < 3)
		loop_turn(p.loop, -1);
	assert_int_equal(version_of(&p, "again"), 3);
	place_done(&p);
}

/* Watches write what they hear into one line of text. */
static struct buf heard = BUF_INIT(10000);
static struct wish *watched_wish;

struct ear {
	struct store_watch watch;
	char name;
	struct store_watch *stops;
	struct ear *starts;
	struct store *store;
};

static void ear_changed(struct store_watch *w, struct str kind, struct str id, int64_t version)
{
	struct ear *e = OWNER(w, struct ear, watch);
	if (watched_wish)
		assert_int_equal(watched_wish->ended, 0);
	buf_printf(&heard, "%c:%.*s/%.*s=%lld ", e->name, STR_ARG(kind), STR_ARG(id),
	        (long long)version);
	if (e->stops)
		store_watch_stop(e->stops);
	if (e->starts)
		store_watch_start(e->store, &e->starts->watch, STR_NONE, ear_changed);
	e->stops = NULL;
	e->starts = NULL;
}

static void hears(const char *expected)
{
	assert_string_equal(buf_c(&heard), expected);
	buf_clear(&heard);
}

static void watches_hear_before_done(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	save(&p, "old", 0, "x");
	struct ear all = { .name = 'a' }, sites = { .name = 's' }, other = { .name = 'o' };
	store_watch_start(p.store, &all.watch, STR_NONE, ear_changed);
	store_watch_start(p.store, &sites.watch, STR("site"), ear_changed);
	store_watch_start(p.store, &other.watch, STR("other"), ear_changed);

	struct wish w = { 0 }, bad = { 0 };
	watched_wish = &w;
	put(&bad, "old", 9, "x");
	start(&p, &bad);
	put(&w, "new", 0, "x");
	store_tx_put(&w.tx, STR("cert"), STR("c"), 0, STR("x"), STR_NONE);
	store_tx_delete(&w.tx, STR("site"), STR("old"), 1);
	start(&p, &w);
	wish_wait(&p, &w);
	watched_wish = NULL;
	hears("a:site/new=1 s:site/new=1 a:cert/c=1 a:site/old=0 s:site/old=0 ");

	store_watch_stop(&all.watch);
	store_watch_stop(&all.watch);
	save(&p, "new", 1, "y");
	hears("s:site/new=2 ");
	place_done(&p);
	store_watch_stop(&sites.watch);
	buf_done(&heard);
}

static void watches_may_come_and_go(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	struct ear a = { .name = 'a' }, b = { .name = 'b' }, c = { .name = 'c' },
	           d = { .name = 'd' };
	store_watch_start(p.store, &a.watch, STR_NONE, ear_changed);
	store_watch_start(p.store, &b.watch, STR_NONE, ear_changed);
	store_watch_start(p.store, &c.watch, STR_NONE, ear_changed);
	a.stops = &b.watch;
	a.starts = &d;
	a.store = p.store;
	c.stops = &c.watch;
	save(&p, "x", 0, "1");
	hears("a:site/x=1 c:site/x=1 ");
	save(&p, "x", 1, "1");
	hears("a:site/x=2 d:site/x=2 ");
	place_done(&p);
	buf_done(&heard);
}

static void abort_means_never(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	struct wish w[3] = { 0 };
	store_tx_abort(&w[0].tx);
	put(&w[0], "filled only", 0, "x");
	store_tx_abort(&w[0].tx);
	put(&w[1], "started", 0, "x");
	start(&p, &w[1]);
	store_tx_abort(&w[1].tx);
	store_tx_abort(&w[1].tx);
	put(&w[2], "stays", 0, "x");
	start(&p, &w[2]);
	wish_wait(&p, &w[2]);
	assert_int_equal(w[0].ended + w[1].ended, 0);
	assert_int_equal(version_of(&p, "filled only"), 0);
	assert_int_equal(version_of(&p, "stays"), 1);
	put(&w[1], "later", 0, "x");
	start(&p, &w[1]);
	wish_wait(&p, &w[1]);
	assert_int_equal(version_of(&p, "later"), 1);
	place_done(&p);
}

/* Its `done` aborts the other, then frees itself. */
struct killer {
	struct store_tx tx;
	struct store_tx *victim;
	bool *ended;
};

static void kill_other(struct store_tx *tx, const struct err *err)
{
	struct killer *k = OWNER(tx, struct killer, tx);
	assert_null(err);
	store_tx_abort(k->victim);
	*k->ended = true;
	free(k);
}

static void done_may_abort_and_free(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	bool ended = false;
	struct wish victim = { 0 }, last = { 0 };
	struct killer *k = mem_new(struct killer);
	k->victim = &victim.tx;
	k->ended = &ended;
	store_tx_put(&k->tx, STR("site"), STR("killer"), 0, STR("x"), STR_NONE);
	store_tx_start(p.store, &k->tx, kill_other);
	put(&victim, "victim", 0, "x");
	start(&p, &victim);
	put(&last, "last", 0, "x");
	start(&p, &last);
	wish_wait(&p, &last);
	assert_true(ended);
	assert_int_equal(victim.ended, 0);
	assert_int_equal(version_of(&p, "victim"), 1);
	place_done(&p);
}

static void close_writes_what_was_asked_for(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	struct wish w[3] = { 0 };
	struct ear ear = { .name = 'e' };
	store_watch_start(p.store, &ear.watch, STR_NONE, ear_changed);
	put(&w[0], "handed over", 0, "x");
	start(&p, &w[0]);
	loop_turn(p.loop, 0);
	int early = w[0].ended;
	buf_clear(&heard);
	put(&w[1], "this turn", 0, "x");
	start(&p, &w[1]);
	store_close(&p.store);
	assert_null(p.store);
	store_close(&p.store);
	assert_int_equal(w[0].ended, early);
	assert_int_equal(w[1].ended, 0);
	hears("");
	store_tx_abort(&w[1].tx);
	open_store(&p);
	assert_int_equal(version_of(&p, "handed over"), 1);
	assert_int_equal(version_of(&p, "this turn"), 1);
	place_done(&p);
	buf_done(&heard);
}

struct reading {
	struct store_scan scan;
	struct place *place;
	int left;
	bool nested;
	struct buf text;
};

static bool read_one(struct store_scan *scan, const struct record *record)
{
	struct reading *r = OWNER(scan, struct reading, scan);
	assert_true(str_eq(record->kind, STR("site")));
	assert_true(str_eq(record->blob, STR("blob")));
	buf_printf(&r->text, "%.*s=%.*s@%lld ", STR_ARG(record->id), STR_ARG(record->value),
	        (long long)record->version);
	if (r->nested) {
		struct reading inner = {
			.scan.each = read_one, .left = 99, .text = BUF_INIT(1000)
		};
		assert_true(store_each(r->place->store, STR("site"), &inner.scan, &r->place->err));
		buf_printf(&r->text, "(%.*s) ", STR_ARG(buf_str(&inner.text)));
		buf_done(&inner.text);
		assert_int_equal(version_of(r->place, "b"), 2);
	}
	return --r->left > 0;
}

static void reads(struct place *p, int left, bool nested, const char *expected)
{
	struct reading r = {
		.scan.each = read_one,
		.place = p,
		.left = left,
		.nested = nested,
		.text = BUF_INIT(10000),
	};
	assert_true(store_each(p->store, STR("site"), &r.scan, &p->err));
	assert_string_equal(buf_c(&r.text), expected);
	buf_done(&r.text);
}

static void scans_by_id(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	reads(&p, 99, false, "");
	save(&p, "c", 0, "3");
	save(&p, "a", 0, "1");
	save(&p, "b", 0, "2");
	save(&p, "b", 1, "22");
	struct wish other = { 0 };
	store_tx_put(&other.tx, STR("sitf"), STR("a"), 0, STR("x"), STR_NONE);
	store_tx_put(&other.tx, STR("sit"), STR("z"), 0, STR("x"), STR_NONE);
	start(&p, &other);
	wish_wait(&p, &other);
	reads(&p, 99, false, "a=1@1 b=22@2 c=3@1 ");
	reads(&p, 2, false, "a=1@1 b=22@2 ");
	reads(&p, 2, true, "a=1@1 (a=1@1 b=22@2 c=3@1 ) b=22@2 (a=1@1 b=22@2 c=3@1 ) ");
	reads(&p, 99, false, "a=1@1 b=22@2 c=3@1 ");
	place_done(&p);
}

static void reads_leave_nothing_open(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	save(&p, "a", 0, "1");
	save(&p, "b", 0, "1");
	sqlite3 *db = p.store->reader.db;
	assert_int_equal(version_of(&p, "a"), 1);
	assert_int_equal(sqlite3_txn_state(db, NULL), SQLITE_TXN_NONE);
	assert_int_equal(version_of(&p, "none"), 0);
	assert_int_equal(sqlite3_txn_state(db, NULL), SQLITE_TXN_NONE);
	reads(&p, 1, false, "a=1@1 ");
	assert_int_equal(sqlite3_txn_state(db, NULL), SQLITE_TXN_NONE);
	assert_int_equal(sqlite3_db_readonly(db, "main"), 1);
	assert_int_not_equal(sqlite3_exec(db, "DELETE FROM record", NULL, NULL, NULL), SQLITE_OK);
	assert_int_not_equal(sqlite3_wal_checkpoint(db, NULL), SQLITE_OK);
	place_done(&p);
}

static void not_yet(struct timer *t)
{
	(void)t;
	fail_msg("the fake clock ran ahead of a write");
}

static void a_fake_clock_waits_for_writes(void **state)
{
	(void)state;
	struct place p;
	place_init(&p);
	loop_free(&p.loop);
	struct clock_fake clock;
	clock_fake_init(&clock, 0);
	p.loop = loop_new(&clock.clock);
	open_store(&p);
	struct timer t = { 0 };
	timer_start(&t, p.loop, 5, not_yet);
	for (int64_t v = 0; v < 20; v++)
		save(&p, "a", v, "x");
	timer_stop(&t);
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

static void fill(struct place *p, int records, size_t blob_bytes)
{
	char *blob = mem_alloc(blob_bytes);
	memset(blob, 'b', blob_bytes);
	struct wish w = { 0 };
	for (int i = 0; i < records; i++) {
		char id[32];
		snprintf(id, sizeof id, "%d.example.com", i);
		store_tx_put(&w.tx, STR("site"), str_c(id), 0, STR("{}"), str_n(blob, blob_bytes));
	}
	start(p, &w);
	wish_wait(p, &w);
	assert_int_equal(w.err.code, ERR_NONE);
	free(blob);
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
		{ garble_all, ERR_CORRUPT, "bring back a backup with everseal restore." },
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

static void migration_keeps_a_copy(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	fill(&p, 100, 100);
	store_close(&p.store);

	const struct db_schema good = { db_schema.application_id, two_steps, 2 };
	const struct db_schema bad = { db_schema.application_id, bad_steps, 2 };
	sqlite3 *db;
	assert_false(db_open_writer(p.db, &bad, &db, &p.err));
	assert_true(db_open_writer(p.db, &db_schema, &db, &p.err));
	assert_int_equal(number(db, "SELECT count(*) FROM pragma_table_info('record')"), 5);
	db_close(&db);

	assert_true(db_open_writer(p.db, &good, &db, &p.err));
	assert_int_equal(number(db, "PRAGMA user_version"), 2);
	assert_int_equal(number(db, "SELECT count(*) FROM pragma_table_info('record')"), 6);
	assert_int_equal(number(db, "SELECT count(*) FROM record"), 100);
	db_close(&db);
	refused(&p, ERR_CONFLICT, "made by a newer Everseal (format 2,");

	char copy[120];
	snprintf(copy, sizeof copy, "%s.before-2", p.db);
	struct stat st;
	assert_int_equal(stat(copy, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(rename(copy, p.db), 0);
	open_store(&p);
	assert_int_equal(version_of(&p, "99.example.com"), 1);
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
	assert_true(db_open_writer(p.db, &db_schema, &db, &p.err));
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
	struct wish w = { 0 };
	open_store(p);
	save(p, "a", 0, "1");
	store_tx_put(&w.tx, STR("site"), STR("b"), 0, STR("x"), str_n(large, sizeof large));
	put(&w, "a", 1, "2");
	start(p, &w);
	wish_wait(p, &w);
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

static int64_t since(int64_t began)
{
	return clock_system.mono(&clock_system) - began;
}

/* Limits are wide, for sanitizers and busy machines; the figure is printed. */
static void fast_writes(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	static struct wish w[10000];
	memset(w, 0, sizeof w);
	int64_t began = since(0);
	for (int turn = 0; turn < 100; turn++) {
		for (int i = turn * 100; i < turn * 100 + 100; i++) {
			char id[32];
			snprintf(id, sizeof id, "%d.example.com", i);
			put(&w[i], id, 0, "{\"names\":[\"example.com\"]}");
			start(&p, &w[i]);
		}
		wish_wait(&p, &w[turn * 100 + 99]);
	}
	int64_t took = since(began);
	print_message("# 10,000 transactions in 100 turns: %lld ms\n", (long long)took);
	for (int i = 0; i < 10000; i++)
		assert_true(w[i].ended == 1 && !w[i].err.code);
	assert_in_range(took, 0, 30000);
	place_done(&p);
}

struct counting {
	struct store_scan scan;
	size_t records, bytes;
};

static bool count_one(struct store_scan *scan, const struct record *record)
{
	struct counting *c = OWNER(scan, struct counting, scan);
	c->records++;
	c->bytes += record->blob.n;
	return true;
}

static void fast_scan(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	fill(&p, 100000, 1024);
	store_close(&p.store);
	int64_t began = since(0);
	open_store(&p);
	int64_t opened = since(began);
	struct counting c = { .scan.each = count_one };
	began = since(0);
	assert_true(store_each(p.store, STR("site"), &c.scan, &p.err));
	int64_t took = since(began);
	print_message("# 100,000 records of 1 KiB: opened in %lld ms, scanned in %lld ms\n",
	        (long long)opened, (long long)took);
	assert_int_equal(c.records, 100000);
	assert_int_equal(c.bytes, 100000 * 1024);
	assert_in_range(took, 0, 5000);
	place_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_new),
		cmocka_unit_test(tightens_an_open_directory),
		cmocka_unit_test(keeps_bytes),
		cmocka_unit_test(counts_versions),
		cmocka_unit_test(refuses_what_changed),
		cmocka_unit_test(a_conflict_fails_alone),
		cmocka_unit_test(one_turn_is_one_commit),
		cmocka_unit_test(an_empty_transaction_ends_well),
		cmocka_unit_test(a_transaction_can_be_used_again),
		cmocka_unit_test(watches_hear_before_done),
		cmocka_unit_test(watches_may_come_and_go),
		cmocka_unit_test(abort_means_never),
		cmocka_unit_test(done_may_abort_and_free),
		cmocka_unit_test(close_writes_what_was_asked_for),
		cmocka_unit_test(scans_by_id),
		cmocka_unit_test(reads_leave_nothing_open),
		cmocka_unit_test(a_fake_clock_waits_for_writes),
		cmocka_unit_test(names_who_holds_the_lock),
		cmocka_unit_test(waits_for_a_predecessor),
		cmocka_unit_test(leaves_alone_what_it_cannot_read),
		cmocka_unit_test(meets_damage_later),
		cmocka_unit_test(migration_keeps_a_copy),
		cmocka_unit_test(safe_settings),
		cmocka_unit_test(says_that_it_may_not_write),
		cmocka_unit_test(says_that_the_disk_is_read_only),
		cmocka_unit_test(survives_a_full_disk),
		cmocka_unit_test(refuses_impossible_places),
		cmocka_unit_test(fast_writes),
		cmocka_unit_test(fast_scan),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
