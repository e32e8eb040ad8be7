#include "supervisor/inside.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* A busy port is often one that is just being given up. */
#define PATIENCE    (2 * SECOND)
#define RETRY_SOON  (SECOND / 10)
#define RETRY_LATER SECOND
enum { BACKLOG = 4096 };

struct listening {
	struct list node;
	struct sockets *sockets;
	int64_t id; /* the control's last word for it */
	bool asked; /* by the control now running */
	bool udp;
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} to;
	socklen_t size;
	int fd;          /* -1 until bound */
	int error, told; /* errno of the last try · the one that control knows */
	int64_t since;   /* mono, of the first try */
	struct timer again;
};

void sockets_init(struct sockets *s, struct loop *loop, struct link *control)
{
	*s = (struct sockets){ .loop = loop, .control = control };
	list_init(&s->all);
}

static void forget(struct listening *l)
{
	timer_stop(&l->again);
	list_remove(&l->node);
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}

static int make_socket(const struct listening *l)
{
	const int type = l->udp ? SOCK_DGRAM : SOCK_STREAM;
	int fd = socket(l->to.any.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	const int on = 1;
	/* Two sockets for datagrams would share what comes, whoever binds the second. */
	if (!l->udp)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	/* [::] is IPv6 only: the file has a line of its own for IPv4. */
	if (l->to.any.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, &l->to.any, l->size) == 0 && (l->udp || listen(fd, BACKLOG) == 0))
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

static void tell(struct listening *l)
{
	BUF_AUTO holder = BUF_INIT(256);
	if (l->fd < 0 && l->error == EADDRINUSE)
		holder_find(&l->to.any, &holder);
	l->told = l->fd < 0 ? l->error : 0;
	link_send(l->sockets->control, bound, .id = l->id, .error = l->told,
	        .holder = buf_str(&holder), .fd = l->fd);
}

static void try_again(struct timer *t);

static void try_now(struct listening *l)
{
	l->fd = make_socket(l);
	l->error = l->fd < 0 ? errno : 0;
	int64_t waited = loop_mono(l->sockets->loop) - l->since;
	bool patient = l->error == EADDRINUSE && waited < PATIENCE;
	if (l->fd >= 0 || (!patient && l->told != l->error))
		tell(l);
	if (l->fd < 0)
		timer_start(
		        &l->again, l->sockets->loop, patient ? RETRY_SOON : RETRY_LATER, try_again);
}

static void try_again(struct timer *t)
{
	try_now(OWNER(t, struct listening, again));
}

static bool read_address(struct listening *l, struct str address, int64_t number)
{
	char text[INET6_ADDRSTRLEN + 1];
	if (number < 1 || number > UINT16_MAX)
		return false;
	snprintf(text, sizeof text, "%.*s", STR_ARG(address));
	in_port_t port = htons((uint16_t)number);
	if (inet_pton(AF_INET, text, &l->to.in.sin_addr) == 1) {
		l->to.in.sin_family = AF_INET;
		l->to.in.sin_port = port;
		l->size = sizeof l->to.in;
		return true;
	}
	l->to.in6.sin6_family = AF_INET6;
	l->to.in6.sin6_port = port;
	l->size = sizeof l->to.in6;
	return inet_pton(AF_INET6, text, &l->to.in6.sin6_addr) == 1;
}

/* One that the control before has left. What the control now running has asked for is never given
 * out twice: whoever wants the same address meets the kernel's refusal. */
static struct listening *find(struct sockets *s, const struct listening *like)
{
	LIST_EACH (node, &s->all) {
		struct listening *l = OWNER(node, struct listening, node);
		if (!l->asked && l->udp == like->udp && l->size == like->size &&
		        memcmp(&l->to, &like->to, l->size) == 0)
			return l;
	}
	return NULL;
}

static struct listening *listening_new(struct sockets *s, const struct listening *like)
{
	struct listening *l = mem_new(struct listening);
	l->sockets = s;
	l->to = like->to;
	l->udp = like->udp;
	l->size = like->size;
	l->since = loop_mono(s->loop);
	l->fd = -1;
	list_add_last(&s->all, &l->node);
	return l;
}

void sockets_bind(struct sockets *s, const struct msg_bind *m)
{
	struct listening like = { .udp = m->udp };
	if (!read_address(&like, m->address, m->port)) {
		link_send(s->control, bound, .id = m->id, .error = EINVAL);
		return;
	}
	struct listening *l = find(s, &like);
	bool known = l != NULL;
	if (!known)
		l = listening_new(s, &like);
	l->id = m->id;
	l->asked = true;
	if (!known)
		try_now(l);
	else if (l->fd >= 0 || l->told)
		tell(l);
}

void sockets_leave_open(const struct sockets *s, bool open)
{
	LIST_EACH (node, &s->all)
		leave_open(OWNER(node, struct listening, node)->fd, open);
}

void sockets_write(const struct sockets *s, struct buf *out)
{
	LIST_EACH (node, &s->all) {
		const struct listening *l = OWNER(node, struct listening, node);
		char address[INET6_ADDRSTRLEN];
		bool six = l->to.any.sa_family == AF_INET6;
		const void *at = six ? (const void *)&l->to.in6.sin6_addr : &l->to.in.sin_addr;
		if (l->fd < 0 || !inet_ntop(l->to.any.sa_family, at, address, sizeof address))
			continue;
		buf_printf(out, "socket %d %s %u\n", l->fd, address,
		        ntohs(six ? l->to.in6.sin6_port : l->to.in.sin_port));
	}
}

bool sockets_adopt(struct sockets *s, int fd, struct str address, int64_t port)
{
	struct listening like = { 0 };
	int type = 0;
	socklen_t size = sizeof type;
	if (!read_address(&like, address, port) ||
	        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		return false;
	like.udp = type == SOCK_DGRAM;
	listening_new(s, &like)->fd = fd;
	return true;
}

void sockets_release(struct sockets *s, int64_t id)
{
	LIST_EACH (node, &s->all) {
		struct listening *l = OWNER(node, struct listening, node);
		if (l->id == id)
			forget(l);
	}
}

void sockets_holder(struct sockets *s, const struct msg_who_holds *m)
{
	struct listening like = { 0 };
	BUF_AUTO holder = BUF_INIT(256);
	if (read_address(&like, m->address, m->port))
		holder_find(&like.to.any, &holder);
	link_send(s->control, holder, .id = m->id, .holder = buf_str(&holder));
}

void sockets_control_gone(struct sockets *s)
{
	LIST_EACH (node, &s->all) {
		struct listening *l = OWNER(node, struct listening, node);
		l->asked = false;
		l->id = 0;
		if (l->fd < 0)
			forget(l);
	}
}

void sockets_settle(struct sockets *s)
{
	LIST_EACH (node, &s->all) {
		struct listening *l = OWNER(node, struct listening, node);
		if (!l->asked)
			forget(l);
	}
}

void sockets_done(struct sockets *s)
{
	LIST_EACH (node, &s->all)
		forget(OWNER(node, struct listening, node));
}
