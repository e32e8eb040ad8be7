/* Prometheus' text format. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notify/metrics.h"

static void a_family_and_its_samples(void **state)
{
	(void)state;
	BUF_AUTO out = BUF_INIT(4096);
	metrics_family(&out, "a_total", METRICS_COUNTER, "How many.");
	metrics_int(&out, &(struct metrics_sample){ .name = "a_total" }, 7);
	metrics_int(&out,
	        &(struct metrics_sample){ .name = "a_total",
	                .labels = { { "site", STR("shop.example.com") },
	                        { "status", STR("2xx") } } },
	        INT64_MAX);
	assert_string_equal(buf_c(&out),
	        "# HELP a_total How many.\n"
	        "# TYPE a_total counter\n"
	        "a_total 7\n"
	        "a_total{site=\"shop.example.com\",status=\"2xx\"} 9223372036854775807\n");
}

static void times_are_seconds(void **state)
{
	(void)state;
	static const struct {
		int64_t ms;
		const char *line;
	} cases[] = { { 0, "t 0.000\n" }, { 1, "t 0.001\n" }, { 1999, "t 1.999\n" },
		{ INT64_C(1799745240000), "t 1799745240.000\n" }, { -1, "t -0.001\n" },
		{ -1500, "t -1.500\n" } };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		BUF_AUTO out = BUF_INIT(4096);
		metrics_seconds(&out, &(struct metrics_sample){ .name = "t" }, cases[i].ms);
		assert_string_equal(buf_c(&out), cases[i].line);
	}
}

/* Whatever a label holds, it cannot end its line or its quotes. */
static void labels_are_escaped(void **state)
{
	(void)state;
	static const struct {
		struct str value;
		const char *line;
	} cases[] = {
		{ STR_INIT("a\"} 1\nb{x=\""), "m{v=\"a\\\"} 1?b{x=\\\"\"} 1\n" },
		{ STR_INIT("back\\slash"), "m{v=\"back\\\\slash\"} 1\n" },
		{ STR_INIT("b\xc3\xbc"
		           "cher"),
		        "m{v=\"b\xc3\xbc"
		        "cher\"} 1\n" },
		{ STR_INIT("\xff\xfe"), "m{v=\"??\"} 1\n" },
		{ STR_INIT(""), "m{v=\"\"} 1\n" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		BUF_AUTO out = BUF_INIT(4096);
		metrics_int(&out,
		        &(struct metrics_sample){
		                .name = "m", .labels = { { "v", cases[i].value } } },
		        1);
		assert_string_equal(buf_c(&out), cases[i].line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_family_and_its_samples),
		cmocka_unit_test(times_are_seconds),
		cmocka_unit_test(labels_are_escaped),
	};
	return cmocka_run_group_tests_name("notify_metrics", tests, NULL, NULL);
}
