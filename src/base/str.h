/* Borrowed text: a pointer and a length, not owned, not NUL-terminated, free to hold any byte.
 *
 * Pass it by value. It is valid as long as what it points into; who stores one says in the struct
 * whose memory it is. Text that must live longer is copied into an arena (arena.h), a buf (buf.h)
 * or the heap (str_dup). */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *p;
	size_t n;
};

/* From a literal, also in static initialisers. */
#define STR(literal)      ((struct str){ "" literal, sizeof(literal) - 1 })
#define STR_INIT(literal) { "" literal, sizeof(literal) - 1 }
#define STR_NONE          ((struct str){ NULL, 0 })

/* For printf: printf("%.*s", STR_ARG(name)). */
#define STR_ARG(s) (int)(s).n, (s).p

static inline struct str str_n(const void *p, size_t n)
{
	return (struct str){ p, n };
}

/* NULL gives STR_NONE. */
static inline struct str str_c(const char *nul_terminated)
{
	return (struct str){ nul_terminated, nul_terminated ? strlen(nul_terminated) : 0 };
}

static inline bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_eq_c(struct str a, const char *b)
{
	return str_eq(a, str_c(b));
}

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
int str_cmp(struct str a, struct str b);        /* by bytes, a prefix first: -1, 0 or 1 */

static inline bool str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_eq((struct str){ s.p, prefix.n }, prefix);
}

/* Index of the first c, or s.n if there is none. */
static inline size_t str_find(struct str s, char c)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
	return at ? (size_t)(at - s.p) : s.n;
}

static inline bool str_has(struct str s, char c)
{
	return str_find(s, c) < s.n;
}

/* The rest; empty past the end. */
static inline struct str str_from(struct str s, size_t index)
{
	const size_t skip = index < s.n ? index : s.n;
	return skip ? (struct str){ s.p + skip, s.n - skip } : s;
}

/* At most n bytes. */
static inline struct str str_head(struct str s, size_t n)
{
	return (struct str){ s.p, n < s.n ? n : s.n };
}

static inline bool str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n && str_eq(str_from(s, s.n - suffix.n), suffix);
}

struct str str_trim(struct str s); /* without SP and HTAB at both ends */

/* Takes the part of *rest before sep, moves *rest behind it. False once nothing is left:
 * "a,b" gives a, b, false; "a," gives a, "", false; "" gives "", false; STR_NONE gives false.
 * Nothing left is STR_NONE. */
bool str_split(struct str *rest, char sep, struct str *ret_part);

/* Digits only, no sign, no space, no overflow, not empty. */
bool str_to_u64(struct str s, uint64_t *ret_value);

char *str_dup(struct str s); /* heap, NUL-terminated; free() it */

/* The number of single changes between two words (a letter more, less or another, or two
 * neighbours swapped): how an unknown directive finds its neighbour. Words above 64 bytes are not
 * compared: the longer one's length is the answer unless they are equal. */
unsigned str_distance(struct str a, struct str b);

/* Bytes of the well-formed UTF-8 character that s starts with (RFC 3629), or 0. */
size_t str_utf8(struct str s);

#endif
