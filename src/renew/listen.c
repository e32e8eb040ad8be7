/* Addresses that Everseal itself listens on, and those that a registration may have of its own. */
#include "net/address.h"
#include "renew/private.h"

enum { BOUND_MOST = 256 };

static size_t stored_addresses(const struct renewals *r, struct address *ret)
{
	size_t count = 0;
	MAP_EACH (n, &r->registrations) {
		const struct registration *g = OWNER(n, struct registration, node);
		if (!g->in_store || !g->listen.host.n)
			continue;
		if (ret)
			ret[count] = g->listen;
		count++;
	}
	return count;
}

struct kept_listeners renew_listeners(struct renewals *r, struct arena *a)
{
	const struct config *c = r->config;
	struct serving *s = r->needs.serving;
	size_t most = c->http_count + c->https_count + 1 + stored_addresses(r, NULL) + BOUND_MOST;
	struct address *at = arena_array(a, struct address, most);
	size_t count = 0;
	for (size_t i = 0; i < c->http_count; i++)
		at[count++] = c->http[i];
	for (size_t i = 0; i < c->https_count; i++)
		at[count++] = c->https[i];
	if (c->page_listen.host.n)
		at[count++] = c->page_listen;
	count += stored_addresses(r, at + count);
	count += s->ops->listeners(s, at + count, BOUND_MOST);
	return (struct kept_listeners){ at, count };
}

bool listen_is_page(const struct renewals *r, const struct address *a)
{
	const struct address *page = &r->config->page_listen;
	struct sockaddr_storage x, y;
	if (!page->host.n || page->port != a->port || !address_parse(page->host, 0, &x) ||
	        !address_parse(a->host, 0, &y))
		return false;
	if (address_same_host(&x, &y))
		return true;
	return x.ss_family == y.ss_family && (address_is_any(&x) || address_is_any(&y));
}
