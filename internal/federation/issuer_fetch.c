/* An issuer's discovery document and its keys. */
#include "federation/issuer_internal.h"

#include "base/limits.h"
#include "base/url.h"

#define WELL_KNOWN      "/.well-known/openid-configuration"
#define URL_BYTES_MAX   2000
#define TREE_BYTES_EACH 64 /* of memory for a byte of text, at most */
#define TREE_BYTES_MORE (64 << 10)

static void discovery_url(struct str issuer, struct strbuf *out)
{
    while (str_ends(issuer, S("/")))
        issuer.len--;
    strbuf_init(out, ISSUER_URL_MAX + sizeof WELL_KNOWN);
    strbuf_add_str(out, issuer);
    strbuf_add_cstr(out, WELL_KNOWN);
}

static struct str text_of(const struct jsonr_value *object, struct str name)
{
    const struct jsonr_value *v = jsonr_member(object, name);
    return v && jsonr_kind(v) == JSONR_TEXT ? jsonr_text(v) : STR_EMPTY;
}

/* Keys over plain http come from the very place that the operator listed, or not at all. */
static bool acceptable(struct str keys_url, struct str issuer)
{
    struct url keys, own;

    if (keys_url.len > URL_BYTES_MAX || !url_well_spelled(keys_url, &keys) || !url_well_spelled(issuer, &own))
        return false;
    return keys.tls || url_same_origin(&keys, &own);
}

/* Where the keys are, according to the discovery document. */
static enum err_code read_discovery(struct str text, struct str issuer, struct strbuf *ret, struct err *err)
{
    AUTO_ARENA a;
    const struct jsonr_value *root;
    struct err why = ERR_INIT;

    arena_init(&a, text.len * TREE_BYTES_EACH + TREE_BYTES_MORE);
    if (jsonr_parse(&a, text, &root, &why) || jsonr_kind(root) != JSONR_OBJECT)
        return err_set(err, ERR_INVALID, "its discovery document is no JSON object");
    if (!str_eq(text_of(root, S("issuer")), issuer))
        return err_set(err, ERR_INVALID, "its discovery document is that of another issuer");
    struct str url = text_of(root, S("jwks_uri"));
    if (!acceptable(url, issuer))
        return err_set(err, ERR_INVALID, "its discovery document names no acceptable jwks_uri");
    strbuf_add_str(ret, url);
    return ERR_OK;
}

enum err_code issuer_fetch_keys(const struct issuer_fetch *fetch, struct str issuer, struct jwks **ret_keys,
    int64_t *ret_max_age_s, struct err *err)
{
    AUTO_STRBUF first, second, text;
    int64_t ignored;

    discovery_url(issuer, &first);
    strbuf_init(&second, URL_BYTES_MAX);
    strbuf_init(&text, (size_t)LIMIT_ISSUER_DOCUMENT_BYTES);
    enum err_code rc = fetch->get(fetch->arg, strbuf_str(&first), text.limit, &text, &ignored, err);
    if (!rc)
        rc = read_discovery(strbuf_str(&text), issuer, &second, err);
    strbuf_reset(&text);
    if (!rc)
        rc = fetch->get(fetch->arg, strbuf_str(&second), text.limit, &text, ret_max_age_s, err);
    return rc ? rc : jwks_read(strbuf_str(&text), ret_keys, err);
}
