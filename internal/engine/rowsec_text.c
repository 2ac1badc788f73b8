/* Policies as text: a person's expression is let into SQL of ours only when it cannot reach out of the
 * parentheses it is put into. And where the table of an INSERT stands. */
#include "base/strbuf.h"
#include "engine/rowsec.h"
#include "engine/sql_token.h"

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Length of the quoted run at the start of `s`; 0 when it never ends. */
static size_t quoted(struct str s)
{
    char close = s.ptr[0] == '[' ? ']' : s.ptr[0];
    for (size_t i = 1; i < s.len; i++) {
        if (s.ptr[i] != close)
            continue;
        if (close == ']' || i + 1 == s.len || s.ptr[i + 1] != close)
            return i + 1;
        i++;
    }
    return 0;
}

/* `s` begins with a colon. Length of ":auth_<claim>", which is appended as a call; 0 it is no claim. */
static size_t claim(struct str s, struct strbuf *out)
{
    struct str prefix = S(":auth_");
    size_t end = prefix.len;
    if (!str_starts(s, prefix))
        return 0;
    while (end < s.len && is_name_byte(s.ptr[end]))
        end++;
    if (end == prefix.len)
        return 0;
    strbuf_add_cstr(out, "_sys_claim('");
    strbuf_add_str(out, str_slice(s, prefix.len, end));
    strbuf_add_cstr(out, "')");
    return end;
}

static const char *refusal(struct str s)
{
    switch (s.ptr[0]) {
    case ';': return "must not hold a semicolon";
    case '?':
    case '@':
    case '#':
    case '$': return "takes no parameter but :auth_<claim>";
    default: break;
    }
    if (str_starts(s, S("--")) || str_starts(s, S("/*")))
        return "must not hold a comment";
    bool control = (unsigned char)s.ptr[0] < ' ' && !memchr("\t\r\n", s.ptr[0], 3);
    return control ? "must not hold control characters" : NULL;
}

static bool names_ours(struct str s)
{
    return str_starts_nocase(s, S("_sys_")) || str_starts_nocase(s, S("_persql_"));
}

static size_t copy_next(struct str rest, struct strbuf *out, int *depth, const char **problem)
{
    size_t len = 1;
    char c = rest.ptr[0];
    *problem = names_ours(rest) ? "must not speak of the server's own names" : refusal(rest);
    if (*problem)
        return 0;
    if (c == ':') {
        len = claim(rest, out);
        *problem = len ? NULL : "takes no parameter but :auth_<claim>";
        return len;
    }
    if (memchr("'\"`[", c, 4))
        len = quoted(rest);
    if (len == 0)
        *problem = "holds a quote that is never closed";
    *depth += (c == '(') - (c == ')');
    if (*depth < 0)
        *problem = "closes a parenthesis that it did not open";
    strbuf_add_str(out, str_slice(rest, 0, len));
    return len;
}

bool rowsec_translate(struct str expression, struct strbuf *out, const char **ret_problem)
{
    struct str rest = str_trim(expression);
    int depth = 0;
    *ret_problem = rest.len ? NULL : "must not be empty";
    while (rest.len && !*ret_problem) {
        size_t len = copy_next(rest, out, &depth, ret_problem);
        rest = str_slice(rest, len, rest.len);
    }
    if (!*ret_problem && depth != 0)
        *ret_problem = "opens a parenthesis that it does not close";
    return *ret_problem == NULL;
}

/* --- The table of an INSERT --- */

/* Takes tokens up to the first word outside of parentheses that begins a statement. */
static struct sql_token statement_word(struct str *rest)
{
    int depth = 0;
    struct sql_token t = sql_token_next(rest);
    if (sql_token_is(t, S("EXPLAIN"))) {
        t = sql_token_next(rest);
        if (sql_token_is(t, S("QUERY"))) {
            (void)sql_token_next(rest); /* PLAN */
            t = sql_token_next(rest);
        }
    }
    if (!sql_token_is(t, S("WITH")))
        return t;
    for (;;) {
        t = sql_token_next(rest);
        if (t.kind == SQL_TOKEN_END)
            return t;
        if (t.kind == SQL_TOKEN_OTHER)
            depth += (t.text.ptr[0] == '(') - (t.text.ptr[0] == ')');
        else if (depth == 0 && (sql_token_is(t, S("INSERT")) || sql_token_is(t, S("REPLACE"))))
            return t;
    }
}

struct rowsec_target rowsec_insert_target(struct arena *a, struct str sql)
{
    struct rowsec_target ret = {.name = STR_EMPTY};
    struct str rest = sql;
    struct sql_token t = statement_word(&rest);
    ret.replaces = sql_token_is(t, S("REPLACE"));
    if (!ret.replaces && !sql_token_is(t, S("INSERT")))
        return ret;
    t = sql_token_next(&rest);
    if (sql_token_is(t, S("OR"))) {
        ret.replaces |= sql_token_is(sql_token_next(&rest), S("REPLACE"));
        t = sql_token_next(&rest);
    }
    if (!sql_token_is(t, S("INTO")))
        return ret;
    struct sql_token name = sql_token_next(&rest);
    if (name.kind == SQL_TOKEN_END || name.kind == SQL_TOKEN_OTHER)
        return ret;
    ret.at = (size_t)(name.text.ptr - sql.ptr);
    struct sql_token dot = sql_token_next(&rest);
    /* The tokens here keep the points inside of bare words. */
    ret.qualified = (dot.kind == SQL_TOKEN_OTHER && dot.text.ptr[0] == '.') ||
                    (name.kind == SQL_TOKEN_WORD && memchr(name.text.ptr, '.', name.text.len));
    ret.ok = !ret.qualified;
    ret.name = sql_token_value(a, name);
    return ret;
}

/* --- Names and definitions --- */

bool rowsec_is_plain(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (memchr("\"'`[]", name.ptr[i], 5))
            return false;
    }
    return name.len > 0;
}

bool rowsec_replaces(struct str create_table)
{
    bool conflict = false;
    struct sql_token t = sql_token_next(&create_table);
    for (; t.kind != SQL_TOKEN_END; t = sql_token_next(&create_table)) {
        if (conflict && sql_token_is(t, S("REPLACE")))
            return true;
        conflict = sql_token_is(t, S("CONFLICT"));
    }
    return false;
}
