/* See copy_rows.h. The masks and their secret are those of the call's own database, whatever is copied. */
#include "engine/copy_rows.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "engine/column.h"
#include "engine/copy_build.h"
#include "engine/mask_store.h"
#include "engine/sample.h"

#define MASK_FUNCTION "_sys_mask"

enum { SQL_MAX = 1 << 20 };

struct copying {
    struct op *op;
    struct copy_source *from;
    sqlite3 *db;
    struct catalog cat;
    struct mask_plan plan;
    const struct mask_rule **rules; /* by the number that stands in SQL */
    int rule_count;
    struct mask_keys keys;
    struct strbuf masked;
    struct sample *sample; /* NULL: all rows */
    struct dump dump;
};

/* --- _sys_mask(number, value) --- */

/* As the key that it belongs to would see it. */
static struct mask_value read_value(sqlite3_value *v, enum cat_affinity affinity)
{
    struct mask_value in = {.type = MASK_T_NULL};
    bool numeric = affinity == CAT_NUMERIC || affinity == CAT_INTEGER || affinity == CAT_REAL;
    int type = numeric ? sqlite3_value_numeric_type(v) : sqlite3_value_type(v);
    if (affinity == CAT_TEXT && (type == SQLITE_INTEGER || type == SQLITE_FLOAT))
        type = SQLITE_TEXT;
    switch (type) {
    case SQLITE_INTEGER:
        in.type = MASK_T_INT;
        in.number = sqlite3_value_int64(v);
        return in;
    case SQLITE_FLOAT:
        in.type = MASK_T_REAL;
        in.real = sqlite3_value_double(v);
        return in;
    case SQLITE_NULL: return in;
    default: break;
    }
    const void *bytes = type == SQLITE_TEXT ? (const void *)sqlite3_value_text(v) : sqlite3_value_blob(v);
    in.type = type == SQLITE_TEXT ? MASK_T_TEXT : MASK_T_BLOB;
    in.bytes = bytes ? str_make(bytes, (size_t)sqlite3_value_bytes(v)) : STR_EMPTY;
    return in;
}

static void answer(sqlite3_context *ctx, const struct mask_value *v)
{
    switch (v->type) {
    case MASK_T_NULL: sqlite3_result_null(ctx); break;
    case MASK_T_INT: sqlite3_result_int64(ctx, v->number); break;
    case MASK_T_REAL: sqlite3_result_double(ctx, v->real); break;
    case MASK_T_TEXT:
        sqlite3_result_text64(ctx, v->bytes.ptr, v->bytes.len, SQLITE_TRANSIENT, SQLITE_UTF8);
        break;
    default: sqlite3_result_blob64(ctx, v->bytes.ptr, v->bytes.len, SQLITE_TRANSIENT);
    }
}

static void fn_mask(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    struct copying *c = sqlite3_user_data(ctx);
    int number = sqlite3_value_int(argv[0]);
    (void)argc;
    if (number < 0 || number >= c->rule_count) {
        sqlite3_result_error(ctx, "there is no such mask", -1);
        return;
    }
    const struct mask_rule *r = c->rules[number];
    struct mask_value in = read_value(argv[1], r->affinity);
    struct mask_value out = mask_value(&c->keys, &r->mask, r->fold, &in, &c->masked);
    if (strbuf_failed(&c->masked))
        sqlite3_result_error_toobig(ctx);
    else
        answer(ctx, &out);
}

/* --- How rows are read --- */

static void add_column(
    void *arg, const struct cat_table *t, struct str column, struct str sql, struct strbuf *out)
{
    struct copying *c = arg;
    for (int i = 0; i < c->rule_count; i++) {
        const struct mask_rule *r = c->rules[i];
        if (!str_eq_nocase(r->table, t->name) || !str_eq_nocase(r->column, column))
            continue;
        strbuf_addf(out, MASK_FUNCTION "(%d," STR_FMT ")", i, STR_ARG(sql));
        return;
    }
    strbuf_add_str(out, sql);
}

static enum err_code prepare_rows(void *arg, struct str sql, sqlite3_stmt **ret, struct err *err)
{
    struct copying *c = arg;
    AUTO_STRBUF text;
    strbuf_init(&text, SQL_MAX);
    strbuf_add_str(&text, sql);
    if (c->sample) {
        sample_add_condition(c->sample, c->dump.at, &text);
        sample_rewind(c->sample, c->dump.at);
    }
    if (strbuf_failed(&text))
        return err_set(err, ERR_TOO_LARGE, "the columns of a table are too many to be copied");
    return c->from->src.prepare(c->from->src.arg, strbuf_cstr(&text), ret, err);
}

static int step_rows(void *arg, sqlite3_stmt *stmt)
{
    struct copying *c = arg;
    return c->sample ? sample_step(c->sample, stmt) : sqlite3_step(stmt);
}

/* --- Masks --- */

/* What a snapshot has not yet needs no mask. */
static struct mask_rule *those_there(const struct catalog *cat, struct mask_rule *rules)
{
    struct mask_rule *first = NULL, **tail = &first;
    for (struct mask_rule *r = rules; r; r = r->next) {
        const struct cat_table *t = catalog_table(cat, r->table);
        if (!t || (t->kind == CAT_TABLE && !cat_column(t, r->column)))
            continue;
        *tail = r;
        tail = &r->next;
    }
    *tail = NULL;
    return first;
}

static enum err_code check_fit(
    struct copying *c, struct mask_rule *rules, const struct catalog *now, struct err *err)
{
    struct err why = ERR_INIT;
    enum err_code code = mask_store_check_schema(c->op, &c->cat, now, err);
    if (code)
        return code;
    if (now != &c->cat)
        rules = those_there(&c->cat, rules);
    code = mask_plan_make(c->op->arena, &c->cat, rules, &c->plan, &why);
    if (code)
        return err_set(err, code == ERR_INVALID ? ERR_CONFLICT : code, "the masks do not fit the schema: %s",
            why.message);
    return mask_plan_check_search(c->op->arena, &c->cat, &c->plan, err);
}

static enum err_code read_keys(struct copying *c, struct err *err)
{
    unsigned char secret[MASK_SECRET_BYTES];
    enum err_code code = mask_store_secret(c->op, secret, err);
    if (!code)
        mask_keys_make(&c->keys, str_make(secret, sizeof secret));
    mem_wipe(secret, sizeof secret);
    return code;
}

static enum err_code plan_masks(struct copying *c, struct err *err)
{
    struct mask_rule *rules;
    struct catalog now;
    enum err_code code = mask_store_list(c->op, &rules, err);
    if (!code && !rules)
        return err_set(err, ERR_CONFLICT, "the database has no masks: set them first (PUT …/masks)");
    if (!code && c->from->db)
        code = catalog_of_op(c->op, &now, err);
    if (!code)
        code = check_fit(c, rules, c->from->db ? &now : &c->cat, err);
    return code ? code : read_keys(c, err);
}

static enum err_code number_rules(struct copying *c, struct err *err)
{
    int count = 0;
    for (const struct mask_rule *r = c->plan.rules; r; r = r->next)
        count++;
    c->rules = arena_alloc(c->op->arena, ((size_t)count + 1) * sizeof *c->rules);
    if (!c->rules)
        return err_set(err, ERR_TOO_LARGE, "the masks are too many");
    for (const struct mask_rule *r = c->plan.rules; r; r = r->next) {
        if (r->mask.kind != MASK_KEEP)
            c->rules[c->rule_count++] = r;
    }
    return ERR_OK;
}

static enum err_code add_function(struct copying *c, struct err *err)
{
    int rc = sqlite3_create_function_v2(
        c->db, MASK_FUNCTION, 2, SQLITE_UTF8 | SQLITE_DIRECTONLY, c, fn_mask, NULL, NULL, NULL);
    return rc ? err_set(err, ERR_UNAVAILABLE, "the masks cannot be set up: %s", sqlite3_errstr(rc)) : ERR_OK;
}

static enum err_code set_up_masks(struct copying *c, struct err *err)
{
    enum err_code code = plan_masks(c, err);
    if (!code)
        code = number_rules(c, err);
    return code ? code : add_function(c, err);
}

/* --- The copy --- */

static enum err_code build(struct copying *c, const struct copy_wish *wish, const char *path, struct err *err)
{
    struct err why = ERR_INIT;
    c->dump = (struct dump){.src = &c->from->src,
        .prepare_rows = prepare_rows,
        .step_rows = step_rows,
        .arg = c,
        .whole = true,
        .schema_only = wish->schema_only,
        .add_column = add_column};
    enum err_code code = copy_build(c->op, &c->dump, &c->cat, path, NULL, &why);
    if (code && wish->masked && (code == ERR_CONFLICT || code == ERR_SQL))
        return err_set(
            err, ERR_CONFLICT, "what the masks make of some row the schema refuses: %s", why.message);
    if (code && err)
        *err = why;
    return code;
}

static enum err_code run(struct copying *c, const struct copy_wish *wish, const char *path, struct err *err)
{
    enum err_code code = catalog_read(&c->from->src, &c->cat, err);
    if (!code && wish->masked)
        code = set_up_masks(c, err);
    if (!code && wish->sample)
        code = sample_pick(&c->from->src, &c->cat, wish->sample, (uint64_t)wish->seed, &c->sample, err);
    return code ? code : build(c, wish, path, err);
}

enum err_code copy_rows(struct op *op, struct copy_source *from, const struct copy_wish *wish,
    const char *path, int64_t *ret_rows, struct err *err)
{
    struct copying c = {.op = op, .from = from, .db = from->db ? from->db : catalog_db(op)};
    strbuf_init(&c.masked, LIMIT_SQL_VALUE_BYTES);
    enum err_code code = run(&c, wish, path, err);
    *ret_rows = (int64_t)c.dump.rows;
    (void)sqlite3_create_function_v2(
        c.db, MASK_FUNCTION, 2, SQLITE_UTF8, NULL, NULL, NULL, NULL, NULL); /* no statement is left */
    sample_free(c.sample);
    strbuf_release(&c.masked);
    mem_wipe(&c.keys, sizeof c.keys);
    return code;
}
