/* Whom proxies spoke for: the addresses in X-Forwarded-For, or, where there is none, in Forwarded
 * (RFC 7239), from the nearest hop to the furthest.
 *
 * Each proxy adds one at the end, so only as many as are trusted, and the one behind them, mean
 * anything; what a stranger wrote stands further away and is not even read. A hop is a numeric
 * address with or without a port; IPv6 with a port, and in Forwarded always, in brackets.
 *
 * And which fields say such things at all. */
#ifndef HTTP_FORWARDED_H
#define HTTP_FORWARDED_H

#include "http/message.h"
#include "net/address.h"

enum { FORWARDED_HOPS_MOST = 32 }; /* in one field of Forwarded, and on the whole way */

/* UNKNOWN: hidden, or no address. BAD: the field is against the grammar, and what a stranger began
 * may have taken in what a proxy added to it. */
enum hop { HOP_ADDRESS, HOP_UNKNOWN, HOP_BAD, HOP_NONE };

struct hops {
	const struct headers *headers;
	struct str name;
	size_t field;    /* of headers: those before it are unread */
	struct str list; /* X-Forwarded-For: what is unread of the field */
	struct forwarded_element {
		struct str for_, proto;
	} elements[FORWARDED_HOPS_MOST];
	struct str
	        proto; /* what the last hop of Forwarded says that it was asked by, p NULL: none */
	size_t element_count, hop_count;
	bool in_field;
};
void hops_init(struct hops *h, const struct headers *headers);
/* Of Forwarded, whatever else there is. */
void hops_init_forwarded(struct hops *h, const struct headers *headers);
/* The next one; nothing is known of those behind an UNKNOWN or BAD one. */
enum hop hops_next(struct hops *h, struct sockaddr_storage *ret_address);

/* Whether such a field, in lower case, says by what way or for whom a request came. Applications
 * take it from the proxy before them for the truth. */
bool forwarded_is_whence(struct str name);
/* Removes all of them that nobody trusted has said: those of a stranger, and with `_` for '-' a
 * proxy's too, who let them pass by. Via stays. */
void forwarded_drop(struct headers *headers, bool trusted);

#endif
