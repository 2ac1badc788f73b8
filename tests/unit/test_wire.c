/* The frame codec: what was put comes out, and nothing else is accepted. */
#include "wire/wire.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

static const struct str TABLES[] = {{"people", 6}, {"", 0}, {"a b", 3}};

static struct wire_call full_call(void)
{
    return (struct wire_call){.op = WIRE_OP_QUERY,
        .role = WIRE_ROLE_READWRITE,
        .deadline_us = -77,
        .request_id = S("req_1"),
        .token_id = S("tok_2"),
        .idempotency_key = S("key"),
        .plan_key = S("plan"),
        .plan_step = S("3"),
        .claims = S("{\"tenant\":\"a\"}"),
        .snapshot = WIRE_SNAPSHOT_MADE,
        .snapshot_id = S("snap_4"),
        .snapshot_label = S("before DROP TABLE a"),
        .has_table_scope = true,
        .table_count = ARRAY_LEN(TABLES),
        .tables = TABLES,
        .arg_count = 2,
        .args = {{S("format"), S("csv")}, {S("empty"), STR_EMPTY}},
        .body = S("{\"sql\":\"SELECT 1\"}")};
}

static void expect_str(struct str got, struct str want)
{
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.len ? got.ptr : "", want.len ? want.ptr : "", want.len);
}

static void expect_call(const struct wire_call *got, const struct wire_call *want)
{
    assert_int_equal(got->op, want->op);
    assert_int_equal(got->role, want->role);
    assert_int_equal(got->deadline_us, want->deadline_us);
    expect_str(got->request_id, want->request_id);
    expect_str(got->token_id, want->token_id);
    expect_str(got->idempotency_key, want->idempotency_key);
    expect_str(got->plan_key, want->plan_key);
    expect_str(got->plan_step, want->plan_step);
    expect_str(got->claims, want->claims);
    expect_str(got->body, want->body);
    assert_int_equal(got->snapshot, want->snapshot);
    expect_str(got->snapshot_id, want->snapshot_id);
    expect_str(got->snapshot_label, want->snapshot_label);
    assert_int_equal(got->has_table_scope, want->has_table_scope);
    assert_int_equal(got->table_count, want->table_count);
    for (unsigned i = 0; i < want->table_count; i++)
        expect_str(got->tables[i], want->tables[i]);
    assert_int_equal(got->arg_count, want->arg_count);
    for (unsigned i = 0; i < want->arg_count; i++) {
        expect_str(got->args[i].name, want->args[i].name);
        expect_str(got->args[i].value, want->args[i].value);
    }
}

/* The frame must stand alone at the start of `in`. */
static struct wire_header expect_frame(struct str in, enum wire_type type)
{
    struct wire_header h = {0};
    struct err err;
    size_t size;
    assert_int_equal(wire_peek(in, &h, &size, &err), ERR_OK);
    assert_int_equal(size, in.len);
    assert_int_equal(h.type, type);
    return h;
}

static struct str body_of(const struct strbuf *frame)
{
    return str_make(frame->buf + WIRE_HEADER_SIZE, frame->len - WIRE_HEADER_SIZE);
}

void test_wire__a_call_comes_out_as_it_went_in(void **state)
{
    static char big[300000];
    struct wire_call bare = {.op = WIRE_OP_PING, .role = WIRE_ROLE_READONLY}, large = full_call(),
                     scoped = bare;
    large.body = str_make(big, sizeof big);
    scoped.has_table_scope = true;
    struct wire_call calls[] = {full_call(), bare, large, scoped};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        AUTO_STRBUF out;
        AUTO_ARENA a;
        struct wire_call got;
        struct err err;
        strbuf_init(&out, WIRE_FRAME_MAX);
        arena_init(&a, 1 << 20);
        wire_put_call(&out, 0x1122334455667788u + i, &calls[i]);
        assert_false(strbuf_failed(&out));
        assert_int_equal(out.len, wire_call_size(&calls[i]));
        assert_int_equal(expect_frame(strbuf_str(&out), WIRE_CALL).call_id, 0x1122334455667788u + i);
        assert_int_equal(wire_get_call(body_of(&out), &a, &got, &err), ERR_OK);
        expect_call(&got, &calls[i]);
    }
}

void test_wire__frames_stand_behind_each_other(void **state)
{
    AUTO_STRBUF out;
    struct wire_call call = full_call();
    struct wire_header h;
    struct err err;
    size_t size, first;
    (void)state;
    strbuf_init(&out, WIRE_FRAME_MAX);
    wire_put_call(&out, 1, &call);
    first = out.len;
    wire_put_plain(&out, WIRE_BOUNCE, 2);
    assert_int_equal(wire_peek(strbuf_str(&out), &h, &size, &err), ERR_OK);
    assert_int_equal(size, first);
    h = expect_frame(str_slice(strbuf_str(&out), first, out.len), WIRE_BOUNCE);
    assert_int_equal(h.call_id, 2);
}

/* A body cut anywhere, or with a byte too many, never decodes: every length is told twice. */
void test_wire__a_cut_call_is_refused_at_every_byte(void **state)
{
    AUTO_STRBUF out;
    struct wire_call call = full_call(), got = {.op = WIRE_OP_EXPORT};
    struct wire_header h;
    size_t size;
    (void)state;
    strbuf_init(&out, WIRE_FRAME_MAX);
    wire_put_call(&out, 9, &call);
    strbuf_add_char(&out, 'x');
    for (size_t n = 0; n <= out.len - WIRE_HEADER_SIZE; n++) {
        AUTO_ARENA a;
        struct err err = ERR_INIT;
        char *copy = malloc(n + 1); /* exact size, so that a sanitizer sees a read past the end */
        memcpy(copy, out.buf + WIRE_HEADER_SIZE, n);
        arena_init(&a, 1 << 16);
        enum err_code want = n == out.len - WIRE_HEADER_SIZE - 1 ? ERR_OK : ERR_INVALID;
        assert_int_equal(wire_get_call(str_make(copy, n), &a, &got, &err), want);
        assert_int_equal(
            got.op, want == ERR_OK || n > out.len - WIRE_HEADER_SIZE - 1 ? WIRE_OP_QUERY : WIRE_OP_EXPORT);
        free(copy);
    }
    for (size_t n = 0; n < out.len - 1; n++) {
        assert_int_equal(wire_peek(str_make(out.buf, n), &h, &size, NULL), ERR_OK);
        assert_int_equal(size, 0);
    }
}

/* Byte `offset` of a valid call body gets `value`. */
void test_wire__bad_fields_of_a_call_are_refused(void **state)
{
    static const struct {
        const char *what;
        size_t offset;
        unsigned char value;
    } rows[] = {
        {"first length", 8, 0xff},
        {"length with the top bit", 11, 0x80},
        {"body length", 40, 0xff},
        {"op none", 44, 0},
        {"op past the end", 44, WIRE_OP_COUNT},
        {"op high byte", 45, 1},
        {"role none", 46, 0},
        {"role past the end", 46, WIRE_ROLE_COUNT},
        {"too many tables", 49, 2},
        {"too many arguments", 50, WIRE_ARGS_MAX + 1},
        {"scope neither yes nor no", 52, 2},
        {"tables without a scope", 52, 0},
        {"snapshot past the end", 54, WIRE_SNAPSHOT_COUNT},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_STRBUF out;
        AUTO_ARENA a;
        struct wire_call call = full_call(), got;
        struct err err = ERR_INIT;
        strbuf_init(&out, WIRE_FRAME_MAX);
        arena_init(&a, 1 << 16);
        wire_put_call(&out, 9, &call);
        out.buf[WIRE_HEADER_SIZE + rows[i].offset] = (char)rows[i].value;
        if (wire_get_call(body_of(&out), &a, &got, &err) != ERR_INVALID)
            fail_msg("accepted: %s", rows[i].what);
        assert_int_equal(err.code, ERR_INVALID);
    }
}

void test_wire__bad_headers_are_refused(void **state)
{
    static const struct wire_header rows[] = {
        {0, 0, 0, 1},                                                    /* no type */
        {0, WIRE_TYPE_COUNT, 0, 1},                                      /* unknown type */
        {0, WIRE_CALL, WIRE_FIRST, 1},                                   /* flags where none belong */
        {0, WIRE_CALL, 0, 0},                                            /* a call without a name */
        {WIRE_FRAME_MAX - WIRE_HEADER_SIZE + 1, WIRE_CALL, 0, 1},        /* too long */
        {UINT32_MAX, WIRE_CALL, 0, 1},                                   /* far too long */
        {1, WIRE_READY, 0, 0},                                           /* a body where none belongs */
        {0, WIRE_READY, 0, 1},                                           /* READY names no call */
        {0, WIRE_BOUNCE, 0, 0},                                          /* BOUNCE names one */
        {1, WIRE_BOUNCE, 0, 1},                                          /* and has no body */
        {0, WIRE_REPLY, 4, 1},                                           /* unknown flag */
        {WIRE_REPLY_FRAME_MAX - WIRE_HEADER_SIZE + 1, WIRE_REPLY, 0, 1}, /* longer than a chunk */
        {0, WIRE_REPLY, WIRE_LAST, 0},                                   /* a reply to nobody */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct wire_header h = {.call_id = 42};
        size_t size = 7;
        assert_int_equal(wire_peek(str_make(&rows[i], sizeof rows[i]), &h, &size, NULL), ERR_INVALID);
        assert_int_equal(size, 0);
        assert_int_equal(h.call_id, 42);
    }
}

void test_wire__a_reply_comes_out_as_it_went_in(void **state)
{
    struct wire_reply_head head = {504, ERR_QUERY_TIMEOUT, WIRE_CONTENT_CSV, 1, 0, 1, 1, 30, 1u << 30, 5, 6,
                               7},
                           got;
    struct str chunk = S("a,b\n1,2\n"), got_chunk;
    AUTO_STRBUF out;
    (void)state;
    strbuf_init(&out, WIRE_FRAME_MAX);
    wire_put_reply(&out, 3, &head, chunk, false);
    struct wire_header h = expect_frame(strbuf_str(&out), WIRE_REPLY);
    assert_int_equal(h.flags, WIRE_FIRST);
    assert_int_equal(wire_get_reply(h.flags, body_of(&out), &got, &got_chunk, NULL), ERR_OK);
    expect_str(got_chunk, chunk);
    assert_int_equal(got.status, 504);
    assert_int_equal(got.code, ERR_QUERY_TIMEOUT);
    assert_int_equal(got.content, WIRE_CONTENT_CSV);
    assert_int_equal(got.idempotency_replayed, 1);
    assert_int_equal(got.plan_replayed, 0);
    assert_int_equal(got.held, 1);
    assert_int_equal(got.wants_snapshot, 1);
    assert_int_equal(got.retry_after_s, 30);
    assert_int_equal(got.bytes_total, 1u << 30);
    assert_int_equal(got.rows_read, 5);
    assert_int_equal(got.rows_written, 6);
    assert_int_equal(got.bytes_estimate, 7);

    strbuf_reset(&out);
    wire_put_reply(&out, 3, NULL, STR_EMPTY, true);
    h = expect_frame(strbuf_str(&out), WIRE_REPLY);
    assert_int_equal(h.flags, WIRE_LAST);
    assert_int_equal(wire_get_reply(h.flags, body_of(&out), &got, &got_chunk, NULL), ERR_OK);
    assert_int_equal(got_chunk.len, 0);
}

void test_wire__bad_reply_heads_are_refused(void **state)
{
    static const struct {
        size_t offset;
        unsigned char value;
    } rows[] = {{1, 0}, {1, 3}, {2, ERR_COUNT}, {4, WIRE_CONTENT_COUNT}, {6, 2}, {7, 2}, {12, 2}, {13, 2},
        {14, 1}, {23, 0x80}};
    struct wire_reply_head head = {.status = 350}, got = {.status = 1};
    struct str chunk;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        AUTO_STRBUF out;
        strbuf_init(&out, WIRE_FRAME_MAX);
        wire_put_reply(&out, 3, &head, S("x"), true);
        out.buf[WIRE_HEADER_SIZE + rows[i].offset] = (char)rows[i].value;
        assert_int_equal(wire_get_reply(WIRE_FIRST, body_of(&out), &got, &chunk, NULL), ERR_INVALID);
        assert_int_equal(got.status, 1);
    }
    for (size_t n = 0; n < WIRE_REPLY_FIXED; n++) {
        char *copy = calloc(1, n + 1);
        assert_int_equal(wire_get_reply(WIRE_FIRST, str_make(copy, n), &got, &chunk, NULL), ERR_INVALID);
        free(copy);
    }
}

void test_wire__a_long_chunk_leaves_in_several_frames(void **state)
{
    size_t total = 2 * WIRE_CHUNK_MAX + 5, seen = 0, frames = 0, size;
    struct wire_reply_head head = {.status = 200}, got;
    char *data = malloc(total);
    AUTO_STRBUF out;
    struct wire_header h;
    struct str rest, chunk;
    (void)state;
    for (size_t i = 0; i < total; i++)
        data[i] = (char)(i * 7 % 251);
    strbuf_init(&out, WIRE_FRAME_MAX);
    wire_put_reply(&out, 3, &head, str_make(data, total), true);
    for (rest = strbuf_str(&out); rest.len; rest = str_slice(rest, size, rest.len), frames++) {
        assert_int_equal(wire_peek(rest, &h, &size, NULL), ERR_OK);
        assert_true(size > 0 && size <= WIRE_REPLY_FRAME_MAX);
        struct str body = str_slice(rest, WIRE_HEADER_SIZE, size);
        assert_int_equal(wire_get_reply(h.flags, body, &got, &chunk, NULL), ERR_OK);
        assert_int_equal(
            h.flags, (frames == 0 ? WIRE_FIRST : 0) | (seen + chunk.len == total ? WIRE_LAST : 0));
        assert_memory_equal(chunk.ptr, data + seen, chunk.len);
        seen += chunk.len;
    }
    assert_int_equal(seen, total);
    assert_int_equal(frames, 3);
    free(data);
}

void test_wire__a_full_buffer_takes_no_part_of_a_frame(void **state)
{
    struct wire_call call = full_call();
    size_t need = wire_call_size(&call);
    AUTO_STRBUF out;
    (void)state;
    strbuf_init(&out, 2 * need - 1);
    wire_put_call(&out, 1, &call);
    assert_false(strbuf_failed(&out));
    wire_put_call(&out, 2, &call);
    assert_true(strbuf_failed(&out));
    assert_int_equal(out.len, need);
}

void test_wire__arguments_are_found_by_name(void **state)
{
    struct wire_call call = full_call();
    (void)state;
    expect_str(wire_arg(&call, "format"), S("csv"));
    assert_non_null(wire_arg(&call, "empty").ptr);
    assert_null(wire_arg(&call, "for").ptr);
}

void test_wire__operations_have_names_and_lanes(void **state)
{
    (void)state;
    assert_string_equal(wire_op_name(WIRE_OP_QUERY), "QUERY");
    assert_int_equal(wire_op_lane(WIRE_OP_QUERY), WIRE_LANE_MIXED);
    assert_int_equal(wire_op_lane(WIRE_OP_IMPORT), WIRE_LANE_WRITE);
    assert_int_equal(wire_op_lane(WIRE_OP_EXPORT), WIRE_LANE_STREAM);
    assert_int_equal(wire_op_lane(WIRE_OP_UPLOAD_CHECK), WIRE_LANE_SCRATCH);
    assert_int_equal(wire_op_lane(WIRE_OP_TABLES), WIRE_LANE_READ);
}
