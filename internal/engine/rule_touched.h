/* Which tables and other objects of the schema a rehearsed write touched, and by how much. Internal to rules.
 */
#ifndef ENGINE_RULE_TOUCHED_H
#define ENGINE_RULE_TOUCHED_H

#include "engine/rehearsal.h"

struct touched {
    struct touched *next;
    struct str name;
    bool indirect;    /* by triggers and foreign keys alone */
    unsigned objects; /* of the schema that were made, changed or removed with it */
};

/* Arena memory of the call. While the effects stand, or after they were taken back. */
MUST_CHECK enum err_code touched_by(struct rehearsal *r, struct touched **ret, struct err *err);

#endif
