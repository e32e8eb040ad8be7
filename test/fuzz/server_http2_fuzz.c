/* A whole HTTP/2 connection on strangers' bytes: nghttp2, codec, session and a handler that does
 * whatever a handler may do.
 *
 * The first byte tells how the rest is cut into pieces; if it is odd, the preface and SETTINGS come
 * before, and the rest is frames: type, flags, stream, length (a byte each) and so many bytes. */
#include "base/buf.h"
#include "net/address.h"
#include "server/client.h"
#include "server/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct answering {
	struct handling handling;
	struct list node;
	struct exchange *ex;
	unsigned rooms;
	bool tunnel;
};

static struct list waiting; /* exchanges that have not been answered */

static void drop(struct answering *a)
{
	list_remove(&a->node);
	free(a);
}

static void answer(struct answering *a)
{
	struct exchange *ex = a->ex;
	drop(a);
	if (ex->response_started)
		exchange_abort(ex, "Broken off.");
	else
		exchange_answer(ex, 200, "Done.");
}

static void on_body(struct handling *h, struct str piece)
{
	struct answering *a = OWNER(h, struct answering, handling);
	CHECK(piece.n > 0 && piece.n <= 7);
	if (a->tunnel)
		(void)exchange_body(a->ex, piece);
	if (piece.p[0] == '!')
		answer(a);
	else if (piece.p[0] != '.')
		exchange_want(a->ex, 1 + (size_t)(unsigned char)piece.p[0] % 7);
}

static void on_body_end(struct handling *h)
{
	struct answering *a = OWNER(h, struct answering, handling);
	struct exchange *ex = a->ex;
	if (!a->tunnel) {
		answer(a);
		return;
	}
	drop(a);
	exchange_last(ex);
	exchange_end(ex);
}

static void send_more(struct answering *a)
{
	static const char zeros[30000];
	static struct header status = { STR_INIT("grpc-status"), STR_INIT("0") };
	static const struct headers trailers = { &status, 1, 1 };
	struct exchange *ex = a->ex;
	while (a->rooms-- > 0) {
		size_t n = a->rooms % 2 ? sizeof zeros : 100;
		if (exchange_body(ex, str_n(zeros, n)) <= 0)
			return;
	}
	drop(a);
	exchange_trailers(ex, &trailers);
	exchange_end(ex);
}

static void on_room(struct handling *h)
{
	send_more(OWNER(h, struct answering, handling));
}

static void on_gone(struct handling *h)
{
	drop(OWNER(h, struct answering, handling));
}

static const struct handling_ops ops = { on_body, on_body_end, on_room, on_gone };

static void stream(struct answering *a, bool whole)
{
	struct exchange *ex = a->ex;
	struct response hints = { .status = 103 }, head = { .status = 200, .body = BODY_STREAM };
	exchange_respond(ex, &hints);
	exchange_respond(ex, &head);
	a->rooms = 9;
	if (whole) {
		send_more(a);
		return;
	}
	drop(a);
	exchange_abort(ex, "Broken off.");
}

static void open_tunnel(struct answering *a)
{
	struct response head = { .status = 101, .websocket = true };
	a->tunnel = true;
	exchange_respond(a->ex, &head);
	exchange_want(a->ex, 7);
}

static void check_request(const struct request *r)
{
	CHECK(r->version == HTTP_2 && r->method.n > 0 && r->path.n > 0 && r->host.n > 0);
	CHECK(r->path.p[0] == '/' || str_eq(r->path, STR("*")));
	for (size_t i = 0; i < r->headers.count; i++) {
		const struct header *h = &r->headers.at[i];
		CHECK(h->name.n > 0 && h->name.p[0] != ':');
		CHECK(!h->value.n || (!memchr(h->value.p, '\n', h->value.n) &&
		                             !memchr(h->value.p, 0, h->value.n)));
	}
}

static void start(struct exchange *ex)
{
	struct answering *a = mem_new(struct answering);
	check_request(&ex->request);
	a->handling.ops = &ops;
	a->ex = ex;
	ex->handling = &a->handling;
	list_add_last(&waiting, &a->node);
	char second = ex->request.path.n > 1 ? ex->request.path.p[1] : '/';
	if (ex->request.websocket)
		open_tunnel(a);
	else if (second == 's' || second == 'a')
		stream(a, second == 's');
	else if (second == 'w')
		return;
	else if (ex->request.body != BODY_NONE)
		exchange_want(ex, 7);
	else
		answer(a);
}

static const struct handler handler = { start };

static void far_ready(struct conn *c, unsigned events)
{
	char p[4096];
	for (ssize_t n = 1; events & CONN_IN && n > 0;)
		n = conn_read(c, p, sizeof p);
}

static struct generation *generation(void)
{
	struct err err;
	struct generation_builder *b = generation_begin(&(struct msg_generation){ .number = 1 });
	struct msg_site site = { .name = STR("a"), .fallback = true, .hsts_age = -1 };
	struct msg_limit limit = { .name = STR("body-most"), .value = 300 };
	CHECK(generation_row(b, MSG_site, &site, &err));
	CHECK(generation_row(b, MSG_limit, &limit, &err));
	return generation_build(&b, &err);
}

#define PREFACE STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")

static void add_frames(struct buf *out, struct str in)
{
	buf_add(out, PREFACE);
	while (in.n >= 4) {
		struct str body = str_head(str_from(in, 4), (unsigned char)in.p[3]);
		const char head[9] = { 0, 0, (char)body.n, in.p[0], in.p[1], 0, 0, 0, in.p[2] };
		buf_add(out, str_n(head, sizeof head));
		buf_add(out, body);
		in = str_from(in, 4 + body.n);
	}
}

static void talk(struct loop *loop, struct clock_fake *clock, struct conn *far, struct str bytes,
        size_t piece)
{
	while (bytes.n > 0) {
		struct str part = str_head(bytes, piece);
		struct iovec v = { (char *)part.p, part.n };
		ssize_t n = conn_write(far, &v, 1);
		if (n == CONN_FAILED)
			break;
		for (int i = 0; i < 3; i++)
			loop_turn(loop, 0);
		if (!list_empty(&waiting) && bytes.p[0] % 3 == 0)
			answer(OWNER(list_first(&waiting), struct answering, node));
		bytes = str_from(bytes, n > 0 ? (size_t)n : part.n);
	}
	for (int i = 0; i < 8; i++) {
		clock_fake_advance(clock, i % 4 == 0 ? 2 * MINUTE : 0);
		if (i == 6)
			conn_shutdown(far);
		loop_turn(loop, 0);
	}
}

/* The memory pipe carries no ALPN: the session is put in the place of the one of HTTP/1. */
static void speak_http2(struct worker *w)
{
	struct client *c = OWNER(list_first(&w->connections), struct client, node);
	c->session->ops->free(c->session);
	c->session = http2_session_new(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct clock_fake clock;
	struct sockaddr_storage from = { .ss_family = AF_INET };
	struct conn *near, *far;
	struct conn_holder held;
	struct challenges challenges = { 0 };
	BUF_AUTO bytes = BUF_INIT(1 << 20);
	struct str in = str_from(str_n(data, size), 1);
	list_init(&waiting);
	if (size > 0 && data[0] % 2)
		add_frames(&bytes, in);
	else
		buf_add(&bytes, in);
	clock_fake_init(&clock, INT64_C(1795535009) * SECOND);
	struct loop *loop = loop_new(&clock.clock);
	struct worker w = { .challenges = &challenges, .handlers = { &handler } };
	worker_init(&w, loop);
	w.generation = generation();
	conn_pipe_new(loop, 64 << 10, &near, &far);
	conn_hold(&held, far, far_ready);
	client_new(&w, near, &from, NULL);
	speak_http2(&w);
	talk(loop, &clock, far, buf_str(&bytes), size > 0 && data[0] > 1 ? data[0] : 1000);
	worker_done(&w);
	conn_free(&far);
	CHECK(list_empty(&waiting));
	loop_free(&loop);
	return 0;
}
