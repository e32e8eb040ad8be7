/* The proxy between a client that the test plays by exchange_ops, and an upstream that it plays on
 * a real socket of the loopback. */
#ifndef UNIT_PROXY_RIG_H
#define UNIT_PROXY_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "http/http1.h"
#include "net/address.h"
#include "net/conn.h"
#include "proxy/proxy.h"
#include "server/settings.h"
#include "server/visitor.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { UPSTREAMS = 2, PATIENCE = 20000 };

struct rig {
	struct loop *loop;
	struct worker worker;
	struct generation generation;
	struct site site;
	struct upstreams group;
	struct upstream upstreams[UPSTREAMS];
	int listeners[UPSTREAMS];
	int peer; /* the upstream's end of the connection last accepted */
	bool upstream_ended;
	struct buf at_upstream; /* what it got */

	struct arena arena;
	struct exchange ex;
	struct keepsake *kept; /* of the client's connection */
	struct buf handed_on;  /* whose channels went to control, a line each; the last is `peer` */
	bool control_is_away;
	/* What the client got: "200 name=value;…|content", interim answers in the same way. */
	struct buf at_client;
	size_t wanted;
	ptrdiff_t room;
	bool limited, ended, gone;
	struct buf aborted;
};

static struct rig *rig_of(struct exchange *ex)
{
	return OWNER(ex, struct rig, ex);
}

static void want(struct exchange *ex, size_t bytes)
{
	rig_of(ex)->wanted = bytes;
}

static void respond(struct exchange *ex, const struct response *head)
{
	struct buf *out = &rig_of(ex)->at_client;
	buf_printf(out, "%u ", head->status);
	for (size_t i = 0; i < head->headers.count; i++)
		if (!str_eq_c(head->headers.at[i].name, "date"))
			buf_printf(out, "%.*s=%.*s;", STR_ARG(head->headers.at[i].name),
			        STR_ARG(head->headers.at[i].value));
	if (head->status >= 200 && head->body == BODY_LENGTH)
		buf_printf(out, "length=%llu;", (unsigned long long)head->length);
	buf_add_c(out, "|");
}

static ptrdiff_t body(struct exchange *ex, struct str piece)
{
	struct rig *r = rig_of(ex);
	buf_add(&r->at_client, piece);
	if (r->limited)
		r->room -= (ptrdiff_t)piece.n;
	return r->room;
}

static void end(struct exchange *ex)
{
	assert_false(rig_of(ex)->ended);
	rig_of(ex)->ended = true;
}

static void cut(struct exchange *ex, const char *why)
{
	struct rig *r = rig_of(ex);
	assert_false(r->ended);
	r->ended = true;
	buf_add_c(&r->aborted, why);
}

static const struct exchange_ops client_ops = {
	.want = want,
	.respond = respond,
	.body = body,
	.end = end,
	.abort = cut,
};

static void drop_log(enum log_level level, struct str fields, struct str text)
{
	(void)level;
	(void)fields;
	(void)text;
}

static void listen_on_loopback(struct rig *r, size_t i)
{
	struct sockaddr_storage *a = &r->upstreams[i].address;
	r->upstreams[i].weight = 1;
	assert_true(address_parse(STR("127.0.0.1"), 0, a));
	r->listeners[i] = conn_listen(a);
	assert_true(r->listeners[i] >= 0);
	assert_true(conn_local_address(r->listeners[i], a));
}

/* Control, in whose place the test is. */
static void hand_on(struct worker *w, enum msg_type type, const void *fields)
{
	struct rig *r = OWNER(w, struct rig, worker);
	const struct msg_connection *m = fields;
	if (type != MSG_connection)
		return;
	buf_printf(&r->handed_on, "%.*s%s%s\n", STR_ARG(m->client), m->tls ? " tls" : "",
	        m->temporary ? " temporary" : "");
	if (r->peer >= 0)
		close(r->peer);
	r->peer = r->control_is_away ? -1 : m->fd;
	r->upstream_ended = false;
	if (r->control_is_away)
		close(m->fd);
}

static int setup(void **state)
{
	struct rig *r = mem_new(struct rig);
	log_to(drop_log);
	r->loop = loop_new(&clock_system);
	worker_init(&r->worker, r->loop);
	r->worker.proxy = proxy_pools_new(&r->worker);
	for (size_t i = 0; i < UPSTREAMS; i++)
		listen_on_loopback(r, i);
	atomic_init(&r->generation.refs, 1);
	r->group = (struct upstreams){ .at = r->upstreams, .count = 1 };
	upstream_options_init(&r->group.options);
	r->site = (struct site){ .upstreams = &r->group, .hsts_age = -1 };
	r->generation.limits = (struct limits){ .connect_timeout = 20000,
		.answer_timeout = 20000,
		.upstream_idle = 20000,
		.upstream_connections = 10 };
	r->peer = -1;
	r->at_upstream = BUF(64 << 20);
	r->at_client = BUF(64 << 20);
	r->aborted = BUF(4096);
	r->handed_on = BUF(4096);
	r->worker.tell = hand_on;
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;
	if (r->ex.handling && !r->ended && !r->gone)
		r->ex.handling->ops->gone(r->ex.handling);
	if (r->kept)
		r->kept->free(r->kept);
	buf_done(&r->handed_on);
	proxy_pools_free(&r->worker.proxy);
	worker_done(&r->worker);
	for (size_t i = 0; i < UPSTREAMS; i++)
		close(r->listeners[i]);
	if (r->peer >= 0)
		close(r->peer);
	loop_free(&r->loop);
	arena_done(&r->arena);
	buf_done(&r->at_upstream);
	buf_done(&r->at_client);
	buf_done(&r->aborted);
	free(r);
	return 0;
}

/* A request comes in, as the server's parser reads it. */
static void ask_of(
        struct rig *r, const struct handler *handler, const char *head, const char *client)
{
	struct http1_scan scan = { 0 };
	struct refusal why;
	size_t used;
	buf_clear(&r->at_upstream);
	buf_clear(&r->at_client);
	buf_clear(&r->aborted);
	r->wanted = 0;
	r->room = 64 << 10;
	r->ended = r->limited = r->gone = false;
	arena_done(&r->arena);
	r->ex = (struct exchange){ .ops = &client_ops,
		.arena = &r->arena,
		.worker = &r->worker,
		.generation = &r->generation,
		.site = &r->site,
		.kept = &r->kept,
		.tls = true };
	assert_true(address_parse(str_c(client), 4711, &r->ex.client));
	if (http1_read_request(&scan, str_c(head), &r->arena, &r->ex.request, &used, &why) !=
	        HTTP1_DONE)
		fail_msg("%s", head);
	assert_true(visitor_find(&r->ex));
	handler->start(&r->ex);
}

static void ask_from(struct rig *r, const char *head, const char *client)
{
	ask_of(r, &proxy_handler, head, client);
}

#define HOST "Host: a.example\r\n"
#define GET  "GET / HTTP/1.1\r\n" HOST "\r\n"

static void ask(struct rig *r, const char *head)
{
	ask_from(r, head, "192.0.2.1");
}

static void turn(struct rig *r)
{
	loop_turn(r->loop, 5);
}

#define UNTIL(r, condition)                                                                        \
	do {                                                                                       \
		int64_t until = clock_system.mono(&clock_system) + PATIENCE;                       \
		bool met;                                                                          \
		while (!(met = (condition)) && clock_system.mono(&clock_system) < until)           \
			turn(r);                                                                   \
		if (!met)                                                                          \
			fail_msg("line %d: waited in vain for " #condition, __LINE__);             \
	} while (0)

static bool accept_at(struct rig *r, size_t i)
{
	struct sockaddr_storage from;
	int fd = conn_accept(r->listeners[i], &from);
	if (fd < 0)
		return false;
	if (r->peer >= 0)
		close(r->peer);
	r->peer = fd;
	r->upstream_ended = false;
	return true;
}

/* Everything that has come to the upstream so far. */
static bool upstream_has(struct rig *r, const char *text)
{
	for (;;) {
		char *room = buf_room(&r->at_upstream, 65536);
		ssize_t n = recv(r->peer, room, 65536, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			r->upstream_ended = true;
		if (n <= 0)
			break;
		buf_grew(&r->at_upstream, (size_t)n);
	}
	return text && memmem(r->at_upstream.p, r->at_upstream.n, text, strlen(text));
}

static bool upstream_ended(struct rig *r)
{
	(void)upstream_has(r, NULL);
	return r->upstream_ended;
}

static void answer(struct rig *r, const char *text)
{
	size_t n = strlen(text);
	assert_int_equal(send(r->peer, text, n, MSG_NOSIGNAL), n);
}

static void hang_up(struct rig *r)
{
	close(r->peer);
	r->peer = -1;
}

static void leave(struct rig *r)
{
	r->gone = true;
	r->ex.handling->ops->gone(r->ex.handling);
}

static void assert_client_got(struct rig *r, const char *want_text)
{
	if (!str_eq_c(buf_str(&r->at_client), want_text))
		fail_msg("got \"%s\", want \"%s\"", buf_c(&r->at_client), want_text);
}

static bool client_has(struct rig *r, const char *text)
{
	return strstr(buf_c(&r->at_client), text) != NULL;
}

static struct proxy_counts counts(struct rig *r)
{
	return proxy_pools_counts(r->worker.proxy);
}

#define OK    "HTTP/1.1 200 OK\r\n"
#define OK_HI OK "Content-Length: 2\r\n\r\nhi"

static void start_get(struct rig *r)
{
	ask(r, GET);
	UNTIL(r, accept_at(r, 0));
	UNTIL(r, upstream_has(r, "\r\n\r\n"));
}

#endif
