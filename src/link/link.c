#include "link/link.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

/* Messages heard per round of the loop, so that one flooding peer does not starve the others. */
enum { ROUND_MOST = 64 };
/* Room for more descriptors than a message may carry: those we see we can close. */
enum { FDS_SEEN = 8 };

struct packet {
	struct list node;
	int fd; /* ours, -1: none */
	size_t n;
	char bytes[];
};

bool link_pair(int ret_fds[2], struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_fds) < 0)
		return err_sys(err, ERR_IO, errno, "No link between two processes could be made");
	return true;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void packet_free(struct link *l, struct packet *p)
{
	l->queued -= p->n;
	list_remove(&p->node);
	close_fd(&p->fd);
	free(p);
}

/* The link falls silent; what it had to say is lost. */
static void silence(struct link *l)
{
	watch_stop(&l->watch);
	later_stop(&l->rest);
	LIST_EACH (node, &l->queue)
		packet_free(l, OWNER(node, struct packet, node));
	close_fd(&l->fd);
}

static void end(struct link *l, const struct err *why)
{
	silence(l);
	l->ended = true;
	l->ops->ended(l, why);
}

/* 1: sent, 0: the socket is full, -1: never again. */
static int push(struct link *l, struct str bytes, int fd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec iov = { .iov_base = (char *)(uintptr_t)bytes.p, .iov_len = bytes.n };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (fd >= 0) {
		h.msg_control = &control;
		h.msg_controllen = sizeof control.room;
		control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof fd),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
	}
	ssize_t n;
	do
		n = sendmsg(l->fd, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 1;
	return errno == EAGAIN ? 0 : -1;
}

/* The reading side meets the end after what is still to be heard, and tells it: sending never calls
 * back. */
static void break_off(struct link *l)
{
	l->broken = true;
	shutdown(l->fd, SHUT_RDWR);
}

static void flush(struct link *l)
{
	LIST_EACH (node, &l->queue) {
		struct packet *p = OWNER(node, struct packet, node);
		int sent = l->broken ? -1 : push(l, str_n(p->bytes, p->n), p->fd);
		if (sent == 0)
			return;
		if (sent < 0 && !l->broken)
			break_off(l);
		packet_free(l, p);
	}
}

static bool queue(struct link *l, struct str bytes, int fd)
{
	if (l->queued + bytes.n > LINK_QUEUE_MOST)
		return false;
	int own = -1;
	if (fd >= 0 && (own = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
		return false;
	struct packet *p = mem_alloc(sizeof *p + bytes.n);
	p->fd = own;
	p->n = bytes.n;
	memcpy(p->bytes, bytes.p, bytes.n);
	l->queued += p->n;
	list_add_last(&l->queue, &p->node);
	return true;
}

bool link_send_message(struct link *l, enum msg_type type, const void *fields)
{
	if (!link_alive(l))
		return false;
	BUF_AUTO out = BUF_INIT(LINK_MESSAGE_MOST);
	int fd;
	msg_encode(type, fields, &out, &fd);
	if (!buf_ok(&out))
		return false;
	int sent = list_empty(&l->queue) ? push(l, buf_str(&out), fd) : 0;
	if (sent < 0)
		break_off(l);
	return sent > 0 || (sent == 0 && queue(l, buf_str(&out), fd));
}

/* Keeps the first descriptor and closes the others; false if there were others. */
static bool take_fds(struct msghdr *h, int *ret_fd)
{
	bool one = !(h->msg_flags & MSG_CTRUNC);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		int fds[FDS_SEEN];
		size_t bytes = c->cmsg_len - CMSG_LEN(0);
		size_t count = (bytes < sizeof fds ? bytes : sizeof fds) / sizeof fds[0];
		memcpy(fds, CMSG_DATA(c), count * sizeof fds[0]);
		for (size_t i = 0; i < count; i++) {
			if (*ret_fd < 0) {
				*ret_fd = fds[i];
				continue;
			}
			close(fds[i]);
			one = false;
		}
	}
	return one;
}

/* One message as it came. n is what recvmsg said; *whole is false if it is none of ours. */
static ssize_t pull(int fd, char bytes[static LINK_MESSAGE_MOST], int *ret_fd, bool *ret_whole)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(FDS_SEEN * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = bytes, .iov_len = LINK_MESSAGE_MOST };
	struct msghdr h = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control.room };
	ssize_t n;
	do
		n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return n;
	*ret_whole = take_fds(&h, ret_fd) && !(h.msg_flags & MSG_TRUNC);
	return n;
}

/* False if there is nothing more to hear now, or ever. */
static bool hear_one(struct link *l)
{
	char bytes[LINK_MESSAGE_MOST];
	int fd = -1;
	bool whole = false;
	struct err err = ERR_INIT;
	ssize_t n = pull(l->fd, bytes, &fd, &whole);
	if (n < 0 && errno == EAGAIN)
		return false;
	struct msg m;
	if (n <= 0)
		err_set(&err, ERR_UNREACHABLE, "The process at the other end of the link is gone.");
	else if (!whole)
		err_set(&err, ERR_PROTOCOL,
		        "A message that is too long or has several descriptors came over the "
		        "link.");
	else if (msg_decode(str_n(bytes, (size_t)n), fd, &m, &err))
		fd = -1;
	close_fd(&fd);
	if (err.code != ERR_NONE) {
		end(l, &err);
		return false;
	}
	bool gone = false;
	l->gone = &gone;
	l->ops->heard(l, &m);
	if (gone)
		return false;
	l->gone = NULL;
	return true;
}

static void hear(struct link *l);

static void hear_rest(struct later *rest)
{
	hear(OWNER(rest, struct link, rest));
}

static void hear(struct link *l)
{
	for (int i = 0; i < ROUND_MOST; i++)
		if (!hear_one(l))
			return;
	later_start(&l->rest, l->loop, hear_rest);
}

static void ready(struct watch *w, unsigned events)
{
	struct link *l = OWNER(w, struct link, watch);
	if (events & WATCH_OUT)
		flush(l);
	if (events & WATCH_IN)
		hear(l);
}

void link_init(struct link *l, struct loop *loop, int fd, const struct link_ops *ops)
{
	*l = (struct link){ .ops = ops, .loop = loop, .fd = fd };
	list_init(&l->queue);
	watch_start(&l->watch, loop, fd, ready);
}

void link_done(struct link *l)
{
	if (!l->loop)
		return;
	silence(l);
	if (l->gone)
		*l->gone = true;
	l->loop = NULL;
}

size_t link_queued(const struct link *l)
{
	return l->queued;
}
