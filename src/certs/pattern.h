/* Names and the patterns that stand for several of them. */
#ifndef CERTS_PATTERN_H
#define CERTS_PATTERN_H

#include "base/str.h"

/* Itself, or "*." for one label in front (RFC 9525 6.3: the wildcard is the whole left-most
 * label). Capitals do not matter. */
bool pattern_covers(struct str pattern, struct str name);
/* The same, and "**." for one label or more in front. */
bool pattern_allows(struct str pattern, struct str name);

/* Whether a stranger's text may be a name that a certificate is issued for: at least two labels of
 * lower-case letters, digits and hyphens, and the last one no number, as an address has it. */
bool name_is_host(struct str name);

#endif
