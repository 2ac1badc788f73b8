/* What strangers send to the authorization server, on any bytes: parameters, scopes, redirect addresses,
 * PKCE, and text on its pages. */
#include "api/markup.h"
#include "base/check.h"
#include "base/enc.h"
#include "http/query.h"
#include "oauth/oauth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_scope(struct str text)
{
    char room[SCOPE_TEXT_MAX];
    unsigned scope, again;
    if (!scope_parse(text, &scope))
        return;
    CHECK((scope & ~SCOPE_ALL) == 0);
    if (scope)
        CHECK(scope_parse(scope_write(scope, room), &again) && again == scope);
}

/* An address that may be registered equals itself, survives no change of a letter, and leads where its origin
 * says. */
static void check_redirect(struct str uri)
{
    char changed[REDIRECT_BYTES_MAX];
    if (redirect_check(uri)) {
        CHECK(redirect_matches(uri, uri));
        return;
    }
    struct str origin = redirect_origin(uri);
    CHECK(str_starts(uri, origin) && (str_starts(origin, S("https://")) || redirect_is_loopback(uri)));
    CHECK(uri.len == origin.len || uri.ptr[origin.len] == '/' || uri.ptr[origin.len] == '?');
    memcpy(changed, uri.ptr, uri.len);
    changed[uri.len - 1] = uri.ptr[uri.len - 1] == 'x' ? 'y' : 'x';
    CHECK(redirect_is_loopback(uri) || !redirect_matches(uri, str_make(changed, uri.len)));
}

static void check_page(struct str text)
{
    AUTO_STRBUF out;
    strbuf_init(&out, 8 * text.len + 64);
    markup_text(&out, text);
    CHECK(!strbuf_failed(&out) && utf8_valid(strbuf_str(&out)));
    for (size_t i = 0; i < out.len; i++)
        CHECK(!memchr("<>\"'`", out.buf[i], 5));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA a;
    struct query q;
    struct str text = str_make(data, size);
    arena_init(&a, 1 << 20);
    if (query_parse(text, &a, &q, NULL) == ERR_OK)
        for (unsigned i = 0; i < q.count; i++)
            CHECK(utf8_valid(q.items[i].value) && q.items[i].name.len &&
                  str_eq(query_get(&q, "x"), query_get(&q, "x")));
    check_scope(text);
    check_redirect(text);
    check_page(text);
    CHECK(!pkce_matches(text, text)); /* plain is no method */
    if (pkce_verifier_valid(text))
        CHECK(size >= 43 && size <= 128);
    return 0;
}
