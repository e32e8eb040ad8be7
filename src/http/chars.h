/* The byte classes of HTTP (RFC 9110 5.5 and 5.6.2, RFC 9112 3.2), as tables and spans. */
#ifndef HTTP_CHARS_H
#define HTTP_CHARS_H

#include "base/str.h"

/* Of a token's byte: itself in lower case; 0 for every other byte. */
extern const unsigned char http_token_lower[256];
/* 1 for what may stand in a request target: visible ASCII without '#' and '\'. */
extern const unsigned char http_target_byte[256];

bool http_is_token(struct str s);
/* How many bytes from p on are field text: no CTL but HTAB. Looks at n bytes at most. */
size_t http_text_span(const char *p, size_t n);

#endif
