/* A connection as a stack of filters: TCP at the bottom, TLS above it, and a memory pipe in place
 * of TCP for tests. Whoever holds the top reads and writes plain bytes and does not know the rest.
 *
 * Edge-triggered: `ready` tells of CONN_IN after which conn_read is called until it gives
 * CONN_AGAIN or less than was asked for, and of CONN_OUT once after a conn_write took less than it
 * was given or left something unsent. Never fires inside conn_read or conn_write. */
#ifndef NET_CONN_H
#define NET_CONN_H

#include "base/err.h"
#include "loop/loop.h"
#include <sys/uio.h>

enum { CONN_IN = WATCH_IN, CONN_OUT = WATCH_OUT }; /* no other bit reaches `ready` */
enum { CONN_AGAIN = -1, CONN_FAILED = -2 };        /* FAILED: conn_failure says why */

struct conn;
struct sockaddr_storage;
struct conn_ops {
	ssize_t (*read)(struct conn *c, char *p, size_t n);
	ssize_t (*write)(struct conn *c, const struct iovec *v, int count);
	void (*shutdown)(struct conn *c); /* no more from us: close_notify, FIN */
	void (*free)(struct conn *c);     /* closes everything below, too */
	void (*reset)(struct conn *c);    /* the same, but so that the peer sees a failure */
	const char *(*failure)(const struct conn *c);
	size_t (*unsent)(const struct conn *c);                            /* NULL: never any */
	ssize_t (*peek)(struct conn *c, char *p, size_t n);                /* NULL: cannot */
	bool (*local)(const struct conn *c, struct sockaddr_storage *ret); /* NULL: has none */
};

/* Lives in the object of whoever holds a connection; `ready` finds that object by
 * OWNER(c->holder, struct client, held). */
struct conn_holder {
	struct conn *conn;
};

struct conn {
	const struct conn_ops *ops;
	void (*ready)(struct conn *c, unsigned events); /* this and the next: by conn_hold */
	struct conn_holder *holder;
	bool more; /* the holder's: another write follows the next one at once */
	bool ends; /* the holder's: what is written from now on may wait for conn_shutdown, which
	              follows, so that all of it goes at once */
};
static inline void conn_hold(
        struct conn_holder *h, struct conn *c, void (*ready)(struct conn *c, unsigned events))
{
	h->conn = c;
	c->holder = h;
	c->ready = ready;
}

/* > 0: bytes; 0: the peer has ended its side (TLS: by close_notify; a bare FIN on TLS is FAILED);
 * CONN_AGAIN; CONN_FAILED. */
static inline ssize_t conn_read(struct conn *c, char *p, size_t n)
{
	return c->ops->read(c, p, n);
}
/* Like conn_read, but the bytes are there still, and no event tells of them again: whoever holds
 * the connection next is told by the one who looked. Not through TLS. */
static inline ssize_t conn_peek(struct conn *c, char *p, size_t n)
{
	return c->ops->peek(c, p, n);
}
/* >= 0: bytes taken, in order over the vector; CONN_AGAIN; CONN_FAILED. */
static inline ssize_t conn_write(struct conn *c, const struct iovec *v, int count)
{
	return c->ops->write(c, v, count);
}
static inline void conn_shutdown(struct conn *c)
{
	c->ops->shutdown(c);
}
void conn_free(struct conn **c);
/* For a message that was cut off: TCP sends RST, TLS no close_notify. */
void conn_reset(struct conn **c);
/* Bytes of what conn_write took that wait for the peer to read: conn_free would lose them. CONN_OUT
 * comes once there are fewer. */
size_t conn_unsent(const struct conn *c);
const char *conn_failure(const struct conn *c);
/* Our own address, which the peer has connected to. */
MUST_CHECK bool conn_local(const struct conn *c, struct sockaddr_storage *ret_address);

/* TCP: takes the descriptor (non-blocking, close-on-exec set by the maker).
 * What already waits in the socket is told by a CONN_IN in the next turn. */
struct conn *conn_tcp_new(struct loop *loop, int fd);
/* Starts connecting; CONN_OUT tells the outcome: conn_write then works or gives CONN_FAILED. */
struct conn *conn_tcp_connect(struct loop *loop, const struct sockaddr_storage *to);

/* A socket that listens: the descriptor, non-blocking and close-on-exec, or -errno. An IPv6 address
 * is bound for IPv6 only. Port 0: the kernel picks one, conn_local_address tells it. */
int conn_listen(const struct sockaddr_storage *at);
/* Once before conn_accept: its connections are born with TCP_NODELAY. */
void conn_listener_use(int listener);
/* A descriptor fit for conn_tcp_new, or -errno (-EAGAIN: nobody waits any more). */
int conn_accept(int listener, struct sockaddr_storage *ret_peer);
MUST_CHECK bool conn_local_address(int fd, struct sockaddr_storage *ret_address);

/* Two ends in memory, each with a capacity: tests without a port. */
void conn_pipe_new(struct loop *loop, size_t capacity, struct conn **ret_a, struct conn **ret_b);

#endif
