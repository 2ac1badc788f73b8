/* GET …/proposal-settings: {"onDrift": "refuse" | "reapply"}. PUT with the same body: what apply does when
 * the statement would do something else by now than was proposed: nothing, or what it does now. What people
 * approved is never applied in another form. An admin's. */
#include "engine/binding.h"
#include "engine/engine_state.h"
#include "engine/proposing.h"
#include "json/jsonr.h"

static const struct str REFUSE = {"refuse", 6}, REAPPLY = {"reapply", 7};

enum err_code proposals_on_drift(struct op *op, bool *ret_reapply, struct err *err)
{
    struct binding b = binding_of(op, OWN_ON_DRIFT);
    *ret_reapply = binding_step(op, &b) && sqlite3_column_int(b.stmt, 0);
    return binding_end(op, &b, err);
}

static enum err_code check_caller(const struct op *op, struct err *err)
{
    if (op->call.role == WIRE_ROLE_ADMIN && !op->call.has_table_scope)
        return ERR_OK;
    return err_set(err, ERR_FORBIDDEN,
        "the settings of proposals are an admin's: the token must have the role admin and no table scope");
}

static void write(struct op *op, bool reapply)
{
    jsonw_object(op->w);
    JSONW_TEXT(op->w, "onDrift", reapply ? REAPPLY : REFUSE);
    jsonw_object_end(op->w);
}

enum err_code op_run_PROPOSAL_SETTINGS(struct op *op, struct err *err)
{
    bool reapply = false;
    enum err_code code = check_caller(op, err);
    if (!code)
        code = proposals_on_drift(op, &reapply, err);
    if (!code)
        write(op, reapply);
    return code;
}

static enum err_code read_body(struct op *op, bool *ret_reapply, struct err *err)
{
    struct {
        struct str on_drift;
    } in;
    static const struct jsonr_field FIELDS[] = {{"onDrift", JF_TEXT, 0, JF_REQUIRED, 1, 20}};
    const struct jsonr_value *root;
    enum err_code code = jsonr_parse(op->arena, op->call.body, &root, err);
    if (!code)
        code = jsonr_fields(root, "", FIELDS, ARRAY_LEN(FIELDS), JSONR_UNKNOWN_REFUSE, &in, err);
    if (code)
        return code;
    *ret_reapply = str_eq(in.on_drift, REAPPLY);
    return *ret_reapply || str_eq(in.on_drift, REFUSE)
               ? ERR_OK
               : err_field(err, "/onDrift", "must be \"refuse\" or \"reapply\"");
}

enum err_code op_run_PROPOSAL_SETTINGS_SET(struct op *op, struct err *err)
{
    bool reapply = false;
    enum err_code code = check_caller(op, err);
    if (!code)
        code = read_body(op, &reapply, err);
    if (code)
        return code;
    struct binding b = binding_of(op, OWN_ON_DRIFT_SET);
    bind_text(&b, reapply ? REAPPLY : REFUSE);
    code = binding_run(op, &b, err);
    if (!code)
        write(op, reapply);
    return code;
}
