/* What was decided about a conflict, for merge_*.c. */
#ifndef ENGINE_MERGE_INTERNAL_H
#define ENGINE_MERGE_INTERNAL_H

#include "engine/merge_choice.h"

enum merge_fate {
    FATE_DROPPED, /* the branch's change */
    FATE_FORCED,  /* the parent's row becomes what the branch has */
    FATE_MOVED,   /* the new row gets the next row id */
};

struct merge_decision {
    enum merge_fate fate;
    struct str now; /* cells of the parent's row; ptr NULL: there is none */
};

#endif
