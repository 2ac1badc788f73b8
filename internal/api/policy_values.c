/* See policy_values.h. */
#include "api/policy_values.h"

static const struct jsonr_value *member(const struct jsonr_value *object, struct str name)
{
    return object && jsonr_kind(object) == JSONR_OBJECT ? jsonr_member(object, name) : NULL;
}

struct audit_value audit_text_member(const struct jsonr_value *object, const char *name)
{
    const struct jsonr_value *v = member(object, str_of(name));
    return audit_text_or_null(name, v && jsonr_kind(v) == JSONR_TEXT ? jsonr_text(v) : STR_EMPTY);
}

static struct audit_value using_of(const struct jsonr_value *object)
{
    struct audit_value told = audit_text_member(object, "using");
    if (told.kind == AUDIT_VALUE_NULL)
        told = audit_text_member(object, "expression"); /* another name of it */
    told.name = "using";
    return told;
}

static struct audit_value roles_of(const struct jsonr_value *object, struct str texts[POLICY_ROLES_MAX])
{
    const struct jsonr_value *list = member(object, S("roles"));
    size_t count = 0;
    if (!list || jsonr_kind(list) != JSONR_ARRAY)
        return audit_null("roles");
    for (const struct jsonr_value *v = jsonr_first(list); v && count < POLICY_ROLES_MAX; v = jsonr_next(v)) {
        if (jsonr_kind(v) == JSONR_TEXT)
            texts[count++] = jsonr_text(v);
    }
    return audit_list("roles", texts, count);
}

static struct audit_value enabled_of(const struct jsonr_value *object)
{
    const struct jsonr_value *v = member(object, S("enabled"));
    if (!v || jsonr_kind(v) != JSONR_BOOL)
        return audit_null("enabled");
    return audit_text("enabled", jsonr_bool(v) ? S("true") : S("false"));
}

void policy_values(struct str id, const struct jsonr_value *object, struct policy_values *ret)
{
    struct audit_value *v = ret->values;
    *v++ = audit_text_or_null("policy", id);
    *v++ = audit_text_member(object, "name");
    *v++ = audit_text_member(object, "tableName");
    *v++ = audit_text_member(object, "command");
    *v++ = using_of(object);
    *v++ = audit_text_member(object, "withCheck");
    *v++ = roles_of(object, ret->roles);
    *v++ = enabled_of(object);
    *v = (struct audit_value){.kind = AUDIT_VALUES_END};
}

const struct jsonr_value *answer_before(struct arena *a, struct str answer)
{
    const struct jsonr_value *root;
    if (jsonr_parse(a, answer, &root, NULL))
        return NULL;
    const struct jsonr_value *before = member(member(root, S("data")), S("before"));
    return before && jsonr_kind(before) == JSONR_OBJECT ? before : NULL;
}

bool policy_values_before(struct arena *a, struct str id, struct str answer, struct policy_values *ret)
{
    const struct jsonr_value *before = answer_before(a, answer);
    if (before)
        policy_values(id, before, ret);
    return before != NULL;
}
