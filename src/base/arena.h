/* Memory that dies together: of one request, one turn of a flow, one configuration generation.
 *
 * Allocation cannot fail (out of memory aborts) and is never freed alone. Zeroed. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/str.h"

struct arena_block;
struct arena {
	struct arena_block *block; /* the newest; older ones are chained behind it */
	size_t total;              /* bytes handed out since the last clear */
};

#define ARENA_INIT { 0 }
void arena_clear(struct arena *a); /* all it gave out is gone; keeps one block */
void arena_done(struct arena *a);
#define ARENA_AUTO __attribute__((cleanup(arena_done))) struct arena

void *arena_alloc(struct arena *a, size_t bytes);
#define arena_new(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, count) ((type *)arena_alloc_array((a), sizeof(type), (count)))
void *arena_alloc_array(struct arena *a, size_t size, size_t count);

struct str arena_str(struct arena *a, struct str s); /* a copy, followed by a NUL */
__attribute__((format(printf, 2, 3))) struct str arena_printf(struct arena *a, const char *, ...);

#endif
