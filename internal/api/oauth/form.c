#include "api/oauth/form.h"

#include "base/enc.h"

enum err_code form_read(struct api_call *c, struct query *ret, struct refusal *no)
{
    struct str type = c->content_type, kind;
    struct err why = ERR_INIT;

    ret->count = 0;
    if (!type.ptr || !str_cut(&type, ';', &kind) ||
        !str_eq_nocase(str_trim(kind), S("application/x-www-form-urlencoded")))
        return oauth_refuse(
            no, OAUTH_INVALID_REQUEST, "Send the parameters as application/x-www-form-urlencoded");
    if (c->body.len > FORM_BYTES_MAX)
        return oauth_refuse(no, OAUTH_INVALID_REQUEST, "The parameters are too long");
    if (query_parse(c->body, c->arena, ret, &why))
        return oauth_refuse(no, OAUTH_INVALID_REQUEST,
            "A parameter is given twice, is malformed, or there are too many of them");
    return ERR_OK;
}

enum err_code form_read_alone(struct api_call *c, struct query *ret, struct refusal *no)
{
    ret->count = 0;
    if (c->raw_query.len)
        return oauth_refuse(
            no, OAUTH_INVALID_REQUEST, "Parameters belong into the body, not into the address");
    return form_read(c, ret, no);
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~", c));
}

static void add_encoded(struct strbuf *out, struct str text)
{
    static const char HEX[] = "0123456789ABCDEF";

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (is_plain(c)) {
            strbuf_add_char(out, c);
            continue;
        }
        strbuf_add_char(out, '%');
        strbuf_add_char(out, HEX[(unsigned char)c >> 4]);
        strbuf_add_char(out, HEX[(unsigned char)c & 15]);
    }
}

void form_add_pair(struct strbuf *out, struct str name, struct str value)
{
    add_encoded(out, name);
    strbuf_add_char(out, '=');
    add_encoded(out, value);
    strbuf_add_char(out, '&');
}

void form_add(struct strbuf *out, const char *name, struct str value)
{
    form_add_pair(out, str_of(name), value);
}

bool form_decode(struct arena *a, struct str text, struct str *ret)
{
    AUTO_STRBUF out;

    strbuf_init(&out, text.len + 1);
    if (!dec_percent(text, true, &out))
        return false;
    *ret = arena_copy(a, strbuf_str(&out));
    return ret->ptr != NULL;
}
