/* files/ inside: a path → a name (name.c), a name → an open file (files.c), its headers → what is
 * answered (condition.c, range.c), and the sending of it (send.c). */
#ifndef FILES_PARTS_H
#define FILES_PARTS_H

#include "files/files.h"
#include "http/coding.h"
#include "server/rules.h"

/* What of it is looked up beneath the root; "" is the root itself, a '/' at its end a directory.
 * False: no file has that name for visitors. */
MUST_CHECK bool file_name(const struct exchange *ex, struct str *ret_name);

struct str file_type(struct str name); /* a media type */

/* Of an open file. */
struct file {
	int fd;
	uint64_t size;
	int64_t modified;          /* wall ms, whole seconds */
	struct str etag, date;     /* date: as in Last-Modified */
	struct str type, encoding; /* encoding: empty: none */
	bool varies;               /* by Accept-Encoding */
};

/* RFC 9110 13.2.2, in its order. */
enum verdict { VERDICT_SEND, VERDICT_RANGE, VERDICT_NOT_MODIFIED, VERDICT_FAILED };
/* RANGE: the request may have a part of it, if it asks for one. `now`: wall ms. */
enum verdict file_condition(const struct request *r, const struct file *f, int64_t now);

enum { RANGES_MOST = 16 };
struct range {
	uint64_t start, length;
};
/* What a Range header asks for, by RFC 9110 14.2: NONE: all of it, since there is no range, or one
 * that is malformed, of another unit, too many or overlapping. */
enum ranges { RANGES_NONE, RANGES_SOME, RANGES_UNSATISFIABLE };
enum ranges range_read(
        struct str header, uint64_t size, struct range ret_ranges[RANGES_MOST], size_t *ret_count);

/* One thing after the other: text, then bytes of the file. */
struct portion {
	struct str text;
	struct range range;
};
struct portions {
	struct portion *at;
	size_t count;
};
/* Sends the portions after the head was given, and ends the exchange. Takes fd. */
void file_send(struct exchange *ex, int fd, const struct portions *portions);

#endif
