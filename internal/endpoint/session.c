/* See session.h. */
#include "endpoint/session.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"
#include "crypto/jose.h"
#include "crypto/mac_ring.h"
#include "json/jsonw.h"

#define PURPOSE    "end-user session"
#define TYP        "holdfast-session+jwt"
#define ISSUER     "urn:holdfast:session"
#define MS_PER_S   1000
#define CLAIMS_MAX 8192

static void write_claims(const struct end_session_place *where, const struct end_user *user, int64_t iat,
    int64_t exp, struct strbuf *out)
{
    struct jsonw w;

    jsonw_init(&w, out);
    jsonw_object(&w);
    JSONW_CSTR(&w, "iss", ISSUER);
    JSONW_TEXT(&w, "aud", id_str(&where->database_id));
    JSONW_TEXT(&w, "sub", user->user_id);
    if (user->email.len)
        JSONW_TEXT(&w, "email", user->email);
    JSONW_INT(&w, "iat", iat);
    JSONW_INT(&w, "exp", exp);
    jsonw_object_end(&w);
}

enum err_code end_session_mint(const char *data_dir, const struct end_session_place *where,
    const struct end_user *user, int64_t now_ms, int64_t expires_in_s, struct strbuf *out, struct err *err)
{
    AUTO_STRBUF claims;
    struct mac_ring ring;

    CHECK(expires_in_s > 0 && expires_in_s <= LIMIT_END_SESSION_MS / MS_PER_S);
    strbuf_init(&claims, CLAIMS_MAX);
    enum err_code rc = mac_ring_read(data_dir, PURPOSE, id_str(&where->namespace_id), &ring, err);
    if (rc)
        return rc;
    write_claims(where, user, now_ms / MS_PER_S, now_ms / MS_PER_S + expires_in_s, &claims);
    rc = strbuf_failed(&claims) ? err_set(err, ERR_TOO_LARGE, "The session is too large")
                                : jose_mac_sign(&ring.keys[0], TYP, strbuf_str(&claims), out, err);
    mem_wipe(&ring, sizeof ring);
    return rc;
}

static struct str text_claim(const struct jsonr_value *claims, struct str name)
{
    const struct jsonr_value *v = jsonr_member(claims, name);

    return v && jsonr_kind(v) == JSONR_TEXT ? jsonr_text(v) : STR_EMPTY;
}

/* The clock that made it is the clock that reads it, so nothing is forgiven. */
static bool is_over(const struct jsonr_value *claims, int64_t now_ms)
{
    return jsonr_int(jsonr_member(claims, S("exp"))) * MS_PER_S <= now_ms;
}

enum err_code end_session_verify(const char *data_dir, const struct end_session_place *where, int64_t now_ms,
    struct arena *a, struct str token, struct end_user *ret, struct err *err)
{
    const struct jsonr_value *claims = NULL;
    const struct jose_expect expect = {
        .issuer = S(ISSUER), .audience = id_str(&where->database_id), .now_ms = now_ms};
    struct mac_ring ring;
    enum err_code rc = mac_ring_read(data_dir, PURPOSE, id_str(&where->namespace_id), &ring, err);

    if (rc)
        return rc;
    rc = jose_mac_verify(ring.keys, ring.count, TYP, a, token, &claims, err);
    mem_wipe(&ring, sizeof ring);
    if (!rc)
        rc = jose_check_claims(claims, &expect, err);
    if (!rc && is_over(claims, now_ms))
        rc = err_set(err, ERR_UNAUTHORIZED, "The session has expired");
    if (rc)
        return rc;
    ret->user_id = text_claim(claims, S("sub"));
    ret->email = text_claim(claims, S("email"));
    return ret->user_id.len ? ERR_OK : err_set(err, ERR_UNAUTHORIZED, "The session names no user");
}
