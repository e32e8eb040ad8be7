/* The path of a request, strictly normalised, so that rules and whoever answers read the same one.
 *
 * Normal form (RFC 3986 6.2.2, narrowed): unreserved characters stand for themselves, every other
 * encoded byte in upper-case hexadecimal digits, dot segments are gone. Refused with 400: '%' that
 * no two hexadecimal digits follow, encoded control characters, overlong UTF-8, '\', a ".." that
 * leads above the root. The rest of what programs read differently (an encoded '/' or '\', "//",
 * path parameters behind ';', a path that is encoded twice) keeps its form; `ambiguous` says what
 * there is, and target_plain gives each way to read it. Whoever chooses by the path compares all
 * of them: if they lead to different choices, the request is refused. */
#ifndef HTTP_TARGET_H
#define HTTP_TARGET_H

#include "base/err.h"
#include "http/message.h"

enum target_reading {
	TARGET_SLASH = 1,     /* %2F separates segments */
	TARGET_BACKSLASH = 2, /* %5C separates segments */
	TARGET_EMPTY = 4,     /* "//" is "/" */
	TARGET_PARAMS = 8,    /* ";…" is no part of its segment */
	TARGET_TWICE = 16,    /* %25XX is %XX, however often */
	TARGET_DOTS = 32,     /* dot segments that these make are resolved */
	TARGET_ALL = 63,
};

struct target {
	struct str path;    /* in normal form; "*" of OPTIONS * */
	struct str query;   /* as it came, with its '?'; or empty */
	unsigned ambiguous; /* readings that differ from the plain one */
};

/* raw: a request's `path`. The result may borrow from it. */
MUST_CHECK bool target_read(
        struct str raw, struct arena *a, struct target *ret_target, struct refusal *ret_refusal);

/* The path decoded, as those read it who know these readings (0: none). A '/' that is data is the
 * byte TARGET_DATA_SLASH, which no path has otherwise. */
enum { TARGET_DATA_SLASH = 1 };
struct str target_plain(const struct target *t, unsigned reading, struct arena *a);

/* The next set of readings behind `reading` that a path with `ambiguous` can have; 0: no more. */
static inline unsigned target_next_reading(unsigned reading, unsigned ambiguous)
{
	return (reading - ambiguous) & ambiguous;
}

#endif
