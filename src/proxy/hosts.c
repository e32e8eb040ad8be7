/* What control says that names stand for. */
#include "proxy/group.h"

const struct host *host_find(const struct proxy_pools *p, struct str name)
{
	struct map_node *node = map_find(&p->hosts, name);
	return node ? OWNER(node, const struct host, node) : NULL;
}

static void host_free(struct proxy_pools *p, struct host *h)
{
	map_remove(&p->hosts, &h->node);
	if (h->fd >= 0)
		(void)close(h->fd);
	free(h->at);
	free(h);
}

void hosts_done(struct proxy_pools *p)
{
	MAP_EACH (node, &p->hosts)
		host_free(p, OWNER(node, struct host, node));
	map_done(&p->hosts);
}

static struct host *host_new(struct proxy_pools *p, struct str name)
{
	struct host *h = mem_alloc(sizeof *h + name.n);
	memcpy(h->name, name.p, name.n);
	h->fd = -1;
	map_add(&p->hosts, str_n(h->name, name.n), &h->node);
	return h;
}

static void add_address(struct host *h, struct str text)
{
	struct sockaddr_storage a;
	if (!address_parse(text, 0, &a))
		return;
	h->at = mem_grow(h->at, sizeof *h->at, h->count + 1);
	h->at[h->count++] = a;
}

void proxy_host_told(struct proxy_pools *p, struct str name, struct str addresses)
{
	struct map_node *node = map_find(&p->hosts, name);
	struct str text;
	if (node)
		host_free(p, OWNER(node, struct host, node));
	struct host *h = host_new(p, name);
	while (str_split(&addresses, ' ', &text))
		add_address(h, text);
	p->hosts_version++;
}
