/* Masks laid over a schema: which column gets which, and whether what comes out would still be a database.
 * A column that refers to a masked key follows it, as far as references go. Masks that do not fit are told
 * and never passed over, for that would let values through. Engine's thread. */
#ifndef ENGINE_MASK_PLAN_H
#define ENGINE_MASK_PLAN_H

#include "engine/catalog.h"
#include "engine/mask.h"

struct mask_rule {
    struct mask_rule *next;
    struct str table, column; /* as the schema spells them, once planned */
    struct mask mask;
    int index; /* in the list of masks; -1: it follows another column */
    /* How the key compares that the value is one of: */
    unsigned fold;
    enum cat_affinity affinity;
    struct str from_table, from_column; /* the key that it follows; ptr NULL none */
};

struct mask_plan {
    struct mask_rule *rules; /* those of people first */
};

/* `wishes` are numbered from 0 and become the plan's. ERR_INVALID names "/masks/<index>…". ERR_TOO_LARGE: the
 * arena is used up. */
MUST_CHECK enum err_code mask_plan_make(struct arena *a, const struct catalog *cat, struct mask_rule *wishes,
    struct mask_plan *ret, struct err *err);
/* NULL: the column goes as it is. */
const struct mask_rule *mask_plan_find(const struct mask_plan *p, struct str table, struct str column);
/* Search tables with text of their own hold copies of what is masked elsewhere: each of their columns must
 * have a mask, keep for one. ERR_CONFLICT names one that has none. */
MUST_CHECK enum err_code mask_plan_check_search(
    struct arena *a, const struct catalog *cat, const struct mask_plan *p, struct err *err);

#endif
