/* Text that grows, with a mandatory ceiling.
 *
 * A buf owns its bytes and never holds more than its ceiling: what would pass it is not appended
 * and the buf is `over` from then on, so that a sequence of appends is checked once, at its end.
 * The bytes are always followed by a NUL that does not count. Out of memory aborts.
 *
 * Disadvantage: buf_consume moves the rest to the front; whoever consumes in tiny steps from a
 * large buf keeps an offset of his own instead. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/str.h"
#include <stdarg.h>

struct buf {
	char *p;
	size_t n, cap, ceiling;
	bool over;
};

#define BUF_INIT(max) { .ceiling = (max) }
#define BUF(max) ((struct buf)BUF_INIT(max))

void buf_done(struct buf *b);  /* frees; usable again with the same ceiling */
void buf_clear(struct buf *b); /* empty, not over; keeps its memory */
#define BUF_AUTO __attribute__((cleanup(buf_done))) struct buf

bool buf_ok(const struct buf *b);
struct str buf_str(const struct buf *b);
const char *buf_c(const struct buf *b); /* "" if nothing was ever appended */

void buf_add(struct buf *b, struct str s);
void buf_add_c(struct buf *b, const char *s);
void buf_add_char(struct buf *b, char c);
void buf_add_buf(struct buf *b, const struct buf *other);
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *b, const char *format, ...);
__attribute__((format(printf, 2, 0))) void buf_vprintf(struct buf *b, const char *format, va_list);
void buf_add_hex(struct buf *b, struct str bytes);       /* lower case */
void buf_add_base64(struct buf *b, struct str bytes);    /* RFC 4648 4, padded */
void buf_add_base64url(struct buf *b, struct str bytes); /* RFC 4648 5, no padding */
bool buf_decode_base64(struct buf *b, struct str text);    /* strict; appends nothing on failure */
bool buf_decode_base64url(struct buf *b, struct str text); /* strict; appends nothing on failure */

/* Room for n more bytes to be written at the returned place, or NULL past the ceiling;
 * buf_grew says how many were. */
char *buf_room(struct buf *b, size_t n);
void buf_grew(struct buf *b, size_t n);
void buf_consume(struct buf *b, size_t n); /* drops the first n bytes */

/* Wipes before freeing: for bytes that were secret while they were text. */
void buf_wipe(struct buf *b);

#endif
