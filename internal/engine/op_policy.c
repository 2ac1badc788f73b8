/* Policies of row-level security, by an admin who does not stand under them.
 *
 * POLICY_LIST data: {"policies":[policy …], "rowSecurity":[name of a table …]}; with form=script the same as
 * the remarks of a dump, {"script"}.
 * POLICY_SET stores one (?id=: changes it). Body {"name", "tableName", "command"?, "using"? or "expression"?,
 * "withCheck"?, "roles"?, "enabled"?}; data: the policy, and of a changed one "before", what it was. The
 * first enabled one switches row security on. POLICY_DROP ?id= removes one and tells "before"; row security
 * stays on. ROW_SECURITY_SET {"tableName", "enabled"} switches it.
 */
#include "base/clock.h"
#include "base/id.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "engine/catalog.h"
#include "engine/dump_sql.h"
#include "engine/engine_state.h"
#include "engine/op_policy.h"
#include "engine/policy_store.h"
#include "engine/rowsec.h"
#include "json/jsonr.h"

enum { NAME_MAX_BYTES = 80, TABLE_MAX_BYTES = 255, EXPRESSION_MAX = 4000, SCRIPT_MAX = 16 << 20 };

static const struct {
    const char *name;
    bool takes_using, takes_check;
} COMMANDS[] = {{"select", true, false}, {"insert", false, true}, {"update", true, true},
    {"delete", true, false}, {"all", true, true}};

static const char *const ROLES[] = {"readonly", "readwrite", "admin"};

bool policies_allowed(const struct op *op)
{
    return op->call.role == WIRE_ROLE_ADMIN && !op->call.has_table_scope;
}

static enum err_code check_caller(struct op *op, struct err *err)
{
    if (policies_allowed(op))
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

/* What a person said, as POLICY_SET and a dump take it. */
static void write_wish(struct jsonw *w, const struct policy *p)
{
    JSONW_TEXT(w, "name", p->name);
    JSONW_TEXT(w, "tableName", p->table);
    JSONW_TEXT(w, "command", p->command);
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
}

static struct str find_problem(struct op *op, const struct policy *p)
{
    struct str problem = p->using.ptr ? policy_problem(op, p->table, p->using) : STR_EMPTY;
    if (!problem.len && p->check.ptr)
        problem = policy_problem(op, p->table, p->check);
    if (!problem.len && p->enabled && p->using.ptr &&
        (str_eq(p->command, S("select")) || str_eq(p->command, S("all"))))
        problem = policy_circle(op, p->table, p->using);
    return problem;
}

static void write_before(struct jsonw *w, const struct policy *was)
{
    jsonw_key(w, "before");
    jsonw_object(w);
    write_wish(w, was);
    jsonw_object_end(w);
}

/* `was` NULL: it was not changed. */
static void write_policy(struct op *op, const struct policy *p, const struct policy *was)
{
    struct jsonw *w = op->w;
    struct str problem = find_problem(op, p);
    jsonw_object(w);
    JSONW_TEXT(w, "id", p->id);
    write_text_or_null(w, "expression", p->using);
    write_wish(w, p);
    write_text_or_null(w, "problem", problem);
    write_time(w, "createdAt", p->created_ms);
    write_time(w, "updatedAt", p->updated_ms);
    if (was)
        write_before(w, was);
    jsonw_object_end(w);
}

static enum err_code write_secured(struct op *op, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    bool row = false;
    struct str table;
    enum err_code code = policy_secured(op, &stmt, err);
    jsonw_key(op->w, "rowSecurity");
    jsonw_array(op->w);
    while (!code && !(code = policy_secured_next(op, stmt, &row, &table, err)) && row)
        jsonw_text(op->w, table);
    jsonw_array_end(op->w);
    return code;
}

static enum err_code write_list(struct op *op, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    bool row = false;
    struct policy p;
    enum err_code code = policy_list(op, &stmt, err);
    jsonw_key(op->w, "policies");
    jsonw_array(op->w);
    while (!code && !(code = policy_next(op, stmt, &row, &p, err)) && row)
        write_policy(op, &p, NULL);
    jsonw_array_end(op->w);
    return code ? code : write_secured(op, err);
}

static enum err_code write_script(struct op *op, struct err *err)
{
    struct catalog cat;
    AUTO_STRBUF script;
    strbuf_init(&script, SCRIPT_MAX);
    enum err_code code = catalog_of_op(op, &cat, err);
    if (!code)
        code = policies_dump(op, &cat, &script, err);
    if (!code)
        JSONW_TEXT(op->w, "script", strbuf_str(&script));
    return code;
}

enum err_code op_run_POLICY_LIST(struct op *op, struct err *err)
{
    bool script = str_eq(wire_arg(&op->call, "form"), S("script"));
    enum err_code code = check_caller(op, err);
    jsonw_object(op->w);
    if (!code)
        code = script ? write_script(op, err) : write_list(op, err);
    jsonw_object_end(op->w);
    return code;
}

/* --- Dumps --- */

static void begin_line(struct strbuf *out, const char *kind, struct jsonw *w)
{
    strbuf_add_cstr(out, kind);
    jsonw_init(w, out);
    jsonw_object(w);
}

static void end_line(struct strbuf *out, struct jsonw *w)
{
    jsonw_object_end(w);
    strbuf_add_char(out, '\n');
}

static enum err_code dump_policies(
    struct op *op, const struct catalog *cat, struct strbuf *out, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    struct jsonw w;
    bool row = false;
    struct policy p;
    enum err_code code = policy_list(op, &stmt, err);
    while (!code && !(code = policy_next(op, stmt, &row, &p, err)) && row) {
        if (!catalog_table(cat, p.table))
            continue;
        begin_line(out, DUMP_POLICY, &w);
        write_wish(&w, &p);
        end_line(out, &w);
    }
    return code;
}

static enum err_code dump_secured(
    struct op *op, const struct catalog *cat, struct strbuf *out, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    struct jsonw w;
    bool row = false;
    struct str table;
    enum err_code code = policy_secured(op, &stmt, err);
    while (!code && !(code = policy_secured_next(op, stmt, &row, &table, err)) && row) {
        if (!catalog_table(cat, table))
            continue;
        begin_line(out, DUMP_ROW_SECURITY, &w);
        JSONW_TEXT(&w, "tableName", table);
        end_line(out, &w);
        if (!policies_allowed(op))
            strbuf_addf(out,
                DUMP_NOTE "\"" STR_FMT "\" is closed until it gets policies: this dump was made "
                          "by a token that may not read them\n",
                STR_ARG(table));
    }
    return code;
}

enum err_code policies_dump(struct op *op, const struct catalog *cat, struct strbuf *out, struct err *err)
{
    enum err_code code = policies_allowed(op) ? dump_policies(op, cat, out, err) : ERR_OK;
    return code ? code : dump_secured(op, cat, out, err);
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
        return policy_get(op, id, p, err);
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
    struct policy p = {.roles = 0}, was = {.roles = 0};
    const struct jsonr_value *root;
    enum err_code code = check_caller(op, err);
    if (!code)
        code = start_policy(op, &p, err);
    if (!code)
        was = p;
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
        code = policy_check_free(op, &p, err);
    p.updated_ms = clock_wall_ms();
    if (!code)
        code = policy_put(op, &p, err);
    if (!code && p.enabled)
        code = policy_switch(op, p.table, true, err);
    if (!code)
        write_policy(op, &p, wire_arg(&op->call, "id").ptr ? &was : NULL);
    return code;
}

/* A table that is not there is no failure; that nobody could look is one. */
static enum err_code table_known(struct op *op, struct policy *p, bool *ret, struct err *err)
{
    enum err_code code = check_table(op, p, "", err);
    *ret = code == ERR_OK;
    return code == ERR_INVALID ? ERR_OK : code;
}

enum err_code policy_load(struct op *op, const struct jsonr_value *root, bool *ret_known, struct err *err)
{
    struct wish in = {.roles = NULL};
    struct policy p;
    enum err_code code = start_policy(op, &p, err);
    if (code)
        return code;
    p.updated_ms = p.created_ms;
    *ret_known = !jsonr_fields(root, "", FIELDS, ARRAY_LEN(FIELDS), JSONR_UNKNOWN_REFUSE, &in, NULL) &&
                 !overlay(&p, &in, root, NULL) && p.name.ptr && p.table.ptr && !check_parts(&p, NULL);
    if (*ret_known)
        code = table_known(op, &p, ret_known, err);
    if (code || !*ret_known)
        return code;
    code = policy_check_free(op, &p, err);
    return code ? code : policy_put(op, &p, err);
}

enum err_code policies_close(struct op *op, struct str table, bool *ret_known, struct err *err)
{
    struct policy p = {.table = table};
    enum err_code code = table_known(op, &p, ret_known, err);
    if (code || !*ret_known)
        return code;
    return policy_switch(op, p.table, true, err);
}

enum err_code op_run_POLICY_DROP(struct op *op, struct err *err)
{
    struct policy p = {.id = STR_EMPTY};
    enum err_code code = check_caller(op, err);
    if (!code)
        code = policy_get(op, op_id(op), &p, err);
    if (!code)
        code = policy_delete(op, p.id, err);
    if (code)
        return code;
    jsonw_object(op->w);
    JSONW_TEXT(op->w, "id", p.id);
    JSONW_TEXT(op->w, "name", p.name);
    JSONW_TEXT(op->w, "tableName", p.table);
    JSONW_BOOL(op->w, "deleted", true);
    write_before(op->w, &p);
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
    if (!code)
        code = policy_switch(op, p.table, p.enabled, err);
    if (code)
        return code;
    jsonw_object(op->w);
    JSONW_TEXT(op->w, "tableName", p.table);
    JSONW_BOOL(op->w, "enabled", p.enabled);
    jsonw_object_end(op->w);
    return ERR_OK;
}
