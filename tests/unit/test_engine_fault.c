/* The nth allocation, write or fsync of a turn fails, for every n: what was answered with success is in the
 * file, once; what was not has left nothing; and another engine opens the file. The engine runs inside the
 * test's process. */
#define _GNU_SOURCE /* memfd_create, memmem */
#include "base/clock.h"
#include "engine/task.h"
#include "lib/fault.h"
#include "lib/tmpdir.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CALLS = 4, ROUNDS_MAX = 4000 };

struct lab {
    struct tmpdir dir;
    struct engine eng;
    struct board board;
    int fd; /* the front's end */
    bool running;
};

static enum err_code lab_start(struct lab *lab, struct err *err)
{
    int pair[2];
    struct engine_config cfg = {.mode = ENGINE_WRITER, .db_bytes_max = 1 << 28};
    (void)snprintf(cfg.dir, sizeof cfg.dir, "%.*s", (int)sizeof cfg.dir - 1, lab->dir.path);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    lab->fd = pair[0];
    memset(&lab->board, 0, sizeof lab->board);
    engine_init(&lab->eng, &cfg, pair[1], &lab->board);
    lab->running = true;
    return engine_start(&lab->eng, err);
}

/* As the end of the process would: nothing more is written to the file. */
static void lab_end(struct lab *lab)
{
    if (!lab->running)
        return;
    if (lab->eng.db)
        (void)sqlite3_db_config(lab->eng.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    int fd = lab->eng.channel.fd;
    engine_release(&lab->eng);
    (void)close(fd);
    (void)close(lab->fd);
    lab->running = false;
}

static void put(struct strbuf *out, uint64_t id, enum wire_op op, const char *body, struct str key)
{
    struct wire_call call = {.op = op,
        .role = WIRE_ROLE_ADMIN,
        .deadline_us = clock_mono_us() + 60000000,
        .request_id = S("r"),
        .token_id = S("t"),
        .idempotency_key = key,
        .plan_key = STR_EMPTY,
        .plan_step = STR_EMPTY,
        .body = str_of(body)};
    wire_put_call(out, id, &call);
}

static char g_answer[8192]; /* how the last one begins */

/* Sends the calls, takes one turn, and notes the status of each answer; 0: none came. */
static void take_turn(struct lab *lab, const struct strbuf *frames, uint16_t status[CALLS + 1])
{
    struct err err = ERR_INIT;
    AUTO_STRBUF in;
    ssize_t n;
    strbuf_init(&in, 1 << 20);
    assert_int_equal(write(lab->fd, frames->buf, frames->len), frames->len);
    assert_int_equal(channel_fill(&lab->eng.channel, &err), ERR_OK);
    assert_int_equal(turn_run(&lab->eng, &err), ERR_OK);
    char *at = strbuf_reserve(&in, 1 << 19);
    while ((n = recv(lab->fd, at, 1 << 19, MSG_DONTWAIT)) > 0) {
        strbuf_commit(&in, (size_t)n);
        at = strbuf_reserve(&in, 1 << 18);
    }
    for (struct str rest = strbuf_str(&in); rest.len > 0;) {
        struct wire_header h;
        struct wire_reply_head head;
        struct str chunk;
        size_t size;
        assert_int_equal(wire_peek(rest, &h, &size, NULL), ERR_OK);
        assert_true(size > 0);
        if (h.type == WIRE_REPLY) {
            assert_int_equal(
                wire_get_reply(h.flags, str_slice(rest, WIRE_HEADER_SIZE, size), &head, &chunk, NULL),
                ERR_OK);
            assert_true(h.call_id >= 1 && h.call_id <= CALLS);
            status[h.call_id] = head.status;
            str_print_cut(g_answer, sizeof g_answer, STR_FMT, STR_ARG(chunk));
        }
        rest = str_slice(rest, size, rest.len);
    }
}

static int64_t ask(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t v = sqlite3_column_int64(stmt, 0);
    assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
    return v;
}

static void make_calls(struct strbuf *out)
{
    put(out, 1, WIRE_OP_QUERY, "{\"sql\":\"INSERT INTO t (v) VALUES ('one')\"}", STR_EMPTY);
    put(out, 2, WIRE_OP_BATCH,
        "{\"transaction\":true,\"statements\":[{\"sql\":\"INSERT INTO t (v) VALUES "
        "('two')\"},{\"sql\":\"UPDATE t SET n = n + 1 WHERE v "
        "= 'base'\"}]}",
        STR_EMPTY);
    put(out, 3, WIRE_OP_QUERY, "{\"sql\":\"INSERT INTO t (v) VALUES ('three')\"}", S("key"));
    put(out, 4, WIRE_OP_QUERY, "{\"sql\":\"INSERT INTO t (v) SELECT 'many' FROM t a, t b LIMIT 300\"}",
        STR_EMPTY);
}

/* The file against the answers. */
static void check_file(struct lab *lab, const uint16_t status[CALLS + 1], const char *what, unsigned round)
{
    struct err err = ERR_INIT;
    if (lab_start(lab, &err) != ERR_OK)
        fail_msg("%s %u: does not open again: %s", what, round, err.message);
    sqlite3 *db = lab->eng.db;
    struct guard_saved saved = guard_enter_own(&lab->eng.guard);
    int64_t one = ask(db, "SELECT count(*) FROM t WHERE v = 'one'"),
            two = ask(db, "SELECT count(*) FROM t WHERE v = 'two'");
    int64_t bumped = ask(db, "SELECT n FROM t WHERE v = 'base'"),
            three = ask(db, "SELECT count(*) FROM t WHERE v = 'three'");
    int64_t kept = ask(db, "SELECT count(*) FROM _sys_applied"),
            many = ask(db, "SELECT count(*) FROM t WHERE v = 'many'");
    int64_t sound = ask(db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'");
    guard_leave(&lab->eng.guard, saved);
    /* After a failed disk each answer is 503: all of the turn's transaction is there, or nothing. One whose
     * memory failed has 503 alone, and the others' work was done again. */
    bool unknown = true;
    for (int i = 1; i <= CALLS; i++)
        unknown = unknown && status[i] == 503;
    int64_t all = one;
    bool ok = unknown
                  ? two == all && bumped == all && three == all && kept == all && many == all * 300
                  : one == (status[1] == 200) && two == (status[2] == 200) && bumped == two &&
                        three == (status[3] == 200) && kept == three && many == (status[4] == 200 ? 300 : 0);
    ok = ok && sound == 1;
    for (int i = 1; i <= CALLS; i++)
        ok = ok && status[i] != 0;
    if (!ok)
        fail_msg("%s %u: answers %d %d %d %d, file %d %d %d %d %d %d, sound %d", what, round, status[1],
            status[2], status[3], status[4], (int)one, (int)two, (int)bumped, (int)three, (int)kept,
            (int)many, (int)sound);
    lab_end(lab);
}

static void prepare(struct lab *lab)
{
    struct err err = ERR_INIT;
    tmpdir_init(&lab->dir);
    assert_int_equal(lab_start(lab, &err), ERR_OK);
    assert_int_equal(
        sqlite3_exec(lab->eng.db,
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, n INTEGER DEFAULT 0); CREATE INDEX t_v ON t (v);"
            "INSERT INTO t (v) VALUES ('base'), ('b'), ('c'), ('d'), ('e'), ('f'), ('g'), ('h'), ('i'), "
            "('j'),"
            "('k'), ('l'), ('m'), ('n'), ('o'), ('p'), ('q'), ('r')",
            NULL, NULL, NULL),
        SQLITE_OK);
}

static void turn_under(enum fault_kind kind, const char *what, unsigned points_min)
{
    unsigned failed = 0;
    fault_start(kind);
    while (fault_next()) {
        struct lab lab = {.running = false};
        uint16_t status[CALLS + 1] = {0};
        AUTO_STRBUF frames;
        fault_off();
        strbuf_init(&frames, 1 << 20);
        make_calls(&frames);
        prepare(&lab);
        fault_rearm();
        take_turn(&lab, &frames, status);
        fault_off();
        failed += status[1] != 200 || status[2] != 200 || status[3] != 200 || status[4] != 200;
        lab_end(&lab);
        check_file(&lab, status, what, fault_points());
        tmpdir_release(&lab.dir);
    }
    assert_in_range(fault_points(), points_min, ROUNDS_MAX);
    assert_in_range(failed, 1, fault_points());
}

void test_engine_fault__a_turn_without_memory(void **state)
{
    (void)state;
    turn_under(FAULT_SQLITE_MEM, "allocation", 20);
}

void test_engine_fault__a_turn_on_a_full_disk(void **state)
{
    (void)state;
    turn_under(FAULT_SQLITE_WRITE, "write", 3);
}

void test_engine_fault__a_turn_whose_fsync_fails(void **state)
{
    (void)state;
    turn_under(FAULT_SQLITE_SYNC, "fsync", 1);
}

/* --- Proposals: a token is consumed with its effect, or neither is --- */

static void send_one(struct lab *lab, enum wire_op op, const char *body, uint16_t *ret_status)
{
    uint16_t status[CALLS + 1] = {0};
    AUTO_STRBUF frames;
    strbuf_init(&frames, 1 << 20);
    put(&frames, 1, op, body, STR_EMPTY);
    take_turn(lab, &frames, status);
    *ret_status = status[1];
}

#define PROPOSED "{\"sql\":\"UPDATE t SET n = n + 1 WHERE v = 'base'\"}"

/* Rows changed, proposals that are applied, all proposals. */
static void look(struct lab *lab, int64_t out[3])
{
    struct guard_saved saved = guard_enter_own(&lab->eng.guard);
    out[0] = ask(lab->eng.db, "SELECT sum(n) FROM t");
    out[1] =
        ask(lab->eng.db, "SELECT count(*) FROM _sys_proposal WHERE state = 'applied' AND token_hash IS NULL");
    out[2] = ask(lab->eng.db, "SELECT count(*) FROM _sys_proposal");
    assert_int_equal(
        ask(lab->eng.db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
    guard_leave(&lab->eng.guard, saved);
}

static void restart(struct lab *lab)
{
    struct err err = ERR_INIT;
    lab_end(lab);
    if (lab_start(lab, &err) != ERR_OK)
        fail_msg("does not open again: %s", err.message);
}

/* What is in the file after `status`; 503 says that it may be kept or not. */
static void expect_file(struct lab *lab, const char *what, uint16_t status, int64_t effect, int64_t proposals)
{
    int64_t seen[3];
    look(lab, seen);
    bool unknown = status == 503;
    bool ok = seen[0] == seen[1] && (seen[0] == effect || (unknown && seen[0] <= 1)) &&
              (seen[2] == proposals || (unknown && seen[2] <= 1));
    if (!ok)
        fail_msg("%s at fault %u: answer %d, rows %d, applied %d, proposals %d", what, fault_points(), status,
            (int)seen[0], (int)seen[1], (int)seen[2]);
}

static void apply_again(struct lab *lab, const char *body)
{
    int64_t before[3], after[3];
    uint16_t status;
    look(lab, before);
    send_one(lab, WIRE_OP_APPLY, body, &status);
    look(lab, after);
    assert_int_equal(status, before[0] ? 404 : 200);
    assert_int_equal(after[0], 1);
}

static void proposals_under(enum fault_kind kind)
{
    fault_start(kind);
    while (fault_next()) {
        struct lab lab = {.running = false};
        char body[200];
        uint16_t proposed, applied;
        fault_off();
        prepare(&lab);
        fault_rearm();
        send_one(&lab, WIRE_OP_PROPOSE, PROPOSED, &proposed);
        if (proposed == 200) {
            const char *token = strstr(g_answer, "pmut_");
            assert_non_null(token);
            str_print(body, sizeof body, "{\"executionToken\":\"%.54s\"}", token);
            send_one(&lab, WIRE_OP_APPLY, body, &applied);
            fault_off();
            restart(&lab);
            expect_file(&lab, "apply", applied, applied == 200, 1);
            apply_again(&lab, body);
        } else {
            fault_off();
            restart(&lab);
            expect_file(&lab, "propose", proposed, 0, 0);
        }
        lab_end(&lab);
        tmpdir_release(&lab.dir);
    }
    assert_in_range(fault_points(), 1, ROUNDS_MAX);
}

void test_engine_fault__proposals_without_memory(void **state)
{
    (void)state;
    proposals_under(FAULT_SQLITE_MEM);
}

void test_engine_fault__proposals_on_a_full_disk(void **state)
{
    (void)state;
    proposals_under(FAULT_SQLITE_WRITE);
}

void test_engine_fault__proposals_whose_fsync_fails(void **state)
{
    (void)state;
    proposals_under(FAULT_SQLITE_SYNC);
}

/* A start that fails says so, and the next one works. */
static void start_under(enum fault_kind kind)
{
    fault_start(kind);
    while (fault_next()) {
        struct lab lab = {.running = false};
        struct err err = ERR_INIT;
        tmpdir_init(&lab.dir);
        fault_rearm();
        enum err_code rc = lab_start(&lab, &err);
        fault_off();
        lab_end(&lab);
        if (rc != ERR_OK)
            assert_int_equal(lab_start(&lab, &err), ERR_OK);
        lab_end(&lab);
        tmpdir_release(&lab.dir);
    }
    assert_in_range(fault_points(), 2, ROUNDS_MAX);
}

void test_engine_fault__a_start_without_memory(void **state)
{
    (void)state;
    start_under(FAULT_SQLITE_MEM);
}

void test_engine_fault__a_start_on_a_full_disk(void **state)
{
    (void)state;
    start_under(FAULT_SQLITE_WRITE);
}

void test_engine_fault__a_start_whose_fsync_fails(void **state)
{
    (void)state;
    start_under(FAULT_SQLITE_SYNC);
}
