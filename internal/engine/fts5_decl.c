/* Reads the arguments of a CREATE VIRTUAL TABLE … USING fts5(…) as FTS5 does: split at the commas outside
 * quotes and parentheses; "name = value" is an option, everything else a column. */
#include "engine/fts5_decl.h"
#include "engine/sql_text.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f';
}

static char closing_quote(char c)
{
    return c == '[' ? ']' : (c == '\'' || c == '"' || c == '`') ? c : '\0';
}

/* Length of the word or quoted text at the start of `s`. */
static size_t token_length(struct str s)
{
    size_t len = 0;
    if (s.len && closing_quote(s.ptr[0]))
        return sql_quoted_length(s);
    while (len < s.len && !is_space(s.ptr[len]) && !strchr("=,()", s.ptr[len]))
        len++;
    return len;
}

static struct str unquote(struct arena *a, struct str token)
{
    char close = token.len ? closing_quote(token.ptr[0]) : '\0';
    if (!close)
        return token;
    char *out = arena_alloc(a, token.len + 1);
    size_t n = 0;
    for (size_t i = 1; out && i + 1 < token.len; i++) {
        out[n++] = token.ptr[i];
        if (token.ptr[i] == close && close != ']')
            i++;
    }
    return out ? str_make(out, n) : STR_EMPTY;
}

/* Takes the text up to the next comma that separates arguments. */
static bool next_argument(struct str *rest, struct str *ret)
{
    size_t at = 0;
    int depth = 0;
    if (!rest->ptr)
        return false;
    while (at < rest->len && !(depth == 0 && rest->ptr[at] == ',')) {
        char c = rest->ptr[at];
        if (closing_quote(c)) {
            at += sql_quoted_length(str_slice(*rest, at, rest->len));
            continue;
        }
        depth += c == '(' ? 1 : c == ')' && depth > 0 ? -1 : 0;
        at++;
    }
    *ret = str_trim(str_slice(*rest, 0, at));
    *rest = at < rest->len ? str_slice(*rest, at + 1, rest->len) : (struct str){NULL, 0};
    return true;
}

static void read_argument(struct arena *a, struct str arg, struct fts5_decl *ret, struct fts5_column ***tail)
{
    size_t len = token_length(arg);
    struct str word = str_slice(arg, 0, len), after = str_trim(str_slice(arg, len, arg.len));
    if (after.len && after.ptr[0] == '=') {
        struct str value = str_trim(str_slice(after, 1, after.len));
        if (str_eq_nocase(word, S("content"))) {
            ret->content_table = unquote(a, value);
            ret->content = ret->content_table.len ? FTS5_EXTERNAL : FTS5_CONTENTLESS;
        }
        if (str_eq_nocase(word, S("content_rowid")))
            ret->content_rowid = unquote(a, value);
        if (str_eq_nocase(word, S("locale")))
            ret->locale = !str_eq(unquote(a, value), S("0"));
        return;
    }
    struct fts5_column *c = len ? arena_alloc(a, sizeof(*c)) : NULL;
    if (!c)
        return;
    c->name = unquote(a, word);
    ret->column_count++;
    **tail = c;
    *tail = &c->next;
}

/* Moves past `word` (any case) when it comes next. */
static bool skip_word(struct str *rest, struct str word)
{
    *rest = str_trim(*rest);
    if (!str_eq_nocase(str_slice(*rest, 0, token_length(*rest)), word))
        return false;
    *rest = str_slice(*rest, word.len, rest->len);
    return true;
}

static void skip_token(struct str *rest)
{
    *rest = str_trim(*rest);
    *rest = str_slice(*rest, token_length(*rest), rest->len);
}

bool fts5_decl_read(struct arena *a, struct str sql, struct fts5_decl *ret)
{
    struct str rest = sql, arg;
    struct fts5_column **tail = &ret->columns;
    *ret = (struct fts5_decl){.content = FTS5_OWN, .content_table = STR_EMPTY, .content_rowid = STR_EMPTY};
    if (!skip_word(&rest, S("CREATE")) || !skip_word(&rest, S("VIRTUAL")) || !skip_word(&rest, S("TABLE")))
        return false;
    if (skip_word(&rest, S("IF")) && !(skip_word(&rest, S("NOT")) && skip_word(&rest, S("EXISTS"))))
        return false;
    skip_token(&rest);
    if (!skip_word(&rest, S("USING")) || !skip_word(&rest, S("fts5")))
        return false;
    rest = str_trim(rest);
    if (rest.len < 2 || rest.ptr[0] != '(')
        return false;
    size_t end = rest.len;
    while (end > 1 && rest.ptr[end - 1] != ')')
        end--;
    if (end <= 1)
        return false;
    rest = str_slice(rest, 1, end - 1);
    while (next_argument(&rest, &arg))
        read_argument(a, arg, ret, &tail);
    return ret->column_count > 0;
}
