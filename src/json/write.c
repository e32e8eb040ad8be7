/* Writing, without a tree: each call appends. */
#include "json/json.h"

#include "base/clock.h"

enum { LEVELS = 64 };

static uint64_t level_bit(const struct json_writer *w)
{
	return UINT64_C(1) << w->depth;
}

/* The length of the UTF-8 character at the start of s (RFC 3629: shortest form, no surrogates,
 * nothing above U+10FFFF), or 0. */
static size_t utf8_length(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	unsigned char low = 0x80, high = 0xbf;
	size_t n;
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if ((p[0] & 0xf0) == 0xe0)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (s.n < n || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* RFC 8259 7: quotation mark, reverse solidus and the control characters must be escaped. */
static void add_escape(struct buf *out, unsigned char c)
{
	switch (c) {
	case '"':
		buf_add_c(out, "\\\"");
		return;
	case '\\':
		buf_add_c(out, "\\\\");
		return;
	case '\n':
		buf_add_c(out, "\\n");
		return;
	case '\r':
		buf_add_c(out, "\\r");
		return;
	case '\t':
		buf_add_c(out, "\\t");
		return;
	default:
		buf_printf(out, "\\u%04x", c);
	}
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void add_quoted(struct buf *out, struct str s)
{
	buf_add_char(out, '"');
	for (size_t i = 0; i < s.n;) {
		size_t plain = i;
		while (plain < s.n && is_plain((unsigned char)s.p[plain]))
			plain++;
		buf_add(out, str_n(s.p + i, plain - i));
		i = plain;
		if (i == s.n)
			break;
		size_t n = utf8_length(str_from(s, i));
		if (n > 1)
			buf_add(out, str_n(s.p + i, n));
		else if (n == 1)
			add_escape(out, (unsigned char)s.p[i]);
		else
			buf_add_c(out, "\xef\xbf\xbd");
		i += n ? n : 1;
	}
	buf_add_char(out, '"');
}

/* What stands before every value: a comma, and in an object its key. */
static void begin_value(struct json_writer *w, const char *key)
{
	bool in_object = w->depth > 0 && !(w->is_array & level_bit(w));
	CHECK(in_object == (key != NULL));
	if (w->has_members & level_bit(w)) {
		CHECK(w->depth > 0); /* a document has one root */
		buf_add_char(w->out, ',');
	}
	w->has_members |= level_bit(w);
	if (!key)
		return;
	add_quoted(w->out, str_c(key));
	buf_add_char(w->out, ':');
}

static void descend(struct json_writer *w, bool is_array)
{
	CHECK(w->depth + 1 < LEVELS);
	w->depth++;
	w->has_members &= ~level_bit(w);
	w->is_array &= ~level_bit(w);
	if (is_array)
		w->is_array |= level_bit(w);
}

void json_write_init(struct json_writer *w, struct buf *out)
{
	*w = (struct json_writer){ .out = out };
}

void json_write_object(struct json_writer *w, const char *key)
{
	begin_value(w, key);
	buf_add_char(w->out, '{');
	descend(w, /* is_array= */ false);
}

void json_write_array(struct json_writer *w, const char *key)
{
	begin_value(w, key);
	buf_add_char(w->out, '[');
	descend(w, /* is_array= */ true);
}

void json_write_end(struct json_writer *w)
{
	CHECK(w->depth > 0);
	buf_add_char(w->out, w->is_array & level_bit(w) ? ']' : '}');
	w->depth--;
}

void json_write_text(struct json_writer *w, const char *key, struct str value)
{
	begin_value(w, key);
	add_quoted(w->out, value);
}

void json_write_c(struct json_writer *w, const char *key, const char *value)
{
	if (value)
		json_write_text(w, key, str_c(value));
	else
		json_write_null(w, key);
}

void json_write_int(struct json_writer *w, const char *key, int64_t value)
{
	begin_value(w, key);
	buf_printf(w->out, "%lld", (long long)value);
}

void json_write_bool(struct json_writer *w, const char *key, bool value)
{
	begin_value(w, key);
	buf_add_c(w->out, value ? "true" : "false");
}

void json_write_null(struct json_writer *w, const char *key)
{
	begin_value(w, key);
	buf_add_c(w->out, "null");
}

void json_write_time(struct json_writer *w, const char *key, int64_t wall_ms)
{
	if (wall_ms == 0) {
		json_write_null(w, key);
		return;
	}
	char text[CLOCK_TEXT];
	json_write_c(w, key, clock_rfc3339(wall_ms, text));
}

void json_write_value(struct json_writer *w, const char *key, const struct json *value)
{
	begin_value(w, key);
	json_print(value, w->out);
}

void json_write_raw(struct json_writer *w, const char *key, struct str json)
{
	begin_value(w, key);
	buf_add(w->out, json);
}
