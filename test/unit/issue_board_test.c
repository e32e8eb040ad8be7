/* The board: tokens that every serve knows before the CA is told. */
#include "issue_place.h"

#include "base/clock.h"
#include "issue/alpn01.h"

static struct place place;

static int setup(void **state)
{
	(void)state;
	place_init(&place);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	place_done(&place);
	return 0;
}

struct told {
	struct notice notice;
	unsigned told;
};

static void told(struct notice *n)
{
	OWNER(n, struct told, notice)->told++;
}

static void publish(struct told *t, const char *token)
{
	t->told = 0;
	board_publish(place.board, &t->notice,
	        &(struct notice_text){ .token = str_c(token),
	                .thumbprint = STR("thumbprint"),
	                .name = STR("a.example.com") },
	        told);
	assert_int_equal(t->told, 0);
}

static void a_token_is_published_when_every_serve_says_so(void **state)
{
	(void)state;
	struct told t = { 0 }, u = { 0 };
	serve_attach(&place, 1);
	place.serves[1].mute = true;
	publish(&t, "token-one");
	publish(&u, "token-two");
	run_for(&place, 100);
	assert_int_equal(t.told + u.told, 0);
	assert_string_equal(place.serves[0].tokens[0], "token-one thumbprint a.example.com");
	assert_int_equal(serve_tokens(&place.serves[0]), 2);
	assert_int_equal(serve_tokens(&place.serves[1]), 2);
	link_send(&place.serves[1].theirs, challenge_ready, .token = STR("token-one"));
	link_send(&place.serves[1].theirs, challenge_ready, .token = STR("token-unknown"));
	run_for(&place, 100);
	assert_int_equal(t.told, 1);
	assert_int_equal(u.told, 0);
	board_heard_ready(place.board, &place.serves[2].ours, STR("token-two")); /* a stranger */
	run_for(&place, 100);
	assert_int_equal(u.told, 0);
	serve_detach(&place, 1); /* those that are left answer it */
	run_for(&place, 100);
	assert_int_equal(t.told, 1);
	assert_int_equal(u.told, 1);
	board_detach(place.board, &place.serves[2].ours);
	board_withdraw(&t.notice);
	board_withdraw(&t.notice);
	run_for(&place, 100);
	assert_string_equal(place.serves[0].tokens[0], "");
	assert_int_equal(serve_tokens(&place.serves[0]), 1);
	board_withdraw(&u.notice);
}

static void without_a_serve_nobody_answers(void **state)
{
	(void)state;
	struct told t = { 0 };
	serve_detach(&place, 0);
	publish(&t, "token");
	run_for(&place, 100);
	assert_int_equal(t.told, 0);
	serve_attach(&place, 1); /* it gets the table */
	run_for(&place, 100);
	assert_int_equal(t.told, 1);
	assert_int_equal(serve_tokens(&place.serves[1]), 1);
	serve_attach(&place, 2);
	run_for(&place, 100);
	assert_int_equal(t.told, 1);
	assert_int_equal(serve_tokens(&place.serves[2]), 1);
	/* A serve that comes in the place of another has to say it itself. */
	struct told u = { 0 };
	serve_detach(&place, 1);
	serve_attach(&place, 1);
	place.serves[2].mute = true;
	run_for(&place, 100);
	publish(&u, "token-two");
	run_for(&place, 100);
	assert_int_equal(u.told, 0);
	link_send(&place.serves[2].theirs, challenge_ready, .token = STR("token-two"));
	run_for(&place, 100);
	assert_int_equal(u.told, 1);
	board_withdraw(&t.notice);
	board_withdraw(&u.notice);
	run_for(&place, 100);
	assert_int_equal(serve_tokens(&place.serves[1]), 0);
	assert_int_equal(serve_tokens(&place.serves[2]), 0);
}

static void a_token_stands_until_the_last_withdraws_it(void **state)
{
	(void)state;
	struct told t = { 0 }, u = { 0 }, w = { 0 };
	publish(&t, "token");
	run_for(&place, 100);
	publish(&u, "token"); /* it stands there already */
	run_for(&place, 100);
	assert_int_equal(t.told, 1);
	assert_int_equal(u.told, 1);
	assert_int_equal(serve_tokens(&place.serves[0]), 1);
	board_withdraw(&t.notice);
	run_for(&place, 100);
	assert_int_equal(serve_tokens(&place.serves[0]), 1);
	publish(&w, "token");
	board_withdraw(&w.notice); /* before it is told */
	run_for(&place, 100);
	assert_int_equal(w.told, 0);
	serve_attach(&place, 1); /* only the second of two is left */
	serve_detach(&place, 0);
	publish(&w, "another");
	run_for(&place, 100);
	assert_int_equal(w.told, 1);
	board_withdraw(&w.notice);
	serve_attach(&place, 0);
	run_for(&place, 100);
	board_withdraw(&u.notice);
	run_for(&place, 100);
	assert_int_equal(serve_tokens(&place.serves[0]), 0);
}

/* By TLS */

struct proof {
	struct proving proving;
	unsigned ready, failed;
	char seen[64];
};

static void is_ready(struct proving *p, const struct err *err)
{
	struct proof *proof = OWNER(p, struct proof, proving);
	proof->ready += !err;
	proof->failed += err != NULL;
}

static void is_seen(struct proving *p, struct str client)
{
	struct proof *proof = OWNER(p, struct proof, proving);
	snprintf(proof->seen, sizeof proof->seen, "%.*s", STR_ARG(client));
}

static void prove(struct prover *by, struct proof *p, const char *name)
{
	*p = (struct proof){ .proving = { .ready = is_ready, .seen = is_seen } };
	const struct proof_text text = { .type = CHALLENGE_TLS_ALPN_01,
		.name = str_c(name),
		.token = STR("token"),
		.thumbprint = STR("thumbprint") };
	prover_place(by, &p->proving, &text);
	assert_int_equal(p->ready + p->failed, 0);
}

static void a_certificate_is_shown_once_every_serve_has_it(void **state)
{
	(void)state;
	struct prover *by = alpn01_new(place.loop, place.board, NULL);
	struct err err = ERR_INIT;
	struct told http = { 0 };
	struct proof p;
	assert_true(prover_can(by, STR("a.example.com"), &err));
	serve_attach(&place, 1);
	place.serves[1].mute = true;
	publish(&http, "token"); /* a CA may give the same one for both */
	prove(by, &p, "a.example.com");
	run_for(&place, 100);
	assert_int_equal(p.ready, 0);
	assert_string_equal(
	        place.serves[0].tokens[1], "tls-alpn-01:token certificate a.example.com");
	serve_attach(&place, 2); /* it gets the table */
	run_for(&place, 100);
	assert_int_equal(serve_tokens(&place.serves[2]), 2);
	link_send(&place.serves[1].theirs, challenge_ready, .token = STR("tls-alpn-01:token"));
	run_for(&place, 100);
	assert_int_equal(p.ready, 1);
	assert_int_equal(http.told, 0);
	board_heard_seen(place.board, STR("tls-alpn-01:token"), STR("192.0.2.1"));
	assert_string_equal(p.seen, "192.0.2.1");
	prover_withdraw(&p.proving, /* valid= */ true);
	prover_withdraw(&p.proving, /* valid= */ true);
	run_for(&place, 100);
	assert_int_equal(serve_tokens(&place.serves[0]), 1);
	board_withdraw(&http.notice);
	alpn01_free(&by);
	alpn01_free(&by);
}

static void a_name_that_no_certificate_can_have_fails(void **state)
{
	(void)state;
	struct prover *by = alpn01_new(place.loop, place.board, NULL);
	struct proof p, aborted;
	prove(by, &aborted, "");
	prover_withdraw(&aborted.proving, /* valid= */ false);
	prove(by, &p, "");
	run_for(&place, 100);
	assert_int_equal(p.failed, 1);
	assert_int_equal(aborted.failed, 0);
	prover_withdraw(&p.proving, /* valid= */ false);
	alpn01_free(&by);
}

static bool closed(struct approach *a, struct err *ret_why_not)
{
	(void)a;
	return err_set(ret_why_not, ERR_BUSY, "Port 443 is held by nginx.");
}

static void what_is_in_the_way_is_told(void **state)
{
	(void)state;
	struct approach approach = { .open = closed };
	struct prover *by_tls = alpn01_new(place.loop, place.board, &approach);
	struct prover *by_http = http01_new(place.board, &approach);
	struct prover *both[] = { by_tls, by_http };
	for (size_t i = 0; i < 2; i++) {
		struct err err = ERR_INIT;
		assert_false(prover_can(both[i], STR("a.example.com"), &err));
		assert_string_equal(err.text, "Port 443 is held by nginx.");
	}
	alpn01_free(&by_tls);
	http01_free(&by_http);
}

/* Whose clock differs from ours finds it valid, too. */
static void the_certificate_of_a_proof_is_valid_for_days_around(void **state)
{
	(void)state;
	struct prover *by = alpn01_new(place.loop, place.board, NULL);
	const int64_t now = loop_wall(place.loop) / 1000 * 1000;
	struct proof p;
	prove(by, &p, "a.example.com");
	turn_until(&place, p.ready);
	assert_int_equal(place.serves[0].not_before, now - DAY);
	assert_int_equal(place.serves[0].not_after, now + 7 * DAY);
	assert_false(p.proving.lapsed);
	serve_detach(&place, 0); /* nobody shows it any more */
	assert_true(p.proving.lapsed);
	prover_withdraw(&p.proving, /* valid= */ true);
	alpn01_free(&by);
}

/* RFC 8738 6, RFC 3596 2.5 */
static void an_address_is_asked_for_by_its_reverse_name(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{ "a.example.com", "a.example.com" },
		{ "192.0.2.34", "34.2.0.192.in-addr.arpa" },
		{ "2001:db8::567:89ab", "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0."
		                        "0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		BUF_AUTO name = BUF(200);
		alpn01_server_name(str_c(cases[i][0]), &name);
		assert_string_equal(buf_c(&name), cases[i][1]);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_token_is_published_when_every_serve_says_so),
		T(without_a_serve_nobody_answers),
		T(a_token_stands_until_the_last_withdraws_it),
		T(a_certificate_is_shown_once_every_serve_has_it),
		T(a_name_that_no_certificate_can_have_fails),
		T(the_certificate_of_a_proof_is_valid_for_days_around),
		T(what_is_in_the_way_is_told),
		T(an_address_is_asked_for_by_its_reverse_name),
	};
	return cmocka_run_group_tests_name("issue_board", tests, NULL, NULL);
}
