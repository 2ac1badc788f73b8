/* Whom the operator lets sign up. */
#include "federation/signup.h"

static enum err_code refuse(struct str text, struct err *err)
{
    return err_set(err, ERR_INVALID,
        "\"" STR_FMT "\" is no rule; write off, or OWNER, OWNER/NAME or * of GitHub, gitlab=OWNER, "
        "https://login.example.com=NAME",
        STR_ARG(str_slice(text, 0, ISSUER_URL_MAX)));
}

/* At the last '=': "gitlab=https://git.example.com=team". */
static void split(struct str text, struct str *ret_issuer, struct str *ret_whom)
{
    size_t at = text.len;

    while (at && text.ptr[at - 1] != '=')
        at--;
    *ret_issuer = at ? str_slice(text, 0, at - 1) : S("github");
    *ret_whom = str_slice(text, at, text.len);
}

static bool is_listed(const struct issuers *all, struct str url)
{
    for (size_t i = 0; i < issuers_count(all); i++)
        if (str_eq(issuers_url(all, i), url))
            return true;
    return false;
}

static enum err_code parse_one(
    struct str text, const struct issuers *all, struct signup_rule *ret, struct err *err)
{
    struct str issuer, whom;

    split(text, &issuer, &whom);
    if (!whom.len || issuer_parse(issuer, &ret->issuer, NULL))
        return refuse(text, err);
    for (size_t i = 0; i < whom.len; i++)
        if ((unsigned char)whom.ptr[i] <= ' ' || (whom.ptr[i] == '*' && whom.len > 1))
            return refuse(text, err);
    ret->whom = whom;
    ret->issuer = issuers_resolve(all, &ret->issuer);
    if (is_listed(all, ret->issuer.url))
        return ERR_OK;
    return err_set(err, ERR_INVALID,
        "\"" STR_FMT "\" names an issuer that is not trusted: add --trust-issuer " STR_FMT, STR_ARG(text),
        STR_ARG(issuer));
}

enum err_code signup_parse(const struct str *texts, size_t count, const struct issuers *all,
    struct signup_rules *ret, struct err *err)
{
    enum err_code code = ERR_OK;

    ret->count = 0;
    if (count == 1 && str_eq(texts[0], S("off")))
        return ERR_OK;
    if (count > SIGNUP_RULES_MAX)
        return err_set(err, ERR_INVALID, "there are more than %d rules", SIGNUP_RULES_MAX);
    for (size_t i = 0; !code && i < count; i++)
        code = parse_one(texts[i], all, &ret->list[ret->count++], err);
    return code;
}

static bool is_owner_of(enum issuer_kind kind, struct str owner, struct str name)
{
    struct str rest = name, first;

    return (kind == ISSUER_GITHUB || kind == ISSUER_GITLAB) && str_cut(&rest, '/', &first) && rest.ptr &&
           str_eq(owner, first);
}

static bool matches(struct arena *a, const struct signup_rule *rule, const struct foreign_identity *who)
{
    if (rule->issuer.kind != who->kind || !str_eq(rule->issuer.url, who->issuer))
        return false;
    struct str whom = repo_key(a, who->kind, rule->whom), name = repo_key(a, who->kind, who->name);
    return str_eq(whom, S("*")) || str_eq(whom, name) || is_owner_of(who->kind, whom, name);
}

bool signup_allows(struct arena *a, const struct signup_rules *rules, const struct foreign_identity *who)
{
    if (repo_check(who->kind, who->name, NULL)) /* longer than a name may be, or not one that can be shown */
        return false;
    for (size_t i = 0; rules && i < rules->count; i++)
        if (matches(a, &rules->list[i], who))
            return true;
    return false;
}
