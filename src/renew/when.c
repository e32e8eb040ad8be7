#include "renew/when.h"

enum { WEEK_DAYS = 7 };
#define WEEK (WEEK_DAYS * DAY)

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* A third of its life passes at least, so that no rule renews day after day. */
const char *renewal_misfit(int64_t life, int64_t renew_before)
{
	if (renew_before >= life)
		return "renew-before in the configuration is not shorter than its lifetime, so it "
		       "does not count";
	if (renew_before > life - life / 3)
		return "renew-before in the configuration wants it sooner, but a third of its "
		       "lifetime has to pass first";
	return NULL;
}

static struct renewal_time own_time(int64_t not_before, int64_t not_after, int64_t renew_before)
{
	const int64_t life = not_after - not_before;
	const char *misfit = renewal_misfit(life, renew_before);
	if (misfit)
		return (struct renewal_time){ not_before + life / 3, misfit };
	return (struct renewal_time){ not_after - renew_before,
		"renew-before in the configuration" };
}

/* DESIGN 6: when 21 days or a third of the lifetime is left, whichever is less; half below 10
 * days. Fixed days alone are wrong: lifetimes fall to 64, 45 and 6 days. */
struct renewal_time renewal_time(int64_t not_before, int64_t not_after, int64_t renew_before)
{
	int64_t life = not_after - not_before;
	if (renew_before > 0 && renew_before < life)
		return own_time(not_before, not_after, renew_before);
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
	const int64_t from_expiry = not_after > now ? not_after - now : now - not_after;
	return most(MINUTE, least(wait, from_expiry / 10));
}

/* The CA's window */

int64_t renewal_choose(const struct renewal_window *w, unsigned noise)
{
	return w->start + (w->end - w->start) * (int64_t)noise / 65536;
}

/* A tenth of its life is kept for tries that fail. */
static int64_t latest(const struct renewal_facts *f)
{
	return f->not_after - (f->not_after - f->not_before) / 10;
}

static bool own_rule(const struct renewal_facts *f)
{
	return f->renew_before > 0 && f->renew_before < f->not_after - f->not_before;
}

bool renewal_by_window(const struct renewal_facts *f)
{
	const struct renewal_window *w = &f->window;
	return w->end && w->start <= latest(f) && (w->moved_back || !own_rule(f));
}

/* From when on one more does not use up what the CA allows for the same names. */
static int64_t room_from(const struct renewal_facts *f)
{
	return f->issued_count < ARI_MOST ? 0 : f->issued[ARI_MOST - 1] + WEEK;
}

/* Not anew at once, whatever dates a CA gives. */
static int64_t rested(const struct renewal_facts *f)
{
	const int64_t rest = least(DAY, (f->not_after - f->not_before) / 4);
	return f->issued_count ? f->issued[0] + rest : 0;
}

static struct renewal_time when_revoked(const struct renewal_facts *f, int64_t rule)
{
	const int64_t room = room_from(f);
	if (room <= f->now)
		return (struct renewal_time){ f->now, "the certificate is revoked" };
	return (struct renewal_time){ least(room, most(rule, f->now)),
		"the certificate is revoked, but sooner would use up the CA's limit of 5 "
		"certificates in 7 days for the same names" };
}

struct renewal_time renewal_when(const struct renewal_facts *f)
{
	struct renewal_time rule = renewal_time(f->not_before, f->not_after, f->renew_before);
	rule.at = most(rule.at, rested(f));
	const struct renewal_window *w = &f->window;
	if (f->revoked)
		return when_revoked(f, rule.at);
	if (!w->end)
		return rule;
	if (!renewal_by_window(f))
		return (struct renewal_time){ rule.at,
			own_rule(f) ? rule.why : "the CA suggests a time that is too late" };
	const int64_t at = least(w->chosen, latest(f)), room = room_from(f);
	if (room > at)
		return (struct renewal_time){ least(room, most(rule.at, at)),
			"the CA suggests it sooner, but that would use up its limit of 5 "
			"certificates in 7 days for the same names" };
	return (struct renewal_time){ at,
		w->end <= f->now ? "the CA asks for it now" : "the CA suggests it" };
}

int64_t renewal_ask_after(int64_t retry_after, int64_t life, unsigned noise)
{
	const int64_t longest = least(DAY, most(MINUTE, life / 20));
	const int64_t asked = least(longest, retry_after < 0 ? 6 * HOUR : retry_after);
	return most(MINUTE, least(longest, asked + asked * (int64_t)noise / (10 * 65536)));
}

int64_t renewal_ask_again(unsigned failures, unsigned noise, int64_t retry_after)
{
	static const int64_t waits[] = { MINUTE, 10 * MINUTE, 100 * MINUTE, 6 * HOUR };
	CHECK(failures > 0);
	int64_t wait = waits[failures < 4 ? failures - 1 : 3];
	wait += wait * ((int64_t)noise - 32768) / (5 * 32768);
	return most(wait, least(DAY, retry_after));
}

/* A CA that asks for patience */

static int64_t left_of(int64_t now, int64_t not_after)
{
	return most(0, not_after - now);
}

bool renewal_waits_long(int64_t asked, int64_t now, int64_t not_after)
{
	return asked > (not_after ? left_of(now, not_after) / 3 : HOUR);
}

int64_t renewal_busy_most(int64_t now, int64_t not_after)
{
	return not_after ? most(HOUR, left_of(now, not_after) / 10) : WEEK;
}

/* Several issuers */

bool issuer_turn_failed(struct issuer_turn *t, size_t count, unsigned weight)
{
	t->failures = weight ? t->failures + weight : 0;
	if (t->failures < ISSUER_FAILURES || count < 2)
		return false;
	t->failures = 0;
	t->at = (t->at + 1) % count;
	return t->at > 0;
}

/* The clock */

/* Beyond these somebody is asked; a CA's answer may have been a while under way. */
#define BACK_MOST  DAY
#define AHEAD_MOST (30 * DAY)
#define TOLD_MOST  HOUR

enum wall_judgement wall_judge(const struct wall_facts *f)
{
	const int64_t off = f->now - f->ca_says;
	if (f->told)
		return off > TOLD_MOST || off < -TOLD_MOST ? WALL_WRONG : WALL_BELIEVED;
	if (!f->newest)
		return WALL_BELIEVED;
	if (f->now < f->newest - BACK_MOST)
		return WALL_BEHIND;
	return f->now > f->newest + AHEAD_MOST ? WALL_AHEAD : WALL_BELIEVED;
}
