/* See schema_alter.h. */
#include "branch/schema_alter.h"
#include "base/strbuf.h"
#include "branch/schema_text.h"

enum { STATEMENT_MAX = 1 << 20, ITEMS_MAX = 2000 };

/* Its columns, and behind them what holds for the whole. */
struct table {
    struct schema_text text;
    struct str *items;
    size_t columns, count;
};

static bool read_table(struct arena *a, struct str sql, struct table *ret)
{
    struct str item, rest;
    *ret = (struct table){.count = 0};
    if (!schema_text_split(sql, &ret->text))
        return false;
    size_t count = 0;
    for (rest = ret->text.items; rest.len; count++)
        if (count == ITEMS_MAX || !schema_text_item(&rest, &item))
            return false;
    ret->items = arena_alloc(a, (count + 1) * sizeof(ret->items[0]));
    for (rest = ret->text.items; ret->items && rest.len; ret->count++) {
        if (!schema_text_item(&rest, &item))
            return false;
        bool column = !schema_text_is_constraint(item);
        if (column && ret->columns < ret->count)
            return false;
        ret->items[ret->count] = item;
        ret->columns += column;
    }
    return ret->items != NULL; /* arena_failed() tells */
}

static bool read_both(struct arena *a, const struct schema_object *was, const struct schema_object *is,
    struct table *ret_was, struct table *ret_is)
{
    return read_table(a, was->sql, ret_was) && read_table(a, is->sql, ret_is) &&
           str_eq(str_trim(ret_was->text.tail), str_trim(ret_is->text.tail));
}

/* The column of that name; NULL: there is none. */
static const struct str *find_column(const struct table *t, struct str name)
{
    for (size_t i = 0; i < t->columns; i++)
        if (str_eq_nocase(schema_text_column(t->items[i]), name))
            return &t->items[i];
    return NULL;
}

/* --- Statements --- */

static void add(struct arena *a, struct schema_statement ***end, const struct strbuf *sql)
{
    struct schema_statement *s = arena_alloc(a, sizeof *s);
    if (!s)
        return; /* arena_failed() tells */
    s->sql = arena_copy(a, strbuf_failed(sql) ? STR_EMPTY : strbuf_str(sql));
    **end = s;
    *end = &s->next;
}

static void begin(struct strbuf *sql, const char *verb, struct str table)
{
    strbuf_reset(sql);
    strbuf_add_cstr(sql, verb);
    strbuf_add_quoted(sql, table, '"');
}

/* From the column `from` on; false: one of them is not new. */
static bool add_columns(struct arena *a, struct str table, const struct table *was, const struct table *is,
    size_t from, struct schema_statement ***end)
{
    AUTO_STRBUF sql;
    strbuf_init(&sql, STATEMENT_MAX);
    for (size_t i = from; i < is->columns; i++) {
        if (find_column(was, schema_text_column(is->items[i])))
            return false;
        begin(&sql, "ALTER TABLE ", table);
        strbuf_add_cstr(&sql, " ADD COLUMN ");
        strbuf_add_str(&sql, is->items[i]);
        add(a, end, &sql);
    }
    return true;
}

/* --- Other names --- */

static bool is_renamed(const struct schema_rename *r, struct str from, struct str to)
{
    while (r && !(str_eq_nocase(r->from, from) && str_eq(r->to, to)))
        r = r->next;
    return r != NULL;
}

bool schema_alter_follows(struct str was, struct str is, const struct schema_rename *renames)
{
    for (;;) {
        struct str a = schema_text_token(&was), b = schema_text_token(&is);
        if (!a.ptr || !b.ptr)
            return !a.ptr && !b.ptr;
        if (str_eq(a, b))
            continue;
        a = schema_text_name(a);
        b = schema_text_name(b);
        if (!a.ptr || !b.ptr || (!str_eq(a, b) && !is_renamed(renames, a, b)))
            return false;
    }
}

static bool find_renames(
    struct arena *a, const struct table *was, const struct table *is, struct schema_rename **ret)
{
    struct schema_rename **end = ret;
    *ret = NULL;
    for (size_t i = 0; i < was->columns; i++) {
        struct str from = schema_text_column(was->items[i]), to = schema_text_column(is->items[i]);
        if (str_eq(from, to))
            continue;
        struct schema_rename *r = arena_alloc(a, sizeof *r);
        if (!r || (find_column(was, to) && !str_eq_nocase(from, to))) /* they exchange names */
            return false;
        struct str item = is->items[i];
        *r = (struct schema_rename){NULL, from, to, schema_text_token(&item)};
        *end = r;
        end = &r->next;
    }
    return *ret != NULL;
}

static bool same_constraints(
    const struct table *was, const struct table *is, const struct schema_rename *renames)
{
    bool same = was->count - was->columns == is->count - is->columns;
    for (size_t i = was->columns, k = is->columns; same && i < was->count; i++, k++)
        same = schema_alter_follows(was->items[i], is->items[k], renames);
    return same;
}

bool schema_alter_renames(struct arena *a, const struct schema_object *was, const struct schema_object *is,
    struct schema_rename **ret, struct schema_statement **ret_statements, bool *ret_sure)
{
    AUTO_STRBUF sql;
    struct table before, now;
    struct schema_statement **end = ret_statements;
    *ret = NULL;
    *ret_statements = NULL;
    strbuf_init(&sql, STATEMENT_MAX);
    if (!read_both(a, was, is, &before, &now) || now.columns < before.columns ||
        !find_renames(a, &before, &now, ret) || !same_constraints(&before, &now, *ret))
        return false;
    for (size_t i = 0; i < before.columns; i++)
        if (!schema_alter_follows(before.items[i], now.items[i], *ret))
            return false;
    struct str last = before.items[before.columns - 1]; /* there is one: it was renamed, or another */
    *ret_sure = find_column(&now, schema_text_column(last)) != NULL;
    for (const struct schema_rename *r = *ret; r; r = r->next) {
        begin(&sql, "ALTER TABLE ", was->name);
        strbuf_add_cstr(&sql, " RENAME COLUMN ");
        strbuf_add_quoted(&sql, r->from, '"');
        strbuf_add_cstr(&sql, " TO ");
        strbuf_add_str(&sql, r->spelled);
        add(a, &end, &sql);
    }
    return add_columns(a, was->name, &before, &now, before.columns, &end);
}

bool schema_alter_like(struct arena *a, const struct schema_object *was, const struct schema_object *is)
{
    struct table before, now;
    struct schema_rename *renames;
    struct schema_statement *ignored;
    bool sure;
    size_t shared = 0;
    if (!read_table(a, was->sql, &before) || !read_table(a, is->sql, &now))
        return true;
    for (size_t i = 0; i < now.columns; i++)
        shared += find_column(&before, schema_text_column(now.items[i])) != NULL;
    size_t fewer = before.columns < now.columns ? before.columns : now.columns;
    return 2 * shared >= fewer || schema_alter_renames(a, was, is, &renames, &ignored, &sure);
}

/* --- Columns that went --- */

/* What no statement takes away. */
static bool stays(struct str item)
{
    return schema_text_has(item, "PRIMARY") || schema_text_has(item, "UNIQUE");
}

static bool is_last_kept(const struct table *was, const struct table *is)
{
    return find_column(is, schema_text_column(was->items[was->columns - 1])) != NULL;
}

/* Marks the columns that went; *ret_new: the first that came. */
static bool align(const struct table *was, const struct table *is, bool *gone, size_t *ret_new)
{
    size_t k = 0, kept = 0;
    for (size_t j = 0; j < was->columns; j++) {
        gone[j] = k == is->columns || !str_eq(was->items[j], is->items[k]);
        if (gone[j] && stays(was->items[j]))
            return false;
        k += !gone[j];
        kept += !gone[j];
    }
    *ret_new = k;
    /* a new one may be the last with another name */
    return kept > 0 && (k == is->columns || is_last_kept(was, is)) && same_constraints(was, is, NULL);
}

bool schema_alter_drops(struct arena *a, const struct schema_object *was, const struct schema_object *is,
    struct schema_statement **ret_statements)
{
    AUTO_STRBUF sql;
    struct table before, now;
    struct schema_statement **end = ret_statements;
    size_t first_new;
    *ret_statements = NULL;
    strbuf_init(&sql, STATEMENT_MAX);
    if (!read_both(a, was, is, &before, &now))
        return false;
    bool *gone = arena_alloc(a, before.columns + 1);
    if (!gone || !align(&before, &now, gone, &first_new))
        return false;
    for (size_t j = 0; j < before.columns; j++) {
        if (!gone[j])
            continue;
        begin(&sql, "ALTER TABLE ", was->name);
        strbuf_add_cstr(&sql, " DROP COLUMN ");
        strbuf_add_quoted(&sql, schema_text_column(before.items[j]), '"');
        add(a, &end, &sql);
    }
    return add_columns(a, was->name, &before, &now, first_new, &end);
}

/* --- Made anew --- */

struct str schema_alter_temporary(struct arena *a, struct str table)
{
    return arena_printf(a, STR_FMT "__new", STR_ARG(table));
}

static bool is_generated(struct str item)
{
    return schema_text_has(item, "AS");
}

/* Rows keep their row ids, unless a column has them or there are none. */
static bool has_rowid(const struct table *t)
{
    bool has = !schema_text_has(str_slice(t->text.tail, 1, t->text.tail.len), "WITHOUT") &&
               !find_column(t, S("rowid"));
    for (size_t i = 0; i < t->columns; i++)
        has &= !(schema_text_has(t->items[i], "INTEGER") && schema_text_has(t->items[i], "PRIMARY"));
    return has;
}

/* The columns of both. */
static size_t put_columns(struct strbuf *sql, const struct table *was, const struct table *is)
{
    size_t count = 0;
    if (has_rowid(was) && has_rowid(is))
        strbuf_add_cstr(sql, "rowid, ");
    for (size_t i = 0; i < is->columns; i++) {
        struct str name = schema_text_column(is->items[i]);
        if (is_generated(is->items[i]) || !find_column(was, name))
            continue;
        strbuf_add_cstr(sql, count++ ? ", " : "");
        strbuf_add_quoted(sql, name, '"');
    }
    return count;
}

static bool counts(const struct table *t)
{
    for (size_t i = 0; i < t->columns; i++)
        if (schema_text_has(t->items[i], "AUTOINCREMENT"))
            return true;
    return false;
}

/* Ids of rows that are gone are not given again: the new table goes on where the old one stands. */
static void add_counter(
    struct arena *a, struct str table, struct str temporary, struct schema_statement ***end)
{
    AUTO_STRBUF sql;
    strbuf_init(&sql, STATEMENT_MAX);
    strbuf_add_cstr(&sql, "DELETE FROM sqlite_sequence WHERE name = ");
    strbuf_add_quoted(&sql, temporary, '\'');
    add(a, end, &sql);
    strbuf_reset(&sql);
    strbuf_add_cstr(&sql, "INSERT INTO sqlite_sequence (name, seq) SELECT ");
    strbuf_add_quoted(&sql, temporary, '\'');
    strbuf_add_cstr(&sql, ", seq FROM sqlite_sequence WHERE name = ");
    strbuf_add_quoted(&sql, table, '\'');
    add(a, end, &sql);
}

/* The values of a column are those of the column of its name, when all that both have stand in the same order
 * and the others only went or only came: else columns may have exchanged names, or one name is two columns.
 */
static bool keep_places(const struct table *was, const struct table *is)
{
    size_t at = 0, kept = 0;
    for (size_t i = 0; i < is->columns; i++) {
        const struct str *same = find_column(was, schema_text_column(is->items[i]));
        if (!same)
            continue;
        size_t place = (size_t)(same - was->items);
        if (kept && place <= at)
            return false;
        at = place;
        kept++;
    }
    return kept > 0 && (kept == was->columns || kept == is->columns);
}

bool schema_alter_rebuild(struct arena *a, const struct schema_object *was, const struct schema_object *is,
    struct schema_statement **ret_statements)
{
    AUTO_STRBUF sql;
    struct table before, now;
    struct schema_statement **end = ret_statements;
    struct str temporary = schema_alter_temporary(a, was->name);
    *ret_statements = NULL;
    strbuf_init(&sql, STATEMENT_MAX);
    if (!temporary.ptr || !read_table(a, was->sql, &before) || !read_table(a, is->sql, &now) ||
        !keep_places(&before, &now))
        return false;
    begin(&sql, "CREATE TABLE ", temporary);
    strbuf_add_str(&sql, now.text.items);
    strbuf_add_str(&sql, now.text.tail);
    add(a, &end, &sql);
    begin(&sql, "INSERT INTO ", temporary);
    strbuf_add_cstr(&sql, " (");
    size_t columns = put_columns(&sql, &before, &now);
    strbuf_add_cstr(&sql, ") SELECT ");
    (void)put_columns(&sql, &before, &now); /* the same */
    strbuf_add_cstr(&sql, " FROM ");
    strbuf_add_quoted(&sql, was->name, '"');
    add(a, &end, &sql);
    if (counts(&before) && counts(&now))
        add_counter(a, was->name, temporary, &end);
    begin(&sql, "DROP TABLE ", was->name);
    add(a, &end, &sql);
    begin(&sql, "ALTER TABLE ", temporary);
    strbuf_add_cstr(&sql, " RENAME TO ");
    strbuf_add_quoted(&sql, is->name, '"');
    add(a, &end, &sql);
    return columns > 0;
}
