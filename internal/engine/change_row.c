/* A row of a recording, as it was before the first change and as it is after the last. It is kept in the
 * bytes that the change set wants, so that a row that was touched once is never read again, and what stayed
 * costs one byte however large it is: the row that SQLite shows before the next change still has it. */
#define SQLITE_ENABLE_PREUPDATE_HOOK 1 /* declares its functions */
#include "base/check.h"
#include "engine/change_table.h"

/* --- Cells --- */

static struct change_cell cell_of(sqlite3_value *v)
{
    struct change_cell cell = {.kind = CHANGE_NULL, .bytes = STR_EMPTY};
    int type = sqlite3_value_type(v);
    if (type == SQLITE_INTEGER) {
        cell.kind = CHANGE_INT;
        cell.integer = sqlite3_value_int64(v);
    } else if (type == SQLITE_FLOAT) {
        cell.kind = CHANGE_REAL;
        cell.real = sqlite3_value_double(v);
    } else if (type != SQLITE_NULL) {
        /* A text as a blob is not copied for the sake of a terminator. */
        bool text = type == SQLITE_TEXT && sqlite3_value_encoding(v) != SQLITE_UTF8;
        const void *bytes = text ? (const void *)sqlite3_value_text(v) : sqlite3_value_blob(v);
        size_t len = (size_t)sqlite3_value_bytes(v);
        cell.kind = type == SQLITE_TEXT ? CHANGE_TEXT : CHANGE_BLOB;
        cell.bytes = str_make(len ? bytes : "", len);
    }
    return cell;
}

static bool read_column(struct recorder *r, const struct recorder_table *t, recorder_value_fn *fn, size_t i,
    struct change_cell *ret)
{
    sqlite3_value *v = NULL;
    if (fn(r->db, t->columns[i].cid, &v) != SQLITE_OK)
        return false;
    *ret = v ? cell_of(v) : (struct change_cell){.kind = CHANGE_NULL, .bytes = STR_EMPTY};
    return true;
}

size_t recorder_put_key(struct recorder *r, const struct recorder_table *t, recorder_value_fn *fn)
{
    struct change_cell cell;
    size_t at = r->cells.len;
    for (size_t i = 0; t->without_rowid && i < t->column_count; i++) {
        if (!t->columns[i].key)
            continue;
        if (read_column(r, t, fn, i, &cell))
            change_put_cell(&r->cells, &cell);
        else
            r->cells.failed = true;
    }
    return at;
}

/* --- Halves --- */

static const struct change_cell SAME = {.kind = CHANGE_SAME, .bytes = {"", 0}};

/* Where the halves of a row come from. */
struct sources {
    bool was, is;
    bool kept;     /* an earlier change of this row told some columns of the old half: */
    size_t old_at; /* they stand there in r->cells */
};

/* What the old half tells of column i: from the earlier change, or what SQLite shows. */
static bool read_old(
    struct recorder *r, const struct recorder_table *t, struct sources *s, size_t i, struct change_cell *ret)
{
    if (s->kept) {
        struct str rest = str_make(r->cells.buf + s->old_at, r->cells.len - s->old_at), before = rest;
        *ret = change_cell_next(&rest);
        s->old_at += before.len - rest.len;
        if (ret->kind != CHANGE_SAME)
            return true;
    }
    return read_column(r, t, sqlite3_preupdate_old, i, ret);
}

/* `cell` may stand in r->cells itself, which may move. */
static void put_old(struct recorder *r, const struct change_cell *cell)
{
    char *buf = r->cells.buf;
    struct change_cell copy = *cell;
    bool inside = copy.bytes.len && copy.bytes.ptr >= buf && copy.bytes.ptr < buf + r->cells.len;
    size_t at = inside ? (size_t)(copy.bytes.ptr - buf) : 0;
    if (!strbuf_reserve(&r->cells, copy.bytes.len + CHANGE_CELL_HEAD_MAX))
        return;
    if (inside)
        copy.bytes.ptr = r->cells.buf + at;
    change_put_cell(&r->cells, &copy);
}

static bool put_columns(struct recorder *r, const struct recorder_table *t, struct sources *s, bool *ret_same)
{
    *ret_same = s->was && s->is;
    for (size_t i = 0; i < t->column_count && !strbuf_failed(&r->cells); i++) {
        struct change_cell old, now;
        if ((s->was && !read_old(r, t, s, i, &old)) ||
            (s->is && !read_column(r, t, sqlite3_preupdate_new, i, &now)))
            return false;
        bool same = s->was && s->is && change_cell_eq(&old, &now);
        *ret_same &= same;
        if (s->is)
            change_put_cell(&r->fresh, same ? &SAME : &now);
        if (s->was)
            put_old(r, same && !t->columns[i].key ? &SAME : &old);
    }
    return true;
}

static void put_rowid(struct strbuf *out, const struct recorder_entry *e)
{
    struct change_cell cell = {.kind = CHANGE_INT, .integer = e->rowid, .bytes = STR_EMPTY};
    if (shows_rowid(e->table))
        change_put_cell(out, &cell);
}

/* A row that many changes follow in turn takes its place again where it fits. */
static void settle(struct recorder *r, struct recorder_entry *e, size_t at)
{
    size_t len = r->cells.len - at;
    if (e->len && len <= e->len) {
        memmove(r->cells.buf + e->at, r->cells.buf + at, len);
        strbuf_truncate(&r->cells, at);
        at = e->at;
    }
    e->at = (uint32_t)at;
    e->len = (uint32_t)len;
}

bool recorder_put_row(struct recorder *r, struct recorder_entry *e, int op, bool first)
{
    struct sources s = {.was = first ? op != SQLITE_INSERT : e->was, .is = op != SQLITE_DELETE};
    size_t at = r->cells.len;
    s.kept = !first && s.was;
    if (s.kept) {
        struct str rest = at_bytes(r, e->at, e->len);
        if (shows_rowid(e->table))
            (void)change_cell_next(&rest);
        s.old_at = (size_t)(rest.ptr - r->cells.buf);
    }
    strbuf_reset(&r->fresh);
    if (s.was)
        put_rowid(&r->cells, e);
    else if (s.is)
        put_rowid(&r->fresh, e);
    if (s.was && s.is && shows_rowid(e->table))
        change_put_cell(&r->fresh, &SAME);
    if ((s.was || s.is) && !put_columns(r, e->table, &s, &e->same))
        return false;
    strbuf_add_str(&r->cells, strbuf_str(&r->fresh));
    r->cells.failed |= strbuf_failed(&r->fresh);
    e->was = s.was;
    e->is = s.is;
    if (!strbuf_failed(&r->cells))
        settle(r, e, at);
    return !strbuf_failed(&r->cells);
}
