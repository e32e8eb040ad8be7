/* Internet addresses as values: numeric text in both directions, questions about them, CIDRs.
 * Nothing here resolves a name. An IPv4-mapped IPv6 address counts as the IPv4 address in every
 * question. */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include "base/err.h"
#include "base/str.h"
#include <netinet/in.h>
#include <sys/socket.h>

/* Text of an address: "[" address "%" zone "]:" port and a NUL fit in. */
enum { ADDRESS_TEXT = 80 };

/* Numeric IPv4 or IPv6 without brackets. False if it is neither. */
bool address_parse(struct str host, uint16_t port, struct sockaddr_storage *ret_address);
/* "192.0.2.1", "2001:db8::1"; returns ret_text. */
const char *address_text(const struct sockaddr_storage *a, char ret_text[ADDRESS_TEXT]);
/* "192.0.2.1:80", "[2001:db8::1]:80"; returns ret_text. */
const char *address_text_port(const struct sockaddr_storage *a, char ret_text[ADDRESS_TEXT]);
uint16_t address_port(const struct sockaddr_storage *a);
void address_set_port(struct sockaddr_storage *a, uint16_t port); /* IPv4 and IPv6 */
socklen_t address_size(const struct sockaddr_storage *a);

/* What to keep of one where there are many: a quarter of the room. Of a family other than IPv4 and
 * IPv6 it is the family alone. */
struct address_kept {
	union {
		sa_family_t family;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
};
struct address_kept address_keep(const struct sockaddr_storage *a);
struct sockaddr_storage address_whole(const struct address_kept *k);

bool address_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b);
bool address_is_any(const struct sockaddr_storage *a);      /* 0.0.0.0, :: */
bool address_is_loopback(const struct sockaddr_storage *a); /* 127.0.0.0/8, ::1 */
/* 169.254.0.0/16, however it is written, and fe80::/10 */
bool address_is_link_local(const struct sockaddr_storage *a);
bool address_is_private(const struct sockaddr_storage *a); /* RFC 1918, 6598, 4193 */

/* What to dial to come to who listens at `host` ("0.0.0.0", "::": everywhere) as visitors of the
 * name do. STR_NONE: visitors of that address do not come there. Borrowed from both. */
struct str address_dialled(struct str host, struct str name);

/* Whether the Internet leads there: none of the above, and none that is set aside (documentation,
 * multicast, tunnels, translation; IPv6 outside 2000::/3). */
bool address_is_public(const struct sockaddr_storage *a);

/* "10.0.0.0/8", "2001:db8::/32", or an address alone. Bits behind the prefix are ignored. */
struct cidr {
	unsigned char bytes[16], size, bits;
};
MUST_CHECK bool cidr_parse(struct str text, struct cidr *ret_cidr);
bool cidr_valid(struct str cidr);
bool address_within(const struct sockaddr_storage *a, const struct cidr *c);
bool address_in_cidr(const struct sockaddr_storage *a, struct str cidr);

/* The addresses of this machine's interfaces, asked of the kernel at most once a minute. */
struct local_addresses {
	struct sockaddr_storage *at; /* heap */
	size_t count;
	int64_t asked; /* mono ms, 0: never */
};
void local_addresses_done(struct local_addresses *l);
bool address_is_ours(struct local_addresses *l, const struct sockaddr_storage *a, int64_t mono);

#endif
