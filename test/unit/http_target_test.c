/* Paths in normal form, what of them is refused, and how differently the rest can be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/target.h"

static struct arena arena;

static int clear(void **state)
{
	(void)state;
	arena_done(&arena);
	return 0;
}

static void assert_text(const char *what, struct str got, const char *want)
{
	if (!str_eq_c(got, want))
		fail_msg("%s: got \"%.*s\", want \"%s\"", what, STR_ARG(got), want);
}

static void normal_forms(void **state)
{
	static const struct {
		const char *raw, *path, *query;
	} cases[] = {
		{ "/", "/", "" },
		{ "/a/b", "/a/b", "" },
		{ "/a/b/", "/a/b/", "" },
		{ "/?", "/", "?" },
		{ "/a?b=/../c", "/a", "?b=/../c" },
		{ "/a?%zz&%2e%00", "/a", "?%zz&%2e%00" },
		{ "/%61%7A%41%30%2d%2E%5f%7e", "/azA0-._~", "" },
		{ "/%3a%2b%20", "/%3A%2B%20", "" },
		{ "/a:b@c!$&'()*+,=", "/a:b@c!$&'()*+,=", "" },
		{ "/%c3%a4", "/%C3%A4", "" },
		{ "/%e4", "/%E4", "" },
		{ "/%e0%a4%85", "/%E0%A4%85", "" },
		{ "/%f0%9f%98%80", "/%F0%9F%98%80", "" },
		{ "/.", "/", "" },
		{ "/./", "/", "" },
		{ "/a/.", "/a/", "" },
		{ "/a/..", "/", "" },
		{ "/a/../", "/", "" },
		{ "/a/./b", "/a/b", "" },
		{ "/a/../b", "/b", "" },
		{ "/a/b/../../c", "/c", "" },
		{ "/a/b/..", "/a/", "" },
		{ "/a/%2e%2e/b", "/b", "" },
		{ "/a/%2E./b", "/b", "" },
		{ "/a/.%2e/b", "/b", "" },
		{ "/a/%2e/b", "/a/b", "" },
		{ "/a/.../b", "/a/.../b", "" },
		{ "/a/..b/.c", "/a/..b/.c", "" },
		{ "//", "//", "" },
		{ "//a//b", "//a//b", "" },
		{ "/a//../b", "/a/b", "" },
		{ "/a%2fb", "/a%2Fb", "" },
		{ "/a%5cb", "/a%5Cb", "" },
		{ "/a/..%2fb", "/a/..%2Fb", "" },
		{ "/a/..;/b", "/a/..;/b", "" },
		{ "/%252e%252e/a", "/%252e%252e/a", "" },
		{ "/%25%32%65", "/%252e", "" },
		{ "*", "*", "" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct target t, again;
		struct refusal why;
		if (!target_read(str_c(cases[i].raw), &arena, &t, &why))
			fail_msg("%s: %s", cases[i].raw, why.why);
		assert_text(cases[i].raw, t.path, cases[i].path);
		assert_text(cases[i].raw, t.query, cases[i].query);
		assert_true(target_read(t.path, &arena, &again, &why));
		assert_text(cases[i].raw, again.path, cases[i].path);
		assert_int_equal(again.ambiguous, t.ambiguous);
	}
}

#define CONTROL   "The path has an encoded control character."
#define PERCENT   "The path has a % without two hexadecimal digits behind it."
#define TOO_LONG  "The path has a character in a form of UTF-8 that is too long."
#define MALFORMED "The request target is malformed."
#define ABOVE     "The path leads above the root."

static void refused_paths(void **state)
{
	static const struct {
		struct str raw;
		const char *why;
	} cases[] = {
		{ STR_INIT("/%"), PERCENT },
		{ STR_INIT("/%4"), PERCENT },
		{ STR_INIT("/%4?1"), PERCENT },
		{ STR_INIT("/%zz"), PERCENT },
		{ STR_INIT("/%u002e"), PERCENT },
		{ STR_INIT("/%%32e"), PERCENT },
		{ STR_INIT("/a%00"), CONTROL },
		{ STR_INIT("/a%00.html"), CONTROL },
		{ STR_INIT("/%0d%0aX:"), CONTROL },
		{ STR_INIT("/%09"), CONTROL },
		{ STR_INIT("/%1f"), CONTROL },
		{ STR_INIT("/%7F"), CONTROL },
		{ STR_INIT("/%c0%ae%c0%ae/"), TOO_LONG },
		{ STR_INIT("/%c0%af"), TOO_LONG },
		{ STR_INIT("/%C1%9c"), TOO_LONG },
		{ STR_INIT("/%e0%80%af"), TOO_LONG },
		{ STR_INIT("/%e0%9f%bf"), TOO_LONG },
		{ STR_INIT("/%f0%80%80%af"), TOO_LONG },
		{ STR_INIT("/a\\b"), "The request target has a backslash." },
		{ STR_INIT("/a b"), MALFORMED },
		{ STR_INIT("/a#b"), MALFORMED },
		{ STR_INIT("/\xc3\xa4"), MALFORMED },
		{ STR_INIT("/a\0"), MALFORMED },
		{ STR_INIT("/\x7f"), MALFORMED },
		{ STR_INIT("/.."), ABOVE },
		{ STR_INIT("/../a"), ABOVE },
		{ STR_INIT("/a/../../b"), ABOVE },
		{ STR_INIT("/%2e%2e/etc/passwd"), ABOVE },
		{ STR_INIT("/./.."), ABOVE },
		{ STR_INIT(""), "The request target does not begin with a slash." },
		{ STR_INIT("a"), "The request target does not begin with a slash." },
		{ STR_INIT("?a"), "The request target does not begin with a slash." },
		{ STR_INIT("*a"), "The request target does not begin with a slash." },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct target t;
		struct refusal why;
		if (target_read(cases[i].raw, &arena, &t, &why))
			fail_msg("%s is not refused", cases[i].raw.p);
		assert_int_equal(why.status, 400);
		assert_string_equal(why.why, cases[i].why);
	}
}

static bool can_be_read_as(const struct target *t, const char *path)
{
	unsigned reading = 0;
	do {
		if (str_eq_c(target_plain(t, reading, &arena), path))
			return true;
		reading = target_next_reading(reading, t->ambiguous);
	} while (reading);
	return false;
}

/* What programs that are known to differ make of a path is among its readings. */
static void readings(void **state)
{
	static const struct {
		const char *raw, *plain, *also;
	} cases[] = {
		{ "/a%3Ab", "/a:b", NULL },
		{ "/caf%C3%A9", "/caf\xc3\xa9", NULL },
		{ "/a%2Fb", "/a\1b", "/a/b" },
		{ "/a/..%2Fb", "/a/..\1b", "/b" },
		{ "/x%2F..%2F..%2Fadmin", "/x\1..\1..\1admin", "/admin" },
		{ "/a/..%5Cadmin", "/a/..\\admin", "/admin" },
		{ "/a%5C..%5Cadmin", "/a\\..\\admin", "/admin" },
		{ "/%5Cadmin", "/\\admin", "/admin" },
		{ "//admin", "//admin", "/admin" },
		{ "/a//admin", "/a//admin", "/a/admin" },
		{ "/a/..;/admin", "/a/..;/admin", "/admin" },
		{ "/a/..;x=y/admin", "/a/..;x=y/admin", "/admin" },
		{ "/a/..%3B/admin", "/a/..;/admin", "/admin" },
		{ "/admin;x=1/b", "/admin;x=1/b", "/admin/b" },
		{ "/;/admin", "/;/admin", "/admin" },
		{ "/a/%252e%252e/admin", "/a/%2e%2e/admin", "/admin" },
		{ "/a/%25252e%25252e/admin", "/a/%252e%252e/admin", "/admin" },
		{ "/a%252fb", "/a%2fb", "/a/b" },
		{ "/a/..%255cadmin", "/a/..%5cadmin", "/admin" },
		{ "/admin%2F..%2Fx", "/admin\1..\1x", "/admin/../x" },
		{ "/admin%2F..;%2F..", "/admin\1..;\1..", "/admin/" },
		{ "/admin/x%2F..%2F..;", "/admin/x\1..\1..;", "/admin/..;" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct target t;
		struct refusal why;
		assert_true(target_read(str_c(cases[i].raw), &arena, &t, &why));
		assert_text(cases[i].raw, target_plain(&t, 0, &arena), cases[i].plain);
		if (cases[i].also && !can_be_read_as(&t, cases[i].also))
			fail_msg("%s has no reading %s", cases[i].raw, cases[i].also);
	}
}

static void usual_paths_are_not_ambiguous(void **state)
{
	static const char *const paths[] = { "/", "/a/b.html", "/a/b/", "/%C3%A4/%20", "/a.b:c@d=e",
		"/100%25", "/a%2Bb+c", "*" };
	(void)state;
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		struct target t;
		struct refusal why;
		assert_true(target_read(str_c(paths[i]), &arena, &t, &why));
		if (t.ambiguous)
			fail_msg("%s is ambiguous: %x", paths[i], t.ambiguous);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(normal_forms, clear),
		cmocka_unit_test_teardown(refused_paths, clear),
		cmocka_unit_test_teardown(readings, clear),
		cmocka_unit_test_teardown(usual_paths_are_not_ambiguous, clear),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
