/* Recognises what dumps contain. */
#include "engine/import_dump.h"
#include "base/strbuf.h"
#include "engine/catalog.h"
#include "engine/fts5_decl.h"
#include "engine/sql_token.h"

enum { INSERT_HEAD_MAX = 64 << 10 };

struct import_dump_table {
    struct import_dump_table *next;
    struct str name;
    struct fts5_decl decl;
};

/* Takes a keyword when it comes next. */
static bool take(struct str *rest, struct str word)
{
    struct str at = *rest;
    if (!sql_token_is(sql_token_next(&at), word))
        return false;
    *rest = at;
    return true;
}

static bool take_other(struct str *rest, char c)
{
    struct str at = *rest;
    struct sql_token t = sql_token_next(&at);
    if (t.kind != SQL_TOKEN_OTHER || t.text.ptr[0] != c)
        return false;
    *rest = at;
    return true;
}

static bool at_end(struct str rest)
{
    return sql_token_next(&rest).kind == SQL_TOKEN_END;
}

static bool is_one_of(struct str name, const struct str *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq_nocase(name, list[i]))
            return true;
    }
    return false;
}

static bool is_schema_table(struct str name)
{
    static const struct str names[] = {{"sqlite_schema", 13}, {"sqlite_master", 13}};
    return is_one_of(name, names, ARRAY_LEN(names));
}

static bool is_frame(struct str sql)
{
    static const struct str frames[] = {{"BEGIN", 5}, {"COMMIT", 6}, {"END", 3}};
    static const struct str pragmas[] = {
        {"foreign_keys", 12}, {"writable_schema", 15}, {"defer_foreign_keys", 18}};
    struct sql_token first = sql_token_next(&sql);
    if (first.kind == SQL_TOKEN_WORD && is_one_of(first.text, frames, ARRAY_LEN(frames)))
        return true;
    if (!sql_token_is(first, S("PRAGMA")))
        return false;
    struct sql_token name = sql_token_next(&sql);
    return name.kind == SQL_TOKEN_WORD && is_one_of(name.text, pragmas, ARRAY_LEN(pragmas)) && !at_end(sql);
}

static bool is_statistics(struct arena *a, struct str sql)
{
    struct str rest = sql;
    if (take(&rest, S("ANALYZE")))
        return is_schema_table(sql_token_value(a, sql_token_next(&rest)));
    rest = sql;
    return take(&rest, S("INSERT")) && take(&rest, S("INTO")) &&
           str_starts_nocase(sql_token_value(a, sql_token_next(&rest)), S("sqlite_stat"));
}

/* DELETE FROM sqlite_sequence, or INSERT INTO sqlite_sequence VALUES('name', n). */
static bool read_sequence(struct arena *a, struct str sql, struct import_step *ret)
{
    struct str rest = sql;
    if (take(&rest, S("DELETE")) && take(&rest, S("FROM")) &&
        sql_token_names(a, sql_token_next(&rest), S("sqlite_sequence"))) {
        ret->meaning = IMPORT_SKIP;
        return true;
    }
    rest = sql;
    if (!take(&rest, S("INSERT")) || !take(&rest, S("INTO")) ||
        !sql_token_names(a, sql_token_next(&rest), S("sqlite_sequence")) || !take(&rest, S("VALUES")) ||
        !take_other(&rest, '('))
        return false;
    struct sql_token name = sql_token_next(&rest);
    bool comma = take_other(&rest, ',');
    struct sql_token value = sql_token_next(&rest);
    ret->table = sql_token_value(a, name);
    ret->meaning = IMPORT_SEQUENCE;
    return name.kind == SQL_TOKEN_STRING && comma && str_to_i64(value.text, 0, INT64_MAX, &ret->value) &&
           take_other(&rest, ')') && at_end(rest);
}

static struct import_dump_table *find_virtual(const struct import_dump *d, struct str name)
{
    struct import_dump_table *t = d->virtual_tables;
    while (t && !str_eq_nocase(t->name, name))
        t = t->next;
    return t;
}

/* INSERT INTO sqlite_schema(…)VALUES('table','docs','docs',0,'CREATE VIRTUAL TABLE …'): what the fifth value
 * says. */
static bool read_schema_insert(
    struct import_dump *d, struct arena *a, struct str sql, struct import_step *ret)
{
    struct str rest = sql, values[3];
    struct sql_token t;
    if (!take(&rest, S("INSERT")) || !take(&rest, S("INTO")) ||
        !is_schema_table(sql_token_value(a, sql_token_next(&rest))))
        return false;
    do
        t = sql_token_next(&rest);
    while (t.kind != SQL_TOKEN_END && !sql_token_is(t, S("VALUES")));
    if (!take_other(&rest, '('))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        values[i] = sql_token_value(a, sql_token_next(&rest));
        if (!take_other(&rest, ','))
            return false;
    }
    (void)sql_token_next(&rest); /* the root page: 0 */
    if (!take_other(&rest, ',') || !str_eq(values[0], S("table")))
        return false;
    struct import_dump_table *v = ARENA_NEW(d->op->arena, struct import_dump_table);
    struct str create = arena_copy(d->op->arena, sql_token_value(a, sql_token_next(&rest)));
    v->name = arena_copy(d->op->arena, values[1]);
    if (!create.ptr || !v->name.ptr || !fts5_decl_read(d->op->arena, create, &v->decl))
        return false;
    v->next = d->virtual_tables;
    d->virtual_tables = v;
    *ret = (struct import_step){IMPORT_RUN, create, v->name, 0};
    return true;
}

/* The FTS5 table of the dump whose hidden table `name` is; *ret_part is "content", "data", … */
static struct import_dump_table *hidden_table(
    const struct import_dump *d, struct str name, struct str *ret_part)
{
    static const struct str parts[] = {
        {"data", 4}, {"idx", 3}, {"content", 7}, {"docsize", 7}, {"config", 6}};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (!str_ends(name, parts[i]) || name.len < parts[i].len + 2 ||
            name.ptr[name.len - parts[i].len - 1] != '_')
            continue;
        *ret_part = parts[i];
        return find_virtual(d, str_slice(name, 0, name.len - parts[i].len - 1));
    }
    return NULL;
}

/* INSERT INTO docs_content VALUES(1,'a','b') becomes INSERT INTO "docs"(rowid,"title","body")
 * VALUES(1,'a','b'). */
static struct str content_insert(struct arena *a, const struct import_dump_table *t, struct str values)
{
    AUTO_STRBUF head;
    strbuf_init(&head, INSERT_HEAD_MAX);
    strbuf_add_cstr(&head, "INSERT INTO ");
    catalog_quote(&head, t->name);
    strbuf_add_cstr(&head, "(rowid");
    for (const struct fts5_column *c = t->decl.columns; c; c = c->next) {
        strbuf_add_char(&head, ',');
        catalog_quote(&head, c->name);
    }
    strbuf_add_cstr(&head, ") ");
    return arena_printf(a, STR_FMT STR_FMT, STR_ARG(strbuf_str(&head)), STR_ARG(values));
}

/* INSERT INTO docs_config VALUES('rank','bm25(2.0)') becomes INSERT INTO "docs"("docs",rank) VALUES(…); ptr
 * NULL for what FTS5 keeps there for itself. */
static struct str config_insert(struct arena *a, const struct import_dump_table *t, struct str values)
{
    AUTO_STRBUF head;
    struct str rest = values;
    strbuf_init(&head, INSERT_HEAD_MAX);
    if (!take(&rest, S("VALUES")) || !take_other(&rest, '(') ||
        str_eq(sql_token_value(a, sql_token_next(&rest)), S("version")))
        return (struct str){NULL, 0};
    strbuf_add_cstr(&head, "INSERT INTO ");
    catalog_quote(&head, t->name);
    strbuf_add_char(&head, '(');
    catalog_quote(&head, t->name);
    strbuf_add_cstr(&head, ",rank) ");
    return arena_printf(a, STR_FMT STR_FMT, STR_ARG(strbuf_str(&head)), STR_ARG(values));
}

/* What a dump says about the hidden tables of its FTS5 tables. */
static bool read_hidden(struct import_dump *d, struct arena *a, struct str sql, struct import_step *ret)
{
    struct str rest = sql, part;
    bool create = take(&rest, S("CREATE")) && take(&rest, S("TABLE"));
    if (!create && !(take(&rest, S("INSERT")) && take(&rest, S("INTO"))))
        return false;
    if (create && take(&rest, S("IF")) && !(take(&rest, S("NOT")) && take(&rest, S("EXISTS"))))
        return false;
    struct import_dump_table *t = hidden_table(d, sql_token_value(a, sql_token_next(&rest)), &part);
    if (!t)
        return false;
    ret->meaning = IMPORT_SKIP;
    if (!create && t->decl.content == FTS5_OWN && str_eq(part, S("content"))) {
        ret->meaning = IMPORT_RUN;
        ret->sql = content_insert(a, t, rest);
        ret->table = t->name;
    } else if (!create && str_eq(part, S("config"))) {
        ret->sql = config_insert(a, t, rest);
        ret->meaning = ret->sql.ptr ? IMPORT_RUN : IMPORT_SKIP;
    }
    return true;
}

/* The name behind INSERT INTO, CREATE TABLE and their like. */
static struct str table_of(struct arena *a, struct str sql)
{
    struct str rest = sql;
    if (take(&rest, S("CREATE"))) {
        (void)take(&rest, S("VIRTUAL"));
        if (!take(&rest, S("TABLE")))
            return STR_EMPTY;
        if (take(&rest, S("IF")))
            (void)(take(&rest, S("NOT")) && take(&rest, S("EXISTS")));
    } else if (take(&rest, S("INSERT")) || take(&rest, S("REPLACE"))) {
        if (take(&rest, S("OR")))
            (void)sql_token_next(&rest);
        if (!take(&rest, S("INTO")))
            return STR_EMPTY;
    } else {
        return STR_EMPTY;
    }
    return sql_token_value(a, sql_token_next(&rest));
}

/* INSERT INTO t, where t is an ordinary table: nearly every statement of a dump. */
static bool read_plain_insert(
    const struct import_dump *d, struct arena *a, struct str sql, struct import_step *ret)
{
    struct str rest = sql;
    if (d->virtual_tables || !take(&rest, S("INSERT")) || !take(&rest, S("INTO")))
        return false;
    struct str table = sql_token_value(a, sql_token_next(&rest));
    if (str_starts_nocase(table, S("sqlite_")))
        return false;
    ret->table = table;
    return true;
}

enum err_code import_dump_read(
    struct import_dump *d, struct arena *scratch, struct str sql, struct import_step *ret, struct err *err)
{
    *ret = (struct import_step){IMPORT_RUN, sql, STR_EMPTY, 0};
    if (read_plain_insert(d, scratch, sql, ret))
        return arena_failed(scratch) ? err_set(err, ERR_TOO_LARGE, "the statement is too large") : ERR_OK;
    if (is_frame(sql) || is_statistics(scratch, sql)) {
        ret->meaning = IMPORT_SKIP;
    } else if (!read_sequence(scratch, sql, ret)) {
        *ret = (struct import_step){IMPORT_RUN, sql, STR_EMPTY, 0};
        if (!read_schema_insert(d, scratch, sql, ret) &&
            !(d->virtual_tables && read_hidden(d, scratch, sql, ret)))
            ret->table = table_of(scratch, sql);
    }
    if (arena_failed(scratch) || arena_failed(d->op->arena))
        return err_set(err, ERR_TOO_LARGE, "the statement is too large");
    return ERR_OK;
}

bool import_dump_lost(
    const struct import_dump *d, const struct import_dump_table **pos, struct str *ret_table)
{
    const struct import_dump_table *t = *pos ? (*pos)->next : d->virtual_tables;
    while (t && t->decl.content != FTS5_CONTENTLESS)
        t = t->next;
    *pos = t;
    if (t)
        *ret_table = t->name;
    return t != NULL;
}

bool import_dump_rebuild(const struct import_dump *d, struct arena *scratch,
    const struct import_dump_table **pos, struct str *ret_sql)
{
    const struct import_dump_table *t = *pos ? (*pos)->next : d->virtual_tables;
    AUTO_STRBUF sql;
    strbuf_init(&sql, INSERT_HEAD_MAX);
    while (t && t->decl.content != FTS5_EXTERNAL)
        t = t->next;
    *pos = t;
    if (!t)
        return false;
    strbuf_add_cstr(&sql, "INSERT INTO ");
    catalog_quote(&sql, t->name);
    strbuf_add_char(&sql, '(');
    catalog_quote(&sql, t->name);
    strbuf_add_cstr(&sql, ") VALUES('rebuild')");
    *ret_sql = arena_copy(scratch, strbuf_str(&sql));
    return ret_sql->ptr != NULL;
}
