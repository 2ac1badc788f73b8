/* The frame codec. Fixed parts are packed structs copied whole; strings follow in a fixed order without
 * terminators. */
#include "wire/wire.h"
#include "base/check.h"
#include <assert.h>

/* u32 lengths of the strings that every call has, in this order; the body is last in the frame. */
enum {
    LEN_REQUEST_ID,
    LEN_TOKEN_ID,
    LEN_IDEMPOTENCY_KEY,
    LEN_PLAN_KEY,
    LEN_PLAN_STEP,
    LEN_CLAIMS,
    LEN_SNAPSHOT_ID,
    LEN_SNAPSHOT_LABEL,
    LEN_BODY,
    LEN_COUNT
};

struct call_fixed {
    int64_t deadline_us;
    uint32_t len[LEN_COUNT];
    uint16_t op, role, table_count, arg_count;
    uint16_t has_table_scope, snapshot;
};
static_assert(sizeof(struct call_fixed) == 56, "no padding in a frame");

struct reply_fixed {
    uint16_t status, code, content;
    uint8_t idempotency_replayed, plan_replayed;
    uint32_t retry_after_s;
    uint8_t held, wants_snapshot, zero[2];
    uint64_t bytes_total, rows_read, rows_written, bytes_estimate;
};
static_assert(sizeof(struct reply_fixed) == WIRE_REPLY_FIXED, "no padding in a frame");
static_assert(sizeof(struct wire_header) == WIRE_HEADER_SIZE, "no padding in a frame");

static char *put(char *at, const void *data, size_t len)
{
    if (len)
        memcpy(at, data, len);
    return at + len;
}

static char *put_len(char *at, size_t len)
{
    uint32_t n = (uint32_t)len;
    return put(at, &n, sizeof n);
}

/* Room for a frame of `size` bytes with its header written, or NULL with the buffer marked as failed. */
static char *put_header(
    struct strbuf *out, size_t size, enum wire_type type, unsigned flags, uint64_t call_id)
{
    struct wire_header h = {(uint32_t)(size - WIRE_HEADER_SIZE), (uint16_t)type, (uint16_t)flags, call_id};
    if (size > WIRE_FRAME_MAX) {
        out->failed = true;
        return NULL;
    }
    char *at = strbuf_reserve(out, size);
    return at ? put(at, &h, sizeof h) : NULL;
}

static void call_strings(const struct wire_call *call, struct str out[LEN_COUNT])
{
    out[LEN_REQUEST_ID] = call->request_id;
    out[LEN_TOKEN_ID] = call->token_id;
    out[LEN_IDEMPOTENCY_KEY] = call->idempotency_key;
    out[LEN_PLAN_KEY] = call->plan_key;
    out[LEN_PLAN_STEP] = call->plan_step;
    out[LEN_CLAIMS] = call->claims;
    out[LEN_SNAPSHOT_ID] = call->snapshot_id;
    out[LEN_SNAPSHOT_LABEL] = call->snapshot_label;
    out[LEN_BODY] = call->body;
}

size_t wire_call_size(const struct wire_call *call)
{
    struct str s[LEN_COUNT];
    size_t size = WIRE_HEADER_SIZE + sizeof(struct call_fixed);
    CHECK(call->arg_count <= WIRE_ARGS_MAX);
    CHECK(call->table_count <= WIRE_TABLES_MAX && (call->has_table_scope || call->table_count == 0));
    call_strings(call, s);
    for (int i = 0; i < LEN_COUNT; i++)
        size += s[i].len;
    for (unsigned i = 0; i < call->table_count; i++)
        size += 4 + call->tables[i].len;
    for (unsigned i = 0; i < call->arg_count; i++)
        size += 8 + call->args[i].name.len + call->args[i].value.len;
    return size;
}

static char *put_lists(char *at, const struct wire_call *call)
{
    for (unsigned i = 0; i < call->table_count; i++) {
        at = put_len(at, call->tables[i].len);
        at = put(at, call->tables[i].ptr, call->tables[i].len);
    }
    for (unsigned i = 0; i < call->arg_count; i++) {
        const struct wire_arg *arg = &call->args[i];
        at = put_len(at, arg->name.len);
        at = put_len(at, arg->value.len);
        at = put(at, arg->name.ptr, arg->name.len);
        at = put(at, arg->value.ptr, arg->value.len);
    }
    return at;
}

void wire_put_call(struct strbuf *out, uint64_t call_id, const struct wire_call *call)
{
    struct str s[LEN_COUNT];
    size_t size = wire_call_size(call);
    char *start = put_header(out, size, WIRE_CALL, 0, call_id), *at = start;
    if (!at)
        return;
    struct call_fixed fixed = {.deadline_us = call->deadline_us,
        .op = (uint16_t)call->op,
        .role = (uint16_t)call->role,
        .table_count = call->table_count,
        .arg_count = call->arg_count,
        .has_table_scope = call->has_table_scope,
        .snapshot = (uint16_t)call->snapshot};
    call_strings(call, s);
    for (int i = 0; i < LEN_COUNT; i++)
        fixed.len[i] = (uint32_t)s[i].len;
    at = put(at, &fixed, sizeof fixed);
    for (int i = 0; i < LEN_BODY; i++)
        at = put(at, s[i].ptr, s[i].len);
    at = put_lists(at, call);
    at = put(at, call->body.ptr, call->body.len);
    CHECK((size_t)(at - start) == size - WIRE_HEADER_SIZE);
    strbuf_commit(out, size);
}

void wire_put_plain(struct strbuf *out, enum wire_type type, uint64_t call_id)
{
    CHECK(type == WIRE_READY || type == WIRE_BOUNCE);
    if (put_header(out, WIRE_HEADER_SIZE, type, 0, call_id))
        strbuf_commit(out, WIRE_HEADER_SIZE);
}

static void put_reply_frame(struct strbuf *out, uint64_t call_id, const struct wire_reply_head *head,
    struct str chunk, unsigned flags)
{
    size_t size = WIRE_HEADER_SIZE + (head ? sizeof(struct reply_fixed) : 0) + chunk.len;
    char *at = put_header(out, size, WIRE_REPLY, flags | (head ? WIRE_FIRST : 0), call_id);
    if (!at)
        return;
    if (head) {
        struct reply_fixed fixed = {.status = head->status,
            .code = head->code,
            .content = head->content,
            .idempotency_replayed = head->idempotency_replayed,
            .plan_replayed = head->plan_replayed,
            .held = head->held,
            .wants_snapshot = head->wants_snapshot,
            .retry_after_s = head->retry_after_s,
            .bytes_total = head->bytes_total,
            .rows_read = head->rows_read,
            .rows_written = head->rows_written,
            .bytes_estimate = head->bytes_estimate};
        at = put(at, &fixed, sizeof fixed);
    }
    put(at, chunk.ptr, chunk.len);
    strbuf_commit(out, size);
}

void wire_put_reply(
    struct strbuf *out, uint64_t call_id, const struct wire_reply_head *head, struct str chunk, bool last)
{
    while (chunk.len > WIRE_CHUNK_MAX) {
        put_reply_frame(out, call_id, head, str_make(chunk.ptr, WIRE_CHUNK_MAX), 0);
        chunk = str_slice(chunk, WIRE_CHUNK_MAX, chunk.len);
        head = NULL;
    }
    put_reply_frame(out, call_id, head, chunk, last ? WIRE_LAST : 0);
}

static bool header_valid(const struct wire_header *h)
{
    switch (h->type) {
    case WIRE_CALL:
        return h->call_id != 0 && h->flags == 0 && h->body_len <= WIRE_FRAME_MAX - WIRE_HEADER_SIZE;
    case WIRE_READY: return h->call_id == 0 && h->flags == 0 && h->body_len == 0;
    case WIRE_BOUNCE: return h->call_id != 0 && h->flags == 0 && h->body_len == 0;
    case WIRE_REPLY:
        return h->call_id != 0 && (h->flags & ~(WIRE_FIRST | WIRE_LAST)) == 0 &&
               h->body_len <= WIRE_REPLY_FRAME_MAX - WIRE_HEADER_SIZE;
    default: return false;
    }
}

enum err_code wire_peek(struct str in, struct wire_header *ret, size_t *ret_size, struct err *err)
{
    struct wire_header h;
    *ret_size = 0;
    if (in.len < sizeof h)
        return ERR_OK;
    memcpy(&h, in.ptr, sizeof h);
    if (!header_valid(&h))
        return err_set(err, ERR_INVALID, "a frame with a bad header");
    *ret = h;
    if (in.len - sizeof h >= h.body_len)
        *ret_size = sizeof h + h.body_len;
    return ERR_OK;
}

/* Takes `len` bytes from the front of *in. */
static bool take(struct str *in, size_t len, struct str *ret)
{
    if (len > in->len)
        return false;
    *ret = len ? str_make(in->ptr, len) : STR_EMPTY;
    *in = str_make(in->ptr + len, in->len - len);
    return true;
}

static bool take_len(struct str *in, uint32_t *ret)
{
    struct str s;
    if (!take(in, sizeof *ret, &s))
        return false;
    memcpy(ret, s.ptr, sizeof *ret);
    return true;
}

static bool take_tables(struct str *in, struct arena *a, struct wire_call *ret)
{
    struct str *tables = NULL;
    uint32_t len;
    if (ret->table_count) {
        tables = arena_alloc(a, ret->table_count * sizeof *tables);
        if (!tables)
            return false;
    }
    for (unsigned i = 0; i < ret->table_count; i++) {
        if (!take_len(in, &len) || !take(in, len, &tables[i]))
            return false;
    }
    ret->tables = tables;
    return true;
}

static bool take_args(struct str *in, struct wire_call *ret)
{
    uint32_t name_len, value_len;
    for (unsigned i = 0; i < ret->arg_count; i++) {
        if (!take_len(in, &name_len) || !take_len(in, &value_len))
            return false;
        if (!take(in, name_len, &ret->args[i].name) || !take(in, value_len, &ret->args[i].value))
            return false;
    }
    return true;
}

static bool take_fixed(struct str *in, struct call_fixed *fixed, struct wire_call *ret)
{
    struct str s;
    if (!take(in, sizeof *fixed, &s))
        return false;
    memcpy(fixed, s.ptr, sizeof *fixed);
    if (fixed->op == WIRE_OP_NONE || fixed->op >= WIRE_OP_COUNT)
        return false;
    if (fixed->role < WIRE_ROLE_READONLY || fixed->role >= WIRE_ROLE_COUNT)
        return false;
    if (fixed->has_table_scope > 1 || fixed->snapshot >= WIRE_SNAPSHOT_COUNT ||
        fixed->arg_count > WIRE_ARGS_MAX)
        return false;
    if (fixed->table_count > (fixed->has_table_scope ? WIRE_TABLES_MAX : 0))
        return false;
    ret->op = fixed->op;
    ret->role = fixed->role;
    ret->deadline_us = fixed->deadline_us;
    ret->has_table_scope = fixed->has_table_scope;
    ret->snapshot = fixed->snapshot;
    ret->table_count = fixed->table_count;
    ret->arg_count = fixed->arg_count;
    return true;
}

enum err_code wire_get_call(struct str body, struct arena *a, struct wire_call *ret, struct err *err)
{
    struct call_fixed fixed;
    struct wire_call call = {0};
    bool ok = take_fixed(&body, &fixed, &call) && take(&body, fixed.len[LEN_REQUEST_ID], &call.request_id) &&
              take(&body, fixed.len[LEN_TOKEN_ID], &call.token_id) &&
              take(&body, fixed.len[LEN_IDEMPOTENCY_KEY], &call.idempotency_key) &&
              take(&body, fixed.len[LEN_PLAN_KEY], &call.plan_key) &&
              take(&body, fixed.len[LEN_PLAN_STEP], &call.plan_step) &&
              take(&body, fixed.len[LEN_CLAIMS], &call.claims) &&
              take(&body, fixed.len[LEN_SNAPSHOT_ID], &call.snapshot_id) &&
              take(&body, fixed.len[LEN_SNAPSHOT_LABEL], &call.snapshot_label) &&
              take_tables(&body, a, &call) && take_args(&body, &call) &&
              take(&body, fixed.len[LEN_BODY], &call.body) && body.len == 0;
    if (!ok)
        return err_set(err, ERR_INVALID, "a call frame that does not decode");
    *ret = call;
    return ERR_OK;
}

static bool reply_valid(const struct reply_fixed *f)
{
    return f->status >= 200 && f->status <= 599 && f->code < ERR_COUNT && f->content < WIRE_CONTENT_COUNT &&
           f->idempotency_replayed <= 1 && f->plan_replayed <= 1 && f->held <= 1 && f->wants_snapshot <= 1 &&
           f->zero[0] == 0 && f->zero[1] == 0 && f->bytes_total <= INT64_MAX;
}

enum err_code wire_get_reply(
    uint16_t flags, struct str body, struct wire_reply_head *ret_head, struct str *ret_chunk, struct err *err)
{
    struct reply_fixed f;
    struct str fixed;
    if (flags & WIRE_FIRST) {
        if (!take(&body, sizeof f, &fixed))
            return err_set(err, ERR_INVALID, "a reply frame that is too short");
        memcpy(&f, fixed.ptr, sizeof f);
        if (!reply_valid(&f))
            return err_set(err, ERR_INVALID, "a reply frame that does not decode");
        *ret_head = (struct wire_reply_head){f.status, f.code, f.content, f.idempotency_replayed,
            f.plan_replayed, f.held, f.wants_snapshot, f.retry_after_s, f.bytes_total, f.rows_read,
            f.rows_written, f.bytes_estimate};
    }
    *ret_chunk = body.len ? body : STR_EMPTY;
    return ERR_OK;
}

struct str wire_arg(const struct wire_call *call, const char *name)
{
    struct str wanted = str_of(name);
    for (unsigned i = 0; i < call->arg_count; i++) {
        if (str_eq(call->args[i].name, wanted))
            return call->args[i].value;
    }
    return (struct str){NULL, 0};
}

static const struct {
    const char *name;
    enum wire_lane lane;
} OPS[WIRE_OP_COUNT] = {
    [WIRE_OP_NONE] = {"NONE", WIRE_LANE_MIXED},
#define OP(name, lane) [WIRE_OP_##name] = {#name, WIRE_LANE_##lane},
#include "wire/ops.def"
#undef OP
};

const char *wire_op_name(enum wire_op op)
{
    CHECK(op < WIRE_OP_COUNT);
    return OPS[op].name;
}

enum wire_lane wire_op_lane(enum wire_op op)
{
    CHECK(op > WIRE_OP_NONE && op < WIRE_OP_COUNT);
    return OPS[op].lane;
}
