/* host [":" port], as Host, :authority and absolute targets carry it (RFC 3986 3.2, RFC 9110 7.2).
 *
 * Narrower than the RFC where two readers could differ: a registered name has only letters, digits
 * and -._~ (no percent-encoding, no sub-delims), an IPv6 address no zone, a port no leading zero
 * and not the value 0. User information is refused. */
#ifndef HTTP_AUTHORITY_H
#define HTTP_AUTHORITY_H

#include "base/arena.h"

struct authority {
	struct str text; /* in lower case; without the colon of an empty port */
	struct str host; /* without brackets */
	uint16_t port;   /* 0 if it has none */
};

/* Its host as sites know it: an IPv6 address as RFC 5952 writes it, in the arena then. */
struct str authority_site(const struct authority *authority, struct arena *a);

/* Lower-cases the n bytes at p in place; the result borrows them. */
bool authority_read(char *p, size_t n, struct authority *ret_authority);

#endif
