/* What statements did to names of the schema. A page of the file may be another table's afterwards, and a
 * name too, so the statement itself says it: its form is fixed. */
#include "engine/change_record.h"
#include "engine/schema_state.h"
#include "engine/sql_token.h"

static bool is_dot(struct sql_token t)
{
    return t.kind == SQL_TOKEN_OTHER && str_eq(t.text, S("."));
}

/* A name, perhaps behind that of the schema. */
static struct str take_name(struct arena *a, struct str *rest)
{
    struct sql_token t = sql_token_next(rest);
    struct str name = sql_token_value(a, t), ahead = *rest;
    for (size_t at = t.kind == SQL_TOKEN_WORD ? name.len : 0; at > 0; at--) {
        if (name.ptr[at - 1] == '.')
            return at == name.len ? take_name(a, rest) : str_slice(name, at, name.len);
    }
    if (!is_dot(sql_token_next(&ahead)))
        return name;
    *rest = ahead;
    return take_name(a, rest);
}

static bool read_drop(struct arena *a, struct str sql, struct schema_deed *ret)
{
    static const struct str TYPES[] = {{"table", 5}, {"view", 4}, {"index", 5}, {"trigger", 7}};
    struct sql_token what = sql_token_next(&sql);
    struct str ahead = sql;
    size_t i = 0;
    while (i < ARRAY_LEN(TYPES) && !sql_token_is(what, TYPES[i]))
        i++;
    if (i == ARRAY_LEN(TYPES))
        return false;
    if (sql_token_is(sql_token_next(&ahead), S("IF")) && sql_token_is(sql_token_next(&ahead), S("EXISTS")))
        sql = ahead;
    *ret = (struct schema_deed){.kind = SCHEMA_DROPS, .type = TYPES[i], .name = take_name(a, &sql)};
    return ret->name.len > 0;
}

static bool read_alter(struct arena *a, struct str sql, struct schema_deed *ret)
{
    if (!sql_token_is(sql_token_next(&sql), S("TABLE")))
        return false;
    *ret = (struct schema_deed){.kind = SCHEMA_DROPS_COLUMN, .type = S("table"), .name = take_name(a, &sql)};
    struct sql_token verb = sql_token_next(&sql);
    if (sql_token_is(verb, S("DROP")))
        return true;
    if (!sql_token_is(verb, S("RENAME")) || !sql_token_is(sql_token_next(&sql), S("TO")))
        return false;
    ret->kind = SCHEMA_RENAMES;
    ret->to = take_name(a, &sql);
    return true;
}

bool schema_deed_read(struct arena *a, struct str sql, struct schema_deed *ret)
{
    struct sql_token verb = sql_token_next(&sql);
    while (verb.kind == SQL_TOKEN_OTHER && str_eq(verb.text, S(";")))
        verb = sql_token_next(&sql);
    if (sql_token_is(verb, S("DROP")))
        return read_drop(a, sql, ret);
    return sql_token_is(verb, S("ALTER")) && read_alter(a, sql, ret);
}

void schema_deed_note(struct op *op, struct str sql)
{
    struct schema_deed one;
    if (!schema_deed_read(op->arena, sql, &one))
        return;
    struct schema_deed *d = ARENA_NEW(op->arena, struct schema_deed);
    *d = (struct schema_deed){.next = op->deeds,
        .kind = one.kind,
        .type = one.type,
        .name = arena_copy(op->arena, one.name),
        .to = one.kind == SCHEMA_RENAMES ? arena_copy(op->arena, one.to) : STR_EMPTY};
    op->deeds = d;
}

static struct schema_object *table_named(struct schema_object *list, struct str name)
{
    while (list && !(str_eq(list->type, S("table")) && str_eq_nocase(list->name, name)))
        list = list->next;
    return list;
}

/* --- What became of the objects there were --- */

static void drop(struct schema_object *before, struct schema_object *o)
{
    bool owner = str_eq(o->type, S("table")) || str_eq(o->type, S("view"));
    o->gone = true;
    for (struct schema_object *part = owner ? before : NULL; part; part = part->next) {
        bool hangs = str_eq(part->type, S("index")) || str_eq(part->type, S("trigger"));
        part->gone |= hangs && str_eq_nocase(part->table, o->name);
    }
}

static void follow(struct schema_object *before, const struct schema_deed *d)
{
    struct schema_object *o = before;
    while (o && (o->gone || !str_eq(o->type, d->type) || !str_eq_nocase(o->now, d->name)))
        o = o->next;
    if (!o)
        return; /* it was made since */
    if (d->kind == SCHEMA_DROPS)
        drop(before, o);
    o->loses |= d->kind == SCHEMA_DROPS_COLUMN;
    if (d->kind == SCHEMA_RENAMES)
        o->now = d->to;
}

/* The first one first; NULL: out of memory. */
static const struct schema_deed **in_order(struct op *op, size_t *ret_count)
{
    size_t count = 0;
    for (const struct schema_deed *d = op->deeds; d; d = d->next)
        count++;
    const struct schema_deed **list = arena_alloc(op->arena, (count + 1) * sizeof list[0]);
    *ret_count = list ? count : 0;
    for (const struct schema_deed *d = list ? op->deeds : NULL; d; d = d->next)
        list[--count] = d;
    return list;
}

static enum err_code follow_all(struct op *op, struct schema_object *before, struct err *err)
{
    size_t count;
    const struct schema_deed **list = in_order(op, &count);
    for (size_t i = 0; i < count; i++)
        follow(before, list[i]);
    return list ? ERR_OK : err_set(err, ERR_TOO_LARGE, "the write changes too much of the schema");
}

struct str schema_went(struct op *op, struct str table)
{
    size_t count;
    struct schema_object o = {.type = S("table"), .name = table, .now = table};
    const struct schema_deed **list = in_order(op, &count);
    for (size_t i = 0; i < count; i++)
        follow(&o, list[i]);
    return o.gone || str_eq_nocase(o.now, table) ? (struct str){NULL, 0} : o.now;
}

/* A view, an index or a trigger of another text is shown as changed: nothing is lost with it. */
static void mark_remade(struct schema_object *before, struct schema_object *after)
{
    for (struct schema_object *o = before; o; o = o->next) {
        bool table = str_eq(o->type, S("table"));
        bool moved = o->gone || (table && !str_eq_nocase(o->now, o->name));
        struct schema_object *is = moved || table ? after : NULL;
        while (is && !(str_eq(is->type, o->type) && str_eq(is->name, o->name)))
            is = is->next;
        bool same = is && (moved || o->loses) && str_eq(is->sql, o->sql);
        o->remade = is && ((moved && table) || same || is->replaced);
        if (o->remade && table)
            is->replaced = true;
        else if (o->remade)
            is->remade = true;
    }
}

/* --- Tables under another name --- */

/* ptr NULL: it had none. *ret_touched: rows were changed under a name that is not its at the end. */
static struct str first_name(
    const struct schema_deed *list, struct str name, const struct recorder *r, bool *ret_touched)
{
    struct str first = {NULL, 0}, last = name;
    *ret_touched = false;
    for (; list; list = list->next) {
        if (list->kind != SCHEMA_RENAMES || !str_eq_nocase(list->to, name))
            continue;
        first = name = list->name;
        *ret_touched |= !str_eq_nocase(name, last) && recorder_touched(r, name);
    }
    return first;
}

static enum err_code mark_renames(const struct schema_deed *list, struct schema_object *before,
    struct schema_object *after, const struct recorder *r, struct err *err)
{
    for (struct schema_object *o = after; o; o = o->next) {
        bool touched = false;
        if (!str_eq(o->type, S("table")))
            continue;
        struct str name = first_name(list, o->name, r, &touched);
        struct schema_object *was = name.ptr ? table_named(before, name) : NULL;
        if (was && touched)
            return err_set(err, ERR_INVALID,
                "rows of \"" STR_FMT "\" were changed before it was renamed, which cannot be shown: do the "
                "one after the other",
                STR_ARG(name));
        o->replaced = name.ptr && table_named(before, o->name) && !str_eq_nocase(name, o->name);
        if (!was || table_named(before, o->name) || table_named(after, name))
            continue;
        o->renamed = was->name;
        was->renamed = o->name;
    }
    return ERR_OK;
}

enum err_code schema_mark_deeds(struct op *op, struct schema_object *before, struct schema_object *after,
    const struct recorder *r, struct err *err)
{
    if (!op->deeds)
        return ERR_OK;
    enum err_code code = follow_all(op, before, err);
    if (!code)
        code = mark_renames(op->deeds, before, after, r, err);
    if (!code)
        mark_remade(before, after);
    return code;
}
