#include "base/err.h"

#include <stdarg.h>

static const char *const code_names[] = {
#define X(name, text) [ERR_##name] = text,
	ERR_CODES(X)
#undef X
};
enum { CODES = sizeof code_names / sizeof *code_names };

const char *err_code_name(enum err_code code)
{
	CHECK((unsigned)code < CODES);
	return code_names[code];
}

bool err_code_from_name(struct str name, enum err_code *ret_code)
{
	for (unsigned i = 0; i < CODES; i++)
		if (str_eq_c(name, code_names[i])) {
			*ret_code = (enum err_code)i;
			return true;
		}
	return false;
}

/* C0, DEL, and C1 in its two bytes of UTF-8, which terminals obey as well. */
static bool control(struct str c)
{
	const unsigned char first = (unsigned char)c.p[0];
	return first < 0x20 || first == 0x7f || (first == 0xc2 && (unsigned char)c.p[1] < 0xa0);
}

static bool is_mark(const struct err *err, struct str c)
{
	return *c.p == *ERR_REMEDY || (*c.p == *ERR_WHY && !err->why);
}

static void mark(struct err *err, char which, size_t at)
{
	if (which == *ERR_REMEDY)
		err->remedy = (uint16_t)at;
	else
		err->why = (uint16_t)at;
}

/* The page sends sentences as JSON, a terminal shows them: UTF-8 without control characters. */
static void store_clean(struct err *err, struct str text)
{
	size_t n = 0;
	err->why = err->remedy = 0;
	while (text.n && n < sizeof err->text - 1) {
		const size_t bytes = str_utf8(text);
		if (is_mark(err, text)) {
			err->text[n++] = ' ';
			mark(err, *text.p, n);
		} else if (bytes == 0 || control(text)) {
			err->text[n++] = '?';
		} else if (n + bytes < sizeof err->text) {
			memcpy(err->text + n, text.p, bytes);
			n += bytes;
		} else {
			break;
		}
		text = str_from(text, bytes ? bytes : 1);
	}
	err->text[n] = '\0';
}

/* The arguments may point into err itself: text is formatted beside it first. */
__attribute__((format(printf, 3, 0))) static size_t format_text(
        char *text, size_t size, const char *format, va_list args)
{
	const int n = vsnprintf(text, size, format, args);
	CHECK(n >= 0);
	return (size_t)n < size ? (size_t)n : size - 1;
}

bool err_set(struct err *err, enum err_code code, const char *format, ...)
{
	char text[sizeof err->text];
	va_list args;
	va_start(args, format);
	const size_t n = format_text(text, sizeof text, format, args);
	va_end(args);
	err->code = code;
	store_clean(err, str_n(text, n));
	return false;
}

bool err_sys(struct err *err, enum err_code code, int number, const char *format, ...)
{
	char text[sizeof err->text];
	va_list args;
	va_start(args, format);
	format_text(text, sizeof text, format, args);
	va_end(args);
	const char *words = strerrordesc_np(number);
	if (words)
		return err_set(err, code, "%s: %s.", text, words);
	return err_set(err, code, "%s: error %d.", text, number);
}

bool err_prefix(struct err *err, const char *format, ...)
{
	char text[sizeof err->text];
	va_list args;
	va_start(args, format);
	const size_t n = format_text(text, sizeof text, format, args);
	va_end(args);
	const char *between = n && text[n - 1] == ' ' ? "" : n && text[n - 1] == ':' ? " " : ": ";
	const uint16_t why = err->why, remedy = err->remedy;
	const size_t before = strlen(err->text), whole = n + strlen(between) + before;
	err_set(err, err->code, "%s%s%s", text, between, err->text);
	if (whole < sizeof err->text) {
		const size_t shift = strlen(err->text) - before;
		err->why = why ? (uint16_t)(why + shift) : 0;
		err->remedy = remedy ? (uint16_t)(remedy + shift) : 0;
	}
	return false;
}

static struct str part(const struct err *err, size_t from, size_t to)
{
	return str_trim(str_n(err->text + from, to - from));
}

/* Where the remedy begins, or the end. */
static size_t message_end(const struct err *err)
{
	return err->remedy ? err->remedy : strlen(err->text);
}

static bool has_why(const struct err *err)
{
	return err->why && err->why <= message_end(err);
}

struct str err_what(const struct err *err)
{
	return part(err, 0, has_why(err) ? err->why : message_end(err));
}

struct str err_why(const struct err *err)
{
	return has_why(err) ? part(err, err->why, message_end(err)) : STR_NONE;
}

struct str err_message(const struct err *err)
{
	return part(err, 0, message_end(err));
}

struct str err_remedy(const struct err *err)
{
	return err->remedy ? part(err, err->remedy, strlen(err->text)) : STR_NONE;
}
