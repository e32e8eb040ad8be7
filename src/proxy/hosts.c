/* What control says that names stand for. */
#include "proxy/group.h"

#include <fcntl.h>
#include <sys/un.h>

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

static void add_address(struct host *h, struct sockaddr_storage a)
{
	h->at = mem_grow(h->at, sizeof *h->at, h->count + 1);
	h->at[h->count++] = a;
}

/* serve opens no path: it reaches the socket from the directory that it was given. A path of its
 * own would do no more, since connecting is not what the fence around files is about. */
static void add_socket(struct host *h, struct str file)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct sockaddr_storage any = { 0 };
	snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/%.*s", h->fd, STR_ARG(file));
	memcpy(&any, &a, sizeof a);
	add_address(h, any);
}

void proxy_host_told(struct proxy_pools *p, struct str name, struct str addresses, int folder)
{
	struct map_node *node = map_find(&p->hosts, name);
	struct sockaddr_storage a;
	struct str text;
	if (node)
		host_free(p, OWNER(node, struct host, node));
	struct host *h = host_new(p, name);
	if (folder >= 0)
		h->fd = fcntl(folder, F_DUPFD_CLOEXEC, 0);
	if (h->fd >= 0)
		add_socket(h, addresses);
	while (h->fd < 0 && str_split(&addresses, ' ', &text))
		if (address_parse(text, 0, &a))
			add_address(h, a);
	p->hosts_version++;
}
