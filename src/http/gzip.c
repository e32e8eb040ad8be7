/* zlib.h is at home here alone. */
#include "http/coding.h"

#include <zlib.h>

enum { LEVEL = 5, WINDOW_BITS = 14, GZIP_FORMAT = 16, MEMORY_LEVEL = 7, ROOM = 16 << 10 };

struct gzip {
	z_stream z;
};

static void *take(void *arena, unsigned count, unsigned size)
{
	return arena_alloc_array(arena, size, count);
}

static void give_back(void *arena, void *p)
{
	(void)arena;
	(void)p;
}

struct gzip *gzip_new(struct arena *a)
{
	struct gzip *g = arena_new(a, struct gzip);
	g->z = (z_stream){ .zalloc = take, .zfree = give_back, .opaque = a };
	CHECK(deflateInit2(&g->z, LEVEL, Z_DEFLATED, WINDOW_BITS + GZIP_FORMAT, MEMORY_LEVEL,
	              Z_DEFAULT_STRATEGY) == Z_OK);
	return g;
}

void gzip_add(struct gzip *g, struct str piece, enum gzip_want want, struct buf *out)
{
	static const int flushes[] = {
		[GZIP_GO_ON] = Z_NO_FLUSH, [GZIP_FLUSH] = Z_SYNC_FLUSH, [GZIP_END] = Z_FINISH
	};
	CHECK(piece.n <= UINT32_MAX);
	g->z.next_in = (unsigned char *)(uintptr_t)piece.p;
	g->z.avail_in = (unsigned)piece.n;
	do {
		char *room = buf_room(out, ROOM);
		CHECK(room);
		g->z.next_out = (unsigned char *)room;
		g->z.avail_out = ROOM;
		int result = deflate(&g->z, flushes[want]);
		CHECK(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
		buf_grew(out, ROOM - g->z.avail_out);
	} while (g->z.avail_out == 0);
}
