/* Which of several upstreams gets a request, and what becomes of those that fail. */
#include "proxy_rig.h"

/* Asks and answers at once; the number of the upstream that got it. */
static size_t ask_once(struct rig *r, const char *request, const char *text)
{
	size_t at = UPSTREAMS;
	ask(r, request);
	for (unsigned turns = 0; at == UPSTREAMS; turns++) {
		for (size_t i = 0; i < UPSTREAMS; i++)
			if (r->listeners[i] >= 0 && accept_at(r, i))
				at = i;
		turn(r);
		assert_true(turns < PATIENCE);
	}
	UNTIL(r, upstream_has(r, "\r\n\r\n"));
	answer(r, text);
	UNTIL(r, r->ended);
	UNTIL(r, upstream_ended(r));
	return at;
}
#define OK_CLOSE OK "Connection: close\r\nContent-Length: 2\r\n\r\nhi"

static void both(struct rig *r)
{
	r->group.count = 2;
	r->group.identity++;
}

static void weights_share_out(void **state)
{
	struct rig *r = *state;
	r->upstreams[1].weight = 3;
	both(r);
	size_t got[UPSTREAMS] = { 0 };
	for (unsigned i = 0; i < 16; i++)
		got[ask_once(r, GET, OK_CLOSE)]++;
	assert_int_equal(got[0], 4);
	assert_int_equal(got[1], 12);
}

/* A fresh connection that breaks before an answer. */
static void what_can_be_repeated_goes_elsewhere(void **state)
{
	struct rig *r = *state;
	both(r);
	ask(r, GET);
	UNTIL(r, accept_at(r, 0));
	UNTIL(r, upstream_has(r, "\r\n\r\n"));
	hang_up(r);
	UNTIL(r, accept_at(r, 1));
	buf_clear(&r->at_upstream);
	UNTIL(r, upstream_has(r, "GET / HTTP/1.1\r\n"));
	hang_up(r); /* and no further */
	UNTIL(r, r->ended);
	assert_true(client_has(r, "502 "));
	assert_int_equal(counts(r).retries, 1);
}

static void what_was_sent_does_not(void **state)
{
	struct rig *r = *state;
	both(r);
	ask(r, "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
	UNTIL(r, accept_at(r, 0));
	UNTIL(r, upstream_has(r, "\r\n\r\n"));
	hang_up(r);
	UNTIL(r, r->ended);
	assert_true(client_has(r, "502 "));
	assert_int_equal(counts(r).retries, 0);
}

static void failed_answers_count(void **state)
{
	struct rig *r = *state;
	r->group.options.fails = 2;
	r->group.options.down = DAY;
	both(r);
	/* Turns are taken: the first one fails twice in a row, and is left out. */
	for (unsigned i = 0; i < 4; i++) {
		const char *text =
		        i % 2 ? OK_CLOSE
		              : "HTTP/1.1 504 No\r\nConnection: close\r\nContent-Length: "
		                "0\r\n\r\n";
		assert_int_equal(ask_once(r, GET, text), i % 2);
	}
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(ask_once(r, GET, OK_CLOSE), 1);
}

static void another_worker_s_word_counts(void **state)
{
	struct rig *r = *state;
	char text[ADDRESS_TEXT];
	both(r);
	r->group.options.down = DAY;
	r->group.options.fails = 1;
	assert_int_equal(ask_once(r, GET,
	                         "HTTP/1.1 502 No\r\nConnection: close\r\nContent-Length: "
	                         "0\r\n\r\n"),
	        0);
	assert_int_equal(ask_once(r, GET, OK_CLOSE), 1);
	assert_int_equal(ask_once(r, GET, OK_CLOSE), 1);
	proxy_state_told(r->worker.proxy, str_c(address_text_port(&r->upstreams[0].address, text)),
	        /* up= */ true);
	assert_int_equal(ask_once(r, GET, OK_CLOSE) + ask_once(r, GET, OK_CLOSE), 1);
}

enum { COOKIE = sizeof "SID=0123456789abcdef" };

static void cookie(struct rig *r, char ret_text[COOKIE])
{
	snprintf(ret_text, COOKIE, "%s", r->ex.also.count ? r->ex.also.at[0].value.p : "");
}

static void visitors_stay(void **state)
{
	struct rig *r = *state;
	BUF_AUTO again = BUF_INIT(1000);
	r->group.sticky = STR("SID");
	both(r);
	size_t first = ask_once(r, GET, OK_CLOSE);
	char set[COOKIE], then[COOKIE];
	cookie(r, set);
	assert_true(str_starts(str_c(set), STR("SID=")));
	assert_true(client_has(r, "; Path=/; HttpOnly; SameSite=Lax; Secure;"));
	buf_printf(&again, "GET / HTTP/1.1\r\n" HOST "Cookie: a=b; %s; c=d\r\n\r\n", set);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(ask_once(r, buf_c(&again), OK_CLOSE), first);
		assert_int_equal(r->ex.also.count, 0);
	}
	/* It goes down, and visitors to the other one. */
	close(r->listeners[first]);
	r->listeners[first] = -1;
	assert_int_equal(ask_once(r, buf_c(&again), OK_CLOSE), 1 - first);
	cookie(r, then);
	assert_true(str_starts(str_c(then), STR("SID=")));
	assert_string_not_equal(then, set);
}

static void strange_marks_are_none(void **state)
{
	struct rig *r = *state;
	r->group.sticky = STR("SID");
	both(r);
	ask_once(r, "GET / HTTP/1.1\r\n" HOST "Cookie: SID=0123456789abcdeg; SID=x; SID\r\n\r\n",
	        OK_CLOSE);
	assert_int_equal(r->ex.also.count, 1);
}

/* A client beside the rig's own. */
static struct rig *ask_beside(struct rig *r, const char *head)
{
	struct rig *other = mem_new(struct rig);
	struct http1_scan scan = { 0 };
	struct refusal why;
	size_t used;
	other->at_client = BUF(1 << 20);
	other->aborted = BUF(4096);
	other->room = 64 << 10;
	other->ex = (struct exchange){ .ops = &client_ops,
		.arena = &other->arena,
		.worker = &r->worker,
		.generation = &r->generation,
		.site = &r->site,
		.kept = &other->kept };
	assert_true(address_parse(STR("192.0.2.2"), 4711, &other->ex.client));
	other->ex.peer = other->ex.client;
	assert_int_equal(http1_read_request(&scan, str_c(head), &other->arena, &other->ex.request,
	                         &used, &why),
	        HTTP1_DONE);
	proxy_handler.start(&other->ex);
	return other;
}

static void beside_free(struct rig *other)
{
	arena_done(&other->arena);
	buf_done(&other->at_client);
	buf_done(&other->aborted);
	free(other);
}

static void those_that_wait_come_through(void **state)
{
	struct rig *r = *state;
	r->group.options.max_connections = 1;
	r->group.options.queue = 1;
	r->group.options.queue_timeout = DAY;
	r->group.identity++;
	start_get(r);
	struct rig *other = ask_beside(r, GET);
	assert_false(other->ended);
	struct rig *third = ask_beside(r, GET); /* the queue is full */
	assert_true(third->ended && client_has(third, "503 "));
	assert_true(client_has(third, "retry-after=1;"));
	buf_clear(&r->at_upstream);
	answer(r, OK_HI);
	UNTIL(r, r->ended);
	UNTIL(r, upstream_has(r, "GET / HTTP/1.1\r\n"));
	answer(r, OK_HI);
	UNTIL(r, other->ended);
	assert_client_got(other, "200 length=2;|hi");
	assert_int_equal(counts(r).connects, 1);
	beside_free(other);
	beside_free(third);
}

static void waiting_ends(void **state)
{
	struct rig *r = *state;
	r->group.options.max_connections = 1;
	r->group.options.queue = 2;
	r->group.options.queue_timeout = 20;
	r->group.identity++;
	start_get(r);
	struct rig *other = ask_beside(r, GET), *gone = ask_beside(r, GET);
	leave(gone);
	UNTIL(r, other->ended);
	assert_true(client_has(other, "503 ") && client_has(other, "retry-after=1;"));
	assert_int_equal(gone->at_client.n, 0);
	answer(r, OK_HI);
	UNTIL(r, r->ended);
	beside_free(other);
	beside_free(gone);
}

static void who_comes_back_starts_slowly(void **state)
{
	struct rig *r = *state;
	r->group.options.slow_start = DAY;
	both(r);
	struct msg_health sick = { .upstreams = (int64_t)r->group.identity, .why = STR("x") };
	char text[ADDRESS_TEXT];
	sick.address = str_c(address_text_port(&r->upstreams[0].address, text));
	ask_once(r, GET, OK_CLOSE);
	proxy_health_told(r->worker.proxy, &sick);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(ask_once(r, GET, OK_CLOSE), 1);
	sick.well = true;
	proxy_health_told(r->worker.proxy, &sick);
	size_t got[UPSTREAMS] = { 0 };
	for (unsigned i = 0; i < 6; i++)
		got[ask_once(r, GET, OK_CLOSE)]++;
	assert_true(got[0] <= 1);
}

static void names_stand_for_addresses(void **state)
{
	struct rig *r = *state;
	r->upstreams[0].host = STR("app.internal");
	r->upstreams[0].port = address_port(&r->upstreams[0].address);
	r->upstreams[0].address = (struct sockaddr_storage){ 0 };
	r->group.identity++;
	ask(r, GET);
	assert_true(r->ended && client_has(r, "502 "));
	assert_true(client_has(r, "cannot be found: its name does not resolve."));
	proxy_host_told(r->worker.proxy, STR("app.internal"), STR("127.0.0.1"), -1);
	assert_int_equal(ask_once(r, GET, OK_CLOSE), 0);
	proxy_host_told(r->worker.proxy, STR("app.internal"), STR(""), -1);
	ask(r, GET);
	assert_true(r->ended && client_has(r, "does not resolve"));
}

/* Of two addresses the first refuses: the second one is an upstream of its own. */
static void each_address_is_an_upstream(void **state)
{
	struct rig *r = *state;
	r->upstreams[0].host = STR("app.internal");
	r->upstreams[0].port = address_port(&r->upstreams[0].address);
	r->upstreams[0].address = (struct sockaddr_storage){ 0 };
	r->group.identity++;
	proxy_host_told(
	        r->worker.proxy, STR("app.internal"), STR("127.9.9.9 nonsense 127.0.0.1"), -1);
	assert_int_equal(ask_once(r, GET, OK_CLOSE), 0);
	assert_int_equal(counts(r).connects_failed, 1);
}

/* What they wait for is no longer the name's: nobody else would tell them. */
static void those_that_wait_go_where_a_name_leads_now(void **state)
{
	struct rig *r = *state;
	r->group.options.max_connections = 1;
	r->group.options.queue = 2;
	r->group.options.queue_timeout = DAY;
	r->upstreams[0].host = STR("app.internal");
	r->upstreams[0].port = address_port(&r->upstreams[0].address);
	r->upstreams[0].address = (struct sockaddr_storage){ 0 };
	r->group.identity++;
	proxy_host_told(r->worker.proxy, STR("app.internal"), STR("127.0.0.1"), -1);
	start_get(r);
	struct rig *other = ask_beside(r, GET);
	assert_false(other->ended);
	proxy_host_told(r->worker.proxy, STR("app.internal"), STR("127.9.9.9"), -1);
	struct rig *third = ask_beside(r, GET);
	UNTIL(r, other->ended && third->ended);
	assert_true(client_has(other, "502 ") && client_has(third, "502 "));
	answer(r, OK_HI);
	UNTIL(r, r->ended);
	beside_free(other);
	beside_free(third);
}

/* ---- health checks ---- */

static char checked[256];

static void hear_check(struct worker *w, enum msg_type type, const void *fields)
{
	const struct msg_health *m = fields;
	if (type != MSG_health)
		return;
	snprintf(checked, sizeof checked, "%s %.*s", m->well ? "well" : "sick", STR_ARG(m->why));
	proxy_health_told(w->proxy, m);
}

static void answer_check(struct rig *r, const char *text)
{
	checked[0] = 0;
	for (unsigned i = 0; i < 2 && !checked[0]; i++) {
		UNTIL(r, checked[0] || accept_at(r, 0));
		if (checked[0])
			break;
		buf_clear(&r->at_upstream);
		UNTIL(r, upstream_has(r, "\r\n\r\n"));
		assert_true(upstream_has(r, "GET /up HTTP/1.1\r\nhost: app:80\r\nuser-agent: "));
		if (*text)
			answer(r, text);
		hang_up(r);
		turn(r);
	}
	UNTIL(r, checked[0]);
}

static void health_is_asked_for(void **state)
{
	struct rig *r = *state;
	r->worker.tell = hear_check;
	r->group.health = STR("/up");
	r->upstreams[0].shown = STR("http://app:80/");
	r->group.options.interval = 10;
	r->group.options.timeout = DAY;
	r->group.identity++;
	r->generation.upstreams = &r->group;
	r->generation.upstreams_count = 1;
	proxy_committed(r->worker.proxy, &r->generation);
	answer_check(r, "HTTP/1.1 200 OK\r\n\r\n");
	assert_string_equal(checked, "well ");
	answer_check(r, "HTTP/1.1 500 No\r\n\r\n");
	assert_string_equal(checked, "sick Its health check was answered with 500, not 200.");
	answer_check(r, "SSH-2.0-everything\r\n\r\n");
	assert_string_equal(checked, "sick What answered its health check is not HTTP.");
	answer_check(r, "");
	assert_string_equal(checked, "sick Its health check was not answered.");
	answer_check(r, "HTTP/1.1 200 OK\r\n\r\n");
	assert_string_equal(checked, "well ");
	close(r->listeners[0]);
	r->listeners[0] = -1;
	checked[0] = 0;
	UNTIL(r, checked[0]);
	assert_string_equal(checked, "sick Connection refused");
	r->generation.upstreams_count = 0;
	proxy_committed(r->worker.proxy, &r->generation); /* nobody is asked any more */
}

static void a_check_has_its_time(void **state)
{
	struct rig *r = *state;
	r->worker.tell = hear_check;
	r->group.health = STR("/up");
	r->group.options.interval = r->group.options.timeout = 10;
	r->group.identity++;
	r->generation.upstreams = &r->group;
	r->generation.upstreams_count = 1;
	checked[0] = 0;
	proxy_committed(r->worker.proxy, &r->generation);
	UNTIL(r, checked[0]);
	assert_string_equal(checked, "sick There was no answer to its health check in time.");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(weights_share_out),
		TEST(what_can_be_repeated_goes_elsewhere),
		TEST(what_was_sent_does_not),
		TEST(failed_answers_count),
		TEST(another_worker_s_word_counts),
		TEST(visitors_stay),
		TEST(strange_marks_are_none),
		TEST(those_that_wait_come_through),
		TEST(waiting_ends),
		TEST(who_comes_back_starts_slowly),
		TEST(names_stand_for_addresses),
		TEST(each_address_is_an_upstream),
		TEST(those_that_wait_go_where_a_name_leads_now),
		TEST(health_is_asked_for),
		TEST(a_check_has_its_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
