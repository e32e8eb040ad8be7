/* The tables of routes, and the way from a request to its row. */
#include "portal/diagnosis.h"

const struct route *const route_tables[] = { state_routes, site_routes, certificate_routes,
	import_routes, task_routes, letsencrypt_routes, issuer_routes, binding_routes,
	overview_routes, diagnosis_routes, session_routes, account_routes, people_routes,
	token_routes, audit_routes, event_routes, document_routes, metrics_routes, backup_routes,
	notify_routes, target_routes, NULL };

/* Whether path has the shape of pattern; the segment at '*' must not be empty. */
static bool path_fits(const char *pattern, struct str path, struct str *ret_item)
{
	struct str wanted = str_c(pattern), want, have;
	if (str_ends(path, STR("/")))
		return false;
	while (str_split(&wanted, '/', &want)) {
		if (!str_split(&path, '/', &have))
			return false;
		if (str_eq_c(want, "*") && have.n)
			*ret_item = have;
		else if (!str_eq(want, have))
			return false;
	}
	return !path.n;
}

static bool takes(const struct route *r, struct str method)
{
	return str_eq_c(method, r->method) ||
	       (str_eq_c(method, "HEAD") && !strcmp(r->method, "GET"));
}

/* A word of its own goes before a '*': /api/x/limits before /api/x/(any). */
static bool is_better(const struct route *r, const struct route *found)
{
	return !found || (strchr(found->path, '*') && !strchr(r->path, '*'));
}

static void look_in(const struct route *table, struct str method, struct str path,
        const struct route **found, struct str *ret_item, bool *ret_other)
{
	for (const struct route *r = table; r->method; r++) {
		struct str item = STR_NONE;
		if (!path_fits(r->path, path, &item))
			continue;
		if (!takes(r, method)) {
			*ret_other = true;
		} else if (is_better(r, *found)) {
			*found = r;
			*ret_item = item;
		}
	}
}

const struct route *route_find(
        struct str method, struct str path, struct str *ret_item, bool *ret_other)
{
	const struct route *found = NULL;
	*ret_other = false;
	for (size_t i = 0; route_tables[i]; i++)
		look_in(route_tables[i], method, path, &found, ret_item, ret_other);
	*ret_other = *ret_other && !found;
	return found;
}
