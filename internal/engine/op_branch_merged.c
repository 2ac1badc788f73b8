/* The schema of this branch was merged into its parent's: from now on it counts as what the branch began
 * with, if it is still the one that was merged, which ?schema= names as SCHEMA told it. data: {"moved"}. */
#include "engine/catalog.h"
#include "engine/start_schema.h"

enum err_code op_run_BRANCH_MERGED(struct op *op, struct err *err)
{
    struct str name;
    enum err_code code = start_schema_name(op, &name, err);
    bool same = !code && str_eq(name, wire_arg(&op->call, "schema"));
    if (!code && same)
        code = start_schema_move(op, err);
    if (code)
        return code;
    jsonw_object(op->w);
    JSONW_BOOL(op->w, "moved", same);
    jsonw_object_end(op->w);
    return ERR_OK;
}
