/* libcrypto and libssl ask for some 700 pieces in one handshake and give nearly all of them back at
 * its end. A thread keeps what is given back on lists of its own by size, and needs none of the
 * checks of an allocator that serves everybody. A piece stays with the thread that gives it back.
 * Beyond a ceiling, and for larger pieces, it is malloc as ever. */
#include "tls/tls.h"
#include <openssl/crypto.h>

enum {
	STEP = 32,
	CLASSES = 64,        /* up to 2 KiB */
	LARGE = CLASSES,     /* the class of what is larger */
	KEPT_MOST = 1 << 20, /* bytes that one thread keeps */
};

/* Stands before each piece, and keeps its alignment. */
union head {
	struct {
		union head *next; /* while it is kept */
		size_t class;
	} is;
	max_align_t align;
};

static _Thread_local struct {
	union head *first[CLASSES];
	size_t bytes;
} kept;

static size_t size_of(size_t class)
{
	return (class + 1) * STEP;
}

static void *new_piece(size_t class, size_t n)
{
	if (n > SIZE_MAX - sizeof(union head))
		return NULL;
	union head *h = malloc(sizeof *h + n);
	if (!h)
		return NULL;
	h->is.class = class;
	return h + 1;
}

static void *take(size_t n)
{
	size_t class = n > 0 ? (n - 1) / STEP : 0;
	if (class >= CLASSES)
		return new_piece(LARGE, n);
	union head *h = kept.first[class];
	if (!h)
		return new_piece(class, size_of(class));
	kept.first[class] = h->is.next;
	kept.bytes -= size_of(class);
	return h + 1;
}

static void give(void *piece)
{
	if (!piece)
		return;
	union head *h = (union head *)piece - 1;
	size_t class = h->is.class;
	if (class == LARGE || kept.bytes >= KEPT_MOST) {
		free(h);
		return;
	}
	h->is.next = kept.first[class];
	kept.first[class] = h;
	kept.bytes += size_of(class);
}

static void *take_again(void *piece, size_t n)
{
	union head *h = (union head *)piece - 1;
	size_t class = h->is.class, had = class == LARGE ? SIZE_MAX : size_of(class);
	if (class != LARGE && n <= had)
		return piece;
	if (class == LARGE && n > size_of(CLASSES - 1)) {
		h = n <= SIZE_MAX - sizeof *h ? realloc(h, sizeof *h + n) : NULL;
		return h ? h + 1 : NULL;
	}
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
