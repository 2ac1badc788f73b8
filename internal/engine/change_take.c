/* Rows that were changed as a change set says, without the hook being told of each. */
#define SQLITE_ENABLE_PREUPDATE_HOOK 1 /* declares it */
#include "base/limits.h"
#include "base/mem.h"
#include "engine/catalog.h"
#include "engine/change_table.h"
#include "engine/destruction.h"
#include "engine/engine_state.h"
#include <math.h>

/* Of that very name, in a database whose texts are not written in another way than they are given. */
static bool is_ordinary(struct recorder *r, struct str name)
{
    static const char SQL[] =
        "SELECT 1 FROM pragma_table_list(?1) t, pragma_encoding e WHERE t.schema = 'main'"
        " AND t.name = ?1 AND t.type = 'table' AND e.encoding = 'UTF-8'";
    AUTO_SQL *stmt = NULL;
    struct guard_saved saved = guard_enter_own(&r->eng->guard);
    bool is = sqlite3_prepare_v2(r->db, SQL, -1, &stmt, NULL) == SQLITE_OK &&
              sqlite3_bind_text64(stmt, 1, name.ptr, name.len, SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK &&
              sqlite3_step(stmt) == SQLITE_ROW;
    guard_leave(&r->eng->guard, saved);
    return is;
}

static bool same_columns(const struct recorder_table *t, const struct change_table_view *v)
{
    size_t first = shows_rowid(t);
    bool same = v->column_count == t->column_count + first &&
                (v->columns[0].flags & CHANGE_COLUMN_ROWID) == (first ? CHANGE_COLUMN_ROWID : 0u);
    for (size_t i = 0; same && i < t->column_count; i++) {
        const struct change_column *c = &v->columns[first + i];
        same = str_eq(c->name, t->columns[i].name) && !(c->flags & CHANGE_COLUMN_KEY) == !t->columns[i].key;
    }
    return same;
}

bool recorder_may_take(struct recorder *r, const struct change_table_view *v)
{
    bool listens = r->db && r->mode == RECORDER_ROWS && !r->failure && !r->given_up;
    if (!listens || r->entry_count + v->row_count > (size_t)LIMIT_CHANGE_ROWS || !is_ordinary(r, v->name))
        return false;
    struct recorder_table *t = recorder_table_of(r, v->name);
    return t && !t->ignored && !t->bare && !t->inner_of.len && !t->without_rowid && !t->noted &&
           same_columns(t, v);
}

bool recorder_takes_cell(enum cat_affinity affinity, const struct change_cell *cell)
{
    if (cell->kind == CHANGE_NULL || cell->kind == CHANGE_BLOB || affinity == CAT_BLOB)
        return true;
    if (affinity == CAT_TEXT)
        return cell->kind == CHANGE_TEXT;
    if (cell->kind != CHANGE_REAL)
        return cell->kind == CHANGE_INT && affinity != CAT_REAL;
    bool zero_below = cell->real == 0 && signbit(cell->real);
    return affinity == CAT_REAL ? !zero_below : floor(cell->real) != cell->real;
}

void recorder_look_away(struct recorder *r)
{
    (void)sqlite3_preupdate_hook(r->db, NULL, NULL); /* returns the argument of the hook before */
    r->changes_away = sqlite3_total_changes64(r->db);
}

void recorder_take(
    struct recorder *r, const struct change_table_view *v, const struct taken_row *rows, size_t count)
{
    struct recorder_table *t = recorder_table_of(r, v->name);
    if (!t)
        return; /* it was there: the memory failed, which is noted */
    if (r->entry_cap < r->entry_count + count) {
        r->entry_cap = r->entry_count + count;
        r->entries = mem_grow(r->entries, r->entry_cap, sizeof r->entries[0]);
    }
    size_t at = r->cells.len;
    int64_t highest = rows[0].rowid;
    strbuf_add_str(&r->cells, v->rows);
    for (size_t i = 0; i < count; i++) {
        struct recorder_entry *e = &r->entries[r->entry_count++];
        *e = (struct recorder_entry){.table = t,
            .rowid = rows[i].rowid,
            .at = (uint32_t)(at + (size_t)(rows[i].cells.ptr - v->rows.ptr)),
            .len = (uint32_t)rows[i].cells.len,
            .was = true,
            .is = true};
        highest = rows[i].rowid > highest ? rows[i].rowid : highest;
    }
    if (strbuf_failed(&r->cells))
        recorder_fail(r, RECORDER_TOO_LARGE, t->shown);
    t->highest_noted = highest;
    t->noted = true;
    destruction_count(r->eng, SQLITE_UPDATE, t->name.ptr, (int64_t)count);
}
