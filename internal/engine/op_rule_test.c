/* What rules would decide, for an admin who stands under no limit; nothing is changed and nothing is stored.
 *
 * RULE_TEST {"rules"?, "write":{"sql","params"?} or {"statements"}, "at"?, "tokenId"?, "role"?, "reason"?,
 * "agent"?, "model"?, "ticket"?} rehearses the write and judges it by the rules given, or else by those that
 * are stored; `at` is the time it takes for now, `tokenId` and `role` are whose write it is. data:
 * {"decision","hits","brokenInvariants": names, "estimatedAffectedRows"}.
 *
 * RULE_REPLAY {"rules", "sinceMs", "cursor"?} judges proposals that are still kept by the stored rules and
 * by the given ones, newest first, a page at a time. data:
 * {"judged","skipped","proposals":[{…,"before","after"}] of those that differ,"nextCursor"}. What a proposal
 * did to rows is judged as it was recorded, as a write of its bearer's, whose role of then nobody knows: it
 * is taken for the caller's. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/rand.h"
#include "engine/dice.h"
#include "engine/engine_state.h"
#include "engine/invariant.h"
#include "engine/proposing.h"
#include "engine/rule.h"
#include "engine/task.h"
#include "json/jsonr.h"

enum { PAGE_MAX = 50, PAGE_US = 20000, SEQ_MAX_TEXT = 20, BEARER_MAX_TEXT = 200 };

static const char *decision_of(const struct verdict *v)
{
    if (v->action != RULE_DENY && v->wants_reason)
        return rule_action_name(RULE_REQUIRE_REASON);
    return rule_action_name(v->action);
}

static void write_verdict(struct op *op, struct jsonw *w, const struct verdict *v)
{
    JSONW_CSTR(w, "decision", decision_of(v));
    jsonw_key(w, "hits");
    rules_write_hits(op, w, v->hits, true);
}

/* --- A write --- */

struct question {
    const struct jsonr_value *rules, *write;
    struct str at, token_id, role;
    int64_t clock_ms;
};

static const struct jsonr_field QUESTION[] = {
    {"rules", JF_ARRAY, offsetof(struct question, rules), JF_NULL_OK, 0, 0},
    {"write", JF_OBJECT, offsetof(struct question, write), JF_REQUIRED, 0, 0},
    {"at", JF_TEXT, offsetof(struct question, at), JF_NULL_OK, 0, 0},
    {"tokenId", JF_TEXT, offsetof(struct question, token_id), JF_NULL_OK, 1, BEARER_MAX_TEXT},
    {"role", JF_TEXT, offsetof(struct question, role), JF_NULL_OK, 0, 0},
};

static enum err_code check_role(struct str role, struct err *err)
{
    bool known =
        !role.ptr || str_eq(role, S("readonly")) || str_eq(role, S("readwrite")) || str_eq(role, S("admin"));
    return known ? ERR_OK : err_field(err, "/role", "must be readonly, readwrite or admin");
}

/* … and what proposing_read takes. */
static const struct jsonr_field KNOWN[] = {JSONR_NAME("rules"), JSONR_NAME("write"), JSONR_NAME("at"),
    JSONR_NAME("tokenId"), JSONR_NAME("role"), JSONR_NAME("reason"), JSONR_NAME("ticket"),
    JSONR_NAME("agent"), JSONR_NAME("model")};

static enum err_code read_question(struct op *op, struct question *q, struct proposing *in, struct err *err)
{
    const struct jsonr_value *root;
    *in = proposing_new(op->call.body);
    static const struct str NONE = {NULL, 0};
    *q = (struct question){.at = NONE, .token_id = NONE, .role = NONE, .clock_ms = clock_wall_ms()};
    enum err_code code = jsonr_parse(op->arena, op->call.body, &root, err);
    if (!code)
        code = jsonr_fields(root, "", QUESTION, ARRAY_LEN(QUESTION), JSONR_UNKNOWN_IGNORE, q, err);
    if (!code && q->at.ptr && !clock_parse_iso(q->at, &q->clock_ms))
        code = err_field(err, "/at", "must be a time like 2026-06-01T10:00:00.000Z");
    if (!code)
        code = check_role(q->role, err);
    if (!code)
        code = proposing_read(in, root, err);
    if (code)
        return code;
    in->token_id = q->token_id;
    in->role = q->role;
    code = propose_take(op, q->write, err);
    if (code)
        return err_within(err, code, "/write");
    code = jsonr_check_names(root, "", KNOWN, ARRAY_LEN(KNOWN), err);
    return code ? code : propose_check_names(q->write, "/write", PROPOSE_WRITE, err);
}

static enum err_code judge_write(
    struct op *op, const struct question *q, const struct proposing *in, struct err *err)
{
    struct rehearsal r;
    struct verdict v;
    struct str broken = {NULL, 0};
    rehearsal_init(&r, op, q->clock_ms, rand_u64());
    enum err_code code = rehearsal_run(&r, err);
    dice_hold(op->eng, q->clock_ms, r.dice);
    if (!code)
        code = rules_judge(op, &r, in, &v, err);
    dice_release(op->eng);
    if (!code)
        code = invariants_broken(op, &broken, err);
    if (!code)
        code = rehearsal_take_back(&r, err);
    invariants_begin(op); /* what it would have broken is as it was */
    op->head.rows_written = 0;
    if (!code) {
        jsonw_object(op->w);
        write_verdict(op, op->w, &v);
        jsonw_key(op->w, "brokenInvariants");
        jsonw_raw(op->w, broken.len ? broken : S("[]"));
        JSONW_INT(op->w, "estimatedAffectedRows", r.affected);
        jsonw_object_end(op->w);
    }
    rehearsal_release(&r);
    return code;
}

enum err_code op_run_RULE_TEST(struct op *op, struct err *err)
{
    struct question q;
    struct proposing in;
    struct rule *others = NULL;
    enum err_code code = rules_check_caller(op, err);
    if (!code)
        code = read_question(op, &q, &in, err);
    if (!code && q.rules)
        code = rules_read(op, q.rules, &others, err);
    if (code)
        return code;
    rules_pretend(op->eng, q.rules != NULL, others); /* without any those that are stored hold */
    code = judge_write(op, &q, &in, err);
    rules_pretend(op->eng, false, NULL);
    rules_finalize(others);
    return code;
}

/* --- What was written --- */

struct replay {
    const struct jsonr_value *rules;
    int64_t since_ms;
    struct str cursor;
};

static const struct jsonr_field REPLAY[] = {
    {"rules", JF_ARRAY, offsetof(struct replay, rules), JF_REQUIRED, 0, 0},
    {"sinceMs", JF_INT, offsetof(struct replay, since_ms), JF_REQUIRED, 0, INT64_MAX},
    {"cursor", JF_TEXT, offsetof(struct replay, cursor), JF_NULL_OK, 1, SEQ_MAX_TEXT},
};

struct page {
    int64_t since_ms;
    struct proposal rows[PAGE_MAX];
    int count;
    bool more;
};

static bool gather(void *arg, const struct proposal *p)
{
    struct page *page = arg;
    if (p->created_ms < page->since_ms)
        return false;
    page->more = page->count == PAGE_MAX;
    if (!page->more)
        page->rows[page->count++] = *p;
    return !page->more;
}

/* Objects of the schema that it changed, as if its statements had named them. */
static void note_schema(struct op *op, struct rehearsal *r, const struct proposal *p)
{
    const struct jsonr_value *list;
    if (jsonr_parse(op->arena, p->schema_diff, &list, NULL) || jsonr_kind(list) != JSONR_ARRAY)
        return;
    for (const struct jsonr_value *v = jsonr_first(list); v; v = jsonr_next(v)) {
        const struct jsonr_value *table = jsonr_kind(v) == JSONR_OBJECT ? jsonr_member(v, S("table")) : NULL;
        if (table && jsonr_kind(table) == JSONR_TEXT)
            recorder_ran(&r->recorder, false, jsonr_text(table));
    }
}

static enum err_code judge_stored(
    struct op *op, const struct proposal *p, struct rule *others, struct verdict ret[2], struct err *err)
{
    struct rehearsal r;
    struct proposing in = proposing_new(p->body);
    in.token_id = p->bearer;
    in.reason = p->reason;
    in.ticket = p->ticket;
    in.agent = p->agent;
    in.model = p->model;
    rehearsal_init(&r, op, p->clock_ms, (uint64_t)p->dice);
    r.affected = p->affected;
    note_schema(op, &r, p);
    enum err_code code = proposal_set(op, p, &r.set, err);
    dice_hold(op->eng, p->clock_ms, r.dice); /* rules may ask what time it was */
    if (!code)
        code = rules_judge(op, &r, &in, &ret[0], err);
    rules_pretend(op->eng, true, others);
    if (!code)
        code = rules_judge(op, &r, &in, &ret[1], err);
    rules_pretend(op->eng, false, NULL);
    dice_release(op->eng);
    rehearsal_release(&r);
    return code;
}

static void write_difference(struct op *op, const struct proposal *p, const struct verdict v[2])
{
    char iso[CLOCK_ISO_MAX];
    struct jsonw *w = op->w;
    clock_iso(p->created_ms, iso);
    jsonw_object(w);
    JSONW_TEXT(w, "proposalId", p->id);
    JSONW_CSTR(w, "createdAt", iso);
    proposal_write_request(op, w, p);
    jsonw_key(w, "before");
    jsonw_object(w);
    write_verdict(op, w, &v[0]);
    jsonw_object_end(w);
    jsonw_key(w, "after");
    jsonw_object(w);
    write_verdict(op, w, &v[1]);
    jsonw_object_end(w);
    jsonw_object_end(w);
}

struct tally {
    int64_t judged, skipped, last_seq;
};

static enum err_code replay_one(
    struct op *op, const struct proposal *p, struct rule *others, struct tally *t, struct err *err)
{
    struct verdict v[2];
    struct err why = ERR_INIT;
    enum err_code code = op_check_time(op, err);
    if (code)
        return code;
    t->last_seq = p->seq;
    if (judge_stored(op, p, others, v, &why)) { /* damaged, or of tables that are no more */
        op->error_detail = STR_EMPTY;
        t->skipped++;
        return ERR_OK;
    }
    t->judged++;
    if (strcmp(decision_of(&v[0]), decision_of(&v[1])) != 0)
        write_difference(op, p, v);
    return ERR_OK;
}

static enum err_code write_page(struct op *op, struct page *page, struct rule *others, struct err *err)
{
    struct jsonw *w = op->w;
    struct tally t = {.judged = 0};
    int64_t begun_us = clock_mono_us();
    enum err_code code = ERR_OK;
    int i = 0;
    jsonw_object(w);
    jsonw_key(w, "proposals");
    jsonw_array(w);
    for (; i < page->count && !code && (i == 0 || clock_mono_us() - begun_us < PAGE_US); i++)
        code = replay_one(op, &page->rows[i], others, &t, err);
    jsonw_array_end(w);
    JSONW_INT(w, "judged", t.judged);
    JSONW_INT(w, "skipped", t.skipped);
    jsonw_key(w, "nextCursor");
    if (page->more || i < page->count)
        jsonw_text(w, arena_printf(op->arena, "%lld", (long long)t.last_seq));
    else
        jsonw_null(w);
    jsonw_object_end(w);
    return code;
}

static enum err_code read_replay(struct op *op, struct replay *q, int64_t *ret_before_seq, struct err *err)
{
    const struct jsonr_value *root;
    *q = (struct replay){.cursor = {NULL, 0}};
    *ret_before_seq = INT64_MAX;
    enum err_code code = jsonr_parse(op->arena, op->call.body, &root, err);
    if (!code)
        code = jsonr_fields(root, "", REPLAY, ARRAY_LEN(REPLAY), JSONR_UNKNOWN_REFUSE, q, err);
    if (!code && q->cursor.ptr && !str_to_i64(q->cursor, 1, INT64_MAX, ret_before_seq))
        code = err_field(err, "/cursor", "must be the nextCursor of an answer");
    return code;
}

enum err_code op_run_RULE_REPLAY(struct op *op, struct err *err)
{
    struct replay q;
    struct rule *others = NULL;
    struct proposal_filter filter = {.bearer = {NULL, 0}, .token_id = {NULL, 0}, .agent = {NULL, 0}};
    struct page *page = arena_alloc(op->arena, sizeof *page);
    enum err_code code = rules_check_caller(op, err);
    if (!code && !page)
        code = err_set(err, ERR_TOO_LARGE, "the rules are too large");
    if (!code)
        code = read_replay(op, &q, &filter.before_seq, err);
    if (!code)
        code = rules_read(op, q.rules, &others, err);
    if (code)
        return code;
    page->since_ms = q.since_ms;
    code = proposal_list(op, &filter, gather, page, err);
    if (!code)
        code = write_page(op, page, others, err);
    rules_finalize(others);
    return code;
}
