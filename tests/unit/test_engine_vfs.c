/* The read lock that an engine keeps between reads: it is there, it hides nobody's writes, and it is in
 * nobody's way who belongs to the house. */
#include "base/fs.h"
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
