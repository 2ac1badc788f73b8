/* Rules of clients: their words, and what a new one may be. */
#include "oauth/client.h"

#include "base/check.h"
#include "base/enc.h"
#include "oauth/oauth_internal.h"
#include "oauth/client_internal.h"

static const char *const AUTHS[CLIENT_AUTH_COUNT] = {"none", "client_secret_basic", "client_secret_post"};
static const char *const MODES[] = {"provision", "connect"};

const char *client_auth_name(enum client_auth auth)
{
    CHECK(auth < CLIENT_AUTH_COUNT);
    return AUTHS[auth];
}

bool client_auth_parse(struct str text, enum client_auth *ret)
{
    for (unsigned i = 0; i < CLIENT_AUTH_COUNT; i++) {
        if (!str_eq(text, str_of(AUTHS[i])))
            continue;
        *ret = (enum client_auth)i;
        return true;
    }
    return false;
}

const char *client_database_name(enum client_database mode)
{
    CHECK(mode <= CLIENT_CONNECTS);
    return MODES[mode];
}

bool client_database_parse(struct str text, enum client_database *ret)
{
    for (unsigned i = 0; i < ARRAY_LEN(MODES); i++) {
        if (!str_eq(text, str_of(MODES[i])))
            continue;
        *ret = (enum client_database)i;
        return true;
    }
    return false;
}

void oauth_hex(struct str secret, char out[OAUTH_HEX_SIZE])
{
    AUTO_STRBUF hex;
    struct digest d = token_hash(secret);

    strbuf_init(&hex, OAUTH_HEX_SIZE - 1);
    digest_hex(&hex, &d);
    CHECK(hex.len == OAUTH_HEX_SIZE - 1);
    memcpy(out, strbuf_cstr(&hex), OAUTH_HEX_SIZE);
}

bool oauth_is_kind(struct str secret, enum token_kind kind)
{
    enum token_kind found;
    return secret.ptr && token_well_formed(secret, &found) && found == kind;
}

/* The name is shown where a person decides: nothing in it may look like the page's own words or turn its
 * direction. */
static bool misleading(struct str s)
{
    static const char *const MARKS[] = {"\xe2\x80\x8b", "\xe2\x80\x8e", "\xe2\x80\x8f", "\xe2\x80\xaa",
        "\xe2\x80\xab", "\xe2\x80\xac", "\xe2\x80\xad", "\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x81\xa7",
        "\xe2\x81\xa8", "\xe2\x81\xa9", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xef\xbb\xbf"};

    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < ' ' || c == 0x7f || (c == 0xc2 && i + 1 < s.len && (unsigned char)s.ptr[i + 1] < 0xa0))
            return true;
        for (size_t k = 0; k < ARRAY_LEN(MARKS); k++)
            if (str_starts(str_slice(s, i, s.len), str_of(MARKS[k])))
                return true;
    }
    return false;
}

enum err_code client_check_name(struct str name, struct refusal *no)
{
    if (!str_trim(name).len || name.len >= CLIENT_NAME_SIZE)
        return oauth_refuse(no, OAUTH_INVALID_CLIENT_METADATA, "The name has 1 to 80 bytes");
    if (!utf8_valid(name) || misleading(name))
        return oauth_refuse(
            no, OAUTH_INVALID_CLIENT_METADATA, "The name is plain text without control characters");
    return ERR_OK;
}

static enum err_code check_uris(const struct str *uris, size_t count, struct refusal *no)
{
    if (count > CLIENT_REDIRECTS_MAX)
        return oauth_refuse(no, OAUTH_INVALID_REDIRECT_URI, "At most 20 redirect URIs");
    for (size_t i = 0; i < count && !no->error; i++) {
        const char *why = redirect_check(uris[i]);
        if (why)
            return oauth_refuse(no, OAUTH_INVALID_REDIRECT_URI, why);
        for (size_t k = 0; k < i; k++)
            if (str_eq(uris[i], uris[k]))
                return oauth_refuse(no, OAUTH_INVALID_REDIRECT_URI, "A redirect URI is given twice");
    }
    return ERR_OK;
}

enum err_code client_check_redirects(const struct str *uris, size_t count, struct refusal *no)
{
    if (!count)
        return oauth_refuse(no, OAUTH_INVALID_REDIRECT_URI, "At least one redirect URI is needed");
    return check_uris(uris, count, no);
}

enum err_code client_check_new(const struct client_new *in, struct refusal *no)
{
    enum err_code code = client_check_name(in->name, no);

    if (!code && !no->error)
        code = client_check_redirects(in->redirects, in->redirect_count, no);
    if (!code && !no->error)
        code = check_uris(in->logout_redirects, in->logout_redirect_count, no);
    if (!code && !no->error && in->auth == CLIENT_NONE && in->pkce_optional)
        code = oauth_refuse(no, OAUTH_INVALID_CLIENT_METADATA, "A public client cannot do without PKCE");
    return code;
}
