/* A strange application behind the real proxy, over HTTP/1.1 or over a trunk of HTTP/2: requests of
 * all kinds come by a client's HTTP/2 connection, a WebSocket and a client that takes nothing among
 * them, or (bit 3 of the first byte) one behind the other by HTTP/1. Whatever the application says,
 * the client is told no answer that breaks a law: its own codec finds no fault, no content beyond
 * what was told, no end of what is not whole, and nothing behind the answers that it waits for.
 *
 * Of frames those of types that do not exist are for the place: F0 the application's connection
 * ends, F1 it breaks off, F2 time passes, seconds by its flags; F3 a request is left, by its flags;
 * F4 the client takes what it had not, or of HTTP/1 takes no more; F5 bytes that are in no frame,
 * the only ones that an application of HTTP/1.1 says. Which of the open connections it is that F0,
 * F1 and F5 are about is in the place of the stream; everything else goes to the oldest. */
#include "http/http1.h"
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

/* What a client of HTTP/1 says, and hears. */
enum { REQUESTS = 6, SWITCH = 5 };
struct plain {
	struct buf in;
	struct arena arena;
	struct request requests[REQUESTS];
	size_t answered;
	struct http1_scan scan;
	struct http1_body body;
	bool in_body, tunnel, deaf;
};

static struct {
	struct place place;
	struct plain plain;
	bool http1;
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
	static struct header gzip = { STR_INIT("accept-encoding"), STR_INIT("gzip") };
	struct request r = { .version = HTTP_2,
		.headers = { &gzip, i == 0 || i == LAZY, 1 },
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
	if (the.http1)
		return;
	if (the.out.n == 0)
		http2_collect(the.codec, &the.out, 500);
	struct iovec v = { the.out.p, the.out.n };
	ssize_t n = the.out.n > 0 ? conn_write(the.place.client, &v, 1) : 0;
	if (n > 0)
		buf_consume(&the.out, (size_t)n);
}

/* --- a client of HTTP/1 */

/* False: nothing more can be read now. */
static bool read_answer(struct plain *p)
{
	struct response r;
	struct refusal why;
	size_t used = 0;
	CHECK(p->answered < REQUESTS);
	const struct request *request = &p->requests[p->answered];
	enum http1_result result =
	        http1_read_response(&p->scan, buf_str(&p->in), &p->arena, request, &r, &used, &why);
	CHECK(result != HTTP1_BAD);
	if (result == HTTP1_MORE)
		return false;
	buf_consume(&p->in, used);
	p->scan = (struct http1_scan){ 0 };
	p->tunnel = r.status == 101;
	CHECK(!p->tunnel || p->answered == SWITCH);
	if (r.status < 200)
		return p->in.n > 0;
	p->in_body = true;
	http1_body_init(&p->body, r.head_only ? BODY_NONE : r.body, r.length);
	return true;
}

static bool read_content(struct plain *p)
{
	struct str piece;
	struct refusal why;
	size_t used = 0;
	enum http1_result result = http1_body_read(&p->body, buf_str(&p->in), &piece, &used, &why);
	CHECK(result != HTTP1_BAD);
	buf_consume(&p->in, used);
	p->in_body = result != HTTP1_DONE;
	p->answered += !p->in_body;
	return p->in.n > 0;
}

static void plain_ready(struct conn *c, unsigned events)
{
	struct plain *p = &the.plain;
	char bytes[4096];
	(void)events;
	for (ssize_t n; !p->deaf && (n = conn_read(c, bytes, sizeof bytes)) > 0;)
		buf_add(&p->in, str_n(bytes, (size_t)n));
	while (!p->tunnel && (p->in_body ? read_content(p) : p->in.n > 0 && read_answer(p)))
		;
}

static void say_requests(struct plain *p)
{
	static const char text[] =
	        "GET /0 HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"
	        "HEAD /1 HTTP/1.1\r\nHost: a\r\n\r\n"
	        "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
	        "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	        "2\r\nhi\r\n0\r\n\r\n"
	        "GET /4 HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
	        "GET /5 HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
	        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
	struct iovec v = { (void *)(uintptr_t)text, sizeof text - 1 };
	p->in = BUF(16 << 20);
	for (size_t i = 0; i < REQUESTS; i++)
		p->requests[i] = (struct request){ .version = i == 4 ? HTTP_1_0 : HTTP_1_1,
			.method = i == 1 ? STR("HEAD") : STR("GET"),
			.websocket = i == SWITCH };
	CHECK(conn_write(the.place.client, &v, 1) == (ssize_t)v.iov_len);
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
	else if (what == LEAVE && the.http1)
		conn_shutdown(the.place.client);
	else if (what == LEAVE)
		leave(&the.asked[how % CALLS]);
	else if (what == TAKE && the.http1)
		the.plain.deaf = !the.plain.deaf;
	else if (what == TAKE)
		take(&the.asked[LAZY]);
	if (the.http1)
		plain_ready(the.place.client, CONN_IN);
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
	the.http1 = size > 0 && data[0] & 8;
	place_init(&the.place, size > 0 ? data[0] : 0, the.http1);
	conn_hold(&the.place.client_held, the.place.client, the.http1 ? plain_ready : client_ready);
	the.codec = http2_client_new(&the.user, loop_mono(the.place.loop));
	if (the.http1)
		say_requests(&the.plain);
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
	buf_done(&the.plain.in);
	arena_done(&the.plain.arena);
	for (size_t i = 0; i < CALLS; i++) {
		buf_done(&the.asked[i].call.stream.out);
		arena_done(&the.asked[i].arena);
	}
	return 0;
}
