/* Counting rows within a budget. A count that runs out of it is estimated: from sqlite_stat1 when ANALYZE has
 * seen the table, else from how far the scan came in the range of rowids. */
#include "engine/rowcount.h"
#include "base/clock.h"
#include "base/strbuf.h"

enum {
    SMALL_PAGES = 25000,       /* 100 MB in pages of 4 KiB: read from the cache of the system in some 20 ms */
    BUDGET_US = 250000,        /* for all tables of one call */
    TABLE_MIN_US = 1000,       /* for each table, also when the budget is used up */
    ROWS_BETWEEN_LOOKS = 4096, /* a row is about 100 ns, a look at the clock 30 */
    SQL_MAX = 4096,
};

static const char SQL_PAGES[] = "SELECT page_count FROM pragma_page_count()";
static const char SQL_HAS_STAT[] = "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'";
static const char SQL_STAT[] =
    "SELECT CAST(stat AS INTEGER) FROM sqlite_stat1 WHERE tbl = ?1 AND stat IS NOT NULL LIMIT 1";

/* The first value of the first row; *ret_found false when there is none or it is NULL. */
static enum err_code one_int(const struct catalog_source *src, const char *sql, struct str name, int64_t *ret,
    bool *ret_found, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    bool row = false;
    enum err_code code = catalog_prepare(src, sql, name, &stmt, err);
    if (!code)
        code = catalog_step(src, stmt, &row, err);
    *ret_found = !code && row && sqlite3_column_type(stmt, 0) != SQLITE_NULL;
    if (*ret_found)
        *ret = sqlite3_column_int64(stmt, 0);
    return code;
}

static const struct str NO_NAME = {NULL, 0};

enum err_code rowcount_budget(const struct catalog_source *src, struct rowcount_budget *ret, struct err *err)
{
    int64_t pages = 0;
    bool found;
    enum err_code code = one_int(src, SQL_PAGES, NO_NAME, &pages, &found, err);
    *ret = (struct rowcount_budget){clock_mono_us() + BUDGET_US, found && pages <= SMALL_PAGES};
    return code;
}

static const char *about_table(struct strbuf *sql, const char *before, struct str table, const char *after)
{
    strbuf_reset(sql);
    strbuf_add_cstr(sql, before);
    catalog_quote(sql, table);
    strbuf_add_cstr(sql, after);
    return strbuf_cstr(sql);
}

/* Rows seen until the end or until the time was up; *ret_rowid is where it stopped. */
static enum err_code scan(const struct catalog_source *src, sqlite3_stmt *stmt, int64_t until_us,
    struct rowcount *ret, int64_t *ret_rowid, struct err *err)
{
    bool row = true;
    enum err_code code = ERR_OK;
    while (!(code = catalog_step(src, stmt, &row, err)) && row) {
        if (++ret->rows % ROWS_BETWEEN_LOOKS == 0 && clock_mono_us() > until_us)
            break;
    }
    ret->exact = !row;
    if (!code && row)
        *ret_rowid = sqlite3_column_int64(stmt, 0);
    return code;
}

static enum err_code estimate(const struct catalog_source *src, const struct cat_table *t, int64_t reached,
    struct strbuf *sql, struct rowcount *ret, struct err *err)
{
    int64_t value = 0, first = 0, last = 0;
    bool found = false;
    enum err_code code = one_int(src, SQL_HAS_STAT, NO_NAME, &value, &found, err);
    if (!code && found)
        code = one_int(src, SQL_STAT, t->name, &value, &found, err);
    if (!code && found && value > ret->rows) {
        ret->rows = value;
        return ERR_OK;
    }
    const char *rowid = cat_rowid_name(t);
    if (code || !rowid || t->kind != CAT_TABLE)
        return code; /* what was seen is the best lower bound */
    code =
        one_int(src, about_table(sql, "SELECT min(rowid) FROM ", t->name, ""), NO_NAME, &first, &found, err);
    if (!code)
        code = one_int(
            src, about_table(sql, "SELECT max(rowid) FROM ", t->name, ""), NO_NAME, &last, &found, err);
    double part = ((double)reached - (double)first + 1) / ((double)last - (double)first + 1);
    if (!code && part > 0 && part < 1 && (double)ret->rows / part < 9e18)
        ret->rows = (int64_t)((double)ret->rows / part);
    return code;
}

/* Steps through the table until the end or until the time is up; by rowid where there is one, because the
 * estimate needs to know how far it came. */
static enum err_code count_by_steps(const struct catalog_source *src, const struct cat_table *t,
    int64_t until_us, struct rowcount *ret, struct err *err)
{
    AUTO_SQL *stmt = NULL;
    AUTO_STRBUF sql;
    int64_t reached = 0;
    const char *rowid = t->kind == CAT_TABLE ? cat_rowid_name(t) : NULL;
    strbuf_init(&sql, SQL_MAX);
    strbuf_add_cstr(&sql, "SELECT ");
    strbuf_add_cstr(&sql, rowid ? rowid : "1");
    strbuf_add_cstr(&sql, " FROM ");
    catalog_quote(&sql, t->name);
    strbuf_add_cstr(&sql, rowid ? " NOT INDEXED" : "");
    enum err_code code = src->prepare(src->arg, strbuf_cstr(&sql), &stmt, err);
    if (!code)
        code = scan(src, stmt, until_us, ret, &reached, err);
    catalog_finalize(&stmt);
    if (!code && !ret->exact)
        code = estimate(src, t, reached, &sql, ret, err);
    return code;
}

enum err_code rowcount_of(const struct catalog_source *src, const struct cat_table *t,
    const struct rowcount_budget *budget, struct rowcount *ret, struct err *err)
{
    AUTO_STRBUF sql;
    int64_t least_us = clock_mono_us() + TABLE_MIN_US;
    enum err_code code;
    bool found;
    *ret = (struct rowcount){0, true};
    strbuf_init(&sql, SQL_MAX);
    if (budget->small)
        code = one_int(
            src, about_table(&sql, "SELECT count(*) FROM ", t->name, ""), NO_NAME, &ret->rows, &found, err);
    else
        code = count_by_steps(src, t, budget->until_us > least_us ? budget->until_us : least_us, ret, err);
    if (!code && budget->small && src->rows_read)
        *src->rows_read += (uint64_t)ret->rows; /* count(*) steps over them unseen */
    /* An FTS5 table whose content table is gone cannot be counted; the other tables can. */
    if (code == ERR_SQL && t->kind == CAT_VIRTUAL) {
        *ret = (struct rowcount){0, false};
        code = ERR_OK;
    }
    return code;
}
