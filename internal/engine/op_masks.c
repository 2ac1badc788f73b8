/* Masks of columns, by an admin who sees all tables: mask.h says what they do.
 *
 * MASK_LIST data: {"masks":[{"table","column","kind","options"}…], "follows":[{"table","column","refersTo":
 * {"table","column"}}…], "problem": text or null}; `follows` are columns that refer to a masked key and are
 * masked with it, `problem` is why no masked copy can be made. MASK_SET {"masks":[{"table","column","kind",
 * "options"?}…]} replaces all of them; the same data. */
#include "base/limits.h"
#include "engine/mask_store.h"

enum { NAME_MAX_BYTES = 1000 };

struct wish {
    struct str table, column, kind;
    const struct jsonr_value *options;
};

struct body {
    const struct jsonr_value *masks;
};

static const struct jsonr_field WISH_FIELDS[] = {
    {"table", JF_TEXT, offsetof(struct wish, table), JF_REQUIRED, 1, NAME_MAX_BYTES},
    {"column", JF_TEXT, offsetof(struct wish, column), JF_REQUIRED, 1, NAME_MAX_BYTES},
    {"kind", JF_TEXT, offsetof(struct wish, kind), JF_REQUIRED, 1, 20},
    {"options", JF_OBJECT, offsetof(struct wish, options), JF_NULL_OK, 0, 0},
};
static const struct jsonr_field BODY_FIELDS[] = {
    {"masks", JF_ARRAY, offsetof(struct body, masks), JF_REQUIRED, 0, LIMIT_MASKS},
};

static enum err_code check_caller(struct op *op, struct err *err)
{
    if (op->call.role == WIRE_ROLE_ADMIN && !op->call.has_table_scope)
        return ERR_OK;
    return err_set(
        err, ERR_FORBIDDEN, "masks are an admin's: the token must have the role admin and no table scope");
}

/* --- Answers --- */

static void write_place(struct jsonw *w, struct str table, struct str column)
{
    JSONW_TEXT(w, "table", table);
    JSONW_TEXT(w, "column", column);
}

static void write_masks(struct jsonw *w, const struct mask_rule *rules)
{
    jsonw_key(w, "masks");
    jsonw_array(w);
    for (const struct mask_rule *r = rules; r; r = r->next) {
        if (r->index < 0)
            continue;
        jsonw_object(w);
        write_place(w, r->table, r->column);
        JSONW_CSTR(w, "kind", mask_kind_name(r->mask.kind));
        jsonw_key(w, "options");
        mask_write_options(w, &r->mask);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
}

static void write_follows(struct jsonw *w, const struct mask_rule *rules)
{
    jsonw_key(w, "follows");
    jsonw_array(w);
    for (const struct mask_rule *r = rules; r; r = r->next) {
        if (r->index >= 0)
            continue;
        jsonw_object(w);
        write_place(w, r->table, r->column);
        jsonw_key(w, "refersTo");
        jsonw_object(w);
        write_place(w, r->from_table, r->from_column);
        jsonw_object_end(w);
        jsonw_object_end(w);
    }
    jsonw_array_end(w);
}

static void write_answer(struct op *op, const struct mask_rule *rules, const struct err *problem)
{
    jsonw_object(op->w);
    write_masks(op->w, rules);
    write_follows(op->w, rules);
    jsonw_key(op->w, "problem");
    jsonw_cstr(op->w, problem->code ? problem->message : NULL);
    jsonw_object_end(op->w);
}

/* --- Reading --- */

enum err_code op_run_MASK_LIST(struct op *op, struct err *err)
{
    struct mask_rule *rules = NULL;
    struct mask_plan plan = {NULL};
    struct catalog cat;
    struct err problem = ERR_INIT;
    enum err_code code = check_caller(op, err);
    if (!code)
        code = mask_store_list(op, &rules, err);
    if (!code)
        code = catalog_of_op(op, &cat, err);
    if (code)
        return code;
    plan.rules = rules;
    problem.code = rules ? mask_store_check_schema(op, &cat, &cat, &problem) : ERR_OK;
    if (!problem.code)
        problem.code = mask_plan_make(op->arena, &cat, rules, &plan, &problem);
    if (!problem.code && rules)
        problem.code = mask_plan_check_search(op->arena, &cat, &plan, &problem);
    write_answer(op, plan.rules, &problem);
    return ERR_OK;
}

/* --- Writing --- */

static enum err_code read_wish(const struct jsonr_value *v, struct mask_rule *r, struct err *err)
{
    struct wish in = {.options = NULL};
    char at[32];
    str_print(at, sizeof at, "/masks/%d", r->index);
    enum err_code code =
        jsonr_fields(v, at, WISH_FIELDS, ARRAY_LEN(WISH_FIELDS), JSONR_UNKNOWN_REFUSE, &in, err);
    r->table = in.table;
    r->column = in.column;
    return code ? code : mask_read(in.kind, in.options, at, &r->mask, err);
}

static enum err_code read_wishes(struct op *op, struct mask_rule **ret, struct err *err)
{
    const struct jsonr_value *root;
    struct body body = {NULL};
    int index = 0;
    enum err_code code = jsonr_parse(op->arena, op->call.body, &root, err);
    if (!code)
        code = jsonr_fields(root, "", BODY_FIELDS, ARRAY_LEN(BODY_FIELDS), JSONR_UNKNOWN_REFUSE, &body, err);
    *ret = NULL;
    for (const struct jsonr_value *v = code ? NULL : jsonr_first(body.masks); v && !code; v = jsonr_next(v)) {
        struct mask_rule *r = arena_alloc(op->arena, sizeof *r);
        if (!r)
            return err_set(err, ERR_TOO_LARGE, "the masks are too many");
        *r = (struct mask_rule){.index = index};
        index++;
        code = read_wish(v, r, err);
        *ret = r;
        ret = &r->next;
    }
    return code;
}

enum err_code op_run_MASK_SET(struct op *op, struct err *err)
{
    struct mask_rule *wishes = NULL;
    struct mask_plan plan = {NULL};
    struct catalog cat;
    struct err problem = ERR_INIT;
    enum err_code code = check_caller(op, err);
    if (!code)
        code = read_wishes(op, &wishes, err);
    if (!code)
        code = catalog_of_op(op, &cat, err);
    if (!code)
        code = mask_plan_make(op->arena, &cat, wishes, &plan, err);
    if (!code)
        code = mask_store_put(op, &cat, plan.rules, err);
    if (code)
        return code;
    if (plan.rules)
        problem.code = mask_plan_check_search(op->arena, &cat, &plan, &problem);
    write_answer(op, plan.rules, &problem);
    return ERR_OK;
}
