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

void list_init(struct list *head);
bool list_empty(const struct list *head);
void list_add_first(struct list *head, struct list *node);
void list_add_last(struct list *head, struct list *node);
void list_remove(struct list *node); /* harmless on a node that is in no list */
bool list_linked(const struct list *node);
struct list *list_first(const struct list *head); /* NULL if empty */
struct list *list_last(const struct list *head);
struct list *list_next(const struct list *head, const struct list *node); /* NULL at the end */

/* The current node may be removed within the loop. */
#define LIST_EACH(var, head)                                                                       \
	for (struct list *var = (head)->next, *var##_next = var->next; var != (head);              \
	     var = var##_next, var##_next = var->next)

#endif
