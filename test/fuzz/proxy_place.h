/* A whole proxy in memory, on a clock that nobody but the target moves: a client's
 * connection, a worker with the real proxy behind it, and pipes in place of connections to the
 * application. The target plays both far ends.
 *
 * An input's first byte: bit 0: what follows are frames, each as type, flags, stream, length (a
 * byte each) and so many bytes; else it is bytes. Bit 1: the application speaks HTTP/2, else
 * HTTP/1.1. Bit 2: pipes are narrow. Bit 3 is the target's. The upper four tell how the
 * bytes are cut into pieces. */
#ifndef FUZZ_PROXY_PLACE_H
#define FUZZ_PROXY_PLACE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "net/address.h"
#include "net/conn.h"
#include "proxy/group.h"
#include "server/client.h"
#include "server/http2_session.h"
#include "server/settings.h"

enum { DIALS_MOST = 64, NARROW = 1000, WIDE = 64 << 10 };

struct place;
/* The application's end of one connection. */
struct far {
	struct conn_holder held; /* conn NULL: the target has closed it */
	struct conn *near;
	struct later connected;
	struct place *place;
	struct buf out; /* what the pipe has not taken */
};

struct place {
	struct clock_fake clock;
	struct loop *loop;
	struct worker worker;
	struct challenges challenges;
	struct conn *client; /* the client's end */
	struct conn_holder client_held;
	struct far dialled[DIALS_MOST];
	size_t dial_count;
	bool frames, h2c;
	size_t capacity, piece;
	int64_t connections;          /* at most to the application; requests, of HTTP/2 */
	void (*begin)(struct far *f); /* the target's: a connection is there */
	void (*ready)(struct conn *c, unsigned events);
};

static inline void no_log(enum log_level level, struct str fields, struct str text)
{
	(void)level, (void)fields, (void)text;
}

/* It has not been given up meanwhile. */
static inline void tell_connected(struct later *l)
{
	struct far *f = OWNER(l, struct far, connected);
	char byte;
	if (f->held.conn && conn_peek(f->held.conn, &byte, 1) == CONN_AGAIN)
		f->near->ready(f->near, CONN_OUT);
}

static inline struct conn *dial(struct pool *pool)
{
	struct place *p = OWNER(pool->pools->worker, struct place, worker);
	if (p->dial_count == DIALS_MOST) {
		struct conn *near, *far;
		conn_pipe_new(p->loop, 1, &near, &far);
		conn_free(&far);
		return near;
	}
	struct far *f = &p->dialled[p->dial_count++];
	struct conn *end;
	f->place = p;
	f->out = BUF(16 << 20);
	conn_pipe_new(p->loop, p->capacity, &f->near, &end);
	conn_hold(&f->held, end, p->ready);
	p->begin(f);
	if (p->h2c)
		later_start(&f->connected, p->loop, tell_connected);
	return f->near;
}

static inline struct generation *place_generation(const struct place *p)
{
	struct err err;
	struct generation_builder *b = generation_begin(&(struct msg_generation){ .number = 1 });
	const struct msg_upstreams group = { .id = 1 };
	const struct msg_upstream member = { .upstreams = 1,
		.scheme = p->h2c ? UPSTREAM_H2C : UPSTREAM_HTTP,
		.host = STR("192.0.2.1"),
		.port = 3000,
		.shown = STR("192.0.2.1:3000"),
		.weight = 1 };
	const struct msg_site site = { .name = STR("*"),
		.fallback = true,
		.kind = SITE_PROXY,
		.hsts_age = -1,
		.upstreams = 1 };
	const struct msg_route all = {
		.id = 1, .beneath = true, .kind = SITE_PROXY, .gzip = true, .root = -1
	};
	const struct msg_limit limit = { .name = STR("upstream-connections"),
		.value = p->connections };
	CHECK(generation_row(b, MSG_upstreams, &group, &err));
	CHECK(generation_row(b, MSG_upstream, &member, &err));
	CHECK(generation_row(b, MSG_site, &site, &err));
	CHECK(generation_row(b, MSG_route, &all, &err));
	CHECK(generation_row(b, MSG_limit, &limit, &err));
	struct generation *g = generation_build(&b, &err);
	CHECK(g);
	return g;
}

/* The memory pipe carries no ALPN: the session is put in the place of the one of HTTP/1. */
static inline void speak_http2(struct worker *w)
{
	struct client *c = OWNER(list_first(&w->connections), struct client, node);
	c->session->ops->free(c->session);
	c->session = http2_session_new(c);
}

static inline void place_init(struct place *p, uint8_t how, bool http1_client)
{
	struct sockaddr_storage from;
	struct conn *near;
	log_to(no_log);
	p->frames = how & 1;
	p->h2c = how & 2;
	p->capacity = how & 4 ? NARROW : WIDE;
	p->piece = how >> 4 ? (size_t)(how >> 4) * (how >> 4) : WIDE;
	clock_fake_init(&p->clock, INT64_C(1795535009) * SECOND);
	p->loop = loop_new(&p->clock.clock);
	p->worker = (struct worker){ .challenges = &p->challenges };
	p->worker.handlers[SITE_PROXY] = &proxy_handler;
	worker_init(&p->worker, p->loop);
	p->worker.proxy = proxy_pools_new(&p->worker);
	p->worker.generation = place_generation(p);
	struct group *g = group_of(
	        p->worker.proxy, p->worker.generation, &p->worker.generation->upstreams[0]);
	g->at[0]->pool->dial = dial;
	CHECK(address_parse(STR("192.0.2.7"), 4711, &from));
	conn_pipe_new(p->loop, p->capacity, &near, &p->client);
	client_new(&p->worker, near, &from, NULL);
	if (!http1_client)
		speak_http2(&p->worker);
}

static inline void place_turns(struct place *p, unsigned turns)
{
	while (turns-- > 0)
		loop_turn(p->loop, 0);
}

/* What the pipe does not take waits for its CONN_OUT. */
static inline void far_flush(struct far *f)
{
	struct iovec v = { f->out.p, f->out.n };
	ssize_t n = f->out.n > 0 && f->held.conn ? conn_write(f->held.conn, &v, 1) : 0;
	if (n == CONN_FAILED)
		buf_clear(&f->out);
	else if (n > 0)
		buf_consume(&f->out, (size_t)n);
}

/* Everybody who waits for something has waited long enough: nothing may be left over. */
static inline void place_end(struct place *p)
{
	for (unsigned i = 0; i < 4; i++) {
		clock_fake_advance(&p->clock, 2 * MINUTE);
		place_turns(p, 3);
	}
	worker_done(&p->worker);
	proxy_pools_free(&p->worker.proxy);
	conn_free(&p->client);
	for (size_t i = 0; i < p->dial_count; i++) {
		later_stop(&p->dialled[i].connected);
		conn_free(&p->dialled[i].held.conn);
		buf_done(&p->dialled[i].out);
	}
	loop_free(&p->loop);
}

/* Of frames the next one, as it is on the wire; *ret_frame holds at most 9 + 255 bytes. */
static inline void next_frame(struct str *in, struct buf *ret_frame)
{
	struct str body = str_head(str_from(*in, 4), (unsigned char)in->p[3]);
	const char head[9] = { 0, 0, (char)body.n, in->p[0], in->p[1], 0, 0, 0, in->p[2] };
	buf_add(ret_frame, str_n(head, sizeof head));
	buf_add(ret_frame, body);
	*in = str_from(*in, 4 + body.n);
}

#endif
