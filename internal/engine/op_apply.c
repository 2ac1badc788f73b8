/* POST …/apply {"executionToken"}: does what a proposal showed, or nothing. data: the answer of the query or
 * batch. 409 when it would do something else by now, with the rows that differ and a fresh proposal:
 * {"success":false, "error", "code":"drift", "proposalId", "drift":{"rows", "truncated"}, "proposal"|null}.
 */
#include "base/limits.h"
#include "base/strbuf.h"
#include "crypto/token.h"
#include "engine/change_apply.h"
#include "engine/change_diff.h"
#include "engine/engine_state.h"
#include "engine/proposing.h"
#include "engine/task.h"
#include "json/jsonr.h"

enum { DRIFT_BYTES_MAX = 4 << 20 };

static enum err_code unknown(struct err *err)
{
    return err_set(err, ERR_NOT_FOUND,
        "No such execution token: it was used, has expired, was withdrawn, or belongs to another bearer or "
        "database");
}

static enum err_code find(struct op *op, struct proposal *p, struct err *err)
{
    struct {
        struct str token;
    } in;
    static const struct jsonr_field FIELDS[] = {{"executionToken", JF_TEXT, 0, JF_REQUIRED, 1, 200}};
    const struct jsonr_value *root;
    enum token_kind kind;
    bool found = false;
    enum err_code code = jsonr_parse(op->arena, op->call.body, &root, err);
    if (!code)
        code = jsonr_fields(root, "", FIELDS, ARRAY_LEN(FIELDS), JSONR_UNKNOWN_IGNORE, &in, err);
    if (code)
        return code;
    if (!token_well_formed(in.token, &kind) || kind != TOKEN_MUTATION)
        return unknown(err);
    struct digest hash = propose_token_hash(op, in.token);
    code = proposal_by_token(op, digest_str(&hash), &found, p, err);
    if (code)
        return code;
    return found && proposal_waits(p) && str_eq(p->bearer, op->call.token_id) ? ERR_OK : unknown(err);
}

/* --- Drift --- */

struct drift {
    struct op *op;
    const struct proposal *p;
    struct strbuf out;
    struct jsonw w;
};

static void drift_begin(struct drift *d, struct op *op, const struct proposal *p, const char *why)
{
    *d = (struct drift){.op = op, .p = p};
    strbuf_init(&d->out, DRIFT_BYTES_MAX);
    jsonw_init(&d->w, &d->out);
    jsonw_object(&d->w);
    JSONW_BOOL(&d->w, "success", false);
    JSONW_CSTR(&d->w, "error", why);
    JSONW_CSTR(&d->w, "code", "drift");
    JSONW_TEXT(&d->w, "proposalId", p->id);
    JSONW_TEXT(&d->w, "requestId", op->call.request_id);
}

/* The proposal is over, and what was just written is the answer: a success of the engine's, for the end of
 * the proposal must be committed. */
static enum err_code drift_end(struct drift *d, struct err *err)
{
    struct op *op = d->op;
    jsonw_object_end(&d->w);
    op->plain = strbuf_failed(&d->out) ? (struct str){NULL, 0} : arena_copy(op->arena, strbuf_str(&d->out));
    strbuf_release(&d->out);
    if (!op->plain.ptr)
        return err_set(err, ERR_TOO_LARGE, "the differences are too large to be told");
    op->head.status = 409;
    op->head.code = ERR_CONFLICT;
    op->head.rows_written = 0;
    return ERR_OK;
}

static enum err_code stored_set(struct op *op, const struct proposal *p, struct strbuf *out, struct err *err)
{
    strbuf_init(out, (size_t)LIMIT_CHANGE_BYTES);
    return proposal_set(op, p, out, err);
}

static enum err_code write_differences(
    struct drift *d, const struct proposal *p, const struct rehearsal *r, struct err *err)
{
    struct change_view v = proposal_rows(d->op, p);
    struct strbuf proposed;
    enum err_code code = stored_set(d->op, p, &proposed, err);
    jsonw_key(&d->w, "drift");
    jsonw_object(&d->w);
    if (!code)
        code = change_diff_write(&v, strbuf_str(&proposed), strbuf_str(&r->set), &d->w, err);
    JSONW_BOOL(&d->w, "schema", !str_eq(p->schema_diff, strbuf_str(&r->diff)));
    jsonw_object_end(&d->w);
    strbuf_release(&proposed);
    return code;
}

static struct proposing as_before(const struct proposal *p)
{
    return (struct proposing){.reason = p->reason,
        .ticket = p->ticket,
        .agent = p->agent,
        .model = p->model,
        .ttl_s = (p->expires_ms - p->created_ms) / 1000,
        .body = p->body,
        .action = p->action.ptr,
        .plan = p->plan,
        .undo_of = p->undo_of};
}

/* It would do something else: that is proposed, and rehearsed already. */
static enum err_code tell_drift(struct op *op, const struct proposal *p, struct rehearsal *r, struct err *err)
{
    struct drift d;
    struct proposing in = as_before(p);
    drift_begin(&d, op, p,
        "The write would now do something else than what was proposed; nothing was changed. Look at the "
        "fresh "
        "proposal, and apply that one if it is right");
    enum err_code code = rehearsal_take_back(r, err);
    if (!code)
        code = rehearsal_hash(r, err);
    if (!code)
        code = proposal_decide(op, p, "drifted", err);
    if (!code)
        code = write_differences(&d, p, r, err);
    jsonw_key(&d.w, "proposal");
    if (!code)
        code = propose_rehearsed(op, &in, r, &d.w, err);
    if (!code)
        return drift_end(&d, err);
    strbuf_release(&d.out);
    return code;
}

/* It cannot be done any more at all. */
static enum err_code tell_failure(struct op *op, const struct proposal *p, struct err *err)
{
    struct drift d;
    char why[ERR_MESSAGE_MAX + 100];
    str_print_cut(
        why, sizeof why, "The write that was proposed fails now; nothing was changed: %s", err->message);
    drift_begin(&d, op, p, why);
    if (op->error_detail.len) {
        jsonw_key(&d.w, "errorDetail");
        jsonw_raw(&d.w, op->error_detail);
    }
    jsonw_key(&d.w, "drift");
    jsonw_object(&d.w);
    jsonw_key(&d.w, "rows");
    jsonw_array(&d.w);
    jsonw_array_end(&d.w);
    JSONW_BOOL(&d.w, "truncated", false);
    jsonw_object_end(&d.w);
    JSONW_NULL(&d.w, "proposal");
    *err = (struct err)ERR_INIT;
    op->error_detail = STR_EMPTY;
    op->statement_index = -1;
    enum err_code code = proposal_decide(op, p, "drifted", err);
    if (!code)
        return drift_end(&d, err);
    strbuf_release(&d.out);
    return code;
}

/* --- Doing it --- */

/* What it did is what was shown; the row ids of new rows may be others, and are kept for taking it back. */
static enum err_code commit(struct op *op, const struct proposal *p, struct rehearsal *r, struct err *err)
{
    struct strbuf proposed;
    enum err_code code = stored_set(op, p, &proposed, err);
    if (!code && !str_eq(strbuf_str(&proposed), strbuf_str(&r->set)))
        code = proposal_replace_set(op, p, strbuf_str(&r->set), err);
    strbuf_release(&proposed);
    if (!code)
        code = proposal_decide(op, p, "applied", err);
    return code ? code : proposals_touch(op, &r->recorder, err);
}

/* The rows that its tables lose are known before they are gone. */
static enum err_code count_removed(
    struct op *op, const struct proposal *p, struct rehearsal *r, struct err *err)
{
    const struct jsonr_value *list;
    enum err_code code = jsonr_parse(op->arena, p->schema_diff, &list, err);
    for (const struct jsonr_value *v = code ? NULL : jsonr_first(list); v && !code; v = jsonr_next(v)) {
        int64_t rows;
        struct err gone = ERR_INIT;
        if (jsonr_kind(jsonr_member(v, S("rows"))) != JSONR_INT)
            continue;
        struct schema_rows *s = ARENA_NEW(op->arena, struct schema_rows);
        s->table = jsonr_text(jsonr_member(v, S("name")));
        if (schema_count_rows(op, s->table, &rows, &gone))
            continue; /* then running it fails, or does something else */
        s->rows = rows;
        s->next = r->removed;
        r->removed = s;
    }
    op->error_detail = STR_EMPTY;
    return code;
}

static enum err_code finish(struct op *op, const struct proposal *p, struct rehearsal *r, struct err *err)
{
    enum err_code code = rehearsal_hash(r, err);
    if (code)
        return code;
    if (!str_eq(digest_str(&r->hash), p->hash))
        return tell_drift(op, p, r, err);
    code = rehearsal_keep(r, err);
    return code ? code : commit(op, p, r, err);
}

static enum err_code apply_statements(struct op *op, const struct proposal *p, struct err *err)
{
    struct rehearsal r;
    const struct jsonr_value *root;
    uint64_t dice;
    enum err_code code = jsonr_parse(op->arena, p->body, &root, err);
    if (!code)
        code = propose_take(op, root, err);
    if (code)
        return code;
    memcpy(&dice, &p->dice, sizeof dice);
    rehearsal_init(&r, op, p->clock_ms, dice);
    code = count_removed(op, p, &r, err);
    if (!code) {
        code = rehearsal_run(&r, err);
        bool gone = sqlite3_get_autocommit(op->eng->db);
        if (!code)
            code = finish(op, p, &r, err);
        else if ((code == ERR_SQL || code == ERR_INVALID || code == ERR_TOO_LARGE) && !gone)
            code = tell_failure(op, p, err);
    }
    op->proposal = p->id;
    if (!code && !op->plain.ptr)
        jsonw_raw(op->w, strbuf_str(&r.result));
    rehearsal_release(&r);
    return code;
}

enum err_code op_run_APPLY(struct op *op, struct err *err)
{
    struct proposal p;
    enum err_code code = find(op, &p, err);
    return code ? code : apply_statements(op, &p, err);
}
