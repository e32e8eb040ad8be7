#include "base/heap.h"

#include "base/err.h"

static bool before(const struct heap_node *a, const struct heap_node *b)
{
	return a->order != b->order ? a->order < b->order : a->arrival < b->arrival;
}

static void put(struct heap *h, size_t index, struct heap_node *node)
{
	h->at[index - 1] = node;
	node->index = index;
}

static void sift_up(struct heap *h, struct heap_node *node)
{
	size_t i = node->index;
	for (; i > 1 && before(node, h->at[i / 2 - 1]); i /= 2)
		put(h, i, h->at[i / 2 - 1]);
	put(h, i, node);
}

static void sift_down(struct heap *h, struct heap_node *node)
{
	size_t i = node->index;
	for (size_t child = i * 2; child <= h->count; child = i * 2) {
		if (child < h->count && before(h->at[child], h->at[child - 1]))
			child++;
		if (!before(h->at[child - 1], node))
			break;
		put(h, i, h->at[child - 1]);
		i = child;
	}
	put(h, i, node);
}

void heap_done(struct heap *h)
{
	for (size_t i = 0; i < h->count; i++)
		h->at[i]->index = 0;
	free(h->at);
	*h = (struct heap)HEAP_INIT;
}

void heap_add(struct heap *h, struct heap_node *node, int64_t order)
{
	CHECK(node->index == 0);
	if (h->count == h->cap) {
		h->cap = h->cap ? h->cap * 2 : 16;
		h->at = mem_grow(h->at, sizeof *h->at, h->cap);
	}
	*node = (struct heap_node){ .order = order, .arrival = h->arrivals++ };
	put(h, ++h->count, node);
	sift_up(h, node);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
	if (node->index == 0)
		return;
	CHECK(node->index <= h->count && h->at[node->index - 1] == node);
	struct heap_node *last = h->at[--h->count];
	if (last != node) {
		put(h, node->index, last);
		sift_up(h, last);
		sift_down(h, last);
	}
	node->index = 0;
}
