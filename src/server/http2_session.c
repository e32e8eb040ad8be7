#include "server/http2_session.h"
#include "server/route.h"

enum {
	WRITE_MOST = 64 << 10, /* frames that are made for one write */
	ROOM_AT = 16 << 10,    /* a handler is told of room once so little of its is unsent */
	LINGER_MOST = 1 << 20,
	LINGER_TIME = 2000, /* without a byte */
	LINGER_TIME_MOST = 10000,
	SPARE_MOST = 64,        /* streams kept for their memory, some KiB each */
	LOOKS_APART = 50,       /* ms */
	OUT_CEILING = 64 << 20, /* never reached: nothing is made while something is unsent */
	/* After we have said that we leave, streams that were on their way are still served. */
	LATE_STREAMS_MOST = HTTP2_STREAMS_MOST,
};

static struct http2_session *session_of(struct session *s)
{
	return OWNER(s, struct http2_session, session);
}

static struct http2_passenger *passenger_of(struct http2_stream *s)
{
	return OWNER(s, struct http2_passenger, stream);
}

static struct http2_passenger *at_node(struct list *node)
{
	return OWNER(node, struct http2_passenger, node);
}

static const struct limits *limits_of(const struct http2_session *s)
{
	return &s->client->worker->generation->limits;
}

static int64_t now(const struct http2_session *s)
{
	return loop_mono(s->client->worker->loop);
}

static enum next close_now(struct http2_session *s)
{
	client_free(s->client);
	return GONE;
}

static enum next reset_now(struct http2_session *s)
{
	client_reset(s->client);
	return GONE;
}

/* --- writing */

static size_t unsent(const struct http2_session *s)
{
	return s->out.n - s->sent + conn_unsent(s->client->held.conn);
}

bool http2_may_write(const struct http2_session *s)
{
	return !s->receiving && !s->blocked && !s->failed && !s->lingering;
}

/* What the connection did not take of the bytes is kept. */
static void write_bytes(struct http2_session *s, struct str bytes)
{
	struct conn *conn = s->client->held.conn;
	struct iovec v = { (void *)(uintptr_t)bytes.p, bytes.n };
	ssize_t n = conn_write(conn, &v, 1);
	size_t taken = n > 0 ? (size_t)n : 0;
	s->failed = n == CONN_FAILED;
	s->blocked = taken < bytes.n || conn_unsent(conn) > 0;
	s->wrote = s->wrote || taken > 0;
	s->written += taken;
	if (taken < bytes.n && !s->failed)
		buf_add(&s->out, str_from(bytes, taken));
}

static void write_kept(struct http2_session *s)
{
	struct buf kept = s->out;
	size_t from = s->sent;
	if (kept.n == 0)
		return;
	s->out = BUF(OUT_CEILING);
	s->sent = 0;
	write_bytes(s, str_from(buf_str(&kept), from));
	buf_done(&kept);
}

void http2_write(struct http2_session *s)
{
	struct buf *frames = &s->client->worker->frames;
	size_t made = WRITE_MOST;
	if (http2_may_write(s))
		write_kept(s);
	while (http2_may_write(s) && made >= WRITE_MOST) {
		buf_clear(frames);
		http2_collect(s->codec, frames, WRITE_MOST);
		made = frames->n;
		if (made > 0)
			write_bytes(s, buf_str(frames));
	}
}

/* --- requests */

/* One that a stream had before, whoever's it was: its memory is as good as new. */
static struct http2_passenger *passenger_new(struct worker *w)
{
	struct list *node = list_first(&w->spare);
	if (!node)
		return mem_new(struct http2_passenger);
	struct http2_passenger *p = at_node(node);
	list_remove(node);
	w->spare_count--;
	struct arena arena = p->arena;
	struct buf out = p->stream.out;
	CHECK(out.n == 0);
	*p = (struct http2_passenger){ .arena = arena, .stream.out = out };
	return p;
}

static void passenger_done(struct http2_passenger *p)
{
	buf_done(&p->stream.out);
	arena_done(&p->arena);
	free(p);
}

static void passenger_spare(struct worker *w, struct http2_passenger *p)
{
	if (w->spare_count == SPARE_MOST || w->draining) {
		passenger_done(p);
		return;
	}
	http2_stream_clear(&p->stream); /* the next one must begin with nothing of this one's */
	arena_clear(&p->arena);
	list_add_first(&w->spare, &p->node);
	w->spare_count++;
}

void http2_session_spare_done(struct worker *w)
{
	LIST_EACH (node, &w->spare)
		passenger_done(at_node(node));
	list_init(&w->spare);
}

static struct http2_stream *opened(struct http2_user *u)
{
	struct http2_session *s = OWNER(u, struct http2_session, user);
	struct http2_passenger *p = passenger_new(s->client->worker);
	p->session = s;
	p->stream.arena = &p->arena;
	p->in = BUF(HTTP2_WINDOW);
	list_add_last(&s->streams, &p->node);
	if (s->stream_count++ == 0)
		s->look_at = now(s) + limits_of(s)->body_timeout;
	s->requests++;
	return &p->stream;
}

/* Ends the handler's part: it will not hear of this exchange again. */
static void tell_gone(struct http2_passenger *p)
{
	struct handling *h = p->ex.handling;
	p->ex.handling = NULL;
	p->ended = true;
	if (p->room_owed)
		p->session->rooms_owed--;
	p->room_owed = false;
	if (h)
		h->ops->gone(h);
}

/* Our own answer in place of a handler's. */
static void refuse(struct http2_passenger *p, const struct refusal *why)
{
	tell_gone(p);
	p->body_done = true;
	p->wanted = 0;
	if (p->ex.response_started)
		http2_reset(&p->stream, HTTP2_INTERNAL_ERROR);
	else
		exchange_answer(&p->ex, why->status, why->why);
}

static bool too_long(const struct http2_passenger *p, uint64_t bytes)
{
	uint64_t most = limits_of(p->session)->body_most;
	return most > 0 && bytes > most && !p->tunnel;
}

static const struct refusal body_too_long = { 413, "The body of this request is too long." };

static void begin(struct http2_passenger *p)
{
	struct client *c = p->session->client;
	p->ex.ops = &http2_exchange_ops;
	p->ex.arena = &p->arena;
	p->ex.request = p->stream.request;
	p->ex.worker = c->worker;
	p->ex.generation = generation_ref(c->worker->generation);
	p->ex.kept = &c->kept;
	p->ex.connection = c->held.conn;
	p->ex.client = address_whole(&c->address);
	p->ex.secured = c->secured.version ? &c->secured : NULL;
	p->ex.tls = c->tls;
	p->ex.temporary = c->temporary;
	p->routed = true;
	p->body_done = p->ex.request.body == BODY_NONE;
	p->continue_owed = p->ex.request.expect_continue;
}

static void start(struct http2_passenger *p)
{
	const struct http2_stream *stream = &p->stream;
	struct request *r = &p->stream.request;
	if (stream->refusal.why)
		*r = (struct request){ .version = HTTP_2 };
	begin(p);
	if (stream->refusal.why)
		refuse(p, &stream->refusal);
	else if (r->body == BODY_LENGTH && too_long(p, r->length))
		refuse(p, &body_too_long);
	else
		exchange_route(&p->ex);
}

static void request(struct http2_stream *stream)
{
	struct http2_passenger *p = passenger_of(stream);
	p->due = true;
	p->session->requests_due++;
}

/* Once all that was read is known: one that is reset by the same bytes costs no connection to the
 * application (CVE-2023-44487). */
static void start_requests(struct http2_session *s)
{
	if (s->requests_due == 0 || http2_fault(s->codec))
		return;
	s->requests_due = 0;
	LIST_EACH (node, &s->streams) {
		struct http2_passenger *p = at_node(node);
		if (p->due && !p->closed)
			start(p);
		p->due = false;
	}
}

/* --- their bodies */

static void use_up(struct http2_passenger *p, size_t bytes)
{
	http2_used(p->session->codec, p->stream.id, bytes);
}

static void give_piece(struct http2_passenger *p, struct str piece)
{
	struct handling *h = p->ex.handling;
	p->body_bytes += piece.n;
	p->wanted -= piece.n;
	use_up(p, piece.n);
	if (too_long(p, p->body_bytes))
		refuse(p, &body_too_long);
	else if (h)
		h->ops->body(h, piece);
}

/* Content that is not wanted waits within the windows; what nobody will ever want is dropped. */
static void hear_body(struct http2_stream *stream, struct str piece)
{
	enum { SMALL = 4 << 10 }; /* several of them become one piece */
	struct http2_passenger *p = passenger_of(stream);
	p->heard_at = now(p->session);
	p->heard += piece.n;
	if (p->ended) {
		use_up(p, piece.n);
		return;
	}
	struct str at_once = STR_NONE;
	if (p->in.n == 0 && piece.n >= SMALL && !p->body_done)
		at_once = str_head(piece, p->wanted);
	if (at_once.n > 0)
		give_piece(p, at_once);
	buf_add(&p->in, str_from(piece, at_once.n));
	CHECK(buf_ok(&p->in));
	p->session->bodies_due++;
}

static void hear_body_end(struct http2_stream *stream)
{
	passenger_of(stream)->session->bodies_due++;
}

/* Closed, and nothing is left to do for it. What the client of a tunnel said last goes to the
 * application, as slow as that may be, when both have ended it. */
static bool is_over(const struct http2_passenger *p)
{
	bool whole = p->tunnel && p->stream.request_ended && !p->stream.reset;
	return p->closed && (p->ended || !whole);
}

/* In one piece what has come and is wanted; the end, once all before it was given. */
static void give_body(struct http2_passenger *p)
{
	if (p->body_done || p->ended || is_over(p) || !p->routed)
		return;
	if (p->in.n > 0 && p->wanted > 0) {
		struct buf in = p->in;
		p->in = BUF(HTTP2_WINDOW);
		struct str piece = str_head(buf_str(&in), p->wanted);
		buf_add(&p->in, str_from(buf_str(&in), piece.n));
		give_piece(p, piece);
		buf_done(&in);
	}
	if (p->ended || p->in.n > 0 || !p->stream.request_ended)
		return;
	p->body_done = true;
	p->ex.trailers = p->stream.trailers;
	if (p->ex.handling)
		p->ex.handling->ops->body_end(p->ex.handling);
}

static void give_bodies(struct http2_session *s)
{
	if (s->bodies_due == 0)
		return;
	s->bodies_due = 0;
	LIST_EACH (node, &s->streams)
		give_body(at_node(node));
}

static void tell_room(struct http2_session *s)
{
	if (s->rooms_owed == 0)
		return;
	LIST_EACH (node, &s->streams) {
		struct http2_passenger *p = at_node(node);
		if (!p->room_owed || p->closed || http2_unsent(&p->stream) > ROOM_AT)
			continue;
		p->room_owed = false;
		s->rooms_owed--;
		p->ex.handling->ops->room(p->ex.handling);
	}
}

/* --- ends */

static void hear_closed(struct http2_stream *stream)
{
	struct http2_passenger *p = passenger_of(stream);
	p->closed = true;
	p->session->closed_count++;
}

static void free_passenger(struct http2_passenger *p)
{
	tell_gone(p);
	list_remove(&p->node);
	p->session->stream_count--;
	if (p->routed)
		exchange_done(&p->ex);
	generation_unref(&p->ex.generation);
	use_up(p, p->in.n);
	buf_done(&p->in);
	passenger_spare(p->session->client->worker, p);
}

static void reap(struct http2_session *s)
{
	if (s->closed_count == 0)
		return;
	s->closed_count = 0;
	LIST_EACH (node, &s->streams) {
		struct http2_passenger *p = at_node(node);
		if (is_over(p))
			free_passenger(p);
		else
			s->closed_count += p->closed;
	}
}

static void free_streams(struct http2_session *s)
{
	LIST_EACH (node, &s->streams)
		free_passenger(at_node(node));
}

/* Both have said what they had to say. Bytes that were sent to us and not read would make the
 * kernel reset the connection when it is closed, and the last frames might be lost. */
static enum next linger(struct http2_session *s)
{
	free_streams(s);
	if (s->peer_ended)
		return close_now(s);
	s->lingering = true;
	s->linger_until = now(s) + LINGER_TIME_MOST;
	conn_shutdown(s->client->held.conn);
	return AGAIN;
}

static void leave(struct http2_session *s, enum http2_error code)
{
	if (!s->gone_away)
		http2_leave(s->codec, code);
	s->leaving = s->gone_away = true;
}

/* No new streams, once so many were opened or the server stops. The connection ends when none is
 * under way, or, unless there is haste, on its way. */
static void leave_if_due(struct http2_session *s)
{
	const struct worker *w = s->client->worker;
	uint64_t most = limits_of(s)->requests_per_connection;
	if (!s->leaving && (w->draining || s->requests >= most)) {
		http2_leave_soon(s->codec);
		s->leaving = true;
	}
	bool hasty = w->draining && !w->patient;
	bool last = s->stream_count == 0 && (hasty || http2_leave_heard(s->codec));
	if (s->leaving && (last || s->requests >= most + LATE_STREAMS_MOST))
		leave(s, HTTP2_NO_ERROR);
}

/* --- the pump */

static bool may_read(const struct http2_session *s)
{
	return s->readable && !http2_fault(s->codec);
}

/* Requests that are not whole never will be; whole ones are answered. */
static enum next hear_last(struct http2_session *s)
{
	static const struct refusal cut_off = { 400, "The body of this request is not complete." };
	s->peer_ended = true;
	LIST_EACH (node, &s->streams) {
		struct http2_passenger *p = at_node(node);
		if (p->stream.request_ended || p->closed)
			continue;
		if (p->routed && !p->tunnel && !p->ended)
			refuse(p, &cut_off);
		else
			http2_reset(&p->stream, HTTP2_CANCEL);
	}
	return WAIT;
}

static enum next read_frames(struct http2_session *s)
{
	char *p = s->client->worker->intake;
	ssize_t n = conn_read(s->client->held.conn, p, WORKER_SCRATCH);
	s->readable = n == WORKER_SCRATCH;
	if (n == CONN_FAILED)
		return reset_now(s);
	if (n <= 0)
		return n == 0 ? hear_last(s) : WAIT;
	s->receiving = true;
	(void)http2_receive(s->codec, str_n(p, (size_t)n));
	start_requests(s);
	s->receiving = false;
	return AGAIN;
}

static enum next step_linger(struct http2_session *s)
{
	char *p = s->client->worker->intake;
	if (!s->readable)
		return s->peer_ended ? close_now(s) : WAIT;
	ssize_t n = conn_read(s->client->held.conn, p, WORKER_SCRATCH);
	s->readable = n == WORKER_SCRATCH;
	if (n == 0 || n == CONN_FAILED)
		return close_now(s);
	s->heard = s->heard || n > 0;
	s->lingered += n > 0 ? (size_t)n : 0;
	return s->lingered > LINGER_MOST || now(s) > s->linger_until ? close_now(s) : AGAIN;
}

static enum next step(struct pump *pump)
{
	struct http2_session *s = OWNER(pump, struct http2_session, pump);
	http2_time(s->codec, now(s));
	if (s->lingering)
		return step_linger(s);
	enum next next = may_read(s) ? read_frames(s) : WAIT;
	if (next == GONE)
		return GONE;
	give_bodies(s);
	leave_if_due(s);
	http2_write(s);
	reap(s);
	tell_room(s);
	if (s->failed)
		return reset_now(s);
	bool over = http2_over(s->codec) || (s->peer_ended && s->stream_count == 0);
	if (over && unsent(s) == 0)
		return linger(s);
	bool more = next == AGAIN || s->bodies_due > 0 || may_read(s);
	return more ? AGAIN : WAIT;
}

static enum http2_wait wait_of(const struct http2_session *s)
{
	if (s->lingering)
		return HTTP2_WAIT_LINGER;
	if (unsent(s) > 0)
		return HTTP2_WAIT_WRITE;
	if (http2_in_head(s->codec) || s->requests == 0)
		return HTTP2_WAIT_HEAD;
	return s->stream_count > 0 ? HTTP2_WAIT_STREAMS : HTTP2_WAIT_IDLE;
}

static int64_t time_for(const struct http2_session *s, enum http2_wait wait)
{
	const struct limits *l = limits_of(s);
	const int64_t times[] = {
		[HTTP2_WAIT_IDLE] = l->idle_timeout,
		[HTTP2_WAIT_HEAD] = l->header_timeout,
		[HTTP2_WAIT_STREAMS] = s->look_at > now(s) ? s->look_at - now(s) : 0,
		[HTTP2_WAIT_WRITE] = l->body_timeout,
		[HTTP2_WAIT_LINGER] = LINGER_TIME,
	};
	return times[wait];
}

/* A head that comes byte by byte gains nothing by it, nor an idle connection by frames without a
 * request, nor a stream by what others do: each has its own time. */
static void set_deadline(struct pump *pump)
{
	struct http2_session *s = OWNER(pump, struct http2_session, pump);
	enum http2_wait wait = wait_of(s);
	bool moves =
	        (s->wrote && wait == HTTP2_WAIT_WRITE) || (s->heard && wait == HTTP2_WAIT_LINGER);
	if (wait != s->wait || !s->timed)
		s->paid_until = now(s) + time_for(s, wait);
	if (wait != s->wait || moves || !s->timed)
		client_deadline(s->client, wait == HTTP2_WAIT_WRITE
		                                   ? pump_pay(s->client, s->written, &s->paid_until)
		                                   : time_for(s, wait));
	s->wait = wait;
	s->timed = true;
	s->wrote = s->heard = false;
	s->written = 0;
}

static const struct pump_ops pump_ops = { .step = step, .rests = set_deadline };

static void ready(struct session *session, unsigned events)
{
	struct http2_session *s = session_of(session);
	if (events & CONN_IN)
		s->readable = true;
	if (events & CONN_OUT)
		s->blocked = false;
	pump_run(&s->pump);
}

/* --- time */

static uint64_t moved(const struct http2_passenger *p)
{
	return p->heard + p->stream.gone;
}

void http2_wait_begins(struct http2_passenger *p)
{
	p->paid_until = now(p->session) + limits_of(p->session)->body_timeout;
	p->paid_moved = moved(p);
}

/* What is left of the stream's time, whatever it waits for. Once the answer has begun, content is
 * one half of a dialogue, and its time is the handler's. */
static int64_t time_left(struct http2_passenger *p)
{
	const struct http2_session *s = p->session;
	bool sends = !p->body_done && !p->ended && p->wanted > 0 && p->in.n == 0 && !p->tunnel &&
	             !p->ex.response_started;
	bool takes = http2_unsent(&p->stream) > 0;
	int64_t since = takes ? p->stream.sent_at : p->heard_at;
	int64_t most = limits_of(s)->body_timeout;
	if (!sends && !takes)
		return most;
	int64_t paid = pump_pay(s->client, moved(p) - p->paid_moved, &p->paid_until);
	int64_t silent = since + most - now(s);
	p->paid_moved = moved(p);
	return silent < paid ? silent : paid;
}

/* A client that sends nothing is told; one whose window stays shut would not hear it. */
static void end_late(struct http2_passenger *p)
{
	static const struct refusal late = { 408, "The body of the request took too long." };
	if (http2_unsent(&p->stream) == 0) {
		refuse(p, &late);
		return;
	}
	http2_reset(&p->stream, HTTP2_CANCEL);
	tell_gone(p);
}

static void look_at_streams(struct http2_session *s)
{
	int64_t next = limits_of(s)->body_timeout;
	LIST_EACH (node, &s->streams) {
		int64_t left = time_left(at_node(node));
		if (left <= 0)
			end_late(at_node(node));
		else if (left < next)
			next = left;
	}
	s->look_at = now(s) + (next > LOOKS_APART ? next : LOOKS_APART);
	s->timed = false;
	pump_run(&s->pump);
}

static void expired(struct session *session)
{
	struct http2_session *s = session_of(session);
	switch (s->wait) {
	case HTTP2_WAIT_STREAMS:
		look_at_streams(s);
		return;
	case HTTP2_WAIT_WRITE:
		(void)reset_now(s);
		return;
	case HTTP2_WAIT_LINGER:
		(void)close_now(s);
		return;
	default:
		leave(s, HTTP2_NO_ERROR);
		http2_write(s);
		if (linger(s) == AGAIN)
			set_deadline(&s->pump);
	}
}

static void drain(struct session *session)
{
	pump_soon(&session_of(session)->pump);
}

static bool idle(const struct session *session)
{
	return OWNER(session, const struct http2_session, session)->stream_count == 0;
}

static void free_session(struct session *session)
{
	struct http2_session *s = session_of(session);
	free_streams(s);
	pump_stop(&s->pump);
	http2_free(&s->codec);
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

static const struct http2_ops codec_ops = {
	.opened = opened,
	.request = request,
	.body = hear_body,
	.body_end = hear_body_end,
	.closed = hear_closed,
};

struct session *http2_session_new(struct client *c)
{
	struct http2_session *s = mem_new(struct http2_session);
	s->session.ops = &session_ops;
	s->pump.ops = &pump_ops;
	s->pump.loop = c->worker->loop;
	s->client = c;
	s->user.ops = &codec_ops;
	s->codec = http2_new(&s->user, c->tls, loop_mono(c->worker->loop));
	s->out = BUF(OUT_CEILING);
	list_init(&s->streams);
	pump_soon(&s->pump);
	set_deadline(&s->pump);
	return &s->session;
}
