#include "api/capability.h"

#define ROLE_NONE      0
#define ROLE_READONLY  WIRE_ROLE_READONLY
#define ROLE_READWRITE WIRE_ROLE_READWRITE
#define ROLE_ADMIN     WIRE_ROLE_ADMIN

const struct capability_row capability_table[CAP_COUNT] = {
#define CAP(name, role, scope, text) [CAP_##name] = {#name, ROLE_##role, CAP_SCOPE_##scope, text},
#include "capabilities.def"
#undef CAP
};

const char *capability_role_name(unsigned role)
{
    static const char *const names[WIRE_ROLE_COUNT] = {"none", "readonly", "readwrite", "admin"};
    return role < WIRE_ROLE_COUNT ? names[role] : "unknown";
}

enum err_code capability_check(enum capability cap, enum wire_role role, bool limited, struct err *err)
{
    const struct capability_row *row = &capability_table[cap];
    if ((unsigned)role < row->role)
        return err_set(err, ERR_FORBIDDEN, "This needs a token with role %s; yours has role %s",
            capability_role_name(row->role), capability_role_name(role));
    if (limited && row->scope == CAP_SCOPE_WHOLE)
        return err_set(err, ERR_FORBIDDEN,
            "This needs a token for the whole namespace; yours is limited to a database, to branches or to "
            "tables");
    return ERR_OK;
}

static const enum member_role member_least[CAP_COUNT] = {
#define MAY(capability, role) [CAP_##capability] = MEMBER_##role,
#include "roles.def"
};

static const bool needs_confirmation[CAP_COUNT] = {
#define CONFIRMED(capability) [CAP_##capability] = true,
#include "roles.def"
};

enum err_code capability_check_member(enum capability cap, enum member_role role, struct err *err)
{
    enum member_role least = member_least[cap];
    if (!least)
        return err_set(err, ERR_FORBIDDEN, "This needs an API token");
    if (role < least)
        return err_set(err, ERR_FORBIDDEN, "This needs the role %s in the namespace; yours is %s",
            member_role_name(least), member_role_name(role));
    return ERR_OK;
}

bool capability_needs_confirmation(enum capability cap)
{
    return needs_confirmation[cap];
}
