/* What a table scope hides of a schema beside the tables themselves: a view or trigger whose text has the
 * name of a hidden table or view goes with it, for the view could not be read and the trigger not be fired
 * anyway. (A column or alias of that name hides it too.) What a table declares of itself, foreign keys and
 * FTS5's content, stays. Internal to catalog.c. */
#ifndef ENGINE_CATALOG_HIDDEN_H
#define ENGINE_CATALOG_HIDDEN_H

#include "base/map.h"
#include "engine/catalog.h"

struct cat_hidden {
    struct map names; /* in lower case: a set */
    struct arena *arena;
};

void cat_hidden_init(struct cat_hidden *h, struct arena *a);
void cat_hidden_release(struct cat_hidden *h);
void cat_hidden_note(struct cat_hidden *h, struct str name); /* reserved names are passed over */
void cat_hidden_drop(struct cat_hidden *h, struct catalog *cat, struct cat_trigger **triggers);

#endif
