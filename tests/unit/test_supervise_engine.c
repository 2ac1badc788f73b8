/* The supervisor over real engines: a zygote exec'd from this binary, the sandbox, SQLite. */
#include "base/fs.h"
#include "lib/supervise_fixture.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct engine_starter *make(struct loop *l, struct supervisor *s)
{
    return zygote_starter_new(l, s, "/proc/self/exe");
}

static struct fixture *fixture_new(void)
{
    struct supervise_options opt = options();
    opt.db_bytes_max = 64 << 20;
    opt.kill_grace_us = 2 * SECOND; /* on a busy machine an engine that would answer must have the time */
    return fixture_made(opt, make);
}

static void new_database(struct fixture *fx, const char *id)
{
    char parent[FS_PATH_MAX], path[FS_PATH_MAX];
    fs_join(parent, fx->dir.path, "db");
    fs_join(path, parent, id);
    assert_int_equal(fs_mkdir_p(path, 0700, NULL), ERR_OK);
}

/* The first line or string of a file of /proc, "" when there is none any more. */
static void read_proc(pid_t pid, const char *name, char *out, int size)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    FILE *in = fopen(path, "r");
    if (!in || !fgets(out, size, in))
        out[0] = '\0';
    if (in)
        fclose(in);
}

/* The zygote, 0 while none runs: the child that calls itself so. Another test may have left a child that
 * ended, of which nothing but its number is left. */
static pid_t zygote_of(pid_t parent)
{
    char list[64], text[1024], *at = text;
    (void)snprintf(list, sizeof list, "task/%d/children", (int)parent);
    read_proc(parent, list, text, sizeof text);
    for (long pid; (pid = strtol(at, &at, 10)) > 0;) {
        char command[64] = "";
        read_proc((pid_t)pid, "cmdline", command, sizeof command);
        if (strcmp(command, "holdfast") == 0)
            return (pid_t)pid;
    }
    return 0;
}

/* The only engine of the only zygote. */
static pid_t engine_of(pid_t zygote)
{
    char list[64], text[64];
    (void)snprintf(list, sizeof list, "task/%d/children", (int)zygote);
    read_proc(zygote, list, text, sizeof text);
    return (pid_t)atoi(text);
}

/* Processor time that a process has used, in clock ticks. */
static long ticks_of(pid_t pid)
{
    char path[64], text[1024] = "";
    long user = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    assert_non_null(fgets(text, sizeof text, in));
    fclose(in);
    char *after_name = strrchr(text, ')');
    assert_non_null(after_name);
    assert_int_equal(sscanf(after_name, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld", &user), 1);
    return user;
}

static void expect_sql(struct fixture *fx, const char *db, const char *body, const char *part)
{
    struct tcall t = tcall(fx, db, body);
    submit(&t);
    run(fx);
    if (t.err.code != ERR_OK || !strstr(strbuf_cstr(&t.got), part))
        fail_msg("%s %s instead of %s", t.err.message, strbuf_cstr(&t.got), part);
    assert_int_equal(t.ends, 1);
    strbuf_release(&t.got);
}

void test_supervise_engine__databases_are_written_and_read(void **state)
{
    struct fixture *fx = fixture_new();
    static struct tcall calls[200];
    (void)state;
    new_database(fx, "db_1");
    new_database(fx, "db_2");
    expect_sql(fx, "db_1", "{\"sql\":\"CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)\"}", "\"success\":true");
    expect_sql(fx, "db_2", "{\"sql\":\"CREATE TABLE u(x)\"}", "\"success\":true");
    for (int i = 0; i < 200; i++) {
        calls[i] = tcall(fx, i % 2 ? "db_1" : "db_2",
            i % 2 ? "{\"sql\":\"INSERT INTO t(b) VALUES ('x')\"}" : "{\"sql\":\"INSERT INTO u VALUES (1)\"}");
        submit(&calls[i]);
    }
    run(fx);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(calls[i].head.status, 200);
        strbuf_release(&calls[i].got);
    }
    expect_sql(fx, "db_1", "{\"sql\":\"SELECT 'n=' || count(*) FROM t\"}", "n=100");
    expect_sql(fx, "db_2", "{\"sql\":\"SELECT 'n=' || count(*) FROM u\"}", "n=100");
    struct supervise_stats st = stats(fx);
    assert_int_equal(st.engines, 2);
    assert_true(st.commits < 100); /* groups, not one commit a call */
    fixture_free(fx);
}

/* Acknowledged writes survive a SIGKILL of the engine; the call that ran then is the only one that fails. */
void test_supervise_engine__a_killed_engine_loses_nothing(void **state)
{
    struct fixture *fx = fixture_new();
    struct tcall slow = tcall(fx, "db_1",
        "{\"sql\":\"WITH RECURSIVE c(n) AS (VALUES(1) UNION ALL SELECT n+1 FROM c) "
        "SELECT count(*) FROM c\"}");
    (void)state;
    new_database(fx, "db_1");
    expect_sql(fx, "db_1", "{\"sql\":\"CREATE TABLE t(a)\"}", "\"success\":true");
    expect_sql(fx, "db_1", "{\"sql\":\"INSERT INTO t VALUES (7)\"}", "\"success\":true");
    pid_t engine = engine_of(zygote_of(getpid()));
    assert_true(engine > 0);
    long before = ticks_of(engine);
    submit(&slow);
    for (int i = 0; i < 1000 && ticks_of(engine) < before + 3; i++)
        run_for(fx, 10000); /* until it surely runs the statement */
    assert_int_equal(kill(engine, SIGKILL), 0);
    run(fx);
    expect_failed(&slow, ERR_WORKER_CRASHED);
    expect_sql(fx, "db_1", "{\"sql\":\"SELECT 'sum=' || sum(a) FROM t\"}", "sum=7");
    assert_int_equal(stats(fx).crashes, 1);
    fixture_free(fx);
}

void test_supervise_engine__a_statement_past_its_deadline_is_answered(void **state)
{
    struct fixture *fx = fixture_new();
    struct tcall slow = tcall(fx, "db_1",
                     "{\"sql\":\"WITH RECURSIVE c(n) AS (VALUES(1) UNION ALL SELECT n+1 FROM c) "
                     "SELECT count(*) FROM c\"}"),
                 deaf = tcall(fx, "db_1",
                     "{\"sql\":\"SELECT instr(printf('%.*c',3000000,'a')||'b', "
                     "printf('%.*c',1500000,'a')||'c')\"}");
    (void)state;
    new_database(fx, "db_1");
    expect_sql(fx, "db_1", "{\"sql\":\"SELECT 1\"}", "\"success\":true");
    slow.call.req.deadline_us = clock_mono_us() + 50000;
    submit(&slow);
    run(fx);
    assert_int_equal(slow.head.status, 504);
    assert_int_equal(stats(fx).kills_deadline, 0);
    strbuf_release(&slow.got);
    deaf.call.req.deadline_us = clock_mono_us() + 50000;
    submit(&deaf);
    run(fx); /* a C call that no interrupt reaches, if the guard lets it, would take hours */
    assert_int_equal(deaf.ends, 1);
    strbuf_release(&deaf.got);
    expect_sql(fx, "db_1", "{\"sql\":\"SELECT 'alive'\"}", "alive");
    fixture_free(fx);
}

static void expect_keyed(struct fixture *fx, const char *body, const char *key, const char *part)
{
    struct tcall t = tcall(fx, "db_1", body);
    t.call.req.idempotency_key = str_of(key);
    t.call.req.token_id = S("tok_1");
    submit(&t);
    run(fx);
    assert_int_equal(t.err.code, ERR_OK);
    assert_int_equal(t.head.status, 200);
    if (!strstr(strbuf_cstr(&t.got), part))
        fail_msg("%s instead of %s", strbuf_cstr(&t.got), part);
    strbuf_release(&t.got);
}

/* A zygote that dies takes its engines with it, perhaps in the middle of a commit: a call with a key is done
 * once all the same, and nobody is blamed. */
/* An engine whose priority fell for a long read is exchanged once it is idle, without any call noticing. */
void test_supervise_engine__one_that_stands_back_is_exchanged(void **state)
{
    struct fixture *fx = fixture_new();
    struct tcall slow = tcall(fx, "db_1",
        "{\"sql\":\"WITH RECURSIVE c(n) AS (VALUES(1) UNION ALL SELECT n+1 FROM c) "
        "SELECT count(*) FROM c\"}");
    (void)state;
    new_database(fx, "db_1");
    expect_sql(fx, "db_1", "{\"sql\":\"CREATE TABLE t(a)\"}", "\"success\":true");
    pid_t zygote = zygote_of(getpid()), engine = engine_of(zygote);
    assert_int_equal(stats(fx).engines, 1);
    slow.call.req.deadline_us = clock_mono_us() + 200000;
    submit(&slow);
    run(fx);
    for (int i = 0; i < 1000 && stats(fx).engines > 0; i++)
        run_for(fx, 10000);
    assert_int_equal(stats(fx).engines, 0);
    expect_sql(fx, "db_1", "{\"sql\":\"SELECT 'n=' || count(*) FROM t\"}", "n=0");
    assert_true(engine_of(zygote) != engine);
    assert_int_equal(stats(fx).crashes, 0);
    strbuf_release(&slow.got);
    fixture_free(fx);
}

void test_supervise_engine__the_zygote_is_started_again(void **state)
{
    struct fixture *fx = fixture_new();
    pid_t zygote, last = 0, gone = fork();
    (void)state;
    if (gone == 0)
        _exit(0); /* a child that nobody waits for must not be taken for the zygote */
    new_database(fx, "db_1");
    expect_sql(fx, "db_1", "{\"sql\":\"CREATE TABLE t(a)\"}", "\"success\":true");
    for (int i = 0; i < 4; i++) {
        for (int turns = 0; (zygote = zygote_of(getpid())) == 0 || zygote == last; turns++) {
            assert_in_range(turns, 0, 10000);
            run_for(fx, 1000); /* a call may have been answered before the end was noticed */
        }
        assert_int_equal(kill(zygote, SIGKILL), 0);
        last = zygote;
        char key[] = {'k', (char)('0' + i), '\0'};
        expect_keyed(fx, "{\"sql\":\"INSERT INTO t VALUES (1)\"}", key, "\"success\":true");
    }
    /* The last engine may still be dying, with a commit behind it that it did not live to call done. */
    expect_keyed(fx, "{\"sql\":\"SELECT 'n=' || count(*) FROM t\"}", "last", "n=4");
    assert_int_equal(stats(fx).crashes, 0);
    while (!supervise_ready(fx->s))
        run_for(fx, 1000);
    fixture_free(fx);
    assert_int_equal(waitpid(gone, NULL, 0), gone);
}

/* Leaving is checkpointing: no log stays behind. */
void test_supervise_engine__an_engine_that_leaves_checkpoints(void **state)
{
    struct fixture *fx = fixture_new();
    char path[FS_PATH_MAX + 32];
    (void)state;
    new_database(fx, "db_1");
    expect_sql(fx, "db_1", "{\"sql\":\"CREATE TABLE t(a)\"}", "\"success\":true");
    (void)snprintf(path, sizeof path, "%s/db/db_1/main.db-wal", fx->dir.path);
    assert_int_equal(access(path, F_OK), 0);
    fixture_stop(fx);
    struct stat st;
    assert_true(stat(path, &st) != 0 || st.st_size == 0);
    fixture_free(fx);
}

void test_supervise_engine__a_damaged_file_is_set_aside(void **state)
{
    struct fixture *fx = fixture_new();
    char path[FS_PATH_MAX + 32];
    struct tcall t = tcall(fx, "db_1", "{\"sql\":\"SELECT 1\"}"), later = t;
    (void)state;
    new_database(fx, "db_1");
    new_database(fx, "db_2");
    (void)snprintf(path, sizeof path, "%s/db/db_1/main.db", fx->dir.path);
    FILE *out = fopen(path, "w");
    for (int i = 0; i < 2000; i++)
        fputs("no database", out);
    fclose(out);
    submit(&t);
    run(fx);
    assert_true(t.err.code == ERR_CORRUPT || t.head.code == ERR_CORRUPT);
    strbuf_release(&t.got);
    (void)expect_refused(&later, ERR_CORRUPT);
    expect_sql(fx, "db_2", "{\"sql\":\"SELECT 'fine'\"}", "fine");
    fixture_free(fx);
}

/* The board has one place for a cancelled call: many that are cancelled one right after the other, waiting or
 * running, reads and writes, all end long before their deadline, by an interruption and not by a kill. */
void test_supervise_engine__cancels_in_a_row_are_all_told(void **state)
{
    static const char *const ENDLESS[] = {
        "{\"sql\":\"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT count(*) FROM c\"}",
        "{\"sql\":\"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) INSERT INTO t SELECT "
        "max(x) FROM c\"}"};
    static const int ORDERS[][6] = {{0, 1, 2, 3, 4, 5}, {5, 4, 3, 2, 1, 0}, {3, 0, 5, 1, 4, 2}};
    struct fixture *fx = fixture_new();
    (void)state;
    new_database(fx, "db_1");
    expect_sql(fx, "db_1", "{\"sql\":\"CREATE TABLE t(a)\"}", "\"success\":true");
    for (size_t o = 0; o < ARRAY_LEN(ORDERS); o++) {
        struct tcall calls[6];
        for (int i = 0; i < 6; i++) {
            calls[i] = tcall(fx, "db_1", ENDLESS[(i + (int)o) % 2]);
            submit(&calls[i]);
        }
        run_for(fx, 60000);
        for (int i = 0; i < 6; i++)
            supervise_cancel(fx->s, &calls[ORDERS[o][i]].call);
        run(fx); /* fails after 20 s; the deadline is a minute away */
        for (int i = 0; i < 6; i++)
            expect_failed(&calls[i], ERR_UNAVAILABLE);
    }
    expect_sql(fx, "db_1", "{\"sql\":\"SELECT 'n=' || count(*) FROM t\"}", "n=0");
    assert_int_equal(stats(fx).crashes + stats(fx).kills_deadline, 0);
    fixture_free(fx);
}
