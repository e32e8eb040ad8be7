/* Room in a worker that holds as many connections as it may, from one place or in all: whom that
 * costs his connection. */
#include "server/client.h"
#include "server/listener.h"

uint64_t place_of(const struct sockaddr_storage *a)
{
	static const uint64_t v4 = 0xFFFFFFFFull << 32; /* of ff00::/8, from where nobody calls */
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)a;
	uint64_t key = 0;
	uint32_t last = 0;
	if (a->ss_family == AF_INET)
		return v4 | ((const struct sockaddr_in *)a)->sin_addr.s_addr;
	if (a->ss_family != AF_INET6)
		return 1;
	memcpy(&key, &in6->sin6_addr.s6_addr[0], sizeof key);
	memcpy(&last, &in6->sin6_addr.s6_addr[12], sizeof last);
	return IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) ? v4 | last : key ? key : 1;
}

static struct client_place *get_place(struct worker *w, uint64_t key)
{
	struct map_node *node = map_find(&w->places, str_n((const char *)&key, sizeof key));
	if (node)
		return OWNER(node, struct client_place, node);
	struct client_place *p = mem_new(struct client_place);
	p->key = key;
	list_init(&p->clients);
	map_add(&w->places, str_n((const char *)&p->key, sizeof p->key), &p->node);
	return p;
}

static bool is_idle(const struct client *c)
{
	return !c->session || c->session->ops->idle(c->session);
}

static struct client *in_place(struct list *node)
{
	return OWNER(node, struct client, in_place);
}

static bool make_room_in(struct client_place *p)
{
	LIST_EACH (node, &p->clients) {
		if (!is_idle(in_place(node)))
			continue;
		client_free(in_place(node));
		return true;
	}
	return false;
}

/* This machine, and who speaks for many. */
static bool is_counted(const struct client *c)
{
	const struct generation *g = c->worker->generation;
	const struct sockaddr_storage address = address_whole(&c->address);
	return g && g->limits.connections_per_address > 0 && address.ss_family != AF_UNSPEC &&
	       !address_is_loopback(&address) && !generation_trusts(g, &address);
}

bool place_enter(struct client *c)
{
	struct worker *w = c->worker;
	const struct sockaddr_storage address = address_whole(&c->address);
	struct client_place *p = get_place(w, place_of(&address));
	c->place = p;
	list_add_last(&p->clients, &c->in_place);
	p->count++;
	if (!is_counted(c) || p->count <= w->generation->limits.connections_per_address)
		return true;
	list_remove(&c->in_place); /* it is not the one that goes */
	bool room = make_room_in(p);
	list_add_last(&p->clients, &c->in_place);
	return room;
}

void place_leave(struct client *c)
{
	struct client_place *p = c->place;
	c->place = NULL;
	if (!p)
		return;
	list_remove(&c->in_place);
	if (--p->count > 0)
		return;
	map_remove(&c->worker->places, &p->node);
	free(p);
}

static struct client *client_of(struct list *node)
{
	return OWNER(node, struct client, node);
}

/* The oldest of the place that has most of them, the newest one aside. */
static struct client *one_of_most(struct worker *w, bool only_idle)
{
	struct client *chosen = NULL, *newest = client_of(w->connections.prev);
	size_t most = 0;
	LIST_EACH (node, &w->connections) {
		struct client *c = client_of(node);
		size_t count = c->place ? c->place->count : 1;
		if (c == newest || (only_idle && !is_idle(c)) || count <= most)
			continue;
		most = count;
		chosen = c;
	}
	return chosen;
}

bool listeners_make_room(struct worker *w)
{
	struct client *c = one_of_most(w, /* only_idle= */ true);
	if (!c) /* requests without end, which must not keep others out */
		c = one_of_most(w, /* only_idle= */ false);
	if (c)
		client_free(c);
	return c;
}
