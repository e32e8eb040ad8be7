/* The client's side of HTTP/2 on what a strange application says: calls of all kinds, a WebSocket
 * among them, whose answers never break a law by the time that their user hears of them.
 *
 * The first byte tells how the rest is cut into pieces; if it is odd, SETTINGS come before, and the
 * rest is frames: type, flags, stream, length (a byte each) and so many bytes. */
#include "base/err.h"
#include "base/list.h"
#include "http/http2_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CALLS = 6, WEBSOCKET = 5 };

struct asked {
	struct http2_call call;
	struct http2 *connection;
	struct arena arena;
	uint64_t got;
	unsigned finals;
	bool ended, closed, left, websocket;
};

static struct asked *asked_of(struct http2_stream *s)
{
	return OWNER(http2_call_of(s), struct asked, call);
}

static void leave(struct asked *a)
{
	a->left = true;
	http2_abandon(&a->call);
	arena_done(&a->arena);
}

static void answer(struct http2_stream *s)
{
	struct asked *a = asked_of(s);
	const struct response *r = &a->call.response;
	CHECK(!a->ended && !a->closed && !a->left && a->finals == 0);
	CHECK(r->status >= 100 && r->status <= 599);
	CHECK((r->status == 101) == r->websocket && (a->websocket || !r->websocket));
	for (size_t i = 0; i < r->headers.count; i++) {
		const struct header *h = &r->headers.at[i];
		CHECK(h->name.n > 0 && h->name.p[0] != ':');
		CHECK(!str_eq(h->name, STR("connection")) &&
		        !str_eq(h->name, STR("content-length")));
		CHECK(!h->value.n || (!memchr(h->value.p, '\n', h->value.n) &&
		                             !memchr(h->value.p, 0, h->value.n)));
	}
	a->finals += r->status >= 200 || r->websocket;
	if (!str_eq(headers_find(&r->headers, STR("x")), STR("leave")))
		return;
	leave(a);
}

static void body(struct http2_stream *s, struct str piece)
{
	struct asked *a = asked_of(s);
	const struct response *r = &a->call.response;
	CHECK(a->finals == 1 && !a->ended && !a->left && (!r->head_only || r->websocket));
	a->got += piece.n;
	CHECK(r->websocket ||
	        (r->body != BODY_NONE && (r->body != BODY_LENGTH || a->got <= r->length)));
	http2_used(a->connection, s->id, piece.n / 2 + 1);
	if (piece.p[0] == '!')
		leave(a);
}

static void body_end(struct http2_stream *s)
{
	struct asked *a = asked_of(s);
	const struct response *r = &a->call.response;
	CHECK(a->finals == 1 && !a->ended && !a->left);
	CHECK(r->head_only || r->body != BODY_LENGTH || a->got == r->length);
	a->ended = true;
}

static void closed(struct http2_stream *s)
{
	struct asked *a = asked_of(s);
	CHECK(!a->closed);
	CHECK(!a->call.unprocessed || a->finals == 0);
	a->closed = true;
}

static const struct http2_ops ops = {
	.answer = answer, .body = body, .body_end = body_end, .closed = closed
};

static void ask(struct http2 *h, struct asked *a, size_t i)
{
	static const struct str methods[CALLS] = { STR_INIT("GET"), STR_INIT("HEAD"),
		STR_INIT("POST"), STR_INIT("GET"), STR_INIT("PUT"), STR_INIT("GET") };
	struct request r = { .version = HTTP_2,
		.method = methods[i],
		.authority = STR("a"),
		.path = STR("/"),
		.trailers = true,
		.websocket = i == WEBSOCKET,
		.body = i == 2   ? BODY_STREAM
		        : i == 4 ? BODY_LENGTH
		                 : BODY_NONE,
		.length = i == 4 ? 90000 : 0 };
	static const char content[90000];
	a->connection = h;
	a->websocket = r.websocket;
	a->call.stream.arena = &a->arena;
	CHECK(http2_ask(h, &a->call, &r));
	if (r.body == BODY_NONE && !r.websocket)
		return;
	http2_put(&a->call.stream, str_n(content, sizeof content));
	http2_end(&a->call.stream, NULL);
}

static void add_frames(struct buf *out, struct str in)
{
	buf_add(out, str_n("\0\0\0\4\0\0\0\0\0", 9));
	while (in.n >= 4) {
		struct str part = str_head(str_from(in, 4), (unsigned char)in.p[3]);
		const char head[9] = { 0, 0, (char)part.n, in.p[0], in.p[1], 0, 0, 0, in.p[2] };
		buf_add(out, str_n(head, sizeof head));
		buf_add(out, part);
		in = str_from(in, 4 + part.n);
	}
}

static void collect(struct http2 *h)
{
	BUF_AUTO out = BUF_INIT(1 << 20);
	http2_collect(h, &out, 64 << 10);
	CHECK(buf_ok(&out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http2_user user = { .ops = &ops };
	struct asked asked[CALLS] = { 0 };
	BUF_AUTO bytes = BUF_INIT(1 << 20);
	struct str in = str_from(str_n(data, size), 1);
	size_t piece = 1 + (size > 0 ? data[0] / 2 : 0);
	if (size > 0 && data[0] % 2)
		add_frames(&bytes, in);
	else
		buf_add(&bytes, in);
	struct http2 *h = http2_client_new(&user, 1000);
	for (size_t i = 0; i < CALLS; i++)
		ask(h, &asked[i], i);
	collect(h);
	for (struct str rest = buf_str(&bytes); rest.n > 0; rest = str_from(rest, piece)) {
		bool stands = http2_receive(h, str_head(rest, piece));
		collect(h);
		if (!stands)
			break;
	}
	collect(h);
	http2_free(&h);
	for (size_t i = 0; i < CALLS; i++) {
		buf_done(&asked[i].call.stream.out);
		arena_done(&asked[i].arena);
	}
	return 0;
}
