/* A link to another process of ours: whole messages over a SOCK_SEQPACKET pair, at most 64 KiB
 * each, with at most one descriptor. What comes in is checked like foreign bytes: a message that
 * does not decode ends the link.
 *
 * Sending never blocks. A message that the socket does not take is queued, up to a ceiling; `send`
 * says false beyond it, and the caller drops and counts (log events) or had credit (rows).
 *
 * The struct lives in the caller's object; the callbacks find that object by OWNER:
 *
 *	static void heard(struct link *l, const struct msg *m)
 *	{
 *		struct control *c = OWNER(l, struct control, supervisor);
 *		switch (m->type) {
 *		case MSG_bound:
 *			bound(c, m->is.bound.id, m->is.bound.fd);
 *			…
 *	}
 *	link_init(&c->supervisor, loop, fd, &supervisor_ops);
 *	link_send(&c->supervisor, bind, .id = 1, .address = STR("::1"), .port = 443);
 */
#ifndef LINK_LINK_H
#define LINK_LINK_H

#include "base/buf.h"
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
/* Both callbacks may call link_done and free the link's owner. */
struct link_ops {
	void (*heard)(struct link *l, const struct msg *m);
	/* The other side is gone, or sent what does not decode: said once, nothing follows. What
	 * came before the end was heard. */
	void (*ended)(struct link *l, const struct err *why);
};
struct link {
	const struct link_ops *ops;
	struct loop *loop; /* NULL when not in use */
	int fd;
	struct watch watch;
	struct later rest;  /* reading goes on in the next round */
	struct list queue;  /* struct packet, oldest first */
	size_t queued;      /* bytes in it */
	bool ended, broken; /* ended was called · it will be: sending failed */
	bool *gone;         /* set by link_done while a callback runs */
};
/* Takes fd. */
void link_init(struct link *l, struct loop *loop, int fd, const struct link_ops *ops);
void link_done(struct link *l); /* harmless twice, and on a zeroed struct; nothing is called */
static inline bool link_alive(const struct link *l)
{
	return l->loop && !l->ended && !l->broken;
}

/* A pair of ends, close-on-exec, non-blocking. */
MUST_CHECK bool link_pair(int ret_fds[2], struct err *err);

/* False if the queue is full, the message is too large, or the link has ended or is not in use; the
 * message is then not sent. Never calls back. Descriptors are duplicated: the caller keeps his. */
bool link_send_message(struct link *l, enum msg_type type, const void *fields);
#define link_send(l, ...) LINK_SEND_FIELDS(l, __VA_ARGS__, )
#define LINK_SEND_FIELDS(l, name, ...)                                                             \
	link_send_message((l), MSG_##name, &(const struct msg_##name){ ._ = 0, __VA_ARGS__ })
size_t link_queued(const struct link *l); /* bytes */

/* For a message whose descriptor nobody here has a use for; harmless if it has none. */
void msg_close_fd(const struct msg *m);

/* The bytes of one message, and back; for tests and the fuzz target. *ret_fd is borrowed from
 * `fields`, -1 if there is none. fd is -1 or becomes the message's; on failure the caller still has
 * it. Texts of *ret_msg are borrowed from `bytes`. */
void msg_encode(enum msg_type type, const void *fields, struct buf *out, int *ret_fd);
MUST_CHECK bool msg_decode(struct str bytes, int fd, struct msg *ret_msg, struct err *err);

#endif
