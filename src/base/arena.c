#include "base/arena.h"

#include "base/err.h"
#include <stdalign.h>
#include <stdarg.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ALONE 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ALONE 1
#endif

/* Blocks double from the first size to the last; a piece that would waste most of one gets a block
 * of its own, behind the newest, whose room stays in use. */
#ifdef ALONE
enum { FIRST = 1, LAST = 1, KEEP = 0, SPARE_MOST = 0 };
#else
enum { FIRST = 4096, LAST = 64 * 1024, KEEP = LAST, SPARE_MOST = 16 };
#endif

struct arena_block {
	struct arena_block *older;
	size_t size;
	alignas(ARENA_ALIGN) char bytes[];
};

/* First blocks that a thread has back: the next request's arena is made of one. */
static _Thread_local struct {
	struct arena_block *first;
	unsigned count;
} spare;

static struct arena_block *block_new(size_t size)
{
	size_t bytes;
	if (size == FIRST && spare.count > 0) {
		struct arena_block *block = spare.first;
		spare.first = block->older;
		spare.count--;
		return block;
	}
	if (__builtin_add_overflow(size, sizeof(struct arena_block), &bytes))
		BUG("an allocation larger than memory");
	struct arena_block *block = mem_grow(NULL, 1, bytes);
	*block = (struct arena_block){ .size = size };
	return block;
}

static size_t next_size(const struct arena *a)
{
	const size_t doubled = a->block ? a->block->size * 2 : FIRST;
	return doubled > LAST ? LAST : doubled < FIRST ? FIRST : doubled;
}

void *arena_alloc_block(struct arena *a, size_t bytes)
{
	const size_t size = next_size(a);
	a->total += bytes;
	if (bytes > size / 4) {
		struct arena_block *alone = block_new(bytes ? bytes : 1);
		struct arena_block **place = a->block ? &a->block->older : &a->block;
		alone->older = *place;
		*place = alone;
		return memset(alone->bytes, 0, bytes);
	}
	struct arena_block *block = block_new(size);
	block->older = a->block;
	a->block = block;
	const size_t taken = (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	a->free = block->bytes + taken;
	a->left = size - taken;
	return memset(block->bytes, 0, bytes);
}

static void block_free(struct arena_block *block)
{
	if (block->size != FIRST || spare.count >= SPARE_MOST) {
		free(block);
		return;
	}
	block->older = spare.first;
	spare.first = block;
	spare.count++;
}

static void free_chain(struct arena_block *block)
{
	while (block) {
		struct arena_block *older = block->older;
		block_free(block);
		block = older;
	}
}

/* The newest block is kept unless it is a large piece that stood alone. */
void arena_clear(struct arena *a)
{
	struct arena_block *kept = a->block;
	if (!kept)
		return;
	if (kept->size > KEEP) {
		arena_done(a);
		return;
	}
	free_chain(kept->older);
	kept->older = NULL;
	*a = (struct arena){ .block = kept, .free = kept->bytes, .left = kept->size };
}

void arena_done(struct arena *a)
{
	free_chain(a->block);
	*a = (struct arena)ARENA_INIT;
}

void *arena_alloc_array(struct arena *a, size_t size, size_t count)
{
	size_t bytes;
	if (__builtin_mul_overflow(size, count, &bytes))
		BUG("an array larger than memory");
	return arena_alloc(a, bytes);
}

struct str arena_str(struct arena *a, struct str s)
{
	char *copy = arena_alloc(a, s.n + 1);
	if (s.n)
		memcpy(copy, s.p, s.n);
	return str_n(copy, s.n);
}

struct str arena_u64(struct arena *a, uint64_t value)
{
	char digits[20];
	size_t at = sizeof digits;
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return arena_str(a, str_n(digits + at, sizeof digits - at));
}

struct str arena_join(struct arena *a, const struct str *parts, size_t count)
{
	size_t n = 0;
	for (size_t i = 0; i < count; i++)
		n += parts[i].n;
	char *text = arena_alloc(a, n + 1), *p = text;
	for (size_t i = 0; i < count; i++) {
		if (parts[i].n)
			memcpy(p, parts[i].p, parts[i].n);
		p += parts[i].n;
	}
	return str_n(text, n);
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	const int n = vsnprintf(NULL, 0, format, args);
	CHECK(n >= 0);
	char *text = arena_alloc(a, (size_t)n + 1);
	vsnprintf(text, (size_t)n + 1, format, again);
	va_end(again);
	va_end(args);
	return str_n(text, (size_t)n);
}
