/* Migrations: from every earlier state to the newest, refusing what is not ours, all or nothing. */
#include "lib/fault.h"
#include "lib/tmpdir.h"
#include "sqlite/migrate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define M1                                                                                                   \
    {                                                                                                        \
        1, "one", "CREATE TABLE a(id TEXT NOT NULL PRIMARY KEY); INSERT INTO a VALUES('x');"                 \
    }
#define M2                                                                                                   \
    {                                                                                                        \
        2, "two", "CREATE TABLE b(a TEXT REFERENCES a(id)); INSERT INTO b VALUES('x');"                      \
    }
#define M3                                                                                                   \
    {                                                                                                        \
        3, "three", "ALTER TABLE b ADD COLUMN c BIGINT;"                                                     \
    }
#define END                                                                                                  \
    {                                                                                                        \
        0, NULL, NULL                                                                                        \
    }

static const struct migration_file FIRST[] = {M1, END};
static const struct migration_file ALL[] = {M1, M2, M3, END};
static const struct migration_file RENAMED[] = {{1, "uno", "SELECT 1"}, END};
static const struct migration_file BREAKS[] = {
    M1, {2, "two", "CREATE TABLE b(a); INSERT INTO nowhere VALUES(1);"}, END};
static const struct migration_file DANGLES[] = {
    M1, {2, "two", "CREATE TABLE b(a TEXT REFERENCES a(id)); INSERT INTO b VALUES('nobody');"}, END};

static int version(struct db *db)
{
    int v = -1;

    assert_int_equal(migrate_version(db, &v, NULL), ERR_OK);
    return v;
}

static int64_t tables(struct db *db)
{
    AUTO_STMT st = DB_STMT_INIT;

    assert_int_equal(
        db_query_one(db, "SELECT count(*) FROM sqlite_schema WHERE type = 'table'", DB_NO_ARGS, &st, NULL),
        ERR_OK);
    return db_col_int(&st, 0);
}

static struct db *open_new(const struct tmpdir *dir, const char *name)
{
    struct db *db = NULL;

    assert_int_equal(db_open(tmpdir_path(dir, name), DB_CREATE, &db, NULL), ERR_OK);
    return db;
}

void test_migrate__reaches_the_newest_from_every_state(void **state)
{
    AUTO_TMPDIR dir;

    (void)state;
    tmpdir_init(&dir);
    for (int before = 0; before <= 3; before++) {
        struct migration_file part[4] = {END, END, END, END};
        char name[2] = {(char)('0' + before), '\0'};
        struct db *db = open_new(&dir, name);

        for (int i = 0; i < before; i++)
            part[i] = ALL[i];
        assert_int_equal(migrate_run(db, part, NULL), ERR_OK);
        assert_int_equal(version(db), before);
        assert_int_equal(migrate_run(db, ALL, NULL), ERR_OK);
        assert_int_equal(version(db), 3);
        assert_int_equal(tables(db), 3);
        assert_int_equal(migrate_run(db, ALL, NULL), ERR_OK); /* and again: nothing left to do */
        db_close(db);
    }
}

void test_migrate__refuses_newer_and_foreign_databases(void **state)
{
    AUTO_TMPDIR dir;
    struct err err = ERR_INIT;

    (void)state;
    tmpdir_init(&dir);
    struct db *db = open_new(&dir, "newer");
    assert_int_equal(migrate_run(db, ALL, NULL), ERR_OK);
    assert_int_equal(migrate_run(db, FIRST, &err), ERR_CONFLICT);
    assert_non_null(strstr(err.message, "newer Holdfast"));
    assert_int_equal(version(db), 3);
    assert_int_equal(migrate_run(db, RENAMED, &err), ERR_CONFLICT);
    assert_non_null(strstr(err.message, "\"one\""));
    db_close(db);
    db = open_new(&dir, "foreign");
    assert_int_equal(db_exec(db, "CREATE TABLE theirs(x)", DB_NO_ARGS, NULL), ERR_OK);
    assert_int_equal(migrate_run(db, ALL, &err), ERR_CONFLICT);
    assert_int_equal(tables(db), 1);
    db_close(db);
}

void test_migrate__a_failing_file_leaves_the_one_before(void **state)
{
    AUTO_TMPDIR dir;
    struct err err = ERR_INIT;

    (void)state;
    tmpdir_init(&dir);
    struct db *db = open_new(&dir, "t");
    assert_int_not_equal(migrate_run(db, BREAKS, &err), ERR_OK);
    assert_int_equal(version(db), 1);
    assert_int_equal(tables(db), 2);
    assert_int_equal(migrate_run(db, DANGLES, &err), ERR_CORRUPT);
    assert_int_equal(version(db), 1);
    assert_int_equal(migrate_run(db, ALL, &err), ERR_OK);
    assert_int_equal(tables(db), 3);
    /* foreign keys are on again */
    assert_int_equal(db_exec(db, "INSERT INTO b(a) VALUES('nobody')", DB_NO_ARGS, &err), ERR_CONFLICT);
    db_close(db);
}

static void migrate_under(enum fault_kind kind)
{
    unsigned failed = 0;

    fault_start(kind);
    while (fault_next()) {
        AUTO_TMPDIR dir;
        struct db *db = NULL;
        fault_off();
        tmpdir_init(&dir);
        db = open_new(&dir, "t");
        fault_rearm();
        enum err_code code = migrate_run(db, ALL, NULL);
        fault_off();
        failed += code != ERR_OK;
        db_close(db); /* a failed fsync breaks a connection */
        assert_int_equal(db_open(tmpdir_path(&dir, "t"), DB_WRITE, &db, NULL), ERR_OK);
        int reached = version(db);
        assert_int_equal(
            tables(db), reached ? (reached > 1 ? 3 : 2) : 0); /* whole files or nothing of them */
        assert_int_equal(migrate_run(db, ALL, NULL), ERR_OK);
        assert_int_equal(version(db), 3);
        db_close(db);
    }
    assert_in_range(failed, 1, 5000);
}

void test_migrate__stands_every_fault(void **state)
{
    (void)state;
    migrate_under(FAULT_SQLITE_MEM);
    migrate_under(FAULT_SQLITE_WRITE);
    migrate_under(FAULT_SQLITE_SYNC);
}

/* The real ones: an empty database gets them all, and its foreign keys hold. */
void test_migrate__control_db_is_made(void **state)
{
    AUTO_TMPDIR dir;

    (void)state;
    tmpdir_init(&dir);
    struct db *db = open_new(&dir, "control.db");
    assert_int_equal(migrate_run(db, migrations_control, NULL), ERR_OK);
    assert_true(version(db) >= 3);
    assert_int_equal(db_check_integrity(db, NULL), ERR_OK);
    db_close(db);
}
