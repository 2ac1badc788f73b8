/* GET …/doctor: what a good administrator would say about this database. Reads only, within a few seconds.
 * data: {"ok", "findings":[{"id","kind","severity":"error"|"warning"|"info","table","column","message","sql",
 * "evidence"}],
 * "checked":{"tables","rowsSampled","statements","integrity":"full"|"quick"|"skipped","foreignKeys",
 * "durationMs"}, "cut"}. "ok" when there is nothing worse than info; "sql" is what mends it, or null; "cut"
 * when the time was up before everything was looked at. */
#include "engine/exam.h"
#include "base/clock.h"
#include "base/strbuf.h"
#include "base/check.h"

enum {
    BUDGET_US = 3000000,
    FINDINGS_MAX = 500,
    INDEX_SQL_MAX = 64 << 10,
    NAME_TRIES = 100,
    EVIDENCE_MAX = 1000
};

static const char *const SEVERITIES[] = {"error", "warning", "info"};

bool exam_late(struct exam *d)
{
    if (clock_mono_us() > d->until_us)
        d->cut = true;
    return d->cut;
}

const struct rowcount *exam_rows(const struct exam *d, const struct cat_table *t)
{
    const struct rowcount *rows = d->rows;
    for (const struct cat_table *at = d->cat.tables; at; at = at->next, rows++) {
        if (at == t)
            return rows;
    }
    UNREACHABLE("a table that is not of this catalog");
}

static struct str or_empty(struct str s)
{
    return s.ptr ? s : STR_EMPTY;
}

struct exam_finding *exam_add(struct exam *d, enum exam_severity severity, const char *kind,
    const struct cat_table *t, struct str subject, struct str message)
{
    struct exam_finding **tail = &d->findings;
    int count = 0;
    for (; *tail; tail = &(*tail)->next)
        count++;
    struct exam_finding *f = count < FINDINGS_MAX ? arena_alloc(d->op->arena, sizeof(*f)) : NULL;
    if (!f || !message.ptr) {
        d->cut = true;
        return NULL;
    }
    *f = (struct exam_finding){.severity = severity,
        .kind = kind,
        .subject = or_empty(subject),
        .table = t ? t->name : STR_EMPTY,
        .column = STR_EMPTY,
        .message = message,
        .evidence = STR_EMPTY};
    *tail = f;
    return f;
}

struct str exam_counts(struct exam *d, const char *first, int64_t a, const char *second, int64_t b)
{
    AUTO_STRBUF out;
    struct jsonw w;
    strbuf_init(&out, EVIDENCE_MAX);
    jsonw_init(&w, &out);
    jsonw_object(&w);
    JSONW_INT(&w, first, a);
    if (second)
        JSONW_INT(&w, second, b);
    jsonw_object_end(&w);
    return or_empty(arena_copy(d->op->arena, strbuf_str(&out)));
}

/* --- New indexes --- */

static bool name_taken(const struct exam *d, struct str name)
{
    if (catalog_table(&d->cat, name) || catalog_view(&d->cat, name))
        return true;
    for (const struct cat_table *t = d->cat.tables; t; t = t->next) {
        for (const struct cat_index *ix = t->indexes; ix; ix = ix->next) {
            if (str_eq_nocase(ix->name, name))
                return true;
        }
    }
    return false;
}

/* orders_customer_id_total, and with a number behind it when that is taken. */
static struct str free_name(
    struct exam *d, const struct cat_table *t, const struct exam_index_column *columns, int count)
{
    AUTO_STRBUF name;
    strbuf_init(&name, INDEX_SQL_MAX);
    strbuf_add_str(&name, t->name);
    for (int i = 0; i < count; i++) {
        strbuf_add_char(&name, '_');
        strbuf_add_str(&name, columns[i].name);
    }
    size_t len = name.len;
    for (int i = 2; name_taken(d, strbuf_str(&name)) && i < NAME_TRIES; i++) {
        strbuf_truncate(&name, len);
        strbuf_addf(&name, "_%d", i);
    }
    return or_empty(arena_copy(d->op->arena, strbuf_str(&name)));
}

struct str exam_create_index(struct exam *d, const struct cat_table *t,
    const struct exam_index_column *columns, int count, bool unique)
{
    AUTO_STRBUF sql;
    strbuf_init(&sql, INDEX_SQL_MAX);
    strbuf_add_cstr(&sql, unique ? "CREATE UNIQUE INDEX " : "CREATE INDEX ");
    catalog_quote(&sql, free_name(d, t, columns, count));
    strbuf_add_cstr(&sql, " ON ");
    catalog_quote(&sql, t->name);
    for (int i = 0; i < count; i++) {
        strbuf_add_cstr(&sql, i ? ", " : " (");
        catalog_quote(&sql, columns[i].name);
        if (columns[i].collation.len) {
            strbuf_add_cstr(&sql, " COLLATE ");
            catalog_quote(&sql, columns[i].collation);
        }
        if (columns[i].desc)
            strbuf_add_cstr(&sql, " DESC");
    }
    strbuf_add_char(&sql, ')');
    return arena_copy(d->op->arena, strbuf_str(&sql));
}

/* --- The report --- */

static void write_text_or_null(struct jsonw *w, const char *key, struct str s)
{
    jsonw_key(w, key);
    if (s.ptr && s.len)
        jsonw_text(w, s);
    else
        jsonw_null(w);
}

/* The id is the same in every report as long as the finding is: kind and subject. */
static void write_finding(struct exam *d, const struct exam_finding *f)
{
    struct jsonw *w = d->op->w;
    struct str id = arena_printf(d->op->arena, "%s:" STR_FMT, f->kind, STR_ARG(f->subject));
    jsonw_object(w);
    write_text_or_null(w, "id", id);
    JSONW_CSTR(w, "kind", f->kind);
    JSONW_CSTR(w, "severity", SEVERITIES[f->severity]);
    write_text_or_null(w, "table", f->table);
    write_text_or_null(w, "column", f->column);
    JSONW_TEXT(w, "message", f->message);
    write_text_or_null(w, "sql", f->sql);
    jsonw_key(w, "evidence");
    if (f->evidence.len)
        jsonw_raw(w, f->evidence);
    else
        jsonw_null(w);
    jsonw_object_end(w);
}

static void write_report(struct exam *d, int64_t started_us)
{
    struct jsonw *w = d->op->w;
    bool ok = true;
    for (const struct exam_finding *f = d->findings; f; f = f->next)
        ok = ok && f->severity == EXAM_INFO;
    jsonw_object(w);
    JSONW_BOOL(w, "ok", ok);
    jsonw_key(w, "findings");
    jsonw_array(w);
    for (int severity = EXAM_ERROR; severity <= EXAM_INFO; severity++) {
        for (const struct exam_finding *f = d->findings; f; f = f->next) {
            if ((int)f->severity == severity)
                write_finding(d, f);
        }
    }
    jsonw_array_end(w);
    jsonw_key(w, "checked");
    jsonw_object(w);
    JSONW_INT(w, "tables", d->tables);
    JSONW_INT(w, "rowsSampled", d->rows_sampled);
    JSONW_INT(w, "statements", d->statements);
    JSONW_CSTR(w, "integrity", d->integrity);
    JSONW_BOOL(w, "foreignKeys", d->foreign_keys);
    JSONW_INT(w, "durationMs", (clock_mono_us() - started_us) / 1000);
    jsonw_object_end(w);
    JSONW_BOOL(w, "cut", d->cut);
    jsonw_object_end(w);
}

static enum err_code count_rows(struct exam *d, struct err *err)
{
    struct rowcount_budget budget;
    enum err_code code = rowcount_budget(&d->src, &budget, err);
    struct rowcount *rows = arena_alloc(d->op->arena, sizeof(*rows) * ((size_t)d->cat.table_count + 1));
    if (!code && !rows)
        code = err_set(err, ERR_TOO_LARGE, "the schema is too large to be examined in one call");
    d->rows = rows;
    for (const struct cat_table *t = d->cat.tables; t && !code; t = t->next)
        code = rowcount_of(&d->src, t, &budget, rows++, err);
    return code;
}

enum err_code op_run_DOCTOR(struct op *op, struct err *err)
{
    int64_t started_us = clock_mono_us(), half = (op->call.deadline_us - started_us) / 2;
    struct exam d = {.op = op, .src = catalog_source_of_op(op), .integrity = "skipped"};
    d.until_us = started_us + (half < BUDGET_US ? half : BUDGET_US);
    enum err_code code = catalog_read(&d.src, &d.cat, err);
    if (!code)
        code = count_rows(&d, err);
    if (code)
        return code;
    d.tables = d.cat.table_count;
    exam_schema(&d);
    code = exam_data(&d, err);
    if (!code)
        code = exam_queries(&d, err);
    if (code)
        return code;
    if (arena_failed(op->arena))
        return err_set(err, ERR_TOO_LARGE, "the schema is too large to be examined in one call");
    write_report(&d, started_us);
    return ERR_OK;
}
