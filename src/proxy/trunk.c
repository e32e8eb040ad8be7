#include "proxy/trunk.h"

#include "base/err.h"

enum {
	WRITE_MOST = 64 << 10, /* frames that are made for one write */
	ROUNDS = 16,           /* of one connection before others have their turn */
	OUT_CEILING = 64 << 20 /* never reached: nothing is made while something is unsent */
};

struct trunk {
	struct list node; /* in pool->trunks */
	struct pool *pool;
	struct visit visit; /* of send-proxy */
	struct conn_holder held;
	struct http2_user user;
	struct http2 *codec;
	struct later work;
	struct timer idle;
	int64_t idle_ms;
	struct list rides;
	size_t ride_count;
	struct buf out;   /* frames that the connection has not taken */
	int64_t heard_at; /* mono ms, the last byte */
	bool connecting, readable, blocked, wrote, ended;
	bool used;           /* something was asked on it */
	bool leaving;        /* takes no more rides */
	const char *failure; /* NULL: it stands */
};

static struct ride *at_node(struct list *node)
{
	return OWNER(node, struct ride, node);
}

static struct ride *ride_of(struct http2_stream *s)
{
	return OWNER(http2_call_of(s), struct ride, call);
}

static struct worker *worker_of(const struct trunk *t)
{
	return t->pool->pools->worker;
}

static void work(struct later *l);

static void work_soon(struct trunk *t)
{
	later_start(&t->work, worker_of(t)->loop, work);
}

/* --- rides */

static void leave_place(struct ride *r)
{
	if (r->place)
		*r->place = NULL;
	r->place = NULL;
}

static void ride_free(struct ride *r)
{
	leave_place(r);
	list_remove(&r->node);
	r->trunk->ride_count--;
	http2_stream_clear(&r->call.stream);
	buf_done(&r->call.stream.out);
	free(r);
}

/* Its user's last word of it, who may take another one at once. */
static void tell_failure(struct ride *r, const struct ride_failure *f)
{
	struct ride_user *u = r->user;
	r->user = NULL;
	if (u)
		leave_place(r);
	if (u)
		u->ops->failed(u, f);
}

static struct ride_failure failure_of(const struct ride *r)
{
	if (r->call.fault)
		return (struct ride_failure){ .end = RIDE_BAD, .why = r->call.fault };
	return (struct ride_failure){
		.end = r->call.unprocessed ? RIDE_UNPROCESSED : RIDE_BROKEN,
		.why = r->call.unprocessed ? "It takes no more requests on this connection."
		                           : "It has reset the stream.",
	};
}

static void reap(struct trunk *t)
{
	LIST_EACH (node, &t->rides) {
		struct ride *r = at_node(node);
		if (!r->is_closed)
			continue;
		const struct ride_failure f = failure_of(r);
		tell_failure(r, &f);
		ride_free(r);
	}
}

static void tell_room(struct trunk *t)
{
	LIST_EACH (node, &t->rides) {
		struct ride *r = at_node(node);
		if (!r->room_owed || http2_unsent(&r->call.stream) > 0)
			continue;
		r->room_owed = false;
		if (r->user && r->user->ops->room)
			r->user->ops->room(r->user);
	}
}

/* Who waits for it may ask, or leave. */
static void tell_greeting(struct trunk *t)
{
	if (!http2_greeted(t->codec))
		return;
	LIST_EACH (node, &t->rides) {
		struct ride *r = at_node(node);
		bool owed = r->greeting_owed;
		r->greeting_owed = false;
		if (owed && r->user)
			r->user->ops->greeted(r->user);
	}
}

/* --- what the codec tells */

static void hear_answer(struct http2_stream *s)
{
	struct ride *r = ride_of(s);
	if (r->user)
		r->user->ops->answer(r->user, &r->call.response);
}

static void hear_content(struct http2_stream *s, struct str piece)
{
	struct ride *r = ride_of(s);
	if (r->user && r->user->ops->content)
		r->user->ops->content(r->user, piece);
}

static void hear_end(struct http2_stream *s)
{
	struct ride *r = ride_of(s);
	struct ride_user *u = r->user;
	if (!s->is_tunnel)
		r->user = NULL;
	if (u && u->ops->ended)
		u->ops->ended(u, &s->trailers);
}

static void hear_closed(struct http2_stream *s)
{
	ride_of(s)->is_closed = true;
}

static const struct http2_ops codec_ops = {
	.answer = hear_answer,
	.body = hear_content,
	.body_end = hear_end,
	.closed = hear_closed,
};

/* --- the connection */

static void trunk_free(struct trunk *t)
{
	list_remove(&t->node);
	LIST_EACH (node, &t->rides)
		ride_free(at_node(node));
	later_stop(&t->work);
	timer_stop(&t->idle);
	conn_free(&t->held.conn);
	http2_free(&t->codec);
	buf_done(&t->out);
	t->pool->pools->counts.open--;
	free(t);
}

/* It has ended, or cannot go on: who is on it hears why. */
static void die(struct trunk *t, const char *why, bool late)
{
	bool first = true, reached = !t->connecting && t->wrote;
	t->leaving = true;
	LIST_EACH (node, &t->rides) {
		struct ride *r = at_node(node);
		struct ride_failure f = { .end = RIDE_BROKEN, .why = why, .late = late };
		if (http2_fault(t->codec))
			f.end = RIDE_BAD;
		else if (!reached)
			f.end = RIDE_UNREACHED;
		else if (!r->call.stream.asked)
			f.end = RIDE_UNPROCESSED;
		f.first = first && r->user;
		first = first && !r->user;
		tell_failure(r, &f);
	}
	trunk_free(t);
}

static void write_bytes(struct trunk *t, struct str bytes)
{
	struct iovec v = { (void *)(uintptr_t)bytes.p, bytes.n };
	ssize_t n = conn_write(t->held.conn, &v, 1);
	size_t taken = n > 0 ? (size_t)n : 0;
	if (n == CONN_FAILED)
		t->failure = conn_failure(t->held.conn);
	t->blocked = taken < bytes.n;
	t->wrote = t->wrote || taken > 0;
	if (t->blocked && !t->failure)
		buf_add(&t->out, str_from(bytes, taken));
}

static bool may_write(const struct trunk *t)
{
	return !t->connecting && !t->blocked && !t->failure;
}

static void write_kept(struct trunk *t)
{
	struct buf kept = t->out;
	if (kept.n == 0 || !may_write(t))
		return;
	t->out = BUF(OUT_CEILING);
	write_bytes(t, buf_str(&kept));
	buf_done(&kept);
}

static void write_frames(struct trunk *t)
{
	struct buf *frames = &worker_of(t)->frames;
	size_t made = WRITE_MOST;
	write_kept(t);
	while (may_write(t) && made >= WRITE_MOST) {
		buf_clear(frames);
		http2_collect(t->codec, frames, WRITE_MOST);
		made = frames->n;
		if (made > 0)
			write_bytes(t, buf_str(frames));
	}
}

static void read_frames(struct trunk *t)
{
	char *p = worker_of(t)->intake;
	for (int round = 0; t->readable && !t->ended && round < ROUNDS; round++) {
		ssize_t n = conn_read(t->held.conn, p, WORKER_SCRATCH);
		t->readable = n == WORKER_SCRATCH;
		t->ended = n == 0;
		if (n == CONN_FAILED)
			t->failure = "It broke off the connection.";
		if (n > 0)
			t->heard_at = pools_now(t->pool->pools);
		if (n > 0 && !http2_receive(t->codec, str_n(p, (size_t)n)))
			return;
	}
	if (t->readable)
		work_soon(t);
}

/* The first write is what tells whether the connection stands. */
static void begin(struct trunk *t)
{
	t->connecting = false;
	write_frames(t);
	if (t->failure && !t->wrote)
		return;
	LIST_EACH (node, &t->rides)
		if (at_node(node)->user)
			at_node(node)->user->ops->connected(at_node(node)->user);
}

static void idle_long(struct timer *timer)
{
	struct trunk *t = OWNER(timer, struct trunk, idle);
	http2_leave(t->codec, HTTP2_NO_ERROR);
	write_frames(t);
	trunk_free(t);
}

static bool is_wanted(const struct trunk *t)
{
	LIST_EACH (node, &t->rides)
		if (at_node(node)->place)
			return true;
	return false;
}

/* False: it is no more. */
static bool settle(struct trunk *t)
{
	t->leaving = t->leaving || http2_told_to_leave(t->codec);
	if (http2_greeted(t->codec))
		t->pool->rides_most = http2_calls_most(t->codec);
	if (t->failure || http2_fault(t->codec)) {
		die(t, t->failure ? t->failure : http2_fault(t->codec), /* late= */ false);
		return false;
	}
	bool left = t->leaving && t->ride_count > 0 && !is_wanted(t);
	if (t->ended || left || http2_over(t->codec)) {
		die(t, "It closed the connection.", /* late= */ false);
		return false;
	}
	if (t->ride_count > 0)
		timer_stop(&t->idle);
	else if (t->leaving || t->idle_ms == 0)
		timer_start(&t->idle, worker_of(t)->loop, 0, idle_long);
	else if (!timer_active(&t->idle))
		timer_start(&t->idle, worker_of(t)->loop, t->idle_ms, idle_long);
	return true;
}

static void work(struct later *l)
{
	struct trunk *t = OWNER(l, struct trunk, work);
	later_stop(l);
	http2_time(t->codec, pools_now(t->pool->pools));
	if (!t->connecting)
		read_frames(t);
	tell_greeting(t);
	write_frames(t);
	reap(t);
	tell_room(t);
	(void)settle(t);
}

static void ready(struct conn *conn, unsigned events)
{
	struct trunk *t = OWNER(conn->holder, struct trunk, held);
	http2_time(t->codec, pools_now(t->pool->pools));
	if (events & CONN_IN)
		t->readable = true;
	if (events & CONN_OUT) {
		t->blocked = false;
		if (t->connecting)
			begin(t);
	}
	work(&t->work);
}

static struct trunk *trunk_new(struct pool *p, const struct visit *v)
{
	struct trunk *t = mem_new(struct trunk);
	t->pool = p;
	t->visit = p->send_proxy ? *v : (struct visit){ 0 };
	t->connecting = true;
	t->user.ops = &codec_ops;
	t->codec = http2_client_new(&t->user, pools_now(p->pools));
	t->out = BUF(OUT_CEILING);
	list_init(&t->rides);
	list_add_last(&p->trunks, &t->node);
	p->pools->counts.open++;
	p->pools->counts.connects++;
	conn_hold(&t->held, pool_connect(p, v), ready);
	return t;
}

static bool has_room(const struct trunk *t)
{
	uint32_t says = t->pool->rides_most;
	return !t->leaving && t->ride_count < (says && says < RIDES_MOST ? says : RIDES_MOST);
}

static struct trunk *trunk_for(struct pool *p, const struct visit *v)
{
	LIST_EACH (node, &p->trunks) {
		struct trunk *t = OWNER(node, struct trunk, node);
		if (has_room(t) && (!p->send_proxy || visit_same(&t->visit, v)))
			return t;
	}
	return pool_may_connect(p) ? trunk_new(p, v) : NULL;
}

void trunks_done(struct pool *p)
{
	LIST_EACH (node, &p->trunks)
		trunk_free(OWNER(node, struct trunk, node));
}

bool trunks_spare_one(struct pool *p)
{
	LIST_EACH (node, &p->trunks) {
		struct trunk *t = OWNER(node, struct trunk, node);
		if (t->ride_count > 0)
			continue;
		idle_long(&t->idle);
		return true;
	}
	return false;
}

/* --- the user's side */

bool ride_begin(struct pool *p, const struct visit *v, struct ride_user *u, int64_t idle_ms,
        struct ride **place)
{
	struct trunk *t = trunk_for(p, v);
	if (!t)
		return false;
	struct ride *r = mem_new(struct ride);
	r->trunk = t;
	r->user = u;
	r->place = place;
	list_add_last(&t->rides, &r->node);
	t->ride_count++;
	t->idle_ms = idle_ms;
	timer_stop(&t->idle);
	*place = r;
	return true;
}

bool ride_connecting(const struct ride *r)
{
	return r->trunk->connecting;
}

bool ride_await_greeting(struct ride *r)
{
	r->greeting_owed = !http2_greeted(r->trunk->codec);
	return !r->greeting_owed;
}

bool ride_takes_websockets(const struct ride *r)
{
	return http2_takes_websockets(r->trunk->codec);
}

bool ride_is_first(const struct ride *r)
{
	return !r->trunk->used;
}

/* One that gets no number is closed unasked, and so told of. */
void ride_ask(struct ride *r, struct arena *a, const struct request *request)
{
	r->call.stream.arena = a;
	r->is_asked = http2_ask(r->trunk->codec, &r->call, request);
	if (!r->is_asked) {
		r->trunk->leaving = r->is_closed = r->call.unprocessed = true;
	}
	r->trunk->used = true;
	r->asked_at = pools_now(r->trunk->pool->pools);
	work_soon(r->trunk);
}

void ride_put(struct ride *r, struct str piece)
{
	http2_put(&r->call.stream, piece);
	r->room_owed = true;
	work_soon(r->trunk);
}

void ride_end(struct ride *r, const struct headers *trailers)
{
	http2_end(&r->call.stream, trailers);
	work_soon(r->trunk);
}

void ride_used(struct ride *r, size_t bytes)
{
	http2_used(r->trunk->codec, r->call.stream.id, bytes);
	work_soon(r->trunk);
}

size_t ride_unsent(const struct ride *r)
{
	return http2_unsent(&r->call.stream);
}

void ride_leave(struct ride *r)
{
	struct trunk *t = r->trunk;
	leave_place(r);
	r->user = NULL;
	if (!r->is_asked)
		ride_free(r);
	else if (!r->is_closed)
		http2_abandon(&r->call);
	work_soon(t);
}

void ride_doubt(struct ride *r)
{
	struct trunk *t = r->trunk;
	t->leaving = t->leaving || t->heard_at <= r->asked_at;
}

void ride_give_up(struct ride *r)
{
	die(r->trunk, "no connection in time", /* late= */ true);
}
