/* Who a token speaks for, by the claims that each kind of issuer has. Names are shown and bound to; ids are
 * what stays when a name is given to somebody else. */
#include "federation/issuer_internal.h"

#define TEXT_BYTES_MAX    255  /* OpenID Connect's maximum of `sub` */
#define SUBJECT_BYTES_MAX 1000 /* those of repositories hold the names of branches and environments */

/* Of the length of a name, and nothing in it that could pretend to be something else in a log or a list. */
static bool plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] <= 0x20 || (unsigned char)s.ptr[i] >= 0x7f)
            return false;
    return s.len > 0 && s.len <= TEXT_BYTES_MAX;
}

/* Not an identity by itself, so that a branch may be called as it likes. */
static bool one_line(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return false;
    return s.len > 0 && s.len <= SUBJECT_BYTES_MAX;
}

/* "a/b", "a/b/c": parts of letters, digits, dots, dashes and underscores. */
static bool is_path(struct str s, unsigned parts_max)
{
    unsigned parts = 0;
    struct str part;

    if (!plain(s))
        return false;
    for (; str_cut(&s, '/', &part); parts++) {
        bool word = part.len > 0 && !str_eq(part, S(".")) && !str_eq(part, S(".."));
        for (size_t i = 0; i < part.len && word; i++) {
            char c = part.ptr[i];
            word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   strchr("._-", c);
        }
        if (!word)
            return false;
    }
    return parts >= 2 && parts <= parts_max;
}

static struct str text_of(const struct jsonr_value *claims, struct str name)
{
    const struct jsonr_value *v = jsonr_member(claims, name);
    return v && jsonr_kind(v) == JSONR_TEXT ? jsonr_text(v) : STR_EMPTY;
}

/* Numbers, which some write as text. */
static struct str number_of(struct arena *a, const struct jsonr_value *claims, struct str name)
{
    const struct jsonr_value *v = jsonr_member(claims, name);
    int64_t number;

    if (v && jsonr_kind(v) == JSONR_INT)
        number = jsonr_int(v);
    else if (!v || jsonr_kind(v) != JSONR_TEXT || !str_to_i64(jsonr_text(v), 1, INT64_MAX, &number))
        return STR_EMPTY;
    return number > 0 ? arena_printf(a, "%lld", (long long)number) : STR_EMPTY;
}

static enum err_code missing(struct err *err, const char *what)
{
    return err_set(err, ERR_UNAUTHORIZED, "the token has no usable %s", what);
}

static enum err_code of_repository(struct arena *a, struct foreign_identity *who, const char *name,
    const char *id, const char *owner_id, unsigned parts_max, struct err *err)
{
    who->name = text_of(who->claims, str_of(name));
    who->id = number_of(a, who->claims, str_of(id));
    who->owner_id = number_of(a, who->claims, str_of(owner_id));
    if (!is_path(who->name, parts_max))
        return missing(err, name);
    if (!who->id.ptr || !who->id.len)
        return missing(err, id);
    return who->owner_id.ptr && who->owner_id.len ? ERR_OK : missing(err, owner_id);
}

static void of_google(struct foreign_identity *who)
{
    const struct jsonr_value *verified = jsonr_member(who->claims, S("email_verified"));
    struct str email = text_of(who->claims, S("email"));

    if (verified && jsonr_kind(verified) == JSONR_BOOL && jsonr_bool(verified) && plain(email))
        who->name = email;
}

enum err_code issuer_identity(struct arena *a, struct foreign_identity *who, struct err *err)
{
    enum { GITHUB_PARTS = 2, GITLAB_PARTS = 22 }; /* groups nest to 20 levels */

    bool repository = who->kind == ISSUER_GITHUB || who->kind == ISSUER_GITLAB;
    if (repository ? !one_line(who->subject) : !plain(who->subject))
        return missing(err, "sub");
    who->name = who->id = who->subject;
    who->owner_id = STR_EMPTY;
    switch (who->kind) {
    case ISSUER_GITHUB:
        return of_repository(a, who, "repository", "repository_id", "repository_owner_id", GITHUB_PARTS, err);
    case ISSUER_GITLAB:
        return of_repository(a, who, "project_path", "project_id", "namespace_id", GITLAB_PARTS, err);
    case ISSUER_GOOGLE: of_google(who); break;
    case ISSUER_OTHER: break;
    }
    return ERR_OK;
}
