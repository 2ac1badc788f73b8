/* What the audit log says of a rule or invariant: the same members for what it was and what it became. */
#ifndef API_RULE_VALUES_H
#define API_RULE_VALUES_H

#include "audit/audit.h"
#include "json/jsonr.h"

enum { RULE_VALUES_MAX = 8 };

struct rule_values {
    struct audit_value values[RULE_VALUES_MAX + 1];
};

/* As policy_values. */
void rule_values(struct str id, const struct jsonr_value *object, struct rule_values *ret);
MUST_CHECK bool rule_values_before(
    struct arena *a, struct str id, struct str answer, struct rule_values *ret);
void invariant_values(struct str id, const struct jsonr_value *object, struct rule_values *ret);
MUST_CHECK bool invariant_values_before(
    struct arena *a, struct str id, struct str answer, struct rule_values *ret);

#endif
