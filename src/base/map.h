/* Intrusive hash map by text, with a keyed hash (SipHash-2-4, a random key per process), so that
 * keys may come from strangers. The map owns no entry: it links nodes that live in their objects.
 * The key's bytes must live as long as the node is in the map. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/list.h"
#include "base/str.h"

struct map_node {
	struct str key;
	uint64_t hash;
	struct map_node *next;
};

struct map {
	struct map_node **buckets;
	size_t count, size; /* size is 0 or a power of two */
};

#define MAP_INIT { 0 }
void map_done(struct map *m); /* frees the buckets, never the entries */

/* The entry with that key, or NULL. */
struct map_node *map_find(const struct map *m, struct str key);
/* The key must not be in the map (CHECKed). */
void map_add(struct map *m, struct str key, struct map_node *node);
void map_remove(struct map *m, struct map_node *node); /* must be in the map (CHECKed) */

/* Any order; the current node may be removed (and freed) within the loop, nothing may be added. */
struct map_node *map_first(const struct map *m);
struct map_node *map_after(const struct map *m, const struct map_node *node);
#define MAP_EACH(var, m)                                                                           \
	for (struct map_node *var = map_first(m), *var##_next = var ? map_after(m, var) : NULL;    \
	        var; var = var##_next, var##_next = var ? map_after(m, var) : NULL)

uint64_t hash_keyed(struct str s); /* the same hash, for tables of other shapes */
uint64_t siphash(const uint64_t key[2], struct str s); /* SipHash-2-4 under a key of your own */

#endif
