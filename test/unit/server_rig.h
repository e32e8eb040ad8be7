/* A worker without a port: connections through memory, a clock that is advanced by hand. */
#ifndef TEST_SERVER_RIG_H
#define TEST_SERVER_RIG_H

#include "net/address.h"
#include "server/client.h"
#include "server/settings.h"
#include "tls/tls.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { RIG_PIPE = 32 << 10, RIG_FAR_MOST = 64 };

/* The far end of a connection. */
struct far {
	struct conn_holder held;
	struct buf heard;
	bool ended, failed, deaf;
};

struct rig {
	struct clock_fake clock;
	struct loop *loop;
	struct worker worker;
	struct challenges challenges;
	struct generation_builder *builder;
	struct far far[RIG_FAR_MOST];
	size_t far_count;
	struct buf told;        /* texts of what the worker told control */
	struct exchange *asked; /* the one that the handler holds */
	struct handling handling;
	unsigned gone;
};

static struct rig *rig; /* of the test that runs */

static inline void rig_on_body(struct handling *h, struct str piece)
{
	(void)h, (void)piece;
	exchange_want(rig->asked, 1 << 10);
}

static inline void rig_on_body_end(struct handling *h)
{
	(void)h;
	struct exchange *ex = rig->asked;
	rig->asked = NULL;
	exchange_answer_text(ex, 200, STR("text/plain"), STR("heard"));
}

static inline void rig_on_room(struct handling *h)
{
	(void)h;
}

static inline void rig_on_gone(struct handling *h)
{
	(void)h;
	rig->gone++;
	rig->asked = NULL;
}

/* Answers with who asks; /hold waits, a body is read first. */
static inline void rig_start(struct exchange *ex)
{
	static const struct handling_ops ops = { rig_on_body, rig_on_body_end, rig_on_room,
		rig_on_gone };
	char text[ADDRESS_TEXT];
	bool body = ex->request.body != BODY_NONE;
	if (!body && !str_eq(ex->request.path, STR("/hold"))) {
		exchange_answer_text(
		        ex, 200, STR("text/plain"), str_c(address_text_port(&ex->client, text)));
		return;
	}
	rig->handling.ops = &ops;
	ex->handling = &rig->handling;
	rig->asked = ex;
	if (body)
		exchange_want(ex, 1 << 10);
}

static inline void rig_tell(struct worker *w, enum msg_type type, const void *fields)
{
	(void)w;
	if (type == MSG_log)
		buf_add(&rig->told, ((const struct msg_log *)fields)->text);
	buf_add_char(&rig->told, '\n');
}

static inline void far_ready(struct conn *c, unsigned events)
{
	struct far *f = OWNER(c->holder, struct far, held);
	char p[4096];
	if (f->deaf || !(events & CONN_IN))
		return;
	for (ssize_t n; (n = conn_read(c, p, sizeof p)) != CONN_AGAIN;) {
		f->ended = n == 0;
		f->failed = n == CONN_FAILED;
		if (n <= 0)
			return;
		buf_add(&f->heard, str_n(p, (size_t)n));
	}
}

static inline void rig_row(enum msg_type type, const void *fields)
{
	struct err err = ERR_INIT;
	if (!generation_row(rig->builder, type, fields, &err))
		fail_msg("%s", err.text);
}
#define ROW(name, ...) rig_row(MSG_##name, &(const struct msg_##name){ __VA_ARGS__ })

/* One site behind every name, and whatever a test adds before rig_begin. */
static inline int rig_setup(void **state)
{
	static const struct handler handler = { .start = rig_start };
	rig = mem_new(struct rig);
	*state = rig;
	clock_fake_init(&rig->clock, INT64_C(1795535009) * SECOND);
	rig->loop = loop_new(&rig->clock.clock);
	rig->told = BUF(1 << 20);
	struct worker *w = &rig->worker;
	worker_init(w, rig->loop);
	w->challenges = &rig->challenges;
	w->handlers[SITE_PROXY] = &handler;
	w->tell = rig_tell;
	rig->builder = generation_begin(&(struct msg_generation){ .number = 1 });
	ROW(site, .id = 1, .name = STR("shop.test"), .fallback = true, .hsts_age = -1);
	challenge_open(&rig->challenges, STR("abcdefghijklmnop"), STR("THUMB"));
	return 0;
}

static inline void rig_begin(void)
{
	struct err err = ERR_INIT;
	struct generation *g = generation_build(&rig->builder, &err);
	assert_non_null(g);
	struct generation *before = worker_commit(&rig->worker, g);
	generation_unref(&before);
}

static inline int rig_teardown(void **state)
{
	(void)state;
	generation_drop(&rig->builder);
	worker_done(&rig->worker);
	tls_worker_free(&rig->worker.tls);
	challenges_done(&rig->challenges);
	for (size_t i = 0; i < rig->far_count; i++) {
		conn_free(&rig->far[i].held.conn);
		buf_done(&rig->far[i].heard);
	}
	loop_free(&rig->loop);
	buf_done(&rig->told);
	free(rig);
	return 0;
}

static inline void rig_settle(void)
{
	for (int i = 0; i < 40; i++)
		loop_turn(rig->loop, 0);
}

static inline void rig_pass(int64_t ms)
{
	clock_fake_advance(&rig->clock, ms);
	rig_settle();
}

/* A new connection from that address. */
static inline struct far *rig_connect(const char *from, const struct listener_row *listener)
{
	struct sockaddr_storage a;
	struct conn *near, *conn;
	assert_true(rig->far_count < RIG_FAR_MOST);
	struct far *f = &rig->far[rig->far_count++];
	f->heard = BUF(8 << 20);
	assert_true(address_parse(str_c(from), 4711, &a));
	conn_pipe_new(rig->loop, RIG_PIPE, &near, &conn);
	conn_hold(&f->held, conn, far_ready);
	client_new(&rig->worker, near, &a, listener);
	rig_settle();
	return f;
}

static inline void rig_send(struct far *f, struct str bytes)
{
	struct iovec v = { (char *)bytes.p, bytes.n };
	assert_int_equal(conn_write(f->held.conn, &v, 1), (ssize_t)v.iov_len);
	rig_settle();
}

static inline void rig_say(struct far *f, const char *text)
{
	rig_send(f, str_c(text));
}

static inline void assert_heard(const struct far *f, const char *text)
{
	if (!strstr(buf_c(&f->heard), text))
		fail_msg("not heard: %s\nbut:\n%s", text, buf_c(&f->heard));
}

#define RIGGED(test)  cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)
#define RIG_GET(path) "GET " path " HTTP/1.1\r\nHost: shop.test\r\n\r\n"

#endif
