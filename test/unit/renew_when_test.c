/* When a certificate is renewed, and how long is waited after a failure. */
#include "renew/when.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void the_moment_of_renewal(void **state)
{
	(void)state;
	static const char third[] =
	        "renew-before in the configuration wants it sooner, but a third "
	        "of its lifetime has to pass first";
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
		{ 6 * DAY, 4 * DAY, 2 * DAY, "renew-before in the configuration" },
		{ 6 * DAY, 4 * DAY + 1, 2 * DAY, third },
		{ 6 * DAY, 6 * DAY - 1, 2 * DAY, third },
		{ 6 * DAY, 6 * DAY, 3 * DAY,
		        "half of its lifetime is left" }, /* would never rest */
		{ 6 * DAY, -1, 3 * DAY, "half of its lifetime is left" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const int64_t from = INT64_C(1800000000000);
		struct renewal_time t = renewal_time(from, from + cases[i].life, cases[i].before);
		assert_int_equal(t.at - from, cases[i].at);
		assert_string_equal(t.why, cases[i].why);
		const char *misfit = renewal_misfit(cases[i].life, cases[i].before);
		assert_int_equal(!!misfit, cases[i].why == third || cases[i].before == 6 * DAY);
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
		{ 1, MIDDLE, 0, MINUTE, MINUTE },
		{ 2, MIDDLE, 0, 10 * MINUTE, 10 * MINUTE },
		{ 3, MIDDLE, 0, 100 * MINUTE, 100 * MINUTE },
		{ 4, MIDDLE, 0, DAY, DAY },
		{ 5, MIDDLE, 0, DAY, DAY },
		{ 1000, MIDDLE, 0, DAY, DAY },
		/* a fifth more or less, a minute at least */
		{ 1, LEAST, 0, MINUTE, MINUTE },
		{ 1, MOST, 0, 72 * SECOND - 3, 72 * SECOND },
		{ 2, LEAST, 0, 8 * MINUTE, 8 * MINUTE },
		{ 2, MOST, 0, 12 * MINUTE - 10, 12 * MINUTE },
		{ 4, LEAST, 0, DAY * 4 / 5, DAY * 4 / 5 },
		{ 4, MOST, 0, DAY * 6 / 5 - 1000, DAY * 6 / 5 },
		/* a tenth of what is left at most */
		{ 4, MIDDLE, 10 * DAY, DAY, DAY },
		{ 4, MIDDLE, 9 * DAY, 9 * DAY / 10, 9 * DAY / 10 },
		{ 4, MIDDLE, HOUR, 6 * MINUTE, 6 * MINUTE },
		{ 2, MIDDLE, HOUR, 6 * MINUTE, 6 * MINUTE },
		{ 4, MIDDLE, 5 * MINUTE, MINUTE, MINUTE },
		{ 4, MIDDLE, 1, MINUTE, MINUTE },
		/* expired: visitors are refused, and most so lately that it may be short */
		{ 4, MIDDLE, -HOUR, 6 * MINUTE, 6 * MINUTE },
		{ 4, MIDDLE, -5 * DAY, DAY / 2, DAY / 2 },
		{ 4, MIDDLE, -30 * DAY, DAY, DAY },
		{ 1, MIDDLE, -DAY, MINUTE, MINUTE },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int64_t not_after = cases[i].left ? now + cases[i].left : 0;
		int64_t wait = renewal_backoff(cases[i].failures, cases[i].noise, now, not_after);
		if (wait < cases[i].least || wait > cases[i].most)
			fail_msg("case %zu: %lld", i, (long long)wait);
	}
	assert_int_equal(renewal_backoff(4, MIDDLE, now, now), MINUTE);
}

/* ARI (RFC 9773) */

static const int64_t from = INT64_C(1800000000000);

struct window_case {
	int64_t life, start, end, chosen; /* from `from` on */
	bool moved_back;
	int64_t before, now, at;
	const char *why;
};

static void the_time_that_the_ca_suggests(void **state)
{
	(void)state;
	static const char rule[] = "21 days are left", suggests[] = "the CA suggests it",
	                  asks[] = "the CA asks for it now",
	                  own[] = "renew-before in the configuration",
	                  late[] = "the CA suggests a time that is too late";
	static const struct window_case cases[] = {
		/* 90, 64, 45 and 6 days, in the window that Let's Encrypt gives */
		{ 90 * DAY, 59 * DAY, 61 * DAY, 60 * DAY, false, 0, 0, 60 * DAY, suggests },
		{ 64 * DAY, 42 * DAY, 43 * DAY, 42 * DAY + HOUR, false, 0, 0, 42 * DAY + HOUR,
		        suggests },
		{ 45 * DAY, 29 * DAY, 30 * DAY, 30 * DAY, false, 0, 0, 30 * DAY, suggests },
		{ 160 * HOUR, 78 * HOUR, 81 * HOUR, 80 * HOUR, false, 0, 0, 80 * HOUR, suggests },
		/* nothing is suggested */
		{ 90 * DAY, 0, 0, 0, false, 0, 0, 69 * DAY, rule },
		/* it has passed: at once */
		{ 90 * DAY, DAY, 2 * DAY, DAY + 5, false, 0, 2 * DAY, DAY + 5, asks },
		{ 90 * DAY, DAY, 2 * DAY, DAY + 5, false, 0, 2 * DAY - 1, DAY + 5, suggests },
		/* so late that a failure could not be made good: the last tenth of its life */
		{ 90 * DAY, 81 * DAY + 1, 85 * DAY, 83 * DAY, false, 0, 0, 69 * DAY, late },
		{ 90 * DAY, 81 * DAY, 85 * DAY, 83 * DAY, false, 0, 0, 81 * DAY, suggests },
		{ 90 * DAY, 80 * DAY, 85 * DAY, 81 * DAY - 1, false, 0, 0, 81 * DAY - 1, suggests },
		{ 90 * DAY, 400 * DAY, 500 * DAY, 450 * DAY, false, 0, 0, 69 * DAY, late },
		{ 6 * DAY, 6 * DAY, 7 * DAY, 6 * DAY, false, 0, 0, 3 * DAY,
		        "the CA suggests a time that is too late" },
		/* who wants another rule has it, unless the CA moved the window into the past */
		{ 90 * DAY, 59 * DAY, 61 * DAY, 60 * DAY, false, 10 * DAY, 0, 80 * DAY, own },
		{ 90 * DAY, 59 * DAY, 61 * DAY, 60 * DAY, false, 10 * DAY, 62 * DAY, 80 * DAY,
		        own },
		{ 90 * DAY, 5 * DAY, 6 * DAY, 5 * DAY, true, 10 * DAY, 7 * DAY, 5 * DAY, asks },
		{ 90 * DAY, 59 * DAY, 61 * DAY, 60 * DAY, false, 90 * DAY, 0, 60 * DAY, suggests },
		{ 90 * DAY, 85 * DAY, 86 * DAY, 85 * DAY, true, 10 * DAY, 0, 80 * DAY, own },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct window_case *c = &cases[i];
		const struct renewal_facts f = { .now = from + c->now,
			.not_before = from,
			.not_after = from + c->life,
			.renew_before = c->before,
			.window = { .start = c->end ? from + c->start : 0,
			        .end = c->end ? from + c->end : 0,
			        .chosen = from + c->chosen,
			        .moved_back = c->moved_back } };
		const struct renewal_time t = renewal_when(&f);
		if (t.at != from + c->at || strcmp(t.why, c->why) != 0)
			fail_msg("case %zu: %lld h, %s", i, (long long)((t.at - from) / HOUR),
			        t.why);
		assert_int_equal(renewal_by_window(&f), c->why == suggests || c->why == asks);
	}
}

/* Four in seven days, whatever the CA suggests; the rule of one's own is never held back. */
static void no_suggestion_uses_up_the_limit(void **state)
{
	(void)state;
	static const char used_up[] =
	        "the CA suggests it sooner, but that would use up its limit of 5 "
	        "certificates in 7 days for the same names";
	static const struct {
		int64_t life, issued[ISSUED_KEPT]; /* before now */
		size_t count;
		int64_t at; /* from now on */
		const char *why;
	} cases[] = {
		{ 90 * DAY, { HOUR, 2 * HOUR, 3 * HOUR }, 3, -HOUR, "the CA asks for it now" },
		{ 90 * DAY, { HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR }, 4, 7 * DAY - 4 * HOUR,
		        used_up },
		{ 90 * DAY, { 0, DAY, 2 * DAY, 3 * DAY, 4 * DAY }, 5, 4 * DAY, used_up },
		{ 90 * DAY, { DAY, 2 * DAY, 3 * DAY, 7 * DAY + HOUR - 1 }, 4, -HOUR + 1, used_up },
		{ 90 * DAY, { DAY, 2 * DAY, 3 * DAY, 7 * DAY + HOUR }, 4, -HOUR,
		        "the CA asks for it now" },
		/* half of six days is left sooner than there is room */
		{ 6 * DAY, { 0, HOUR, 2 * HOUR, 3 * HOUR }, 4, 3 * DAY, used_up },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int64_t issued[ISSUED_KEPT];
		for (size_t k = 0; k < cases[i].count; k++)
			issued[k] = from - cases[i].issued[k];
		const struct renewal_facts f = { .now = from,
			.not_before = from,
			.not_after = from + cases[i].life,
			.window = { .start = from - 2 * HOUR,
			        .end = from - 1,
			        .chosen = from - HOUR },
			.issued = issued,
			.issued_count = cases[i].count };
		const struct renewal_time t = renewal_when(&f);
		if (t.at != from + cases[i].at || strcmp(t.why, cases[i].why) != 0)
			fail_msg("case %zu: %lld ms, %s", i, (long long)(t.at - from), t.why);
	}
}

/* What is revoked is renewed at once, four times a week: whatever its CA says of each new one. */
static void what_is_revoked_is_renewed_now(void **state)
{
	(void)state;
	const int64_t issued[] = { from, from - 2 * HOUR, from - DAY, from - 6 * DAY };
	struct renewal_facts f = { .now = from,
		.not_before = from,
		.not_after = from + 90 * DAY,
		.renew_before = 10 * DAY,
		.revoked = true,
		.issued = issued,
		.issued_count = 3 };
	assert_true(renewal_when(&f).at == from);
	assert_string_equal(renewal_when(&f).why, "the certificate is revoked");
	f.window = (struct renewal_window){
		.start = from + DAY, .end = from + 2 * DAY, .chosen = from + DAY
	};
	assert_true(renewal_when(&f).at == from);
	f.issued_count = 4;
	assert_true(renewal_when(&f).at == from + DAY);
	assert_non_null(strstr(renewal_when(&f).why, "would use up the CA's limit of 5"));
	f.now = issued[3] + 7 * DAY;
	assert_string_equal(renewal_when(&f).why, "the certificate is revoked");
	f.now = from;
	f.not_after = from + 6 * HOUR; /* its own time comes first */
	f.renew_before = 0;
	assert_true(renewal_when(&f).at == from + 3 * HOUR);
	f.now = from + 4 * HOUR;
	assert_true(renewal_when(&f).at == f.now);
}

static void a_new_certificate_rests(void **state)
{
	(void)state;
	static const struct {
		int64_t life, at; /* from now on */
	} cases[] = { { 90 * DAY, DAY }, { 8 * HOUR, 2 * HOUR } };
	for (size_t i = 0; i < 2; i++) {
		const int64_t issued = from;
		struct renewal_facts f = { .now = from,
			.not_before = from - 2 * cases[i].life, /* it seems to have expired */
			.not_after = from - cases[i].life,
			.issued = &issued,
			.issued_count = 1 };
		assert_int_equal(renewal_when(&f).at, from + cases[i].at);
		f.issued_count = 0;
		assert_true(renewal_when(&f).at < from);
	}
}

static void the_instant_lies_in_the_window(void **state)
{
	(void)state;
	const struct renewal_window w = { .start = from, .end = from + 65536 };
	assert_int_equal(renewal_choose(&w, 0), from);
	assert_int_equal(renewal_choose(&w, 30000), from + 30000);
	assert_int_equal(renewal_choose(&w, 65535), w.end - 1);
	const struct renewal_window narrow = { .start = from, .end = from + 1 };
	assert_int_equal(renewal_choose(&narrow, 65535), from);
}

static void how_often_it_is_asked(void **state)
{
	(void)state;
	enum { MIDDLE = 32768 };
	assert_int_equal(renewal_ask_after(-1, 90 * DAY, 0), 6 * HOUR);
	assert_int_equal(renewal_ask_after(0, 90 * DAY, 0), MINUTE);
	assert_int_equal(renewal_ask_after(MINUTE - 1, 90 * DAY, 0), MINUTE);
	assert_int_equal(renewal_ask_after(MINUTE + 1, 90 * DAY, 0), MINUTE + 1);
	assert_int_equal(renewal_ask_after(DAY, 90 * DAY, 0), DAY);
	assert_int_equal(renewal_ask_after(DAY + 1, 90 * DAY, 0), DAY);
	assert_int_equal(renewal_ask_after(DAY, 160 * HOUR, 0), 8 * HOUR);
	assert_int_equal(renewal_ask_after(-1, 40 * HOUR, 0), 2 * HOUR);
	assert_int_equal(renewal_ask_after(-1, MINUTE, 0), MINUTE);
	assert_int_equal(renewal_ask_after(-1, 90 * DAY, MIDDLE), 6 * HOUR + 18 * MINUTE);
	assert_in_range(
	        renewal_ask_after(10 * HOUR, 90 * DAY, 65535), 11 * HOUR - SECOND, 11 * HOUR - 1);
	assert_int_equal(renewal_ask_after(23 * HOUR, 90 * DAY, 65535), DAY);
	static const int64_t waits[] = { MINUTE, 10 * MINUTE, 100 * MINUTE, 6 * HOUR, 6 * HOUR };
	for (unsigned n = 1; n <= 5; n++)
		assert_int_equal(renewal_ask_again(n, MIDDLE, -1), waits[n - 1]);
	assert_int_equal(renewal_ask_again(4, 0, -1), 6 * HOUR * 4 / 5);
	assert_int_equal(renewal_ask_again(1, MIDDLE, HOUR), HOUR);
	assert_int_equal(renewal_ask_again(1, MIDDLE, 3 * DAY), DAY);
	assert_int_equal(renewal_ask_again(4, MIDDLE, HOUR), 6 * HOUR);
}

/* What a CA that is busy asks for, and how long it is heeded; hours. */
static void how_long_a_busy_ca_is_heeded(void **state)
{
	(void)state;
	static const struct {
		int64_t left, most;
	} rows[] = {
		{ 1000, 100 },
		{ 72, 7 },
		{ 10, 1 },
		{ 3, 1 },
		{ 0, 1 },
		{ -500, 1 },
	};
	const int64_t now = 1000 * DAY;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(
		        renewal_busy_most(now, now + rows[i].left * HOUR) / HOUR, rows[i].most);
	/* Where nothing is held, nothing ends. */
	assert_int_equal(renewal_busy_most(now, 0), 7 * DAY);
	/* Another issuer is not left waiting for that long. */
	assert_false(renewal_waits_long(24 * HOUR, now, now + 72 * HOUR));
	assert_true(renewal_waits_long(24 * HOUR + 1, now, now + 72 * HOUR));
	assert_true(renewal_waits_long(1, now, now - HOUR));
	assert_false(renewal_waits_long(0, now, now - HOUR));
	assert_false(renewal_waits_long(HOUR, now, 0));
	assert_true(renewal_waits_long(HOUR + 1, now, 0));
}

static void whose_turn_it_is(void **state)
{
	(void)state;
	struct issuer_turn t = { 0 };
	assert_false(issuer_turn_failed(&t, 3, 1));
	assert_int_equal(t.at, 0);
	assert_true(issuer_turn_failed(&t, 3, 1));
	assert_int_equal(t.at, 1);
	assert_int_equal(t.failures, 0);
	/* what is not the CA's fault leaves it */
	assert_false(issuer_turn_failed(&t, 3, 1));
	assert_false(issuer_turn_failed(&t, 3, 0));
	assert_false(issuer_turn_failed(&t, 3, 1));
	assert_true(issuer_turn_failed(&t, 3, 1));
	assert_int_equal(t.at, 2);
	/* behind the last the first comes again, after a while */
	assert_false(issuer_turn_failed(&t, 3, 1));
	assert_false(issuer_turn_failed(&t, 3, 1));
	assert_int_equal(t.at, 0);
	/* one that asks for too much patience is left at once */
	t = (struct issuer_turn){ 0 };
	assert_true(issuer_turn_failed(&t, 3, ISSUER_FAILURES));
	assert_int_equal(t.at, 1);
	/* one alone */
	t = (struct issuer_turn){ 0 };
	for (int i = 0; i < 5; i++)
		assert_false(issuer_turn_failed(&t, 1, 1));
	assert_int_equal(t.at, 0);
}

static void whether_the_clock_is_believed(void **state)
{
	(void)state;
	static const struct {
		int64_t now, newest; /* from `from` on; newest 1: none yet */
		bool told;
		int64_t says; /* more than now */
		enum wall_judgement want;
	} cases[] = {
		{ 0, 1, false, 0, WALL_BELIEVED },
		{ 0, 0, false, 0, WALL_BELIEVED },
		{ -DAY, 0, false, 0, WALL_BELIEVED },
		{ -DAY - 1, 0, false, 0, WALL_BEHIND },
		{ 30 * DAY, 0, false, 0, WALL_BELIEVED },
		{ 30 * DAY + 1, 0, false, 0, WALL_AHEAD },
		{ 3650 * DAY, 0, false, 0, WALL_AHEAD },
		{ -10000 * DAY, 0, false, 0, WALL_BEHIND },
		/* a CA knows better */
		{ 3650 * DAY, 0, true, 0, WALL_BELIEVED },
		{ 3650 * DAY, 0, true, HOUR, WALL_BELIEVED },
		{ 3650 * DAY, 0, true, HOUR + 1, WALL_WRONG },
		{ 0, 0, true, -HOUR, WALL_BELIEVED },
		{ 0, 0, true, -HOUR - 1, WALL_WRONG },
		{ -3650 * DAY, 0, true, 3650 * DAY, WALL_WRONG },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct wall_facts f = { .now = from + cases[i].now,
			.newest = cases[i].newest ? 0 : from,
			.told = cases[i].told,
			.ca_says = from + cases[i].now + cases[i].says };
		if (wall_judge(&f) != cases[i].want)
			fail_msg("case %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_moment_of_renewal),
		cmocka_unit_test(the_wait_after_a_failure),
		cmocka_unit_test(the_time_that_the_ca_suggests),
		cmocka_unit_test(no_suggestion_uses_up_the_limit),
		cmocka_unit_test(what_is_revoked_is_renewed_now),
		cmocka_unit_test(a_new_certificate_rests),
		cmocka_unit_test(the_instant_lies_in_the_window),
		cmocka_unit_test(how_often_it_is_asked),
		cmocka_unit_test(how_long_a_busy_ca_is_heeded),
		cmocka_unit_test(whose_turn_it_is),
		cmocka_unit_test(whether_the_clock_is_believed),
	};
	return cmocka_run_group_tests_name("renew_when", tests, NULL, NULL);
}
