#include "http/target.h"

#include "http/chars.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that "XX" at p stands for, or -1. */
static int hex_byte(struct str s, size_t at)
{
	if (at + 2 > s.n)
		return -1;
	int high = hex_digit(s.p[at]), low = hex_digit(s.p[at + 1]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool is_unreserved(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

/* RFC 3629 3: bytes that only begin, or stand second in, a form longer than it need be. */
static bool is_overlong(int before, int c)
{
	return c == 0xc0 || c == 0xc1 || (before == 0xe0 && c >= 0x80 && c < 0xa0) ||
	       (before == 0xf0 && c >= 0x80 && c < 0x90);
}

static bool refuse(struct refusal *ret_refusal, const char *why)
{
	*ret_refusal = (struct refusal){ 400, why };
	return false;
}

/* --- dot segments */

/* RFC 3986 5.2.4, in place. False if a ".." leads above the root; it is then dropped. */
static bool remove_dots(char *path, size_t *n)
{
	size_t out = 0;
	bool within = true;
	for (size_t at = 0; at < *n;) { /* path[at] is the '/' before a segment */
		size_t end = at + 1;
		while (end < *n && path[end] != '/')
			end++;
		struct str segment = str_n(path + at + 1, end - at - 1);
		bool up = str_eq(segment, STR("..")), stays = str_eq(segment, STR("."));
		if (up) {
			within = within && out > 0;
			while (out > 0 && path[--out] != '/')
				;
		}
		if (!up && !stays) {
			memmove(path + out, path + at, end - at);
			out += end - at;
		} else if (end == *n) {
			path[out++] = '/';
		}
		at = end;
	}
	*n = out;
	return within;
}

/* --- normal form */

static char *put_encoded(char *to, int byte)
{
	static const char digits[] = "0123456789ABCDEF";
	*to++ = '%';
	*to++ = digits[byte >> 4];
	*to++ = digits[byte & 15];
	return to;
}

/* The path with its characters in normal form; never longer than it was. */
static bool normalise(struct str path, char *out, size_t *ret_n, struct refusal *ret_refusal)
{
	char *to = out;
	int before = 0;
	for (size_t i = 0; i < path.n; i++) {
		int c = (unsigned char)path.p[i];
		if (c == '\\')
			return refuse(ret_refusal, "The request target has a backslash.");
		if (!http_target_byte[c])
			return refuse(ret_refusal, "The request target is malformed.");
		if (c != '%') {
			*to++ = (char)c;
			before = 0;
			continue;
		}
		c = hex_byte(path, i + 1);
		if (c < 0)
			return refuse(ret_refusal, "The path has a % without two hexadecimal "
			                           "digits behind it.");
		if (c < 0x20 || c == 0x7f)
			return refuse(ret_refusal, "The path has an encoded control character.");
		if (is_overlong(before, c))
			return refuse(ret_refusal, "The path has a character in a form of UTF-8 "
			                           "that is too long.");
		if (is_unreserved(c))
			*to++ = (char)c;
		else
			to = put_encoded(to, c);
		before = c;
		i += 2;
	}
	*ret_n = (size_t)(to - out);
	return true;
}

static unsigned ambiguities(struct str path)
{
	unsigned found = 0;
	for (size_t i = 0; i < path.n; i++) {
		char c = path.p[i];
		int byte = c == '%' ? hex_byte(path, i + 1) : 0;
		if (c == '/' && i + 1 < path.n && path.p[i + 1] == '/')
			found |= TARGET_EMPTY;
		if (c == ';' || byte == ';')
			found |= TARGET_PARAMS;
		if (byte == '/')
			found |= TARGET_SLASH;
		if (byte == '\\')
			found |= TARGET_BACKSLASH;
		if (byte == '%' && hex_byte(path, i + 3) >= 0) /* may give any of the others */
			found |= TARGET_ALL;
	}
	/* These make segments, which may be empty or dots. */
	if (found & (TARGET_SLASH | TARGET_BACKSLASH | TARGET_PARAMS))
		found |= TARGET_EMPTY | TARGET_DOTS;
	return found;
}

bool target_read(
        struct str raw, struct arena *a, struct target *ret_target, struct refusal *ret_refusal)
{
	size_t mark = str_find(raw, '?'), n = 0;
	struct target t = { .path = str_head(raw, mark), .query = str_from(raw, mark) };
	if (str_eq(raw, STR("*"))) {
		*ret_target = t;
		return true;
	}
	if (!str_starts(t.path, STR("/")))
		return refuse(ret_refusal, "The request target does not begin with a slash.");
	char *path = arena_alloc(a, t.path.n);
	if (!normalise(t.path, path, &n, ret_refusal))
		return false;
	if (!remove_dots(path, &n))
		return refuse(ret_refusal, "The path leads above the root.");
	t.path = str_n(path, n);
	t.ambiguous = ambiguities(t.path);
	*ret_target = t;
	return true;
}

/* --- readings */

/* The character at *at, which moves behind it. */
static int read_character(struct str path, unsigned reading, size_t *at)
{
	int c = (unsigned char)path.p[*at], encoded = c == '%' ? hex_byte(path, *at + 1) : -1;
	*at += 1;
	if (encoded < 0)
		return c;
	*at += 2;
	while (reading & TARGET_TWICE && encoded == '%' && hex_byte(path, *at) >= 0) {
		encoded = hex_byte(path, *at);
		*at += 2;
	}
	if (encoded == '/')
		return reading & TARGET_SLASH ? '/' : TARGET_DATA_SLASH;
	if (encoded == '\\')
		return reading & TARGET_BACKSLASH ? '/' : '\\';
	return encoded;
}

struct str target_plain(const struct target *t, unsigned reading, struct arena *a)
{
	char *out = arena_alloc(a, t->path.n);
	size_t n = 0;
	bool in_params = false;
	for (size_t at = 0; at < t->path.n;) {
		int c = read_character(t->path, reading, &at);
		in_params = c != '/' && (in_params || (reading & TARGET_PARAMS && c == ';'));
		bool doubled = c == '/' && n > 0 && out[n - 1] == '/' && reading & TARGET_EMPTY;
		if (!in_params && !doubled)
			out[n++] = (char)c;
	}
	if (reading & TARGET_DOTS)
		(void)remove_dots(out, &n);
	return str_n(out, n);
}
