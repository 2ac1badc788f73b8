/* What rests on that which goes, and is none of the difference: views, and tables that refer to it. */
#include "engine/catalog.h"
#include "engine/engine_state.h"
#include "engine/schema_state.h"
#include "engine/undo_schema.h"

static bool is_prepared(struct schema_undo *s, struct str view)
{
    AUTO_SQL *stmt = NULL; /* as the caller would read it: ours do not look into views */
    AUTO_STRBUF sql;
    struct err why = ERR_INIT;
    strbuf_init(&sql, 1 << 20);
    strbuf_add_cstr(&sql, "SELECT 1 FROM main.");
    catalog_quote(&sql, view);
    bool one, fine = !strbuf_failed(&sql) &&
                     op_prepare_tenant(s->op, strbuf_str(&sql), &stmt, &one, &why) == ERR_OK;
    s->op->error_detail = STR_EMPTY;
    return fine;
}

static bool is_view(const struct schema_undo *s, const struct schema_object *o)
{
    return str_eq(o->type, S("view")) && !schema_undo_find(s, o->type, o->name);
}

void schema_undo_note_views(struct schema_undo *s)
{
    for (const struct schema_object *o = s->now; o; o = o->next) {
        if (!is_view(s, o) || !is_prepared(s, o->name))
            continue;
        struct schema_undo_view *v = ARENA_NEW(s->op->arena, struct schema_undo_view);
        *v = (struct schema_undo_view){s->views, o->name};
        s->views = v;
    }
}

enum err_code schema_undo_check_views(struct schema_undo *s, struct err *err)
{
    for (const struct schema_undo_view *v = s->views; v; v = v->next) {
        if (!is_prepared(s, v->name))
            return op_check_time(s->op, err)
                       ? err->code
                       : err_set(err, ERR_CONFLICT,
                             "the view \"" STR_FMT "\" reads what would go: drop it first", STR_ARG(v->name));
    }
    return ERR_OK;
}

enum err_code schema_undo_each_referring(struct schema_undo *s, const struct schema_undo_change *c,
    void (*fn)(void *arg, const struct schema_object *o), void *arg, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    struct catalog_source src = catalog_source_of_op(s->op);
    bool row = true;
    enum err_code code = catalog_prepare(&src,
        "SELECT m.name FROM main.sqlite_schema m WHERE m.type = 'table' AND EXISTS (SELECT 1 FROM "
        "pragma_foreign_key_list(m.name) f WHERE f.\"table\" = ?1 COLLATE NOCASE)",
        c->name, &stmt, err);
    while (!code && !(code = catalog_step(&src, stmt, &row, err)) && row) {
        struct schema_object like = {.type = S("table"), .name = catalog_text(s->op->arena, stmt, 0)};
        const struct schema_object *o = schema_find_named(s->now, &like);
        if (o && !schema_undo_find(s, o->type, o->name))
            fn(arg, o);
    }
    return code;
}
