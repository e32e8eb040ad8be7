/* How often in a minute somebody may do something that costs others: at most so many times each.
 * Places of whoever has done nothing for a minute are given up, so there are no more of them than
 * people, and tokens that the machine's owner made. */
#ifndef PORTAL_PACE_H
#define PORTAL_PACE_H

#include "base/map.h"
#include <stdint.h>

enum { PACE_MOST = 10 };

struct pace {
	struct map by;
	unsigned most; /* a minute, at most PACE_MOST */
};
/* now: mono. 0: it counts, and may be done; else the seconds to wait. */
int64_t pace_take(struct pace *p, struct str who, int64_t now);
void pace_clear(struct pace *p);

#endif
