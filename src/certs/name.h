/* Names as people type them, made into what goes into an order, or refused with a sentence
 * that offers the right one. Uses libidn2 and libpsl (files of their own). */
#ifndef CERTS_NAME_H
#define CERTS_NAME_H

#include "base/arena.h"
#include "base/err.h"

enum { NAME_NETWORK = 50 }; /* the text of a network, and a NUL */

struct name {
	struct str ascii;   /* lower case, A-labels, no final dot; an address as RFC 5952 has it */
	struct str unicode; /* the same shown to people; equal to ascii if it is no IDN */
};

/* A DNS name, or an IP address (base/ip.h tells which). Repairs in silence: spaces around,
 * capitals, a final dot, the brackets of an IPv6 address. Converts an IDN. Refuses, each with its
 * own sentence: a URL or a name with port or path (the bare name is offered), '_', spaces, empty or
 * long labels, a wildcard (needs DNS-01), a public suffix, an address with a zone, in the notation
 * that embeds an IPv4 address, or of no single machine. A name of one label is refused only if
 * `public_only`. */
MUST_CHECK bool name_read(struct arena *a, struct str typed, bool public_only,
        struct name *ret_name, struct err *err);

/* The same, but no address. */
MUST_CHECK bool name_read_dns(struct arena *a, struct str typed, bool public_only,
        struct name *ret_name, struct err *err);

/* As name_read, and "*." in front of a DNS name, for where DNS can prove it. */
MUST_CHECK bool name_read_wildcard(struct arena *a, struct str typed, bool public_only,
        struct name *ret_name, struct err *err);

/* The bare name in what was pasted as a web address or with a port or path, as shown to people;
 * false if there is none that name_read takes. */
bool name_offered(struct arena *a, struct str typed, struct str *ret_name);

/* Whether no public CA issues for it: one label, or a name under .localhost, .test, .internal,
 * .local, .example, .invalid, .onion, .home.arpa, .lan, .corp, .home; an address of this machine or
 * a network near it. */
bool name_is_private(struct str ascii);

/* Whether it is a public suffix by ICANN's part of the list ("com", "co.uk"). */
bool name_is_public_suffix(struct str ascii);

/* The registered domain by the public suffix list ("example.co.uk"), or STR_NONE. Borrowed. */
struct str name_registered_domain(struct str ascii);
/* What CAs count a certificate for: the registered domain, an IPv4 address, the /64 of an IPv6
 * address ("2001:db8::/64"), else the name itself. Borrowed from the name or from room. */
struct str name_counted_for(struct str ascii, char room[NAME_NETWORK]);

/* A mailbox good enough for a CA's contact and a message's headers (one '@', something on both
 * sides, ASCII, no spaces, nothing that would end a mailto). Borrowed from what was typed. */
MUST_CHECK bool email_read(struct str typed, struct str *ret_email, struct err *err);

#endif
