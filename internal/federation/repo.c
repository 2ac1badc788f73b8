/* Names of repositories, as each issuer gives them. */
#include "federation/repo.h"

#include "base/enc.h"

#define NAME_MAX_BYTES 255

/* Names of two or more parts, in which capital letters mean nothing. */
static bool has_paths(enum issuer_kind kind)
{
    return kind == ISSUER_GITHUB || kind == ISSUER_GITLAB;
}

static bool segment_valid(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                c == '_' || c == '.'))
            return false;
    }
    return s.len > 0;
}

static bool path_valid(struct str name, size_t *ret_segments)
{
    struct str rest = name, part;

    for (*ret_segments = 0; str_cut(&rest, '/', &part); ++*ret_segments)
        if (!segment_valid(part))
            return false;
    return true;
}

static bool printable(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] <= ' ' || s.ptr[i] == 0x7f)
            return false;
    return utf8_valid(s);
}

enum err_code repo_check(enum issuer_kind kind, struct str name, struct err *err)
{
    size_t segments;
    bool github = kind == ISSUER_GITHUB;

    if (!name.len || name.len > NAME_MAX_BYTES || !printable(name))
        return err_field(
            err, "/repo", "must be 1 to %d bytes without white space, like owner/name", NAME_MAX_BYTES);
    if (!has_paths(kind))
        return ERR_OK;
    if (!path_valid(name, &segments) || segments < 2 || (github && segments > 2))
        return err_field(err, "/repo", github ? "must be owner/name" : "must be group/name");
    return ERR_OK;
}

struct str repo_key(struct arena *a, enum issuer_kind kind, struct str name)
{
    char *key = arena_need(a, name.len + 1);

    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        key[i] = has_paths(kind) && c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return str_make(key, name.len);
}
