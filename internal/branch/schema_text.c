/* See schema_text.h. */
#include "branch/schema_text.h"

/* Behind a quoted text, a comment, or one character. */
static size_t skip(struct str s, size_t at)
{
    char c = s.ptr[at], end = c == '[' ? ']' : c;
    if (c == '-' && at + 1 < s.len && s.ptr[at + 1] == '-') {
        while (at < s.len && s.ptr[at] != '\n')
            at++;
        return at;
    }
    if (c == '/' && at + 1 < s.len && s.ptr[at + 1] == '*') {
        for (at += 2; at < s.len && !(s.ptr[at - 1] == '*' && s.ptr[at] == '/');)
            at++;
        return at < s.len ? at + 1 : at;
    }
    if (c != '\'' && c != '"' && c != '`' && c != '[')
        return at + 1;
    for (at++; at < s.len && s.ptr[at] != end;)
        at++;
    return at < s.len ? at + 1 : at; /* a doubled quote begins the next one */
}

bool schema_text_split(struct str sql, struct schema_text *ret)
{
    size_t open = 0, at;
    int depth = 1;
    while (open < sql.len && sql.ptr[open] != '(')
        open = skip(sql, open);
    for (at = open + 1; at < sql.len; at = skip(sql, at)) {
        depth += (sql.ptr[at] == '(') - (sql.ptr[at] == ')');
        if (depth == 0)
            break;
    }
    if (at >= sql.len)
        return false;
    *ret =
        (struct schema_text){str_slice(sql, 0, open), str_slice(sql, open, at), str_slice(sql, at, sql.len)};
    return true;
}

bool schema_text_item(struct str *rest, struct str *ret)
{
    struct str s = *rest;
    size_t at = 1;
    int depth = 0;
    while (at < s.len && !(depth == 0 && s.ptr[at] == ',')) {
        depth += (s.ptr[at] == '(') - (s.ptr[at] == ')');
        if (depth < 0)
            return false;
        at = skip(s, at);
    }
    *ret = str_trim(str_slice(s, 1, at));
    *rest = str_slice(s, at, s.len);
    return depth == 0 && ret->len > 0;
}

bool schema_text_is_constraint(struct str item)
{
    static const struct str words[] = {
        {"CONSTRAINT", 10}, {"PRIMARY", 7}, {"UNIQUE", 6}, {"CHECK", 5}, {"FOREIGN", 7}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct str after = str_slice(item, words[i].len, item.len);
        if (str_starts_nocase(item, words[i]) && (!after.len || strchr(" (\t\n\"'", after.ptr[0])))
            return true;
    }
    return false;
}

struct str schema_text_column(struct str item)
{
    size_t at = 0;
    if (strchr("'\"`[", item.ptr[0]))
        return str_slice(item, 1, skip(item, 0) - 1);
    while (at < item.len && !strchr(" \t\r\n(,/-", item.ptr[at]))
        at++;
    return str_slice(item, 0, at);
}

/* --- Tokens --- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || (unsigned char)c >= 0x80;
}

struct str schema_text_token(struct str *rest)
{
    struct str s = *rest;
    while (s.len) {
        bool comment =
            s.len > 1 && ((s.ptr[0] == '-' && s.ptr[1] == '-') || (s.ptr[0] == '/' && s.ptr[1] == '*'));
        if (!comment && !strchr(" \t\r\n\f", s.ptr[0]))
            break;
        s = str_slice(s, skip(s, 0), s.len);
    }
    size_t at = 0;
    while (at < s.len && is_word(s.ptr[at]))
        at++;
    if (at == 0 && s.len)
        at = skip(s, 0);
    *rest = str_slice(s, at, s.len);
    return at ? str_slice(s, 0, at) : (struct str){NULL, 0};
}

struct str schema_text_name(struct str token)
{
    char c = token.len ? token.ptr[0] : '\0';
    if (c == '"' || c == '`' || c == '[')
        return token.len > 1 ? str_slice(token, 1, token.len - 1) : STR_EMPTY;
    return is_word(c) && !(c >= '0' && c <= '9') ? token : (struct str){NULL, 0};
}

bool schema_text_has(struct str item, const char *word)
{
    struct str token;
    int depth = 0;
    while ((token = schema_text_token(&item)).ptr) {
        depth += str_eq(token, S("(")) - str_eq(token, S(")"));
        if (depth == 0 && str_eq_nocase(token, str_of(word)))
            return true;
    }
    return false;
}

bool schema_text_refers(struct str sql, struct str table)
{
    struct str token, before = STR_EMPTY;
    for (; (token = schema_text_token(&sql)).ptr; before = token) {
        struct str name = schema_text_name(token);
        if (!str_eq_nocase(before, S("REFERENCES")))
            continue;
        if (token.ptr[0] == '\'' && token.len > 1)
            name = str_slice(token, 1, token.len - 1);
        bool quote_within = strchr("'\"`", token.ptr[0]) && sql.len && sql.ptr[0] == token.ptr[0];
        if (quote_within || (name.ptr && str_eq_nocase(name, table)))
            return true;
    }
    return false;
}
