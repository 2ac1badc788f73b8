/* See issuer.h. */
#include "federation/issuer_internal.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/url.h"
#include "crypto/jose.h"

#define MS_PER_S INT64_C(1000)

/* --- The list --- */

static const struct {
    struct str name, url;
} KNOWN[] = {
    [ISSUER_GITHUB] = {{"github", 6}, {ISSUER_GITHUB_URL, sizeof ISSUER_GITHUB_URL - 1}},
    [ISSUER_GITLAB] = {{"gitlab", 6}, {ISSUER_GITLAB_URL, sizeof ISSUER_GITLAB_URL - 1}},
    [ISSUER_GOOGLE] = {{"google", 6}, {ISSUER_GOOGLE_URL, sizeof ISSUER_GOOGLE_URL - 1}},
};

static struct issuer_name read_entry(struct str text)
{
    struct issuer_name e = {ISSUER_OTHER, text};
    struct str rest, name;

    for (unsigned k = ISSUER_GITHUB; k < ARRAY_LEN(KNOWN); k++) {
        if (str_eq(text, KNOWN[k].name) || str_eq(text, KNOWN[k].url))
            return (struct issuer_name){(enum issuer_kind)k, KNOWN[k].url};
        rest = text;
        if (str_cut(&rest, '=', &name) && rest.ptr && str_eq(name, KNOWN[k].name))
            e = (struct issuer_name){(enum issuer_kind)k, rest};
    }
    return e;
}

static struct issuer *find(const struct issuers *all, struct str url)
{
    for (size_t i = 0; i < all->count; i++)
        if (str_eq(str_of(all->list[i].url), url))
            return &all->list[i];
    return NULL;
}

enum err_code issuer_parse(struct str text, struct issuer_name *ret, struct err *err)
{
    struct issuer_name e = read_entry(text);
    struct url parts;

    if (e.url.len > ISSUER_URL_MAX || !url_well_spelled(e.url, &parts) ||
        (parts.rest.len && memchr(parts.rest.ptr, '?', parts.rest.len)))
        return err_set(err, ERR_INVALID,
            "\"" STR_FMT "\" is no issuer; write github, gitlab, google, https://login.example.com, or "
            "gitlab=https://git.example.com for a server of that kind",
            STR_ARG(str_slice(text, 0, ISSUER_URL_MAX)));
    *ret = e;
    return ERR_OK;
}

struct str issuer_text(struct arena *a, const struct issuer_name *name)
{
    if (name->kind == ISSUER_OTHER)
        return name->url;
    if (str_eq(name->url, KNOWN[name->kind].url))
        return KNOWN[name->kind].name;
    return arena_printf(a, STR_FMT "=" STR_FMT, STR_ARG(KNOWN[name->kind].name), STR_ARG(name->url));
}

/* A bare name is the default one of its kind, or else the only one that is there. */
struct issuer_name issuers_resolve(const struct issuers *all, const struct issuer_name *name)
{
    const struct issuer *listed = find(all, name->url);
    const struct issuer *found = NULL;
    size_t count = 0;

    for (size_t i = 0; i < all->count; i++)
        if (all->list[i].kind == name->kind && count++ == 0)
            found = &all->list[i];
    if (!listed && name->kind != ISSUER_OTHER && str_eq(name->url, KNOWN[name->kind].url) && count == 1)
        listed = found;
    return listed ? (struct issuer_name){listed->kind, str_of(listed->url)} : *name;
}

static enum err_code add(struct issuers *all, struct str text, struct err *err)
{
    struct issuer_name e;
    enum err_code rc = issuer_parse(text, &e, err);

    if (rc)
        return rc;
    if (find(all, e.url))
        return err_set(err, ERR_INVALID, STR_FMT " is there twice", STR_ARG(e.url));
    struct issuer *i = &all->list[all->count++];
    i->kind = e.kind;
    memcpy(i->url, e.url.ptr, e.url.len);
    CHECK(pthread_mutex_init(&i->lock, NULL) == 0 && pthread_cond_init(&i->fetched, NULL) == 0);
    i->next_fetch_us = INT64_MIN;
    return ERR_OK;
}

enum err_code issuers_new(const struct str *list, size_t count, const struct issuer_fetch *fetch,
    struct issuers **ret, struct err *err)
{
    enum err_code rc = ERR_OK;

    if (count > (size_t)LIMIT_ISSUERS)
        return err_set(err, ERR_INVALID, "there may be at most %d issuers", (int)LIMIT_ISSUERS);
    struct issuers *all = MEM_NEW(struct issuers);
    all->fetch = fetch;
    all->list = mem_array(count ? count : 1, sizeof *all->list);
    for (size_t i = 0; i < count && !rc; i++)
        rc = add(all, list[i], err);
    if (rc)
        issuers_free(all);
    else
        *ret = all;
    return rc;
}

void issuers_free(struct issuers *all)
{
    if (!all)
        return;
    for (size_t k = 0; k < all->count; k++) {
        struct issuer *i = &all->list[k];
        CHECK(!i->fetching);
        jwks_unref(i->keys);
        CHECK(pthread_cond_destroy(&i->fetched) == 0 && pthread_mutex_destroy(&i->lock) == 0);
    }
    mem_free(all->list);
    mem_free(all);
}

size_t issuers_count(const struct issuers *all)
{
    return all->count;
}

struct str issuers_url(const struct issuers *all, size_t at)
{
    CHECK(at < all->count);
    return str_of(all->list[at].url);
}

/* --- A token --- */

static enum err_code failed(struct err *err, const struct err *why)
{
    err_set(err, why->code, "OIDC verification failed: %s", why->message);
    if (err)
        err->retry_after_s = why->retry_after_s;
    return why->code;
}

static enum err_code not_trusted(struct str url, struct err *err)
{
    struct url parts;

    if (url.len > ISSUER_URL_MAX || !url_well_spelled(url, &parts))
        return err_set(err, ERR_UNAUTHORIZED, "the token names no issuer (iss) that is a URL");
    return err_set(err, ERR_UNAUTHORIZED,
        "this server does not trust the issuer " STR_FMT "; its operator would list it with "
        "serve --trust-issuer",
        STR_ARG(url));
}

static struct str text_of(const struct jsonr_value *claims, struct str name)
{
    const struct jsonr_value *v = jsonr_member(claims, name);
    return v && jsonr_kind(v) == JSONR_TEXT ? jsonr_text(v) : STR_EMPTY;
}

/* Whose token it says it is: the one use of claims that nobody has checked yet. */
static enum err_code choose(
    const struct issuers *all, struct arena *a, struct str jwt, struct issuer **ret, struct err *err)
{
    const struct jsonr_value *claims;
    enum err_code rc = jose_read_unverified(a, jwt, &claims, err);

    if (rc)
        return rc;
    struct str url = text_of(claims, S("iss"));
    *ret = find(all, url);
    return *ret ? ERR_OK : not_trusted(url, err);
}

static bool is_ours(const struct jsonr_value *one, const struct issuer_expect *expect)
{
    if (jsonr_kind(one) != JSONR_TEXT || !jsonr_text(one).len)
        return false;
    return str_eq(jsonr_text(one), expect->audience[0]) || str_eq(jsonr_text(one), expect->audience[1]);
}

/* A token that is for others as well could have been sent here by one of them. */
static enum err_code check_audience(
    const struct jsonr_value *claims, const struct issuer_expect *expect, struct err *err)
{
    const struct jsonr_value *aud = jsonr_member(claims, S("aud"));
    bool good = aud != NULL;

    if (good && jsonr_kind(aud) == JSONR_ARRAY) {
        good = jsonr_count(aud) > 0;
        for (const struct jsonr_value *one = jsonr_first(aud); one && good; one = jsonr_next(one))
            good = is_ours(one, expect);
    } else if (good) {
        good = is_ours(aud, expect);
    }
    return good ? ERR_OK
                : err_set(err, ERR_UNAUTHORIZED,
                      "the token is not for this server alone: ask for one with the audience (aud) " STR_FMT,
                      STR_ARG(expect->audience[0]));
}

/* After jose_check_claims(), which saw that both are times. */
static enum err_code check_lifetime(
    const struct jsonr_value *claims, int64_t *ret_expires_ms, struct err *err)
{
    int64_t exp = jsonr_int(jsonr_member(claims, S("exp"))), iat = jsonr_int(jsonr_member(claims, S("iat")));

    if (exp <= iat || exp - iat > LIMIT_FOREIGN_TOKEN_MS / MS_PER_S)
        return err_set(err, ERR_UNAUTHORIZED, "the token lives for longer than %d hours, or not at all",
            (int)(LIMIT_FOREIGN_TOKEN_MS / MS_PER_S / 3600));
    *ret_expires_ms = exp * MS_PER_S;
    return ERR_OK;
}

static enum err_code check_claims(const struct issuer *i, const struct issuer_expect *expect, struct arena *a,
    struct foreign_identity *who, struct err *err)
{
    struct jose_expect common = {.issuer = str_of(i->url), .audience = {NULL, 0}, .now_ms = expect->now_ms};
    enum err_code rc = jose_check_claims(who->claims, &common, err);

    if (!rc)
        rc = check_audience(who->claims, expect, err);
    if (!rc)
        rc = check_lifetime(who->claims, &who->expires_ms, err);
    who->kind = i->kind;
    who->issuer = text_of(who->claims, S("iss"));
    who->subject = text_of(who->claims, S("sub"));
    return rc ? rc : issuer_identity(a, who, err);
}

static enum err_code verify(struct issuers *all, struct arena *a, struct str jwt,
    const struct issuer_expect *expect, struct foreign_identity *who, struct err *err)
{
    struct issuer *issuer;
    struct jose_head head = {.alg = JOSE_RS256}; /* cppcheck does not see that it is filled in */
    struct jwks *keys = NULL;
    enum err_code rc = choose(all, a, jwt, &issuer, err);

    if (!rc)
        rc = jose_read_head(a, jwt, JOSE_TYP_FOREIGN, &head, err);
    if (!rc)
        rc = issuer_keys(all, issuer, head.kid, &keys, err);
    if (rc)
        return rc;
    rc = jose_verify(jwks_find(keys, head.kid), a, jwt, JOSE_TYP_FOREIGN, &who->claims, err);
    jwks_unref(keys);
    return rc ? rc : check_claims(issuer, expect, a, who, err);
}

enum err_code issuer_verify(struct issuers *all, struct arena *a, struct str jwt,
    const struct issuer_expect *expect, struct foreign_identity *ret, struct err *err)
{
    struct foreign_identity who = {.kind = ISSUER_OTHER};
    struct err why = ERR_INIT;
    enum err_code rc;

    CHECK(expect->audience[0].len);
    rc = verify(all, a, jwt, expect, &who, &why);
    if (rc)
        return failed(err, &why);
    *ret = who;
    return ERR_OK;
}
