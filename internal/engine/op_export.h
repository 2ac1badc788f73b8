/* What the forms of export share. Internal to op_export*.c. */
#ifndef ENGINE_OP_EXPORT_H
#define ENGINE_OP_EXPORT_H

#include "engine/dump.h"
#include "engine/op.h"
#include "engine/sink.h"

/* Read rows under the caller's rights; `arg` is the struct op. For struct dump. */
enum err_code export_prepare_rows(void *arg, struct str sql, sqlite3_stmt **ret, struct err *err);
int export_step_rows(void *arg, sqlite3_stmt *stmt);

/* The end of an export through a sink; one that is at hand whole is announced with its length. */
MUST_CHECK enum err_code export_end(struct op *op, struct sink *out, struct err *err);

MUST_CHECK enum err_code export_sqlite(struct op *op, const struct catalog *cat, struct err *err);
/* `t` is a table or a view. */
MUST_CHECK enum err_code export_csv(struct op *op, const struct cat_table *t, struct err *err);
MUST_CHECK enum err_code export_ndjson(struct op *op, const struct cat_table *t, struct err *err);

#endif
