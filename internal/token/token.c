/* Rules of tokens: roles, form, what a new one may ask for. */
#include "token/token_internal.h"
#include "base/clock.h"
#include "base/enc.h"
#include "base/limits.h"
#include "base/check.h"
#include "base/mem.h"

struct role_name {
    const char *name;
    enum wire_role role;
};

/* The first spelling of a role is the one that is written. */
static const struct role_name ROLES[] = {
    {"admin", WIRE_ROLE_ADMIN},
    {"readwrite", WIRE_ROLE_READWRITE},
    {"readonly", WIRE_ROLE_READONLY},
    {"write", WIRE_ROLE_READWRITE},
    {"read", WIRE_ROLE_READONLY},
};

#define TABLE_NAME_BYTES_MAX 255
#define EXPIRES_S_MAX        315360000 /* ten years */

bool token_role_parse(struct str text, enum wire_role *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(ROLES); i++) {
        if (!str_eq(text, str_of(ROLES[i].name)))
            continue;
        *ret = ROLES[i].role;
        return true;
    }
    return false;
}

const char *token_role_name(enum wire_role role)
{
    for (size_t i = 0; i < ARRAY_LEN(ROLES); i++)
        if (ROLES[i].role == role)
            return ROLES[i].name;
    UNREACHABLE("every role has a name");
}

enum err_code token_kind_parse(struct str text, bool *ret_branches_only, struct err *err)
{
    *ret_branches_only = str_eq(text, S("test"));
    if (*ret_branches_only || str_eq(text, S("live")))
        return ERR_OK;
    return err_field(err, "/kind", "must be live or test");
}

enum err_code token_parse(struct str secret, struct digest *ret, struct err *err)
{
    enum token_kind kind;

    if (!token_well_formed(secret, &kind) || (kind != TOKEN_LIVE && kind != TOKEN_TEST))
        return err_set(err, ERR_UNAUTHORIZED, "Invalid token format");
    *ret = token_hash(secret);
    return ERR_OK;
}

void identity_free(struct identity *who)
{
    mem_free(who);
}

void identity_cap(struct identity *who, enum member_role member)
{
    enum wire_role own = member_engine_role(member);

    who->member = member;
    who->role = own < who->given ? own : who->given;
}

bool identity_expired(const struct identity *who, int64_t now_ms)
{
    return who->expires_at && who->expires_at <= now_ms;
}

int64_t identity_left_s(const struct identity *who, int64_t now_ms)
{
    int64_t left_s = (who->expires_at - now_ms) / 1000;

    if (!who->expires_at)
        return 0;
    return left_s > 0 ? left_s : 1;
}

bool identity_admits(const struct identity *who, struct str address)
{
    struct network peer;

    if (who->network_count == 0)
        return true;
    if (!network_parse(address, &peer))
        return false;
    for (unsigned i = 0; i < who->network_count; i++)
        if (network_within(&peer, &who->networks[i]))
            return true;
    return false;
}

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 0x7f)
            return true;
    return false;
}

static enum err_code check_text(struct str s, int64_t max, const char *pointer, struct err *err)
{
    if (s.len > (size_t)max)
        return err_field(err, pointer, "must be at most %d bytes", (int)max);
    if (!utf8_valid(s) || has_control(s))
        return err_field(err, pointer, "must be UTF-8 text without control characters");
    return ERR_OK;
}

static enum err_code check_table(const struct token_new *in, size_t at, struct err *err)
{
    char pointer[32];

    str_print(pointer, sizeof pointer, "/tableScope/%zu", at);
    if (in->tables[at].len == 0)
        return err_field(err, pointer, "must not be empty");
    for (size_t i = 0; i < at; i++)
        if (str_eq_nocase(in->tables[i], in->tables[at]))
            return err_field(err, pointer, "names a table a second time");
    return check_text(in->tables[at], TABLE_NAME_BYTES_MAX, pointer, err);
}

enum err_code token_check_new(const struct token_new *in, struct err *err)
{
    enum err_code code = check_text(in->name, LIMIT_TOKEN_NAME_BYTES, "/name", err);

    CHECK(in->role > 0 && in->role < WIRE_ROLE_COUNT);
    if (code)
        return code;
    if (in->expires_in_s < 0 || in->expires_in_s > EXPIRES_S_MAX)
        return err_field(err, "/expiresIn", "must be between 1 second and ten years");
    if (in->table_count > WIRE_TABLES_MAX)
        return err_field(err, "/tableScope", "may name at most %d tables", WIRE_TABLES_MAX);
    for (size_t i = 0; !code && i < in->table_count; i++)
        code = check_table(in, i, err);
    return code;
}
