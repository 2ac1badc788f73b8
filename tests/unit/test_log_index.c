/* How far the log goes, as its index tells: what is copied of it is that and no more, however long the file
 * is. */
#include "engine/log_index.h"
#include "base/fs.h"
#include "lib/tmpdir.h"
#include "lib/unit.h"
#include <sqlite3.h>
#include <sys/stat.h>

static struct tmpdir g_dir;
static char g_path[FS_PATH_MAX];
static sqlite3 *g_db;

static void run(const char *sql)
{
    assert_int_equal(sqlite3_exec(g_db, sql, NULL, NULL, NULL), SQLITE_OK);
}

int setup_log_index(void **state)
{
    (void)state;
    tmpdir_init(&g_dir);
    fs_join(g_path, g_dir.path, "main.db");
    assert_int_equal(sqlite3_open(g_path, &g_db), SQLITE_OK);
    run("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t(a)");
    return 0;
}

int teardown_log_index(void **state)
{
    (void)state;
    (void)sqlite3_close(g_db);
    tmpdir_release(&g_dir);
    return 0;
}

static int64_t size_of_log(void)
{
    char path[FS_PATH_MAX];
    struct stat st;
    str_print(path, sizeof path, "%s-wal", g_path);
    assert_int_equal(stat(path, &st), 0);
    return (int64_t)st.st_size;
}

void test_log_index__tells_the_end_of_the_last_commit(void **state)
{
    (void)state;
    run("PRAGMA wal_checkpoint(TRUNCATE); INSERT INTO t VALUES(randomblob(100000))");
    assert_int_equal(log_index_bytes(g_db), size_of_log());
    run("PRAGMA cache_size = 5; PRAGMA cache_spill = 5; BEGIN; INSERT INTO t VALUES(zeroblob(1000000))");
    assert_true(size_of_log() > 1000000); /* not committed */
    assert_true(log_index_bytes(g_db) < 200000);
    run("COMMIT");
    assert_int_equal(log_index_bytes(g_db), size_of_log());
}

void test_log_index__a_log_that_was_begun_anew_is_short_in_a_long_file(void **state)
{
    (void)state;
    run("INSERT INTO t VALUES(randomblob(1000000)); PRAGMA wal_checkpoint(FULL); INSERT INTO t VALUES(1)");
    assert_true(size_of_log() > 1000000);
    assert_true(log_index_bytes(g_db) > 4096);
    assert_true(log_index_bytes(g_db) < 100000);
}

void test_log_index__a_log_that_is_in_the_file_is_not_needed(void **state)
{
    (void)state;
    run("INSERT INTO t VALUES(2)");
    assert_true(log_index_bytes(g_db) > 0);
    run("PRAGMA wal_checkpoint(PASSIVE)");
    assert_int_equal(log_index_bytes(g_db), 0);
    run("INSERT INTO t VALUES(3)");
    assert_true(log_index_bytes(g_db) > 0);
}

/* A reader's mark stops a checkpoint before the end. */
void test_log_index__half_a_log_in_the_file_is_needed(void **state)
{
    (void)state;
    sqlite3 *reader;
    assert_int_equal(sqlite3_open(g_path, &reader), SQLITE_OK);
    run("INSERT INTO t VALUES(4)");
    assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM t", NULL, NULL, NULL), SQLITE_OK);
    run("INSERT INTO t VALUES(5); PRAGMA wal_checkpoint(PASSIVE)");
    assert_true(log_index_bytes(g_db) > 0);
    assert_true(log_index_bytes(reader) > 0);
    (void)sqlite3_close(reader);
}

void test_log_index__without_a_log_it_does_not_know(void **state)
{
    (void)state;
    sqlite3 *memory;
    assert_int_equal(sqlite3_open(":memory:", &memory), SQLITE_OK);
    assert_int_equal(log_index_bytes(memory), -1);
    (void)sqlite3_close(memory);
}
