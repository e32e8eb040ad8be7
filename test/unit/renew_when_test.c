/* When a certificate is renewed, and how long is waited after a failure. */
#include "renew/renew.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void the_moment_of_renewal(void **state)
{
	(void)state;
	static const struct {
		int64_t life, before, at; /* from not_before */
		const char *why;
	} cases[] = {
		{ 365 * DAY, 0, 344 * DAY, "21 days are left" },
		{ 90 * DAY, 0, 69 * DAY, "21 days are left" },
		{ 64 * DAY, 0, 43 * DAY, "21 days are left" },
		{ 63 * DAY, 0, 42 * DAY, "21 days are left" },
		{ 63 * DAY - 3, 0, 42 * DAY - 2, "a third of its lifetime is left" },
		{ 45 * DAY, 0, 30 * DAY, "a third of its lifetime is left" },
		{ 10 * DAY, 0, 10 * DAY - 10 * DAY / 3, "a third of its lifetime is left" },
		{ 10 * DAY - 2, 0, 5 * DAY - 1, "half of its lifetime is left" },
		{ 160 * HOUR, 0, 80 * HOUR, "half of its lifetime is left" },
		{ 6 * DAY, 0, 3 * DAY, "half of its lifetime is left" },
		{ 90 * DAY, 30 * DAY, 60 * DAY, "renew-before in the configuration" },
		{ 6 * DAY, DAY, 5 * DAY, "renew-before in the configuration" },
		{ 6 * DAY, 1, 6 * DAY - 1, "renew-before in the configuration" },
		{ 6 * DAY, 6 * DAY - 1, 1, "renew-before in the configuration" },
		{ 6 * DAY, 6 * DAY, 3 * DAY,
		        "half of its lifetime is left" }, /* would never rest */
		{ 6 * DAY, -1, 3 * DAY, "half of its lifetime is left" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const int64_t from = INT64_C(1800000000000);
		struct renewal_time t = renewal_time(from, from + cases[i].life, cases[i].before);
		assert_int_equal(t.at - from, cases[i].at);
		assert_string_equal(t.why, cases[i].why);
	}
}

static void the_wait_after_a_failure(void **state)
{
	(void)state;
	enum { MIDDLE = 32768, LEAST = 0, MOST = 65535 };
	const int64_t now = INT64_C(1800000000000);
	static const struct {
		unsigned failures, noise;
		int64_t left, least, most; /* left 0: no certificate */
	} cases[] = {
		{ 1, MIDDLE, 0, MINUTE, MINUTE }, { 2, MIDDLE, 0, 10 * MINUTE, 10 * MINUTE },
		{ 3, MIDDLE, 0, 100 * MINUTE, 100 * MINUTE }, { 4, MIDDLE, 0, DAY, DAY },
		{ 5, MIDDLE, 0, DAY, DAY }, { 1000, MIDDLE, 0, DAY, DAY },
		/* a fifth more or less, a minute at least */
		{ 1, LEAST, 0, MINUTE, MINUTE }, { 1, MOST, 0, 72 * SECOND - 3, 72 * SECOND },
		{ 2, LEAST, 0, 8 * MINUTE, 8 * MINUTE },
		{ 2, MOST, 0, 12 * MINUTE - 10, 12 * MINUTE },
		{ 4, LEAST, 0, DAY * 4 / 5, DAY * 4 / 5 },
		{ 4, MOST, 0, DAY * 6 / 5 - 1000, DAY * 6 / 5 },
		/* a tenth of what is left at most */
		{ 4, MIDDLE, 10 * DAY, DAY, DAY },
		{ 4, MIDDLE, 9 * DAY, 9 * DAY / 10, 9 * DAY / 10 },
		{ 4, MIDDLE, HOUR, 6 * MINUTE, 6 * MINUTE },
		{ 2, MIDDLE, HOUR, 6 * MINUTE, 6 * MINUTE },
		{ 4, MIDDLE, 5 * MINUTE, MINUTE, MINUTE }, { 4, MIDDLE, 1, MINUTE, MINUTE },
		{ 4, MIDDLE, -DAY, DAY, DAY }, /* expired: nothing is in danger any more */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int64_t not_after = cases[i].left ? now + cases[i].left : 0;
		int64_t wait = renewal_backoff(cases[i].failures, cases[i].noise, now, not_after);
		if (wait < cases[i].least || wait > cases[i].most)
			fail_msg("case %zu: %lld", i, (long long)wait);
	}
	assert_int_equal(renewal_backoff(4, MIDDLE, now, now), DAY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_moment_of_renewal),
		cmocka_unit_test(the_wait_after_a_failure),
	};
	return cmocka_run_group_tests_name("renew_when", tests, NULL, NULL);
}
