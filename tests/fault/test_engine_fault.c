/* Write requests under failure: in round n the nth write, fsync, truncation, opening, reading or allocation
 * of an engine fails, once or for ever, or the engine dies there. Then a fresh engine looks at what is left,
 * and another one at what a power cut would have left. What must hold, for every n until nothing is left to
 * fail:
 *
 *   answered 200          its effect is there exactly once, also after a power cut
 *   answered otherwise    nothing of it is there, unless the answer itself says that it may be
 *   not answered          all or nothing; nothing when the board lets the front send the call again
 *   always                integrity_check finds nothing, and a call with a key can be repeated safely */
#define _GNU_SOURCE /* memmem */
#include "base/fs.h"
#include "lib/engine_fixture.h"
#include "lib/fault.h"
#include "lib/faultplan.h"
#include "lib/unit.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CALLS_MAX = 4, ROUNDS_MAX = 4000, STRIDE_AFTER = 60 };

/* Forks of an instrumented process are slow: there, beyond the first ones, every seventeenth fault has to do.
 */
#ifdef HF_DEBUG
enum { EVERY_ONE_UNTIL = 12, THEN_EVERY = 17 };
#else
enum { EVERY_ONE_UNTIL = ROUNDS_MAX, THEN_EVERY = 1 };
#endif

struct fault_call {
    enum wire_op op;
    const char *body;
    const char *key;    /* Idempotency-Key */
    const char *format; /* IMPORT */
    const char *table;
    const char *effect; /* SELECT of 1 when all of it is there, 0 when nothing is; NULL: the call reads */
    const char *answer; /* what a successful answer holds */
    int statements;     /* of a batch without a transaction: effect counts what was kept */
    bool refused;       /* fails also without a fault */
};

enum phase { WHILE_RUNNING, WHILE_STARTING, WHILE_ENDING };

struct scenario {
    const char *name;
    enum phase phase;
    bool sampled; /* long and uniform: not every n */
    struct fault_call calls[CALLS_MAX];
};

struct failure {
    const char *name;
    enum fault_at at;
    int error;
    bool for_ever;
};

/* What one round saw. */
struct round {
    const struct scenario *sc;
    const struct failure *kind;
    unsigned n;
    struct engine_answer answers[CALLS_MAX];
    bool answered[CALLS_MAX], may_repeat[CALLS_MAX];
    bool started, hit;
    int exit_status;
};

struct bench {
    struct engine_fixture fx;
    struct faultplan *plan;
    char template[FS_PATH_MAX], durable[FS_PATH_MAX], live[FS_PATH_MAX];
};

static const char *const SCHEMA[] = {
    "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)",
    "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE, qty INTEGER)",
    "CREATE INDEX item_qty ON item (qty)",
    "CREATE TABLE audit (id INTEGER PRIMARY KEY, name TEXT)",
    "CREATE TRIGGER item_log AFTER INSERT ON item BEGIN INSERT INTO audit (name) VALUES (new.name); END",
    "CREATE TABLE landed (a INTEGER PRIMARY KEY, b TEXT)",
    ("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
     " INSERT INTO t (v) SELECT 'before ' || i || hex(zeroblob(40)) FROM n"),
};

#define INSERT_ONE                                                                                           \
    {                                                                                                        \
        .op = WIRE_OP_QUERY, .body = "{\"sql\":\"INSERT INTO t (v) VALUES ('one')\"}",                       \
        .effect = "SELECT count(*) FROM t WHERE v = 'one'"                                                   \
    }
#define INSERT_TWO                                                                                           \
    {                                                                                                        \
        .op = WIRE_OP_QUERY, .body = "{\"sql\":\"INSERT INTO t (v) VALUES ('two')\"}",                       \
        .effect = "SELECT count(*) FROM t WHERE v = 'two'"                                                   \
    }
#define COUNT_BEFORE                                                                                         \
    {                                                                                                        \
        .op = WIRE_OP_QUERY, .body = "{\"sql\":\"SELECT count(*) FROM t WHERE v LIKE 'before%'\"}",          \
        .answer = "\"rows\":[[300]]"                                                                         \
    }
#define THREE_ITEMS                                                                                          \
    "{\"sql\":\"INSERT INTO item (name, qty) VALUES ('a', 1)\"},"                                            \
    "{\"sql\":\"INSERT INTO item (name, qty) VALUES ('b', 2)\"},"                                            \
    "{\"sql\":\"INSERT INTO item (name, qty) VALUES ('c', 3)\"}"
#define ITEMS_AND_AUDIT                                                                                      \
    "SELECT CASE WHEN i = 0 AND a = 0 THEN 0 WHEN i = 3 AND a = 3 THEN 1 ELSE -1 END FROM"                   \
    " (SELECT (SELECT count(*) FROM item) AS i, (SELECT count(*) FROM audit) AS a)"

static const struct scenario SCENARIOS[] = {
    {"one insert", WHILE_RUNNING, false, {INSERT_ONE}},
    {"batch in a transaction", WHILE_RUNNING, false,
        {{.op = WIRE_OP_BATCH,
            .body = "{\"transaction\":true,\"statements\":[" THREE_ITEMS "]}",
            .effect = ITEMS_AND_AUDIT}}},
    {"batch without a transaction", WHILE_RUNNING, false,
        {{.op = WIRE_OP_BATCH,
            .body = "{\"transaction\":false,\"statements\":[" THREE_ITEMS "]}",
            .effect = "SELECT count(*) FROM item",
            .statements = 3}}},
    {"insert with a key", WHILE_RUNNING, false,
        {{.op = WIRE_OP_QUERY,
            .body = "{\"sql\":\"INSERT INTO t (v) VALUES ('keyed')\"}",
            .key = "once-only",
            .effect = "SELECT count(*) FROM t WHERE v = 'keyed'"}}},
    {"create table", WHILE_RUNNING, false,
        {{.op = WIRE_OP_QUERY,
            .body = "{\"sql\":\"CREATE TABLE made (a TEXT PRIMARY KEY, b INTEGER)\"}",
            .effect = "SELECT count(*) FROM sqlite_schema WHERE name = 'made'"}}},
    {"import", WHILE_RUNNING, false,
        {{.op = WIRE_OP_IMPORT,
            .body = "{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"b\":\"y\"}\n{\"a\":3,\"b\":\"z\"}\n",
            .format = "ndjson",
            .table = "landed",
            .effect = "SELECT CASE count(*) WHEN 0 THEN 0 WHEN 3 THEN 1 ELSE -1 END FROM landed"}}},
    {"two writes and a read in one turn", WHILE_RUNNING, false, {INSERT_ONE, COUNT_BEFORE, INSERT_TWO}},
    {"a culprit between two writes", WHILE_RUNNING, false,
        {INSERT_ONE,
            {.op = WIRE_OP_QUERY,
                .body = "{\"sql\":\"INSERT OR ROLLBACK INTO t (id, v) VALUES (1, 'taken')\"}",
                .effect = "SELECT count(*) FROM t WHERE v = 'taken'",
                .refused = true},
            INSERT_TWO}},
    {"a write larger than the cache", WHILE_RUNNING, true,
        {{.op = WIRE_OP_QUERY,
            .body =
                "{\"sql\":\"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 800)"
                " INSERT INTO t (v) SELECT 'large' || hex(zeroblob(1990)) FROM n\"}",
            .effect = "SELECT CASE count(*) WHEN 0 THEN 0 WHEN 800 THEN 1 ELSE -1 END"
                      " FROM t WHERE v LIKE 'large%'"}}},
    {"the start of an engine", WHILE_STARTING, false, {INSERT_ONE}},
    {"the end of an engine", WHILE_ENDING, false, {INSERT_ONE, INSERT_TWO}},
};

/* --- Files --- */

static void copy_file(const char *from, const char *to, const char *name)
{
    char source[FS_PATH_MAX], target[FS_PATH_MAX];
    struct strbuf bytes;
    strbuf_init(&bytes, 64 << 20);
    fs_join(source, from, name);
    fs_join(target, to, name);
    if (fs_read_all(source, 64 << 20, &bytes, NULL) == ERR_OK) {
        FILE *f = fopen(target, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(strbuf_cstr(&bytes), 1, bytes.len, f), bytes.len);
        assert_int_equal(fclose(f), 0);
    }
    strbuf_release(&bytes);
}

static void copy_database(const char *from, const char *to)
{
    assert_int_equal(fs_remove_tree(to, NULL), ERR_OK);
    assert_int_equal(fs_mkdir_p(to, 0700, NULL), ERR_OK);
    copy_file(from, to, "main.db");
    copy_file(from, to, "main.db-wal");
}

/* --- Engines --- */

static void enter(void *arg)
{
    faultplan_enter(arg);
}

static bool start(struct bench *b, const char *dir)
{
    struct engine_config cfg = engine_fixture_config(dir, ENGINE_WRITER);
    cfg.no_sandbox = 1;
    return engine_fixture_fork(&b->fx, &cfg, enter, b->plan);
}

static int end(struct bench *b)
{
    return engine_fixture_end(&b->fx, false);
}

static void bench_init(struct bench *b)
{
    engine_fixture_init(&b->fx);
    b->plan = faultplan_new();
    fs_join(b->template, b->fx.dir, "template");
    fs_join(b->durable, b->fx.dir, "durable");
    fs_join(b->live, b->fx.dir, "live");
    assert_int_equal(fs_mkdir_p(b->template, 0700, NULL), ERR_OK);
    assert_true(start(b, b->template));
    for (size_t i = 0; i < ARRAY_LEN(SCHEMA); i++)
        (void)engine_ok(&b->fx, SCHEMA[i]);
    assert_int_equal(end(b), 0);
}

static void bench_release(struct bench *b)
{
    faultplan_free(b->plan);
    engine_fixture_release(&b->fx);
}

/* --- A round --- */

static void wrong(const struct round *r, const char *what, struct str seen)
{
    fail_msg("%s: %s, n = %u: %s\n  %.*s", r->sc->name, r->kind->name, r->n, what, STR_ARG(seen));
}

static bool has(struct str text, const char *part)
{
    return text.len > 0 && memmem(text.ptr, text.len, part, strlen(part));
}

static struct wire_call wire_call_of(const struct fault_call *c)
{
    struct wire_call w = engine_call_new(c->op, c->body);
    if (c->key)
        w.idempotency_key = str_of(c->key);
    if (c->format) {
        w.args[w.arg_count++] = (struct wire_arg){S("format"), str_of(c->format)};
        w.args[w.arg_count++] = (struct wire_arg){S("table"), str_of(c->table)};
    }
    return w;
}

static size_t call_count(const struct scenario *sc)
{
    size_t n = 0;
    while (n < CALLS_MAX && sc->calls[n].body)
        n++;
    return n;
}

/* All calls in one turn, and what came back. */
static void run_calls(struct bench *b, struct round *r)
{
    struct engine_answer a;
    uint64_t first = b->fx.next_id;
    size_t count = call_count(r->sc);
    for (size_t i = 0; i < count; i++) {
        struct wire_call w = wire_call_of(&r->sc->calls[i]);
        (void)engine_queue(&b->fx, &w);
    }
    /* On a busy machine the engine can have met its fault, and ended, before it has all of them. */
    (void)engine_try_send_all(&b->fx);
    for (size_t i = 0; i < count && engine_try_receive(&b->fx, &a); i++) {
        size_t at = (size_t)(a.id - first);
        assert_true(at < count && !r->answered[at]);
        r->answers[at] = a;
        r->answered[at] = true;
    }
    uint64_t running = b->fx.board->running_call;
    for (size_t i = 0; i < count; i++)
        r->may_repeat[i] = b->fx.board->phase != BOARD_COMMITTING && running != first + i;
}

/* A full disk ends nothing: reads go on, and so do writes once there is room. */
static void check_goes_on(struct bench *b, const struct round *r)
{
    bool full = false;
    for (size_t i = 0; i < call_count(r->sc); i++)
        full = full || (r->answered[i] && r->answers[i].head.status == 507);
    if (!full)
        return;
    struct engine_answer read = engine_sql(&b->fx, "SELECT count(*) FROM t WHERE v LIKE 'before%'", NULL);
    faultplan_off(b->plan);
    struct engine_answer write = engine_sql(&b->fx, "INSERT INTO t (v) VALUES ('room')", NULL);
    if (read.head.status != 200 || !has(read.body, "[[300]]"))
        wrong(r, "reading from a full disk", read.body);
    if (write.head.status != 200)
        wrong(r, "writing once there is room", write.body);
}

static void arm(struct bench *b, const struct round *r)
{
    faultplan_arm(b->plan, r->kind->at, r->n, r->kind->error, r->kind->for_ever);
}

static void run_faulty(struct bench *b, struct round *r)
{
    copy_database(b->template, b->live);
    copy_database(b->template, b->durable);
    (void)snprintf(b->plan->durable, sizeof b->plan->durable, "%s", b->durable);
    if (r->sc->phase == WHILE_STARTING)
        arm(b, r);
    r->started = start(b, b->live);
    faultplan_off(b->plan);
    if (r->sc->phase == WHILE_RUNNING)
        arm(b, r);
    if (r->started) {
        run_calls(b, r);
        check_goes_on(b, r);
    }
    faultplan_off(b->plan);
    if (r->sc->phase == WHILE_ENDING)
        arm(b, r);
    r->exit_status = engine_fixture_end(&b->fx, false);
    faultplan_off(b->plan);
    r->hit = b->plan->hits > 0;
    b->plan->durable[0] = '\0';
}

/* --- What is left --- */

static int effect_of(struct bench *b, const struct round *r, const struct fault_call *c)
{
    static const char ROWS[] = "\"rows\":[[";
    struct engine_answer a = engine_sql(&b->fx, c->effect, NULL);
    const char *at = a.body.len ? memmem(a.body.ptr, a.body.len, ROWS, sizeof ROWS - 1) : NULL;
    if (a.head.status != 200 || !at) {
        wrong(r, "the effect cannot be read", a.body);
        return 0;
    }
    return atoi(at + sizeof ROWS - 1);
}

/* What the answer allows to be there. A batch without a transaction keeps what came before its failing
 * statement. */
static bool effect_fits(const struct round *r, size_t i, int effect)
{
    const struct fault_call *c = &r->sc->calls[i];
    int all = c->statements ? c->statements : 1, failed_at;
    struct str body = r->answers[i].body;
    if (!r->answered[i])
        return effect == 0 || (effect == all && !r->may_repeat[i]) || (c->statements && !r->may_repeat[i]);
    if (r->answers[i].head.status == 200)
        return effect == all;
    if (has(body, "may have been kept"))
        return effect == 0 || effect == all;
    const char *index = memmem(body.ptr, body.len, "\"statementIndex\":", 17);
    failed_at = index && c->statements ? atoi(index + 17) : 0;
    return effect == failed_at;
}

static void check_effects(struct bench *b, const struct round *r, bool power_cut)
{
    for (size_t i = 0; i < call_count(r->sc); i++) {
        const struct fault_call *c = &r->sc->calls[i];
        if (!c->effect)
            continue;
        int effect = effect_of(b, r, c);
        bool fits = effect_fits(r, i, effect);
        if (power_cut && !(r->answered[i] && r->answers[i].head.status == 200))
            fits = fits || effect == 0 || effect == (c->statements ? c->statements : 1);
        if (fits)
            continue;
        print_error("call %zu: effect %d, answered %d, status %d, phase allows a repeat %d, power cut %d\n",
            i, effect, r->answered[i], r->answers[i].head.status, r->may_repeat[i], power_cut);
        wrong(r, "the effect does not fit the answer", r->answers[i].body);
    }
}

static void check_integrity(struct bench *b, const struct round *r)
{
    struct wire_call w = engine_call_new(WIRE_OP_INTEGRITY, "");
    struct engine_answer a = engine_ask(&b->fx, &w);
    if (a.head.status != 200 || !has(a.body, "\"ok\":true"))
        wrong(r, "integrity", a.body);
}

/* A call with a key is sent again, whatever became of it. */
static void check_repeat(struct bench *b, const struct round *r)
{
    for (size_t i = 0; i < call_count(r->sc); i++) {
        const struct fault_call *c = &r->sc->calls[i];
        if (!c->key)
            continue;
        struct wire_call w = wire_call_of(c);
        struct engine_answer a = engine_ask(&b->fx, &w);
        bool acknowledged = r->answered[i] && r->answers[i].head.status == 200;
        if (a.head.status != 200 || (acknowledged && !a.head.idempotency_replayed))
            wrong(r, "the repeated call", a.body);
        if (effect_of(b, r, c) != 1)
            wrong(r, "a repeated key ran twice or not at all", a.body);
    }
}

static void check_directory(struct bench *b, const struct round *r, const char *dir, bool power_cut)
{
    if (!start(b, dir))
        wrong(r, "a fresh engine does not start", str_of(dir));
    check_effects(b, r, power_cut);
    check_integrity(b, r);
    check_repeat(b, r);
    assert_int_equal(end(b), 0);
}

/* Which answers a kind of fault may cause, and how the engine may end. */
static void check_answers(const struct round *r)
{
    for (size_t i = 0; i < call_count(r->sc); i++) {
        const struct fault_call *c = &r->sc->calls[i];
        struct str body = r->answers[i].body;
        int status = r->answers[i].head.status;
        if (!r->answered[i])
            continue;
        if (status == 200 && c->answer && !has(body, c->answer))
            wrong(r, "a wrong answer", body);
        if (status != 200 && status != 503 && status != 507 && !(status == 400 && has(body, "memory")) &&
            !(status == 400 && c->refused) && r->kind->at != FAULT_AT_MEM)
            wrong(r, "an answer that says nothing of the failure", body);
        if (status == 507 && r->kind->error != ENOSPC)
            wrong(r, "507 although the disk was not full", body);
    }
}

static void check_end(const struct bench *b, const struct round *r)
{
    int s = r->exit_status;
    bool died = WIFSIGNALED(s);
    if (died && !(r->kind->error == FAULT_DIE && WTERMSIG(s) == SIGKILL) &&
        !(r->kind->at == FAULT_AT_MEM && WTERMSIG(s) == SIGABRT))
        wrong(r, "the engine crashed", STR_EMPTY);
    if (!died && WEXITSTATUS(s) != 0 && !r->hit)
        wrong(r, "the engine left without a reason", STR_EMPTY);
    if (!died && r->hit && !b->plan->harmless && r->kind->at == FAULT_AT_SYNC &&
        WEXITSTATUS(s) != ENGINE_EXIT_IO)
        wrong(r, "the engine trusts a file whose fsync failed", STR_EMPTY);
    if (b->plan->trespasses > 0)
        wrong(r, "the file was touched after a failed fsync", STR_EMPTY);
    for (size_t i = 0; !died && r->started && i < call_count(r->sc); i++) {
        if (!r->answered[i] && r->kind->at != FAULT_AT_MEM)
            wrong(r, "a call was not answered", STR_EMPTY);
    }
}

static bool run_round(struct bench *b, const struct scenario *sc, const struct failure *kind, unsigned n)
{
    struct round r = {.sc = sc, .kind = kind, .n = n};
    run_faulty(b, &r);
    check_answers(&r);
    check_end(b, &r);
    check_directory(b, &r, b->live, false);
    check_directory(b, &r, b->durable, true);
    arena_release(&b->fx.arena);
    return r.hit;
}

/* Long runs of alike operations are sampled, and the thousands of SQLite's allocations (fault_step). */
static unsigned after(const struct scenario *sc, const struct failure *kind, unsigned n)
{
    if (n > STRIDE_AFTER && sc->sampled)
        return n + n / 10;
    if (n > EVERY_ONE_UNTIL)
        return n + THEN_EVERY;
    return kind->at == FAULT_AT_SQLITE_MEM ? fault_step(n) : n + 1;
}

/* Every n until none is reached, but what is left out by after(). */
static unsigned run_kind(struct bench *b, const struct scenario *sc, const struct failure *kind)
{
    unsigned rounds = 0, n = 1;
    while (run_round(b, sc, kind, n)) {
        assert_true(++rounds < ROUNDS_MAX);
        n = after(sc, kind, n);
    }
    return rounds;
}

static void run_all(const struct failure *kinds, size_t count, unsigned least)
{
    struct bench b = {.plan = NULL};
    bench_init(&b);
    for (size_t k = 0; k < count; k++) {
        unsigned total = 0;
        for (size_t i = 0; i < ARRAY_LEN(SCENARIOS); i++) {
            unsigned rounds = run_kind(&b, &SCENARIOS[i], &kinds[k]);
            total += rounds;
            print_message("%-28s %-36s %u faults\n", kinds[k].name, SCENARIOS[i].name, rounds);
        }
        assert_in_range(total, least, UINT32_MAX); /* faults were really injected */
    }
    bench_release(&b);
}

#define RUN(least, ...)                                                                                      \
    do {                                                                                                     \
        static const struct failure KINDS[] = {__VA_ARGS__};                                                 \
        (void)state;                                                                                         \
        run_all(KINDS, ARRAY_LEN(KINDS), least);                                                             \
    } while (0)

void test_engine_fault__write(void **state)
{
    RUN(20, {"write: EIO", FAULT_AT_WRITE, EIO, false}, {"write: EIO for ever", FAULT_AT_WRITE, EIO, true});
}

void test_engine_fault__disk_full(void **state)
{
    RUN(20, {"write: ENOSPC", FAULT_AT_WRITE, ENOSPC, false},
        {"write: ENOSPC for ever", FAULT_AT_WRITE, ENOSPC, true},
        {"short write", FAULT_AT_WRITE, FAULT_SHORT, false});
}

void test_engine_fault__fsync(void **state)
{
    RUN(5, {"fsync: EIO", FAULT_AT_SYNC, EIO, false}, {"fsync: EIO for ever", FAULT_AT_SYNC, EIO, true});
}

void test_engine_fault__truncate_open_read_map(void **state)
{
    RUN(1, {"truncate: EIO", FAULT_AT_TRUNCATE, EIO, false}, {"open: EIO", FAULT_AT_OPEN, EIO, false},
        {"open: EMFILE for ever", FAULT_AT_OPEN, EMFILE, true}, {"read: EIO", FAULT_AT_READ, EIO, false},
        {"read: EIO for ever", FAULT_AT_READ, EIO, true}, {"mmap: ENOMEM", FAULT_AT_MMAP, ENOMEM, false});
}

void test_engine_fault__death(void **state)
{
    RUN(3, {"death at a write", FAULT_AT_WRITE, FAULT_DIE, false},
        {"death at a fsync", FAULT_AT_SYNC, FAULT_DIE, false},
        {"death at a truncation", FAULT_AT_TRUNCATE, FAULT_DIE, false});
}

void test_memory_fault__of_sqlite(void **state)
{
    RUN(100, {"SQLite's memory", FAULT_AT_SQLITE_MEM, ENOMEM, false});
}

void test_memory_fault__of_sqlite_for_ever(void **state)
{
    RUN(100, {"SQLite's memory for ever", FAULT_AT_SQLITE_MEM, ENOMEM, true});
}

void test_memory_fault__of_our_own(void **state)
{
    RUN(10, {"own memory", FAULT_AT_MEM, ENOMEM, false}, {"own memory for ever", FAULT_AT_MEM, ENOMEM, true});
}
