/* What a token hands on to the tokens it makes or renews: nothing that it has not got itself. */
#include "token/token_internal.h"
#include "base/clock.h"
#include "base/limits.h"

#define SQL_IS_BRANCH_OF "SELECT 1 FROM database WHERE id = ?1 AND parent_id = ?2 AND branch_ref IS NOT NULL"

static bool names_table(const struct token *t, struct str name)
{
    for (size_t i = 0; i < t->table_count; i++)
        if (str_eq_nocase(t->tables[i], name))
            return true;
    return false;
}

static enum err_code refuse(struct err *err, const char *pointer, const char *why)
{
    err_ignore(err_field(err, pointer, "%s", why)); /* it writes the message, the code is another */
    if (err)
        err->code = ERR_FORBIDDEN;
    return ERR_FORBIDDEN;
}

static enum err_code check_tables(const struct token *own, const struct token_reach *wanted, struct err *err)
{
    if (!own->has_table_scope)
        return ERR_OK;
    if (!wanted->has_table_scope)
        return refuse(err, "/tableScope", "your own token is limited to some tables; name some of them");
    for (size_t i = 0; i < wanted->table_count; i++) {
        char pointer[32];
        str_print(pointer, sizeof pointer, "/tableScope/%zu", i);
        if (!names_table(own, wanted->tables[i]))
            return refuse(err, pointer, "is no table of your own token");
    }
    return ERR_OK;
}

static bool admitted(const struct token *own, struct str text)
{
    struct network inner, outer;

    if (!network_parse(text, &inner))
        return false;
    for (size_t i = 0; i < own->address_count; i++)
        if (network_parse(own->addresses[i], &outer) && network_within(&inner, &outer))
            return true;
    return false;
}

static enum err_code check_addresses(
    const struct token *own, const struct token_reach *wanted, struct err *err)
{
    if (own->address_count && !wanted->address_count)
        return refuse(
            err, "/allowedAddresses", "your own token is limited to some addresses, this one is not");
    for (size_t i = 0; own->address_count && i < wanted->address_count; i++) {
        char pointer[32];
        str_print(pointer, sizeof pointer, "/allowedAddresses/%zu", i);
        if (!admitted(own, wanted->addresses[i]))
            return refuse(err, pointer, "is outside the addresses of your own token");
    }
    return ERR_OK;
}

/* A database holds its branches. */
static enum err_code check_database(
    struct db *db, const struct token *own, const struct token_reach *wanted, struct err *err)
{
    AUTO_STMT st = DB_STMT_INIT;

    if (own->branches_only && !wanted->branches_only)
        return refuse(err, "/kind", "must be test, as that of your own token");
    if (!own->database_id.text[0] || str_eq(id_str(&own->database_id), id_str(&wanted->database_id)))
        return ERR_OK;
    enum err_code code = db_query_one(db, SQL_IS_BRANCH_OF,
        DB_ARGS(db_text(id_str(&wanted->database_id)), db_text(id_str(&own->database_id))), &st, err);
    return code == ERR_NOT_FOUND ? refuse(err, "/database", "must be the one of your own token") : code;
}

static enum err_code check_reach(
    struct db *db, const struct token *own, const struct token_reach *wanted, struct err *err)
{
    if (!str_eq(id_str(&own->namespace_id), id_str(&wanted->namespace_id)))
        return err_set(err, ERR_FORBIDDEN, "Token namespace mismatch");
    if (wanted->role > own->role)
        return refuse(err, "/role", "is more than your own token has");
    if (own->expires_at && (!wanted->expires_at || wanted->expires_at > own->expires_at))
        return refuse(err, "/expiresIn", "is longer than your own token lives");
    if (own->claims.len && !str_eq(own->claims, wanted->claims))
        return refuse(err, "/claims", "must be those of your own token");
    enum err_code code = check_database(db, own, wanted, err);
    if (!code)
        code = check_tables(own, wanted, err);
    return code ? code : check_addresses(own, wanted, err);
}

enum err_code token_check_within(struct db *db, const struct actor *by, struct arena *a, bool inherits,
    struct token_reach *wanted, struct err *err)
{
    struct token own;

    if (by->kind != ACTOR_TOKEN)
        return ERR_OK;
    enum err_code code = token_get(db, a, id_str(&by->token_id), &own, err);
    if (code && code != ERR_NOT_FOUND)
        return code;
    if (code || own.revoked_at || (own.expires_at && own.expires_at <= clock_wall_ms()))
        return err_set(err, ERR_UNAUTHORIZED, "Token is unknown, revoked or expired");
    if (own.account_id.text[0]) /* what it made would outlive the person's consent */
        return err_set(err, ERR_FORBIDDEN, "A program that acts for a person makes and renews no tokens");
    if (inherits && !wanted->expires_at)
        wanted->expires_at = own.expires_at;
    if (inherits && !wanted->claims.len)
        wanted->claims = own.claims;
    if (inherits && !wanted->address_count) {
        wanted->addresses = own.addresses;
        wanted->address_count = own.address_count;
    }
    return check_reach(db, &own, wanted, err);
}

enum err_code token_require_whole(
    struct db *db, const struct actor *by, struct arena *a, const struct id *namespace_id, struct err *err)
{
    struct token_reach whole = {.role = WIRE_ROLE_ADMIN, .namespace_id = *namespace_id};
    struct err why = ERR_INIT;
    enum err_code code = token_check_within(db, by, a, false, &whole, &why);

    if (code == ERR_FORBIDDEN)
        return err_set(err, code,
            "This would outlast your token: use an admin token without database, tables, expiry, addresses "
            "and "
            "claims, or sign in as an admin");
    return code ? err_set(err, code, "%s", why.message) : ERR_OK;
}
