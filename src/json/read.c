/* Reading by jansson. A `struct json` is a json_t seen from outside. */
#include <jansson.h>
#undef json_is_object /* jansson's macro; json.h has a function of that name */

#include "json/json.h"

enum { DEPTH_MOST = 64 };

static const json_t *tree(const struct json *value)
{
	return (const json_t *)value;
}

static const struct json *value_of(const json_t *t)
{
	return (const struct json *)t;
}

/* jansson's own limit of 2,048 levels leaves little of a thread's stack. */
static bool too_deep(struct str text)
{
	size_t depth = 0;
	bool in_text = false;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		if (in_text && c == '\\')
			i++;
		else if (c == '"')
			in_text = !in_text;
		else if (!in_text && (c == '{' || c == '['))
			depth++;
		else if (!in_text && depth > 0 && (c == '}' || c == ']'))
			depth--;
		if (depth > DEPTH_MOST)
			return true;
	}
	return false;
}

struct json *json_parse(struct str text, const char *what, struct err *err)
{
	if (text.n == 0) {
		err_set(err, ERR_INPUT, "%s is empty; JSON was expected.", what);
		return NULL;
	}
	if (too_deep(text)) {
		err_set(err, ERR_INPUT, "%s is JSON nested more than %d levels deep.", what,
		        DEPTH_MOST);
		return NULL;
	}
	json_error_t e;
	json_t *t = json_loadb(text.p, text.n, JSON_DECODE_ANY, &e);
	if (!t && json_error_code(&e) == json_error_null_character)
		err_set(err, ERR_INPUT, "%s holds a text with a NUL in it, which is not taken.",
		        what);
	else if (!t)
		err_set(err, ERR_INPUT, "%s is not JSON: line %d, column %d: %s.", what, e.line,
		        e.column, e.text);
	return (struct json *)t;
}

void json_free(struct json **root)
{
	json_decref((json_t *)*root);
	*root = NULL;
}

const struct json *json_member(const struct json *object, const char *key)
{
	const json_t *member = json_object_get(tree(object), key);
	return json_is_null(member) ? NULL : value_of(member);
}

bool json_member_is_null(const struct json *object, const char *key)
{
	return json_is_null(json_object_get(tree(object), key));
}

const struct json *json_object(const struct json *object, const char *key)
{
	const struct json *member = json_member(object, key);
	return json_is_object(member) ? member : NULL;
}

const struct json *json_array(const struct json *object, const char *key)
{
	const struct json *member = json_member(object, key);
	return json_is_array(tree(member)) ? member : NULL;
}

struct str json_text(const struct json *object, const char *key)
{
	return json_value_text(json_member(object, key));
}

bool json_int(const struct json *object, const char *key, int64_t *ret_value)
{
	const json_t *member = tree(json_member(object, key));
	if (!json_is_integer(member))
		return false;
	*ret_value = json_integer_value(member);
	return true;
}

bool json_bool(const struct json *object, const char *key, bool *ret_value)
{
	const json_t *member = tree(json_member(object, key));
	if (!json_is_boolean(member))
		return false;
	*ret_value = json_is_true(member);
	return true;
}

bool json_is_object(const struct json *value)
{
	return value && json_typeof(tree(value)) == JSON_OBJECT;
}

size_t json_count(const struct json *array)
{
	return json_array_size(tree(array));
}

const struct json *json_at(const struct json *array, size_t index)
{
	return value_of(json_array_get(tree(array), index));
}

struct str json_value_text(const struct json *value)
{
	if (!json_is_string(tree(value)))
		return STR_NONE;
	return str_n(json_string_value(tree(value)), json_string_length(tree(value)));
}

/* jansson's iterators take a json_t that they do not change. */
static json_t *for_iterating(const struct json *object)
{
	return (json_t *)(uintptr_t)object;
}

const struct json_iter *json_first(const struct json *object)
{
	return (const struct json_iter *)json_object_iter(for_iterating(object));
}

const struct json_iter *json_next(const struct json *object, const struct json_iter *it)
{
	return (const struct json_iter *)json_object_iter_next(
	        for_iterating(object), (void *)(uintptr_t)it);
}

struct str json_iter_key(const struct json_iter *it)
{
	return str_c(json_object_iter_key((void *)(uintptr_t)it));
}

const struct json *json_iter_value(const struct json_iter *it)
{
	return value_of(json_object_iter_value((void *)(uintptr_t)it));
}

static int print_piece(const char *piece, size_t size, void *out)
{
	buf_add((struct buf *)out, str_n(piece, size));
	return 0;
}

void json_print(const struct json *value, struct buf *out)
{
	if (!value) {
		buf_add_c(out, "null");
		return;
	}
	CHECK(json_dump_callback(tree(value), print_piece, out, JSON_COMPACT | JSON_ENCODE_ANY) ==
	        0);
}
