/* Which function runs which op of wire/ops.def. */
#include "engine/task.h"

static op_fn *const HANDLERS[WIRE_OP_COUNT] = {
    [WIRE_OP_PING] = op_run_PING,
    [WIRE_OP_QUERY] = op_run_QUERY,
    [WIRE_OP_BATCH] = op_run_BATCH,
    [WIRE_OP_TABLES] = op_run_TABLES,
    [WIRE_OP_SCHEMA] = op_run_SCHEMA,
    [WIRE_OP_DESCRIBE] = op_run_DESCRIBE,
    [WIRE_OP_DESCRIBE_SET] = op_run_DESCRIBE_SET,
    [WIRE_OP_SEARCH] = op_run_SEARCH,
    [WIRE_OP_DOCTOR] = op_run_DOCTOR,
    [WIRE_OP_EXPLAIN] = op_run_EXPLAIN,
    [WIRE_OP_VALIDATE] = op_run_VALIDATE,
    [WIRE_OP_QUERY_LOG] = op_run_QUERY_LOG,
    [WIRE_OP_EXPORT] = op_run_EXPORT,
    [WIRE_OP_IMPORT] = op_run_IMPORT,
    [WIRE_OP_UPLOAD_CHECK] = op_run_UPLOAD_CHECK,
    [WIRE_OP_INTEGRITY] = op_run_INTEGRITY,
    [WIRE_OP_POLICY_LIST] = op_run_POLICY_LIST,
    [WIRE_OP_POLICY_SET] = op_run_POLICY_SET,
    [WIRE_OP_POLICY_DROP] = op_run_POLICY_DROP,
    [WIRE_OP_POLICY_TEST] = op_run_POLICY_TEST,
    [WIRE_OP_ROW_SECURITY_SET] = op_run_ROW_SECURITY_SET,
    [WIRE_OP_RULE_LIST] = op_run_RULE_LIST,
    [WIRE_OP_RULE_SET] = op_run_RULE_SET,
    [WIRE_OP_RULE_DROP] = op_run_RULE_DROP,
    [WIRE_OP_RULE_REPLACE] = op_run_RULE_REPLACE,
    [WIRE_OP_RULE_TEST] = op_run_RULE_TEST,
    [WIRE_OP_RULE_REPLAY] = op_run_RULE_REPLAY,
    [WIRE_OP_COPY_SCHEMA] = op_run_COPY_SCHEMA,
    [WIRE_OP_COPY] = op_run_COPY,
    [WIRE_OP_CARRY] = op_run_CARRY,
    [WIRE_OP_BRANCH_CHANGES] = op_run_BRANCH_CHANGES,
    [WIRE_OP_MERGE] = op_run_MERGE,
    [WIRE_OP_PROPOSE] = op_run_PROPOSE,
    [WIRE_OP_APPLY] = op_run_APPLY,
    [WIRE_OP_REDEEM] = op_run_REDEEM,
    [WIRE_OP_PROPOSAL_LIST] = op_run_PROPOSAL_LIST,
    [WIRE_OP_PROPOSAL_GET] = op_run_PROPOSAL_GET,
    [WIRE_OP_PROPOSAL_CHANGES] = op_run_PROPOSAL_CHANGES,
    [WIRE_OP_PROPOSAL_WITHDRAW] = op_run_PROPOSAL_WITHDRAW,
    [WIRE_OP_PROPOSAL_UNDO] = op_run_PROPOSAL_UNDO,
    [WIRE_OP_MASK_LIST] = op_run_MASK_LIST,
    [WIRE_OP_MASK_SET] = op_run_MASK_SET,
    [WIRE_OP_UNDO] = op_run_UNDO,
};

op_fn *op_handler(enum wire_op op)
{
    return op > WIRE_OP_NONE && op < WIRE_OP_COUNT ? HANDLERS[op] : NULL;
}
