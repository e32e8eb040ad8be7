#include "base/map.h"

#include "base/err.h"
#include <sys/random.h>

static uint64_t hash_key[2];

/* Before main: one key for the life of the process, and no check whether there is one. */
__attribute__((constructor)) static void make_key(void)
{
	CHECK(getrandom(hash_key, sizeof hash_key, 0) == (ssize_t)sizeof hash_key);
}

struct sip {
	uint64_t a, b, c, d;
};

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void sip_round(struct sip *s)
{
	s->a += s->b;
	s->c += s->d;
	s->b = rotate(s->b, 13) ^ s->a;
	s->d = rotate(s->d, 16) ^ s->c;
	s->a = rotate(s->a, 32) + s->d;
	s->c += s->b;
	s->d = rotate(s->d, 21) ^ s->a;
	s->b = rotate(s->b, 17) ^ s->c;
	s->c = rotate(s->c, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
	s->d ^= word;
	sip_round(s);
	sip_round(s);
	s->a ^= word;
}

/* SipHash counts its words in little endian, as does every machine this runs on. */
uint64_t siphash(const uint64_t key[2], struct str s)
{
	struct sip sip = {
		.a = key[0] ^ 0x736f6d6570736575U,
		.b = key[1] ^ 0x646f72616e646f6dU,
		.c = key[0] ^ 0x6c7967656e657261U,
		.d = key[1] ^ 0x7465646279746573U,
	};
	uint64_t word;
	size_t at = 0;
	for (; at + 8 <= s.n; at += 8) {
		memcpy(&word, s.p + at, 8);
		sip_word(&sip, word);
	}
	word = 0;
	if (at < s.n)
		memcpy(&word, s.p + at, s.n - at);
	sip_word(&sip, word | (uint64_t)s.n << 56);
	sip.c ^= 0xff;
	for (unsigned i = 0; i < 4; i++)
		sip_round(&sip);
	return sip.a ^ sip.b ^ sip.c ^ sip.d;
}

uint64_t hash_keyed(struct str s)
{
	return siphash(hash_key, s);
}

void map_done(struct map *m)
{
	free(m->buckets);
	*m = (struct map)MAP_INIT;
}

static struct map_node **bucket_of(const struct map *m, uint64_t hash)
{
	return &m->buckets[hash & (m->size - 1)];
}

static struct map_node *find(const struct map *m, struct str key, uint64_t hash)
{
	if (m->count == 0)
		return NULL;
	for (struct map_node *n = *bucket_of(m, hash); n; n = n->next)
		if (n->hash == hash && str_eq(n->key, key))
			return n;
	return NULL;
}

struct map_node *map_find(const struct map *m, struct str key)
{
	return m->count ? find(m, key, hash_keyed(key)) : NULL;
}

static void grow(struct map *m)
{
	struct map bigger = { .count = m->count, .size = m->size ? m->size * 2 : 8 };
	bigger.buckets = mem_array(sizeof *bigger.buckets, bigger.size);
	for (size_t i = 0; i < m->size; i++)
		for (struct map_node *n = m->buckets[i], *next; n; n = next) {
			struct map_node **bucket = bucket_of(&bigger, n->hash);
			next = n->next;
			n->next = *bucket;
			*bucket = n;
		}
	free(m->buckets);
	*m = bigger;
}

void map_add(struct map *m, struct str key, struct map_node *node)
{
	const uint64_t hash = hash_keyed(key);
	CHECK(!find(m, key, hash));
	if (m->count == m->size)
		grow(m);
	struct map_node **bucket = bucket_of(m, hash);
	*node = (struct map_node){ .key = key, .hash = hash, .next = *bucket };
	*bucket = node;
	m->count++;
}

void map_remove(struct map *m, struct map_node *node)
{
	CHECK(m->count);
	struct map_node **link = bucket_of(m, node->hash);
	while (*link && *link != node)
		link = &(*link)->next;
	CHECK(*link);
	*link = node->next;
	node->next = NULL;
	m->count--;
}

static struct map_node *first_from(const struct map *m, size_t bucket)
{
	for (; bucket < m->size; bucket++)
		if (m->buckets[bucket])
			return m->buckets[bucket];
	return NULL;
}

struct map_node *map_first(const struct map *m)
{
	return first_from(m, 0);
}

struct map_node *map_after(const struct map *m, const struct map_node *node)
{
	return node->next ? node->next : first_from(m, (node->hash & (m->size - 1)) + 1);
}
