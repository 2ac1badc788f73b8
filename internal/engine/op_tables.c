/* GET …/tables: the user's tables with their row counts, in order of creation.
 * data: [{"name","rowCount"}], with "rowCountExact":false where the count is an estimate. */
#include "engine/op.h"
#include "engine/rowcount.h"
#include "engine/rowsec.h"

enum err_code op_run_TABLES(struct op *op, struct err *err)
{
    struct catalog_source src = catalog_source_of_op(op);
    struct rowcount_budget budget;
    struct catalog cat;
    enum err_code code = catalog_read(&src, &cat, err);
    if (!code)
        code = rowcount_budget(&src, &budget, err);
    jsonw_array(op->w);
    for (const struct cat_table *t = cat.tables; !code && t; t = t->next) {
        struct rowcount rows;
        code = rowsec_rowcount(op, &src, t, &budget, &rows, err);
        if (code)
            break;
        jsonw_object(op->w);
        JSONW_TEXT(op->w, "name", t->name);
        JSONW_INT(op->w, "rowCount", rows.rows);
        if (!rows.exact)
            JSONW_BOOL(op->w, "rowCountExact", false);
        jsonw_object_end(op->w);
    }
    jsonw_array_end(op->w);
    return code;
}
