/* What happens to approvals by the clock. All of it is found in control.db, so a restart loses nothing.
 *
 *   confirm_by is over ─► PROPOSAL_UNDO ─► noted ─► REDEEM of that ─► undone
 *                                └── rows are no longer as they were left ─► conflict: told, not forced
 *
 * A change of the schema is taken back with a snapshot's rows, which approval_ask() lays for the engine.
 * What takes a write back is noted before it is done: found again, its database says whether it was. */
#include "api/approvals.h"
#include "base/clock.h"
#include "base/fail_point.h"
#include "base/limits.h"
#include "base/log.h"

#define AT_ONCE   20
#define ARENA_MAX (32 << 20)
#define WHY_BYTES 500

/* An engine may answer anything: NULL when it is none of that kind. */
static const struct jsonr_value *value_of(
    const struct jsonr_value *object, const char *name, enum jsonr_kind kind)
{
    const struct jsonr_value *v =
        object && jsonr_kind(object) == JSONR_OBJECT ? jsonr_member(object, str_of(name)) : NULL;

    return v && jsonr_kind(v) == kind ? v : NULL;
}

static struct str text_of(const struct jsonr_value *object, const char *name)
{
    const struct jsonr_value *v = value_of(object, name, JSONR_TEXT);

    return v ? jsonr_text(v) : STR_EMPTY;
}

struct sweep {
    struct db *db;
    struct supervisor *supervisor;
    const char *data_dir;
    struct arena arena;
    struct err err;
};

/* As the approval itself, with an admin's rights: whoever asked may have none any more. */
static enum err_code ask(struct sweep *s, const struct approval *p, enum wire_op op, struct str id,
    struct str body, int *ret_status, struct str *ret_body, const struct jsonr_value **ret)
{
    return approval_ask(&s->arena,
        &(struct approval_ask){.supervisor = s->supervisor,
            .database_id = &p->database_id,
            .op = op,
            .role = WIRE_ROLE_ADMIN,
            .id = id,
            .body = body,
            .token_id = str_of(p->id),
            .request_id = STR_EMPTY,
            .db = op == WIRE_OP_PROPOSAL_UNDO ? s->db : NULL,
            .data_dir = s->data_dir},
        ret_status, ret_body, ret, &s->err);
}

static enum err_code note_undo(struct sweep *s, struct approval *p, struct str proposal, struct str hash)
{
    enum err_code rc = tx_begin_write(s->db, &s->err);
    if (!rc)
        rc = tx_end(s->db, approval_note_undo(s->db, p, proposal, hash, &s->err), &s->err);
    fail_point_pass(FAIL_UNDO_NOTED);
    return rc;
}

static enum err_code note_end(struct sweep *s, struct approval *p, struct str conflict)
{
    const struct actor server = actor_server();
    enum err_code rc = tx_begin_write(s->db, &s->err);
    return rc ? rc : tx_end(s->db, approval_undone(s->db, &server, p, conflict, &s->err), &s->err);
}

/* What the engine answers, in one sentence. */
static struct str why(struct sweep *s, struct str body)
{
    const struct jsonr_value *root = NULL;
    struct str text = jsonr_parse_with_nul(&s->arena, body, &root, NULL) ? STR_EMPTY : text_of(root, "error");

    text = text.len ? text : S("it could not be taken back");
    return str_slice(text, 0, WHY_BYTES);
}

/* A moment's trouble of the engine's is for the next round. */
static bool passes(int status)
{
    return status == 429 || status >= 500;
}

/* Nobody looks at it before it is done: what others wrote since into tables that refer to one that goes
 * stays. */
static bool goes_further(const struct jsonr_value *data)
{
    const struct jsonr_value *undo = value_of(value_of(data, "flags", JSONR_OBJECT), "undo", JSONR_OBJECT);
    const struct jsonr_value *tables =
        value_of(value_of(data, "changes", JSONR_OBJECT), "tables", JSONR_ARRAY);
    for (const struct jsonr_value *t = undo && tables ? jsonr_first(tables) : NULL; t; t = jsonr_next(t)) {
        const struct jsonr_value *n = value_of(t, "indirect", JSONR_INT);
        if (!n || jsonr_int(n) > 0)
            return true;
    }
    return false;
}

static enum err_code propose(struct sweep *s, struct approval *p)
{
    const struct jsonr_value *data;
    struct str body;
    int status = 0;
    enum err_code rc =
        ask(s, p, WIRE_OP_PROPOSAL_UNDO, id_str(&p->proposal_id), STR_EMPTY, &status, &body, &data);

    fail_point_pass(FAIL_UNDO_PROPOSED);
    if (rc || passes(status))
        return rc;
    struct str proposal = text_of(data, "proposalId"), hash = text_of(data, "hash");
    if (!data || !proposal.len || !hash.len)
        return note_end(s, p, why(s, body));
    if (goes_further(data))
        return note_end(
            s, p, S("rows of other tables would go with it: take it back by its proposal's own undo"));
    return note_undo(s, p, proposal, hash);
}

static enum err_code apply(struct sweep *s, struct approval *p)
{
    const struct jsonr_value *data;
    struct str body;
    int status = 0;
    struct str hash = approval_hash_body(&s->arena, p->undo_hash, true);
    enum err_code rc = ask(s, p, WIRE_OP_REDEEM, p->undo_proposal, hash, &status, &body, &data);

    fail_point_pass(FAIL_UNDO_APPLIED);
    if (rc || passes(status))
        return rc;
    return note_end(s, p, status == 200 ? STR_EMPTY : why(s, body));
}

/* One that was noted before, and perhaps done. */
static enum err_code go_on(struct sweep *s, struct approval *p, bool *ret_waits)
{
    const struct jsonr_value *data;
    struct str body;
    int status = 0;
    enum err_code rc = ask(s, p, WIRE_OP_PROPOSAL_GET, p->undo_proposal, STR_EMPTY, &status, &body, &data);
    struct str state = text_of(data, "status");

    *ret_waits = false;
    if (rc || passes(status))
        return rc;
    if (str_eq(state, S("applied")))
        return note_end(s, p, STR_EMPTY);
    *ret_waits = str_eq(state, S("pending")) || str_eq(state, S("stale"));
    return *ret_waits ? ERR_OK : propose(s, p);
}

static enum err_code take_back(struct sweep *s, struct approval *p)
{
    bool waits = false;
    enum err_code rc = p->undo_proposal.ptr ? go_on(s, p, &waits) : propose(s, p);

    if (rc || !str_eq(p->confirm_state, S("waiting")) || !p->undo_proposal.ptr)
        return rc;
    return apply(s, p);
}

static enum err_code unconfirmed(struct sweep *s)
{
    struct approval p;
    int64_t after = 0;
    enum err_code rc = ERR_OK;

    for (int i = 0; i < AT_ONCE && !rc; i++) {
        rc = approval_next_unconfirmed(s->db, &s->arena, clock_wall_ms(), after, &p, &s->err);
        after = p.seq;
        if (!rc && take_back(s, &p))
            log_event(LOG_WARN, "approval_undo_failed", LOG_CSTR("approval", p.id),
                LOG_CSTR("error", s->err.message));
    }
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

static enum err_code unknown(struct sweep *s)
{
    struct approval p;
    int64_t after = 0;
    enum err_code rc = ERR_OK;

    for (int i = 0; i < AT_ONCE && !rc; i++) {
        rc = approval_next_unknown(s->db, &s->arena, clock_wall_ms(), after, &p, &s->err);
        if (rc)
            break;
        after = p.seq;
        rc = approval_reconcile(s->db, s->supervisor, &s->arena, &p, &s->err);
    }
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

void approval_sweep(struct api *api, struct db *db)
{
    bool more = false;
    struct sweep s = {.db = db, .supervisor = api->opt.supervisor, .data_dir = api->opt.data_dir};

    arena_init(&s.arena, ARENA_MAX);
    enum err_code rc = unknown(&s);
    if (!rc)
        rc = unconfirmed(&s);
    if (!rc)
        rc = approval_expire(db, clock_wall_ms(), &more, &s.err);
    if (rc)
        log_event(LOG_WARN, "approvals_failed", LOG_CSTR("error", s.err.message));
    arena_release(&s.arena);
}
