/* See jose_mac.h. */
#include "crypto/jose_mac.h"

#include "base/check.h"
#include "base/enc.h"
#include "base/limits.h"
#include "json/jsonw.h"

#define HEAD_MAX 256

static enum err_code refuse(struct err *err, const char *why)
{
    return err_set(err, ERR_UNAUTHORIZED, "The session is refused: %s", why);
}

/* "eyJ…": the one head of tokens of this key and type. */
static void write_head(const struct mac_key *key, const char *typ, struct strbuf *out)
{
    AUTO_STRBUF head;
    struct jsonw w;

    strbuf_init(&head, HEAD_MAX);
    jsonw_init(&w, &head);
    jsonw_object(&w);
    JSONW_CSTR(&w, "alg", "HS256");
    JSONW_CSTR(&w, "kid", key->kid);
    JSONW_CSTR(&w, "typ", typ);
    jsonw_object_end(&w);
    CHECK(!strbuf_failed(&head));
    enc_base64url(out, strbuf_str(&head));
}

static struct digest mac_of(const struct mac_key *key, struct str signed_part)
{
    return digest_hmac(str_make(key->bytes, sizeof key->bytes), signed_part);
}

enum err_code jose_mac_sign(
    const struct mac_key *key, const char *typ, struct str claims, struct strbuf *out, struct err *err)
{
    AUTO_STRBUF text;

    strbuf_init(&text, (size_t)LIMIT_JWT_BYTES);
    write_head(key, typ, &text);
    strbuf_add_char(&text, '.');
    enc_base64url(&text, claims);
    struct digest mac = mac_of(key, strbuf_str(&text));
    strbuf_add_char(&text, '.');
    enc_base64url(&text, digest_str(&mac));
    strbuf_add_str(out, strbuf_str(&text));
    return strbuf_failed(&text) || strbuf_failed(out) ? err_set(err, ERR_TOO_LARGE, "The JWT is too large")
                                                      : ERR_OK;
}

/* The key whose head the token has; NULL none. */
static const struct mac_key *find_key(
    const struct mac_key *keys, size_t count, const char *typ, struct str head)
{
    for (size_t i = 0; i < count; i++) {
        AUTO_STRBUF own;
        strbuf_init(&own, (size_t)2 * HEAD_MAX);
        write_head(&keys[i], typ, &own);
        CHECK(!strbuf_failed(&own));
        if (str_eq(strbuf_str(&own), head))
            return &keys[i];
    }
    return NULL;
}

static bool mac_is(const struct mac_key *key, struct str signed_part, struct str signature)
{
    AUTO_STRBUF bytes;
    struct digest want = mac_of(key, signed_part), got;

    strbuf_init(&bytes, DIGEST_BYTES);
    if (!dec_base64url(signature, &bytes) || bytes.len != DIGEST_BYTES)
        return false;
    memcpy(got.bytes, bytes.buf, DIGEST_BYTES);
    return digest_eq(&want, &got);
}

static enum err_code read_claims(
    struct arena *a, struct str part, const struct jsonr_value **ret, struct err *err)
{
    AUTO_STRBUF text;
    struct err why = ERR_INIT;

    strbuf_init(&text, (size_t)LIMIT_JWT_BYTES);
    if (!dec_base64url(part, &text) || jsonr_parse(a, strbuf_str(&text), ret, &why) ||
        jsonr_kind(*ret) != JSONR_OBJECT)
        return refuse(err, "its claims are no JSON object");
    return ERR_OK;
}

enum err_code jose_mac_verify(const struct mac_key *keys, size_t count, const char *typ, struct arena *a,
    struct str token, const struct jsonr_value **ret_claims, struct err *err)
{
    struct str rest = token, head, claims;

    if (token.len > (size_t)LIMIT_JWT_BYTES)
        return refuse(err, "it is too large");
    if (!token.ptr || !str_cut(&rest, '.', &head) || !rest.ptr || !str_cut(&rest, '.', &claims) || !rest.ptr)
        return refuse(err, "it has no three parts");
    const struct mac_key *key = find_key(keys, count, typ, head);
    if (!key || !mac_is(key, str_slice(token, 0, head.len + 1 + claims.len), rest))
        return refuse(err, "it is not one that this server signed for this place, or its key is gone");
    return read_claims(a, claims, ret_claims, err);
}
