#include "net/conn.h"

/* What one end has written and the other not yet read. */
struct flow {
	char *p; /* a ring of `capacity` bytes */
	size_t head, used;
	bool ended; /* no more will be written */
};

struct end {
	struct conn conn;
	struct pipe *pipe;
	struct end *peer;
	struct flow in; /* what this end reads */
	struct later tell;
	unsigned events; /* to tell at the end of the turn */
	bool blocked, freed, broken;
};

/* Lives until both ends are freed. */
struct pipe {
	struct loop *loop;
	size_t capacity;
	struct end ends[2];
};

static struct end *end_of(struct conn *c)
{
	return OWNER(c, struct end, conn);
}

static void tell(struct later *l)
{
	struct end *e = OWNER(l, struct end, tell);
	unsigned events = e->events;
	e->events = 0;
	if (e->conn.ready)
		e->conn.ready(&e->conn, events);
}

static void tell_soon(struct end *e, unsigned events)
{
	if (e->freed)
		return;
	e->events |= events;
	later_start(&e->tell, e->pipe->loop, tell);
}

static ssize_t end_read(struct conn *c, char *p, size_t n)
{
	struct end *e = end_of(c);
	if (e->broken)
		return CONN_FAILED;
	if (e->in.used == 0)
		return e->in.ended ? 0 : CONN_AGAIN;
	size_t take = n < e->in.used ? n : e->in.used;
	for (size_t i = 0; i < take; i++)
		p[i] = e->in.p[(e->in.head + i) % e->pipe->capacity];
	e->in.head = (e->in.head + take) % e->pipe->capacity;
	e->in.used -= take;
	if (e->peer->blocked) {
		e->peer->blocked = false;
		tell_soon(e->peer, CONN_OUT);
	}
	if (take < n && e->in.ended) /* the end is an event of its own */
		tell_soon(e, CONN_IN);
	return (ssize_t)take;
}

static ssize_t end_peek(struct conn *c, char *p, size_t n)
{
	const struct end *e = end_of(c);
	if (e->broken)
		return CONN_FAILED;
	if (e->in.used == 0)
		return e->in.ended ? 0 : CONN_AGAIN;
	size_t take = n < e->in.used ? n : e->in.used;
	for (size_t i = 0; i < take; i++)
		p[i] = e->in.p[(e->in.head + i) % e->pipe->capacity];
	return (ssize_t)take;
}

static size_t flow_put(struct flow *f, size_t capacity, const struct iovec *v)
{
	size_t room = capacity - f->used, put = v->iov_len < room ? v->iov_len : room;
	for (size_t i = 0; i < put; i++)
		f->p[(f->head + f->used + i) % capacity] = ((const char *)v->iov_base)[i];
	f->used += put;
	return put;
}

static ssize_t end_write(struct conn *c, const struct iovec *v, int count)
{
	struct end *e = end_of(c);
	if (e->broken || e->peer->freed || e->peer->in.ended)
		return CONN_FAILED;
	size_t total = 0, put = 0;
	for (int i = 0; i < count; i++) {
		total += v[i].iov_len;
		put += flow_put(&e->peer->in, e->pipe->capacity, &v[i]);
	}
	if (put > 0)
		tell_soon(e->peer, CONN_IN);
	e->blocked = put < total;
	return put == 0 && total > 0 ? CONN_AGAIN : (ssize_t)put;
}

static void end_shutdown(struct conn *c)
{
	struct end *e = end_of(c);
	e->peer->in.ended = true;
	tell_soon(e->peer, CONN_IN);
}

static void end_free(struct conn *c)
{
	struct end *e = end_of(c);
	end_shutdown(c);
	later_stop(&e->tell);
	e->freed = true;
	free(e->in.p);
	if (e->peer->freed)
		free(e->pipe);
}

static void end_reset(struct conn *c)
{
	struct end *peer = end_of(c)->peer;
	peer->broken = true;
	tell_soon(peer, CONN_IN | CONN_OUT);
	end_free(c);
}

static const char *end_failure(const struct conn *c)
{
	(void)c;
	return "The other end of the pipe is gone";
}

static const struct conn_ops end_ops = {
	.read = end_read,
	.peek = end_peek,
	.write = end_write,
	.shutdown = end_shutdown,
	.free = end_free,
	.reset = end_reset,
	.failure = end_failure,
};

void conn_pipe_new(struct loop *loop, size_t capacity, struct conn **ret_a, struct conn **ret_b)
{
	struct pipe *p = mem_new(struct pipe);
	*p = (struct pipe){ .loop = loop, .capacity = capacity };
	for (int i = 0; i < 2; i++) {
		p->ends[i] = (struct end){ .conn = { .ops = &end_ops },
			.pipe = p,
			.peer = &p->ends[1 - i],
			.in = { .p = mem_alloc(capacity) } };
	}
	*ret_a = &p->ends[0].conn;
	*ret_b = &p->ends[1].conn;
}
