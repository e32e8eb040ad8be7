/* Finds the running server, or says why there is none. */
#include "cli/connect.h"

#include "base/clock.h"
#include "cli/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>

/* ms: between attempts; for a server that died and is revived, which leaves its socket behind and
 * holds no lock for a moment. */
enum { PAUSE = 50, REVIVAL = 2000 };

/* A path too long for a socket address is reached through the directory's descriptor. */
static bool socket_address(struct str state, int dir, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	const size_t most = sizeof ret->sun_path;
	int n = snprintf(ret->sun_path, most, "%.*s/control.sock", STR_ARG(state));
	if (n < 0 || (size_t)n >= most)
		n = snprintf(ret->sun_path, most, "/proc/self/fd/%d/control.sock", dir);
	return n > 0 && (size_t)n < most;
}

static int try_connect(struct str state, int dir)
{
	struct sockaddr_un address;
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (socket_address(state, dir, &address) &&
	        connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	const int number = errno;
	close(fd);
	errno = number;
	return -1;
}

/* The server holds STATE/lock from its first moment on, before there is a socket. */
static bool lock_held(int dir)
{
	const int fd = openat(dir, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	const bool held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
	close(fd);
	return held;
}

static int open_state(struct str state, struct err *err)
{
	char *path = str_dup(state);
	const int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const int number = errno;
	free(path);
	if (dir >= 0)
		return dir;
	if (number == ENOENT)
		err_set(err, ERR_UNREACHABLE,
		        "No Everseal is running on %.*s, which does not exist: start it with "
		        "`everseal "
		        "run`, or name its directory by --config or --state.",
		        STR_ARG(state));
	else
		err_sys(err, ERR_PERMISSION, number, "%.*s cannot be entered", STR_ARG(state));
	return -1;
}

static bool refuse(struct str state, int number, bool starting, struct err *err)
{
	if (number == EACCES || number == EPERM)
		return err_set(err, ERR_PERMISSION,
		        "You may not talk to the Everseal on %.*s: do it as the owner of that "
		        "directory, "
		        "or as root.",
		        STR_ARG(state));
	if (starting)
		return err_set(err, ERR_TIMEOUT,
		        "The Everseal on %.*s has been starting or ending for %d s and does not "
		        "answer: "
		        "its log says why.",
		        STR_ARG(state), CLIENT_START / 1000);
	if (number == ENOENT || number == ECONNREFUSED)
		return err_set(err, ERR_UNREACHABLE,
		        "No Everseal is running on %.*s: start it with `everseal run`.",
		        STR_ARG(state));
	return err_sys(
	        err, ERR_IO, number, "The Everseal on %.*s cannot be reached", STR_ARG(state));
}

int client_connect(struct str state, struct err *err)
{
	const int dir = open_state(state, err);
	if (dir < 0)
		return -1;
	const int64_t start = clock_system.mono(&clock_system);
	int fd, number = 0;
	bool starting = false;
	while ((fd = try_connect(state, dir)) < 0) {
		number = errno;
		const int64_t waited = clock_system.mono(&clock_system) - start;
		const bool absent = number == ENOENT || number == ECONNREFUSED;
		starting = (absent && lock_held(dir)) || number == EAGAIN;
		const bool revived = number == ECONNREFUSED && waited < REVIVAL;
		if (!revived && (!starting || waited >= CLIENT_START))
			break;
		poll(NULL, 0, PAUSE);
	}
	close(dir);
	if (fd < 0 && !refuse(state, number, starting, err))
		return -1;
	return fd;
}
