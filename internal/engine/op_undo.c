/* POST …/proposals/{id}/undo: proposes to take back what was applied, row by row, triggers aside: what they
 * did is among the rows. Body, if any: "ttlSec"?, "reason"?, "ticket"?, "agent"?, "model"?. data: a proposal
 * like any other, which can be taken back in its turn. 409 when a row is no longer as it was left. */
#include "base/clock.h"
#include "base/limits.h"
#include "engine/change_diff.h"
#include "engine/drift.h"
#include "engine/engine_state.h"
#include "engine/proposing.h"
#include "json/jsonr.h"

static enum err_code check_state(const struct proposal *p, struct err *err)
{
    if (p->decided_ms == 0 || !str_eq(p->state, S("applied")))
        return err_set(err, ERR_CONFLICT, "The proposal is %s: only what was applied can be taken back",
            proposal_state(p));
    if (p->no_undo.ptr)
        return err_set(err, ERR_CONFLICT, "This cannot be taken back: " STR_FMT, STR_ARG(p->no_undo));
    return ERR_OK;
}

/* It writes rows by SQL of ours: what the caller could not write himself is not for him. */
static enum err_code check_rights(struct op *op, struct str set, struct err *err)
{
    struct change_reader r;
    struct change_table_view t;
    bool found = true;
    if (op->call.role < WIRE_ROLE_READWRITE)
        return err_set(err, ERR_FORBIDDEN,
            "UNDO needs a token with the role readwrite or admin; this token's role is readonly");
    enum err_code code = change_reader_init(&r, set, err);
    while (!code && !(code = change_table_next(&r, &found, &t, err)) && found) {
        if (!op_table_visible(op, t.name))
            code = err_set(
                err, ERR_FORBIDDEN, "Token scope does not include table \"" STR_FMT "\"", STR_ARG(t.name));
    }
    change_reader_release(&r);
    return code;
}

static enum err_code read_body(struct op *op, struct proposing *in, struct err *err)
{
    const struct jsonr_value *root;
    *in = proposing_new(op->call.body.len ? op->call.body : S("{}"));
    enum err_code code = jsonr_parse(op->arena, in->body, &root, err);
    return code ? code : proposing_read(in, root, err);
}

static enum err_code propose_inverse(
    struct op *op, const struct proposal *p, struct proposing *in, struct str inverse, struct err *err)
{
    struct rehearsal r;
    struct drift d;
    uint64_t conflicts = 0;
    bool same = false;
    drift_begin(&d, op, p, "Rows are no longer as the write left them; nothing was changed");
    rehearsal_init(&r, op, clock_wall_ms(), 0);
    enum err_code code = rehearsal_run_set(&r, inverse, drift_conflict, &d, &conflicts, err);
    if (!code && conflicts == 0)
        code = propose_judge(op, in, &r, err);
    if (!code && conflicts == 0)
        code = rehearsal_take_back(&r, err);
    if (!code && conflicts == 0)
        code = change_same_rows(inverse, strbuf_str(&r.set), &same, err);
    if (!code && same)
        code = rehearsal_hash(&r, err);
    in->action = "undo";
    in->plan = S("[]");
    in->undo_of = p->id;
    op->head.rows_written = 0;
    if (!code && same)
        code = propose_rehearsed(op, in, &r, op->w, err);
    else if (!code &&
             conflicts == 0) /* an action of a foreign key would go further than the rows that were changed */
        code = drift_differences(&d, p, inverse, strbuf_str(&r.set), err);
    if (!code && !same)
        code = drift_end(&d, err);
    drift_release(&d);
    rehearsal_release(&r);
    return code;
}

enum err_code op_run_PROPOSAL_UNDO(struct op *op, struct err *err)
{
    struct proposal p;
    struct proposing in;
    AUTO_STRBUF set;
    AUTO_STRBUF inverse;
    strbuf_init(&set, (size_t)LIMIT_CHANGE_BYTES);
    strbuf_init(&inverse, 2 * (size_t)LIMIT_CHANGE_BYTES);
    enum err_code code = read_body(op, &in, err);
    if (!code)
        code = proposal_find(op, &p, err);
    if (!code)
        code = check_state(&p, err);
    if (!code)
        code = proposal_set(op, &p, &set, err);
    if (!code)
        code = check_rights(op, strbuf_str(&set), err);
    if (!code)
        code = change_set_invert(strbuf_str(&set), &inverse, err);
    return code ? code : propose_inverse(op, &p, &in, strbuf_str(&inverse), err);
}
