/* The API's frame: routes, bodies, answers and streams, with a client side played by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "portal/call.h"
#include "server/worker.h"
#include "store_place.h"

/* ---- the client's side of an exchange ---- */

struct client_side {
	struct exchange ex;
	struct arena arena;
	struct buf body;
	unsigned status;
	size_t room;
	bool ended;
};

static void want(struct exchange *ex, size_t bytes)
{
	(void)ex;
	assert_true(bytes > 0);
}

static void respond(struct exchange *ex, const struct response *head)
{
	struct client_side *s = OWNER(ex, struct client_side, ex);
	assert_int_equal(s->status, 0);
	s->status = head->status;
}

static ptrdiff_t take(struct exchange *ex, struct str piece)
{
	struct client_side *s = OWNER(ex, struct client_side, ex);
	assert_true(piece.n <= s->room);
	buf_add(&s->body, piece);
	s->room -= piece.n;
	return (ptrdiff_t)s->room;
}

static void end(struct exchange *ex)
{
	OWNER(ex, struct client_side, ex)->ended = true;
}

static const struct exchange_ops ops = {
	.want = want, .respond = respond, .body = take, .end = end
};

/* ---- control's side ---- */

static struct portal_reload *reloading;

static void host_status(struct portal_host *h, struct json_writer *w)
{
	(void)h;
	(void)w;
}

static void host_reload(struct portal_host *h, struct portal_reload *r)
{
	(void)h;
	reloading = r;
}

static void host_reload_abort(struct portal_host *h, struct portal_reload *r)
{
	(void)h;
	if (reloading == r)
		reloading = NULL;
}

static const struct portal_host_ops host_ops = {
	.status = host_status,
	.reload = host_reload,
	.reload_abort = host_reload_abort,
};
static struct portal_host host = { .ops = &host_ops };
static const struct site socket_site = { .kind = SITE_API };
static struct place place;
static struct worker worker;

static void begin(struct client_side *s, const char *method, const char *path, enum body_kind body)
{
	*s = (struct client_side){ .body = BUF(1 << 20), .room = 16 << 10 };
	s->ex.ops = &ops;
	s->ex.arena = &s->arena;
	s->ex.worker = &worker;
	s->ex.request.method = str_c(method);
	s->ex.request.path = str_c(path);
	s->ex.request.body = body;
	s->ex.site = &socket_site;
	portal_handler.start(&s->ex);
}

static void finish(struct client_side *s)
{
	buf_done(&s->body);
	arena_done(&s->arena);
}

static void send_body(struct client_side *s, struct str body)
{
	s->ex.handling->ops->body(s->ex.handling, body);
	s->ex.handling->ops->body_end(s->ex.handling);
}

/* ---- tests ---- */

static void test_routes(void **state)
{
	static const struct {
		const char *method, *path, *item;
		bool found, other;
	} cases[] = {
		{ "GET", "/api/status", NULL, true, false },
		{ "HEAD", "/api/status", NULL, true, false },
		{ "POST", "/api/status", NULL, false, true },
		{ "GET", "/api/certificates/shop.example.com", "shop.example.com", true, false },
		{ "GET", "/api/certificates/", NULL, false, false },
		{ "GET", "/api/certificates", NULL, true, false },
		{ "PUT", "/api/certificates", NULL, false, true },
		{ "POST", "/api/certificates/a.b/renew", "a.b", true, false },
		{ "GET", "/api/certificates/a.b/renew", NULL, false, true },
		{ "POST", "/api/certificates//renew", NULL, false, false },
		{ "GET", "/api/tasks/0000000001/events", "0000000001", true, false },
		{ "GET", "/api/tasks/1/events/more", NULL, false, false },
		{ "GET", "/api/status/", NULL, false, false },
		{ "GET", "/", NULL, false, false },
		{ "GET", "", NULL, false, false },
		{ "GET", "*", NULL, false, false },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct str item = STR_NONE;
		bool other;
		const struct route *r =
		        route_find(str_c(cases[i].method), str_c(cases[i].path), &item, &other);
		if ((r != NULL) != cases[i].found || other != cases[i].other)
			fail_msg("%s %s: found %d, other %d", cases[i].method, cases[i].path,
			        r != NULL, other);
		if (cases[i].item)
			assert_true(str_eq_c(item, cases[i].item));
	}
}

static void refuses(const char *method, const char *path, unsigned status, const char *body)
{
	struct client_side s;
	begin(&s, method, path, BODY_NONE);
	assert_int_equal(s.status, status);
	assert_true(s.ended);
	assert_string_equal(buf_c(&s.body), body);
	finish(&s);
}

static void test_refusals(void **state)
{
	(void)state;
	refuses("GET", "/api/nothing?x=1", 404,
	        "{\"code\":\"not-found\",\"message\":\"The API has no /api/nothing.\","
	        "\"remedy\":null,\"details\":{}}\n");
	refuses("DELETE", "/api/status", 405,
	        "{\"code\":\"input\",\"message\":\"/api/status does not take DELETE.\","
	        "\"remedy\":null,\"details\":{}}\n");
	static const char *const wrong[] = { "/api/certificates/a%", "/api/certificates/a%2",
		"/api/certificates/%2x", "/api/certificates/%x2", "/api/certificates/%00" };
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct client_side client;
		begin(&client, "GET", wrong[i], BODY_NONE);
		assert_int_equal(client.status, 404);
		finish(&client);
	}
}

static void test_bad_body(void **state)
{
	struct client_side s;
	(void)state;
	begin(&s, "POST", "/api/reload", BODY_LENGTH);
	send_body(&s, STR("{"));
	assert_int_equal(s.status, 400);
	assert_non_null(strstr(buf_c(&s.body), "The request's body"));
	finish(&s);
}

static void test_large_body(void **state)
{
	struct client_side s;
	static char large[CALL_BODY_MOST + 1];
	(void)state;
	begin(&s, "POST", "/api/reload", BODY_STREAM);
	send_body(&s, str_n(large, sizeof large));
	assert_int_equal(s.status, 413);
	finish(&s);
}

static void test_answer_comes_later(void **state)
{
	struct client_side s;
	struct err err = ERR_INIT;
	(void)state;
	begin(&s, "POST", "/api/reload", BODY_NONE);
	assert_int_equal(s.status, 0);
	reloading->done(reloading, NULL);
	assert_int_equal(s.status, 200);
	assert_string_equal(buf_c(&s.body), "{}\n");
	finish(&s);

	begin(&s, "POST", "/api/reload", BODY_NONE);
	err_set(&err, ERR_BUSY, "nginx (process 812) holds port 443.");
	reloading->done(reloading, &err);
	assert_int_equal(s.status, 503);
	assert_string_equal(buf_c(&s.body),
	        "{\"code\":\"busy\",\"message\":\"nginx (process 812) holds port 443.\","
	        "\"remedy\":null,\"details\":{}}\n");
	finish(&s);
}

static void test_client_leaves(void **state)
{
	struct client_side s;
	(void)state;
	begin(&s, "POST", "/api/reload", BODY_NONE);
	assert_non_null(reloading);
	s.ex.handling->ops->gone(s.ex.handling);
	assert_null(reloading);
	finish(&s);
}

/* A long answer waits for room, and is whole in the end. */
static void test_slow_client(void **state)
{
	struct client_side s;
	(void)state;
	begin(&s, "POST", "/api/reload", BODY_NONE);
	s.room = 10;
	struct err err = ERR_INIT;
	err_set(&err, ERR_BUSY, "A sentence that is longer than the room that there is.");
	struct handling *h = s.ex.handling;
	OWNER(h, struct call, handling)->room = 10;
	reloading->done(reloading, &err);
	assert_int_equal(s.body.n, 10);
	assert_false(s.ended);
	s.room = 16 << 10;
	h->ops->room(h);
	assert_true(s.ended);
	assert_non_null(
	        strstr(buf_c(&s.body), "that there is.\",\"remedy\":null,\"details\":{}}\n"));
	finish(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_bad_body),
		cmocka_unit_test(test_large_body),
		cmocka_unit_test(test_answer_comes_later),
		cmocka_unit_test(test_client_leaves),
		cmocka_unit_test(test_slow_client),
	};
	place_open(&place);
	worker_init(&worker, place.loop);
	struct portal_needs needs = { .loop = place.loop, .store = place.store, .host = &host };
	if (!portal_open(&needs, &place.err))
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	worker_done(&worker);
	portal_close();
	place_done(&place);
	return failed;
}
