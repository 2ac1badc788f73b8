/* Tokens of SQL. */
#include "engine/sql_token.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || c == '.' || (unsigned char)c >= 0x80;
}

static size_t comment_length(struct str s)
{
    const char *end = NULL;
    if (str_starts(s, S("\xef\xbb\xbf"))) /* SQLite passes over it wherever a token may begin */
        return 3;
    if (str_starts(s, S("--")))
        end = memchr(s.ptr, '\n', s.len);
    else if (!str_starts(s, S("/*")))
        return 0;
    for (size_t i = 2; !end && s.ptr[0] == '/' && i + 1 < s.len; i++) {
        if (s.ptr[i] == '*' && s.ptr[i + 1] == '/')
            end = s.ptr + i + 1;
    }
    return end ? (size_t)(end - s.ptr) + 1 : s.len;
}

static size_t quoted_length(struct str s, char close)
{
    for (size_t i = 1; i < s.len; i++) {
        if (s.ptr[i] != close)
            continue;
        if (close == ']' || i + 1 >= s.len || s.ptr[i + 1] != close)
            return i + 1;
        i++;
    }
    return s.len;
}

static enum sql_token_kind kind_of(char c)
{
    if (c == '\'')
        return SQL_TOKEN_STRING;
    if (c == '"' || c == '`' || c == '[')
        return SQL_TOKEN_NAME;
    return is_word(c) && c != '.' ? SQL_TOKEN_WORD : SQL_TOKEN_OTHER;
}

struct sql_token sql_token_next(struct str *rest)
{
    size_t len;
    while (rest->len) {
        len = is_space(rest->ptr[0]) ? 1 : comment_length(*rest);
        if (len == 0)
            break;
        *rest = str_slice(*rest, len, rest->len);
    }
    if (rest->len == 0)
        return (struct sql_token){SQL_TOKEN_END, STR_EMPTY};
    char first = rest->ptr[0];
    enum sql_token_kind kind = kind_of(first);
    len = 1;
    if (kind == SQL_TOKEN_STRING || kind == SQL_TOKEN_NAME)
        len = quoted_length(*rest, first == '[' ? ']' : first);
    while (kind == SQL_TOKEN_WORD && len < rest->len && is_word(rest->ptr[len]))
        len++;
    struct sql_token t = {kind, str_slice(*rest, 0, len)};
    *rest = str_slice(*rest, len, rest->len);
    return t;
}

struct str sql_token_value(struct arena *a, struct sql_token t)
{
    size_t n = 0;
    if (t.kind != SQL_TOKEN_STRING && t.kind != SQL_TOKEN_NAME)
        return t.text;
    char *out = arena_alloc(a, t.text.len + 1), close = t.text.ptr[0] == '[' ? ']' : t.text.ptr[0];
    for (size_t i = 1; out && i < t.text.len; i++) {
        if (t.text.ptr[i] == close) {
            if (i + 1 >= t.text.len || close == ']')
                break;
            i++;
        }
        out[n++] = t.text.ptr[i];
    }
    return out ? str_make(out, n) : STR_EMPTY;
}

bool sql_token_is(struct sql_token t, struct str word)
{
    return t.kind == SQL_TOKEN_WORD && str_eq_nocase(t.text, word);
}

bool sql_token_names(struct arena *a, struct sql_token t, struct str name)
{
    return t.kind != SQL_TOKEN_END && t.kind != SQL_TOKEN_OTHER && str_eq_nocase(sql_token_value(a, t), name);
}
