/* Change sets laid over rows that are read: what a row is after all of them. A branch that was merged is
 * compared with what it began with and what was merged since; the sets' bytes stay as they came. Engine's
 * thread. */
#ifndef ENGINE_CHANGE_OVERLAY_H
#define ENGINE_CHANGE_OVERLAY_H

#include "base/arena.h"
#include "base/map.h"
#include "engine/change_set.h"

struct overlay_row;

/* The changes of one table, in the order of the sets. */
struct change_overlay {
    struct arena arena;
    struct map rows; /* key of the row → struct overlay_row */
    struct overlay_row *first, **end;
    bool moved; /* columns have other names by now, so what a set says of them may be of others */
};

void change_overlay_init(struct change_overlay *o);
void change_overlay_release(struct change_overlay *o);

/* Adds what a set says of table `t`, whose columns are matched by name. ERR_INTERNAL: it is damaged. */
MUST_CHECK enum err_code change_overlay_add(
    struct change_overlay *o, const struct change_table_view *t, int alias, struct str set, struct err *err);

/* `cells`: the row as it is below, ptr NULL: it is not there. `defaults`: a cell for each column, for what
 * no set tells. Writes the row to `out` and returns true, or false: it is not there. A row that no set
 * tells of stays as it is. */
bool change_overlay_row(struct change_overlay *o, const struct change_table_view *t, struct str key,
    struct str cells, const struct str *defaults, struct strbuf *out);

/* The rows that were not asked for yet, one after the other: those that no row below has. */
bool change_overlay_left(struct change_overlay *o, const struct change_table_view *t,
    const struct str *defaults, struct strbuf *out, struct str *ret_key);

/* Whether columns may have got other names: some went and some came, or they stand in another order. Each is
 * told by its flag or name; names alone do not tell a column that was renamed from one that is new. */
bool change_columns_moved(const struct change_table_view *was, const struct change_table_view *is);

/* How a row is known: by its row id where it has one, else by the cells of its key. */
void change_overlay_key(
    struct strbuf *out, const struct change_table_view *t, int64_t rowid, struct str cells);

#endif
