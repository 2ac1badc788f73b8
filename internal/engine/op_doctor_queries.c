/* What the query log tells: slow statements that an index would help, indexes that no statement uses.
 * Statements are planned on a copy of the schema without rows (whatif.h); nothing is run. */
#include "base/check.h"
#include "base/enc.h"
#include "base/strbuf.h"
#include "engine/engine_state.h"
#include "engine/exam.h"
#include "engine/sql_split.h"
#include "engine/whatif.h"

enum {
    STATEMENTS_MAX = 300, /* distinct ones, those that took most time first */
    ADVISED_MAX = 60,
    SMALL_TABLE_ROWS = 200, /* reading all of it is no slower than an index */
    SLOW_MS = 5,
    SLOW_ROWS = 1000,
    VERY_SLOW_MS = 100,
    CANDIDATES_MAX = 16, /* for one statement */
    CANDIDATE_COLUMNS_MAX = 6,
    STATEMENTS_FOR_UNUSED = 20, /* with fewer, an index without use means nothing */
    EVIDENCE_SQL_MAX = 500,
    SUBJECT_MAX = 80,
    SQL_MAX = 256 << 10,
};

static const char SQL_LOG[] =
    "SELECT sql, count(*), max(duration_ms), total(duration_ms), max(rows_read) FROM _persql_meta_query_log"
    " WHERE kind IN ('query', 'batch') AND status = 200 AND sql <> ''"
    " GROUP BY sql ORDER BY total(duration_ms) DESC LIMIT ?1";

struct logged {
    struct logged *next;
    struct str sql;
    int64_t runs, rows_read;
    double max_ms;
    struct plan_line *plan;
};

/* An index that might help, and the statement it was found for. */
struct candidate {
    struct str name;            /* holdfast_try_01 …, free in the copy */
    struct str sql, final_name; /* set once the planner has taken it */
    const struct cat_table *table;
    struct exam_index_column columns[CANDIDATE_COLUMNS_MAX];
    int count;
};

struct examination {
    struct exam *d;
    struct whatif whatif;
    struct logged *statements;
    int64_t planned;
    struct candidate candidates[CANDIDATES_MAX];
    int candidate_count;
};

/* --- The log --- */

static void add_statement(struct examination *x, struct logged ***tail, struct str sql, sqlite3_stmt *row)
{
    struct arena *a = x->d->op->arena;
    for (const struct logged *s = x->statements; s; s = s->next) {
        if (str_eq(s->sql, sql))
            return;
    }
    struct logged *s = arena_alloc(a, sizeof(*s));
    struct str copy = arena_copy(a, sql);
    if (!s || !copy.ptr)
        return; /* the arena remembers */
    *s = (struct logged){.sql = copy,
        .runs = sqlite3_column_int64(row, 1),
        .rows_read = sqlite3_column_int64(row, 4),
        .max_ms = sqlite3_column_double(row, 2)};
    **tail = s;
    *tail = &s->next;
}

/* A batch is logged as one text; its figures are those of the whole batch. */
static void add_row(struct examination *x, struct logged ***tail, sqlite3_stmt *row)
{
    struct import_source in;
    struct sql_split split;
    bool found = true;
    const char *text = (const char *)sqlite3_column_text(row, 0);
    import_source_memory(&in, str_of(text));
    sql_split_init(&split, &in);
    while (!sql_split_next(&split, &found, NULL) && found)
        add_statement(x, tail, strbuf_str(&split.text), row);
    sql_split_release(&split);
    import_source_release(&in);
}

static enum err_code read_log(struct examination *x, struct err *err)
{
    struct exam *d = x->d;
    AUTO_SQL *stmt = NULL;
    bool row = false;
    struct logged **tail = &x->statements;
    enum err_code code = d->src.prepare(d->src.arg, SQL_LOG, &stmt, err);
    if (!code && sqlite3_bind_int(stmt, 1, STATEMENTS_MAX))
        code = d->src.failed(d->src.arg, SQLITE_ERROR, str_of(SQL_LOG), err);
    while (!code && !(code = catalog_step(&d->src, stmt, &row, err)) && row)
        add_row(x, &tail, stmt);
    return code;
}

/* --- Candidates --- */

static bool has_column(const struct candidate *c, struct str name)
{
    for (int i = 0; i < c->count; i++) {
        if (str_eq_nocase(c->columns[i].name, name))
            return true;
    }
    return false;
}

static void add_column(struct candidate *c, const struct advice_term *term)
{
    if (c->count < CANDIDATE_COLUMNS_MAX && !has_column(c, term->column))
        c->columns[c->count++] = (struct exam_index_column){term->column, term->collation, term->desc};
}

static bool same_candidate(const struct candidate *a, const struct candidate *b)
{
    if (a->table != b->table || a->count != b->count)
        return false;
    for (int i = 0; i < a->count; i++) {
        if (!str_eq_nocase(a->columns[i].name, b->columns[i].name) ||
            a->columns[i].desc != b->columns[i].desc)
            return false;
    }
    return true;
}

/* Does an index that is there begin with these columns? */
static bool serves(const struct cat_index *ix, const struct candidate *c)
{
    const struct cat_index_column *has = ix->columns;
    for (int i = 0; i < c->count; i++, has = has->next) {
        const struct exam_index_column *wants = &c->columns[i];
        if (ix->partial || !has || !has->name.ptr || !str_eq_nocase(has->name, wants->name) ||
            has->desc != wants->desc)
            return false;
        const struct cat_column *column = cat_column(c->table, wants->name);
        struct str collation = wants->collation.len ? wants->collation
                               : column             ? column->collation
                                                    : STR_EMPTY;
        if (!str_eq_nocase(has->collation, collation))
            return false;
    }
    return true;
}

static void keep_candidate(struct examination *x, struct candidate c)
{
    for (const struct cat_index *ix = c.table->indexes; ix; ix = ix->next) {
        if (serves(ix, &c))
            return;
    }
    for (int i = 0; i < x->candidate_count; i++) {
        if (same_candidate(&x->candidates[i], &c))
            return;
    }
    if (c.count == 0 || x->candidate_count == CANDIDATES_MAX)
        return;
    c.name = arena_printf(x->d->op->arena, "holdfast_try_%02d", x->candidate_count + 1);
    if (c.name.ptr)
        x->candidates[x->candidate_count++] = c;
}

/* Columns compared with =, then one that bounds a range, or those that order. */
static void candidates_of(struct examination *x, const struct advice_scan *scan)
{
    struct candidate equal = {.table = scan->table}, ordered;
    if (exam_rows(x->d, scan->table)->rows < SMALL_TABLE_ROWS)
        return;
    for (const struct advice_term *t = scan->equal; t; t = t->next)
        add_column(&equal, t);
    ordered = equal;
    for (const struct advice_term *t = scan->range; t; t = t->next) {
        struct candidate one = equal;
        add_column(&one, t);
        keep_candidate(x, one);
    }
    for (const struct advice_term *t = scan->order; t; t = t->next)
        add_column(&ordered, t);
    keep_candidate(x, ordered);
    keep_candidate(x, equal);
}

static bool make_candidate(struct examination *x, const struct candidate *c)
{
    AUTO_STRBUF sql;
    strbuf_init(&sql, SQL_MAX);
    strbuf_addf(&sql, "CREATE INDEX " STR_FMT " ON ", STR_ARG(c->name));
    catalog_quote(&sql, c->table->name);
    for (int i = 0; i < c->count; i++) {
        strbuf_add_cstr(&sql, i ? "," : "(");
        catalog_quote(&sql, c->columns[i].name);
        if (c->columns[i].collation.len) {
            strbuf_add_cstr(&sql, " COLLATE ");
            catalog_quote(&sql, c->columns[i].collation);
        }
        strbuf_add_cstr(&sql, c->columns[i].desc ? " DESC" : "");
    }
    strbuf_add_char(&sql, ')');
    return whatif_exec(&x->whatif, strbuf_cstr(&sql));
}

/* --- Findings --- */

/* A line of a plan, with the names that the tried indexes would have. */
static void write_line(struct examination *x, struct jsonw *w, struct str line)
{
    CHECK(line.ptr);
    for (int i = 0; i < x->candidate_count; i++) {
        const struct candidate *c = &x->candidates[i];
        CHECK(line.ptr); /* whatif_plan() leaves out lines that it could not copy */
        const char *at = c->final_name.len ? strstr(line.ptr, c->name.ptr) : NULL;
        struct str named = at ? arena_printf(x->d->op->arena, STR_FMT STR_FMT "%s", (int)(at - line.ptr),
                                    line.ptr, STR_ARG(c->final_name), at + c->name.len)
                              : line;
        line = named.ptr ? named : line;
    }
    jsonw_text(w, line);
}

static void write_plan(struct examination *x, struct jsonw *w, const char *key, const struct plan_line *plan)
{
    jsonw_key(w, key);
    jsonw_array(w);
    for (; plan; plan = plan->next)
        write_line(x, w, plan->detail);
    jsonw_array_end(w);
}

/* `after` NULL: no index would help. */
static struct str evidence_of(struct examination *x, const struct logged *s, const struct plan_line *after)
{
    AUTO_STRBUF out;
    struct jsonw w;
    strbuf_init(&out, SQL_MAX);
    jsonw_init(&w, &out);
    jsonw_object(&w);
    JSONW_TEXT(&w, "statement", str_slice(s->sql, 0, utf8_cut(s->sql, EVIDENCE_SQL_MAX)));
    JSONW_INT(&w, "runs", s->runs);
    jsonw_key(&w, "maxMs");
    jsonw_real(&w, s->max_ms);
    JSONW_INT(&w, "rowsRead", s->rows_read);
    write_plan(x, &w, "planBefore", s->plan);
    if (after)
        write_plan(x, &w, "planAfter", after);
    jsonw_object_end(&w);
    struct str copy = strbuf_failed(&out) ? STR_EMPTY : arena_copy(x->d->op->arena, strbuf_str(&out));
    return copy.ptr ? copy : STR_EMPTY;
}

static bool already_found(const struct exam *d, struct str sql)
{
    for (const struct exam_finding *f = d->findings; f; f = f->next) {
        if (f->sql.ptr && str_eq(f->sql, sql))
            return true;
    }
    return false;
}

/* What stands between "CREATE INDEX " and " ON ", without its quotes. */
static struct str index_name(struct str sql)
{
    size_t at = sizeof "CREATE INDEX \"" - 1, end = at;
    while (end + 5 <= sql.len && !str_eq(str_slice(sql, end, end + 5), S("\" ON ")))
        end++;
    return str_slice(sql, at, end);
}

static void name_candidate(struct examination *x, struct candidate *c)
{
    c->sql = exam_create_index(x->d, c->table, c->columns, c->count, false);
    c->final_name = c->sql.ptr ? index_name(c->sql) : STR_EMPTY;
}

static void report_candidate(
    struct examination *x, const struct logged *s, const struct candidate *c, const struct plan_line *after)
{
    struct exam *d = x->d;
    if (!c->sql.ptr || already_found(d, c->sql))
        return;
    enum exam_severity severity = s->max_ms >= VERY_SLOW_MS ? EXAM_WARNING : EXAM_INFO;
    struct exam_finding *f = exam_add(d, severity, "missing_index", c->table, c->sql,
        arena_printf(d->op->arena,
            "an index on \"" STR_FMT
            "\" would help a statement that took up to %.1f ms and read %lld rows, %lld time%s in the log",
            STR_ARG(c->table->name), s->max_ms, (long long)s->rows_read, (long long)s->runs,
            s->runs == 1 ? "" : "s"));
    if (!f)
        return;
    f->column = c->columns[0].name;
    f->sql = c->sql;
    f->evidence = evidence_of(x, s, after);
}

static void report_no_help(struct examination *x, const struct logged *s)
{
    struct exam *d = x->d;
    struct exam_finding *f =
        exam_add(d, EXAM_INFO, "slow_query", NULL, str_slice(s->sql, 0, utf8_cut(s->sql, SUBJECT_MAX)),
            arena_printf(d->op->arena,
                "a statement took up to %.1f ms and read %lld rows; it reads or sorts all of a table and no "
                "index would change that: "
                "select less, or page",
                s->max_ms, (long long)s->rows_read));
    if (f)
        f->evidence = evidence_of(x, s, NULL);
}

/* --- Examination --- */

static bool is_slow(const struct logged *s)
{
    return s->max_ms >= SLOW_MS || s->rows_read >= SLOW_ROWS;
}

static void advise(struct examination *x, struct logged *s)
{
    bool ok, helped = false;
    x->candidate_count = 0;
    whatif_listen(&x->whatif, s->sql);
    for (const struct advice_scan *scan = x->whatif.scans; scan; scan = scan->next)
        candidates_of(x, scan);
    if (!whatif_exec(&x->whatif, "SAVEPOINT try"))
        return;
    for (int i = 0; i < x->candidate_count; i++)
        (void)make_candidate(x, &x->candidates[i]); /* one that cannot be made is not used either */
    struct plan_line *after = whatif_plan(&x->whatif, s->sql, &ok);
    for (int i = 0; ok && i < x->candidate_count; i++) {
        if (plan_uses_index(after, x->candidates[i].name))
            name_candidate(x, &x->candidates[i]);
    }
    for (int i = 0; ok && i < x->candidate_count; i++) {
        if (x->candidates[i].final_name.len == 0)
            continue;
        report_candidate(x, s, &x->candidates[i], after);
        helped = true;
    }
    (void)whatif_exec(&x->whatif, "ROLLBACK TO try; RELEASE try");
    if (ok && !helped && s->max_ms >= VERY_SLOW_MS)
        report_no_help(x, s);
}

static void plan_all(struct examination *x)
{
    int advised = 0;
    for (struct logged *s = x->statements; s && !exam_late(x->d); s = s->next) {
        bool ok;
        s->plan = whatif_plan(&x->whatif, s->sql, &ok);
        x->planned += ok;
        if (ok && is_slow(s) && plan_is_costly(s->plan) && advised++ < ADVISED_MAX)
            advise(x, s);
    }
    x->d->statements = x->planned;
}

static bool is_fk_column(const struct cat_table *t, const struct cat_index *ix)
{
    for (const struct cat_fk *fk = t->fks; fk; fk = fk->next) {
        if (ix->columns && ix->columns->name.ptr && str_eq_nocase(ix->columns->name, fk->column))
            return true;
    }
    return false;
}

static void check_use(struct examination *x, const struct cat_table *t, const struct cat_index *ix)
{
    struct exam *d = x->d;
    AUTO_STRBUF sql;
    strbuf_init(&sql, SQL_MAX);
    if (ix->origin != 'c' || ix->unique || is_fk_column(t, ix))
        return;
    for (const struct logged *s = x->statements; s; s = s->next) {
        if (plan_uses_index(s->plan, ix->name))
            return;
    }
    strbuf_add_cstr(&sql, "DROP INDEX ");
    catalog_quote(&sql, ix->name);
    if (already_found(d, strbuf_str(&sql)))
        return; /* redundant: said so */
    struct exam_finding *f = exam_add(d, EXAM_INFO, "unused_index", t, ix->name,
        arena_printf(d->op->arena,
            "none of the %lld different statements in the query log uses the index \"" STR_FMT
            "\" on \"" STR_FMT "\"",
            (long long)x->planned, STR_ARG(ix->name), STR_ARG(t->name)));
    if (!f)
        return;
    f->sql = arena_copy(d->op->arena, strbuf_str(&sql));
    f->evidence = exam_counts(d, "statements", x->planned, NULL, 0);
}

static void check_uses(struct examination *x)
{
    if (x->planned < STATEMENTS_FOR_UNUSED || x->d->cut)
        return;
    for (const struct cat_table *t = x->d->cat.tables; t; t = t->next) {
        for (const struct cat_index *ix = t->indexes; ix; ix = ix->next)
            check_use(x, t, ix);
    }
}

/* Whatever is said of logged statements shows their text, with the values of other callers: it is for those
 * who may read the log itself. */
static bool may_read_log(const struct exam *d)
{
    return op_table_visible(d->op, S("_persql_meta_query_log")) && !d->op->eng->under_policies;
}

enum err_code exam_queries(struct exam *d, struct err *err)
{
    if (!may_read_log(d))
        return ERR_OK;
    struct examination *x = ARENA_NEW(d->op->arena, struct examination);
    x->d = d;
    enum err_code code = exam_late(d) ? ERR_OK : read_log(x, err);
    if (code || !x->statements)
        return code;
    code = whatif_open(&x->whatif, d->op, &d->cat, err);
    if (!code) {
        plan_all(x);
        check_uses(x);
    }
    whatif_release(&x->whatif);
    return code;
}
