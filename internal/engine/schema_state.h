/* The schema as a value: its digest, and what a change of it adds, changes and removes. The server's own
 * objects and SQLite's are left out. Engine's thread. */
#ifndef ENGINE_SCHEMA_STATE_H
#define ENGINE_SCHEMA_STATE_H

#include "crypto/digest.h"
#include "engine/op.h"

/* Of the schema as the running transaction sees it. */
MUST_CHECK enum err_code schema_digest(struct op *op, struct digest *ret, struct err *err);
/* Is it still the one whose digest was asked for last? */
bool schema_is_as_known(struct op *op);
/* It may have changed. */
void schema_digest_forget(struct engine *eng);

struct schema_object {
    struct schema_object *next; /* in the order of type and name */
    struct str type, name, table, sql;
    struct str
        renamed;   /* a table: what it was called before, or is called after; ptr NULL: it was not renamed */
    bool replaced; /* a table: another one took its name, with rows of its own, or it lost values */
    bool passed;
    /* Of what was there before, by the deeds since. remade: what has its type and name now is another one, or
     * its text is the same although it lost a column. */
    struct str now;
    bool gone, loses, remade;
};

/* What statements of the call did that comparing the schema before and after does not tell: a name can be
 * given away and taken again. */
enum schema_deed_kind { SCHEMA_DROPS, SCHEMA_RENAMES, SCHEMA_DROPS_COLUMN };
struct schema_deed {
    struct schema_deed *next;
    enum schema_deed_kind kind;
    struct str type, name, to; /* to: SCHEMA_RENAMES */
};
bool schema_deed_read(struct arena *a, struct str sql, struct schema_deed *ret);
/* A statement was run: adds to op->deeds. */
void schema_deed_note(struct op *op, struct str sql);
/* The name that the table which had this one before the call has now; ptr NULL: the same, or it is gone. */
struct str schema_went(struct op *op, struct str table);
/* By op->deeds marks what became of `before`, and the tables of `after` that are tables of `before` under
 * another name. ERR_INVALID: rows of one were changed before. */
struct recorder;
MUST_CHECK enum err_code schema_mark_deeds(struct op *op, struct schema_object *before,
    struct schema_object *after, const struct recorder *r, struct err *err);

/* Everything that is there now, the inner tables of full-text tables aside; arena memory. */
MUST_CHECK enum err_code schema_objects(struct op *op, struct schema_object **ret, struct err *err);

bool schema_is_virtual(const struct schema_object *o);

/* The object of `list` with this type and name; NULL: it has none. */
const struct schema_object *schema_find_named(
    const struct schema_object *list, const struct schema_object *like);
/* The object of `list` with this type, name and definition; NULL: it has none. */
const struct schema_object *schema_find_same(
    const struct schema_object *list, const struct schema_object *like);

/* The difference as a JSON array of {"change":"added"|"changed"|"removed","type","name","table","sql"|null,
 * "before"|null,"rows"|null,"renamedFrom"?,"renamedTo"?,"replaced"?,
 * "remade"?}: rows is how many a table holds that is
 * removed or replaced; what is replaced by the same text is "changed", and
 * "remade" when it is no table.
 * Call it where `before` is the schema, or with `rows` NULL. Objects are the arena's of the call. */
struct schema_rows {
    struct schema_rows *next;
    struct str table;
    int64_t rows;
};
void schema_diff_write(struct op *op, const struct schema_object *before, const struct schema_object *after,
    const struct schema_rows *rows, struct jsonw *w);
/* Tables that are in `before` alone, or remade. */
MUST_CHECK enum err_code schema_count_removed(struct op *op, const struct schema_object *before,
    const struct schema_object *after, struct schema_rows **ret, struct err *err);
MUST_CHECK enum err_code schema_count_rows(struct op *op, struct str table, int64_t *ret, struct err *err);

#endif
