/* What portal is made of, opened and closed. */
#include "portal/call.h"

struct portal_needs portal;
struct portal_host *portal_host;
struct renewals *portal_renewals;

bool portal_open(const struct portal_needs *needs, struct err *err)
{
	(void)err;
	portal = *needs;
	portal_host = needs->host;
	portal_renewals = needs->renewals;
	return true;
}

void portal_close(void)
{
	portal = (struct portal_needs){ 0 };
}
