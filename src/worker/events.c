#include "worker/events.h"
#include "base/log.h"
#include <stdatomic.h>

enum { WAITING_MOST = 4096 };

struct event {
	struct letter letter;
	struct buf bytes; /* a message */
	int fd;           /* that goes with it, -1: none */
};

static struct mailbox *mailbox;
static void (*hear_event)(const struct msg *m);
static atomic_uint waiting;
static atomic_uint_fast64_t dropped;

static void open_event(struct mailbox *m, struct letter *l)
{
	(void)m;
	struct event *e = OWNER(l, struct event, letter);
	struct msg msg;
	struct err err;
	CHECK(msg_decode(buf_str(&e->bytes), e->fd, &msg, &err));
	hear_event(&msg);
	msg_close_fd(&msg);
	buf_done(&e->bytes);
	free(e);
	atomic_fetch_sub_explicit(&waiting, 1, memory_order_relaxed);
}

static void log_event(enum log_level level, struct str fields, struct str text)
{
	events_post(
	        MSG_log, &(const struct msg_log){ .level = level, .fields = fields, .text = text });
}

void events_init(struct loop *loop, void (*hear)(const struct msg *m))
{
	hear_event = hear;
	mailbox = mailbox_new(loop, open_event);
	log_to(log_event);
}

void events_done(void)
{
	log_to(log_to_stderr);
	mailbox_free(&mailbox);
}

void events_drop(void)
{
	atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
}

uint64_t events_dropped(void)
{
	return atomic_exchange_explicit(&dropped, 0, memory_order_relaxed);
}

void events_post(enum msg_type type, const void *fields)
{
	struct event *e = mem_new(struct event);
	e->bytes = BUF_SECRET(LINK_MESSAGE_MOST); /* a password may be in it */
	msg_encode(type, fields, &e->bytes, &e->fd);
	if (atomic_fetch_add_explicit(&waiting, 1, memory_order_relaxed) < WAITING_MOST) {
		mail_post(mailbox, &e->letter);
		return;
	}
	atomic_fetch_sub_explicit(&waiting, 1, memory_order_relaxed);
	events_drop();
	if (e->fd >= 0)
		(void)close(e->fd);
	buf_done(&e->bytes);
	free(e);
}
