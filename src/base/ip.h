/* IP addresses as text: the one place that knows whether a name is one (RFC 8738). */
#ifndef BASE_IP_H
#define BASE_IP_H

#include "base/str.h"

enum { IP_TEXT = 46, IP_BYTES = 16 };

/* The bytes of an address without brackets and zone (4 or 16, in network order), into what has room
 * for IP_BYTES; 0: it is none. */
size_t ip_read(struct str text, unsigned char *ret_bytes);
bool ip_is(struct str text);
/* Whether both are the same address, however written. */
bool ip_same(struct str a, struct str b);
/* As RFC 5952 writes it; returns ret_text. n: 4 or 16. */
const char *ip_text(const unsigned char *bytes, size_t n, char ret_text[IP_TEXT]);

/* This machine or one near it, to whom no public CA comes: loopback, RFC 1918, 3927, 4193, 4291,
 * 6598. n: 4 or 16. */
bool ip_is_near(const unsigned char *bytes, size_t n);

#endif
