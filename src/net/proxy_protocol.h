/* The PROXY protocol, versions 1 and 2: what a balancer says before a connection's first byte about
 * the client behind it. Whoever reads it must know that the peer is such a balancer: everybody else
 * would write whom he likes.
 *
 * Strict: what the specification lets nobody write is refused. Version 2's further fields (TLV) are
 * skipped. */
#ifndef NET_PROXY_PROTOCOL_H
#define NET_PROXY_PROTOCOL_H

#include "net/address.h"
#include "net/conn.h"

/* Bytes of the longest preface that is read, and of the longest that is written. */
enum { PROXY_PROTOCOL_MOST = 4096, PROXY_PROTOCOL_WRITTEN = 108 };

enum proxy_protocol { PROXY_PROTOCOL_MORE, PROXY_PROTOCOL_DONE, PROXY_PROTOCOL_BAD };
struct proxy_preface {
	size_t size; /* in bytes */
	bool told; /* the addresses are; false: the balancer's own connection, or of unknown kind */
	struct sockaddr_storage from, to;
};
/* in: what came so far, from the connection's first byte. MORE only while it can still become one,
 * and never beyond PROXY_PROTOCOL_MOST. */
enum proxy_protocol proxy_protocol_read(struct str in, struct proxy_preface *ret_preface);

/* Addresses of two families are written as IPv6. NULL for `from`: the connection is our own.
 * Returns the bytes, within ret_text. */
struct str proxy_protocol_v1(const struct sockaddr_storage *from, const struct sockaddr_storage *to,
        char ret_text[PROXY_PROTOCOL_WRITTEN]);
struct str proxy_protocol_v2(const struct sockaddr_storage *from, const struct sockaddr_storage *to,
        char ret_text[PROXY_PROTOCOL_WRITTEN]);
/* preface.c: takes the connection; the preface, at most PROXY_PROTOCOL_WRITTEN bytes, goes before
 * the first byte that is written. */
struct conn *conn_prefaced(struct conn *below, struct str preface);

#endif
