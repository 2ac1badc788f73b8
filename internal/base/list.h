/* Intrusive doubly linked list: a `struct list` head, a `struct list` member in each item. Any thread, no
 * locking. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/attr.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_insert_before(struct list *at, struct list *item)
{
    item->prev = at->prev;
    item->next = at;
    at->prev->next = item;
    at->prev = item;
}

static inline void list_push_back(struct list *head, struct list *item)
{
    list_insert_before(head, item);
}

static inline void list_push_front(struct list *head, struct list *item)
{
    list_insert_before(head->next, item);
}

/* Unlinks; the item is then a list of its own, so a second removal is harmless. */
static inline void list_remove(struct list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    list_init(item);
}

#define LIST_ITEM(node, type, member)  CONTAINER_OF(node, type, member)
#define LIST_FIRST(head, type, member) LIST_ITEM((head)->next, type, member)

/* `it` and `nx` are `struct list *`; the current item may be removed inside the loop. */
#define LIST_EACH(it, nx, head)                                                                              \
    for ((it) = (head)->next, (nx) = (it)->next; (it) != (head); (it) = (nx), (nx) = (it)->next)

#endif
