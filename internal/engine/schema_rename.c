/* Tables that a request gives another name. A page of the file may be another table's afterwards, so the
 * statement itself says it: its form is fixed. */
#include "engine/change_record.h"
#include "engine/schema_state.h"
#include "engine/sql_token.h"
#include "engine/task.h"

/* A name, perhaps behind that of the schema. */
static struct str take_name(struct arena *a, struct str *rest)
{
    struct sql_token t = sql_token_next(rest);
    struct str name = sql_token_value(a, t);
    if (t.kind != SQL_TOKEN_WORD)
        return name;
    for (size_t at = name.len; at > 0; at--) {
        if (name.ptr[at - 1] == '.')
            return at == name.len ? take_name(a, rest) : str_slice(name, at, name.len);
    }
    return name;
}

static bool read_rename(struct arena *a, struct str sql, struct schema_rename *ret)
{
    if (!sql_token_is(sql_token_next(&sql), S("ALTER")) || !sql_token_is(sql_token_next(&sql), S("TABLE")))
        return false;
    ret->from = arena_copy(a, take_name(a, &sql));
    if (!sql_token_is(sql_token_next(&sql), S("RENAME")) || !sql_token_is(sql_token_next(&sql), S("TO")))
        return false;
    ret->to = arena_copy(a, take_name(a, &sql));
    return ret->from.ptr && ret->to.ptr;
}

struct schema_rename *schema_renames(struct op *op)
{
    struct schema_rename *list = NULL, one;
    const struct task *t = task_of(op);
    for (size_t i = 0; i < exec_count(t); i++) {
        if (sql_verb(exec_sql(t, i)) != SQL_VERB_ALTER || !read_rename(op->arena, exec_sql(t, i), &one))
            continue;
        struct schema_rename *r = ARENA_NEW(op->arena, struct schema_rename);
        *r = one;
        r->next = list;
        list = r;
    }
    return list;
}

static struct schema_object *table_named(struct schema_object *list, struct str name)
{
    while (list && !(str_eq(list->type, S("table")) && str_eq_nocase(list->name, name)))
        list = list->next;
    return list;
}

/* ptr NULL: it had none. *ret_touched: rows were changed under a name that is not its any more. */
static struct str first_name(
    const struct schema_rename *list, struct str name, const struct recorder *r, bool *ret_touched)
{
    struct str first = {NULL, 0};
    *ret_touched = false;
    for (; list; list = list->next) {
        if (!str_eq_nocase(list->to, name))
            continue;
        first = name = list->from;
        *ret_touched |= recorder_touched(r, name);
    }
    return first;
}

enum err_code schema_mark_renames(const struct schema_rename *list, struct schema_object *before,
    struct schema_object *after, const struct recorder *r, struct err *err)
{
    for (struct schema_object *o = after; o; o = o->next) {
        bool touched = false;
        if (!list || !str_eq(o->type, S("table")))
            continue;
        struct str name = first_name(list, o->name, r, &touched);
        o->replaced = name.ptr && table_named(before, o->name) && !str_eq_nocase(name, o->name);
        if (table_named(before, o->name))
            continue;
        struct schema_object *was = name.ptr ? table_named(before, name) : NULL;
        if (!was || table_named(after, name))
            continue;
        if (touched)
            return err_set(err, ERR_INVALID,
                "rows of \"" STR_FMT "\" were changed before it was renamed, which cannot be shown: propose "
                "the one after the other",
                STR_ARG(name));
        o->renamed = was->name;
        was->renamed = o->name;
    }
    return ERR_OK;
}
