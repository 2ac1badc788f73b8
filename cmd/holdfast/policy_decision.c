/* What the server decided about a write, read and told. */
#include "policy.h"

static const struct jsonr_field FIELDS[] = {
    {"decision", JF_TEXT, offsetof(struct policy_decision, decision), JF_REQUIRED, 1, 50},
    {"hits", JF_ARRAY, offsetof(struct policy_decision, hits), JF_REQUIRED, 0, 0},
    {"brokenInvariants", JF_ARRAY, offsetof(struct policy_decision, broken), 0, 0, 0},
};

enum err_code policy_read_decision(
    const struct jsonr_value *data, struct policy_decision *ret, struct err *err)
{
    *ret = (struct policy_decision){.broken = NULL};
    enum err_code code = jsonr_fields(data, "", FIELDS, ARRAY_LEN(FIELDS), JSONR_UNKNOWN_IGNORE, ret, err);
    if (!code && ret->broken && jsonr_first(ret->broken) && !str_eq(ret->decision, S("deny"))) {
        ret->decision = S("invariant");
        ret->hits = ret->broken;
    }
    return code;
}

/* A hit, or the name of an invariant. */
static struct str rule_of(const struct jsonr_value *hit)
{
    const struct jsonr_value *id = jsonr_kind(hit) == JSONR_OBJECT ? jsonr_member(hit, S("ruleId")) : hit;

    return id && jsonr_kind(id) == JSONR_TEXT ? jsonr_text(id) : STR_EMPTY;
}

bool policy_hit_by(const struct policy_decision *d, struct str rule)
{
    for (const struct jsonr_value *h = jsonr_first(d->hits); h; h = jsonr_next(h))
        if (str_eq(rule_of(h), rule))
            return true;
    return false;
}

struct str policy_tell_decision(struct arena *a, const struct policy_decision *d)
{
    struct str said = d->decision;
    const char *sign = " by ";

    for (const struct jsonr_value *h = jsonr_first(d->hits); h; h = jsonr_next(h)) {
        said = arena_printf(a, STR_FMT "%s" STR_FMT, STR_ARG(said), sign, STR_ARG(rule_of(h)));
        sign = ", ";
    }
    return said;
}
