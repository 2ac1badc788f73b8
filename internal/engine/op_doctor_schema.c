/* What the schema alone tells: tables without a key, foreign keys without an index or a proper parent,
 * indexes that another makes needless, AUTOINCREMENT, views over what is gone. */
#include "base/strbuf.h"
#include "engine/exam.h"

enum { KEY_COLUMNS_MAX = 100 };

static struct str subject_of(struct exam *d, struct str table, struct str part)
{
    return arena_printf(d->op->arena, STR_FMT "." STR_FMT, STR_ARG(table), STR_ARG(part));
}

static void check_primary_key(struct exam *d, const struct cat_table *t)
{
    if (t->kind != CAT_TABLE || t->pk_count)
        return;
    (void)exam_add(d, EXAM_WARNING, "no_primary_key", t, t->name,
        arena_printf(d->op->arena,
            "\"" STR_FMT
            "\" has no primary key: its rows cannot be named, and change sets and merges follow them by "
            "rowid alone. Make a new table with a key and copy the rows",
            STR_ARG(t->name)));
}

static void check_autoincrement(struct exam *d, const struct cat_table *t)
{
    if (!t->autoincrement)
        return;
    (void)exam_add(d, EXAM_INFO, "autoincrement", t, t->name,
        arena_printf(d->op->arena,
            "\"" STR_FMT
            "\" uses AUTOINCREMENT, which writes a second table on every insert; INTEGER PRIMARY KEY alone "
            "numbers rows too, and is enough unless the id of a deleted row must never come back",
            STR_ARG(t->name)));
}

/* --- Foreign keys --- */

/* One foreign key with all its columns. */
struct key {
    const struct cat_fk *columns[KEY_COLUMNS_MAX];
    int count;
};

static struct key key_of(const struct cat_table *t, int id)
{
    struct key k = {.count = 0};
    for (const struct cat_fk *fk = t->fks; fk; fk = fk->next) {
        if (fk->id == id && k.count < KEY_COLUMNS_MAX)
            k.columns[k.count++] = fk;
    }
    return k;
}

static bool key_has_column(const struct key *k, struct str name)
{
    for (int i = 0; i < k->count; i++) {
        if (str_eq_nocase(k->columns[i]->column, name))
            return true;
    }
    return false;
}

/* Do the first columns of the index, in any order, make up the key? */
static bool index_serves(const struct cat_index *ix, const struct key *k)
{
    int matched = 0;
    for (const struct cat_index_column *c = ix->columns; c && matched < k->count; c = c->next, matched++) {
        if (!c->name.ptr || !key_has_column(k, c->name))
            return false;
    }
    return matched == k->count && !ix->partial;
}

static bool has_index_for(const struct cat_table *t, const struct key *k)
{
    const struct cat_column *alias = cat_rowid_alias(t);
    if (alias && k->count == 1 && str_eq_nocase(alias->name, k->columns[0]->column))
        return true;
    for (const struct cat_index *ix = t->indexes; ix; ix = ix->next) {
        if (index_serves(ix, k))
            return true;
    }
    return false;
}

static void check_child_index(struct exam *d, const struct cat_table *t, const struct key *k)
{
    struct exam_index_column columns[KEY_COLUMNS_MAX];
    const struct cat_fk *first = k->columns[0];
    if (has_index_for(t, k))
        return;
    for (int i = 0; i < k->count; i++)
        columns[i] = (struct exam_index_column){k->columns[i]->column, STR_EMPTY, false};
    bool large = exam_rows(d, t)->rows > 1000;
    struct exam_finding *f = exam_add(d, large ? EXAM_WARNING : EXAM_INFO, "fk_without_index", t,
        subject_of(d, t->name, first->column),
        arena_printf(d->op->arena,
            "the foreign key from \"" STR_FMT "\".\"" STR_FMT "\" to \"" STR_FMT
            "\" has no index: every delete or change "
            "of a parent's key reads all of \"" STR_FMT "\"",
            STR_ARG(t->name), STR_ARG(first->column), STR_ARG(first->ref_table), STR_ARG(t->name)));
    if (!f)
        return;
    f->column = first->column;
    f->sql = exam_create_index(d, t, columns, k->count, false);
    f->evidence = exam_counts(d, "rowCount", exam_rows(d, t)->rows, NULL, 0);
}

static bool key_refers_to(const struct key *k, struct str name)
{
    for (int i = 0; i < k->count; i++) {
        if (k->columns[i]->ref_column.ptr && str_eq_nocase(k->columns[i]->ref_column, name))
            return true;
    }
    return false;
}

/* SQLite asks that the parent's columns be its primary key or all of a unique index. */
static bool parent_is_unique(const struct cat_table *parent, const struct key *k)
{
    const struct cat_column *alias = cat_rowid_alias(parent);
    if (alias && k->count == 1 && key_refers_to(k, alias->name))
        return true;
    for (const struct cat_index *ix = parent->indexes; ix; ix = ix->next) {
        int matched = 0;
        for (const struct cat_index_column *c = ix->columns; c; c = c->next)
            matched += c->name.ptr && key_refers_to(k, c->name);
        if (ix->unique && !ix->partial && ix->column_count == k->count && matched == k->count)
            return true;
    }
    return false;
}

/* The first column of the key that the parent does not have, or NULL. */
static const struct cat_fk *missing_column(const struct cat_table *parent, const struct key *k)
{
    for (int i = 0; i < k->count; i++) {
        if (!k->columns[i]->ref_column.ptr || !cat_column(parent, k->columns[i]->ref_column))
            return k->columns[i];
    }
    return NULL;
}

static void check_parent(struct exam *d, const struct cat_table *t, const struct key *k)
{
    const struct cat_fk *first = k->columns[0];
    const struct cat_table *parent = catalog_table(&d->cat, first->ref_table);
    struct str subject = subject_of(d, t->name, first->column), message, sql = {NULL, 0};
    const struct cat_fk *missing = parent ? missing_column(parent, k) : NULL;
    if (!parent && !op_table_visible(d->op, first->ref_table))
        return;
    if (!parent) {
        message = arena_printf(d->op->arena,
            "the foreign key of \"" STR_FMT "\" refers to \"" STR_FMT
            "\", which does not exist: inserts fail" STR_FMT,
            STR_ARG(t->name), STR_ARG(first->ref_table),
            STR_ARG(catalog_suggest_table(&d->cat, d->op->arena, first->ref_table)));
    } else if (missing) {
        message = arena_printf(d->op->arena,
            "the foreign key of \"" STR_FMT "\" refers to a column that \"" STR_FMT
            "\" does not have: writes fail with "
            "\"foreign key mismatch\"",
            STR_ARG(t->name), STR_ARG(parent->name));
    } else if (!parent_is_unique(parent, k)) {
        struct exam_index_column columns[KEY_COLUMNS_MAX];
        for (int i = 0; i < k->count; i++)
            columns[i] = (struct exam_index_column){k->columns[i]->ref_column, STR_EMPTY, false};
        sql = exam_create_index(d, parent, columns, k->count, true);
        message = arena_printf(d->op->arena,
            "the foreign key of \"" STR_FMT "\" refers to columns of \"" STR_FMT
            "\" that are neither its primary key nor "
            "unique: writes fail with \"foreign key mismatch\"",
            STR_ARG(t->name), STR_ARG(parent->name));
    } else {
        return;
    }
    struct exam_finding *f = exam_add(d, EXAM_ERROR, "fk_mismatch", t, subject, message);
    if (!f)
        return;
    f->column = first->column;
    f->sql = sql;
}

static void check_foreign_keys(struct exam *d, const struct cat_table *t)
{
    for (const struct cat_fk *fk = t->fks; fk; fk = fk->next) {
        if (fk->seq != 0)
            continue;
        struct key k = key_of(t, fk->id);
        check_parent(d, t, &k);
        check_child_index(d, t, &k);
    }
}

/* --- Indexes --- */

static bool same_column(const struct cat_index_column *a, const struct cat_index_column *b)
{
    return a->name.ptr && b->name.ptr && str_eq_nocase(a->name, b->name) && a->desc == b->desc &&
           str_eq_nocase(a->collation, b->collation);
}

static bool is_prefix(const struct cat_index *a, const struct cat_index *b)
{
    const struct cat_index_column *x = a->columns, *y = b->columns;
    for (; x && y && same_column(x, y); x = x->next, y = y->next)
        ;
    return x == NULL;
}

/* Can everything that `a` does be done by `b`? Of two that are the same, the one a constraint made stays,
 * else the older one; the list has the oldest first. */
static bool makes_needless(const struct cat_index *b, const struct cat_index *a, bool b_is_older)
{
    if (a->origin != 'c' || a->partial || b->partial || !is_prefix(a, b))
        return false;
    bool same = a->column_count == b->column_count;
    if (a->unique && !(same && b->unique))
        return false;
    return !same || b->origin != 'c' || (b->unique && !a->unique) || (b->unique == a->unique && b_is_older);
}

static void report_needless(
    struct exam *d, const struct cat_table *t, const struct cat_index *ix, struct str by)
{
    AUTO_STRBUF sql;
    strbuf_init(&sql, 1 << 16);
    strbuf_add_cstr(&sql, "DROP INDEX ");
    catalog_quote(&sql, ix->name);
    struct exam_finding *f = exam_add(d, EXAM_WARNING, "redundant_index", t, ix->name,
        arena_printf(d->op->arena,
            "the index \"" STR_FMT "\" on \"" STR_FMT "\" is needless: " STR_FMT " begins with the "
            "same columns, and each write has to keep both",
            STR_ARG(ix->name), STR_ARG(t->name), STR_ARG(by)));
    if (f)
        f->sql = arena_copy(d->op->arena, strbuf_str(&sql));
}

static void check_index(struct exam *d, const struct cat_table *t, const struct cat_index *ix)
{
    const struct cat_column *alias = cat_rowid_alias(t);
    bool older = true;
    if (alias && ix->origin == 'c' && !ix->partial && ix->columns && ix->columns->name.ptr &&
        ix->column_count == 1 && str_eq_nocase(ix->columns->name, alias->name)) {
        report_needless(d, t, ix, S("the table itself"));
        return;
    }
    for (const struct cat_index *other = t->indexes; other; other = other->next) {
        if (other == ix) {
            older = false;
            continue;
        }
        if (!makes_needless(other, ix, older))
            continue;
        struct str by = arena_printf(d->op->arena, "the index \"" STR_FMT "\"", STR_ARG(other->name));
        report_needless(d, t, ix, by.ptr ? by : S("another index"));
        return;
    }
}

static void check_view(struct exam *d, const struct cat_table *view)
{
    AUTO_STRBUF sql;
    sqlite3_stmt *stmt = NULL;
    struct err why = ERR_INIT;
    bool one;
    strbuf_init(&sql, 1 << 16);
    strbuf_add_cstr(&sql, "SELECT * FROM ");
    catalog_quote(&sql, view->name);
    enum err_code code = op_prepare_tenant(d->op, strbuf_str(&sql), &stmt, &one, &why);
    (void)sqlite3_finalize(stmt); /* never stepped */
    if (code == ERR_SQL)
        (void)exam_add(d, EXAM_WARNING, "broken_view", view, view->name,
            arena_printf(d->op->arena, "the view \"" STR_FMT "\" cannot be read: %s", STR_ARG(view->name),
                why.message));
    d->op->error_detail = STR_EMPTY; /* the call itself succeeds */
}

void exam_schema(struct exam *d)
{
    for (const struct cat_table *t = d->cat.tables; t && !exam_late(d); t = t->next) {
        check_primary_key(d, t);
        check_autoincrement(d, t);
        check_foreign_keys(d, t);
        for (const struct cat_index *ix = t->indexes; ix; ix = ix->next)
            check_index(d, t, ix);
    }
    for (const struct cat_table *t = d->cat.views; t && !exam_late(d); t = t->next)
        check_view(d, t);
}
