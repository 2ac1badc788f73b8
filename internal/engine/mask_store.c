/* See mask_store.h. */
#include "engine/mask_store.h"
#include "base/enc.h"
#include "base/limits.h"
#include "base/rand.h"

enum { COLUMNS_JSON_MAX = 2 << 20, OPTIONS_MAX = 1000 };

static const char SQL_LIST[] =
    "SELECT table_name, column_name, kind, options FROM _sys_mask ORDER BY table_name, column_name";
static const char SQL_CLEAR[] = "DELETE FROM _sys_mask";
static const char SQL_PUT[] =
    "INSERT INTO _sys_mask (table_name, column_name, kind, options) VALUES (?1, ?2, ?3, ?4)";
static const char SQL_META[] = "SELECT value FROM _sys_meta WHERE key = ?1";
static const char SQL_META_PUT[] = "INSERT OR REPLACE INTO _sys_meta (key, value) VALUES (?1, ?2)";
static const char SQL_META_ADD[] = "INSERT OR IGNORE INTO _sys_meta (key, value) VALUES (?1, ?2)";

#define KEY_SECRET  S("mask_secret")
#define KEY_COLUMNS S("mask_columns")

/* Runs `sql` with texts for its parameters. */
static enum err_code run(
    struct op *op, const char *sql, const struct str *texts, size_t count, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    AUTO_SQL *stmt = NULL;
    bool row;
    enum err_code code = op_prepare_internal(op, sql, &stmt, err);
    for (size_t i = 0; i < count && !code; i++) {
        int rc =
            sqlite3_bind_text64(stmt, (int)i + 1, texts[i].ptr, texts[i].len, SQLITE_STATIC, SQLITE_UTF8);
        code = rc ? op_sql_error(op, rc, STR_EMPTY, err) : ERR_OK;
    }
    return code ? code : catalog_step(&src, stmt, &row, err);
}

static enum err_code meta(struct op *op, struct str key, struct str *ret, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    AUTO_SQL *stmt = NULL;
    bool row = false;
    enum err_code code = catalog_prepare(&src, SQL_META, key, &stmt, err);
    if (!code)
        code = catalog_step(&src, stmt, &row, err);
    *ret = !code && row ? catalog_text(op->arena, stmt, 0) : STR_EMPTY;
    return code;
}

/* --- Reading --- */

/* What is stored was checked when it was put. */
static enum err_code read_row(struct op *op, sqlite3_stmt *stmt, struct mask_rule *r, struct err *err)
{
    const struct jsonr_value *options;
    struct str kind = catalog_text(op->arena, stmt, 2), text = catalog_text(op->arena, stmt, 3);
    r->table = catalog_text(op->arena, stmt, 0);
    r->column = catalog_text(op->arena, stmt, 1);
    if (arena_failed(op->arena))
        return err_set(err, ERR_TOO_LARGE, "the masks are too many to be read in one call");
    enum err_code code = jsonr_parse(op->arena, text, &options, err);
    if (!code)
        code = mask_read(kind, options, "", &r->mask, err);
    return code ? err_set(err, ERR_CONFLICT,
                      "the mask of \"" STR_FMT "\".\"" STR_FMT "\" is of a kind that this version does not "
                      "know: set the masks again",
                      STR_ARG(r->table), STR_ARG(r->column))
                : ERR_OK;
}

enum err_code mask_store_list(struct op *op, struct mask_rule **ret, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    struct mask_rule **tail = ret;
    AUTO_SQL *stmt = NULL;
    bool row = false;
    int index = 0;
    *ret = NULL;
    enum err_code code = op_prepare_internal(op, SQL_LIST, &stmt, err);
    while (!code && !(code = catalog_step(&src, stmt, &row, err)) && row) {
        struct mask_rule *r = arena_alloc(op->arena, sizeof *r);
        if (!r)
            return err_set(err, ERR_TOO_LARGE, "the masks are too many to be read in one call");
        *r = (struct mask_rule){.index = index};
        index++;
        code = read_row(op, stmt, r, err);
        *tail = r;
        tail = &r->next;
    }
    return code;
}

enum err_code mask_store_secret(struct op *op, unsigned char ret[MASK_SECRET_BYTES], struct err *err)
{
    struct str hex;
    size_t len = 0;
    enum err_code code = meta(op, KEY_SECRET, &hex, err);
    if (code)
        return code;
    if (!dec_hex(hex, ret, MASK_SECRET_BYTES, &len) || len != MASK_SECRET_BYTES)
        return err_set(err, ERR_CONFLICT, "the database has no masks: set them first");
    return ERR_OK;
}

/* --- Writing --- */

static enum err_code put_rule(struct op *op, const struct mask_rule *r, struct err *err)
{
    AUTO_STRBUF options;
    struct jsonw w;
    strbuf_init(&options, OPTIONS_MAX);
    jsonw_init(&w, &options);
    mask_write_options(&w, &r->mask);
    const struct str texts[] = {
        r->table, r->column, str_of(mask_kind_name(r->mask.kind)), strbuf_str(&options)};
    return run(op, SQL_PUT, texts, ARRAY_LEN(texts), err);
}

static bool is_masked(const struct mask_rule *rules, struct str table)
{
    for (const struct mask_rule *r = rules; r; r = r->next) {
        if (str_eq_nocase(r->table, table))
            return true;
    }
    return false;
}

/* [["users", true, "id", "email"], …]: each table, whether it has masks, and its columns. */
static enum err_code put_columns(
    struct op *op, const struct catalog *cat, const struct mask_rule *rules, struct err *err)
{
    AUTO_STRBUF json;
    struct jsonw w;
    strbuf_init(&json, COLUMNS_JSON_MAX);
    jsonw_init(&w, &json);
    jsonw_array(&w);
    for (const struct cat_table *t = cat->tables; t; t = t->next) {
        jsonw_array(&w);
        jsonw_text(&w, t->name);
        jsonw_bool(&w, is_masked(rules, t->name));
        for (const struct cat_column *c = t->columns; c; c = c->next)
            jsonw_text(&w, c->name);
        jsonw_array_end(&w);
    }
    jsonw_array_end(&w);
    if (strbuf_failed(&json))
        return err_set(err, ERR_TOO_LARGE, "the tables have too many columns to be masked");
    const struct str texts[] = {KEY_COLUMNS, strbuf_str(&json)};
    return run(op, SQL_META_PUT, texts, ARRAY_LEN(texts), err);
}

static enum err_code make_secret(struct op *op, struct err *err)
{
    unsigned char bytes[MASK_SECRET_BYTES];
    AUTO_STRBUF hex;
    rand_bytes(bytes, sizeof bytes);
    strbuf_init(&hex, 2 * sizeof bytes);
    enc_hex(&hex, str_make(bytes, sizeof bytes));
    const struct str texts[] = {KEY_SECRET, strbuf_str(&hex)};
    return run(op, SQL_META_ADD, texts, ARRAY_LEN(texts), err);
}

enum err_code mask_store_put(
    struct op *op, const struct catalog *cat, const struct mask_rule *rules, struct err *err)
{
    enum err_code code = run(op, SQL_CLEAR, NULL, 0, err);
    for (const struct mask_rule *r = rules; r && !code; r = r->next) {
        if (r->index >= 0)
            code = put_rule(op, r, err);
    }
    if (!code)
        code = put_columns(op, cat, rules, err);
    return code ? code : make_secret(op, err);
}

/* --- Do they still fit? --- */

#define SET_AGAIN                                                                                            \
    "values may stand there that no mask knows. Set the masks again: the same ones say that it needs none"

static enum err_code differs(const char *what, struct str table, struct str column, struct err *err)
{
    return err_set(err, ERR_CONFLICT,
        "%s \"" STR_FMT "\"%s" STR_FMT "%s; values may be there under a name that no mask knows: set the "
        "masks again",
        what, STR_ARG(table), column.ptr ? ".\"" : "", STR_ARG(column.ptr ? column : STR_EMPTY),
        column.ptr ? "\" was renamed, dropped or moved since the masks were set"
                   : " was renamed or dropped since the masks were set");
}

/* What was recorded of a table; NULL: it was not there. */
static const struct jsonr_value *recorded_table(const struct jsonr_value *recorded, struct str table)
{
    const struct jsonr_value *v = jsonr_first(recorded);
    while (v && !str_eq_nocase(jsonr_text(jsonr_first(v)), table))
        v = jsonr_next(v);
    return v;
}

/* The columns of then, in their order, and none besides. */
static enum err_code check_columns(
    const struct cat_table *t, const struct jsonr_value *recorded, struct err *err)
{
    const struct jsonr_value *masked = jsonr_next(jsonr_first(recorded)), *name = masked;
    const struct cat_column *c = t->columns;
    while ((name = jsonr_next(name)) != NULL) {
        if (!c || !str_eq_nocase(c->name, jsonr_text(name)))
            return differs("the column", t->name, jsonr_text(name), err);
        c = c->next;
    }
    return c ? err_set(err, ERR_CONFLICT,
                   "the column \"" STR_FMT "\".\"" STR_FMT "\" is new since the masks were set; " SET_AGAIN,
                   STR_ARG(t->name), STR_ARG(c->name))
             : ERR_OK;
}

static enum err_code check_tables(
    const struct catalog *cat, const struct jsonr_value *recorded, struct err *err)
{
    for (const struct cat_table *t = cat->tables; t; t = t->next) {
        const struct jsonr_value *then = recorded_table(recorded, t->name);
        enum err_code code =
            then ? check_columns(t, then, err)
                 : err_set(err, ERR_CONFLICT,
                       "the table \"" STR_FMT "\" is new since the masks were set; " SET_AGAIN,
                       STR_ARG(t->name));
        if (code)
            return code;
    }
    return ERR_OK;
}

static enum err_code check_recorded(
    const struct catalog *cat, const struct jsonr_value *recorded, struct err *err)
{
    enum err_code code = ERR_OK;
    for (const struct jsonr_value *v = jsonr_first(recorded); v && !code; v = jsonr_next(v)) {
        struct str table = jsonr_text(jsonr_first(v));
        if (jsonr_bool(jsonr_next(jsonr_first(v))) && !catalog_table(cat, table))
            code = differs("the table", table, (struct str){NULL, 0}, err);
    }
    return code ? code : check_tables(cat, recorded, err);
}

/* Every table of then must be there now, with the same columns in front. */
static enum err_code check_past(const struct catalog *past, const struct catalog *now, struct err *err)
{
    for (const struct cat_table *t = past->tables; t; t = t->next) {
        const struct cat_table *is = catalog_table(now, t->name);
        const struct cat_column *at = is ? is->columns : NULL;
        for (const struct cat_column *c = t->columns; c; c = c->next) {
            if (!at || !str_eq_nocase(at->name, c->name))
                return err_set(err, ERR_CONFLICT,
                    "the snapshot has \"" STR_FMT "\".\"" STR_FMT
                    "\", which the database has not, or elsewhere: no mask of today knows it",
                    STR_ARG(t->name), STR_ARG(c->name));
            at = at->next;
        }
    }
    return ERR_OK;
}

enum err_code mask_store_check_schema(
    struct op *op, const struct catalog *cat, const struct catalog *now, struct err *err)
{
    const struct jsonr_value *root;
    struct str json;
    enum err_code code = meta(op, KEY_COLUMNS, &json, err);
    if (!code && json.len)
        code = jsonr_parse(op->arena, json, &root, err);
    if (code || !json.len)
        return code;
    code = check_recorded(now, root, err);
    return code || cat == now ? code : check_past(cat, now, err);
}
