/* POST …/apply {"executionToken"}: does what a proposal showed, or nothing. data: the answer of the query or
 * batch. 409 when it would do something else by now, with the rows that differ and a fresh proposal:
 * {"success":false, "error", "code":"drift", "proposalId", "drift":{"rows", "truncated"}, "proposal"|null}.
 */
#include "base/clock.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "crypto/token.h"
#include "engine/applying.h"
#include "engine/change_apply.h"
#include "engine/drift.h"
#include "engine/engine_state.h"
#include "engine/index_follow.h"
#include "engine/proposing.h"
#include "engine/task.h"
#include "engine/undo_schema.h"
#include "json/jsonr.h"

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
        code = jsonr_fields(root, "", FIELDS, ARRAY_LEN(FIELDS), JSONR_UNKNOWN_REFUSE, &in, err);
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

static enum err_code stored_set(struct op *op, const struct proposal *p, struct strbuf *out, struct err *err)
{
    strbuf_init(out, (size_t)LIMIT_CHANGE_BYTES);
    return proposal_set(op, p, out, err);
}

static enum err_code write_differences(
    struct drift *d, const struct proposal *p, const struct rehearsal *r, struct err *err)
{
    struct strbuf proposed;
    enum err_code code = stored_set(d->op, p, &proposed, err);
    if (!code)
        code = drift_differences(d, p, strbuf_str(&proposed), strbuf_str(&r->set), err);
    strbuf_release(&proposed);
    return code;
}

static bool is_merge(const struct proposal *p)
{
    return str_eq(p->action, S("merge"));
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
        .undo_of = p->undo_of,
        .id = {NULL, 0}};
}

/* Its rows are stored, and no statements: what takes something back, and merges. */
static bool is_set(const struct proposal *p)
{
    return p->undo_of.ptr || is_merge(p);
}

static bool is_approved(const struct op *op)
{
    return op->call.op == WIRE_OP_REDEEM;
}

static const char *drifted_by(const struct proposal *p, const struct rehearsal *r)
{
    static const struct digest NONE = {{0}};
    if (!str_eq(digest_str(&r->rules), p->rules_version.ptr ? p->rules_version : digest_str(&NONE)))
        return "The rules were changed since this was proposed; nothing was changed. Look at the fresh "
               "proposal, whose "
               "\"rules\" are those of now, and apply that one if it is right";
    return "The write would now do something else than what was proposed; nothing was changed. Look at the "
           "fresh "
           "proposal, and apply that one if it is right";
}

/* It would do something else: that is proposed, and rehearsed already. */
static enum err_code tell_drift(struct op *op, const struct proposal *p, struct rehearsal *r, struct err *err)
{
    struct drift d;
    struct proposing in = as_before(p);
    drift_begin(&d, op, p, drifted_by(p, r));
    enum err_code code = propose_judge(op, &in, r, err);
    if (!code)
        code = rehearsal_take_back(r, err);
    if (!code)
        code = rehearsal_hash(r, err);
    if (is_approved(op)) {
        drift_release(&d);
        return code ? code : redeem_drifted(op, p, &in, r, err);
    }
    if (!code)
        code = proposal_decide(op, p, "drifted", err);
    if (!code)
        code = write_differences(&d, p, r, err);
    if (!code)
        code = propose_rehearsed(op, &in, r, drift_fresh(&d), err);
    if (!code)
        code = drift_end(&d, err);
    drift_release(&d);
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
    *err = (struct err)ERR_INIT;
    op->error_detail = STR_EMPTY;
    op->statement_index = -1;
    enum err_code code = proposal_decide(op, p, "drifted", err);
    if (!code)
        code = drift_end(&d, err);
    drift_release(&d);
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
    op->undo_until_ms =
        p->no_undo.ptr && !schema_undo_concerns(p) ? 0 : clock_wall_ms() + proposals_kept_ms(op->eng);
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

/* What the rules say of it now, whose version is part of the hash. *ret_held: people are asked first. */
static enum err_code judge(
    struct op *op, const struct proposal *p, struct rehearsal *r, bool *ret_held, struct err *err)
{
    struct proposing in = as_before(p);
    if (op->takes_back) {
        *ret_held = false;
        return ERR_OK;
    }
    enum err_code code = rules_exist(op) ? rules_judge(op, r, &in, &in.verdict, err) : ERR_OK;
    bool denied = in.verdict.action == RULE_DENY || (in.verdict.wants_reason && !is_approved(op));
    *ret_held = !code && in.verdict.action == RULE_REQUIRE_APPROVAL && !denied && !is_approved(op);
    if (!code && denied)
        return rules_refuse(op, &in.verdict, err);
    if (*ret_held)
        code = rehearsal_take_back(r, err);
    return code || !*ret_held ? code : proposal_hold(op, p, &in.verdict, err);
}

/* What people approved is what they saw, whatever the database's owner thinks of drift. */
static enum err_code may_drift(struct op *op, bool *ret, struct err *err)
{
    *ret = false;
    return is_approved(op) ? ERR_OK : proposals_on_drift(op, ret, err);
}

static enum err_code note_drift(struct op *op, struct proposal *p, const struct rehearsal *r, struct err *err)
{
    p->hash = digest_str(&r->hash);
    p->affected = r->affected;
    p->schema_diff = strbuf_str(&r->diff);
    p->no_undo = propose_no_undo(r);
    op->drift = true;
    return proposal_replace_facts(op, p, err);
}

static enum err_code finish(struct op *op, struct proposal *p, struct rehearsal *r, struct err *err)
{
    bool held = false, reapplies = false;
    enum err_code code = rehearsal_hash(r, err);
    bool same = !code && str_eq(digest_str(&r->hash), p->hash);
    if (!code && !same)
        code = may_drift(op, &reapplies, err);
    if (code)
        return code;
    if (!same && !reapplies)
        return tell_drift(op, p, r, err);
    code = judge(op, p, r, &held, err);
    if (code || held)
        return code;
    code = rehearsal_keep(r, err);
    if (!code && !same)
        code = note_drift(op, p, r, err);
    return code ? code : commit(op, p, r, err);
}

/* Rows or the schema say no, which is drift; what the machine says may be otherwise next time. */
static bool is_about_data(const struct op *op)
{
    static const char OTHER[] = "\"kind\":\"unknown\"";
    struct str detail = op->error_detail;
    bool other = detail.len == 0;
    for (size_t at = 0; at < detail.len && !other; at++)
        other = str_starts(str_slice(detail, at, detail.len), str_of(OTHER));
    return !other;
}

static enum err_code apply_statements(struct op *op, const struct proposal *p, struct err *err)
{
    struct rehearsal r;
    struct proposal did = *p; /* what is applied in the end */
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
            code = finish(op, &did, &r, err);
        else if (code == ERR_SQL && !gone && is_about_data(op))
            code = tell_failure(op, p, err);
    }
    op->proposal = p->id;
    if (!code && !op->plain.ptr)
        jsonw_raw(op->w, strbuf_str(&r.result));
    rehearsal_release(&r);
    return code;
}

/* --- Taking back --- */

static void write_result(struct op *op, int64_t rows)
{
    jsonw_object(op->w);
    jsonw_key(op->w, "columns");
    jsonw_array(op->w);
    jsonw_array_end(op->w);
    jsonw_key(op->w, "rows");
    jsonw_array(op->w);
    jsonw_array_end(op->w);
    JSONW_INT(op->w, "rowsRead", 0);
    JSONW_INT(op->w, "rowsWritten", rows);
    JSONW_INT(op->w, "changes", rows);
    jsonw_object_end(op->w);
    op->head.rows_written = (uint64_t)rows;
}

static enum err_code finish_set(
    struct op *op, const struct proposal *p, struct rehearsal *r, struct drift *d, struct err *err)
{
    enum err_code code = rehearsal_hash(r, err);
    if (code)
        return code;
    if (!str_eq(digest_str(&r->hash), p->hash)) { /* then it is asked for anew: what it takes back decides */
        code = rehearsal_take_back(r, err);
        if (!code)
            code = proposal_decide(op, p, "drifted", err);
        if (!code)
            code = write_differences(d, p, r, err);
        return code ? code : drift_end(d, err);
    }
    bool held = false;
    code = judge(op, p, r, &held, err);
    if (code || held)
        return code;
    code = rehearsal_keep(r, err);
    if (!code)
        code = commit(op, p, r, err);
    if (!code)
        write_result(op, p->affected);
    return code;
}

struct applying_set {
    struct op *op;
    const struct proposal *p;
    struct rehearsal r;
    struct drift d;
    struct strbuf set;
    uint64_t conflicts;
};

static enum err_code run_set(struct applying_set *a, struct err *err)
{
    struct str set = strbuf_str(&a->set);
    a->r.foreign = drift_foreign;
    enum err_code code = rehearsal_run_set(&a->r, set, drift_conflict, &a->d, &a->conflicts, err);
    if (!code && a->conflicts == 0)
        code = index_follow(&a->r, strbuf_str(&a->r.set), is_merge(a->p), err);
    return code;
}

static enum err_code run_undo(
    struct applying_set *a, struct schema_undo *s, const struct proposal *of, bool *ret_told, struct err *err)
{
    struct schema_undo_set set = {.next = NULL, .set = a->set};
    enum err_code code = schema_undo_begin(s, a->op, of, ret_told, err);
    if (code || *ret_told)
        return code;
    s->sets = &set;
    code = count_removed(a->op, a->p, &a->r, err);
    if (!code)
        code = schema_undo_read_counters(s, a->p->flags, err);
    if (!code)
        code = schema_undo_run(s, &a->r, drift_conflict, &a->d, &a->conflicts, err);
    s->sets = NULL;
    return code;
}

/* *ret_told: objects are no longer as they were, and the answer says so. */
static enum err_code run_schema(struct applying_set *a, bool *ret_told, struct err *err)
{
    struct schema_undo s;
    struct proposal of;
    bool found = false;
    enum err_code code = proposal_by_id(a->op, a->p->undo_of, &found, &of, err);
    if (code)
        return code;
    if (!found)
        return err_set(err, ERR_CONFLICT, "What this takes back is not known any more");
    if (!proposal_sees_all(a->op))
        return err_set(err, ERR_FORBIDDEN,
            "A change of the schema is taken back by an admin without table scope and claims");
    code = run_undo(a, &s, &of, ret_told, err);
    schema_undo_release(&s);
    return code;
}

static enum err_code apply_set(struct op *op, const struct proposal *p, struct err *err)
{
    struct applying_set a = {.op = op, .p = p};
    bool schema = schema_undo_concerns(p), told = false;
    op->about = is_merge(p) ? S("-- merges a branch")
                            : arena_printf(op->arena, "-- takes back " STR_FMT, STR_ARG(p->undo_of));
    op->proposal = p->id;
    drift_begin(&a.d, op, p, "Rows are no longer as the write left them; nothing was changed");
    rehearsal_init(&a.r, op, p->clock_ms, 0);
    enum err_code code = stored_set(op, p, &a.set, err);
    if (!code)
        code = schema ? run_schema(&a, &told, err) : run_set(&a, err);
    if (code && schema && is_about_data(op) && !sqlite3_get_autocommit(op->eng->db))
        code = tell_failure(op, p, err);
    else if (!code && !told && a.conflicts == 0)
        code = finish_set(op, p, &a.r, &a.d, err);
    else if (!code)
        code = proposal_decide(op, p, "drifted", err);
    if (!code && a.conflicts > 0)
        code = drift_end(&a.d, err);
    strbuf_release(&a.set);
    drift_release(&a.d);
    rehearsal_release(&a.r);
    return code;
}

enum err_code proposal_apply(struct op *op, const struct proposal *p, struct err *err)
{
    return is_set(p) ? apply_set(op, p, err) : apply_statements(op, p, err);
}

enum err_code op_run_APPLY(struct op *op, struct err *err)
{
    struct proposal p;
    enum err_code code = find(op, &p, err);
    return code ? code : proposal_apply(op, &p, err);
}
