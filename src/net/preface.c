/* A filter that says something before all else: the PROXY protocol in front of TLS or HTTP. */
#include "net/proxy_protocol.h"

struct prefaced {
	struct conn conn;
	struct conn_holder below;
	char text[PROXY_PROTOCOL_WRITTEN];
	size_t n, said;
};

static struct prefaced *prefaced_of(struct conn *c)
{
	return OWNER(c, struct prefaced, conn);
}

static ssize_t preface_read(struct conn *c, char *p, size_t n)
{
	return conn_read(prefaced_of(c)->below.conn, p, n);
}

static ssize_t preface_write(struct conn *c, const struct iovec *v, int count)
{
	struct prefaced *f = prefaced_of(c);
	if (f->said == f->n)
		return conn_write(f->below.conn, v, count);
	struct iovec rest = { f->text + f->said, f->n - f->said };
	ssize_t n = conn_write(f->below.conn, &rest, 1);
	if (n == CONN_FAILED)
		return n;
	f->said += n > 0 ? (size_t)n : 0;
	return f->said < f->n ? CONN_AGAIN : conn_write(f->below.conn, v, count);
}

static void preface_shutdown(struct conn *c)
{
	conn_shutdown(prefaced_of(c)->below.conn);
}

static void preface_free(struct conn *c)
{
	conn_free(&prefaced_of(c)->below.conn);
	free(prefaced_of(c));
}

static void preface_reset(struct conn *c)
{
	conn_reset(&prefaced_of(c)->below.conn);
	free(prefaced_of(c));
}

static const char *preface_failure(const struct conn *c)
{
	return conn_failure(OWNER((struct conn *)c, struct prefaced, conn)->below.conn);
}

static const struct conn_ops preface_ops = {
	.read = preface_read,
	.write = preface_write,
	.shutdown = preface_shutdown,
	.free = preface_free,
	.reset = preface_reset,
	.failure = preface_failure,
};

static void ready(struct conn *below, unsigned events)
{
	struct prefaced *f = OWNER(below->holder, struct prefaced, below);
	f->conn.ready(&f->conn, events);
}

struct conn *conn_prefaced(struct conn *below, struct str preface)
{
	struct prefaced *f = mem_new(struct prefaced);
	CHECK(preface.n <= sizeof f->text);
	f->conn.ops = &preface_ops;
	memcpy(f->text, preface.p, preface.n);
	f->n = preface.n;
	conn_hold(&f->below, below, ready);
	return &f->conn;
}
