/* A part of a change set: the rows of some tables, and some rows of others. As a request names them:
 *
 *     "tables": ["orders"], "rows": [{"table": "lines", "key": {"id": 7}}]
 *
 * A row is in it when its table is named or it is; without either everything is. Keys are written as a change
 * set shows them (change_view_key). One thread. */
#ifndef ENGINE_CHANGE_CUT_H
#define ENGINE_CHANGE_CUT_H

#include "base/arena.h"
#include "base/map.h"
#include "engine/change_set.h"

struct jsonr_value;
struct cut_item;

struct change_cut {
    struct arena *arena;
    struct cut_item *items; /* tables, and tables with the rows that are named of them */
    bool whole;             /* neither is given */
    struct strbuf key;
};

/* `root` is the body of a request. ERR_INVALID names the member at fault. Names and keys are `root`'s. */
MUST_CHECK enum err_code change_cut_read(
    struct change_cut *c, struct arena *arena, const struct jsonr_value *root, struct err *err);
void change_cut_release(struct change_cut *c);

/* ERR_INVALID: the key of a row that is named does not fit the columns of its table. */
MUST_CHECK enum err_code change_cut_has(struct change_cut *c, const struct change_table_view *t,
    const struct change_row *row, bool *ret, struct err *err);

/* ERR_INVALID: a table or row that is named was not met by any call of change_cut_has. */
MUST_CHECK enum err_code change_cut_check_met(const struct change_cut *c, struct err *err);

/* The rows of a set for which `fn` says so. */
typedef enum err_code change_pick_fn(
    void *arg, const struct change_table_view *t, const struct change_row *row, bool *ret, struct err *err);
MUST_CHECK enum err_code change_set_pick(
    struct str set, change_pick_fn *fn, void *arg, struct strbuf *out, struct err *err);

#endif
