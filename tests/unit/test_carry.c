/* What a restore must not forget: written down by one engine, taken over by the next, once. */
#include "lib/op_fixture.h"
#include "base/fs.h"
#include "base/id.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

static struct op_fixture fx;

int setup_carry(void **state)
{
    (void)state;
    op_fixture_init(&fx);
    return 0;
}

int teardown_carry(void **state)
{
    (void)state;
    op_fixture_release(&fx);
    return 0;
}

static void path_to(char out[FS_PATH_MAX], const char *name)
{
    fs_join(out, fx.engine.dir, name);
}

/* Where CARRY wrote to. */
static void carry(char ret[FS_PATH_MAX])
{
    struct id id = id_new("db");
    char name[ID_MAX + 16];
    const struct op_arg args[] = {{"copy", id.text}, {NULL, NULL}};
    op_fixture_ok(&fx, WIRE_OP_CARRY, STR_EMPTY, args);
    str_print(name, sizeof name, "out/%s.db", id.text);
    path_to(ret, name);
}

static void open_own(void)
{
    char path[FS_PATH_MAX];
    path_to(path, "main.db");
    assert_int_equal(sqlite3_open(path, &fx.db), SQLITE_OK);
}

/* An engine that leaves removes the log's index, which nobody else may have open then. */
static void stop(void)
{
    assert_int_equal(sqlite3_close(fx.db), SQLITE_OK);
    (void)engine_fixture_end(&fx.engine, false);
    open_own();
}

static void start(void)
{
    assert_int_equal(sqlite3_close(fx.db), SQLITE_OK);
    engine_fixture_again(&fx.engine, ENGINE_WRITER);
    open_own();
}

/* It says nothing of restores: those are people's where a rule speaks for every write. */
#define RULE(id) "INSERT INTO _sys_rule VALUES('" id "', 1, 'none', NULL, 'deny', 1, NULL, NULL, 1, 1, 0);"

static void leave_as_carry(const char *from, bool again)
{
    char to[FS_PATH_MAX], kept[FS_PATH_MAX];
    path_to(to, "carry.db");
    path_to(kept, "kept.db");
    assert_int_equal(again ? link(from, kept) : 0, 0);
    assert_int_equal(rename(from, to), 0);
}

void test_carry__is_taken_over_once(void **state)
{
    char from[FS_PATH_MAX], path[FS_PATH_MAX];
    (void)state;
    op_fixture_sql(&fx,
        "CREATE TABLE now(a); CREATE TABLE IF NOT EXISTS both(a);" RULE(
            "rule_now") "INSERT INTO _sys_row_security VALUES('now'), ('both');"
                        "INSERT INTO _sys_applied VALUES('key', 't', 'k', '', 1, 200, 'x', '', 0)");
    carry(from);
    /* the file of the snapshot, as it were */
    stop();
    op_fixture_sql(&fx,
        "DROP TABLE now; CREATE TABLE then_only(a); DELETE FROM _sys_rule; DELETE FROM _sys_row_security;"
        "DELETE FROM _sys_applied;" RULE(
            "rule_then") "INSERT INTO _sys_row_security VALUES('then_only');"
                         "INSERT INTO _sys_applied VALUES('key', 't', 'old', '', 1, 200, 'y', '', 0)");
    leave_as_carry(from, true);
    start();
    assert_string_equal(op_fixture_value(&fx, "SELECT group_concat(id) FROM _sys_rule"), "rule_now");
    assert_string_equal(op_fixture_value(&fx, "SELECT group_concat(key) FROM _sys_applied"), "k");
    assert_string_equal(
        op_fixture_value(&fx, "SELECT group_concat(table_name) FROM (SELECT table_name FROM _sys_row_security"
                              " ORDER BY 1)"),
        "both,then_only");
    path_to(path, "carry.db");
    assert_false(fs_exists(path));

    /* what was written since stays, also when the file comes back */
    op_fixture_sql(&fx, "DELETE FROM _sys_rule");
    char kept[FS_PATH_MAX];
    path_to(kept, "kept.db");
    assert_int_equal(rename(kept, path), 0);
    stop();
    start();
    assert_string_equal(op_fixture_value(&fx, "SELECT count(*) FROM _sys_rule"), "0");
    assert_false(fs_exists(path));
}

void test_carry__an_empty_one_voids_what_waits(void **state)
{
    char path[FS_PATH_MAX];
    (void)state;
    op_fixture_sql(&fx, "CREATE TABLE IF NOT EXISTS both(a)");
    op_fixture_ok(&fx, WIRE_OP_PROPOSE, S("{\"sql\":\"INSERT INTO both VALUES(1)\"}"), NULL);
    assert_string_equal(op_fixture_value(&fx, "SELECT state FROM _sys_proposal"), "pending");
    stop();
    path_to(path, "carry.db");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    (void)fclose(f);
    start();
    assert_string_equal(
        op_fixture_value(&fx, "SELECT state || ifnull(token_hash, '') FROM _sys_proposal"), "withdrawn");
}

void test_carry__seals_the_database(void **state)
{
    char from[FS_PATH_MAX];
    (void)state;
    carry(from);
    assert_int_equal(
        op_fixture_run(&fx, WIRE_OP_QUERY, S("{\"sql\":\"CREATE TABLE late(a)\"}"), NULL), ERR_UNAVAILABLE);
    assert_int_equal(fx.head.retry_after_s, 1);
    op_fixture_ok(&fx, WIRE_OP_QUERY, S("{\"sql\":\"SELECT 1\"}"), NULL);
    stop();
    start();
    op_fixture_ok(&fx, WIRE_OP_QUERY, S("{\"sql\":\"CREATE TABLE late(a)\"}"), NULL);
}

void test_carry__is_for_people_where_a_rule_denies_every_write(void **state)
{
    struct id id = id_new("db");
    const struct op_arg args[] = {{"copy", id.text}, {NULL, NULL}};
    (void)state;
    op_fixture_ok(&fx, WIRE_OP_RULE_REPLACE, S("{\"rules\":[{\"action\":\"deny\"}]}"), NULL);
    assert_int_equal(op_fixture_run(&fx, WIRE_OP_CARRY, STR_EMPTY, args), ERR_FORBIDDEN);
    op_fixture_ok(&fx, WIRE_OP_RULE_REPLACE, S("{\"rules\":[]}"), NULL);
    op_fixture_ok(&fx, WIRE_OP_QUERY, S("{\"sql\":\"CREATE TABLE unsealed(a)\"}"), NULL);
}

void test_carry__is_for_admins(void **state)
{
    static const struct op_arg ARGS[] = {{"copy", "../x"}, {NULL, NULL}};
    (void)state;
    assert_int_equal(op_fixture_run(&fx, WIRE_OP_CARRY, STR_EMPTY, ARGS), ERR_INVALID);
    fx.role = WIRE_ROLE_READWRITE;
    assert_int_equal(op_fixture_run(&fx, WIRE_OP_CARRY, STR_EMPTY, ARGS), ERR_FORBIDDEN);
    fx.role = WIRE_ROLE_ADMIN;
}
