#include "tls/inside.h"
#include <openssl/err.h>

static struct tls_conn *tls_of(const struct conn *c)
{
	return OWNER((struct conn *)c, struct tls_conn, conn);
}

static void announce_end(struct later *l)
{
	struct tls_conn *t = OWNER(l, struct tls_conn, end);
	t->conn.ready(&t->conn, CONN_IN);
}

/* SSL_read costs as much to find nothing as to find little. */
static bool may_read_on(const struct tls_conn *t)
{
	return t->readable || SSL_has_pending(t->ssl);
}

/* What SSL_read could not give: CONN_AGAIN, the end, or a failure. */
static ssize_t read_stopped(struct tls_conn *t, int result)
{
	int why = SSL_get_error(t->ssl, result);
	if (why == SSL_ERROR_WANT_READ)
		return CONN_AGAIN;
	if (why == SSL_ERROR_ZERO_RETURN)
		return 0;
	ERR_clear_error();
	t->failed = true;
	return CONN_FAILED;
}

static void flush_later(struct later *l)
{
	tls_flush(OWNER(l, struct tls_conn, flush));
}

/* Not every record is content: libssl answers some by itself. */
static void send_own_answers(struct tls_conn *t)
{
	if (t->out_size > t->ticket_size && !t->below_blocked)
		later_start(&t->flush, t->worker->loop, flush_later);
}

/* Whoever has asked for something gets the session ticket with the answer; until then it is kept in
 * memory of its size. In TLS 1.2 it comes before our Finished, for which the client waits. */
static void keep_ticket(struct tls_conn *t)
{
	if (t->ticket_size == 0 || t->out_size != t->ticket_size || t->out_cap == t->out_size)
		return;
	later_stop(&t->flush);
	const size_t n = t->out_size;
	char *ticket = mem_grow(NULL, 1, n);
	memcpy(ticket, t->out, n);
	tls_release(t);
	t->out = ticket;
	t->out_size = t->out_cap = t->ticket_size = n;
}

/* One record at a time until p is full or nothing is left, so that a short read means the
 * latter. */
static ssize_t tls_read(struct conn *c, char *p, size_t n)
{
	struct tls_conn *t = tls_of(c);
	size_t all = 0;
	if (t->failed || !t->established)
		return t->failed ? CONN_FAILED : CONN_AGAIN;
	ssize_t stopped = CONN_AGAIN;
	while (all < n && (all == 0 || may_read_on(t))) {
		int want = n - all < INT32_MAX ? (int)(n - all) : INT32_MAX;
		int got = SSL_read(t->ssl, p + all, want);
		if (got <= 0) {
			stopped = read_stopped(t, got);
			break;
		}
		all += (size_t)got;
	}
	send_own_answers(t);
	if (all == 0)
		return stopped;
	keep_ticket(t);
	if (stopped != CONN_AGAIN)
		later_start(&t->end, t->worker->loop, announce_end);
	return (ssize_t)all;
}

/* The next record's content: a part itself if it is large or the last, else as many as fit,
 * copied together. *index and *offset move behind it. */
static struct str next_record(
        struct tls_conn *t, const struct iovec *v, int count, int *index, size_t *offset)
{
	struct str part = str_n((char *)v[*index].iov_base + *offset, v[*index].iov_len - *offset);
	if (part.n >= TLS_RECORD || *index == count - 1)
		return str_head(part, TLS_RECORD);
	size_t all = 0, from = *offset;
	for (int i = *index; i < count && all < TLS_RECORD; i++, from = 0) {
		size_t left = v[i].iov_len - from,
		       n = left < TLS_RECORD - all ? left : TLS_RECORD - all;
		memcpy(t->worker->gather + all, (char *)v[i].iov_base + from, n);
		all += n;
	}
	return str_n(t->worker->gather, all);
}

static void move_on(const struct iovec *v, int count, size_t n, int *index, size_t *offset)
{
	*offset += n;
	while (*index < count && *offset >= v[*index].iov_len) {
		*offset -= v[*index].iov_len;
		(*index)++;
	}
}

static bool write_record(struct tls_conn *t, struct str content)
{
	int put = SSL_write(t->ssl, content.p, (int)content.n);
	if (put == (int)content.n)
		return true;
	ERR_clear_error();
	t->failed = true;
	return false;
}

static ssize_t tls_write(struct conn *c, const struct iovec *v, int count)
{
	struct tls_conn *t = tls_of(c);
	int index = 0;
	size_t offset = 0, all = 0, total = 0;
	for (int i = 0; i < count; i++)
		total += v[i].iov_len;
	move_on(v, count, 0, &index, &offset);
	while (index < count && t->established && !t->failed && !t->below_blocked) {
		struct str content = next_record(t, v, count, &index, &offset);
		t->below.conn->more = all + content.n < total;
		if (!write_record(t, content))
			break;
		all += content.n;
		move_on(v, count, content.n, &index, &offset);
	}
	t->below.conn->more = false;
	if (!c->ends)
		tls_flush(t);
	if (t->failed)
		return CONN_FAILED;
	t->blocked = t->blocked || index < count;
	return index < count && all == 0 ? CONN_AGAIN : (ssize_t)all;
}

/* RFC 8446 6.1: close_notify, and then the end of the connection's own. */
static void say_goodbye(struct tls_conn *t)
{
	if (!t->established || t->failed || t->shut)
		return;
	t->shut = true;
	(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
	tls_flush(t);
}

static void tls_shutdown(struct conn *c)
{
	struct tls_conn *t = tls_of(c);
	t->below.conn->ends = true;
	say_goodbye(t);
	if (t->out_size == 0)
		conn_shutdown(t->below.conn);
}

static struct conn *take_apart(struct tls_conn *t)
{
	struct conn *below = t->below.conn;
	later_stop(&t->flush);
	later_stop(&t->end);
	SSL_free(t->ssl);
	free(t->out);
	free(t->plain);
	free(t->fault);
	free(t);
	return below;
}

static void tls_free(struct conn *c)
{
	struct tls_conn *t = tls_of(c);
	say_goodbye(t);
	tls_flush(t); /* an alert of a handshake that failed */
	struct conn *below = take_apart(t);
	conn_free(&below);
}

static void tls_reset(struct conn *c)
{
	struct conn *below = take_apart(tls_of(c));
	conn_reset(&below);
}

static const char *tls_failure(const struct conn *c)
{
	const struct tls_conn *t = tls_of(c);
	const char *below = conn_failure(t->below.conn);
	if (below[0] != '\0')
		return below;
	return t->client && t->fault ? t->fault->text : "The peer broke off TLS";
}

/* What only waits for the end of the turn is not held up by the peer. */
static size_t tls_unsent(const struct conn *c)
{
	const struct tls_conn *t = tls_of(c);
	return t->below_blocked ? t->out_size : 0;
}

static bool tls_local(const struct conn *c, struct sockaddr_storage *ret_address)
{
	return conn_local(tls_of(c)->below.conn, ret_address);
}

static const struct conn_ops tls_ops = {
	.read = tls_read,
	.write = tls_write,
	.shutdown = tls_shutdown,
	.free = tls_free,
	.reset = tls_reset,
	.failure = tls_failure,
	.unsent = tls_unsent,
	.local = tls_local,
};

/* Nothing is read while it stands still: who left meanwhile is noticed by his end. */
static bool has_left(struct tls_conn *t)
{
	char unused;
	ssize_t n = conn_peek(t->below.conn, &unused, 1);
	return n == 0 || n == CONN_FAILED;
}

static void stand_still(struct tls_conn *t)
{
	if (!has_left(t))
		return;
	t->waits = false;
	t->failed = true;
	t->conn.ready(&t->conn, CONN_IN);
}

/* The holder hears of it only when it has ended. The session ticket that libssl has written then
 * waits for the end of the turn, since the first request often came with the client's Finished. */
static void handshake(struct tls_conn *t)
{
	ERR_clear_error();
	int result = SSL_do_handshake(t->ssl);
	if (t->waits) {
		stand_still(t);
		return;
	}
	if (result != 1 && SSL_get_error(t->ssl, result) == SSL_ERROR_WANT_READ) {
		tls_flush(t);
		if (t->client && t->failed)
			t->conn.ready(&t->conn, CONN_OUT);
		return;
	}
	if (result == 1) {
		t->established = true;
		t->default_name = STR_NONE;
		if (!t->client)
			(void)SSL_set_tlsext_status_ocsp_resp(t->ssl, NULL, 0); /* it was shown */
		if (!t->client && SSL_version(t->ssl) == TLS1_3_VERSION)
			t->ticket_size = t->out_size;
		later_start(&t->flush, t->worker->loop, flush_later);
	} else {
		if (t->client)
			tls_client_failed(t);
		ERR_clear_error();
		tls_flush(t);
		t->failed = true;
	}
	t->conn.ready(&t->conn, t->client ? CONN_IN | CONN_OUT : CONN_IN);
}

/* What was held back is written; if that was the last of a connection that we have shut, so is
 * what is below. */
static void writable(struct tls_conn *t)
{
	t->below_blocked = false;
	tls_flush(t);
	if (t->shut && t->out_size == 0)
		conn_shutdown(t->below.conn);
}

static void below_ready(struct conn *below, unsigned events)
{
	struct tls_conn *t = OWNER(below->holder, struct tls_conn, below);
	unsigned told = events & CONN_IN;
	if (events & CONN_IN)
		t->readable = true;
	if (events & CONN_OUT)
		writable(t);
	if (t->waits) {
		stand_still(t);
		return;
	}
	if (!t->established && !t->failed) {
		handshake(t);
		return;
	}
	if (t->blocked && !t->below_blocked) {
		t->blocked = false;
		told |= CONN_OUT;
	}
	if (told != 0)
		t->conn.ready(&t->conn, told);
}

struct tls_conn *tls_conn_new(struct tls_worker *w, struct conn *below, SSL_CTX *ctx)
{
	struct tls_conn *t = mem_new(struct tls_conn);
	t->conn.ops = &tls_ops;
	t->worker = w;
	conn_hold(&t->below, below, below_ready);
	t->ssl = SSL_new(ctx);
	BIO *bio = BIO_new(w->bio);
	CHECK(t->ssl && bio);
	BIO_set_data(bio, t);
	SSL_set_bio(t->ssl, bio, bio);
	return t;
}

struct conn *conn_tls_new(struct tls_worker *w, struct conn *below, struct str default_name)
{
	struct tls_conn *t = tls_conn_new(w, below, w->intermediate);
	t->default_name = default_name;
	SSL_set_accept_state(t->ssl);
	return &t->conn;
}

void conn_tls_offer_http2(struct conn *c)
{
	tls_of(c)->offers_http2 = true;
}

bool conn_tls_resumed(const struct conn *c)
{
	return SSL_session_reused(tls_of(c)->ssl);
}

bool conn_tls_proves(const struct conn *c)
{
	return tls_of(c)->proves;
}

bool conn_tls_chose_http2(const struct conn *c)
{
	return tls_of(c)->chose_http2;
}

void conn_tls_ask(struct conn *c, struct tls_hello *hello)
{
	tls_of(c)->hello = hello;
}

void conn_tls_go_on(struct conn *c)
{
	struct tls_conn *t = tls_of(c);
	t->waits = false;
	handshake(t);
}

bool conn_tls_established(const struct conn *c)
{
	return tls_of(c)->established;
}

struct conn *conn_tls_plain(struct conn **c, struct buf *ret_bytes)
{
	struct tls_conn *t = tls_of(*c);
	if (t->established || !t->plain)
		return NULL;
	*ret_bytes = BUF(t->plain_size);
	buf_add(ret_bytes, str_n(t->plain, t->plain_size));
	*c = NULL;
	return take_apart(t);
}

const char *conn_tls_version(const struct conn *c)
{
	return SSL_get_version(tls_of(c)->ssl);
}

bool conn_tls_temporary(const struct conn *c)
{
	return tls_of(c)->temporary;
}

const struct err *conn_tls_fault(const struct conn *c)
{
	return tls_of(c)->fault;
}
