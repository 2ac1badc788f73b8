/* Invariants, by an admin who stands under no limit.
 *
 * INVARIANT_LIST data: [{"id", "name", "sql", "note"|null, "peopleOnly", "createdAt"} …] by name.
 * ?broken=true: of those that do not hold now {"id", "name", "note", "columns", "rows", "truncated"}, or
 * "problem" in place of the last three.
 * INVARIANT_SET {"name", "sql", "note"?, "peopleOnly"?} stores one that holds now; data: the same.
 * ERR_INVARIANT: it does not. INVARIANT_DROP ?id= removes one and tells "before". */
#include "base/clock.h"
#include "base/id.h"
#include "base/limits.h"
#include "engine/binding.h"
#include "engine/catalog.h"
#include "engine/engine_state.h"
#include "engine/invariant.h"
#include "engine/proposal_view.h"
#include "engine/rule.h"
#include "json/jsonr.h"

enum { NAME_BYTES_MAX = 80 };

static enum err_code check_caller(struct op *op, struct err *err)
{
    if (proposal_sees_all(op))
        return ERR_OK;
    return err_set(err, ERR_FORBIDDEN,
        "invariants are an admin's: the token must have the role admin, and neither table scope nor claims");
}

static void write_wish(struct jsonw *w, const struct invariant *i)
{
    JSONW_TEXT(w, "name", i->name);
    JSONW_TEXT(w, "sql", i->query);
    JSONW_TEXT_OR_NULL(w, "note", i->note);
    JSONW_BOOL(w, "peopleOnly", i->people_only);
}

static void write_one(struct jsonw *w, const struct invariant *i)
{
    char iso[CLOCK_ISO_MAX];
    clock_iso(i->created_ms, iso);
    jsonw_object(w);
    JSONW_TEXT(w, "id", i->id);
    write_wish(w, i);
    JSONW_CSTR(w, "createdAt", iso);
    jsonw_object_end(w);
}

/* Nothing of one that holds. */
static enum err_code write_broken(struct op *op, struct invariant *i, struct err *err)
{
    struct err why = ERR_INIT;
    enum err_code code = invariant_ask(op, i, &why);
    if (code != ERR_INVARIANT)
        return code ? err_set(err, code, "%s", why.message) : ERR_OK;
    if (op->invariant.len) {
        jsonw_raw(op->w, op->invariant);
        op->invariant = STR_EMPTY;
        return ERR_OK;
    }
    jsonw_object(op->w);
    JSONW_TEXT(op->w, "id", i->id);
    JSONW_TEXT(op->w, "name", i->name);
    JSONW_TEXT_OR_NULL(op->w, "note", i->note);
    JSONW_CSTR(op->w, "problem", why.message);
    jsonw_object_end(op->w);
    return ERR_OK;
}

static enum err_code check_which(struct op *op, bool *ret_broken, struct err *err)
{
    struct str broken = wire_arg(&op->call, "broken");
    *ret_broken = broken.ptr && str_eq(broken, S("true"));
    return !broken.ptr || *ret_broken || str_eq(broken, S("false"))
               ? ERR_OK
               : err_field(err, "/broken", "must be true or false");
}

enum err_code op_run_INVARIANT_LIST(struct op *op, struct err *err)
{
    struct invariant *i = NULL;
    bool broken = false;
    enum err_code code = check_caller(op, err);
    if (!code)
        code = check_which(op, &broken, err);
    if (!code)
        code = invariants_load(op, &i, err);
    if (code)
        return code;
    jsonw_array(op->w);
    for (; i && !code; i = i->next) {
        if (broken)
            code = write_broken(op, i, err);
        else
            write_one(op->w, i);
    }
    jsonw_array_end(op->w);
    return code;
}

/* --- Storing --- */

static const struct jsonr_field FIELDS[] = {
    {"name", JF_TEXT, offsetof(struct invariant, name), JF_REQUIRED, 1, NAME_BYTES_MAX},
    {"sql", JF_TEXT, offsetof(struct invariant, query), JF_REQUIRED, 1, LIMIT_INVARIANT_BYTES},
    {"note", JF_TEXT, offsetof(struct invariant, note), JF_NULL_OK, 1, LIMIT_RULE_NOTE_BYTES},
    {"peopleOnly", JF_BOOL, offsetof(struct invariant, people_only), 0, 0, 0},
};

/* As somebody who may read every row and change none. */
static enum err_code check_query(struct op *op, struct str sql, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    bool one = true;
    struct err why = ERR_INIT;
    enum wire_role role = op->call.role;
    op->call.role = WIRE_ROLE_READONLY;
    enum err_code code = op_prepare_tenant(op, sql, &stmt, &one, &why);
    op->call.role = role;
    op->error_detail = STR_EMPTY;
    if (code)
        return err_field(err, "/sql", "%s", why.message);
    if (!stmt || !one || !sqlite3_stmt_readonly(stmt) || sqlite3_column_count(stmt) == 0 ||
        sqlite3_stmt_isexplain(stmt))
        return err_field(err, "/sql", "must be one SELECT");
    if (sqlite3_bind_parameter_count(stmt) > 0)
        return err_field(err, "/sql", "takes no parameters");
    return sql_verb(sql) == SQL_VERB_PRAGMA ? err_field(err, "/sql", "must be one SELECT") : ERR_OK;
}

static enum err_code check_room(struct op *op, const struct invariant *new, struct err *err)
{
    struct invariant *i;
    int64_t count = 0;
    enum err_code code = invariants_load(op, &i, err);
    for (; i && !code; i = i->next, count++) {
        if (str_eq_nocase(i->name, new->name))
            code = err_set(err, ERR_CONFLICT, "there is an invariant of this name already");
    }
    if (!code && count >= LIMIT_INVARIANTS)
        return err_set(err, ERR_CONFLICT, "a database holds at most %d invariants", (int)LIMIT_INVARIANTS);
    return code;
}

static enum err_code put(struct op *op, const struct invariant *i, struct err *err)
{
    struct binding b = binding_of(op, OWN_INVARIANT_PUT);
    bind_text(&b, i->id);
    bind_text(&b, i->name);
    bind_text(&b, i->query);
    bind_text(&b, i->note);
    bind_int(&b, i->created_ms);
    bind_int(&b, i->people_only);
    invariants_forget(op->eng);
    return binding_run(op, &b, err);
}

enum err_code op_run_INVARIANT_SET(struct op *op, struct err *err)
{
    const struct jsonr_value *root;
    struct id id = id_new("inv");
    struct invariant i = {.id = id_str(&id),
        .note = {NULL, 0},
        .reads = {NULL, 0},
        .people_only = rules_of_person(op),
        .created_ms = clock_wall_ms()};
    enum err_code code = check_caller(op, err);
    if (!code)
        code = jsonr_parse(op->arena, op->call.body, &root, err);
    if (!code)
        code = jsonr_fields(root, "", FIELDS, ARRAY_LEN(FIELDS), JSONR_UNKNOWN_REFUSE, &i, err);
    if (!code)
        code = check_query(op, i.query, err);
    if (!code)
        code = check_room(op, &i, err);
    if (!code)
        code = invariant_ask(op, &i, err);
    if (!code)
        code = put(op, &i, err);
    if (!code)
        write_one(op->w, &i);
    return code;
}

static enum err_code find(struct op *op, struct str id, struct invariant *ret, struct err *err)
{
    struct invariant *i;
    enum err_code code = invariants_load(op, &i, err);
    while (i && !str_eq(i->id, id))
        i = i->next;
    if (!code && !i)
        return err_set(err, ERR_NOT_FOUND, "No such invariant");
    if (code)
        return code;
    *ret = (struct invariant){.id = arena_copy(op->arena, i->id),
        .name = arena_copy(op->arena, i->name),
        .query = arena_copy(op->arena, i->query),
        .note = i->note.ptr ? arena_copy(op->arena, i->note) : i->note,
        .people_only = i->people_only};
    return arena_failed(op->arena) ? err_set(err, ERR_TOO_LARGE, "the invariant is too large") : ERR_OK;
}

static enum err_code drop(struct op *op, const struct invariant *i, struct err *err)
{
    if (i->people_only && !rules_of_person(op))
        return err_set(err, ERR_FORBIDDEN,
            "The invariant \"" STR_FMT "\" is kept by people: a token cannot remove it. An admin who signed "
            "in and gave the password can",
            STR_ARG(i->name));
    struct binding b = binding_of(op, OWN_INVARIANT_DROP);
    bind_text(&b, i->id);
    invariants_forget(op->eng);
    return binding_run(op, &b, err);
}

enum err_code op_run_INVARIANT_DROP(struct op *op, struct err *err)
{
    struct invariant i = {.id = STR_EMPTY};
    enum err_code code = check_caller(op, err);
    if (!code)
        code = find(op, op_id(op), &i, err);
    if (!code)
        code = drop(op, &i, err);
    if (code)
        return code;
    op_write_dropped(op, i.id);
    jsonw_key(op->w, "before");
    jsonw_object(op->w);
    write_wish(op->w, &i);
    jsonw_object_end(op->w);
    jsonw_object_end(op->w);
    return ERR_OK;
}
