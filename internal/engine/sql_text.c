/* SQL as text. */
#include "engine/sql_text.h"

static const char *const VERBS[SQL_VERB_COUNT] = {
    [SQL_VERB_NONE] = "statement",
    [SQL_VERB_SELECT] = "SELECT",
    [SQL_VERB_WITH] = "WITH",
    [SQL_VERB_VALUES] = "VALUES",
    [SQL_VERB_INSERT] = "INSERT",
    [SQL_VERB_REPLACE] = "REPLACE",
    [SQL_VERB_UPDATE] = "UPDATE",
    [SQL_VERB_DELETE] = "DELETE",
    [SQL_VERB_CREATE] = "CREATE",
    [SQL_VERB_DROP] = "DROP",
    [SQL_VERB_ALTER] = "ALTER",
    [SQL_VERB_ANALYZE] = "ANALYZE",
    [SQL_VERB_REINDEX] = "REINDEX",
    [SQL_VERB_PRAGMA] = "PRAGMA",
    [SQL_VERB_EXPLAIN] = "EXPLAIN",
    [SQL_VERB_BEGIN] = "BEGIN",
    [SQL_VERB_COMMIT] = "COMMIT",
    [SQL_VERB_END] = "END",
    [SQL_VERB_ROLLBACK] = "ROLLBACK",
    [SQL_VERB_SAVEPOINT] = "SAVEPOINT",
    [SQL_VERB_RELEASE] = "RELEASE",
    [SQL_VERB_ATTACH] = "ATTACH",
    [SQL_VERB_DETACH] = "DETACH",
    [SQL_VERB_VACUUM] = "VACUUM",
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || (unsigned char)c >= 0x80;
}

/* Length of the white space or comment at the start; 0 when there is none. */
static size_t blank_length(struct str s)
{
    if (s.len == 0)
        return 0;
    if (is_space(s.ptr[0]))
        return 1;
    if (str_starts(s, S("\xef\xbb\xbf")))
        return 3;
    if (str_starts(s, S("--"))) {
        const char *end = memchr(s.ptr, '\n', s.len);
        return end ? (size_t)(end - s.ptr) + 1 : s.len;
    }
    if (str_starts(s, S("/*"))) {
        for (size_t i = 3; i < s.len; i++) {
            if (s.ptr[i - 1] == '*' && s.ptr[i] == '/')
                return i + 1;
        }
        return s.len;
    }
    return 0;
}

static struct str skip(struct str s, bool semicolons)
{
    for (;;) {
        size_t n = blank_length(s);
        if (n == 0 && semicolons && s.len && s.ptr[0] == ';')
            n = 1;
        if (n == 0)
            return s;
        s = str_slice(s, n, s.len);
    }
}

struct str sql_skip_blank(struct str sql)
{
    return skip(sql, true);
}

/* Cuts a run of word characters off the start. */
static struct str take_word(struct str *rest)
{
    *rest = skip(*rest, true);
    size_t n = 0;
    while (n < rest->len && is_word(rest->ptr[n]))
        n++;
    struct str word = str_slice(*rest, 0, n);
    *rest = str_slice(*rest, n, rest->len);
    return word;
}

static enum sql_verb verb_of(struct str word)
{
    for (int i = SQL_VERB_NONE + 1; i < SQL_VERB_COUNT; i++) {
        if (str_eq_nocase(word, str_of(VERBS[i])))
            return (enum sql_verb)i;
    }
    return SQL_VERB_NONE;
}

enum sql_verb sql_verb(struct str sql)
{
    struct str word = take_word(&sql);
    if (!str_eq_nocase(word, S("EXPLAIN")))
        return verb_of(word);
    struct str after = sql;
    if (str_eq_nocase(take_word(&after), S("QUERY")) && str_eq_nocase(take_word(&after), S("PLAN")))
        sql = after;
    enum sql_verb verb = verb_of(take_word(&sql));
    return verb == SQL_VERB_NONE ? SQL_VERB_EXPLAIN : verb;
}

bool sql_is_explain(struct str sql)
{
    return str_eq_nocase(take_word(&sql), S("EXPLAIN"));
}

const char *sql_verb_name(enum sql_verb verb)
{
    return VERBS[verb];
}

bool sql_verb_changes_schema(enum sql_verb verb)
{
    return verb == SQL_VERB_CREATE || verb == SQL_VERB_DROP || verb == SQL_VERB_ALTER ||
           verb == SQL_VERB_ANALYZE || verb == SQL_VERB_REINDEX;
}

size_t sql_quoted_length(struct str s)
{
    char close = s.ptr[0] == '[' ? ']' : s.ptr[0];
    for (size_t i = 1; i < s.len; i++) {
        if (s.ptr[i] != close)
            continue;
        if (close != ']' && i + 1 < s.len && s.ptr[i + 1] == close)
            i++;
        else
            return i + 1;
    }
    return s.len;
}

bool sql_next_word(struct str *rest, struct str *ret_word)
{
    for (;;) {
        *rest = skip(*rest, true);
        if (rest->len == 0)
            return false;
        char c = rest->ptr[0];
        if (c == '\'' || c == '"' || c == '`' || c == '[') {
            size_t n = sql_quoted_length(*rest);
            *ret_word = str_slice(*rest, 1, n > 1 ? n - 1 : n);
            *rest = str_slice(*rest, n, rest->len);
            if (c != '\'')
                return true;
        } else if (is_word(c)) {
            *ret_word = take_word(rest);
            if (!(c >= '0' && c <= '9'))
                return true;
        } else {
            *rest = str_slice(*rest, 1, rest->len);
        }
    }
}
