/* The two forms of describe share what was read. Internal to op_describe*.c. */
#ifndef ENGINE_OP_DESCRIBE_H
#define ENGINE_OP_DESCRIBE_H

#include "engine/op.h"
#include "engine/rowcount.h"

struct describe {
    struct catalog cat;
    struct rowcount *rows; /* one for each table, in the catalog's order */
    struct str database_description;
};

/* Text for a prompt: one line a table, names and types as dense as they stay readable. */
void describe_compact(const struct describe *d, bool scoped, struct strbuf *out);

#endif
