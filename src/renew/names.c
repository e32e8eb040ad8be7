/* Registrations by name: there may be tens of thousands, and a list asks for each. */
#include "renew/private.h"

struct named {
	struct map_node node;
	char *name;
	struct list entries; /* struct name_entry */
};

static struct named *named_of(const struct renewals *r, struct str name)
{
	struct map_node *n = map_find(&r->names, name);
	return n ? OWNER(n, struct named, node) : NULL;
}

static struct named *named_new(struct renewals *r, struct str name)
{
	struct named *d = mem_new(struct named);
	d->name = str_dup(name);
	list_init(&d->entries);
	map_add(&r->names, str_c(d->name), &d->node);
	return d;
}

void names_index(struct registration *g)
{
	names_forget(g);
	g->entries = mem_array(sizeof *g->entries, g->name_count);
	g->entry_count = g->name_count;
	for (size_t i = 0; i < g->name_count; i++) {
		struct named *d = named_of(g->renewals, g->names[i]);
		if (!d)
			d = named_new(g->renewals, g->names[i]);
		g->entries[i] = (struct name_entry){ .registration = g, .named = d };
		list_add_last(&d->entries, &g->entries[i].node);
	}
}

void names_forget(struct registration *g)
{
	for (size_t i = 0; i < g->entry_count; i++) {
		struct named *d = g->entries[i].named;
		list_remove(&g->entries[i].node);
		if (!list_empty(&d->entries))
			continue;
		map_remove(&g->renewals->names, &d->node);
		free(d->name);
		free(d);
	}
	free(g->entries);
	g->entries = NULL;
	g->entry_count = 0;
}

static struct name_entry *entry_of(struct list *n)
{
	return n ? OWNER(n, struct name_entry, node) : NULL;
}

struct name_entry *names_first(const struct renewals *r, struct str name)
{
	const struct named *d = named_of(r, name);
	return d ? entry_of(list_first(&d->entries)) : NULL;
}

struct name_entry *names_next(const struct name_entry *e)
{
	return entry_of(list_next(&e->named->entries, &e->node));
}
