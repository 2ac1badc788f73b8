/* QUERY and BATCH: tenant SQL, one statement after the other. */
#include "base/enc.h"
#include "base/limits.h"
#include "engine/change_record.h"
#include "engine/destruction.h"
#include "engine/invariant.h"
#include "engine/rowsec.h"
#include "engine/schema_state.h"
#include "engine/sqlerr.h"
#include "engine/task.h"
#include "engine/turn_error.h"
#include "json/jsonr.h"

struct exec_statement {
    struct str sql;
    const struct jsonr_value *params;
    struct cached *cached; /* pinned since exec_classify; NULL: not yet prepared */
};

struct exec_request {
    struct exec_statement *statements;
    size_t count;
    bool transaction, batch;
};

struct batch_body {
    const struct jsonr_value *statements;
    bool transaction;
};

static const struct jsonr_field STATEMENT_FIELDS[] = {
    {"sql", JF_TEXT, offsetof(struct exec_statement, sql), JF_REQUIRED, 0, LIMIT_SQL_BYTES},
    {"params", JF_ANY, offsetof(struct exec_statement, params), JF_NULL_OK, 0, 0},
};

static const struct jsonr_field BATCH_FIELDS[] = {
    {"statements", JF_ARRAY, offsetof(struct batch_body, statements), JF_REQUIRED, 0, 0},
    {"transaction", JF_BOOL, offsetof(struct batch_body, transaction), JF_NULL_OK, 0, 0},
};

/* --- Reading the request --- */

static enum err_code parse_query(struct task *t, const struct jsonr_value *root, struct err *err)
{
    struct exec_request *r = t->request;
    r->statements = ARENA_NEW(&t->arena, struct exec_statement);
    r->count = 1;
    return jsonr_fields(
        root, "", STATEMENT_FIELDS, ARRAY_LEN(STATEMENT_FIELDS), JSONR_UNKNOWN_IGNORE, r->statements, err);
}

static enum err_code parse_statement(const struct jsonr_value *v, struct exec_statement *ret, struct err *err)
{
    if (jsonr_kind(v) != JSONR_OBJECT)
        return err_field(err, "", "must be an object; got %s", jsonr_kind_name(jsonr_kind(v)));
    return jsonr_fields(v, "", STATEMENT_FIELDS, ARRAY_LEN(STATEMENT_FIELDS), JSONR_UNKNOWN_IGNORE, ret, err);
}

static enum err_code parse_batch(struct task *t, const struct jsonr_value *root, struct err *err)
{
    struct exec_request *r = t->request;
    struct batch_body body = {NULL, false};
    char at[40];
    enum err_code rc =
        jsonr_fields(root, "", BATCH_FIELDS, ARRAY_LEN(BATCH_FIELDS), JSONR_UNKNOWN_IGNORE, &body, err);
    if (rc != ERR_OK)
        return rc;
    size_t count = jsonr_count(body.statements);
    if (count == 0 || count > (size_t)LIMIT_BATCH_STATEMENTS)
        return err_field(err, "/statements", "must hold 1 to %lld statements, not %zu",
            (long long)LIMIT_BATCH_STATEMENTS, count);
    r->transaction = body.transaction;
    r->statements = arena_need(&t->arena, count * sizeof r->statements[0]);
    for (const struct jsonr_value *v = jsonr_first(body.statements); v; v = jsonr_next(v), r->count++) {
        rc = parse_statement(v, &r->statements[r->count], err);
        if (rc != ERR_OK) {
            str_print(at, sizeof at, "/statements/%zu", r->count);
            return err_within(err, rc, at);
        }
    }
    return ERR_OK;
}

enum err_code exec_take(struct task *t, const struct jsonr_value *root, bool batch, struct err *err)
{
    t->request = ARENA_NEW(&t->arena, struct exec_request);
    enum err_code rc = batch ? parse_batch(t, root, err) : parse_query(t, root, err);
    t->request->batch = batch;
    return rc;
}

enum err_code exec_parse(struct task *t, struct err *err)
{
    const struct jsonr_value *root;
    enum err_code rc = jsonr_parse(&t->arena, t->op.call.body, &root, err);
    return rc == ERR_OK ? exec_take(t, root, t->op.call.op == WIRE_OP_BATCH, err) : rc;
}

/* A batch writes when one statement does. One that cannot be prepared yet (its table may come from a
 * statement before it) ends the search: with only reads before it, it fails as a read. */
enum err_code exec_classify(struct task *t, struct err *err)
{
    struct exec_request *r = t->request;
    bool batch = t->op.call.op == WIRE_OP_BATCH;
    for (size_t i = 0; i < r->count && !t->write; i++) {
        struct err ignored = ERR_INIT;
        enum err_code rc =
            cache_get(&t->op, r->statements[i].sql, &r->statements[i].cached, batch ? &ignored : err);
        if (rc != ERR_OK) {
            t->op.error_detail = batch ? STR_EMPTY : t->op.error_detail;
            return batch ? ERR_OK : rc;
        }
        t->write = !r->statements[i].cached->reads;
    }
    return ERR_OK;
}

void exec_release(struct task *t)
{
    struct exec_request *r = t->request;
    for (size_t i = 0; r && i < r->count; i++) {
        if (r->statements[i].cached)
            cache_unpin(t->op.eng, r->statements[i].cached);
        r->statements[i].cached = NULL;
    }
}

struct str exec_text(struct task *t, size_t max)
{
    struct exec_request *r = t->request;
    if (!r || r->count == 0)
        return str_slice(t->op.about, 0, utf8_cut(t->op.about, max));
    struct str first = r->statements[0].sql;
    if (r->count == 1)
        return str_slice(first, 0, utf8_cut(first, max));
    AUTO_STRBUF text;
    strbuf_init(&text, (size_t)LIMIT_BODY_BYTES + max);
    for (size_t i = 0; i < r->count && text.len < max; i++) {
        if (i > 0)
            strbuf_add_cstr(&text, ";\n");
        strbuf_add_str(&text, r->statements[i].sql);
    }
    struct str whole = strbuf_str(&text);
    struct str copy = arena_copy(&t->arena, str_slice(whole, 0, utf8_cut(whole, max)));
    return copy.ptr ? copy : STR_EMPTY;
}

/* --- Running a statement --- */

/* What one statement did. */
struct outcome {
    uint64_t read;
    int64_t written, last_rowid; /* rowid: before the statement */
    int64_t changes;
    int64_t rows, counted; /* rows returned; sum of the first row's integers */
};

/* Rows that the statement's loops really visited. */
static uint64_t rows_visited(sqlite3_stmt *stmt)
{
    uint64_t sum = 0;
    sqlite3_int64 visits;
    for (int i = 0; sqlite3_stmt_scanstatus_v2(stmt, i, SQLITE_SCANSTAT_NVISIT, 0, &visits) == 0; i++) {
        if (visits > 0)
            sum += (uint64_t)visits;
    }
    return sum;
}

static void write_columns(struct jsonw *w, sqlite3_stmt *stmt, int count)
{
    jsonw_key(w, "columns");
    jsonw_array(w);
    for (int i = 0; i < count; i++)
        jsonw_cstr(w, sqlite3_column_name(stmt, i));
    jsonw_array_end(w);
}

static void write_row(struct jsonw *w, sqlite3_stmt *stmt, int count)
{
    jsonw_array(w);
    for (int i = 0; i < count; i++)
        op_write_column(w, stmt, i);
    jsonw_array_end(w);
}

static int64_t sum_integers(sqlite3_stmt *stmt, int count)
{
    int64_t sum = 0;
    for (int i = 0; i < count; i++) {
        int64_t v = sqlite3_column_type(stmt, i) == SQLITE_INTEGER ? sqlite3_column_int64(stmt, i) : 0;
        sum += v > 0 && v < INT64_MAX / 2 - sum ? v : 0;
    }
    return sum;
}

static enum err_code too_large(struct op *op, const char *what, struct err *err)
{
    struct sqlerr_detail d = {.kind = "unknown", .position = -1};
    char message[160];
    d.hint = "page with ORDER BY key LIMIT 1000 and WHERE key > the last key seen, or use GET …/export for "
             "whole tables";
    str_print_cut(message, sizeof message, "the result is too large: %s", what);
    return sqlerr_set(op, ERR_SQL, &d, message, err);
}

/* Steps to the end and writes columns and rows. Returns SQLite's result, or ERR through *ret_code when a cap
 * was hit. */
static int write_result(
    struct op *op, sqlite3_stmt *stmt, struct outcome *o, enum err_code *ret_code, struct err *err)
{
    int rc = sqlite3_step(stmt);
    int columns = sqlite3_column_count(stmt); /* after the first step, which may have prepared again */
    write_columns(op->w, stmt, columns);
    jsonw_key(op->w, "rows");
    jsonw_array(op->w);
    for (; rc == SQLITE_ROW; rc = sqlite3_step(stmt)) {
        if (o->rows++ == 0)
            o->counted = sum_integers(stmt, columns);
        if (o->rows > LIMIT_RESULT_ROWS) {
            *ret_code = too_large(op, "more than 10,000 rows", err);
            break;
        }
        write_row(op->w, stmt, columns);
        if (strbuf_failed(op->w->out)) {
            *ret_code = too_large(op, "more than 10 MiB of JSON", err);
            break;
        }
    }
    jsonw_array_end(op->w);
    return rc;
}

/* What a schema statement writes, hidden tables of FTS5 for one, are no rows of anybody's. */
static void forget_own_rows(struct op *op, const struct cached *c, struct outcome *o)
{
    if (!sql_verb_changes_schema(c->verb))
        return;
    o->written = 0;
    sqlite3_set_last_insert_rowid(op->eng->db, o->last_rowid);
}

/* Under policies: rows that were visited would tell of rows that are hidden, and what the shadow's triggers
 * did is the statement's own. */
static void count_under_policies(struct op *op, const struct cached *c, struct outcome *o)
{
    struct rowsec *rs = op->eng->guard.rowsec;
    if (!rs)
        return;
    o->read = (uint64_t)o->rows;
    if (!c->reads && rs->changed > 0)
        o->changes = o->written = rs->changed;
    if (!c->reads) {
        rs->counted = o->written ? o->changes : 0;
        rs->counted_in_all += o->written;
    }
}

static void write_counts(struct op *op, struct cached *c, const struct outcome *o)
{
    struct jsonw *w = op->w;
    JSONW_INT(w, "rowsRead", (int64_t)o->read);
    JSONW_INT(w, "rowsWritten", o->written);
    if (!c->reads) {
        JSONW_INT(w, "changes", o->written ? o->changes : 0);
        JSONW_INT(w, "lastInsertRowid", sqlite3_last_insert_rowid(op->eng->db));
    }
    op->head.rows_read += o->read;
    op->head.rows_written += (uint64_t)o->written;
    op->statement_count++;
    task_of(op)->changes += !c->reads && o->written ? o->changes : 0;
}

static enum err_code step_through(struct op *op, struct cached *c, struct err *err)
{
    struct engine *eng = op->eng;
    int64_t before = sqlite3_total_changes64(eng->db);
    struct outcome o = {.last_rowid = sqlite3_last_insert_rowid(eng->db)};
    struct destruction destruction;
    enum err_code code = ERR_OK;
    sqlite3_stmt_scanstatus_reset(c->stmt);
    destruction_begin(op, c, &destruction);
    if (task_of(op)->write && sqlite3_get_autocommit(eng->db)) { /* it would commit by itself */
        destruction_end(op, c, &destruction, -1);
        return turn_ended(err);
    }
    eng->counts.before = before - eng->counts.written; /* what the engine wrote since is nobody's */
    jsonw_object(op->w);
    int rc = write_result(op, c->stmt, &o, &code, err);
    o.read = rows_visited(c->stmt);
    if (o.read == 0 && c->counts && o.rows == 1)
        o.read =
            (uint64_t)o.counted; /* a bare count(*) walks the pages without a loop that could be counted */
    int reset = sqlite3_reset(c->stmt);
    if (code == ERR_OK && rc != SQLITE_DONE)
        code = op_sql_error(op, reset != SQLITE_OK ? reset : rc, c->sql, err);
    if (code == ERR_OK && sql_verb_changes_schema(c->verb) && !c->reads)
        code = exec_check_schema(op, c, err);
    if (code != ERR_OK) {
        destruction_end(op, c, &destruction, -1);
        return code;
    }
    o.written = sqlite3_total_changes64(eng->db) - before;
    o.changes = sqlite3_changes64(eng->db);
    forget_own_rows(op, c, &o);
    eng->counts.written += o.written;
    eng->counts.wrote |= !c->reads;
    count_under_policies(op, c, &o);
    destruction_end(op, c, &destruction, o.written ? o.changes : 0);
    write_counts(op, c, &o);
    jsonw_object_end(op->w);
    return ERR_OK;
}

static enum err_code run_cached(
    struct op *op, struct cached *c, const struct jsonr_value *params, int statement, struct err *err)
{
    struct engine *eng = op->eng;
    int ready = guard_prepare_for(eng, &op->call);
    if (ready != SQLITE_OK)
        return op_sql_error(op, ready, c->sql, err);
    engine_pace_anew(eng);
    struct guard_saved saved = guard_enter_tenant(&eng->guard, &op->call, c->verb, c->sql);
    enum err_code rc = op_bind_params(op, c->stmt, params, statement, err);
    if (rc == ERR_OK) {
        eng->guard.makes_virtual_table |= c->makes_virtual_table;
        if (eng->guard.rowsec) {
            eng->guard.rowsec->changed = 0;
            eng->guard.rowsec->conflicts = c->conflicts;
            eng->guard.rowsec->inserts = c->inserts;
            eng->guard.rowsec->returns = sqlite3_column_count(c->stmt) > 0;
        }
        if (c->barrier) /* SQLite prepares again when the schema changed */
            rowsec_barrier(eng, true);
        rc = step_through(op, c, err);
        if (c->barrier)
            rowsec_barrier(eng, false);
    }
    guard_leave(&eng->guard, saved);
    (void)sqlite3_clear_bindings(c->stmt); /* cannot fail; parameters must not outlive their call */
    return rc;
}

static enum err_code run_statement(struct op *op, struct exec_statement *s, int statement, struct err *err)
{
    if (!s->cached) {
        enum err_code rc = cache_get(op, s->sql, &s->cached, err);
        if (rc != ERR_OK)
            return rc;
    }
    task_of(op)->wrote |= !s->cached->reads && !sql_is_explain(s->cached->sql);
    invariants_touch(op, s->cached);
    enum err_code rc = run_cached(op, s->cached, s->params, statement, err);
    if (op->eng->recorder)
        recorder_ran(op->eng->recorder, sql_verb_changes_schema(s->cached->verb), str_of(s->cached->target));
    if (rc == ERR_OK && !s->cached->reads)
        schema_deed_note(op, s->cached->sql);
    cache_unpin(op->eng, s->cached);
    s->cached = NULL;
    return rc;
}

/* --- Handlers --- */

void exec_forget_counts(struct engine *eng)
{
    sqlite3_set_last_insert_rowid(eng->db, 0);
    eng->counts = (struct call_counts){.before = sqlite3_total_changes64(eng->db)};
}

enum err_code op_run_QUERY(struct op *op, struct err *err)
{
    struct task *t = task_of(op);
    exec_forget_counts(op->eng);
    return run_statement(op, &t->request->statements[0], -1, err);
}

/* One statement of a batch without a transaction: a savepoint of its own. The turn finds out when the whole
 * transaction is gone, so that is not looked at here. */
static enum err_code run_alone(struct op *op, struct exec_statement *s, int statement, struct err *err)
{
    struct engine *eng = op->eng;
    struct schema_deed *deeds = op->deeds;
    int rc = own_run(eng, OWN_STEP);
    if (rc != SQLITE_OK)
        return op_sql_error(op, rc, s->sql, err);
    enum err_code code = run_statement(op, s, statement, err);
    if (code == ERR_OK)
        code = op_check_deferred(op, s->sql, err);
    if (code != ERR_OK)
        op->deeds = deeds;
    if (sqlite3_get_autocommit(eng->db))
        return code;
    if (code != ERR_OK && own_run(eng, OWN_STEP_ROLLBACK) != SQLITE_OK)
        own_abandon(eng); /* what cannot be undone alone is undone with all */
    else
        (void)own_run(eng, OWN_STEP_RELEASE); /* the end of the call does it too */
    return code;
}

static enum err_code told_before(struct task *t, struct err *err)
{
    *err = t->culprit_err;
    t->op.error_detail = t->culprit_detail;
    return err->code;
}

static enum err_code run_step(struct task *t, size_t i, bool alone, struct err *err)
{
    struct exec_statement *s = &t->request->statements[i];
    if (t->culprit_partial && t->culprit_step == (int)i)
        return told_before(t, err);
    return alone ? run_alone(&t->op, s, (int)i, err) : run_statement(&t->op, s, (int)i, err);
}

/* The statements before i stay although this one failed. With a key they must not run again when the call is
 * sent again; when that cannot be noted they do not stay. */
static enum err_code keep_before(
    struct task *t, size_t i, struct str results, enum err_code rc, struct err *err)
{
    struct err noted = ERR_INIT;
    struct str detail = t->op.error_detail;
    t->op.statement_index = (int)i;
    t->keep_effects = true;
    if (!t->keyed || !t->wrote || i == 0 ||
        sqlite3_get_autocommit(t->op.eng->db)) /* gone: this will be run again up to here */
        return rc;
    enum err_code code = receipts_store_part(t, i, results, &noted);
    t->op.error_detail = detail;
    if (code == ERR_OK)
        return rc;
    t->keep_effects = false;
    *err = noted;
    return code;
}

enum err_code op_run_BATCH(struct op *op, struct err *err)
{
    struct task *t = task_of(op);
    const struct exec_request *r = t->request;
    bool alone = t->write && !r->transaction;
    enum err_code rc = ERR_OK;
    exec_forget_counts(op->eng);
    jsonw_array(op->w);
    size_t begin = t->body.len, end = begin, i = alone ? t->done_count : 0;
    if (i > 0) {
        jsonw_raw(op->w, t->done_results);
        end = t->body.len;
    }
    for (; i < r->count && rc == ERR_OK; i++) {
        rc = run_step(t, i, alone, err);
        if (rc == ERR_OK)
            end = t->body.len;
        else if (alone)
            rc = keep_before(t, i, str_slice(strbuf_str(&t->body), begin, end), rc, err);
        else
            op->statement_index = (int)i;
    }
    if (rc == ERR_OK)
        jsonw_array_end(op->w);
    return rc;
}

enum err_code exec_run_asked(struct task *t, struct err *err)
{
    return t->request->batch ? op_run_BATCH(&t->op, err) : op_run_QUERY(&t->op, err);
}

enum err_code exec_run_whole(struct task *t, struct err *err)
{
    t->request->transaction = true;
    return exec_run_asked(t, err);
}

size_t exec_count(const struct task *t)
{
    return t->request->count;
}

bool exec_is_batch(const struct task *t)
{
    return t->request->batch;
}

struct str exec_sql(const struct task *t, size_t i)
{
    return t->request->statements[i].sql;
}

enum err_code op_run_PING(struct op *op, struct err *err)
{
    (void)err;
    jsonw_object(op->w);
    JSONW_BOOL(op->w, "pong", true);
    jsonw_object_end(op->w);
    return ERR_OK;
}
