/* What the audit log says of a policy: the same members for what it was and what it became. */
#ifndef API_POLICY_VALUES_H
#define API_POLICY_VALUES_H

#include "audit/audit.h"
#include "json/jsonr.h"

enum { POLICY_ROLES_MAX = 3, POLICY_VALUES_MAX = 8 };

struct policy_values {
    struct audit_value values[POLICY_VALUES_MAX + 1];
    struct str roles[POLICY_ROLES_MAX];
};

/* `object` is a body that asks for a policy, or one that an engine told; neither is believed. A member that
 * is not there, or not of its kind, is null. NULL or no object: all are. */
void policy_values(struct str id, const struct jsonr_value *object, struct policy_values *ret);

/* A text of an object as a value; of another kind, or not there: null. */
struct audit_value audit_text_member(const struct jsonr_value *object, const char *name);

/* "before" of an answer to a change; NULL: it has none. */
const struct jsonr_value *answer_before(struct arena *a, struct str answer);
/* The same as values; false: the answer has none. `a` holds the texts. */
MUST_CHECK bool policy_values_before(
    struct arena *a, struct str id, struct str answer, struct policy_values *ret);

#endif
