/* See jose.h. */
#include "crypto/jose.h"

#include "base/check.h"
#include "base/enc.h"
#include "base/limits.h"
#include "base/mem.h"
#include <jwt.h>
#include <stdlib.h>

#define SKEW_S      60
#define SECONDS_MAX 253402300799 /* the year 9999 */
#define ES256_BYTES 64
#define MS_PER_S    1000

static jwt_alg_t library_alg(enum jose_alg alg)
{
    return alg == JOSE_RS256 ? JWT_ALG_RS256 : JWT_ALG_ES256;
}

static enum err_code refuse(struct err *err, const char *why)
{
    return err_set(err, ERR_UNAUTHORIZED, "The JWT is refused: %s", why);
}

/* --- Signing --- */

static enum err_code encode(jwt_t *jwt, const struct jose_key *key, const char *typ, const char *claims,
    struct strbuf *out, struct err *err)
{
    AUTO_STRBUF pem;
    strbuf_init(&pem, (size_t)2 * JOSE_PEM_MAX);
    jose_key_write_private(key, &pem);
    int rc = jwt_set_alg(
        jwt, library_alg(jose_key_alg(key)), (const unsigned char *)strbuf_cstr(&pem), (int)pem.len);
    mem_wipe(pem.buf, pem.cap);
    if (!rc)
        rc = jwt_add_header(jwt, "typ", typ);
    if (!rc)
        rc = jwt_add_header(jwt, "kid", jose_key_kid(key));
    if (!rc)
        rc = jwt_add_grants_json(jwt, claims);
    char *text = rc ? NULL : jwt_encode_str(jwt);
    if (!text)
        return err_set(err, ERR_INTERNAL, "A JWT could not be signed");
    strbuf_add_cstr(out, text);
    free(text); /* the library's own memory */
    return strbuf_failed(out) ? err_set(err, ERR_TOO_LARGE, "The JWT is too large") : ERR_OK;
}

enum err_code jose_sign(
    const struct jose_key *key, const char *typ, struct str claims, struct strbuf *out, struct err *err)
{
    AUTO_STRBUF text;
    jwt_t *jwt = NULL;

    strbuf_init(&text, (size_t)LIMIT_JWT_BYTES);
    strbuf_add_str(&text, claims);
    if (strbuf_failed(&text))
        return err_set(err, ERR_TOO_LARGE, "The JWT is too large");
    if (jwt_new(&jwt))
        return err_set(err, ERR_INTERNAL, "A JWT could not be made");
    enum err_code rc = encode(jwt, key, typ, strbuf_cstr(&text), out, err);
    jwt_free(jwt);
    return rc;
}

/* --- Form --- */

struct parts {
    struct str head, claims, signature; /* still encoded */
};

static enum err_code split(struct str token, struct parts *ret, struct err *err)
{
    struct str rest = token;

    if (token.len > (size_t)LIMIT_JWT_BYTES)
        return refuse(err, "it is too large");
    if (!token.ptr || !str_cut(&rest, '.', &ret->head) || !rest.ptr || !str_cut(&rest, '.', &ret->claims) ||
        !rest.ptr)
        return refuse(err, "it has no three parts");
    ret->signature = rest;
    for (size_t i = 0; i < rest.len; i++)
        if (rest.ptr[i] == '.')
            return refuse(err, "it has more than three parts");
    return ret->head.len && ret->claims.len && ret->signature.len ? ERR_OK : refuse(err, "a part is empty");
}

/* One part as a JSON object, by the strict reader. */
static enum err_code read_object(
    struct arena *a, struct str part, const struct jsonr_value **ret, struct err *err)
{
    AUTO_STRBUF text;
    struct err why = ERR_INIT;

    strbuf_init(&text, (size_t)LIMIT_JWT_BYTES);
    if (!dec_base64url(part, &text))
        return refuse(err, "a part is not base64url");
    if (jsonr_parse(a, strbuf_str(&text), ret, &why) || jsonr_kind(*ret) != JSONR_OBJECT)
        return refuse(err, "a part is no JSON object");
    return ERR_OK;
}

/* --- Head --- */

static struct str text_member(const struct jsonr_value *object, struct str name)
{
    const struct jsonr_value *v = jsonr_member(object, name);
    return v && jsonr_kind(v) == JSONR_TEXT ? jsonr_text(v) : (struct str){NULL, 0};
}

/* What a head may say. Anything else might change what a verifier ought to do, or bring a key along. Hashes
 * of a certificate, which issuers like to add, do neither. */
static bool known_member(struct str name, bool foreign)
{
    return str_eq(name, S("alg")) || str_eq(name, S("kid")) || str_eq(name, S("typ")) ||
           (foreign && (str_eq(name, S("x5t")) || str_eq(name, S("x5t#S256"))));
}

static bool right_typ(const struct jsonr_value *head, const char *typ)
{
    struct str given = text_member(head, S("typ"));

    if (typ == JOSE_TYP_FOREIGN && !jsonr_member(head, S("typ")))
        return true;
    return given.ptr && str_eq_nocase(given, str_of(typ == JOSE_TYP_FOREIGN ? "JWT" : typ));
}

static enum err_code read_head(
    struct arena *a, struct str part, const char *typ, struct jose_head *ret, struct err *err)
{
    const struct jsonr_value *head;
    enum err_code rc = read_object(a, part, &head, err);

    if (rc)
        return rc;
    for (const struct jsonr_value *m = jsonr_first(head); m; m = jsonr_next(m))
        if (!known_member(jsonr_name(m), typ == JOSE_TYP_FOREIGN))
            return refuse(err, "its head has a member other than alg, kid and typ");
    struct str alg = text_member(head, S("alg"));
    ret->kid = text_member(head, S("kid"));
    if (!alg.ptr || !jose_alg_parse(alg, &ret->alg))
        return refuse(err, "its algorithm is not RS256 or ES256");
    if (!ret->kid.ptr || !ret->kid.len)
        return refuse(err, "it names no key");
    return right_typ(head, typ) ? ERR_OK : refuse(err, "its typ is another one");
}

enum err_code jose_read_head(
    struct arena *a, struct str token, const char *typ, struct jose_head *ret, struct err *err)
{
    struct parts p;
    enum err_code rc = split(token, &p, err);
    return rc ? rc : read_head(a, p.head, typ, ret, err);
}

enum err_code jose_read_unverified(
    struct arena *a, struct str token, const struct jsonr_value **ret_claims, struct err *err)
{
    struct parts p;
    enum err_code rc = split(token, &p, err);
    return rc ? rc : read_object(a, p.claims, ret_claims, err);
}

/* --- Signature --- */

static bool signature_well_formed(const struct jose_key *key, struct str part)
{
    AUTO_STRBUF bytes;

    strbuf_init(&bytes, (size_t)LIMIT_JWT_BYTES);
    if (!dec_base64url(part, &bytes))
        return false;
    return jose_key_alg(key) != JOSE_ES256 || bytes.len == ES256_BYTES;
}

static enum err_code check_signature(
    const struct jose_key *key, struct arena *a, struct str token, struct err *err)
{
    AUTO_STRBUF pem;
    jwt_t *jwt = NULL;
    struct str text = arena_copy(a, token);

    strbuf_init(&pem, JOSE_PEM_MAX);
    jose_key_write_public(key, &pem);
    CHECK(pem.len > 0 && !strbuf_failed(&pem)); /* without a key the library verifies nothing */
    if (!text.ptr)
        return refuse(err, "it is too large");
    int rc = jwt_decode(&jwt, text.ptr, (const unsigned char *)strbuf_cstr(&pem), (int)pem.len);
    bool good = rc == 0 && jwt && jwt_get_alg(jwt) == library_alg(jose_key_alg(key));
    jwt_free(jwt);
    return good ? ERR_OK : refuse(err, "its signature is not by the key it names");
}

enum err_code jose_verify(const struct jose_key *key, struct arena *a, struct str token, const char *typ,
    const struct jsonr_value **ret_claims, struct err *err)
{
    struct parts p;
    struct jose_head head;
    const struct jsonr_value *claims = NULL;
    enum err_code rc = split(token, &p, err);

    if (!rc)
        rc = read_head(a, p.head, typ, &head, err);
    if (rc)
        return rc;
    if (head.alg != jose_key_alg(key) || !str_eq(head.kid, str_of(jose_key_kid(key))) ||
        !signature_well_formed(key, p.signature))
        return refuse(err, "its signature is not by the key it names");
    rc = read_object(a, p.claims, &claims, err);
    if (!rc)
        rc = check_signature(key, a, token, err);
    if (!rc)
        *ret_claims = claims;
    return rc;
}

/* --- Claims --- */

/* Seconds since 1970: whole, and not so large that they wrap in milliseconds. */
static bool read_time(const struct jsonr_value *claims, struct str name, bool required, int64_t *ret_ms)
{
    const struct jsonr_value *v = jsonr_member(claims, name);

    *ret_ms = 0;
    if (!v)
        return !required;
    if (jsonr_kind(v) != JSONR_INT || jsonr_int(v) < 0 || jsonr_int(v) > SECONDS_MAX)
        return false;
    *ret_ms = jsonr_int(v) * MS_PER_S;
    return true;
}

static bool is_for(const struct jsonr_value *claims, struct str audience)
{
    const struct jsonr_value *v = jsonr_member(claims, S("aud"));

    if (v && jsonr_kind(v) == JSONR_TEXT)
        return str_eq(jsonr_text(v), audience);
    if (!v || jsonr_kind(v) != JSONR_ARRAY)
        return false;
    for (const struct jsonr_value *one = jsonr_first(v); one; one = jsonr_next(one))
        if (jsonr_kind(one) == JSONR_TEXT && str_eq(jsonr_text(one), audience))
            return true;
    return false;
}

enum err_code jose_check_claims(
    const struct jsonr_value *claims, const struct jose_expect *expect, struct err *err)
{
    int64_t exp, nbf, iat, skew = (int64_t)SKEW_S * MS_PER_S, now = expect->now_ms;
    struct str issuer = text_member(claims, S("iss"));

    if (!read_time(claims, S("exp"), true, &exp) || !read_time(claims, S("nbf"), false, &nbf) ||
        !read_time(claims, S("iat"), true, &iat))
        return refuse(err, "exp, iat or nbf is missing or no time");
    if (!issuer.ptr || !str_eq(issuer, expect->issuer))
        return refuse(err, "its issuer is another one");
    if (expect->audience.ptr && !is_for(claims, expect->audience))
        return refuse(err, "it is for another audience");
    if (!expect->expired_is_fine && exp + skew <= now)
        return refuse(err, "it has expired");
    return nbf > now + skew || iat > now + skew ? refuse(err, "it is not valid yet") : ERR_OK;
}
