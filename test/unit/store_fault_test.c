/* A disk that fails, a machine that loses power, a process that is killed: what `done` reported as
 * written is there afterwards, and never half a transaction. */
#include "base/buf.h"
#include "disk.h"
#include "store/store.h"
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

/* A store whose records come in pairs: each transaction writes left/K and right/K alike. LARGE
 * blobs make the log be checkpointed and begun anew while the store is open. */
enum { PAIRS = 3, SMALL = 3000, LARGE = 350000 };

struct pair {
	struct store_tx tx;
	int64_t reported, tried; /* versions */
	bool waiting;
	struct err err;
};

struct place {
	char top[64], dir[80];
	struct loop *loop;
	struct store *store;
	struct err err;
	struct pair pairs[PAIRS];
	size_t blob_bytes;
};

static void place_init(struct place *p, const char *where)
{
	*p = (struct place){ .blob_bytes = SMALL };
	snprintf(p->top, sizeof p->top, "%s/everseal-fault-XXXXXX", where);
	assert_non_null(mkdtemp(p->top));
	snprintf(p->dir, sizeof p->dir, "%s/state", p->top);
	p->loop = loop_new(&clock_system);
}

static void place_done(struct place *p)
{
	static const char *const names[] = { "everseal.db", "everseal.db-wal", "everseal.db-shm",
		"everseal.db-journal", "lock" };
	store_close(&p->store);
	loop_free(&p->loop);
	char path[128];
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", p->dir, names[i]);
		(void)unlink(path);
	}
	assert_true(!rmdir(p->dir) || access(p->dir, F_OK));
	assert_int_equal(rmdir(p->top), 0);
}

static void a_sentence(const struct err *err)
{
	size_t n = strlen(err->text);
	if (!err->code || n < 20 || err->text[n - 1] != '.' || !strstr(err->text, "everseal.db"))
		fail_msg("not a sentence: %s \"%s\"", err_code_name(err->code), err->text);
}

static bool place_open(struct place *p)
{
	p->store = store_open(p->loop, p->dir, &p->err);
	if (!p->store)
		a_sentence(&p->err);
	return p->store;
}

static void pair_done(struct store_tx *tx, const struct err *err)
{
	struct pair *pair = OWNER(tx, struct pair, tx);
	pair->waiting = false;
	pair->err = err ? *err : (struct err)ERR_INIT;
	if (!err)
		pair->reported = pair->tried;
}

/* The blob tells the version too, so that a mixture would be seen. */
static void pair_start(struct place *p, int k)
{
	static char blob[1 << 20];
	struct pair *pair = &p->pairs[k];
	char id[8], value[32];
	snprintf(id, sizeof id, "%d", k);
	snprintf(value, sizeof value, "%lld", (long long)pair->reported + 1);
	memset(blob, (int)(pair->reported + 1), p->blob_bytes);
	struct str bytes = str_n(blob, p->blob_bytes);
	store_tx_put(&pair->tx, STR("left"), str_c(id), pair->reported, str_c(value), bytes);
	store_tx_put(&pair->tx, STR("right"), str_c(id), pair->reported, str_c(value), bytes);
	pair->tried = pair->reported + 1;
	pair->waiting = true;
	store_tx_start(p->store, &pair->tx, pair_done);
}

static bool turn(struct place *p)
{
	bool ok = true;
	for (int k = 0; k < PAIRS; k++)
		pair_start(p, k);
	for (int k = 0; k < PAIRS; k++) {
		while (p->pairs[k].waiting)
			loop_turn(p->loop, -1);
		ok = ok && !p->pairs[k].err.code;
		if (p->pairs[k].err.code)
			a_sentence(&p->pairs[k].err);
	}
	return ok;
}

static int64_t read_side(struct place *p, struct str kind, int k)
{
	ARENA_AUTO a = ARENA_INIT;
	struct record r;
	char id[8], value[32];
	snprintf(id, sizeof id, "%d", k);
	if (!store_get(p->store, &a, kind, str_c(id), &r, &p->err)) {
		if (p->err.code != ERR_NOT_FOUND)
			fail_msg("%s", p->err.text);
		return 0;
	}
	snprintf(value, sizeof value, "%lld", (long long)r.version);
	assert_true(str_eq_c(r.value, value));
	assert_int_equal(r.blob.n, p->blob_bytes);
	for (size_t i = 0; i < r.blob.n; i++)
		if (r.blob.p[i] != (char)r.version)
			fail_msg("a blob of another version");
	return r.version;
}

/* Never half a transaction; never less than was reported, nor more than was tried. Once read, what
 * is there is what counts. */
static void pairs_whole(struct place *p, bool exactly)
{
	for (int k = 0; k < PAIRS; k++) {
		struct pair *pair = &p->pairs[k];
		int64_t version = read_side(p, STR("left"), k);
		assert_int_equal(version, read_side(p, STR("right"), k));
		if (version < pair->reported || version > pair->tried ||
		        (exactly && version != pair->reported))
			fail_msg("pair %d: reported %lld, tried %lld, found %lld", k,
			        (long long)pair->reported, (long long)pair->tried,
			        (long long)version);
		pair->reported = pair->tried = version;
	}
}

/* Small blobs: opens twice, so that creating, the log's recovery and the checkpoint at the end all
 * come under fire. A store that could not be opened, or a turn that failed, is tried anew at once,
 * as long as the machine lives. */
static void live(struct place *p, int turns, bool off)
{
	int lives = p->blob_bytes == LARGE ? 1 : 2;
	for (int life = 0; life < lives; life++) {
		if (!place_open(p) && (off || !place_open(p)))
			break;
		for (int t = 0; t < turns; t++) {
			bool ok = turn(p);
			if (!off || !disk_failed())
				pairs_whole(p, /* exactly= */ true);
			if (!ok && !off && !turn(p))
				fail_msg("the next write failed too");
		}
		store_close(&p->store);
	}
}

static const char *fast_place(void)
{
	return access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
}

/* The n-th operation of a kind fails, once. False if there is no n-th. */
static bool fail_once(enum op op, long n, int code, size_t blob_bytes)
{
	struct place p;
	place_init(&p, fast_place());
	p.blob_bytes = blob_bytes;
	disk_start(/* off= */ false);
	disk_fail(op, n, code);
	live(&p, 3, /* off= */ false);
	bool fired = disk_failed();
	disk_reset();
	assert_true(place_open(&p));
	pairs_whole(&p, /* exactly= */ false);
	assert_true(turn(&p));
	pairs_whole(&p, /* exactly= */ true);
	place_done(&p);
	return fired;
}

static void fail_each(enum op op, int code, size_t blob_bytes, long step)
{
	long n = 1;
	while (fail_once(op, n, code, blob_bytes))
		n += step;
	print_message("# %s: up to the %ldth failed, each once\n", op_names[op], n - 1);
	assert_true(n > 1);
}

static void failed_writes(void **state)
{
	(void)state;
	fail_each(OP_WRITE, 0, SMALL, 1);
}

static void full_disk(void **state)
{
	(void)state;
	fail_each(OP_WRITE, SQLITE_FULL, SMALL, 1);
}

static void failed_syncs(void **state)
{
	(void)state;
	fail_each(OP_SYNC, 0, SMALL, 1);
}

static void failed_truncates(void **state)
{
	(void)state;
	fail_each(OP_TRUNCATE, 0, SMALL, 1);
}

static void failed_opens(void **state)
{
	(void)state;
	fail_each(OP_OPEN, 0, SMALL, 1);
}

static void failed_deletes(void **state)
{
	(void)state;
	fail_each(OP_DELETE, 0, SMALL, 1);
}

static void failed_checkpoints(void **state)
{
	(void)state;
	fail_each(OP_SYNC, 0, LARGE, 1);
	fail_each(OP_WRITE, 0, LARGE, 2003);
}

/* The n-th operation and all after it fail: the machine is off. Then it is on again. */
static bool lose_power(long n, enum leaves leaves, size_t blob_bytes)
{
	struct place p;
	place_init(&p, fast_place());
	p.blob_bytes = blob_bytes;
	disk_start(/* off= */ true);
	disk_fail(OP_ANY, n, 0);
	live(&p, 3, /* off= */ true);
	bool fired = disk_failed();
	disk_power_loss(leaves);
	assert_true(place_open(&p));
	pairs_whole(&p, /* exactly= */ false);
	assert_true(turn(&p));
	pairs_whole(&p, /* exactly= */ true);
	place_done(&p);
	return fired;
}

static void lose_power_at_each(enum leaves leaves, size_t blob_bytes, long step)
{
	long n = 1;
	disk_seed(1);
	while (lose_power(n, leaves, blob_bytes))
		n += step;
	print_message("# power lost at up to the %ldth operation\n", n - 1);
	assert_true(n > 1);
}

static void power_loss_keeps_nothing_unsynced(void **state)
{
	(void)state;
	lose_power_at_each(LEAVES_NOTHING, SMALL, 1);
}

static void power_loss_keeps_all(void **state)
{
	(void)state;
	lose_power_at_each(LEAVES_ALL, SMALL, 1);
}

static void power_loss_keeps_some_sectors(void **state)
{
	(void)state;
	lose_power_at_each(LEAVES_SOME, SMALL, 1);
}

static void power_loss_at_checkpoints(void **state)
{
	(void)state;
	lose_power_at_each(LEAVES_NOTHING, LARGE, 1409);
	lose_power_at_each(LEAVES_SOME, LARGE, 1399);
}

/* The child: writes without end, and tells each version that was reported as written. */
static void write_for_ever(struct place *p, int report)
{
	p->loop = loop_new(&clock_system);
	if (!place_open(p))
		_exit(1);
	for (int k = 0; k < PAIRS; k++)
		p->pairs[k].reported = read_side(p, STR("left"), k);
	while (turn(p)) {
		int64_t versions[PAIRS];
		for (int k = 0; k < PAIRS; k++)
			versions[k] = p->pairs[k].reported;
		if (write(report, versions, sizeof versions) != sizeof versions)
			_exit(2);
	}
	_exit(3);
}

static void one_life(struct place *p)
{
	int report[2];
	assert_int_equal(pipe(report), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(report[0]);
		write_for_ever(p, report[1]);
	}
	close(report[1]);
	int64_t versions[PAIRS];
	/* Once it writes, not long before it dies. */
	bool began = read(report[0], versions, sizeof versions) == sizeof versions;
	const struct timespec life = { .tv_nsec = (long)disk_chance(40000000) };
	nanosleep(&life, NULL);
	int status;
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(began && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	do {
		for (int k = 0; k < PAIRS; k++)
			p->pairs[k].reported = versions[k];
	} while (read(report[0], versions, sizeof versions) == sizeof versions);
	close(report[0]);
}

static void killed_at_any_moment(void **state)
{
	(void)state;
	struct place p;
	place_init(&p, "/tmp");
	p.blob_bytes = 60000;
	for (int life = 0; life < 30; life++) {
		one_life(&p);
		for (int k = 0; k < PAIRS; k++)
			p.pairs[k].tried = p.pairs[k].reported + 1;
		assert_true(place_open(&p));
		pairs_whole(&p, /* exactly= */ false);
		store_close(&p.store);
	}
	print_message(
	        "# killed 30 times, %lld turns were written\n", (long long)p.pairs[0].reported);
	assert_true(p.pairs[0].reported >= 30);
	place_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failed_writes),
		cmocka_unit_test(full_disk),
		cmocka_unit_test(failed_syncs),
		cmocka_unit_test(failed_truncates),
		cmocka_unit_test(failed_opens),
		cmocka_unit_test(failed_deletes),
		cmocka_unit_test(failed_checkpoints),
		cmocka_unit_test(power_loss_keeps_nothing_unsynced),
		cmocka_unit_test(power_loss_keeps_all),
		cmocka_unit_test(power_loss_keeps_some_sectors),
		cmocka_unit_test(power_loss_at_checkpoints),
		cmocka_unit_test(killed_at_any_moment),
	};
	disk_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
