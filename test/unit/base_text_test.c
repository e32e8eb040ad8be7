/* str, buf, arena, err, log */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include <fcntl.h>
#include <sys/wait.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void assert_str(struct str got, const char *expected)
{
	if (!str_eq_c(got, expected))
		fail_msg("got \"%.*s\", expected \"%s\"", STR_ARG(got), expected);
}

static void test_str_eq(void **state)
{
	static const struct {
		struct str a, b;
		bool eq, eq_nocase, starts, ends;
		int cmp;
	} rows[] = {
		{ { 0 }, { 0 }, true, true, true, true, 0 },
		{ { 0 }, STR_INIT(""), true, true, true, true, 0 },
		{ STR_INIT("a"), { 0 }, false, false, true, true, 1 },
		{ { 0 }, STR_INIT("a"), false, false, false, false, -1 },
		{ STR_INIT("Host"), STR_INIT("hOST"), false, true, false, false, -1 },
		{ STR_INIT("host"), STR_INIT("host"), true, true, true, true, 0 },
		{ STR_INIT("@["), STR_INIT("`{"), false, false, false, false, -1 },
		{ STR_INIT("\xc3\x84"), STR_INIT("\xc3\xa4"), false, false, false, false, -1 },
		{ STR_INIT("abc"), STR_INIT("ab"), false, false, true, false, 1 },
		{ STR_INIT("abc"), STR_INIT("bc"), false, false, false, true, -1 },
		{ STR_INIT("a\0b"), STR_INIT("a\0c"), false, false, false, false, -1 },
		{ STR_INIT("\xff"), STR_INIT("a"), false, false, false, false, 1 },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(str_eq(rows[i].a, rows[i].b), rows[i].eq);
		assert_int_equal(str_eq_nocase(rows[i].a, rows[i].b), rows[i].eq_nocase);
		assert_int_equal(str_starts(rows[i].a, rows[i].b), rows[i].starts);
		assert_int_equal(str_ends(rows[i].a, rows[i].b), rows[i].ends);
		assert_int_equal(str_cmp(rows[i].a, rows[i].b), rows[i].cmp);
		assert_int_equal(str_cmp(rows[i].b, rows[i].a), -rows[i].cmp);
	}
	assert_true(str_eq_c(STR("x"), "x"));
	assert_false(str_eq_c(STR("x"), "xy"));
	assert_true(str_eq_c(STR_NONE, NULL));
	assert_null(str_c(NULL).p);
	assert_int_equal(str_n("abc", 2).n, 2);
}

static void test_str_parts(void **state)
{
	(void)state;
	assert_int_equal(str_find(STR("a:b:c"), ':'), 1);
	assert_int_equal(str_find(STR("abc"), ':'), 3);
	assert_int_equal(str_find(STR_NONE, ':'), 0);
	assert_true(str_has(STR("a\0b"), '\0'));
	assert_false(str_has(STR("ab"), '\0'));
	assert_str(str_from(STR("abc"), 1), "bc");
	assert_str(str_from(STR("abc"), 3), "");
	assert_str(str_from(STR("abc"), 9), "");
	assert_str(str_from(STR_NONE, 1), "");
	assert_str(str_head(STR("abc"), 2), "ab");
	assert_str(str_head(STR("abc"), 9), "abc");
	assert_str(str_head(STR_NONE, 1), "");
	assert_str(str_trim(STR(" \t a b\t ")), "a b");
	assert_str(str_trim(STR("\na ")), "\na");
	assert_str(str_trim(STR(" \t ")), "");
	assert_str(str_trim(STR_NONE), "");
	char *copy = str_dup(STR("a\0b"));
	assert_memory_equal(copy, "a\0b", 4);
	free(copy);
	copy = str_dup(STR_NONE);
	assert_string_equal(copy, "");
	free(copy);
}

static void test_str_split(void **state)
{
	static const struct {
		struct str text;
		const char *parts[5];
	} rows[] = {
		{ STR_INIT("a,b"), { "a", "b" } },
		{ STR_INIT("a,"), { "a", "" } },
		{ STR_INIT(""), { "" } },
		{ STR_INIT(","), { "", "" } },
		{ STR_INIT(",a,,"), { "", "a", "", "" } },
		{ STR_INIT("abc"), { "abc" } },
		{ { 0 }, { NULL } },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct str rest = rows[i].text, part = STR("untouched");
		for (const char *const *expected = rows[i].parts; *expected; expected++) {
			assert_true(str_split(&rest, ',', &part));
			assert_str(part, *expected);
		}
		part = STR("untouched");
		assert_false(str_split(&rest, ',', &part));
		assert_str(part, "untouched");
		assert_null(rest.p);
	}
}

static void test_str_to_u64(void **state)
{
	static const struct {
		const char *text;
		bool fits;
		uint64_t value;
	} rows[] = {
		{ "0", true, 0 },
		{ "007", true, 7 },
		{ "65535", true, 65535 },
		{ "18446744073709551615", true, UINT64_MAX },
		{ "18446744073709551616", false, 0 },
		{ "184467440737095516150", false, 0 },
		{ "", false, 0 },
		{ "-1", false, 0 },
		{ "+1", false, 0 },
		{ " 1", false, 0 },
		{ "1 ", false, 0 },
		{ "0x1", false, 0 },
		{ "1/", false, 0 },
		{ "1:", false, 0 },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t value = 42;
		assert_int_equal(str_to_u64(str_c(rows[i].text), &value), rows[i].fits);
		assert_int_equal(value, rows[i].fits ? rows[i].value : 42);
	}
}

static void test_str_distance(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned distance;
	} rows[] = {
		{ "", "", 0 },
		{ "", "abc", 3 },
		{ "proxy", "proxy", 0 },
		{ "porxy", "proxy", 1 },
		{ "prox", "proxy", 1 },
		{ "proxyy", "proxy", 1 },
		{ "praxy", "proxy", 1 },
		{ "kitten", "sitting", 3 },
		{ "http", "https", 1 },
		{ "ca", "abc", 3 },
		{ "0123456789012345678901234567890123456789012345678901234567890123456789", "a",
		        70 },
		{ "0123456789012345678901234567890123456789012345678901234567890123", "", 64 },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct str a = str_c(rows[i].a), b = str_c(rows[i].b);
		assert_int_equal(str_distance(a, b), rows[i].distance);
		assert_int_equal(str_distance(b, a), rows[i].distance);
		assert_int_equal(str_distance(a, a), 0);
	}
}

static void test_str_utf8(void **state)
{
	static const struct {
		struct str text;
		size_t bytes;
	} rows[] = {
		{ { 0 }, 0 },
		{ STR_INIT("a"), 1 },
		{ STR_INIT("\0"), 1 },
		{ STR_INIT("\x7f"), 1 },
		{ STR_INIT("\x80"), 0 },
		{ STR_INIT("\xbf"), 0 },
		{ STR_INIT("\xc0\x80"), 0 },
		{ STR_INIT("\xc1\xbf"), 0 },
		{ STR_INIT("\xc2\x80"), 2 },
		{ STR_INIT("\xc2"), 0 },
		{ STR_INIT("\xc2\x41"), 0 },
		{ STR_INIT("\xdf\xbf!"), 2 },
		{ STR_INIT("\xe0\x9f\xbf"), 0 },
		{ STR_INIT("\xe0\xa0\x80"), 3 },
		{ STR_INIT("\xe2\x82\xac"), 3 },
		{ STR_INIT("\xe2\x82"), 0 },
		{ STR_INIT("\xe2\x82\x41"), 0 },
		{ STR_INIT("\xed\x9f\xbf"), 3 },
		{ STR_INIT("\xed\xa0\x80"), 0 },
		{ STR_INIT("\xee\x80\x80"), 3 },
		{ STR_INIT("\xf0\x8f\xbf\xbf"), 0 },
		{ STR_INIT("\xf0\x90\x80\x80"), 4 },
		{ STR_INIT("\xf0\x90\x80\xc0"), 0 },
		{ STR_INIT("\xf4\x8f\xbf\xbf"), 4 },
		{ STR_INIT("\xf4\x90\x80\x80"), 0 },
		{ STR_INIT("\xf5\x80\x80\x80"), 0 },
		{ STR_INIT("\xff"), 0 },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		/* An exact heap copy: a sanitizer sees a byte read too far. */
		char *copy = mem_alloc(rows[i].text.n);
		if (rows[i].text.n)
			memcpy(copy, rows[i].text.p, rows[i].text.n);
		assert_int_equal(str_utf8(str_n(copy, rows[i].text.n)), rows[i].bytes);
		free(copy);
	}
}

static void test_buf_append(void **state)
{
	(void)state;
	BUF_AUTO b = BUF(1000);
	assert_string_equal(buf_c(&b), "");
	assert_str(buf_str(&b), "");
	buf_add(&b, STR_NONE);
	buf_add_c(&b, NULL);
	assert_string_equal(buf_c(&b), "");
	buf_add_c(&b, "one");
	buf_add_char(&b, ' ');
	buf_add(&b, STR("two"));
	buf_printf(&b, " %d %s", 3, "four");
	buf_add_u64(&b, 0);
	buf_add_u64(&b, UINT64_MAX);
	BUF_AUTO other = BUF(10);
	buf_add_buf(&b, &other);
	buf_add_c(&other, "!");
	buf_add_buf(&b, &other);
	assert_string_equal(buf_c(&b), "one two 3 four018446744073709551615!");
	assert_true(buf_ok(&b));
	buf_consume(&b, 0);
	buf_consume(&b, 4);
	assert_str(str_head(buf_str(&b), 5), "two 3");
	buf_consume(&b, 10000);
	assert_string_equal(buf_c(&b), "");
	buf_consume(&b, 1);
	for (int i = 0; i < 500; i++)
		buf_printf(&b, "%02d", i % 100);
	assert_true(buf_ok(&b));
	assert_int_equal(b.n, 1000);
	assert_int_equal(strlen(buf_c(&b)), 1000);
	buf_clear(&b);
	assert_true(b.cap > 0);
	assert_string_equal(buf_c(&b), "");
	buf_done(&b);
	assert_null(b.p);
	buf_add_c(&b, "again");
	assert_string_equal(buf_c(&b), "again");
}

static void test_buf_ceiling(void **state)
{
	(void)state;
	BUF_AUTO b = BUF(5);
	buf_add_c(&b, "12345");
	assert_true(buf_ok(&b));
	assert_non_null(buf_room(&b, 0));
	buf_add_char(&b, '6');
	assert_false(buf_ok(&b));
	assert_string_equal(buf_c(&b), "12345");
	buf_consume(&b, 5);
	buf_add_char(&b, '6'); /* it stays over */
	buf_printf(&b, "7");
	buf_add_hex(&b, STR("8"));
	assert_null(buf_room(&b, 0));
	assert_int_equal(b.n, 0);
	buf_clear(&b);
	assert_true(buf_ok(&b));
	buf_printf(&b, "%s", "123456");
	assert_false(buf_ok(&b));
	assert_string_equal(buf_c(&b), "");
	buf_clear(&b);
	buf_printf(&b, "%s", "12");
	buf_printf(&b, "%s", "3456");
	assert_false(buf_ok(&b));
	assert_string_equal(buf_c(&b), "12");
	struct buf none = { 0 };
	buf_add_char(&none, 'x');
	assert_false(buf_ok(&none));
	buf_done(&none);
	BUF_AUTO most = BUF(5);
	assert_null(buf_room(&most, SIZE_MAX));
}

static void test_buf_room(void **state)
{
	(void)state;
	BUF_AUTO b = BUF(100000);
	for (size_t n = 0; n < 300; n++) {
		char *to = buf_room(&b, n);
		assert_non_null(to);
		memset(to, 'x', n);
		buf_grew(&b, n);
	}
	assert_int_equal(b.n, 299 * 300 / 2);
	assert_int_equal(strlen(buf_c(&b)), b.n);
	BUF_AUTO untouched = BUF(1);
	buf_grew(&untouched, 0);
	assert_string_equal(buf_c(&untouched), "");
}

static void test_buf_secret(void **state)
{
	(void)state;
	BUF_AUTO b = BUF_SECRET(1000);
	for (int i = 0; i < 100; i++)
		buf_add_c(&b, "secret");
	assert_int_equal(b.n, 600);
	const char *p = b.p;
	buf_clear(&b);
	for (size_t i = 0; i < 600; i++)
		assert_int_equal(p[i], 0);
	buf_add_c(&b, "more");
	buf_wipe(&b);
	assert_null(b.p);
	assert_true(b.secret);
	buf_wipe(&b);
	BUF_AUTO plain = BUF(10);
	buf_add_c(&plain, "x");
	buf_wipe(&plain);
	assert_null(plain.p);
}

static void test_buf_hex(void **state)
{
	(void)state;
	BUF_AUTO b = BUF(8);
	buf_add_hex(&b, STR("\x00\xff\x1a"));
	assert_string_equal(buf_c(&b), "00ff1a");
	buf_add_hex(&b, STR_NONE);
	assert_true(buf_ok(&b));
	buf_add_hex(&b, STR("ab"));
	assert_false(buf_ok(&b));
}

/* RFC 4648 10, and the two alphabets' difference. */
static void test_base64(void **state)
{
	static const struct {
		struct str bytes;
		const char *plain, *url;
	} rows[] = {
		{ STR_INIT(""), "", "" },
		{ STR_INIT("f"), "Zg==", "Zg" },
		{ STR_INIT("fo"), "Zm8=", "Zm8" },
		{ STR_INIT("foo"), "Zm9v", "Zm9v" },
		{ STR_INIT("foob"), "Zm9vYg==", "Zm9vYg" },
		{ STR_INIT("fooba"), "Zm9vYmE=", "Zm9vYmE" },
		{ STR_INIT("foobar"), "Zm9vYmFy", "Zm9vYmFy" },
		{ STR_INIT("\xfb\xff\xfe"), "+//+", "-__-" },
		{ STR_INIT("\x00\x00"), "AAA=", "AAA" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		BUF_AUTO b = BUF(100);
		buf_add_base64(&b, rows[i].bytes);
		assert_string_equal(buf_c(&b), rows[i].plain);
		buf_clear(&b);
		buf_add_base64url(&b, rows[i].bytes);
		assert_string_equal(buf_c(&b), rows[i].url);
		buf_clear(&b);
		assert_true(buf_decode_base64(&b, str_c(rows[i].plain)));
		assert_true(str_eq(buf_str(&b), rows[i].bytes));
		assert_true(buf_decode_base64url(&b, str_c(rows[i].url)));
		assert_int_equal(b.n, rows[i].bytes.n * 2);
	}
}

static void test_base64_refused(void **state)
{
	static const struct {
		const char *text;
		bool plain, url;
	} rows[] = {
		{ "Z", false, false },
		{ "Zg", false, true },
		{ "Zg=", false, false },
		{ "Zg==", true, false },
		{ "Zg===", false, false },
		{ "====", false, false },
		{ "=", false, false },
		{ "Z===", false, false },
		{ "Zh==", false, false },
		{ "Zh", false, false },
		{ "Zm9=", false, false },
		{ "Zm9", false, false },
		{ "Zm8=Zm8=", false, false },
		{ "Zg==Zg==", false, false },
		{ "Zm9v\n", false, false },
		{ "Zm 9", false, false },
		{ "-__-", false, true },
		{ "+//+", true, false },
		{ "Zm9\xff", false, false },
		{ "\nZm9", false, false },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		BUF_AUTO b = BUF(100);
		buf_add_c(&b, "kept");
		assert_int_equal(buf_decode_base64(&b, str_c(rows[i].text)), rows[i].plain);
		assert_int_equal(b.n == 4, !rows[i].plain);
		buf_clear(&b);
		buf_add_c(&b, "kept");
		assert_int_equal(buf_decode_base64url(&b, str_c(rows[i].text)), rows[i].url);
		assert_int_equal(b.n == 4, !rows[i].url);
		assert_int_equal(strlen(buf_c(&b)), b.n);
		assert_true(buf_ok(&b));
	}
}

static void test_base64_ceiling(void **state)
{
	(void)state;
	BUF_AUTO b = BUF(3);
	assert_true(buf_decode_base64(&b, STR("Zm9v")));
	assert_false(buf_decode_base64(&b, STR("Zg==")));
	assert_string_equal(buf_c(&b), "foo");
	assert_false(buf_ok(&b));
	buf_clear(&b);
	buf_add_base64(&b, STR("f")); /* four with its padding: all or nothing */
	assert_false(buf_ok(&b));
	assert_int_equal(b.n, 0);
	buf_clear(&b);
	buf_add_base64url(&b, STR("fo"));
	assert_string_equal(buf_c(&b), "Zm8");
}

static void test_arena(void **state)
{
	static const size_t sizes[] = { 0, 1, 15, 16, 17, 100, 1000, 3000, 70000, 1, 500 };
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	for (int round = 0; round < 3; round++) {
		size_t total = 0;
		for (size_t i = 0; i < 20 * COUNT(sizes); i++) {
			const size_t n = sizes[i % COUNT(sizes)];
			char *p = arena_alloc(&a, n);
			assert_non_null(p);
			assert_int_equal((uintptr_t)p % ARENA_ALIGN, 0);
			for (size_t j = 0; j < n; j++)
				assert_int_equal(p[j], 0);
			if (n)
				memset(p, 0xaa, n);
			total += n;
			assert_int_equal(a.total, total);
		}
		arena_clear(&a);
		assert_int_equal(a.total, 0);
	}
	arena_done(&a);
	assert_null(a.block);
	arena_clear(&a);
}

static void test_arena_typed(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	int64_t *one = arena_new(&a, int64_t);
	assert_int_equal(*one, 0);
	int *many = arena_array(&a, int, 1000);
	for (int i = 0; i < 1000; i++)
		many[i] = i;
	struct str copy = arena_str(&a, STR("text"));
	assert_string_equal(copy.p, "text");
	assert_int_equal(copy.n, 4);
	assert_string_equal(arena_str(&a, STR_NONE).p, "");
	struct str long_one = arena_printf(&a, "%s%05d", "n", 42);
	assert_string_equal(long_one.p, "n00042");
	assert_int_equal(long_one.n, 6);
	assert_int_equal(arena_printf(&a, "%*d", 10000, 1).n, 10000);
	assert_string_equal(arena_u64(&a, 0).p, "0");
	assert_string_equal(arena_u64(&a, UINT64_MAX).p, "18446744073709551615");
	assert_int_equal(arena_u64(&a, 100).n, 3);
	assert_string_equal(ARENA_JOIN(&a, STR("a"), STR_NONE, STR("bc")).p, "abc");
	assert_int_equal(ARENA_JOIN(&a, STR("a"), STR("bc")).n, 3);
	assert_int_equal(many[999], 999);
	/* A first block that was given back is zeroed again for whoever gets it next. */
	for (int round = 0; round < 2; round++) {
		ARENA_AUTO short_lived = ARENA_INIT;
		char *piece = arena_alloc(&short_lived, 200);
		for (int i = 0; i < 200; i++)
			assert_int_equal(piece[i], 0);
		memset(piece, 7, 200);
	}
	/* Pieces that did not fit left the newest block's room in use. */
	char *before = arena_alloc(&a, 16);
	memset(arena_alloc(&a, 1000000), 1, 1000000);
	memset(before, 2, 16);
}

static void test_err_set(void **state)
{
	static const struct {
		const char *given, *kept;
	} rows[] = {
		{ "All is well.", "All is well." },
		{ "a\nb\r\tc\x1b[31m\x7f", "a?b??c?[31m?" },
		{ "caf\xc3\xa9 \xe2\x9e\x9c", "caf\xc3\xa9 \xe2\x9e\x9c" },
		{ "\xc2\x9b"
		  "31m \xc2\xa0",
		        "?31m \xc2\xa0" },
		{ "\xff\xc3", "??" },
		{ "", "" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err err = ERR_INIT;
		assert_false(err_set(&err, ERR_LIMIT, "%s", rows[i].given));
		assert_int_equal(err.code, ERR_LIMIT);
		assert_string_equal(err.text, rows[i].kept);
	}
}

static void test_err_long(void **state)
{
	struct err err = ERR_INIT;
	char text[4000];
	(void)state;
	memset(text, 'x', sizeof text);
	err_set(&err, ERR_INPUT, "%.*s", (int)sizeof text, text);
	assert_int_equal(strlen(err.text), sizeof err.text - 1);
	/* A character that the cut would halve is not there at all, or a '?'. */
	for (size_t before = 1018; before < 1024; before++) {
		err_set(&err, ERR_INPUT, "%.*s\xe2\x82\xac\xe2\x82\xac", (int)before, text);
		struct str rest = str_c(err.text);
		while (rest.n) {
			const size_t bytes = str_utf8(rest);
			assert_true(bytes > 0);
			rest = str_from(rest, bytes);
		}
	}
}

static void test_err_words(void **state)
{
	struct err err = ERR_INIT;
	(void)state;
	assert_false(err_sys(&err, ERR_IO, 2, "Cannot open %s", "/x"));
	assert_string_equal(err.text, "Cannot open /x: No such file or directory.");
	assert_int_equal(err.code, ERR_IO);
	err_sys(&err, ERR_IO, 99999, "Odd");
	assert_string_equal(err.text, "Odd: error 99999.");
	assert_false(err_set(&err, ERR_BUSY, "It is held."));
	assert_false(err_prefix(&err, "%s", "shop.example.com"));
	assert_string_equal(err.text, "shop.example.com: It is held.");
	assert_int_equal(err.code, ERR_BUSY);
	err_prefix(&err, "line %d: ", 3);
	assert_string_equal(err.text, "line 3: shop.example.com: It is held.");
	err_prefix(&err, "file:");
	assert_string_equal(err.text, "file: line 3: shop.example.com: It is held.");
	err_set(&err, ERR_IO, "It failed: %s", err.text);
	assert_string_equal(err.text, "It failed: file: line 3: shop.example.com: It is held.");
}

static void part_is(struct str part, const char *text)
{
	assert_int_equal(part.n, strlen(text));
	assert_memory_equal(part.p ? part.p : "", text, part.n);
}

static void test_err_parts(void **state)
{
	static const struct {
		const char *given, *what, *why, *message, *remedy;
	} rows[] = {
		{ "It failed.", "It failed.", "", "It failed.", "" },
		{ "It failed." ERR_REMEDY "Wait.", "It failed.", "", "It failed.", "Wait." },
		{ "It failed." ERR_WHY "It is full.", "It failed.", "It is full.",
		        "It failed. It is full.", "" },
		{ "It failed." ERR_WHY "It is full." ERR_REMEDY "Wait.", "It failed.",
		        "It is full.", "It failed. It is full.", "Wait." },
		/* the first reason and the last remedy */
		{ "A." ERR_WHY "B" ERR_WHY "C." ERR_REMEDY "D." ERR_REMEDY "E.", "A.", "B?C. D.",
		        "A. B?C. D.", "E." },
		/* a reason behind the remedy is part of the remedy */
		{ "A." ERR_REMEDY "B." ERR_WHY "C.", "A.", "", "A.", "B. C." },
	};
	struct err err = ERR_INIT;
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		err_set(&err, ERR_IO, "%s", rows[i].given);
		part_is(err_what(&err), rows[i].what);
		part_is(err_why(&err), rows[i].why);
		part_is(err_message(&err), rows[i].message);
		part_is(err_remedy(&err), rows[i].remedy);
	}
	err_set(&err, ERR_IO, "It failed." ERR_WHY "It is full." ERR_REMEDY "Wait.");
	assert_string_equal(err.text, "It failed. It is full. Wait.");
	err_prefix(&err, "disk");
	part_is(err_what(&err), "disk: It failed.");
	part_is(err_why(&err), "It is full.");
	part_is(err_remedy(&err), "Wait.");
	char full[sizeof err.text];
	memset(full, 'x', sizeof full);
	err_prefix(&err, "%.*s", (int)sizeof full - 8, full);
	part_is(err_remedy(&err), "");
	err_set(&err, ERR_IO, "Anew.");
	part_is(err_what(&err), "Anew.");
}

static void test_err_codes(void **state)
{
	enum err_code code = ERR_NONE;
	(void)state;
	for (int i = ERR_NONE; i <= ERR_CANCELED; i++) {
		const char *name = err_code_name((enum err_code)i);
		assert_true(err_code_from_name(str_c(name), &code));
		assert_int_equal(code, i);
	}
	assert_string_equal(err_code_name(ERR_NOT_FOUND), "not-found");
	code = ERR_IO;
	assert_false(err_code_from_name(STR("none "), &code));
	assert_false(err_code_from_name(STR(""), &code));
	assert_int_equal(code, ERR_IO);
}

/* Runs f with stderr going to a pipe, in a child; what it wrote and how it ended. */
static int in_child(void (*f)(void), char *text, size_t size)
{
	int ends[2], status;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	const pid_t child = fork();
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		f();
		_exit(0);
	}
	close(ends[1]);
	size_t n = 0;
	for (ssize_t got; (got = read(ends[0], text + n, size - 1 - n)) > 0;)
		n += (size_t)got;
	text[n] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void fail_check(void)
{
	signal(SIGABRT, SIG_DFL);
	const int zero = 0;
	CHECK(zero == 1);
}

static void want_too_much(void)
{
	signal(SIGABRT, SIG_DFL);
	mem_array(SIZE_MAX / 2, 4);
}

static void want_too_much_of_an_arena(void)
{
	signal(SIGABRT, SIG_DFL);
	struct arena a = ARENA_INIT;
	arena_alloc_array(&a, SIZE_MAX / 2, 4);
}

static void grow_past_the_room(void)
{
	signal(SIGABRT, SIG_DFL);
	struct buf b = BUF(10);
	buf_room(&b, 10);
	buf_grew(&b, 11);
}

static void test_bugs_abort(void **state)
{
	static const struct {
		void (*f)(void);
		const char *says;
	} rows[] = {
		{ fail_check, "base_text_test.c" },
		{ fail_check, "zero == 1" },
		{ want_too_much, "" },
		{ want_too_much_of_an_arena, "an array larger than memory" },
		{ grow_past_the_room, "buf.h" },
	};
	char text[8192];
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const int status = in_child(rows[i].f, text, sizeof text);
		assert_true(status != 0);
		assert_non_null(strstr(text, rows[i].says));
	}
}

static void test_mem(void **state)
{
	(void)state;
	char *p = mem_alloc(0);
	assert_non_null(p);
	free(p);
	int *array = mem_array(sizeof(int), 100);
	for (int i = 0; i < 100; i++)
		assert_int_equal(array[i], 0);
	array[99] = 7;
	array = mem_grow(array, sizeof(int), 1000);
	assert_int_equal(array[99], 7);
	free(array);
	struct str *s = mem_new(struct str);
	assert_null(s->p);
	free(s);
}

static char logged[16384];
static unsigned lines;

static void keep_line(enum log_level level, struct str fields, struct str text)
{
	snprintf(logged, sizeof logged, "%s|%.*s|%.*s", log_level_name(level), STR_ARG(fields),
	        STR_ARG(text));
	lines++;
}

static void test_log_fields(void **state)
{
	static const struct {
		const char *value, *printed;
	} rows[] = {
		{ "shop.example.com", "site=shop.example.com" },
		{ "two words", "site=\"two words\"" },
		{ "say \"so\"", "site=\"say \\\"so\\\"\"" },
		{ "a=b", "site=\"a=b\"" },
		{ "", "site=\"\"" },
		{ NULL, "site=\"\"" },
		{ "a\nb", "site=\"a\\nb\"" },
		{ "\x1b[1m", "site=\\x1b[1m" },
		{ "back\\slash", "site=\"back\\\\slash\"" },
		{ "\xff", "site=\\xff" },
		{ "\xc2\x9b", "site=\\xc2\\x9b" },
		{ "\xc3\xa4", "site=\xc3\xa4" },
	};
	(void)state;
	log_to(keep_line);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct log root = { 0 };
		const struct log outer = { .parent = &root, .key = "node", .value = "1" };
		const struct log inner = {
			.parent = &outer, .key = "site", .value = rows[i].value
		};
		char expected[256];
		snprintf(expected, sizeof expected, "warning|node=1 %s|It is 7.", rows[i].printed);
		log_warning(&inner, "It is %d.", 7);
		assert_string_equal(logged, expected);
	}
	log_to(log_to_stderr);
}

static void test_log_levels(void **state)
{
	(void)state;
	log_to(keep_line);
	lines = 0;
	log_debug(NULL, "no");
	assert_int_equal(lines, 0);
	log_info(NULL, "a\r\nb\tc");
	assert_string_equal(logged, "info||a\\r\\nb\\tc");
	log_set_level(LOG_ERROR);
	log_warning(NULL, "no");
	log_line(LOG_INFO, STR("k=v"), STR("no"));
	assert_int_equal(lines, 1);
	log_error(NULL, "yes");
	assert_string_equal(logged, "error||yes");
	log_set_level(LOG_DEBUG);
	log_debug(NULL, "yes");
	assert_string_equal(logged, "debug||yes");
	log_line(LOG_INFO, STR("k=v\n"), STR("two\nlines"));
	assert_string_equal(logged, "info|k=v\\n|two\\nlines");
	char text[10000];
	memset(text, '\n', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	log_info(NULL, "%s", text);
	assert_null(strchr(logged, '\n'));
	log_set_level(LOG_INFO);
	log_to(log_to_stderr);
}

static void write_lines(void)
{
	const struct log l = { .key = "site", .value = "a.example" };
	log_set_process("control");
	log_warning(&l, "The upstream does not answer, keeping the others.");
	log_error(NULL, "x");
	char text[10000];
	memset(text, 'y', sizeof text);
	log_line(LOG_INFO, str_n(text, sizeof text), STR("z"));
}

static void test_log_to_stderr(void **state)
{
	char text[32768];
	(void)state;
	assert_int_equal(in_child(write_lines, text, sizeof text), 0);
	struct str rest = str_c(text), line;
	assert_true(str_split(&rest, '\n', &line));
	assert_int_equal(line.p[10], 'T');
	assert_str(str_from(line, 23), "Z warning control site=a.example: The upstream does not "
	                               "answer, keeping the others.");
	assert_true(str_split(&rest, '\n', &line));
	assert_str(str_from(line, 23), "Z error control: x");
	assert_true(str_split(&rest, '\n', &line));
	assert_true(line.n > 4096 && line.n < 10000);
	assert_str(rest, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_str_eq),
		cmocka_unit_test(test_str_parts),
		cmocka_unit_test(test_str_split),
		cmocka_unit_test(test_str_to_u64),
		cmocka_unit_test(test_str_distance),
		cmocka_unit_test(test_str_utf8),
		cmocka_unit_test(test_buf_append),
		cmocka_unit_test(test_buf_ceiling),
		cmocka_unit_test(test_buf_room),
		cmocka_unit_test(test_buf_secret),
		cmocka_unit_test(test_buf_hex),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_base64_refused),
		cmocka_unit_test(test_base64_ceiling),
		cmocka_unit_test(test_arena),
		cmocka_unit_test(test_arena_typed),
		cmocka_unit_test(test_err_set),
		cmocka_unit_test(test_err_long),
		cmocka_unit_test(test_err_words),
		cmocka_unit_test(test_err_parts),
		cmocka_unit_test(test_err_codes),
		cmocka_unit_test(test_bugs_abort),
		cmocka_unit_test(test_mem),
		cmocka_unit_test(test_log_fields),
		cmocka_unit_test(test_log_levels),
		cmocka_unit_test(test_log_to_stderr),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
