/* See plan.h. */
#include "api/persql/plan.h"
#include "api/persql/template.h"
#include "base/clock.h"
#include "base/limits.h"
#include "branch/branch.h"

static const struct {
    const char *list;
    enum schema_kind kind;
} LISTS[] = {{"tables", SCHEMA_TABLE}, {"views", SCHEMA_VIEW}, {"indexes", SCHEMA_INDEX},
    {"triggers", SCHEMA_TRIGGER}};

static struct str text_of(const struct jsonr_value *object, const char *name)
{
    const struct jsonr_value *v = jsonr_member(object, str_of(name));
    return v && jsonr_kind(v) == JSONR_TEXT ? jsonr_text(v) : STR_EMPTY;
}

/* Nothing an engine says is believed: what is no object is passed over. */
static void read_list(
    struct arena *a, const struct jsonr_value *list, enum schema_kind kind, struct schema_object ***end)
{
    for (const struct jsonr_value *v = list && jsonr_kind(list) == JSONR_ARRAY ? jsonr_first(list) : NULL; v;
         v = jsonr_next(v)) {
        struct schema_object *o = jsonr_kind(v) == JSONR_OBJECT ? arena_alloc(a, sizeof *o) : NULL;
        if (!o)
            continue;
        *o = (struct schema_object){
            .kind = kind, .name = text_of(v, "name"), .table = text_of(v, "table"), .sql = text_of(v, "sql")};
        **end = o;
        *end = &o->next;
    }
}

/* What the branch began with; `ret_unknown`: its file does not tell. */
static struct schema_object *read_base(struct arena *a, const struct jsonr_value *data, bool *ret_unknown)
{
    struct schema_object *list = NULL, **end = &list;
    const struct jsonr_value *base = jsonr_member(data, S("base"));
    *ret_unknown = !base || jsonr_kind(base) != JSONR_OBJECT;
    for (size_t i = 0; !*ret_unknown && i < ARRAY_LEN(LISTS); i++)
        read_list(a, jsonr_member(base, str_of(LISTS[i].list)), LISTS[i].kind, &end);
    return list;
}

static struct schema_object *read_schema(struct arena *a, const struct jsonr_value *data)
{
    struct schema_object *list = NULL, **end = &list;
    for (size_t i = 0; i < ARRAY_LEN(LISTS); i++)
        read_list(a, jsonr_member(data, str_of(LISTS[i].list)), LISTS[i].kind, &end);
    return list;
}

static enum err_code read_sides(struct api_call *c, struct arena *a, const struct id *parent_id,
    const struct id *branch_id, struct schema_sides *ret, struct str *ret_name)
{
    int64_t deadline_us = clock_mono_us() + LIMIT_TEMPLATE_MS * 1000;
    const struct jsonr_value *data;
    enum err_code rc = schema_ask(c, a, parent_id, false, deadline_us, &data);
    if (rc)
        return rc;
    ret->parent = read_schema(a, data);
    rc = schema_ask(c, a, branch_id, true, deadline_us, &data);
    if (rc)
        return rc;
    ret->branch = read_schema(a, data);
    ret->base = read_base(a, data, &ret->base_unknown);
    *ret_name = text_of(data, "now");
    return ERR_OK;
}

enum err_code plan_read_named(struct api_call *c, struct arena *a, enum capability cap,
    struct registry_entry *ret_branch, struct schema_diff *ret, struct str *ret_name)
{
    struct registry_entry parent;
    struct schema_sides sides = {.base = NULL};
    enum err_code rc = ERR_OK;
    if (c->who->has_table_scope)
        rc = err_set(c->err, ERR_FORBIDDEN, "This shows all tables: it needs a token without a table scope");
    if (!rc)
        rc = branch_check_ref(c->item, "/ref", c->err);
    if (!rc)
        rc = call_database(c, cap, &parent);
    if (!rc)
        rc = registry_get_branch(c->db, &parent.id, c->item, ret_branch, c->err);
    if (!rc)
        rc = read_sides(c, a, &parent.id, &ret_branch->id, &sides, ret_name);
    return rc ? rc : schema_diff(a, &sides, ret, c->err);
}

enum err_code plan_read(struct api_call *c, struct arena *a, enum capability cap,
    struct registry_entry *ret_branch, struct schema_diff *ret)
{
    struct str name;
    return plan_read_named(c, a, cap, ret_branch, ret, &name);
}
