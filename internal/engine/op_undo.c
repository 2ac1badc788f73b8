/* Taking back what was applied, row by row, triggers aside: what they did is among the rows.
 *
 * POST …/proposals/{id}/undo: one write. POST …/undo {"tokenId"?, "from"?, "to"?, "except"?}: everything that
 * was applied by a bearer, in a time, or both, as one; what was taken back already is left out. Both take
 * "tables"? and "rows"?: [{"table", "key"}] to take back a part, and "ttlSec"?, "reason"?, "ticket"?,
 * "agent"?, "model"?. data: a proposal like any other, which can be taken back in its turn. 409 when a row is
 * no longer as it was left, or when something cannot be taken back row by row: {"success":false, "error",
 * "code":"not_undoable", "requestId", "writes":[{"proposalId", "action", "appliedAt", "reason",
 * "undoBy", "snapshotId"}]}.
 * A change of the schema is taken back by itself: undo_schema.c. */
#include "base/clock.h"
#include "base/limits.h"
#include "engine/beside.h"
#include "engine/binding.h"
#include "engine/catalog.h"
#include "engine/engine_state.h"
#include "engine/undo_schema.h"
#include "json/jsonr.h"

/* --- One --- */

static enum err_code check_state(const struct undoing *u, const struct proposal *p, struct err *err)
{
    if (p->decided_ms == 0 || !str_eq(p->state, S("applied")))
        return err_set(err, ERR_CONFLICT, "The proposal is %s: only what was applied can be taken back",
            proposal_state(p));
    if (undo_graph_state(&u->graph, p->id) == UNDO_UNDONE) {
        struct str by = undo_graph_by(&u->graph, p->id);
        return err_set(err, ERR_CONFLICT,
            "The write was taken back already by " STR_FMT "; take that back to have it again", STR_ARG(by));
    }
    if (p->no_undo.ptr && !schema_undo_concerns(p) && !p->snapshot.ptr)
        return err_set(err, ERR_CONFLICT, "This cannot be taken back: " STR_FMT, STR_ARG(p->no_undo));
    return ERR_OK;
}

static enum err_code rehearse(struct undoing *u, struct err *err)
{
    bool proposable = false;
    enum err_code code = undoing_invert(u, &proposable, err);
    return code || !proposable ? code : undoing_rehearse(u, err);
}

static enum err_code rehearse_one(void *arg, const struct rehearsal **ret, struct err *err)
{
    struct undoing *u = arg;
    struct op *op = u->op;
    struct proposal p;
    static const struct jsonr_field OWN[] = {
        {"loseRows", JF_BOOL, offsetof(struct undoing, lose_rows), JF_NULL_OK, 0, 0}};
    enum err_code code = undoing_begin(u, OWN, ARRAY_LEN(OWN), err);
    if (!code)
        code = jsonr_fields(u->root, "", OWN, ARRAY_LEN(OWN), JSONR_UNKNOWN_IGNORE, u, err);
    if (!code)
        code = proposal_find(op, &p, err);
    if (!code)
        code = undoing_check_role(op, err);
    if (!code)
        code = check_state(u, &p, err);
    if (!code && p.no_undo.ptr && !schema_undo_concerns(&p))
        return schema_undo_tell_restore(op, &p, p.no_undo.ptr, err);
    if (!code && schema_undo_concerns(&p)) {
        code = schema_undo_rehearse(u, &p, err);
        *ret = u->rehearsed ? &u->rehearsal : NULL;
        return code;
    }
    if (code)
        return code;
    u->items = ARENA_NEW(op->arena, struct undo_item);
    *u->items = (struct undo_item){
        .id = p.id, .seq = p.seq, .size = p.size, .no_indirect = p.no_indirect, .no_undo = p.no_undo};
    u->count = 1;
    code = rehearse(u, err);
    *ret = u->rehearsed ? &u->rehearsal : NULL;
    return code;
}

static enum err_code store(void *arg, struct err *err)
{
    struct undoing *u = arg;
    return propose_rehearsed(u->op, &u->in, &u->rehearsal, u->op->w, err);
}

static enum err_code run(struct op *op, const struct beside_work *work, struct err *err)
{
    struct undoing u;
    undoing_init(&u, op);
    enum err_code code = beside_run(op, work, &u, err);
    undoing_release(&u);
    return code;
}

enum err_code op_run_PROPOSAL_UNDO(struct op *op, struct err *err)
{
    static const struct beside_work WORK = {rehearse_one, store};
    return run(op, &WORK, err);
}

/* --- Many --- */

struct span {
    struct str token_id; /* ptr NULL: everybody's */
    const struct jsonr_value *from, *to, *except;
    int64_t from_ms, to_ms;
};

static enum err_code read_time(
    const struct jsonr_value *v, const char *at, int64_t fallback, int64_t *ret, struct err *err)
{
    *ret = fallback;
    if (!v || jsonr_kind(v) == JSONR_NULL)
        return ERR_OK;
    if (jsonr_kind(v) == JSONR_INT && jsonr_int(v) >= 0 && jsonr_int(v) < CLOCK_WALL_MS_END)
        *ret = jsonr_int(v);
    else if (jsonr_kind(v) != JSONR_TEXT || !clock_parse_iso(jsonr_text(v), ret))
        return err_field(err, at, "must be a time as in 2026-05-05T12:30:00Z, or milliseconds since 1970");
    return ERR_OK;
}

/* One's own writes; an admin without a limit may ask for those of others. */
static enum err_code check_bearer(const struct op *op, struct span *s, struct err *err)
{
    if (proposal_sees_all(op))
        return ERR_OK;
    if (!s->token_id.ptr)
        s->token_id = op->call.token_id;
    return str_eq(s->token_id, op->call.token_id)
               ? ERR_OK
               : err_set(err, ERR_FORBIDDEN,
                     "What others wrote is taken back by an admin without table scope and claims");
}

static const struct jsonr_field SPAN[] = {
    {"tokenId", JF_TEXT, offsetof(struct span, token_id), JF_NULL_OK, 1, 200},
    {"from", JF_ANY, offsetof(struct span, from), 0, 0, 0},
    {"to", JF_ANY, offsetof(struct span, to), 0, 0, 0},
    {"except", JF_ARRAY, offsetof(struct span, except), JF_NULL_OK, 0, LIMIT_UNDO_PROPOSALS},
};

/* What is mistyped there would be taken back. Whose it is not does not learn that it is there. */
static enum err_code check_except(struct op *op, const struct span *s, struct err *err)
{
    char at[40];
    int n = 0;
    for (const struct jsonr_value *v = s->except ? jsonr_first(s->except) : NULL; v; v = jsonr_next(v)) {
        struct proposal p;
        bool found = false;
        str_print(at, sizeof at, "/except/%d", n++);
        if (jsonr_kind(v) != JSONR_TEXT)
            return err_field(err, at, "must be a text: the id of a proposal");
        enum err_code code = proposal_by_id(op, jsonr_text(v), &found, &p, err);
        if (code)
            return code;
        if (!found || !(proposal_sees_all(op) || str_eq(p.bearer, op->call.token_id)))
            return err_field(
                err, at, "must be the id of a proposal that is kept here; there is none of this id");
    }
    return ERR_OK;
}

static enum err_code read_span(struct undoing *u, struct span *s, struct err *err)
{
    *s = (struct span){.token_id = {NULL, 0}};
    enum err_code code = jsonr_fields(u->root, "", SPAN, ARRAY_LEN(SPAN), JSONR_UNKNOWN_IGNORE, s, err);
    if (!code)
        code = read_time(s->from, "/from", 0, &s->from_ms, err);
    if (!code)
        code = read_time(s->to, "/to", CLOCK_WALL_MS_END, &s->to_ms, err);
    if (!code && s->from_ms > s->to_ms)
        return err_field(err, "/to", "must not be before from");
    if (!code && !s->token_id.ptr && (!s->from || jsonr_kind(s->from) == JSONR_NULL))
        return err_field(
            err, "", "give \"tokenId\", \"from\" or both: whose writes, or since when, is taken back");
    if (!code)
        code = check_bearer(u->op, s, err);
    return code ? code : check_except(u->op, s, err);
}

static bool is_excepted(const struct span *s, struct str id)
{
    for (const struct jsonr_value *v = s->except ? jsonr_first(s->except) : NULL; v; v = jsonr_next(v)) {
        if (jsonr_kind(v) == JSONR_TEXT && str_eq(jsonr_text(v), id))
            return true;
    }
    return false;
}

static void read_item(struct op *op, sqlite3_stmt *stmt, struct undo_item *item)
{
    *item = (struct undo_item){.seq = sqlite3_column_int64(stmt, 0),
        .id = catalog_text(op->arena, stmt, 1),
        .action = catalog_text(op->arena, stmt, 2),
        .no_undo = catalog_text(op->arena, stmt, 3),
        .snapshot = catalog_text(op->arena, stmt, 4),
        .size = sqlite3_column_int64(stmt, 5),
        .decided_ms = sqlite3_column_int64(stmt, 6),
        .no_indirect = sqlite3_column_int(stmt, 7) != 0};
}

/* What was applied in that time, the last one first. */
static enum err_code select_items(struct undoing *u, const struct span *s, struct err *err)
{
    struct op *op = u->op;
    struct undo_item **link = &u->items, item;
    struct binding b = binding_of(op, OWN_PROPOSAL_APPLIED);
    enum err_code code = ERR_OK;
    bind_int(&b, s->from_ms);
    bind_int(&b, s->to_ms);
    bind_text(&b, s->token_id);
    while (!code && binding_step(op, &b)) {
        read_item(op, b.stmt, &item);
        if (is_excepted(s, item.id))
            continue;
        if (u->count++ == (size_t)LIMIT_UNDO_PROPOSALS)
            code = err_set(err, ERR_TOO_LARGE,
                "more than %lld writes cannot be taken back at once: give a later \"from\", the latest first",
                (long long)LIMIT_UNDO_PROPOSALS);
        *link = ARENA_NEW(op->arena, struct undo_item);
        **link = item;
        link = &(*link)->next;
    }
    enum err_code ended = binding_end(op, &b, code ? NULL : err);
    return code ? code : ended;
}

/* What others than these took back already does not stand. */
static void leave_out_undone(struct undoing *u)
{
    for (const struct undo_item *item = u->items; item; item = item->next)
        undo_graph_drop(&u->graph, item->id);
    for (struct undo_item **link = &u->items; *link;) {
        if (undo_graph_state(&u->graph, (*link)->id) != UNDO_UNDONE) {
            link = &(*link)->next;
            continue;
        }
        *link = (*link)->next;
        u->count--;
    }
}

/* --- What cannot be taken back --- */

static void write_blocked(struct jsonw *w, const struct undo_item *item)
{
    char iso[CLOCK_ISO_MAX];
    clock_iso(item->decided_ms, iso);
    jsonw_object(w);
    JSONW_TEXT(w, "proposalId", item->id);
    JSONW_TEXT(w, "action", item->action);
    JSONW_CSTR(w, "appliedAt", iso);
    JSONW_TEXT(w, "reason", item->no_undo);
    JSONW_CSTR(w, "undoBy", proposal_undo_by(item->no_undo));
    JSONW_TEXT_OR_NULL(w, "snapshotId", item->snapshot);
    jsonw_object_end(w);
}

enum { NAMED_MAX = 20 };

/* Which, by name; `writes` has them all. */
static void put_why(struct strbuf *out, const struct undoing *u, size_t blocked)
{
    size_t named = 0;
    bool by_itself = false;
    strbuf_addf(out, "%zu of %zu writes cannot be taken back row by row: ", blocked, u->count);
    for (const struct undo_item *item = u->items; item; item = item->next) {
        if (!item->no_undo.ptr)
            continue;
        if (named++ < NAMED_MAX) {
            strbuf_add_cstr(out, named == 1 ? "" : ", ");
            strbuf_add_str(out, item->id);
        }
        by_itself |= proposal_undo_by(item->no_undo) != NULL;
    }
    if (named > NAMED_MAX)
        strbuf_addf(out, " and %zu more", named - NAMED_MAX);
    strbuf_add_cstr(out, "; nothing was proposed. ");
    if (by_itself)
        strbuf_add_cstr(
            out, "A change of the schema is taken back by its own /proposals/{id}/undo, the newest first. ");
    strbuf_add_cstr(out, "Name them in \"except\" to take back the others, if these do not build on them");
}

static enum err_code tell_blocked(struct undoing *u, size_t blocked, struct err *err)
{
    struct op *op = u->op;
    struct jsonw w;
    AUTO_STRBUF out;
    AUTO_STRBUF why;
    strbuf_init(&out, 4 << 20);
    strbuf_init(&why, 1 << 20);
    jsonw_init(&w, &out);
    put_why(&why, u, blocked);
    jsonw_object(&w);
    JSONW_BOOL(&w, "success", false);
    JSONW_TEXT(&w, "error", strbuf_str(&why));
    JSONW_CSTR(&w, "code", "not_undoable");
    JSONW_TEXT(&w, "requestId", op->call.request_id);
    jsonw_key(&w, "writes");
    jsonw_array(&w);
    for (const struct undo_item *item = u->items; item; item = item->next) {
        if (item->no_undo.ptr)
            write_blocked(&w, item);
    }
    jsonw_array_end(&w);
    jsonw_object_end(&w);
    op->plain = strbuf_failed(&out) ? (struct str){NULL, 0} : arena_copy(op->arena, strbuf_str(&out));
    op->head.status = 409;
    op->head.code = ERR_CONFLICT;
    return op->plain.ptr ? ERR_OK : err_set(err, ERR_TOO_LARGE, "the answer is too large");
}

static size_t count_blocked(const struct undoing *u)
{
    size_t n = 0;
    for (const struct undo_item *item = u->items; item; item = item->next)
        n += item->no_undo.ptr != NULL;
    return n;
}

/* What was applied before then is not known any more. */
static enum err_code check_known(struct op *op, const struct span *s, struct err *err)
{
    struct binding b = binding_of(op, OWN_UNDO_SINCE);
    char iso[CLOCK_ISO_MAX];
    int64_t since = binding_step(op, &b) ? sqlite3_column_int64(b.stmt, 0) : 0;
    enum err_code code = binding_end(op, &b, err);
    clock_iso(since, iso);
    if (!code && s->from_ms < since)
        return err_field(err, "/from",
            "what was applied before %s is not kept any more; to take back what came after that, give this "
            "time",
            iso);
    return code;
}

static enum err_code rehearse_many(void *arg, const struct rehearsal **ret, struct err *err)
{
    struct undoing *u = arg;
    struct op *op = u->op;
    struct span s;
    enum err_code code = undoing_begin(u, SPAN, ARRAY_LEN(SPAN), err);
    if (!code)
        code = undoing_check_role(op, err);
    if (!code)
        code = read_span(u, &s, err);
    if (!code)
        code = check_known(op, &s, err);
    if (!code)
        code = select_items(u, &s, err);
    if (!code)
        leave_out_undone(u);
    if (!code && u->count == 0)
        code = err_set(err, ERR_NOT_FOUND, "Nothing that was applied then is left to be taken back");
    size_t blocked = code ? 0 : count_blocked(u);
    if (!code)
        code = blocked ? tell_blocked(u, blocked, err) : rehearse(u, err);
    *ret = u->rehearsed ? &u->rehearsal : NULL;
    return code;
}

enum err_code op_run_UNDO(struct op *op, struct err *err)
{
    static const struct beside_work WORK = {rehearse_many, store};
    return run(op, &WORK, err);
}
