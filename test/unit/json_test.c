#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json/json.h"

static struct json *parsed(const char *text)
{
	struct err err = ERR_INIT;
	struct json *root = json_parse(str_c(text), "The answer", &err);
	if (!root)
		fail_msg("%s: %s", text, err.text);
	return root;
}

static void assert_text(struct str got, const char *want)
{
	if (!str_eq_c(got, want))
		fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want);
}

static void what_is_there_is_found(void **state)
{
	(void)state;
	JSON_AUTO *root = parsed("{\"a\":\"text\",\"n\":-9007199254740993,\"t\":true,\"f\":false,"
	                         "\"o\":{\"in\":\"side\"},\"l\":[\"x\",2,null],\"real\":1.5}");
	assert_text(json_text(root, "a"), "text");
	int64_t n = 0;
	assert_true(json_int(root, "n", &n));
	assert_true(n == INT64_C(-9007199254740993));
	bool b = false;
	assert_true(json_bool(root, "t", &b) && b);
	assert_true(json_bool(root, "f", &b) && !b);
	assert_text(json_text(json_object(root, "o"), "in"), "side");
	const struct json *list = json_array(root, "l");
	assert_int_equal(json_count(list), 3);
	assert_text(json_value_text(json_at(list, 0)), "x");
	assert_null(json_value_text(json_at(list, 1)).p);
	assert_null(json_at(list, 3));
	assert_true(json_is_object(root));
	assert_false(json_is_object(list));
	assert_false(json_int(root, "real", &n));
}

/* Absent, null and of another type all read the same. */
static void what_is_not_there_is_not_found(void **state)
{
	(void)state;
	static const char *const documents[] = {
		"{}",
		"{\"m\":null}",
		"{\"m\":1.5}",
		"[]",
		"[\"m\"]",
		"\"m\"",
		"null",
		"7",
	};
	for (size_t i = 0; i < sizeof documents / sizeof *documents; i++) {
		JSON_AUTO *root = parsed(documents[i]);
		int64_t n = 42;
		bool b = true;
		assert_null(json_text(root, "m").p);
		assert_null(json_object(root, "m"));
		assert_null(json_array(root, "m"));
		assert_false(json_int(root, "m", &n));
		assert_false(json_bool(root, "m", &b));
		assert_true(n == 42 && b);
	}
	assert_null(json_member(NULL, "m"));
	assert_null(json_object(NULL, "m"));
	assert_null(json_text(NULL, "m").p);
	assert_int_equal(json_count(NULL), 0);
	assert_null(json_at(NULL, 0));
	assert_null(json_first(NULL));
	assert_false(json_is_object(NULL));
}

static void null_members_count_as_absent_but_are_iterated(void **state)
{
	(void)state;
	JSON_AUTO *root = parsed("{\"z\":1,\"a\":null,\"m\":\"v\"}");
	assert_null(json_member(root, "a"));
	BUF_AUTO keys = BUF_INIT(100);
	for (const struct json_iter *it = json_first(root); it; it = json_next(root, it)) {
		buf_add(&keys, json_iter_key(it));
		json_print(json_iter_value(it), &keys);
	}
	assert_string_equal(buf_c(&keys), "z1anullm\"v\"");
}

static void the_last_of_equal_keys_counts(void **state)
{
	(void)state;
	JSON_AUTO *root = parsed("{\"a\":\"first\",\"a\":\"last\"}");
	assert_text(json_text(root, "a"), "last");
}

static void broken_text_is_refused_with_a_sentence(void **state)
{
	(void)state;
	static const struct {
		const char *text, *sentence;
	} cases[] = {
		{ "", "The answer is empty; JSON was expected." },
		{ "{", "The answer is not JSON: line 1, column 1: string or '}' expected near end "
		       "of file." },
		{ "<html>", "The answer is not JSON: line 1, column 1: invalid token near '<'." },
		{ "{\"a\":1}\n}", "The answer is not JSON: line 2, column 1: end of file expected "
		                  "near '}'." },
		{ "{\"a\":\"\\u0000\"}",
		        "The answer holds a text with a NUL in it, which is not taken." },
		{ "\"\xff\"", NULL },
		{ "{'a':1}", NULL },
		{ "[1,]", NULL },
		{ "[01]", NULL },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err = ERR_INIT;
		assert_null(json_parse(str_c(cases[i].text), "The answer", &err));
		assert_int_equal(err.code, ERR_INPUT);
		if (cases[i].sentence)
			assert_string_equal(err.text, cases[i].sentence);
	}
}

static void depth_is_limited(void **state)
{
	(void)state;
	char text[200];
	struct err err = ERR_INIT;
	memset(text, '[', 64);
	memset(text + 64, ']', 64);
	JSON_AUTO *root = json_parse(str_n(text, 128), "It", &err);
	assert_non_null(root);
	memset(text, '[', 65);
	memset(text + 65, ']', 65);
	assert_null(json_parse(str_n(text, 130), "It", &err));
	assert_string_equal(err.text, "It is JSON nested more than 64 levels deep.");
	/* brackets within text are no nesting */
	text[0] = '"';
	memset(text + 1, '[', 100);
	text[101] = '\\';
	text[102] = '"';
	memset(text + 103, '{', 50);
	text[153] = '"';
	JSON_AUTO *flat = json_parse(str_n(text, 154), "It", &err);
	assert_int_equal(json_value_text(flat).n, 151);
}

static void printing_gives_back_what_was_read(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"{\"b\":[1,true,null,\"\xc3\xbc\"],\"a\":{}}",
		"\"alone\"",
		"[]",
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		JSON_AUTO *root = parsed(texts[i]);
		BUF_AUTO out = BUF_INIT(100);
		json_print(root, &out);
		assert_string_equal(buf_c(&out), texts[i]);
	}
	BUF_AUTO out = BUF_INIT(100);
	json_print(NULL, &out);
	assert_string_equal(buf_c(&out), "null");
}

static void a_document_is_written_as_a_stream(void **state)
{
	(void)state;
	JSON_AUTO *value = parsed("{\"kept\":[1]}");
	BUF_AUTO out = BUF_INIT(1000);
	struct json_writer w;
	json_write_init(&w, &out);
	json_write_object(&w, NULL);
	json_write_text(&w, "text", STR("v"));
	json_write_c(&w, "none", NULL);
	json_write_array(&w, "list");
	json_write_int(&w, NULL, INT64_MIN);
	json_write_array(&w, NULL);
	json_write_end(&w);
	json_write_object(&w, NULL);
	json_write_end(&w);
	json_write_bool(&w, NULL, true);
	json_write_end(&w);
	json_write_time(&w, "at", INT64_C(1799745240000));
	json_write_time(&w, "never", 0);
	json_write_value(&w, "value", value);
	json_write_value(&w, "absent", json_member(value, "absent"));
	json_write_raw(&w, "raw", STR("[2]"));
	json_write_bool(&w, "no", false);
	json_write_end(&w);
	assert_int_equal(w.depth, 0);
	assert_string_equal(buf_c(&out),
	        "{\"text\":\"v\",\"none\":null,\"list\":[-9223372036854775808,[],{},true],"
	        "\"at\":\"2027-01-12T09:14:00Z\",\"never\":null,\"value\":{\"kept\":[1]},"
	        "\"absent\":null,"
	        "\"raw\":[2],\"no\":false}");
	JSON_AUTO *again = parsed(buf_c(&out));
	assert_true(json_is_object(again));
}

static void text_is_escaped_and_repaired(void **state)
{
	(void)state;
	static const struct {
		struct str in;
		const char *out;
	} cases[] = {
		{ STR_INIT(""), "\"\"" },
		{ STR_INIT("a\"b\\c/"), "\"a\\\"b\\\\c/\"" },
		{ STR_INIT("\n\r\t\x01\0\x7f"), "\"\\n\\r\\t\\u0001\\u0000\x7f\"" },
		{ STR_INIT("\xc3\xbc\xe2\x82\xac\xf0\x9f\x94\x92"),
		        "\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x94\x92\"" },
		{ STR_INIT("a\xff"
		           "b"),
		        "\"a\xef\xbf\xbd"
		        "b\"" },
		{ STR_INIT("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\"" }, /* overlong */
		{ STR_INIT("\xed\xa0\x80"),
		        "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" }, /* surrogate */
		{ STR_INIT("\xf4\x90\x80\x80"),
		        "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" }, /* too high */
		{ STR_INIT("\xe2\x82"), "\"\xef\xbf\xbd\xef\xbf\xbd\"" },         /* cut off */
		{ STR_INIT("\xc3"), "\"\xef\xbf\xbd\"" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		BUF_AUTO out = BUF_INIT(200);
		struct json_writer w;
		json_write_init(&w, &out);
		json_write_text(&w, NULL, cases[i].in);
		assert_string_equal(buf_c(&out), cases[i].out);
	}
}

static void a_full_buf_shows_at_the_end(void **state)
{
	(void)state;
	BUF_AUTO out = BUF_INIT(10);
	struct json_writer w;
	json_write_init(&w, &out);
	json_write_array(&w, NULL);
	json_write_text(&w, NULL, STR("far too long for it"));
	json_write_end(&w);
	assert_false(buf_ok(&out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_there_is_found),
		cmocka_unit_test(what_is_not_there_is_not_found),
		cmocka_unit_test(null_members_count_as_absent_but_are_iterated),
		cmocka_unit_test(the_last_of_equal_keys_counts),
		cmocka_unit_test(broken_text_is_refused_with_a_sentence),
		cmocka_unit_test(depth_is_limited),
		cmocka_unit_test(printing_gives_back_what_was_read),
		cmocka_unit_test(a_document_is_written_as_a_stream),
		cmocka_unit_test(text_is_escaped_and_repaired),
		cmocka_unit_test(a_full_buf_shows_at_the_end),
	};
	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
