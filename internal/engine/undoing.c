/* Taking back, row by row. */
#include "engine/undoing.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "engine/change_apply.h"
#include "engine/change_compose.h"
#include "engine/change_diff.h"
#include "engine/change_fit.h"
#include "engine/drift.h"
#include "engine/engine_state.h"
#include "engine/index_follow.h"
#include "engine/invariant.h"
#include "json/jsonr.h"

#define NOT_AS_LEFT "Rows are no longer as the write left them; nothing was changed"

enum { UNDO_FIELDS_MAX = 8 };

#define INVERSE_BYTES (2 * (size_t)LIMIT_CHANGE_BYTES)

void undoing_init(struct undoing *u, struct op *op)
{
    *u = (struct undoing){.op = op};
    strbuf_init(&u->inverse, INVERSE_BYTES);
    map_init(&u->graph.nodes);
    rehearsal_init(&u->rehearsal, op, clock_wall_ms(), 0);
    u->in = proposing_new(op->call.body.len ? op->call.body : S("{}"));
}

/* "dryrun" for what is no member would take something back. */
static enum err_code check_names(
    const struct jsonr_value *root, const struct jsonr_field *own, size_t own_count, struct err *err)
{
    static const struct jsonr_field SHARED[] = {JSONR_NAME("tables"), JSONR_NAME("rows"),
        JSONR_NAME("ttlSec"), JSONR_NAME("reason"), JSONR_NAME("ticket"), JSONR_NAME("agent"),
        JSONR_NAME("model")};
    static const struct jsonr_field ROW[] = {JSONR_NAME("table"), JSONR_NAME("key")};
    struct jsonr_field all[ARRAY_LEN(SHARED) + UNDO_FIELDS_MAX];
    char at[40];
    int n = 0;
    CHECK(own_count <= UNDO_FIELDS_MAX);
    memcpy(all, SHARED, sizeof SHARED);
    for (size_t i = 0; i < own_count; i++)
        all[ARRAY_LEN(SHARED) + i] = own[i];
    enum err_code code = jsonr_check_names(root, "", all, ARRAY_LEN(SHARED) + own_count, err);
    const struct jsonr_value *rows = jsonr_member(root, S("rows"));
    bool listed = rows && jsonr_kind(rows) == JSONR_ARRAY;
    for (const struct jsonr_value *v = listed ? jsonr_first(rows) : NULL; v && !code; v = jsonr_next(v)) {
        str_print(at, sizeof at, "/rows/%d", n++);
        code = jsonr_check_names(v, at, ROW, ARRAY_LEN(ROW), err);
    }
    return code;
}

enum err_code undoing_begin(
    struct undoing *u, const struct jsonr_field *own, size_t own_count, struct err *err)
{
    enum err_code code = jsonr_parse(u->op->arena, u->in.body, &u->root, err);
    if (!code)
        code = proposing_read(&u->in, u->root, err);
    if (!code)
        code = change_cut_read(&u->cut, u->op->arena, u->root, err);
    if (!code)
        code = check_names(u->root, own, own_count, err);
    return code ? code : undo_graph_load(&u->graph, u->op, err);
}

enum err_code undoing_check_role(const struct op *op, struct err *err)
{
    if (op->call.role >= WIRE_ROLE_READWRITE)
        return ERR_OK;
    return err_set(err, ERR_FORBIDDEN,
        "UNDO needs a token with the role readwrite or admin; this token's role is readonly");
}

void undoing_release(struct undoing *u)
{
    for (struct undo_item *item = u->items; item; item = item->next)
        strbuf_release(&item->inverse);
    undo_graph_release(&u->graph);
    change_cut_release(&u->cut);
    strbuf_release(&u->inverse);
    rehearsal_release(&u->rehearsal);
}

/* --- What is left of each --- */

struct picking {
    struct undoing *u;
    struct str id;
    bool partly;
    uint64_t picked;
};

static enum err_code pick(
    void *arg, const struct change_table_view *t, const struct change_row *row, bool *ret, struct err *err)
{
    struct picking *p = arg;
    *ret = false;
    if (p->partly && undo_graph_row(&p->u->graph, p->id, t, row))
        return ERR_OK;
    enum err_code code = change_cut_has(&p->u->cut, t, row, ret, err);
    p->picked += !code && *ret;
    return code;
}

static enum err_code load_set(
    struct op *op, const struct undo_item *item, struct strbuf *out, struct err *err)
{
    struct proposal p = {.seq = item->seq, .size = item->size, .id = item->id};
    return proposal_set(op, &p, out, err);
}

/* *ret_left false: nothing of it. */
static enum err_code invert_one(struct undoing *u, struct undo_item *item, bool *ret_left, struct err *err)
{
    AUTO_STRBUF set;
    AUTO_STRBUF left;
    struct picking p = {.u = u, .id = item->id};
    strbuf_init(&set, (size_t)LIMIT_CHANGE_BYTES);
    strbuf_init(&left, (size_t)LIMIT_CHANGE_BYTES);
    p.partly = undo_graph_state(&u->graph, item->id) == UNDO_PARTLY;
    enum err_code code = load_set(u->op, item, &set, err);
    if (!code && (p.partly || !u->cut.whole))
        code = change_set_pick(strbuf_str(&set), pick, &p, &left, err);
    bool all = !p.partly && u->cut.whole;
    *ret_left = all || p.picked > 0;
    if (!code && *ret_left)
        code = change_set_invert(strbuf_str(all ? &set : &left), &item->inverse, err);
    u->bytes += (int64_t)item->inverse.len;
    if (!code && u->bytes > LIMIT_CHANGE_BYTES)
        return err_set(err, ERR_TOO_LARGE,
            "this is more than one write may change (%lld MiB): take it back in parts, by \"from\" and "
            "\"to\" "
            "or by \"tables\", the latest first",
            (long long)LIMIT_CHANGE_BYTES >> 20);
    return code ? code : op_check_time(u->op, err);
}

static enum err_code invert_each(struct undoing *u, struct err *err)
{
    struct undo_item **link = &u->items;
    while (*link) {
        struct undo_item *item = *link;
        bool left = false;
        strbuf_init(&item->inverse, INVERSE_BYTES);
        enum err_code code = invert_one(u, item, &left, err);
        if (code)
            return code;
        if (left) {
            link = &item->next;
            continue;
        }
        strbuf_release(&item->inverse);
        *link = item->next;
        u->count--;
    }
    return ERR_OK;
}

/* --- One of many --- */

static struct proposal of_all(const struct undoing *u)
{
    struct proposal p = {.id = {NULL, 0}};
    for (const struct undo_item *item = u->items; item; item = item->next)
        p.no_indirect |= item->no_indirect;
    if (u->items && !u->items->next)
        p.id = u->items->id;
    return p;
}

static void on_gap(void *arg, const struct change_table_view *t, const struct change_row *row)
{
    struct change_conflict c = {CONFLICT_BETWEEN, t, row, NULL, false};
    drift_conflict(arg, &c);
}

static enum err_code compose(struct undoing *u, uint64_t *ret_gaps, struct drift *d, struct err *err)
{
    struct change_composer c;
    enum err_code code = ERR_OK;
    change_composer_init(&c, on_gap, d);
    for (const struct undo_item *item = u->items; item && !code; item = item->next) {
        code = change_composer_add(&c, strbuf_str(&item->inverse), err);
        if (!code)
            code = op_check_time(u->op, err);
    }
    if (!code && c.gaps == 0)
        code = change_composer_finish(&c, &u->inverse, err);
    *ret_gaps = c.gaps;
    change_composer_release(&c);
    return code;
}

static enum err_code join_items(struct undoing *u, bool *ret_proposable, struct err *err)
{
    struct drift d;
    struct proposal p = of_all(u);
    uint64_t gaps = 0;
    drift_begin(&d, u->op, &p,
        "Somebody else changed rows between these writes; nothing was changed. Leave these rows out, or take "
        "back what was done after that alone");
    enum err_code code = compose(u, &gaps, &d, err);
    *ret_proposable = gaps == 0;
    if (!code && gaps > 0)
        code = drift_end(&d, err);
    drift_release(&d);
    return code;
}

enum err_code undoing_invert(struct undoing *u, bool *ret_proposable, struct err *err)
{
    *ret_proposable = true;
    enum err_code code = invert_each(u, err);
    if (!code)
        code = change_cut_check_met(&u->cut, err);
    if (code)
        return code;
    if (u->count == 0)
        return err_set(err, ERR_CONFLICT, "All of it was taken back already");
    if (u->count > 1)
        return join_items(u, ret_proposable, err);
    strbuf_add_str(&u->inverse, strbuf_str(&u->items->inverse));
    return ERR_OK;
}

/* --- Proposing --- */

/* It writes rows by SQL of ours: what the caller could not write himself is not for him. */
static enum err_code check_rights(struct op *op, struct str set, struct err *err)
{
    struct change_reader r;
    struct change_table_view t;
    bool found = true;
    enum err_code code = change_reader_init(&r, set, err);
    while (!code && !(code = change_table_next(&r, &found, &t, err)) && found) {
        if (!op_table_visible(op, t.name))
            code = err_set(
                err, ERR_FORBIDDEN, "Token scope does not include table \"" STR_FMT "\"", STR_ARG(t.name));
    }
    change_reader_release(&r);
    return code;
}

static enum err_code check_not_empty(const struct undoing *u, struct err *err)
{
    uint64_t rows;
    enum err_code code = change_set_count(strbuf_str(&u->inverse), &rows, err);
    if (!code && rows == 0)
        return err_set(err, ERR_CONFLICT, "These writes together left nothing that could be taken back");
    return code;
}

static enum err_code list_ids(struct undoing *u, struct err *err)
{
    AUTO_STRBUF ids;
    strbuf_init(&ids, 1 << 20);
    for (const struct undo_item *item = u->items; item; item = item->next) {
        if (ids.len)
            strbuf_add_char(&ids, ' ');
        strbuf_add_str(&ids, item->id);
    }
    u->in.undo_of = arena_copy(u->op->arena, strbuf_str(&ids));
    return strbuf_failed(&ids) || !u->in.undo_of.ptr
               ? err_set(err, ERR_TOO_LARGE, "these are too many writes to take back at once")
               : ERR_OK;
}

/* Are these rows changed, and no others? Columns that their tables got since do not matter. */
static enum err_code is_inverse(
    struct undoing *u, struct drift *d, uint64_t *ret_conflicts, bool *ret, struct err *err)
{
    AUTO_STRBUF fitted;
    strbuf_init(&fitted, INVERSE_BYTES);
    struct str did = strbuf_str(&u->rehearsal.set), inverse = strbuf_str(&u->inverse);
    enum err_code code = change_same_rows(inverse, did, ret, err);
    if (code || *ret)
        return code;
    code = change_fit(u->op, did, inverse, drift_conflict, d, ret_conflicts, &fitted, err);
    if (code || *ret_conflicts)
        return code;
    return change_same_rows(inverse, strbuf_str(&fitted), ret, err);
}

static enum err_code rehearse(struct undoing *u, const struct proposal *p, struct err *err)
{
    struct op *op = u->op;
    struct rehearsal *r = &u->rehearsal;
    struct drift d;
    struct str inverse = strbuf_str(&u->inverse);
    uint64_t conflicts = 0;
    bool same = false;
    drift_begin(&d, op, p, NOT_AS_LEFT);
    invariants_begin(op);
    r->foreign = drift_foreign;
    enum err_code code = rehearsal_run_set(r, inverse, drift_conflict, &d, &conflicts, err);
    if (!code && conflicts == 0)
        code = index_follow(r, strbuf_str(&r->set), false, err);
    if (!code && conflicts == 0)
        code = propose_judge(op, &u->in, r, err);
    if (!code && conflicts == 0)
        code = rehearsal_take_back(r, err);
    if (!code && conflicts == 0)
        code = is_inverse(u, &d, &conflicts, &same, err);
    if (!code && same)
        code = rehearsal_hash(r, err);
    op->head.rows_written = 0;
    op->destroys = STR_EMPTY; /* nothing is until it is applied */
    op->drops = false;
    u->rehearsed = same;
    if (!code && !same && conflicts == 0) /* an action of a foreign key would go further than these rows */
        code = drift_differences(&d, p, inverse, strbuf_str(&r->set), err);
    if (!code && !same)
        code = drift_end(&d, err);
    drift_release(&d);
    return code;
}

enum err_code undoing_rehearse(struct undoing *u, struct err *err)
{
    struct proposal p = of_all(u);
    enum err_code code = u->count > 1 ? check_not_empty(u, err) : ERR_OK;
    if (!code)
        code = check_rights(u->op, strbuf_str(&u->inverse), err);
    if (!code)
        code = list_ids(u, err);
    u->in.action = "undo";
    u->in.plan = S("[]");
    return code ? code : rehearse(u, &p, err);
}
