/* What portal is made of, opened and closed. */
#include "portal/sites.h"

struct portal_needs portal;
struct portal_host *portal_host;
struct renewals *portal_renewals;

bool portal_open(const struct portal_needs *needs, struct err *err)
{
	(void)err;
	portal = *needs;
	portal_host = needs->host;
	portal_renewals = needs->renewals;
	sites_open();
	return true;
}

void portal_close(void)
{
	if (!portal.loop)
		return;
	sites_close();
	portal = (struct portal_needs){ 0 };
}
