/* A new secret for a token that stays what it is. The row keeps the hash of the secret before, and until when
 * that is good:
 *
 *     live, one secret ──rotate──► live, two secrets ──time──► live, one secret
 *                                     └──rotate──► live, two secrets: the oldest is gone */
#include "token/token_internal.h"
#include "audit/audit.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"

#define SQL_ROTATE                                                                                           \
    "UPDATE token SET former_hash = CASE WHEN ?4 IS NULL THEN NULL ELSE hash END, former_until = ?4,"        \
    " hash = ?2, preview = ?3 WHERE id = ?1"

static enum err_code find_live(struct db *db, struct arena *a, const struct id *namespace_id, struct str id,
    struct token *ret, struct err *err)
{
    enum err_code code = token_get(db, a, id, ret, err);

    if (code == ERR_NOT_FOUND ||
        (!code && namespace_id && !str_eq(id_str(namespace_id), id_str(&ret->namespace_id))))
        return err_set(err, ERR_NOT_FOUND, "there is no token " STR_FMT, STR_ARG(str_slice(id, 0, ID_MAX)));
    if (code)
        return code;
    if (ret->revoked_at)
        return err_set(err, ERR_CONFLICT, "this token is revoked; make another");
    if (ret->expires_at && ret->expires_at <= clock_wall_ms())
        return err_set(err, ERR_CONFLICT, "this token has expired; make another");
    if (ret->account_id.text[0]) /* its secret is for that program alone, which has ways of its own */
        return err_set(err, ERR_CONFLICT, "this token belongs to a program that renews it by itself");
    return ERR_OK;
}

/* The secret is shown to who asks, so it must open nothing that they cannot open already. */
static enum err_code check_within(
    struct db *db, const struct actor *by, struct arena *a, const struct token *t, struct err *err)
{
    struct token_reach reach = {.role = t->role,
        .namespace_id = t->namespace_id,
        .database_id = t->database_id,
        .branches_only = t->branches_only,
        .has_table_scope = t->has_table_scope,
        .tables = t->tables,
        .table_count = t->table_count,
        .expires_at = t->expires_at,
        .addresses = t->addresses,
        .address_count = t->address_count,
        .claims = t->claims};
    enum err_code code = token_check_within(db, by, a, false, &reach, err);

    if (code == ERR_FORBIDDEN) /* a field of the token, not of the request */
        return err_set(err, code, "This token may do more than yours; whoever has a wider one can rotate it");
    return code;
}

static enum err_code audit_rotated(
    struct db *db, const struct actor *by, const struct token *was, const struct token *is, struct err *err)
{
    return audit_append(db,
        &(struct audit_event){.by = by,
            .action = AUDIT_TOKEN_ROTATED,
            .namespace_id = &is->namespace_id,
            .target_id = id_str(&is->id),
            .target_name = str_of(is->name),
            .before = AUDIT_VALUES(audit_time("overlapEndsAt", was->overlap_ends_at)),
            .after = AUDIT_VALUES(audit_time("overlapEndsAt", is->overlap_ends_at))},
        err);
}

static enum err_code store(
    struct db *db, struct str id, const struct secret *secret, int64_t former_until, struct err *err)
{
    AUTO_STRBUF hex;
    char preview[TOKEN_MASK_MAX];

    token_hash_hex(secret_reveal(secret), &hex);
    token_mask(secret_reveal(secret), preview);
    return db_exec(db, SQL_ROTATE,
        DB_ARGS(
            db_text(id), db_text(strbuf_str(&hex)), db_text(str_of(preview)), db_int_or_null(former_until)),
        err);
}

enum err_code token_rotate(struct db *db, const struct actor *by, struct arena *a,
    const struct id *namespace_id, struct str token_id, int64_t overlap_s, struct token *ret,
    struct secret *ret_secret, struct err *err)
{
    AUTO_SECRET secret = SECRET_INIT;
    struct token was;

    CHECK(tx_is_write(db));
    if (overlap_s < 0 || overlap_s > LIMIT_TOKEN_OVERLAP_MAX_S)
        return err_field(err, "/overlap", "must be between 0 and %d seconds", (int)LIMIT_TOKEN_OVERLAP_MAX_S);
    enum err_code code = find_live(db, a, namespace_id, token_id, &was, err);
    if (!code)
        code = check_within(db, by, a, &was, err);
    if (code)
        return code;
    token_generate(was.branches_only ? TOKEN_TEST : TOKEN_LIVE, &secret);
    tx_announce(db);
    code = store(db, token_id, &secret, overlap_s ? clock_wall_ms() + overlap_s * 1000 : 0, err);
    if (!code)
        code = token_note_people(db, by, token_id, err);
    if (!code)
        code = token_get(db, a, token_id, ret, err);
    if (!code)
        code = audit_rotated(db, by, &was, ret, err);
    if (!code)
        *ret_secret = secret;
    return code;
}
