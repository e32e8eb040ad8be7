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

struct str {
	const char *p;
	size_t n;
};

/* From a literal, also in static initialisers. */
#define STR(literal) ((struct str){ "" literal, sizeof(literal) - 1 })
#define STR_INIT(literal) { "" literal, sizeof(literal) - 1 }
#define STR_NONE ((struct str){ NULL, 0 })

/* For printf: printf("%.*s", STR_ARG(name)). */
#define STR_ARG(s) (int)(s).n, (s).p

struct str str_c(const char *nul_terminated); /* NULL gives STR_NONE */
struct str str_n(const void *p, size_t n);

bool str_eq(struct str a, struct str b);
bool str_eq_c(struct str a, const char *b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
int str_cmp(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_has(struct str s, char c);

/* Index of the first c, or s.n if there is none. */
size_t str_find(struct str s, char c);
struct str str_from(struct str s, size_t index); /* the rest; empty past the end */
struct str str_head(struct str s, size_t n);     /* at most n bytes */
struct str str_trim(struct str s);               /* without SP and HTAB at both ends */

/* Takes the part of *rest before sep, moves *rest behind it. False once nothing is left:
 * "a,b" gives a, b, false; "a," gives a, "", false; "" gives "", false. */
bool str_split(struct str *rest, char sep, struct str *ret_part);

/* Digits only, no sign, no space, no overflow, not empty. */
bool str_to_u64(struct str s, uint64_t *ret_value);

char *str_dup(struct str s); /* heap, NUL-terminated; free() it */

/* The number of single changes between two words: how an unknown directive finds its neighbour. */
unsigned str_distance(struct str a, struct str b);

#endif
