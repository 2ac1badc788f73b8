/* PUT …/describe (admin): stores descriptions. Body {"table"?, "column"?, "description": text or null}, or
 * {"descriptions": [up to 500 of these]}. No table is the database itself; null or "" removes.
 * data: what is stored now, {"table","column","description"} or {"descriptions":[…]}. */
#include "base/strbuf.h"
#include "engine/descriptions.h"
#include "engine/op.h"
#include "json/jsonr.h"

enum { DESCRIPTIONS_MAX = 500, NAME_MAX_BYTES = 1000 };

struct entry {
    struct str table, column, description;
};

struct body {
    const struct jsonr_value *descriptions;
};

static const struct jsonr_field ENTRY_FIELDS[] = {
    {"table", JF_TEXT, offsetof(struct entry, table), JF_NULL_OK, 1, NAME_MAX_BYTES},
    {"column", JF_TEXT, offsetof(struct entry, column), JF_NULL_OK, 1, NAME_MAX_BYTES},
    {"description", JF_TEXT, offsetof(struct entry, description), JF_NULL_OK, 0, DESCRIPTION_MAX},
};
static const struct jsonr_field BODY_FIELDS[] = {
    {"descriptions", JF_ARRAY, offsetof(struct body, descriptions), 0, 1, DESCRIPTIONS_MAX},
};

static enum err_code check_names(
    struct op *op, const struct catalog *cat, struct entry *e, const char *at, struct err *err)
{
    const struct cat_table *t = catalog_table(cat, e->table);
    if (!t)
        t = catalog_view(cat, e->table);
    if (e->table.len == 0 && e->column.len)
        return err_field(err, at, "a column needs its table");
    if (e->table.len == 0)
        return op->call.has_table_scope
                   ? err_set(err, ERR_FORBIDDEN, "Token scope does not include the database's description")
                   : ERR_OK;
    if (!t)
        return err_set(err, ERR_NOT_FOUND, "no such table: " STR_FMT STR_FMT, STR_ARG(e->table),
            STR_ARG(catalog_suggest_table(cat, op->arena, e->table)));
    const struct cat_column *c = e->column.len ? cat_column(t, e->column) : NULL;
    if (e->column.len && !c)
        return err_set(err, ERR_NOT_FOUND, "no such column: " STR_FMT "." STR_FMT STR_FMT, STR_ARG(t->name),
            STR_ARG(e->column), STR_ARG(catalog_suggest_column(t, op->arena, e->column)));
    e->table = t->name; /* as the schema spells them */
    if (c)
        e->column = c->name;
    return ERR_OK;
}

static void write_name(struct jsonw *w, const char *key, struct str s)
{
    jsonw_key(w, key);
    if (s.ptr && s.len)
        jsonw_text(w, s);
    else
        jsonw_null(w);
}

/* Stores one entry and writes it as it stands now. */
static enum err_code set_one(struct op *op, const struct catalog *cat, const struct jsonr_value *value,
    const char *at, struct err *err)
{
    struct entry e = {STR_EMPTY, STR_EMPTY, {NULL, 0}};
    struct catalog_source src = catalog_source_of_op(op);
    enum err_code code =
        jsonr_fields(value, at, ENTRY_FIELDS, ARRAY_LEN(ENTRY_FIELDS), JSONR_UNKNOWN_IGNORE, &e, err);
    if (!code && !jsonr_member(value, S("description")))
        code = err_field(err, arena_printf(op->arena, "%s/description", at).ptr,
            "is required: a text, or null to remove what is stored");
    if (!code)
        code = check_names(op, cat, &e, at, err);
    if (!code && e.description.len == 0)
        e.description = (struct str){NULL, 0};
    if (!code)
        code = descriptions_set(&src, e.table, e.column, e.description, err);
    if (code)
        return code;
    jsonw_object(op->w);
    write_name(op->w, "table", e.table);
    write_name(op->w, "column", e.column);
    write_name(op->w, "description", e.description);
    jsonw_object_end(op->w);
    return ERR_OK;
}

static enum err_code set_many(
    struct op *op, const struct catalog *cat, const struct jsonr_value *list, struct err *err)
{
    enum err_code code = ERR_OK;
    int index = 0;
    jsonw_object(op->w);
    jsonw_key(op->w, "descriptions");
    jsonw_array(op->w);
    for (const struct jsonr_value *v = jsonr_first(list); v && !code; v = jsonr_next(v))
        code = set_one(op, cat, v, arena_printf(op->arena, "/descriptions/%d", index++).ptr, err);
    jsonw_array_end(op->w);
    jsonw_object_end(op->w);
    return code;
}

enum err_code op_run_DESCRIBE_SET(struct op *op, struct err *err)
{
    const struct jsonr_value *root;
    struct body body = {NULL};
    struct catalog cat;
    if (op->call.role != WIRE_ROLE_ADMIN)
        return err_set(err, ERR_FORBIDDEN, "storing descriptions needs the admin role");
    enum err_code code = jsonr_parse(op->arena, op->call.body, &root, err);
    if (!code)
        code = jsonr_fields(root, "", BODY_FIELDS, ARRAY_LEN(BODY_FIELDS), JSONR_UNKNOWN_IGNORE, &body, err);
    if (!code)
        code = catalog_of_op(op, &cat, err);
    if (code)
        return code;
    return body.descriptions ? set_many(op, &cat, body.descriptions, err) : set_one(op, &cat, root, "", err);
}
