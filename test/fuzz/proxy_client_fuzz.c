/* A client's connection with the real proxy behind it and an application that does whatever one may
 * do, by the path that it is asked for. Bytes that do not begin like HTTP/2 are HTTP/1. Whatever
 * the client says, what reaches the application is HTTP by our own laws, tells the truth about the
 * client, and is no more than what was asked for.
 *
 * Frames of types that do not exist are for the place: F0 the client reads no more, or again;
 * F1 time passes, seconds by its flags; F2 the client has said all; F3 the application closes its
 * connections. */
#include "http/forwarded.h"
#include "http/http1.h"
#include "keys/websocket.h"
#include "proxy_place.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STOP_READING = 0xf0, TIME, SAID_ALL, CLOSE_ALL };
enum { LARGE = 200000, CONNECTIONS = 4 };

static const char zeros[LARGE];
static unsigned heard; /* requests, by applications */
static bool client_reads;

/* What an application says, by the second character of the path. */
enum way { PLAIN, LENGTH, STREAM, EARLY, HINTS, CUT, RESET, SILENT, BEHIND, UNCHANGED };

static enum way way_of(const struct request *r)
{
	static const char ways[] = "-lseicrwbu";
	const char *way = r->path.n > 1 ? strchr(ways, r->path.p[1]) : NULL;
	return way && *way ? (enum way)(way - ways) : PLAIN;
}

static void check_request(const struct request *r)
{
	size_t forwarded = 0, said = 0, whence = 0;
	heard++;
	CHECK(r->path.p[0] == '/' || str_eq(r->path, STR("*")));
	for (size_t i = 0; i < r->headers.count; i++) {
		const struct header *h = &r->headers.at[i];
		forwarded += str_eq(h->name, STR("x-forwarded-for"));
		said += str_eq(h->name, STR("forwarded"));
		whence += forwarded_is_whence(h->name); /* and what it came by, and to whom */
		CHECK(!str_eq(h->name, STR("proxy")) && !str_eq(h->name, STR("x_forwarded_for")));
		CHECK(!str_starts(h->name, STR("x-client-cert-")));
	}
	CHECK(forwarded == 1 && said == 1 && whence <= 4);
	CHECK(str_eq(headers_find(&r->headers, STR("x-forwarded-for")), STR("192.0.2.7")));
}

/* --- an application of HTTP/1.1 */

struct plain {
	struct far *far;
	struct buf in;
	struct arena arena;
	struct request request;
	struct http1_scan scan;
	struct http1_body body;
	bool in_body, answered, tunnel;
};
static struct plain plain[DIALS_MOST];

static void say_content(struct plain *p, enum way way)
{
	struct buf *out = &p->far->out;
	bool is_head = str_eq(p->request.method, STR("HEAD"));
	size_t n = way == LENGTH || way == STREAM ? LARGE : 2;
	if (way == STREAM)
		buf_add_c(out, "Transfer-Encoding: chunked\r\n\r\n");
	else
		buf_printf(out, "Content-Length: %zu\r\n\r\n", n);
	if (is_head || way == UNCHANGED)
		return;
	if (way == STREAM)
		http1_write_chunk_head(out, n);
	buf_add(out, str_n(zeros, way == CUT ? 1 : n));
	if (way == STREAM)
		buf_add_c(out, "\r\n0\r\nx-end: 1\r\n\r\n");
	if (way == BEHIND)
		buf_add_c(out, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
}

static void close_far(struct far *f, bool reset)
{
	if (reset && f->held.conn)
		conn_reset(&f->held.conn);
	conn_free(&f->held.conn);
	buf_clear(&f->out);
}

static void answer_plain(struct plain *p)
{
	enum way way = way_of(&p->request);
	struct buf *out = &p->far->out;
	p->answered = true;
	if (p->request.websocket) {
		char accept[WEBSOCKET_ACCEPT + 1];
		websocket_accept(
		        headers_find(&p->request.headers, STR("sec-websocket-key")), accept);
		buf_printf(out,
		        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
		        "Sec-WebSocket-Accept: %s\r\n\r\n",
		        accept);
		p->tunnel = true;
	} else if (way == RESET) {
		close_far(p->far, /* reset= */ true);
	} else if (way != SILENT) {
		if (way == HINTS)
			buf_add_c(out, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
		buf_printf(out, "HTTP/1.1 %d x\r\nContent-Type: text/plain\r\n",
		        way == UNCHANGED ? 304 : 200);
		say_content(p, way);
	}
	far_flush(p->far);
	if (way == CUT)
		close_far(p->far, /* reset= */ false);
}

static void next_message(struct plain *p)
{
	p->scan = (struct http1_scan){ 0 };
	p->in_body = p->answered = false;
	arena_done(&p->arena);
}

/* False: nothing more can be read now. */
static bool read_content(struct plain *p)
{
	struct str piece;
	struct refusal why;
	size_t used = 0;
	enum http1_result result = http1_body_read(&p->body, buf_str(&p->in), &piece, &used, &why);
	CHECK(result != HTTP1_BAD);
	buf_consume(&p->in, used);
	if (result == HTTP1_DONE) {
		if (!p->answered)
			answer_plain(p);
		bool waits = way_of(&p->request) == SILENT;
		CHECK(p->in.n == 0 || p->tunnel); /* one request at a time */
		if (!p->tunnel && !waits)
			next_message(p);
	}
	return p->in.n > 0 && !p->tunnel;
}

static bool read_head(struct plain *p)
{
	struct refusal why;
	size_t used = 0;
	enum http1_result result =
	        http1_read_request(&p->scan, buf_str(&p->in), &p->arena, &p->request, &used, &why);
	CHECK(result != HTTP1_BAD);
	if (result == HTTP1_MORE)
		return false;
	check_request(&p->request);
	buf_consume(&p->in, used);
	p->in_body = true;
	http1_body_init(&p->body, p->request.body, p->request.length);
	if (way_of(&p->request) == EARLY)
		answer_plain(p);
	return true;
}

static void plain_ready(struct conn *conn, unsigned events)
{
	struct far *f = OWNER(conn->holder, struct far, held);
	struct plain *p = &plain[f - f->place->dialled];
	char bytes[4096];
	(void)events;
	for (ssize_t n; (n = conn_read(conn, bytes, sizeof bytes)) > 0;)
		buf_add(p->tunnel ? &f->out : &p->in, str_n(bytes, (size_t)n));
	while (f->held.conn && (p->in_body ? read_content(p) : p->in.n > 0 && read_head(p)))
		;
	far_flush(f);
}

/* --- an application of HTTP/2 */

struct served {
	struct http2_stream stream;
	struct list node;
	struct arena arena;
	uint64_t got;
};
struct wise {
	struct far *far;
	struct http2_user user;
	struct http2 *codec;
	struct list streams;
	bool over;
};
static struct wise wise[DIALS_MOST];

static struct served *served_of(struct http2_stream *s)
{
	return OWNER(s, struct served, stream);
}

static struct http2_stream *opened(struct http2_user *u)
{
	struct served *s = mem_new(struct served);
	s->stream.arena = &s->arena;
	list_add_last(&OWNER(u, struct wise, user)->streams, &s->node);
	return &s->stream;
}

static void answer_wise(struct http2_stream *s)
{
	static struct header end = { STR_INIT("x-end"), STR_INIT("1") };
	static const struct headers trailers = { &end, 1, 1 };
	enum way way = way_of(&s->request);
	bool is_head = str_eq(s->request.method, STR("HEAD"));
	static struct header type = { STR_INIT("content-type"), STR_INIT("text/plain") };
	struct response hints = { .status = 103 };
	struct response head = { .status = way == UNCHANGED ? 304 : 200,
		.headers = { &type, 1, 1 },
		.body = way == STREAM ? BODY_STREAM : BODY_LENGTH,
		.length = way == LENGTH ? LARGE : 2,
		.head_only = is_head || way == UNCHANGED };
	if (way == RESET)
		http2_reset(s, HTTP2_INTERNAL_ERROR);
	if (way == RESET || way == SILENT)
		return;
	if (way == HINTS)
		http2_respond(s, &hints);
	http2_respond(s, &head);
	if (!head.head_only)
		http2_put(s, str_n(zeros, way == LENGTH || way == STREAM ? LARGE
		                          : way == CUT                   ? 1
		                                                         : 2));
	if (way == CUT)
		http2_reset(s, HTTP2_NO_ERROR);
	else
		http2_end(s, way == STREAM ? &trailers : NULL);
}

static void request(struct http2_stream *s)
{
	struct response taken = { .status = 101, .websocket = true };
	CHECK(!s->refusal.why);
	check_request(&s->request);
	if (s->request.websocket)
		http2_respond(s, &taken);
	else if (s->request.body == BODY_NONE || way_of(&s->request) == EARLY)
		answer_wise(s);
}

static void body(struct http2_stream *s, struct str piece)
{
	const struct request *r = &s->request;
	served_of(s)->got += piece.n;
	CHECK(r->body != BODY_LENGTH || served_of(s)->got <= r->length);
	http2_used(s->connection, s->id, piece.n);
	if (r->websocket)
		http2_put(s, piece);
}

static void body_end(struct http2_stream *s)
{
	const struct request *r = &s->request;
	CHECK(r->body != BODY_LENGTH || served_of(s)->got == r->length);
	if (r->websocket)
		http2_end(s, NULL);
	else if (r->body != BODY_NONE && way_of(r) != EARLY)
		answer_wise(s);
}

static void free_served(struct served *s)
{
	list_remove(&s->node);
	buf_done(&s->stream.out);
	arena_done(&s->arena);
	free(s);
}

static void closed(struct http2_stream *s)
{
	free_served(served_of(s));
}

static const struct http2_ops wise_ops = { opened, request, NULL, body, body_end, closed };

static void wise_ready(struct conn *conn, unsigned events)
{
	struct far *f = OWNER(conn->holder, struct far, held);
	struct wise *w = &wise[f - f->place->dialled];
	char bytes[4096];
	(void)events;
	http2_time(w->codec, loop_mono(f->place->loop));
	for (ssize_t n; !w->over && (n = conn_read(conn, bytes, sizeof bytes)) > 0;)
		w->over = !http2_receive(w->codec, str_n(bytes, (size_t)n));
	/* A measure of patience may be at its end; a law is never broken. */
	CHECK(!http2_fault(w->codec) ||
	        str_starts(str_c(http2_fault(w->codec)), STR("The client ")));
	if (f->out.n == 0)
		http2_collect(w->codec, &f->out, WIDE);
	far_flush(f);
	if (w->over)
		close_far(f, /* reset= */ false);
}

/* --- the place */

static void begin(struct far *f)
{
	size_t i = (size_t)(f - f->place->dialled);
	plain[i] = (struct plain){ .far = f, .in = BUF(16 << 20) };
	if (!f->place->h2c)
		return;
	wise[i] = (struct wise){ .far = f, .user.ops = &wise_ops };
	list_init(&wise[i].streams);
	wise[i].codec = http2_new(&wise[i].user, /* tls= */ false, loop_mono(f->place->loop));
}

static void end(size_t i)
{
	buf_done(&plain[i].in);
	arena_done(&plain[i].arena);
	if (!wise[i].codec)
		return;
	LIST_EACH (node, &wise[i].streams)
		free_served(OWNER(node, struct served, node));
	http2_free(&wise[i].codec);
}

static void client_ready(struct conn *c, unsigned events)
{
	char p[4096];
	(void)events;
	for (ssize_t n = 1; client_reads && n > 0;)
		n = conn_read(c, p, sizeof p);
}

static void obey(struct place *p, unsigned char what, unsigned char how)
{
	if (what == STOP_READING)
		client_reads = !client_reads;
	else if (what == TIME)
		clock_fake_advance(&p->clock, how * SECOND);
	else if (what == SAID_ALL)
		conn_shutdown(p->client);
	for (size_t i = 0; what == CLOSE_ALL && i < p->dial_count; i++)
		close_far(&p->dialled[i], how & 1);
	if (client_reads)
		client_ready(p->client, CONN_IN);
	place_turns(p, 3);
}

static void say(struct place *p, struct str bytes)
{
	while (bytes.n > 0) {
		struct str part = str_head(bytes, p->piece);
		struct iovec v = { (void *)(uintptr_t)part.p, part.n };
		ssize_t n = conn_write(p->client, &v, 1);
		place_turns(p, 3);
		if (n < 0)
			return;
		bytes = str_from(bytes, (size_t)n);
	}
}

#define PREFACE STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")

static void say_frames(struct place *p, struct str in)
{
	say(p, PREFACE);
	while (in.n >= 4) {
		BUF_AUTO frame = BUF_INIT(4096);
		unsigned char type = (unsigned char)in.p[0], flags = (unsigned char)in.p[1];
		next_frame(&in, &frame);
		if (type >= STOP_READING && type <= CLOSE_ALL)
			obey(p, type, flags);
		else
			say(p, buf_str(&frame));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct place p;
	struct str in = str_from(str_n(data, size), 1);
	heard = 0;
	client_reads = true;
	p = (struct place){ .begin = begin, .connections = CONNECTIONS };
	p.ready = size > 0 && data[0] & 2 ? wise_ready : plain_ready;
	bool frames = size > 0 && data[0] & 1, http2 = frames || str_starts(in, STR("PRI "));
	place_init(&p, size > 0 ? data[0] : 0, !http2);
	conn_hold(&p.client_held, p.client, client_ready);
	if (p.frames)
		say_frames(&p, in);
	else
		say(&p, in);
	struct proxy_counts counts = proxy_pools_counts(p.worker.proxy);
	CHECK(heard <= counts.requests + counts.retries);
	place_end(&p);
	for (size_t i = 0; i < p.dial_count; i++)
		end(i);
	return 0;
}
