#include "state.h"
#include "base/buf.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { LOCK_WAIT_MS = 2000, LOCK_STEP_MS = 5 };

bool state_err(const char *path, int number, struct err *err)
{
	switch (number) {
	case EACCES:
	case EPERM:
		return err_set(err, ERR_PERMISSION,
		        "Everseal, running as user %u, may not write %s: give the state directory "
		        "and all in it to that user (chown -R), or run as its owner.",
		        (unsigned)geteuid(), path);
	case EROFS:
		return err_set(err, ERR_IO,
		        "%s lies on a file system that is mounted read-only: mount it writable, "
		        "or name another state directory.",
		        path);
	case ENOSPC:
	case EDQUOT:
		return err_set(err, ERR_IO,
		        "There is no room left on the disk for %s, so nothing was saved: free some "
		        "space. The next change is tried anew.",
		        path);
	default:
		return err_sys(err, ERR_IO, number, "%s cannot be read or written", path);
	}
}

bool state_sync_dir(const char *dir, struct err *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return state_err(dir, errno, err);
	int failed = fsync(fd) ? errno : 0;
	close(fd);
	/* Some file systems cannot sync a directory, and say so by EINVAL. */
	return !failed || failed == EINVAL || state_err(dir, failed, err);
}

static bool sync_parent(const char *dir, struct err *err)
{
	BUF_AUTO above = BUF_INIT(PATH_MAX);
	buf_printf(&above, "%s/..", dir);
	return state_sync_dir(buf_c(&above), err);
}

/* A directory made by others (a package, a volume) may be open to all. */
static bool keep_private(const char *dir, struct err *err)
{
	struct stat st;
	if (stat(dir, &st))
		return state_err(dir, errno, err);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_INPUT,
		        "%s is not a directory: name another one as state directory.", dir);
	if (st.st_uid == geteuid() && (st.st_mode & 077) && chmod(dir, 0700))
		return state_err(dir, errno, err);
	return true;
}

bool state_make(const char *dir, struct err *err)
{
	if (!mkdir(dir, 0700))
		return sync_parent(dir, err);
	if (errno == EEXIST)
		return keep_private(dir, err);
	if (errno == ENOENT)
		return err_set(err, ERR_NOT_FOUND,
		        "The state directory %s cannot be made because the folder above it does "
		        "not "
		        "exist: make that first.",
		        dir);
	return state_err(dir, errno, err);
}

bool state_file(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return state_err(path, errno, err);
	close(fd);
	return true;
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool held_by_another(const char *dir, int fd, struct err *err)
{
	char pid[24] = "";
	ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
	size_t digits = n > 0 ? strspn(pid, "0123456789") : 0;
	if (!digits)
		return err_set(err, ERR_BUSY,
		        "Another Everseal uses the state directory %s: stop it first, or name "
		        "another state directory.",
		        dir);
	return err_set(err, ERR_BUSY,
	        "Another Everseal (process %.*s) uses the state directory %s: stop it first, or "
	        "name another state directory.",
	        (int)digits, pid, dir);
}

/* The loop does not run yet, and flock has no way to wait for a while: short naps. */
static bool wait_for_lock(const char *dir, int fd, struct err *err)
{
	const struct timespec nap = { .tv_nsec = LOCK_STEP_MS * 1000000 };
	int64_t give_up = now_ms() + LOCK_WAIT_MS;
	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_sys(err, ERR_IO, errno, "%s/lock cannot be locked", dir);
		if (now_ms() >= give_up)
			return held_by_another(dir, fd, err);
		nanosleep(&nap, NULL);
	}
	return true;
}

static bool write_pid(int fd)
{
	char pid[24];
	int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
	return !ftruncate(fd, 0) && pwrite(fd, pid, (size_t)n, 0) == n;
}

bool state_lock(const char *dir, int *ret_fd, struct err *err)
{
	BUF_AUTO path = BUF_INIT(PATH_MAX);
	buf_printf(&path, "%s/lock", dir);
	int fd = open(buf_c(&path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return state_err(buf_c(&path), errno, err);
	if (!wait_for_lock(dir, fd, err)) {
		close(fd);
		return false;
	}
	/* Who cannot write its number (a full disk) still holds the lock. */
	if (!write_pid(fd))
		(void)!ftruncate(fd, 0);
	*ret_fd = fd;
	return true;
}
