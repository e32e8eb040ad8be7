#include "renew/renew.h"

/* DESIGN 6: when 21 days or a third of the lifetime is left, whichever is less; half below 10
 * days. Fixed days alone are wrong: lifetimes fall to 64, 45 and 6 days. */
struct renewal_time renewal_time(int64_t not_before, int64_t not_after, int64_t renew_before)
{
	int64_t life = not_after - not_before;
	if (renew_before > 0 && renew_before < life)
		return (struct renewal_time){ not_after - renew_before,
			"renew-before in the configuration" };
	if (life < 10 * DAY)
		return (struct renewal_time){ not_after - life / 2,
			"half of its lifetime is left" };
	if (life / 3 < 21 * DAY)
		return (struct renewal_time){ not_after - life / 3,
			"a third of its lifetime is left" };
	return (struct renewal_time){ not_after - 21 * DAY, "21 days are left" };
}

/* DESIGN 6: 1 min, 10 min, 100 min, then daily, give or take a fifth; but of the life that remains
 * a tenth at most, so that a short one still gets its tries, and a minute at least. */
int64_t renewal_backoff(unsigned failures, unsigned noise, int64_t now, int64_t not_after)
{
	static const int64_t waits[] = { MINUTE, 10 * MINUTE, 100 * MINUTE, DAY };
	CHECK(failures > 0);
	int64_t wait = waits[failures < 4 ? failures - 1 : 3];
	wait += wait * ((int64_t)noise - 32768) / (5 * 32768);
	int64_t left = not_after - now;
	if (left > 0 && wait > left / 10)
		wait = left / 10;
	return wait < MINUTE ? MINUTE : wait;
}
