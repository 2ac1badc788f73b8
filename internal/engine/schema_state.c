/* The schema as a value. */
#include "engine/schema_state.h"
#include "engine/catalog.h"
#include "engine/change_record.h"
#include "engine/engine_state.h"
#include "engine/proposal.h"

bool schema_is_virtual(const struct schema_object *o)
{
    return str_starts_nocase(o->sql, S("CREATE VIRTUAL TABLE"));
}

/* The same answer after any history that led to it. */
static void add_column(struct digest_stream *digest, sqlite3_stmt *stmt, int column)
{
    const void *bytes = sqlite3_column_text(stmt, column);
    uint32_t len = (uint32_t)sqlite3_column_bytes(stmt, column);
    digest_stream_add(digest, str_make(&len, sizeof len));
    digest_stream_add(digest, str_make(bytes ? bytes : "", len));
}

static enum err_code schema_version(struct op *op, int64_t *ret, struct err *err)
{
    sqlite3_stmt *stmt = own_get(op->eng, OWN_SCHEMA_VERSION);
    int rc = stmt ? own_step(op->eng, stmt) : sqlite3_extended_errcode(op->eng->db);
    *ret = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : -1;
    (void)sqlite3_reset(stmt); /* repeats the error of the step */
    return rc == SQLITE_ROW ? ERR_OK : op_sql_error(op, rc, STR_EMPTY, err);
}

static enum err_code compute(struct op *op, struct digest *ret, struct err *err)
{
    struct digest_stream digest;
    sqlite3_stmt *stmt = own_get(op->eng, OWN_SCHEMA_OBJECTS);
    int rc = sqlite3_extended_errcode(op->eng->db);
    digest_stream_init(&digest);
    while (stmt && (rc = own_step(op->eng, stmt)) == SQLITE_ROW) {
        for (int i = 0; i < 4; i++)
            add_column(&digest, stmt, i);
    }
    (void)sqlite3_reset(stmt); /* as above */
    *ret = digest_stream_end(&digest);
    return stmt && rc == SQLITE_DONE ? ERR_OK : op_sql_error(op, rc, STR_EMPTY, err);
}

enum err_code schema_digest(struct op *op, struct digest *ret, struct err *err)
{
    struct engine *eng = op->eng;
    int64_t version;
    enum err_code code = schema_version(op, &version, err);
    if (code || (eng->schema_known && eng->schema_version == version)) {
        *ret = eng->schema;
        return code;
    }
    eng->schema_changes++;
    recorder_tables_forget(eng);
    code = compute(op, &eng->schema, err);
    eng->schema_known = code == ERR_OK;
    eng->schema_version = version;
    *ret = eng->schema;
    return code;
}

bool schema_is_as_known(struct op *op)
{
    struct err ignored = ERR_INIT;
    int64_t version;
    if (!op->eng->schema_known || !schema_version(op, &version, &ignored))
        return op->eng->schema_known && version == op->eng->schema_version;
    op->error_detail = STR_EMPTY;
    return false;
}

void schema_digest_forget(struct engine *eng)
{
    eng->schema_known = false;
    eng->schema_changes++;
    recorder_tables_forget(eng);
    proposals_forget_tables(eng);
}

/* The inner tables of full-text tables come and go with these. */
static bool is_inner(const struct schema_object *list, const struct schema_object *o)
{
    static const char *const ENDS[] = {"_data", "_idx", "_content", "_docsize", "_config"};
    for (size_t i = 0; i < ARRAY_LEN(ENDS); i++) {
        struct str end = str_of(ENDS[i]);
        if (!str_ends(o->name, end))
            continue;
        struct str owner = str_slice(o->name, 0, o->name.len - end.len);
        for (const struct schema_object *t = list; t; t = t->next) {
            if (str_eq(t->name, owner) && schema_is_virtual(t))
                return true;
        }
    }
    return false;
}

static void drop_inner(struct schema_object **list)
{
    for (struct schema_object **link = list; *link;) {
        if (str_eq((*link)->type, S("table")) && is_inner(*list, *link))
            *link = (*link)->next;
        else
            link = &(*link)->next;
    }
}

enum err_code schema_objects(struct op *op, struct schema_object **ret, struct err *err)
{
    sqlite3_stmt *stmt = own_get(op->eng, OWN_SCHEMA_OBJECTS);
    struct schema_object **tail = ret;
    int rc = sqlite3_extended_errcode(op->eng->db);
    *ret = NULL;
    while (stmt && (rc = own_step(op->eng, stmt)) == SQLITE_ROW) {
        struct schema_object *o = arena_alloc(op->arena, sizeof *o);
        if (!o)
            break;
        o->type = catalog_text(op->arena, stmt, 0);
        o->name = catalog_text(op->arena, stmt, 1);
        o->table = catalog_text(op->arena, stmt, 2);
        o->sql = catalog_text(op->arena, stmt, 3);
        o->renamed = (struct str){NULL, 0};
        o->now = o->name;
        o->replaced = o->gone = o->loses = o->remade = false;
        *tail = o;
        tail = &o->next;
    }
    (void)sqlite3_reset(stmt); /* as above */
    if (arena_failed(op->arena))
        return err_set(err, ERR_TOO_LARGE, "the schema is too large");
    drop_inner(ret);
    return stmt && rc == SQLITE_DONE ? ERR_OK : op_sql_error(op, rc, STR_EMPTY, err);
}

static const struct schema_object *find(const struct schema_object *list, const struct schema_object *like)
{
    while (list && !(str_eq(list->type, like->type) && str_eq(list->name, like->name)))
        list = list->next;
    return list;
}

const struct schema_object *schema_find_named(
    const struct schema_object *list, const struct schema_object *like)
{
    return find(list, like);
}

const struct schema_object *schema_find_same(
    const struct schema_object *list, const struct schema_object *like)
{
    const struct schema_object *o = find(list, like);
    return o && str_eq(o->sql, like->sql) ? o : NULL;
}

static bool is_table(const struct schema_object *o)
{
    return str_eq(o->type, S("table"));
}

static void write_object(struct op *op, struct jsonw *w, const char *change, const struct schema_object *o,
    const struct schema_object *was, const struct schema_rows *rows)
{
    if (!op_table_visible(op, o->table))
        return;
    while (rows && !(str_eq(rows->table, o->name) && is_table(o)))
        rows = rows->next;
    jsonw_object(w);
    JSONW_CSTR(w, "change", change);
    JSONW_TEXT(w, "type", o->type);
    JSONW_TEXT(w, "name", o->name);
    JSONW_TEXT(w, "table", o->table);
    JSONW_TEXT_OR_NULL(w, "sql", o == was ? ((struct str){NULL, 0}) : o->sql);
    JSONW_TEXT_OR_NULL(w, "before", was ? was->sql : ((struct str){NULL, 0}));
    jsonw_key(w, "rows");
    if (rows)
        jsonw_int(w, rows->rows);
    else
        jsonw_null(w);
    if (o->renamed.ptr)
        JSONW_TEXT(w, o == was ? "renamedTo" : "renamedFrom", o->renamed);
    if (o->replaced)
        JSONW_BOOL(w, "replaced", true);
    if (o->remade && o != was && !is_table(o))
        JSONW_BOOL(w, "remade", true);
    jsonw_object_end(w);
}

void schema_diff_write(struct op *op, const struct schema_object *before, const struct schema_object *after,
    const struct schema_rows *rows, struct jsonw *w)
{
    jsonw_array(w);
    for (const struct schema_object *o = after; o; o = o->next) {
        const struct schema_object *was = find(before, o);
        if (!was)
            write_object(op, w, "added", o, NULL, NULL);
        else if (!str_eq(was->sql, o->sql) || o->replaced || o->remade)
            write_object(op, w, "changed", o, was, o->replaced ? rows : NULL);
    }
    for (const struct schema_object *o = before; o; o = o->next) {
        if (!find(after, o))
            write_object(op, w, "removed", o, o, rows);
    }
    jsonw_array_end(w);
}

enum err_code schema_count_rows(struct op *op, struct str table, int64_t *ret, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    char *sql = sqlite3_mprintf("SELECT count(*) FROM main.\"%w\"", table.ptr);
    enum err_code code =
        sql ? op_prepare_internal(op, sql, &stmt, err) : err_set(err, ERR_TOO_LARGE, "out of memory");
    sqlite3_free(sql);
    if (code)
        return code;
    struct guard_saved saved = guard_enter_own(&op->eng->guard);
    int rc = sqlite3_step(stmt);
    guard_leave(&op->eng->guard, saved);
    *ret = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    return rc == SQLITE_ROW ? ERR_OK : op_sql_error(op, rc, STR_EMPTY, err);
}

/* Not the hidden parts of a full-text table, which go and come with it. */
enum err_code schema_count_removed(struct op *op, const struct schema_object *before,
    const struct schema_object *after, struct schema_rows **ret, struct err *err)
{
    enum err_code code = ERR_OK;
    *ret = NULL;
    for (const struct schema_object *o = before; o && !code; o = o->next) {
        const struct schema_object *is = find(after, o);
        if (!is_table(o) || o->renamed.ptr || (is && !is->replaced))
            continue;
        struct schema_rows *r = arena_alloc(op->arena, sizeof *r);
        if (!r)
            return err_set(err, ERR_TOO_LARGE, "the schema is too large");
        r->table = o->name;
        r->next = *ret;
        *ret = r;
        code = schema_count_rows(op, o->name, &r->rows, err);
    }
    return code;
}
