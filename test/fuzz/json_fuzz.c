/* What was read prints, and what was printed reads again to the same text. */
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void visit(const struct json *value, struct json_writer *w, const char *key)
{
	if (json_is_object(value)) {
		json_write_object(w, key);
		for (const struct json_iter *it = json_first(value); it;
		        it = json_next(value, it)) {
			char *name = str_dup(json_iter_key(it));
			visit(json_iter_value(it), w, name);
			free(name);
		}
		json_write_end(w);
		return;
	}
	if (json_value_text(value).p)
		json_write_text(w, key, json_value_text(value));
	else
		json_write_value(w, key, value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	JSON_AUTO *root = json_parse(str_n(data, size), "The input", &err);
	if (!root) {
		CHECK(err.code != ERR_NONE && err.text[0]);
		return 0;
	}
	if (size > 10000)
		return 0;
	BUF_AUTO printed = BUF_INIT(1 << 20);
	json_print(root, &printed);
	BUF_AUTO written = BUF_INIT(1 << 20);
	struct json_writer w;
	json_write_init(&w, &written);
	visit(root, &w, NULL);
	JSON_AUTO *again = json_parse(buf_str(&written), "What was written", &err);
	CHECK(again);
	BUF_AUTO second = BUF_INIT(1 << 20);
	json_print(again, &second);
	CHECK(str_eq(buf_str(&printed), buf_str(&second)));
	return 0;
}
