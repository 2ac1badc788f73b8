/* Proposals on a real engine: what was shown is what is done, once, or nothing is. */
#include "lib/op_fixture.h"
#include "lib/unit.h"

static struct op_fixture f;

int setup_proposal(void **state)
{
    (void)state;
    op_fixture_init(&f);
    return 0;
}

static void fresh(void)
{
    op_fixture_fresh(&f,
        "DROP TABLE IF EXISTS orders; DROP TABLE IF EXISTS notes; DROP TABLE IF EXISTS secret;"
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT, total REAL);"
        "INSERT INTO orders VALUES (1, 'open', 10), (2, 'open', 20), (3, 'done', 30);"
        "CREATE TABLE notes (body TEXT, at, dice);"
        "CREATE TABLE secret (id INTEGER PRIMARY KEY, v);");
}

int teardown_proposal(void **state)
{
    (void)state;
    op_fixture_release(&f);
    return 0;
}

static char g_token[100], g_id[60], g_hash[100];

static void remember(const struct jsonr_value *v)
{
    str_print(g_token, sizeof g_token, "%s", op_json_text(v, "executionToken"));
    str_print(g_id, sizeof g_id, "%s", op_json_text(v, "proposalId"));
    str_print(g_hash, sizeof g_hash, "%s", op_json_text(v, "hash"));
}

static const struct jsonr_value *propose(const char *body)
{
    op_fixture_ok(&f, WIRE_OP_PROPOSE, str_of(body), NULL);
    const struct jsonr_value *v = op_fixture_json(&f);
    remember(v);
    return v;
}

static enum err_code apply_token(const char *token)
{
    char body[200];
    str_print(body, sizeof body, "{\"executionToken\":\"%s\"}", token);
    return op_fixture_run(&f, WIRE_OP_APPLY, str_of(body), NULL);
}

static const char *state_of(const char *id)
{
    const struct op_arg args[] = {{"id", id}, {NULL, NULL}};
    op_fixture_ok(&f, WIRE_OP_PROPOSAL_GET, STR_EMPTY, args);
    return op_json_text(op_fixture_json(&f), "status");
}

static void query(const char *sql)
{
    char body[1000];
    str_print(body, sizeof body, "{\"sql\":\"%s\"}", sql);
    op_fixture_ok(&f, WIRE_OP_QUERY, str_of(body), NULL);
}

/* How a statement would run is asked of SQLite each time, which knows of indexes that were made or went
 * since. */
void test_proposal__plan_follows_the_schema(void **state)
{
    static const char *const UPDATE = "{\"sql\":\"UPDATE orders SET total = 2 WHERE status = 'open'\"}";
    (void)state;
    fresh();
    for (int i = 0; i < 2; i++)
        assert_string_equal(op_json_text(propose(UPDATE), "plan/0/3"), "SCAN orders");
    query("CREATE INDEX by_status ON orders (status)");
    for (int i = 0; i < 2; i++)
        assert_string_equal(
            op_json_text(propose(UPDATE), "plan/0/3"), "SEARCH orders USING INDEX by_status (status=?)");
    query("DROP INDEX by_status");
    for (int i = 0; i < 2; i++)
        assert_string_equal(op_json_text(propose(UPDATE), "plan/0/3"), "SCAN orders");
}

/* Statements of rehearsals are kept: each is told of again in full, beside others or after a plain run of it.
 */
void test_proposal__kept_statements_show_all(void **state)
{
    static const char *const ONE = "{\"sql\":\"UPDATE orders SET status = 'kept' WHERE id = 1\"}";
    static const char *const BOTH[] = {
        "{\"statements\":[{\"sql\":\"UPDATE orders SET status = 'kept' WHERE id = 1\"},"
        "{\"sql\":\"UPDATE orders SET total = 0 WHERE id = 2\"}]}",
        "{\"statements\":[{\"sql\":\"UPDATE orders SET total = 1 WHERE id = 2\"},"
        "{\"sql\":\"UPDATE orders SET status = 'kept' WHERE id = 1\"}]}"};
    (void)state;
    fresh();
    for (int i = 0; i < 2; i++)
        assert_string_equal(op_json_text(propose(ONE), "changes/tables/0/columns/0"), "status");
    for (size_t i = 0; i < ARRAY_LEN(BOTH); i++) {
        const struct jsonr_value *v = propose(BOTH[i]);
        assert_string_equal(op_json_text(v, "changes/tables/0/columns/0"), "status");
        assert_string_equal(op_json_text(v, "changes/tables/0/columns/1"), "total");
        assert_string_equal(op_json_text(v, "changes/rows/0/after/status"), "kept");
        assert_int_equal(apply_token(g_token), ERR_OK);
        assert_string_equal(
            op_fixture_value(&f, "SELECT group_concat(status || total) FROM orders WHERE id < 3"),
            i == 0 ? "kept10.0,open0.0" : "kept10.0,open1.0");
        query("UPDATE orders SET status = 'open' WHERE id = 1");
    }
    query("DELETE FROM secret");
    query("INSERT INTO secret VALUES (1, 'a'), (2, 'b')");
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            op_json_int(propose("{\"sql\":\"DELETE FROM secret\"}"), "changes/tables/0/delete"), 2);
    query(
        "CREATE TRIGGER follows AFTER DELETE ON secret BEGIN UPDATE orders SET total = 9 WHERE id = 2; END");
    const struct jsonr_value *v = propose("{\"sql\":\"DELETE FROM secret\"}");
    assert_string_equal(op_json_text(v, "changes/tables/0/columns/0"), "total");
    assert_int_equal(apply_token(g_token), ERR_OK);
}

/* What was read of a table for one proposal is not believed once its columns are others. */
void test_proposal__columns_follow_the_schema(void **state)
{
    (void)state;
    fresh();
    query("INSERT INTO secret VALUES (1, 'x')");
    for (int i = 0; i < 2; i++)
        (void)propose("{\"sql\":\"UPDATE secret SET v = 'y'\"}");
    (void)propose("{\"sql\":\"ALTER TABLE secret ADD COLUMN rehearsed\"}");
    query("ALTER TABLE secret ADD COLUMN made");
    const struct jsonr_value *v = propose("{\"sql\":\"UPDATE secret SET made = 'z'\"}");
    assert_string_equal(op_json_text(v, "changes/tables/0/columns/0"), "made");
    assert_string_equal(op_json_text(v, "changes/rows/0/after/made"), "z");
    assert_int_equal(apply_token(g_token), ERR_OK);
    query("DROP TABLE secret");
    query("CREATE TABLE secret (made TEXT, id INTEGER PRIMARY KEY)");
    query("INSERT INTO secret VALUES ('a', 7)");
    v = propose("{\"sql\":\"UPDATE secret SET made = 'b'\"}");
    assert_string_equal(op_json_text(v, "changes/rows/0/before/made"), "a");
    assert_int_equal(op_json_int(v, "changes/rows/0/key/id"), 7);
    assert_int_equal(apply_token(g_token), ERR_OK);
    assert_string_equal(op_fixture_value(&f, "SELECT made FROM secret"), "b");
}

void test_proposal__shows_and_applies_once(void **state)
{
    (void)state;
    fresh();
    const struct jsonr_value *v =
        propose("{\"sql\":\"UPDATE orders SET status = ? WHERE status = 'open'\",\"params\":[\"shipped\"]}");
    assert_int_equal(op_json_int(v, "estimatedAffectedRows"), 2);
    assert_string_equal(op_json_text(v, "status"), "pending");
    assert_string_equal(op_json_text(v, "action"), "write");
    assert_int_equal(op_json_int(v, "changes/tables/0/update"), 2);
    assert_string_equal(op_json_text(v, "changes/rows/0/before/status"), "open");
    assert_string_equal(op_json_text(v, "changes/rows/1/after/status"), "shipped");
    assert_string_equal(op_json_text(v, "plan/0/3"), "SCAN orders");
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM orders WHERE status = 'open'"), "2");
    assert_int_equal(apply_token(g_token), ERR_OK);
    assert_int_equal(op_json_int(op_fixture_json(&f), "rowsWritten"), 2);
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM orders WHERE status = 'shipped'"), "2");
    assert_string_equal(state_of(g_id), "applied");
    assert_int_equal(apply_token(g_token), ERR_NOT_FOUND);
}

void test_proposal__refuses_when_it_would_do_something_else(void **state)
{
    char first[100];
    (void)state;
    fresh();
    propose("{\"sql\":\"UPDATE orders SET status = 'late' WHERE status = 'open'\"}");
    str_print(first, sizeof first, "%s", g_id);
    query("UPDATE orders SET status = 'done' WHERE id = 2");
    assert_string_equal(state_of(first), "stale");
    query("INSERT INTO orders VALUES (9, 'open', 1)");
    assert_int_equal(apply_token(g_token), ERR_CONFLICT);
    assert_int_equal(f.head.status, 409);
    const struct jsonr_value *v = op_fixture_json(&f);
    assert_string_equal(op_json_text(v, "code"), "drift");
    assert_string_equal(op_json_text(v, "drift/rows/0/kind"), "missing");
    assert_int_equal(op_json_int(v, "drift/rows/0/key/id"), 2);
    assert_string_equal(op_json_text(v, "drift/rows/1/kind"), "new");
    assert_int_equal(op_json_int(v, "drift/rows/1/key/id"), 9);
    assert_int_equal(op_json_int(v, "proposal/estimatedAffectedRows"), 2);
    remember(op_json_at(v, "proposal"));
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM orders WHERE status = 'late'"), "0");
    assert_string_equal(state_of(first), "drifted");
    assert_int_equal(apply_token(g_token), ERR_OK);
    assert_int_equal(f.head.status, 200);
    assert_string_equal(
        op_fixture_value(&f, "SELECT group_concat(id) FROM orders WHERE status = 'late'"), "1,9");
}

void test_proposal__time_and_dice_are_those_that_were_shown(void **state)
{
    char shown[200];
    (void)state;
    fresh();
    const struct jsonr_value *v = propose(
        "{\"sql\":\"INSERT INTO notes VALUES (hex(randomblob(8)), datetime('now', 'subsec'), random())\"}");
    assert_string_equal(op_json_text(v, "flags/nondeterministic/0"), "now");
    assert_string_equal(op_json_text(v, "flags/nondeterministic/1"), "random");
    str_print(shown, sizeof shown, "%s|%s|%lld", op_json_text(v, "changes/rows/0/after/body"),
        op_json_text(v, "changes/rows/0/after/at"), (long long)op_json_int(v, "changes/rows/0/after/dice"));
    assert_int_equal(apply_token(g_token), ERR_OK);
    assert_int_equal(f.head.status, 200);
    assert_string_equal(op_fixture_value(&f, "SELECT body || '|' || at || '|' || dice FROM notes"), shown);
    query("INSERT INTO notes SELECT random(), random(), randomblob(4)");
    assert_string_equal(op_fixture_value(&f, "SELECT count(DISTINCT body || at) FROM notes"), "2");
}

/* Beyond the largest row id SQLite throws dice of its own. */
void test_proposal__a_row_id_by_chance_is_the_one_that_was_shown(void **state)
{
    char shown[200];
    (void)state;
    fresh();
    query("CREATE TABLE full (id INTEGER PRIMARY KEY, v)");
    query("INSERT INTO full VALUES (9223372036854775807, 'last')");
    const struct jsonr_value *v = propose("{\"sql\":\"INSERT INTO full (v) VALUES ('a'), ('b')\"}");
    str_print(shown, sizeof shown, "%lld,%lld", (long long)op_json_int(v, "changes/rows/0/key/id"),
        (long long)op_json_int(v, "changes/rows/1/key/id"));
    assert_int_equal(apply_token(g_token), ERR_OK);
    assert_int_equal(f.head.status, 200);
    assert_string_equal(
        op_fixture_value(
            &f, "SELECT group_concat(id) FROM (SELECT * FROM full WHERE v <> 'last' ORDER BY id)"),
        shown);
    query("INSERT INTO full (v) VALUES ('c')");
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM full"), "4");
}

/* The connection is that of all callers. */
void test_proposal__counts_tell_of_its_own_rows_alone(void **state)
{
    static const char COUNTS[] = "SELECT group_concat(body || '|' || at || '|' || dice, ' ') FROM notes";
    (void)state;
    fresh();
    query("UPDATE orders SET status = 'seen'");
    query("INSERT INTO orders (id, status) VALUES (70, 'a')");
    const struct jsonr_value *v = propose("{\"sql\":\"INSERT INTO notes VALUES (changes(), total_changes(), "
                                          "last_insert_rowid())\"}");
    assert_int_equal(op_json_int(v, "changes/rows/0/after/at"), 0);
    query("UPDATE orders SET status = 'again' WHERE id < 3");
    query("INSERT INTO orders (id, status) VALUES (71, 'a')");
    assert_int_equal(apply_token(g_token), ERR_OK);
    assert_int_equal(f.head.status, 200);
    assert_string_equal(op_fixture_value(&f, COUNTS), "0|0|0");
    query("DELETE FROM notes");
    propose("{\"statements\":[{\"sql\":\"UPDATE orders SET status = 'done' WHERE id IN (70, 71)\"},"
            "{\"sql\":\"UPDATE orders SET status = 'x' WHERE id = 70\"},"
            "{\"sql\":\"INSERT INTO notes VALUES (changes(), total_changes(), 0)\"},"
            "{\"sql\":\"INSERT INTO notes VALUES (changes(), total_changes(), last_insert_rowid())\"}]}");
    query("UPDATE orders SET status = 'again' WHERE id < 3");
    assert_int_equal(apply_token(g_token), ERR_OK);
    assert_int_equal(f.head.status, 200);
    assert_string_equal(op_fixture_value(&f, COUNTS), "1|3|0 1|4|1");
    query("CREATE TRIGGER counts AFTER UPDATE ON orders BEGIN "
          "INSERT INTO notes VALUES (changes(), total_changes(), 'first'); "
          "INSERT INTO notes VALUES (changes(), total_changes(), 'second'); END");
    query("DELETE FROM notes");
    query("UPDATE orders SET status = 'z' WHERE id = 1");
    assert_string_equal(op_fixture_value(&f, COUNTS), "0|0|first 1|1|second");
    query("SELECT changes() + total_changes() + last_insert_rowid()");
    assert_int_equal(op_json_int(op_fixture_json(&f), "rows/0/0"), 0);
}

void test_proposal__what_it_cannot_show_is_for_query(void **state)
{
    static const struct {
        const char *body, *message;
    } ROWS[] = {
        {"{\"sql\":\"UPDATE sqlite_sequence SET seq = 999\"}", "/sql: writes counters"},
        {"{\"sql\":\"PRAGMA User_Version(5)\"}", "/sql: writes user_version"},
        {"{\"statements\":[{\"sql\":\"UPDATE orders SET status = 'x'\"},"
         "{\"sql\":\"pragma main.application_id = 5\"}]}",
            "/statements: writes user_version"},
    };
    (void)state;
    fresh();
    query("CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, v)");
    query("INSERT INTO counted (v) VALUES (1)");
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        assert_int_equal(op_fixture_run(&f, WIRE_OP_PROPOSE, str_of(ROWS[i].body), NULL), ERR_INVALID);
        if (!strstr(f.error.ptr, ROWS[i].message))
            fail_msg("%s", f.error.ptr);
    }
    assert_string_equal(op_fixture_value(&f, "SELECT seq FROM sqlite_sequence WHERE name = 'counted'"), "1");
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM orders WHERE status = 'x'"), "0");
    assert_string_equal(
        op_fixture_value(&f, "SELECT user_version + application_id FROM pragma_user_version(), "
                             "pragma_application_id()"),
        "0");
    propose("{\"statements\":[{\"sql\":\"INSERT INTO counted (v) VALUES (2)\"},"
            "{\"sql\":\"PRAGMA user_version\"},{\"sql\":\"PRAGMA defer_foreign_keys = ON\"}]}");
    propose("{\"statements\":[{\"sql\":\"DROP TABLE counted\"}]}");
}

void test_proposal__belongs_to_its_bearer(void **state)
{
    const struct op_arg args[] = {{"id", g_id}, {NULL, NULL}};
    (void)state;
    fresh();
    f.role = WIRE_ROLE_READWRITE;
    propose("{\"sql\":\"DELETE FROM orders WHERE id = 1\"}");
    f.token_id = S("tok_other");
    assert_int_equal(apply_token(g_token), ERR_NOT_FOUND);
    assert_int_equal(op_fixture_run(&f, WIRE_OP_PROPOSAL_GET, STR_EMPTY, args), ERR_NOT_FOUND);
    assert_int_equal(op_fixture_run(&f, WIRE_OP_PROPOSAL_WITHDRAW, STR_EMPTY, args), ERR_NOT_FOUND);
    f.role = WIRE_ROLE_ADMIN;
    assert_int_equal(apply_token(g_token), ERR_NOT_FOUND);
    assert_string_equal(state_of(g_id), "pending");
    op_fixture_ok(&f, WIRE_OP_PROPOSAL_WITHDRAW, STR_EMPTY, args);
    assert_int_equal(op_fixture_run(&f, WIRE_OP_PROPOSAL_WITHDRAW, STR_EMPTY, args), ERR_CONFLICT);
    f.token_id = S("tok_test");
    assert_int_equal(apply_token(g_token), ERR_NOT_FOUND);
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM orders"), "3");
}

void test_proposal__the_schema_is_rehearsed(void **state)
{
    (void)state;
    fresh();
    const struct jsonr_value *v =
        propose("{\"statements\":[{\"sql\":\"ALTER TABLE orders ADD COLUMN note TEXT\"},"
                "{\"sql\":\"UPDATE orders SET note = 'x' WHERE id = 1\"},"
                "{\"sql\":\"CREATE INDEX by_note ON orders (note)\"},"
                "{\"sql\":\"DROP TABLE notes\"}]}");
    assert_string_equal(op_json_text(v, "action"), "schema");
    assert_string_equal(op_json_text(v, "schemaDiff/0/change"), "added");
    assert_string_equal(op_json_text(v, "schemaDiff/1/change"), "changed");
    assert_string_equal(op_json_text(v, "schemaDiff/2/change"), "removed");
    assert_int_equal(op_json_int(v, "schemaDiff/2/rows"), 0);
    assert_string_equal(op_json_text(v, "changes/rows/0/after/note"), "x");
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM pragma_table_info('orders')"), "3");
    query("INSERT INTO notes VALUES (1, 2, 3)"); /* one row more would be lost */
    assert_int_equal(apply_token(g_token), ERR_CONFLICT);
    assert_int_equal(f.head.status, 409);
    remember(op_json_at(op_fixture_json(&f), "proposal"));
    assert_int_equal(op_json_int(op_fixture_json(&f), "proposal/schemaDiff/2/rows"), 1);
    assert_int_equal(apply_token(g_token), ERR_OK);
    assert_int_equal(f.head.status, 200);
    assert_string_equal(op_fixture_value(&f, "SELECT note FROM orders WHERE id = 1"), "x");
}

void test_proposal__a_change_of_the_schema_is_drift(void **state)
{
    (void)state;
    fresh();
    propose("{\"sql\":\"UPDATE orders SET total = 0 WHERE id = 1\"}");
    query("CREATE INDEX by_total ON orders (total)");
    assert_int_equal(apply_token(g_token), ERR_CONFLICT);
    assert_int_equal(f.head.status, 409);
}

void test_proposal__what_fails_by_now_says_so(void **state)
{
    (void)state;
    fresh();
    propose("{\"sql\":\"INSERT INTO orders VALUES (7, 'new', 0)\"}");
    query("INSERT INTO orders VALUES (7, 'other', 0)");
    assert_int_equal(apply_token(g_token), ERR_CONFLICT);
    assert_int_equal(f.head.status, 409);
    const struct jsonr_value *v = op_fixture_json(&f);
    assert_string_equal(op_json_text(v, "errorDetail/kind"), "unique_violation");
    assert_int_equal(jsonr_kind(op_json_at(v, "proposal")), JSONR_NULL);
    assert_string_equal(state_of(g_id), "drifted");
}

/* A new row of a table without a key gets another row id than was shown: nobody named it. */
void test_proposal__row_ids_that_nobody_named_may_move(void **state)
{
    (void)state;
    fresh();
    propose("{\"sql\":\"INSERT INTO notes (body) VALUES ('mine')\"}");
    query("INSERT INTO notes (rowid, body) VALUES (1000, 'other')");
    assert_int_equal(apply_token(g_token), ERR_OK);
    assert_int_equal(f.head.status, 200);
    assert_string_equal(op_fixture_value(&f, "SELECT rowid FROM notes WHERE body = 'mine'"), "1001");
    const struct op_arg args[] = {{"id", g_id}, {NULL, NULL}};
    op_fixture_ok(&f, WIRE_OP_PROPOSAL_CHANGES, STR_EMPTY, args);
    assert_int_equal(op_json_int(op_fixture_json(&f), "rows/0/key/rowid"), 1001);
}

/* Watching stops nobody: a write of more rows than can be followed makes stale whatever is watched. */
void test_proposal__a_huge_write_beside_it_is_done(void **state)
{
    (void)state;
    fresh();
    propose("{\"sql\":\"UPDATE orders SET status = 'late' WHERE id = 1\"}");
    query("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 210000)"
          " INSERT INTO orders SELECT x + 10, '', 0 FROM c");
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM orders"), "210003");
    assert_string_equal(state_of(g_id), "stale");
    query("DELETE FROM orders");
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM orders"), "0");
}

/* Nobody waits longer for a rehearsal than for the turn of a moment. */
void test_proposal__a_long_rehearsal_gives_way(void **state)
{
    static const char BODY[] =
        "{\"sql\":\"UPDATE orders SET total = (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT "
        "x + 1 FROM c WHERE x < 3000000) SELECT sum(x) FROM c)\"}";
    (void)state;
    fresh();
    atomic_store(&f.engine.board->waiting, 1);
    assert_int_equal(op_fixture_run(&f, WIRE_OP_PROPOSE, str_of(BODY), NULL), ERR_BUSY);
    atomic_store(&f.engine.board->waiting, 0);
    assert_int_equal(f.head.retry_after_s, 1);
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM _sys_proposal"), "0");
    propose(BODY);
    atomic_store(&f.engine.board->waiting, 1);
    assert_int_equal(apply_token(g_token), ERR_OK); /* which is a write like others */
    atomic_store(&f.engine.board->waiting, 0);
}

static void set_on_drift(const char *what)
{
    char body[100];
    str_print(body, sizeof body, "{\"onDrift\":\"%s\"}", what);
    op_fixture_ok(&f, WIRE_OP_PROPOSAL_SETTINGS_SET, str_of(body), NULL);
}

/* Who wants it so gets what the statement does now, is told, and can take back exactly that. */
void test_proposal__what_drifted_is_done_where_that_is_wanted(void **state)
{
    static const char BODY[] = "{\"sql\":\"UPDATE orders SET status = 'late' WHERE status = 'open'\"}";
    (void)state;
    fresh();
    op_fixture_ok(&f, WIRE_OP_PROPOSAL_SETTINGS, STR_EMPTY, NULL);
    assert_string_equal(op_json_text(op_fixture_json(&f), "onDrift"), "refuse");
    assert_int_equal(
        op_fixture_run(&f, WIRE_OP_PROPOSAL_SETTINGS_SET, S("{\"onDrift\":\"ask\"}"), NULL), ERR_INVALID);
    set_on_drift("reapply");
    propose(BODY);
    query("INSERT INTO orders VALUES (4, 'open', 40)");
    assert_int_equal(apply_token(g_token), ERR_OK);
    assert_string_equal(
        op_fixture_value(&f, "SELECT group_concat(id) FROM orders WHERE status = 'late'"), "1,2,4");
    const struct op_arg args[] = {{"id", g_id}, {NULL, NULL}};
    op_fixture_ok(&f, WIRE_OP_PROPOSAL_GET, STR_EMPTY, args);
    const struct jsonr_value *shown = op_fixture_json(&f);
    assert_string_equal(op_json_text(shown, "status"), "applied");
    assert_int_equal(op_json_int(shown, "estimatedAffectedRows"), 3);
    assert_string_not_equal(op_json_text(shown, "hash"), g_hash);
    op_fixture_ok(&f, WIRE_OP_PROPOSAL_UNDO, S("{}"), args);
    remember(op_fixture_json(&f));
    assert_int_equal(apply_token(g_token), ERR_OK);
    assert_string_equal(
        op_fixture_value(&f, "SELECT group_concat(id) FROM orders WHERE status = 'open'"), "1,2,4");
    set_on_drift("refuse");
    propose(BODY);
    query("DELETE FROM orders WHERE id = 4");
    assert_int_equal(apply_token(g_token), ERR_CONFLICT);
    f.role = WIRE_ROLE_READWRITE;
    assert_int_equal(op_fixture_run(&f, WIRE_OP_PROPOSAL_SETTINGS, STR_EMPTY, NULL), ERR_FORBIDDEN);
    assert_int_equal(op_fixture_run(&f, WIRE_OP_PROPOSAL_SETTINGS_SET, S("{\"onDrift\":\"reapply\"}"), NULL),
        ERR_FORBIDDEN);
}

void test_proposal__refusals(void **state)
{
    static const struct {
        const char *body, *message;
        enum err_code code;
        enum wire_role role;
    } ROWS[] = {
        {"{\"sql\":\"SELECT 1\"}", "only reads", ERR_INVALID, WIRE_ROLE_ADMIN},
        {"{\"sql\":\"DELETE FROM orders\"}", "needs a token", ERR_FORBIDDEN, WIRE_ROLE_READONLY},
        {"{\"sql\":\"CREATE TABLE x (a)\"}", "needs a token", ERR_FORBIDDEN, WIRE_ROLE_READWRITE},
        {"{\"sql\":\"DELETE FROM nowhere\"}", "no such table", ERR_SQL, WIRE_ROLE_ADMIN},
        {"{\"sql\":\"INSERT INTO orders VALUES (1, 2, 3)\"}", "UNIQUE", ERR_SQL, WIRE_ROLE_ADMIN},
        {"{\"sql\":\"DELETE FROM orders\",\"ttlSec\":59}", "60", ERR_INVALID, WIRE_ROLE_ADMIN},
        {"{\"sql\":\"DELETE FROM orders\",\"ttlSec\":3601}", "3600", ERR_INVALID, WIRE_ROLE_ADMIN},
        {"{\"sql\":\"DELETE FROM orders\",\"statements\":[]}", "one of both", ERR_INVALID, WIRE_ROLE_ADMIN},
        {"{}", "one of both", ERR_INVALID, WIRE_ROLE_ADMIN},
        {"{\"sql\":\"EXPLAIN DELETE FROM orders\"}", "only reads: send it to query", ERR_INVALID,
            WIRE_ROLE_ADMIN},
        {"{\"sql\":\"EXPLAIN QUERY PLAN DELETE FROM orders\"}", "only reads", ERR_INVALID, WIRE_ROLE_ADMIN},
        {"{\"statements\":[{\"sql\":\"CREATE TABLE x (k PRIMARY KEY) WITHOUT ROWID\"},"
         "{\"sql\":\"INSERT INTO x VALUES (1)\"},{\"sql\":\"ALTER TABLE x RENAME TO y\"}]}",
            "INSERT INTO", ERR_INVALID, WIRE_ROLE_ADMIN},
        {"{\"statements\":[{\"sql\":\"UPDATE orders SET status = 'x'\"},"
         "{\"sql\":\"ALTER TABLE orders RENAME TO y\"}]}",
            "before it was renamed", ERR_INVALID, WIRE_ROLE_ADMIN},
        {"{\"sql\":\"INSERT OR ROLLBACK INTO orders VALUES (1, 2, 3)\"}", "UNIQUE", ERR_SQL, WIRE_ROLE_ADMIN},
        {"{\"sql\":\"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 200001)"
         " INSERT INTO notes (body) SELECT x FROM c\"}",
            "split it", ERR_TOO_LARGE, WIRE_ROLE_ADMIN},
        {"{\"sql\":\"INSERT INTO notes SELECT zeroblob(3900000), 1, 1 FROM orders a, orders b\"}", "split it",
            ERR_TOO_LARGE, WIRE_ROLE_ADMIN},
    };
    (void)state;
    fresh();
    for (size_t i = 0; i < ARRAY_LEN(ROWS); i++) {
        f.role = ROWS[i].role;
        enum err_code code = op_fixture_run(&f, WIRE_OP_PROPOSE, str_of(ROWS[i].body), NULL);
        if (code != ROWS[i].code || !strstr(f.error.ptr, ROWS[i].message))
            fail_msg("row %zu: %s: %s", i, err_slug(code), f.error.ptr);
        assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM orders"), "3");
        assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM _sys_proposal"), "0");
    }
}

void test_proposal__tells_no_more_than_its_reader_may_see(void **state)
{
    const struct str scope[] = {S("orders")};
    const struct op_arg args[] = {{"id", g_id}, {NULL, NULL}};
    (void)state;
    fresh();
    propose("{\"statements\":[{\"sql\":\"UPDATE orders SET total = 1 WHERE id = 1\"},"
            "{\"sql\":\"INSERT INTO secret SELECT 1, 'hu' || 'sh'\"}]}");
    f.tables = scope;
    f.table_count = 1;
    op_fixture_ok(&f, WIRE_OP_PROPOSAL_GET, STR_EMPTY, args);
    assert_null(strstr(f.out.ptr, "hush"));
    assert_int_equal(op_json_int(op_fixture_json(&f), "changes/hiddenRows"), 1);
    assert_int_equal(jsonr_kind(op_json_at(op_fixture_json(&f), "hash")), JSONR_NULL);
    op_fixture_ok(&f, WIRE_OP_PROPOSAL_CHANGES, STR_EMPTY, args);
    assert_null(strstr(f.out.ptr, "hush"));
    assert_int_not_equal(apply_token(g_token), ERR_OK);
    f.tables = NULL;
    assert_int_equal(apply_token(g_token), ERR_OK);
}

void test_proposal__lists_newest_first_in_pages(void **state)
{
    const struct op_arg first[] = {{"limit", "2"}, {NULL, NULL}};
    (void)state;
    fresh();
    for (int i = 0; i < 3; i++)
        propose("{\"sql\":\"DELETE FROM orders WHERE id = 1\",\"reason\":\"tidy\"}");
    op_fixture_ok(&f, WIRE_OP_PROPOSAL_LIST, STR_EMPTY, first);
    const struct jsonr_value *v = op_fixture_json(&f);
    assert_string_equal(op_json_text(v, "proposals/0/proposalId"), g_id);
    assert_string_equal(op_json_text(v, "proposals/0/reason"), "tidy");
    assert_int_equal(jsonr_count(op_json_at(v, "proposals")), 2);
    char cursor[40];
    str_print(cursor, sizeof cursor, "%s", op_json_text(v, "nextCursor"));
    const struct op_arg next[] = {{"limit", "2"}, {"cursor", cursor}, {"status", "pending"}, {NULL, NULL}};
    op_fixture_ok(&f, WIRE_OP_PROPOSAL_LIST, STR_EMPTY, next);
    v = op_fixture_json(&f);
    assert_int_equal(jsonr_count(op_json_at(v, "proposals")), 1);
    assert_int_equal(jsonr_kind(op_json_at(v, "nextCursor")), JSONR_NULL);
}

/* --- Taking back --- */

static enum err_code undo(const char *id)
{
    const struct op_arg args[] = {{"id", id}, {NULL, NULL}};
    return op_fixture_run(&f, WIRE_OP_PROPOSAL_UNDO, STR_EMPTY, args);
}

static void applied(const char *body)
{
    propose(body);
    assert_int_equal(apply_token(g_token), ERR_OK);
    assert_int_equal(f.head.status, 200);
}

/* Proposes to take back `id` and does. */
static void undone(const char *id)
{
    char of[60];
    str_print(of, sizeof of, "%s", id);
    assert_int_equal(undo(of), ERR_OK);
    assert_int_equal(f.head.status, 200);
    assert_string_equal(op_json_text(op_fixture_json(&f), "undoOf/0"), of);
    remember(op_fixture_json(&f));
    assert_int_equal(apply_token(g_token), ERR_OK);
    assert_int_equal(f.head.status, 200);
}

#define ALL_ORDERS "SELECT group_concat(id || status || total, ' ') FROM orders"

void test_proposal__is_taken_back_and_done_again(void **state)
{
    (void)state;
    fresh();
    op_fixture_sql(
        &f, "CREATE TRIGGER told AFTER UPDATE ON orders BEGIN INSERT INTO notes VALUES (new.id, 0, 0); END");
    applied("{\"statements\":[{\"sql\":\"UPDATE orders SET status = 'late' WHERE id < 3\"},"
            "{\"sql\":\"DELETE FROM orders WHERE id = 3\"},{\"sql\":\"INSERT INTO orders VALUES (7, 'new', "
            "1)\"}]}");
    assert_string_equal(op_fixture_value(&f, ALL_ORDERS), "1late10.0 2late20.0 7new1.0");
    undone(g_id);
    assert_int_equal(op_json_int(op_fixture_json(&f), "rowsWritten"), 6);
    assert_string_equal(op_fixture_value(&f, ALL_ORDERS), "1open10.0 2open20.0 3done30.0");
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM notes"), "0");
    undone(g_id);
    assert_string_equal(op_fixture_value(&f, ALL_ORDERS), "1late10.0 2late20.0 7new1.0");
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM notes"), "2");
}

void test_proposal__is_not_taken_back_over_what_came_later(void **state)
{
    char id[60];
    (void)state;
    fresh();
    applied("{\"sql\":\"UPDATE orders SET status = 'late'\"}");
    str_print(id, sizeof id, "%s", g_id);
    assert_int_equal(undo(id), ERR_OK);
    remember(op_fixture_json(&f));
    query("UPDATE orders SET total = 5 WHERE id = 1"); /* another column: no matter */
    query("UPDATE orders SET status = 'sent' WHERE id = 2");
    assert_int_equal(apply_token(g_token), ERR_CONFLICT);
    const struct jsonr_value *v = op_fixture_json(&f);
    assert_int_equal(jsonr_count(op_json_at(v, "drift/rows")), 1);
    assert_string_equal(op_json_text(v, "drift/rows/0/kind"), "differs");
    assert_string_equal(op_json_text(v, "drift/rows/0/now/status"), "sent");
    assert_int_equal(undo(id), ERR_CONFLICT);
    assert_int_equal(op_json_int(op_fixture_json(&f), "drift/rows/0/key/id"), 2);
    assert_string_equal(op_fixture_value(&f, ALL_ORDERS), "1late5.0 2sent20.0 3late30.0");
    query("UPDATE orders SET status = 'late' WHERE id = 2");
    undone(id);
    assert_string_equal(op_fixture_value(&f, ALL_ORDERS), "1open5.0 2open20.0 3done30.0");
}

/* Rows that hang on what would go are somebody else's. */
void test_proposal__taking_back_goes_no_further_than_it_went(void **state)
{
    (void)state;
    fresh();
    op_fixture_sql(&f,
        "DROP TABLE IF EXISTS lines; CREATE TABLE lines (id INTEGER PRIMARY KEY, o REFERENCES orders ON "
        "DELETE CASCADE)");
    applied("{\"sql\":\"INSERT INTO orders VALUES (8, 'new', 1)\"}");
    query("INSERT INTO lines VALUES (1, 8)");
    assert_int_equal(undo(g_id), ERR_CONFLICT);
    assert_string_equal(op_json_text(op_fixture_json(&f), "drift/rows/0/kind"), "new");
    assert_string_equal(op_json_text(op_fixture_json(&f), "drift/rows/0/table"), "lines");
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM lines"), "1");
    query("DELETE FROM lines");
    undone(g_id);
    assert_string_equal(op_fixture_value(&f, "SELECT count(*) FROM orders"), "3");
}

void test_proposal__what_cannot_be_taken_back_says_so(void **state)
{
    char id[60];
    (void)state;
    fresh();
    propose("{\"sql\":\"UPDATE orders SET status = 'late'\"}");
    assert_int_equal(undo(g_id), ERR_CONFLICT);
    assert_non_null(strstr(f.error.ptr, "pending"));
    applied("{\"sql\":\"DROP TABLE notes\"}");
    op_fixture_sql(&f,
        "UPDATE _sys_proposal SET snapshot = 'snap_00000000zz0000000000000000' WHERE state = 'applied';"
        "UPDATE _sys_proposal SET schema_diff = replace(schema_diff, '\"rows\":0', '\"rows\":1')");
    str_print(id, sizeof id, "%s", g_id);
    applied("{\"sql\":\"UPDATE orders SET total = 9 WHERE id = 1\"}");
    assert_int_equal(undo(id), ERR_CONFLICT);
    assert_string_equal(op_json_text(op_fixture_json(&f), "code"), "restore_needed");
    assert_string_equal(op_json_text(op_fixture_json(&f), "restore/at"), "1970-01-01T00:00:01.023Z");
    assert_int_equal(op_json_int(op_fixture_json(&f), "restore/loses/proposals"), 1);
    op_fixture_sql(&f, "CREATE TABLE notes (body TEXT, a, b)");
    op_fixture_sql(&f,
        "DROP TABLE IF EXISTS words; CREATE VIRTUAL TABLE words USING fts5(body, content='');"
        "CREATE TRIGGER fed AFTER INSERT ON notes BEGIN INSERT INTO words (rowid, body) VALUES "
        "(new.rowid, new.body); END");
    applied("{\"sql\":\"INSERT INTO notes (body) VALUES ('text')\"}");
    assert_int_equal(undo(g_id), ERR_CONFLICT);
    assert_non_null(strstr(f.error.ptr, "full-text"));
    op_fixture_sql(&f, "DROP TRIGGER fed; DROP TABLE words");
    applied("{\"sql\":\"UPDATE orders SET status = 'x'\"}");
    str_print(id, sizeof id, "%s", g_id);
    f.role = WIRE_ROLE_READONLY;
    assert_int_equal(undo(id), ERR_FORBIDDEN);
    f.role = WIRE_ROLE_READWRITE;
    const struct str scope[] = {S("notes")};
    f.tables = scope;
    f.table_count = 1;
    assert_int_equal(undo(id), ERR_FORBIDDEN);
    f.tables = NULL;
    assert_int_equal(undo(id), ERR_OK);
    f.token_id = S("tok_other");
    assert_int_equal(undo(id), ERR_NOT_FOUND);
    assert_int_equal(undo("prop_0"), ERR_NOT_FOUND);
}

/* A full-text table that keeps its rows is written through itself. */
void test_proposal__full_text_rows_are_taken_back(void **state)
{
    (void)state;
    fresh();
    op_fixture_sql(&f, "DROP TABLE IF EXISTS pages; CREATE VIRTUAL TABLE pages USING fts5(title, body);"
                       "INSERT INTO pages VALUES ('one', 'first words'), ('two', 'second words')");
    applied("{\"statements\":[{\"sql\":\"UPDATE pages SET body = 'other' WHERE title = 'one'\"},"
            "{\"sql\":\"DELETE FROM pages WHERE title = 'two'\"}]}");
    undone(g_id);
    assert_string_equal(
        op_fixture_value(&f, "SELECT group_concat(title) FROM pages WHERE pages MATCH 'words'"), "one,two");
    op_fixture_sql(&f, "INSERT INTO pages (pages) VALUES ('integrity-check'); DROP TABLE pages");
}
