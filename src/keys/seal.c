/* The master key and what is sealed under it. The only file that knows libsodium. */
#include "keys/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <sys/stat.h>

enum {
	KEY_BYTES = MASTER_KEY,
	NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	TAG_BYTES = crypto_aead_xchacha20poly1305_ietf_ABYTES,
	ID_BYTES = 8,
	MARK_BYTES = 2,
	HEAD_BYTES = MARK_BYTES + ID_BYTES + NONCE_BYTES,
	BOUND_BYTES_MOST = 4096, /* kind, id and version together */
};

_Static_assert(MASTER_KEY == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "the cipher's key");
_Static_assert(MASTER_ID == 2 * ID_BYTES, "in hexadecimal");

static const char mark[MARK_BYTES] = { 'E', '1' };

/* In sodium_malloc's memory: locked, never dumped, between guard pages. */
struct master {
	unsigned char key[KEY_BYTES];
	unsigned char id[ID_BYTES];
	enum master_source source;
};

static void name_key(struct master *m)
{
	unsigned char hash[crypto_generichash_BYTES_MIN];
	static const char label[] = "Everseal master key";
	CHECK(crypto_generichash(hash, sizeof hash, m->key, sizeof m->key,
	              (const unsigned char *)label, sizeof label - 1) == 0);
	memcpy(m->id, hash, sizeof m->id);
}

static struct master *master_new(enum master_source source)
{
	CHECK(sodium_init() >= 0);
	struct master *m = sodium_malloc(sizeof *m);
	CHECK(m);
	memset(m, 0, sizeof *m);
	m->source = source;
	return m;
}

void master_free(struct master **m)
{
	if (*m)
		sodium_free(*m);
	*m = NULL;
}

enum master_source master_source(const struct master *m)
{
	return m->source;
}

static void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define FD_AUTO __attribute__((cleanup(fd_close))) int

static bool join(const char *dir, const char *name, char ret_path[PATH_MAX], struct err *err)
{
	int n = snprintf(ret_path, PATH_MAX, "%s/%s", dir, name);
	return (n > 0 && n < PATH_MAX) ||
	       err_set(err, ERR_INPUT, "The path %s/%s is too long.", dir, name);
}

/* A credential's group bits are the mask of the ACL by which systemd grants it to one user. */
static bool check_file(int fd, const char *path, enum master_source source, struct err *err)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_IO, errno, "The master key %s cannot be looked at", path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_CORRUPT,
		        "%s is not a file; the master key is a file of %d bytes.", path, KEY_BYTES);
	mode_t others = source == MASTER_BESIDE ? 077 : 007;
	if (st.st_mode & others)
		return err_set(err, ERR_PERMISSION,
		        "The master key %s can be read or changed by others (mode %04o). Run: "
		        "chmod 0400 %s "
		        "- and make a new master key if somebody may have copied it.",
		        path, (unsigned)st.st_mode & 07777u, path);
	if (st.st_size != KEY_BYTES)
		return err_set(err, ERR_CORRUPT,
		        "%s is not a master key: it has %lld bytes, a master key has exactly %d. "
		        "Put back the "
		        "file that was there.",
		        path, (long long)st.st_size, KEY_BYTES);
	return true;
}

static struct master *read_key(int fd, const char *path, enum master_source source, struct err *err)
{
	if (!check_file(fd, path, source, err))
		return NULL;
	struct master *m = master_new(source);
	ssize_t n = read(fd, m->key, sizeof m->key);
	if (n != (ssize_t)sizeof m->key) {
		err_sys(err, ERR_IO, n < 0 ? errno : EIO, "The master key %s cannot be read", path);
		master_free(&m);
		return NULL;
	}
	name_key(m);
	return m;
}

/* The key, or NULL; *ret_absent tells whether the file is merely not there. */
static struct master *open_key(
        const char *path, enum master_source source, bool *ret_absent, struct err *err)
{
	FD_AUTO fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	*ret_absent = fd < 0 && errno == ENOENT;
	if (fd >= 0)
		return read_key(fd, path, source, err);
	if (!*ret_absent)
		err_sys(err, errno == EACCES || errno == EPERM ? ERR_PERMISSION : ERR_IO, errno,
		        "The master key %s cannot be opened", path);
	return NULL;
}

static bool write_file(const struct master *m, const char *path)
{
	FD_AUTO fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);
	return fd >= 0 && write(fd, m->key, sizeof m->key) == (ssize_t)sizeof m->key &&
	       fsync(fd) == 0;
}

static bool sync_directory(const char *dir)
{
	FD_AUTO fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 && fsync(fd) == 0;
}

/* Durable before it is used: what is sealed under a lost key is lost. */
static bool keep(const struct master *m, const char *dir, const char *path, struct err *err)
{
	char unfinished[PATH_MAX];
	if (!join(dir, "master.key.new", unfinished, err))
		return false;
	unlink(unfinished); /* left by a crash: nothing was sealed under it */
	if (write_file(m, unfinished) && rename(unfinished, path) == 0 && sync_directory(dir))
		return true;
	int number = errno;
	unlink(unfinished);
	return err_sys(err, ERR_IO, number, "The master key %s cannot be written", path);
}

static struct master *make_key(const char *dir, const char *path, struct err *err)
{
	struct master *m = master_new(MASTER_BESIDE);
	randombytes_buf(m->key, sizeof m->key);
	name_key(m);
	if (!keep(m, dir, path, err))
		master_free(&m);
	return m;
}

bool master_keep(const struct master *m, const char *state_dir, struct err *err)
{
	char path[PATH_MAX];
	return join(state_dir, "master.key", path, err) && keep(m, state_dir, path, err);
}

void master_id(const struct master *m, char ret_id[MASTER_ID + 1])
{
	sodium_bin2hex(ret_id, MASTER_ID + 1, m->id, sizeof m->id);
}

void master_bytes(const struct master *m, struct buf *out)
{
	buf_add(out, str_n(m->key, sizeof m->key));
}

struct master *master_from_bytes(const unsigned char bytes[MASTER_KEY])
{
	struct master *m = master_new(MASTER_BESIDE);
	memcpy(m->key, bytes, sizeof m->key);
	name_key(m);
	return m;
}

struct master *master_load(const char *state_dir, bool may_create, struct err *err)
{
	char path[PATH_MAX];
	bool absent = true;
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	struct master *m = NULL;
	if (credentials && *credentials) {
		if (!join(credentials, "master.key", path, err))
			return NULL;
		m = open_key(path, MASTER_CREDENTIAL, &absent, err);
	}
	if (m || !absent)
		return m;
	if (!join(state_dir, "master.key", path, err))
		return NULL;
	m = open_key(path, MASTER_BESIDE, &absent, err);
	if (m || !absent)
		return m;
	if (may_create)
		return make_key(state_dir, path, err);
	err_set(err, ERR_NOT_FOUND,
	        "The master key is missing, and the database holds records sealed under it. Put it "
	        "back as "
	        "%s (mode 0400) or as the credential master.key; without it the keys cannot be "
	        "read.",
	        path);
	return NULL;
}

static void add_bytes(struct buf *b, const void *p, size_t n)
{
	buf_add(b, str_n(p, n));
}

/* The additional data: lengths in front, so that no two records look the same. */
static void bind(struct seal_for what, struct buf *out)
{
	uint64_t lengths[2] = { htole64(what.kind.n), htole64(what.id.n) };
	uint64_t version = htole64((uint64_t)what.version);
	add_bytes(out, lengths, sizeof lengths);
	add_bytes(out, &version, sizeof version);
	buf_add(out, what.kind);
	buf_add(out, what.id);
	CHECK(buf_ok(out));
}

void seal(const struct master *m, struct seal_for what, const struct secret *plain, struct buf *out)
{
	BUF_AUTO bound = BUF_INIT(BOUND_BYTES_MOST);
	unsigned char nonce[NONCE_BYTES];
	struct str bytes = secret_bytes(plain);
	bind(what, &bound);
	randombytes_buf(nonce, sizeof nonce);
	add_bytes(out, mark, sizeof mark);
	add_bytes(out, m->id, sizeof m->id);
	add_bytes(out, nonce, sizeof nonce);
	char *box = buf_room(out, bytes.n + TAG_BYTES);
	if (!box)
		return;
	CHECK(crypto_aead_xchacha20poly1305_ietf_encrypt((unsigned char *)box, NULL,
	              (const unsigned char *)bytes.p, bytes.n, (const unsigned char *)bound.p,
	              bound.n, NULL, nonce, m->key) == 0);
	buf_grew(out, bytes.n + TAG_BYTES);
}

static bool under_another_key(
        const struct master *m, const char *words, const char *id, struct err *err)
{
	char theirs[2 * ID_BYTES + 1], ours[2 * ID_BYTES + 1];
	sodium_bin2hex(theirs, sizeof theirs, (const unsigned char *)id, ID_BYTES);
	sodium_bin2hex(ours, sizeof ours, m->id, ID_BYTES);
	return err_set(err, ERR_CORRUPT,
	        "%s cannot be opened: it is sealed under another master key (%s) than the one in "
	        "use (%s). "
	        "Put back the master key that belongs to this database.",
	        words, theirs, ours);
}

/* The plain bytes; they never stand in memory that is not wiped. */
static bool open_box(
        const struct master *m, struct seal_for what, struct str blob, struct secret *ret_plain)
{
	BUF_AUTO bound = BUF_INIT(BOUND_BYTES_MOST);
	struct str box = str_from(blob, HEAD_BYTES);
	const unsigned char *nonce = (const unsigned char *)blob.p + MARK_BYTES + ID_BYTES;
	bind(what, &bound);
	/* The box itself, longer than the plain bytes by its tag, is the memory to decrypt into. */
	struct secret plain = secret_copy(box);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain.p, NULL, NULL, plain.p, box.n,
	            (const unsigned char *)bound.p, bound.n, nonce, m->key) != 0) {
		secret_done(&plain);
		return false;
	}
	*ret_plain = secret_copy(str_n(plain.p, box.n - TAG_BYTES));
	secret_done(&plain);
	return true;
}

bool unseal(const struct master *m, struct seal_for what, const char *what_words, struct str blob,
        struct secret *ret_plain, struct err *err)
{
	if (blob.n < HEAD_BYTES + TAG_BYTES || memcmp(blob.p, mark, sizeof mark) != 0)
		return err_set(err, ERR_CORRUPT,
		        "%s cannot be opened: what is stored in its place is not a sealed record. "
		        "Restore it "
		        "from a backup.",
		        what_words);
	if (memcmp(blob.p + MARK_BYTES, m->id, ID_BYTES) != 0)
		return under_another_key(m, what_words, blob.p + MARK_BYTES, err);
	return open_box(m, what, blob, ret_plain) ||
	       err_set(err, ERR_CORRUPT,
	               "%s cannot be opened: its bytes are damaged or belong to another record. "
	               "Restore it "
	               "from a backup.",
	               what_words);
}
