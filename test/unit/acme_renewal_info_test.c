/* Renewal information: what a CA may say, and what is no window. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "acme/renewal_info.h"
#include "base/clock.h"

#define WINDOW(start, end) "{\"suggestedWindow\":{\"start\":\"" start "\",\"end\":\"" end "\"}}"

static void a_window_is_read(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct renewal_info info;
	char start[CLOCK_TEXT], end[CLOCK_TEXT];
	const struct str body =
	        STR("{\"suggestedWindow\":{\"start\":\"2027-01-03T00:00:00+01:00\","
	            "\"end\":\"2027-01-07T00:00:00.5Z\",\"more\":[]},\"other\":null,"
	            "\"explanationURL\":\"https://ca.test/why?x=1\"}");
	assert_true(acme_renewal_info_read(&a, body, &info, &err));
	assert_string_equal(clock_rfc3339(info.start, start), "2027-01-02T23:00:00Z");
	assert_string_equal(clock_rfc3339(info.end, end), "2027-01-07T00:00:00Z");
	assert_true(str_eq_c(info.explanation, "https://ca.test/why?x=1"));
	/* One that is over already says: now. */
	assert_true(acme_renewal_info_read(
	        &a, STR(WINDOW("2000-01-01T00:00:00Z", "2000-01-01T00:00:01Z")), &info, &err));
	assert_int_equal(info.end - info.start, SECOND);
	assert_int_equal(info.explanation.n, 0);
}

static void an_explanation_is_a_page_or_nothing(void **state)
{
	(void)state;
	static const char *const bad[] = { "\"javascript:alert(1)\"", "\"ftp://ca.test/\"", "7",
		"null", "\"\"", "\"/why\"" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ARENA_AUTO a = ARENA_INIT;
		struct err err = ERR_INIT;
		struct renewal_info info;
		BUF_AUTO body = BUF_INIT(1000);
		buf_printf(&body,
		        "{\"suggestedWindow\":{\"start\":\"2027-01-03T00:00:00Z\","
		        "\"end\":\"2027-01-07T00:00:00Z\"},\"explanationURL\":%s}",
		        bad[i]);
		assert_true(acme_renewal_info_read(&a, buf_str(&body), &info, &err));
		assert_int_equal(info.explanation.n, 0);
	}
	for (int n = 2000; n <= 2001; n++) { /* the longest, and one that is too long */
		ARENA_AUTO a = ARENA_INIT;
		struct err err = ERR_INIT;
		struct renewal_info info;
		BUF_AUTO body = BUF_INIT(4000);
		buf_printf(&body,
		        "{\"suggestedWindow\":{\"start\":\"2027-01-03T00:00:00Z\","
		        "\"end\":\"2027-01-07T00:00:00Z\"},\"explanationURL\":"
		        "\"https://ca.test/%0*d\"}",
		        n - 16, 1);
		assert_true(acme_renewal_info_read(&a, buf_str(&body), &info, &err));
		assert_int_equal(info.explanation.n, n > 2000 ? 0 : n);
	}
}

static void what_is_no_window_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *body, *sentence;
	} cases[] = {
		{ "", "The CA's renewal information is empty" },
		{ "<html>", "The CA's renewal information is not JSON" },
		{ "[]", "The CA's renewal information has no usable date for \"start\"." },
		{ "{\"suggestedWindow\":[]}",
		        "The CA's renewal information has no usable date for \"start\"." },
		{ WINDOW("2027-01-01", "2027-01-02T00:00:00Z"),
		        "The CA's renewal information has no usable date for \"start\"." },
		{ "{\"suggestedWindow\":{\"start\":\"2027-01-01T00:00:00Z\",\"end\":17}}",
		        "The CA's renewal information has no usable date for \"end\"." },
		{ WINDOW("2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
		        "The CA's renewal information is a window that ends before it begins." },
		{ WINDOW("2027-01-02T00:00:00Z", "2027-01-01T00:00:00Z"),
		        "The CA's renewal information is a window that ends before it begins." },
		{ WINDOW("0001-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
		        "The CA's renewal information names an absurd date for \"start\": "
		        "0001-01-01T00:00:00Z." },
		{ WINDOW("1999-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
		        "The CA's renewal information names an absurd date for \"start\": "
		        "1999-12-31T23:59:59Z." },
		{ WINDOW("2027-01-01T00:00:00Z", "2100-01-01T00:00:00Z"),
		        "The CA's renewal information names an absurd date for \"end\": "
		        "2100-01-01T00:00:00Z." },
		{ WINDOW("2027-01-01T00:00:00Z", "9999-01-01T00:00:00Z"),
		        "The CA's renewal information names an absurd date for \"end\": "
		        "9999-01-01T00:00:00Z." },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ARENA_AUTO a = ARENA_INIT;
		struct err err = ERR_INIT;
		struct renewal_info info;
		assert_false(acme_renewal_info_read(&a, str_c(cases[i].body), &info, &err));
		if (!strstr(err.text, cases[i].sentence))
			fail_msg("%s", err.text);
	}
}

static void the_certificate_s_id_is_put_behind_the_url(void **state)
{
	(void)state;
	BUF_AUTO url = BUF_INIT(100), slashed = BUF_INIT(100);
	acme_renewal_info_url(
	        STR("https://ca.test/ari"), STR("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdl"), &url);
	acme_renewal_info_url(STR("https://ca.test/ari/"), STR("a.b"), &slashed);
	assert_string_equal(buf_c(&url), "https://ca.test/ari/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdl");
	assert_string_equal(buf_c(&slashed), "https://ca.test/ari/a.b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_window_is_read),
		cmocka_unit_test(an_explanation_is_a_page_or_nothing),
		cmocka_unit_test(what_is_no_window_is_refused),
		cmocka_unit_test(the_certificate_s_id_is_put_behind_the_url),
	};
	return cmocka_run_group_tests_name("acme_renewal_info", tests, NULL, NULL);
}
