/* A link to another process of ours: whole messages over a SOCK_SEQPACKET pair, at most 64 KiB
 * each, with at most one descriptor. What comes in is checked like foreign bytes: a message that
 * does not decode ends the link.
 *
 * Sending never blocks. A message that the socket does not take is queued, up to a ceiling; `send`
 * says false beyond it, and the caller drops and counts (log events) or had credit (rows). */
#ifndef LINK_LINK_H
#define LINK_LINK_H

#include "base/err.h"
#include "link/messages.h"
#include "loop/loop.h"

enum { LINK_MESSAGE_MOST = 64 << 10, LINK_QUEUE_MOST = 16 << 20 };

/* A received message, decoded. */
struct msg {
	enum msg_type type;
	union {
#define X(name, ...) struct msg_##name name;
		MESSAGES(X, , , , )
#undef X
	} is;
};

struct link;
struct link_ops {
	void (*heard)(struct link *l, const struct msg *m); /* may free the link */
	void (*ended)(struct link *l, const struct err *why); /* the other side is gone; free it here
	                                                         or later; nothing follows */
};
struct link *link_new(struct loop *loop, int fd, const struct link_ops *ops); /* takes fd */
void link_free(struct link **l);
/* The caller's object behind the link: set after link_new, found in the callbacks. An intrusive
 * owner would need the struct to be public; a link instead remembers one list node. */
struct link_owner {
	struct link *link;
};
void link_own(struct link *l, struct link_owner *owner);
struct link_owner *link_owner(struct link *l);

/* A pair of ends, close-on-exec, non-blocking. */
MUST_CHECK bool link_pair(int ret_fds[2], struct err *err);

/* False if the queue is full or the link has ended; the message is then not sent. Descriptors are
 * duplicated: the caller keeps his. */
bool link_send_message(struct link *l, enum msg_type type, const void *fields);
#define link_send(l, name, ...)                                                                    \
	link_send_message((l), MSG_##name, &(const struct msg_##name){ __VA_ARGS__ })
size_t link_queued(const struct link *l); /* bytes */
pid_t link_peer_pid(const struct link *l);

/* For tests and the fuzz target: the bytes of one message, and back. */
void msg_encode(enum msg_type type, const void *fields, struct buf *out, int *ret_fd);
MUST_CHECK bool msg_decode(struct str bytes, int fd, struct msg *ret_msg, struct err *err);

#endif
