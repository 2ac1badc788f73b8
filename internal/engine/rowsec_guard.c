/* What the authorizer says under row-level security, before its usual rules.
 *
 * Its fifth argument, the accessor, names the innermost view, trigger or common table expression. Our shadows
 * are known by their prefix, which no statement may contain. A trigger of the database is believed when its
 * name stands neither in the statement nor in a view, so that no common table expression can pass for it.
 * Without an accessor the real table is reached by "main." or by SQLite itself (foreign keys, RETURNING), so
 * a statement without the word main cannot have meant it: its plain name is the shadow's. */
#define _GNU_SOURCE /* strcasestr */
#include "engine/engine_state.h"
#include "engine/rowsec.h"
#include "engine/sql_token.h"
#include <stdlib.h>

static const char *const LEAKPROOF_FUNCTIONS[] = {
#define LEAKPROOF(name) name,
#include "leakproof.def"
#undef LEAKPROOF
};

const struct rowsec_table *rowsec_table(const struct rowsec *rs, struct str name)
{
    const struct rowsec_table *t = rs->tables;
    while (t && !str_eq_nocase(t->name, name))
        t = t->next;
    return t;
}

static const struct rowsec_name *find(const struct rowsec_name *list, struct str name)
{
    while (list && !str_eq_nocase(list->name, name))
        list = list->next;
    return list;
}

bool rowsec_is_shadow(const struct rowsec *rs, struct str name)
{
    return rowsec_table(rs, name) || find(rs->views, name);
}

/* A virtual table or one of its parts, "<name>_data" and so on. */
static bool is_of(struct str name, struct str owner)
{
    static const char *const PARTS[] = {"", "_data", "_idx", "_content", "_docsize", "_config"};
    bool part = false;
    for (size_t i = 0; i < ARRAY_LEN(PARTS) && str_starts_nocase(name, owner); i++)
        part |= str_eq_nocase(str_slice(name, owner.len, name.len), str_of(PARTS[i]));
    return part;
}

static const struct rowsec_name *find_closed(const struct rowsec *rs, struct str name)
{
    const struct rowsec_name *v = rs->closed;
    while (v && !is_of(name, v->name))
        v = v->next;
    return v;
}

static bool is_ours(const char *accessor)
{
    return accessor && str_starts_nocase(str_of(accessor), S(ROWSEC_PREFIX));
}

static bool text_holds(struct str sql, struct str part)
{
    for (size_t i = 0; i + part.len <= sql.len; i++) {
        if (str_eq_nocase(str_slice(sql, i, i + part.len), part))
            return true;
    }
    return false;
}

static bool is_trigger(const struct guard *g, const char *accessor)
{
    return accessor && find(g->rowsec->triggers, str_of(accessor)) && !text_holds(g->sql, str_of(accessor));
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$';
}

/* The word main, in whatever quotes: a name has no other spelling. Bytes beyond ASCII are no part of a word
 * here, for some of them are white space to SQLite. */
static bool says_main(struct str sql)
{
    for (size_t i = 0; i + 4 <= sql.len; i++) {
        if (str_eq_nocase(str_slice(sql, i, i + 4), S("main")) && (i == 0 || !is_name_byte(sql.ptr[i - 1])) &&
            (i + 4 == sql.len || !is_name_byte(sql.ptr[i + 4])))
            return true;
    }
    return false;
}

static int refuse_direct(struct guard *g, struct str table)
{
    return guard_refuse(g,
        "row-level security is on for table \"" STR_FMT "\": name it without main. and without INDEXED BY; "
        "virtual tables do not read it",
        STR_ARG(table));
}

static int number_of(const struct rowsec *rs, struct str table)
{
    int n = 0;
    for (const struct rowsec_table *t = rs->tables; t; t = t->next, n++) {
        if (str_eq_nocase(t->name, table))
            return n;
    }
    return ROWSEC_ANY;
}

static int check_insert(struct guard *g, struct str table, const char *accessor)
{
    AUTO_ARENA a;
    arena_init(&a, 1 << 20);
    if (accessor)
        return refuse_direct(g, table);
    struct rowsec_target t = rowsec_insert_target(&a, g->sql);
    if (!t.ok || !str_eq_nocase(t.name, table))
        return refuse_direct(g, table);
    g->rowsec->conflicting |= t.replaces ? ROWSEC_REPLACES : 0;
    g->rowsec->inserting = number_of(g->rowsec, table);
    return ROWSEC_PASS;
}

/* SQLite's own doing, or ON CONFLICT DO UPDATE of the INSERT. */
static int check_unnamed(struct guard *g, int action, struct str table)
{
    AUTO_ARENA a;
    arena_init(&a, 1 << 20);
    if (says_main(g->sql))
        return refuse_direct(g, table);
    if (action == SQLITE_READ)
        return SQLITE_OK;
    struct rowsec_target t = rowsec_insert_target(&a, g->sql);
    if (!t.ok || !str_eq_nocase(t.name, table))
        return SQLITE_OK;
    g->rowsec->conflicting |= ROWSEC_UPDATES;
    return ROWSEC_PASS;
}

static int check_table(
    struct guard *g, int action, struct str table, const char *database, const char *accessor)
{
    struct rowsec *rs = g->rowsec;
    bool shadow = !database || strcmp(database, "temp") == 0;
    const struct rowsec_name *view = find(rs->views, table);
    if (view && shadow)
        rs->leaky |= view->leaky;
    if (find_closed(rs, table) && !is_trigger(g, accessor) &&
        (accessor || text_holds(g->sql, table) || !rowsec_is_plain(table)))
        return guard_refuse(g,
            "table \"" STR_FMT "\" is not available under row-level security, because what it indexes is not "
            "bound to the rows of one caller",
            STR_ARG(table));
    if (str_starts_nocase(table, S("sqlite_stat")) || str_eq_nocase(table, S("sqlite_sequence")) ||
        str_starts_nocase(table, S("_persql_")))
        return guard_refuse(
            g, "table \"" STR_FMT "\" is not available under row-level security", STR_ARG(table));
    if (str_starts_nocase(table, S("json")))
        rs->leaky = true; /* json_each and its like fail on what is no JSON */
    if (!rowsec_table(rs, table))
        return ROWSEC_PASS;
    rs->used = true;
    if (shadow)
        return ROWSEC_PASS;
    if (is_trigger(g, accessor))
        return SQLITE_OK;
    if (action == SQLITE_INSERT)
        return check_insert(g, table, accessor);
    return accessor ? refuse_direct(g, table) : check_unnamed(g, action, table);
}

static int compare_name(const void *key, const void *item)
{
    return strcmp(key, *(const char *const *)item);
}

static int check_function(struct guard *g, const char *name)
{
    if (str_starts_nocase(str_of(name), S("_sys_")))
        return guard_refuse(g, "the function %s() is not available here", name);
    if (!bsearch(name, LEAKPROOF_FUNCTIONS, ARRAY_LEN(LEAKPROOF_FUNCTIONS), sizeof LEAKPROOF_FUNCTIONS[0],
            compare_name))
        g->rowsec->leaky = true;
    return ROWSEC_PASS;
}

/* Our shadows may read whatever a policy speaks of, scope or not, but nothing of the server's. */
static int check_ours(struct guard *g, int action, const char *first, const char *second)
{
    if (action == SQLITE_FUNCTION)
        return str_starts(str_of(second), S("_sys_")) ? SQLITE_OK : ROWSEC_PASS;
    if (action == SQLITE_SELECT || action == SQLITE_RECURSIVE)
        return SQLITE_OK;
    bool servers =
        str_starts_nocase(str_of(first), S("_sys_")) || str_starts_nocase(str_of(first), S("_persql_"));
    if (action != SQLITE_READ || (servers && !is_ours(first)))
        return guard_refuse(g, "a policy speaks of what it may not read");
    g->rowsec->used = true;
    return SQLITE_OK;
}

int rowsec_authorize(struct guard *g, int action, const char *first, const char *second, const char *database,
    const char *accessor)
{
    if (is_ours(accessor))
        return check_ours(g, action, first, second);
    switch (action) {
    case SQLITE_FUNCTION: return check_function(g, second);
    case SQLITE_READ:
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE: return check_table(g, action, str_of(first), database, accessor);
    case SQLITE_PRAGMA:
        if (str_eq_nocase(str_of(first), S("foreign_key_check")))
            return guard_refuse(g, "PRAGMA foreign_key_check is not available under row-level security");
        return ROWSEC_PASS;
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE: return ROWSEC_PASS;
    default:
        return guard_refuse(g,
            "the schema is not changed under row-level security: it takes a token with the "
            "role admin and without claims");
    }
}

/* What the shadow's triggers run: text of ours, and triggers of the database. */
int rowsec_authorize_system(struct guard *g, int action, const char *first, const char *second)
{
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE: return SQLITE_OK;
    case SQLITE_FUNCTION: return str_starts(str_of(second), S("_sys_")) ? SQLITE_OK : ROWSEC_PASS;
    case SQLITE_READ:
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
        if (!guard_name_reserved(str_of(first)) || is_ours(first))
            return SQLITE_OK;
        return guard_refuse(g, "\"%s\" is a reserved name", first);
    default: return guard_refuse(g, "this kind of statement is not available here");
    }
}

/* --- Preparing --- */

enum err_code rowsec_prepare_text(struct op *op, struct str sql, struct str *ret, struct err *err)
{
    struct rowsec *rs = op->eng->guard.rowsec;
    *ret = sql;
    if (!rs)
        return ERR_OK;
    if (text_holds(sql, S(ROWSEC_PREFIX)))
        return err_set(err, ERR_FORBIDDEN, "names that begin with _sys_ are reserved");
    if (text_holds(sql, S("\xef\xbb\xbf"))) /* white space to SQLite, and to nobody else */
        return err_set(err, ERR_FORBIDDEN,
            "under row-level security a statement cannot hold U+FEFF; text with it goes into a parameter");
    struct rowsec_target t = rowsec_insert_target(op->arena, sql);
    if (!t.ok || !rowsec_table(rs, t.name))
        return ERR_OK;
    *ret = arena_printf(op->arena, STR_FMT "main." STR_FMT, STR_ARG(str_slice(sql, 0, t.at)),
        STR_ARG(str_slice(sql, t.at, sql.len)));
    return ret->ptr ? ERR_OK : err_set(err, ERR_TOO_LARGE, "the statement is too large");
}

/* A subquery is run when the first row needs it, and can fail in many ways: LIMIT 'x', a sum that is too
 * large. */
static bool has_subquery(struct str sql)
{
    int depth = 0;
    for (struct sql_token t = sql_token_next(&sql); t.kind != SQL_TOKEN_END; t = sql_token_next(&sql)) {
        if (t.kind == SQL_TOKEN_OTHER)
            depth += (t.text.ptr[0] == '(') - (t.text.ptr[0] == ')');
        else if (depth > 0 && (sql_token_is(t, S("SELECT")) || sql_token_is(t, S("VALUES"))))
            return true;
    }
    return false;
}

/* "||" is an operator that can fail, on a result that is too long. */
bool rowsec_needs_barrier(const struct guard *g, struct str sql)
{
    return g->rowsec && g->rowsec->used &&
           (g->rowsec->leaky || text_holds(sql, S("||")) || has_subquery(sql));
}

/* Without these two, nothing outside of a view is evaluated before the view's own WHERE. The amalgamation is
 * pinned, and with it the numbers, which it keeps to itself. */
enum { QUERY_FLATTENER = 0x1, PUSH_DOWN = 0x1000 };

void rowsec_barrier(struct engine *eng, bool on)
{
    (void)sqlite3_test_control(SQLITE_TESTCTRL_OPTIMIZATIONS, eng->db, on ? QUERY_FLATTENER | PUSH_DOWN : 0);
}
