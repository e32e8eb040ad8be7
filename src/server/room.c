/* Room in a worker that holds as many connections as it may: whom that costs his connection. */
#include "server/client.h"
#include "server/listener.h"

/* How many connections come from one place: an IPv4 address, or a /64 of IPv6. */
struct place {
	uint64_t key; /* 0: empty */
	size_t count;
};
struct places {
	struct place *at;
	size_t size; /* a power of two, at least twice as many as there are connections */
};

static struct client *client_of(struct list *node)
{
	return OWNER(node, struct client, node);
}

static uint64_t key_of(const struct sockaddr_storage *a)
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

static struct place *place_of(const struct places *p, const struct client *c)
{
	uint64_t key = key_of(&c->address);
	size_t i = hash_keyed(str_n((const char *)&key, sizeof key)) & (p->size - 1);
	while (p->at[i].key && p->at[i].key != key)
		i = (i + 1) & (p->size - 1);
	p->at[i].key = key;
	return &p->at[i];
}

static struct places count_places(struct worker *w)
{
	struct places p = { .size = 16 };
	while (p.size < 2 * w->connection_count)
		p.size *= 2;
	p.at = mem_array(sizeof *p.at, p.size);
	LIST_EACH (node, &w->connections)
		place_of(&p, client_of(node))->count++;
	return p;
}

static bool is_idle(const struct client *c)
{
	return !c->session || c->session->ops->idle(c->session);
}

bool listeners_make_room(struct worker *w)
{
	struct client *chosen = NULL, *newest = client_of(w->connections.prev);
	struct places p = count_places(w);
	size_t most = 0;
	LIST_EACH (node, &w->connections) {
		struct client *c = client_of(node);
		if (c == newest || !is_idle(c) || place_of(&p, c)->count <= most)
			continue;
		most = place_of(&p, c)->count;
		chosen = c;
	}
	free(p.at);
	if (chosen)
		client_free(chosen);
	return chosen;
}
