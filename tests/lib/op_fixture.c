/* Tests of the operations speak to a real engine process. */
#include "lib/op_fixture.h"
#include "base/clock.h"
#include "base/fs.h"
#include "lib/faultplan.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

enum { ARENA_BYTES = 512 << 20, DEADLINE_US = 60000000, BUSY_MS = 5000 };

static void make_dir(struct op_fixture *f, const char *name)
{
    char path[FS_PATH_MAX];
    fs_join(path, f->engine.dir, name);
    assert_int_equal(fs_mkdir_p(path, 0700, NULL), ERR_OK);
}

static void open_db(struct op_fixture *f)
{
    char path[FS_PATH_MAX];
    fs_join(path, f->engine.dir, "main.db");
    assert_int_equal(sqlite3_open(path, &f->db), SQLITE_OK);
    (void)sqlite3_busy_timeout(f->db, BUSY_MS);
}

void op_fixture_init(struct op_fixture *f)
{
    *f = (struct op_fixture){.role = WIRE_ROLE_ADMIN,
        .claims = STR_EMPTY,
        .token_id = S("tok_test"),
        .out = STR_EMPTY,
        .error = STR_EMPTY};
    arena_init(&f->arena, ARENA_BYTES);
    engine_fixture_start(&f->engine);
    make_dir(f, "in");
    make_dir(f, "out");
    open_db(f);
}

static void enter(void *arg)
{
    faultplan_enter(arg);
}

static void start_planned(struct op_fixture *f)
{
    struct engine_config cfg = engine_fixture_config(f->engine.dir, ENGINE_WRITER);
    cfg.no_sandbox = 1;
    assert_true(engine_fixture_fork(&f->engine, &cfg, enter, f->plan));
}

void op_fixture_init_planned(struct op_fixture *f, struct faultplan *plan)
{
    *f = (struct op_fixture){.role = WIRE_ROLE_ADMIN,
        .claims = STR_EMPTY,
        .token_id = S("tok_test"),
        .out = STR_EMPTY,
        .error = STR_EMPTY,
        .plan = plan};
    arena_init(&f->arena, ARENA_BYTES);
    engine_fixture_init(&f->engine);
    start_planned(f);
    open_db(f);
}

/* The next engine recovers the log, which no other connection may hold. */
void op_fixture_again(struct op_fixture *f)
{
    (void)engine_fixture_end(&f->engine, true);
    assert_int_equal(sqlite3_close(f->db), SQLITE_OK);
    arena_release(&f->engine.arena);
    if (f->plan)
        start_planned(f);
    else
        engine_fixture_again(&f->engine, ENGINE_WRITER);
    open_db(f);
}

void op_fixture_init_scratch(struct op_fixture *f)
{
    *f = (struct op_fixture){.role = WIRE_ROLE_ADMIN,
        .claims = STR_EMPTY,
        .token_id = S("tok_test"),
        .out = STR_EMPTY,
        .error = STR_EMPTY};
    arena_init(&f->arena, ARENA_BYTES);
    engine_fixture_start(&f->engine);
    make_dir(f, "out");
    (void)engine_fixture_end(&f->engine, false);
    engine_fixture_again(&f->engine, ENGINE_SCRATCH_MODE);
}

void op_fixture_release(struct op_fixture *f)
{
    assert_int_equal(sqlite3_close(f->db), SQLITE_OK);
    (void)engine_fixture_stop(&f->engine);
    arena_release(&f->arena);
}

void op_fixture_sql(struct op_fixture *f, const char *sql)
{
    char *message = NULL;
    if (sqlite3_exec(f->db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", message, sql);
}

void op_fixture_fresh(struct op_fixture *f, const char *sql)
{
    f->role = WIRE_ROLE_ADMIN;
    f->token_id = S("tok_test");
    f->tables = NULL;
    op_fixture_sql(f,
        "DELETE FROM _sys_proposal; DELETE FROM _sys_proposal_part; DELETE FROM _sys_proposal_row;"
        "DELETE FROM _sys_proposal_table;");
    op_fixture_sql(f, sql);
}

const char *op_fixture_value(struct op_fixture *f, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(f->db, sql, -1, &stmt, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sqlite3_errmsg(f->db), sql);
    const char *value = "none";
    if (sqlite3_step(stmt) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        value = text ? arena_strdup(&f->arena, text) : "NULL";
    }
    (void)sqlite3_finalize(stmt);
    return value;
}

/* The text of "data" in the envelope: it stands between the fixed beginning and "meta", the last member. */
static struct str unwrap(struct str body)
{
    struct str head = S("{\"success\":true,\"data\":");
    size_t end = body.len;
    if (!str_starts(body, head))
        return body;
    while (end > head.len && !str_starts(str_slice(body, end, body.len), S(",\"meta\":")))
        end--;
    return str_slice(body, head.len, end);
}

enum err_code op_fixture_run(
    struct op_fixture *f, enum wire_op which, struct str body, const struct op_arg *args)
{
    struct wire_call call = engine_call_new(which, "");
    call.body = body;
    call.role = f->role;
    call.claims = f->claims;
    call.token_id = f->token_id;
    if (f->idempotency_key.len)
        call.idempotency_key = f->idempotency_key;
    call.deadline_us = clock_mono_us() + DEADLINE_US;
    call.has_table_scope = f->tables != NULL;
    call.tables = f->tables;
    call.table_count = f->tables ? f->table_count : 0;
    for (; args && args->name; args++)
        call.args[call.arg_count++] = (struct wire_arg){str_of(args->name), str_of(args->value)};
    struct engine_answer a = engine_ask(&f->engine, &call);
    assert_false(a.bounced);
    arena_release(&f->arena);
    f->head = a.head;
    f->out = arena_copy(&f->arena, a.head.content == WIRE_CONTENT_JSON ? unwrap(a.body) : a.body);
    f->error = STR_EMPTY;
    if (a.head.code != ERR_OK && !a.head.held)
        f->error = jsonr_text(op_json_at(op_fixture_json(f), "error"));
    arena_release(&f->engine.arena);
    return (enum err_code)a.head.code;
}

void op_fixture_ok(struct op_fixture *f, enum wire_op which, struct str body, const struct op_arg *args)
{
    if (op_fixture_run(f, which, body, args) != ERR_OK)
        fail_msg("%s: %.*s", wire_op_name(which), STR_ARG(f->out));
}

const struct jsonr_value *op_fixture_json(struct op_fixture *f)
{
    const struct jsonr_value *root = NULL;
    struct err err = ERR_INIT;
    if (jsonr_parse(&f->arena, f->out, &root, &err) != ERR_OK)
        fail_msg("%s: %.*s", err.message, STR_ARG(f->out));
    return root;
}

const struct jsonr_value *op_json_at(const struct jsonr_value *v, const char *path)
{
    struct str rest = str_of(path), part;
    while (v && str_cut(&rest, '/', &part)) {
        if (jsonr_kind(v) == JSONR_ARRAY) {
            int64_t at = 0;
            const struct jsonr_value *item = jsonr_first(v);
            assert_true(str_to_i64(part, 0, 1000000, &at));
            for (; item && at > 0; at--)
                item = jsonr_next(item);
            v = item;
        } else {
            v = jsonr_kind(v) == JSONR_OBJECT ? jsonr_member(v, part) : NULL;
        }
    }
    return v;
}

const char *op_json_text(const struct jsonr_value *v, const char *path)
{
    v = op_json_at(v, path);
    if (!v || jsonr_kind(v) != JSONR_TEXT)
        fail_msg("%s: %s", path, v ? jsonr_kind_name(jsonr_kind(v)) : "absent");
    return jsonr_text(v).ptr;
}

int64_t op_json_int(const struct jsonr_value *v, const char *path)
{
    v = op_json_at(v, path);
    if (!v || jsonr_kind(v) != JSONR_INT)
        fail_msg("%s: %s", path, v ? jsonr_kind_name(jsonr_kind(v)) : "absent");
    return jsonr_int(v);
}
