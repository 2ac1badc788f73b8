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

static enum err_code check_shown(struct op *op, const struct rehearsal *r, struct err *err)
{
    const char *unshown = propose_unshown(r);
    return unshown
               ? err_field(err, exec_is_batch(task_of(op)) ? "/statements" : "/sql",
                     "writes %s, which a proposal neither shows nor takes back: send that to query", unshown)
               : ERR_OK;
}

struct propose {
    struct op *op;
    struct proposing in;
    struct rehearsal r;
};

static enum err_code rehearse(void *arg, const struct rehearsal **ret, struct err *err)
{
    struct propose *p = arg;
    struct op *op = p->op;
    p->in.plan = propose_plan(op);
    invariants_begin(op);
    enum err_code code = rules_prepare(op, &p->r, err);
    if (!code)
        code = rehearsal_run(&p->r, err);
    if (!code)
        code = propose_judge(op, &p->in, &p->r, err);
    if (!code)
        code = rehearsal_take_back(&p->r, err);
    if (!code)
        code = check_writes(op, err);
    if (!code)
        code = check_shown(op, &p->r, err);
    if (!code)
        code = rehearsal_hash(&p->r, err);
    p->in.action = p->r.changes_schema ? "schema" : "write";
    op->head.rows_written = 0;
    *ret = &p->r;
    return code;
}

static enum err_code store(void *arg, struct err *err)
{
    struct propose *p = arg;
    return propose_rehearsed(p->op, &p->in, &p->r, p->op->w, err);
}

enum err_code op_run_PROPOSE(struct op *op, struct err *err)
{
    static const struct beside_work WORK = {rehearse, store};
    struct propose p = {.op = op};
    enum err_code code = read_input(op, &p.in, err);
    if (code)
        return code;
    rehearsal_init(&p.r, op, clock_wall_ms(), rand_u64());
    code = beside_run(op, &WORK, &p, err);
    rehearsal_release(&p.r);
    return code;
}
