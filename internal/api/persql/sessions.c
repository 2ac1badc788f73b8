/* POST /v1/sessions: a session for an end user of the published endpoints of one database. Worker thread. */
#include "api/call.h"
#include "api/scope.h"
#include "api/persql/subject.h"
#include "api/persql/views.h"
#include "audit/audit.h"
#include "base/clock.h"
#include "base/limits.h"
#include "endpoint/session.h"

route_worker_fn persql_session_mint;

#define SESSION_S  3600
#define MS_PER_S   1000
#define USER_CHARS 256

struct session_wish {
    struct str ns, database, user_id, email;
    int64_t expires_in_s; /* 0 not said */
};

static const struct jsonr_field session_fields[] = {
    {"namespaceSlug", JF_TEXT, offsetof(struct session_wish, ns), JF_NULL_OK, 1, SLUG_SIZE - 1},
    {"databaseSlug", JF_TEXT, offsetof(struct session_wish, database), JF_REQUIRED, 1, SLUG_SIZE - 1},
    {"userId", JF_TEXT, offsetof(struct session_wish, user_id), JF_REQUIRED, 1, (int64_t)4 * USER_CHARS},
    {"email", JF_TEXT, offsetof(struct session_wish, email), JF_NULL_OK, 1, 254},
    {"expiresIn", JF_INT, offsetof(struct session_wish, expires_in_s), JF_NULL_OK, 60,
        LIMIT_END_SESSION_MS / MS_PER_S},
};

static enum err_code read_wish(struct api_call *c, struct session_wish *in)
{
    const struct jsonr_value *root;
    if (!c->body.len)
        return err_field(c->err, "", "The body is empty; send {\"databaseSlug\":…,\"userId\":…}");
    enum err_code rc = jsonr_parse(c->arena, c->body, &root, c->err);
    if (!rc)
        rc = jsonr_fields(
            root, "", session_fields, ARRAY_LEN(session_fields), JSONR_UNKNOWN_IGNORE, in, c->err);
    if (!rc)
        rc = subject_check(in->user_id, USER_CHARS, "/userId", c->err);
    return rc ? rc : subject_check(in->email, USER_CHARS, "/email", c->err);
}

/* A session lets its user do what the endpoints of the database do, whatever tables they touch and for as
 * long as it holds: so whoever makes one must reach as far. */
static enum err_code check_maker(const struct api_call *c)
{
    if (c->who->has_table_scope)
        return err_set(c->err, ERR_FORBIDDEN,
            "A token that is limited to some tables makes no sessions: use an admin token without "
            "tableScope");
    if (c->who->claims.len)
        return err_set(c->err, ERR_FORBIDDEN,
            "A token with claims may be limited to some rows and makes no sessions: use an admin token "
            "without claims");
    if (c->who->account_id.text[0])
        return err_set(c->err, ERR_FORBIDDEN,
            "A program that acts for a person makes no sessions: use an admin token of the namespace");
    return ERR_OK;
}

static enum err_code find_place(struct api_call *c, const struct session_wish *in, struct registry_entry *ret)
{
    struct err why = ERR_INIT;
    if (in->ns.len && !str_eq(in->ns, str_of(c->who->namespace_slug)))
        return err_set(c->err, ERR_FORBIDDEN, "Token namespace mismatch");
    enum err_code rc = registry_get(c->db, &c->who->namespace_id, in->database, ret, &why);
    if (rc && rc != ERR_NOT_FOUND)
        return err_set(c->err, rc, "%s", why.message);
    struct place place = {.id = {""}};
    if (!rc)
        place = place_of(ret);
    if (scope_check(c->who, CAP_SESSION_MINT, rc ? NULL : &place, &why) == ERR_FORBIDDEN)
        return err_set(c->err, ERR_FORBIDDEN, "%s", why.message); /* whether there is such a one or not */
    return rc ? err_field(c->err, "/databaseSlug", "is no database of this namespace") : ERR_OK;
}

/* An hour, and never longer than the token that asks. */
static enum err_code lifetime(struct api_call *c, int64_t wish_s, int64_t now_ms, int64_t *ret_s)
{
    int64_t left_s = c->who->expires_at ? (c->who->expires_at - now_ms) / MS_PER_S : INT64_MAX;
    if (wish_s > left_s)
        return err_field(c->err, "/expiresIn", "is longer than your own token lives");
    *ret_s = wish_s ? wish_s : SESSION_S;
    if (*ret_s > left_s)
        *ret_s = left_s > 0 ? left_s : 1;
    return ERR_OK;
}

/* For whom it is stays out of the row: users of an app are persons, and rows cannot be removed. */
static enum err_code record_tx(struct api_call *c, const struct registry_entry *of, int64_t expires_at)
{
    return audit_append(c->db,
        &(struct audit_event){.by = c->by,
            .action = AUDIT_END_SESSION_MADE,
            .namespace_id = &of->namespace_id,
            .target_id = id_str(&of->id),
            .target_name = str_of(of->slug),
            .after = AUDIT_VALUES(audit_time("expiresAt", expires_at))},
        c->err);
}

static enum err_code make(struct api_call *c, const struct session_wish *in, const struct registry_entry *of,
    int64_t now_ms, int64_t lives_s)
{
    AUTO_STRBUF token;
    const struct end_session_place where = {.namespace_id = of->namespace_id, .database_id = of->id};
    int64_t expires_at = (now_ms / MS_PER_S + lives_s) * MS_PER_S;
    strbuf_init(&token, (size_t)LIMIT_JWT_BYTES);
    enum err_code rc = end_session_mint(c->opt->data_dir, &where, &(struct end_user){in->user_id, in->email},
        now_ms, lives_s, &token, c->err);
    if (!rc)
        rc = tx_begin_write(c->db, c->err);
    if (!rc)
        rc = tx_end(c->db, record_tx(c, of, expires_at), c->err);
    if (rc)
        return rc;
    jsonw_object(c->out);
    JSONW_TEXT(c->out, "token", strbuf_str(&token));
    view_time(c->out, "expiresAt", expires_at);
    JSONW_INT(c->out, "expiresIn", lives_s);
    jsonw_object_end(c->out);
    return ERR_OK;
}

static enum err_code mint(struct api_call *c, const struct session_wish *in)
{
    struct registry_entry of;
    int64_t now_ms = clock_wall_ms(), lives_s = 0;
    enum err_code rc = check_maker(c);
    if (!rc)
        rc = find_place(c, in, &of);
    if (!rc)
        rc = lifetime(c, in->expires_in_s, now_ms, &lives_s);
    return rc ? rc : make(c, in, &of, now_ms, lives_s);
}

enum err_code persql_session_mint(struct api_call *c)
{
    struct session_wish in = {.ns = STR_EMPTY, .database = STR_EMPTY, .email = STR_EMPTY};
    enum err_code rc = read_wish(c, &in);
    return rc ? rc : mint(c, &in);
}
