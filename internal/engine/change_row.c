/* A row of a recording, as it was before the first change and as it is after the last. It is kept in the
 * bytes that the change set wants, so that a row that was touched once is never read again, and what stayed
 * costs one byte however large it is: the row that SQLite shows before the next change still has it. */
#define SQLITE_ENABLE_PREUPDATE_HOOK 1 /* declares its functions */
#include "base/mem.h"
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

/* Where the halves of a row come from. */
struct sources {
    bool was, is;
    struct str kept; /* the old half as an earlier change of this row told it, ptr NULL: none did */
    size_t bytes;    /* that its texts and blobs take */
};

static const struct change_cell SAME = {.kind = CHANGE_SAME, .bytes = {"", 0}};

/* What the old half tells of column i: from the earlier change, or what SQLite shows. */
static bool read_old(struct recorder *r, const struct recorder_entry *e, struct sources *s, size_t i)
{
    const struct recorder_table *t = e->table;
    struct change_cell *ret = &r->row[i].old;
    if (s->kept.ptr) {
        *ret = change_cell_next(&s->kept);
        if (ret->kind != CHANGE_SAME)
            return true;
    }
    if ((int)i == t->alias) {
        *ret = (struct change_cell){.kind = CHANGE_INT, .integer = e->rowid, .bytes = STR_EMPTY};
        return true;
    }
    return read_column(r, t, sqlite3_preupdate_old, i, ret);
}

/* The columns into r->row; CHANGE_SAME as a change set wants it. */
static bool read_columns(struct recorder *r, struct recorder_entry *e, struct sources *s)
{
    const struct recorder_table *t = e->table;
    bool both = s->was && s->is, first = both && !s->kept.ptr; /* which only an UPDATE can be */
    e->same = both;
    for (size_t i = 0; i < t->column_count; i++) {
        struct recorder_cell *c = &r->row[i];
        bool stays = first && t->columns[i].stays;
        if (stays && !t->columns[i].key) {
            c->old = c->now = SAME;
            continue;
        }
        if (s->was && !read_old(r, e, s, i))
            return false;
        if (s->is && !stays && !read_column(r, t, sqlite3_preupdate_new, i, &c->now))
            return false;
        bool same = both && (stays || change_cell_eq(&c->old, &c->now));
        e->same &= same;
        if (same)
            c->now = SAME;
        if (same && !t->columns[i].key)
            c->old = SAME;
        s->bytes += (s->was ? c->old.bytes.len : 0) + (s->is ? c->now.bytes.len : 0);
    }
    return true;
}

static char *write_rowid(char *out, const struct recorder_entry *e, bool same)
{
    struct change_cell cell = {.kind = CHANGE_INT, .integer = e->rowid, .bytes = STR_EMPTY};
    return shows_rowid(e->table) ? change_write_cell(out, same ? &SAME : &cell) : out;
}

static bool write_columns(struct recorder *r, const struct recorder_entry *e, const struct sources *s)
{
    size_t n = e->table->column_count;
    char *begin = strbuf_reserve(&r->cells, s->bytes + 2 * (n + 1) * CHANGE_CELL_HEAD_MAX), *at = begin;
    if (!begin)
        return false;
    if (s->was)
        at = write_rowid(at, e, false);
    for (size_t i = 0; s->was && i < n; i++)
        at = change_write_cell(at, &r->row[i].old);
    if (s->is)
        at = write_rowid(at, e, s->was);
    for (size_t i = 0; s->is && i < n; i++)
        at = change_write_cell(at, &r->row[i].now);
    strbuf_commit(&r->cells, (size_t)(at - begin));
    return true;
}

static void make_room(struct recorder *r, size_t columns)
{
    if (columns <= r->row_cap)
        return;
    r->row = mem_grow(r->row, columns, sizeof r->row[0]);
    r->row_cap = columns;
}

/* The earlier change moves out of the way: what is written may take its place, or move the buffer. */
static bool take_kept(struct recorder *r, const struct recorder_entry *e, struct sources *s)
{
    strbuf_reset(&r->kept);
    strbuf_add_str(&r->kept, at_bytes(r, e->at, e->len));
    s->kept = strbuf_str(&r->kept);
    if (shows_rowid(e->table))
        (void)change_cell_next(&s->kept);
    return !strbuf_failed(&r->kept);
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
    struct sources s = {
        .was = first ? op != SQLITE_INSERT : e->was, .is = op != SQLITE_DELETE, .kept = {NULL, 0}};
    size_t at = r->cells.len;
    make_room(r, e->table->column_count);
    if (!first && s.was && !take_kept(r, e, &s))
        return false;
    if ((s.was || s.is) && (!read_columns(r, e, &s) || !write_columns(r, e, &s)))
        return false;
    e->was = s.was;
    e->is = s.is;
    settle(r, e, at);
    return true;
}
