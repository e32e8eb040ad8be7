#include "tls/inside.h"
#include <openssl/bio.h>

enum {
	LARGE = 8 << 10, /* copying more than that costs more than a system call */
	/* Content waits above while the peer does not read; only libssl's own answers grow beyond a
	 * few records. */
	KEPT_MOST = 64 << 10,
	SPARE_MOST = 64 << 10,
};

static struct tls_conn *conn_of(BIO *bio)
{
	return BIO_get_data(bio);
}

/* RFC 8446 5.1: TLS begins with a record of type handshake (22); a request with a letter. */
static bool begins_with_text(struct tls_conn *t, const char *p, size_t n)
{
	const char first = *p;
	t->begun = true;
	if ((first < 'A' || first > 'Z') && (first < 'a' || first > 'z'))
		return false;
	t->plain = mem_grow(NULL, 1, n);
	memcpy(t->plain, p, n);
	t->plain_size = n;
	return true;
}

/* After a short read there is nothing more until the next event: no system call to learn it. */
static int bio_read(BIO *bio, char *p, int n)
{
	struct tls_conn *t = conn_of(bio);
	BIO_clear_retry_flags(bio);
	ssize_t got = CONN_AGAIN;
	if (t->readable)
		got = conn_read(t->below.conn, p, (size_t)n);
	t->readable = got > 0 && got == n;
	if (got > 0 && !t->begun && begins_with_text(t, p, (size_t)got))
		return -1;
	if (got == CONN_AGAIN)
		BIO_set_retry_read(bio);
	return got < 0 ? -1 : (int)got;
}

/* Few connections have records waiting at one time: what the last one had is the next one's. */
static void take_spare(struct tls_conn *t)
{
	t->out = t->worker->spare;
	t->out_cap = t->worker->spare_cap;
	t->worker->spare = NULL;
	t->worker->spare_cap = 0;
}

static void keep(struct tls_conn *t, const char *p, size_t n)
{
	if (!t->out)
		take_spare(t);
	if (t->out_size + n > t->out_cap) {
		t->out_cap = (t->out_size + n) * 2;
		t->out = mem_grow(t->out, 1, t->out_cap);
	}
	memcpy(t->out + t->out_size, p, n);
	t->out_size += n;
}

void tls_release(struct tls_conn *t)
{
	if (t->out && t->out_cap <= SPARE_MOST && !t->worker->spare) {
		t->worker->spare = t->out;
		t->worker->spare_cap = t->out_cap;
	} else {
		free(t->out);
	}
	t->out = NULL;
	t->out_size = t->out_cap = t->ticket_size = 0;
}

/* Writes what waits and then `more`; returns how much of both was taken. */
static size_t write_below(struct tls_conn *t, const char *more, size_t n)
{
	struct iovec v[2] = { { t->out, t->out_size }, { (char *)more, n } };
	int skip = t->out_size == 0;
	t->ticket_size = 0;
	ssize_t put = conn_write(t->below.conn, v + skip, n > 0 ? 2 - skip : 1);
	t->failed = t->failed || put == CONN_FAILED;
	t->below_blocked = put < 0 || (size_t)put < t->out_size + n;
	t->blocked = t->blocked || t->below_blocked;
	return put > 0 ? (size_t)put : 0;
}

static void drop_written(struct tls_conn *t, size_t put)
{
	if (put == t->out_size) {
		tls_release(t);
		return;
	}
	memmove(t->out, t->out + put, t->out_size - put);
	t->out_size -= put;
}

void tls_flush(struct tls_conn *t)
{
	if (t->out_size > 0 && !t->below_blocked && !t->failed)
		drop_written(t, write_below(t, NULL, 0));
}

static void pass(struct tls_conn *t, const char *p, size_t n)
{
	size_t put = write_below(t, p, n), waiting = t->out_size;
	if (put < waiting) {
		drop_written(t, put);
		keep(t, p, n);
		return;
	}
	tls_release(t);
	put -= waiting;
	if (put < n)
		keep(t, p + put, n - put);
}

static int bio_write(BIO *bio, const char *p, int n)
{
	struct tls_conn *t = conn_of(bio);
	BIO_clear_retry_flags(bio);
	t->failed = t->failed || t->out_size > KEPT_MOST;
	if (t->failed)
		return -1;
	if (n >= LARGE && !t->below_blocked)
		pass(t, p, (size_t)n);
	else
		keep(t, p, (size_t)n);
	return n;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int bio_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

BIO_METHOD *tls_bio_new(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "everseal");
	CHECK(m);
	BIO_meth_set_read(m, bio_read);
	BIO_meth_set_write(m, bio_write);
	BIO_meth_set_ctrl(m, bio_ctrl);
	BIO_meth_set_create(m, bio_create);
	return m;
}
