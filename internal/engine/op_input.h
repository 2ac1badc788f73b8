/* The body that explain and validate share: {"sql": text, "params"?: array or object}. */
#ifndef ENGINE_OP_INPUT_H
#define ENGINE_OP_INPUT_H

#include "engine/op.h"
#include "json/jsonr.h"

struct op_input {
    struct str sql;
    const struct jsonr_value *params; /* NULL: absent */
};

MUST_CHECK enum err_code op_input_read(struct op *op, struct op_input *ret, struct err *err);

#endif
