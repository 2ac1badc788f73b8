/* Views and triggers that tell of hidden tables. */
#include "engine/catalog_hidden.h"
#include "engine/op.h"
#include "engine/sql_text.h"

void cat_hidden_init(struct cat_hidden *h, struct arena *a)
{
    map_init(&h->names);
    h->arena = a;
}

void cat_hidden_release(struct cat_hidden *h)
{
    map_release(&h->names);
}

static struct str lower_case(struct arena *a, struct str name)
{
    char *copy = arena_alloc(a, name.len + 1);
    for (size_t i = 0; copy && i < name.len; i++)
        copy[i] = (char)(name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] + 32 : name.ptr[i]);
    return copy ? str_make(copy, name.len) : STR_EMPTY;
}

void cat_hidden_note(struct cat_hidden *h, struct str name)
{
    struct str key = lower_case(h->arena, name);
    if (key.len && !op_name_reserved(name))
        (void)map_put(&h->names, key, h); /* a set */
}

static bool tells(struct cat_hidden *h, struct str sql)
{
    struct str word;
    while (h->names.count > 0 && sql_next_word(&sql, &word)) {
        if (map_get(&h->names, lower_case(h->arena, word)))
            return true;
    }
    return false;
}

void cat_hidden_drop(struct cat_hidden *h, struct catalog *cat, struct cat_trigger **triggers)
{
    for (struct cat_table **at = &cat->views; *at;) {
        if (tells(h, (*at)->sql)) {
            *at = (*at)->next;
            cat->view_count--;
        } else {
            at = &(*at)->next;
        }
    }
    while (*triggers) {
        if (tells(h, (*triggers)->sql))
            *triggers = (*triggers)->next;
        else
            triggers = &(*triggers)->next;
    }
}
