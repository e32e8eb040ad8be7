/* everseal restore: a backup becomes the state of a server that is not running. The database is
 * put in place last: before that there is nothing that a server would start from. */
#include "cli/command.h"
#include "cli/whole.h"
#include "keys/digest.h"
#include "store/archive.h"
#include "store/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 64 << 10, PATH_MOST = 4096 };

struct restoring {
	const char *file, *state;
	int fd, lock;
	struct archive_head head;
	int64_t head_bytes;
	struct master *master; /* the backup's; NULL: it is not in it */
};

/* ---- the backup ---- */

static bool cut_off(struct err *err)
{
	return err_set(err, ERR_CORRUPT,
	        "The backup is cut off or damaged: it is not as long as it says. Take another "
	        "copy.");
}

static bool open_backup(struct restoring *r, struct err *err)
{
	char begin[ARCHIVE_HEAD_MOST];
	size_t used = 0;
	struct stat st;
	r->fd = open(r->file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (r->fd < 0 || fstat(r->fd, &st))
		return err_sys(err, ERR_IO, errno, "%s cannot be read", r->file);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INPUT, "%s is not a file.", r->file);
	const ssize_t n = pread(r->fd, begin, sizeof begin, 0);
	if (n < 0)
		return err_sys(err, ERR_IO, errno, "%s cannot be read", r->file);
	if (!archive_read_head(str_n(begin, (size_t)n), &r->head, &used, err))
		return err_prefix(err, "%s", r->file);
	r->head_bytes = (int64_t)used;
	const int64_t key = r->head.with_key ? MASTER_KEY : 0;
	if (st.st_size != r->head_bytes + key + r->head.database + DIGEST_SHA256) {
		cut_off(err);
		return err_prefix(err, "%s", r->file);
	}
	return true;
}

static bool read_piece(const struct restoring *r, struct buf *piece, int64_t left, struct err *err)
{
	const size_t want = left < PIECE ? (size_t)left : PIECE;
	buf_clear(piece);
	char *room = buf_room(piece, want);
	const ssize_t n = read(r->fd, room, want);
	if (n < 0 && errno != EINTR)
		return err_sys(err, ERR_IO, errno, "%s cannot be read", r->file);
	if (n == 0)
		return cut_off(err);
	buf_grew(piece, n > 0 ? (size_t)n : 0);
	return true;
}

/* The next `bytes` of the file, digested; to a file, if there is one to be written. */
static bool pass_on(const struct restoring *r, struct digest *digest, int64_t bytes,
        struct whole *out, struct err *err)
{
	struct buf piece = BUF_SECRET(PIECE);
	bool done = true;
	while (done && bytes > 0) {
		done = read_piece(r, &piece, bytes, err);
		if (!done)
			break;
		digest_add(digest, buf_str(&piece));
		bytes -= (int64_t)piece.n;
		done = !out || whole_write(out, buf_str(&piece), err);
	}
	buf_wipe(&piece);
	return done;
}

static bool ends_in(const struct restoring *r, struct digest *digest, struct err *err)
{
	unsigned char said[DIGEST_SHA256], found[DIGEST_SHA256];
	digest_end(digest, found);
	if (read(r->fd, said, sizeof said) == (ssize_t)sizeof said &&
	        !memcmp(said, found, sizeof said))
		return true;
	return err_set(err, ERR_CORRUPT,
	        "%s is damaged: its bytes are not those that were written. Take another copy.",
	        r->file);
}

/* Reads all of it: looks only, or writes the database. */
static bool read_backup(const struct restoring *r, struct whole *out, struct err *err)
{
	const int64_t key = r->head.with_key ? MASTER_KEY : 0;
	struct digest *digest = digest_new();
	const bool done = lseek(r->fd, 0, SEEK_SET) == 0 &&
	                  pass_on(r, digest, r->head_bytes + key, NULL, err) &&
	                  pass_on(r, digest, r->head.database, out, err) && ends_in(r, digest, err);
	digest_free(&digest);
	return done;
}

static bool read_key(struct restoring *r, struct err *err)
{
	unsigned char key[MASTER_KEY];
	char id[MASTER_ID + 1];
	if (!r->head.with_key)
		return true;
	if (pread(r->fd, key, sizeof key, r->head_bytes) != (ssize_t)sizeof key)
		return cut_off(err);
	r->master = master_from_bytes(key);
	wipe(key, sizeof key);
	master_id(r->master, id);
	return !strcmp(id, r->head.key_id) ||
	       err_set(err, ERR_CORRUPT, "%s is damaged: the master key in it is another one.",
	               r->file);
}

/* ---- the state directory ---- */

/* Whatever root makes there is its owner's, as if the server had made it. */
static bool become_owner(const char *dir, struct err *err)
{
	struct stat st;
	if (stat(dir, &st))
		return state_err(dir, errno, err);
	if (geteuid() != 0 || st.st_uid == 0)
		return true;
	if (setgroups(0, NULL) || setresgid(st.st_gid, st.st_gid, st.st_gid) ||
	        setresuid(st.st_uid, st.st_uid, st.st_uid))
		return err_sys(
		        err, ERR_PERMISSION, errno, "Everseal cannot become the owner of %s", dir);
	return true;
}

/* What may be there before: a lock of ours or of a server that has ended, and its socket; the
 * master key that somebody has put there. */
static bool may_be_there(const char *name)
{
	const char *names[] = { ".", "..", "lock", "control.sock", "master.key", "master.key.new",
		"lost+found" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

static bool is_empty(const char *dir, struct err *err)
{
	DIR *d = opendir(dir);
	bool empty = true;
	if (!d)
		return state_err(dir, errno, err);
	for (struct dirent *e; empty && (e = readdir(d));)
		if (!may_be_there(e->d_name))
			empty = err_set(err, ERR_CONFLICT,
			        "The state directory %s is not empty, it has %s: nothing was "
			        "changed. Name another one with --state, or move away what is in "
			        "it.",
			        dir, e->d_name);
	closedir(d);
	return empty;
}

/* The key that is there already, if one is, must be the backup's. */
static bool key_fits(struct restoring *r, bool *ret_there, struct err *err)
{
	char id[MASTER_ID + 1];
	struct err absent = ERR_INIT;
	struct master *m = master_load(r->state, /* may_create= */ false, &absent);
	*ret_there = m;
	if (!m && absent.code == ERR_NOT_FOUND)
		return true;
	if (!m) {
		*err = absent;
		return false;
	}
	master_id(m, id);
	master_free(&m);
	return !strcmp(id, r->head.key_id) ||
	       err_set(err, ERR_CONFLICT,
	               "The master key that is there (%s) does not fit: the secrets in %s are "
	               "sealed under another one (%s). Put that one into %s as master.key.",
	               id, r->file, r->head.key_id, r->state);
}

static bool put(struct restoring *r, bool key_there, struct err *err)
{
	BUF_AUTO path = BUF_INIT(PATH_MOST);
	struct whole database;
	buf_printf(&path, "%s/everseal.db", r->state);
	if (!buf_ok(&path))
		return err_set(err, ERR_INPUT, "The name of the state directory is too long.");
	if (!whole_begin(&database, buf_c(&path), err))
		return false;
	const bool done = read_backup(r, &database, err) &&
	                  (key_there || !r->master || master_keep(r->master, r->state, err)) &&
	                  whole_end(&database, err);
	whole_drop(&database);
	return done;
}

static bool restore(struct restoring *r, bool *ret_key_there, struct err *err)
{
	if (!open_backup(r, err) || !read_backup(r, NULL, err) || !read_key(r, err) ||
	        !state_make(r->state, err) || !become_owner(r->state, err) ||
	        !state_lock(r->state, &r->lock, err) || !is_empty(r->state, err) ||
	        !key_fits(r, ret_key_there, err) || !put(r, *ret_key_there, err))
		return false;
	*ret_key_there = *ret_key_there || r->master;
	return true;
}

static void tell(const struct command *c, const struct restoring *r, bool key_there)
{
	const bool named = command_has(c, OPTION_STATE), config = command_has(c, OPTION_CONFIG);
	printf("The state is restored to %s: start it with `everseal run%s%s%s%s`.\n", r->state,
	        config ? " --config " : "", config ? command_config(c) : "",
	        named ? " --state " : "", named ? r->state : "");
	if (!key_there)
		printf("Before that, put the master key %s there as master.key (mode 0400, the "
		       "same owner), or give it as the credential master.key.\n",
		        r->head.key_id);
}

int command_restore(struct command *c)
{
	struct err err = ERR_INIT;
	struct restoring r = { .fd = -1, .lock = -1 };
	struct str state;
	bool key_there = false;
	if (!c->operand_count) {
		err_set(&err, ERR_INPUT, "Say what from: `everseal restore FILE`.");
		return command_usage(&err);
	}
	r.file = c->operands[0].p;
	bool done = command_state(c, &state, &err);
	if (done) {
		r.state = arena_str(&c->arena, state).p;
		done = restore(&r, &key_there, &err);
	}
	if (done)
		tell(c, &r, key_there);
	master_free(&r.master);
	if (r.lock >= 0)
		close(r.lock);
	if (r.fd >= 0)
		close(r.fd);
	return done ? EXIT_DONE : command_fail(&err);
}
