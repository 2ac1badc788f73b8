/* The schema that a copy began with, kept in `_sys_meta` of the copy: a key for each object, so that none has
 * to fit beside the others, and one that says that they are there. It tells what a branch changed since.
 * Engine's thread. */
#ifndef ENGINE_START_SCHEMA_H
#define ENGINE_START_SCHEMA_H

#include "engine/op.h"

#define START_SCHEMA_CLEAR_SQL "DELETE FROM _sys_meta WHERE key >= 'start:' AND key < 'start;'"
#define START_SCHEMA_PUT_SQL                                                                                 \
    "INSERT INTO _sys_meta(key, value) SELECT 'start:', 1"                                                   \
    " UNION ALL SELECT 'start:' || type || ':' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL"        \
    " AND name NOT LIKE 'sqlite~_%' ESCAPE '~' AND name NOT LIKE '~_sys~_%' ESCAPE '~'"
/* The schema of now is what it began with. To be run in the copy itself. */
#define START_SCHEMA_KEEP_SQL START_SCHEMA_CLEAR_SQL "; " START_SCHEMA_PUT_SQL

/* The same, within an operation that writes. */
MUST_CHECK enum err_code start_schema_move(struct op *op, struct err *err);
/* What tells the schema of now from every other. Arena memory. */
MUST_CHECK enum err_code start_schema_name(struct op *op, struct str *ret, struct err *err);
/* {"tables":[{"name","sql"}],"indexes","triggers","views"}; null: nobody kept it. */
MUST_CHECK enum err_code start_schema_write(struct op *op, struct err *err);

#endif
