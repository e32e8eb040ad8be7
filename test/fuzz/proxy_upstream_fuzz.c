/* A strange application behind the real proxy, over HTTP/1.1 or over a trunk of HTTP/2: requests of
 * all kinds come by a client's HTTP/2 connection, a WebSocket and a client that takes nothing among
 * them. Whatever the application says, the client is told no answer that breaks a law: its own
 * codec finds no fault, no content beyond what was told, and no end of what is not whole.
 *
 * Of frames those of types that do not exist are for the place: F0 the application's connection
 * ends, F1 it breaks off, F2 time passes, seconds by its flags; F3 a request is left, by its flags;
 * F4 the client takes what it had not; F5 bytes that are in no frame, the only ones that an
 * application of HTTP/1.1 says. Which of the open connections it is that F0, F1 and F5 are about is
 * in the place of the stream; everything else goes to the oldest. */
#include "http/http2_client.h"
#include "proxy_place.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { END = 0xf0, BREAK, TIME, LEAVE, TAKE, RAW };
enum { CALLS = 7, WEBSOCKET = 5, LAZY = 6, CONNECTIONS = 16 };

struct asked {
	struct http2_call call;
	struct arena arena;
	uint64_t got, kept; /* kept: of LAZY, not taken yet */
	unsigned finals;
	bool ended, closed, left;
};

static struct {
	struct place place;
	struct http2_user user;
	struct http2 *codec;
	struct asked asked[CALLS];
	struct buf out; /* what the client's pipe has not taken */
} the;

/* --- the client */

static struct asked *asked_of(struct http2_stream *s)
{
	return OWNER(http2_call_of(s), struct asked, call);
}

static void answer(struct http2_stream *s)
{
	struct asked *a = asked_of(s);
	const struct response *r = &a->call.response;
	CHECK(!a->ended && !a->closed && !a->left && a->finals == 0);
	/* Over HTTP/1.1 nobody but who has read our key can take one. */
	CHECK(!r->websocket || the.place.h2c);
	a->finals += r->status >= 200 || r->websocket;
}

static void body(struct http2_stream *s, struct str piece)
{
	struct asked *a = asked_of(s);
	const struct response *r = &a->call.response;
	CHECK(a->finals == 1 && !a->ended && !a->left);
	a->got += piece.n;
	CHECK(r->websocket || (r->body != BODY_NONE && !r->head_only));
	if (a == &the.asked[LAZY])
		a->kept += piece.n;
	else
		http2_used(the.codec, s->id, piece.n);
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
	CHECK(!a->closed && !a->call.fault);
	a->closed = true;
}

static const struct http2_ops ops = {
	.answer = answer, .body = body, .body_end = body_end, .closed = closed
};

static void ask(struct asked *a, size_t i)
{
	static const struct str methods[CALLS] = { STR_INIT("GET"), STR_INIT("HEAD"),
		STR_INIT("POST"), STR_INIT("GET"), STR_INIT("PUT"), STR_INIT("GET"),
		STR_INIT("GET") };
	static const char content[9000];
	static struct header check = { STR_INIT("x-check"), STR_INIT("1") };
	static const struct headers trailers = { &check, 1, 1 };
	struct request r = { .version = HTTP_2,
		.method = methods[i],
		.authority = STR("a"),
		.path = STR("/"),
		.trailers = i != 3,
		.websocket = i == WEBSOCKET,
		.body = i == 2   ? BODY_STREAM
		        : i == 4 ? BODY_LENGTH
		                 : BODY_NONE,
		.length = i == 4 ? sizeof content : 0 };
	a->call.stream.arena = &a->arena;
	CHECK(http2_ask(the.codec, &a->call, &r));
	if (r.body == BODY_NONE && !r.websocket)
		return;
	http2_put(&a->call.stream, str_n(content, sizeof content));
	if (i != WEBSOCKET)
		http2_end(&a->call.stream, i == 2 ? &trailers : NULL);
}

static void leave(struct asked *a)
{
	if (a->closed || a->left)
		return;
	a->left = true;
	http2_abandon(&a->call);
	arena_done(&a->arena);
}

static void take(struct asked *a)
{
	if (!a->closed)
		http2_used(the.codec, a->call.stream.id, a->kept);
	a->kept = 0;
}

static void say_frames(void)
{
	if (the.out.n == 0)
		http2_collect(the.codec, &the.out, 500);
	struct iovec v = { the.out.p, the.out.n };
	ssize_t n = the.out.n > 0 ? conn_write(the.place.client, &v, 1) : 0;
	if (n > 0)
		buf_consume(&the.out, (size_t)n);
}

static void client_ready(struct conn *c, unsigned events)
{
	char p[4096];
	(void)events;
	for (ssize_t n; (n = conn_read(c, p, sizeof p)) > 0;)
		CHECK(http2_receive(the.codec, str_n(p, (size_t)n)));
}

static void turns(unsigned n)
{
	while (n-- > 0) {
		place_turns(&the.place, 1);
		http2_time(the.codec, loop_mono(the.place.loop));
		say_frames();
	}
}

/* --- the application */

static void hear_nothing(struct conn *c, unsigned events)
{
	char p[4096];
	(void)events;
	for (ssize_t n = 1; n > 0;)
		n = conn_read(c, p, sizeof p);
}

/* SETTINGS: WebSockets are taken (RFC 8441 3). */
static void begin(struct far *f)
{
	if (f->place->h2c && f->place->frames)
		buf_add(&f->out, STR("\0\0\6\4\0\0\0\0\0\0\10\0\0\0\1"));
}

static void far_ready(struct conn *c, unsigned events)
{
	hear_nothing(c, events);
	far_flush(OWNER(c->holder, struct far, held));
}

/* Of the connections that have not ended one, counted from the oldest. */
static struct far *speaker(unsigned which)
{
	size_t count = 0;
	struct far *open[DIALS_MOST];
	for (size_t i = 0; i < the.place.dial_count; i++)
		if (the.place.dialled[i].held.conn)
			open[count++] = &the.place.dialled[i];
	return count > 0 ? open[which % count] : NULL;
}

static void say(unsigned which, struct str bytes)
{
	while (bytes.n > 0) {
		struct far *f = speaker(which);
		struct str part = str_head(bytes, the.place.piece);
		if (f)
			buf_add(&f->out, part);
		if (f)
			far_flush(f);
		turns(2);
		bytes = str_from(bytes, part.n);
	}
}

static void finish(unsigned which, bool broken)
{
	struct far *f = speaker(which);
	if (f && broken)
		conn_reset(&f->held.conn);
	if (f)
		conn_free(&f->held.conn);
}

static void obey(unsigned char what, unsigned char how, unsigned char which)
{
	if (what == END || what == BREAK)
		finish(which, what == BREAK);
	else if (what == TIME)
		clock_fake_advance(&the.place.clock, how * SECOND);
	else if (what == LEAVE)
		leave(&the.asked[how % CALLS]);
	else if (what == TAKE)
		take(&the.asked[LAZY]);
	turns(3);
}

static void say_all(struct str in)
{
	while (in.n >= 4) {
		BUF_AUTO frame = BUF_INIT(4096);
		const unsigned char *head = (const unsigned char *)in.p;
		next_frame(&in, &frame);
		if (head[0] >= END && head[0] <= TAKE)
			obey(head[0], head[1], head[2]);
		else if (head[0] == RAW || !the.place.h2c)
			say(head[2], str_from(buf_str(&frame), 9));
		else
			say(0, buf_str(&frame));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_from(str_n(data, size), 1);
	memset(&the, 0, sizeof the);
	the.user.ops = &ops;
	the.out = BUF(1 << 20);
	the.place.begin = begin;
	the.place.connections = CONNECTIONS;
	the.place.ready = far_ready;
	place_init(&the.place, size > 0 ? data[0] : 0, /* http1_client= */ false);
	conn_hold(&the.place.client_held, the.place.client, client_ready);
	the.codec = http2_client_new(&the.user, loop_mono(the.place.loop));
	for (size_t i = 0; i < CALLS; i++)
		ask(&the.asked[i], i);
	turns(40);
	if (the.place.frames)
		say_all(in);
	else
		say(0, in);
	place_end(&the.place);
	http2_free(&the.codec);
	buf_done(&the.out);
	for (size_t i = 0; i < CALLS; i++) {
		buf_done(&the.asked[i].call.stream.out);
		arena_done(&the.asked[i].arena);
	}
	return 0;
}
