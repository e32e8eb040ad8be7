/* A disk that fails, a machine that loses power, a process that is killed: what `done` reported as
 * written is there afterwards, and never half a transaction.
 *
 * The store opens its file through SQLite's default VFS, so a VFS of ours in front of the real one
 * counts and fails its operations, and keeps for each file what a power loss would leave. */
#include "base/buf.h"
#include "store/store.h"
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define OPS(X) X(WRITE) X(SYNC) X(TRUNCATE) X(OPEN) X(DELETE)
enum op {
#define X(name) OP_##name,
	OPS(X)
#undef X
	        OP_ANY,
};
static const char *const op_names[] = {
#define X(name) #name,
	OPS(X)
#undef X
	        "ANY",
};

enum { FILES = 6, SECTOR = 512, CEILING = 1 << 26 };

/* A write or (bytes == NULL) a new length that the disk has not been asked to keep yet. */
struct change {
	struct change *next;
	sqlite3_int64 at;
	size_t n;
	char *bytes;
};

/* A file as the disk keeps it, and what has happened to it since its last sync. */
struct image {
	char path[160];
	struct buf kept;
	struct change *first, **end;
};

static struct {
	pthread_mutex_t lock;
	bool on;
	enum op op; /* which to fail */
	long at;    /* the how many-th of them, from 1; 0: none */
	bool dead;  /* from there on everything fails; only then images are kept */
	int code;   /* as what it fails; 0: as an input or output error */
	long count;
	bool fired;
	struct image images[FILES];
} disk = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool fails(enum op op)
{
	if (!disk.on || (disk.op != OP_ANY && op != disk.op))
		return false;
	disk.count++;
	bool hit = disk.count == disk.at || (disk.dead && disk.count > disk.at);
	disk.fired = disk.fired || hit;
	return hit;
}

static struct image *image_of(const char *path)
{
	struct image *free_one = NULL;
	for (int i = 0; i < FILES; i++) {
		struct image *m = &disk.images[i];
		if (!strcmp(m->path, path))
			return m;
		if (!m->path[0] && !free_one)
			free_one = m;
	}
	CHECK(free_one);
	snprintf(free_one->path, sizeof free_one->path, "%s", path);
	free_one->kept = BUF(CEILING);
	free_one->end = &free_one->first;
	return free_one;
}

static void image_add(struct image *m, const void *bytes, size_t n, sqlite3_int64 at)
{
	struct change *c = mem_new(struct change);
	c->at = at;
	c->n = n;
	if (bytes) {
		c->bytes = mem_alloc(n);
		memcpy(c->bytes, bytes, n);
	}
	*m->end = c;
	m->end = &c->next;
}

static void set_length(struct buf *b, size_t n)
{
	if (n < b->n) {
		b->n = n;
		return;
	}
	size_t more = n - b->n;
	if (!more)
		return;
	char *room = buf_room(b, more);
	CHECK(room);
	memset(room, 0, more);
	buf_grew(b, more);
}

static void apply(struct buf *b, const struct change *c, size_t from, size_t n)
{
	if (!c->bytes) {
		set_length(b, (size_t)c->at);
		return;
	}
	size_t end = (size_t)c->at + from + n;
	if (b->n < end)
		set_length(b, end);
	memcpy(b->p + c->at + from, c->bytes + from, n);
}

static void drop_changes(struct image *m)
{
	for (struct change *c = m->first, *next; c; c = next) {
		next = c->next;
		free(c->bytes);
		free(c);
	}
	m->first = NULL;
	m->end = &m->first;
}

static void image_sync(struct image *m)
{
	for (struct change *c = m->first; c; c = c->next)
		apply(&m->kept, c, 0, c->n);
	drop_changes(m);
}

static void image_forget(struct image *m)
{
	drop_changes(m);
	buf_done(&m->kept);
	m->path[0] = 0;
}

static void disk_reset(void)
{
	for (int i = 0; i < FILES; i++)
		if (disk.images[i].path[0])
			image_forget(&disk.images[i]);
	disk.on = disk.dead = disk.fired = false;
	disk.at = disk.count = 0;
	disk.code = 0;
}

/* What of the unsynced changes a power loss leaves: nothing, all, or a random choice of sectors. */
enum leaves { LEAVES_NOTHING, LEAVES_ALL, LEAVES_SOME };

static uint64_t seed = 1;
static uint64_t chance(uint64_t below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (seed >> 33) % below;
}

static void apply_some(struct buf *b, const struct change *c)
{
	if (!c->bytes) {
		if (chance(2))
			apply(b, c, 0, 0);
		return;
	}
	for (size_t from = 0; from < c->n;) {
		size_t n = SECTOR - ((size_t)c->at + from) % SECTOR;
		if (n > c->n - from)
			n = c->n - from;
		if (chance(2))
			apply(b, c, from, n);
		from += n;
	}
}

static void write_file(const char *path, struct str bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes.p, bytes.n), (ssize_t)bytes.n);
	close(fd);
}

/* The files of the directory become what the power loss left of them. */
static void disk_power_loss(enum leaves leaves)
{
	for (int i = 0; i < FILES; i++) {
		struct image *m = &disk.images[i];
		if (!m->path[0])
			continue;
		for (struct change *c = m->first; c && leaves != LEAVES_NOTHING; c = c->next) {
			if (leaves == LEAVES_ALL)
				apply(&m->kept, c, 0, c->n);
			else
				apply_some(&m->kept, c);
		}
		write_file(m->path, buf_str(&m->kept));
	}
}

/* The VFS. */
struct file {
	sqlite3_file base;
	bool modelled;
	char path[160];
	sqlite3_file *real;
};
static sqlite3_vfs *real_vfs;
static sqlite3_vfs vfs;

static sqlite3_file *real_of(sqlite3_file *f)
{
	return ((struct file *)f)->real;
}

static int v_close(sqlite3_file *f)
{
	return real_of(f)->pMethods->xClose(real_of(f));
}

static int v_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	return real_of(f)->pMethods->xRead(real_of(f), p, n, at);
}

/* Counts the operation; if it is not to fail, does it for real and notes it in the image. */
static int failure(enum op op, int code)
{
	CHECK(!pthread_mutex_lock(&disk.lock));
	bool failed = fails(op);
	int as = disk.code ? disk.code : code;
	CHECK(!pthread_mutex_unlock(&disk.lock));
	return failed ? as : SQLITE_OK;
}

static void note(sqlite3_file *f, const void *bytes, size_t n, sqlite3_int64 at)
{
	struct file *file = (struct file *)f;
	if (!file->modelled)
		return;
	CHECK(!pthread_mutex_lock(&disk.lock));
	if (disk.on && disk.dead)
		image_add(image_of(file->path), bytes, n, at);
	CHECK(!pthread_mutex_unlock(&disk.lock));
}

static int v_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	int code = failure(OP_WRITE, SQLITE_IOERR_WRITE);
	if (code)
		return code;
	note(f, p, (size_t)n, at);
	return real_of(f)->pMethods->xWrite(real_of(f), p, n, at);
}

static int v_truncate(sqlite3_file *f, sqlite3_int64 length)
{
	int code = failure(OP_TRUNCATE, SQLITE_IOERR_TRUNCATE);
	if (code)
		return code;
	note(f, NULL, 0, length);
	return real_of(f)->pMethods->xTruncate(real_of(f), length);
}

/* The image is our disk: the real one need not be bothered. */
static int v_sync(sqlite3_file *f, int flags)
{
	if (!disk.on)
		return real_of(f)->pMethods->xSync(real_of(f), flags);
	int code = failure(OP_SYNC, SQLITE_IOERR_FSYNC);
	struct file *file = (struct file *)f;
	if (code || !file->modelled)
		return code;
	CHECK(!pthread_mutex_lock(&disk.lock));
	if (disk.dead)
		image_sync(image_of(file->path));
	CHECK(!pthread_mutex_unlock(&disk.lock));
	return SQLITE_OK;
}

static int v_size(sqlite3_file *f, sqlite3_int64 *ret_size)
{
	return real_of(f)->pMethods->xFileSize(real_of(f), ret_size);
}

static int v_lock(sqlite3_file *f, int how)
{
	return real_of(f)->pMethods->xLock(real_of(f), how);
}

static int v_unlock(sqlite3_file *f, int how)
{
	return real_of(f)->pMethods->xUnlock(real_of(f), how);
}

static int v_check_lock(sqlite3_file *f, int *ret_held)
{
	return real_of(f)->pMethods->xCheckReservedLock(real_of(f), ret_held);
}

static int v_control(sqlite3_file *f, int what, void *p)
{
	return real_of(f)->pMethods->xFileControl(real_of(f), what, p);
}

static int v_sector(sqlite3_file *f)
{
	return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int v_kind(sqlite3_file *f)
{
	return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int v_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **ret_p)
{
	return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, ret_p);
}

static int v_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void v_shm_barrier(sqlite3_file *f)
{
	real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int v_shm_unmap(sqlite3_file *f, int remove)
{
	return real_of(f)->pMethods->xShmUnmap(real_of(f), remove);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = v_close,
	.xRead = v_read,
	.xWrite = v_write,
	.xTruncate = v_truncate,
	.xSync = v_sync,
	.xFileSize = v_size,
	.xLock = v_lock,
	.xUnlock = v_unlock,
	.xCheckReservedLock = v_check_lock,
	.xFileControl = v_control,
	.xSectorSize = v_sector,
	.xDeviceCharacteristics = v_kind,
	.xShmMap = v_shm_map,
	.xShmLock = v_shm_lock,
	.xShmBarrier = v_shm_barrier,
	.xShmUnmap = v_shm_unmap,
};

static int v_open(sqlite3_vfs *v, sqlite3_filename name, sqlite3_file *f, int flags, int *ret_flags)
{
	(void)v;
	struct file *file = (struct file *)f;
	*file = (struct file){ .real = (sqlite3_file *)(file + 1), .modelled = name };
	int code = failure(OP_OPEN, SQLITE_CANTOPEN);
	if (code)
		return code;
	if (name)
		snprintf(file->path, sizeof file->path, "%s", name);
	code = real_vfs->xOpen(real_vfs, name, file->real, flags, ret_flags);
	if (file->real->pMethods)
		file->base.pMethods = &methods;
	return code;
}

static int v_delete(sqlite3_vfs *v, const char *name, int sync)
{
	(void)v;
	int code = failure(OP_DELETE, SQLITE_IOERR_DELETE);
	if (code)
		return code;
	CHECK(!pthread_mutex_lock(&disk.lock));
	if (disk.on && disk.dead)
		image_forget(image_of(name));
	CHECK(!pthread_mutex_unlock(&disk.lock));
	return real_vfs->xDelete(real_vfs, name, disk.on ? 0 : sync);
}

static void vfs_install(void)
{
	real_vfs = sqlite3_vfs_find(NULL);
	vfs = *real_vfs;
	vfs.zName = "everseal-fault";
	vfs.szOsFile = (int)sizeof(struct file) + real_vfs->szOsFile;
	vfs.pNext = NULL;
	vfs.xOpen = v_open;
	vfs.xDelete = v_delete;
	assert_int_equal(sqlite3_vfs_register(&vfs, /* as the default */ 1), SQLITE_OK);
}

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
static void live(struct place *p, int turns)
{
	int lives = p->blob_bytes == LARGE ? 1 : 2;
	for (int life = 0; life < lives; life++) {
		if (!place_open(p) && (disk.dead || !place_open(p)))
			break;
		for (int t = 0; t < turns; t++) {
			bool ok = turn(p);
			if (!disk.dead || !disk.fired)
				pairs_whole(p, /* exactly= */ true);
			if (!ok && !disk.dead && !turn(p))
				fail_msg("the next write failed too");
		}
		store_close(&p->store);
	}
}

static void start_disk(enum op op, long at, bool dead, int code)
{
	disk_reset();
	disk.op = op;
	disk.at = at;
	disk.dead = dead;
	disk.code = code;
	disk.on = true;
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
	start_disk(op, n, /* dead= */ false, code);
	live(&p, 3);
	bool fired = disk.fired;
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
	start_disk(OP_ANY, n, /* dead= */ true, 0);
	live(&p, 3);
	bool fired = disk.fired;
	disk.on = false;
	/* What closing did to the real files after the end is not so. */
	char shm[128];
	snprintf(shm, sizeof shm, "%s/everseal.db-shm", p.dir);
	(void)unlink(shm);
	disk_power_loss(leaves);
	disk_reset();
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
	seed = 1;
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
	const struct timespec life = { .tv_nsec = (long)chance(40000000) };
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
	vfs_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
