/* Who asks: the connection's other end, or whom a trusted proxy speaks for. */
#ifndef SERVER_VISITOR_H
#define SERVER_VISITOR_H

#include "base/err.h"
#include "server/exchange.h"

/* A new exchange whose client is its peer. If the peer is a trusted proxy, the client becomes the
 * nearest address of X-Forwarded-For or Forwarded that is not trusted, or, if all are, the
 * furthest. It stays the peer if on the way there something stands that is no address.
 *
 * The exchange's `proto` becomes what the trusted proxy furthest from us says that it was asked by:
 * X-Forwarded-Proto, or where there is none, the element of Forwarded that is the visitor's.
 *
 * What a stranger says of such things is removed from the request (forwarded_drop()): rules and
 * handlers behind this hear of proxies only what trusted ones say.
 *
 * False: nobody can tell what a proxy has said and what a stranger, who would be taken for the
 * proxy. */
MUST_CHECK bool visitor_find(struct exchange *ex);

#endif
