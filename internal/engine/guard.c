/* The authorizer. */
#include "engine/change_record.h"
#include "engine/guard.h"
#include "base/check.h"
#include "base/mem.h"
#include "engine/engine_state.h"
#include "engine/rowsec.h"
#include <stdlib.h>

enum arg_kind { ARG_NONE, ARG_TABLE, ARG_NAME };
enum pragma_form { PRAGMA_READ, PRAGMA_TABLE, PRAGMA_NAME, PRAGMA_VALUE_INT, PRAGMA_VALUE_BOOL };

struct action_rule {
    enum wire_role role; /* 0: refused */
    enum arg_kind first, second;
    const char *refusal;
};

#define ACTIONS_MAX 40

static const struct action_rule ACTIONS[ACTIONS_MAX] = {
#define GUARD_ALLOW(action, least, a, b) [SQLITE_##action] = {WIRE_ROLE_##least, ARG_##a, ARG_##b, NULL},
#define GUARD_REFUSE(action, why)        [SQLITE_##action] = {0, ARG_NONE, ARG_NONE, why},
#include "sql_guard.def"
};

static const char *const VERB_REFUSALS[SQL_VERB_COUNT] = {
#define GUARD_VERB(verb, why) [SQL_VERB_##verb] = why,
#include "sql_guard.def"
};

struct pragma_rule {
    const char *name;
    enum pragma_form form;
};

static const struct pragma_rule PRAGMAS[] = {
#define GUARD_PRAGMA(name, form) {#name, PRAGMA_##form},
#include "sql_guard.def"
};

static const char *const FUNCTIONS[] = {
#define GUARD_FUNCTION(name) name,
#include "sql_guard.def"
};

static const struct {
    const char *name, *why;
} NO_FUNCTIONS[] = {
#define GUARD_NO_FUNCTION(name, why) {name, why},
#include "sql_guard.def"
};

static const char *const MODULES[] = {
#define GUARD_MODULE(name) #name,
#include "sql_guard.def"
};

static const char *const PREFIXES[] = {
#define GUARD_PREFIX(prefix) prefix,
#include "sql_guard.def"
};

static const char *const TABLE_FUNCTIONS[] = {
#define GUARD_TABLE_FUNCTION(name) #name,
#include "sql_guard.def"
};

#define QUERY_LOG_TABLE S("_persql_meta_query_log")

static bool one_of(struct str name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq_nocase(name, str_of(list[i])))
            return true;
    }
    return false;
}

bool guard_name_reserved(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(PREFIXES); i++) {
        if (str_starts_nocase(name, str_of(PREFIXES[i])))
            return true;
    }
    return one_of(name, TABLE_FUNCTIONS, ARRAY_LEN(TABLE_FUNCTIONS));
}

bool guard_in_scope(const struct wire_call *call, struct str table)
{
    if (!call->has_table_scope)
        return true;
    for (uint16_t i = 0; i < call->table_count; i++) {
        if (str_eq_nocase(table, call->tables[i]))
            return true;
    }
    return false;
}

/* FTS5 reads and writes its parts by SQL of its own, which comes by here like any other. */
static bool is_part_of_scoped_fts5(const struct guard *g, struct str table)
{
    static const struct str PARTS[] = {
        {"_data", 5}, {"_idx", 4}, {"_content", 8}, {"_docsize", 8}, {"_config", 7}};
    for (size_t i = 0; i < ARRAY_LEN(PARTS); i++) {
        if (!str_ends(table, PARTS[i]))
            continue;
        struct str owner = str_slice(table, 0, table.len - PARTS[i].len);
        if (map_get(&g->fts5, owner) && guard_in_scope(g->call, owner))
            return true;
    }
    return false;
}

/* The first reason counts: what follows is often its consequence. */
int guard_refuse(struct guard *g, const char *fmt, ...)
{
    if (!g->refused) {
        va_list ap;
        va_start(ap, fmt);
        str_vprint_cut(g->text, sizeof g->text, fmt, ap);
        va_end(ap);
        g->refused = true;
        g->role_too_low = false;
    }
    return SQLITE_DENY;
}

static const char *role_name(enum wire_role role)
{
    return role == WIRE_ROLE_ADMIN ? "admin" : role == WIRE_ROLE_READWRITE ? "readwrite" : "readonly";
}

int guard_refuse_role(struct guard *g, enum wire_role least)
{
    bool first = !g->refused;
    if (sql_verb_changes_schema(g->verb))
        least = WIRE_ROLE_ADMIN;
    int rc =
        guard_refuse(g, "%s needs a token with the role %s; this token's role is %s", sql_verb_name(g->verb),
            least == WIRE_ROLE_ADMIN ? "admin" : "readwrite or admin", role_name(g->call->role));
    if (first)
        g->role_too_low = true;
    return rc;
}

/* SQLite's own tables: the schema is written by schema statements alone, which SQLite enforces too; sequences
 * belong to dumps; statistics to ANALYZE and to DROP. */
static int check_sqlite_table(struct guard *g, int action, struct str name, const char *column)
{
    bool schema = str_eq_nocase(name, S("sqlite_master")) || str_eq_nocase(name, S("sqlite_schema"));
    bool stat = str_starts_nocase(name, S("sqlite_stat"));
    bool sequence = str_eq_nocase(name, S("sqlite_sequence"));
    bool ddl = sql_verb_changes_schema(g->verb);
    schema = schema || (g->verb == SQL_VERB_ALTER && str_starts_nocase(name, S("sqlite_temp_")));
    if (!schema && !stat && !sequence)
        return guard_refuse(g, "%.*s belongs to SQLite and is not available", STR_ARG(name));
    if (action == SQLITE_READ) {
        bool needed = ddl && (g->verb != SQL_VERB_CREATE || str_eq_nocase(str_of(column), S("ROWID")));
        if (needed || guard_in_scope(g->call, name))
            return SQLITE_OK;
        return guard_refuse(g, "Token scope does not include table \"%.*s\"", STR_ARG(name));
    }
    if (g->call->role < WIRE_ROLE_ADMIN)
        return guard_refuse_role(g, WIRE_ROLE_ADMIN);
    if (ddl || (sequence && guard_in_scope(g->call, name)))
        return SQLITE_OK;
    return guard_refuse(
        g, "%.*s belongs to SQLite and cannot be changed by %s", STR_ARG(name), sql_verb_name(g->verb));
}

/* ALTER TABLE … ADD COLUMN looks at the rows there are, by a statement of SQLite's own: a tenant's ALTER
 * TABLE has no place for one. */
static bool is_check_of_alter(const struct guard *g, struct str name, struct str check)
{
    return g->verb == SQL_VERB_ALTER && str_eq(name, check);
}

static int check_table(struct guard *g, int action, struct str name, const char *column)
{
    if (str_starts_nocase(name, S("sqlite_")))
        return check_sqlite_table(g, action, name, column);
    if (action == SQLITE_READ && (one_of(name, TABLE_FUNCTIONS, ARRAY_LEN(TABLE_FUNCTIONS)) ||
                                     is_check_of_alter(g, name, S("pragma_quick_check"))))
        return SQLITE_OK;
    bool log = action == SQLITE_READ && str_eq_nocase(name, QUERY_LOG_TABLE);
    if (guard_name_reserved(name) && !log)
        return guard_refuse(g,
            "\"%.*s\" is a reserved name: the server keeps names that begin with _sys_ and _persql_ "
            "(and json_each, json_tree) for itself",
            STR_ARG(name));
    if (!guard_in_scope(g->call, name) && !is_part_of_scoped_fts5(g, name))
        return guard_refuse_table(g, name);
    /* An index over a hidden table tells of its rows, although none is read from there. */
    const char *content = g->call->has_table_scope ? map_get(&g->fts5, name) : NULL;
    if (content && content[0] && !guard_in_scope(g->call, str_of(content)))
        return guard_refuse_table(g, str_of(content));
    return SQLITE_OK;
}

static int check_arg(struct guard *g, int action, enum arg_kind kind, const char *name, const char *column)
{
    if (kind == ARG_NONE || !name)
        return SQLITE_OK;
    if (kind == ARG_TABLE)
        return check_table(g, action, str_of(name), column);
    if (guard_name_reserved(str_of(name)))
        return guard_refuse(g, "\"%s\" is a reserved name", name);
    return SQLITE_OK;
}

/* Both visit every table when nobody names one, and say of an index whose it is to nobody: without this a
 * scope would keep a caller from reading a table but not from working on it. Names of hidden tables stay
 * unsaid. */
static int check_upkeep(struct guard *g, struct str table)
{
    if (guard_in_scope(g->call, table))
        return SQLITE_OK;
    return guard_refuse(g,
        "a token with a table scope can %s the tables of its scope, one by one, and nothing else",
        sql_verb_name(g->verb));
}

static struct str table_of_index(const struct guard *g, const char *index)
{
    const char *table = map_get(&g->indexes, str_of(index));
    return str_of(table ? table : "");
}

/* SQLite tells the function of a DEFAULT as it was written, CURRENT_TIMESTAMP for example. */
static int compare_name(const void *key, const void *item)
{
    return sqlite3_stricmp(key, *(const char *const *)item);
}

/* A row must not be seen at one time and hidden at another for no reason of its own. */
static int check_policy_function(struct guard *g, const char *name)
{
    static const char *const FICKLE[] = {
        "changes", "last_insert_rowid", "random", "randomblob", "total_changes"};
    if (str_eq(str_of(name), S("_sys_claim")))
        return SQLITE_OK;
    if (one_of(str_of(name), FICKLE, ARRAY_LEN(FICKLE)))
        return guard_refuse(g, "a policy cannot use %s()", name);
    return ROWSEC_PASS;
}

bool guard_function_listed(const char *name)
{
    return bsearch(name, FUNCTIONS, ARRAY_LEN(FUNCTIONS), sizeof FUNCTIONS[0], compare_name) != NULL;
}

static int check_function(struct guard *g, const char *name)
{
    int policy = g->policy_text ? check_policy_function(g, name) : ROWSEC_PASS;
    if (policy != ROWSEC_PASS)
        return policy;
    /* ALTER TABLE … RENAME TO tells the authorizer only the old name; this function it alone calls. */
    if (g->call->has_table_scope && strcmp(name, "sqlite_rename_table") == 0)
        return guard_refuse_rename(g);
    if (guard_function_listed(name))
        return SQLITE_OK;
    for (size_t i = 0; i < ARRAY_LEN(NO_FUNCTIONS); i++) {
        if (str_eq_nocase(str_of(name), str_of(NO_FUNCTIONS[i].name)))
            return guard_refuse(g, "the function %s() is not available here: %s", name, NO_FUNCTIONS[i].why);
    }
    return guard_refuse(g, "the function %s() is not available here", name);
}

static int refuse_pragma(struct guard *g, const char *name)
{
    return guard_refuse(g,
        "PRAGMA %s is not available: the server sets how databases run; table_info, table_xinfo, table_list, "
        "index_list, index_info, foreign_key_list, foreign_key_check, page_count, page_size, freelist_count, "
        "user_version and defer_foreign_keys are",
        name);
}

static bool is_integer(const char *value)
{
    int64_t n;
    return str_to_i64(str_of(value), INT32_MIN, INT32_MAX, &n);
}

static bool is_boolean(const char *value)
{
    static const char *const WORDS[] = {"on", "off", "true", "false", "yes", "no", "1", "0"};
    return one_of(str_of(value), WORDS, ARRAY_LEN(WORDS));
}

static int check_pragma_value(struct guard *g, const struct pragma_rule *rule, const char *value)
{
    if (g->call->role < WIRE_ROLE_READWRITE)
        return guard_refuse_role(g, WIRE_ROLE_READWRITE);
    if (rule->form == PRAGMA_VALUE_INT && !is_integer(value))
        return guard_refuse(g, "PRAGMA %s takes an integer", rule->name);
    if (rule->form == PRAGMA_VALUE_BOOL && !is_boolean(value))
        return guard_refuse(g, "PRAGMA %s takes ON or OFF", rule->name);
    g->one_shot = true;
    if (rule->form == PRAGMA_VALUE_BOOL)
        g->defers_foreign_keys = true;
    return SQLITE_OK;
}

static int check_pragma(struct guard *g, const char *name, const char *value)
{
    const struct pragma_rule *rule = NULL;
    for (size_t i = 0; i < ARRAY_LEN(PRAGMAS) && !rule; i++) {
        if (str_eq_nocase(str_of(name), str_of(PRAGMAS[i].name)))
            rule = &PRAGMAS[i];
    }
    if (!rule && value && is_check_of_alter(g, str_of(name), S("quick_check")))
        return check_table(g, SQLITE_READ, str_of(value), NULL);
    if (!rule || (rule->form == PRAGMA_READ && value))
        return refuse_pragma(g, name);
    if (rule->form == PRAGMA_READ || (rule->form != PRAGMA_TABLE && rule->form != PRAGMA_NAME && !value))
        return SQLITE_OK;
    if (rule->form == PRAGMA_TABLE && value)
        return check_table(g, SQLITE_READ, str_of(value), NULL);
    if (rule->form == PRAGMA_TABLE || rule->form == PRAGMA_NAME) {
        if (g->call->has_table_scope)
            return guard_refuse(g,
                "PRAGMA %s is not available to a token with a table scope, because its answer is not bound "
                "to one table",
                name);
        return value && guard_name_reserved(str_of(value))
                   ? guard_refuse(g, "\"%s\" is a reserved name", value)
                   : SQLITE_OK;
    }
    return check_pragma_value(g, rule, value);
}

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || (unsigned char)c >= 0x80;
}

/* The arguments of a virtual table are text to SQLite, so the authorizer is not told of the tables in them.
 */
static bool speaks_of_reserved(struct str sql)
{
    for (size_t at = 0; at < sql.len; at++) {
        bool begins = at == 0 || !is_word_byte(sql.ptr[at - 1]);
        for (size_t i = 0; begins && i < ARRAY_LEN(PREFIXES); i++) {
            if (str_starts_nocase(str_slice(sql, at, sql.len), str_of(PREFIXES[i])))
                return true;
        }
    }
    return false;
}

static int check_special(struct guard *g, int action, const char *first, const char *second)
{
    switch (action) {
    case SQLITE_FUNCTION: return check_function(g, second);
    case SQLITE_PRAGMA: return check_pragma(g, first, second);
    case SQLITE_ANALYZE: return check_upkeep(g, str_of(first));
    case SQLITE_REINDEX: /* CREATE INDEX says it too, of an index that is not known yet */
        return g->verb == SQL_VERB_REINDEX && g->call->has_table_scope
                   ? check_upkeep(g, table_of_index(g, first))
                   : SQLITE_OK;
    case SQLITE_CREATE_VTABLE:
        if (!one_of(str_of(second), MODULES, ARRAY_LEN(MODULES)))
            return guard_refuse(
                g, "virtual tables are made with fts5 or fts5vocab; the module %s is not available", second);
        if (speaks_of_reserved(g->sql))
            return guard_refuse(g,
                "a virtual table cannot use the server's own tables: _sys_… and _persql_… are "
                "reserved names, also as content= and other arguments");
        g->makes_virtual_table = true;
        return SQLITE_OK;
    case SQLITE_CREATE_VIEW:
        str_print_cut(g->created_view, sizeof g->created_view, "%s", first);
        return SQLITE_OK;
    case SQLITE_DROP_INDEX:
        return guard_in_scope(g->call, str_of(second)) ? SQLITE_OK : guard_refuse_index(g);
    case SQLITE_DROP_TABLE:
    case SQLITE_DROP_VTABLE:
    case SQLITE_DROP_VIEW:
        str_print_cut(g->dropped, sizeof g->dropped, "%s", first);
        if (g->call->has_table_scope && strlen(first) >= sizeof g->dropped)
            return guard_refuse(g, "a token with a table scope cannot drop what has so long a name");
        return SQLITE_OK;
    case SQLITE_DROP_TRIGGER: /* DROP TABLE and DROP VIEW say it of each trigger that goes with them */
        if (g->call->has_table_scope)
            return guard_refuse_trigger(g);
        return SQLITE_OK;
    case SQLITE_CREATE_TRIGGER:
        if (g->call->has_table_scope)
            return guard_refuse(
                g, "a token with a table scope cannot create triggers, because they run for every caller");
        return SQLITE_OK;
    default: return SQLITE_OK;
    }
}

/* ALTER TABLE looks for temporary triggers and views there. */
static bool is_temp_schema(const char *name)
{
    return !name || str_eq_nocase(str_of(name), S("sqlite_temp_master")) ||
           str_eq_nocase(str_of(name), S("sqlite_temp_schema"));
}

static unsigned act_of(int action, const char *column)
{
    switch (action) {
    case SQLITE_INSERT: return GUARD_INSERTS;
    case SQLITE_UPDATE: return GUARD_UPDATES;
    case SQLITE_DELETE: return GUARD_DELETES;
    case SQLITE_DROP_TABLE:
    case SQLITE_DROP_VTABLE: return GUARD_DROPS_TABLE;
    case SQLITE_ALTER_TABLE: return column ? GUARD_DROPS_COLUMN : 0; /* told for DROP COLUMN alone */
    default: return 0;
    }
}

static void note_name(struct guard_names *names, const char *name)
{
    size_t len = name ? strlen(name) + 1 : 0;
    for (size_t at = 0; at < names->len; at += strlen(names->text + at) + 1) {
        if (name && strcmp(names->text + at, name) == 0)
            return;
    }
    if (len == 0 || len > sizeof names->text - names->len) {
        names->full = true;
        return;
    }
    memcpy(names->text + names->len, name, len);
    names->len += len;
}

static int check_tenant(struct guard *g, int action, const char *first, const char *second,
    const char *database, const char *accessor)
{
    static const struct action_rule NO_RULE = {0, ARG_NONE, ARG_NONE, NULL};
    const struct action_rule *rule = action >= 0 && action < ACTIONS_MAX ? &ACTIONS[action] : &NO_RULE;
    if (rule->refusal)
        return guard_refuse(g, "%s", rule->refusal);
    if (rule->role == 0)
        return guard_refuse(g, "this kind of statement is not available");
    if (g->call->role < rule->role)
        return guard_refuse_role(g, rule->role);
    g->drops |= action == SQLITE_DROP_TABLE || action == SQLITE_DROP_VTABLE || action == SQLITE_DROP_VIEW ||
                action == SQLITE_DROP_INDEX || action == SQLITE_DROP_TRIGGER;
    if (g->names && (action == SQLITE_INSERT || action == SQLITE_UPDATE || action == SQLITE_DELETE))
        note_name(g->names, first);
    unsigned act = accessor ? 0 : act_of(action, database);
    g->acts |= act;
    if (accessor && action == SQLITE_DELETE)
        g->acts |= GUARD_TRIGGERS_DELETE;
    if (act >= GUARD_DROPS_TABLE || (act && !g->loses[0])) /* what cascades comes later */
        str_print_cut(g->loses, sizeof g->loses, "%s", act == GUARD_DROPS_COLUMN ? second : first);
    /* The first: what foreign keys do to other tables is authorized like this too, behind it. */
    if (!accessor && !g->target[0] &&
        (action == SQLITE_INSERT || action == SQLITE_UPDATE || action == SQLITE_DELETE))
        str_print_cut(g->target, sizeof g->target, "%s", first);
    int policy = g->rowsec ? rowsec_authorize(g, action, first, second, database, accessor) : ROWSEC_PASS;
    if (policy != ROWSEC_PASS)
        return policy;
    if (database && strcmp(database, "temp") == 0 && !(g->verb == SQL_VERB_ALTER && is_temp_schema(first)) &&
        !(g->rowsec && rowsec_is_shadow(g->rowsec, str_of(first))))
        return guard_refuse(g, "temporary tables, views and triggers are not available, because a connection "
                               "serves many callers: "
                               "use WITH … AS, or an ordinary table");
    int rc = check_special(g, action, first, second);
    if (rc == SQLITE_OK)
        rc = check_arg(g, action, rule->first, first, second);
    if (rc == SQLITE_OK)
        rc = check_arg(g, action, rule->second, second, NULL);
    /* Row by row, so that destruction.c is told: to a DELETE this says no more. */
    return rc == SQLITE_OK && accessor && action == SQLITE_DELETE ? SQLITE_IGNORE : rc;
}

static int check_system(struct guard *g, int action, const char *first, const char *second)
{
    int rc = rowsec_authorize_system(g, action, first, second);
    return rc == ROWSEC_PASS ? check_function(g, second) : rc;
}

static int authorize(
    void *arg, int action, const char *first, const char *second, const char *database, const char *accessor)
{
    struct guard *g = arg;
    if (action == SQLITE_UPDATE && g->recorder)
        recorder_assigns(g->recorder, first, second);
    if (g->mode == GUARD_TENANT)
        return check_tenant(g, action, first, second, database, accessor);
    if (g->mode == GUARD_SYSTEM)
        return check_system(g, action, first, second);
    if (g->names && action == SQLITE_READ)
        note_name(g->names, first);
    if (accessor && g->accessors) {
        note_name(g->accessors, accessor);
        return SQLITE_OK;
    }
    /* A trigger or a view of the tenant must not run with the engine's own rights. */
    return accessor ? SQLITE_DENY : SQLITE_OK;
}

void guard_attach(struct guard *g, sqlite3 *db)
{
    *g = (struct guard){.mode = GUARD_OWN, .schema_version = -1};
    map_init(&g->fts5);
    map_init(&g->indexes);
    guard_watch(g, db);
}

static void forget_names(struct guard *g)
{
    size_t pos = 0;
    struct str name;
    void *table;
    while (map_next(&g->indexes, &pos, &name, &table))
        mem_free(table);
    pos = 0;
    while (map_next(&g->fts5, &pos, &name, &table))
        mem_free(table);
    map_release(&g->indexes);
    map_release(&g->fts5);
}

void guard_release(struct guard *g)
{
    forget_names(g);
}

static struct str name_at(sqlite3_stmt *stmt, int column)
{
    const void *name = sqlite3_column_text(stmt, column);
    return str_make(name, (size_t)sqlite3_column_bytes(stmt, column));
}

static int learn_fts5(struct engine *eng)
{
    struct guard *g = &eng->guard;
    int rc = SQLITE_NOMEM;
    sqlite3_stmt *stmt = own_get(eng, OWN_FTS5_TABLES);
    while (stmt && (rc = own_step(eng, stmt)) == SQLITE_ROW) {
        struct arena a;
        arena_init(&a, 1 << 20);
        mem_free(map_put(&g->fts5, name_at(stmt, 0), mem_dup_str(guard_fts5_content(name_at(stmt, 1), &a))));
        arena_release(&a);
    }
    (void)sqlite3_reset(stmt); /* says the same as the step */
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int learn_indexes(struct engine *eng)
{
    int rc = SQLITE_NOMEM;
    sqlite3_stmt *stmt = own_get(eng, OWN_INDEXES);
    while (stmt && (rc = own_step(eng, stmt)) == SQLITE_ROW)
        mem_free(map_put(
            &eng->guard.indexes, name_at(stmt, 0), mem_strdup((const char *)sqlite3_column_text(stmt, 1))));
    (void)sqlite3_reset(stmt); /* says the same as the step */
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int guard_learn_scope(struct engine *eng)
{
    struct guard *g = &eng->guard;
    sqlite3_stmt *stmt = own_get(eng, OWN_SCHEMA_VERSION);
    int rc = stmt ? own_step(eng, stmt) : SQLITE_NOMEM;
    int64_t version = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : -1;
    (void)sqlite3_reset(stmt); /* says the same as the step */
    if (version == g->schema_version && version >= 0)
        return SQLITE_OK;
    forget_names(g);
    map_init(&g->fts5);
    map_init(&g->indexes);
    g->schema_version = -1; /* what is not known is not allowed */
    if (rc == SQLITE_ROW)
        rc = learn_fts5(eng);
    if (rc == SQLITE_OK)
        rc = learn_indexes(eng);
    if (rc == SQLITE_OK)
        g->schema_version = version;
    return rc;
}

/* FTS5 keeps its own prepared statements from call to call, with the rights of the call that came first. A
 * scope must be asked anew: setting the authorizer makes SQLite prepare everything again. */
static void recheck_fts5(struct engine *eng, const struct wire_call *call)
{
    struct str name;
    void *value;
    bool scoped = false;
    for (size_t pos = 0; !scoped && map_next(&eng->guard.fts5, &pos, &name, &value);)
        scoped = guard_in_scope(call, name);
    if (scoped)
        guard_watch(&eng->guard, eng->db);
}

int guard_shut_fts5(struct engine *eng)
{
    if (!eng->guard.own_reads)
        return SQLITE_OK;
    int rc = guard_learn_scope(eng);
    if (rc != SQLITE_OK)
        return rc;
    eng->guard.own_reads = false;
    if (eng->guard.fts5.count > 0)
        guard_watch(&eng->guard, eng->db);
    return SQLITE_OK;
}

int guard_prepare_for(struct engine *eng, const struct wire_call *call)
{
    int rc = guard_shut_fts5(eng);
    if (rc != SQLITE_OK || !call->has_table_scope)
        return rc;
    rc = guard_learn_scope(eng);
    if (rc == SQLITE_OK)
        recheck_fts5(eng, call);
    return rc;
}

void guard_watch(struct guard *g, sqlite3 *db)
{
    int rc = sqlite3_set_authorizer(db, authorize, g);
    CHECK(rc == SQLITE_OK);
}

static struct guard_saved save(const struct guard *g)
{
    return (struct guard_saved){g->mode, g->call, g->verb, g->sql};
}

struct guard_saved guard_enter_tenant(
    struct guard *g, const struct wire_call *call, enum sql_verb verb, struct str sql)
{
    struct guard_saved saved = save(g);
    g->mode = GUARD_TENANT;
    g->call = call;
    g->verb = verb;
    g->sql = sql;
    g->refused = g->role_too_low = g->one_shot = false;
    g->drops = false;
    g->acts = 0;
    g->created_view[0] = g->dropped[0] = g->target[0] = g->loses[0] = '\0';
    if (g->rowsec) {
        g->rowsec->leaky = g->rowsec->used = false;
        g->rowsec->conflicting = 0;
        g->rowsec->conflicts = ROWSEC_UPDATES | ROWSEC_REPLACES;
        g->rowsec->inserting = ROWSEC_NONE;
        g->rowsec->inserts = ROWSEC_ANY;
        g->rowsec->returns = true;
    }
    return saved;
}

struct guard_saved guard_enter_system(struct guard *g)
{
    struct guard_saved saved = save(g);
    g->mode = GUARD_SYSTEM;
    return saved;
}

struct guard_saved guard_enter_own(struct guard *g)
{
    struct guard_saved saved = save(g);
    g->mode = GUARD_OWN;
    return saved;
}

void guard_leave(struct guard *g, struct guard_saved saved)
{
    g->mode = saved.mode;
    g->call = saved.call;
    g->verb = saved.verb;
    g->sql = saved.sql;
}

bool guard_refuses_verb(struct guard *g, enum sql_verb verb)
{
    if (!VERB_REFUSALS[verb])
        return false;
    g->refused = false;
    (void)guard_refuse(g, "%s", VERB_REFUSALS[verb]);
    return true;
}
