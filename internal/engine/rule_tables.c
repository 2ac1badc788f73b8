/* The tables that a `when` reads. */
#include "base/mem.h"
#include "engine/change_view.h"
#include "engine/engine_state.h"
#include "engine/proposing.h"
#include "engine/rule_when.h"

enum { ROW_BYTES_MAX = 16 << 20 };

enum kind { CHANGES, EFFECTS, CALLER, KINDS };

static const char *const NAMES[KINDS] = {"changes", "effects", "caller"};
static const char *const COLUMNS[KINDS] = {
    "CREATE TABLE x (table_name TEXT, op TEXT, indirect INTEGER, pk TEXT, old TEXT, new TEXT)",
    "CREATE TABLE x (table_name TEXT, op TEXT, row_count INTEGER, share_of_table REAL)",
    "CREATE TABLE x (token_id TEXT, role TEXT, agent TEXT, model TEXT, reason TEXT, ticket TEXT)",
};

struct table {
    sqlite3_vtab base;
    const struct when *when;
    enum kind kind;
};

struct cursor {
    sqlite3_vtab_cursor base;
    sqlite3_int64 rowid;
    bool eof;
    const struct effect *effect;
    bool reading; /* changes: `reader` is there */
    struct change_reader reader;
    struct change_table_view in;
    struct str rest;
    struct change_row row;
    char blind[200]; /* why rows of this table cannot be read; "" they can */
};

struct module {
    const struct when *when;
    enum kind kind;
};

static const struct table *table_of(const struct cursor *c)
{
    return (const struct table *)(const void *)c->base.pVtab;
}

static int t_connect(
    sqlite3 *db, void *arg, int argc, const char *const *argv, sqlite3_vtab **ret, char **ret_message)
{
    const struct module *m = arg;
    (void)argc;
    (void)argv;
    (void)ret_message;
    int rc = sqlite3_declare_vtab(db, COLUMNS[m->kind]);
    if (rc != SQLITE_OK)
        return rc;
    struct table *t = MEM_NEW(struct table);
    t->when = m->when;
    t->kind = m->kind;
    *ret = &t->base;
    return SQLITE_OK;
}

static int t_disconnect(sqlite3_vtab *base)
{
    mem_free(base);
    return SQLITE_OK;
}

static int t_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    (void)base;
    info->estimatedCost = 1000;
    info->estimatedRows = 1000;
    return SQLITE_OK;
}

static int t_open(sqlite3_vtab *base, sqlite3_vtab_cursor **ret)
{
    (void)base;
    struct cursor *c = MEM_NEW(struct cursor);
    *ret = &c->base;
    return SQLITE_OK;
}

static void stop_reading(struct cursor *c)
{
    if (c->reading)
        change_reader_release(&c->reader);
    c->reading = false;
}

static int t_close(sqlite3_vtab_cursor *base)
{
    struct cursor *c = (struct cursor *)(void *)base;
    stop_reading(c);
    mem_free(c);
    return SQLITE_OK;
}

static int fail(struct cursor *c, const char *why)
{
    sqlite3_free(c->base.pVtab->zErrMsg);
    c->base.pVtab->zErrMsg = sqlite3_mprintf("%s", why);
    return SQLITE_ERROR;
}

/* What a row does not show must not pass for NULL. */
static enum err_code look_at_table(struct cursor *c, struct err *err)
{
    struct str column;
    c->blind[0] = '\0';
    enum err_code code = when_generated(table_of(c)->when->facts, c->in.name, &column, err);
    if (!code && column.ptr)
        str_print_cut(c->blind, sizeof c->blind,
            "changes does not list generated columns, and \"" STR_FMT "\" of \"" STR_FMT "\" is one",
            STR_ARG(column), STR_ARG(c->in.name));
    return code;
}

/* The next row of any table. */
static int next_change(struct cursor *c)
{
    struct err err = ERR_INIT;
    bool found = false;
    enum err_code code = ERR_OK;
    for (;;) {
        code = change_row_next(&c->in, &c->rest, &found, &c->row, &err);
        if (code || found)
            break;
        code = change_table_next(&c->reader, &found, &c->in, &err);
        if (code || !found)
            break;
        c->rest = c->in.rows;
        code = look_at_table(c, &err);
        if (code)
            break;
    }
    c->eof = !found;
    return code ? fail(c, err.message) : SQLITE_OK;
}

static int begin_changes(struct cursor *c)
{
    struct err err = ERR_INIT;
    const struct when_facts *f = table_of(c)->when->facts;
    if (f->unlisted)
        return fail(c, f->unlisted);
    stop_reading(c);
    if (change_reader_init(&c->reader, strbuf_str(&f->r->set), &err))
        return fail(c, err.message);
    c->reading = true;
    c->in = (struct change_table_view){.rows = STR_EMPTY};
    c->rest = STR_EMPTY;
    return next_change(c);
}

static int t_filter(sqlite3_vtab_cursor *base, int plan, const char *text, int argc, sqlite3_value **argv)
{
    struct cursor *c = (struct cursor *)(void *)base;
    struct when_facts *f = table_of(c)->when->facts;
    (void)plan;
    (void)text;
    (void)argc;
    (void)argv;
    c->rowid = 1;
    c->eof = false;
    if (!f || !when_count(f))
        return fail(c, "what the write did cannot be told");
    if (table_of(c)->kind == CHANGES)
        return begin_changes(c);
    if (table_of(c)->kind == EFFECTS && f->uncounted)
        return fail(c, f->uncounted);
    c->effect = f->effects;
    c->eof = table_of(c)->kind == EFFECTS && !c->effect;
    return SQLITE_OK;
}

static int t_next(sqlite3_vtab_cursor *base)
{
    struct cursor *c = (struct cursor *)(void *)base;
    c->rowid++;
    if (table_of(c)->kind == CHANGES)
        return next_change(c);
    c->effect = c->effect ? c->effect->next : NULL;
    c->eof = table_of(c)->kind == CALLER || !c->effect;
    return SQLITE_OK;
}

static int t_eof(sqlite3_vtab_cursor *base)
{
    return ((struct cursor *)(void *)base)->eof;
}

static int t_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret)
{
    *ret = ((struct cursor *)(void *)base)->rowid;
    return SQLITE_OK;
}

/* --- Columns --- */

static void result_str(sqlite3_context *ctx, struct str s)
{
    if (s.ptr)
        sqlite3_result_text64(ctx, s.ptr, s.len, SQLITE_TRANSIENT, SQLITE_UTF8);
}

/* NULL where there is no such row. */
static void result_json(sqlite3_context *ctx, const struct cursor *c, struct str cells, bool key)
{
    AUTO_STRBUF out;
    struct jsonw w;
    strbuf_init(&out, ROW_BYTES_MAX);
    if (!cells.ptr)
        return;
    jsonw_init(&w, &out);
    if (key)
        change_view_sql_key(&w, &c->in, cells);
    else
        change_view_sql_cells(&w, &c->in, cells);
    if (strbuf_failed(&out))
        sqlite3_result_error_toobig(ctx);
    else
        result_str(ctx, strbuf_str(&out));
}

static int change_column(struct cursor *c, sqlite3_context *ctx, int column)
{
    static const char *const OPS[CHANGE_OP_COUNT] = {
        [CHANGE_INSERT] = "insert", [CHANGE_UPDATE] = "update", [CHANGE_DELETE] = "delete"};
    const struct change_row *row = &c->row;
    if (column > 3 && c->blind[0])
        return fail(c, c->blind);
    switch (column) {
    case 0: result_str(ctx, c->in.name); break;
    case 1: sqlite3_result_text(ctx, OPS[row->op], -1, SQLITE_STATIC); break;
    case 2: sqlite3_result_int(ctx, row->indirect); break;
    case 3: result_json(ctx, c, row->old_cells.ptr ? row->old_cells : row->new_cells, true); break;
    case 4: result_json(ctx, c, row->old_cells, false); break;
    default: result_json(ctx, c, row->new_cells, false); break;
    }
    return SQLITE_OK;
}

static int effect_column(struct cursor *c, sqlite3_context *ctx, int column)
{
    const struct effect *e = c->effect;
    double share;
    switch (column) {
    case 0: result_str(ctx, e->table->name); return SQLITE_OK;
    case 1: sqlite3_result_text(ctx, e->op, -1, SQLITE_STATIC); return SQLITE_OK;
    default: break;
    }
    if (e->uncounted)
        return fail(c, "a table is removed or renamed, and how many rows it held is not known");
    if (column == 2) {
        sqlite3_result_int64(ctx, e->rows);
        return SQLITE_OK;
    }
    if (str_eq(str_of(e->op), S("schema")))
        return SQLITE_OK;
    if (when_share(table_of(c)->when->facts, e, &share) != SQLITE_OK)
        return fail(c, "the rows of the table cannot be counted");
    sqlite3_result_double(ctx, share);
    return SQLITE_OK;
}

static int caller_column(const struct cursor *c, sqlite3_context *ctx, int column)
{
    static const char *const ROLES[WIRE_ROLE_COUNT] = {
        [WIRE_ROLE_READONLY] = "readonly", [WIRE_ROLE_READWRITE] = "readwrite", [WIRE_ROLE_ADMIN] = "admin"};
    const struct when_facts *f = table_of(c)->when->facts;
    switch (column) {
    case 0: result_str(ctx, f->in->token_id.ptr ? f->in->token_id : f->op->call.token_id); break;
    case 1: result_str(ctx, f->in->role.ptr ? f->in->role : str_of(ROLES[f->op->call.role])); break;
    case 2: result_str(ctx, f->in->agent); break;
    case 3: result_str(ctx, f->in->model); break;
    case 4: result_str(ctx, f->in->reason); break;
    default: result_str(ctx, f->in->ticket); break;
    }
    return SQLITE_OK;
}

static int t_column(sqlite3_vtab_cursor *base, sqlite3_context *ctx, int column)
{
    struct cursor *c = (struct cursor *)(void *)base;
    if (table_of(c)->kind == CHANGES)
        return change_column(c, ctx, column);
    return table_of(c)->kind == EFFECTS ? effect_column(c, ctx, column) : caller_column(c, ctx, column);
}

static const sqlite3_module MODULE = {
    .xConnect = t_connect, /* no xCreate: they exist by themselves */
    .xBestIndex = t_best_index,
    .xDisconnect = t_disconnect,
    .xOpen = t_open,
    .xClose = t_close,
    .xFilter = t_filter,
    .xNext = t_next,
    .xEof = t_eof,
    .xColumn = t_column,
    .xRowid = t_rowid,
};

int when_tables_register(struct when *w)
{
    int rc = SQLITE_OK;
    for (enum kind k = 0; k < KINDS && rc == SQLITE_OK; k++) {
        struct module *m = MEM_NEW(struct module);
        *m = (struct module){w, k};
        rc = sqlite3_create_module_v2(w->db, NAMES[k], &MODULE, m, mem_free); /* frees m when it fails too */
    }
    return rc;
}
