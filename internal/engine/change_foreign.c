/* See change_foreign.h. */
#include "engine/change_foreign.h"
#include "base/mem.h"
#include "engine/catalog.h"
#include "engine/change_apply.h"
#include "engine/change_view.h"
#include "engine/column.h"
#include "engine/engine_state.h"

/* A key without columns of its parent means the primary key. */
static const char SQL_KEYS[] =
    "SELECT s.name, f.id, f.\"table\", f.\"from\", coalesce(f.\"to\", (SELECT i.name FROM"
    " pragma_table_info(f.\"table\", 'main') AS i WHERE i.pk = f.seq + 1)) FROM main.sqlite_schema AS s,"
    " pragma_foreign_key_list(s.name, 'main') AS f WHERE s.type = 'table' ORDER BY s.name, f.id, f.seq";

enum { COLUMNS_MAX = 64 };

/* One key as rows of one table may break it. */
struct question {
    const struct change_foreign_key *key;
    bool refers; /* the table is the one that refers */
    sqlite3_stmt *stmt;
};

struct checking {
    struct op *op;
    struct change_foreign_key *keys;
    const struct change_table_view *t;
    struct question *questions;
    size_t count;
    struct change_cell *cells; /* of the row at hand */
    change_foreign_fn *fn;
    void *arg;
    uint64_t rows;
};

/* --- Telling --- */

void change_foreign_write(
    struct jsonw *w, const struct change_foreign_key *key, const struct change_cell *values)
{
    jsonw_key(w, "missing");
    jsonw_object(w);
    JSONW_TEXT(w, "table", key->parent);
    jsonw_key(w, "key");
    jsonw_object(w);
    for (size_t i = 0; i < key->count; i++) {
        jsonw_key_str(w, key->to[i]);
        change_view_cell(w, &values[i]);
    }
    jsonw_object_end(w);
    jsonw_object_end(w);
    jsonw_key(w, "referencedBy");
    jsonw_object(w);
    JSONW_TEXT(w, "table", key->child);
    jsonw_key(w, "columns");
    jsonw_array(w);
    for (size_t i = 0; i < key->count; i++)
        jsonw_text(w, key->from[i]);
    jsonw_array_end(w);
    jsonw_object_end(w);
}

/* --- The keys --- */

static struct str text_of(struct op *op, sqlite3_stmt *stmt, int column)
{
    if (sqlite3_column_type(stmt, column) == SQLITE_NULL)
        return (struct str){NULL, 0};
    return arena_copy(op->arena, column_bytes(stmt, column));
}

static struct change_foreign_key *new_key(struct op *op, sqlite3_stmt *stmt)
{
    struct change_foreign_key *key = arena_alloc(op->arena, sizeof *key);
    if (!key)
        return NULL;
    key->child = text_of(op, stmt, 0);
    key->parent = text_of(op, stmt, 2);
    key->from = arena_alloc(op->arena, COLUMNS_MAX * sizeof key->from[0]);
    key->to = arena_alloc(op->arena, COLUMNS_MAX * sizeof key->to[0]);
    return key->from && key->to && key->child.ptr && key->parent.ptr ? key : NULL;
}

/* Keys of more columns than COLUMNS_MAX are left out: then SQLite's error is all that is told. */
static enum err_code read_keys(struct checking *c, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    struct change_foreign_key **end = &c->keys, *key = NULL;
    int64_t id = -1;
    enum err_code code = op_prepare_internal(c->op, SQL_KEYS, &stmt, err);
    int rc = SQLITE_ROW;
    while (!code && (rc = change_step(c->op->eng, stmt)) == SQLITE_ROW) {
        bool same = key && id == sqlite3_column_int64(stmt, 1) && str_eq(key->child, column_bytes(stmt, 0));
        if (!same && !(key = *end = new_key(c->op, stmt)))
            return err_set(err, ERR_TOO_LARGE, "the schema is too large to be merged");
        if (!same)
            end = &key->next;
        id = sqlite3_column_int64(stmt, 1);
        if (key->count < COLUMNS_MAX) {
            key->from[key->count] = text_of(c->op, stmt, 3);
            key->to[key->count] = text_of(c->op, stmt, 4);
        }
        key->count++;
    }
    return code || rc == SQLITE_DONE ? code : op_sql_error(c->op, rc, STR_EMPTY, err);
}

/* --- What is asked --- */

static bool finds(const struct change_table_view *t, size_t i)
{
    unsigned by = t->flags & CHANGE_TABLE_HAS_KEY ? CHANGE_COLUMN_KEY : CHANGE_COLUMN_ROWID;
    return t->columns[i].flags & by;
}

static void put_column(struct strbuf *sql, const char *of, struct str name)
{
    strbuf_add_cstr(sql, of);
    catalog_quote(sql, name);
}

/* The rows of the child that refer to no row. */
static void put_open(struct strbuf *sql, const struct change_foreign_key *key)
{
    for (size_t i = 0; i < key->count; i++)
        put_column(sql, i ? ", c." : "SELECT c.", key->from[i]);
    put_column(sql, " FROM main.", key->child);
    strbuf_add_cstr(sql, " AS c WHERE NOT EXISTS (SELECT 1 FROM main.");
    catalog_quote(sql, key->parent);
    for (size_t i = 0; i < key->count; i++) {
        put_column(sql, i ? " AND p." : " AS p WHERE p.", key->to[i]);
        put_column(sql, " = c.", key->from[i]);
    }
    strbuf_add_char(sql, ')');
    for (size_t i = 0; i < key->count; i++) {
        put_column(sql, " AND c.", key->from[i]);
        strbuf_add_cstr(sql, " IS NOT NULL");
    }
}

/* … and of these the row at hand, or those that referred to it. Parameters have the number of the column. */
static void put_row(struct strbuf *sql, const struct checking *c, const struct question *q)
{
    const struct change_table_view *t = c->t;
    for (size_t i = 0; q->refers && i < t->column_count; i++) {
        if (!finds(t, i))
            continue;
        if (t->columns[i].flags & CHANGE_COLUMN_ROWID)
            strbuf_addf(sql, " AND c.%s", change_rowid_name(t));
        else
            put_column(sql, " AND c.", t->columns[i].name);
        strbuf_addf(sql, " IS ?%zu", i + 1);
    }
    for (size_t k = 0; !q->refers && k < q->key->count; k++)
        for (size_t i = 0; i < t->column_count; i++)
            if (str_eq_nocase(t->columns[i].name, q->key->to[k])) {
                put_column(sql, " AND c.", q->key->from[k]);
                strbuf_addf(sql, " = ?%zu", i + 1);
            }
    strbuf_add_cstr(sql, " LIMIT 1");
}

/* Does the key have columns that can be asked for? */
static bool is_told(const struct checking *c, const struct question *q)
{
    size_t told = 0;
    bool good = q->key->count <= COLUMNS_MAX;
    for (size_t k = 0; good && k < q->key->count; k++) {
        good = q->key->from[k].ptr && q->key->to[k].ptr;
        for (size_t i = 0; good && !q->refers && i < c->t->column_count; i++)
            told += str_eq_nocase(c->t->columns[i].name, q->key->to[k]);
    }
    return good && (q->refers || told == q->key->count);
}

/* A key whose parent is not there, or has no such columns, is not asked about: see read_keys. */
static void add_question(struct checking *c, const struct change_foreign_key *key, bool refers)
{
    AUTO_STRBUF sql;
    struct err ignored = ERR_INIT;
    struct question *q = &c->questions[c->count];
    *q = (struct question){.key = key, .refers = refers};
    strbuf_init(&sql, 1 << 20);
    if (!is_told(c, q))
        return;
    put_open(&sql, key);
    put_row(&sql, c, q);
    if (!strbuf_failed(&sql) && !op_prepare_internal(c->op, strbuf_cstr(&sql), &q->stmt, &ignored))
        c->count++;
}

static void add_questions(struct checking *c)
{
    size_t keys = 0;
    for (const struct change_foreign_key *k = c->keys; k; k = k->next)
        keys++;
    c->questions = mem_array(2 * keys + 1, sizeof c->questions[0]);
    c->count = 0;
    for (const struct change_foreign_key *k = c->keys; k; k = k->next) {
        if (str_eq_nocase(k->child, c->t->name))
            add_question(c, k, true);
        if (str_eq_nocase(k->parent, c->t->name))
            add_question(c, k, false);
    }
}

static void drop_questions(struct checking *c)
{
    for (size_t i = 0; i < c->count; i++)
        (void)sqlite3_finalize(c->questions[i].stmt); /* repeats the error of its step */
    mem_free(c->questions);
    c->questions = NULL;
}

/* --- Asking --- */

/* Of a row that refers: as it is now. Of one that is referred to: as it was. */
static void take_cells(struct checking *c, const struct change_row *row, bool refers)
{
    struct str was = row->old_cells, is = row->new_cells;
    for (size_t i = 0; i < c->t->column_count; i++) {
        struct change_cell none = {.kind = CHANGE_SAME};
        struct change_cell before = was.ptr ? change_cell_next(&was) : none;
        struct change_cell after = is.ptr ? change_cell_next(&is) : none;
        c->cells[i] = refers && after.kind != CHANGE_SAME ? after : before;
    }
}

static bool is_asked(const struct question *q, const struct change_row *row)
{
    return q->refers ? row->op != CHANGE_DELETE : row->op != CHANGE_INSERT;
}

static void tell(struct checking *c, const struct question *q, const struct change_row *row)
{
    struct change_cell values[COLUMNS_MAX];
    for (size_t i = 0; i < q->key->count; i++)
        values[i] = change_cell_column(q->stmt, (int)i);
    c->rows++;
    c->fn(c->arg, c->t, row, q->key, values);
}

static enum err_code ask(struct checking *c, const struct question *q, const struct change_row *row,
    bool *ret_found, struct err *err)
{
    int rc = SQLITE_OK;
    take_cells(c, row, q->refers);
    for (size_t i = 0; rc == SQLITE_OK && i < c->t->column_count; i++)
        if ((int)i < sqlite3_bind_parameter_count(q->stmt))
            rc = change_bind_cell(q->stmt, (int)i + 1, &c->cells[i]);
    rc = rc == SQLITE_OK ? change_step(c->op->eng, q->stmt) : rc;
    *ret_found = rc == SQLITE_ROW;
    if (*ret_found)
        tell(c, q, row);
    (void)sqlite3_reset(q->stmt); /* repeats the error of the step */
    return *ret_found || rc == SQLITE_DONE ? ERR_OK : op_sql_error(c->op, rc, STR_EMPTY, err);
}

static enum err_code check_table(struct checking *c, const struct change_table_view *t, struct err *err)
{
    struct str rest = t->rows;
    struct change_row row;
    bool found = true;
    enum err_code code = ERR_OK;
    c->t = t;
    c->cells = mem_array(t->column_count, sizeof c->cells[0]);
    add_questions(c);
    while (!code && c->count && !(code = change_row_next(t, &rest, &found, &row, err)) && found) {
        bool told = false;
        for (size_t i = 0; i < c->count && !told && !code; i++)
            if (is_asked(&c->questions[i], &row))
                code = ask(c, &c->questions[i], &row, &told, err);
    }
    drop_questions(c);
    mem_free(c->cells);
    return code;
}

enum err_code change_foreign_check(
    struct op *op, struct str set, change_foreign_fn *fn, void *arg, uint64_t *ret_rows, struct err *err)
{
    struct checking c = {.op = op, .fn = fn, .arg = arg};
    struct change_reader r;
    struct change_table_view t;
    bool found = true;
    enum err_code code = read_keys(&c, err);
    if (!code)
        code = change_reader_init(&r, set, err);
    if (code)
        return code;
    while (!code && found) {
        code = change_table_next(&r, &found, &t, err);
        if (!code && found)
            code = check_table(&c, &t, err);
    }
    change_reader_release(&r);
    *ret_rows = c.rows;
    return code;
}
