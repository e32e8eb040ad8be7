/* How often passwords may be tried: by address and by account, with waits that grow, and that can
 * lock nobody out for ever.
 *
 *   address   from the 5th failure on 1 s, 2 s, 4 s … up to 15 minutes. (IPv6: of a /64.)
 *   known     instead of the address's, for a person at an address that he has signed in from:
 *             his own failures there, from the 5th on 1 s … up to 30 s, whoever else fails there.
 *   account   only for addresses that this person never signed in from: from the 10th failure on
 *             1 s … up to 30 s, whoever failed. So a crowd of addresses gets two tries a minute,
 *             while the person's own addresses do not even notice.
 *   code      wrong codes after the right password: from the 3rd on 1 s … up to 15 minutes.
 *   visitor   passwords of sites, by address: from the 10th failure on 1 s … up to 5 minutes.
 *
 * A quarter of an hour without a failure beyond the wait forgets them all. A try is charged before
 * it is made and given back when it was right, so that many at once gain nothing. Each table has
 * 4,096 places; the one used longest ago goes. `everseal admin password` forgets all. */
#ifndef PORTAL_THROTTLE_H
#define PORTAL_THROTTLE_H

#include "base/str.h"

enum throttle_kind {
	THROTTLE_ADDRESS,
	THROTTLE_KNOWN,
	THROTTLE_ACCOUNT,
	THROTTLE_CODE,
	THROTTLE_VISITOR,
	THROTTLE_KINDS
};
enum { THROTTLE_PLACES = 4096 };

/* Milliseconds to wait before a try, 0: now. `now` is mono. */
int64_t throttle_wait(enum throttle_kind kind, struct str key, int64_t now);
void throttle_charge(enum throttle_kind kind, struct str key, int64_t now);
void throttle_give_back(enum throttle_kind kind, struct str key);
void throttle_forget(enum throttle_kind kind, struct str key);
size_t throttle_count(enum throttle_kind kind); /* places in use */
void throttle_clear(void);

#endif
