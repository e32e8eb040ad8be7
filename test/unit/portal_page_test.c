/* What the page lives on: audit, events, its files, and the document that describes the API. */
#include "portal/wish.h"
#include "portal_rig.h"

/* ---- audit ---- */

static void test_audit(void **state)
{
	struct signed_in s;
	(void)state;
	make("ana", "administer");
	sign_in("ana", &s);
	make("bo", "read");
	done(R("PUT", "/api/people/bo", .body = "{\"scope\":\"operate\"}", .owner = true));
	settle();
	restart();
	JSON_AUTO *json = ask_json(R("GET", "/api/audit?limit=2", .cookie = s.cookie), 200);
	const struct json *items = json_array(json, "items"), *newest = json_at(items, 0);
	int64_t total = 0;
	assert_int_equal(json_count(items), 2);
	assert_true(json_int(json, "total", &total));
	assert_int_equal(total, 4);
	assert_true(str_eq_c(json_text(newest, "what"), "Scope changed"));
	assert_true(str_eq_c(json_text(newest, "subject"), "bo"));
	assert_true(str_eq_c(json_text(newest, "before"), "read"));
	assert_true(str_eq_c(json_text(newest, "after"), "operate"));
	assert_true(str_eq_c(json_text(newest, "who"), "the owner"));
	char path[80];
	snprintf(path, sizeof path, "/api/audit?limit=2&cursor=%.*s",
	        STR_ARG(json_text(json, "next")));
	JSON_AUTO *rest = ask_json(R("GET", path, .cookie = s.cookie), 200);
	assert_int_equal(json_count(json_array(rest, "items")), 2);
	assert_int_equal(json_text(rest, "next").n, 0);
	assert_true(str_eq_c(json_text(rest, "previous"), "first"));
	JSON_AUTO *found =
	        ask_json(R("GET", "/api/audit?search=SIGNED%20in", .cookie = s.cookie), 200);
	assert_int_equal(json_count(json_array(found, "items")), 1);
	/* It is only ever read. */
	static const char *const methods[] = { "POST", "PUT", "DELETE", "PATCH" };
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(ask(R(methods[i], "/api/audit", .owner = true)), 405);
		assert_true(ask(R(methods[i], "/api/audit/000000000001", .owner = true)) >= 404);
	}
	assert_null(strstr(buf_c(&logged), PASS));
}

static void test_export(void **state)
{
	struct client s;
	size_t lines = 0;
	(void)state;
	struct call c = { .who.name = STR("test"), .ex = &s.ex };
	s.ex.client.ss_family = AF_UNIX;
	for (int i = 0; i < 1000; i++)
		audit_add(&c, "Counted", STR("x"), STR_NONE, STR_NONE);
	settle();
	begin(&s, R("GET", "/api/audit/export", .owner = true));
	wait_end(&s);
	assert_int_equal(s.status, 200);
	struct str rest = buf_str(&s.body), line;
	while (str_split(&rest, '\n', &line))
		lines += line.n && *line.p == '{' && line.p[line.n - 1] == '}';
	assert_true(lines >= 1000 && lines <= 1001);
	finish(&s);
}

/* How many records are about that subject; *ret_after: of the newest. */
static size_t count_about(const char *subject, char ret_after[80])
{
	char path[80];
	settle();
	snprintf(path, sizeof path, "/api/audit?subject=%s", subject);
	JSON_AUTO *json = ask_json(R("GET", path, .owner = true), 200);
	const struct json *items = json_array(json, "items");
	snprintf(ret_after, 80, "%.*s", STR_ARG(json_text(json_at(items, 0), "after")));
	return json_count(items);
}

/* What a client wished who has left: told as it came out, and not before. */
static void test_wishes_of_who_has_left(void **state)
{
	static const char *const subjects[] = { "granted", "refused", "unknown" };
	struct client s = { .ex.client.ss_family = AF_UNIX };
	struct call c = { .who.name = STR("test"), .ex = &s.ex };
	struct wish *w[3];
	struct err no = { .code = ERR_CONFLICT, .text = "No." };
	char after[80];
	(void)state;
	for (int i = 0; i < 3; i++) {
		c.parts = NULL;
		w[i] = wish_new(&c, "Registered", str_c(subjects[i]));
		c.parts->let_go(c.parts);
		assert_int_equal(count_about(subjects[i], after), 0);
	}
	wish_done(&w[0]->request, STR("id"), STR("1"), /* existing= */ false, NULL);
	wish_done(&w[1]->request, STR(""), STR(""), /* existing= */ false, &no);
	assert_int_equal(count_about("granted", after), 1);
	assert_int_equal(count_about("refused", after), 0);
	settle();
	restart();
	assert_int_equal(count_about("granted", after), 1);
	assert_int_equal(count_about("refused", after), 0);
	assert_int_equal(count_about("unknown", after), 1);
	assert_string_equal(after, "not known, Everseal ended first");
}

static size_t count_exports(void)
{
	size_t count = 0;
	settle();
	JSON_AUTO *json = ask_json(
	        R("GET", "/api/audit?limit=200&search=audit+EXPORTED", .owner = true), 200);
	count = json_count(json_array(json, "items"));
	return count;
}

/* Whoever asks without end does not fill the audit. */
static void test_export_told(void **state)
{
	struct signed_in s;
	struct ask head = { "HEAD", "/api/audit/export", .owner = true };
	(void)state;
	make("ana", "administer");
	make("bo", "operate");
	sign_in("bo", &s);
	refuses(R("GET", "/api/audit/export", .cookie = s.cookie), 403, "this needs administer");
	sign_in("ana", &s);
	for (int i = 0; i < 10; i++)
		assert_int_equal(ask(&head), 200);
	assert_int_equal(count_exports(), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(ask(R("GET", "/api/audit/export", .cookie = s.cookie)), 200);
	assert_int_equal(count_exports(), 1);
	assert_int_equal(ask(R("GET", "/api/audit/export", .owner = true)), 200);
	assert_int_equal(count_exports(), 2);
	clock_fake_advance(&fake, MINUTE);
	assert_int_equal(ask(R("GET", "/api/audit/export", .cookie = s.cookie)), 200);
	assert_int_equal(count_exports(), 3);
}

static void test_unwritten(void **state)
{
	struct client s;
	(void)state;
	struct call c = { .who.name = STR("test"), .ex = &s.ex };
	s.ex.client.ss_family = AF_UNIX;
	for (int i = 0; i < 5000; i++)
		audit_add(&c, "Counted", STR("x"), STR_NONE, STR_NONE);
	assert_non_null(strstr(buf_c(&logged), "4096 audit records wait for the disk"));
	settle();
	audit_add(&c, "Counted again", STR("x"), STR_NONE, STR_NONE);
	settle();
	assert_non_null(strstr(buf_c(&logged), "904 audit records were only logged"));
	JSON_AUTO *json = ask_json(R("GET", "/api/audit?limit=1", .owner = true), 200);
	int64_t total = 0;
	assert_true(json_int(json, "total", &total));
	assert_int_equal(total, 4097);
}

static void test_query(void **state)
{
	static const char *const undecodable[] = { "%", "%4", "%zz", "%00", "%ff", "a&x=%" };
	(void)state;
	make("ana", "administer");
	for (size_t i = 0; i < sizeof undecodable / sizeof *undecodable; i++) {
		char path[80];
		snprintf(path, sizeof path, "/api/audit?search=%s", undecodable[i]);
		refuses(R("GET", path, .owner = true), 422, "cannot be decoded");
	}
	settle();
	JSON_AUTO *json = ask_json(R("GET", "/api/audit?search=person+added", .owner = true), 200);
	assert_int_equal(json_count(json_array(json, "items")), 1);
	JSON_AUTO *plus =
	        ask_json(R("GET", "/api/audit?search=person%2Badded", .owner = true), 200);
	assert_int_equal(json_count(json_array(plus, "items")), 0);
}

/* ---- events ---- */

static struct str changing = STR_INIT("{\"name\":\"x\",\"n\":1}");

static bool write_thing(struct json_writer *w, struct str subject)
{
	(void)subject;
	json_write_raw(w, NULL, changing);
	return true;
}
static const struct event_kind thing = { "site", write_thing };

static void test_events(void **state)
{
	struct signed_in who;
	struct client s;
	char id[EVENT_ID], path[80];
	(void)state;
	make("ana", "administer");
	sign_in("ana", &who);
	turns(5);
	events_id(id);
	snprintf(path, sizeof path, "/api/events?since=%s", id);
	events_changed(&thing, STR("x"));
	events_changed(&thing, STR("x")); /* told once, as it is */
	begin(&s, R("GET", path, .cookie = who.cookie));
	turns(5);
	assert_int_equal(s.status, 200);
	assert_true(str_starts(buf_str(&s.body), STR("event: hello\ndata: {\"boot\":")));
	char *first = strstr(buf_c(&s.body), "event: site\ndata: {\"name\":\"x\",\"n\":1}\n\n");
	assert_non_null(first);
	assert_null(strstr(first + 1, "event: site"));
	assert_null(strstr(buf_c(&s.body), "reset"));
	for (int i = 0; i < 12; i++)
		loop_turn(place.loop, 1000);
	assert_non_null(strstr(buf_c(&s.body), "event: beat\ndata: {\"server_time\":"));
	/* It ends with the session. */
	struct ask out = with(&who, "DELETE", "/api/session");
	done(&out);
	assert_true(s.ended);
	assert_non_null(strstr(buf_c(&s.body), "event: session\ndata: {\"ended\":true}"));
	finish(&s);
}

static void test_events_reset(void **state)
{
	static const char *const since[] = { "ffff-1", "x", "0000000000000000-0" };
	struct client s;
	(void)state;
	for (size_t i = 0; i < sizeof since / sizeof *since; i++) {
		char path[80];
		snprintf(path, sizeof path, "/api/events?since=%s", since[i]);
		begin(&s, R("GET", path, .owner = true));
		assert_non_null(strstr(buf_c(&s.body), "event: reset\n"));
		s.ex.handling->ops->gone(s.ex.handling);
		finish(&s);
	}
	/* A client that takes nothing costs what is bounded, and is told to begin anew. */
	begin(&s, R("GET", "/api/events", .owner = true));
	s.stuck = true;
	for (int i = 0; i < 5000; i++) {
		char name[32];
		snprintf(name, sizeof name, "site %d", i);
		events_changed(&thing, str_c(name));
		loop_turn(place.loop, 0);
	}
	struct call *c = OWNER(s.ex.handling, struct call, handling);
	assert_true(c->backlog.n < 128 << 10);
	s.stuck = false;
	for (int i = 0; i < 100; i++) {
		s.ex.handling->ops->room(s.ex.handling);
		turns(1);
	}
	assert_non_null(strstr(buf_c(&s.body), "event: reset\n"));
	assert_int_equal(c->backlog.n, 0);
	s.ex.handling->ops->gone(s.ex.handling);
	finish(&s);
}

enum { CROWD = 64 };

static struct client crowd[CROWD];

static void watch(int first, int count, struct ask ask)
{
	for (int i = first; i < first + count; i++) {
		begin(&crowd[i], &ask);
		assert_int_equal(crowd[i].status, 200);
	}
}

static int watching(int first, int count)
{
	int open = 0;
	for (int i = first; i < first + count; i++)
		open += !crowd[i].ended;
	return open;
}

static void leave(int first, int count)
{
	for (int i = first; i < first + count; i++) {
		if (!crowd[i].ended)
			crowd[i].ex.handling->ops->gone(crowd[i].ex.handling);
		finish(&crowd[i]);
	}
}

static void token_by(const struct signed_in *who, char ret_key[80])
{
	struct ask post = with(who, "POST", "/api/tokens");
	post.body = "{\"name\":\"watch\",\"scope\":\"read\"}";
	JSON_AUTO *json = ask_json(&post, 201);
	snprintf(ret_key, 80, "%.*s", STR_ARG(json_text(json, "token")));
}

/* A person's sessions and tokens share his streams: none of them has all, nor takes one from a
 * session that has no more. */
static void test_events_of_one_person(void **state)
{
	struct signed_in pc, phone;
	struct client phone_stream, third;
	char key[80];
	(void)state;
	make("ana", "administer");
	sign_in("ana", &pc);
	sign_in("ana", &phone);
	token_by(&pc, key);
	watch(0, 16, (struct ask){ "GET", "/api/events", .cookie = pc.cookie });
	assert_int_equal(ask(R("GET", "/api/events", .cookie = pc.cookie)), 503);
	assert_int_equal(watching(0, 16), 16);
	begin(&phone_stream, R("GET", "/api/events", .cookie = phone.cookie));
	assert_int_equal(phone_stream.status, 200);
	assert_true(crowd[0].ended);
	assert_int_equal(watching(0, 16), 15);
	begin(&third, R("GET", "/api/events", .key = key));
	assert_int_equal(third.status, 200);
	assert_true(crowd[1].ended && !phone_stream.ended);
	assert_int_equal(watching(0, 16), 14);
	/* Whoever gave way does not get it back. */
	assert_int_equal(ask(R("GET", "/api/events", .cookie = pc.cookie)), 503);
	leave(0, 16);
	phone_stream.ex.handling->ops->gone(phone_stream.ex.handling);
	third.ex.handling->ops->gone(third.ex.handling);
	finish(&phone_stream);
	finish(&third);
}

/* However many streams some have, who comes later gets his. */
static void test_events_of_many(void **state)
{
	static const char *const names[] = { "ana", "bo", "cy", "di" };
	struct signed_in who[4], late;
	struct client streams[12];
	(void)state;
	for (int i = 0; i < 4; i++) {
		make(names[i], "read");
		sign_in(names[i], &who[i]);
		watch(16 * i, 16, (struct ask){ "GET", "/api/events", .cookie = who[i].cookie });
		for (int k = 0; k < 16; k++) /* that they take nothing does not help them */
			crowd[16 * i + k].stuck = true;
	}
	make("eve", "read");
	sign_in("eve", &late);
	for (int i = 0; i < 12; i++) {
		begin(&streams[i], R("GET", "/api/events", .cookie = late.cookie));
		assert_int_equal(streams[i].status, 200);
		assert_int_equal(watching(0, CROWD), CROWD - 1 - i);
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(watching(16 * i, 16), 13);
	/* All have their share now. */
	assert_int_equal(ask(R("GET", "/api/events", .cookie = late.cookie)), 503);
	assert_int_equal(ask(R("GET", "/api/events", .cookie = who[0].cookie)), 503);
	for (int i = 0; i < 12; i++) {
		assert_false(streams[i].ended);
		streams[i].ex.handling->ops->gone(streams[i].ex.handling);
		finish(&streams[i]);
	}
	leave(0, CROWD);
}

/* The stream of a session that has ended goes even if its client takes nothing. */
static void test_events_end_of_who_takes_nothing(void **state)
{
	struct signed_in who;
	struct client s;
	(void)state;
	make("ana", "administer");
	sign_in("ana", &who);
	begin(&s, R("GET", "/api/events", .cookie = who.cookie));
	s.stuck = true;
	events_changed(&thing, STR("x"));
	turns(5);
	struct ask out = with(&who, "DELETE", "/api/session");
	done(&out);
	assert_false(s.ended);
	clock_fake_advance(&fake, 10 * SECOND);
	turns(5);
	assert_true(s.ended);
	finish(&s);
}

/* A token's end is not put off by a stream that it opened. */
static void test_events_of_a_token_that_expires(void **state)
{
	struct client s;
	char key[80];
	(void)state;
	JSON_AUTO *json = ask_json(
	        R("POST", "/api/tokens", .body = "{\"name\":\"day\",\"scope\":\"read\",\"days\":1}",
	                .owner = true),
	        201);
	snprintf(key, sizeof key, "%.*s", STR_ARG(json_text(json, "token")));
	begin(&s, R("GET", "/api/events", .key = key));
	clock_fake_advance(&fake, DAY - SECOND);
	turns(5);
	assert_false(s.ended);
	clock_fake_advance(&fake, 11 * SECOND);
	turns(5);
	assert_true(s.ended);
	assert_non_null(strstr(buf_c(&s.body), "event: session\ndata: {\"ended\":true}"));
	finish(&s);
}

/* ---- the page's files ---- */

static void test_assets(void **state)
{
	struct client s;
	char etag[80];
	(void)state;
	begin(&s, R("GET", "/", .encoding = "gzip, br"));
	assert_int_equal(s.status, 200);
	assert_true(s.ended);
	struct str policy = headers_find(&s.headers, STR("content-security-policy"));
	assert_true(str_eq_c(policy,
	        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
	        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
	        "require-trusted-types-for 'script'; trusted-types 'none'"));
	assert_true(str_eq_c(headers_find(&s.headers, STR("content-encoding")), "br"));
	assert_true(str_eq_c(headers_find(&s.headers, STR("x-content-type-options")), "nosniff"));
	assert_true(str_eq_c(headers_find(&s.headers, STR("referrer-policy")), "no-referrer"));
	assert_true(str_eq_c(headers_find(&s.headers, STR("x-frame-options")), "DENY"));
	snprintf(etag, sizeof etag, "%.*s", STR_ARG(headers_find(&s.headers, STR("etag"))));
	finish(&s);
	assert_int_equal(ask(R("GET", "/index.html", .encoding = "br", .match = etag)), 304);
	assert_int_equal(ask(R("GET", "/index.html", .match = etag)), 200);
	begin(&s, R("GET", "/", .encoding = "br;q=0"));
	assert_null(headers_find(&s.headers, STR("content-encoding")).p);
	assert_non_null(strstr(buf_c(&s.body), "<!doctype html>"));
	finish(&s);
	assert_int_equal(ask(R("HEAD", "/", .body = NULL)), 200);
	assert_int_equal(ask(R("POST", "/", .body = NULL)), 405);
	assert_int_equal(ask(R("GET", "/nothing.js", .body = NULL)), 404);
	begin(&s, R("GET", "/api/nothing", .body = NULL));
	assert_non_null(headers_find(&s.headers, STR("content-security-policy")).p);
	assert_true(str_eq_c(headers_find(&s.headers, STR("cache-control")), "no-store"));
	finish(&s);
}

static void test_dev_page(void **state)
{
	static const char *const outside[] = { "/../secret.txt", "/.hidden.txt", "/link.txt",
		"/views/../../secret.txt", "//etc/passwd.txt", "/%2e%2e/secret.txt", "/dir.txt" };
	char name[160];
	(void)state;
	snprintf(name, sizeof name, "%s/web", place.top);
	assert_int_equal(mkdir(name, 0700), 0);
	assert_int_equal(chdir(name), 0);
	assert_int_equal(mkdir("views", 0700) | mkdir("dir.txt", 0700), 0);
	static const char *const files[] = { "index.html", "views/a.js", ".hidden.txt",
		"../secret.txt" };
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		FILE *f = fopen(files[i], "w");
		assert_non_null(f);
		fputs("from disk", f);
		fclose(f);
	}
	assert_int_equal(symlink("../secret.txt", "link.txt"), 0);
	assets_from(name);
	struct client s;
	begin(&s, R("GET", "/", .body = NULL));
	assert_string_equal(buf_c(&s.body), "from disk");
	finish(&s);
	assert_int_equal(ask(R("GET", "/views/a.js", .body = NULL)), 200);
	for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
		if (ask(R("GET", outside[i], .body = NULL)) != 404)
			fail_msg("%s was served", outside[i]);
	assets_from(NULL);
	assert_int_equal(chdir("/"), 0);
}

/* ---- the document ---- */

/* "/api/tasks/{id}/details" for "/api/tasks/(any)/details": what stands for the segment is free. */
static bool path_is(struct str described, const char *route)
{
	struct str wanted = str_c(route), want, have;
	while (str_split(&wanted, '/', &want)) {
		if (!str_split(&described, '/', &have))
			return false;
		bool any = str_starts(have, STR("{")) && str_ends(have, STR("}"));
		if (str_eq_c(want, "*") ? !any : !str_eq(want, have))
			return false;
	}
	return !described.n;
}

static bool is_described(const struct json *paths, const struct route *r)
{
	char method[8] = "";
	for (size_t i = 0; r->method[i] && i < 7; i++)
		method[i] = ascii_lower(r->method[i]);
	for (const struct json_iter *it = json_first(paths); it; it = json_next(paths, it))
		if (path_is(json_iter_key(it), r->path))
			return json_object(json_iter_value(it), method);
	return false;
}

static bool has_route(struct str path, struct str method)
{
	for (size_t i = 0; route_tables[i]; i++)
		for (const struct route *r = route_tables[i]; r->method; r++)
			if (path_is(path, r->path) && str_eq_nocase(method, str_c(r->method)))
				return true;
	return false;
}

static void test_document(void **state)
{
	unsigned wrong = 0;
	(void)state;
	JSON_AUTO *json = ask_json(R("GET", "/api/openapi.json", .body = NULL), 200);
	assert_true(str_starts(json_text(json, "openapi"), STR("3.1")));
	const struct json *paths = json_object(json, "paths");
	for (size_t i = 0; route_tables[i]; i++)
		for (const struct route *r = route_tables[i]; r->method; r++)
			if (!is_described(paths, r)) {
				print_error("not described: %s %s\n", r->method, r->path);
				wrong++;
			}
	for (const struct json_iter *it = json_first(paths); it; it = json_next(paths, it)) {
		const struct json *methods = json_iter_value(it);
		for (const struct json_iter *m = json_first(methods); m;
		        m = json_next(methods, m)) {
			struct str method = json_iter_key(m);
			if (str_eq_c(method, "parameters") || has_route(json_iter_key(it), method))
				continue;
			print_error("no route: %.*s %.*s\n", STR_ARG(method),
			        STR_ARG(json_iter_key(it)));
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_audit),
		TEST(test_wishes_of_who_has_left),
		TEST(test_export_told),
		TEST(test_unwritten),
		TEST(test_query),
		TEST(test_export),
		TEST(test_events),
		TEST(test_events_reset),
		TEST(test_events_of_one_person),
		TEST(test_events_of_many),
		TEST(test_events_end_of_who_takes_nothing),
		TEST(test_events_of_a_token_that_expires),
		TEST(test_assets),
		TEST(test_dev_page),
		TEST(test_document),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	finish(&last);
	return failed;
}
