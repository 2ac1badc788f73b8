/* Builds the shadows of all tables with row security, on a connection that has none yet. What does not
 * compile closes its table; what cannot be built at all fails the call. */
#include "base/check.h"
#include "base/strbuf.h"
#include "engine/catalog.h"
#include "engine/column.h"
#include "engine/engine_state.h"
#include "engine/fts5_decl.h"
#include "engine/rowsec.h"

enum { SQL_MAX = 1 << 20, ARENA_MAX = 32 << 20, ARGUMENTS_MAX = 127, NAMES_MAX = 200 };

static const char SQL_TABLES[] = "SELECT s.name, s.sql FROM _sys_row_security r JOIN main.sqlite_schema s"
                                 " ON s.name = r.table_name COLLATE NOCASE AND s.type = 'table'"
                                 " AND s.sql NOT LIKE 'CREATE VIRTUAL TABLE%' ORDER BY s.name";
static const char SQL_OBJECTS[] = "SELECT type, name, sql FROM main.sqlite_schema"
                                  " WHERE type IN ('view', 'trigger') OR sql LIKE 'CREATE VIRTUAL TABLE%'";
static const char SQL_NAMED_IN_VIEW[] = "SELECT 1 FROM main.sqlite_schema WHERE type = 'view' AND"
                                        " instr(lower(sql), lower(?1))";
static const char SQL_WITHOUT_ROWID[] =
    "SELECT 1 FROM pragma_table_list WHERE schema = 'main' AND wr AND name = ?1";
static const char SQL_COLUMNS[] =
    "SELECT name, pk, hidden FROM pragma_table_xinfo(?1, 'main') WHERE hidden <> 1 ORDER BY pk";
static const char SQL_POLICIES[] =
    "SELECT CASE WHEN ?3 THEN coalesce(check_sql, using_sql) ELSE using_sql END,"
    " roles, name FROM _sys_policy WHERE table_name = ?1 AND enabled"
    " AND command IN (?2, 'all') ORDER BY created_at_ms, rowid";

/* What a table's conditions are for. */
enum purpose { SEEN, INSERTED, CHANGED, WRITTEN, DELETED, PURPOSE_COUNT };

static const struct {
    const char *command;
    bool check;
} PURPOSES[PURPOSE_COUNT] = {
    {"select", false}, {"insert", true}, {"update", false}, {"update", true}, {"delete", false}};

struct column {
    struct column *next;
    struct str name;
    int pk;
    bool generated;
};

struct builder {
    struct engine *eng;
    struct rowsec *rs;
    struct err *err;
    struct strbuf sql;
    int number;             /* of the table */
    struct str name;        /* of the table */
    struct column *columns; /* those of the key first, in its order */
    int key_count, value_count;
    const char *condition[PURPOSE_COUNT];
    char inserters[NAMES_MAX]; /* names of the policies for INSERT */
};

static enum err_code failed(struct builder *b)
{
    return err_set(
        b->err, ERR_UNAVAILABLE, "row-level security could not be set up: %s", sqlite3_errmsg(b->eng->db));
}

static enum err_code prepare(struct builder *b, const char *sql, sqlite3_stmt **ret)
{
    return sqlite3_prepare_v2(b->eng->db, sql, -1, ret, NULL) == SQLITE_OK ? ERR_OK : failed(b);
}

static struct str text_at(struct builder *b, sqlite3_stmt *stmt, int column)
{
    return arena_copy(&b->rs->arena, column_bytes(stmt, column));
}

static struct rowsec_name *add_name(struct builder *b, struct rowsec_name **list, struct str name)
{
    struct rowsec_name *n = ARENA_NEW(&b->rs->arena, struct rowsec_name);
    *n = (struct rowsec_name){.next = *list, .name = name};
    *list = n;
    return n;
}

static enum err_code exec(struct builder *b)
{
    if (strbuf_failed(&b->sql))
        return err_set(b->err, ERR_TOO_LARGE, "the policies of one table are too long together");
    int rc = sqlite3_exec(b->eng->db, strbuf_cstr(&b->sql), NULL, NULL, NULL);
    strbuf_reset(&b->sql);
    return rc == SQLITE_OK ? ERR_OK : failed(b);
}

/* --- The conditions --- */

static void note_inserter(struct builder *b, struct str name)
{
    char before[NAMES_MAX];
    memcpy(before, b->inserters, sizeof before);
    str_print_cut(
        b->inserters, sizeof b->inserters, "%s%s" STR_FMT, before, before[0] ? ", " : "", STR_ARG(name));
}

static void add_policy(struct strbuf *out, sqlite3_stmt *stmt)
{
    const char *problem;
    int roles = sqlite3_column_int(stmt, 1);
    if (sqlite3_column_type(stmt, 0) == SQLITE_NULL)
        return;
    strbuf_add_cstr(out, out->len ? " OR (" : "(");
    if (roles != ROWSEC_ROLES_ALL)
        strbuf_addf(out, "_sys_holds(%d) AND ", roles);
    strbuf_add_char(out, '(');
    if (!rowsec_translate(column_bytes(stmt, 0), out, &problem))
        out->failed = true; /* it was looked at when it was stored */
    strbuf_add_cstr(out, "))");
}

static enum err_code read_condition(struct builder *b, enum purpose purpose)
{
    AUTO_SQL *stmt = NULL;
    AUTO_STRBUF out;
    strbuf_init(&out, SQL_MAX);
    enum err_code code = prepare(b, SQL_POLICIES, &stmt);
    if (code)
        return code;
    int rc = sqlite3_bind_text(stmt, 1, b->name.ptr, (int)b->name.len, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(stmt, 2, PURPOSES[purpose].command, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int(stmt, 3, PURPOSES[purpose].check);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW)
            break;
        add_policy(&out, stmt);
        if (purpose == INSERTED)
            note_inserter(b, column_bytes(stmt, 2));
    }
    if (rc != SQLITE_DONE)
        return failed(b);
    bool open = out.len > 0 && !strbuf_failed(&out);
    b->condition[purpose] = open ? arena_copy(&b->rs->arena, strbuf_str(&out)).ptr : "0";
    return ERR_OK;
}

static enum err_code read_columns(struct builder *b)
{
    AUTO_SQL *stmt = NULL;
    struct column *others = NULL, **key = &b->columns, **other = &others;
    enum err_code code = prepare(b, SQL_COLUMNS, &stmt);
    if (code)
        return code;
    int rc = sqlite3_bind_text(stmt, 1, b->name.ptr, (int)b->name.len, SQLITE_STATIC);
    b->columns = NULL;
    b->key_count = b->value_count = 0;
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW)
            break;
        struct column *c = ARENA_NEW(&b->rs->arena, struct column);
        *c = (struct column){.name = text_at(b, stmt, 0),
            .pk = sqlite3_column_int(stmt, 1),
            .generated = sqlite3_column_int(stmt, 2) != 0};
        struct column ***tail = c->pk ? &key : &other;
        **tail = c;
        *tail = &c->next;
        b->key_count += c->pk > 0;
        b->value_count += !c->generated;
    }
    *key = others;
    return rc == SQLITE_DONE ? ERR_OK : failed(b);
}

/* --- Texts --- */

static void add_quoted(struct builder *b, const char *before, struct str name)
{
    strbuf_add_cstr(&b->sql, before);
    catalog_quote(&b->sql, name);
}

/* " AND "key" IS <what><n>" for every column of the key; `what` is "?" or "NEW.". */
static void add_keys(struct builder *b, const char *what, int first)
{
    for (const struct column *c = b->columns; c && c->pk; c = c->next) {
        add_quoted(b, "", c->name);
        strbuf_addf(&b->sql, " IS %s", what);
        if (what[0] == '?')
            strbuf_addf(&b->sql, "%d", first++);
        else
            catalog_quote(&b->sql, c->name);
        strbuf_add_cstr(&b->sql, " AND ");
    }
}

static void add_condition(struct builder *b, enum purpose purpose)
{
    strbuf_addf(&b->sql, "(%s)", b->condition[purpose]);
}

static const char *take_text(struct builder *b)
{
    struct str text = arena_copy(&b->rs->arena, strbuf_str(&b->sql));
    strbuf_reset(&b->sql);
    return text.ptr;
}

static void write_texts(struct builder *b, struct rowsec_table *t)
{
    int n = 0;
    t->key_count = b->key_count;
    t->value_count = b->value_count;
    if (t->replaces || b->key_count == 0 || 1 + b->value_count + 2 * b->key_count > ARGUMENTS_MAX)
        return;
    add_quoted(b, "UPDATE main.", b->name);
    for (const struct column *c = b->columns; c; c = c->next) {
        if (c->generated)
            continue;
        add_quoted(b, n ? ", " : " SET ", c->name);
        strbuf_addf(&b->sql, " = ?%d", ++n);
    }
    strbuf_add_cstr(&b->sql, " WHERE ");
    add_keys(b, "?", n + 1);
    add_condition(b, CHANGED);
    t->sql[ROWSEC_DO_UPDATE] = take_text(b);
    add_quoted(b, "SELECT 1 FROM main.", b->name);
    strbuf_add_cstr(&b->sql, " WHERE ");
    add_keys(b, "?", 1);
    add_condition(b, WRITTEN);
    strbuf_add_cstr(&b->sql, " AND (NOT _sys_rls_returns() OR ");
    add_condition(b, SEEN);
    strbuf_add_char(&b->sql, ')');
    t->sql[ROWSEC_CHECK_UPDATE] = take_text(b);
    add_quoted(b, "DELETE FROM main.", b->name);
    strbuf_add_cstr(&b->sql, " WHERE ");
    add_keys(b, "?", 1);
    add_condition(b, DELETED);
    t->sql[ROWSEC_DO_DELETE] = take_text(b);
}

/* --- Shadows --- */

static enum err_code make_view(struct builder *b)
{
    add_quoted(b, "CREATE TEMP VIEW ", b->name);
    strbuf_addf(&b->sql, " AS WITH \"" ROWSEC_PREFIX "v%d\" AS (SELECT * FROM main.", b->number);
    catalog_quote(&b->sql, b->name);
    strbuf_add_cstr(&b->sql, " WHERE ");
    add_condition(b, SEEN);
    strbuf_addf(&b->sql, ") SELECT * FROM \"" ROWSEC_PREFIX "v%d\"", b->number);
    return exec(b);
}

static void begin_trigger(struct builder *b, char kind, const char *event, const char *when)
{
    strbuf_addf(&b->sql, "CREATE TEMP TRIGGER \"" ROWSEC_PREFIX "%c%d\" %s", kind, b->number, event);
    catalog_quote(&b->sql, b->name);
    strbuf_addf(&b->sql, "%s BEGIN ", when);
}

static void add_text(struct builder *b, const char *fmt, const char *arg)
{
    char *name = sqlite3_mprintf("%.*s", (int)b->name.len, b->name.ptr);
    char *text = name ? sqlite3_mprintf(fmt, name, arg) : NULL;
    char *quoted = text ? sqlite3_mprintf("%Q", text) : NULL;
    if (quoted)
        strbuf_add_cstr(&b->sql, quoted);
    else
        b->sql.failed = true;
    sqlite3_free(quoted);
    sqlite3_free(text);
    sqlite3_free(name);
}

static const char *rowid_name(const struct builder *b)
{
    static const char *const NAMES[] = {"rowid", "_rowid_", "oid"};
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        const struct column *c = b->columns;
        while (c && !str_eq_nocase(c->name, str_of(NAMES[i])))
            c = c->next;
        if (!c)
            return NAMES[i];
    }
    return NULL;
}

/* A table without a rowid has a primary key of columns that are not NULL. */
static bool has_rowid(struct builder *b)
{
    AUTO_SQL *stmt = NULL;
    if (prepare(b, SQL_WITHOUT_ROWID, &stmt))
        return true; /* what fails here fails in the trigger too */
    int rc = sqlite3_bind_text(stmt, 1, b->name.ptr, (int)b->name.len, SQLITE_STATIC);
    return rc != SQLITE_OK || sqlite3_step(stmt) != SQLITE_ROW;
}

static const char *rowid_of(struct builder *b)
{
    return has_rowid(b) ? rowid_name(b) : NULL;
}

static void add_raise(struct builder *b, const char *fmt, const char *arg)
{
    strbuf_add_cstr(&b->sql, "SELECT RAISE(ABORT, ");
    add_text(b, fmt, arg);
    strbuf_add_char(&b->sql, ')');
}

static void add_unless(struct builder *b, const char *rowid, enum purpose purpose)
{
    add_quoted(b, "NOT EXISTS (SELECT 1 FROM main.", b->name);
    strbuf_add_cstr(&b->sql, " WHERE ");
    if (rowid)
        strbuf_addf(&b->sql, "%s = NEW.%s AND ", rowid, rowid);
    else
        add_keys(b, "NEW.", 0);
    add_condition(b, purpose);
    strbuf_add_char(&b->sql, ')');
}

/* RAISE, unless the new row, which is written by now, meets the conditions, and those for SELECT when it is
 * to be shown. */
static enum err_code raise_unless(
    struct builder *b, const struct rowsec_table *t, enum purpose purpose, const char *fmt)
{
    const char *rowid = rowid_of(b);
    add_raise(b, fmt, b->inserters);
    if (!t->replaces && (rowid || b->key_count)) {
        strbuf_add_cstr(&b->sql, " WHERE ");
        add_unless(b, rowid, purpose);
        strbuf_add_cstr(&b->sql, "; ");
        add_raise(b,
            "row-level security: no policy for SELECT shows the new row of table \"%s\", which RETURNING "
            "asks "
            "for%s",
            "");
        strbuf_add_cstr(&b->sql, " WHERE _sys_rls_returns() AND ");
        add_unless(b, rowid, SEEN);
    }
    strbuf_add_cstr(&b->sql, "; END");
    return exec(b);
}

static enum err_code make_insert(struct builder *b, const struct rowsec_table *t)
{
    char when[NAMES_MAX];
    str_print(when, sizeof when, " WHEN _sys_rls_inserts(%d)", b->number);
    begin_trigger(b, 'i', "AFTER INSERT ON main.", when);
    return raise_unless(b, t, INSERTED,
        b->inserters[0] ? "row-level security: no policy for INSERT lets this row into table \"%s\" (%s)"
                        : "row-level security: table \"%s\" has no policy for INSERT%s");
}

/* ON CONFLICT DO UPDATE and REPLACE: the rows in the way, before, and what became of them. */
static enum err_code make_conflict(struct builder *b, const struct rowsec_table *t)
{
    AUTO_STRBUF allowed, taken;
    bool known = false;
    strbuf_init(&allowed, SQL_MAX);
    strbuf_init(&taken, SQL_MAX);
    strbuf_addf(&allowed,
        "(%s) AND (_sys_rls_conflicts() & %d = 0 OR (%s)) AND (_sys_rls_conflicts() & %d = 0 OR (%s))",
        b->condition[SEEN], ROWSEC_UPDATES, b->condition[CHANGED], ROWSEC_REPLACES, b->condition[DELETED]);
    if (rowsec_conflict_text(b->eng->db, b->name, rowid_of(b), strbuf_cstr(&allowed), &taken, &known) !=
        SQLITE_OK)
        return failed(b);
    char when[NAMES_MAX], itself[NAMES_MAX];
    str_print(itself, sizeof itself, " WHEN _sys_rls_conflicts() AND _sys_rls_inserts(%d)", b->number);
    /* A caller's OR REPLACE is that of its triggers too. */
    str_print(when, sizeof when, "%s OR _sys_rls_conflicts() & %d", itself, ROWSEC_REPLACES);
    begin_trigger(b, 'b', "BEFORE INSERT ON main.", when);
    strbuf_add_cstr(&b->sql, "SELECT RAISE(ABORT, ");
    add_text(b,
        known
            ? "row-level security: a row that this caller does not see, or may not change, has a key of the "
              "new row of table \"%s\"%s"
            : "row-level security: ON CONFLICT DO UPDATE and REPLACE are not available for table \"%s\", "
              "because it has a unique index over an expression, a generated column or a part of the "
              "rows%s",
        "");
    strbuf_add_cstr(&b->sql, ") WHERE ");
    strbuf_add_str(&b->sql, known ? strbuf_str(&taken) : S("1"));
    strbuf_add_cstr(&b->sql, "; END");
    b->sql.failed |= taken.failed || allowed.failed;
    enum err_code code = exec(b);
    if (code)
        return code;
    begin_trigger(b, 'w', "AFTER UPDATE ON main.", itself);
    return raise_unless(
        b, t, WRITTEN, "row-level security: no policy for UPDATE lets the new row into table \"%s\"");
}

static void add_arguments(struct builder *b, const char *row, bool keys)
{
    for (const struct column *c = b->columns; c && (c->pk || !keys); c = c->next) {
        if (!keys && c->generated)
            continue;
        strbuf_addf(&b->sql, ", %s", row);
        catalog_quote(&b->sql, c->name);
    }
}

static enum err_code make_change(struct builder *b, const struct rowsec_table *t, bool deletes)
{
    begin_trigger(
        b, deletes ? 'd' : 'u', deletes ? "INSTEAD OF DELETE ON temp." : "INSTEAD OF UPDATE ON temp.", "");
    if (!t->sql[ROWSEC_DO_UPDATE]) {
        strbuf_add_cstr(&b->sql, "SELECT RAISE(ABORT, ");
        add_text(b,
            "row-level security: rows of table \"%s\" are changed by their primary key, and it has none or "
            "replaces rows%s",
            "");
        strbuf_add_char(&b->sql, ')');
    } else {
        strbuf_add_cstr(&b->sql, "SELECT RAISE(IGNORE) WHERE ");
        strbuf_add_cstr(&b->sql, deletes ? "_sys_rls_delete(" : "_sys_rls_update(");
        strbuf_add_i64(&b->sql, b->number);
        if (!deletes)
            add_arguments(b, "NEW.", false);
        add_arguments(b, "OLD.", true);
        if (!deletes)
            add_arguments(b, "NEW.", true);
        strbuf_add_cstr(&b->sql, ") = 0");
    }
    strbuf_add_cstr(&b->sql, "; END");
    return exec(b);
}

static enum err_code make_shadow(struct builder *b, struct rowsec_table *t)
{
    enum err_code code = make_view(b);
    if (!code)
        code = make_insert(b, t);
    if (!code)
        code = make_conflict(b, t);
    if (!code)
        code = make_change(b, t, false);
    return code ? code : make_change(b, t, true);
}

/* Does the view compile, with the rights that it will have? Conditions for writing are found out when they
 * are used, and then refuse. */
static bool compiles(struct builder *b)
{
    static const struct wire_call NOBODY = {.role = WIRE_ROLE_READONLY};
    struct guard *g = &b->eng->guard;
    sqlite3_stmt *stmt = NULL;
    add_quoted(b, "SELECT 1 FROM temp.", b->name);
    struct guard_saved saved = guard_enter_tenant(g, &NOBODY, SQL_VERB_SELECT, S("SELECT 1"));
    int rc = sqlite3_prepare_v2(b->eng->db, strbuf_cstr(&b->sql), -1, &stmt, NULL);
    guard_leave(g, saved);
    (void)sqlite3_finalize(stmt); /* never stepped */
    strbuf_reset(&b->sql);
    g->refused = false;
    return rc == SQLITE_OK;
}

static void drop_shadow(struct builder *b)
{
    static const char KINDS[] = "iudbw";
    for (const char *k = KINDS; *k; k++)
        strbuf_addf(&b->sql, "DROP TRIGGER IF EXISTS temp.\"" ROWSEC_PREFIX "%c%d\";", *k, b->number);
    add_quoted(b, "DROP VIEW IF EXISTS temp.", b->name);
}

static enum err_code shadow_table(struct builder *b, struct rowsec_table *t)
{
    b->inserters[0] = '\0';
    enum err_code code = read_columns(b);
    for (int p = 0; !code && p < PURPOSE_COUNT; p++)
        code = read_condition(b, (enum purpose)p);
    if (code)
        return code;
    write_texts(b, t);
    if (make_shadow(b, t) == ERR_OK && compiles(b))
        return ERR_OK;
    for (int p = 0; p < PURPOSE_COUNT; p++)
        b->condition[p] = "0";
    strbuf_reset(&b->sql);
    drop_shadow(b);
    code = exec(b);
    write_texts(b, t);
    return code ? code : make_shadow(b, t);
}

/* --- All of it --- */

static enum err_code read_tables(struct builder *b)
{
    AUTO_SQL *stmt = NULL;
    struct rowsec_table **tail = &b->rs->tables;
    enum err_code code = prepare(b, SQL_TABLES, &stmt);
    int rc = SQLITE_ROW;
    while (!code && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct rowsec_table *t = ARENA_NEW(&b->rs->arena, struct rowsec_table);
        *t = (struct rowsec_table){
            .name = text_at(b, stmt, 0), .replaces = rowsec_replaces(column_bytes(stmt, 1))};
        *tail = t;
        tail = &t->next;
    }
    return code || rc == SQLITE_DONE ? code : failed(b);
}

static enum err_code add_trigger(struct builder *b, struct str name)
{
    AUTO_SQL *stmt = NULL;
    enum err_code code = prepare(b, SQL_NAMED_IN_VIEW, &stmt);
    if (code)
        return code;
    int rc = sqlite3_bind_text(stmt, 1, name.ptr, (int)name.len, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_DONE && rowsec_is_plain(name))
        (void)add_name(b, &b->rs->triggers, name);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? ERR_OK : failed(b);
}

/* Only an index over a table without row security holds nothing that could be hidden. */
static void add_virtual(struct builder *b, struct str name, struct str sql)
{
    struct fts5_decl decl;
    struct str module = catalog_module(&b->rs->arena, sql);
    bool open = str_eq(module, S("fts5")) && fts5_decl_read(&b->rs->arena, sql, &decl) &&
                decl.content == FTS5_EXTERNAL && !rowsec_table(b->rs, decl.content_table);
    for (const struct rowsec_name *v = b->rs->views; open && v; v = v->next)
        open = !str_eq_nocase(v->name, decl.content_table);
    if (!open)
        (void)add_name(b, &b->rs->closed, name);
}

static void add_view(struct builder *b, struct str name, struct str sql)
{
    struct rowsec_name *v = add_name(b, &b->rs->views, name);
    for (size_t i = 0; i + 1 < sql.len; i++)
        v->leaky |= sql.ptr[i] == '|' && sql.ptr[i + 1] == '|';
}

/* "CREATE VIEW name …", as SQLite keeps it. A view that cannot be copied stays: it reaches the real tables,
 * which the authorizer refuses. */
static void shadow_view(struct builder *b, struct str sql)
{
    struct str head = S("CREATE VIEW ");
    if (!str_starts(sql, head))
        return;
    strbuf_add_cstr(&b->sql, "CREATE TEMP VIEW ");
    strbuf_add_str(&b->sql, str_slice(sql, head.len, sql.len));
    if (!strbuf_failed(&b->sql))
        (void)sqlite3_exec(b->eng->db, strbuf_cstr(&b->sql), NULL, NULL, NULL);
    strbuf_reset(&b->sql);
}

/* Twice over the schema: which virtual tables are closed depends on the views. */
static enum err_code read_objects(struct builder *b, bool virtual_tables)
{
    AUTO_SQL *stmt = NULL;
    enum err_code code = prepare(b, SQL_OBJECTS, &stmt);
    int rc = SQLITE_ROW;
    while (!code && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct str type = column_bytes(stmt, 0), name = text_at(b, stmt, 1), sql = text_at(b, stmt, 2);
        if (str_eq(type, S("table")) && virtual_tables)
            add_virtual(b, name, sql);
        else if (str_eq(type, S("view")) && !virtual_tables)
            add_view(b, name, sql);
        else if (str_eq(type, S("trigger")) && !virtual_tables)
            code = add_trigger(b, name);
    }
    return code || rc == SQLITE_DONE ? code : failed(b);
}

static enum err_code shadow_views(struct builder *b)
{
    AUTO_SQL *stmt = NULL;
    enum err_code code = prepare(b, SQL_OBJECTS, &stmt);
    int rc = SQLITE_ROW;
    while (!code && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (str_eq(column_bytes(stmt, 0), S("view")))
            shadow_view(b, text_at(b, stmt, 2));
    }
    return code || rc == SQLITE_DONE ? code : failed(b);
}

static int64_t read_version(struct engine *eng, enum own_sql which)
{
    sqlite3_stmt *stmt = own_get(eng, which);
    int64_t version = stmt && own_step(eng, stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    (void)sqlite3_reset(stmt); /* without a row it is version 0 */
    return version;
}

bool rowsec_is_current(struct engine *eng, const struct rowsec *rs)
{
    return read_version(eng, OWN_SCHEMA_VERSION) == rs->schema_version &&
           read_version(eng, OWN_POLICY_VERSION) == rs->policy_version;
}

enum err_code rowsec_build(struct engine *eng, struct rowsec *rs, struct err *err)
{
    struct builder b = {.eng = eng, .rs = rs, .err = err};
    *rs = (struct rowsec){.schema_version = read_version(eng, OWN_SCHEMA_VERSION),
        .policy_version = read_version(eng, OWN_POLICY_VERSION)};
    arena_init(&rs->arena, ARENA_MAX);
    strbuf_init(&b.sql, SQL_MAX);
    struct guard_saved saved = guard_enter_own(&eng->guard);
    eng->guard.rowsec = rs;
    enum err_code code = read_tables(&b);
    if (!code)
        code = read_objects(&b, false);
    if (!code)
        code = read_objects(&b, true);
    for (struct rowsec_table *t = rs->tables; t && !code; t = t->next, b.number++) {
        b.name = t->name;
        code = shadow_table(&b, t);
    }
    if (!code)
        code = shadow_views(&b);
    if (!code && arena_failed(&rs->arena))
        code = err_set(err, ERR_TOO_LARGE, "the policies are too large to be set up");
    guard_leave(&eng->guard, saved);
    strbuf_release(&b.sql);
    return code;
}

void rowsec_release(struct rowsec *rs)
{
    for (struct rowsec_table *t = rs->tables; t; t = t->next) {
        for (size_t i = 0; i < ROWSEC_WRITE_COUNT; i++)
            (void)sqlite3_finalize(t->stmt[i]); /* its errors were told when they happened */
    }
    arena_release(&rs->arena);
}
