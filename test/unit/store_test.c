/* Records, transactions, watches, scans; opening is in store_open_test.c. */
#include "base/buf.h"
#include "store_place.h"
#include <fcntl.h>

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
		struct writing w = { 0 };
		store_tx_put(&w.tx, STR("k"), cases[i].id, 0, cases[i].value, cases[i].blob);
		start(&p, &w);
		writing_wait(&p, &w);
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
	struct writing w = { 0 };
	store_tx_delete(&w.tx, STR("site"), STR("a"), 5);
	start(&p, &w);
	writing_wait(&p, &w);
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
		        "The site there is there already: look at it before you repeat the "
		        "change." },
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
		struct writing w = { 0 };
		if (cases[i].removes)
			store_tx_delete(&w.tx, STR("site"), str_c(cases[i].id), cases[i].replaces);
		else
			put(&w, cases[i].id, cases[i].replaces, "new");
		start(&p, &w);
		writing_wait(&p, &w);
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
	struct writing w[4] = { 0 };
	put(&w[0], "a", 0, "1");
	put(&w[1], "b", 0, "1"); /* good by itself, must not stay */
	put(&w[1], "x", 7, "1");
	put(&w[1], "c", 0, "1");
	put(&w[2], "x", 1, "2");
	put(&w[3], "x", 2, "3"); /* sees what went before in the same turn */
	order = 0;
	for (int i = 0; i < 4; i++)
		start(&p, &w[i]);
	writing_wait(&p, &w[3]);
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
	struct writing w[50] = { 0 };
	for (int i = 0; i < 50; i++) {
		char id[16];
		snprintf(id, sizeof id, "%d", i);
		put(&w[i], id, 0, "x");
		start(&p, &w[i]);
	}
	writing_wait(&p, &w[0]);
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
	struct writing w;
	store_tx_init(&w.tx);
	start(&p, &w);
	writing_wait(&p, &w);
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
static struct writing *watched_writing;

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
	if (watched_writing)
		assert_int_equal(watched_writing->ended, 0);
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

	struct writing w = { 0 }, bad = { 0 };
	watched_writing = &w;
	put(&bad, "old", 9, "x");
	start(&p, &bad);
	put(&w, "new", 0, "x");
	store_tx_put(&w.tx, STR("cert"), STR("c"), 0, STR("x"), STR_NONE);
	store_tx_delete(&w.tx, STR("site"), STR("old"), 1);
	start(&p, &w);
	writing_wait(&p, &w);
	watched_writing = NULL;
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
	struct writing w[3] = { 0 };
	store_tx_abort(&w[0].tx);
	put(&w[0], "filled only", 0, "x");
	store_tx_abort(&w[0].tx);
	put(&w[1], "started", 0, "x");
	start(&p, &w[1]);
	store_tx_abort(&w[1].tx);
	store_tx_abort(&w[1].tx);
	put(&w[2], "stays", 0, "x");
	start(&p, &w[2]);
	writing_wait(&p, &w[2]);
	assert_int_equal(w[0].ended + w[1].ended, 0);
	assert_int_equal(version_of(&p, "filled only"), 0);
	assert_int_equal(version_of(&p, "stays"), 1);
	put(&w[1], "later", 0, "x");
	start(&p, &w[1]);
	writing_wait(&p, &w[1]);
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
	struct writing victim = { 0 }, last = { 0 };
	struct killer *k = mem_new(struct killer);
	k->victim = &victim.tx;
	k->ended = &ended;
	store_tx_put(&k->tx, STR("site"), STR("killer"), 0, STR("x"), STR_NONE);
	store_tx_start(p.store, &k->tx, kill_other);
	put(&victim, "victim", 0, "x");
	start(&p, &victim);
	put(&last, "last", 0, "x");
	start(&p, &last);
	writing_wait(&p, &last);
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
	struct writing w[3] = { 0 };
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
	struct writing other = { 0 };
	store_tx_put(&other.tx, STR("sitf"), STR("a"), 0, STR("x"), STR_NONE);
	store_tx_put(&other.tx, STR("sit"), STR("z"), 0, STR("x"), STR_NONE);
	start(&p, &other);
	writing_wait(&p, &other);
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
	static struct writing w[10000];
	memset(w, 0, sizeof w);
	int64_t began = since(0);
	for (int turn = 0; turn < 100; turn++) {
		for (int i = turn * 100; i < turn * 100 + 100; i++) {
			char id[32];
			snprintf(id, sizeof id, "%d.example.com", i);
			put(&w[i], id, 0, "{\"names\":[\"example.com\"]}");
			start(&p, &w[i]);
		}
		writing_wait(&p, &w[turn * 100 + 99]);
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

/* ---- where the fence leaves no room for temporary files ---- */

static sqlite3_vfs *real_vfs;
static int temporary_files;

/* sqlite.org/vfs: a file without a name is a temporary one. */
static int open_named(
        sqlite3_vfs *v, sqlite3_filename name, sqlite3_file *f, int flags, int *ret_flags)
{
	(void)v;
	if (name)
		return real_vfs->xOpen(real_vfs, name, f, flags, ret_flags);
	temporary_files++;
	f->pMethods = NULL;
	return SQLITE_CANTOPEN;
}

static void prunes_without_temporary_files(void **state)
{
	(void)state;
	real_vfs = sqlite3_vfs_find(NULL);
	sqlite3_vfs fenced = *real_vfs;
	fenced.zName = "everseal-fenced";
	fenced.pNext = NULL;
	fenced.xOpen = open_named;
	temporary_files = 0;
	assert_int_equal(sqlite3_vfs_register(&fenced, /* as the default */ 1), SQLITE_OK);
	struct place p;
	place_open(&p);
	fill(&p, 3000, 1500);
	struct writing w = { 0 };
	for (int i = 0; i < 3000; i++) {
		char id[32];
		snprintf(id, sizeof id, "%d.example.com", i);
		store_tx_delete(&w.tx, STR("site"), str_c(id), 1);
	}
	start(&p, &w);
	writing_wait(&p, &w);
	if (w.err.code)
		fail_msg("%s", w.err.text);
	assert_int_equal(version_of(&p, "2999.example.com"), 0);
	place_done(&p);
	assert_int_equal(temporary_files, 0);
	sqlite3_vfs_unregister(&fenced);
	assert_int_equal(sqlite3_vfs_register(real_vfs, /* as the default */ 1), SQLITE_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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
		cmocka_unit_test(prunes_without_temporary_files),
		cmocka_unit_test(a_fake_clock_waits_for_writes),
		cmocka_unit_test(fast_writes),
		cmocka_unit_test(fast_scan),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
