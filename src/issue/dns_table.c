#include "issue/dns_table.h"
#include "keys/digest.h"
#include "net/address.h"

enum { READABLE = 50, HASHED = 4 };

/* Readable as far as a label can be, and unlike any other's. */
void dns_table_name(struct str name, struct str zone, struct buf *out)
{
	unsigned char digest[DIGEST_SHA256];
	digest_sha256(name, digest);
	for (size_t i = 0; i < name.n && i < READABLE; i++)
		buf_add_char(out, name.p[i] == '.' ? '-' : name.p[i]);
	buf_add_char(out, '-');
	buf_add_hex(out, str_n(digest, HASHED));
	buf_add_char(out, '.');
	buf_add(out, zone);
}

static bool is_in(struct str name, struct str zone)
{
	return name.n > zone.n && str_ends(name, zone) && name.p[name.n - zone.n - 1] == '.';
}

static void fill(struct dns_table *t, struct fetch_zone *z, size_t most)
{
	struct fetch_value *values = arena_array(&t->arena, struct fetch_value, most);
	LIST_EACH (node, &t->entries) {
		const struct dns_entry *e = OWNER(node, struct dns_entry, node);
		if (is_in(e->name, z->zone))
			values[z->value_count++] = (struct fetch_value){ e->name, e->value };
	}
	z->values = values;
}

static void tell_all(struct dns_table *t, bool sockets_changed)
{
	size_t count = 0;
	LIST_EACH (node, &t->entries)
		count++;
	arena_clear(&t->arena);
	struct fetch_zone *zones = arena_array(&t->arena, struct fetch_zone, t->count);
	for (size_t i = 0; i < t->count; i++) {
		zones[i] = t->at[i];
		fill(t, &zones[i], count);
	}
	t->zones.at = zones;
	t->zones.count = t->count;
	t->zones.number++;
	fetch_zones(t->fetch, &t->zones, sockets_changed);
}

static void tell(struct later *l)
{
	tell_all(OWNER(l, struct dns_table, tell), /* sockets_changed= */ false);
}

/* One at a time from the front: those who are told may add and remove. */
static struct dns_entry *served_one(struct dns_table *t, int64_t number)
{
	LIST_EACH (node, &t->entries) {
		struct dns_entry *e = OWNER(node, struct dns_entry, node);
		if (e->number && e->number <= number)
			return e;
	}
	return NULL;
}

static void served(struct fetch_zones *z, int64_t number)
{
	struct dns_table *t = OWNER(z, struct dns_table, zones);
	for (struct dns_entry *e; (e = served_one(t, number));) {
		e->number = 0;
		e->served(e);
	}
	if (number)
		return;
	LIST_EACH (node, &t->entries) {
		struct dns_entry *e = OWNER(node, struct dns_entry, node);
		if (!e->number)
			e->lapsed(e);
	}
}

void dns_table_init(struct dns_table *t, struct loop *loop, struct fetch *fetch)
{
	*t = (struct dns_table){ .loop = loop, .fetch = fetch, .zones.served = served };
	list_init(&t->entries);
}

void dns_table_done(struct dns_table *t)
{
	later_stop(&t->tell);
	if (t->zones.number)
		fetch_zones(t->fetch, NULL, /* sockets_changed= */ true);
	arena_done(&t->arena);
	arena_done(&t->config_arena);
}

static void add_zone(struct dns_table *t, const struct config_dns *d)
{
	struct arena *a = &t->config_arena;
	BUF_AUTO addresses = BUF(4096);
	if (d->way != CONFIG_DNS_DELEGATED)
		return;
	for (size_t i = 0; i < t->count; i++)
		if (str_eq(t->at[i].zone, d->delegated))
			return;
	for (size_t i = 0; i < d->listen_count; i++) {
		struct sockaddr_storage at;
		if (!address_parse(d->listen[i].host, 53, &at) || address_is_any(&at))
			continue;
		buf_add(&addresses, d->listen[i].host);
		buf_add_char(&addresses, '\n');
	}
	t->at[t->count++] = (struct fetch_zone){ .zone = arena_str(a, d->delegated),
		.server = arena_str(a, d->name_server),
		.addresses = is_in(d->name_server, d->delegated) ? arena_str(a, buf_str(&addresses))
		                                                 : STR_NONE };
}

void dns_table_configure(struct dns_table *t, const struct config *config)
{
	const bool before = t->count > 0;
	arena_clear(&t->config_arena);
	t->at = arena_array(&t->config_arena, struct fetch_zone, config->site_count + 1);
	t->count = 0;
	add_zone(t, &config->dns);
	for (size_t i = 0; i < config->site_count; i++)
		add_zone(t, &config->sites[i].dns);
	if (t->count || before)
		tell_all(t, /* sockets_changed= */ false);
}

void dns_table_listen(struct dns_table *t, const int *sockets, size_t count)
{
	t->zones.sockets = sockets;
	t->zones.socket_count = count;
	tell_all(t, /* sockets_changed= */ true);
}

void dns_table_add(struct dns_table *t, struct dns_entry *e)
{
	e->number = t->zones.number + 1;
	list_add_last(&t->entries, &e->node);
	later_start(&t->tell, t->loop, tell);
}

void dns_table_remove(struct dns_entry *e, struct dns_table *t)
{
	if (!list_linked(&e->node))
		return;
	list_remove(&e->node);
	tell_all(t, /* sockets_changed= */ false); /* now: its texts may be gone afterwards */
}
