/* The tables of a sample: how their rows are named, and what those refer to. */
#include "base/strbuf.h"
#include "engine/column.h"
#include "engine/fts5_decl.h"
#include "engine/sample_internal.h"

enum { SQL_MAX = 1 << 20 };

static enum err_code too_large(struct err *err)
{
    return err_set(err, ERR_TOO_LARGE, "the rows of the sample need too much memory: ask for fewer");
}

enum err_code sample_prepare(struct sample *s, const struct strbuf *sql, sqlite3_stmt **ret, struct err *err)
{
    if (strbuf_failed(sql))
        return err_set(err, ERR_TOO_LARGE, "the columns of a table are too many to be sampled");
    return s->src->prepare(s->src->arg, strbuf_cstr(sql), ret, err);
}

struct sample_table *sample_table(const struct sample *s, struct str name)
{
    for (uint32_t i = 0; i < s->table_count; i++) {
        if (str_eq_nocase(s->tables[i].table->name, name))
            return &s->tables[i];
    }
    return NULL;
}

/* --- Keys --- */

static void add_bytes(struct strbuf *out, char type, const void *data, size_t len)
{
    uint32_t size = (uint32_t)len;
    strbuf_add_char(out, type);
    strbuf_add(out, &size, sizeof size);
    strbuf_add(out, data, len);
}

void sample_key(sqlite3_stmt *stmt, int columns, struct strbuf *out)
{
    for (int i = 0; i < columns; i++) {
        int type = sqlite3_column_type(stmt, i);
        int64_t number = type == SQLITE_INTEGER ? sqlite3_column_int64(stmt, i) : 0;
        double real = type == SQLITE_FLOAT ? sqlite3_column_double(stmt, i) : 0;
        struct str bytes = column_bytes(stmt, i);
        switch (type) {
        case SQLITE_INTEGER: add_bytes(out, 'i', &number, sizeof number); break;
        case SQLITE_FLOAT: add_bytes(out, 'r', &real, sizeof real); break;
        default: add_bytes(out, type == SQLITE_TEXT ? 't' : 'b', bytes.ptr, bytes.len);
        }
    }
}

static int bind_one(sqlite3_stmt *stmt, int at, char type, const char *data, uint32_t size)
{
    int64_t number = 0;
    double real = 0;
    switch (type) {
    case 'i': memcpy(&number, data, sizeof number); return sqlite3_bind_int64(stmt, at, number);
    case 'r': memcpy(&real, data, sizeof real); return sqlite3_bind_double(stmt, at, real);
    case 't': return sqlite3_bind_text64(stmt, at, data, size, SQLITE_STATIC, SQLITE_UTF8);
    default: return sqlite3_bind_blob64(stmt, at, data, size, SQLITE_STATIC);
    }
}

int sample_bind(sqlite3_stmt *stmt, const struct sample_row *row)
{
    int rc = SQLITE_OK, at = 1;
    if (!row->key.ptr)
        return sqlite3_bind_int64(stmt, 1, row->id);
    for (size_t i = 0; i < row->key.len && rc == SQLITE_OK; at++) {
        uint32_t size;
        memcpy(&size, row->key.ptr + i + 1, sizeof size);
        rc = bind_one(stmt, at, row->key.ptr[i], row->key.ptr + i + 1 + sizeof size, size);
        i += 1 + sizeof size + size;
    }
    return rc;
}

static struct str kept(struct sample *s, const struct strbuf *text)
{
    return strbuf_failed(text) ? (struct str){NULL, 0} : arena_copy(&s->arena, strbuf_str(text));
}

/* Of a table WITHOUT ROWID, in the key's order. */
static void name_by_columns(struct sample *s, struct sample_table *t)
{
    AUTO_STRBUF keys;
    AUTO_STRBUF condition;
    strbuf_init(&keys, SQL_MAX);
    strbuf_init(&condition, SQL_MAX);
    for (int place = 1; place <= t->table->pk_count; place++) {
        for (const struct cat_column *c = t->table->columns; c; c = c->next) {
            if (c->pk != place)
                continue;
            strbuf_add_cstr(&keys, place > 1 ? "," : "");
            catalog_quote(&keys, c->name);
            strbuf_add_cstr(&condition, place > 1 ? " AND " : " WHERE ");
            catalog_quote(&condition, c->name);
            strbuf_addf(&condition, "=?%d", place);
        }
    }
    t->key_count = t->table->pk_count;
    t->keys = kept(s, &keys);
    t->condition = kept(s, &condition);
}

static void name_by_id(struct sample *s, struct sample_table *t, struct str id)
{
    t->by_id = true;
    t->key_count = 1;
    t->keys = arena_copy(&s->arena, id);
    t->condition = arena_printf(&s->arena, " WHERE " STR_FMT "=?1", STR_ARG(id));
}

static enum err_code name_rows(struct sample *s, struct sample_table *t, struct err *err)
{
    AUTO_STRBUF id;
    const struct cat_column *alias = cat_rowid_alias(t->table);
    strbuf_init(&id, SQL_MAX);
    if (t->table->kind == CAT_VIRTUAL) {
        name_by_id(s, t, S("id"));
    } else if (t->table->without_rowid) {
        name_by_columns(s, t);
    } else if (alias) {
        catalog_quote(&id, alias->name);
        name_by_id(s, t, strbuf_str(&id));
    } else if (cat_rowid_name(t->table)) {
        name_by_id(s, t, str_of(cat_rowid_name(t->table)));
    } else {
        return err_set(err, ERR_CONFLICT,
            "\"" STR_FMT "\" has columns called rowid, _rowid_ and oid, so that its rows have no name to be "
            "sampled by",
            STR_ARG(t->table->name));
    }
    return t->keys.ptr && t->condition.ptr ? ERR_OK : too_large(err);
}

/* --- References --- */

static const struct cat_column *named(const struct cat_table *t, struct str column)
{
    return column.ptr ? cat_column(t, column) : NULL;
}

static int fk_columns(const struct cat_fk *fk)
{
    int count = 0;
    for (const struct cat_fk *k = fk; k && k->id == fk->id; k = k->next)
        count++;
    return count;
}

static bool refers_to(const struct cat_fk *fk, int count, struct str column)
{
    for (int i = 0; i < count; i++, fk = fk->next) {
        if (fk->ref_column.ptr && str_eq_nocase(fk->ref_column, column))
            return true;
    }
    return false;
}

/* Exactly the columns of a key of the parent, in any order? Else SQLite calls it a mismatch. */
static bool is_key(const struct cat_table *parent, const struct cat_fk *fk, int count)
{
    int pk = 0;
    for (const struct cat_column *c = parent->columns; c; c = c->next)
        pk += c->pk > 0 && refers_to(fk, count, c->name);
    if (pk == count && parent->pk_count == count)
        return true;
    for (const struct cat_index *ix = parent->indexes; ix; ix = ix->next) {
        int found = 0;
        for (const struct cat_index_column *k = ix->columns; k; k = k->next)
            found += k->name.ptr && refers_to(fk, count, k->name);
        if (ix->unique && !ix->partial && ix->column_count == count && found == count)
            return true;
    }
    return false;
}

/* The columns are known, on both sides. */
static bool is_reference(const struct sample *s, const struct cat_table *t, const struct cat_fk *fk,
    const struct sample_table **ret)
{
    int count = fk_columns(fk);
    *ret = sample_table(s, fk->ref_table);
    if (!*ret || (*ret)->table->kind != CAT_TABLE)
        return false;
    const struct cat_fk *k = fk;
    for (int i = 0; i < count; i++, k = k->next) {
        if (!named(t, k->column) || !named((*ret)->table, k->ref_column))
            return false;
    }
    return is_key((*ret)->table, fk, count);
}

static enum err_code open_fk(struct sample *s, const struct sample_table *parent, const struct cat_fk *fk,
    struct sample_fk *ret, struct err *err)
{
    AUTO_STRBUF sql;
    strbuf_init(&sql, SQL_MAX);
    strbuf_addf(&sql, "SELECT " STR_FMT " FROM " STR_FMT, STR_ARG(parent->keys), STR_ARG(parent->from));
    for (int i = 0; i < ret->count; i++, fk = fk->next) {
        strbuf_add_cstr(&sql, i ? " AND " : " WHERE ");
        catalog_quote(&sql, fk->ref_column);
        strbuf_addf(&sql, "=?%d", i + 1);
    }
    strbuf_add_cstr(&sql, " LIMIT 1");
    return sample_prepare(s, &sql, &ret->find, err);
}

/* One statement reads what a row refers to by all of its keys. */
static enum err_code open_references(struct sample *s, struct sample_table *t, struct err *err)
{
    AUTO_STRBUF sql;
    const struct sample_table *parent;
    struct sample_fk **tail = &t->fks;
    int columns = 0;
    enum err_code code = ERR_OK;
    strbuf_init(&sql, SQL_MAX);
    for (const struct cat_fk *fk = t->table->fks; fk && !code; fk = fk->next) {
        if (fk->seq != 0 || !is_reference(s, t->table, fk, &parent))
            continue;
        struct sample_fk *f = arena_alloc(&s->arena, sizeof *f);
        if (!f)
            return too_large(err);
        *f = (struct sample_fk){
            .parent = (uint32_t)(parent - s->tables), .first = columns, .count = fk_columns(fk)};
        *tail = f;
        tail = &f->next;
        code = open_fk(s, parent, fk, f, err);
        const struct cat_fk *k = fk;
        for (int i = 0; i < f->count; i++, k = k->next) {
            strbuf_add_cstr(&sql, columns++ ? "," : "SELECT ");
            catalog_quote(&sql, k->column);
        }
    }
    if (code || !t->fks)
        return code;
    strbuf_addf(&sql, " FROM " STR_FMT STR_FMT, STR_ARG(t->from), STR_ARG(t->condition));
    return sample_prepare(s, &sql, &t->read, err);
}

/* --- All of them --- */

static enum err_code count_rows(struct sample *s, struct sample_table *t, struct err *err)
{
    AUTO_STRBUF sql;
    AUTO_SQL *stmt = NULL;
    bool row = false;
    strbuf_init(&sql, SQL_MAX);
    strbuf_addf(&sql, "SELECT count(*) FROM " STR_FMT, STR_ARG(t->from));
    enum err_code code = sample_prepare(s, &sql, &stmt, err);
    if (!code)
        code = catalog_step(s->src, stmt, &row, err);
    t->rows = !code && row ? sqlite3_column_int64(stmt, 0) : 0;
    return code;
}

/* Search tables that keep their own text have rows of their own; others follow the tables that they index. */
static bool has_rows(struct sample *s, const struct cat_table *t)
{
    struct fts5_decl decl;
    if (t->kind == CAT_TABLE)
        return true;
    return str_eq(t->module, S("fts5")) && fts5_decl_read(&s->arena, t->sql, &decl) &&
           decl.content == FTS5_OWN;
}

static enum err_code open_table(struct sample *s, const struct cat_table *table, struct err *err)
{
    struct sample_table *t = &s->tables[s->table_count];
    AUTO_STRBUF name;
    AUTO_STRBUF quoted;
    strbuf_init(&name, SQL_MAX);
    strbuf_init(&quoted, SQL_MAX);
    strbuf_add_str(&name, table->name);
    if (table->kind == CAT_VIRTUAL)
        strbuf_add_cstr(&name, "_content");
    catalog_quote(&quoted, strbuf_str(&name));
    *t = (struct sample_table){.table = table, .from = kept(s, &quoted), .tail = &t->first};
    if (!t->from.ptr)
        return too_large(err);
    s->table_count++;
    enum err_code code = name_rows(s, t, err);
    return code ? code : count_rows(s, t, err);
}

enum err_code sample_open_tables(struct sample *s, const struct catalog *cat, struct err *err)
{
    enum err_code code = ERR_OK;
    s->tables = arena_alloc(&s->arena, ((size_t)cat->table_count + 1) * sizeof *s->tables);
    if (!s->tables)
        return too_large(err);
    for (const struct cat_table *t = cat->tables; t && !code; t = t->next) {
        if (has_rows(s, t))
            code = open_table(s, t, err);
    }
    for (uint32_t i = 0; i < s->table_count && !code; i++)
        code = open_references(s, &s->tables[i], err);
    return code;
}

void sample_close_tables(struct sample *s)
{
    for (uint32_t i = 0; i < s->table_count; i++) {
        struct sample_table *t = &s->tables[i];
        catalog_finalize(&t->read);
        for (struct sample_fk *f = t->fks; f; f = f->next)
            catalog_finalize(&f->find);
    }
}
