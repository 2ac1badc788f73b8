/* Reads sqlite_schema and the table-valued pragmas into lists. Everything is looked up by bound name, so no
 * name of a user ever becomes SQL text. */
#include "engine/catalog.h"
#include "base/strbuf.h"
#include "engine/catalog_hidden.h"
#include "engine/column.h"
#include "engine/engine_state.h"

static const char SQL_OBJECTS[] = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid";
static const char SQL_TABLE_LIST[] =
    "SELECT type, wr, strict FROM pragma_table_list(?1) WHERE schema = 'main'";
static const char SQL_COLUMNS[] =
    "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1, 'main')";
static const char SQL_FKS[] = "SELECT id, seq, \"table\", \"from\", \"to\", on_update, on_delete FROM "
                              "pragma_foreign_key_list(?1, 'main')"
                              " ORDER BY id, seq";
static const char SQL_INDEXES[] =
    "SELECT l.name, l.\"unique\", l.origin, l.partial, s.sql FROM pragma_index_list(?1, 'main') l"
    " LEFT JOIN sqlite_schema s ON s.type = 'index' AND s.name = l.name ORDER BY l.seq DESC";
static const char SQL_INDEX_COLUMNS[] =
    "SELECT name, \"desc\", coll FROM pragma_index_xinfo(?1, 'main') WHERE key ORDER BY seqno";

/* The per-table statements, prepared once for the whole schema. */
struct reader {
    const struct catalog_source *src;
    struct arena *a;
    sqlite3 *db;
    sqlite3_stmt *list, *columns, *fks, *indexes, *index_columns;
    struct cat_hidden hidden;
};

struct str catalog_text(struct arena *a, sqlite3_stmt *stmt, int column)
{
    if (sqlite3_column_type(stmt, column) == SQLITE_NULL)
        return (struct str){NULL, 0};
    return arena_copy(a, column_bytes(stmt, column));
}

static struct str text_or_empty(struct arena *a, sqlite3_stmt *stmt, int column)
{
    struct str s = catalog_text(a, stmt, column);
    return s.ptr ? s : STR_EMPTY;
}

enum err_code catalog_step(
    const struct catalog_source *src, sqlite3_stmt *stmt, bool *ret_row, struct err *err)
{
    int rc = sqlite3_step(stmt);
    *ret_row = rc == SQLITE_ROW;
    if (*ret_row && src->rows_read)
        ++*src->rows_read;
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        return ERR_OK;
    return src->failed(src->arg, rc, str_of(sqlite3_sql(stmt)), err);
}

static enum err_code bind_name(
    const struct catalog_source *src, sqlite3_stmt *stmt, struct str name, struct err *err)
{
    int rc = sqlite3_bind_text(stmt, 1, name.ptr, (int)name.len, SQLITE_TRANSIENT);
    return rc == SQLITE_OK ? ERR_OK : src->failed(src->arg, rc, str_of(sqlite3_sql(stmt)), err);
}

enum err_code catalog_prepare(
    const struct catalog_source *src, const char *sql, struct str name, sqlite3_stmt **ret, struct err *err)
{
    enum err_code code = src->prepare(src->arg, sql, ret, err);
    if (code || !name.ptr)
        return code;
    code = bind_name(src, *ret, name, err);
    if (code)
        catalog_finalize(ret);
    return code;
}

/* Resets a statement of the reader and binds the table or index it is about. */
static enum err_code again(struct reader *r, sqlite3_stmt *stmt, struct str name, struct err *err)
{
    (void)sqlite3_reset(stmt); /* repeats the error of the last step */
    return bind_name(r->src, stmt, name, err);
}

enum cat_affinity cat_affinity_of(struct str type)
{
    static const struct {
        struct str part;
        enum cat_affinity affinity;
    } rules[] = {
        {{"INT", 3}, CAT_INTEGER},
        {{"CHAR", 4}, CAT_TEXT},
        {{"CLOB", 4}, CAT_TEXT},
        {{"TEXT", 4}, CAT_TEXT},
        {{"BLOB", 4}, CAT_BLOB},
        {{"REAL", 4}, CAT_REAL},
        {{"FLOA", 4}, CAT_REAL},
        {{"DOUB", 4}, CAT_REAL},
    };
    if (type.len == 0)
        return CAT_BLOB;
    for (size_t r = 0; r < ARRAY_LEN(rules); r++) {
        for (size_t i = 0; i + rules[r].part.len <= type.len; i++) {
            if (str_eq_nocase(str_slice(type, i, i + rules[r].part.len), rules[r].part))
                return rules[r].affinity;
        }
    }
    return CAT_NUMERIC;
}

static struct str column_collation(struct reader *r, struct str table, struct str column)
{
    const char *collation = NULL;
    int rc = sqlite3_table_column_metadata(
        r->db, "main", table.ptr, column.ptr, NULL, &collation, NULL, NULL, NULL);
    return rc == SQLITE_OK && collation ? arena_copy(r->a, str_of(collation)) : S("BINARY");
}

static bool is_autoincrement(struct reader *r, const struct cat_table *t)
{
    const struct cat_column *c = cat_rowid_alias(t);
    int autoincrement = 0;
    if (!c || sqlite3_table_column_metadata(
                  r->db, "main", t->name.ptr, c->name.ptr, NULL, NULL, NULL, NULL, &autoincrement))
        return false;
    return autoincrement != 0;
}

static enum err_code read_columns(struct reader *r, struct cat_table *t, struct err *err)
{
    struct cat_column **tail = &t->columns;
    bool row = false;
    enum err_code code = again(r, r->columns, t->name, err);
    while (!code && !(code = catalog_step(r->src, r->columns, &row, err)) && row) {
        struct cat_column *c = arena_alloc(r->a, sizeof(*c));
        if (!c)
            break;
        sqlite3_stmt *s = r->columns;
        int hidden = sqlite3_column_int(s, 5);
        c->name = text_or_empty(r->a, s, 0);
        c->description = STR_EMPTY;
        c->type = text_or_empty(r->a, s, 1);
        c->not_null = sqlite3_column_int(s, 2) != 0;
        c->default_sql = catalog_text(r->a, s, 3);
        c->pk = sqlite3_column_int(s, 4);
        c->hidden = hidden == 1;
        c->generated = hidden == 2   ? CAT_GENERATED_VIRTUAL
                       : hidden == 3 ? CAT_GENERATED_STORED
                                     : CAT_STORED_VALUE;
        c->affinity = t->strict && str_eq_nocase(c->type, S("ANY")) ? CAT_BLOB : cat_affinity_of(c->type);
        c->collation =
            t->kind == CAT_TABLE && !arena_failed(r->a) ? column_collation(r, t->name, c->name) : S("BINARY");
        t->column_count++;
        t->pk_count += c->pk > 0;
        *tail = c;
        tail = &c->next;
    }
    return code;
}

static enum err_code read_fks(struct reader *r, struct cat_table *t, struct err *err)
{
    struct cat_fk **tail = &t->fks;
    bool row = false;
    enum err_code code = again(r, r->fks, t->name, err);
    while (!code && !(code = catalog_step(r->src, r->fks, &row, err)) && row) {
        struct cat_fk *fk = arena_alloc(r->a, sizeof(*fk));
        if (!fk)
            break;
        fk->id = sqlite3_column_int(r->fks, 0);
        fk->seq = sqlite3_column_int(r->fks, 1);
        fk->ref_table = text_or_empty(r->a, r->fks, 2);
        fk->column = text_or_empty(r->a, r->fks, 3);
        fk->ref_column = catalog_text(r->a, r->fks, 4);
        fk->on_update = text_or_empty(r->a, r->fks, 5);
        fk->on_delete = text_or_empty(r->a, r->fks, 6);
        *tail = fk;
        tail = &fk->next;
    }
    return code;
}

static enum err_code read_index_columns(struct reader *r, struct cat_index *ix, struct err *err)
{
    struct cat_index_column **tail = &ix->columns;
    bool row = false;
    enum err_code code = again(r, r->index_columns, ix->name, err);
    while (!code && !(code = catalog_step(r->src, r->index_columns, &row, err)) && row) {
        struct cat_index_column *c = arena_alloc(r->a, sizeof(*c));
        if (!c)
            break;
        c->name = catalog_text(r->a, r->index_columns, 0);
        c->desc = sqlite3_column_int(r->index_columns, 1) != 0;
        c->collation = text_or_empty(r->a, r->index_columns, 2);
        ix->column_count++;
        *tail = c;
        tail = &c->next;
    }
    return code;
}

static enum err_code read_indexes(struct reader *r, struct cat_table *t, struct err *err)
{
    struct cat_index **tail = &t->indexes;
    bool row = false;
    enum err_code code = again(r, r->indexes, t->name, err);
    while (!code && !(code = catalog_step(r->src, r->indexes, &row, err)) && row) {
        struct cat_index *ix = arena_alloc(r->a, sizeof(*ix));
        if (!ix)
            break;
        ix->name = text_or_empty(r->a, r->indexes, 0);
        ix->unique = sqlite3_column_int(r->indexes, 1) != 0;
        struct str origin = text_or_empty(r->a, r->indexes, 2);
        ix->origin = origin.len ? origin.ptr[0] : 'c';
        ix->partial = sqlite3_column_int(r->indexes, 3) != 0;
        ix->sql = catalog_text(r->a, r->indexes, 4);
        code = read_index_columns(r, ix, err);
        *tail = ix;
        tail = &ix->next;
    }
    return code;
}

struct str catalog_module(struct arena *a, struct str sql)
{
    size_t at = 0;
    while (at + 6 < sql.len && !(str_eq_nocase(str_slice(sql, at, at + 5), S("USING")) &&
                                   strchr(" \t\r\n", sql.ptr[at + 5]) != NULL))
        at++;
    struct str rest = str_trim(str_slice(sql, at + 5, sql.len));
    size_t len = 0;
    while (len < rest.len && !strchr(" \t\r\n(;", rest.ptr[len]))
        len++;
    char *copy = arena_alloc(a, len + 1);
    for (size_t i = 0; copy && i < len; i++)
        copy[i] = (char)(rest.ptr[i] >= 'A' && rest.ptr[i] <= 'Z' ? rest.ptr[i] + 32 : rest.ptr[i]);
    return copy ? str_make(copy, len) : STR_EMPTY;
}

/* Shadow tables of virtual tables are implementation: *ret_shown is false for them. */
static enum err_code read_kind(struct reader *r, struct cat_table *t, bool *ret_shown, struct err *err)
{
    bool row = false;
    enum err_code code = again(r, r->list, t->name, err);
    if (!code)
        code = catalog_step(r->src, r->list, &row, err);
    if (code)
        return code;
    struct str type = row ? text_or_empty(r->a, r->list, 0) : STR_EMPTY;
    *ret_shown = row && !str_eq(type, S("shadow"));
    t->without_rowid = row && sqlite3_column_int(r->list, 1) != 0;
    t->strict = row && sqlite3_column_int(r->list, 2) != 0;
    if (str_eq(type, S("virtual")))
        t->kind = CAT_VIRTUAL;
    t->module = t->kind == CAT_VIRTUAL ? catalog_module(r->a, t->sql) : STR_EMPTY;
    return ERR_OK;
}

static enum err_code read_table(struct reader *r, struct cat_table *t, struct err *err)
{
    if (t->kind == CAT_VIRTUAL) {
        /* Its module may be missing, or its content: it is there all the same, without columns. */
        if (read_columns(r, t, NULL))
            t->columns = NULL;
        return ERR_OK;
    }
    enum err_code code = read_columns(r, t, err);
    if (!code)
        code = read_fks(r, t, err);
    if (!code)
        code = read_indexes(r, t, err);
    if (!code)
        t->autoincrement = is_autoincrement(r, t);
    return code;
}

/* Adds a table or a view; *tail moves on. */
static enum err_code add_table(struct reader *r, enum cat_kind kind, struct str name, struct str sql,
    struct cat_table ***tail, int *count, struct err *err)
{
    bool shown = true;
    struct cat_table *t = arena_alloc(r->a, sizeof(*t));
    if (!t)
        return ERR_OK; /* the arena remembers */
    *t = (struct cat_table){
        .kind = kind, .name = name, .sql = sql, .module = STR_EMPTY, .description = STR_EMPTY};
    enum err_code code = kind == CAT_VIEW ? ERR_OK : read_kind(r, t, &shown, err);
    if (code || !shown)
        return code;
    **tail = t;
    *tail = &t->next;
    ++*count;
    return ERR_OK;
}

static void add_trigger(struct reader *r, struct cat_trigger *t, struct cat_trigger ***tail)
{
    if (!r->src->visible(r->src->arg, t->table))
        return;
    **tail = t;
    *tail = &t->next;
}

static enum err_code read_objects(
    struct reader *r, struct catalog *cat, struct cat_trigger **ret_triggers, struct err *err)
{
    struct cat_table **tables = &cat->tables, **views = &cat->views;
    struct cat_trigger **triggers = ret_triggers;
    AUTO_SQL *objects = NULL;
    bool row = false;
    enum err_code code = r->src->prepare(r->src->arg, SQL_OBJECTS, &objects, err);
    while (!code && !arena_failed(r->a) && !(code = catalog_step(r->src, objects, &row, err)) && row) {
        struct str type = str_of((const char *)sqlite3_column_text(objects, 0));
        struct str name = text_or_empty(r->a, objects, 1);
        struct str sql = text_or_empty(r->a, objects, 3);
        bool shown = r->src->visible(r->src->arg, name);
        cat->object_count++;
        if (!shown && (str_eq(type, S("table")) || str_eq(type, S("view"))))
            cat_hidden_note(&r->hidden, name);
        else if (str_eq(type, S("table")) && shown)
            code = add_table(r, CAT_TABLE, name, sql, &tables, &cat->table_count, err);
        else if (str_eq(type, S("view")) && shown)
            code = add_table(r, CAT_VIEW, name, sql, &views, &cat->view_count, err);
        else if (str_eq(type, S("trigger"))) {
            struct cat_trigger *t = ARENA_NEW(r->a, struct cat_trigger);
            *t = (struct cat_trigger){.name = name, .sql = sql, .table = text_or_empty(r->a, objects, 2)};
            add_trigger(r, t, &triggers);
        }
    }
    return code;
}

static void hand_out_triggers(struct catalog *cat, struct cat_trigger *triggers)
{
    while (triggers) {
        struct cat_trigger *t = triggers, **tail;
        triggers = t->next;
        t->next = NULL;
        struct cat_table *owner = (struct cat_table *)catalog_table(cat, t->table);
        if (!owner)
            owner = (struct cat_table *)catalog_view(cat, t->table);
        if (!owner)
            continue;
        for (tail = &owner->triggers; *tail; tail = &(*tail)->next)
            ;
        *tail = t;
    }
}

/* A foreign key that names no column means the parent's primary key. */
static void resolve_fks(struct catalog *cat)
{
    for (struct cat_table *t = cat->tables; t; t = t->next) {
        for (struct cat_fk *fk = t->fks; fk; fk = fk->next) {
            const struct cat_table *parent = catalog_table(cat, fk->ref_table);
            for (const struct cat_column *c = parent ? parent->columns : NULL; c; c = c->next) {
                if (!fk->ref_column.ptr && c->pk == fk->seq + 1)
                    fk->ref_column = c->name;
            }
        }
    }
}

static enum err_code read_details(struct reader *r, struct catalog *cat, struct err *err)
{
    enum err_code code = ERR_OK;
    for (struct cat_table *t = cat->tables; t && !code && !arena_failed(r->a); t = t->next) {
        code = read_table(r, t, err);
        if (!code)
            code = r->src->check_time(r->src->arg, err);
    }
    /* A view over something that is gone has no columns; that is doctor's to say, not a failure here. */
    for (struct cat_table *t = cat->views; t && !code && !arena_failed(r->a); t = t->next) {
        if (read_columns(r, t, NULL))
            t->columns = NULL;
        code = r->src->check_time(r->src->arg, err);
    }
    return code;
}

enum err_code catalog_read(const struct catalog_source *src, struct catalog *ret, struct err *err)
{
    AUTO_SQL *list = NULL, *columns = NULL, *fks = NULL, *indexes = NULL, *index_columns = NULL;
    struct cat_trigger *triggers = NULL;
    *ret = (struct catalog){.tables = NULL};
    enum err_code code = src->prepare(src->arg, SQL_TABLE_LIST, &list, err);
    if (!code)
        code = src->prepare(src->arg, SQL_COLUMNS, &columns, err);
    if (!code)
        code = src->prepare(src->arg, SQL_FKS, &fks, err);
    if (!code)
        code = src->prepare(src->arg, SQL_INDEXES, &indexes, err);
    if (!code)
        code = src->prepare(src->arg, SQL_INDEX_COLUMNS, &index_columns, err);
    if (code)
        return code;
    struct reader r = {.src = src,
        .a = src->arena,
        .db = sqlite3_db_handle(list),
        .list = list,
        .columns = columns,
        .fks = fks,
        .indexes = indexes,
        .index_columns = index_columns};
    cat_hidden_init(&r.hidden, src->arena);
    code = read_objects(&r, ret, &triggers, err);
    cat_hidden_drop(&r.hidden, ret, &triggers);
    cat_hidden_release(&r.hidden);
    if (!code)
        code = read_details(&r, ret, err);
    if (code)
        return code;
    if (arena_failed(src->arena))
        return err_set(err, ERR_TOO_LARGE, "the schema is too large to be read in one call");
    hand_out_triggers(ret, triggers);
    resolve_fks(ret);
    return ERR_OK;
}

static enum err_code op_source_prepare(void *arg, const char *sql, sqlite3_stmt **ret, struct err *err)
{
    return op_prepare_internal(arg, sql, ret, err);
}

static bool op_source_visible(void *arg, struct str table)
{
    return !op_name_reserved(table) && op_table_visible(arg, table);
}

static enum err_code op_source_check_time(void *arg, struct err *err)
{
    return op_check_time(arg, err);
}

static enum err_code op_source_failed(void *arg, int rc, struct str sql, struct err *err)
{
    struct op *op = arg;
    enum err_code code = op_sql_error(op, rc, sql, err);
    op->error_detail = STR_EMPTY; /* of a statement of ours, or of a view that nobody asked for */
    return code;
}

struct catalog_source catalog_source_of_op(struct op *op)
{
    return (struct catalog_source){op_source_prepare, op_source_visible, op_source_check_time,
        op_source_failed, op, op->arena, &op->head.rows_read};
}

enum err_code catalog_of_op(struct op *op, struct catalog *ret, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    return catalog_read(&src, ret, err);
}

static const struct cat_table *find(const struct cat_table *list, struct str name)
{
    while (list && !str_eq_nocase(list->name, name))
        list = list->next;
    return list;
}

const struct cat_table *catalog_table(const struct catalog *cat, struct str name)
{
    return find(cat->tables, name);
}

const struct cat_table *catalog_view(const struct catalog *cat, struct str name)
{
    return find(cat->views, name);
}

const struct cat_column *cat_column(const struct cat_table *t, struct str name)
{
    const struct cat_column *c = t->columns;
    while (c && !str_eq_nocase(c->name, name))
        c = c->next;
    return c;
}

const struct cat_column *cat_rowid_alias(const struct cat_table *t)
{
    if (t->kind != CAT_TABLE || t->without_rowid || t->pk_count != 1)
        return NULL;
    for (const struct cat_column *c = t->columns; c; c = c->next) {
        /* "INTEGER PRIMARY KEY DESC" has an index of its own and is no alias. */
        if (c->pk && str_eq_nocase(c->type, S("INTEGER"))) {
            const struct cat_index *ix = t->indexes;
            while (ix && ix->origin != 'p')
                ix = ix->next;
            return ix ? NULL : c;
        }
    }
    return NULL;
}

const char *cat_rowid_name(const struct cat_table *t)
{
    static const char *const names[] = {"rowid", "_rowid_", "oid"};
    for (size_t i = 0; i < ARRAY_LEN(names) && !t->without_rowid; i++) {
        if (!cat_column(t, str_of(names[i])))
            return names[i];
    }
    return NULL;
}

/* Keeps the nearer of two candidates; far ones are no help. */
static void consider(struct str name, struct str candidate, struct str *best, unsigned *distance)
{
    unsigned d = str_distance(name, candidate);
    if (d < *distance) {
        *best = candidate;
        *distance = d;
    }
}

static unsigned farthest(struct str name)
{
    return name.len < 4 ? 2 : (unsigned)(name.len / 3 + 2);
}

static struct str suggestion(struct arena *a, struct str best)
{
    return best.ptr ? arena_printf(a, " (did you mean \"" STR_FMT "\"?)", STR_ARG(best)) : STR_EMPTY;
}

struct str catalog_suggest_table(const struct catalog *cat, struct arena *a, struct str name)
{
    struct str best = {NULL, 0};
    unsigned distance = farthest(name);
    for (const struct cat_table *t = cat->tables; t; t = t->next)
        consider(name, t->name, &best, &distance);
    for (const struct cat_table *t = cat->views; t; t = t->next)
        consider(name, t->name, &best, &distance);
    return suggestion(a, best);
}

struct str catalog_suggest_column(const struct cat_table *t, struct arena *a, struct str name)
{
    struct str best = {NULL, 0};
    unsigned distance = farthest(name);
    for (const struct cat_column *c = t->columns; c; c = c->next)
        consider(name, c->name, &best, &distance);
    return suggestion(a, best);
}

sqlite3 *catalog_db(struct op *op)
{
    return op->eng->db;
}

void catalog_quote(struct strbuf *out, struct str name)
{
    strbuf_add_quoted(out, name, '"');
}
