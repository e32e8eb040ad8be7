/* Whether CAs have revoked what is held: who is asked when, and whose answer counts. */
#include "revoking_ca.h"

static void a_list_is_asked_for_once_for_all_that_name_it(void **state)
{
	(void)state;
	registered("a.example.com");
	registered("b.example.com");
	registered("c.example.com");
	asked_are("");
	next_day();
	asked_are("GET " LIST "\n");
	answer_list(LIST, 1002, 1002);
	logged_has("The CA has revoked the certificate for b.example.com on "
	           "2027-01-01T12:00:00Z, says " LIST ". A new one is ordered.");
	run_until_idle();
	assert_int_equal(place->ca.order_count, 4);
	assert_int_equal(last_order(&place->ca)->serial, 1004);
	assert_string_equal(last_order(&place->ca)->names[0], "b.example.com");
	status_is("b.example.com", "ok");
	assert_string_equal(said("b.example.com", "revoked"), "null");
	next_day(); /* again, and the list is still the same */
	asked_are("GET " LIST "\n");
	answer_list(LIST, 1002, 1002);
	run_until_idle();
	assert_int_equal(place->ca.order_count, 4);
	assert_int_equal(logged_count("The CA has revoked"), 1);
	assert_int_equal(logged_count("does not say whether"), 0);
}

static void each_of_a_list_that_is_revoked_is_renewed(void **state)
{
	(void)state;
	registered("a.example.com");
	registered("b.example.com");
	next_day();
	answer_list(LIST, 1000, 1009);
	run_until_idle();
	assert_int_equal(logged_count("The CA has revoked"), 2);
	assert_int_equal(place->ca.order_count, 4);
}

static void a_list_says_nothing_of_those_that_name_another(void **state)
{
	(void)state;
	registered("a.example.com");
	list_url = "http://crl.ca.test/2.crl";
	registered("b.example.com");
	next_day();
	asked_at("http://crl.ca.test/2.crl");
	answer_list(LIST, 1002, 1002);
	is_not_revoked("b.example.com");
	answer_list("http://crl.ca.test/2.crl", 1001, 1001);
	is_not_revoked("a.example.com");
	assert_int_equal(logged_count("does not say whether"), 0);
}
static void a_responder_is_asked_about_each(void **state)
{
	(void)state;
	by_ocsp = true;
	registered(NAME);
	asked_are("POST " RESPONDER "\n"); /* what it says is shown */
	answers_until = loop_wall(place->loop) + 100 * DAY;
	answer_by(RESPONDER, /* revoked= */ false, own);
	next_day();
	asked_are("GET " LIST "\nPOST " RESPONDER "\n");
	answer_list(LIST, 1, 1);
	answer_by(RESPONDER, /* revoked= */ false, own);
	is_not_revoked(NAME);
	next_day();
	asked_are("GET " LIST "\nPOST " RESPONDER "\n");
	answer_by(RESPONDER, /* revoked= */ true, own);
	logged_has("The CA has revoked the certificate for " NAME " on 2027-01-01T12:00:00Z, "
	           "says " RESPONDER ". A new one is ordered.");
	answer_list(LIST, 1001, 1001); /* it is known already */
	run_until_idle();
	assert_int_equal(logged_count("The CA has revoked"), 1);
	assert_int_equal(logged_count("does not say whether"), 0);
	assert_int_equal(place->ca.order_count, 2);
	status_is(NAME, "ok");
}

static void what_has_changed_meanwhile_is_not_meant(void **state)
{
	(void)state;
	struct wish w;
	by_ocsp = true;
	list_url = NULL;
	registered(NAME);
	next_day();
	wish_renew(&w, NAME);
	wish_wait(&w);
	run_until_idle();
	assert_int_equal(place->ca.order_count, 2);
	answer_by(RESPONDER, /* revoked= */ true, own);
	is_not_revoked(NAME);
	assert_int_equal(logged_count("does not say whether"), 0);
	status_is(NAME, "ok");
	next_day(); /* about the new one */
	answer_by(RESPONDER, /* revoked= */ true, own);
	assert_int_equal(logged_count("The CA has revoked"), 1);
}

static void what_is_known_and_stored_is_not_told_again(void **state)
{
	(void)state;
	by_ocsp = true;
	registered(NAME);
	disabled(NAME);
	next_day();
	answer_list(LIST, 1001, 1001);
	run_for(place, SECOND);
	answer_by(RESPONDER, /* revoked= */ true, own);
	run_for(place, SECOND);
	assert_int_equal(logged_count("The CA has revoked"), 1);
}

static void who_cannot_be_believed_stops_nothing(void **state)
{
	(void)state;
	static const struct {
		unsigned status;
		const char *body, *why;
	} rows[] = {
		{ 200, "<html>", "What came is no list of revoked certificates" },
		{ 404, "", "It answers with status 404. Nothing to do." },
		{ 0, "", "Nobody is there." },
	};
	BUF_AUTO der = BUF(64 << 10);
	registered(NAME);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		next_day();
		answer_with(LIST, rows[i].status, str_c(rows[i].body));
		BUF_AUTO line = BUF(512);
		buf_printf(&line,
		        LIST " does not say whether certificates are revoked, it is asked again "
		             "within a day: %s",
		        rows[i].why);
		logged_has(buf_c(&line));
	}
	add_list(1001, 1001, foreign, &der);
	next_day();
	answer_with(LIST, 200, buf_str(&der));
	logged_has("within a day: The list of revoked certificates is not signed by who issued");
	assert_int_equal(logged_count("does not say whether"), 4);
	is_not_revoked(NAME);
	run_until_idle();
	assert_int_equal(place->ca.order_count, 1);
}

static void nor_does_a_responder(void **state)
{
	(void)state;
	by_ocsp = true;
	list_url = NULL;
	registered(NAME);
	next_day();
	answer_by(RESPONDER, /* revoked= */ true, foreign);
	logged_has(RESPONDER
	        " does not say whether certificates are revoked, it is asked again "
	        "within a day: The answer whether the certificate is revoked is not signed "
	        "by who issued it.");
	is_not_revoked(NAME);
}

/* Without its issuer nothing could be verified; what says nowhere where to ask, is not asked. */
static void some_are_not_asked_about(void **state)
{
	(void)state;
	alone = true;
	registered("a.example.com");
	alone = false;
	list_url = NULL;
	registered("b.example.com");
	next_day();
	asked_are("");
}

static void nor_is_what_has_ended(void **state)
{
	(void)state;
	registered(NAME);
	disabled(NAME);
	for (int day = 1; day < 90; day++) {
		next_day();
		asked_are("GET " LIST "\n");
		answer_list(LIST, 1, 1);
	}
	next_day();
	next_day();
	status_is(NAME, "expired");
	buf_clear(&questions); /* of the last day */
	next_day();
	asked_are("");
}

static void what_is_not_renewed_stays_revoked(void **state)
{
	(void)state;
	registered(NAME);
	disabled(NAME);
	next_day();
	answer_list(LIST, 1001, 1001);
	logged_has("The CA has revoked the certificate for " NAME " on 2027-01-01T12:00:00Z, "
	           "says " LIST ". No new one is ordered: renewal is disabled");
	run_until_idle();
	status_is(NAME, "revoked");
	assert_string_equal(said(NAME, "revoked"), "\"2027-01-01T12:00:00Z\"");
	buf_clear(&questions);
	next_day();
	asked_are(""); /* it is known */
	world_kill();
	world_start(NULL);
	status_is(NAME, "revoked");
	assert_string_equal(said(NAME, "revoked"), "\"2027-01-01T12:00:00Z\"");
	run_for(place, MINUTE);
	asked_are("");
	assert_int_equal(place->ca.order_count, 1);
}

/* A revocation that people have wished for is under way. */
static void nor_is_what_is_being_revoked(void **state)
{
	(void)state;
	struct wish w = { 0 };
	registered(NAME);
	disabled(NAME);
	place->ca.down = true;
	renew_revoke(
	        world.renewals, &w.q, &(struct renew_revoke_want){ .name = STR(NAME) }, wish_done);
	wish_wait(&w);
	next_day();
	asked_are("");
}

static void nor_is_what_another_has_taken_the_place_of(void **state)
{
	(void)state;
	struct wish w = { 0 };
	const struct str both[] = { STR("a.example.com"), STR("b.example.com") };
	by_ocsp = true;
	list_url = NULL;
	wish_register(&w, &(struct register_want){ .names = both,
	                          .name_count = 2,
	                          .email = STR("ops@example.com"),
	                          .agree_tos = true });
	wish_wait(&w);
	run_until_idle();
	run_for(place, MINUTE);
	asked_are("POST http://a.example.com.ocsp.ca.test\n");
	by_ocsp = false;
	list_url = LIST;
	registered("a.example.com");
	assert_int_equal(place->ca.order_count, 2);
	next_day();
	asked_are("GET " LIST "\n");
}

static void at_most_four_are_asked_at_once(void **state)
{
	(void)state;
	by_ocsp = true;
	list_url = NULL;
	const char *const names[] = { "a.example.com", "b.example.com", "c.example.com",
		"d.example.com", "e.example.com", "f.example.com" };
	for (size_t i = 0; i < 6; i++)
		registered(names[i]);
	for (int day = 1; day <= 2; day++) {
		next_day();
		asked_count_is(4);
		answer_by(first_waiting(), /* revoked= */ false, own);
		asked_count_is(1);
		answer_with(first_waiting(), 0, STR_NONE);
		asked_count_is(1);
		for (int i = 0; i < 4; i++)
			answer_by(first_waiting(), /* revoked= */ false, own);
		asked_count_is(0);
		assert_true(list_empty(&waiting));
	}
	next_day();
	next_day(); /* those that are still under way are not asked again */
	asked_count_is(4);
	world_kill(); /* some are asked, some are not yet */
	assert_true(list_empty(&waiting));
	world_start(NULL);
	run_for(place, SECOND);
	asked_count_is(4);
}

static void what_the_list_says_is_not_asked_the_responder(void **state)
{
	(void)state;
	by_ocsp = true;
	registered("a.example.com");
	registered("b.example.com");
	registered("c.example.com");
	registered("d.example.com");
	answers_until = loop_wall(place->loop) + 100 * DAY;
	for (int i = 0; i < 4; i++)
		answer_by(first_waiting(), /* revoked= */ false, own);
	asked_count_is(4);
	next_day();
	asked_count_is(4); /* the list, and about three of them */
	answer_list(LIST, 1001, 1004);
	asked_count_is(0);
	for (int i = 0; i < 3; i++)
		answer_by(first_waiting(), /* revoked= */ true, own);
	assert_int_equal(logged_count("The CA has revoked"), 4);
	assert_int_equal(logged_count("does not say whether"), 0);
	run_until_idle();
	assert_int_equal(place->ca.order_count, 8);
}

static void what_could_not_be_stored_is_asked_again_after_a_restart(void **state)
{
	(void)state;
	char id[300];
	registered(NAME);
	disabled(NAME);
	snprintf(id, sizeof id, "%s", registration_find(world.renewals, STR(NAME))->id);
	next_day();
	store_full(place, true);
	answer_list(LIST, 1001, 1001);
	run_for(place, SECOND);
	logged_has("That the certificate for " NAME " is revoked could not be stored, the next "
	           "start asks again: ");
	status_is(NAME, "revoked");
	store_full(place, false);
	assert_int_equal(record_version(place, "revoked", id), 0);
	world_kill();
	buf_clear(&questions);
	world_start(NULL);
	run_for(place, SECOND);
	asked_are("GET " LIST "\n");
	answer_list(LIST, 1001, 1001);
	run_for(place, SECOND);
	assert_int_equal(record_version(place, "revoked", id), 1);
	assert_int_equal(logged_count("could not be stored"), 1);
}

/* The second of them, too, replaces what was stored of the first. */
static void it_may_happen_again(void **state)
{
	(void)state;
	registered(NAME);
	const char *id = registration_find(world.renewals, STR(NAME))->id;
	for (unsigned round = 0; round < 2; round++) {
		next_day();
		answer_list(LIST, 1001, 1001 + round);
		run_until_idle();
		assert_int_equal(record_version(place, "revoked", id), 1 + round);
		assert_int_equal(place->ca.order_count, 2 + round);
	}
	assert_int_equal(logged_count("could not be stored"), 0);
}

/* About the last moment of its life nobody is asked any more. */
static void it_matters_until_it_ends(void **state)
{
	(void)state;
	by_ocsp = true;
	list_url = NULL;
	registered(NAME);
	answer_by(RESPONDER, /* revoked= */ false, own);
	buf_clear(&questions);
	struct registration *g = registration_find(world.renewals, STR(NAME));
	g->held.leaf.not_after = loop_wall(place->loop);
	revoked_ask(g);
	asked_are("");
	g->held.leaf.not_after++;
	revoked_ask(g);
	asked_are("POST " RESPONDER "\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_list_is_asked_for_once_for_all_that_name_it),
		TEST(each_of_a_list_that_is_revoked_is_renewed),
		TEST(a_list_says_nothing_of_those_that_name_another),
		TEST(a_responder_is_asked_about_each),
		TEST(what_has_changed_meanwhile_is_not_meant),
		TEST(what_is_known_and_stored_is_not_told_again),
		TEST(who_cannot_be_believed_stops_nothing),
		TEST(nor_does_a_responder),
		TEST(some_are_not_asked_about),
		TEST(nor_is_what_has_ended),
		TEST(what_is_not_renewed_stays_revoked),
		TEST(nor_is_what_is_being_revoked),
		TEST(nor_is_what_another_has_taken_the_place_of),
		TEST(at_most_four_are_asked_at_once),
		TEST(what_the_list_says_is_not_asked_the_responder),
		TEST(what_could_not_be_stored_is_asked_again_after_a_restart),
		TEST(it_may_happen_again),
		TEST(it_matters_until_it_ends),
	};
	return cmocka_run_group_tests_name("renew_revoked", tests, NULL, NULL);
}
