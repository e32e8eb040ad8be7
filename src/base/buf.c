#include "base/buf.h"

#include "base/secret.h"

enum { LEAST_CAP = 64 };

void buf_clear(struct buf *b)
{
	if (b->secret && b->p)
		wipe(b->p, b->cap);
	b->n = 0;
	b->over = false;
	if (b->p)
		b->p[0] = '\0';
}

void buf_done(struct buf *b)
{
	if (b->secret && b->p)
		wipe(b->p, b->cap);
	free(b->p);
	*b = (struct buf){ .ceiling = b->ceiling, .secret = b->secret };
}

void buf_wipe(struct buf *b)
{
	if (b->p)
		wipe(b->p, b->cap);
	buf_done(b);
}

static void move_to(struct buf *b, size_t cap)
{
	if (b->secret && b->p) {
		char *p = mem_alloc(cap);
		memcpy(p, b->p, b->n + 1);
		wipe(b->p, b->cap);
		free(b->p);
		b->p = p;
	} else {
		b->p = mem_grow(b->p, 1, cap);
	}
	b->cap = cap;
	b->p[b->n] = '\0';
}

char *buf_make_room(struct buf *b, size_t n)
{
	if (b->over || n > b->ceiling - b->n) {
		b->over = true;
		return NULL;
	}
	const size_t need = b->n + n + 1;
	if (need > b->cap) {
		CHECK(b->ceiling < SIZE_MAX / 4);
		size_t cap = b->cap * 2 > LEAST_CAP ? b->cap * 2 : LEAST_CAP;
		if (cap > b->ceiling + 1)
			cap = b->ceiling + 1;
		move_to(b, cap > need ? cap : need);
	}
	return b->p + b->n;
}

void buf_consume(struct buf *b, size_t n)
{
	if (n == 0 || b->n == 0)
		return;
	b->n = n < b->n ? b->n - n : 0;
	if (b->n)
		memmove(b->p, b->p + n, b->n);
	b->p[b->n] = '\0';
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	buf_vprintf(b, format, args);
	va_end(args);
}

void buf_vprintf(struct buf *b, const char *format, va_list args)
{
	if (b->over)
		return;
	va_list again;
	va_copy(again, args);
	const size_t room = b->cap - b->n;
	const int n = vsnprintf(room ? b->p + b->n : NULL, room, format, args);
	CHECK(n >= 0);
	if ((size_t)n < room) {
		b->n += (size_t)n;
	} else if (buf_room(b, (size_t)n)) {
		vsnprintf(b->p + b->n, (size_t)n + 1, format, again);
		b->n += (size_t)n;
	} else if (b->p) {
		b->p[b->n] = '\0';
	}
	va_end(again);
}

void buf_add_u64(struct buf *b, uint64_t value)
{
	char digits[20];
	size_t at = sizeof digits;
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	buf_add(b, str_n(digits + at, sizeof digits - at));
}

void buf_add_hex(struct buf *b, struct str bytes)
{
	static const char digits[] = "0123456789abcdef";
	char *to = buf_room(b, bytes.n * 2);
	if (!to)
		return;
	for (size_t i = 0; i < bytes.n; i++) {
		const unsigned char byte = (unsigned char)bytes.p[i];
		*to++ = digits[byte >> 4];
		*to++ = digits[byte & 15];
	}
	buf_grew(b, bytes.n * 2);
}

static const char base64_plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* One to three bytes as a group of 24 bits, missing ones zero. */
static uint32_t group_of(const char *p, size_t n)
{
	const uint32_t a = (unsigned char)p[0];
	const uint32_t b = n > 1 ? (unsigned char)p[1] : 0;
	const uint32_t c = n > 2 ? (unsigned char)p[2] : 0;
	return a << 16 | b << 8 | c;
}

static void add_base64(struct buf *b, struct str bytes, const char *alphabet)
{
	const size_t digits = bytes.n / 3 * 4 + (bytes.n % 3 ? bytes.n % 3 + 1 : 0);
	char *to = buf_room(b, digits);
	if (!to)
		return;
	for (size_t i = 0, out = 0; i < bytes.n; i += 3) {
		const uint32_t group = group_of(bytes.p + i, bytes.n - i);
		for (unsigned shift = 18; shift <= 18 && out < digits; shift -= 6)
			to[out++] = alphabet[group >> shift & 63];
	}
	buf_grew(b, digits);
}

void buf_add_base64url(struct buf *b, struct str bytes)
{
	add_base64(b, bytes, base64_url);
}

void buf_add_base64(struct buf *b, struct str bytes)
{
	/* All or nothing: room for the padding is asked for with the rest. */
	if (!buf_room(b, (bytes.n + 2) / 3 * 4))
		return;
	add_base64(b, bytes, base64_plain);
	if (bytes.n % 3)
		buf_add(b, str_head(STR("=="), 3 - bytes.n % 3));
}

static bool digit_value(char c, const char *alphabet, uint32_t *ret_value)
{
	if (c >= 'A' && c <= 'Z')
		*ret_value = (uint32_t)(c - 'A');
	else if (c >= 'a' && c <= 'z')
		*ret_value = (uint32_t)(c - 'a') + 26;
	else if (c >= '0' && c <= '9')
		*ret_value = (uint32_t)(c - '0') + 52;
	else if (c == alphabet[62])
		*ret_value = 62;
	else if (c == alphabet[63])
		*ret_value = 63;
	else
		return false;
	return true;
}

/* RFC 4648 3.5: pad bits that are not zero are refused, so that one value has one text. */
static bool decode(struct buf *b, struct str text, const char *alphabet)
{
	if (text.n % 4 == 1)
		return false;
	char *to = buf_room(b, text.n / 4 * 3 + text.n % 4 * 3 / 4);
	if (!to)
		return false;
	size_t out = 0;
	uint32_t bits = 0, value;
	unsigned held = 0;
	for (size_t i = 0; i < text.n; i++) {
		if (!digit_value(text.p[i], alphabet, &value))
			return false;
		bits = (bits << 6 | value) & 0xfff;
		held += 6;
		if (held >= 8) {
			held -= 8;
			to[out++] = (char)(bits >> held & 0xff);
		}
	}
	if (bits & ((1U << held) - 1))
		return false;
	buf_grew(b, out);
	return true;
}

bool buf_decode_base64url(struct buf *b, struct str text)
{
	const bool done = decode(b, text, base64_url);
	if (b->p)
		b->p[b->n] = '\0';
	return done;
}

bool buf_decode_base64(struct buf *b, struct str text)
{
	if (text.n % 4)
		return false;
	if (str_ends(text, STR("==")))
		text.n -= 2;
	else if (str_ends(text, STR("=")))
		text.n -= 1;
	const bool done = decode(b, text, base64_plain);
	if (b->p)
		b->p[b->n] = '\0';
	return done;
}
