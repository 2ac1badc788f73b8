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

static enum err_code read_schema(
    struct api_call *c, struct arena *a, const struct id *db, int64_t deadline_us, struct schema_object **ret)
{
    const struct jsonr_value *data;
    struct schema_object **end = ret;
    enum err_code rc = schema_ask(c, a, db, deadline_us, &data);
    *ret = NULL;
    for (size_t i = 0; !rc && i < ARRAY_LEN(LISTS); i++)
        read_list(a, jsonr_member(data, str_of(LISTS[i].list)), LISTS[i].kind, &end);
    return rc;
}

enum err_code plan_read(struct api_call *c, struct arena *a, enum capability cap,
    struct registry_entry *ret_branch, struct schema_diff *ret)
{
    struct registry_entry parent;
    struct schema_object *was = NULL, *is = NULL;
    int64_t deadline_us = clock_mono_us() + LIMIT_TEMPLATE_MS * 1000;
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
        rc = read_schema(c, a, &parent.id, deadline_us, &was);
    if (!rc)
        rc = read_schema(c, a, &ret_branch->id, deadline_us, &is);
    return rc ? rc : schema_diff(a, was, is, ret, c->err);
}
