/* Statements over `_sys_proposal` and its tables. */
#include "base/clock.h"
#include "base/limits.h"
#include "engine/binding.h"
#include "engine/catalog.h"
#include "engine/change_table.h"
#include "engine/engine_state.h"
#include "engine/proposal.h"

enum { PART_BYTES = 1 << 20 };

/* --- Storing --- */

static enum err_code put_parts(struct op *op, int64_t seq, struct str set, struct err *err)
{
    enum err_code code = ERR_OK;
    for (int64_t part = 0; set.len && !code; part++) {
        struct binding b = binding_of(op, OWN_PROPOSAL_PART);
        bind_int(&b, seq);
        bind_int(&b, part);
        bind_blob(&b, str_slice(set, 0, PART_BYTES));
        code = binding_run(op, &b, err);
        set = str_slice(set, PART_BYTES, set.len);
    }
    return code;
}

struct marks {
    struct op *op;
    int64_t seq;
};

static enum err_code put_mark(void *arg, uint64_t key, struct err *err)
{
    const struct marks *m = arg;
    int64_t bits;
    memcpy(&bits, &key, sizeof bits);
    struct binding b = binding_of(m->op, OWN_PROPOSAL_ROW);
    bind_int(&b, bits);
    bind_int(&b, m->seq);
    return binding_run(m->op, &b, err);
}

static enum err_code put_tables(struct op *op, int64_t seq, const struct recorder *touched, struct err *err)
{
    enum err_code code = ERR_OK;
    for (const struct recorder_table *t = touched->tables; t && !code; t = t->next) {
        if (t->ignored)
            continue;
        struct binding b = binding_of(op, OWN_PROPOSAL_TABLE);
        bind_text(&b, t->name);
        bind_int(&b, seq);
        code = binding_run(op, &b, err);
        proposals_note_table(op->eng, t->name);
    }
    return code;
}

static enum err_code put_row(
    struct op *op, const struct proposal *p, struct str token_hash, bool tracked, struct err *err)
{
    struct binding b = binding_of(op, OWN_PROPOSAL_PUT);
    bind_text(&b, p->id);
    bind_text(&b, p->bearer);
    bind_blob(&b, token_hash);
    bind_text(&b, p->body);
    bind_text(&b, p->action);
    bind_blob(&b, p->hash);
    bind_int(&b, p->affected);
    bind_int(&b, p->clock_ms);
    bind_int(&b, p->dice);
    bind_text(&b, p->plan);
    bind_text(&b, p->flags);
    bind_text(&b, p->schema_diff);
    bind_text(&b, p->rehearsed_on);
    bind_int(&b, tracked);
    bind_int(&b, p->no_indirect);
    bind_text(&b, p->no_undo);
    bind_text(&b, p->undo_of);
    bind_int(&b, p->size);
    bind_text(&b, p->reason);
    bind_text(&b, p->ticket);
    bind_text(&b, p->agent);
    bind_text(&b, p->model);
    bind_int(&b, p->created_ms);
    bind_int(&b, p->expires_ms);
    bind_text(&b, p->approval);
    bind_text(&b, p->rules);
    bind_blob(&b, p->rules_version);
    bind_text(&b, p->idempotency_key);
    return binding_run(op, &b, err);
}

enum err_code proposal_put(struct op *op, const struct proposal *p, struct str token_hash, struct str set,
    struct recorder *touched, struct err *err)
{
    bool tracked = recorder_key_count(touched) <= (size_t)LIMIT_PROPOSAL_TRACKED;
    enum err_code code = put_row(op, p, token_hash, tracked, err);
    if (code)
        return code;
    struct marks m = {op, sqlite3_last_insert_rowid(op->eng->db)};
    code = put_parts(op, m.seq, set, err);
    if (!code && tracked)
        code = put_tables(op, m.seq, touched, err);
    return code || !tracked ? code : recorder_keys(touched, put_mark, &m, err);
}

/* --- Reading --- */

static struct str text_at(struct op *op, sqlite3_stmt *stmt, int column)
{
    return catalog_text(op->arena, stmt, column);
}

static void read_rehearsal(struct op *op, sqlite3_stmt *stmt, struct proposal *p)
{
    p->plan = text_at(op, stmt, 10);
    p->flags = text_at(op, stmt, 11);
    p->schema_diff = text_at(op, stmt, 12);
    p->rehearsed_on = text_at(op, stmt, 13);
    p->no_indirect = sqlite3_column_int(stmt, 14) != 0;
    p->no_undo = text_at(op, stmt, 15);
    p->undo_of = text_at(op, stmt, 16);
    p->size = sqlite3_column_int64(stmt, 17);
}

static void read_fate(struct op *op, sqlite3_stmt *stmt, struct proposal *p)
{
    p->reason = text_at(op, stmt, 18);
    p->ticket = text_at(op, stmt, 19);
    p->agent = text_at(op, stmt, 20);
    p->model = text_at(op, stmt, 21);
    p->created_ms = sqlite3_column_int64(stmt, 22);
    p->expires_ms = sqlite3_column_int64(stmt, 23);
    p->decided_ms = sqlite3_column_int64(stmt, 24);
    p->approval = text_at(op, stmt, 25);
    p->rules = text_at(op, stmt, 26);
    p->rules_version = text_at(op, stmt, 27);
    p->snapshot = text_at(op, stmt, 28);
    p->idempotency_key = text_at(op, stmt, 29);
}

static void read_row(struct op *op, sqlite3_stmt *stmt, struct proposal *p)
{
    *p = (struct proposal){.seq = sqlite3_column_int64(stmt, 0),
        .id = text_at(op, stmt, 1),
        .state = text_at(op, stmt, 2),
        .bearer = text_at(op, stmt, 3),
        .body = text_at(op, stmt, 4),
        .action = text_at(op, stmt, 5),
        .hash = text_at(op, stmt, 6),
        .affected = sqlite3_column_int64(stmt, 7),
        .clock_ms = sqlite3_column_int64(stmt, 8),
        .dice = sqlite3_column_int64(stmt, 9)};
    read_rehearsal(op, stmt, p);
    read_fate(op, stmt, p);
}

static enum err_code get_one(
    struct op *op, struct binding *b, bool *ret_found, struct proposal *ret, struct err *err)
{
    *ret_found = binding_step(op, b);
    if (*ret_found)
        read_row(op, b->stmt, ret);
    return binding_end(op, b, err);
}

enum err_code proposal_by_token(
    struct op *op, struct str token_hash, bool *ret_found, struct proposal *ret, struct err *err)
{
    struct binding b = binding_of(op, OWN_PROPOSAL_BY_TOKEN);
    bind_blob(&b, token_hash);
    return get_one(op, &b, ret_found, ret, err);
}

enum err_code proposal_by_id(
    struct op *op, struct str id, bool *ret_found, struct proposal *ret, struct err *err)
{
    struct binding b = binding_of(op, OWN_PROPOSAL_BY_ID);
    bind_text(&b, id);
    return get_one(op, &b, ret_found, ret, err);
}

enum err_code proposal_by_key(
    struct op *op, struct str key, bool *ret_found, struct proposal *ret, struct err *err)
{
    struct binding b = binding_of(op, OWN_PROPOSAL_BY_KEY);
    bind_text(&b, op->call.token_id);
    bind_text(&b, key);
    return get_one(op, &b, ret_found, ret, err);
}

enum err_code proposal_list(
    struct op *op, const struct proposal_filter *filter, proposal_fn *fn, void *arg, struct err *err)
{
    struct binding b = binding_of(op, OWN_PROPOSAL_LIST);
    struct proposal p;
    bind_int(&b, filter->before_seq);
    bind_text(&b, filter->bearer);
    bind_text(&b, filter->token_id);
    bind_text(&b, filter->agent);
    while (binding_step(op, &b)) {
        read_row(op, b.stmt, &p);
        if (!fn(arg, &p))
            break;
    }
    return binding_end(op, &b, err);
}

enum err_code proposal_set(struct op *op, const struct proposal *p, struct strbuf *out, struct err *err)
{
    struct binding b = binding_of(op, OWN_PROPOSAL_PARTS);
    bind_int(&b, p->seq);
    while (binding_step(op, &b))
        strbuf_add(out, sqlite3_column_blob(b.stmt, 0), (size_t)sqlite3_column_bytes(b.stmt, 0));
    enum err_code code = binding_end(op, &b, err);
    if (!code && (out->len != (size_t)p->size || strbuf_failed(out)))
        return err_set(
            err, ERR_INTERNAL, "the stored change set of proposal " STR_FMT " is damaged", STR_ARG(p->id));
    return code;
}

bool proposal_waits(const struct proposal *p)
{
    return p->decided_ms == 0 && p->expires_ms > clock_wall_ms();
}

const char *proposal_state(const struct proposal *p)
{
    return p->decided_ms == 0 && !proposal_waits(p) ? "expired" : p->state.ptr;
}

/* --- Changing --- */

static enum err_code run_for(struct op *op, enum own_sql which, int64_t seq, struct err *err)
{
    struct binding b = binding_of(op, which);
    bind_int(&b, seq);
    return binding_run(op, &b, err);
}

enum err_code proposal_decide(struct op *op, const struct proposal *p, const char *state, struct err *err)
{
    struct binding b = binding_of(op, OWN_PROPOSAL_SET);
    bind_int(&b, p->seq);
    bind_text(&b, str_of(state));
    bind_int(&b, clock_wall_ms());
    enum err_code code = binding_run(op, &b, err);
    if (!code)
        code = run_for(op, OWN_PROPOSAL_FORGET_ROWS, p->seq, err);
    return code ? code : run_for(op, OWN_PROPOSAL_FORGET_TABLES, p->seq, err);
}

enum err_code proposal_set_held(struct op *op, const struct proposal *p, struct err *err)
{
    struct binding b = binding_of(op, OWN_PROPOSAL_HOLD);
    bind_int(&b, p->seq);
    bind_text(&b, p->approval);
    bind_text(&b, p->rules);
    bind_int(&b, p->expires_ms);
    return binding_run(op, &b, err);
}

enum err_code proposal_replace_facts(struct op *op, const struct proposal *p, struct err *err)
{
    struct binding b = binding_of(op, OWN_PROPOSAL_REAPPLIED);
    bind_int(&b, p->seq);
    bind_blob(&b, p->hash);
    bind_int(&b, p->affected);
    bind_text(&b, p->schema_diff);
    bind_text(&b, p->no_undo);
    return binding_run(op, &b, err);
}

enum err_code proposal_replace_set(struct op *op, const struct proposal *p, struct str set, struct err *err)
{
    struct binding b = binding_of(op, OWN_PROPOSAL_RESIZE);
    bind_int(&b, p->seq);
    bind_int(&b, (int64_t)set.len);
    enum err_code code = binding_run(op, &b, err);
    if (!code)
        code = run_for(op, OWN_PROPOSAL_FORGET_PARTS, p->seq, err);
    return code ? code : put_parts(op, p->seq, set, err);
}
