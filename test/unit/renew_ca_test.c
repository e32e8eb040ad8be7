/* Which CA is asked, what is left of its limits for whom, and what time it is. */
#include "renew_world.h"

#define TWO                                                                                        \
	"issuer ca { directory https://ca.test/directory; }\n"                                     \
	"issuer other { directory https://ca.test/directory-b; }\n"                                \
	"site * { proxy 127.0.0.1:3000; }\nissuer ca other\n"                                      \
	"email ops@example.com\nagree-to-terms yes\n"
#define STAGED                                                                                     \
	"issuer ca { directory https://ca.test/directory; "                                        \
	"rehearsal https://ca.test/directory-staging; }\n"                                         \
	"site * { proxy 127.0.0.1:3000; }\nemail ops@example.com\nagree-to-terms yes\n"

static struct registration *only(void)
{
	struct map_node *n = map_first(&world.renewals->registrations);
	assert_non_null(n);
	return OWNER(n, struct registration, node);
}

static void after_two_failures_the_next_issuer_is_asked(void **state)
{
	(void)state;
	place->ca.down_at = "https://ca.test/directory";
	world_start(TWO SHOP);
	run_for(place, HOUR);
	status_is("shop.example.com", "ok");
	assert_string_equal(said("shop.example.com", "issued_from"), "\"other\"");
	assert_string_equal(said("shop.example.com", "issuers"), "[\"ca\",\"other\"]");
	logged_has("ca has failed 2 times, now other is asked");
	/* Later the first again. */
	assert_string_equal(said("shop.example.com", "next_issuer"), "\"ca\"");
	place->ca.down_at = NULL;
	run_for(place, 70 * DAY);
	assert_int_equal(place->ca.order_count, 2);
	assert_string_equal(said("shop.example.com", "issued_from"), "\"ca\"");
}

static void a_name_that_fails_stays_with_its_issuer(void **state)
{
	(void)state;
	place->ca.refused = "shop.example.com";
	world_start(TWO SHOP);
	run_for(place, HOUR);
	status_is("shop.example.com", "failed");
	assert_string_equal(said("shop.example.com", "next_issuer"), "\"ca\"");
	assert_int_equal(logged_count("is asked"), 0);
}

static void which_issuer_is_asked_survives_a_restart(void **state)
{
	(void)state;
	place->ca.down = true;
	world_start(TWO SHOP);
	turn_until(place, only()->turn.at == 1);
	run_for(place, 0);
	assert_non_null(strstr(said("shop.example.com", "last_error"), "\"at\":\"2027-01-01T00:"));
	world_kill();
	world_start(NULL);
	assert_int_equal(only()->turn.at, 1);
}

/* A CA that asks for more patience than a certificate of six days has. */

#define FIRST_CA  "https://ca.test/directory"
#define SECOND_CA "https://ca.test/directory-b"

/* 0: it does not; else each order, or the whole of the first CA. */
static struct {
	unsigned status, orders;
	bool whole;
	int64_t seconds; /* 0: as long as the certificate lives */
} refuser;

static struct ca_refusal refusal(void)
{
	return (struct ca_refusal){ .status = refuser.status,
		.type = "rateLimited",
		.detail = "Not now",
		.seconds = refuser.seconds ? refuser.seconds : 6 * DAY / SECOND };
}

static bool refuses_request(struct scripted_ca *ca, const char *url, struct ca_refusal *ret)
{
	(void)ca;
	if (!refuser.status || !refuser.whole || strcmp(url, FIRST_CA) != 0)
		return false;
	*ret = refusal();
	return true;
}

static bool refuses_order(struct scripted_ca *ca, const struct ca_order *o, struct ca_refusal *ret)
{
	(void)ca;
	(void)o;
	if (!refuser.status || refuser.whole)
		return false;
	refuser.orders++;
	*ret = refusal();
	return true;
}

static const struct ca_rules refusing = { .refuses_request = refuses_request,
	.refuses_order = refuses_order };

/* From the first certificate on, of whose six days half are left then. */
static void refused_when_due(const char *config, unsigned status, bool whole)
{
	place->ca.lifetime = 6 * DAY;
	place->ca.rules = &refusing;
	refuser.status = refuser.orders = 0;
	refuser.seconds = 0;
	world_start(config);
	run_for(place, HOUR);
	status_is("shop.example.com", "ok");
	refuser.status = status;
	refuser.whole = whole;
	run_for(place, 3 * DAY);
}

static void a_ca_that_is_busy_for_too_long_is_asked_sooner(void **state)
{
	(void)state;
	refused_when_due(BY_FILE SHOP, 503, /* whole= */ false);
	assert_int_equal(refuser.orders, 1);
	logged_has("It is asked again sooner, since the certificate in use expires on");
	/* After each tenth of what is left, but an hour: neither in silence nor in a hot loop. */
	run_for(place, 2 * DAY + 12 * HOUR);
	assert_in_range(refuser.orders, 12, 30);
	status_is("shop.example.com", "failed");
	refuser.status = 0;
	run_for(place, 2 * HOUR);
	status_is("shop.example.com", "ok");
}

static void a_limit_is_honoured_but_told_loudly(void **state)
{
	(void)state;
	refused_when_due(BY_FILE SHOP, 429, /* whole= */ false);
	logged_has("The certificate in use expires before that, on ");
	assert_non_null(strstr(said("shop.example.com", "last_error"), "expires before that"));
	run_for(place, 5 * DAY);
	assert_int_equal(refuser.orders, 1);
}

static void who_asks_for_too_much_patience_is_left_for_another(void **state)
{
	(void)state;
	for (unsigned status = 429; status <= 503; status += 503 - 429) {
		refused_when_due(TWO SHOP, status, /* whole= */ true);
		status_is("shop.example.com", "ok");
		assert_string_equal(said("shop.example.com", "issued_from"), "\"other\"");
		logged_has("ca asks for more patience than there is, now other is asked");
		assert_int_equal(logged_count("now other is asked"), 1);
		world_teardown(state);
		world_setup(state);
	}
}

/* There is time for that. */
static void who_asks_for_some_patience_is_not_left(void **state)
{
	(void)state;
	refused_when_due(TWO SHOP, 0, /* whole= */ false);
	refuser.seconds = 2 * HOUR / SECOND;
	refuser.status = 429;
	turn_until(place, refuser.orders);
	run_for(place, MINUTE);
	status_is("shop.example.com", "failed");
	assert_string_equal(said("shop.example.com", "next_issuer"), "\"ca\"");
	assert_int_equal(logged_count("certificate in use expires"), 0);
}

/* The second is out of order for a while: the first one's six days are not waited for. */
static void of_two_that_refuse_the_sooner_one_is_waited_for(void **state)
{
	(void)state;
	place->ca.down_at = SECOND_CA;
	refused_when_due(TWO SHOP, 429, /* whole= */ true);
	run_for(place, HOUR);
	run_until_idle();
	status_is("shop.example.com", "failed");
	place->ca.down_at = NULL;
	run_for(place, 12 * HOUR);
	status_is("shop.example.com", "ok");
	assert_string_equal(said("shop.example.com", "issued_from"), "\"other\"");
	assert_int_equal(logged_count("ca asks for more patience"), 1);
}

/* Rehearsals */

static void what_was_never_tried_is_tried_on_staging(void **state)
{
	(void)state;
	world_start(STAGED SHOP);
	run_until_idle();
	status_is("shop.example.com", "ok");
	assert_int_equal(place->ca.order_count, 2);
	assert_int_equal(world.installs, 1); /* the first one is none */
	assert_int_equal(only()->issued_count, 1);
	assert_string_equal(said("shop.example.com", "issued_from"), "\"ca\"");
	BUF_AUTO lines = BUF(64 << 10);
	task_lines("0000000001", &lines);
	assert_non_null(
	        strstr(buf_c(&lines), "again: The rehearsal on the CA's staging succeeded"));
	/* A renewal is no rehearsal. */
	run_for(place, 70 * DAY);
	assert_int_equal(place->ca.order_count, 3);
}

static void a_rehearsal_that_fails_touches_nothing_else(void **state)
{
	(void)state;
	place->ca.refused = "shop.example.com";
	world_start(STAGED SHOP);
	run_for(place, HOUR);
	status_is("shop.example.com", "failed");
	assert_non_null(strstr(said("shop.example.com", "last_error"),
	        "The rehearsal on ca's staging failed, nothing was asked of the CA itself"));
	assert_string_equal(only()->ca, "ca/rehearsal");
	place->ca.refused = NULL;
	run_for(place, 3 * HOUR);
	status_is("shop.example.com", "ok");
}

static void staging_that_is_down_delays_nothing(void **state)
{
	(void)state;
	place->ca.down_at = "https://ca.test/directory-staging";
	world_start(STAGED SHOP);
	run_for(place, HOUR);
	status_is("shop.example.com", "ok");
	assert_int_equal(place->ca.order_count, 1);
}

static void rehearsals_can_be_switched_off(void **state)
{
	(void)state;
	world_start(STAGED "rehearsal no\n" SHOP);
	run_until_idle();
	status_is("shop.example.com", "ok");
	assert_int_equal(place->ca.order_count, 1);
}

/* How */

static void keys_are_new_or_the_same(void **state)
{
	(void)state;
	for (int reuse = 0; reuse < 2; reuse++) {
		if (reuse) {
			world_teardown(NULL);
			world_setup(NULL);
		}
		world_start(reuse ? BY_FILE "reuse-key yes\nprofile classic\n" SHOP : BY_FILE SHOP);
		run_until_idle();
		SECRET_AUTO before = secret_copy(secret_bytes(&only()->held.key));
		run_for(place, 70 * DAY);
		assert_int_equal(place->ca.order_count, 2);
		assert_int_equal(
		        str_eq(secret_bytes(&before), secret_bytes(&only()->held.key)), reuse);
		assert_string_equal(place->ca.orders[1].profile, reuse ? "classic" : "");
	}
}

/* What time it is */

static void set_clock(int64_t by)
{
	place->clock.wall_now += by;
}

/* Off, and started with a clock that is that much off; the CA's is right. */
static void start_with_a_wrong_clock(int64_t by)
{
	world_start(BY_FILE SHOP);
	run_for(place, 10 * DAY);
	assert_int_equal(place->ca.order_count, 1);
	world_kill();
	set_clock(by);
	place->ca.clock_off = -by;
	world_start(NULL);
}

/* A wrong clock is looked at every minute: most of the time passes without anybody looking. */
static void let_pass(int64_t ms)
{
	clock_fake_advance(&place->clock, ms - HOUR);
	run_for(place, HOUR);
}

static void a_clock_that_is_years_ahead_renews_nothing(void **state)
{
	(void)state;
	start_with_a_wrong_clock(3650 * DAY);
	let_pass(DAY);
	assert_int_equal(place->ca.order_count, 1);
	logged_has("more than 30 days ahead of when Everseal ran last");
	struct err err = ERR_INIT;
	assert_false(renew_clock(world.renewals, &err));
	assert_non_null(strstr(err.text, "Renewals go by the CA's clock."));
	/* It goes by the CA's: due in 59 days. */
	let_pass(57 * DAY);
	assert_int_equal(place->ca.order_count, 1);
}

static void a_clock_that_is_years_back_still_renews(void **state)
{
	(void)state;
	start_with_a_wrong_clock(-2000 * DAY);
	run_for(place, HOUR);
	logged_has("behind what it was before");
	assert_int_equal(place->ca.order_count, 1);
	let_pass(60 * DAY);
	assert_int_equal(place->ca.order_count, 2);
}

static void while_nobody_tells_the_time_what_has_a_certificate_waits(void **state)
{
	(void)state;
	world_start(BY_FILE SHOP);
	run_for(place, DAY);
	world_kill();
	set_clock(3650 * DAY);
	place->ca.clock_off = -3650 * DAY;
	place->ca.down = true;
	world_start(NULL);
	run_for(place, HOUR);
	assert_int_equal(place->ca.order_count, 1);
	assert_string_equal(said("shop.example.com", "failures"), "0");
	struct err err = ERR_INIT;
	assert_false(renew_clock(world.renewals, &err));
	assert_non_null(strstr(err.text, "Renewals wait until a CA has told the time."));
	BUF_AUTO lines = BUF(64 << 10);
	task_lines("0000000002", &lines);
	assert_true(str_starts(buf_str(&lines), STR("clock: ")));
	assert_string_equal(said("shop.example.com", "next_renewal"), "null");
	/* Somebody sets it: nothing was due. */
	set_clock(-3650 * DAY);
	place->ca.clock_off = 0;
	run_for(place, 30 * MINUTE);
	place->ca.down = false;
	run_for(place, 30 * MINUTE);
	assert_true(renew_clock(world.renewals, &err));
	assert_int_equal(place->ca.order_count, 1);
}

/* While it knows nothing it asks each minute, not when the window of a renewal is asked again. */
static void once_a_ca_is_back_it_is_soon_asked_for_the_time(void **state)
{
	(void)state;
	static const int64_t offs[] = { 3650 * DAY, -2000 * DAY };
	for (size_t i = 0; i < sizeof offs / sizeof *offs; i++) {
		struct err err = ERR_INIT;
		start_with_a_wrong_clock(offs[i]);
		place->ca.down = true; /* nothing has been sent yet */
		run_for(place, HOUR);
		assert_false(renew_clock(world.renewals, &err));
		assert_non_null(strstr(err.text, "Renewals wait until a CA has told the time."));
		place->ca.down = false;
		run_for(place, 3 * MINUTE);
		assert_false(renew_clock(world.renewals, &err));
		assert_non_null(strstr(err.text, "Renewals go by the CA's clock."));
		world_teardown(state);
		world_setup(state);
	}
}

/* It has told it, and says it again with each answer. */
static void a_ca_that_has_told_the_time_is_not_asked_for_it_again(void **state)
{
	(void)state;
	start_with_a_wrong_clock(3650 * DAY);
	run_for(place, HOUR);
	const unsigned before = diary_count(place, "ask directory");
	run_for(place, DAY);
	assert_in_range(diary_count(place, "ask directory") - before, 0, 4);
}

static void a_wrong_clock_is_said_once(void **state)
{
	(void)state;
	start_with_a_wrong_clock(3650 * DAY);
	run_for(place, 2 * DAY);
	assert_int_equal(logged_count("more than 30 days ahead of when Everseal ran last"), 1);
	assert_int_equal(logged_count("not what the CA's clock says"), 1);
}

static int64_t latest_kept(void)
{
	struct err err = ERR_INIT;
	int64_t newest = 0;
	BUF_AUTO value = BUF(256);
	record_value(place, "clock", "clock", &value);
	JSON_AUTO *json = json_parse(buf_str(&value), "The stored time", &err);
	assert_true(clock_from_rfc3339(json_text(json, "newest"), &newest));
	return newest;
}

/* Nobody says what time it is, and nothing else happens. */
static void the_time_that_is_kept_is_never_older_than_half_a_day(void **state)
{
	(void)state;
	world_start(BASE);
	run_for(place, SECOND);
	for (int64_t passed = 0; passed < 4 * DAY; passed += HOUR) {
		run_for(place, HOUR);
		assert_in_range(loop_wall(place->loop) - latest_kept(), 0, 12 * HOUR + MINUTE);
	}
}

/* One that the configuration knows no more is passed over. */
static void the_next_one_is_configured(void **state)
{
	(void)state;
	static const struct {
		const char *issuers[3];
		size_t at;
		const char *ca; /* NULL: there is no other */
		size_t then;
	} rows[] = {
		{ { "ca", "other" }, 0, "other", 1 },
		{ { "ca", "other" }, 1, "ca", 0 },
		{ { "ca", "gone", "other" }, 0, "other", 2 },
		{ { "ca", "other", "gone" }, 1, "ca", 0 },
		{ { "ca", "gone" }, 0, NULL, 0 },
		{ { "ca" }, 0, NULL, 0 },
	};
	world_start(TWO);
	struct registration *g = registration_new(world.renewals, STR("x"));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct str issuers[3];
		g->issuer_count = 0;
		for (size_t n = 0; n < 3 && rows[i].issuers[n]; n++)
			issuers[g->issuer_count++] = str_c(rows[i].issuers[n]);
		g->issuers = issuers;
		g->turn = (struct issuer_turn){ .at = rows[i].at, .failures = 1 };
		assert_int_equal(ca_choose_next(g), rows[i].ca != NULL);
		assert_int_equal(g->turn.at, rows[i].then);
		assert_int_equal(g->turn.failures, rows[i].ca == NULL);
		if (rows[i].ca)
			assert_true(str_eq_c(ca_issuer(g), rows[i].ca));
	}
	snprintf(g->ca, sizeof g->ca, "gone");
	assert_int_equal(ca_directory(g).n, 0);
	snprintf(g->ca, sizeof g->ca, "other");
	assert_true(str_eq_c(ca_directory(g), "https://ca.test/directory-b"));
	registration_free(&g);
}

static void clock_is(const char *words)
{
	struct err err = ERR_INIT;
	assert_false(renew_clock(world.renewals, &err));
	assert_non_null(strstr(err.text, words));
}

/* A minute is a jump, in each direction. */
static void what_a_ca_said_counts_until_the_clock_is_set(void **state)
{
	for (int way = -1; way <= 1; way += 2) {
		start_with_a_wrong_clock(3650 * DAY);
		run_for(place, HOUR);
		set_clock(way * (MINUTE - 1));
		clock_is("Renewals go by the CA's clock.");
		set_clock(way);
		clock_is("Renewals wait until a CA has told the time.");
		world_teardown(state);
		world_setup(state);
	}
}

/* Without a record of the time, when it was stored. */
static void a_certificate_tells_that_the_clock_is_behind(void **state)
{
	(void)state;
	world_start(BY_FILE SHOP);
	run_for(place, HOUR);
	record_delete(place, "clock", "clock");
	world_kill();
	set_clock(-2000 * DAY);
	place->ca.down = true;
	world_start(NULL);
	run_for(place, MINUTE);
	clock_is("behind what it was before (2027-01-01T00:00:00Z).");
}

/* Those whose certificates there are, one after the other. */
static void another_ca_may_tell_the_time(void **state)
{
	(void)state;
	world_start(TWO SHOP "site a.example.com { proxy 127.0.0.1:3002; issuer other; }\n");
	run_for(place, 10 * DAY);
	assert_int_equal(place->ca.order_count, 2);
	world_kill();
	set_clock(3650 * DAY);
	place->ca.clock_off = -3650 * DAY;
	place->ca.down_at = "https://ca.test/directory";
	world_start(NULL);
	run_for(place, 10 * MINUTE);
	clock_is("Renewals go by the CA's clock.");
}

/* Before what is due by it all at once is asked for. */
static void a_clock_that_jumps_is_noticed_in_time(void **state)
{
	(void)state;
	world_start(BY_FILE SHOP);
	run_for(place, DAY + MINUTE);
	place->ca.down = true;
	set_clock(3650 * DAY);
	run_for(place, HOUR);
	clock_is("more than 30 days ahead of when Everseal ran last");
	assert_string_equal(said("shop.example.com", "failures"), "0");
	assert_int_equal(logged_count("more than 30 days ahead of when Everseal ran last"), 1);
	place->ca.down = false;
	place->ca.clock_off = -3650 * DAY;
	run_for(place, 10 * MINUTE);
	clock_is("Renewals go by the CA's clock.");
	assert_int_equal(place->ca.order_count, 1); /* nor later */
	status_is("shop.example.com", "ok");
	assert_string_equal(said("shop.example.com", "reason"), "\"21 days are left\"");
	BUF_AUTO lines = BUF(4096);
	task_lines("0000000002", &lines);
	assert_true(str_ends(
	        buf_str(&lines), STR("end: Given up: it is not due.\nRenewLetsEncrypt Canceled")));
}

/* While the clock is wrong, each ten minutes. */
static void that_it_was_set_is_noticed_in_time(void **state)
{
	(void)state;
	start_with_a_wrong_clock(3650 * DAY);
	place->ca.down = true;
	run_for(place, 5 * MINUTE);
	assert_int_equal(world.renewals->wall.was, WALL_AHEAD);
	set_clock(-3650 * DAY);
	run_for(place, 5 * MINUTE - 1);
	assert_int_equal(world.renewals->wall.was, WALL_AHEAD);
	run_for(place, 1);
	assert_int_equal(world.renewals->wall.was, WALL_BELIEVED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(after_two_failures_the_next_issuer_is_asked),
		WORLD_TEST(a_name_that_fails_stays_with_its_issuer),
		WORLD_TEST(which_issuer_is_asked_survives_a_restart),
		WORLD_TEST(a_ca_that_is_busy_for_too_long_is_asked_sooner),
		WORLD_TEST(a_limit_is_honoured_but_told_loudly),
		WORLD_TEST(who_asks_for_too_much_patience_is_left_for_another),
		WORLD_TEST(who_asks_for_some_patience_is_not_left),
		WORLD_TEST(of_two_that_refuse_the_sooner_one_is_waited_for),
		WORLD_TEST(what_was_never_tried_is_tried_on_staging),
		WORLD_TEST(a_rehearsal_that_fails_touches_nothing_else),
		WORLD_TEST(staging_that_is_down_delays_nothing),
		WORLD_TEST(rehearsals_can_be_switched_off),
		WORLD_TEST(keys_are_new_or_the_same),
		WORLD_TEST(a_clock_that_is_years_ahead_renews_nothing),
		WORLD_TEST(a_clock_that_is_years_back_still_renews),
		WORLD_TEST(while_nobody_tells_the_time_what_has_a_certificate_waits),
		WORLD_TEST(once_a_ca_is_back_it_is_soon_asked_for_the_time),
		WORLD_TEST(a_ca_that_has_told_the_time_is_not_asked_for_it_again),
		WORLD_TEST(a_wrong_clock_is_said_once),
		WORLD_TEST(the_time_that_is_kept_is_never_older_than_half_a_day),
		WORLD_TEST(the_next_one_is_configured),
		WORLD_TEST(what_a_ca_said_counts_until_the_clock_is_set),
		WORLD_TEST(a_certificate_tells_that_the_clock_is_behind),
		WORLD_TEST(another_ca_may_tell_the_time),
		WORLD_TEST(a_clock_that_jumps_is_noticed_in_time),
		WORLD_TEST(that_it_was_set_is_noticed_in_time),
	};
	return cmocka_run_group_tests_name("renew_ca", tests, NULL, NULL);
}
