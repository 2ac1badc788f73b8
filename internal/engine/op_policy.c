/* Policies of row-level security, by an admin who does not stand under them.
 *
 * POLICY_LIST data: {"policies":[policy …], "rowSecurity":[name of a table …]}.
 * POLICY_SET stores one (?id=: changes it). Body {"name", "tableName", "command"?, "using"? or "expression"?,
 * "withCheck"?, "roles"?, "enabled"?}; data: the policy. The first enabled one switches row security on.
 * POLICY_DROP ?id= removes one; row security stays on. ROW_SECURITY_SET {"tableName", "enabled"} switches it.
 */
#include "base/clock.h"
#include "base/id.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "engine/catalog.h"
#include "engine/engine_state.h"
#include "engine/op_policy.h"
#include "engine/rowsec.h"
#include "json/jsonr.h"

enum { NAME_MAX_BYTES = 80, TABLE_MAX_BYTES = 255, EXPRESSION_MAX = 4000, PROBLEM_MAX = 400 };

#define POLICY_COLUMNS                                                                                       \
    "id, name, table_name, command, using_sql, check_sql, roles, enabled, created_at_ms, updated_at_ms"
static const char SQL_LIST[] = "SELECT " POLICY_COLUMNS " FROM _sys_policy ORDER BY created_at_ms, id";
static const char SQL_GET[] = "SELECT " POLICY_COLUMNS " FROM _sys_policy WHERE id = ?1";
static const char SQL_PUT[] = "INSERT OR REPLACE INTO _sys_policy (" POLICY_COLUMNS ")"
                              " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
static const char SQL_TAKEN[] = "SELECT 1 FROM _sys_policy WHERE table_name = ?1 AND name = ?2 AND id <> ?3";
static const char SQL_COUNT[] = "SELECT count(*) FROM _sys_policy";
static const char SQL_DROP[] = "DELETE FROM _sys_policy WHERE id = ?1";
static const char SQL_SECURED[] = "SELECT table_name FROM _sys_row_security ORDER BY table_name";
static const char SQL_SWITCH_ON[] = "INSERT OR IGNORE INTO _sys_row_security (table_name) VALUES (?1)";
static const char SQL_SWITCH_OFF[] = "DELETE FROM _sys_row_security WHERE table_name = ?1";
static const char SQL_COUNT_CHANGE[] = "INSERT INTO _sys_meta (key, value) VALUES ('policies', 1)"
                                       " ON CONFLICT (key) DO UPDATE SET value = value + 1";

struct policy {
    struct str id, name, table, command;
    struct str using, check; /* ptr NULL: none */
    int64_t roles, created_ms, updated_ms;
    bool enabled;
};

static const struct {
    const char *name;
    bool takes_using, takes_check;
} COMMANDS[] = {{"select", true, false}, {"insert", false, true}, {"update", true, true},
    {"delete", true, false}, {"all", true, true}};

static const char *const ROLES[] = {"readonly", "readwrite", "admin"};

/* --- Statements --- */

struct value {
    struct str text; /* ptr NULL: `number`, or NULL when is_null */
    int64_t number;
    bool is_null;
};

static struct value text_value(struct str s)
{
    return (struct value){.text = s, .is_null = !s.ptr};
}

static struct value int_value(int64_t n)
{
    return (struct value){.text = {NULL, 0}, .number = n};
}

static enum err_code prepare(struct op *op, const char *sql, const struct value *values, int count,
    sqlite3_stmt **ret, struct err *err)
{
    enum err_code code = op_prepare_internal(op, sql, ret, err);
    int rc = SQLITE_OK;
    for (int i = 0; !code && rc == SQLITE_OK && i < count; i++) {
        const struct value *v = &values[i];
        if (v->is_null)
            rc = sqlite3_bind_null(*ret, i + 1);
        else if (v->text.ptr)
            rc = sqlite3_bind_text64(*ret, i + 1, v->text.ptr, v->text.len, SQLITE_STATIC, SQLITE_UTF8);
        else
            rc = sqlite3_bind_int64(*ret, i + 1, v->number);
    }
    return code || rc == SQLITE_OK ? code : op_sql_error(op, rc, STR_EMPTY, err);
}

static enum err_code step(struct op *op, sqlite3_stmt *stmt, bool *ret_row, struct err *err)
{
    int rc = own_step(op->eng, stmt);
    *ret_row = rc == SQLITE_ROW;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? ERR_OK : op_sql_error(op, rc, STR_EMPTY, err);
}

static enum err_code run(
    struct op *op, const char *sql, const struct value *values, int count, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    bool row;
    enum err_code code = prepare(op, sql, values, count, &stmt, err);
    return code ? code : step(op, stmt, &row, err);
}

/* Everybody's shadows are built anew. */
static enum err_code changed(struct op *op, struct err *err)
{
    rowsec_forget(op->eng);
    return run(op, SQL_COUNT_CHANGE, NULL, 0, err);
}

static struct policy read_row(struct op *op, sqlite3_stmt *stmt)
{
    struct arena *a = op->arena;
    return (struct policy){.id = catalog_text(a, stmt, 0),
        .name = catalog_text(a, stmt, 1),
        .table = catalog_text(a, stmt, 2),
        .command = catalog_text(a, stmt, 3),
        .using = catalog_text(a, stmt, 4),
        .check = catalog_text(a, stmt, 5),
        .roles = sqlite3_column_int64(stmt, 6),
        .enabled = sqlite3_column_int(stmt, 7) != 0,
        .created_ms = sqlite3_column_int64(stmt, 8),
        .updated_ms = sqlite3_column_int64(stmt, 9)};
}

static enum err_code check_caller(struct op *op, struct err *err)
{
    if (op->call.role == WIRE_ROLE_ADMIN && !op->call.has_table_scope)
        return ERR_OK;
    return err_set(
        err, ERR_FORBIDDEN, "policies are an admin's: the token must have the role admin and no table scope");
}

/* --- Is the expression one? --- */

static enum err_code check_expression(
    struct op *op, struct str table, struct str expression, const char *pointer, struct err *err)
{
    struct str problem = expression.ptr ? policy_problem(op, table, expression) : STR_EMPTY;
    return problem.len ? err_field(err, pointer, STR_FMT, STR_ARG(problem)) : ERR_OK;
}

/* --- Answers --- */

static void write_text_or_null(struct jsonw *w, const char *key, struct str s)
{
    jsonw_key(w, key);
    if (s.ptr && s.len)
        jsonw_text(w, s);
    else
        jsonw_null(w);
}

static void write_time(struct jsonw *w, const char *key, int64_t ms)
{
    char iso[CLOCK_ISO_MAX];
    clock_iso(ms, iso);
    JSONW_CSTR(w, key, iso);
}

static void write_policy(struct op *op, const struct policy *p)
{
    struct jsonw *w = op->w;
    struct str problem = p->using.ptr ? policy_problem(op, p->table, p->using) : STR_EMPTY;
    if (!problem.len && p->check.ptr)
        problem = policy_problem(op, p->table, p->check);
    if (!problem.len && p->enabled && p->using.ptr &&
        (str_eq(p->command, S("select")) || str_eq(p->command, S("all"))))
        problem = policy_circle(op, p->table, p->using);
    jsonw_object(w);
    JSONW_TEXT(w, "id", p->id);
    JSONW_TEXT(w, "name", p->name);
    JSONW_TEXT(w, "tableName", p->table);
    JSONW_TEXT(w, "command", p->command);
    write_text_or_null(w, "expression", p->using);
    write_text_or_null(w, "using", p->using);
    write_text_or_null(w, "withCheck", p->check);
    jsonw_key(w, "roles");
    jsonw_array(w);
    for (size_t i = 0; i < ARRAY_LEN(ROLES); i++) {
        if (p->roles & (1 << i))
            jsonw_cstr(w, ROLES[i]);
    }
    jsonw_array_end(w);
    JSONW_BOOL(w, "enabled", p->enabled);
    write_text_or_null(w, "problem", problem);
    write_time(w, "createdAt", p->created_ms);
    write_time(w, "updatedAt", p->updated_ms);
    jsonw_object_end(w);
}

static enum err_code write_secured(struct op *op, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    bool row = false;
    enum err_code code = prepare(op, SQL_SECURED, NULL, 0, &stmt, err);
    jsonw_key(op->w, "rowSecurity");
    jsonw_array(op->w);
    while (!code && !(code = step(op, stmt, &row, err)) && row)
        jsonw_text(op->w, catalog_text(op->arena, stmt, 0));
    jsonw_array_end(op->w);
    return code;
}

enum err_code op_run_POLICY_LIST(struct op *op, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    bool row = false;
    enum err_code code = check_caller(op, err);
    if (!code)
        code = prepare(op, SQL_LIST, NULL, 0, &stmt, err);
    jsonw_object(op->w);
    jsonw_key(op->w, "policies");
    jsonw_array(op->w);
    while (!code && !(code = step(op, stmt, &row, err)) && row) {
        struct policy p = read_row(op, stmt);
        write_policy(op, &p);
    }
    jsonw_array_end(op->w);
    if (!code)
        code = write_secured(op, err);
    jsonw_object_end(op->w);
    return code;
}

/* --- Storing --- */

struct wish {
    struct str name, table, command, expression, using, check;
    const struct jsonr_value *roles;
    bool enabled;
};

static const struct jsonr_field FIELDS[] = {
    {"name", JF_TEXT, offsetof(struct wish, name), 0, 1, NAME_MAX_BYTES},
    {"tableName", JF_TEXT, offsetof(struct wish, table), 0, 1, TABLE_MAX_BYTES},
    {"command", JF_TEXT, offsetof(struct wish, command), 0, 1, 6},
    {"expression", JF_TEXT, offsetof(struct wish, expression), 0, 1, EXPRESSION_MAX},
    {"using", JF_TEXT, offsetof(struct wish, using), JF_NULL_OK, 1, EXPRESSION_MAX},
    {"withCheck", JF_TEXT, offsetof(struct wish, check), JF_NULL_OK, 1, EXPRESSION_MAX},
    {"roles", JF_ARRAY, offsetof(struct wish, roles), 0, 1, 3},
    {"enabled", JF_BOOL, offsetof(struct wish, enabled), 0, 0, 0},
};

static enum err_code read_roles(const struct jsonr_value *list, int64_t *ret, struct err *err)
{
    char at[24];
    int index = 0;
    *ret = 0;
    for (const struct jsonr_value *v = jsonr_first(list); v; v = jsonr_next(v), index++) {
        int64_t bit = 0;
        for (size_t i = 0; i < ARRAY_LEN(ROLES) && jsonr_kind(v) == JSONR_TEXT; i++)
            bit |= str_eq(jsonr_text(v), str_of(ROLES[i])) ? 1 << i : 0;
        str_print(at, sizeof at, "/roles/%d", index);
        if (!bit || (*ret & bit))
            return err_field(err, at, "must be readonly, readwrite or admin, each once");
        *ret |= bit;
    }
    return ERR_OK;
}

static bool given(const struct jsonr_value *root, const char *name)
{
    return jsonr_member(root, str_of(name)) != NULL;
}

static enum err_code overlay(
    struct policy *p, const struct wish *in, const struct jsonr_value *root, struct err *err)
{
    if (given(root, "expression") && given(root, "using"))
        return err_field(err, "/expression", "is another name of using: give one of them");
    if (given(root, "name"))
        p->name = in->name;
    if (given(root, "tableName"))
        p->table = in->table;
    if (given(root, "command"))
        p->command = in->command;
    if (given(root, "expression") || given(root, "using"))
        p->using = given(root, "using") ? in->using : in->expression;
    if (given(root, "withCheck"))
        p->check = in->check;
    if (given(root, "enabled"))
        p->enabled = in->enabled;
    return in->roles ? read_roles(in->roles, &p->roles, err) : ERR_OK;
}

static enum err_code check_parts(const struct policy *p, struct err *err)
{
    size_t i = 0;
    while (i < ARRAY_LEN(COMMANDS) && !str_eq(p->command, str_of(COMMANDS[i].name)))
        i++;
    if (i == ARRAY_LEN(COMMANDS))
        return err_field(err, "/command", "must be select, insert, update, delete or all");
    if (p->using.ptr && !COMMANDS[i].takes_using)
        return err_field(err, "/using", "is not for insert: a new row is looked at by withCheck");
    if (p->check.ptr && !COMMANDS[i].takes_check)
        return err_field(err, "/withCheck", "is for insert, update and all");
    if (!p->using.ptr && COMMANDS[i].takes_using)
        return err_field(err, "/using", "is required: an expression over the columns of the table");
    if (!p->check.ptr && !COMMANDS[i].takes_using)
        return err_field(err, "/withCheck", "is required: an expression over the columns of the table");
    return ERR_OK;
}

static enum err_code check_table(struct op *op, struct policy *p, const char *pointer, struct err *err)
{
    struct catalog cat;
    enum err_code code = catalog_of_op(op, &cat, err);
    const struct cat_table *t = code ? NULL : catalog_table(&cat, p->table);
    if (code)
        return code;
    if (!t || t->kind != CAT_TABLE)
        return err_field(err, pointer, "is no table of this database" STR_FMT,
            STR_ARG(catalog_suggest_table(&cat, op->arena, p->table)));
    p->table = t->name;
    return ERR_OK;
}

static enum err_code check_free(struct op *op, const struct policy *p, struct err *err)
{
    AUTO_SQL *stmt = NULL, *count = NULL;
    bool row = false;
    const struct value values[] = {text_value(p->table), text_value(p->name), text_value(p->id)};
    enum err_code code = prepare(op, SQL_TAKEN, values, ARRAY_LEN(values), &stmt, err);
    if (!code)
        code = step(op, stmt, &row, err);
    if (!code && row)
        return err_set(err, ERR_CONFLICT, "the table has a policy of this name already");
    if (!code)
        code = prepare(op, SQL_COUNT, NULL, 0, &count, err);
    if (!code)
        code = step(op, count, &row, err);
    if (!code && row && sqlite3_column_int64(count, 0) >= LIMIT_POLICIES)
        return err_set(err, ERR_CONFLICT, "a database holds at most %d policies", (int)LIMIT_POLICIES);
    return code;
}

static enum err_code find_policy(struct op *op, struct str id, struct policy *ret, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    bool row = false;
    const struct value values[] = {text_value(id)};
    enum err_code code = prepare(op, SQL_GET, values, ARRAY_LEN(values), &stmt, err);
    if (!code)
        code = step(op, stmt, &row, err);
    if (!code && !row)
        return err_set(err, ERR_NOT_FOUND, "No such policy");
    if (!code)
        *ret = read_row(op, stmt);
    return code;
}

static enum err_code store(struct op *op, const struct policy *p, struct err *err)
{
    const struct value values[] = {text_value(p->id), text_value(p->name), text_value(p->table),
        text_value(p->command), text_value(p->using), text_value(p->check), int_value(p->roles),
        int_value(p->enabled), int_value(p->created_ms), int_value(p->updated_ms)};
    const struct value table[] = {text_value(p->table)};
    enum err_code code = run(op, SQL_PUT, values, ARRAY_LEN(values), err);
    if (!code && p->enabled)
        code = run(op, SQL_SWITCH_ON, table, ARRAY_LEN(table), err);
    return code ? code : changed(op, err);
}

static enum err_code read_wish(
    struct op *op, struct wish *in, const struct jsonr_value **root, struct err *err)
{
    enum err_code code = jsonr_parse(op->arena, op->call.body, root, err);
    return code ? code : jsonr_fields(*root, "", FIELDS, ARRAY_LEN(FIELDS), JSONR_UNKNOWN_REFUSE, in, err);
}

static enum err_code start_policy(struct op *op, struct policy *p, struct err *err)
{
    struct str id = wire_arg(&op->call, "id");
    if (id.ptr)
        return find_policy(op, id, p, err);
    struct id made = id_new("pol");
    *p = (struct policy){.id = arena_copy(op->arena, id_str(&made)),
        .name = {NULL, 0},
        .table = {NULL, 0},
        .using = {NULL, 0},
        .check = {NULL, 0},
        .command = S("all"),
        .roles = ROWSEC_ROLES_ALL,
        .enabled = true,
        .created_ms = clock_wall_ms()};
    return ERR_OK;
}

enum err_code op_run_POLICY_SET(struct op *op, struct err *err)
{
    struct wish in = {.roles = NULL};
    struct policy p;
    const struct jsonr_value *root;
    enum err_code code = check_caller(op, err);
    if (!code)
        code = start_policy(op, &p, err);
    if (!code)
        code = read_wish(op, &in, &root, err);
    if (!code)
        code = overlay(&p, &in, root, err);
    if (!code && !p.name.ptr)
        code = err_field(err, "/name", "is required");
    if (!code && !p.table.ptr)
        code = err_field(err, "/tableName", "is required");
    if (!code)
        code = check_parts(&p, err);
    if (!code)
        code = check_table(op, &p, "/tableName", err);
    if (!code)
        code =
            check_expression(op, p.table, p.using, given(root, "expression") ? "/expression" : "/using", err);
    if (!code)
        code = check_expression(op, p.table, p.check, "/withCheck", err);
    if (!code)
        code = check_free(op, &p, err);
    p.updated_ms = clock_wall_ms();
    if (!code)
        code = store(op, &p, err);
    if (!code)
        write_policy(op, &p);
    return code;
}

enum err_code op_run_POLICY_DROP(struct op *op, struct err *err)
{
    struct policy p;
    struct str id = wire_arg(&op->call, "id");
    const struct value values[] = {text_value(id.ptr ? id : STR_EMPTY)};
    enum err_code code = check_caller(op, err);
    if (!code)
        code = find_policy(op, values[0].text, &p, err);
    if (!code)
        code = run(op, SQL_DROP, values, ARRAY_LEN(values), err);
    if (!code)
        code = changed(op, err);
    if (code)
        return code;
    jsonw_object(op->w);
    JSONW_TEXT(op->w, "id", p.id);
    JSONW_TEXT(op->w, "name", p.name);
    JSONW_TEXT(op->w, "tableName", p.table);
    JSONW_BOOL(op->w, "deleted", true);
    jsonw_object_end(op->w);
    return ERR_OK;
}

enum err_code op_run_ROW_SECURITY_SET(struct op *op, struct err *err)
{
    static const struct jsonr_field fields[] = {
        {"tableName", JF_TEXT, offsetof(struct policy, table), JF_REQUIRED, 1, TABLE_MAX_BYTES},
        {"enabled", JF_BOOL, offsetof(struct policy, enabled), JF_REQUIRED, 0, 0},
    };
    struct policy p = {.roles = 0};
    const struct jsonr_value *root;
    enum err_code code = check_caller(op, err);
    if (!code)
        code = jsonr_parse(op->arena, op->call.body, &root, err);
    if (!code)
        code = jsonr_fields(root, "", fields, ARRAY_LEN(fields), JSONR_UNKNOWN_REFUSE, &p, err);
    if (!code)
        code = check_table(op, &p, "/tableName", err);
    const struct value values[] = {text_value(p.table)};
    if (!code)
        code = run(op, p.enabled ? SQL_SWITCH_ON : SQL_SWITCH_OFF, values, ARRAY_LEN(values), err);
    if (!code)
        code = changed(op, err);
    if (code)
        return code;
    jsonw_object(op->w);
    JSONW_TEXT(op->w, "tableName", p.table);
    JSONW_BOOL(op->w, "enabled", p.enabled);
    jsonw_object_end(op->w);
    return ERR_OK;
}
