#include "cli/whole.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { PATH_MOST = 4096 };

static bool failed(struct whole *w, int number, struct err *err)
{
	whole_drop(w);
	if (number == EEXIST)
		return err_set(err, ERR_CONFLICT,
		        "%s exists already and is left as it is." ERR_REMEDY
		        "Give another file, or remove it first.",
		        w->path);
	return err_sys(err, ERR_IO, number, "%s cannot be written", w->path);
}

static void folder_of(const char *path, struct buf *out)
{
	const char *slash = strrchr(path, '/');
	buf_add(out, slash ? str_n(path, (size_t)(slash - path) + 1) : STR("."));
}

/* A file that has no name yet is gone when its writer is, however that ends. */
bool whole_begin(struct whole *w, const char *path, struct err *err)
{
	BUF_AUTO folder = BUF_INIT(PATH_MOST);
	*w = (struct whole){ .path = path, .fd = -1 };
	if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return failed(w, EEXIST, err);
	folder_of(path, &folder);
	if (!buf_ok(&folder))
		return failed(w, ENAMETOOLONG, err);
	w->fd = open(buf_c(&folder), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600);
	if (w->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		w->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		w->named = w->fd >= 0;
	}
	return w->fd >= 0 || failed(w, errno, err);
}

bool whole_write(struct whole *w, struct str bytes, struct err *err)
{
	while (bytes.n) {
		const ssize_t n = write(w->fd, bytes.p, bytes.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return failed(w, n < 0 ? errno : ENOSPC, err);
		bytes = str_from(bytes, (size_t)n);
	}
	return true;
}

static bool give_name(const struct whole *w)
{
	char self[40];
	snprintf(self, sizeof self, "/proc/self/fd/%d", w->fd);
	return w->named || linkat(AT_FDCWD, self, AT_FDCWD, w->path, AT_SYMLINK_FOLLOW) == 0;
}

bool whole_end(struct whole *w, struct err *err)
{
	BUF_AUTO folder = BUF_INIT(PATH_MOST);
	if (fsync(w->fd) || !give_name(w))
		return failed(w, errno, err);
	close(w->fd);
	w->fd = -1;
	folder_of(w->path, &folder);
	const int fd = open(buf_c(&folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!fsync(fd);
		close(fd);
	}
	return true;
}

void whole_drop(struct whole *w)
{
	if (w->fd < 0)
		return;
	close(w->fd);
	w->fd = -1;
	if (w->named)
		(void)unlink(w->path);
}
