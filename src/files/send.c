/* A file on its way to the client, in pieces of the worker's scratch. */
#include "files/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>

enum {
	PIECES_MOST = 16, /* in a row, before others have their turn */
	WAITS_MOST = 6,   /* for the disk: 1 + 2 + … + 32 ms */
};

struct sending {
	struct handling handling;
	struct exchange *ex;
	int fd;
	struct portions portions;
	size_t portion; /* under way */
	struct timer disk;
	struct later turn;
	unsigned waits;
};

static struct sending *sending_of(struct handling *h)
{
	return OWNER(h, struct sending, handling);
}

static void let_go(struct sending *s)
{
	timer_stop(&s->disk);
	later_stop(&s->turn);
	(void)close(s->fd);
}

static void go_on(struct sending *s);

static void disk_is_due(struct timer *t)
{
	go_on(OWNER(t, struct sending, disk));
}

static void next_turn(struct later *l)
{
	go_on(OWNER(l, struct sending, turn));
}

/* What is not in memory is asked for, and looked for again in a moment. 0: come again. */
static ssize_t wait_for_disk(struct sending *s, struct iovec *v, off_t at)
{
	if (s->waits == WAITS_MOST)
		return preadv(s->fd, v, 1, at);
	if (s->waits == 0)
		(void)posix_fadvise(s->fd, at, (off_t)v->iov_len, POSIX_FADV_WILLNEED);
	timer_start(&s->disk, s->ex->worker->loop, INT64_C(1) << s->waits++, disk_is_due);
	return 0;
}

/* Bytes of the range; 0: later; < 0: the file has failed, or has become shorter. */
static ssize_t read_piece(struct sending *s, const struct range *r)
{
	size_t most = r->length < WORKER_SCRATCH ? (size_t)r->length : WORKER_SCRATCH;
	struct iovec v = { s->ex->worker->scratch, most };
	ssize_t n = preadv2(s->fd, &v, 1, (off_t)r->start, RWF_NOWAIT);
	if (n < 0 && errno == EAGAIN) {
		n = wait_for_disk(s, &v, (off_t)r->start);
		if (n == 0 && timer_active(&s->disk))
			return 0;
	} else if (n < 0 && (errno == EOPNOTSUPP || errno == EINVAL)) {
		n = preadv(s->fd, &v, 1, (off_t)r->start);
	}
	s->waits = 0;
	return n > 0 ? n : -1;
}

enum next { GO_ON, WAIT, ENDED };

static enum next give(struct sending *s, struct str piece)
{
	return exchange_body(s->ex, piece) > 0 ? GO_ON : WAIT;
}

static enum next send_range(struct sending *s, struct range *r)
{
	ssize_t n = read_piece(s, r);
	if (n == 0)
		return WAIT;
	if (n < 0) {
		let_go(s);
		exchange_abort(s->ex, "The file changed while it was sent.");
		return ENDED;
	}
	r->start += (uint64_t)n;
	r->length -= (uint64_t)n;
	return give(s, str_n(s->ex->worker->scratch, (size_t)n));
}

static enum next send_some(struct sending *s)
{
	struct portion *p = &s->portions.at[s->portion];
	if (p->text.n) {
		struct str text = p->text;
		p->text = STR_NONE;
		return give(s, text);
	}
	if (p->range.length)
		return send_range(s, &p->range);
	s->portion++;
	return GO_ON;
}

static void go_on(struct sending *s)
{
	enum next next = GO_ON;
	for (unsigned i = 0; next == GO_ON && s->portion < s->portions.count; i++) {
		if (i == PIECES_MOST) {
			later_start(&s->turn, s->ex->worker->loop, next_turn);
			return;
		}
		next = send_some(s);
	}
	if (next == GO_ON) {
		let_go(s);
		exchange_end(s->ex);
	}
}

static void room(struct handling *h)
{
	go_on(sending_of(h));
}

static void gone(struct handling *h)
{
	let_go(sending_of(h));
}

static void body(struct handling *h, struct str piece)
{
	(void)h;
	(void)piece;
}

static void body_end(struct handling *h)
{
	(void)h;
}

static const struct handling_ops ops = {
	.body = body, .body_end = body_end, .room = room, .gone = gone
};

void file_send(struct exchange *ex, int fd, const struct portions *portions)
{
	struct sending *s = arena_new(ex->arena, struct sending);
	s->handling.ops = &ops;
	s->ex = ex;
	s->fd = fd;
	s->portions = *portions;
	ex->handling = &s->handling;
	go_on(s);
}
