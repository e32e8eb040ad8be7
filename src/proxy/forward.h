/* What a request becomes on its way to an upstream: our forwarding headers are set, what
 * trusted proxies said is continued. Private to proxy/. */
#ifndef PROXY_FORWARD_H
#define PROXY_FORWARD_H

#include "server/site.h"

/* The request as the upstream gets it; text lives in the exchange's arena. `via` is our pseudonym.
 * False if the request already carries it: a loop. */
MUST_CHECK bool forward_request(
        const struct exchange *ex, struct str via, struct request *ret_request);

#endif
