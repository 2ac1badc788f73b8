/* Queries and batches under rules: they run recorded, and what they did is judged before it stays. */
#include "base/clock.h"
#include "base/rand.h"
#include "engine/engine_state.h"
#include "engine/invariant.h"
#include "engine/proposing.h"
#include "engine/rule.h"
#include "engine/task.h"
#include "json/jsonr.h"

static enum err_code read_why(struct op *op, struct proposing *in, struct err *err)
{
    const struct jsonr_value *root;
    *in = proposing_new(op->call.body);
    enum err_code code = jsonr_parse(op->arena, op->call.body, &root, err);
    return code ? code : proposing_read(in, root, err);
}

static enum err_code tell_failure(struct op *op, const struct rehearsal *r, struct err *err)
{
    *err = r->failed.err;
    op->error_detail = r->failed.detail;
    op->statement_index = r->failed.statement;
    return r->failed.code;
}

static enum err_code keep(struct op *op, struct rehearsal *r, struct err *err)
{
    enum err_code code = rehearsal_keep(r, err);
    if (!code)
        code = proposals_touch(op, &r->recorder, err);
    if (!code && r->failed.code)
        return tell_failure(op, r, err);
    task_of(op)->keep_effects = false;
    if (!code)
        jsonw_raw(op->w, strbuf_str(&r->result));
    return code;
}

/* One proposal is one transaction: a part of a batch is no write that people could approve. */
static enum err_code refuse_part(struct op *op, const struct rehearsal *r, struct err *err)
{
    op->statement_index = r->failed.statement;
    return err_set(err, ERR_CONFLICT,
        "A rule holds what the batch did, and statement %d of it failed (%.200s): nothing was changed. Mend "
        "that "
        "statement, or leave it out",
        r->failed.statement, r->failed.err.message);
}

/* What people approve is rows that they see. */
static enum err_code refuse_uncounted(
    struct op *op, const struct rehearsal *r, const struct verdict *v, struct err *err)
{
    struct err why = ERR_INIT, ignored = ERR_INIT;
    (void)rules_refuse(op, v, &ignored); /* for the rules that hit */
    enum err_code code = recorder_gave_up(&r->recorder, &why);
    return err_set(err, code,
        "A rule holds this write for approval, and people approve rows that they see: %s. Rules that ask "
        "effects, or nothing, are judged all the same; the hits tell which one needs the rows. Nothing was "
        "changed",
        why.message);
}

/* The request is shown to people: a member that did not run would stand beside the one that did. */
static enum err_code check_one_kind(struct op *op, struct err *err)
{
    const struct jsonr_value *root;
    enum err_code code = jsonr_parse(op->arena, op->call.body, &root, err);
    bool batch = op->call.op == WIRE_OP_BATCH;
    if (!code && jsonr_member(root, batch ? S("sql") : S("statements")))
        return err_field(err, batch ? "/sql" : "/statements",
            "A rule holds this write for approval, and this member is no part of it: leave it out");
    return code;
}

static enum err_code hold(
    struct op *op, struct proposing *in, struct rehearsal *r, const struct verdict *v, struct err *err)
{
    task_of(op)->keep_effects = false;
    if (r->failed.code)
        return refuse_part(op, r, err);
    if (r->recorder.given_up)
        return refuse_uncounted(op, r, v, err);
    if (r->unseen.ptr)
        return rehearsal_cannot_show(r->unseen, err);
    enum err_code code = check_one_kind(op, err);
    if (!code)
        code = invariants_broken(op, &r->broken, err);
    if (!code)
        code = rehearsal_take_back(r, err);
    if (!code)
        code = rehearsal_hash(r, err);
    in->plan = code ? S("[]") : propose_plan(op);
    in->action = r->changes_schema ? "schema" : "write";
    return code ? code : propose_hold(op, in, r, v, err);
}

static enum err_code decide(struct op *op, struct proposing *in, struct rehearsal *r, struct err *err)
{
    struct verdict v;
    if (!task_of(op)->wrote)
        return keep(op, r, err);
    enum err_code code = rules_judge(op, r, in, &v, err);
    if (code || v.action == RULE_DENY || v.wants_reason) {
        task_of(op)->keep_effects = false;
        return code ? code : rules_refuse(op, &v, err);
    }
    return v.action == RULE_REQUIRE_APPROVAL ? hold(op, in, r, &v, err) : keep(op, r, err);
}

enum err_code judged_run(struct op *op, struct err *err)
{
    struct proposing in;
    struct rehearsal r;
    bool held = false;
    enum err_code code = read_why(op, &in, err);
    if (!code)
        code = held_before(op, &held, err);
    if (code || held)
        return code;
    exec_release(task_of(op)); /* what was prepared without the recorder may pass over rows */
    rehearsal_init(&r, op, clock_wall_ms(), rand_u64());
    r.as_asked = r.recorder.may_count = true;
    code = rules_prepare(op, &r, err);
    if (!code)
        code = rehearsal_run(&r, err);
    if (!code)
        code = decide(op, &in, &r, err);
    rehearsal_release(&r);
    return code;
}

/* --- Imports --- */

static enum err_code refuse_import(struct op *op, const struct verdict *v, struct err *err)
{
    if (v->action == RULE_DENY || v->wants_reason)
        return rules_refuse(op, v, err);
    (void)rules_refuse(op, v, err);
    return err_set(err, ERR_RULE,
        "A rule asks for approval of what the file changes, and an import cannot wait for it; nothing was "
        "changed. Send it "
        "to batch, or import into a branch and merge that");
}

static enum err_code record(
    struct rehearsal *r, enum err_code (*fn)(void *arg, struct err *err), void *arg, struct err *err)
{
    struct engine *eng = r->op->eng;
    recorder_attach(&r->recorder);
    eng->recorder = &r->recorder;
    enum err_code code = fn(arg, err);
    eng->recorder = NULL;
    bool stopped = r->recorder.failure == RECORDER_TOO_MANY || r->recorder.failure == RECORDER_TOO_LARGE;
    if (!code || stopped) {
        enum err_code seen = recorder_check(&r->recorder, err);
        code = seen ? seen : code;
        if (seen)
            r->op->error_detail = STR_EMPTY;
    }
    recorder_detach(&r->recorder);
    return code;
}

enum err_code judged_import(
    struct op *op, enum err_code (*fn)(void *arg, struct err *err), void *arg, struct err *err)
{
    struct rehearsal r;
    struct verdict v;
    struct proposing in = proposing_new(STR_EMPTY);
    if (!rules_exist(op))
        return fn(arg, err);
    rehearsal_init(&r, op, clock_wall_ms(), 0);
    r.as_asked = r.changes_schema = r.recorder.may_count = true;
    enum err_code code = schema_objects(op, &r.before, err);
    if (!code)
        code = record(&r, fn, arg, err);
    if (!code)
        code = rehearsal_look(&r, err);
    if (!code)
        code = recorder_finish(&r.recorder, &r.set, err);
    if (!code)
        code = rules_judge(op, &r, &in, &v, err);
    if (!code && (v.action != RULE_ALLOW || v.wants_reason))
        code = refuse_import(op, &v, err);
    if (!code)
        code = proposals_touch(op, &r.recorder, err);
    rehearsal_release(&r);
    return code;
}
