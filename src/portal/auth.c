/* Who asks, and whether that is enough. */
#include "portal/call.h"
#include "server/site.h"

static bool is_owner(const struct call *c)
{
	return c->ex->site && c->ex->site->kind == SITE_API;
}

bool call_identify(
        struct call *c, const struct route *route, struct call_failure *f, struct err *err)
{
	if (is_owner(c)) {
		c->who = (struct who){ .scope = SCOPE_OWNER, .name = STR("the owner") };
		return true;
	}
	if (route->scope == SCOPE_NONE)
		return true;
	*f = (struct call_failure){ .status = 401, .code = "unauthenticated" };
	return err_set(err, ERR_PERMISSION, "Sign in first.");
}
