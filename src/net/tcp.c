/* TCP as the lowest filter. Edge-triggered without a wasted read: a short read means that the
 * socket is empty, unless the event told of the peer's end as well; then the end is announced by an
 * event of its own, so that whoever stopped at the short read comes back for it. */
#include "net/address.h"
#include "net/conn.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>

struct tcp {
	struct conn conn;
	struct watch watch;
	struct later end; /* the announcement above */
	bool ended, blocked, connecting;
	int failure; /* errno */
};

static struct tcp *tcp_of(struct conn *c)
{
	return OWNER(c, struct tcp, conn);
}

static void announce_end(struct later *l)
{
	struct tcp *t = OWNER(l, struct tcp, end);
	t->conn.ready(&t->conn, CONN_IN);
}

static ssize_t tcp_read(struct conn *c, char *p, size_t n)
{
	struct tcp *t = tcp_of(c);
	ssize_t got;
	do
		got = recv(t->watch.fd, p, n, 0);
	while (got < 0 && errno == EINTR);
	if (got > 0 && (size_t)got < n && t->ended)
		later_start(&t->end, t->watch.loop, announce_end);
	if (got >= 0)
		return got;
	if (errno == EAGAIN)
		return CONN_AGAIN;
	t->failure = errno;
	return CONN_FAILED;
}

static ssize_t tcp_peek(struct conn *c, char *p, size_t n)
{
	struct tcp *t = tcp_of(c);
	ssize_t got;
	do
		got = recv(t->watch.fd, p, n, MSG_PEEK);
	while (got < 0 && errno == EINTR);
	if (got >= 0)
		return got;
	if (errno == EAGAIN)
		return CONN_AGAIN;
	t->failure = errno;
	return CONN_FAILED;
}

static size_t total_of(const struct iovec *v, int count)
{
	size_t total = 0;
	for (int i = 0; i < count; i++)
		total += v[i].iov_len;
	return total;
}

static ssize_t tcp_write(struct conn *c, const struct iovec *v, int count)
{
	struct tcp *t = tcp_of(c);
	struct iovec *parts = (struct iovec *)v; /* sendmsg only reads them */
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = (size_t)count };
	const int flags = MSG_NOSIGNAL | (c->ends || c->more ? MSG_MORE : 0);
	ssize_t put;
	do /* one part is the rule, and send costs less for it */
		put = count == 1 ? send(t->watch.fd, v->iov_base, v->iov_len, flags)
		                 : sendmsg(t->watch.fd, &message, flags);
	while (put < 0 && errno == EINTR);
	if (put < 0 && errno != EAGAIN) {
		t->failure = errno;
		return CONN_FAILED;
	}
	t->blocked = put < 0 || (size_t)put < total_of(v, count);
	return put < 0 ? CONN_AGAIN : put;
}

static void tcp_shutdown(struct conn *c)
{
	(void)shutdown(tcp_of(c)->watch.fd, SHUT_WR);
}

static void tcp_free(struct conn *c)
{
	struct tcp *t = tcp_of(c);
	watch_close(&t->watch);
	later_stop(&t->end);
	free(t);
}

static void tcp_reset(struct conn *c)
{
	struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
	(void)setsockopt(tcp_of(c)->watch.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	tcp_free(c);
}

static const char *tcp_failure(const struct conn *c)
{
	const struct tcp *t = OWNER((struct conn *)c, struct tcp, conn);
	return t->failure != 0 ? strerrordesc_np(t->failure) : "";
}

static bool tcp_local(const struct conn *c, struct sockaddr_storage *ret_address)
{
	return conn_local_address(OWNER((struct conn *)c, struct tcp, conn)->watch.fd, ret_address);
}

static const struct conn_ops tcp_ops = {
	.read = tcp_read,
	.peek = tcp_peek,
	.local = tcp_local,
	.write = tcp_write,
	.shutdown = tcp_shutdown,
	.free = tcp_free,
	.reset = tcp_reset,
	.failure = tcp_failure,
};

static void tcp_ready(struct watch *w, unsigned events)
{
	struct tcp *t = OWNER(w, struct tcp, watch);
	unsigned told = events & CONN_IN;
	t->ended = t->ended || (events & WATCH_END) != 0;
	if ((events & WATCH_OUT) && (t->blocked || t->connecting)) {
		t->blocked = t->connecting = false;
		told |= CONN_OUT;
	}
	if (told != 0)
		t->conn.ready(&t->conn, told);
}

static void send_at_once(int fd)
{
	int yes = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

static struct tcp *tcp_new(struct loop *loop, int fd)
{
	struct tcp *t = mem_new(struct tcp);
	t->conn.ops = &tcp_ops;
	watch_start(&t->watch, loop, fd, tcp_ready);
	return t;
}

struct conn *conn_tcp_new(struct loop *loop, int fd)
{
	return &tcp_new(loop, fd)->conn;
}

/* A socket that cannot be had, or refuses at once, says so at the first write like one that refuses
 * later: -1 as descriptor makes every call fail. */
static void fail_soon(struct later *l)
{
	struct tcp *t = OWNER(l, struct tcp, end);
	t->conn.ready(&t->conn, CONN_IN | CONN_OUT);
}

static ssize_t failed_read(struct conn *c, char *p, size_t n)
{
	(void)c, (void)p, (void)n;
	return CONN_FAILED;
}

static ssize_t failed_write(struct conn *c, const struct iovec *v, int count)
{
	(void)c, (void)v, (void)count;
	return CONN_FAILED;
}

static const struct conn_ops failed_ops = {
	.read = failed_read,
	.write = failed_write,
	.shutdown = tcp_shutdown,
	.free = tcp_free,
	.reset = tcp_free,
	.failure = tcp_failure,
};

static struct conn *connect_failed(struct loop *loop, int number)
{
	struct tcp *t = mem_new(struct tcp);
	t->conn.ops = &failed_ops;
	t->watch.fd = -1;
	t->failure = number;
	later_start(&t->end, loop, fail_soon);
	return &t->conn;
}

struct conn *conn_tcp_connect(struct loop *loop, const struct sockaddr_storage *to)
{
	int fd = socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return connect_failed(loop, errno);
	if (connect(fd, (const struct sockaddr *)to, address_size(to)) < 0 &&
	        errno != EINPROGRESS) {
		int number = errno;
		(void)close(fd);
		return connect_failed(loop, number);
	}
	send_at_once(fd);
	struct tcp *t = tcp_new(loop, fd);
	t->connecting = true;
	return &t->conn;
}

int conn_listen(const struct sockaddr_storage *at)
{
	int fd = socket(at->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int yes = 1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (at->ss_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
	if (bind(fd, (const struct sockaddr *)at, address_size(at)) == 0 && listen(fd, 4096) == 0)
		return fd;
	int number = errno;
	(void)close(fd);
	return -number;
}

void conn_listener_use(int listener)
{
	send_at_once(listener);
}

int conn_accept(int listener, struct sockaddr_storage *ret_peer)
{
	socklen_t size = sizeof *ret_peer;
	int fd;
	do
		fd = accept4(
		        listener, (struct sockaddr *)ret_peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
	while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	return fd < 0 ? -errno : fd;
}

bool conn_local_address(int fd, struct sockaddr_storage *ret_address)
{
	struct sockaddr_storage a = { 0 };
	socklen_t size = sizeof a;
	if (getsockname(fd, (struct sockaddr *)&a, &size) != 0)
		return false;
	*ret_address = a;
	return true;
}
