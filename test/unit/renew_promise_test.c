/* What browsers remember of HSTS: kept, counted for each name, and no reason where nobody is locked
 * out. */
#include "renew_world.h"

static void sent(const char *name, int64_t age)
{
	renew_hsts_sent(world.renewals, str_c(name), age, loop_wall(place->loop));
}

static void the_longest_of_its_names_counts(void **state)
{
	(void)state;
	const struct str names[] = { STR("a.example.com"), STR("b.example.com"),
		STR("c.example.com") };
	const int64_t now = loop_wall(place->loop);
	world_start(BASE);
	assert_int_equal(renew_hsts_until(world.renewals, names, 3), 0);
	sent("b.example.com", 3600);
	sent("c.example.com", 60);
	assert_int_equal(renew_hsts_until(world.renewals, names, 3), now + HOUR);
	assert_int_equal(renew_hsts_until(world.renewals, names, 1), 0);
	run_to(place, now + HOUR - 1);
	assert_int_equal(renew_hsts_until(world.renewals, names, 3), now + HOUR);
	run_to(place, now + HOUR + 1);
	assert_int_equal(renew_hsts_until(world.renewals, names, 3), 0);
}

static void what_cannot_be_stored_is_said_and_known_all_the_same(void **state)
{
	(void)state;
	const struct str name = STR("shop.example.com");
	world_start(BASE);
	store_full(place, true);
	sent("shop.example.com", 3600);
	run_for(place, SECOND);
	store_full(place, false);
	logged_has("What browsers remember of HSTS for shop.example.com could not be stored: ");
	assert_true(renew_hsts_until(world.renewals, &name, 1) > 0);
	sent("shop.example.com", 7200);
	run_for(place, SECOND);
	assert_int_equal(record_version(place, "hsts", "shop.example.com"), 1);
}

static const struct {
	const char *issuer;   /* of the one that is there, or NULL */
	const char *promised; /* the name that browsers remember, or NULL */
	bool despite, refused;
} rows[] = {
	{ NULL, "b.example.com", false, false }, { "ca", NULL, false, false },
	{ "ca", "a.example.com", false, false }, /* the other one is not for it */
	{ "ca", "b.example.com", false, true }, { "ca", "b.example.com", true, false },
	{ "letsencrypt-staging", "b.example.com", false, false }, /* nobody got in before */
};

static void wish_of(
        struct wish *w, const char *issuer, const struct str *names, size_t count, bool despite)
{
	wish_register(w, &(struct register_want){ .names = names,
	                         .name_count = count,
	                         .email = STR("ops@example.com"),
	                         .issuer = str_c(issuer),
	                         .agree_tos = true,
	                         .despite_hsts = despite });
	turn_until(place, w->done);
}

/* From a CA that browsers trust to one that they do not. */
static void a_ca_that_nobody_trusts_locks_out_whom_it_was_promised(void **state)
{
	const struct str names[] = { STR("a.example.com"), STR("b.example.com") };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct wish w;
		world.unprovable = "Port 80 is held by nginx."; /* nothing is ordered */
		world_start(BASE);
		if (rows[i].issuer)
			wish_of(&w, rows[i].issuer, names + 1, 1, false);
		if (rows[i].promised)
			sent(rows[i].promised, 3600);
		wish_of(&w, "letsencrypt-staging", names, 2, rows[i].despite);
		if (rows[i].refused)
			assert_string_equal(w.err.text,
			        "Browsers may remember until 2027-01-01T01:00:00Z that "
			        "b.example.com must be reached by HTTPS, and do not trust "
			        "certificates of letsencrypt-staging: they would let nobody in. "
			        "Send `hsts off` first and wait, or insist with --despite-hsts.");
		else
			assert_string_equal(w.err.text, "");
		assert_true((w.q.hsts_until > 0) == rows[i].refused);
		world_teardown(state);
		world_setup(state);
	}
}

static void record_is(int64_t version, const char *value)
{
	BUF_AUTO text = BUF(1024);
	run_for(place, SECOND);
	assert_int_equal(record_version(place, "hsts", "shop.example.com"), version);
	record_value(place, "hsts", "shop.example.com", &text);
	assert_string_equal(buf_c(&text), value);
}

/* What grows while it is being stored is stored next; what does not grow is not. */
static void a_promise_only_grows(void **state)
{
	(void)state;
	const struct str name = STR("shop.example.com");
	const int64_t now = loop_wall(place->loop);
	world_start(BASE);
	renew_hsts_sent(world.renewals, name, 0, now);
	record_is(0, "");
	renew_hsts_sent(world.renewals, name, 3600, now);
	renew_hsts_sent(world.renewals, name, 7200, now);
	record_is(2, "{\"age\":7200,\"until\":\"2027-01-01T02:00:00Z\"}");
	renew_hsts_sent(world.renewals, name, 7200, now);
	renew_hsts_sent(world.renewals, name, 0, now);
	renew_hsts_sent(world.renewals, name, 60, now);
	record_is(2, "{\"age\":7200,\"until\":\"2027-01-01T02:00:00Z\"}");
	world_kill();
	world_start(NULL);
	assert_int_equal(renew_hsts_until(world.renewals, &name, 1), now + 2 * HOUR);
	renew_hsts_sent(world.renewals, name, 7200, now + SECOND);
	record_is(3, "{\"age\":7200,\"until\":\"2027-01-01T02:00:01Z\"}");
	run_to(place, now + 2 * HOUR + SECOND);
	assert_int_equal(renew_hsts_until(world.renewals, &name, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(the_longest_of_its_names_counts),
		WORLD_TEST(what_cannot_be_stored_is_said_and_known_all_the_same),
		WORLD_TEST(a_ca_that_nobody_trusts_locks_out_whom_it_was_promised),
		WORLD_TEST(a_promise_only_grows),
	};
	return cmocka_run_group_tests_name("renew_promise", tests, NULL, NULL);
}
