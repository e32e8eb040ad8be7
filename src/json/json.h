/* JSON (RFC 8259) with types checked. The only module that knows jansson.
 *
 * Reading is liberal, as the law on ACME wants it: a member that is absent, null or of another
 * type reads as "not there", unknown members are ignored. A document has one root that owns all
 * values; borrowed values and texts live as long as it. Depth is limited to 64, duplicate keys:
 * the last one counts, a NUL in a text is refused. */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include "base/buf.h"
#include "base/err.h"

struct json; /* a value; the one from json_parse is the root */

/* libjansson exports functions of these two names with another meaning: at link time ours have
 * names of their own, else they would stand in for them inside that library. */
#define json_object json_member_object
#define json_array  json_member_array

/* `what` names the text in the sentence: "The CA's answer is not JSON: …" (ERR_INPUT). */
MUST_CHECK struct json *json_parse(struct str text, const char *what, struct err *err);
void json_free(struct json **root);
#define JSON_AUTO __attribute__((cleanup(json_free))) struct json

/* All accept NULL for the object and then find nothing. */
const struct json *json_member(const struct json *object, const char *key);
const struct json *json_object(const struct json *object, const char *key); /* NULL if no object */
const struct json *json_array(const struct json *object, const char *key);  /* NULL if no array */
struct str json_text(const struct json *object, const char *key);           /* STR_NONE if absent */
bool json_int(const struct json *object, const char *key, int64_t *ret_value);
bool json_bool(const struct json *object, const char *key, bool *ret_value);

bool json_member_is_null(const struct json *object, const char *key); /* it is there, and null */

bool json_is_object(const struct json *value);
size_t json_count(const struct json *array); /* 0 if it is no array */
const struct json *json_at(const struct json *array, size_t index);
struct str json_value_text(const struct json *value); /* STR_NONE if it is no text */

/* Members of an object in their order: for (it = json_first(o); it; it = json_next(o, it)). */
struct json_iter;
const struct json_iter *json_first(const struct json *object);
const struct json_iter *json_next(const struct json *object, const struct json_iter *it);
struct str json_iter_key(const struct json_iter *it);
const struct json *json_iter_value(const struct json_iter *it);

/* The value as compact text, members in their order. NULL prints null. */
void json_print(const struct json *value, struct buf *out);

/* Writing is a stream into a buf, without a tree: commas and quoting are done here, nesting is
 * CHECKed. key is NULL inside arrays and for the root. Text that is not UTF-8 is repaired with
 * U+FFFD. */
struct json_writer {
	struct buf *out;
	unsigned depth;
	uint64_t is_array, has_members; /* one bit per level */
};
void json_write_init(struct json_writer *w, struct buf *out);
void json_write_object(struct json_writer *w, const char *key);
void json_write_array(struct json_writer *w, const char *key);
void json_write_end(struct json_writer *w); /* closes the innermost object or array */
void json_write_text(struct json_writer *w, const char *key, struct str value);
void json_write_c(struct json_writer *w, const char *key, const char *value); /* NULL: null */
void json_write_int(struct json_writer *w, const char *key, int64_t value);
void json_write_bool(struct json_writer *w, const char *key, bool value);
void json_write_null(struct json_writer *w, const char *key);
void json_write_time(
        struct json_writer *w, const char *key, int64_t wall_ms); /* RFC 3339; 0: null */
void json_write_value(struct json_writer *w, const char *key, const struct json *value);
void json_write_raw(struct json_writer *w, const char *key, struct str json); /* already JSON */

#endif
