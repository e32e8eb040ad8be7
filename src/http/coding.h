/* Content codings (RFC 9110 8.4.1): what a request takes, and gzip as a stream. */
#ifndef HTTP_CODING_H
#define HTTP_CODING_H

#include "base/buf.h"
#include "http/message.h"

/* Whether the request takes this coding (RFC 9110 12.5.3). */
bool http_accepts(const struct headers *h, struct str coding);
/* Whether content of this media type is text enough to become shorter. */
bool http_type_compresses(struct str type);

/* Content on its way into gzip. Lives in the arena with all that it needs, about 130 KiB, and is
 * not freed alone. Level and window are a compromise between that, time and size. */
struct gzip;
struct gzip *gzip_new(struct arena *a);
/* What comes out is appended. FLUSH: all of what went in so far can be read by the far end. After
 * END nothing may follow. */
enum gzip_want { GZIP_GO_ON, GZIP_FLUSH, GZIP_END };
void gzip_add(struct gzip *g, struct str piece, enum gzip_want want, struct buf *out);

#endif
