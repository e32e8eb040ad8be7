/* Who asks: the connection's other end, or whom a trusted proxy speaks for. */
#ifndef SERVER_VISITOR_H
#define SERVER_VISITOR_H

#include "server/exchange.h"

/* A new exchange whose client is its peer. If the peer is a trusted proxy, the client becomes the
 * nearest address of X-Forwarded-For or Forwarded that is not trusted, or, if all are, the
 * furthest. It stays the peer if on the way there something stands that is no address. */
void visitor_find(struct exchange *ex);

#endif
