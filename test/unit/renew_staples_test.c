/* Answers of OCSP responders that handshakes show, and what is asked about what was imported. */
#include "renew/import.h"
#include "revoking_ca.h"

#include <openssl/pem.h>

static void an_answer_is_shown_until_it_is_old(void **state)
{
	(void)state;
	by_ocsp = true;
	list_url = NULL;
	registered(NAME);
	assert_true(shown_until(NAME) == 0);
	good_for(10 * DAY);
	const int64_t first = answers_until;
	assert_true(shown_until(NAME) == first);
	run_for(place, SECOND);
	world_kill();
	world_start(NULL); /* it was kept */
	assert_true(shown_until(NAME) == first);
	/* The one of the daily question is as good. */
	run_for(place, DAY);
	good_for(10 * DAY);
	assert_true(shown_until(NAME) == first);
	run_for(place, 5 * DAY);
	good_for(10 * DAY);
	assert_true(shown_until(NAME) == answers_until && answers_until > first);
	/* Nothing that is over is given to serve again. */
	run_for(place, 11 * DAY);
	held_install(registration_find(world.renewals, STR(NAME)));
	assert_true(shown_until(NAME) == 0);
	is_not_revoked(NAME);
}

static void what_is_no_newer_is_not_installed_again(void **state)
{
	(void)state;
	by_ocsp = true;
	list_url = NULL;
	registered(NAME);
	good_for(10 * DAY);
	const int64_t first = answers_until;
	const unsigned installs = world.installs;
	run_for(place, DAY);
	good_for(20 * DAY); /* too early */
	assert_int_equal(world.installs, installs);
	run_for(place, 5 * DAY);
	answers_until = first; /* the same once more */
	answer_by(RESPONDER, /* revoked= */ false, own);
	assert_int_equal(world.installs, installs);
	assert_true(shown_until(NAME) == first);
	run_for(place, DAY);
	good_for(10 * DAY);
	assert_int_equal(world.installs, installs + 1);
}

/* Half of six hours is three, whatever is looked at daily. */
static void a_short_one_is_asked_for_in_time(void **state)
{
	(void)state;
	by_ocsp = true;
	list_url = NULL;
	registered(NAME);
	good_for(6 * HOUR);
	asked_are("POST " RESPONDER "\n");
	run_for(place, HOUR);
	world_kill();
	world_start(NULL);
	run_for(place, MINUTE);
	asked_are("POST " RESPONDER "\n"); /* as is everybody after a start */
	answer_by(RESPONDER, /* revoked= */ false, own);
	run_for(place, HOUR + 50 * MINUTE);
	asked_are("");
	run_for(place, 20 * MINUTE);
	asked_are("POST " RESPONDER "\n");
	/* Where nothing comes that lasts longer, it is not asked for without end. */
	good_for(10 * SECOND);
	run_for(place, 50 * MINUTE);
	asked_are("");
	run_for(place, 20 * MINUTE);
	asked_are("POST " RESPONDER "\n");
}

static void what_is_revoked_is_shown_as_good_no_more(void **state)
{
	(void)state;
	by_ocsp = true;
	list_url = NULL;
	registered(NAME);
	good_for(10 * DAY);
	disabled(NAME);
	next_day();
	answer_by(RESPONDER, /* revoked= */ true, own);
	assert_true(shown_until(NAME) == 0);
	run_for(place, SECOND);
	world_kill();
	world_start(NULL);
	assert_true(shown_until(NAME) == 0);
}

static void a_responder_that_is_silent_is_asked_less_and_less(void **state)
{
	(void)state;
	by_ocsp = must_staple = true;
	list_url = NULL;
	registered(NAME);
	buf_clear(&questions);
	answer_with(RESPONDER, 0, STR_NONE);
	logged_has("The certificate for " NAME " may only be shown with an answer of its OCSP "
	           "responder (must-staple), and " RESPONDER " gives none: browsers refuse it.");
	assert_true(str_eq_c(registration_view(registration_find(world.renewals, STR(NAME))).why,
	        "Browsers refuse the certificate, which may only be shown with an answer of its "
	        "CA's OCSP responder (must-staple): that gives none. It is asked again; if it goes "
	        "on, let the CA issue it without that (profile), or choose another issuer."));
	run_for(place, 50 * MINUTE);
	asked_are("");
	run_for(place, 15 * MINUTE);
	asked_are("POST " RESPONDER "\n");
	answer_with(RESPONDER, 0, STR_NONE);
	run_for(place, 110 * MINUTE);
	asked_are("");
	run_for(place, 15 * MINUTE);
	asked_are("POST " RESPONDER "\n");
	good_for(10 * DAY);
	assert_int_equal(registration_view(registration_find(world.renewals, STR(NAME))).why.n, 0);
	assert_true(shown_until(NAME) == answers_until);
}

static void restarted(void)
{
	run_for(place, SECOND);
	world_kill();
	world_start(NULL);
}

static struct registration *shop(void)
{
	return registration_find(world.renewals, STR(NAME));
}

static void responder_is_asked_first_at(int64_t at)
{
	buf_clear(&questions);
	run_to(place, at - 1);
	asked_are("");
	run_to(place, at);
	asked_are("POST " RESPONDER "\n");
}

/* Half of its life, exactly; and it is shown until its end, exactly. While there is one to show, a
 * responder that is silent harms nobody. */
static void an_answer_has_a_life(void **state)
{
	(void)state;
	by_ocsp = must_staple = true;
	list_url = NULL;
	registered(NAME);
	good_for(6 * HOUR);
	const int64_t until = answers_until;
	responder_is_asked_first_at(until - 3 * HOUR);
	answer_with(RESPONDER, 0, STR_NONE);
	responder_is_asked_first_at(until - 2 * HOUR);
	answer_with(RESPONDER, 0, STR_NONE);
	run_to(place, until - 1);
	held_install(shop());
	assert_true(shown_until(NAME) == until);
	assert_int_equal(registration_view(shop()).why.n, 0);
	assert_int_equal(logged_count("(must-staple)"), 0);
	responder_is_asked_first_at(until);
	held_install(shop());
	assert_true(shown_until(NAME) == 0);
	answer_with(RESPONDER, 0, STR_NONE);
	assert_int_equal(logged_count("(must-staple)"), 1);
	assert_true(registration_view(shop()).why.n > 0);
	responder_is_asked_first_at(until + 4 * HOUR);
	good_for(6 * HOUR); /* and all begins anew */
	assert_true(shown_until(NAME) == answers_until);
	responder_is_asked_first_at(answers_until - 3 * HOUR);
	answer_with(RESPONDER, 0, STR_NONE);
	responder_is_asked_first_at(answers_until - 2 * HOUR);
	good_for(6 * HOUR);
	assert_true(shown_until(NAME) == answers_until);
}

/* That comes at half of the life of the one before: it is taken. */
static void the_next_one_may_be_in_time(void **state)
{
	(void)state;
	by_ocsp = true;
	list_url = NULL;
	registered(NAME);
	good_for(6 * HOUR);
	const int64_t first = answers_until;
	responder_is_asked_first_at(first - 3 * HOUR);
	good_for(6 * HOUR);
	assert_true(shown_until(NAME) == first + 3 * HOUR);
	responder_is_asked_first_at(first);
}

static void nobody_is_asked_without_a_rest(void **state)
{
	(void)state;
	by_ocsp = true;
	list_url = NULL;
	registered(NAME);
	good_for(10 * SECOND);
	responder_is_asked_first_at(loop_wall(place->loop) + 5 * MINUTE);
	answer_with(RESPONDER, 0, STR_NONE);
	assert_int_equal(logged_count("(must-staple)"), 0); /* it does without */
	assert_int_equal(registration_view(shop()).why.n, 0);
}

static void one_that_is_too_large_is_not_shown(void **state)
{
	(void)state;
	by_ocsp = true;
	list_url = NULL;
	registered(NAME);
	answer_bytes = 16 << 10;
	good_for(10 * DAY);
	assert_true(shown_until(NAME) == 0);
	responder_is_asked_first_at(loop_wall(place->loop) + HOUR);
	answer_bytes = 15 << 10;
	good_for(10 * DAY);
	assert_true(shown_until(NAME) == answers_until);
	assert_int_equal(logged_count("does not say whether"), 0);
}

/* Of a certificate that another took the place of nothing is kept. */
static void what_is_not_shown_any_more_is_forgotten(void **state)
{
	(void)state;
	struct wish w;
	char before[41];
	by_ocsp = true;
	list_url = NULL;
	registered(NAME);
	good_for(6 * HOUR);
	snprintf(before, sizeof before, "%s", shop()->held.leaf.sha1);
	wish_renew(&w, NAME);
	wish_wait(&w);
	run_until_idle();
	good_for(6 * HOUR);
	run_for(place, SECOND);
	assert_int_equal(record_version(place, "staple", before), 1);
	responder_is_asked_first_at(answers_until - 3 * HOUR);
	good_for(6 * HOUR);
	run_for(place, SECOND);
	assert_int_equal(record_version(place, "staple", before), 0);
	assert_int_equal(record_version(place, "staple", shop()->held.leaf.sha1), 2);
}

static void all_are_known_after_a_start(void **state)
{
	(void)state;
	by_ocsp = true;
	list_url = NULL;
	const char *const names[] = { "a.example.com", "b.example.com", "c.example.com" };
	for (size_t i = 0; i < 3; i++)
		registered(names[i]);
	answers_until = loop_wall(place->loop) / 1000 * 1000 + 10 * DAY;
	for (size_t i = 0; i < 3; i++)
		answer_by(first_waiting(), /* revoked= */ false, own);
	restarted();
	for (size_t i = 0; i < 3; i++)
		assert_true(shown_until(names[i]) == answers_until);
}

static void one_that_cannot_be_stored_is_shown(void **state)
{
	(void)state;
	by_ocsp = true;
	list_url = NULL;
	registered(NAME);
	store_full(place, true);
	good_for(10 * DAY);
	run_for(place, SECOND);
	assert_int_equal(logged_count("What a CA says of a certificate could not be stored, the "
	                              "next start asks again: "),
	        1);
	assert_true(shown_until(NAME) == answers_until);
	store_full(place, false);
	restarted();
	assert_true(shown_until(NAME) == 0);
	run_for(place, MINUTE);
	good_for(10 * DAY);
	assert_true(shown_until(NAME) == answers_until);
	world_kill(); /* while it is being stored */
	world_start(NULL);
	assert_int_equal(logged_count("could not be stored"), 1);
}

/* Those that were imported */

#define BROUGHT NAME "-imported"

/* Serial number 7, for 90 days; for NAME, which its CA says. */
static X509 *leaf_with(EVP_PKEY *key)
{
	X509 *x = certified(key);
	X509_set_issuer_name(x, X509_get_subject_name(issuer));
	ASN1_TIME_set(X509_getm_notBefore(x), loop_wall(place->loop) / 1000 - 60);
	ASN1_TIME_set(X509_getm_notAfter(x), (loop_wall(place->loop) + 90 * DAY) / 1000);
	X509_EXTENSION_free(X509_delete_ext(x, 0)); /* that it is a CA */
	add_point(x, NID_subject_alt_name, "DNS:" NAME);
	return x;
}

static void imported(struct import *i, const struct err *err)
{
	if (err)
		fail_msg("%s", err->text);
	i->done = NULL;
}

static void brought(EVP_PKEY *key)
{
	struct import i;
	struct ca_order o = { .names = { NAME }, .pem = BUF(16 << 10) };
	X509 *leaf = leaf_with(key);
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	sign_anew(&o, leaf);
	CHECK(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL));
	const long n = BIO_get_mem_data(bio, &pem);
	buf_add(&o.pem, str_n(pem, (size_t)n));
	world.chain = alone ? 0 : 1;
	import_start(world.renewals, &i, &(struct import_want){ STR(NAME), buf_str(&o.pem) }, 1,
	        imported);
	turn_until(place, !i.done);
	run_for(place, SECOND);
	buf_done(&o.pem);
	X509_free(leaf);
	BIO_free(bio);
}

static void what_was_imported_is_shown_with_an_answer(void **state)
{
	(void)state;
	by_ocsp = true;
	brought(foreign);
	asked_are("POST " RESPONDER "\n");
	good_for(10 * DAY);
	assert_true(shown_until(NAME) == answers_until);
	restarted();
	assert_true(shown_until(NAME) == answers_until);
	run_for(place, MINUTE);
	asked_are("GET " LIST "\nPOST " RESPONDER "\n");
	good_for(20 * DAY);
	answer_list(LIST, 1, 6);
	run_for(place, 5 * DAY + HOUR);
	good_for(10 * DAY);
	assert_true(shown_until(NAME) == answers_until);
	answer_list(LIST, 7, 7);
	logged_has("The CA has revoked the imported certificate for " NAME " on "
	           "2027-01-01T12:00:00Z, says " LIST ". Everseal does not renew it: ");
	for (int again = 0; again < 2; again++) {
		struct renew_view v;
		status_is(BROUGHT, "revoked");
		assert_true(renew_find(world.renewals, STR(BROUGHT), &v));
		assert_true(str_eq_c(v.why,
		        "The certificate was imported, and its CA has revoked it: browsers that "
		        "ask the CA refuse it. Import another one, or register the name."));
		assert_string_equal(said(BROUGHT, "revoked"), "\"2027-01-01T12:00:00Z\"");
		assert_true(shown_until(NAME) == 0);
		restarted();
		buf_clear(&questions);
		run_for(place, 2 * DAY);
		asked_are("");
	}
	assert_int_equal(logged_count("The CA has revoked"), 1);
}

/* Its ECDSA certificate is shown first, and what it is shown with is its own. */
static void one_that_stands_beside_is_shown_with_its_own(void **state)
{
	(void)state;
	struct wish w;
	const struct str name = STR(NAME);
	wish_register(&w, &(struct register_want){ .names = &name,
	                          .name_count = 1,
	                          .email = STR("ops@example.com"),
	                          .agree_tos = true,
	                          .key_type = STR("rsa2048") });
	wish_wait(&w);
	run_until_idle();
	by_ocsp = true;
	brought(foreign);
	assert_string_equal(shown_keys(NAME), "P-256, RSA 2048");
	assert_true(shown_until(NAME) == 0);
	good_for(10 * DAY);
	assert_true(shown_until(NAME) == answers_until);
	next_day();
	answer_by(RESPONDER, /* revoked= */ true, own);
	assert_string_equal(shown_keys(NAME), "P-256, RSA 2048");
	assert_true(shown_until(NAME) == 0);
	answer_list(LIST, 7, 7);
	assert_int_equal(logged_count("The CA has revoked the imported certificate"), 1);
}

static void only_its_own_ca_is_believed_about_it(void **state)
{
	(void)state;
	BUF_AUTO der = BUF(64 << 10);
	by_ocsp = true;
	brought(foreign);
	answer_by(RESPONDER, /* revoked= */ true, foreign);
	next_day();
	add_list(7, 7, foreign, &der);
	answer_with(LIST, 200, buf_str(&der));
	logged_has("within a day: The list of revoked certificates is not signed by who issued");
	status_is(BROUGHT, "imported");
	brought(foreign); /* the next one: an answer about the one before is not meant */
	answer_by(RESPONDER, /* revoked= */ true, own);
	status_is(BROUGHT, "imported");
	assert_int_equal(logged_count("does not say whether"), 2);
	assert_int_equal(logged_count("The CA has revoked"), 0);
}

static void it_may_have_to_be_shown_with_one(void **state)
{
	(void)state;
	by_ocsp = must_staple = true;
	brought(foreign);
	assert_string_equal(said(BROUGHT, "lamp"), "\"ok\"");
	answer_with(RESPONDER, 0, STR_NONE);
	logged_has("The certificate for " NAME " may only be shown with an answer of its OCSP "
	           "responder (must-staple), and " RESPONDER " gives none: browsers refuse it.");
	assert_string_equal(said(BROUGHT, "reason"),
	        "\"it may only be shown with an answer of its CA's OCSP responder (must-staple), "
	        "which gives none: browsers refuse it\"");
	assert_string_equal(said(BROUGHT, "lamp"), "\"warning\"");
	assert_true(str_starts(imported_view(imported_find(world.renewals, STR(NAME))).why,
	        STR("Browsers refuse the imported certificate, ")));
	run_for(place, 65 * MINUTE);
	good_for(10 * DAY);
	assert_string_equal(said(BROUGHT, "lamp"), "\"ok\"");
}

/* Without its issuer no answer could be verified: its responder is not asked. */
static void nothing_is_asked_about_one_without_its_issuer(void **state)
{
	(void)state;
	by_ocsp = alone = true;
	brought(foreign);
	asked_are("");
	next_day();
	asked_are("GET " LIST "\n");
	answer_list(LIST, 7, 7);
	status_is(BROUGHT, "imported");
	assert_int_equal(logged_count("does not say whether"), 0);
}

/* As those of what we renew; until another certificate takes its place. */
static void its_answer_is_asked_for_in_time(void **state)
{
	(void)state;
	by_ocsp = true;
	list_url = NULL;
	brought(foreign);
	good_for(6 * HOUR);
	responder_is_asked_first_at(answers_until - 3 * HOUR);
	const unsigned before = world.installs;
	answer_with(RESPONDER, 0, STR_NONE);
	assert_int_equal(logged_count("(must-staple)"), 0);
	responder_is_asked_first_at(answers_until - 2 * HOUR);
	assert_int_equal(world.installs, before);
	good_for(6 * HOUR);
	assert_int_equal(world.installs, before + 1);
	assert_true(shown_until(NAME) == answers_until);
	by_ocsp = false;
	registered(NAME);
	status_is(BROUGHT, "retired");
	next_day();
	asked_are("");
}

/* One that says where the list is, and no more, is asked about as long as it lasts. */
static void a_list_may_be_all_there_is(void **state)
{
	(void)state;
	brought(foreign);
	asked_are("");
	for (int day = 1; day < 90; day++) {
		next_day();
		asked_are("GET " LIST "\n");
		answer_list(LIST, 1, 6);
	}
	next_day();
	next_day();
	status_is(BROUGHT, "expired");
	buf_clear(&questions);
	next_day();
	asked_are("");
}

static void a_list_says_nothing_of_one_that_names_another(void **state)
{
	(void)state;
	registered("a.example.com");
	list_url = "http://crl.ca.test/2.crl";
	brought(foreign);
	next_day();
	answer_list(LIST, 7, 7);
	status_is(BROUGHT, "imported");
	answer_list(list_url, 7, 7);
	status_is(BROUGHT, "revoked");
}

static void all_that_is_told_of_it(void **state)
{
	(void)state;
	list_url = NULL;
	const int64_t now = loop_wall(place->loop) / 1000 * 1000;
	brought(foreign);
	static const struct {
		const char *member, *value;
	} rows[] = {
		{ "id", "\"" BROUGHT "\"" },
		{ "names", "[\"" NAME "\"]" },
		{ "issuer", "\"Script CA\"" },
		{ "issued_by", "\"Script CA\"" },
		{ "state", "\"imported\"" },
		{ "lamp", "\"ok\"" },
		{ "temporary", "false" },
		{ "serial", "\"07\"" },
		{ "revoked", "null" },
		{ "next_renewal", "null" },
		{ "served", "null" },
		{ "last_error", "null" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_string_equal(said(BROUGHT, rows[i].member), rows[i].value);
	assert_string_equal(said(BROUGHT, "not_before"), date(now - MINUTE));
	assert_string_equal(said(BROUGHT, "not_after"), date(now + 90 * DAY));
	assert_string_equal(said(BROUGHT, "last_renewed"), date(now));
	assert_int_equal(strlen(said(BROUGHT, "thumbprint")), 42);
	asked_are("");
	next_day();
	asked_are("");
}

static void that_it_cannot_be_read_again_is_said(void **state)
{
	(void)state;
	const unsigned before = logged_count("error");
	imported_again(world.renewals, STR("nobody.example.com"));
	assert_int_equal(logged_count("error"), before + 1);
}

static void one_that_is_no_newer_is_asked_for_an_hour_later(void **state)
{
	(void)state;
	by_ocsp = true;
	list_url = NULL;
	registered(NAME);
	good_for(6 * HOUR);
	responder_is_asked_first_at(answers_until - 3 * HOUR);
	answer_by(RESPONDER, /* revoked= */ false, own); /* the same again */
	responder_is_asked_first_at(answers_until - 2 * HOUR);
}

static void the_wait_for_one_that_is_silent_grows_to_a_day(void **state)
{
	(void)state;
	static const int hours[] = { 1, 2, 4, 8, 16, 24, 24, 24 };
	const int64_t now = loop_wall(place->loop);
	run_until_idle();
	for (size_t i = 0; i < sizeof hours / sizeof *hours; i++) {
		timer_stop(&world.renewals->staples_due);
		assert_false(staple_missed(world.renewals, STR("x"), false));
		assert_int_equal(world.renewals->staples_next, now + hours[i] * HOUR);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_answer_is_shown_until_it_is_old),
		TEST(what_is_no_newer_is_not_installed_again),
		TEST(a_short_one_is_asked_for_in_time),
		TEST(what_is_revoked_is_shown_as_good_no_more),
		TEST(a_responder_that_is_silent_is_asked_less_and_less),
		TEST(an_answer_has_a_life),
		TEST(the_next_one_may_be_in_time),
		TEST(nobody_is_asked_without_a_rest),
		TEST(one_that_is_too_large_is_not_shown),
		TEST(what_is_not_shown_any_more_is_forgotten),
		TEST(all_are_known_after_a_start),
		TEST(one_that_cannot_be_stored_is_shown),
		TEST(what_was_imported_is_shown_with_an_answer),
		TEST(one_that_stands_beside_is_shown_with_its_own),
		TEST(only_its_own_ca_is_believed_about_it),
		TEST(it_may_have_to_be_shown_with_one),
		TEST(nothing_is_asked_about_one_without_its_issuer),
		TEST(its_answer_is_asked_for_in_time),
		TEST(a_list_may_be_all_there_is),
		TEST(a_list_says_nothing_of_one_that_names_another),
		TEST(all_that_is_told_of_it),
		TEST(that_it_cannot_be_read_again_is_said),
		TEST(one_that_is_no_newer_is_asked_for_an_hour_later),
		TEST(the_wait_for_one_that_is_silent_grows_to_a_day),
	};
	return cmocka_run_group_tests_name("renew_staples", tests, NULL, NULL);
}
