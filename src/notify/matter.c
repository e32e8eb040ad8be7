#include "notify/matter.h"

#define FULL_LIFE (90 * DAY)

static const struct matter_words words[] = {
#define X(id, name, level, of_issuer, is, solved)                                                  \
	{ name, CONFIG_LEVEL_##level, of_issuer, is, solved },
	MATTERS(X)
#undef X
};

const struct matter_words *matter_words(enum matter_kind kind)
{
	CHECK(kind < MATTER_COUNT);
	return &words[kind];
}

bool matter_from_name(struct str name, enum matter_kind *ret_kind)
{
	for (unsigned i = 0; i < MATTER_COUNT; i++)
		if (str_eq_c(name, words[i].name)) {
			*ret_kind = (enum matter_kind)i;
			return true;
		}
	return false;
}

enum config_level matter_level(enum matter_kind kind, unsigned told)
{
	const bool late =
	        (kind == MATTER_FAILED && told > 1) || (kind == MATTER_EXPIRING && told > 2);
	return late ? CONFIG_LEVEL_PROBLEM : matter_words(kind)->level;
}

int64_t matter_moment(const struct matter_facts *f, unsigned nth)
{
	static const int64_t before[MATTER_MOMENTS] = { 20 * DAY, 10 * DAY, 5 * DAY, DAY };
	const int64_t life = f->not_after - f->not_before;
	const int64_t left = life < FULL_LIFE ? life / 90 * (before[nth] / DAY) : before[nth];
	return f->not_after - left;
}

/* How many of the moments have been. While the renewal goes well, the first two are none of
 * anybody's business: somebody may have asked to renew that late. */
static unsigned moments(const struct matter_facts *f)
{
	unsigned count = 0;
	while (count < MATTER_MOMENTS && matter_moment(f, count) <= f->now)
		count++;
	return f->planned && count < 3 ? 0 : count;
}

static bool is_current(const struct matter_facts *f)
{
	return f->held && !f->replaced;
}

/* 0: it is not the case; else what `told` becomes when it is told now. */
static unsigned case_of(enum matter_kind kind, const struct matter_facts *f)
{
	switch (kind) {
	case MATTER_FAILED:
		return f->wanted && f->failing;
	case MATTER_EXPIRING:
		return is_current(f) && f->now < f->not_after ? moments(f) : 0;
	case MATTER_EXPIRED:
		return is_current(f) && f->now >= f->not_after;
	case MATTER_REVOKED:
		return is_current(f) && f->revoked;
	case MATTER_RECALLED:
		return is_current(f) && f->wanted && f->recalled && !f->revoked;
	case MATTER_DIFFERS:
		return is_current(f) && f->differs;
	case MATTER_UNREACHABLE:
	case MATTER_LIMITS:
	case MATTER_LOW:
	case MATTER_TERMS:
		return f->failing;
	case MATTER_RENEWED:
	case MATTER_TEST:
	case MATTER_COUNT:
		break;
	}
	return 0;
}

/* After a day once more, then daily once it expires soon. */
static bool is_worse(enum matter_kind kind, const struct matter_facts *f, const struct matter *m,
        unsigned now_is)
{
	if (kind == MATTER_EXPIRING)
		return now_is > m->told;
	if (kind != MATTER_FAILED || f->now < m->told_at + DAY)
		return false;
	return m->told == 1 || (is_current(f) && matter_moment(f, 0) <= f->now);
}

static int64_t later_of(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* The next moment of the clock that counts. */
static int64_t next_of(enum matter_kind kind, const struct matter_facts *f, const struct matter *m)
{
	if (kind == MATTER_EXPIRING && is_current(f))
		for (unsigned i = 0; i < MATTER_MOMENTS; i++)
			if (matter_moment(f, i) > f->now)
				return matter_moment(f, i);
	if (kind == MATTER_EXPIRED && is_current(f) && f->now < f->not_after)
		return f->not_after;
	if (kind == MATTER_LOW && m->open)
		return f->now + HOUR; /* room comes back by itself */
	if (kind != MATTER_FAILED || !m->open)
		return INT64_MAX;
	if (m->told == 1)
		return m->told_at + DAY;
	return is_current(f) ? later_of(m->told_at + DAY, matter_moment(f, 0)) : INT64_MAX;
}

/* It is gone without being solved where nobody wants it any more, or something worse has taken its
 * place. */
static bool is_solved(enum matter_kind kind, const struct matter_facts *f)
{
	if (matter_words(kind)->of_issuer)
		return true;
	if (kind == MATTER_FAILED)
		return f->wanted && f->held;
	return is_current(f) && f->now < f->not_after;
}

static struct matter_verdict judge_renewed(
        const struct matter_facts *f, const struct matter *m, int64_t begun)
{
	struct matter_verdict v = { MATTER_REST, m->told, INT64_MAX };
	if (!f->held || f->since < begun || str_eq(f->certificate, m->certificate))
		return v;
	v.act = MATTER_TELL;
	v.told = 1;
	return v;
}

struct matter_verdict matter_judge(
        enum matter_kind kind, const struct matter_facts *f, const struct matter *m, int64_t begun)
{
	if (kind == MATTER_RENEWED)
		return judge_renewed(f, m, begun);
	const unsigned now_is = case_of(kind, f);
	struct matter after = *m;
	struct matter_verdict v = { .act = MATTER_REST, .told = m->told };
	if (now_is && (!m->open || is_worse(kind, f, m, now_is))) {
		v.act = MATTER_TELL;
		v.told = kind == MATTER_EXPIRING || !m->open ? now_is : m->told + 1;
	} else if (!now_is && m->open) {
		v.act = is_solved(kind, f) ? MATTER_SOLVE : MATTER_CLOSE;
		v.told = 0;
	}
	if (v.act == MATTER_TELL)
		after = (struct matter){ .open = true, .told = v.told, .told_at = f->now };
	else if (v.act != MATTER_REST)
		after = (struct matter){ 0 };
	v.next = next_of(kind, f, &after);
	return v;
}
