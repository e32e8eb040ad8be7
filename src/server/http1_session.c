#include "server/http1_session.h"
#include "server/route.h"

enum {
	HEAD_READ = 16 << 10, /* one read of a head; what follows it may come along */
	IN_CEILING = 128 << 10,
	IN_AHEAD = 16 << 10,     /* of pipelined requests while an exchange is under way */
	DRAIN_MOST = 256 << 10,  /* of a body that nobody wants, to keep the connection */
	LINGER_MOST = 256 << 20, /* some read only once they have sent all */
	LINGER_TIME = 2000,      /* without a byte */
	LINGER_TIME_MOST = 30000,
	ROOM_AT = 32 << 10,      /* a handler is told of room once so little is unsent */
	OUT_CEILING = 256 << 20, /* handlers that wait for room stay far below */
};

static struct http1_session *session_of(struct session *s)
{
	return OWNER(s, struct http1_session, session);
}

static const struct limits *limits_of(const struct http1_session *s)
{
	return &s->client->worker->generation->limits;
}

/* Ends the handler's part: it will not hear of this exchange again. */
static void tell_gone(struct http1_session *s)
{
	struct handling *h = s->ex ? s->ex->handling : NULL;
	s->ended = true;
	s->room_owed = false;
	if (s->ex)
		s->ex->handling = NULL;
	if (h)
		h->ops->gone(h);
}

static void release_exchange(struct http1_session *s)
{
	if (s->ex) {
		exchange_done(s->ex);
		generation_unref(&s->ex->generation);
	}
	s->ex = NULL;
	arena_done(&s->arena);
}

static enum next close_now(struct http1_session *s)
{
	client_free(s->client);
	return GONE;
}

static enum next reset_now(struct http1_session *s)
{
	client_reset(s->client);
	return GONE;
}

/* Bytes that were sent to us and not read would make the kernel reset the connection when it is
 * closed, and the answer might be lost: so our side is ended, and the rest read for a while
 * (RFC 9112 9.6). */
static enum next linger(struct http1_session *s)
{
	bool clean = s->body_done && s->in.n == 0 && !s->readable;
	if (s->peer_ended || clean)
		return close_now(s);
	release_exchange(s);
	buf_done(&s->in);
	s->body_bytes = 0;
	s->state = HTTP1_LINGERING;
	s->linger_until = loop_mono(s->client->worker->loop) + LINGER_TIME_MOST;
	conn_shutdown(s->client->held.conn);
	return AGAIN;
}

/* One read into the worker's scratch: bytes, 0 at the end or when nothing is there, CONN_FAILED. */
static ssize_t read_some(struct http1_session *s, size_t most, struct str *ret_bytes)
{
	char *scratch = s->client->worker->scratch;
	ssize_t n = conn_read(s->client->held.conn, scratch, most);
	s->readable = n > 0 && (size_t)n == most;
	s->peer_ended = s->peer_ended || n == 0;
	if (n == CONN_FAILED)
		return n;
	if (n > 0) {
		s->progress = true;
		s->moved += (uint64_t)n;
	}
	*ret_bytes = str_n(scratch, n > 0 ? (size_t)n : 0);
	return (ssize_t)ret_bytes->n;
}

/* --- requests */

static struct exchange *exchange_new(struct http1_session *s, const struct request *request)
{
	struct client *c = s->client;
	struct http1_exchange *e = arena_new(&s->arena, struct http1_exchange);
	e->session = s;
	e->ex.ops = &http1_exchange_ops;
	e->ex.arena = &s->arena;
	e->ex.request = *request;
	e->ex.worker = c->worker;
	e->ex.generation = generation_ref(c->worker->generation);
	e->ex.kept = &c->kept;
	e->ex.connection = c->held.conn;
	e->ex.client = address_whole(&c->address);
	e->ex.tls = c->tls;
	e->ex.secured = c->secured.version ? &c->secured : NULL;
	e->ex.temporary = c->temporary;
	return &e->ex;
}

static void begin(struct http1_session *s, const struct request *request)
{
	struct client *c = s->client;
	s->ex = exchange_new(s, request);
	s->state = HTTP1_EXCHANGING;
	s->scan = (struct http1_scan){ 0 };
	s->parsed = 0;
	s->requests++;
	s->wait = WAIT_NONE; /* the head's time has ended; the next head has its own */
	client_deadline(c, -1);
	s->wanted = 0;
	s->body_bytes = 0;
	s->ended = s->aborted = s->room_owed = s->keep_alive = s->continue_owed = false;
	s->last = s->last_told = false;
	s->framing = FRAMING_NONE;
	s->trailers = (struct headers){ 0 };
}

/* Our own answer in place of a handler's; the connection ends with it. */
static void refuse(struct http1_session *s, const struct refusal *why)
{
	tell_gone(s);
	s->ex->request.keep_alive = false;
	s->keep_alive = false;
	s->body_done = false; /* whatever follows is not understood */
	if (s->ex->response_started)
		s->aborted = true;
	else
		exchange_answer(s->ex, why->status, why->why);
}

static enum next refuse_head(struct http1_session *s, const struct refusal *why)
{
	begin(s, &(struct request){ .version = HTTP_1_1 });
	refuse(s, why);
	return AGAIN;
}

static bool too_long(const struct http1_session *s, uint64_t bytes)
{
	uint64_t most = limits_of(s)->body_most;
	return most > 0 && bytes > most;
}

static bool is_tunnel(const struct http1_session *s)
{
	return s->framing == FRAMING_TUNNEL;
}

static const struct refusal body_too_long = { 413, "The body of this request is too long." };

static void refuse_misplaced(struct http1_session *s)
{
	const struct str why =
	        arena_printf(&s->arena, "This port speaks HTTPS: open https://%.*s/ instead.",
	                STR_ARG(s->ex->request.authority));
	refuse(s, &(struct refusal){ 400, why.p });
}

static void begin_request(struct http1_session *s, const struct request *r)
{
	begin(s, r);
	http1_body_init(&s->body, r->body, r->length);
	if (r->trailers)
		http1_body_want_trailers(&s->body, &s->arena);
	s->body_done = r->body == BODY_NONE;
	s->continue_owed = r->expect_continue && r->version != HTTP_1_0 && !s->body_done;
	if (s->misplaced)
		refuse_misplaced(s);
	else if (r->body == BODY_LENGTH && too_long(s, r->length))
		refuse(s, &body_too_long);
	else
		exchange_route(s->ex);
}

/* `bytes` are those of `in`, or were just read while it was empty. */
static enum next parse_head(struct http1_session *s, struct str bytes)
{
	bool from_in = s->in.n > 0;
	size_t used = 0;
	struct request request;
	struct refusal why;
	enum http1_result r = http1_read_request(&s->scan, bytes, &s->arena, &request, &used, &why);
	if (r == HTTP1_BAD)
		return refuse_head(s, &why);
	if (from_in)
		buf_consume(&s->in, r == HTTP1_DONE ? used : 0);
	else if (r == HTTP1_MORE || used < bytes.n)
		buf_add(&s->in, str_from(bytes, r == HTTP1_DONE ? used : 0));
	s->parsed = s->in.n;
	if (r == HTTP1_MORE)
		return WAIT;
	begin_request(s, &request);
	return AGAIN;
}

static bool ends_when_idle(const struct http1_session *s)
{
	const struct worker *w = s->client->worker;
	return w->draining && !w->patient && s->state == HTTP1_READING_HEAD && s->in.n == 0;
}

static enum next read_head(struct http1_session *s)
{
	if (!s->readable)
		return s->peer_ended || ends_when_idle(s) ? close_now(s) : WAIT;
	struct str bytes;
	if (read_some(s, HEAD_READ, &bytes) == CONN_FAILED)
		return reset_now(s);
	if (bytes.n == 0)
		return s->peer_ended ? close_now(s) : WAIT;
	if (s->in.n == 0)
		return parse_head(s, bytes) == WAIT && !s->readable ? WAIT : AGAIN;
	buf_add(&s->in, bytes);
	return AGAIN;
}

/* A head that came in whole with the request before it is parsed without reading. */
static enum next step_head(struct http1_session *s)
{
	if (s->in.n > s->parsed && parse_head(s, buf_str(&s->in)) == AGAIN)
		return AGAIN;
	return read_head(s);
}

/* --- their bodies */

static void give_piece(struct http1_session *s, struct str piece)
{
	struct handling *h = s->ex->handling;
	s->body_bytes += piece.n;
	s->wanted -= piece.n < s->wanted ? piece.n : s->wanted;
	if (h && piece.n > 0)
		h->ops->body(h, piece);
}

static void give_end(struct http1_session *s)
{
	s->body_done = true;
	s->ex->trailers = http1_body_trailers(&s->body, &s->arena);
	if (s->ex->handling)
		s->ex->handling->ops->body_end(s->ex->handling);
}

/* Uses up as much of the bytes as is wanted; the framing between pieces costs no credit. Returns
 * how many it used. */
static size_t use_body(struct http1_session *s, struct str bytes)
{
	size_t all = 0;
	while (!s->body_done && s->wanted > 0 && all < bytes.n) {
		struct str piece = STR_NONE;
		size_t used = 0;
		struct refusal why;
		enum http1_result r = http1_body_read(
		        &s->body, str_head(str_from(bytes, all), s->wanted), &piece, &used, &why);
		all += used;
		if (r == HTTP1_BAD) {
			refuse(s, &why);
			return bytes.n;
		}
		give_piece(s, piece);
		if (!is_tunnel(s) && too_long(s, s->body_bytes)) {
			refuse(s, &body_too_long);
			return bytes.n;
		}
		if (r == HTTP1_DONE)
			give_end(s);
	}
	return all;
}

static enum next read_body(struct http1_session *s)
{
	static const struct refusal cut_off = { 400, "The body of this request is not complete." };
	if (s->in.n > 0) {
		buf_consume(&s->in, use_body(s, buf_str(&s->in)));
		return AGAIN;
	}
	if (s->peer_ended && is_tunnel(s)) {
		give_end(s);
		return AGAIN;
	}
	if (s->peer_ended) {
		refuse(s, &cut_off);
		return AGAIN;
	}
	if (!s->readable)
		return WAIT;
	struct str bytes;
	size_t most = s->wanted < WORKER_SCRATCH ? s->wanted : WORKER_SCRATCH;
	if (read_some(s, most, &bytes) == CONN_FAILED)
		return reset_now(s);
	buf_add(&s->in, str_from(bytes, use_body(s, bytes)));
	return AGAIN;
}

/* --- exchanges */

/* While an answer is awaited the connection is read only to learn that the client has left, or of
 * requests that follow. A client that only ended his side still wants the answer. */
static enum next watch_client(struct http1_session *s)
{
	if (!s->body_done || !s->readable || s->in.n >= IN_AHEAD)
		return WAIT;
	struct str bytes;
	if (read_some(s, HEAD_READ, &bytes) == CONN_FAILED)
		return reset_now(s);
	buf_add(&s->in, bytes);
	return s->readable ? AGAIN : WAIT;
}

static enum next next_request(struct http1_session *s)
{
	release_exchange(s);
	if (s->in.n == 0)
		buf_done(&s->in);
	buf_done(&s->out);
	s->state = HTTP1_READING_HEAD;
	return AGAIN;
}

/* The rest of a body that nobody wants is read if it is short, so that the connection can be kept.
 * Who was not told to continue may never send it. */
static enum next drain_body(struct http1_session *s)
{
	uint64_t ahead = s->body.kind == BODY_LENGTH ? s->body.left : 0;
	if (s->continue_owed || s->peer_ended || s->body_bytes + ahead > DRAIN_MOST)
		return linger(s);
	s->wanted = WORKER_SCRATCH;
	return read_body(s);
}

static enum next finish(struct http1_session *s)
{
	if (http1_unsent(s) > 0)
		return WAIT;
	if (s->aborted && (s->framing == FRAMING_CLOSE || is_tunnel(s)))
		return reset_now(s);
	if (s->aborted || !s->keep_alive)
		return linger(s);
	if (!s->body_done)
		return drain_body(s);
	return next_request(s);
}

static enum next step_exchange(struct http1_session *s)
{
	if (s->ended)
		return finish(s);
	if (s->room_owed && http1_unsent(s) <= ROOM_AT) {
		s->room_owed = false;
		s->ex->handling->ops->room(s->ex->handling);
		return AGAIN;
	}
	if (s->last && !s->last_told && http1_unsent(s) == 0) {
		s->last_told = true;
		conn_shutdown(s->client->held.conn);
	}
	if (!s->body_done && s->wanted > 0)
		return read_body(s);
	return watch_client(s);
}

static enum next step_linger(struct http1_session *s)
{
	struct str bytes;
	if (!s->readable)
		return s->peer_ended ? close_now(s) : WAIT;
	if (read_some(s, WORKER_SCRATCH, &bytes) == CONN_FAILED || s->peer_ended)
		return close_now(s);
	s->body_bytes += bytes.n;
	bool late = loop_mono(s->client->worker->loop) > s->linger_until;
	return late || s->body_bytes > LINGER_MOST ? close_now(s) : AGAIN;
}

/* --- the pump */

static enum http1_wait wait_of(const struct http1_session *s)
{
	if (s->state == HTTP1_LINGERING)
		return WAIT_LINGER;
	if (http1_unsent(s) > 0)
		return WAIT_WRITE;
	if (s->state == HTTP1_READING_HEAD)
		return s->in.n > 0 || s->requests == 0 ? WAIT_HEAD : WAIT_IDLE;
	bool awaited = !s->body_done && s->wanted > 0 && !is_tunnel(s); /* who may be silent */
	return awaited ? WAIT_BODY : WAIT_NONE;
}

static int64_t time_for(const struct http1_session *s, enum http1_wait wait)
{
	const struct limits *l = limits_of(s);
	const int64_t times[] = {
		[WAIT_NONE] = -1,
		[WAIT_IDLE] = l->idle_timeout,
		[WAIT_HEAD] = l->header_timeout,
		[WAIT_BODY] = l->body_timeout,
		[WAIT_WRITE] = l->body_timeout,
		[WAIT_LINGER] = LINGER_TIME,
	};
	return times[wait];
}

/* Who keeps us waiting for content, or with it, has the time-out, of which each second costs him
 * least-rate bytes; what the kernel takes at once pays for no more than that. */
static int64_t time_at_least_rate(struct http1_session *s, int64_t most)
{
	uint64_t moved = s->moved - s->wait_moved;
	s->wait_moved = s->moved;
	bool awaited = s->wait == WAIT_BODY || s->wait == WAIT_WRITE;
	return awaited ? pump_pay(s->client, moved, &s->paid_until) : most;
}

static void begin_wait(struct http1_session *s, enum http1_wait wait)
{
	s->wait = wait;
	s->wait_moved = s->moved;
	s->paid_until = loop_mono(s->client->worker->loop) + time_for(s, wait);
}

/* A head that comes byte by byte gains nothing by it. */
static void set_deadline(struct pump *pump)
{
	struct http1_session *s = OWNER(pump, struct http1_session, pump);
	enum http1_wait wait = wait_of(s);
	bool moves = s->progress && wait != WAIT_HEAD && wait != WAIT_NONE;
	s->progress = false;
	if (wait != s->wait)
		begin_wait(s, wait);
	else if (!moves)
		return;
	client_deadline(s->client, time_at_least_rate(s, time_for(s, wait)));
}

static enum next step(struct pump *pump)
{
	struct http1_session *s = OWNER(pump, struct http1_session, pump);
	static enum next (*const steps[])(struct http1_session *) = {
		[HTTP1_READING_HEAD] = step_head,
		[HTTP1_EXCHANGING] = step_exchange,
		[HTTP1_LINGERING] = step_linger,
	};
	http1_flush(s);
	if (s->failed)
		return reset_now(s);
	enum next next = steps[s->state](s);
	return next == WAIT && http1_may_flush(s) ? AGAIN : next;
}

static const struct pump_ops pump_ops = { .step = step, .rests = set_deadline };

static void ready(struct session *session, unsigned events)
{
	struct http1_session *s = session_of(session);
	if (events & CONN_IN)
		s->readable = true;
	if (events & CONN_OUT)
		s->blocked = false;
	pump_run(&s->pump);
}

static void expired(struct session *session)
{
	static const struct refusal head_late = { 408, "The head of the request took too long." },
	                            body_late = { 408, "The body of the request took too long." };
	struct http1_session *s = session_of(session);
	if (s->wait == WAIT_WRITE) {
		(void)reset_now(s);
		return;
	}
	if (s->wait == WAIT_IDLE || s->wait == WAIT_LINGER || (s->wait == WAIT_HEAD && !s->in.n)) {
		(void)close_now(s);
		return;
	}
	if (s->wait == WAIT_HEAD)
		(void)refuse_head(s, &head_late);
	else
		refuse(s, &body_late);
	pump_run(&s->pump);
}

static void drain(struct session *session)
{
	struct http1_session *s = session_of(session);
	if (ends_when_idle(s))
		(void)close_now(s);
}

static bool idle(const struct session *session)
{
	return OWNER(session, const struct http1_session, session)->state != HTTP1_EXCHANGING;
}

static void free_session(struct session *session)
{
	struct http1_session *s = session_of(session);
	tell_gone(s);
	release_exchange(s);
	pump_stop(&s->pump);
	buf_done(&s->in);
	buf_done(&s->out);
	free(s);
}

static const struct session_ops session_ops = {
	.ready = ready,
	.expired = expired,
	.drain = drain,
	.idle = idle,
	.free = free_session,
};

struct session *http1_session_new(struct client *c)
{
	struct http1_session *s = mem_new(struct http1_session);
	s->session.ops = &session_ops;
	s->pump.ops = &pump_ops;
	s->pump.loop = c->worker->loop;
	s->client = c;
	s->in = BUF(IN_CEILING);
	s->out = BUF(OUT_CEILING);
	set_deadline(&s->pump);
	return &s->session;
}

void http1_session_misplaced(struct session *session, struct str bytes)
{
	struct http1_session *s = session_of(session);
	s->misplaced = true;
	s->readable = true; /* what came behind them was told of before */
	buf_add(&s->in, bytes);
	pump_run(&s->pump);
}
