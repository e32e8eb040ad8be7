/* STATE/control.sock: HTTP with the JSON API, for this machine's owner of the state and for root.
 * The connections are served like any client's, by a worker of control's own. */
#include "control/control.h"
#include "server/client.h"
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { BACKLOG = 128 };

static bool api_generation(struct worker *w, enum site_kind kind, struct err *err)
{
	struct generation_builder *b = generation_begin(&(struct msg_generation){ .number = 1 });
	struct msg_site site = { .id = 1,
		.name = STR("api"),
		.fallback = true,
		.kind = kind,
		.hsts_age = -1,
		.url_port = 443 };
	/* How long a client of the page may wait is the page's own serve's to say. */
	struct msg_limit idle = { .name = STR("idle-timeout"), .value = DAY };
	if (!generation_row(b, MSG_site, &site, err) ||
	        (kind == SITE_PAGE && !generation_row(b, MSG_limit, &idle, err))) {
		generation_drop(&b);
		return false;
	}
	struct generation *g = generation_build(&b, err);
	if (!g)
		return false;
	struct generation *none = worker_commit(w, g);
	generation_unref(&none);
	return true;
}

static bool allowed(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}

static void incoming(struct watch *watch, unsigned events)
{
	struct control *c = OWNER(watch, struct control, socket);
	(void)events;
	for (;;) {
		int fd = accept4(c->socket_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		struct sockaddr_storage nobody = { .ss_family = AF_UNIX };
		if (allowed(fd))
			client_new(&c->worker, conn_tcp_new(c->loop, fd), &nobody, NULL);
		else
			close(fd);
	}
}

static bool listen_at(struct control *c, const char *path, struct err *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof at.sun_path)
		return err_set(err, ERR_INPUT,
		        "The path of the state directory, %s, is too long for a "
		        "socket in it: choose one of at most %zu characters.",
		        c->state, sizeof at.sun_path - sizeof "/control.sock");
	memcpy(at.sun_path, path, strlen(path) + 1);
	unlink(path); /* a predecessor's: the lock on the store says that it is gone */
	c->socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t old = umask(0177);
	bool bound = c->socket_fd >= 0 &&
	             !bind(c->socket_fd, (const struct sockaddr *)&at, sizeof at) &&
	             !listen(c->socket_fd, BACKLOG);
	umask(old);
	if (!bound)
		return err_sys(err, ERR_IO, errno, "The socket %s cannot be made", path);
	return true;
}

bool socket_worker(struct control *c, struct worker *w, enum site_kind kind, struct err *err)
{
	worker_init(w, c->loop);
	w->handlers[kind] = &portal_handler;
	return api_generation(w, kind, err);
}

bool socket_open(struct control *c, struct err *err)
{
	BUF_AUTO path = BUF(4096);
	buf_printf(&path, "%s/control.sock", c->state);
	if (!socket_worker(c, &c->worker, SITE_API, err) || !listen_at(c, buf_c(&path), err))
		return false;
	watch_start(&c->socket, c->loop, c->socket_fd, incoming);
	return true;
}

void socket_close(struct control *c)
{
	if (c->socket_fd < 0)
		return;
	BUF_AUTO path = BUF(4096);
	watch_stop(&c->socket);
	buf_printf(&path, "%s/control.sock", c->state);
	unlink(buf_c(&path));
	close(c->socket_fd);
	worker_done(&c->worker);
	c->socket_fd = -1;
}
