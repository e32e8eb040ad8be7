/* The board: tokens that every serve knows before the CA is told. */
#include "issue_place.h"

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
	        &(struct notice_text){ str_c(token), STR("thumbprint"), STR("a.example.com") },
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

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_token_is_published_when_every_serve_says_so),
		T(without_a_serve_nobody_answers),
		T(a_token_stands_until_the_last_withdraws_it),
	};
	return cmocka_run_group_tests_name("issue_board", tests, NULL, NULL);
}
