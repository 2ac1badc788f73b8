/* Several change sets as one: what they do when they are applied one after the other, row by row. A row that
 * was inserted, changed and deleted is not in the result; changes that follow one another become one, from
 * before the first to after the last. Pure: no SQLite, no I/O. One thread.
 *
 *     change_composer_init(&c, on_gap, arg);
 *     … change_composer_add(&c, set, &err) for each set, in the order in which they are to be applied …
 *     change_composer_finish(&c, &out, &err);
 *
 * A row that the next set does not find as those before it left it was changed in between by somebody else:
 * a gap, which is told and counted; the result then means nothing. Rows are known as change_apply.h finds
 * them: by their key, without one or with NULL in it by their row id. */
#ifndef ENGINE_CHANGE_COMPOSE_H
#define ENGINE_CHANGE_COMPOSE_H

#include "base/arena.h"
#include "base/map.h"
#include "engine/change_set.h"

/* How a row of `t` is known, as bytes: the same for the same row, whichever half of a change tells it.
 * `other` is asked for cells that `cells` leaves out; ptr NULL: there are none. `out` is reset. */
void change_row_key(
    const struct change_table_view *t, struct str cells, struct str other, struct strbuf *out);

typedef void change_gap_fn(void *arg, const struct change_table_view *t, const struct change_row *row);

struct composed_table;
struct composed_row;

struct change_composer {
    change_gap_fn *fn;
    void *arg;
    uint64_t gaps, rows;
    struct arena arena;
    struct strbuf key, cells;
    struct map tables;
    struct composed_table *first;
    size_t table_count;
};

void change_composer_init(struct change_composer *c, change_gap_fn *fn, void *arg);
void change_composer_release(struct change_composer *c);

/* `set` lives until the composer is released. ERR_CONFLICT: a table has other columns in it than before,
 * ERR_TOO_LARGE, ERR_INTERNAL: it is damaged. */
MUST_CHECK enum err_code change_composer_add(struct change_composer *c, struct str set, struct err *err);

/* ERR_TOO_LARGE: more than one change set may hold. */
MUST_CHECK enum err_code change_composer_finish(
    struct change_composer *c, struct strbuf *out, struct err *err);

#endif
