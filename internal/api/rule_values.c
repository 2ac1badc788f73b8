/* See rule_values.h. */
#include "api/rule_values.h"
#include "api/policy_values.h"

static struct audit_value int_of(const struct jsonr_value *object, const char *name)
{
    const struct jsonr_value *v =
        object && jsonr_kind(object) == JSONR_OBJECT ? jsonr_member(object, str_of(name)) : NULL;
    return v && jsonr_kind(v) == JSONR_INT ? audit_int(name, jsonr_int(v)) : audit_null(name);
}

void rule_values(struct str id, const struct jsonr_value *object, struct rule_values *ret)
{
    struct audit_value *v = ret->values;
    *v++ = audit_text_or_null("rule", id);
    *v++ = int_of(object, "order");
    *v++ = audit_text_member(object, "tableGlob");
    *v++ = audit_text_member(object, "when");
    *v++ = audit_text_member(object, "action");
    *v++ = int_of(object, "approvals");
    *v++ = audit_text_member(object, "approverRole");
    *v++ = audit_text_member(object, "note");
    *v = (struct audit_value){.kind = AUDIT_VALUES_END};
}

void invariant_values(struct str id, const struct jsonr_value *object, struct rule_values *ret)
{
    struct audit_value *v = ret->values;
    *v++ = audit_text_or_null("invariant", id);
    *v++ = audit_text_member(object, "name");
    *v++ = audit_text_member(object, "sql");
    *v++ = audit_text_member(object, "note");
    *v = (struct audit_value){.kind = AUDIT_VALUES_END};
}

typedef void values_fn(struct str id, const struct jsonr_value *object, struct rule_values *ret);

static bool values_before(
    struct arena *a, struct str id, struct str answer, values_fn *fn, struct rule_values *ret)
{
    const struct jsonr_value *before = answer_before(a, answer);
    if (before)
        fn(id, before, ret);
    return before != NULL;
}

bool rule_values_before(struct arena *a, struct str id, struct str answer, struct rule_values *ret)
{
    return values_before(a, id, answer, rule_values, ret);
}

bool invariant_values_before(struct arena *a, struct str id, struct str answer, struct rule_values *ret)
{
    return values_before(a, id, answer, invariant_values, ret);
}
