/* GET …/proposals?status=&tokenId=&agent=&cursor=&limit=: {"proposals":[…], "nextCursor"}, newest first:
 * one's own, to an admin without a limit all. GET …/proposals/{id}: one, with a page of its rows. GET
 * …/proposals/{id}/changes ?table=&cursor=&limit=: {"tables", "rows", "hiddenRows", "truncated",
 * "nextCursor"}. POST …/proposals/{id}/withdraw: it can no longer be applied. */
#include "base/limits.h"
#include "engine/engine_state.h"
#include "engine/proposal_view.h"
#include "json/jsonr.h"

enum {
    LIST_MAX = 1000,
    LIST_DEFAULT = 50,
    ROWS_MAX = 1000,
    ROWS_DEFAULT = 100,
    PAGE_BYTES = 4 << 20,
    TABLE_MAX = 1000
};

static enum err_code int_arg(struct op *op, const char *name, int64_t min, int64_t max, int64_t fallback,
    int64_t *ret, struct err *err)
{
    char at[24];
    struct str value = wire_arg(&op->call, name);
    *ret = fallback;
    if (!value.ptr || str_to_i64(value, min, max, ret))
        return ERR_OK;
    str_print(at, sizeof at, "/%s", name);
    if (max == INT64_MAX)
        return err_field(err, at, "must be a cursor as an answer named it");
    return err_field(err, at, "must be %lld to %lld", (long long)min, (long long)max);
}

/* A name that nothing can have would be found nowhere. */
static enum err_code check_name(struct op *op, const char *name, size_t max, struct err *err)
{
    char at[24];
    struct str value = wire_arg(&op->call, name);
    if (!value.ptr || (value.len > 0 && value.len <= max))
        return ERR_OK;
    str_print(at, sizeof at, "/%s", name);
    return err_field(err, at, "must be text of 1 to %zu bytes", max);
}

/* --- The list --- */

struct listing {
    struct op *op;
    struct str status; /* ptr NULL: any */
    int64_t left, last;
    bool more;
};

static bool list_one(void *arg, const struct proposal *p)
{
    struct listing *l = arg;
    if (l->status.ptr && !str_eq(l->status, str_of(proposal_state(p))))
        return true;
    l->more = l->left-- == 0;
    if (l->more)
        return false;
    proposal_write_brief(l->op, l->op->w, p);
    l->last = p->seq;
    return true;
}

static enum err_code check_status(struct str status, struct err *err)
{
    static const char *const STATES[] = {"pending", "stale", "applied", "drifted", "withdrawn", "expired"};
    bool known = !status.ptr;
    for (size_t i = 0; i < ARRAY_LEN(STATES); i++)
        known |= str_eq(status.ptr ? status : STR_EMPTY, str_of(STATES[i]));
    return known
               ? ERR_OK
               : err_field(err, "/status", "must be pending, stale, applied, drifted, withdrawn or expired");
}

enum err_code op_run_PROPOSAL_LIST(struct op *op, struct err *err)
{
    struct listing l = {.op = op, .status = wire_arg(&op->call, "status")};
    struct proposal_filter filter = {.token_id = wire_arg(&op->call, "tokenId"),
        .agent = wire_arg(&op->call, "agent"),
        .bearer = proposal_sees_all(op) ? (struct str){NULL, 0} : op->call.token_id};
    char cursor[24];
    enum err_code code = check_status(l.status, err);
    if (!code)
        code = check_name(op, "tokenId", ID_MAX, err);
    if (!code)
        code = check_name(op, "agent", LIMIT_PROPOSAL_NAME_BYTES, err);
    if (!code)
        code = int_arg(op, "limit", 1, LIST_MAX, LIST_DEFAULT, &l.left, err);
    if (!code)
        code = int_arg(op, "cursor", 0, INT64_MAX, INT64_MAX, &filter.before_seq, err);
    if (code)
        return code;
    jsonw_object(op->w);
    jsonw_key(op->w, "proposals");
    jsonw_array(op->w);
    code = proposal_list(op, &filter, list_one, &l, err);
    jsonw_array_end(op->w);
    str_print(cursor, sizeof cursor, "%lld", (long long)l.last);
    JSONW_CSTR(op->w, "nextCursor", l.more ? cursor : NULL);
    jsonw_object_end(op->w);
    return code;
}

/* --- One --- */

enum err_code op_run_PROPOSAL_GET(struct op *op, struct err *err)
{
    struct proposal p;
    AUTO_STRBUF set;
    strbuf_init(&set, (size_t)LIMIT_CHANGE_BYTES);
    enum err_code code = proposal_find(op, &p, err);
    if (!code)
        code = proposal_set(op, &p, &set, err);
    return code ? code : proposal_write(op, op->w, &p, strbuf_str(&set), STR_EMPTY, err);
}

/* Whom a table is hidden from is told the same as where there is none. */
static enum err_code check_table(const struct change_view *v, struct str set, struct err *err)
{
    struct change_reader r;
    struct change_table_view t;
    bool found = true, there = !v->table.ptr;
    enum err_code code = change_reader_init(&r, set, err);
    while (!code && found && !there && !(code = change_table_next(&r, &found, &t, err)) && found)
        there = str_eq_nocase(t.name, v->table) && v->sees(v->arg, t.name);
    change_reader_release(&r);
    if (code || there)
        return code;
    return err_set(err, ERR_NOT_FOUND, "The proposal changes no rows of a table \"" STR_FMT "\"",
        STR_ARG(str_slice(v->table, 0, 100)));
}

enum err_code op_run_PROPOSAL_CHANGES(struct op *op, struct err *err)
{
    struct proposal p;
    int64_t limit, from;
    AUTO_STRBUF set;
    strbuf_init(&set, (size_t)LIMIT_CHANGE_BYTES);
    enum err_code code = int_arg(op, "limit", 1, ROWS_MAX, ROWS_DEFAULT, &limit, err);
    if (!code)
        code = int_arg(op, "cursor", 0, INT64_MAX, 0, &from, err);
    if (!code)
        code = check_name(op, "table", TABLE_MAX, err);
    if (!code)
        code = proposal_find(op, &p, err);
    if (!code)
        code = proposal_set(op, &p, &set, err);
    if (code)
        return code;
    struct change_view v = proposal_rows(op, &p);
    v.table = wire_arg(&op->call, "table");
    v.from = (uint64_t)from;
    v.rows_max = (size_t)limit;
    v.bytes_max = PAGE_BYTES;
    code = check_table(&v, strbuf_str(&set), err);
    if (code)
        return code;
    jsonw_object(op->w);
    code = change_view_write(&v, strbuf_str(&set), op->w, err);
    jsonw_object_end(op->w);
    return code;
}

/* There is nothing to be said; {} is what some clients send for nothing. */
static enum err_code check_no_members(struct op *op, struct err *err)
{
    const struct jsonr_value *root;
    if (!op->call.body.len)
        return ERR_OK;
    enum err_code code = jsonr_parse(op->arena, op->call.body, &root, err);
    return code ? code : jsonr_fields(root, "", NULL, 0, JSONR_UNKNOWN_REFUSE, NULL, err);
}

enum err_code op_run_PROPOSAL_WITHDRAW(struct op *op, struct err *err)
{
    struct proposal p;
    enum err_code code = check_no_members(op, err);
    if (!code)
        code = proposal_find(op, &p, err);
    if (!code && !proposal_waits(&p))
        return err_set(err, ERR_CONFLICT, "The proposal is %s already", proposal_state(&p));
    if (!code)
        code = proposal_decide(op, &p, "withdrawn", err);
    if (code)
        return code;
    jsonw_object(op->w);
    JSONW_TEXT(op->w, "proposalId", p.id);
    JSONW_CSTR(op->w, "status", "withdrawn");
    jsonw_object_end(op->w);
    return ERR_OK;
}
