/* What is told and when: the table of decisions, with an injected clock. */
#include "notify/matter.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define BIRTH (INT64_C(20000) * DAY)

/* A certificate of 90 days that is renewed when 21 are left, and all is well. */
static struct matter_facts well(void)
{
	return (struct matter_facts){ .now = BIRTH + DAY,
		.not_before = BIRTH,
		.not_after = BIRTH + 90 * DAY,
		.since = BIRTH,
		.held = true,
		.wanted = true,
		.planned = true,
		.certificate = STR("aa") };
}

static struct matter_verdict judge(
        enum matter_kind kind, const struct matter_facts *f, const struct matter *m)
{
	return matter_judge(kind, f, m, BIRTH + 1);
}

static void says(enum matter_kind kind, const struct matter_facts *f, const struct matter *m,
        enum matter_act act)
{
	assert_int_equal(judge(kind, f, m).act, act);
}

static const struct matter closed;

static struct matter told(unsigned times, int64_t at)
{
	return (struct matter){ .open = true, .told = times, .told_at = at };
}

static void test_all_is_well(void **state)
{
	(void)state;
	const struct matter_facts f = well();
	for (unsigned k = MATTER_FAILED; k < MATTER_COUNT; k++)
		says((enum matter_kind)k, &f, &closed, MATTER_REST);
	says(MATTER_RENEWED, &f, &closed, MATTER_REST);
}

static void test_a_new_certificate_is_told_once(void **state)
{
	(void)state;
	struct matter_facts f = well();
	f.since = BIRTH + 1;
	says(MATTER_RENEWED, &f, &closed, MATTER_TELL);
	struct matter m = told(1, f.now);
	m.certificate = STR("aa");
	says(MATTER_RENEWED, &f, &m, MATTER_REST);
	f.certificate = STR("bb");
	says(MATTER_RENEWED, &f, &m, MATTER_TELL);
	f.held = false;
	says(MATTER_RENEWED, &f, &m, MATTER_REST);
}

static void test_failures(void **state)
{
	(void)state;
	struct matter_facts f = well();
	f.failing = true;
	f.planned = false;
	struct matter_verdict v = judge(MATTER_FAILED, &f, &closed);
	assert_int_equal(v.act, MATTER_TELL);
	assert_int_equal(v.told, 1);
	assert_int_equal(v.next, f.now + DAY);
	struct matter m = told(1, f.now);
	f.now += DAY - 1;
	v = judge(MATTER_FAILED, &f, &m);
	assert_int_equal(v.act, MATTER_REST);
	assert_int_equal(v.next, m.told_at + DAY);
	f.now++;
	v = judge(MATTER_FAILED, &f, &m);
	assert_int_equal(v.act, MATTER_TELL);
	assert_int_equal(v.told, 2);
	assert_int_equal(v.next, f.not_after - 20 * DAY);
	m = told(2, f.now);
	f.now = f.not_after - 20 * DAY - 1;
	says(MATTER_FAILED, &f, &m, MATTER_REST);
	f.now++;
	v = judge(MATTER_FAILED, &f, &m);
	assert_int_equal(v.act, MATTER_TELL);
	assert_int_equal(v.told, 3);
	assert_int_equal(v.next, f.now + DAY);
	m = told(3, f.now);
	f.now += DAY - 1;
	says(MATTER_FAILED, &f, &m, MATTER_REST);
	f.now++;
	says(MATTER_FAILED, &f, &m, MATTER_TELL);
	f.replaced = true;
	says(MATTER_FAILED, &f, &m, MATTER_REST);
}

static void test_failures_end(void **state)
{
	(void)state;
	struct matter_facts f = well();
	const struct matter m = told(1, BIRTH);
	const struct matter_verdict v = judge(MATTER_FAILED, &f, &m);
	assert_int_equal(v.act, MATTER_SOLVE);
	assert_int_equal(v.told, 0);
	assert_int_equal(v.next, INT64_MAX);
	f.held = false; /* begun anew: there is nothing yet */
	says(MATTER_FAILED, &f, &m, MATTER_CLOSE);
	f.held = true;
	f.wanted = false; /* disabled */
	says(MATTER_FAILED, &f, &m, MATTER_CLOSE);
	f.failing = true;
	says(MATTER_FAILED, &f, &m, MATTER_CLOSE);
	says(MATTER_FAILED, &f, &closed, MATTER_REST);
}

/* Without a certificate there is no end to be near to. */
static void test_failures_without_a_certificate(void **state)
{
	(void)state;
	const struct matter_facts f = { .now = BIRTH + 50 * DAY, .wanted = true, .failing = true };
	const struct matter m = told(2, BIRTH);
	const struct matter_verdict v = judge(MATTER_FAILED, &f, &m);
	assert_int_equal(v.act, MATTER_REST);
	assert_int_equal(v.next, INT64_MAX);
}

static void test_it_expires_in_20_10_5_and_1_days(void **state)
{
	(void)state;
	static const int64_t days[] = { 20, 10, 5, 1 };
	struct matter_facts f = well();
	f.planned = false;
	struct matter m = closed;
	for (unsigned i = 0; i < MATTER_MOMENTS; i++) {
		const int64_t moment = f.not_after - days[i] * DAY;
		f.now = moment - 1;
		struct matter_verdict v = judge(MATTER_EXPIRING, &f, &m);
		assert_int_equal(v.act, MATTER_REST);
		assert_int_equal(v.next, moment);
		f.now = moment;
		v = judge(MATTER_EXPIRING, &f, &m);
		assert_int_equal(v.act, MATTER_TELL);
		assert_int_equal(v.told, i + 1);
		m = told(i + 1, f.now);
		says(MATTER_EXPIRING, &f, &m, MATTER_REST);
	}
	assert_int_equal(judge(MATTER_EXPIRING, &f, &m).next, INT64_MAX);
}

static void test_what_was_missed_is_told_once(void **state)
{
	(void)state;
	struct matter_facts f = well();
	f.planned = false;
	f.now = f.not_after - 2 * DAY;
	const struct matter_verdict v = judge(MATTER_EXPIRING, &f, &closed);
	assert_int_equal(v.act, MATTER_TELL);
	assert_int_equal(v.told, 3);
}

/* Who renews late is not alarmed before he is late. */
static void test_a_renewal_that_goes_well_is_not_warned_of(void **state)
{
	(void)state;
	struct matter_facts f = well();
	f.now = f.not_after - 5 * DAY - 1;
	says(MATTER_EXPIRING, &f, &closed, MATTER_REST);
	f.now++;
	says(MATTER_EXPIRING, &f, &closed, MATTER_TELL);
}

static void test_short_lives(void **state)
{
	(void)state;
	struct matter_facts f = well();
	f.not_after = f.not_before + 45 * DAY;
	assert_int_equal(matter_moment(&f, 0), f.not_after - 10 * DAY);
	assert_int_equal(matter_moment(&f, 3), f.not_after - DAY / 2);
	f.not_after = f.not_before + 160 * HOUR;
	assert_true(matter_moment(&f, 0) > f.not_after - 80 * HOUR); /* renewed at half */
	f.not_after = f.not_before + 398 * DAY;
	assert_int_equal(matter_moment(&f, 0), f.not_after - 20 * DAY);
	f.not_after = f.not_before + 90 * DAY;
	assert_int_equal(matter_moment(&f, 1), f.not_after - 10 * DAY);
}

static void test_expired(void **state)
{
	(void)state;
	struct matter_facts f = well();
	const struct matter expiring = told(4, BIRTH), expired = told(1, BIRTH);
	f.planned = false;
	f.now = f.not_after - 1;
	struct matter_verdict v = judge(MATTER_EXPIRED, &f, &closed);
	assert_int_equal(v.act, MATTER_REST);
	assert_int_equal(v.next, f.not_after);
	says(MATTER_EXPIRING, &f, &expiring, MATTER_REST);
	f.now++;
	says(MATTER_EXPIRED, &f, &closed, MATTER_TELL);
	says(MATTER_EXPIRED, &f, &expired, MATTER_REST);
	says(MATTER_EXPIRING, &f, &expiring, MATTER_CLOSE);
	f = well();
	says(MATTER_EXPIRED, &f, &expired, MATTER_SOLVE);
	says(MATTER_EXPIRING, &f, &expiring, MATTER_SOLVE);
	f.replaced = true;
	says(MATTER_EXPIRED, &f, &expired, MATTER_CLOSE);
	f.now = f.not_after;
	says(MATTER_EXPIRED, &f, &closed, MATTER_REST);
	f.replaced = false;
	f.held = false;
	says(MATTER_EXPIRED, &f, &closed, MATTER_REST);
}

static void test_revoked_and_differs(void **state)
{
	(void)state;
	struct matter_facts f = well();
	const struct matter m = told(1, BIRTH);
	says(MATTER_REVOKED, &f, &m, MATTER_SOLVE);
	says(MATTER_DIFFERS, &f, &m, MATTER_SOLVE);
	f.revoked = true;
	says(MATTER_REVOKED, &f, &closed, MATTER_TELL);
	says(MATTER_REVOKED, &f, &m, MATTER_REST);
	says(MATTER_DIFFERS, &f, &closed, MATTER_REST);
	f.revoked = false;
	f.differs = true;
	says(MATTER_DIFFERS, &f, &closed, MATTER_TELL);
	says(MATTER_DIFFERS, &f, &m, MATTER_REST);
	says(MATTER_REVOKED, &f, &closed, MATTER_REST);
	f.replaced = true;
	says(MATTER_DIFFERS, &f, &closed, MATTER_REST);
}

/* What its CA wants back, and has not revoked yet. */
static void test_recalled(void **state)
{
	(void)state;
	struct matter_facts f = well();
	const struct matter m = told(1, BIRTH);
	f.recalled = true;
	says(MATTER_RECALLED, &f, &closed, MATTER_TELL);
	says(MATTER_RECALLED, &f, &m, MATTER_REST);
	f.revoked = true;
	says(MATTER_RECALLED, &f, &closed, MATTER_REST);
	f.revoked = f.recalled = false;
	says(MATTER_RECALLED, &f, &m, MATTER_SOLVE);
	f.recalled = true;
	f.wanted = false;
	says(MATTER_RECALLED, &f, &closed, MATTER_REST);
}

/* Room comes back without anybody's doing. */
static void test_a_limit_that_is_near_is_looked_at_again(void **state)
{
	(void)state;
	const struct matter m = told(1, BIRTH);
	struct matter_facts f = { .now = BIRTH + DAY, .failing = true };
	assert_true(judge(MATTER_LOW, &f, &m).next == f.now + HOUR);
	assert_true(judge(MATTER_LOW, &f, &closed).next == f.now + HOUR);
	f.failing = false;
	assert_true(judge(MATTER_LOW, &f, &m).next == INT64_MAX);
}

static void test_issuers(void **state)
{
	(void)state;
	static const enum matter_kind kinds[] = { MATTER_UNREACHABLE, MATTER_LIMITS, MATTER_LOW,
		MATTER_TERMS };
	const struct matter m = told(1, BIRTH);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		struct matter_facts f = { .now = BIRTH + 100 * DAY, .failing = true };
		says(kinds[i], &f, &closed, MATTER_TELL);
		says(kinds[i], &f, &m, MATTER_REST);
		f.failing = false;
		says(kinds[i], &f, &m, MATTER_SOLVE);
		says(kinds[i], &f, &closed, MATTER_REST);
	}
}

static void test_levels(void **state)
{
	(void)state;
	assert_int_equal(matter_level(MATTER_RENEWED, 1), CONFIG_LEVEL_INFO);
	assert_int_equal(matter_level(MATTER_FAILED, 1), CONFIG_LEVEL_WARNING);
	assert_int_equal(matter_level(MATTER_FAILED, 2), CONFIG_LEVEL_PROBLEM);
	assert_int_equal(matter_level(MATTER_EXPIRING, 2), CONFIG_LEVEL_WARNING);
	assert_int_equal(matter_level(MATTER_EXPIRING, 3), CONFIG_LEVEL_PROBLEM);
	assert_int_equal(matter_level(MATTER_EXPIRED, 1), CONFIG_LEVEL_PROBLEM);
}

static void test_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MATTER_COUNT; i++) {
		enum matter_kind kind = MATTER_COUNT;
		assert_true(
		        matter_from_name(str_c(matter_words((enum matter_kind)i)->name), &kind));
		assert_int_equal(kind, i);
	}
	enum matter_kind kind = MATTER_COUNT;
	assert_false(matter_from_name(STR("none"), &kind));
	assert_int_equal(kind, MATTER_COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_is_well),
		cmocka_unit_test(test_a_new_certificate_is_told_once),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_failures_end),
		cmocka_unit_test(test_failures_without_a_certificate),
		cmocka_unit_test(test_it_expires_in_20_10_5_and_1_days),
		cmocka_unit_test(test_what_was_missed_is_told_once),
		cmocka_unit_test(test_a_renewal_that_goes_well_is_not_warned_of),
		cmocka_unit_test(test_short_lives),
		cmocka_unit_test(test_expired),
		cmocka_unit_test(test_revoked_and_differs),
		cmocka_unit_test(test_recalled),
		cmocka_unit_test(test_a_limit_that_is_near_is_looked_at_again),
		cmocka_unit_test(test_issuers),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
