/* What the rows tell: values of another type than their column, NULL in primary keys, rows without their
 * parent, damage, statistics that are missing or old, full-text indexes that were left behind. */
#include "base/strbuf.h"
#include "engine/exam.h"
#include "engine/fts5_decl.h"

enum {
    SAMPLE_ROWS = 10000, /* from the beginning of each table, and as many from its end */
    ROWS_BETWEEN_LOOKS = 256,
    FULL_CHECK_PAGES = 12500,  /* 50 MB in pages of 4 KiB: some 100 ms */
    QUICK_CHECK_PAGES = 75000, /* 300 MB */
    FK_CHECK_ROWS = 300000,
    ANALYZE_ROWS = 10000, /* a table with fewer is planned well enough without statistics */
    STALE_FACTOR = 10,
    PROBLEMS_MAX = 10,
    CHECK_OPS_MAX = 10000000,
    SQL_MAX = 256 << 10,
    COLUMNS_MAX = 2000,
};

static struct str subject_of(struct exam *d, struct str table, struct str part)
{
    return arena_printf(d->op->arena, STR_FMT "." STR_FMT, STR_ARG(table), STR_ARG(part));
}

/* --- Types --- */

struct tally {
    const struct cat_column *column;
    int64_t odd, nulls;
    int odd_type; /* SQLITE_TEXT … of the first */
};

static bool contains(struct str type, struct str word)
{
    for (size_t i = 0; i + word.len <= type.len; i++) {
        if (str_eq_nocase(str_slice(type, i, i + word.len), word))
            return true;
    }
    return false;
}

/* Would somebody who reads the declaration be surprised? Dates and booleans have no type of their own in
 * SQLite. */
static bool is_odd(const struct cat_column *c, int type)
{
    bool number = type == SQLITE_INTEGER || type == SQLITE_FLOAT;
    switch (c->affinity) {
    case CAT_INTEGER:
    case CAT_REAL: return type == SQLITE_TEXT || type == SQLITE_BLOB;
    case CAT_TEXT: return type == SQLITE_BLOB;
    case CAT_NUMERIC:
        return (contains(c->type, S("NUM")) || contains(c->type, S("DEC"))) &&
               (type == SQLITE_TEXT || type == SQLITE_BLOB);
    case CAT_BLOB: return contains(c->type, S("BLOB")) && (type == SQLITE_TEXT || number);
    }
    return false;
}

static enum err_code sample(
    struct exam *d, struct tally *tallies, int count, const char *sql, int64_t *sampled, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool one;
    int rc = SQLITE_DONE;
    enum err_code code = op_prepare_tenant(d->op, str_of(sql), &stmt, &one, err);
    while (!code && (rc = op_step_tenant(d->op, stmt)) == SQLITE_ROW) {
        for (int i = 0; i < count; i++) {
            int type = sqlite3_column_type(stmt, i);
            tallies[i].nulls += type == SQLITE_NULL;
            if (type == SQLITE_NULL || !is_odd(tallies[i].column, type))
                continue;
            if (tallies[i].odd++ == 0)
                tallies[i].odd_type = type;
        }
        if (++*sampled % ROWS_BETWEEN_LOOKS == 0 && exam_late(d))
            break;
    }
    if (!code && rc != SQLITE_ROW && rc != SQLITE_DONE)
        code = op_sql_error(d->op, rc, str_of(sql), err);
    (void)sqlite3_finalize(stmt); /* its error was taken */
    return code;
}

static void report_type(struct exam *d, const struct cat_table *t, const struct tally *y, int64_t sampled)
{
    static const char *const names[] = {"?", "integers", "reals", "text", "blobs", "NULL"};
    struct arena *a = d->op->arena;
    struct exam_finding *f =
        exam_add(d, EXAM_WARNING, "type_mismatch", t, subject_of(d, t->name, y->column->name),
            arena_printf(a,
                "\"" STR_FMT "\".\"" STR_FMT "\" is declared " STR_FMT
                " but holds %s (%lld of %lld rows looked at): they sort and "
                "compare apart from the others",
                STR_ARG(t->name), STR_ARG(y->column->name), STR_ARG(y->column->type), names[y->odd_type],
                (long long)y->odd, (long long)sampled));
    if (!f)
        return;
    f->column = y->column->name;
    f->evidence = exam_counts(d, "mismatched", y->odd, "sampled", sampled);
}

static void report_null_key(struct exam *d, const struct cat_table *t, const struct tally *y)
{
    struct arena *a = d->op->arena;
    struct exam_finding *f =
        exam_add(d, EXAM_WARNING, "null_in_primary_key", t, subject_of(d, t->name, y->column->name),
            arena_printf(a,
                "%lld rows of \"" STR_FMT "\" have NULL in the primary key column \"" STR_FMT
                "\", which SQLite allows unless the "
                "column is NOT NULL: such rows cannot be found by their key and may be there twice",
                (long long)y->nulls, STR_ARG(t->name), STR_ARG(y->column->name)));
    if (!f)
        return;
    f->column = y->column->name;
    f->evidence = exam_counts(d, "nulls", y->nulls, NULL, 0);
}

static void select_list(struct strbuf *sql, const struct tally *tallies, int count, const struct cat_table *t)
{
    strbuf_add_cstr(sql, "SELECT ");
    for (int i = 0; i < count; i++) {
        if (i)
            strbuf_add_char(sql, ',');
        catalog_quote(sql, tallies[i].column->name);
    }
    strbuf_add_cstr(sql, " FROM ");
    catalog_quote(sql, t->name);
}

static enum err_code check_types(struct exam *d, const struct cat_table *t, struct err *err)
{
    AUTO_STRBUF sql;
    int count = 0;
    int64_t sampled = 0;
    const char *rowid = cat_rowid_name(t);
    const struct cat_column *alias = cat_rowid_alias(t);
    struct tally *tallies = arena_alloc(d->op->arena, sizeof(*tallies) * (size_t)(t->column_count + 1));
    strbuf_init(&sql, SQL_MAX);
    for (const struct cat_column *c = t->columns; tallies && c && count < COLUMNS_MAX; c = c->next) {
        if (!c->generated && c != alias)
            tallies[count++].column = c;
    }
    if (count == 0)
        return ERR_OK;
    select_list(&sql, tallies, count, t);
    size_t len = sql.len;
    strbuf_addf(&sql, " LIMIT %d", (int)SAMPLE_ROWS);
    enum err_code code = sample(d, tallies, count, strbuf_cstr(&sql), &sampled, err);
    if (!code && rowid && sampled == SAMPLE_ROWS && !exam_late(d)) {
        strbuf_truncate(&sql, len);
        strbuf_addf(&sql, " ORDER BY %s DESC LIMIT %d", rowid, (int)SAMPLE_ROWS);
        code = sample(d, tallies, count, strbuf_cstr(&sql), &sampled, err);
    }
    for (int i = 0; i < count && !code; i++) {
        if (tallies[i].odd && !t->strict)
            report_type(d, t, &tallies[i], sampled);
        if (tallies[i].nulls && tallies[i].column->pk && !t->without_rowid)
            report_null_key(d, t, &tallies[i]);
    }
    d->rows_sampled += sampled;
    return code;
}

/* --- Integrity --- */

static enum err_code read_int(struct exam *d, const char *sql, struct str name, int64_t *ret, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    bool row = false;
    enum err_code code = catalog_prepare(&d->src, sql, name, &stmt, err);
    if (!code)
        code = catalog_step(&d->src, stmt, &row, err);
    *ret = row ? sqlite3_column_int64(stmt, 0) : -1;
    return code;
}

static enum err_code run_integrity(struct exam *d, const char *sql, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    bool row = false;
    int ops = sqlite3_limit(
        catalog_db(d->op), SQLITE_LIMIT_VDBE_OP, CHECK_OPS_MAX); /* one program for all tables */
    enum err_code code = d->src.prepare(d->src.arg, sql, &stmt, err);
    sqlite3_limit(catalog_db(d->op), SQLITE_LIMIT_VDBE_OP, ops);
    while (!code && !(code = catalog_step(&d->src, stmt, &row, err)) && row) {
        struct str text = catalog_text(d->op->arena, stmt, 0);
        if (text.ptr && !str_eq(text, S("ok")))
            (void)exam_add(d, EXAM_ERROR, "integrity", NULL, text,
                arena_printf(d->op->arena, "integrity check: " STR_FMT, STR_ARG(text)));
    }
    return code;
}

/* It names tables as it likes, so it is not for a token with a table scope. */
static enum err_code check_integrity(struct exam *d, struct err *err)
{
    int64_t pages = 0;
    enum err_code code =
        read_int(d, "SELECT page_count FROM pragma_page_count()", (struct str){NULL, 0}, &pages, err);
    if (code || d->op->call.has_table_scope || pages > QUICK_CHECK_PAGES || exam_late(d))
        return code;
    bool full = pages <= FULL_CHECK_PAGES;
    d->integrity = full ? "full" : "quick";
    return run_integrity(d, full ? "PRAGMA integrity_check(10)" : "PRAGMA quick_check(10)", err);
}

static enum err_code check_parents(struct exam *d, const struct cat_table *t, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    bool row = false;
    int count = 0;
    struct arena *a = d->op->arena;
    enum err_code code = catalog_prepare(
        &d->src, "SELECT rowid, parent FROM pragma_foreign_key_check(?1) LIMIT 10", t->name, &stmt, err);
    while (!code && !(code = catalog_step(&d->src, stmt, &row, err)) && row)
        count++;
    if (code == ERR_SQL) /* "foreign key mismatch" and missing parents were told from the schema */
        return ERR_OK;
    if (code || !count)
        return code;
    struct exam_finding *f = exam_add(d, EXAM_ERROR, "fk_violation", t, t->name,
        arena_printf(a, "%s%d row%s of \"" STR_FMT "\" refer%s to parents that do not exist",
            count == PROBLEMS_MAX ? "at least " : "", count, count == 1 ? "" : "s", STR_ARG(t->name),
            count == 1 ? "s" : ""));
    if (f)
        f->evidence =
            exam_counts(d, count == PROBLEMS_MAX ? "violationsAtLeast" : "violations", count, NULL, 0);
    return ERR_OK;
}

static enum err_code check_violations(struct exam *d, struct err *err)
{
    enum err_code code = ERR_OK;
    d->foreign_keys = true;
    for (const struct cat_table *t = d->cat.tables; t && !code; t = t->next) {
        if (!t->fks)
            continue;
        if (exam_late(d) || exam_rows(d, t)->rows > FK_CHECK_ROWS)
            d->foreign_keys = false;
        else
            code = check_parents(d, t, err);
    }
    d->op->error_detail = STR_EMPTY; /* the call itself succeeds */
    return code;
}

/* --- Statistics --- */

static bool has_own_index(const struct cat_table *t)
{
    for (const struct cat_index *ix = t->indexes; ix; ix = ix->next) {
        if (ix->origin == 'c')
            return true;
    }
    return false;
}

static void report_statistics(struct exam *d, const struct cat_table *t, int64_t known)
{
    struct arena *a = d->op->arena;
    AUTO_STRBUF sql;
    long long rows = (long long)exam_rows(d, t)->rows;
    struct str message =
        known < 0
            ? arena_printf(a,
                  "\"" STR_FMT
                  "\" has %lld rows and was never analyzed: the planner guesses which index to use",
                  STR_ARG(t->name), rows)
            : arena_printf(a,
                  "\"" STR_FMT
                  "\" has %lld rows, but had %lld when it was analyzed: the planner works with old figures",
                  STR_ARG(t->name), rows, (long long)known);
    struct exam_finding *f =
        exam_add(d, EXAM_INFO, known < 0 ? "missing_statistics" : "stale_statistics", t, t->name, message);
    strbuf_init(&sql, SQL_MAX);
    strbuf_add_cstr(&sql, "ANALYZE ");
    catalog_quote(&sql, t->name);
    if (f)
        f->sql = arena_copy(a, strbuf_str(&sql));
}

static enum err_code check_statistics(struct exam *d, struct err *err)
{
    int64_t present = 0;
    enum err_code code = read_int(
        d, "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'", (struct str){NULL, 0}, &present, err);
    for (const struct cat_table *t = d->cat.tables; t && !code; t = t->next) {
        int64_t rows = exam_rows(d, t)->rows, known = -1;
        if (rows < ANALYZE_ROWS || !has_own_index(t))
            continue;
        if (present > 0)
            code = read_int(d, "SELECT max(CAST(stat AS INTEGER)) FROM sqlite_stat1 WHERE tbl = ?1", t->name,
                &known, err);
        if (known <= 0)
            known = -1;
        if (!code && (known < 0 || rows > known * STALE_FACTOR || known > rows * STALE_FACTOR))
            report_statistics(d, t, known);
    }
    return code;
}

/* --- Full text --- */

static bool trigger_names(const struct cat_table *content, struct str table)
{
    for (const struct cat_trigger *tr = content->triggers; tr; tr = tr->next) {
        if (contains(tr->sql, table))
            return true;
    }
    return false;
}

static enum err_code count_of(struct exam *d, struct str table, int64_t *ret, struct err *err)
{
    AUTO_STRBUF sql;
    strbuf_init(&sql, SQL_MAX);
    strbuf_add_cstr(&sql, "SELECT count(*) FROM ");
    catalog_quote(&sql, table);
    return read_int(d, strbuf_cstr(&sql), (struct str){NULL, 0}, ret, err);
}

static void report_fts(struct exam *d, const struct cat_table *t, int64_t indexed, int64_t rows)
{
    struct arena *a = d->op->arena;
    AUTO_STRBUF sql;
    struct exam_finding *f = exam_add(d, EXAM_WARNING, "fts_out_of_date", t, t->name,
        arena_printf(a,
            "the full-text index \"" STR_FMT
            "\" knows %lld rows, but its content has %lld: searches miss rows or find ghosts",
            STR_ARG(t->name), (long long)indexed, (long long)rows));
    strbuf_init(&sql, SQL_MAX);
    strbuf_add_cstr(&sql, "INSERT INTO ");
    catalog_quote(&sql, t->name);
    strbuf_add_char(&sql, '(');
    catalog_quote(&sql, t->name);
    strbuf_add_cstr(&sql, ") VALUES('rebuild')");
    if (!f)
        return;
    f->sql = arena_copy(a, strbuf_str(&sql));
    f->evidence = exam_counts(d, "indexed", indexed, "rows", rows);
}

/* Cheap proof only: as many rows indexed as there are does not mean the right ones. */
static enum err_code check_fts(struct exam *d, const struct cat_table *t, struct err *err)
{
    struct fts5_decl decl;
    int64_t indexed = 0, rows = 0;
    if (!fts5_decl_read(d->op->arena, t->sql, &decl) || decl.content != FTS5_EXTERNAL)
        return ERR_OK;
    const struct cat_table *content = catalog_table(&d->cat, decl.content_table);
    if (!content || content->kind != CAT_TABLE)
        return ERR_OK;
    if (!trigger_names(content, t->name))
        (void)exam_add(d, EXAM_INFO, "fts_without_triggers", t, t->name,
            arena_printf(d->op->arena,
                "no trigger of \"" STR_FMT "\" keeps the full-text index \"" STR_FMT
                "\" up to date: whoever writes has to",
                STR_ARG(content->name), STR_ARG(t->name)));
    struct str sizes = arena_printf(d->op->arena, STR_FMT "_docsize", STR_ARG(t->name));
    if (!exam_rows(d, content)->exact || !sizes.ptr)
        return ERR_OK;
    enum err_code code = count_of(d, sizes, &indexed, err);
    if (code == ERR_SQL) { /* columnsize=0: there is no such table */
        d->op->error_detail = STR_EMPTY;
        return ERR_OK;
    }
    rows = exam_rows(d, content)->rows;
    if (!code && indexed != rows)
        report_fts(d, t, indexed, rows);
    return code;
}

enum err_code exam_data(struct exam *d, struct err *err)
{
    enum err_code code = check_integrity(d, err);
    if (!code)
        code = check_violations(d, err);
    if (!code)
        code = check_statistics(d, err);
    for (const struct cat_table *t = d->cat.tables; t && !code && !exam_late(d); t = t->next)
        code = t->kind == CAT_VIRTUAL ? check_fts(d, t, err) : check_types(d, t, err);
    return code;
}
