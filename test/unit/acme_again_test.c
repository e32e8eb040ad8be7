/* What is tried again within an attempt: a download that brought no certificate, an answer that met
 * another one, a proof that could not be placed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "acme/flow.h"
#include "base/clock.h"

#define CA  "https://ca.test"
#define URN "urn:ietf:params:acme:error:"
static const int64_t now = INT64_C(1795500000000);
static const struct challenge_choice ways = {
	{ CHALLENGE_DNS_01, CHALLENGE_HTTP_01, CHALLENGE_TLS_ALPN_01 }, 3
};

/* Two names whose order is there, before a step. */
static struct flow *flow_at(enum acme_step step)
{
	static const struct str names[] = { STR_INIT("a.test"), STR_INIT("b.test") };
	const struct challenge_choice choices[] = { ways, ways };
	struct err err = ERR_INIT;
	const struct flow_want want = { .directory_url = STR(CA "/directory"),
		.names = names,
		.name_count = 2,
		.choices = choices,
		.now = now };
	struct flow *f = flow_new(&want, &err);
	assert_non_null(f);
	f->account = STR(CA "/account/1");
	f->order = STR(CA "/order/1");
	f->certificate = STR(CA "/certificate/1");
	f->names[0].authz = STR(CA "/authz/1");
	f->names[1].authz = STR(CA "/authz/2");
	const struct next there = { .what = FLOW_GO, .step = step };
	flow_take(f, &there);
	return f;
}

static struct next hear_wait(struct flow *f, unsigned status, const char *body, int64_t wait)
{
	const struct acme_reply r = { .status = status,
		.body = str_c(body),
		.nonce = STR("fresh"),
		.retry_after = wait,
		.now = now };
	if (f->nonce.n == 0)
		buf_add_c(&f->nonce, "nonce");
	flow_ask(f);
	const struct next n = flow_heard(f, &r);
	flow_take(f, &n);
	return n;
}

static struct next hear(struct flow *f, unsigned status, const char *body)
{
	return hear_wait(f, status, body, -1);
}

static void assert_go(struct next n, enum acme_step step, size_t at)
{
	if (n.what != FLOW_GO || n.step != step || n.at != at)
		fail_msg("want %s %zu, got %d %s %zu: %s", acme_step_name(step), at, (int)n.what,
		        acme_step_name(n.step), n.at, n.err.text);
}

static void assert_fail(struct next n, const char *text)
{
	if (n.what != FLOW_FAIL || !strstr(n.err.text, text))
		fail_msg("want \"%s\", got %d \"%s\"", text, (int)n.what, n.err.text);
}

#define FLOW_AUTO __attribute__((cleanup(flow_free))) struct flow

/* Saved and loaded, as if the process had ended without notice. */
static void reload(struct flow **f)
{
	BUF_AUTO saved = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;
	flow_save(*f, &saved);
	flow_free(f);
	*f = flow_load(buf_str(&saved), &err);
	assert_non_null(*f);
}

/* Downloads */

#define PEM "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"

static const struct {
	unsigned status;
	const char *body, *sentence;
} none[] = {
	{ 200, "<html>Busy</html>",
	        "ca.test said that the certificate is ready, but " CA
	        "/certificate/1 gave a web page (HTML) instead of PEM. Try again; if it comes "
	        "back, ask the CA or choose another issuer." },
	{ 200, "", "gave nothing instead of PEM. " },
	{ 200, "-----BEGIN CERTIFICATE-----\nAAAA\n",
	        CA "/certificate/1 gave what cannot be used: Certificate 1 of the chain cannot be "
	           "read: its PEM is broken or cut off. " },
	{ 200, PEM "-----BEGIN CERTIFICATE-----\nAA",
	        "gave what cannot be used: Certificate 2 of the chain cannot be read" },
	{ 200, "-----BEGIN CERTIFICATE-----\n<b>\n-----END CERTIFICATE-----\n",
	        "gave what cannot be used: Certificate 1" },
	{ 302, "", "answered about the certificate with HTTP 302 and nothing" },
	{ 404, "{\"type\":\"" URN "malformed\",\"detail\":\"Not found\"}",
	        "refused the certificate: Not found" },
};

static void a_download_that_brings_none_is_tried_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		FLOW_AUTO *f = flow_at(ACME_STEP_download);
		for (int64_t wait = SECOND; wait <= 16 * SECOND; wait *= 2) {
			const struct next n = hear(f, none[i].status, none[i].body);
			assert_go(n, ACME_STEP_download, 0);
			assert_int_equal(n.after, wait);
			assert_true(n.ca_at_fault);
			assert_string_equal(f->waiting_for.p,
			        "the CA does not give the certificate that it has made");
			reload(&f);
		}
		assert_fail(hear(f, none[i].status, none[i].body), none[i].sentence);
	}
}

static void once_it_is_there_it_is_taken(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_at(ACME_STEP_download);
	assert_go(hear(f, 200, "<html>"), ACME_STEP_download, 0);
	const struct acme_ask ask = flow_ask(f);
	assert_true(str_eq_c(ask.url, CA "/certificate/1"));
	assert_int_equal(hear(f, 200, PEM).what, FLOW_DONE);
	assert_true(str_eq_c(f->chain, PEM));
}

/* What the CA asks to wait for is no download that failed. */
static void a_limit_at_the_download_ends_it(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_at(ACME_STEP_download);
	assert_fail(hear(f, 429, "{\"type\":\"" URN "rateLimited\",\"detail\":\"Too many\"}"),
	        "A limit of ca.test is reached");
}

/* A wait of no time says nothing; one that we would take ourselves is not the CA's. */
static void what_a_ca_asks_to_wait_counts(void **state)
{
	(void)state;
	static const char limit[] = "{\"type\":\"" URN "rateLimited\",\"detail\":\"Too many\"}";
	FLOW_AUTO *f = flow_at(ACME_STEP_await);
	assert_fail(hear_wait(f, 429, limit, 0), "A limit of ca.test is reached: Too many");
	assert_go(hear_wait(f, 429, limit, 1), ACME_STEP_await, 0);
	assert_fail(hear_wait(f, 400, limit, DAY), "Z: Too many (rateLimited). Nothing to do");
	FLOW_AUTO *early = flow_at(ACME_STEP_await);
	early->order = STR_NONE;
	for (unsigned i = 0; i < 4; i++)
		assert_go(hear_wait(early, 400, limit, 1), ACME_STEP_await, 0);
	assert_fail(hear_wait(early, 400, limit, 1),
	        "ca.test does not answer: HTTP 400, Too many (rateLimited). It is tried again.");
	FLOW_AUTO *polled = flow_at(ACME_STEP_await);
	assert_int_equal(hear_wait(polled, 200, "{\"status\":\"processing\"}", 50).after, 50);
	assert_int_equal(polled->deadline, now + 10 * MINUTE);
	assert_int_equal(hear_wait(polled, 200, "{\"status\":\"processing\"}", 76).after, 76);
	assert_int_equal(polled->deadline, now + 10 * MINUTE + 76);
}

/* Challenges */

#define PENDING(number, status)                                                                    \
	"{\"status\":\"pending\",\"challenges\":[{\"type\":\"http-01\",\"status\":\"" status       \
	"\",\"token\":\"0123456789abcdef\",\"url\":\"" CA "/challenge/" number "\"}]}"
#define CONFLICT "{\"type\":\"" URN "conflict\",\"detail\":\"It is being worked on\"}"

/* Both authorizations are read; the first challenge is to be answered. */
static struct flow *to_answer(void)
{
	struct flow *f = flow_at(ACME_STEP_authz);
	assert_go(hear(f, 200, PENDING("1", "pending")), ACME_STEP_authz, 1);
	assert_go(hear(f, 200, PENDING("2", "pending")), ACME_STEP_answer, 0);
	assert_int_equal(flow_ask(f).effect, ACME_PUBLISH);
	const struct next n = flow_did(f, NULL);
	assert_go(n, ACME_STEP_answer, 0);
	return f;
}

static void who_is_being_looked_at_is_asked_again(void **state)
{
	(void)state;
	FLOW_AUTO *f = to_answer();
	const struct next n = hear(f, 409, CONFLICT);
	assert_go(n, ACME_STEP_authz, 0);
	assert_true(n.after > 0);
	assert_string_equal(f->waiting_for.p, "the CA is looking at the proof already");
	assert_go(hear(f, 200, PENDING("1", "processing")), ACME_STEP_answer, 1);
	assert_true(f->names[0].answered);
	/* The second: nobody has heard it, so it is said again. */
	assert_go(hear(f, 409, CONFLICT), ACME_STEP_authz, 1);
	reload(&f);
	assert_go(hear(f, 200, PENDING("2", "pending")), ACME_STEP_answer, 1);
	assert_go(hear(f, 200, "{}"), ACME_STEP_await, 0);
}

/* What its authorization says of the challenge is believed. */
static void a_challenge_that_was_heard_is_not_answered_again(void **state)
{
	(void)state;
	static const struct {
		const char *authz;
		bool answered;
	} cases[] = { { PENDING("1", "pending"), false }, { PENDING("1", "processing"), true },
		{ PENDING("1", "valid"), true } };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		FLOW_AUTO *f = flow_at(ACME_STEP_authz);
		assert_go(hear(f, 200, cases[i].authz), ACME_STEP_authz, 1);
		assert_int_equal(f->names[0].answered, cases[i].answered);
		assert_fail(hear(f, 200, PENDING("2", "invalid")),
		        "calls the authorization of b.test pending and does not say why");
	}
}

static void what_it_found_meanwhile_counts(void **state)
{
	(void)state;
	FLOW_AUTO *f = to_answer();
	assert_go(hear(f, 409, CONFLICT), ACME_STEP_authz, 0);
	assert_go(hear(f, 200, "{\"status\":\"valid\"}"), ACME_STEP_answer, 1);
	assert_true(f->names[0].valid);
	assert_go(hear(f, 409, CONFLICT), ACME_STEP_authz, 1);
	assert_fail(hear(f, 200, "{\"status\":\"invalid\"}"),
	        "calls the authorization of b.test invalid");
}

/* It reads "pending" for as long as it is looked at, with some CAs. */
static void who_is_always_being_looked_at_counts_as_answered(void **state)
{
	(void)state;
	FLOW_AUTO *f = to_answer();
	int64_t waited = 0;
	for (unsigned i = 1; i < 5; i++) {
		const struct next n = hear(f, 409, CONFLICT);
		assert_go(n, ACME_STEP_authz, 0);
		waited += n.after;
		reload(&f);
		assert_go(hear(f, 200, PENDING("1", "pending")), ACME_STEP_answer, 0);
	}
	assert_true(waited >= 400);
	f->names[0].published = f->names[1].published = true;
	assert_go(hear(f, 409, CONFLICT), ACME_STEP_answer, 1);
	assert_true(f->names[0].answered);
}

/* Proofs that could not be placed */

#define OFFER(type, number)                                                                        \
	"{\"type\":\"" type "\",\"status\":\"pending\",\"token\":\"" type                          \
	"-token-0123456789\",\"url\":\"" CA "/challenge/" number "\"}"

static void the_next_type_of_the_same_order_is_tried(void **state)
{
	(void)state;
	static const char both[] = "{\"status\":\"pending\",\"challenges\":[" OFFER(
	        "tls-alpn-01", "1") "," OFFER("dns-01", "2") "]}";
	struct err refused = ERR_INIT, other = ERR_INIT;
	FLOW_AUTO *f = flow_at(ACME_STEP_authz);
	err_set(&refused, ERR_REFUSED, "The name server refused the update.");
	err_set(&other, ERR_IO, "There is no listener.");
	hear(f, 200, both);
	assert_go(hear(f, 200, both), ACME_STEP_answer, 0);
	assert_int_equal(f->names[1].type, CHALLENGE_DNS_01);
	reload(&f);
	assert_int_equal(flow_ask(f).effect, ACME_PUBLISH);
	const struct next n = flow_unplaced(f, 1, &refused);
	assert_go(n, ACME_STEP_authz, 1);
	assert_true(n.unplaced && !n.other_type);
	assert_string_equal(n.err.text, "The name server refused the update.");
	assert_string_equal(f->note.p, "The proof of b.test by dns-01 could not be put in place, "
	                               "tls-alpn-01 is tried.");
	assert_false(flow_name_to_place(&f->names[1]));
	flow_take(f, &n);
	reload(&f);
	assert_go(hear(f, 200, both), ACME_STEP_answer, 0);
	assert_int_equal(f->names[0].type, CHALLENGE_DNS_01);
	assert_int_equal(f->names[1].type, CHALLENGE_TLS_ALPN_01);
	assert_true(str_eq_c(f->names[1].token, "tls-alpn-01-token-0123456789"));
	assert_true(str_eq_c(f->order, CA "/order/1"));
	/* http-01 is among its types, but not offered. */
	assert_int_equal(flow_ask(f).effect, ACME_PUBLISH);
	assert_fail(flow_unplaced(f, 1, &other), "There is no listener.");
}

/* What an authorization offered before counts no more. */
static void a_type_that_is_offered_no_more_is_not_tried(void **state)
{
	(void)state;
	static const char all[] = "{\"status\":\"pending\",\"challenges\":[" OFFER(
	        "tls-alpn-01", "1") "," OFFER("dns-01", "2") "," OFFER("http-01", "3") "]}";
	static const char one[] =
	        "{\"status\":\"pending\",\"challenges\":[" OFFER("tls-alpn-01", "1") "]}";
	struct err why = ERR_INIT;
	FLOW_AUTO *f = flow_at(ACME_STEP_authz);
	err_set(&why, ERR_IO, "There is no listener.");
	hear(f, 200, all);
	assert_go(hear(f, 200, all), ACME_STEP_answer, 0);
	const struct next n = flow_unplaced(f, 1, &why);
	flow_take(f, &n);
	assert_go(hear(f, 200, one), ACME_STEP_answer, 0);
	assert_int_equal(f->names[1].type, CHALLENGE_TLS_ALPN_01);
	assert_fail(flow_unplaced(f, 1, &why), "There is no listener.");
}

/* Its token may be the same. */
static void a_proof_by_another_type_is_placed_anew(void **state)
{
	(void)state;
	FLOW_AUTO *f = to_answer();
	assert_true(f->names[0].published);
	assert_go(hear(f, 409, CONFLICT), ACME_STEP_authz, 0);
	assert_go(hear(f, 200,
	                  "{\"status\":\"pending\",\"challenges\":[{\"type\":\"tls-alpn-01\","
	                  "\"token\":\"0123456789abcdef\",\"url\":\"" CA "/challenge/1\"}]}"),
	        ACME_STEP_answer, 0);
	assert_int_equal(f->names[0].type, CHALLENGE_TLS_ALPN_01);
	assert_false(f->names[0].published);
	assert_int_equal(flow_ask(f).effect, ACME_PUBLISH);
}

/* What the order said of it is not forgotten over an authorization that says nothing. */
static void the_reason_of_the_order_stands(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_at(ACME_STEP_await);
	assert_go(hear(f, 200,
	                  "{\"status\":\"invalid\",\"error\":{\"type\":\"" URN
	                  "unauthorized\",\"detail\":\"Not for you\"}}"),
	        ACME_STEP_authz, 0);
	assert_fail(hear(f, 200, "{\"status\":\"deactivated\"}"), "Not for you (unauthorized)");
}

static void where_the_ca_looked_is_told(void **state)
{
	(void)state;
	static const struct {
		enum challenge_type type;
		const char *place;
	} cases[] = {
		{ CHALLENGE_DNS_01, "It asked for the TXT record of _acme-challenge.a.test and" },
		{ CHALLENGE_DNS_PERSIST_01,
		        "It asked for the TXT record of _validation-persist.a.test and" },
		{ CHALLENGE_TLS_ALPN_01, "It asked a.test on port 443 (acme-tls/1) and" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		FLOW_AUTO *f = flow_at(ACME_STEP_authz);
		char body[1000];
		f->names[0].type = cases[i].type;
		snprintf(body, sizeof body,
		        "{\"status\":\"invalid\",\"challenges\":[{\"type\":\"%s\",\"error\":"
		        "{\"type\":\"" URN "caa\",\"detail\":\"Not so\"}}]}",
		        challenge_type_name(cases[i].type));
		assert_fail(hear(f, 200, body), cases[i].place);
	}
}

/* Which may be others than those that everybody knows. */
static void the_ports_are_those_that_the_ca_asks_on(void **state)
{
	(void)state;
	static const struct {
		enum challenge_type type;
		const char *name, *problem, *place, *advice;
	} cases[] = {
		{ CHALLENGE_HTTP_01, "a.test", "connection",
		        "It asked http://a.test:5002/.well-known/acme-challenge/",
		        "Open port 5002 in the firewall or forward it here; " },
		{ CHALLENGE_HTTP_01, "a.test", "tls", "http://a.test:5002/",
		        "HTTPS that does not work: answer challenges on port 5002." },
		{ CHALLENGE_HTTP_01, "192.0.2.7", "unauthorized", "http://192.0.2.7:5002/",
		        "forward its ports 5002 and 5001 here." },
		{ CHALLENGE_TLS_ALPN_01, "a.test", "connection",
		        "It asked a.test on port 5001 (acme-tls/1) and",
		        "Open port 5001 in the firewall or forward it here; " },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		FLOW_AUTO *f = flow_at(ACME_STEP_authz);
		BUF_AUTO saved = BUF(64 << 10);
		char body[1000];
		assert_int_equal(f->http_port, 80);
		assert_int_equal(f->https_port, 443);
		f->http_port = 5002;
		f->https_port = 5001;
		flow_save(f, &saved);
		FLOW_AUTO *loaded = flow_load(buf_str(&saved), &err);
		assert_int_equal(loaded->http_port, 5002);
		assert_int_equal(loaded->https_port, 5001);
		f->names[0].type = cases[i].type;
		f->names[0].name = str_c(cases[i].name);
		f->names[0].choice.count = 0;
		snprintf(body, sizeof body,
		        "{\"status\":\"invalid\",\"challenges\":[{\"type\":\"%s\",\"error\":"
		        "{\"type\":\"" URN "%s\",\"detail\":\"Not so\"}}]}",
		        challenge_type_name(cases[i].type), cases[i].problem);
		const struct next n = hear(f, 200, body);
		if (!strstr(n.err.text, cases[i].place) || !strstr(n.err.text, cases[i].advice))
			fail_msg("%zu: %s", i, n.err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_download_that_brings_none_is_tried_again),
		cmocka_unit_test(once_it_is_there_it_is_taken),
		cmocka_unit_test(a_limit_at_the_download_ends_it),
		cmocka_unit_test(who_is_being_looked_at_is_asked_again),
		cmocka_unit_test(what_it_found_meanwhile_counts),
		cmocka_unit_test(what_a_ca_asks_to_wait_counts),
		cmocka_unit_test(a_challenge_that_was_heard_is_not_answered_again),
		cmocka_unit_test(who_is_always_being_looked_at_counts_as_answered),
		cmocka_unit_test(the_next_type_of_the_same_order_is_tried),
		cmocka_unit_test(a_type_that_is_offered_no_more_is_not_tried),
		cmocka_unit_test(a_proof_by_another_type_is_placed_anew),
		cmocka_unit_test(the_reason_of_the_order_stands),
		cmocka_unit_test(where_the_ca_looked_is_told),
		cmocka_unit_test(the_ports_are_those_that_the_ca_asks_on),
	};
	return cmocka_run_group_tests_name("acme_again", tests, NULL, NULL);
}
