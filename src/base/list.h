/* Intrusive doubly linked list, and the macro by which a member finds its owner.
 *
 * Callbacks of this program get the member they were registered with (struct timer *, struct watch
 * *, …) and find their object by OWNER: typed, without void *. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#define OWNER(pointer, type, member)                                                               \
	((type *)((char *)(1 ? (pointer) : &((type *)0)->member) - offsetof(type, member)))

struct list {
	struct list *next, *prev; /* a list head points at itself when empty; a node not in a list
	                             has NULL in both */
};

static inline void list_init(struct list *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline bool list_linked(const struct list *node)
{
	return node->next != NULL;
}

/* The node is in no list before. */
static inline void list_add_between(struct list *prev, struct list *next, struct list *node)
{
	node->prev = prev;
	node->next = next;
	prev->next = node;
	next->prev = node;
}

static inline void list_add_first(struct list *head, struct list *node)
{
	list_add_between(head, head->next, node);
}

static inline void list_add_last(struct list *head, struct list *node)
{
	list_add_between(head->prev, head, node);
}

/* Harmless on a node that is in no list. */
static inline void list_remove(struct list *node)
{
	if (!node->next)
		return;
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = node->prev = NULL;
}

static inline struct list *list_first(const struct list *head) /* NULL if empty */
{
	return head->next != head ? head->next : NULL;
}

static inline struct list *list_last(const struct list *head) /* NULL if empty */
{
	return head->prev != head ? head->prev : NULL;
}

/* NULL at the end. */
static inline struct list *list_next(const struct list *head, const struct list *node)
{
	return node->next != head ? node->next : NULL;
}

/* The current node may be removed within the loop. */
#define LIST_EACH(var, head)                                                                       \
	for (struct list *var = (head)->next, *var##_next = var->next; var != (head);              \
	        var = var##_next, var##_next = var->next)

#endif
