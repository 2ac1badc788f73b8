/* POST …/propose: runs a write for real, keeps what it did, takes it back. Body: {"sql","params"?} or
 * {"statements"} as of a batch, which is then one transaction; "ttlSec"?, "reason"?, "ticket"?, "agent"?,
 * "model"?. data: the proposal with its execution token. */
#include "base/clock.h"
#include "base/rand.h"
#include "engine/beside.h"
#include "engine/engine_state.h"
#include "engine/invariant.h"
#include "engine/proposing.h"
#include "engine/task.h"
#include "json/jsonr.h"

static enum err_code read_input(struct op *op, struct proposing *in, struct err *err)
{
    const struct jsonr_value *root;
    *in = proposing_new(op->call.body);
    enum err_code code = jsonr_parse(op->arena, op->call.body, &root, err);
    if (!code)
        code = proposing_read(in, root, err);
    if (!code)
        code = propose_take(op, root, err);
    return code ? code : propose_check_names(root, "", PROPOSE_WHOLE, err);
}

static enum err_code check_writes(struct op *op, struct err *err)
{
    if (task_of(op)->wrote)
        return ERR_OK;
    return err_field(err, exec_is_batch(task_of(op)) ? "/statements" : "/sql",
        "only reads: send it to query, nothing needs to be applied");
}

static enum err_code rehearse(struct op *op, struct proposing *in, struct rehearsal *r, struct err *err)
{
    in->plan = propose_plan(op);
    invariants_begin(op);
    enum err_code code = rules_prepare(op, r, err);
    if (!code)
        code = rehearsal_run(r, err);
    if (!code)
        code = propose_judge(op, in, r, err);
    if (!code)
        code = rehearsal_take_back(r, err);
    if (!code)
        code = check_writes(op, err);
    if (!code)
        code = rehearsal_hash(r, err);
    in->action = r->changes_schema ? "schema" : "write";
    op->head.rows_written = 0;
    return code;
}

/* On a copy: the proposal alone is written to the database. */
static enum err_code propose_beside(struct op *op, struct proposing *in, struct rehearsal *r, struct err *err)
{
    enum err_code code = beside_begin(op, err);
    if (!code)
        code = rehearse(op, in, r, err);
    code = beside_store(op, r, code, err);
    if (!code)
        code = propose_rehearsed(op, in, r, op->w, err);
    return beside_end(op, code, err);
}

enum err_code op_run_PROPOSE(struct op *op, struct err *err)
{
    struct proposing in;
    struct rehearsal r;
    enum err_code code = read_input(op, &in, err);
    if (code)
        return code;
    rehearsal_init(&r, op, clock_wall_ms(), rand_u64());
    if (op->eng->cfg.mode == ENGINE_READER) {
        code = propose_beside(op, &in, &r, err);
    } else {
        code = rehearse(op, &in, &r, err);
        if (!code)
            code = propose_rehearsed(op, &in, &r, op->w, err);
    }
    rehearsal_release(&r);
    return code;
}
