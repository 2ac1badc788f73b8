/* Reads the body of explain and validate. */
#include "engine/op_input.h"
#include "base/limits.h"

static const struct jsonr_field FIELDS[] = {
    {"sql", JF_TEXT, offsetof(struct op_input, sql), JF_REQUIRED, 1, LIMIT_SQL_BYTES},
    {"params", JF_ANY, offsetof(struct op_input, params), JF_NULL_OK, 0, 0},
};

enum err_code op_input_read(struct op *op, struct op_input *ret, struct err *err)
{
    const struct jsonr_value *root;
    *ret = (struct op_input){STR_EMPTY, NULL};
    enum err_code code = jsonr_parse(op->arena, op->call.body, &root, err);
    if (!code)
        code = jsonr_fields(root, "", FIELDS, ARRAY_LEN(FIELDS), JSONR_UNKNOWN_IGNORE, ret, err);
    op->about = ret->sql;
    if (code || !ret->params)
        return code;
    enum jsonr_kind kind = jsonr_kind(ret->params);
    if (kind == JSONR_NULL)
        ret->params = NULL;
    else if (kind != JSONR_ARRAY && kind != JSONR_OBJECT)
        return err_field(err, "/params", "must be an array or an object");
    return ERR_OK;
}
