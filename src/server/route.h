/* Who answers a request: the order of things that a listener does with it. */
#ifndef SERVER_ROUTE_H
#define SERVER_ROUTE_H

#include "server/exchange.h"

/* A new exchange whose request is complete but for its body: finds its site, answers it or starts
 * the site's handler. */
void exchange_route(struct exchange *ex);

#endif
