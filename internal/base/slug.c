/* The grammar of slugs. */
#include "base/slug.h"
#include "base/limits.h"

static bool alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool has_only_slug_characters(struct str slug)
{
    for (size_t i = 0; i < slug.len; i++)
        if (!alnum(slug.ptr[i]) && slug.ptr[i] != '-')
            return false;
    return true;
}

static bool has_good_ends(struct str slug)
{
    return slug.len && alnum(slug.ptr[0]) && alnum(slug.ptr[slug.len - 1]);
}

bool slug_valid(struct str slug)
{
    return slug.len <= LIMIT_SLUG_BYTES && has_good_ends(slug) && has_only_slug_characters(slug);
}

static bool is_reserved(struct str slug, const char *const *reserved)
{
    for (; reserved && *reserved; reserved++)
        if (str_eq(slug, str_of(*reserved)))
            return true;
    return false;
}

enum err_code slug_check(struct str slug, const char *const *reserved, const char *pointer, struct err *err)
{
    if (slug.len == 0)
        return err_field(err, pointer, "must not be empty");
    if (slug.len > LIMIT_SLUG_BYTES)
        return err_field(err, pointer, "must be at most %d characters", (int)LIMIT_SLUG_BYTES);
    if (!has_only_slug_characters(slug))
        return err_field(err, pointer, "may hold only a-z, 0-9 and hyphens");
    if (!has_good_ends(slug))
        return err_field(err, pointer, "must begin and end with a letter or a digit");
    if (is_reserved(slug, reserved))
        return err_field(err, pointer, "\"" STR_FMT "\" is reserved; choose another", STR_ARG(slug));
    return ERR_OK;
}

struct str slug_from_text(struct arena *a, struct str text, size_t max)
{
    char *out = arena_need(a, max + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.len && n < max; i++) {
        char c = text.ptr[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (alnum(c))
            out[n++] = c;
        else if (n && out[n - 1] != '-')
            out[n++] = '-';
    }
    while (n && out[n - 1] == '-')
        n--;
    return str_make(out, n);
}
