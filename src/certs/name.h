/* DNS names as people type them, made into what goes into an order, or refused with a sentence
 * that offers the right one. Uses libidn2 and libpsl (files of their own). */
#ifndef CERTS_NAME_H
#define CERTS_NAME_H

#include "base/arena.h"
#include "base/err.h"

struct name {
	struct str ascii;   /* lower case, A-labels, no final dot */
	struct str unicode; /* the same shown to people; equal to ascii if it is no IDN */
};

/* Repairs in silence: spaces around, capitals, a final dot. Converts an IDN. Refuses, each with its
 * own sentence: a URL or a name with port or path (the bare name is offered), '_', spaces, empty or
 * long labels, an IP address, a wildcard (needs DNS-01), a public suffix, a name of one label only
 * if `public_only`. */
MUST_CHECK bool name_read(struct arena *a, struct str typed, bool public_only, struct name *ret_name,
                          struct err *err);

/* Whether no public CA issues for it: localhost, .test, .internal, .local, .example?, one label. */
bool name_is_private(struct str ascii);

/* The registered domain by the public suffix list ("example.co.uk"), or STR_NONE. Borrowed. */
struct str name_registered_domain(struct str ascii);

/* A mailbox good enough for a CA's contact (one '@', something on both sides, no spaces). */
MUST_CHECK bool email_read(struct str typed, struct str *ret_email, struct err *err);

#endif
