/* Who did what. */
#include "portal/call.h"

void audit_add(
        struct call *c, const char *what, struct str subject, struct str before, struct str after)
{
	log_info(portal.log, "%.*s: %s, %.*s%s%.*s%s%.*s.", STR_ARG(c->who.name), what,
	        STR_ARG(subject), before.n ? ", before: " : "", STR_ARG(before),
	        after.n ? ", now: " : "", STR_ARG(after));
}
