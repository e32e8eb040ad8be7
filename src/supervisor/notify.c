/* sd_notify(3) by hand: one datagram. libsystemd would bring five libraries along. */
#include "supervisor/inside.h"
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>

void notify(const char *format, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t n = path ? strlen(path) : 0;
	if (n < 2 || n >= sizeof to.sun_path || !strchr("/@", path[0]))
		return;
	memcpy(to.sun_path, path, n);
	if (path[0] == '@')
		to.sun_path[0] = '\0'; /* an abstract address */
	BUF_AUTO text = BUF_INIT(4096);
	va_list args;
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* A manager that does not listen is its own affair. */
	(void)!sendto(fd, buf_c(&text), text.n, MSG_NOSIGNAL | MSG_DONTWAIT,
	        (const struct sockaddr *)&to,
	        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	close(fd);
}

long long notify_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}
