#include "base/str.h"

#include "base/err.h"

bool str_eq_nocase(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (a.p[i] != b.p[i] && ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

int str_cmp(struct str a, struct str b)
{
	const size_t common = a.n < b.n ? a.n : b.n;
	const int order = common ? memcmp(a.p, b.p, common) : 0;
	if (order)
		return order < 0 ? -1 : 1;
	return (a.n > b.n) - (a.n < b.n);
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

struct str str_trim(struct str s)
{
	while (s.n && blank(s.p[s.n - 1]))
		s.n--;
	while (s.n && blank(s.p[0]))
		s = str_from(s, 1);
	return s;
}

bool str_split(struct str *rest, char sep, struct str *ret_part)
{
	if (!rest->p)
		return false;
	const size_t at = str_find(*rest, sep);
	*ret_part = str_head(*rest, at);
	*rest = at < rest->n ? str_n(rest->p + at + 1, rest->n - at - 1) : STR_NONE;
	return true;
}

bool str_to_u64(struct str s, uint64_t *ret_value)
{
	uint64_t value = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		if (__builtin_mul_overflow(value, 10, &value) ||
		        __builtin_add_overflow(value, (uint64_t)(s.p[i] - '0'), &value))
			return false;
	}
	if (s.n == 0)
		return false;
	*ret_value = value;
	return true;
}

char *str_dup(struct str s)
{
	char *copy = mem_alloc(s.n + 1);
	if (s.n)
		memcpy(copy, s.p, s.n);
	return copy;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

enum { WORD_MOST = 64 };

/* One row of the table of distances between the heads of both words: a's first i letters against
 * every head of b. row[-1] and row[-2] are the rows before it. */
static void distance_row(unsigned (*row)[WORD_MOST + 1], struct str a, struct str b, size_t i)
{
	row[0][0] = (unsigned)i;
	for (size_t j = 1; j <= b.n; j++) {
		const bool same = a.p[i - 1] == b.p[j - 1];
		unsigned d = least(row[-1][j], row[0][j - 1]) + 1;
		d = least(d, row[-1][j - 1] + !same);
		if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
			d = least(d, row[-2][j - 2] + 1);
		row[0][j] = d;
	}
}

unsigned str_distance(struct str a, struct str b)
{
	if (a.n > WORD_MOST || b.n > WORD_MOST)
		return str_eq(a, b) ? 0 : (unsigned)(a.n > b.n ? a.n : b.n);
	unsigned rows[WORD_MOST + 1][WORD_MOST + 1];
	for (size_t j = 0; j <= b.n; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a.n; i++)
		distance_row(rows + i, a, b, i);
	return rows[a.n][b.n];
}

/* RFC 3629 4: the second byte's range depends on the first; all later ones are 80-BF. */
static const struct utf8_lead {
	unsigned char from, to, second_from, second_to, bytes;
} utf8_leads[] = {
	{ 0x00, 0x7f, 0, 0, 1 },
	{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 },
	{ 0xed, 0xed, 0x80, 0x9f, 3 },
	{ 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

static bool utf8_tail_fits(const struct utf8_lead *lead, const unsigned char *p)
{
	if (lead->bytes > 1 && (p[1] < lead->second_from || p[1] > lead->second_to))
		return false;
	for (size_t i = 2; i < lead->bytes; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return false;
	return true;
}

size_t str_utf8(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	if (s.n == 0)
		return 0;
	for (size_t i = 0; i < sizeof utf8_leads / sizeof *utf8_leads; i++) {
		const struct utf8_lead *lead = utf8_leads + i;
		if (p[0] >= lead->from && p[0] <= lead->to)
			return s.n >= lead->bytes && utf8_tail_fits(lead, p) ? lead->bytes : 0;
	}
	return 0;
}
