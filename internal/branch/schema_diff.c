/* See schema_diff.h. */
#include "branch/schema_diff.h"
#include "base/check.h"
#include "base/strbuf.h"

#define STATEMENT_MAX (1 << 20)

const char *schema_kind_name(enum schema_kind kind)
{
    static const char *const names[SCHEMA_KIND_COUNT] = {"table", "view", "index", "trigger"};
    return names[kind];
}

/* SQLite's names: ASCII letters of either case are the same. */
static const struct schema_object *find(
    const struct schema_object *list, enum schema_kind kind, struct str name)
{
    for (; list; list = list->next)
        if (list->kind == kind && str_eq_nocase(list->name, name))
            return list;
    return NULL;
}

/* --- What ALTER TABLE ADD COLUMN did to a table's text --- */

struct insertion {
    size_t at;       /* in the parent's text */
    struct str text; /* ", column …", "" none */
};

/* The one piece that the branch's text has more, turned so that it begins with a comma. */
static bool find_insertion(struct str was, struct str is, struct insertion *ret)
{
    size_t at = 0, more = is.len - was.len;
    if (is.len <= was.len)
        return false;
    while (at < was.len && was.ptr[at] == is.ptr[at])
        at++;
    if (!str_eq(str_slice(was, at, was.len), str_slice(is, at + more, is.len)))
        return false;
    while (at > 0 && is.ptr[at] != ',' && is.ptr[at - 1] == is.ptr[at + more - 1])
        at--;
    *ret = (struct insertion){at, str_slice(is, at, at + more)};
    return is.ptr[at] == ',';
}

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

/* The next column of ", a INT, b DEFAULT (1, 2)": up to a comma outside of brackets. false: what is there is
 * none. */
static bool next_column(struct str *rest, struct str *ret)
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

/* Words that begin a constraint of the table, which no statement can add. */
static bool is_constraint(struct str column)
{
    static const struct str words[] = {
        {"CONSTRAINT", 10}, {"PRIMARY", 7}, {"UNIQUE", 6}, {"CHECK", 5}, {"FOREIGN", 7}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct str after = str_slice(column, words[i].len, column.len);
        if (str_starts_nocase(column, words[i]) && (!after.len || strchr(" (\t\n\"'", after.ptr[0])))
            return true;
    }
    return false;
}

/* --- Statements --- */

struct builder {
    struct arena *a;
    struct schema_statement **end; /* of the list that grows */
};

static void add(struct builder *b, struct str sql)
{
    struct schema_statement *s = arena_alloc(b->a, sizeof *s);
    if (!s)
        return; /* arena_failed() tells */
    *s = (struct schema_statement){.sql = sql};
    *b->end = s;
    b->end = &s->next;
}

static struct str about(
    struct arena *a, const char *verb, const char *what, struct str name, const char *then, struct str more)
{
    AUTO_STRBUF sql;
    strbuf_init(&sql, STATEMENT_MAX);
    strbuf_add_cstr(&sql, verb);
    strbuf_add_cstr(&sql, what);
    strbuf_add_char(&sql, ' ');
    strbuf_add_quoted(&sql, name, '"');
    strbuf_add_cstr(&sql, then);
    strbuf_add_str(&sql, more);
    return strbuf_failed(&sql) ? STR_EMPTY : arena_copy(a, strbuf_str(&sql));
}

static struct schema_statement *alters(
    struct arena *a, const struct schema_object *parent, const struct schema_object *branch)
{
    struct insertion in;
    struct str column;
    struct schema_statement *first = NULL;
    struct builder b = {a, &first};
    if (!find_insertion(parent->sql, branch->sql, &in))
        return NULL;
    for (struct str rest = in.text; rest.len;) {
        if (!next_column(&rest, &column) || is_constraint(column))
            return NULL;
        add(&b, about(a, "ALTER ", "TABLE", parent->name, " ADD COLUMN ", column));
    }
    return first;
}

/* --- The difference --- */

static void note(struct arena *a, struct schema_change ***end, const struct schema_object *parent,
    const struct schema_object *branch)
{
    struct schema_change *c = arena_alloc(a, sizeof *c);
    if (!c)
        return; /* arena_failed() tells */
    *c = (struct schema_change){.parent = parent, .branch = branch};
    if (parent && branch && parent->kind == SCHEMA_TABLE)
        c->alters = alters(a, parent, branch);
    **end = c;
    *end = &c->next;
}

static bool is_gone(const struct schema_diff *d, struct str table)
{
    for (const struct schema_change *c = d->removed; c; c = c->next)
        if (c->parent->kind == SCHEMA_TABLE && str_eq_nocase(c->parent->name, table))
            return true;
    return false;
}

static void drop_all(
    struct builder *b, const struct schema_diff *d, const struct schema_change *list, enum schema_kind kind)
{
    static const char *const words[SCHEMA_KIND_COUNT] = {"TABLE", "VIEW", "INDEX", "TRIGGER"};
    for (; list; list = list->next) {
        const struct schema_object *o = list->parent;
        bool with_table = kind == SCHEMA_INDEX || kind == SCHEMA_TRIGGER;
        if (o->kind == kind && !(with_table && is_gone(d, o->table)))
            add(b, about(b->a, "DROP ", words[kind], o->name, "", STR_EMPTY));
    }
}

static void create_all(struct builder *b, const struct schema_change *list, enum schema_kind kind)
{
    for (; list; list = list->next)
        if (list->branch->kind == kind)
            add(b, list->branch->sql);
}

/* The last made first, because what was made later may need what was made before. */
static struct schema_change *reversed(struct schema_change *list)
{
    struct schema_change *out = NULL;
    while (list) {
        struct schema_change *next = list->next;
        list->next = out;
        out = list;
        list = next;
    }
    return out;
}

static void order(struct arena *a, struct schema_diff *d)
{
    static const enum schema_kind drops[] = {SCHEMA_TRIGGER, SCHEMA_VIEW, SCHEMA_INDEX};
    static const enum schema_kind creates[] = {SCHEMA_INDEX, SCHEMA_VIEW, SCHEMA_TRIGGER};
    struct builder b = {a, &d->statements};
    for (size_t i = 0; i < ARRAY_LEN(drops); i++) {
        drop_all(&b, d, d->removed, drops[i]);
        drop_all(&b, d, d->changed, drops[i]);
    }
    drop_all(&b, d, d->removed, SCHEMA_TABLE);
    create_all(&b, d->added, SCHEMA_TABLE);
    for (const struct schema_change *c = d->changed; c; c = c->next) {
        d->by_hand += c->parent->kind == SCHEMA_TABLE && !c->alters;
        for (const struct schema_statement *s = c->alters; s; s = s->next)
            add(&b, s->sql);
    }
    for (size_t i = 0; i < ARRAY_LEN(creates); i++) {
        create_all(&b, d->changed, creates[i]);
        create_all(&b, d->added, creates[i]);
    }
}

enum err_code schema_diff(struct arena *a, const struct schema_object *parent,
    const struct schema_object *branch, struct schema_diff *ret, struct err *err)
{
    *ret = (struct schema_diff){.by_hand = 0};
    struct schema_change **added = &ret->added, **changed = &ret->changed, **removed = &ret->removed;
    for (const struct schema_object *o = branch; o; o = o->next) {
        const struct schema_object *was = find(parent, o->kind, o->name);
        if (!was)
            note(a, &added, NULL, o);
        else if (!str_eq(was->sql, o->sql))
            note(a, &changed, was, o);
    }
    for (const struct schema_object *o = parent; o; o = o->next)
        if (!find(branch, o->kind, o->name))
            note(a, &removed, o, NULL);
    ret->removed = reversed(ret->removed);
    order(a, ret);
    return arena_failed(a) ? err_set(err, ERR_TOO_LARGE, "the schemas are too large to be compared") : ERR_OK;
}
