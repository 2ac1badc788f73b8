/* policy/capabilities.def and policy/roles.def as an enum and checks. Any thread. */
#ifndef API_CAPABILITY_H
#define API_CAPABILITY_H

#include "base/err.h"
#include "tenant/member.h"
#include "wire/wire.h"

enum capability {
#define CAP(name, role, scope, text) CAP_##name,
#include "capabilities.def"
#undef CAP
    CAP_COUNT
};

enum cap_scope { CAP_SCOPE_ANY, CAP_SCOPE_WHOLE };

struct capability_row {
    const char *name;
    unsigned role; /* least enum wire_role; 0: no token needed */
    enum cap_scope scope;
    const char *text;
};

extern const struct capability_row capability_table[CAP_COUNT];

/* May a token of this role, `limited` to a database or to tables, use the capability? ERR_FORBIDDEN says what
 * would be needed. */
MUST_CHECK enum err_code capability_check(
    enum capability cap, enum wire_role role, bool limited, struct err *err);
/* May a member of this role use the capability in the namespace? ERR_FORBIDDEN says which role would do. */
MUST_CHECK enum err_code capability_check_member(enum capability cap, enum member_role role, struct err *err);
/* Whether a person must have given the password a short while ago. */
bool capability_needs_confirmation(enum capability cap);
const char *capability_role_name(unsigned role); /* "readonly", "readwrite", "admin" */

#endif
