#include "disk.h"
#include "base/buf.h"
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>

#include <cmocka.h>

const char *const op_names[] = {
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
	if (disk.on && disk.dead && disk.fired)
		return true;
	if (!disk.on || (disk.op != OP_ANY && op != disk.op))
		return false;
	disk.count++;
	bool hit = disk.count == disk.at;
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

void disk_reset(void)
{
	for (int i = 0; i < FILES; i++)
		if (disk.images[i].path[0])
			image_forget(&disk.images[i]);
	disk.on = disk.dead = disk.fired = false;
	disk.at = disk.count = 0;
	disk.code = 0;
}

void disk_start(bool off)
{
	disk_reset();
	disk.dead = off;
	disk.on = true;
}

void disk_fail(enum op op, long at, int code)
{
	CHECK(!pthread_mutex_lock(&disk.lock));
	disk.op = op;
	disk.at = at;
	disk.code = code;
	disk.count = 0;
	CHECK(!pthread_mutex_unlock(&disk.lock));
}

bool disk_failed(void)
{
	CHECK(!pthread_mutex_lock(&disk.lock));
	bool fired = disk.fired;
	CHECK(!pthread_mutex_unlock(&disk.lock));
	return fired;
}

static uint64_t chances = 1;

void disk_seed(uint64_t seed)
{
	chances = seed;
}

uint64_t disk_chance(uint64_t below)
{
	chances = chances * 6364136223846793005u + 1442695040888963407u;
	return (chances >> 33) % below;
}

static void apply_some(struct buf *b, const struct change *c)
{
	if (!c->bytes) {
		if (disk_chance(2))
			apply(b, c, 0, 0);
		return;
	}
	for (size_t from = 0; from < c->n;) {
		size_t n = SECTOR - ((size_t)c->at + from) % SECTOR;
		if (n > c->n - from)
			n = c->n - from;
		if (disk_chance(2))
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

static void forget_shared_memory(const char *database)
{
	char path[168];
	snprintf(path, sizeof path, "%s-shm", database);
	(void)unlink(path);
}

/* What closing did to the real files after the end is not so. */
void disk_power_loss(enum leaves leaves)
{
	disk.on = false;
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
		forget_shared_memory(m->path);
	}
	disk_reset();
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

void disk_install(void)
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
