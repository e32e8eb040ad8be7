/* The lamp of a site, by the rules of the page. */
#include "renew/renew.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { LIFE = 90, NINTH = 10 }; /* days */

#define HELD .held = true, .should_be_seen = true
#define SEEN HELD, .seen = true

static const struct {
	const char *what;
	struct lamp_facts facts;
	int64_t left; /* days */
	enum lamp lamp;
} rows[] = {
	{ "all is well", { SEEN }, 60, LAMP_OK },
	{ "nobody has looked yet", { HELD }, 60, LAMP_UNKNOWN },
	{ "nobody will look", { .held = true }, 60, LAMP_OK },
	{ "expired", { SEEN }, 0, LAMP_PROBLEM },
	{ "a day is enough", { SEEN }, 1, LAMP_OK },
	{ "revoked and disabled: visitors see it", { SEEN, .off = true, .revoked = true }, 60,
	        LAMP_PROBLEM },
	{ "revoked, a new one is under way", { SEEN, .revoked = true, .working = true }, 60,
	        LAMP_WORKING },
	{ "revoked and replaced", { SEEN, .revoked = true, .replaced = true }, 60, LAMP_OFF },
	{ "expired, being renewed", { SEEN, .working = true }, -1, LAMP_PROBLEM },
	{ "expired and disabled: visitors see it", { SEEN, .off = true }, -1, LAMP_PROBLEM },
	{ "expired and replaced", { SEEN, .off = true, .replaced = true }, -1, LAMP_OFF },
	{ "disabled", { SEEN, .off = true }, 60, LAMP_OFF },
	{ "disabled after a failure", { SEEN, .off = true, .failed = true }, 5, LAMP_OFF },
	{ "disabled without certificate", { .off = true, .failed = true }, 0, LAMP_OFF },
	{ "another took its place", { SEEN, .replaced = true }, 60, LAMP_OFF },
	{ "replaced, while working", { SEEN, .replaced = true, .working = true }, 60, LAMP_OFF },
	{ "failed, time enough", { SEEN, .failed = true }, NINTH + 1, LAMP_WARNING },
	{ "failed, a ninth is left", { SEEN, .failed = true }, NINTH, LAMP_WARNING },
	{ "failed, less than a ninth", { SEEN, .failed = true }, NINTH - 1, LAMP_PROBLEM },
	{ "little left, but none failed", { SEEN }, NINTH - 1, LAMP_OK },
	{ "tried again, little left", { SEEN, .failed = true, .working = true }, NINTH - 1,
	        LAMP_PROBLEM },
	{ "tried again, time enough", { SEEN, .failed = true, .working = true }, 60, LAMP_WORKING },
	{ "being renewed", { SEEN, .working = true }, 20, LAMP_WORKING },
	{ "renewed, others are seen", { SEEN, .working = true, .differs = true }, 20,
	        LAMP_WORKING },
	{ "first attempt", { .working = true }, 0, LAMP_WORKING },
	{ "first attempt failed", { .failed = true }, 0, LAMP_PROBLEM },
	{ "tried again", { .failed = true, .working = true }, 0, LAMP_WORKING },
	{ "not registered", { 0 }, 0, LAMP_TEMPORARY },
	{ "another certificate is seen", { SEEN, .differs = true }, 60, LAMP_WARNING },
	{ "what differed before is not known", { HELD, .differs = true }, 60, LAMP_UNKNOWN },
	{ "failed, and not looked at", { HELD, .failed = true }, 60, LAMP_WARNING },
};

static void lamps(void **state)
{
	(void)state;
	const int64_t now = INT64_C(1800000000000);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct lamp_facts f = rows[i].facts;
		f.now = now;
		f.not_after = f.held ? now + rows[i].left * DAY : 0;
		f.not_before = f.held ? f.not_after - LIFE * DAY : 0;
		if (lamp_of(&f) != rows[i].lamp)
			fail_msg("%s: %s", rows[i].what, lamp_name(lamp_of(&f)));
	}
}

static void a_life_of_hours_has_its_ninth(void **state)
{
	(void)state;
	struct lamp_facts f = { SEEN, .failed = true, .not_before = 0, .not_after = 90 * MINUTE };
	f.now = 80 * MINUTE;
	assert_int_equal(lamp_of(&f), LAMP_WARNING);
	f.now += 1;
	assert_int_equal(lamp_of(&f), LAMP_PROBLEM);
	f.now = 90 * MINUTE - 1;
	f.failed = false;
	assert_int_equal(lamp_of(&f), LAMP_OK);
	f.now++;
	assert_int_equal(lamp_of(&f), LAMP_PROBLEM);
}

static void names_of_lamps(void **state)
{
	(void)state;
	enum lamp lamp = LAMP_OK;
	for (enum lamp l = 0; l < LAMP_COUNT; l++) {
		assert_true(lamp_from_name(str_c(lamp_name(l)), &lamp));
		assert_int_equal(lamp, l);
	}
	assert_false(lamp_from_name(STR("green"), &lamp));
	assert_false(lamp_from_name(STR_NONE, &lamp));
	assert_string_equal(lamp_name(LAMP_TEMPORARY), "temporary");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lamps),
		cmocka_unit_test(a_life_of_hours_has_its_ninth),
		cmocka_unit_test(names_of_lamps),
	};
	return cmocka_run_group_tests_name("renew_lamp", tests, NULL, NULL);
}
