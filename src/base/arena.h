/* Memory that dies together: of one request, one turn of a flow, one configuration generation.
 *
 * Allocation cannot fail (out of memory aborts) and is never freed alone. Zeroed, aligned to 16.
 * An arena that gave out nothing holds nothing. Under AddressSanitizer every allocation is a block
 * of its own, so that a byte past its end is seen. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/str.h"

struct arena_block;
struct arena {
	struct arena_block *block; /* the newest; older ones are chained behind it */
	char *free;                /* within the newest */
	size_t left;               /* bytes from there */
	size_t total;              /* bytes handed out since the last clear */
};

#define ARENA_INIT { 0 }
void arena_clear(struct arena *a); /* all it gave out is gone; keeps one block of modest size */
void arena_done(struct arena *a);
#define ARENA_AUTO __attribute__((cleanup(arena_done))) struct arena

enum { ARENA_ALIGN = 16 };
void *arena_alloc_block(struct arena *a, size_t bytes); /* arena_alloc's slow way */

static inline void *arena_alloc(struct arena *a, size_t bytes)
{
	const size_t taken = (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	if (taken == 0 || taken > a->left)
		return arena_alloc_block(a, bytes);
	char *p = a->free;
	a->free += taken;
	a->left -= taken;
	a->total += bytes;
	return memset(p, 0, bytes);
}

#define arena_new(a, type)          ((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, count) ((type *)arena_alloc_array((a), sizeof(type), (count)))
void *arena_alloc_array(struct arena *a, size_t size, size_t count);

struct str arena_str(struct arena *a, struct str s);   /* a copy, followed by a NUL */
struct str arena_u64(struct arena *a, uint64_t value); /* in decimal, followed by a NUL */
/* One behind the other, followed by a NUL: where a request feels what printf costs. */
struct str arena_join(struct arena *a, const struct str *parts, size_t count);
#define ARENA_JOIN(a, ...)                                                                         \
	arena_join((a), (const struct str[]){ __VA_ARGS__ },                                       \
	        sizeof((const struct str[]){ __VA_ARGS__ }) / sizeof(struct str))
__attribute__((format(printf, 2, 3))) struct str arena_printf(struct arena *a, const char *, ...);

#endif
