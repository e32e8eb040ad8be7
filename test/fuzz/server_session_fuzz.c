/* A whole HTTP/1 connection on strangers' bytes: codec, session and a handler that does whatever a
 * handler may do. The first byte tells how the rest is cut into pieces. */
#include "net/address.h"
#include "server/client.h"
#include "server/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct answering {
	struct handling handling;
	struct exchange *ex;
	unsigned rooms;
};

static struct answering *waiting; /* the exchange that has not been answered */

static void drop(struct answering *a)
{
	if (waiting == a)
		waiting = NULL;
	free(a);
}

static void answer(struct answering *a)
{
	struct exchange *ex = a->ex;
	drop(a);
	exchange_answer(ex, 200, "Done.");
}

static void on_body(struct handling *h, struct str piece)
{
	struct answering *a = OWNER(h, struct answering, handling);
	CHECK(piece.n <= 7);
	if (piece.p[0] == '!')
		answer(a);
	else if (piece.p[0] != '.')
		exchange_want(a->ex, 1 + (size_t)(unsigned char)piece.p[0] % 7);
}

static void on_body_end(struct handling *h)
{
	answer(OWNER(h, struct answering, handling));
}

static void send_more(struct answering *a)
{
	static const char zeros[30000];
	struct exchange *ex = a->ex;
	while (a->rooms-- > 0) {
		if (exchange_body(ex, str_n(zeros, sizeof zeros)) <= 0)
			return;
	}
	drop(a);
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
	struct response head = { .status = 200, .body = BODY_STREAM };
	exchange_respond(ex, &head);
	a->rooms = 9;
	if (whole) {
		send_more(a);
		return;
	}
	drop(a);
	exchange_abort(ex, "Broken off.");
}

static void start(struct exchange *ex)
{
	struct answering *a = mem_new(struct answering);
	a->handling.ops = &ops;
	a->ex = ex;
	ex->handling = &a->handling;
	char second = ex->request.path.n > 1 ? ex->request.path.p[1] : '/';
	if (second == 's' || second == 'a')
		stream(a, second == 's');
	else if (second == 'w')
		waiting = a;
	else if (ex->request.body != BODY_NONE)
		exchange_want(ex, 7);
	else
		answer(a);
}

static const struct handler handler = { start };
static size_t heard;

static void far_ready(struct conn *c, unsigned events)
{
	char p[4096];
	for (ssize_t n = 1; events & CONN_IN && n > 0; heard++)
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

static void talk(struct loop *loop, struct clock_fake *clock, struct conn *far, struct str bytes)
{
	const uint8_t *data = (const uint8_t *)bytes.p;
	size_t size = bytes.n;
	size_t piece = size > 0 && data[0] > 0 ? data[0] : 1;
	for (size_t at = 1; at < size; at += piece) {
		size_t n = size - at < piece ? size - at : piece;
		struct iovec v = { (char *)data + at, n };
		if (conn_write(far, &v, 1) < 0)
			break;
		for (int i = 0; i < 3; i++)
			loop_turn(loop, 0);
		if (waiting && data[at] % 3 == 0)
			answer(waiting);
	}
	conn_shutdown(far);
	for (int i = 0; i < 8; i++) {
		clock_fake_advance(clock, i == 4 ? 2 * MINUTE : 0);
		loop_turn(loop, 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct clock_fake clock;
	struct sockaddr_storage from = { .ss_family = AF_INET };
	struct conn *near, *far;
	struct conn_holder held;
	struct challenges challenges = { 0 };
	clock_fake_init(&clock, INT64_C(1795535009) * SECOND);
	struct loop *loop = loop_new(&clock.clock);
	struct worker w = { .challenges = &challenges, .handlers = { &handler } };
	worker_init(&w, loop);
	w.generation = generation();
	conn_pipe_new(loop, 64 << 10, &near, &far);
	conn_hold(&held, far, far_ready);
	client_new(&w, near, &from, NULL);
	talk(loop, &clock, far, str_n(data, size));
	worker_done(&w);
	conn_free(&far);
	CHECK(!waiting);
	loop_free(&loop);
	return 0;
}
