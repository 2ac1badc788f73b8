/* The read lock that an engine keeps between reads: it is there, it hides nobody's writes, and it is in
 * nobody's way who belongs to the house. */
#include "base/fs.h"
#include "engine/vfs.h"
#include "lib/op_fixture.h"
#include "lib/unit.h"
#include <sys/stat.h>

static struct op_fixture g_f;

int setup_engine_vfs(void **state)
{
    (void)state;
    op_fixture_init(&g_f);
    (void)sqlite3_busy_timeout(g_f.db, 0);
    return 0;
}

int teardown_engine_vfs(void **state)
{
    (void)state;
    op_fixture_release(&g_f);
    return 0;
}

static void run(const char *sql)
{
    char body[256];
    str_print(body, sizeof body, "{\"sql\":\"%s\"}", sql);
    op_fixture_ok(&g_f, WIRE_OP_QUERY, str_of(body), NULL);
}

static int64_t count_rows(void)
{
    run("SELECT count(*) FROM t");
    return op_json_int(op_fixture_json(&g_f), "rows/0/0");
}

/* 1 when somebody's read lock keeps the log from being started anew. */
static const char *restart_blocked(void)
{
    return op_fixture_value(&g_f, "PRAGMA wal_checkpoint(TRUNCATE)");
}

void test_engine_vfs__keeps_the_lock_of_the_last_read(void **state)
{
    (void)state;
    run("DROP TABLE IF EXISTS t");
    run("CREATE TABLE t(v)");
    run("INSERT INTO t VALUES(1)");
    assert_int_equal(count_rows(), 1);
    assert_string_equal(restart_blocked(), "1");
}

void test_engine_vfs__sees_what_others_write_meanwhile(void **state)
{
    (void)state;
    run("DROP TABLE IF EXISTS t");
    run("CREATE TABLE t(v)");
    for (int i = 1; i <= 20; i++) {
        op_fixture_sql(&g_f, "INSERT INTO t VALUES(1)");
        assert_int_equal(count_rows(), 2 * i - 1);
        run("INSERT INTO t VALUES(2)");
        assert_int_equal(count_rows(), 2 * i);
        (void)restart_blocked();
    }
    assert_string_equal(op_fixture_value(&g_f, "SELECT count(*) FROM t"), "40");
}

/* More pages than a savepoint keeps in memory: what they were goes to a file in one piece of a megabyte. */
void test_engine_vfs__savepoints_spill_and_are_undone(void **state)
{
    (void)state;
    run("DROP TABLE IF EXISTS spill");
    run("CREATE TABLE spill(id INTEGER PRIMARY KEY, v)");
    run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<1000)"
        " INSERT INTO spill(v) SELECT zeroblob(3000) FROM n");
    enum err_code failed = op_fixture_run(&g_f, WIRE_OP_BATCH,
        S("{\"transaction\":true,\"statements\":[{\"sql\":\"UPDATE spill SET v=randomblob(3000)\"},"
          "{\"sql\":\"INSERT INTO spill(id) VALUES(1)\"}]}"),
        NULL);
    assert_int_equal(failed, ERR_SQL);
    assert_string_equal(op_fixture_value(&g_f, "SELECT count(*) FROM spill WHERE v=zeroblob(3000)"), "1000");
    run("UPDATE spill SET v=randomblob(3000)");
    assert_string_equal(op_fixture_value(&g_f, "SELECT count(*) FROM spill WHERE v=zeroblob(3000)"), "0");
    run("DELETE FROM spill");
    assert_string_equal(op_fixture_value(&g_f, "SELECT count(*) FROM spill"), "0");
    assert_string_equal(op_fixture_value(&g_f, "PRAGMA integrity_check"), "ok");
}

static bool refuse_nth(void *arg, bool may_refuse)
{
    int *left = arg;
    return may_refuse && --*left == 0;
}

static int run_here(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static void expect_untouched(sqlite3 *db)
{
    sqlite3_stmt *stmt;
    assert_int_equal(
        sqlite3_prepare_v2(db,
            "SELECT (SELECT count(*) FROM t WHERE v=zeroblob(3000)), (SELECT count(*) FROM note),"
            " (SELECT integrity_check FROM pragma_integrity_check)",
            -1, &stmt, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(stmt, 0), 150);
    assert_int_equal(sqlite3_column_int(stmt, 1), 0);
    assert_string_equal((const char *)sqlite3_column_text(stmt, 2), "ok");
    assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
}

/* The nth read is refused, for one n after the other: the whole transaction is taken back, and the connection
 * lives on. */
static int refuse_each(struct vfs *v, sqlite3 *db, const char *sql)
{
    int refused = 0;
    for (int n = 1;; n += 1 + n / 8) {
        int left = n;
        assert_int_equal(
            run_here(db, "BEGIN IMMEDIATE; INSERT INTO note VALUES(1); SAVEPOINT call"), SQLITE_OK);
        vfs_watch(v, refuse_nth, &left);
        int rc = run_here(db, sql);
        vfs_watch(v, NULL, NULL);
        assert_true(rc == SQLITE_OK || rc == SQLITE_IOERR_READ || rc == SQLITE_IOERR);
        assert_int_equal(sqlite3_get_autocommit(db), rc != SQLITE_OK);
        if (rc == SQLITE_OK)
            assert_int_equal(run_here(db, "ROLLBACK"), SQLITE_OK);
        expect_untouched(db);
        refused += rc != SQLITE_OK;
        if (left > 0)
            return refused;
    }
}

void test_engine_vfs__a_refused_read_undoes_all_and_breaks_nothing(void **state)
{
    static const char *const CALLS[] = {"DELETE FROM t", "DROP TABLE t", "UPDATE t SET v=randomblob(3000)",
        "DELETE FROM t WHERE id % 3", "CREATE INDEX i ON t(id, v)"};
    static struct board board;
    char path[FS_PATH_MAX];
    sqlite3 *db;
    (void)state;
    struct vfs *v = vfs_register(&board, false);
    fs_join(path, g_f.engine.dir, "refused.db");
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    assert_int_equal(sqlite3_open_v2(path, &db, flags, VFS_NAME), SQLITE_OK);
    assert_int_equal(
        run_here(db, "PRAGMA journal_mode=WAL; PRAGMA cache_size=20; PRAGMA synchronous=OFF; PRAGMA "
                     "temp_store=FILE; CREATE TABLE note(n); CREATE TABLE t(id INTEGER PRIMARY KEY, v);"
                     "CREATE INDEX tv ON t(v); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n "
                     "WHERE i<150) INSERT INTO t SELECT i, zeroblob(3000) FROM n"),
        SQLITE_OK);
    for (size_t i = 0; i < ARRAY_LEN(CALLS); i++)
        assert_in_range(refuse_each(v, db, CALLS[i]), 5, 1000);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    vfs_unregister(v);
}

void test_engine_vfs__lets_the_lock_go_for_its_own_checkpoint(void **state)
{
    char wal[FS_PATH_MAX];
    struct stat st;
    (void)state;
    run("DROP TABLE IF EXISTS t");
    run("CREATE TABLE t(v)");
    run("INSERT INTO t VALUES(zeroblob(100000))");
    assert_int_equal(count_rows(), 1);
    (void)engine_fixture_end(&g_f.engine, false); /* the last thing an engine does is a checkpoint */
    fs_join(wal, g_f.engine.dir, "main.db-wal");
    assert_true(stat(wal, &st) != 0 || st.st_size == 0);
    /* A fork would inherit what SQLite knows of the file that this process has open. */
    char path[FS_PATH_MAX];
    fs_join(path, g_f.engine.dir, "main.db");
    assert_int_equal(sqlite3_close(g_f.db), SQLITE_OK);
    engine_fixture_again(&g_f.engine, ENGINE_WRITER);
    assert_int_equal(sqlite3_open(path, &g_f.db), SQLITE_OK);
    (void)sqlite3_busy_timeout(g_f.db, 0);
    assert_int_equal(count_rows(), 1);
}
