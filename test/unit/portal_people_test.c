/* Who may do what: sign-in, sessions, tokens, links and the second factor, each attacked. */
#include "portal/pace.h"
#include "portal_rig.h"

/* ---- signing in ---- */

static void test_nobody(void **state)
{
	(void)state;
	refuses(R("GET", "/api/session", .body = NULL), 401, "\"setup\":true");
	refuses(R("GET", "/api/people", .body = NULL), 401, "everseal admin link");
	make("Ana", "administer");
	refuses(R("GET", "/api/people", .body = NULL), 401, "\"details\":{}");
	refuses(R("GET", "/api/session", .body = NULL), 401,
	        "\"details\":{\"self_made\":false,\"host\":\"");
	refuses(R("GET", "/api/session", .temporary = true), 401, "{\"self_made\":true,");
	refuses(R("GET", "/api/session", .temporary = true, .plain = true), 401,
	        "{\"self_made\":false,");
	refuses(R("GET", "/api/session", .cookie = "__Host-everseal=forged"), 401, "Sign in");
}

static void test_cookie(void **state)
{
	struct signed_in s;
	(void)state;
	make("ana", "administer");
	sign_in("ANA", &s);
	struct str set = headers_find(&last.headers, STR("set-cookie"));
	assert_true(str_starts(set, STR("__Host-everseal=")));
	assert_non_null(strstr(set.p, "; Path=/; HttpOnly; SameSite=Strict;"));
	assert_non_null(strstr(set.p, "; Secure"));
	JSON_AUTO *json = ask_json(R("GET", "/api/session", .cookie = s.cookie), 200);
	assert_true(str_eq_c(json_text(json, "name"), "ana"));
	assert_true(str_eq_c(json_text(json, "scope"), "administer"));
	/* Over plain HTTP the cookie has another name, and this one does not count. */
	assert_int_equal(ask(R("GET", "/api/session", .cookie = s.cookie, .plain = true)), 401);
	/* Of 256 bits only the hash is kept. */
	ARENA_AUTO a = ARENA_INIT;
	struct record record;
	struct err err = ERR_INIT;
	assert_false(store_get(
	        place.store, &a, STR("session"), str_c(strchr(s.cookie, '=') + 1), &record, &err));
	assert_int_equal(strlen(strchr(s.cookie, '=') + 1), 43);
}

static void test_planted_cookies(void **state)
{
	struct signed_in s;
	char cookies[400] = "";
	(void)state;
	make("ana", "administer");
	sign_in("ana", &s);
	for (int planted = 0; planted <= 8; planted++) {
		snprintf(cookies, sizeof cookies, "%.*s%s; other=1", planted * 19,
		        "__Host-everseal=a; __Host-everseal=b; __Host-everseal=c; "
		        "__Host-everseal=d; __Host-everseal=e; __Host-everseal=f; "
		        "__Host-everseal=g; __Host-everseal=h; ",
		        s.cookie);
		struct ask put = { "PUT", "/api/people/ana", .body = "{\"scope\":\"administer\"}",
			.cookie = cookies, .csrf = s.csrf, .origin = OWN };
		assert_int_equal(ask(&put), planted < 8 ? 200 : 401);
	}
}

static void test_rotation(void **state)
{
	struct signed_in first, second;
	(void)state;
	make("ana", "administer");
	sign_in("ana", &first);
	/* Fixation: a cookie from before the sign-in is worth nothing after it. */
	JSON_AUTO *json = ask_json(
	        R("POST", "/api/session", .body = "{\"name\":\"ana\",\"password\":\"" PASS "\"}",
	                .cookie = first.cookie, .origin = OWN),
	        200);
	take_session(json, &second);
	assert_string_not_equal(first.cookie, second.cookie);
	assert_int_equal(ask(R("GET", "/api/session", .cookie = first.cookie)), 401);
	assert_int_equal(ask(R("GET", "/api/session", .cookie = second.cookie)), 200);
	/* A cookie that somebody planted does not become a session. */
	json_free(&json);
	json = ask_json(
	        R("POST", "/api/session", .body = "{\"name\":\"ana\",\"password\":\"" PASS "\"}",
	                .cookie = "__Host-everseal=planted", .origin = OWN),
	        200);
	assert_int_equal(ask(R("GET", "/api/session", .cookie = "__Host-everseal=planted")), 401);
}

static void test_wrong(void **state)
{
	static const char *const bodies[] = {
		"{\"name\":\"ana\",\"password\":\"wrong password\"}",
		"{\"name\":\"nobody\",\"password\":\"" PASS "\"}",
		"{\"name\":\"a name/that cannot be\",\"password\":\"" PASS "\"}",
	};
	(void)state;
	make("ana", "administer");
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
		refuses(R("POST", "/api/session", .body = bodies[i], .origin = OWN), 401,
		        "Name, password or code is wrong.");
	refuses(R("POST", "/api/session", .body = "{}"), 422, "\"field\":\"name\"");
	refuses(R("POST", "/api/session", .body = "{\"name\":\"ana\"}"), 422,
	        "\"field\":\"password\"");
	assert_null(strstr(buf_c(&logged), "a name/that"));
}

static void test_flood(void **state)
{
	struct ask wrong = { "POST", "/api/session",
		.body = "{\"name\":\"ana\",\"password\":\"wrong password\"}",
		.from = "203.0.113.7" };
	(void)state;
	make("ana", "administer");
	for (int i = 0; i < 5; i++)
		assert_int_equal(ask(&wrong), 401);
	refuses(&wrong, 429, "run `everseal admin password` on the server");
	assert_non_null(strstr(buf_c(&last.body), "\"retry_after\":"));
	/* Right or wrong, who is to wait waits. */
	wrong.body = "{\"name\":\"ana\",\"password\":\"" PASS "\"}";
	assert_int_equal(ask(&wrong), 429);
	/* Others need not. */
	wrong.from = "198.51.100.9";
	assert_int_equal(ask(&wrong), 200);
	wrong.from = "203.0.113.7";
	clock_fake_advance(&fake, 1000);
	assert_int_equal(ask(&wrong), 200);
}

/* A queue that is full is told, and gives back what was charged. */
static void test_queue(void **state)
{
	struct client crowd[HASHING_MOST + 1];
	unsigned busy = 0;
	(void)state;
	make("ana", "administer");
	for (int i = 0; i <= HASHING_MOST; i++) {
		char from[32], body[80];
		snprintf(from, sizeof from, "198.51.100.%d", i + 1);
		snprintf(body, sizeof body, "{\"name\":\"x%d\",\"password\":\"" PASS "\"}", i);
		begin(&crowd[i], R("POST", "/api/session", .body = body, .from = from));
	}
	for (int i = 0; i <= HASHING_MOST; i++) {
		if (crowd[i].status == 503)
			busy++;
		else if (!crowd[i].ended) /* the client leaves */
			crowd[i].ex.handling->ops->gone(crowd[i].ex.handling);
		finish(&crowd[i]);
	}
	assert_true(busy >= 1);
}

/* A crowd that keeps its queue full holds up neither the machine's owner nor a known address. */
static void test_queue_of_the_known(void **state)
{
	struct client crowd[2 * HASHING_MOST];
	struct signed_in s;
	size_t served = 0;
	(void)state;
	make("ana", "administer");
	sign_in("ana", &s); /* from 127.0.0.1 */
	for (int i = 0; i < 2 * HASHING_MOST; i++) {
		char from[32], body[80];
		snprintf(from, sizeof from, "198.51.100.%d", i + 1);
		snprintf(body, sizeof body, "{\"name\":\"x%d\",\"password\":\"" PASS "\"}", i);
		begin(&crowd[i], R("POST", "/api/session", .body = body, .from = from));
	}
	sign_in("ana", &s);
	struct ask put = with(&s, "PUT", "/api/account/password");
	put.body = "{\"current\":\"" PASS "\",\"new\":\"another password\"}";
	done(&put);
	done(R("POST", "/api/admin/password",
	        .body = "{\"name\":\"ana\",\"password\":\"" PASS "\"}", .owner = true));
	for (int i = 0; i < 2 * HASHING_MOST; i++) {
		served += crowd[i].status == 401;
		if (!crowd[i].ended)
			crowd[i].ex.handling->ops->gone(crowd[i].ex.handling);
		finish(&crowd[i]);
	}
	assert_in_range(served, 0, HASHING_MOST - 1);
}

/* ---- throttle: pure ---- */

static void test_throttle(void **state)
{
	int64_t now = 1, locked = 0;
	struct str me = STR("203.0.113.7");
	(void)state;
	for (int i = 1; i <= 40; i++) {
		int64_t wait = throttle_wait(THROTTLE_ADDRESS, me, now);
		if (i <= 5)
			assert_int_equal(wait, 0);
		assert_true(wait <= 15 * MINUTE);
		now += wait;
		throttle_charge(THROTTLE_ADDRESS, me, now);
	}
	assert_int_equal(throttle_wait(THROTTLE_ADDRESS, me, now), 15 * MINUTE);
	/* A crowd that tries without end: nobody ever waits for more than 30 s. */
	for (int i = 0; i < 10000; i++) {
		int64_t wait = throttle_wait(THROTTLE_ACCOUNT, STR("ana"), now);
		if (wait > locked)
			locked = wait;
		now += wait;
		throttle_charge(THROTTLE_ACCOUNT, STR("ana"), now);
	}
	assert_int_equal(locked, 30 * SECOND);
	now += 31 * MINUTE;
	assert_int_equal(throttle_wait(THROTTLE_ACCOUNT, STR("ana"), now), 0);
	throttle_charge(THROTTLE_ACCOUNT, STR("ana"), now);
	assert_int_equal(throttle_wait(THROTTLE_ACCOUNT, STR("ana"), now), 0);
	/* Memory is bounded. */
	for (int i = 0; i < 3 * THROTTLE_PLACES; i++) {
		char key[32];
		snprintf(key, sizeof key, "name %d", i);
		throttle_charge(THROTTLE_ACCOUNT, str_c(key), now);
	}
	assert_int_equal(throttle_count(THROTTLE_ACCOUNT), THROTTLE_PLACES);
	/* What was right is given back. */
	throttle_clear();
	for (int i = 0; i < 20; i++) {
		throttle_charge(THROTTLE_CODE, me, now);
		throttle_give_back(THROTTLE_CODE, me);
	}
	assert_int_equal(throttle_count(THROTTLE_CODE), 0);
}

/* Somebody who signed in from an address is not kept out by a crowd elsewhere. */
static void test_known_address(void **state)
{
	struct signed_in s;
	(void)state;
	make("ana", "administer");
	sign_in("ana", &s); /* from 127.0.0.1 */
	for (int i = 0; i < 12; i++)
		throttle_charge(THROTTLE_ACCOUNT, STR("ana"), loop_mono(place.loop));
	struct ask again = { "POST", "/api/session",
		.body = "{\"name\":\"ana\",\"password\":\"" PASS "\"}", .from = "198.51.100.9" };
	assert_int_equal(ask(&again), 429);
	again.from = NULL;
	assert_int_equal(ask(&again), 200);
	/* And the owner of the machine clears the way for everybody. */
	done(R("POST", "/api/admin/password",
	        .body = "{\"name\":\"ana\",\"password\":\"another password\"}", .owner = true));
	again.body = "{\"name\":\"ana\",\"password\":\"another password\"}";
	again.from = "198.51.100.9";
	assert_int_equal(ask(&again), 200);
}

/* Whoever else fails there: at an own address nobody waits for more than 30 s. */
static void test_shared_address(void **state)
{
	struct signed_in s;
	struct ask wrong = { "POST", "/api/session",
		.body = "{\"name\":\"ana\",\"password\":\"wrong password\"}" };
	(void)state;
	make("ana", "administer");
	sign_in("ana", &s); /* from 127.0.0.1 */
	for (int i = 0; i < 40; i++)
		throttle_charge(THROTTLE_ADDRESS, STR("127.0.0.1"), loop_mono(place.loop));
	refuses(R("POST", "/api/session", .body = "{\"name\":\"bo\",\"password\":\"x\"}"), 429,
	        "Too many tries: wait 900 s");
	sign_in("ana", &s);
	for (int i = 0; i < 5; i++)
		assert_int_equal(ask(&wrong), 401);
	assert_int_equal(ask(&wrong), 429);
	for (int i = 0; i < 20; i++)
		throttle_charge(THROTTLE_KNOWN, STR("127.0.0.1 ana"), loop_mono(place.loop));
	refuses(&wrong, 429, "wait 30 s");
	clock_fake_advance(&fake, 30 * SECOND);
	sign_in("ana", &s);
}

/* ---- sessions ---- */

static void test_forgery(void **state)
{
	struct signed_in s;
	(void)state;
	make("ana", "administer");
	sign_in("ana", &s);
	const struct {
		const char *csrf, *origin, *site;
		unsigned status;
	} cases[] = {
		{ s.csrf, OWN, "same-origin", 200 },
		{ s.csrf, OWN, NULL, 200 },
		{ s.csrf, NULL, "same-origin", 200 },
		{ s.csrf, NULL, NULL, 403 },
		{ NULL, OWN, "same-origin", 403 },
		{ "", OWN, "same-origin", 403 },
		{ "0123456789abcdef", OWN, "same-origin", 403 },
		{ s.csrf, "https://evil.example", NULL, 403 },
		{ s.csrf, "http://localhost:8007", NULL, 403 },
		{ s.csrf, "https://localhost:8008", NULL, 403 },
		{ s.csrf, "https://localhost", NULL, 403 },
		{ s.csrf, "null", NULL, 403 },
		{ s.csrf, "", NULL, 403 },
		{ s.csrf, OWN, "cross-site", 403 },
		{ s.csrf, OWN, "same-site", 403 },
		{ s.csrf, NULL, "none", 403 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ask a = { "PUT", "/api/people/ana", .body = "{\"scope\":\"administer\"}",
			.cookie = s.cookie, .csrf = cases[i].csrf, .origin = cases[i].origin,
			.fetch_site = cases[i].site };
		unsigned status = ask(&a);
		if (status != cases[i].status)
			fail_msg("case %zu: %u, %u expected", i, status, cases[i].status);
	}
	/* Not even a look from elsewhere, and no sign-in on somebody's behalf. */
	assert_int_equal(
	        ask(R("GET", "/api/people", .cookie = s.cookie, .fetch_site = "cross-site")), 403);
	assert_int_equal(ask(R("POST", "/api/session",
	                         .body = "{\"name\":\"ana\",\"password\":\"" PASS "\"}",
	                         .origin = "https://evil.example")),
	        403);
}

static void test_expiry(void **state)
{
	struct signed_in s;
	(void)state;
	make("ana", "administer");
	sign_in("ana", &s);
	struct ask look = { "GET", "/api/account", .cookie = s.cookie };
	clock_fake_advance(&fake, SESSION_IDLE - MINUTE);
	assert_int_equal(ask(&look), 200);
	turns(5);
	clock_fake_advance(&fake, SESSION_IDLE - MINUTE);
	restart();
	assert_int_equal(ask(&look), 200);
	clock_fake_advance(&fake, SESSION_IDLE + SECOND);
	assert_int_equal(ask(&look), 401);
	sign_in("ana", &s);
	for (int64_t gone = 0; gone < SESSION_LIFE - HOUR; gone += 7 * HOUR) {
		assert_int_equal(ask(&look), 200);
		clock_fake_advance(&fake, 7 * HOUR);
	}
	assert_int_equal(ask(&look), 401);
}

static void test_revocation(void **state)
{
	struct signed_in one, two;
	char path[80];
	(void)state;
	make("ana", "administer");
	sign_in("ana", &one);
	sign_in("ana", &two);
	JSON_AUTO *json = ask_json(R("GET", "/api/account", .cookie = two.cookie), 200);
	const struct json *list = json_array(json, "sessions");
	assert_int_equal(json_count(list), 2);
	for (size_t i = 0; i < 2; i++) {
		bool current = true;
		json_bool(json_at(list, i), "current", &current);
		if (!current)
			snprintf(path, sizeof path, "/api/account/sessions/%.*s",
			        STR_ARG(json_text(json_at(list, i), "id")));
	}
	struct ask remove = with(&two, "DELETE", path);
	done(&remove);
	assert_int_equal(ask(R("GET", "/api/session", .cookie = one.cookie)), 401);
	assert_int_equal(ask(R("GET", "/api/session", .cookie = two.cookie)), 200);
	struct ask out = with(&two, "DELETE", "/api/session");
	done(&out);
	restart();
	assert_int_equal(ask(R("GET", "/api/session", .cookie = two.cookie)), 401);
}

static void test_password_change(void **state)
{
	struct signed_in one, two;
	(void)state;
	make("ana", "administer");
	sign_in("ana", &one);
	sign_in("ana", &two);
	struct ask put = with(&two, "PUT", "/api/account/password");
	put.body = "{\"current\":\"wrong\",\"new\":\"another password\"}";
	refuses(&put, 422, "\"field\":\"current\"");
	put.body = "{\"current\":\"" PASS "\",\"new\":\"short\"}";
	refuses(&put, 422, "at least 10 characters");
	put.body = "{\"current\":\"" PASS "\",\"new\":\"another password\"}";
	done(&put);
	assert_int_equal(ask(R("GET", "/api/session", .cookie = one.cookie)), 401);
	assert_int_equal(ask(R("GET", "/api/session", .cookie = two.cookie)), 200);
	assert_int_equal(ask(R("POST", "/api/session",
	                         .body = "{\"name\":\"ana\",\"password\":\"another password\"}")),
	        200);
}

/* ---- people, scopes, tokens ---- */

static void test_scopes(void **state)
{
	static const struct {
		const char *method, *path;
		unsigned read, operate, administer;
	} cases[] = {
		{ "GET", "/api/audit", 200, 200, 200 },
		{ "GET", "/api/people", 403, 403, 200 },
		{ "GET", "/api/tokens", 403, 403, 200 },
		{ "DELETE", "/api/people/nobody", 403, 403, 404 },
		{ "DELETE", "/api/tokens/none", 403, 403, 404 },
		{ "POST", "/api/admin/link", 403, 403, 403 },
		{ "POST", "/api/admin/password", 403, 403, 403 },
		{ "POST", "/api/reload", 403, 403, 0 },
	};
	static const char *const scopes[] = { "read", "operate", "administer" };
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct signed_in s;
		char name[16];
		snprintf(name, sizeof name, "p%zu", i);
		make(name, scopes[i]);
		sign_in(name, &s);
		for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
			unsigned wanted = i == 0   ? cases[k].read
			                  : i == 1 ? cases[k].operate
			                           : cases[k].administer;
			struct ask a = with(&s, cases[k].method, cases[k].path);
			if (wanted && ask(&a) != wanted)
				fail_msg("%s: %s %s", scopes[i], cases[k].method, cases[k].path);
		}
	}
	struct signed_in s;
	sign_in("p0", &s);
	struct ask a = with(&s, "DELETE", "/api/people/p1");
	refuses(&a, 403, "You can look, not change: your scope is read");
}

/* What was asked for before counts no more than what he may do when it is done. */
static void test_lowered_meanwhile(void **state)
{
	struct signed_in ana;
	struct client s;
	(void)state;
	make("root", "administer");
	make("ana", "administer");
	make("bo", "read");
	sign_in("ana", &ana);
	struct ask put = with(&ana, "PUT", "/api/people/bo");
	put.body = "{\"password\":\"another password\"}";
	begin(&s, &put);
	done(R("PUT", "/api/people/ana", .body = "{\"scope\":\"read\"}", .owner = true));
	wait_end(&s);
	assert_int_equal(s.status, 403);
	finish(&s);
	put = with(&ana, "PUT", "/api/account/password");
	put.body = "{\"current\":\"" PASS "\",\"new\":\"another password\"}";
	begin(&s, &put);
	done(R("DELETE", "/api/people/ana", .owner = true));
	wait_end(&s);
	assert_int_equal(s.status, 401);
	finish(&s);
	sign_in("bo", &ana); /* with the old one */
}

static void test_last_administrator(void **state)
{
	(void)state;
	make("ana", "administer");
	make("bo", "read");
	struct ask a = { "DELETE", "/api/people/ana", .owner = true };
	refuses(&a, 409, "last administrator");
	a = (struct ask){ "PUT", "/api/people/ana", .body = "{\"scope\":\"read\"}", .owner = true };
	refuses(&a, 409, "last administrator");
	a = (struct ask){ "PUT", "/api/people/bo", .body = "{\"scope\":\"administer\"}",
		.owner = true };
	done(&a);
	a = (struct ask){ "DELETE", "/api/people/ana", .owner = true };
	done(&a);
	refuses(&a, 404, "nobody named ana");
	restart();
	refuses(&a, 404, "nobody named ana");
}

static void test_removed_person(void **state)
{
	struct signed_in s;
	(void)state;
	make("ana", "administer");
	make("bo", "administer");
	sign_in("bo", &s);
	done(R("DELETE", "/api/people/bo", .owner = true));
	assert_int_equal(ask(R("GET", "/api/session", .cookie = s.cookie)), 401);
	make("bo", "read"); /* another one of that name does not get the session back */
	assert_int_equal(ask(R("GET", "/api/session", .cookie = s.cookie)), 401);
	restart();
	assert_int_equal(ask(R("GET", "/api/session", .cookie = s.cookie)), 401);
}

static void test_bad_people(void **state)
{
	static const struct {
		const char *body, *words;
	} cases[] = {
		{ "{}", "\"field\":\"name\"" },
		{ "{\"name\":\"a b\",\"password\":\"" PASS "\",\"scope\":\"read\"}", "no spaces" },
		{ "{\"name\":\"a/b\",\"password\":\"" PASS "\",\"scope\":\"read\"}",
		        "\"field\":\"name\"" },
		{ "{\"name\":\"bo\",\"password\":\"short\",\"scope\":\"read\"}", "at least 10" },
		{ "{\"name\":\"bobobobobo\",\"password\":\"BObobobobo\",\"scope\":\"read\"}",
		        "The password is the name" },
		{ "{\"name\":\"bo\",\"password\":\"" PASS "\",\"scope\":\"owner\"}",
		        "\"field\":\"scope\"" },
		{ "{\"name\":\"bo\",\"password\":\"" PASS "\",\"scope\":\"none\"}",
		        "\"field\":\"scope\"" },
	};
	(void)state;
	make("ana", "administer");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		refuses(R("POST", "/api/people", .body = cases[i].body, .owner = true), 422,
		        cases[i].words);
	static const char *const unseen[] = { "\u00a0", "\u00ad", "\u061c", "\u200b", "\u200f",
		"\u202e", "\u2066", "\u3164", "\ufeff", "\U000e0061" };
	for (size_t i = 0; i < sizeof unseen / sizeof *unseen; i++) {
		char body[160];
		snprintf(body, sizeof body,
		        "{\"name\":\"a%sna\",\"password\":\"" PASS "\",\"scope\":\"read\"}",
		        unseen[i]);
		refuses(R("POST", "/api/people", .body = body, .owner = true), 422, "no spaces");
		snprintf(body, sizeof body, "{\"name\":\"a%sna\",\"scope\":\"read\"}", unseen[i]);
		refuses(R("POST", "/api/tokens", .body = body, .owner = true), 422,
		        "\"field\":\"name\"");
	}
	make("\u00e4nne\u6f22\U0001f600", "read");
	refuses(R("POST", "/api/people",
	                .body = "{\"name\":\"ANA\",\"password\":\"" PASS "\",\"scope\":\"read\"}",
	                .owner = true),
	        409, "somebody named ana already");
}

static void make_token(const char *body, char ret_token[80], char ret_id[20])
{
	JSON_AUTO *json = ask_json(R("POST", "/api/tokens", .body = body, .owner = true), 201);
	snprintf(ret_token, 80, "%.*s", STR_ARG(json_text(json, "token")));
	snprintf(ret_id, 20, "%.*s", STR_ARG(json_text(json, "id")));
	assert_true(str_starts(str_c(ret_token), STR("API-")));
}

static void test_tokens(void **state)
{
	char token[80], id[20], short_lived[80], other[20], bearer[100], path[64];
	(void)state;
	make_token("{\"name\":\"deploy\",\"scope\":\"read\"}", token, id);
	make_token("{\"name\":\"week\",\"scope\":\"administer\",\"days\":7}", short_lived, other);
	snprintf(bearer, sizeof bearer, "Bearer %s", token);
	assert_int_equal(ask(R("GET", "/api/audit", .key = token)), 200);
	assert_int_equal(ask(R("GET", "/api/audit", .bearer = bearer)), 200);
	assert_int_equal(ask(R("GET", "/api/people", .key = token)), 403);
	assert_int_equal(ask(R("GET", "/api/people", .key = short_lived)), 200);
	assert_int_equal(ask(R("GET", "/api/account", .key = short_lived)), 403);
	refuses(R("GET", "/api/audit", .key = "API-FORGED"), 401,
	        "The API token is unknown, expired or removed.");
	/* It is shown once. */
	JSON_AUTO *json = ask_json(R("GET", "/api/tokens", .owner = true), 200);
	assert_null(strstr(buf_c(&last.body), token + 4));
	restart();
	assert_int_equal(ask(R("GET", "/api/audit", .key = token)), 200);
	clock_fake_advance(&fake, 8 * DAY);
	assert_int_equal(ask(R("GET", "/api/people", .key = short_lived)), 401);
	snprintf(path, sizeof path, "/api/tokens/%s", id);
	done(R("DELETE", path, .owner = true));
	assert_int_equal(ask(R("GET", "/api/audit", .key = token)), 401);
	refuses(R("POST", "/api/tokens", .body = "{\"name\":\"x\",\"scope\":\"owner\"}",
	                .owner = true),
	        422, "\"field\":\"scope\"");
	refuses(R("POST", "/api/tokens", .body = "{\"name\":\"x\",\"scope\":\"read\",\"days\":0}",
	                .owner = true),
	        422, "\"field\":\"days\"");
}

static void test_token_names(void **state)
{
	char token[80], id[20], named[80], other[20], body[80], path[64];
	(void)state;
	make_token("{\"name\":\"Deploy\",\"scope\":\"read\"}", token, id);
	snprintf(body, sizeof body, "{\"name\":\"%s\",\"scope\":\"read\"}", id);
	make_token(body, named, other);
	JSON_AUTO *json = ask_json(R("GET", "/api/tokens?search=dEPLOY", .owner = true), 200);
	assert_int_equal(json_count(json_array(json, "items")), 1);
	snprintf(path, sizeof path, "/api/tokens/%s", id);
	done(R("DELETE", path, .owner = true)); /* the id wins */
	assert_int_equal(ask(R("GET", "/api/audit", .key = token)), 401);
	assert_int_equal(ask(R("GET", "/api/audit", .key = named)), 200);
}

/* A token does not outlive what its maker may do; nor does one that such a token made. */
static void test_tokens_of_person(void **state)
{
	char keys[4][80], id[20];
	struct signed_in s;
	static const char *const bodies[] = { "{\"name\":\"a\",\"scope\":\"read\"}",
		"{\"name\":\"b\",\"scope\":\"administer\"}",
		"{\"name\":\"c\",\"scope\":\"operate\"}" };
	(void)state;
	make("ana", "administer");
	make("bo", "administer");
	sign_in("bo", &s);
	for (size_t i = 0; i < 3; i++) {
		struct ask post = with(&s, "POST", "/api/tokens");
		if (i == 2)
			post = (struct ask){ "POST", "/api/tokens", .key = keys[1] };
		post.body = bodies[i];
		JSON_AUTO *json = ask_json(&post, 201);
		snprintf(keys[i], 80, "%.*s", STR_ARG(json_text(json, "token")));
	}
	make_token("{\"name\":\"d\",\"scope\":\"administer\"}", keys[3], id);
	refuses(R("PUT", "/api/people/bo", .body = "{\"scope\":\"operate\"}", .owner = true), 200,
	        "\"tokens_removed\":1}");
	assert_int_equal(ask(R("GET", "/api/audit", .key = keys[0])), 200);
	assert_int_equal(ask(R("GET", "/api/audit", .key = keys[1])), 401);
	assert_int_equal(ask(R("GET", "/api/audit", .key = keys[2])), 200);
	refuses(R("DELETE", "/api/people/bo", .owner = true), 200, "\"tokens_removed\":2}");
	settle();
	restart();
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(ask(R("GET", "/api/audit", .key = keys[i])), i == 3 ? 200 : 401);
}

static void test_pace(void **state)
{
	struct pace p = { .most = 10 };
	int64_t now = 5; /* a clock that has just begun */
	(void)state;
	for (int i = 0; i < 10; i++)
		assert_int_equal(pace_take(&p, STR("ana"), now + i * SECOND), 0);
	now += 9 * SECOND;
	assert_int_equal(pace_take(&p, STR("ana"), now), 51);
	assert_int_equal(pace_take(&p, STR("bo"), now), 0); /* others are not held up */
	now += 51 * SECOND;
	assert_int_equal(pace_take(&p, STR("ana"), now), 0);
	assert_int_equal(pace_take(&p, STR("ana"), now), 1);
	assert_int_equal(p.by.count, 2);
	assert_int_equal(pace_take(&p, STR("cy"), now + MINUTE), 0);
	assert_int_equal(p.by.count, 1); /* the others are forgotten */
	pace_clear(&p);
}

/* What a crash leaves between a person's removal and that of his tokens, or between a lower scope
 * and the end of those that may do more: records without their maker. */
static void store_without(const char *kind, struct str id)
{
	struct record record;
	struct writing w = { 0 };
	ARENA_AUTO a = ARENA_INIT;
	if (!store_get(place.store, &a, str_c(kind), id, &record, &place.err))
		fail_msg("%s", place.err.text);
	store_tx_init(&w.tx);
	store_tx_delete(&w.tx, str_c(kind), id, record.version);
	start(&place, &w);
	writing_wait(&place, &w);
	assert_int_equal(w.err.code, 0);
}

static void scope_in_store(const char *name, const char *from, const char *to)
{
	struct record record;
	struct writing w = { 0 };
	ARENA_AUTO a = ARENA_INIT;
	BUF_AUTO value = BUF_INIT(64 << 10);
	assert_true(store_get(place.store, &a, STR("person"), str_c(name), &record, &place.err));
	const char *at = memmem(record.value.p, record.value.n, from, strlen(from));
	assert_non_null(at);
	buf_add(&value, str_head(record.value, (size_t)(at - record.value.p)));
	buf_add_c(&value, to);
	buf_add(&value, str_from(record.value, (size_t)(at - record.value.p) + strlen(from)));
	store_tx_init(&w.tx);
	store_tx_put(
	        &w.tx, STR("person"), str_c(name), record.version, buf_str(&value), record.blob);
	start(&place, &w);
	writing_wait(&place, &w);
	assert_int_equal(w.err.code, 0);
}

static void token_of_person(const struct signed_in *who, const char *scope, char ret_key[80])
{
	char body[80];
	struct ask post = with(who, "POST", "/api/tokens");
	snprintf(body, sizeof body, "{\"name\":\"t\",\"scope\":\"%s\"}", scope);
	post.body = body;
	JSON_AUTO *json = ask_json(&post, 201);
	snprintf(ret_key, 80, "%.*s", STR_ARG(json_text(json, "token")));
}

static void test_tokens_after_a_crash(void **state)
{
	char may_more[80], may_as_much[80], orphan[80], owners[80], id[20];
	struct signed_in ana, bo;
	(void)state;
	make("ana", "administer");
	make("bo", "administer");
	sign_in("ana", &ana);
	sign_in("bo", &bo);
	token_of_person(&ana, "administer", may_more);
	token_of_person(&ana, "operate", may_as_much);
	token_of_person(&bo, "read", orphan);
	make_token("{\"name\":\"d\",\"scope\":\"administer\"}", owners, id);
	settle();
	portal_close();
	scope_in_store("ana", "administer", "operate");
	store_without("person", STR("bo"));
	open_portal();
	for (int again = 0; again < 2; again++) {
		assert_int_equal(ask(R("GET", "/api/audit", .key = may_more)), 401);
		assert_int_equal(ask(R("GET", "/api/audit", .key = may_as_much)), 200);
		assert_int_equal(ask(R("GET", "/api/audit", .key = orphan)), 401);
		assert_int_equal(ask(R("GET", "/api/audit", .key = owners)), 200);
		settle();
		if (!again) /* another one of that name does not get them back */
			make("bo", "administer");
		restart();
	}
}

/* It keeps nobody from starting; nobody gets in by it, and the owner heals it. */
static void test_a_person_whose_record_is_damaged(void **state)
{
	struct signed_in s;
	(void)state;
	make("ana", "administer");
	make("bo", "administer");
	settle();
	portal_close();
	scope_in_store("ana", "\"scope\":", "\"scope\"");
	open_portal();
	assert_non_null(strstr(buf_c(&logged), "What is stored of ana cannot be read"));
	sign_in("bo", &s);
	for (const char *const *password = (const char *const[]){ "", PASS, NULL }; *password;
	        password++) {
		char body[80];
		snprintf(body, sizeof body, "{\"name\":\"ana\",\"password\":\"%s\"}", *password);
		assert_int_not_equal(
		        ask(R("POST", "/api/session", .body = body, .origin = OWN)), 200);
	}
	done(R("POST", "/api/admin/password",
	        .body = "{\"name\":\"ana\",\"password\":\"" PASS "\"}", .owner = true));
	restart();
	sign_in("ana", &s);
	struct ask get = with(&s, "GET", "/api/people");
	assert_int_equal(ask(&get), 403);
}

/* A token whose text nobody has got goes, and the audit has both. */
static void test_token_of_who_has_left(void **state)
{
	struct client s;
	(void)state;
	begin(&s, R("POST", "/api/tokens", .body = "{\"name\":\"x\",\"scope\":\"read\"}",
	                  .owner = true));
	assert_false(s.ended);
	s.ex.handling->ops->gone(s.ex.handling);
	finish(&s);
	settle();
	restart();
	JSON_AUTO *tokens = ask_json(R("GET", "/api/tokens", .owner = true), 200);
	assert_int_equal(json_count(json_array(tokens, "items")), 0);
	JSON_AUTO *audit = ask_json(R("GET", "/api/audit?subject=x", .owner = true), 200);
	assert_int_equal(json_count(json_array(audit, "items")), 2);
}

/* ---- setup links ---- */

static void make_link(char ret_token[64])
{
	JSON_AUTO *json = ask_json(R("POST", "/api/admin/link", .owner = true), 200);
	struct str link = json_text(json, "link"), start = STR("http://127.0.0.1:8007/#setup=");
	assert_true(str_starts(link, start));
	snprintf(ret_token, 64, "%.*s", STR_ARG(str_from(link, start.n)));
	assert_int_equal(strlen(ret_token), 43);
}

static void test_setup(void **state)
{
	char token[64], check[128], body[256];
	struct signed_in s;
	(void)state;
	make_link(token);
	snprintf(check, sizeof check, "{\"token\":\"%s\"}", token);
	done(R("POST", "/api/setup/check", .body = check));
	snprintf(body, sizeof body, "{\"token\":\"%s\",\"name\":\"ana\",\"password\":\"short\"}",
	        token);
	refuses(R("POST", "/api/setup", .body = body), 422, "\"field\":\"password\"");
	snprintf(body, sizeof body, "{\"token\":\"%s\",\"name\":\"ana\",\"password\":\"" PASS "\"}",
	        token);
	/* Two at once: one of them gets it. */
	struct client other;
	begin(&other, R("POST", "/api/setup", .body = body));
	refuses(R("POST", "/api/setup", .body = body), 410, "being used");
	wait_end(&other);
	assert_int_equal(other.status, 201);
	finish(&other);
	sign_in("ana", &s);
	refuses(R("POST", "/api/setup/check", .body = check), 410, "This link was used on ");
	restart();
	refuses(R("POST", "/api/setup", .body = body), 410,
	        "; make a new one there: `everseal admin link`");
	refuses(R("POST", "/api/setup/check", .body = "{\"token\":\"forged\"}"), 404, "not known");
	make_link(token);
	clock_fake_advance(&fake, LINK_LIFE);
	snprintf(check, sizeof check, "{\"token\":\"%s\"}", token);
	refuses(R("POST", "/api/setup/check", .body = check), 410, "expired on ");
	assert_null(strstr(buf_c(&logged), token));
}

/* ---- the second factor ---- */

static void test_codes(void **state)
{
	/* RFC 6238, appendix B, SHA-1, the last six digits. */
	static const struct {
		int64_t seconds;
		const char *code;
	} cases[] = { { 59, "287082" }, { 1111111109, "081804" }, { 1111111111, "050471" },
		{ 1234567890, "005924" }, { 2000000000, "279037" }, { 20000000000, "353130" } };
	struct str key = STR("12345678901234567890");
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char code[7];
		int64_t ms = cases[i].seconds * SECOND, step = 0;
		factor_code(key, cases[i].seconds / 30, code);
		assert_string_equal(code, cases[i].code);
		assert_true(factor_fits(key, str_c(code), ms + 30 * SECOND, &step));
		assert_false(factor_fits(key, str_c(code), ms, &step)); /* no code twice */
		step = 0;
		assert_true(factor_fits(key, str_c(code), ms - 30 * SECOND, &step));
		step = 0;
		assert_false(factor_fits(key, str_c(code), ms + 60 * SECOND, &step));
		assert_false(factor_fits(key, STR(""), ms, &step));
		assert_false(factor_fits(key, STR("28708"), ms, &step));
	}
}

static void code_now(char ret_body[160], const char *code)
{
	char fresh[7];
	struct person *p = person_find(STR("ana"));
	struct str key = secret_bytes(p->offered.n ? &p->offered : &p->factor);
	factor_code(key, fake.wall_now / SECOND / 30, fresh);
	snprintf(ret_body, 160, "{\"name\":\"ana\",\"password\":\"" PASS "\",\"code\":\"%s\"}",
	        code ? code : fresh);
}

static void test_factor(void **state)
{
	struct signed_in s;
	char body[160], recovery[32];
	(void)state;
	make("ana", "administer");
	sign_in("ana", &s);
	struct ask a = with(&s, "POST", "/api/account/second-factor");
	a.body = "{\"password\":\"wrong\"}";
	refuses(&a, 422, "\"field\":\"password\"");
	a.body = "{\"password\":\"" PASS "\"}";
	JSON_AUTO *offer = ask_json(&a, 200);
	assert_int_equal(json_text(offer, "key").n, 32);
	assert_true(str_starts(json_text(offer, "uri"), STR("otpauth://totp/Everseal")));
	assert_true(str_starts(json_text(offer, "svg_path"), STR("M4 4h7v1h-7z")));
	char key[40];
	snprintf(key, sizeof key, "%.*s", STR_ARG(json_text(offer, "key")));
	a = with(&s, "PUT", "/api/account/second-factor");
	a.body = "{\"code\":\"000000\"}";
	refuses(&a, 422, "\"field\":\"code\"");
	code_now(body, NULL);
	a.body = body;
	JSON_AUTO *codes = ask_json(&a, 200);
	assert_int_equal(json_count(json_array(codes, "recovery_codes")), RECOVERY_CODES);
	snprintf(recovery, sizeof recovery, "%.*s",
	        STR_ARG(json_value_text(json_at(json_array(codes, "recovery_codes"), 3))));

	struct ask in = { "POST", "/api/session", .body = body };
	refuses(&in, 401, "\"code_needed\":true"); /* the code that switched it on, once more */
	clock_fake_advance(&fake, 30 * SECOND);
	code_now(body, NULL);
	restart(); /* the key is unsealed again */
	assert_int_equal(ask(&in), 200);
	assert_int_equal(ask(&in), 401); /* replayed */
	restart();
	assert_int_equal(ask(&in), 401); /* and by another process */
	in.body = "{\"name\":\"ana\",\"password\":\"" PASS "\"}";
	refuses(&in, 401, "\"code_needed\":true");
	code_now(body, recovery);
	in.body = body;
	clock_fake_advance(&fake, HOUR);
	assert_int_equal(ask(&in), 200);
	assert_int_equal(ask(&in), 401); /* each works once */
	assert_null(strstr(buf_c(&logged), key));
	/* The machine's owner opens the way for somebody whose phone is gone. */
	done(R("POST", "/api/admin/password",
	        .body = "{\"name\":\"ana\",\"password\":\"" PASS "\"}", .owner = true));
	sign_in("ana", &s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nobody),
		TEST(test_cookie),
		TEST(test_planted_cookies),
		TEST(test_rotation),
		TEST(test_wrong),
		TEST(test_flood),
		TEST(test_queue),
		TEST(test_queue_of_the_known),
		TEST(test_throttle),
		TEST(test_known_address),
		TEST(test_shared_address),
		TEST(test_forgery),
		TEST(test_expiry),
		TEST(test_revocation),
		TEST(test_password_change),
		TEST(test_scopes),
		TEST(test_lowered_meanwhile),
		TEST(test_last_administrator),
		TEST(test_removed_person),
		TEST(test_bad_people),
		TEST(test_tokens),
		TEST(test_token_names),
		TEST(test_tokens_of_person),
		TEST(test_tokens_after_a_crash),
		TEST(test_a_person_whose_record_is_damaged),
		TEST(test_token_of_who_has_left),
		TEST(test_pace),
		TEST(test_setup),
		TEST(test_codes),
		TEST(test_factor),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	finish(&last);
	return failed;
}
