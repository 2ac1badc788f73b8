/* Names of errors and scopes. */
#include "oauth/oauth.h"
#include "base/check.h"

static const char *const ERRORS[OAUTH_ERROR_COUNT] = {
    [OAUTH_OK] = "ok",
#define OAUTH_ERROR(id, name) [OAUTH_##id] = name,
#include "oauth/errors.def"
#undef OAUTH_ERROR
};

static const struct {
    const char *name, *text;
} SCOPES[SCOPE_COUNT] = {
#define SCOPE(id, name, text) {name, text},
#include "oauth/scopes.def"
#undef SCOPE
};

const char *oauth_error_name(enum oauth_error error)
{
    CHECK(error < OAUTH_ERROR_COUNT);
    return ERRORS[error];
}

enum err_code oauth_refuse(struct refusal *no, enum oauth_error error, const char *text)
{
    CHECK(error != OAUTH_OK);
    *no = (struct refusal){error, text};
    return ERR_OK;
}

const char *scope_name(enum scope_bit bit)
{
    CHECK(bit < SCOPE_COUNT);
    return SCOPES[bit].name;
}

const char *scope_text(enum scope_bit bit)
{
    CHECK(bit < SCOPE_COUNT);
    return SCOPES[bit].text;
}

static unsigned bit_of(struct str name)
{
    for (unsigned i = 0; i < SCOPE_COUNT; i++)
        if (str_eq(name, str_of(SCOPES[i].name)))
            return 1u << i;
    return 0;
}

/* NQCHAR of RFC 6749. */
static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c <= 0x20 || c >= 0x7f || c == '"' || c == '\\')
            return false;
    }
    return s.len > 0;
}

bool scope_parse(struct str text, unsigned *ret)
{
    struct str rest = text, name;
    unsigned found = 0;

    while (str_cut(&rest, ' ', &name)) {
        unsigned bit = bit_of(name);
        if (!is_name(name) || (bit & found))
            return false;
        found |= bit;
    }
    *ret = found;
    return true;
}

struct str scope_write(unsigned scope, char out[SCOPE_TEXT_MAX])
{
    size_t len = 0;

    for (unsigned i = 0; i < SCOPE_COUNT; i++) {
        size_t n = strlen(SCOPES[i].name);
        if (!(scope >> i & 1))
            continue;
        CHECK(len + n + 1 < SCOPE_TEXT_MAX);
        if (len)
            out[len++] = ' ';
        memcpy(out + len, SCOPES[i].name, n);
        len += n;
    }
    out[len] = '\0';
    return str_make(out, len);
}
