/* Text that grows, with a mandatory ceiling.
 *
 * A buf owns its bytes and never holds more than its ceiling: what would pass it is not appended,
 * nor is anything after it, and the buf is `over` until it is cleared, so that a sequence of
 * appends is checked once, at its end. The bytes are always followed by a NUL that does not count.
 * Out of memory aborts. What is appended may not point into the buf itself.
 *
 * Disadvantage: buf_consume moves the rest to the front; whoever consumes in tiny steps from a
 * large buf keeps an offset of his own instead. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"
#include "base/str.h"
#include <stdarg.h>

struct buf {
	char *p;
	size_t n, cap, ceiling; /* cap counts the NUL */
	bool over;
	bool secret; /* wiped whenever it moves or dies */
};

#define BUF_INIT(max)        { .ceiling = (max) }
#define BUF(max)             ((struct buf)BUF_INIT(max))
#define BUF_SECRET_INIT(max) { .ceiling = (max), .secret = true }
#define BUF_SECRET(max)      ((struct buf)BUF_SECRET_INIT(max))

void buf_done(struct buf *b);  /* frees; usable again with the same ceiling */
void buf_clear(struct buf *b); /* empty, not over; keeps its memory */
#define BUF_AUTO __attribute__((cleanup(buf_done))) struct buf

static inline bool buf_ok(const struct buf *b)
{
	return !b->over;
}

/* "" if nothing was ever appended. */
static inline const char *buf_c(const struct buf *b)
{
	return b->p ? b->p : "";
}

static inline struct str buf_str(const struct buf *b)
{
	return (struct str){ buf_c(b), b->n };
}

char *buf_make_room(struct buf *b, size_t n); /* buf_room's slow way */

/* Room for n more bytes to be written at the returned place, or NULL past the ceiling (then the
 * buf is over); buf_grew says how many were. Any b->cap - b->n - 1 bytes may be written there. */
static inline char *buf_room(struct buf *b, size_t n)
{
	if (n < b->cap - b->n && !b->over)
		return b->p + b->n;
	return buf_make_room(b, n);
}

static inline void buf_grew(struct buf *b, size_t n)
{
	if (n == 0)
		return;
	CHECK(n < b->cap - b->n);
	b->n += n;
	b->p[b->n] = '\0';
}

static inline void buf_add(struct buf *b, struct str s)
{
	char *to = buf_room(b, s.n);
	if (!to || s.n == 0)
		return;
	memcpy(to, s.p, s.n);
	b->n += s.n;
	b->p[b->n] = '\0';
}

static inline void buf_add_c(struct buf *b, const char *s)
{
	buf_add(b, str_c(s));
}

static inline void buf_add_char(struct buf *b, char c)
{
	buf_add(b, (struct str){ &c, 1 });
}

static inline void buf_add_buf(struct buf *b, const struct buf *other)
{
	buf_add(b, buf_str(other));
}

__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *b, const char *format, ...);
__attribute__((format(printf, 2, 0))) void buf_vprintf(struct buf *b, const char *format, va_list);
void buf_add_u64(struct buf *b, uint64_t value);           /* in decimal */
void buf_add_hex(struct buf *b, struct str bytes);         /* lower case */
void buf_add_base64(struct buf *b, struct str bytes);      /* RFC 4648 4, padded */
void buf_add_base64url(struct buf *b, struct str bytes);   /* RFC 4648 5, no padding */
bool buf_decode_base64(struct buf *b, struct str text);    /* strict; appends nothing on failure */
bool buf_decode_base64url(struct buf *b, struct str text); /* strict; appends nothing on failure */

void buf_consume(struct buf *b, size_t n); /* drops the first n bytes, at most all */

/* Wipes before freeing: for bytes that were secret while they were text. A buf that held a secret
 * while it grew is a BUF_SECRET, or its old places keep it. */
void buf_wipe(struct buf *b);

#endif
