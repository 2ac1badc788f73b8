/* Rehearsals. */
#include "engine/rehearsal.h"
#include "base/clock.h"
#include "base/limits.h"
#include "engine/change_apply.h"
#include "engine/destruction.h"
#include "engine/engine_state.h"
#include "engine/fts5_decl.h"
#include "engine/invariant.h"
#include "engine/proposal.h"
#include "engine/rule.h"
#include "engine/sql_text.h"
#include "engine/task.h"
#include "engine/turn_error.h"

enum { DIFF_MAX = 4 << 20 };

#define HASH_DOMAIN "holdfast change 2"

void rehearsal_init(struct rehearsal *r, struct op *op, int64_t clock_ms, uint64_t dice)
{
    *r = (struct rehearsal){.op = op, .undo = {NULL, 0}, .clock_ms = clock_ms, .dice = dice};
    recorder_init(&r->recorder, op->eng, RECORDER_ROWS);
    strbuf_init(&r->set, (size_t)LIMIT_CHANGE_BYTES);
    strbuf_init(&r->result, (size_t)LIMIT_RESULT_BYTES);
    strbuf_init(&r->diff, DIFF_MAX);
}

void rehearsal_release(struct rehearsal *r)
{
    recorder_release(&r->recorder);
    strbuf_release(&r->set);
    strbuf_release(&r->result);
    strbuf_release(&r->diff);
}

static enum err_code run_own(struct rehearsal *r, enum own_sql which, struct err *err)
{
    int rc = own_run(r->op->eng, which);
    return rc == SQLITE_OK ? ERR_OK : op_sql_error(r->op, rc, STR_EMPTY, err);
}

/* Gone is the whole transaction when this fails: what cannot be undone alone is undone with all. */
static void go_back(struct rehearsal *r)
{
    struct engine *eng = r->op->eng;
    r->op->deeds = NULL;
    if (sqlite3_get_autocommit(eng->db))
        return;
    if (own_run(eng, OWN_STEP_ROLLBACK) != SQLITE_OK)
        own_abandon(eng);
    else
        (void)own_run(eng, OWN_STEP_RELEASE); /* the end of the call does it too */
}

static void begin(struct rehearsal *r)
{
    recorder_attach(&r->recorder);
    if (!r->op->eng->guard.rowsec) /* whose statements are kept from call to call */
        recorder_expect_assigns(&r->recorder);
    r->recorder.expects_schema = true;
    r->schema_version = r->op->eng->schema_version;
    r->op->eng->recorder = r->op->eng->guard.recorder = &r->recorder;
    dice_hold(r->op->eng, r->clock_ms, r->dice);
}

static void end(struct rehearsal *r)
{
    struct engine *eng = r->op->eng;
    r->time_asked |= eng->dice.time_asked;
    r->dice_asked |= eng->dice.dice_asked;
    dice_release(eng);
    eng->recorder = eng->guard.recorder = NULL;
}

/* What stands before a statement that failed is what was done. */
static enum err_code note_failure(struct rehearsal *r, enum err_code code, struct err *err)
{
    struct op *op = r->op;
    if (!code || !task_of(op)->keep_effects || sqlite3_get_autocommit(op->eng->db))
        return code;
    r->failed = (struct rehearsal_failure){code, *err, op->error_detail, op->statement_index};
    *err = (struct err)ERR_INIT;
    op->error_detail = STR_EMPTY;
    return ERR_OK;
}

/* Its answer goes to a buffer of its own. */
static enum err_code run_statements(struct rehearsal *r, struct err *err)
{
    struct jsonw w, *outer = r->op->w;
    struct task *t = task_of(r->op);
    jsonw_init(&w, &r->result);
    r->op->w = &w;
    enum err_code code = r->as_asked ? note_failure(r, exec_run_asked(t, err), err) : exec_run_whole(t, err);
    r->op->w = outer;
    r->affected = t->changes;
    if (!code && sqlite3_get_autocommit(r->op->eng->db))
        return turn_ended(err);
    if (!code)
        code = op_check_deferred(r->op, exec_text(t, 64), err);
    return code;
}

/* What full-text indexes hold back in memory is written when a savepoint begins. */
static enum err_code flush(struct rehearsal *r, struct err *err)
{
    enum err_code code = run_own(r, OWN_FLUSH, err);
    return code ? code : run_own(r, OWN_FLUSH_RELEASE, err);
}

enum err_code rehearsal_cannot_show(struct str table, struct err *err)
{
    return err_set(err, ERR_INVALID,
        "the rows that \"" STR_FMT "\" is made with cannot be shown: create it first, then send INSERT INTO "
        "… SELECT",
        STR_ARG(table));
}

/* Rows that the hook was not told of: those of CREATE TABLE … AS. */
static enum err_code look_into(struct rehearsal *r, const struct schema_object *o, struct err *err)
{
    struct fts5_decl d;
    int64_t rows, known = (int64_t)recorder_inserted(&r->recorder, o->name);
    if (schema_is_virtual(o) && (!fts5_decl_read(r->op->arena, o->sql, &d) || d.content != FTS5_OWN))
        return ERR_OK; /* it keeps no rows */
    enum err_code code = schema_count_rows(r->op, o->name, &rows, err);
    if (code || rows <= known)
        return code;
    struct err why = ERR_INIT;
    if (recorder_add_table(&r->recorder, r->op, o->name, &why)) {
        r->affected += rows - known;
        return ERR_OK;
    }
    r->op->error_detail = STR_EMPTY;
    if (!r->as_asked)
        return rehearsal_cannot_show(o->name, err);
    r->unseen = o->name;
    return ERR_OK;
}

enum err_code rehearsal_look(struct rehearsal *r, struct err *err)
{
    enum err_code code = schema_objects(r->op, &r->after, err);
    if (!code)
        code = schema_mark_deeds(r->op, r->before, r->after, &r->recorder, err);
    for (const struct schema_object *o = code ? NULL : r->after; o && !code; o = o->next) {
        if (str_eq(o->type, S("table")) && !o->renamed.ptr && !schema_find_named(r->before, o))
            code = look_into(r, o, err);
    }
    return code;
}

static bool changes_schema(const struct task *t)
{
    bool found = false;
    for (size_t i = 0; i < exec_count(t); i++)
        found |= sql_verb_changes_schema(sql_verb(exec_sql(t, i)));
    return found;
}

static enum err_code run_recorded(struct rehearsal *r, struct err *err)
{
    begin(r);
    enum err_code code = run_statements(r, err);
    if (!code)
        code = flush(r, err);
    bool gone = sqlite3_get_autocommit(r->op->eng->db); /* stopping a write ends its transaction */
    enum err_code seen = gone && !r->recorder.failure ? ERR_OK : recorder_check(&r->recorder, err);
    if (seen && (!code || r->recorder.failure != RECORDER_MISSED)) { /* it was stopped for this */
        r->op->error_detail = STR_EMPTY;
        r->op->statement_index = -1;
        code = seen;
    }
    recorder_detach(&r->recorder);
    end(r);
    if (!code && r->changes_schema)
        code = rehearsal_look(r, err);
    return code ? code : recorder_finish(&r->recorder, &r->set, err);
}

enum err_code rehearsal_run(struct rehearsal *r, struct err *err)
{
    int64_t before_us = clock_mono_us();
    enum err_code code = ERR_OK;
    r->changes_schema = changes_schema(task_of(r->op));
    r->op->deeds = NULL;
    if (r->changes_schema)
        code = schema_objects(r->op, &r->before, err);
    if (!code)
        code = schema_digest(r->op, &r->schema, err);
    if (!code)
        code = run_own(r, OWN_STEP, err);
    if (code)
        return code;
    code = run_recorded(r, err);
    if (code && !r->op->eng->guard.makes_virtual_table)
        go_back(r);
    r->duration_us = clock_mono_us() - before_us;
    return code;
}

/* --- A change set --- */

static enum err_code check_foreign(
    struct rehearsal *r, struct str set, void *arg, uint64_t *ret_conflicts, struct err *err)
{
    struct err open = ERR_INIT;
    enum err_code code = op_check_deferred(r->op, STR_EMPTY, &open), failed;
    struct str detail = r->op->error_detail;
    if (code != ERR_SQL || !r->foreign) {
        *err = open;
        return code;
    }
    failed = change_foreign_check(r->op, set, r->foreign, arg, ret_conflicts, err);
    if (!failed && *ret_conflicts == 0) {
        *err = open;
        failed = code;
    }
    r->op->error_detail = failed == code ? detail : STR_EMPTY;
    return failed;
}

struct set_work {
    struct rehearsal *r;
    struct str set;
    void (*fn)(void *arg, const struct change_conflict *c);
    void *arg;
};

static enum err_code write_set(void *arg, uint64_t *ret_conflicts, struct err *err)
{
    const struct set_work *w = arg;
    return change_apply(w->r->op->eng, w->set, w->fn, w->arg, ret_conflicts, err);
}

static enum err_code check_set(void *arg, uint64_t *ret_conflicts, struct err *err)
{
    const struct set_work *w = arg;
    return check_foreign(w->r, w->set, w->arg, ret_conflicts, err);
}

static enum err_code run_work_recorded(
    struct rehearsal *r, const struct rehearsal_work *work, uint64_t *ret_conflicts, struct err *err)
{
    int64_t destroyed = r->op->eng->destroyed;
    invariants_touch_all(r->op);
    begin(r);
    enum err_code code = run_own(r, OWN_DEFER_ON, err);
    r->op->eng->guard.defers_foreign_keys = true; /* until the end of the call */
    if (!code && work->before)
        code = work->before(work->arg, r, err);
    if (!code)
        code = work->write(work->arg, ret_conflicts, err);
    if (!code)
        code = flush(r, err);
    if (!code && *ret_conflicts == 0 && work->check)
        code = work->check(work->arg, ret_conflicts, err);
    if (!code)
        code = recorder_check(&r->recorder, err);
    recorder_detach(&r->recorder);
    end(r);
    if (!code)
        code = recorder_finish(&r->recorder, &r->set, err);
    uint64_t rows = 0;
    if (!code)
        code = change_set_count(strbuf_str(&r->set), &rows, err);
    r->affected = (int64_t)rows;
    destruction_of_set(r->op, r->op->eng->destroyed - destroyed);
    return code;
}

/* What comes after the rows: then the schema is what it is to be. */
static enum err_code run_rest(struct rehearsal *r, const struct rehearsal_work *work, struct err *err)
{
    enum err_code code = work->after(work->arg, r, err);
    if (!code)
        code = op_check_deferred(r->op, STR_EMPTY, err);
    if (!code)
        code = op_check_schema(r->op, err);
    return code ? code : rehearsal_look(r, err);
}

static enum err_code run_work(
    struct rehearsal *r, const struct rehearsal_work *work, uint64_t *ret_conflicts, struct err *err)
{
    int64_t before_us = clock_mono_us();
    enum err_code code = schema_digest(r->op, &r->schema, err);
    if (!code)
        code = run_own(r, OWN_STEP, err);
    if (code)
        return code;
    *ret_conflicts = 0;
    code = run_work_recorded(r, work, ret_conflicts, err);
    if (!code && *ret_conflicts == 0 && work->after)
        code = run_rest(r, work, err);
    if (code || *ret_conflicts)
        go_back(r);
    r->duration_us = clock_mono_us() - before_us;
    return code;
}

enum err_code rehearsal_run_set(struct rehearsal *r, struct str set,
    void (*fn)(void *arg, const struct change_conflict *c), void *arg, uint64_t *ret_conflicts,
    struct err *err)
{
    struct set_work w = {r, set, fn, arg};
    struct rehearsal_work work = {NULL, write_set, check_set, NULL, &w};
    return run_work(r, &work, ret_conflicts, err);
}

enum err_code rehearsal_run_work(
    struct rehearsal *r, const struct rehearsal_work *work, uint64_t *ret_conflicts, struct err *err)
{
    r->changes_schema = true;
    enum err_code code = schema_objects(r->op, &r->before, err);
    return code ? code : run_work(r, work, ret_conflicts, err);
}

/* --- The end --- */

static void write_diff(struct rehearsal *r)
{
    struct jsonw w;
    strbuf_reset(&r->diff);
    jsonw_init(&w, &r->diff);
    if (r->changes_schema) {
        schema_diff_write(r->op, r->before, r->after, r->removed, &w);
        return;
    }
    jsonw_array(&w);
    jsonw_array_end(&w);
}

enum err_code rehearsal_keep(struct rehearsal *r, struct err *err)
{
    return run_own(r, OWN_STEP_RELEASE, err);
}

enum err_code rehearsal_take_back(struct rehearsal *r, struct err *err)
{
    bool changed = !schema_is_as_known(r->op) || r->op->eng->schema_version != r->schema_version;
    go_back(r);
    if (changed || r->changes_schema)
        schema_digest_forget(r->op->eng);
    if (sqlite3_get_autocommit(r->op->eng->db))
        return err_set(
            err, ERR_UNAVAILABLE, "the rehearsal could not be taken back; nothing was kept; try again");
    enum err_code code = ERR_OK;
    if (r->changes_schema)
        code = schema_count_removed(r->op, r->before, r->after, &r->removed, err);
    return code;
}

/* The digest of the schema is that of before the write: what it changes there is in the difference. */
enum err_code rehearsal_hash(struct rehearsal *r, struct err *err)
{
    struct digest_stream digest;
    enum err_code code = rules_version(r->op, &r->rules, err);
    if (code)
        return code;
    write_diff(r);
    digest_stream_init(&digest);
    digest_stream_add(&digest, S(HASH_DOMAIN));
    code = change_set_hash(strbuf_str(&r->set), &digest, err);
    digest_stream_add(&digest, digest_str(&r->schema));
    digest_stream_add(&digest, digest_str(&r->rules));
    digest_stream_add(&digest, strbuf_str(&r->diff));
    r->hash = digest_stream_end(&digest);
    return !code && strbuf_failed(&r->diff)
               ? err_set(err, ERR_TOO_LARGE, "the change of the schema is too large")
               : code;
}
