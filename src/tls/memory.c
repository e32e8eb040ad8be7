/* libcrypto and libssl ask for some 700 pieces in one handshake and give nearly all of them back at
 * its end. A thread keeps what is given back on lists of its own by size, and needs none of the
 * checks of an allocator that serves everybody. A piece stays with the thread that gives it back.
 * Its size is what malloc says of it: nothing is spent on a head of our own. */
#include "tls/tls.h"
#include <malloc.h>
#include <openssl/crypto.h>

enum {
	STEP = 16, /* of malloc's sizes, the least of which has room for 24 bytes */
	LEAST = 24,
	FINE = 512,        /* so many classes, up to 8 KiB, each a step above the one before */
	COARSE = 64,       /* beyond, only every so many-th is used: 1 KiB apart */
	CLASSES = 18 * 64, /* up to 18 KiB, a record's buffer; what is larger is malloc's alone */
	KEPT_MOST = 256 << 10, /* bytes that one thread keeps */
};

struct piece {
	struct piece *next; /* while it is kept */
};

static _Thread_local struct {
	struct piece *first[CLASSES];
	size_t bytes;
} kept;

static size_t class_of(size_t n)
{
	size_t class = n <= LEAST ? 0 : (n - LEAST + STEP - 1) / STEP;
	return class < FINE ? class : (class + COARSE - 1) / COARSE * COARSE;
}

static size_t size_of(size_t class)
{
	return LEAST + class * STEP;
}

static void *take(size_t n)
{
	size_t class = class_of(n);
	if (class >= CLASSES)
		return malloc(n);
	struct piece *p = kept.first[class];
	if (!p)
		return malloc(size_of(class));
	kept.first[class] = p->next;
	kept.bytes -= size_of(class);
	return p;
}

/* Whoever comes from malloc with more room than a class has serves that class. */
static size_t class_served(size_t usable)
{
	size_t class = (usable - LEAST) / STEP;
	return class < FINE ? class : class - class % COARSE;
}

static void give(void *piece)
{
	struct piece *p = piece;
	if (!p)
		return;
	size_t class = class_served(malloc_usable_size(p));
	if (class >= CLASSES || kept.bytes >= KEPT_MOST) {
		free(p);
		return;
	}
	p->next = kept.first[class];
	kept.first[class] = p;
	kept.bytes += size_of(class);
}

static void *take_again(void *piece, size_t n)
{
	size_t had = malloc_usable_size(piece);
	if (n <= had && class_of(n) < CLASSES)
		return piece;
	if (class_of(had) >= CLASSES && class_of(n) >= CLASSES)
		return realloc(piece, n);
	void *new = take(n);
	if (!new)
		return NULL;
	memcpy(new, piece, had < n ? had : n);
	give(piece);
	return new;
}

static void *crypto_malloc(size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return n > 0 ? take(n) : NULL;
}

static void crypto_free(void *piece, const char *file, int line)
{
	(void)file, (void)line;
	give(piece);
}

static void *crypto_realloc(void *piece, size_t n, const char *file, int line)
{
	if (!piece)
		return crypto_malloc(n, file, line);
	if (n > 0)
		return take_again(piece, n);
	give(piece);
	return NULL;
}

void tls_memory_use(void)
{
	CHECK(CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) == 1);
}
