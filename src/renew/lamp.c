/* The state of a site at a glance. */
#include "renew/renew.h"

static const char *const names[] = {
#define X(name, text) text,
	LAMPS(X)
#undef X
};

const char *lamp_name(enum lamp lamp)
{
	CHECK(lamp < LAMP_COUNT);
	return names[lamp];
}

bool lamp_from_name(struct str name, enum lamp *ret_lamp)
{
	for (enum lamp l = 0; l < LAMP_COUNT; l++)
		if (str_eq_c(name, names[l])) {
			*ret_lamp = l;
			return true;
		}
	return false;
}

/* Never fixed days: a ninth of the lifetime, whatever it is. */
static bool little_is_left(const struct lamp_facts *f)
{
	return (f->not_after - f->now) < (f->not_after - f->not_before) / 9;
}

/* PAGE 4. What visitors see counts more than what is being done about it. */
enum lamp lamp_of(const struct lamp_facts *f)
{
	if (f->replaced)
		return LAMP_OFF;
	if (f->held && (f->not_after <= f->now || (f->revoked && !f->working)))
		return LAMP_PROBLEM;
	if (f->off)
		return LAMP_OFF;
	if (f->held && f->failed && little_is_left(f))
		return LAMP_PROBLEM;
	if (f->working)
		return LAMP_WORKING;
	if (f->failed)
		return f->held ? LAMP_WARNING : LAMP_PROBLEM;
	if (!f->held)
		return LAMP_TEMPORARY;
	if (f->seen && f->differs)
		return LAMP_WARNING;
	return f->seen || !f->should_be_seen ? LAMP_OK : LAMP_UNKNOWN;
}
