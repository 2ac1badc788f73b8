/* The end of a recording: its rows in their order, as a change set. */
#include "base/check.h"
#include "base/mem.h"
#include "engine/change_set.h"
#include "engine/change_table.h"
#include <stdlib.h>

static bool is_noop(const struct recorder_entry *e)
{
    return e->was && e->is ? e->same : !e->was && !e->is;
}

/* The declared key of a table with row ids, for the order of its rows. */
static void put_sort_key(struct recorder *r, struct recorder_entry *e)
{
    size_t at = r->cells.len, offset = e->at;
    if (shows_rowid(e->table)) {
        struct str rest = at_bytes(r, e->at, e->len);
        offset += next_cell_bytes(&rest).len;
    }
    for (size_t i = 0; i < e->table->column_count && !strbuf_failed(&r->cells); i++) {
        struct str rest = str_make(r->cells.buf + offset, r->cells.len - offset);
        struct str cell = next_cell_bytes(&rest);
        offset += cell.len;
        if (!e->table->columns[i].key)
            continue;
        char *room = strbuf_reserve(&r->cells, cell.len); /* may move what `cell` points to */
        if (!room)
            return;
        memcpy(room, r->cells.buf + offset - cell.len, cell.len);
        strbuf_commit(&r->cells, cell.len);
    }
    e->key_at = (uint32_t)at;
    e->key_len = (uint32_t)(r->cells.len - at);
}

struct sorted {
    const struct recorder *r;
    const struct recorder_entry *e;
};

static int compare_int(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_keys(struct str a, struct str b)
{
    struct str rest_a = a, rest_b = b;
    struct change_cell first_a = change_cell_next(&rest_a), first_b = change_cell_next(&rest_b);
    if (first_a.kind == CHANGE_INT && first_b.kind == CHANGE_INT && first_a.integer != first_b.integer)
        return compare_int(first_a.integer, first_b.integer);
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return order ? order : compare_int((int64_t)a.len, (int64_t)b.len);
}

static int compare(const void *va, const void *vb)
{
    const struct sorted *a = va, *b = vb;
    const struct recorder_entry *ea = a->e, *eb = b->e;
    int order = 0;
    if (ea->table != eb->table) {
        struct str na = ea->table->shown, nb = eb->table->shown;
        order = memcmp(na.ptr, nb.ptr, na.len < nb.len ? na.len : nb.len);
        return order ? order : compare_int((int64_t)na.len, (int64_t)nb.len);
    }
    if (ea->key_len && eb->key_len)
        order =
            compare_keys(at_bytes(a->r, ea->key_at, ea->key_len), at_bytes(b->r, eb->key_at, eb->key_len));
    if (!order) /* what goes makes room for what comes */
        order = compare_int(ea->is, eb->is);
    return order ? order : compare_int(ea->rowid, eb->rowid);
}

static size_t select_entries(struct recorder *r, struct sorted *list)
{
    size_t count = 0;
    for (size_t i = 0; i < r->entry_count; i++) {
        struct recorder_entry *e = &r->entries[i];
        if (e->table->ignored || is_noop(e))
            continue;
        if (e->table->has_key && !e->table->without_rowid)
            put_sort_key(r, e);
        list[count++] = (struct sorted){r, e};
    }
    bool in_order = true;
    for (size_t i = 1; i < count && in_order; i++)
        in_order = compare(&list[i - 1], &list[i]) <= 0;
    if (!in_order)
        qsort(list, count, sizeof list[0], compare);
    return count;
}

static void put_head(struct strbuf *out, const struct recorder_table *t)
{
    unsigned flags =
        (t->has_key ? CHANGE_TABLE_HAS_KEY : 0) | (t->without_rowid ? CHANGE_TABLE_WITHOUT_ROWID : 0);
    change_put_name(out, t->shown);
    change_put_number(out, flags);
    change_put_number(out, t->column_count + shows_rowid(t));
    if (shows_rowid(t)) {
        change_put_name(out, S("rowid"));
        change_put_number(out, CHANGE_COLUMN_ROWID);
    }
    for (size_t i = 0; i < t->column_count; i++) {
        change_put_name(out, t->columns[i].name);
        change_put_number(out, t->columns[i].key ? CHANGE_COLUMN_KEY : 0);
    }
}

static void put_entry(struct strbuf *out, const struct recorder *r, const struct recorder_entry *e)
{
    enum change_op op = e->was && e->is ? CHANGE_UPDATE : e->is ? CHANGE_INSERT : CHANGE_DELETE;
    char *at = strbuf_reserve(out, 1 + (size_t)e->len);
    if (!at)
        return;
    at[0] = (char)((int)op | (e->indirect ? CHANGE_INDIRECT : 0));
    memcpy(at + 1, r->cells.buf + e->at, e->len);
    strbuf_commit(out, 1 + (size_t)e->len);
}

static size_t count_tables(const struct sorted *list, size_t count)
{
    size_t tables = 0;
    for (size_t i = 0; i < count; i++)
        tables += i == 0 || list[i].e->table != list[i - 1].e->table;
    return tables;
}

static void put_all(struct strbuf *out, const struct recorder *r, const struct sorted *list, size_t count)
{
    AUTO_STRBUF rows;
    strbuf_init(&rows, out->limit);
    strbuf_add_cstr(out, CHANGE_SET_MAGIC);
    change_put_number(out, count_tables(list, count));
    for (size_t i = 0; i < count;) {
        const struct recorder_table *t = list[i].e->table;
        size_t first = i;
        strbuf_reset(&rows);
        for (; i < count && list[i].e->table == t; i++)
            put_entry(&rows, r, list[i].e);
        put_head(out, t);
        change_put_number(out, i - first);
        change_put_name(out, strbuf_str(&rows));
        out->failed |= strbuf_failed(&rows);
    }
}

enum err_code recorder_finish(struct recorder *r, struct strbuf *out, struct err *err)
{
    enum err_code code = recorder_check(r, err);
    CHECK(r->mode == RECORDER_ROWS);
    if (code || r->given_up)
        return code;
    struct sorted *list = mem_array(r->entry_count + 1, sizeof list[0]);
    size_t count = select_entries(r, list);
    if (!strbuf_failed(&r->cells))
        put_all(out, r, list, count);
    mem_free(list);
    if (!strbuf_failed(&r->cells) && !strbuf_failed(out))
        return ERR_OK;
    if (!r->may_count)
        return recorder_too_much(r, RECORDER_TOO_LARGE, err);
    recorder_give_up(r, RECORDER_TOO_LARGE, r->tables->shown);
    strbuf_reset(out);
    return ERR_OK;
}
