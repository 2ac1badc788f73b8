/* The envelope around what handlers write, and the frames it leaves in. */
#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "engine/task.h"

enum {
    ENVELOPE_BYTES = 64 << 10, /* beside the data itself: meta, or an error with its detail */
    ARENA_BYTES = 96 << 20,    /* an import's text and its tree; SQLite's own memory has its own limit */
    BODY_KEEP = 8 << 10,
    NANO_DIGITS = 9,
    COST_TEXT_MAX = 32,
};

void task_init(struct task *t, struct engine *eng)
{
    *t = (struct task){.op = {.eng = eng}};
    arena_init(&t->arena, ARENA_BYTES);
    strbuf_init(&t->body, (size_t)LIMIT_RESULT_BYTES + ENVELOPE_BYTES);
    task_clear(t);
}

void task_release(struct task *t)
{
    arena_release(&t->arena);
    strbuf_release(&t->body);
}

void task_clear(struct task *t)
{
    struct engine *eng = t->op.eng;
    struct arena arena = t->arena;
    struct strbuf body = t->body;
    arena_release(&arena);
    strbuf_shrink(&body, BODY_KEEP);
    *t = (struct task){.arena = arena,
        .body = body,
        .op = {.eng = eng, .arena = &t->arena, .w = &t->w, .statement_index = -1}};
}

void task_rewind(struct task *t)
{
    strbuf_reset(&t->body);
    t->op.head = (struct wire_reply_head){.status = 0};
    t->op.statement_count = 0;
    t->changes = 0;
    t->op.error_detail = t->op.hits = t->op.invariant = STR_EMPTY;
    t->op.plain = (struct str){NULL, 0};
    t->op.proposal = t->op.snapshot = t->op.destroys = t->op.lay = STR_EMPTY;
    t->op.tally = NULL;
    t->op.deeds = NULL;
    t->op.undo_until_ms = 0;
    t->op.drift = t->op.drops = false;
    t->op.statement_index = -1;
    t->rc = ERR_OK;
    t->err = (struct err)ERR_INIT;
    t->finished = t->keep_effects = t->replayed = t->sealed = t->wrote = t->asks_snapshot = false;
}

void task_begin(struct task *t)
{
    jsonw_init(&t->w, &t->body);
    jsonw_object(&t->w);
    JSONW_BOOL(&t->w, "success", true);
    jsonw_key(&t->w, "data");
}

/* Exact decimal text in USD: 505 nano-USD is 0.000000505, 0 is 0. */
static struct str cost_text(const struct task *t, char out[COST_TEXT_MAX])
{
    const struct engine_config *cfg = &t->op.eng->cfg;
    int64_t nano = cfg->cost_request_nano + (int64_t)t->op.head.rows_read * cfg->cost_read_nano +
                   (int64_t)t->op.head.rows_written * cfg->cost_write_nano;
    size_t end = COST_TEXT_MAX, at = end;
    for (int i = 0; i < NANO_DIGITS; i++, nano /= 10)
        out[--at] = (char)('0' + nano % 10);
    out[--at] = '.';
    do
        out[--at] = (char)('0' + nano % 10);
    while ((nano /= 10) > 0);
    while (out[end - 1] == '0')
        end--;
    if (out[end - 1] == '.')
        end--;
    return str_make(out + at, end - at);
}

static void write_meta(struct task *t)
{
    struct jsonw *w = &t->w;
    char cost[COST_TEXT_MAX];
    jsonw_key(w, "meta");
    jsonw_object(w);
    JSONW_INT(w, "rowsRead", (int64_t)t->op.head.rows_read);
    JSONW_INT(w, "rowsWritten", (int64_t)t->op.head.rows_written);
    JSONW_INT(w, "durationMs", (t->used_us + 500) / 1000);
    JSONW_INT(w, "statementCount", t->op.statement_count ? t->op.statement_count : 1);
    jsonw_key(w, "costUsd");
    jsonw_raw(w, cost_text(t, cost));
    if (t->op.proposal.len) {
        char until[CLOCK_ISO_MAX];
        clock_iso(t->op.undo_until_ms, until);
        JSONW_CSTR(w, "undoUntil", t->op.undo_until_ms ? until : NULL);
        JSONW_TEXT(w, "proposalId", t->op.proposal);
        if (t->op.drift)
            JSONW_BOOL(w, "drift", true);
    }
    if (t->op.snapshot.len) {
        jsonw_key(w, "snapshot");
        jsonw_raw(w, t->op.snapshot);
    } else if (t->op.destroys.len && t->op.call.snapshot == WIRE_SNAPSHOT_SKIPPED) {
        JSONW_NULL(w, "snapshot");
        JSONW_TEXT(w, "snapshotSkipped", t->op.call.snapshot_label);
    }
    JSONW_TEXT(w, "queryLogId", id_str(&t->log_id));
    jsonw_object_end(w);
}

enum err_code task_succeed(struct task *t, struct err *err)
{
    if (t->sealed)
        return ERR_OK;
    if (t->op.head.status == 0)
        t->op.head.status = 200;
    if (t->replayed) {
        /* the body is the stored one */
    } else if (t->op.plain.ptr) {
        strbuf_reset(&t->body);
        strbuf_add_str(&t->body, t->op.plain);
    } else {
        write_meta(t);
        jsonw_object_end(&t->w);
        CHECK(jsonw_done(&t->w));
    }
    if (strbuf_failed(&t->body))
        return err_set(err, ERR_SQL,
            "the answer is larger than %lld bytes: select fewer columns, or page with LIMIT and "
            "a condition on the last row seen",
            (long long)LIMIT_RESULT_BYTES);
    t->sealed = true;
    return ERR_OK;
}

void task_fail(struct task *t)
{
    struct jsonw *w = &t->w;
    struct op *op = &t->op;
    strbuf_reset(&t->body);
    jsonw_init(w, &t->body);
    jsonw_object(w);
    JSONW_BOOL(w, "success", false);
    JSONW_CSTR(w, "error", t->err.message);
    JSONW_CSTR(w, "code", err_slug(t->rc));
    if (t->err.pointer[0])
        JSONW_CSTR(w, "pointer", t->err.pointer);
    if (op->error_detail.len) {
        jsonw_key(w, "errorDetail");
        jsonw_raw(w, op->error_detail);
    }
    if (op->hits.len) {
        jsonw_key(w, "hits");
        jsonw_raw(w, op->hits);
    }
    if (op->invariant.len) {
        jsonw_key(w, "invariant");
        jsonw_raw(w, op->invariant);
    }
    if (op->statement_index >= 0)
        JSONW_INT(w, "statementIndex", op->statement_index);
    if (t->asks_snapshot && op->lay.len) {
        JSONW_TEXT(w, "lay", op->lay);
    } else if (t->asks_snapshot) {
        JSONW_TEXT(w, "label", op->destroys);
        JSONW_BOOL(w, "drops", op->drops);
    }
    JSONW_TEXT(w, "requestId", op->call.request_id);
    jsonw_object_end(w);
    CHECK(jsonw_done(w) && !strbuf_failed(&t->body));
    op->head.status = (uint16_t)err_status(t->rc);
    op->head.code = (uint16_t)t->rc;
    op->head.content = WIRE_CONTENT_JSON;
    op->head.held = 0;
    op->head.wants_snapshot = t->asks_snapshot;
    op->head.retry_after_s = (uint32_t)(t->err.retry_after_s > 0 ? t->err.retry_after_s : 0);
    op->head.bytes_total = op->head.bytes_estimate = 0;
}

void task_send(struct task *t)
{
    struct strbuf *out = &t->op.eng->channel.out;
    struct str body = strbuf_str(&t->body);
    if (t->streamed) {
        wire_put_reply(out, t->op.id, NULL, STR_EMPTY, true);
        return;
    }
    t->op.head.bytes_total = body.len;
    wire_put_reply(out, t->op.id, &t->op.head, body, true);
}
