/* Trailers: fields behind the content (RFC 9110 6.5). Nothing that says where a message goes, how
 * it is framed, who sent it or what it is may come so late: such fields are dropped, as RFC 9110
 * 6.5.1 has it, since some readers take trailers for headers. */
#ifndef HTTP_TRAILERS_H
#define HTTP_TRAILERS_H

#include "http/message.h"

bool trailer_may_pass(struct str name); /* in lower case */

#endif
