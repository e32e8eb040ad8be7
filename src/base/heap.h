/* Intrusive binary heap, least first: timers and due times. Ties leave in order of arrival. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include "base/list.h"
#include <stdint.h>

struct heap_node {
	int64_t order;
	uint64_t arrival;
	size_t index; /* 1-based place in the heap; 0 = in no heap */
};

struct heap {
	struct heap_node **at;
	size_t count, cap;
	uint64_t arrivals;
};

#define HEAP_INIT { 0 }
void heap_done(struct heap *h); /* frees its own memory; nodes still in it are in no heap then */
void heap_add(struct heap *h, struct heap_node *node, int64_t order); /* in no heap before */
void heap_remove(struct heap *h, struct heap_node *node);             /* harmless when in no heap */

/* NULL if empty; stays in. */
static inline struct heap_node *heap_least(const struct heap *h)
{
	return h->count ? h->at[0] : NULL;
}

#endif
