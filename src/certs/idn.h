/* Within certs/ only: internationalised names (RFC 5891, UTS 46). */
#ifndef CERTS_IDN_H
#define CERTS_IDN_H

#include "base/arena.h"

/* U-labels to A-labels, lower case. On failure *ret_reason is the library's words. */
bool idn_to_ascii(struct arena *a, struct str name, struct str *ret_ascii, const char **ret_reason);

/* A-labels to U-labels, for people. */
bool idn_to_unicode(
        struct arena *a, struct str ascii, struct str *ret_unicode, const char **ret_reason);

#endif
