/* The schema as a value: its digest, and what a change of it adds, changes and removes. The server's own
 * objects and SQLite's are left out. Engine's thread. */
#ifndef ENGINE_SCHEMA_STATE_H
#define ENGINE_SCHEMA_STATE_H

#include "crypto/digest.h"
#include "engine/op.h"

/* Of the schema as the running transaction sees it. */
MUST_CHECK enum err_code schema_digest(struct op *op, struct digest *ret, struct err *err);
/* It may have changed. */
void schema_digest_forget(struct engine *eng);

struct schema_object {
    struct schema_object *next; /* in the order of type and name */
    struct str type, name, table, sql;
    bool passed;
};

/* Everything that is there now; arena memory. */
MUST_CHECK enum err_code schema_objects(struct op *op, struct schema_object **ret, struct err *err);

/* The object of `list` with this type and name; NULL: it has none. */
const struct schema_object *schema_find_named(
    const struct schema_object *list, const struct schema_object *like);
/* The object of `list` with this type, name and definition; NULL: it has none. */
const struct schema_object *schema_find_same(
    const struct schema_object *list, const struct schema_object *like);

/* The difference as a JSON array of {"change":"added"|"changed"|"removed","type","name","table","sql"|null,
 * "before"|null,"rows"|null}: rows is how many a removed table holds. Call it where `before` is the schema,
 * or with `rows` NULL. Objects are the arena's of the call. */
struct schema_rows {
    struct schema_rows *next;
    struct str table;
    int64_t rows;
};
void schema_diff_write(struct op *op, const struct schema_object *before, const struct schema_object *after,
    const struct schema_rows *rows, struct jsonw *w);
/* Tables that are in `before` alone. */
MUST_CHECK enum err_code schema_count_removed(struct op *op, const struct schema_object *before,
    const struct schema_object *after, struct schema_rows **ret, struct err *err);
/* Tables that are in `after` alone. */
const struct schema_object *schema_next_added(
    const struct schema_object *before, const struct schema_object *after, const struct schema_object *last);
MUST_CHECK enum err_code schema_count_rows(struct op *op, struct str table, int64_t *ret, struct err *err);

#endif
