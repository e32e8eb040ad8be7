/* When the next attempt is, what it waits for, and what it is spared by. */
#include "renew_world.h"

static void what_has_healed_is_forgotten(void **state)
{
	(void)state;
	world_start(BY_FILE SHOP);
	place->ca.refused = "shop.example.com";
	run_until_idle();
	assert_string_equal(said("shop.example.com", "failures"), "1");
	place->ca.refused = NULL;
	run_for(place, 2 * MINUTE);
	const int64_t ends = place->ca.orders[1].not_after;
	for (int again = 0; again < 2; again++) {
		status_is("shop.example.com", "ok");
		assert_string_equal(said("shop.example.com", "failures"), "0");
		assert_string_equal(said("shop.example.com", "last_error"), "null");
		assert_string_equal(
		        said("shop.example.com", "next_renewal"), date(ends - 21 * DAY));
		world_kill();
		world_start(NULL);
	}
}

/* Browsers may refuse it: that does not wait until it would be due. */
static void a_revoked_one_is_renewed_at_once_when_it_is_asked_for_again(void **state)
{
	(void)state;
	struct wish w = { 0 };
	world_start(BY_FILE SHOP);
	run_until_idle();
	world_configure(BASE);
	renew_revoke(world.renewals, &w.q,
	        &(struct renew_revoke_want){ .name = STR("shop.example.com") }, wish_done);
	wish_wait(&w);
	turn_until(place, place->ca.revocations);
	run_for(place, MINUTE);
	status_is("shop.example.com", "revoked");
	assert_int_equal(place->ca.order_count, 1);
	world_configure(BY_FILE SHOP);
	assert_string_equal(said("shop.example.com", "reason"), "\"the certificate is revoked\"");
	assert_string_equal(said("shop.example.com", "next_renewal"), date(loop_wall(place->loop)));
	run_until_idle();
	run_for(place, MINUTE);
	status_is("shop.example.com", "ok");
	assert_int_equal(place->ca.order_count, 2);
}

/* Waiting */

/* It does not wait until a moment any more, but for something to happen. */
static void waits_without_end_for(const char *reason)
{
	status_is("a.example.com", "working");
	assert_non_null(strstr(said("a.example.com", "reason"), reason));
	assert_string_equal(said("a.example.com", "next_renewal"), "null");
}

static void what_was_waited_for_before_is_not_said_again(void **state)
{
	struct wish a, b;
	for (int proof = 0; proof < 2; proof++) {
		world_start(BASE);
		place->ca.down = true;
		wish_name(&a, "a.example.com");
		wish_wait(&a);
		turn_until(place, logged_count("error name=a.example.com"));
		const int64_t again =
		        registration_find(world.renewals, STR("a.example.com"))->next_try;
		run_to(place, again - SECOND);
		if (proof) {
			world.unprovable = "Port 80 is held by nginx.";
		} else {
			wish_name(&b, "b.example.com"); /* it finds out the account now */
			wish_wait(&b);
		}
		run_to(place, again + SECOND);
		waits_without_end_for(proof ? world.unprovable : "waiting for the account");
		world_teardown(state);
		world_setup(state);
	}
}

static void state_of_task_is(const struct wish *w, const char *state)
{
	BUF_AUTO lines = BUF(64 << 10);
	task_lines(w->task, &lines);
	assert_true(str_ends(buf_str(&lines), str_c(state)));
}

/* Ten at a time, but who waits long for the CA lets the next one begin at once. */
static void who_waits_long_makes_room(void **state)
{
	(void)state;
	static struct wish wishes[12];
	char name[32];
	world_start(BASE);
	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof name, "n%d.example.com", i);
		wish_name(&wishes[i], name);
		wish_wait(&wishes[i]);
		if (i == 0)
			run_until_idle(); /* the account is known from now on */
		place->ca.down = true;
	}
	run_for(place, SECOND / 2); /* the first wait is of a second */
	for (int i = 1; i < 12; i++)
		state_of_task_is(&wishes[i], " Executing");
	assert_int_equal(logged_count("error"), 0);
}

/* Whoever was interrupted has not failed; but a CA that does not answer has. */
static void a_ca_that_is_down_after_a_restart_is_a_failure(void **state)
{
	(void)state;
	world_start(BY_FILE SHOP);
	turn_until(place, diary_count(place, "ask challenge"));
	run_for(place, 0);
	world_kill();
	place->ca.down = true;
	world_start(NULL);
	turn_until(place, logged_count("error name=shop.example.com"));
	assert_string_equal(said("shop.example.com", "failures"), "1");
	BUF_AUTO lines = BUF(64 << 10);
	task_lines("0000000001", &lines);
	assert_null(strstr(buf_c(&lines), "begins anew"));
}

static void a_configuration_comes_while_a_wish_is_being_stored(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	world_configure("site * { proxy 127.0.0.1:3000; }\n");
	wish_wait(&w);
	run_for(place, SECOND);
	task_is(w.task, "end: Given up: its issuer is not configured any more.\n"
	                "ConfigureLetsEncrypt Canceled");
	world_configure(BASE);
	run_until_idle();
	status_is("shop.example.com", "ok");
}

/* Whoever asks while the outcome of one attempt is being stored wishes for the next. */
static void a_wish_while_a_failure_is_being_stored_is_for_the_next_attempt(void **state)
{
	(void)state;
	struct wish first, w;
	world_start(BASE);
	place->ca.refused = "shop.example.com";
	wish_name(&first, "shop.example.com");
	wish_wait(&first);
	turn_until(place, logged_count("error name=shop.example.com"));
	place->ca.refused = NULL;
	wish_renew(&w, "shop.example.com");
	wish_wait(&w);
	assert_string_equal(w.task, "0000000002");
	const int64_t now = loop_wall(place->loop);
	run_until_idle();
	status_is("shop.example.com", "ok");
	assert_int_equal(place->ca.orders[1].at, now); /* not after the back-off */
	state_of_task_is(&first, " Failed");
	state_of_task_is(&w, " Success");
}

static void a_registration_while_a_failure_is_being_stored_is_not_told_that(void **state)
{
	(void)state;
	const struct str name = STR("shop.example.com");
	struct wish first, w;
	world_start(BASE);
	place->ca.refused = "shop.example.com";
	wish_name(&first, "shop.example.com");
	wish_wait(&first);
	turn_until(place, logged_count("error name=shop.example.com"));
	place->ca.refused = NULL;
	wish_register(&w, &(struct register_want){ .names = &name,
	                          .name_count = 1,
	                          .email = STR("ops@example.com"),
	                          .agree_tos = true,
	                          .proxy = STR("127.0.0.1:3005") });
	wish_wait(&w);
	assert_string_equal(w.task, "0000000002");
	run_until_idle();
	status_is("shop.example.com", "ok");
	state_of_task_is(&first, " Failed");
	state_of_task_is(&w, " Success");
}

/* Its task has ended, and whoever followed that asks at once what comes next. */
static void a_failure_that_is_being_stored_is_told(void **state)
{
	(void)state;
	struct wish first;
	world_start(BASE);
	place->ca.refused = "shop.example.com";
	wish_name(&first, "shop.example.com");
	wish_wait(&first);
	turn_until(place, logged_count("error name=shop.example.com"));
	status_is("shop.example.com", "failed");
	assert_string_not_equal(said("shop.example.com", "next_renewal"), "null");
	assert_string_equal(said("shop.example.com", "reason"), "\"the last attempt failed\"");
}

/* Those that found out about the account are told of no more once it is known. */
static void who_goes_on_waits_no_more(void **state)
{
	(void)state;
	struct wish a, b;
	world_start(BASE);
	place->ca.latency = 100;
	wish_name(&a, "a.example.com");
	wish_wait(&a);
	wish_name(&b, "b.example.com");
	wish_wait(&b);
	turn_until(place, strstr(said("b.example.com", "reason"), "waiting for the account"));
	turn_until(place, diary_count(place, "ask order b.example.com"));
	assert_string_equal(said("b.example.com", "reason"), "\"an attempt is under way\"");
}

/* Superseded */

#define TWO_CAS                                                                                    \
	"issuer ca { directory https://ca.test/directory; }\n"                                     \
	"issuer well { directory https://ca.test/directory?2; }\n"                                 \
	"site * { proxy 127.0.0.1:3000; }\n"

/* What is registered first and second, both with certificates: whether the second takes the place
 * of the first. */
static const struct {
	struct str first[2], second[2];
	const char *issuer; /* of the second */
	bool superseded;
} pairs[] = {
	{ { STR_INIT("a.example.com") }, { STR_INIT("b.example.com"), STR_INIT("a.example.com") },
	        "ca", true },
	{ { STR_INIT("a.example.com") }, { STR_INIT("b.example.com"), STR_INIT("a.example.com") },
	        "well", false },
	{ { STR_INIT("a.example.com"), STR_INIT("b.example.com") },
	        { STR_INIT("b.example.com"), STR_INIT("c.example.com") }, "ca", false },
	{ { STR_INIT("a.example.com"), STR_INIT("b.example.com") },
	        { STR_INIT("a.example.com"), STR_INIT("c.example.com") }, "ca", false },
	{ { STR_INIT("a.example.com"), STR_INIT("b.example.com") }, { STR_INIT("a.example.com") },
	        "ca", false },
};

static void register_at(struct wish *w, const struct str names[2], const char *issuer)
{
	wish_register(w, &(struct register_want){ .names = names,
	                         .name_count = names[1].n ? 2 : 1,
	                         .email = STR("ops@example.com"),
	                         .issuer = str_c(issuer),
	                         .agree_tos = true });
	wish_wait(w);
	run_until_idle();
	run_for(place, HOUR);
}

static bool superseded(const char *id, const char *by)
{
	char why[512];
	snprintf(why, sizeof why, "\"superseded by %s\"", by);
	return !strcmp(said(id, "reason"), why);
}

static void who_takes_whose_place(void **state)
{
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		struct wish first, second;
		world_start(TWO_CAS);
		register_at(&first, pairs[i].first, "ca");
		register_at(&second, pairs[i].second, pairs[i].issuer);
		assert_int_equal(place->ca.order_count, 2);
		if (superseded(first.id, second.id) != pairs[i].superseded)
			fail_msg("%zu: %s", i, said(first.id, "reason"));
		assert_false(superseded(second.id, first.id));
		world_teardown(state);
		world_setup(state);
	}
}

#define BOTH "site shop.example.com www.example.com { proxy 127.0.0.1:3001; }\n"

/* What the file asks for is renewed as long as it does, and takes the place of what was registered
 * even later. */
static void the_file_goes_before_what_was_registered(void **state)
{
	(void)state;
	static const struct str names[3] = { STR_INIT("shop.example.com"),
		STR_INIT("www.example.com") };
	struct wish w;
	char id[300];
	world_start(BY_FILE SHOP);
	run_until_idle();
	snprintf(id, sizeof id, "%s",
	        registration_find(world.renewals, STR("shop.example.com"))->id);
	run_for(place, HOUR);
	register_at(&w, names, "ca");
	assert_string_equal(said(id, "reason"), "\"21 days are left\"");
	world_teardown(state);
	world_setup(state);
	world_start(BY_FILE BOTH);
	run_until_idle();
	snprintf(id, sizeof id, "%s",
	        registration_find(world.renewals, STR("shop.example.com"))->id);
	run_for(place, HOUR);
	register_at(&w, &names[1], "ca");
	assert_true(superseded(w.id, id));
}

static int64_t short_for_b(const char *name)
{
	return *name == 'b' ? 6 * DAY : 90 * DAY;
}

/* One that cannot renew itself gives the place back when it expires. */
static void an_expired_one_takes_nobodys_place(void **state)
{
	(void)state;
	struct wish first, second;
	place->ca.lifetime_of = short_for_b;
	world_start(BASE);
	register_at(&first, pairs[0].first, "ca");
	register_at(&second, pairs[0].second, "ca");
	const int64_t ends = place->ca.orders[1].not_after;
	place->ca.refused = "b.example.com";
	run_to(place, ends - 1);
	assert_true(superseded(first.id, second.id));
	run_to(place, ends);
	assert_string_equal(said(first.id, "reason"), "\"21 days are left\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(what_has_healed_is_forgotten),
		WORLD_TEST(a_revoked_one_is_renewed_at_once_when_it_is_asked_for_again),
		WORLD_TEST(what_was_waited_for_before_is_not_said_again),
		WORLD_TEST(who_waits_long_makes_room),
		WORLD_TEST(a_ca_that_is_down_after_a_restart_is_a_failure),
		WORLD_TEST(a_configuration_comes_while_a_wish_is_being_stored),
		WORLD_TEST(a_wish_while_a_failure_is_being_stored_is_for_the_next_attempt),
		WORLD_TEST(a_registration_while_a_failure_is_being_stored_is_not_told_that),
		WORLD_TEST(a_failure_that_is_being_stored_is_told),
		WORLD_TEST(who_goes_on_waits_no_more),
		WORLD_TEST(who_takes_whose_place),
		WORLD_TEST(the_file_goes_before_what_was_registered),
		WORLD_TEST(an_expired_one_takes_nobodys_place),
	};
	return cmocka_run_group_tests_name("renew_schedule", tests, NULL, NULL);
}
